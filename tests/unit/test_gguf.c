/* The GGUF reader: what it gives, and one file per rule that it must refuse. */
#include "gguf/gguf.h"
#include "support/counting_alloc.h"
#include "support/gguf_maker.h"
#include "util/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct pak {
    const uint8_t *bytes;
    int calls, fail_at; /* fail_at < 0: never */
} pak;

static bool read_pak(void *user, uint64_t offset, size_t size, void *dst)
{
    pak *p = user;
    if (p->calls++ == p->fail_at) return false;
    memcpy(dst, p->bytes + offset, size);
    return true;
}

/* Open bytes of exactly this size (so that a sanitizer sees reads past the end). */
static gsa_status open_bytes(
    const uint8_t *bytes, size_t n, const gsa_allocator *a, gsai_source **source, gsai_gguf **g, uint8_t **copy)
{
    *copy = malloc(n ? n : 1);
    if (n) memcpy(*copy, bytes, n);
    const gsa_source host = {.name = "bad.gguf", .data = n ? *copy : NULL, .size = n};
    *source = NULL;
    *g = NULL;
    gsa_status status = gsai_source_open_host(&host, a, source);
    if (status == GSA_OK) status = gsai_gguf_open(*source, a, g);
    return status;
}

static void close_bytes(gsai_source *source, gsai_gguf *g, uint8_t *copy)
{
    gsai_gguf_close(g);
    gsai_source_close(source);
    free(copy);
}

static gsa_status try_bytes(const uint8_t *bytes, size_t n)
{
    counting_alloc c = {.fail_at = -1};
    const gsa_allocator a = counting_allocator(&c);
    gsai_source *source;
    gsai_gguf *g;
    uint8_t *copy;
    const gsa_status status = open_bytes(bytes, n, &a, &source, &g, &copy);
    assert_true((status == GSA_OK) == (g != NULL));
    close_bytes(source, g, copy);
    assert_int_equal(c.alive, 0);
    return status;
}

/* ---- a file with something of everything ---- */

static void make_good(gguf_maker *m)
{
    gm_header(m, 5, 17);
    gm_words(m, "sa.u8 d0 c200 sa.i8 d1 c200 sa.u16 d2 h60000 sa.i16 d3 h65535");
    gm_u32(m, "a.u32", 4000000000u);
    gm_words(m, "sa.i32 d5 d0xfffffffe");
    gm_f32(m, "a.f32", 1.5f);
    gm_bool(m, "a.bool", 1);
    gm_text(m, "a.string", "text");
    gm_words(m, "sa.u64 d10 q0xfedcba9876543210 sa.i64 d11 q0xffffffffffffffff sa.f64 d12 q0x3fe0000000000000");
    gm_words(m, "sa.texts d9 d8 q3 sone q0 sthree");
    gm_words(m, "sa.numbers d9 d3 q2 h1 h0xffff");
    gm_words(m, "sa.nested d9 d9 q2 d8 q1 sx d4 q2 d7 d8");
    gm_words(m, "sa.empty d9 d9 q0");
    gm_u32(m, "general.alignment", 64);
    gm_tensor(m, "plain", 0, 2, (uint64_t[]){3, 5}, 128);
    gm_tensor(m, "blocks", 12, 3, (uint64_t[]){256, 2, 2}, 192);
    gm_tensor(m, "scalar", 1, 0, NULL, 0);
    gm_tensor(m, "none", 0, 1, (uint64_t[]){0}, 64);
    gm_tensor(m, "other", 77, 4, (uint64_t[]){7, 1, 1, 1}, 64);
    gm_pad(m, 64);
    gm_zeros(m, 192 + 4 * 144);
}

