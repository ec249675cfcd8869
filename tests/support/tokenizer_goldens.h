/* Comparing a tokenizer with what tests/data/tokenizers says. Needs jansson and cmocka. */
#ifndef GSA_TEST_TOKENIZER_GOLDENS_H
#define GSA_TEST_TOKENIZER_GOLDENS_H

#include "gsa/tokenizer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tg_families[] = {"mistral", "bytelevel", "llama3"};

static inline void tg_data_path(char out[512], const char *folder, const char *file)
{
    const char *root = getenv("GSA_TEST_DATA");
    assert_non_null(root);
    snprintf(out, 512, "%s/tokenizers/%s/%s", root, folder, file);
}

static inline void tg_check_encode(const gsa_tokenizer *t, const json_t *row, const char *member, bool special)
{
    const json_t *text = json_object_get(row, "text"), *want = json_object_get(row, member);
    const size_t n_want = json_array_size(want);
    size_t n = 999;
    int32_t *ids = malloc((n_want + 1) * sizeof *ids);
    assert_int_equal(
        gsa_tokenizer_encode(t, json_string_value(text), json_string_length(text), special, ids, n_want, &n), GSA_OK);
    assert_int_equal(n, n_want);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("\"%s\": id %zu is %d, not %lld", json_string_value(text), i, ids[i],
                (long long)json_integer_value(json_array_get(want, i)));
    }
    free(ids);
}

/* The whole and the streamed text of the row's ids. */
static inline void tg_check_decode(const gsa_tokenizer *t, const json_t *row, const char *member, bool skip)
{
    const json_t *list = json_object_get(row, "ids"), *want = json_object_get(row, member);
    const size_t n_ids = json_array_size(list), n_want = json_string_length(want);
    int32_t *ids = malloc((n_ids + 1) * sizeof *ids);
    for (size_t i = 0; i < n_ids; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    char *text = malloc(n_want + 1);
    size_t n = 999;
    assert_int_equal(gsa_tokenizer_decode(t, ids, n_ids, skip, text, n_want, &n), GSA_OK);
    assert_int_equal(n, n_want);
    assert_memory_equal(text, json_string_value(want), n);

    gsa_detokenizer *d = NULL;
    assert_int_equal(gsa_detokenizer_create(t, skip, &d), GSA_OK);
    for (int round = 0; round < 2; round++) { /* the second shows that finish starts anew */
        size_t done = 0;
        for (size_t i = 0; i <= n_ids; i++) {
            const char *piece = NULL;
            assert_int_equal(
                i < n_ids ? gsa_detokenizer_push(d, ids[i], &piece, &n) : gsa_detokenizer_finish(d, &piece, &n),
                GSA_OK);
            assert_int_equal(piece[n], 0);
            assert_true(done + n <= n_want);
            assert_memory_equal(json_string_value(want) + done, piece, n);
            done += n;
        }
        assert_int_equal(done, n_want);
    }
    gsa_detokenizer_destroy(d);
    free(text);
    free(ids);
}

static inline void tg_check_row(const gsa_tokenizer *t, const json_t *row)
{
    if (json_object_get(row, "text")) tg_check_encode(t, row, "ids", true);
    if (json_object_get(row, "ids_nospecial")) tg_check_encode(t, row, "ids_nospecial", false);
    tg_check_decode(t, row, "decoded", false);
    tg_check_decode(t, row, "decoded_skip", true);
}

/* Call row for each line of a file of JSON lines; returns how many there were. */
static inline int tg_for_lines(
    const char *folder, const char *file, void (*row)(void *user, const json_t *row), void *user)
{
    char path[512];
    tg_data_path(path, folder, file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    static char line[1 << 17];
    int n = 0;
    for (; fgets(line, sizeof line, f); n++) {
        json_t *json = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        row(user, json);
        json_decref(json);
    }
    fclose(f);
    return n;
}

static inline void tg_check_line(void *user, const json_t *row)
{
    tg_check_row(user, row);
}

/* All golden rows of a family. */
static inline void tg_check_family(const gsa_tokenizer *t, const char *family)
{
    assert_true(tg_for_lines(family, "goldens.jsonl", tg_check_line, (void *)(uintptr_t)t) > 200);
    assert_true(tg_for_lines(family, "decode.jsonl", tg_check_line, (void *)(uintptr_t)t) > 100);
}

#endif
