/* Files that are too large or too deep to lie in the corpus, and calls that only a careless caller makes. */
#include "gsa/tokenizer.h"
#include "gguf/gguf.h"
#include "model/hf.h"
#include "support/counting_alloc.h"
#include "text/vocab.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static gsa_status open_folder(const char *folder)
{
    const gsai_checkpoint_options options = {gsai_allocator_or_default(NULL), NULL};
    gsai_checkpoint *c = NULL;
    const gsa_status status = gsai_checkpoint_open_hf(folder, &options, &c);
    gsai_checkpoint_close(c);
    return status;
}

static void write_file(const char *folder, const char *name, const char *text, off_t size)
{
    char path[5000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fflush(f) == 0);
    if (size) assert_int_equal(ftruncate(fileno(f), size), 0);
    fclose(f);
}

static void remove_file(const char *folder, const char *name)
{
    char path[5000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static void config_of_more_than_16_mib_is_refused(void **state)
{
    (void)state;
    const uint64_t size = (16u << 20) + 1;
    uint8_t *text = malloc(size);
    gsai_hf_config h;
    memset(text, ' ', size);
    assert_int_equal(gsai_hf_parse_config("FILE", text, size, NULL, &h), GSA_ERROR_FORMAT);
    assert_non_null(strstr(gsa_error_text(), "16777217"));
    free(text);
}

/* Each would take a hundred times its size in memory, were it parsed. */
static void json_of_many_empty_lists_is_refused(void **state)
{
    (void)state;
    const size_t n = 1200000, size = 3 * n + 16;
    char *text = malloc(size + 8);
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_safetensors s;
    gsa_tokenizer *t = NULL;
    size_t at = 8 + (size_t)sprintf(text + 8, "{\"a\":[");
    for (size_t i = 0; i < n; i++) at += (size_t)sprintf(text + at, "[],");
    at += (size_t)sprintf(text + at, "0]}");
    for (int i = 0; i < 8; i++) text[i] = (char)((uint64_t)(at - 8) >> 8 * i);
    assert_int_equal(gsai_safetensors_parse("FILE", (const uint8_t *)text, at, &a, &s), GSA_ERROR_FORMAT);
    assert_non_null(strstr(gsa_error_text(), "too many values"));
    gsai_hf_config h;
    assert_int_equal(gsai_hf_parse_config("FILE", (const uint8_t *)text + 8, at - 8, NULL, &h), GSA_ERROR_FORMAT);
    assert_non_null(strstr(gsa_error_text(), "too many values"));
    /* a tokenizer may have as many, but not this key */
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .json = text + 8, .json_size = at - 8};
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_UNSUPPORTED);
    free(text);
}

static void folder_with_a_huge_index_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/gsa-hostile-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_file(folder, "config.json", "{\"model_type\":\"gsa\"}", 0);
    write_file(folder, "model.safetensors.index.json", "{", (off_t)1 << 33);
    assert_int_equal(open_folder(folder), GSA_ERROR_FORMAT);
    assert_non_null(strstr(gsa_error_text(), "8589934592 bytes"));
    remove_file(folder, "model.safetensors.index.json");
    remove_file(folder, "config.json");
    rmdir(folder);
}

static void tokenizer_of_more_than_128_mib_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/gsa-hostile-XXXXXX";
    gsa_tokenizer *t = NULL;
    assert_non_null(mkdtemp(folder));
    write_file(folder, "tokenizer.json", "{", (off_t)1 << 33);
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .path = folder};
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "tokenizer.json: 8589934592 bytes are too many"));
    assert_null(t);
    write_file(folder, "tokenizer.json", "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}", 0);
    gsa_status status = GSA_ERROR_HOST_MEMORY;
    for (long n = 0; status != GSA_OK; n++) {
        counting_alloc counter = {.fail_at = n};
        const gsa_allocator a = counting_allocator(&counter);
        const gsa_tokenizer_params counted = {.struct_size = sizeof counted, .path = folder, .allocator = &a};
        status = gsa_tokenizer_create(&counted, &t);
        assert_true(status == GSA_OK || status == GSA_ERROR_HOST_MEMORY);
        gsa_tokenizer_destroy(t);
        assert_int_equal(counter.alive, 0);
    }
    remove_file(folder, "tokenizer.json");
    rmdir(folder);
}