static void check_good(const gsai_gguf *g)
{
    static const struct {
        const char *key;
        int64_t value;
    } integers[] = {{"a.u8", 200}, {"a.i8", -56}, {"a.u16", 60000}, {"a.i16", -1}, {"a.u32", 4000000000}, {"a.i32", -2},
        {"a.bool", 1}, {"a.u64", (int64_t)0xfedcba9876543210}, {"a.i64", -1}};
    assert_int_equal(g->n_pairs, 17);
    assert_int_equal(g->n_tensors, 5);
    assert_int_equal(g->alignment, 64);
    assert_int_equal(g->data_offset % 64, 0);
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        assert_int_equal(gsai_gguf_integer(gsai_gguf_find(g, integers[i].key)), integers[i].value);
    assert_true(gsai_gguf_float(gsai_gguf_find(g, "a.f32")) == 1.5);
    assert_true(gsai_gguf_float(gsai_gguf_find(g, "a.f64")) == 0.5);
    assert_null(gsai_gguf_find(g, "a"));
    assert_null(gsai_gguf_find(g, "b"));
    gsai_text text;
    assert_int_equal(gsai_gguf_get_text(g, "a.string", true, &text), GSA_OK);
    assert_int_equal(text.length, 4);
    assert_memory_equal(text.bytes, "text", 4);
    assert_string_equal(g->pairs[0].key, "a.u8");

    gsai_gguf_value item = {0}, inner = {0};
    const gsai_gguf_value *array = gsai_gguf_find(g, "a.texts");
    static const char *const texts[] = {"one", "", "three"};
    for (int i = 0; i < 3; i++) {
        assert_true(gsai_gguf_next(array, &item));
        assert_int_equal(item.n, strlen(texts[i]));
        assert_memory_equal(item.bytes, texts[i], item.n);
    }
    assert_false(gsai_gguf_next(array, &item));
    array = gsai_gguf_find(g, "a.nested");
    item = (gsai_gguf_value){0};
    assert_true(gsai_gguf_next(array, &item));
    assert_true(gsai_gguf_next(&item, &inner));
    assert_memory_equal(inner.bytes, "x", 1);
    assert_true(gsai_gguf_next(array, &item));
    assert_int_equal(item.item_kind, GSAI_GGUF_U32);
    inner = (gsai_gguf_value){0};
    assert_true(gsai_gguf_next(&item, &inner) && gsai_gguf_next(&item, &inner));
    assert_int_equal(gsai_gguf_integer(&inner), 8);
    assert_false(gsai_gguf_next(array, &item));
    item = (gsai_gguf_value){0};
    assert_false(gsai_gguf_next(gsai_gguf_find(g, "a.empty"), &item));

    const gsai_gguf_tensor *t = gsai_gguf_find_tensor(g, "plain");
    assert_int_equal(t->type, GSAI_F32);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->dims[0], 5); /* outermost first */
    assert_int_equal(t->dims[1], 3);
    assert_int_equal(t->n_bytes, 60);
    assert_int_equal(t->offset, g->data_offset + 128);
    t = gsai_gguf_find_tensor(g, "blocks");
    assert_int_equal(t->type, GSAI_Q4_K);
    assert_string_equal(t->type_name, "Q4_K");
    assert_int_equal(t->n_bytes, 4 * 144);
    t = gsai_gguf_find_tensor(g, "scalar");
    assert_int_equal(t->n_dims, 1);
    assert_int_equal(t->n_bytes, 2);
    assert_int_equal(gsai_gguf_find_tensor(g, "none")->n_bytes, 0);
    t = gsai_gguf_find_tensor(g, "other");
    assert_int_equal(t->type, GSAI_N_TYPES);
    assert_string_equal(t->type_name, "type 77");
    assert_int_equal(t->n_dims, 4);
    assert_int_equal(t->dims[3], 7);
    assert_null(gsai_gguf_find_tensor(g, "plai"));
}

