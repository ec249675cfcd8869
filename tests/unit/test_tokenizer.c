/* Ids and texts against those of the Python package `tokenizers`, streaming, invalid text, the shape of the API. */
#include "gsa/tokenizer.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/tokenizer_goldens.h"

static gsa_tokenizer *open_tokenizer(const char *folder, const char *file)
{
    char path[512];
    tg_data_path(path, folder, file);
    gsa_tokenizer *t = NULL;
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .path = path};
    if (gsa_tokenizer_create(&params, &t) != GSA_OK) fail_msg("%s", gsa_error_text());
    return t;
}

static void check_family(const char *family, const char *file)
{
    gsa_tokenizer *t = open_tokenizer(family, file);
    tg_check_family(t, family);
    gsa_tokenizer_destroy(t);
}

/* ---- goldens ---- */

static void tokenizer_golden_files_give_same_ids_and_texts(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) check_family(tg_families[i], "tokenizer.json");
}

static void tokenizer_legacy_merges_give_same_ids(void **state)
{
    (void)state;
    check_family("mistral", "tokenizer.legacy-merges.json");
    check_family("llama3", "tokenizer.legacy-merges.json");
}

/* The base file with the row's changes. */
static json_t *make_variant(const json_t *row)
{
    char path[512];
    tg_data_path(path, json_string_value(json_object_get(row, "base")), "tokenizer.json");
    json_t *j = json_load_file(path, 0, NULL), *patch = json_object_get(row, "patch");
    assert_non_null(j);
    const char *key;
    json_t *value;
    json_t *model = json_object_get(j, "model");
    json_object_foreach(patch, key, value)
    {
        if (strcmp(key, "model") == 0)
            json_object_update(model, value);
        else
            json_object_set(j, key, value);
    }
    size_t i;
    json_array_foreach(json_object_get(row, "drop"), i, value)
    {
        const char *dropped = json_string_value(value);
        char gone[64];
        snprintf(gone, sizeof gone, "%s gone", dropped);
        json_t *vocab = json_object_get(model, "vocab"), *merges = json_object_get(model, "merges");
        json_object_set(vocab, gone, json_object_get(vocab, dropped));
        json_object_del(vocab, dropped);
        for (size_t k = json_array_size(merges); k-- > 0;) {
            const json_t *merge = json_array_get(merges, k);
            if (strcmp(json_string_value(json_array_get(merge, 0)), dropped) == 0 ||
                strcmp(json_string_value(json_array_get(merge, 1)), dropped) == 0)
                json_array_remove(merges, k);
        }
    }
    return j;
}

static void check_variant(void *user, const json_t *row)
{
    json_t *json = make_variant(row);
    char *text = json_dumps(json, JSON_COMPACT);
    gsa_tokenizer *t = NULL;
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .json = text, .json_size = strlen(text)};
    if (gsa_tokenizer_create(&params, &t) != GSA_OK) fail_msg("%s", gsa_error_text());
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(row, "texts"), i, value) tg_check_row(t, value);
    json_array_foreach(json_object_get(row, "sequences"), i, value) tg_check_row(t, value);
    gsa_tokenizer_destroy(t);
    free(text);
    json_decref(json);
    ++*(int *)user;
}

static void tokenizer_other_settings_give_same_ids_and_texts(void **state)
{
    (void)state;
    int n = 0;
    tg_for_lines(".", "variants.jsonl", check_variant, &n);
    assert_true(n > 20);
}

/* ---- text that is no UTF-8, or unusual ---- */

static void assert_same_ids(const gsa_tokenizer *t, const char *a, size_t n_a, const char *b, size_t n_b)
{
    int32_t x[64], y[64];
    size_t n_x, n_y;
    assert_int_equal(gsa_tokenizer_encode(t, a, n_a, false, x, 64, &n_x), GSA_OK);
    assert_int_equal(gsa_tokenizer_encode(t, b, n_b, false, y, 64, &n_y), GSA_OK);
    assert_int_equal(n_x, n_y);
    assert_memory_equal(x, y, n_x * sizeof *x);
}