/* A folder that exists by a path as long as paths can be; what is joined to it no longer fits. */
static void path_too_long_for_a_file_in_it_is_refused(void **state)
{
    (void)state;
    char folder[4096] = "/tmp/gsa-hostile-XXXXXX";
    gsa_tokenizer *t = NULL;
    assert_non_null(mkdtemp(folder));
    write_file(folder, "config.json", "{\"model_type\":\"gsa\"}", 0);
    const size_t n = strlen(folder);
    static const size_t lengths[] = {4092, 4080, 4070};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        while (strlen(folder) + 2 <= lengths[i]) strcat(folder, "/.");
        folder[lengths[i]] = 0;
        assert_int_equal(open_folder(folder), GSA_ERROR_FILE);
        assert_non_null(strstr(gsa_error_text(), "too long"));
        const gsa_tokenizer_params params = {.struct_size = sizeof params, .path = folder};
        if (lengths[i] > 4081) {
            assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_ERROR_FILE);
            assert_non_null(strstr(gsa_error_text(), "too long"));
        }
        folder[n] = 0;
    }
    remove_file(folder, "config.json");
    rmdir(folder);
}

static void tokenizer_calls_without_their_arguments_are_refused(void **state)
{
    (void)state;
    static const char json[] = "{\"model\":{\"vocab\":{\"a\":0,\"b\":70},\"merges\":[]}}";
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .json = json, .json_size = sizeof json - 1};
    gsa_tokenizer_params wrong = params;
    gsa_tokenizer *t = NULL;
    gsa_detokenizer *d = NULL;
    int32_t ids[4] = {0};
    char text[8];
    size_t n = 5;
    const char *piece;
    assert_int_equal(gsa_tokenizer_create(&params, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_create(NULL, &t), GSA_ERROR_ARGUMENT);
    wrong.struct_size = 1;
    assert_int_equal(gsa_tokenizer_create(&wrong, &t), GSA_ERROR_ARGUMENT);
    wrong = params;
    wrong.path = "x";
    assert_int_equal(gsa_tokenizer_create(&wrong, &t), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_create(&params, &t), GSA_OK);

    assert_int_equal(gsa_tokenizer_encode(NULL, "a", 1, false, ids, 4, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(n, 0);
    assert_int_equal(gsa_tokenizer_encode(t, "a", 1, false, ids, 4, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_encode(t, NULL, 1, false, ids, 4, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_encode(t, "a", (size_t)1 << 31, false, ids, 4, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_encode(t, NULL, 0, false, ids, 4, &n), GSA_OK);

    assert_int_equal(gsa_tokenizer_decode(NULL, ids, 1, false, text, 8, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_decode(t, ids, 1, false, text, 8, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_decode(t, NULL, 1, false, text, 8, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_tokenizer_decode(t, NULL, 0, false, text, 8, &n), GSA_OK);
    for (int i = 0; i < 3; i++) {
        ids[0] = (const int32_t[]){-1, 71, INT32_MIN}[i];
        assert_int_equal(gsa_tokenizer_decode(t, ids, 1, false, text, 8, &n), GSA_ERROR_ARGUMENT);
        assert_null(gsa_tokenizer_token_text(t, ids[0], NULL));
        assert_false(gsa_tokenizer_is_special(t, ids[0]));
    }
    assert_null(gsa_tokenizer_token_text(t, 5, &n)); /* a gap */
    assert_int_equal(gsa_tokenizer_token_id(t, NULL, 3), -1);

    assert_int_equal(gsa_detokenizer_create(t, false, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_create(NULL, false, &d), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_create(t, false, &d), GSA_OK);
    assert_int_equal(gsa_detokenizer_push(NULL, 0, &piece, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_push(d, 0, NULL, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_push(d, 71, &piece, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_push(d, 0, &piece, NULL), GSA_OK);
    assert_string_equal(piece, "a");
    assert_int_equal(gsa_detokenizer_finish(NULL, &piece, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_finish(d, NULL, &n), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_detokenizer_finish(d, &piece, NULL), GSA_OK);
    gsa_detokenizer_destroy(d);
    gsa_detokenizer_destroy(NULL);
    gsa_tokenizer_destroy(t);
    gsa_tokenizer_destroy(NULL);
}

static long reads_left;
static gsa_status failing_read(void *user, const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst)
{
    (void)user;
    (void)t;
    (void)offset;
    memset(dst, 0, (size_t)size);
    return reads_left-- > 0 ? GSA_OK : GSA_ERROR_FILE;
}

/* The identity of a model whose bytes cannot all be read. */
static void checkpoint_hash_passes_on_a_failed_read(void **state)
{
    (void)state;
    const gsai_checkpoint_options options = {gsai_allocator_or_default(NULL), NULL};
    const gsai_config config = {.n_vocab = 4,
        .n_layers = 2,
        .D = 2,
        .H = 1,
        .G = 1,
        .K = 2,
        .V = 2,
        .M = 2,
        .F = 2,
        .norm_eps = 1e-6f,
        .g_norm_eps = 1e-5f,
        .gate_normalizer = 8,
        .scale = 1,
        .bos_id = -1,
        .eos_id = -1};
    gsai_checkpoint *c = NULL;
    uint64_t hash = 7;
    assert_int_equal(gsai_checkpoint_open_synthetic(&config, GSAI_F16, 1, &options, &c), GSA_OK);
    long n_tensors = 0;
    for (uint32_t layer = 0; layer < config.n_layers; layer++) {
        for (int role = layer ? GSAI_ROLE_ATTN_NORM : 0; role < GSAI_N_ROLES; role++) {
            gsai_tensor *t = (gsai_tensor *)(uintptr_t)gsai_checkpoint_role(c, (gsai_role)role, layer);
            if (!gsai_tensor_present(t)) continue;
            t->read = failing_read;
            n_tensors++;
        }
    }
    for (long n = 0; n < n_tensors; n++) {
        reads_left = n;
        assert_int_equal(gsai_checkpoint_hash(c, &hash), GSA_ERROR_FILE);
        assert_true(hash == 7);
    }
    reads_left = n_tensors;
    assert_int_equal(gsai_checkpoint_hash(c, &hash), GSA_OK);
    gsai_checkpoint_close(c);
    gsai_checkpoint_close(NULL);
    gsai_checkpoint *bare = gsai_alloc(&options.allocator, sizeof *bare); /* nothing opened yet */
    bare->allocator = options.allocator;
    gsai_checkpoint_close(bare);
}

/* ---- files of a size that nobody keeps: a few bytes at places, zeros between them ---- */

typedef struct patches {
    struct {
        uint64_t at;
        const void *bytes;
        size_t n;
    } list[4];
    long reads_left; /* then reading fails; negative: never */
} patches;

static bool read_patches(void *user, uint64_t offset, size_t size, void *dst)
{
    patches *p = user;
    if (p->reads_left == 0) return false;
    if (p->reads_left > 0) p->reads_left--;
    memset(dst, 0, size);
    for (int i = 0; i < 4; i++) {
        for (size_t k = 0; k < p->list[i].n; k++) {
            const uint64_t at = p->list[i].at + k;
            if (at >= offset && at - offset < size)
                ((uint8_t *)dst)[at - offset] = ((const uint8_t *)p->list[i].bytes)[k];
        }
    }
    return true;
}

static gsa_status open_gguf(patches *p, uint64_t size)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    const gsa_source host = {.name = "FILE", .size = size, .read = read_patches, .user = p};
    gsai_source *s = NULL;
    gsai_gguf *g = NULL;
    assert_int_equal(gsai_source_open_host(&host, &a, &s), GSA_OK);
    const gsa_status status = gsai_gguf_open(s, &a, &g);
    gsai_gguf_close(g);
    gsai_source_close(s);
    return status;
}

static gsa_status open_tokenizer(patches *p, uint64_t size)
{
    const gsa_source host = {.name = "FILE", .size = size, .read = read_patches, .user = p};
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .source = &host};
    gsa_tokenizer *t = NULL;
    const gsa_status status = gsa_tokenizer_create(&params, &t);
    gsa_tokenizer_destroy(t);
    return status;
}

#define U32(x)       (uint8_t)(x), (uint8_t)((x) >> 8), (uint8_t)((x) >> 16), (uint8_t)((uint32_t)(x) >> 24)
#define U64(x)       U32(x), 0, 0, 0, 0
#define HEAD(n_keys) 'G', 'G', 'U', 'F', U32(3), U64(0), U64(n_keys)

static void gguf_header_of_more_than_256_mib_is_refused(void **state)
{
    (void)state;
    const uint32_t mib = 1 << 20;
    /* two strings, one array of bytes: the cap is passed by the second string or by the array */
    const uint8_t strings[] = {HEAD(2), U64(1), 'a', U32(GSAI_GGUF_STRING), U64(140 * mib)};
    const uint8_t second[] = {U64(1), 'b', U32(GSAI_GGUF_STRING), U64(100 * mib)};
    const uint8_t array[] = {HEAD(1), U64(1), 'a', U32(GSAI_GGUF_ARRAY), U32(GSAI_GGUF_U8), U64(300 * mib)};
    patches p = {
        .reads_left = -1, .list = {{0, strings, sizeof strings}, {sizeof strings + 140 * mib, second, sizeof second}}};
    assert_int_equal(open_gguf(&p, (uint64_t)1 << 30), GSA_OK);
    ((uint8_t *)(uintptr_t)second)[sizeof second - 5] = 8; /* 228 MiB */
    assert_int_equal(open_gguf(&p, (uint64_t)1 << 30), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "FILE: key b: the header has more than 268435456 bytes"));
    patches q = {.reads_left = -1, .list = {{0, array, sizeof array}}};
    assert_int_equal(open_gguf(&q, (uint64_t)1 << 30), GSA_ERROR_UNSUPPORTED);
}

/* An array of zeros is one of empty strings: nearly nothing in the file, but an entry for each of them in tables. */
static void gguf_tokens_and_merges_past_the_caps_are_refused(void **state)
{
    (void)state;
    const uint64_t size = (uint64_t)160 << 20;
    const uint8_t model[] = {U64(20), 't', 'o', 'k', 'e', 'n', 'i', 'z', 'e', 'r', '.', 'g', 'g', 'm', 'l', '.', 'm',
        'o', 'd', 'e', 'l', U32(GSAI_GGUF_STRING), U64(4), 'g', 'p', 't', '2'};
    const uint8_t tokens[] = {U64(21), 't', 'o', 'k', 'e', 'n', 'i', 'z', 'e', 'r', '.', 'g', 'g', 'm', 'l', '.', 't',
        'o', 'k', 'e', 'n', 's', U32(GSAI_GGUF_ARRAY), U32(GSAI_GGUF_STRING), U64(GSAI_MAX_TOKENS + 1)};
    const uint8_t merges[] = {U64(21), 't', 'o', 'k', 'e', 'n', 'i', 'z', 'e', 'r', '.', 'g', 'g', 'm', 'l', '.', 'm',
        'e', 'r', 'g', 'e', 's', U32(GSAI_GGUF_ARRAY), U32(GSAI_GGUF_STRING), U64(GSAI_MAX_MERGES + 1)};
    const uint8_t no_tokens[] = {U64(21), 't', 'o', 'k', 'e', 'n', 'i', 'z', 'e', 'r', '.', 'g', 'g', 'm', 'l', '.',
        't', 'o', 'k', 'e', 'n', 's', U32(GSAI_GGUF_ARRAY), U32(GSAI_GGUF_STRING), U64(0)};
    const uint8_t two[] = {HEAD(2)}, three[] = {HEAD(3)};
    patches p = {.reads_left = -1,
        .list = {{0, two, 24}, {24, model, sizeof model}, {24 + sizeof model, tokens, sizeof tokens}}};
    assert_int_equal(open_tokenizer(&p, size), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "tokens: has 16777217 items, at most 16777216"));
    patches q = {.reads_left = -1,
        .list = {{0, three, 24}, {24, model, sizeof model}, {24 + sizeof model, no_tokens, sizeof no_tokens},
            {24 + sizeof model + sizeof no_tokens, merges, sizeof merges}}};
    assert_int_equal(open_tokenizer(&q, size), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "merges: has 16777217 items, at most 16777216"));
}

static void source_that_fails_is_a_file_error_at_any_read(void **state)
{
    (void)state;
    static const char json[] = "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}";
    patches p = {.list = {{0, json, sizeof json - 1}}};
    int n_failed = 0;
    for (p.reads_left = 0;; p.reads_left = ++n_failed) {
        const gsa_status status = open_tokenizer(&p, sizeof json - 1);
        if (status == GSA_OK) break;

        assert_int_equal(status, GSA_ERROR_FILE);
        assert_true(n_failed < 10);
    }
    assert_int_equal(n_failed, 2);
    p.reads_left = -1;
    assert_int_equal(open_tokenizer(&p, (uint64_t)1 << 33), GSA_ERROR_UNSUPPORTED); /* too large, and not even read */
    assert_int_equal(open_tokenizer(&p, 0), GSA_ERROR_FORMAT);

    const uint8_t gguf[] = {HEAD(0)};
    patches q = {.list = {{0, gguf, sizeof gguf}}, .reads_left = 0};
    assert_int_equal(open_gguf(&q, sizeof gguf), GSA_ERROR_FILE);
    assert_non_null(strstr(gsa_error_text(), "the read callback failed"));
    q.reads_left = -1;
    assert_int_equal(open_gguf(&q, sizeof gguf), GSA_OK);
}

static void source_that_fails_without_memory_says_so(void **state)
{
    (void)state;
    static const char json[] = "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}";
    patches p = {.list = {{0, json, sizeof json - 1}}, .reads_left = -1};
    const gsa_source host = {.size = sizeof json - 1, .read = read_patches, .user = &p};
    for (long n = 0;; n++) {
        counting_alloc counter = {.fail_at = n};
        const gsa_allocator a = counting_allocator(&counter);
        const gsa_tokenizer_params params = {.struct_size = sizeof params, .source = &host, .allocator = &a};
        gsa_tokenizer *t = NULL;
        const gsa_status status = gsa_tokenizer_create(&params, &t);
        gsa_tokenizer_destroy(t);
        assert_int_equal(counter.alive, 0);
        if (status == GSA_OK) break;
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
        assert_true(n < 100);
    }
}

static void gguf_kinds_that_are_none_have_no_name(void **state)
{
    (void)state;
    assert_string_equal(gsai_gguf_kind_name(GSAI_GGUF_N_KINDS), "?");
    assert_int_equal(gsai_gguf_kind_bytes(GSAI_GGUF_N_KINDS), 0);
    assert_false(gsai_gguf_kind_is_signed(GSAI_GGUF_N_KINDS));
    const gsai_checkpoint_options options = {gsai_allocator_or_default(NULL), NULL};
    gsai_checkpoint *c = NULL;
    assert_int_equal(gsai_checkpoint_open_gguf("/tmp/gsa-not-there.gguf", NULL, &options, &c), GSA_ERROR_FILE);
    assert_null(c);
}

static void role_that_is_none_has_no_shape(void **state)
{
    (void)state;
    const gsai_config config = {.n_vocab = 4, .D = 2};
    uint64_t dims[2];
    assert_int_equal(gsai_role_shape(&config, GSAI_N_ROLES, dims), 0);
    assert_int_equal(gsai_role_shape(&config, (gsai_role)99, dims), 0);
}

static void tensor_that_is_absent_has_nothing_to_read(void **state)
{
    (void)state;
    gsai_tensor t = {0};
    uint8_t byte;
    float x;
    assert_int_equal(gsai_tensor_rows(&t), 0);
    assert_int_equal(gsai_tensor_columns(&t), 0);
    assert_int_equal(gsai_tensor_elements(&t), 0);
    assert_int_equal(gsai_tensor_read(&t, 0, 0, &byte), GSA_OK);
    assert_int_equal(gsai_tensor_read(&t, 0, 1, &byte), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_tensor_read(&t, 1, 0, &byte), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_tensor_read_floats(&t, 1, 0, &x), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "(absent)"));
    t = (gsai_tensor){.name = "a", .type = GSAI_N_TYPES, .n_dims = 1, .dims = {1}, .n_bytes = 4};
    assert_int_equal(gsai_tensor_read_floats(&t, 0, 2, &x), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_tensor_read_floats(&t, 0, 1, &x), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "other"));
    t.file_type = "I32";
    assert_int_equal(gsai_tensor_read_floats(&t, 0, 1, &x), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "I32"));
    t = (gsai_tensor){.name = "a", .type = GSAI_F32, .n_dims = 1, .dims = {2}, .n_bytes = 8, .read = failing_read};
    reads_left = 0;
    assert_int_equal(gsai_tensor_read_floats(&t, 0, 1, &x), GSA_ERROR_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_of_more_than_16_mib_is_refused),
        cmocka_unit_test(json_of_many_empty_lists_is_refused),
        cmocka_unit_test(folder_with_a_huge_index_is_refused),
        cmocka_unit_test(tokenizer_of_more_than_128_mib_is_refused),
        cmocka_unit_test(path_too_long_for_a_file_in_it_is_refused),
        cmocka_unit_test(tokenizer_calls_without_their_arguments_are_refused),
        cmocka_unit_test(checkpoint_hash_passes_on_a_failed_read),
        cmocka_unit_test(gguf_header_of_more_than_256_mib_is_refused),
        cmocka_unit_test(gguf_tokens_and_merges_past_the_caps_are_refused),
        cmocka_unit_test(source_that_fails_is_a_file_error_at_any_read),
        cmocka_unit_test(source_that_fails_without_memory_says_so),
        cmocka_unit_test(gguf_kinds_that_are_none_have_no_name),
        cmocka_unit_test(role_that_is_none_has_no_shape),
        cmocka_unit_test(tensor_that_is_absent_has_nothing_to_read),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