static void gguf_every_kind_of_value_and_tensor_is_read(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gguf_maker m = {0};
    make_good(&m);
    gsai_source *source;
    gsai_gguf *g;
    uint8_t *copy;
    if (open_bytes(m.bytes, m.n, &a, &source, &g, &copy) != GSA_OK) fail_msg("%s", gsa_error_text());
    assert_true(gsai_gguf_is(source));
    memset(copy, 0xee, m.n); /* nothing of the file is looked at again */
    check_good(g);
    close_bytes(source, g, copy);
    gm_free(&m);
}

static void gguf_callback_gives_the_same(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gguf_maker m = {0};
    make_good(&m);
    pak p = {m.bytes, 0, -1};
    const gsa_source host = {.size = m.n, .read = read_pak, .user = &p};
    gsai_source *source;
    gsai_gguf *g;
    assert_int_equal(gsai_source_open_host(&host, &a, &source), GSA_OK);
    assert_int_equal(gsai_gguf_open(source, &a, &g), GSA_OK);
    check_good(g);
    gsai_gguf_close(g);
    const int calls = p.calls;
    assert_true(calls > 0);
    for (p.fail_at = 0; p.fail_at < calls; p.fail_at++) {
        p.calls = 0;
        assert_int_equal(gsai_gguf_open(source, &a, &g), GSA_ERROR_FILE);
        assert_null(g);
    }
    gsai_source_close(source);
    gm_free(&m);
}

static void gguf_long_header_is_read_in_steps(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gguf_maker m = {0};
    gm_header(&m, 0, 3);
    gm_array(&m, "texts", 8, 40000);
    for (int i = 0; i < 40000; i++) {
        char text[16];
        snprintf(text, sizeof text, "t%d", i);
        gm_string(&m, text);
    }
    gm_array(&m, "bytes", 0, 300000);
    for (int i = 0; i < 300000; i++) gm_integer(&m, (uint64_t)i, 1);
    gm_u32(&m, "last", 7);
    pak p = {m.bytes, 0, -1};
    const gsa_source host = {.size = m.n, .read = read_pak, .user = &p};
    gsai_source *source;
    gsai_gguf *g;
    assert_int_equal(gsai_source_open_host(&host, &a, &source), GSA_OK);
    assert_int_equal(gsai_gguf_open(source, &a, &g), GSA_OK);
    assert_true(p.calls > 2);
    gsai_gguf_value item = {0};
    for (int i = 0; gsai_gguf_next(gsai_gguf_find(g, "texts"), &item); i++) {
        char text[16];
        assert_int_equal(item.n, snprintf(text, sizeof text, "t%d", i));
        assert_memory_equal(item.bytes, text, item.n);
    }
    assert_memory_equal(gsai_gguf_find(g, "bytes")->bytes, m.bytes + m.n - 300000 - 8 - 4 - 4 - 4, 300000);
    assert_int_equal(gsai_gguf_integer(gsai_gguf_find(g, "last")), 7);
    gsai_gguf_close(g);
    gsai_source_close(source);
    gm_free(&m);
}

/* ---- files that are refused ---- */

typedef struct bad_file {
    const char *words; /* see gm_words */
    gsa_status status;
    const char *says;
} bad_file;

#define F GSA_ERROR_FORMAT
#define U GSA_ERROR_UNSUPPORTED
#define K "q0 q1 " /* no tensors, one key */
#define T "q1 q0 " /* one tensor, no keys */

