/* Files that break a rule or ask for what is not supported, files that are odd but fine, and failing memory. */
#include "gsa/tokenizer.h"
#include "support/counting_alloc.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A small tokenizer with a bit of everything; ' stands for ". */
static const char base_text[] =
    "{'version': '1.0', 'truncation': null, 'padding': null,"
    " 'added_tokens': [{'id': 0, 'content': '<u>', 'single_word': false, 'lstrip': false, 'rstrip': false,"
    "   'normalized': false, 'special': true},"
    "  {'id': 11, 'content': '<n>', 'single_word': true, 'lstrip': true, 'rstrip': true, 'normalized': true,"
    "   'special': false}],"
    " 'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'Prepend', 'prepend': '_'},"
    "   {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '_'}]},"
    " 'pre_tokenizer': null,"
    " 'post_processor': {'type': 'TemplateProcessing', 'single': [{'SpecialToken': {'id': '<u>', 'type_id': 0}},"
    "   {'Sequence': {'id': 'A', 'type_id': 0}}], 'pair': [],"
    "   'special_tokens': {'<u>': {'id': '<u>', 'ids': [0], 'tokens': ['<u>']}}},"
    " 'decoder': {'type': 'Sequence', 'decoders': [{'type': 'Replace', 'pattern': {'String': '_'}, 'content': ' '},"
    "   {'type': 'ByteFallback'}, {'type': 'Fuse'}, {'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0}]},"
    " 'model': {'type': 'BPE', 'dropout': null, 'unk_token': '<u>', 'continuing_subword_prefix': null,"
    "   'end_of_word_suffix': null, 'fuse_unk': true, 'byte_fallback': true, 'ignore_merges': false,"
    "   'vocab': {'<u>': 0, '<0xC3>': 1, '<0xA9>': 2, '_': 3, 'a': 4, 'b': 5, 'c': 6, 'ab': 7, '_a': 8, '_ab': 9, "
    "'cc': 10},"
    "   'merges': [['a', 'b'], ['_', 'a'], ['_', 'ab'], ['c', 'c']]}}";

/* Parse JSON that is written with ' for ". */
static json_t *parse(const char *text)
{
    char *copy = strdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'') *p = '"';
    json_error_t error;
    json_t *json = json_loads(copy, JSON_DECODE_ANY, &error);
    if (!json) fail_msg("%s: %s", text, error.text);
    free(copy);
    return json;
}

/* Set (or, without a value, delete) the member at a path such as "model.merges.0". */
static void patch(json_t *root, const char *path, const char *value)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    char *name = copy;
    for (char *dot; (dot = strchr(name, '.')); name = dot + 1) {
        *dot = 0;
        root = json_is_array(root) ? json_array_get(root, (size_t)atoi(name)) : json_object_get(root, name);
        assert_non_null(root);
    }
    if (json_is_array(root))
        assert_int_equal(json_array_set_new(root, (size_t)atoi(name), parse(value)), 0);
    else if (value)
        assert_int_equal(json_object_set_new(root, name, parse(value)), 0);
    else
        assert_int_equal(json_object_del(root, name), 0);
}

static gsa_status create(const void *json, size_t size, const gsa_allocator *allocator, gsa_tokenizer **t)
{
    const gsa_tokenizer_params params = {
        .struct_size = sizeof params, .json = json, .json_size = size, .allocator = allocator};
    return gsa_tokenizer_create(&params, t);
}

static gsa_status create_patched(const char *path, const char *value, gsa_tokenizer **t)
{
    json_t *json = parse(base_text);
    if (path) patch(json, path, value);
    char *text = json_dumps(json, 0);
    counting_alloc count = {.fail_at = -1};
    const gsa_allocator allocator = counting_allocator(&count);
    const gsa_status status = create(text, strlen(text), &allocator, t);
    if (status != GSA_OK && count.alive) fail_msg("%s = %s leaks %ld blocks", path, value, count.alive);
    if (status == GSA_OK) {
        gsa_tokenizer_destroy(*t);
        assert_int_equal(count.alive, 0);
        assert_int_equal(create(text, strlen(text), NULL, t), GSA_OK);
    }
    free(text);
    json_decref(json);
    return status;
}