static void tokenizer_invalid_utf8_becomes_replacement_characters(void **state)
{
    (void)state;
#define R "\xef\xbf\xbd"
    static const char *const cases[][2] = {
        {"a\xff"
         "b",
            "a" R "b"},             /* never in UTF-8 */
        {"\x80\xbf", R R},          /* continuations alone */
        {"\xc3", R},                /* broken off at the end */
        {"\xe2\x82", R},            /* ... one subsequence */
        {"\xf0\x9f\x98 x", R " x"}, /* ... in the middle */
        {"\xf0\x9f\xf0\x9f\x98\x80", R "\U0001F600"},
        {"\xc0\x80", R R}, /* overlong */
        {"\xe0\x80\x80", R R R},
        {"\xed\xa0\x80", R R R},       /* a surrogate */
        {"\xf4\x90\x80\x80", R R R R}, /* past U+10FFFF */
        {"\xe2\x82\xc3\xa9", R "\xc3\xa9"},
    };
#undef R
    for (int f = 0; f < 3; f++) {
        gsa_tokenizer *t = open_tokenizer(tg_families[f], "tokenizer.json");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            assert_same_ids(t, cases[i][0], strlen(cases[i][0]), cases[i][1], strlen(cases[i][1]));
        gsa_tokenizer_destroy(t);
    }
}

static void tokenizer_nul_bytes_are_data(void **state)
{
    (void)state;
    for (int f = 0; f < 3; f++) {
        gsa_tokenizer *t = open_tokenizer(tg_families[f], "tokenizer.json");
        int32_t ids[32];
        char text[32];
        size_t n_ids, n;
        assert_int_equal(gsa_tokenizer_encode(t, "a\0b\0", 4, false, ids, 32, &n_ids), GSA_OK);
        assert_int_equal(gsa_tokenizer_decode(t, ids, n_ids, false, text, 32, &n), GSA_OK);
        assert_int_equal(n, 4);
        assert_memory_equal(text, "a\0b\0", 4);
        gsa_tokenizer_destroy(t);
    }
}

/* Quadratic work would take hours here. */
static void tokenizer_long_word_takes_near_linear_time(void **state)
{
    (void)state;
    const size_t n = 500000;
    char *text = malloc(n), *back = malloc(n);
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    for (int pattern = 0; pattern < 3; pattern++) {
        for (size_t i = 0; i < n; i++) text[i] = pattern == 0 ? 'a' : pattern == 1 ? ' ' : "etaoinsh"[i * i / 7 % 8];
        for (int f = 0; f < 3; f++) {
            gsa_tokenizer *t = open_tokenizer(tg_families[f], "tokenizer.json");
            size_t n_ids, n_back;
            assert_int_equal(gsa_tokenizer_encode(t, text, n, false, ids, n + 1, &n_ids), GSA_OK);
            assert_int_equal(gsa_tokenizer_decode(t, ids, n_ids, false, back, n, &n_back), GSA_OK);
            assert_int_equal(n_back, n);
            assert_memory_equal(text, back, n);
            gsa_tokenizer_destroy(t);
        }
    }
    free(text);
    free(back);
    free(ids);
}

/* ---- the API ---- */

static void tokenizer_too_small_room_gives_limit_and_count(void **state)
{
    (void)state;
    gsa_tokenizer *t = open_tokenizer("mistral", "tokenizer.json");
    int32_t ids[16];
    size_t n, needed;
    assert_int_equal(gsa_tokenizer_encode(t, "hello world", 11, true, NULL, 0, &needed), GSA_OK);
    assert_true(needed > 2 && needed < 16);
    ids[0] = -7;
    assert_int_equal(gsa_tokenizer_encode(t, "hello world", 11, true, ids, needed - 1, &n), GSA_ERROR_LIMIT);
    assert_int_equal(n, needed);
    assert_int_equal(ids[0], -7);
    assert_int_equal(gsa_tokenizer_encode(t, "hello world", 11, true, ids, needed, &n), GSA_OK);

    char text[32] = "untouched";
    assert_int_equal(gsa_tokenizer_decode(t, ids, n, true, NULL, 0, &needed), GSA_OK);
    assert_int_equal(needed, 11);
    size_t n_bytes;
    assert_int_equal(gsa_tokenizer_decode(t, ids, n, true, text, needed - 1, &n_bytes), GSA_ERROR_LIMIT);
    assert_int_equal(n_bytes, needed);
    assert_string_equal(text, "untouched");
    gsa_tokenizer_destroy(t);
}