static const bad_file bad_files[] = {
    {"", F, "8 bytes are expected"},
    {"rGGU", F, "8 bytes are expected"},
    {"rggml d1 q0 q0", F, "2023"},
    {"rtjgg d3 q0 q0", F, "2023"},
    {"rFUGG d3 q0 q0", F, "byte order"},
    {"rPK x0304 d3 q0 q0", F, "zip"},
    {"r{\"a\":1} q0", F, "not a GGUF file"},
    {"V0 q0 q0", U, "version 0"},
    {"V1 d0 d0", U, "version 1"},
    {"V2 q0 q0", U, "version 2"},
    {"V4 q0 q0", U, "version 4"},
    {"V0x03000000 q0 q0", U, "big-endian"},
    {"G q0", F, "cut short"},
    {"G q0 q0xffffffffffffffff", F, "claims 18446744073709551615 metadata keys"},
    {"G q0 q2 sa d4 d1", F, "cut short"},
    {"G q0xffffffffffffffff q0", F, "claims 18446744073709551615 tensors"},
    {"G q0 q70000 z1000000", U, "70000 metadata keys, at most"},
    {"G q1100000 q0 z28000000", U, "1100000 tensors, at most"},
    /* keys */
    {"G " K "q0 d4 d1 z9", F, "has 0 bytes, expected 1..65535"},
    {"G " K "q65536 z66000", F, "has 65536 bytes, expected 1..65535"},
    {"G " K "q0xffffffffffffffff d4 d1", F, "expected 1..65535"},
    {"G " K "q3 x610062 d4 d1", F, "printable ASCII"},
    {"G " K "q2 xc3a9 d4 d1 z9", F, "printable ASCII"},
    {"G q0 q2 sa d4 d1 sa d4 d2", F, "key a: is there twice, as number 0 and 1"},
    {"G q0 q3 sb d0 c1 sa d0 c1 sb d0 c1", F, "key b: is there twice"},
    /* values */
    {"G " K "sa d13 d1", F, "value type 13"},
    {"G " K "sa d0xffffffff d1", F, "value type 4294967295"},
    {"G " K "sa d7 c2", F, "a bool is 2"},
    {"G " K "sa d9 d7 q3 c1 c0 c9", F, "a bool is 9"},
    {"G " K "sa d4 h1", F, "key a"},
    {"G " K "sa d8 q9 rshort", F, "key a: 9 bytes are expected"},
    {"G " K "sa d8 q0xffffffffffffffff rshort", F, "key a"},
    {"G " K "sa d8 q0xffffffffffffff00 rshort", F, "key a"},
    {"G " K "sa d9 d13 q1 d1", F, "value type 13"},
    {"G " K "sa d9 d4 q3 d1 d2", F, "claims 3 values of type u32"},
    {"G " K "sa d9 d4 q0x4000000000000001 d1 d2", F, "claims 4611686018427387905 values"},
    {"G " K "sa d9 d0 q0xffffffffffffffff d1 d2", F, "claims 18446744073709551615 values of type u8"},
    {"G " K "sa d9 d8 q0x2000000000000001 q0 q0", F, "claims 2305843009213693953 values of type string"},
    {"G " K "sa d9 d8 q2 sx q9", F, "key a"},
    {"G " K "sa d9 d9 q1 d9 q1 d9 q1 d9 q1 d0 q1 c1", U, "more than 4 arrays in each other"},
    {"G " K "sa d9 d9 q2 d0 q1 c1 d0 q9 c1", F, "claims 9 values"},
    {"G " K "sgeneral.alignment d4 d0", F, "general.alignment"},
    {"G " K "sgeneral.alignment d4 d4", F, "expected 8..1048576"},
    {"G " K "sgeneral.alignment d4 d48", F, "power of two"},
    {"G " K "sgeneral.alignment d4 d0x80000000", F, "general.alignment"},
    {"G " K "sgeneral.alignment d8 s32", F, "expected an integer, it is string"},
    {"G " K "sgeneral.alignment d5 d0xffffffe0", F, "is -32"},
    /* tensors */
    {"G " T "q0 d0 d0 q0 z99", F, "name of tensor 0: has 0 bytes"},
    {"G " T "q256 z300", F, "has 256 bytes, expected 1..255"},
    {"G " T "q2 x0a61 d0 d0 q0 z99", F, "no control character"},
    {"G " T "st d5 q1 q1 q1 q1 q1 d0 q0 p32 z4", F, "has 5 dimensions"},
    {"G " T "st d0xffffffff d0 q0 p32 z4", F, "has 4294967295 dimensions"},
    {"G " T "st d1 q0x1000000000001 d0 q0 p32 z4", F, "a dimension is 281474976710657"},
    {"G " T "st d2 q0x1000000000000 q0x1000000000000 d0 q0 p32 z4", F, "does not fit 64 bits"},
    {"G " T "st d2 q0x1000000000000 q0x8000 d0 q0 p32 z4", F, "number of bytes does not fit 64 bits"},
    {"G " T "st d4 q0x100000000 q0x100000000 q1 q0 d0 q0 p32 z4", F, "does not fit 64 bits"},
    {"G " T "st d1 q31 d8 q0 p32 z99", F, "not whole blocks of type Q8_0"},
    {"G " T "st d2 q128 q2 d12 q0 p32 z999", F, "not whole blocks of type Q4_K"},
    {"G " T "st d1 q4 d0 q8 p32 z99", F, "not a multiple of the alignment 32"},
    {"G " T "st d1 q4 d0 q0 p32 z15", F, "do not lie within the file's 15 bytes"},
    {"G " T "st d1 q4 d0 q0", F, "do not lie within the file's 0 bytes"},
    {"G " T "st d1 q4 d0 q32 p32 z47", F, "do not lie within"},
    {"G " T "st d1 q4 d0 q0xffffffffffffffe0 p32 z99", F, "do not lie within"},
    {"G " T "st d1 q4 d77 q64 p32 z32", F, "do not lie within"},
    {"G q2 q0 st d1 q4 d0 q0 st d1 q4 d0 q32 p32 z99", F, "tensor t: is there twice"},
    {"G q2 q0 st d1 q4 d0 q0 su d1 q4 d0 q0 p32 z99", F, "tensor u: overlaps tensor t by 16 bytes"},
    {"G q2 q0 st d1 q4 d0 q32 su d1 q9 d0 q0 p32 z99", F, "tensor t: overlaps tensor u by 4 bytes"},
    {"G q3 q0 st d1 q32 d0 q0 su d1 q0 d0 q32 sv d1 q1 d0 q64 p32 z199", F, "tensor v: overlaps tensor t by 64 bytes"},
};