typedef struct bad_case {
    const char *path, *value, *says; /* says: part of the error text */
} bad_case;

static void check_refused(const bad_case *cases, size_t n, gsa_status want)
{
    for (size_t i = 0; i < n; i++) {
        gsa_tokenizer *t = (gsa_tokenizer *)&cases;
        const gsa_status status = create_patched(cases[i].path, cases[i].value, &t);
        if (status != want || t || !strstr(gsa_error_text(), cases[i].says))
            fail_msg("%s = %s: %s \"%s\", expected %s \"%s\"", cases[i].path, cases[i].value, gsa_status_name(status),
                gsa_error_text(), gsa_status_name(want), cases[i].says);
    }
}

#define ADDED(id, content)                                                                                             \
    "{'id': " id ", 'content': " content                                                                               \
    ", 'single_word': false, 'lstrip': false, 'rstrip': false, 'normalized': false, 'special': true}"
#define BYTE_LEVEL(regex)                                                                                              \
    "{'type': 'ByteLevel', 'add_prefix_space': false, 'trim_offsets': true, 'use_regex': " regex "}"

static void tokenizer_json_broken_rules_are_refused(void **state)
{
    (void)state;
    static const bad_case cases[] = {
        {"model", NULL, "model: expected an object, it is missing"},
        {"model", "[]", "model: expected an object, it is an array"},
        {"model.type", "7", "model.type"},
        {"model.vocab", NULL, "model.vocab: expected an object"},
        {"model.vocab", "['a']", "model.vocab: expected an object, it is an array"},
        {"model.vocab.a", "'4'", "id of token \"a\" should be an integer, it is a string"},
        {"model.vocab.a", "4.0", "it is a real number"},
        {"model.vocab.a", "-1", "id of token \"a\" is -1"},
        {"model.vocab.a", "16777216", "id of token \"a\" is 16777216"},
        {"model.vocab.a", "4294967300", "4294967300"},
        {"model.vocab.a", "16000000", "its ids reach 16000000"},
        {"model.vocab.a", "5", "have the same id 5"},
        {"model.merges", NULL, "model.merges: expected an array, it is missing"},
        {"model.merges", "{}", "model.merges"},
        {"model.merges.0", "['a', 'q']", "merge 0 names \"q\""},
        {"model.merges.1", "['b', 'a']", "merge 1 makes \"ba\""},
        {"model.merges.1", "['a']", "merges[1]"},
        {"model.merges.1", "['a', 'b', 'c']", "merges[1]"},
        {"model.merges.1", "['a', 3]", "merges[1]"},
        {"model.merges.1", "'a b'", "merges[1]"},
        {"model.merges", "['a b', 'a']", "merges[1]"},
        {"model.merges", "['a b', 'a b c']", "merges[1]"},
        {"model.merges", "['a b', ['c', 'c']]", "merges[1]"},
        {"model.merges", "[7]", "merges[0]"},
        {"model.unk_token", "7", "model.unk_token"},
        {"model.unk_token", "'nope'", "\"nope\" is not in the vocabulary"},
        {"model.fuse_unk", "1", "model.fuse_unk"},
        {"model.byte_fallback", "'yes'", "model.byte_fallback"},
        {"model.ignore_merges", "null", "model.ignore_merges"},
        {"added_tokens", "{}", "added_tokens: expected an array"},
        {"added_tokens.1", "7", "added_tokens.content"},
        {"added_tokens.1.content", "7", "added_tokens.content"},
        {"added_tokens.1.id", "null", "id of token \"<n>\""},
        {"added_tokens.1.id", "-5", "id of token \"<n>\" is -5"},
        {"added_tokens.1.id", "99999999999", "99999999999"},
        {"added_tokens.1.id", "12", "the next free id is 11"},
        {"added_tokens.1.id", "5", "the next free id is 11"},
        {"added_tokens.1.content", "'ab'", "in the vocabulary it has 7"},
        {"added_tokens.1.special", NULL, "added_tokens.special"},
        {"added_tokens.1.lstrip", "0", "added_tokens.lstrip"},
        {"added_tokens.1", ADDED("0", "'<u>'"), "added twice"},
        {"normalizer", "[]", "normalizer: expected an object, it is an array"},
        {"normalizer", "{}", "normalizer.type"},
        {"normalizer", "{'type': 'Prepend'}", "normalizer.prepend"},
        {"normalizer", "{'type': 'Replace', 'content': ''}", "String in Replace's pattern, it is missing"},
        {"normalizer", "{'type': 'Replace', 'pattern': {'String': 1}, 'content': ''}", "String in Replace's pattern"},
        {"normalizer", "{'type': 'Sequence', 'normalizers': {}}", "normalizer.normalizers"},
        {"normalizer", "{'type': 'Sequence', 'normalizers': [null]}", "normalizer"},
        {"pre_tokenizer", "'Metaspace'", "pre_tokenizer"},
        {"pre_tokenizer", "{'type': 'Metaspace'}", "pre_tokenizer.replacement"},
        {"pre_tokenizer", "{'type': 'Metaspace', 'replacement': '__'}", "expected one character"},
        {"pre_tokenizer", "{'type': 'Metaspace', 'replacement': ''}", "expected one character"},
        {"pre_tokenizer",
            "{'type': 'Metaspace', 'replacement': '_', 'add_prefix_space': false, 'prepend_scheme': 'first'}",
            "contradicts"},
        {"pre_tokenizer", "{'type': 'ByteLevel'}", "pre_tokenizer.add_prefix_space"},
        {"pre_tokenizer", "{'type': 'Split', 'behavior': 'Isolated'}", "pre_tokenizer.pattern"},
        {"pre_tokenizer", "{'type': 'Split', 'behavior': 'Isolated', 'pattern': {}}", "pre_tokenizer.Regex"},
        {"post_processor", "7", "post_processor"},
        {"post_processor.single", "{}", "post_processor.single"},
        {"post_processor.single.0", "7", "post_processor.single[0]"},
        {"post_processor.single.0", "{'Sequence': {'id': 'B'}}", "post_processor.single[0]"},
        {"post_processor.special_tokens", NULL, "\"<u>\" is used but not described"},
        {"post_processor.special_tokens.<u>.ids", "[4711]", "not in the vocabulary"},
        {"post_processor.special_tokens.<u>.ids", "['0']", "not in the vocabulary"},
        {"post_processor.special_tokens.<u>.ids", "[-1]", "not in the vocabulary"},
        {"post_processor.special_tokens.<u>.ids", "0", "ids"},
        {"decoder", "7", "decoder"},
        {"decoder.decoders", "7", "decoder.decoders"},
        {"decoder.decoders.3.content", "'  '", "expected one character"},
        {"decoder.decoders.3.start", "-1", "decoder.start"},
        {"decoder.decoders.3.start", "true", "decoder.start"},
    };
    check_refused(cases, sizeof cases / sizeof *cases, GSA_ERROR_FORMAT);
}