static void tokenizer_ids_out_of_range_are_refused(void **state)
{
    (void)state;
    gsa_tokenizer *t = open_tokenizer("mistral", "tokenizer.json");
    const int32_t bad[] = {-1, 1000, INT32_MAX, INT32_MIN};
    gsa_detokenizer *d = NULL;
    assert_int_equal(gsa_detokenizer_create(t, false, &d), GSA_OK);
    for (int i = 0; i < 4; i++) {
        char text[8];
        size_t n = 5;
        const char *piece = NULL;
        assert_int_equal(gsa_tokenizer_decode(t, &bad[i], 1, false, text, 8, &n), GSA_ERROR_ARGUMENT);
        assert_int_equal(n, 0);
        assert_int_equal(gsa_detokenizer_push(d, bad[i], &piece, &n), GSA_ERROR_ARGUMENT);
        assert_string_equal(piece, "");
        assert_null(gsa_tokenizer_token_text(t, bad[i], &n));
        assert_int_equal(n, 0);
        assert_false(gsa_tokenizer_is_special(t, bad[i]));
    }
    gsa_detokenizer_destroy(d);
    gsa_tokenizer_destroy(t);
}

static void tokenizer_vocabulary_can_be_asked(void **state)
{
    (void)state;
    gsa_tokenizer *t = open_tokenizer("mistral", "."); /* a folder */
    assert_int_equal(gsa_tokenizer_n_vocab(t), 1000);
    assert_int_equal(gsa_tokenizer_bos(t), 1);
    assert_int_equal(gsa_tokenizer_eos(t), -1);
    assert_int_equal(gsa_tokenizer_token_id(t, "</s>", 4), 2);
    assert_int_equal(gsa_tokenizer_token_id(t, "no such token", 13), -1);
    size_t n;
    assert_string_equal(gsa_tokenizer_token_text(t, 1, &n), "<s>");
    assert_int_equal(n, 3);
    assert_true(gsa_tokenizer_is_special(t, 1));
    assert_false(gsa_tokenizer_is_special(t, 500));
    gsa_tokenizer_destroy(t);
    t = open_tokenizer("llama3", "tokenizer.json");
    assert_int_equal(gsa_tokenizer_bos(t), -1);
    gsa_tokenizer_destroy(t);
}

static void tokenizer_wrong_arguments_are_refused(void **state)
{
    (void)state;
    gsa_tokenizer *t = (gsa_tokenizer *)&state;
    gsa_tokenizer_params params = {.struct_size = sizeof params};
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_ARGUMENT);
    assert_null(t);
    assert_int_equal(gsa_tokenizer_create(NULL, &t), GSA_ERROR_ARGUMENT);
    params.path = "x";
    assert_int_equal(gsa_tokenizer_create(&params, NULL), GSA_ERROR_ARGUMENT);
    params.json = "{}";
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_ARGUMENT);
    params.json = NULL;
    params.struct_size = 3;
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_ARGUMENT);

    t = open_tokenizer("mistral", "tokenizer.json");
    size_t n;
    const char *piece;
    gsa_detokenizer *d = NULL;
    assert_int_equal(gsa_tokenizer_encode(t, NULL, 1, false, NULL, 0, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_encode(t, "", 0, false, NULL, 0, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_encode(t, "", (size_t)INT32_MAX + 1, false, NULL, 0, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_encode(t, NULL, 0, false, NULL, 0, &n), GSA_OK);
    assert_int_equal(n, 0);
    assert_int_equal(gsa_tokenizer_decode(t, NULL, 1, false, NULL, 0, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_decode(t, NULL, 0, false, NULL, 0, &n), GSA_OK);
    assert_int_equal(gsa_detokenizer_create(NULL, false, &d), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_push(NULL, 0, &piece, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_finish(NULL, &piece, &n), GSA_ERROR_ARGUMENT);
    gsa_tokenizer_destroy(t);
    gsa_tokenizer_destroy(NULL);
    gsa_detokenizer_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_golden_files_give_same_ids_and_texts),
        cmocka_unit_test(tokenizer_legacy_merges_give_same_ids),
        cmocka_unit_test(tokenizer_other_settings_give_same_ids_and_texts),
        cmocka_unit_test(tokenizer_invalid_utf8_becomes_replacement_characters),
        cmocka_unit_test(tokenizer_nul_bytes_are_data),
        cmocka_unit_test(tokenizer_long_word_takes_near_linear_time),
        cmocka_unit_test(tokenizer_too_small_room_gives_limit_and_count),
        cmocka_unit_test(tokenizer_ids_out_of_range_are_refused),
        cmocka_unit_test(tokenizer_vocabulary_can_be_asked),
        cmocka_unit_test(tokenizer_wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