static void gguf_bad_files_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        gguf_maker m = {0};
        gm_words(&m, bad_files[i].words);
        const gsa_status status = try_bytes(m.bytes, m.n);
        if (status != bad_files[i].status || !strstr(gsa_error_text(), bad_files[i].says) ||
            strncmp(gsa_error_text(), "bad.gguf: ", 10) != 0 || strstr(gsa_error_text() + 10, "bad.gguf"))
            fail_msg("%s: %s \"%s\", expected %s \"%s\"", bad_files[i].words, gsa_status_name(status), gsa_error_text(),
                gsa_status_name(bad_files[i].status), bad_files[i].says);
        gm_free(&m);
    }
}

static void gguf_odd_but_valid_files_are_read(void **state)
{
    (void)state;
    static const char *const files[] = {
        "G q0 q0",                                                /* nothing at all */
        "G " T "st d1 q4 d0 q0 p32 z16",                          /* no padding at the end */
        "G " T "st d1 q4 d0 q96 p32 z112",                        /* a hole before */
        "G q2 q0 sa d1 q4 d0 q32 sb d1 q4 d0 q0 p32 z48",         /* not in order */
        "G q2 q0 sa d1 q4 d77 q0 sb d1 q4 d0 q0 p32 z16",         /* an unknown type may lie anywhere */
        "G " T "st d2 q0 q0xffffffffffff d0 q0 p32",              /* no elements */
        "G " K "sgeneral.alignment d0 c8",                        /* another integer kind */
        "G q0 q2 sA-b d4 d1 sa/c d4 d1",                          /* keys that are not quite lower_snake_case */
        "G " K "sa d9 d9 q1 d9 q1 d9 q1 d0 q1 c1",                /* four arrays in each other */
        "G q1 q1 sgeneral.alignment d4 d8 st d1 q1 d0 q8 p8 z12", /* a small alignment */
        "G " T "q3 xc3a961 d1 q1 d0 q0 p32 z4",                   /* a name in UTF-8 */
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        gguf_maker m = {0};
        gm_words(&m, files[i]);
        if (try_bytes(m.bytes, m.n) != GSA_OK) fail_msg("%s: %s", files[i], gsa_error_text());
        gm_free(&m);
    }
}