static void tokenizer_json_unknown_parts_are_refused_by_name(void **state)
{
    (void)state;
    static const bad_case cases[] = {
        {"version", "'2.0'", "version"},
        {"something_new", "{}", "\"something_new\""},
        {"model.type", "'Unigram'", "\"Unigram\""},
        {"model.type", "'WordPiece'", "\"WordPiece\""},
        {"model.dropout", "0.1", "dropout"},
        {"model.continuing_subword_prefix", "'##'", "continuing_subword_prefix"},
        {"model.end_of_word_suffix", "'</w>'", "end_of_word_suffix"},
        {"model.new_rule", "true", "\"new_rule\""},
        {"added_tokens.1.fuzzy", "true", "\"fuzzy\""},
        {"added_tokens.1", ADDED("11", "''"), "has 0 bytes"},
        {"normalizer", "{'type': 'NFC'}", "\"NFC\""},
        {"normalizer", "{'type': 'Lowercase'}", "\"Lowercase\""},
        {"normalizer", "{'type': 'Sequence', 'normalizers': [{'type': 'NFKC'}]}", "\"NFKC\""},
        {"normalizer", "{'type': 'Replace', 'pattern': {'Regex': ' +'}, 'content': ' '}", "regular expression"},
        {"normalizer", "{'type': 'Replace', 'pattern': {'String': ''}, 'content': ' '}", "empty text"},
        {"normalizer", "{'type': 'Replace', 'pattern': {'String': '<n>'}, 'content': ''}", "added token 11 empty"},
        {"normalizer", "{'type': 'Prepend', 'prepend': '_', 'when': 1}", "\"when\""},
        {"pre_tokenizer", "{'type': 'Whitespace'}", "\"Whitespace\""},
        {"pre_tokenizer", "{'type': 'Metaspace', 'replacement': '_', 'prepend_scheme': 'last'}", "\"last\""},
        {"pre_tokenizer", "{'type': 'Metaspace', 'replacement': '_', 'prepend_scheme': 'first'}",
            "together with a normalizer"},
        {"pre_tokenizer", "{'type': 'Split', 'behavior': 'Isolated', 'pattern': {'Regex': 'a+'}}", "\"a+\""},
        {"pre_tokenizer", "{'type': 'Split', 'behavior': 'Isolated', 'pattern': {'String': ' '}}", "plain text"},
        {"pre_tokenizer", "{'type': 'Split', 'behavior': 'Removed', 'pattern': {'Regex': 'a+'}}", "\"Removed\""},
        {"pre_tokenizer", "{'type': 'Sequence', 'pretokenizers': [" BYTE_LEVEL("true") "," BYTE_LEVEL("true") "]}",
            "\"ByteLevel\""},
        {"pre_tokenizer", "{'type': 'Digits', 'individual_digits': true}", "Digits without ByteLevel"},
        {"pre_tokenizer", "{'type': 'Digits', 'individual_digits': false}", "Digits in groups"},
        {"pre_tokenizer",
            "{'type': 'Sequence', 'pretokenizers': [{'type': 'Digits', 'individual_digits': true}," BYTE_LEVEL(
                "false") "]}",
            "Digits without GPT-2's rule"},
        {"pre_tokenizer", "{'type': 'Sequence', 'pretokenizers': [" BYTE_LEVEL("false") ", {'type': 'Digits'}]}",
            "\"Digits\""},
        {"post_processor", "{'type': 'BertProcessing'}", "\"BertProcessing\""},
        {"post_processor.single", "[]", "the text does not come"},
        {"post_processor.single", "[{'Sequence': {'id': 'A'}}, {'Sequence': {'id': 'A'}}]", "the text comes twice"},
        {"decoder", "{'type': 'WordPiece'}", "\"WordPiece\""},
        {"decoder", "{'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0}", "\"Strip\" at this place"},
        {"decoder.decoders.3.stop", "1", "from the end"},
        {"decoder.decoders.1", "{'type': 'Fuse'}", "\"Fuse\" at this place"},
        {"decoder.decoders.2", "{'type': 'Replace', 'pattern': {'String': 'a'}, 'content': 'b'}",
            "\"Replace\" at this place"},
        {"decoder.decoders.2", "{'type': 'CTC'}", "\"CTC\""},
    };
    check_refused(cases, sizeof cases / sizeof *cases, GSA_ERROR_UNSUPPORTED);
}