static void gguf_truncation_anywhere_is_refused(void **state)
{
    (void)state;
    gguf_maker m = {0};
    make_good(&m);
    for (size_t n = 0; n < m.n; n++) {
        if (try_bytes(m.bytes, n) != GSA_ERROR_FORMAT) fail_msg("cut at %zu of %zu: not refused", n, m.n);
    }
    gm_free(&m);
}

static void gguf_any_changed_byte_does_no_harm(void **state)
{
    (void)state;
    gguf_maker m = {0};
    make_good(&m);
    size_t n_refused = 0;
    static const uint8_t values[] = {0, 1, 9, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < m.n - 192 - 4 * 144; i++) {
        const uint8_t was = m.bytes[i];
        for (size_t k = 0; k < sizeof values; k++) {
            m.bytes[i] = values[k];
            n_refused += try_bytes(m.bytes, m.n) != GSA_OK;
        }
        m.bytes[i] = was;
    }
    assert_true(n_refused > 500);
    gm_free(&m);
}

static void gguf_without_memory_leaves_nothing(void **state)
{
    (void)state;
    gguf_maker m = {0};
    make_good(&m);
    for (long n = 0;; n++) {
        counting_alloc c = {.fail_at = n};
        const gsa_allocator a = counting_allocator(&c);
        gsai_source *source;
        gsai_gguf *g;
        uint8_t *copy;
        const gsa_status status = open_bytes(m.bytes, m.n, &a, &source, &g, &copy);
        close_bytes(source, g, copy);
        assert_int_equal(c.alive, 0);
        if (status == GSA_OK) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
    }
    gm_free(&m);
}

/* Time stays near linear whatever order hostile names and offsets come in. */
static void gguf_many_tensors_are_read_quickly(void **state)
{
    (void)state;
    gguf_maker m = {0};
    const uint64_t n = 200000;
    gm_header(&m, n, 0);
    for (uint64_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%llu", (unsigned long long)(n - i));
        gm_tensor(&m, name, 24, 1, (uint64_t[]){1}, 32 * (n - 1 - i));
    }
    gm_pad(&m, 32);
    gm_zeros(&m, 32 * n);
    assert_int_equal(try_bytes(m.bytes, m.n), GSA_OK);
    gm_free(&m);
}

/* ---- values by key ---- */