static void tokenizer_json_deep_sequences_are_refused(void **state)
{
    (void)state;
    char deep[2000] = "";
    for (int i = 0; i < 20; i++) strcat(deep, "{'type': 'Sequence', 'normalizers': [");
    strcat(deep, "{'type': 'Prepend', 'prepend': '_'}");
    for (int i = 0; i < 20; i++) strcat(deep, "]}");
    gsa_tokenizer *t;
    assert_int_equal(create_patched("normalizer", deep, &t), GSA_ERROR_UNSUPPORTED);
}

static void tokenizer_json_bytes_that_are_no_json_are_refused(void **state)
{
    (void)state;
    static char nested[100000];
    memset(nested, '[', sizeof nested);
    static const char nul_inside[] = "{\"model\": \0}", bad_utf8[] = "{\"\xff\": 1}",
                      two[] = "{\"version\": \"1.0\", \"version\": \"1.0\"}";
    const struct {
        const char *data;
        size_t size;
    } cases[] = {{"", 0}, {"{", 1}, {"null", 4}, {"[]", 2}, {nested, sizeof nested},
        {nul_inside, sizeof nul_inside - 1}, {bad_utf8, sizeof bad_utf8 - 1}, {two, sizeof two - 1},
        {"{\"model\": 1e999}", 16}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gsa_tokenizer *t = (gsa_tokenizer *)&t;
        assert_int_equal(create(cases[i].data, cases[i].size, NULL, &t), GSA_ERROR_FORMAT);
        assert_null(t);
    }
    gsa_tokenizer *t;
    assert_int_equal(create("{}", ((size_t)128 << 20) + 1, NULL, &t), GSA_ERROR_UNSUPPORTED);
    /* Each beginning of a file that is fine. */
    json_t *json = parse(base_text);
    char *text = json_dumps(json, 0);
    for (size_t n = 0; n < strlen(text); n++) assert_int_equal(create(text, n, NULL, &t), GSA_ERROR_FORMAT);
    free(text);
    json_decref(json);
}

static void tokenizer_json_absent_files_are_reported(void **state)
{
    (void)state;
    gsa_tokenizer *t;
    gsa_tokenizer_params params = {.struct_size = sizeof params, .path = "/nonexistent/tokenizer.json"};
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_FILE);
    params.path = "/"; /* a folder without one */
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_FILE);
    assert_non_null(strstr(gsa_error_text(), "tokenizer.json"));
    params.path = "/dev/null";
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_FILE);
    assert_null(t);
}

static void assert_ids(const gsa_tokenizer *t, const char *text, size_t n_want, const int32_t *want)
{
    int32_t ids[32];
    size_t n;
    assert_int_equal(gsa_tokenizer_encode(t, text, strlen(text), true, ids, 32, &n), GSA_OK);
    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, n * sizeof *ids);
}

static void tokenizer_json_odd_but_valid_files_are_read(void **state)
{
    (void)state;
    static const bad_case cases[] = {
        {NULL, NULL, NULL},
        {"version", NULL, NULL},
        {"truncation", "{'max_length': 2}", NULL},
        {"model.type", NULL, NULL},
        {"model.dropout", "0.0", NULL},
        {"model.dropout", NULL, NULL},
        {"model.continuing_subword_prefix", "''", NULL},
        {"model.merges", "['#version: 0.2', 'a b', '_ a', '_ ab', 'c c']", NULL},
        {"model.vocab.zz", "40", NULL}, /* ids may have gaps */
        {"post_processor.pair", "7", NULL},
        {"normalizer.future", "null", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gsa_tokenizer *t = NULL;
        if (cases[i].path && strcmp(cases[i].path, "model.vocab.zz") == 0) {
            /* The next free id is then the number of tokens, 12. */
            json_t *json = parse(base_text);
            patch(json, "model.vocab.zz", "40");
            patch(json, "added_tokens.1.id", "12");
            char *text = json_dumps(json, 0);
            assert_int_equal(create(text, strlen(text), NULL, &t), GSA_OK);
            free(text);
            json_decref(json);
            assert_int_equal(gsa_tokenizer_n_vocab(t), 41);
            assert_null(gsa_tokenizer_token_text(t, 30, NULL));
            size_t n;
            assert_int_equal(gsa_tokenizer_decode(t, (const int32_t[]){30, 4, 20}, 3, false, NULL, 0, &n), GSA_OK);
            assert_int_equal(n, 1);
        } else if (create_patched(cases[i].path, cases[i].value, &t) != GSA_OK) {
            fail_msg("%s: %s", cases[i].path, gsa_error_text());
        }
        assert_ids(t, "abcc \xc3\xa9", 6, (const int32_t[]){0, 9, 10, 3, 1, 2});
        gsa_tokenizer_destroy(t);
    }
}

/* Encode, decode and stream; each either works or reports memory. Streaming must go on after a failure. */
static gsa_status use_tokenizer(const gsa_tokenizer *t, counting_alloc *count)
{
    static const char text[] = "ab <n> cc\xff \xc3\xa9 ab<u>";
    int32_t ids[64];
    char back[64];
    size_t n_ids, n;
    gsa_status status = gsa_tokenizer_encode(t, text, strlen(text), true, ids, 64, &n_ids);
    if (status != GSA_OK) return status;
    status = gsa_tokenizer_decode(t, ids, n_ids, false, back, 64, &n);
    if (status != GSA_OK) return status;
    assert_true(n < sizeof back);
    gsa_detokenizer *d = NULL;
    if ((status = gsa_detokenizer_create(t, false, &d)) != GSA_OK) {
        assert_null(d);
        return status;
    }
    size_t done = 0;
    for (size_t i = 0; i <= n_ids; i++) {
        const char *piece = NULL;
        size_t n_piece;
        gsa_status s;
        do {
            s = i < n_ids ? gsa_detokenizer_push(d, ids[i], &piece, &n_piece)
                          : gsa_detokenizer_finish(d, &piece, &n_piece);
            if (s != GSA_OK) {
                assert_int_equal(s, GSA_ERROR_HOST_MEMORY);
                assert_int_equal(n_piece, 0);
                status = s;
                count->fail_at = -1;
            }
        } while (s != GSA_OK);
        assert_memory_equal(back + done, piece, n_piece);
        done += n_piece;
    }
    assert_int_equal(done, n);
    gsa_detokenizer_destroy(d);
    return status;
}

static void sweep(const char *text)
{
    long n_failed = 0;
    for (long n = 0;; n++) {
        counting_alloc count = {.fail_at = n};
        const gsa_allocator allocator = counting_allocator(&count);
        gsa_tokenizer *t = (gsa_tokenizer *)&count;
        gsa_status status = create(text, strlen(text), &allocator, &t);
        if (status == GSA_OK) {
            status = use_tokenizer(t, &count);
            gsa_tokenizer_destroy(t);
        } else {
            assert_null(t);
        }
        assert_int_equal(count.alive, 0);
        if (status == GSA_OK) break;
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
        n_failed++;
    }
    assert_true(n_failed > 20);
}

static void tokenizer_json_failing_allocations_leak_nothing(void **state)
{
    (void)state;
    static const char *const patches[][2] = {
        {NULL, NULL},
        {"decoder", BYTE_LEVEL("true")},
        {"decoder", "{'type': 'Metaspace', 'replacement': '_'}"},
        {"pre_tokenizer", "{'type': 'Metaspace', 'replacement': '_'}"},
        {"pre_tokenizer", BYTE_LEVEL("true")},
    };
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        json_t *json = parse(base_text);
        if (patches[i][0]) patch(json, patches[i][0], patches[i][1]);
        char *text = json_dumps(json, 0);
        sweep(text);
        free(text);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_json_broken_rules_are_refused),
        cmocka_unit_test(tokenizer_json_unknown_parts_are_refused_by_name),
        cmocka_unit_test(tokenizer_json_deep_sequences_are_refused),
        cmocka_unit_test(tokenizer_json_bytes_that_are_no_json_are_refused),
        cmocka_unit_test(tokenizer_json_absent_files_are_reported),
        cmocka_unit_test(tokenizer_json_odd_but_valid_files_are_read),
        cmocka_unit_test(tokenizer_json_failing_allocations_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