static void gguf_getters_say_key_expected_and_found(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gguf_maker m = {0};
    make_good(&m);
    gsai_source *source;
    gsai_gguf *g;
    uint8_t *copy;
    assert_int_equal(open_bytes(m.bytes, m.n, &a, &source, &g, &copy), GSA_OK);
    uint32_t u = 7;
    float f = 7;
    bool b = false;
    gsai_text text = {NULL, 7};
    gsai_gguf_value v = {.n = 7};
    assert_int_equal(gsai_gguf_get_u32(g, "a.u64", true, 0, UINT32_MAX, &u), GSA_ERROR_FORMAT);
    assert_string_equal(gsa_error_text(), "bad.gguf: key a.u64: is 18364758544493064720, expected 0..4294967295");
    assert_int_equal(gsai_gguf_get_u32(g, "a.i8", true, 0, 9, &u), GSA_ERROR_FORMAT);
    assert_string_equal(gsa_error_text(), "bad.gguf: key a.i8: is -56, expected 0..9");
    assert_int_equal(gsai_gguf_get_u32(g, "a.f32", true, 0, 9, &u), GSA_ERROR_FORMAT);
    assert_string_equal(gsa_error_text(), "bad.gguf: key a.f32: expected an integer, it is f32");
    assert_int_equal(gsai_gguf_get_u32(g, "a.bool", true, 0, 9, &u), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_gguf_get_u32(g, "nope", true, 0, 9, &u), GSA_ERROR_FORMAT);
    assert_string_equal(gsa_error_text(), "bad.gguf: key nope is missing, expected it as an integer");
    assert_int_equal(gsai_gguf_get_u32(g, "nope", false, 0, 9, &u), GSA_OK);
    assert_int_equal(u, 7);
    assert_int_equal(gsai_gguf_get_u32(g, "a.u8", true, 200, 200, &u), GSA_OK);
    assert_int_equal(u, 200);
    assert_int_equal(gsai_gguf_get_f32(g, "a.u8", true, &f), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_gguf_get_f32(g, "nope", false, &f), GSA_OK);
    assert_int_equal(gsai_gguf_get_f32(g, "a.f64", true, &f), GSA_OK);
    assert_true(f == 0.5f);
    assert_int_equal(gsai_gguf_get_bool(g, "a.u8", true, &b), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_gguf_get_bool(g, "a.bool", true, &b), GSA_OK);
    assert_true(b);
    assert_int_equal(gsai_gguf_get_text(g, "a.texts", true, &text), GSA_ERROR_FORMAT);
    assert_string_equal(gsa_error_text(), "bad.gguf: key a.texts: expected a string, it is an array of string");
    assert_int_equal(gsai_gguf_get_array(g, "a.texts", true, GSAI_GGUF_F32, &v), GSA_ERROR_FORMAT);
    assert_string_equal(gsa_error_text(), "bad.gguf: key a.texts: expected an array of f32, it is an array of string");
    assert_int_equal(gsai_gguf_get_array(g, "a.string", true, GSAI_GGUF_STRING, &v), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_gguf_get_array(g, "a.numbers", true, GSAI_GGUF_I16, &v), GSA_OK);
    assert_int_equal(v.n, 2);
    close_bytes(source, g, copy);
    gm_free(&m);
}

static void gguf_floats_that_are_no_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const words[] = {"G q0 q1 sx d6 d0x7f800000", "G q0 q1 sx d6 d0x7fc00000",
        "G q0 q1 sx d12 q0x7ff0000000000000", "G q0 q1 sx d12 q0x7fe0000000000000"};
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    for (size_t i = 0; i < 4; i++) {
        gguf_maker m = {0};
        gsai_source *source;
        gsai_gguf *g;
        uint8_t *copy;
        float f = 7;
        gm_words(&m, words[i]);
        assert_int_equal(open_bytes(m.bytes, m.n, &a, &source, &g, &copy), GSA_OK);
        assert_int_equal(gsai_gguf_get_f32(g, "x", true, &f), GSA_ERROR_FORMAT);
        assert_true(f == 7);
        close_bytes(source, g, copy);
        gm_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_every_kind_of_value_and_tensor_is_read),
        cmocka_unit_test(gguf_callback_gives_the_same),
        cmocka_unit_test(gguf_long_header_is_read_in_steps),
        cmocka_unit_test(gguf_bad_files_are_refused_by_name),
        cmocka_unit_test(gguf_odd_but_valid_files_are_read),
        cmocka_unit_test(gguf_truncation_anywhere_is_refused),
        cmocka_unit_test(gguf_any_changed_byte_does_no_harm),
        cmocka_unit_test(gguf_without_memory_leaves_nothing),
        cmocka_unit_test(gguf_many_tensors_are_read_quickly),
        cmocka_unit_test(gguf_getters_say_key_expected_and_found),
        cmocka_unit_test(gguf_floats_that_are_no_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
