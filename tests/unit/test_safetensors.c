#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/safetensors.h"
#include "support/counting_alloc.h"
#include "util/alloc.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* An exact-size heap copy, so that a sanitizer sees any read beyond the end. */
static uint8_t *make(const char *header, size_t data_size, size_t *size)
{
    const size_t n = strlen(header);
    *size = 8 + n + data_size;
    uint8_t *bytes = malloc(*size);
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)n >> 8 * i);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < data_size; i++) bytes[8 + n + i] = (uint8_t)i;
    return bytes;
}

static gsa_status parse(const uint8_t *bytes, size_t size, gsai_safetensors *s)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    return gsai_safetensors_parse("FILE.safetensors", bytes, size, &a, s);
}

static const char valid[] =
    "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[20,28]},"
    "\"d\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[28,28]}}   ";

static void safetensors_valid_file_gives_its_tensors(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make(valid, 28, &size);
    gsai_safetensors s;
    assert_int_equal(parse(bytes, size, &s), GSA_OK);
    assert_int_equal(s.n_tensors, 4);
    const gsai_tensor *t = s.tensors;
    assert_string_equal(t[0].name, "a");
    assert_int_equal(t[0].type, GSAI_F32);
    assert_int_equal(t[0].n_dims, 1);
    assert_int_equal(t[0].dims[0], 2);
    assert_ptr_equal(t[0].data, bytes + 8 + strlen(valid));
    assert_string_equal(t[1].name, "b");
    assert_int_equal(t[1].type, GSAI_F16);
    assert_int_equal(t[1].n_bytes, 12);
    assert_int_equal(gsai_tensor_rows(&t[1]), 2);
    assert_int_equal(gsai_tensor_columns(&t[1]), 3);
    assert_int_equal(t[2].type, GSAI_N_TYPES);
    assert_string_equal(t[2].file_type, "I64");
    assert_int_equal(t[2].n_dims, 1); /* a scalar is not absent */
    assert_int_equal(gsai_tensor_elements(&t[2]), 1);
    assert_int_equal(t[3].n_bytes, 0);
    gsai_safetensors_close(&s);
    gsai_safetensors_close(&s);
    free(bytes);
}

static void safetensors_empty_list_is_a_valid_file(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make("{}", 0, &size);
    gsai_safetensors s;
    assert_int_equal(parse(bytes, size, &s), GSA_OK);
    assert_int_equal(s.n_tensors, 0);
    gsai_safetensors_close(&s);
    free(bytes);
}

#define T(fields) "{\"good\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"bad\":{" fields "}}"

static const struct {
    const char *header;
    size_t data_size;
    gsa_status status;
    const char *words[3];
} bad[] = {
    {"[1]", 0, GSA_ERROR_FORMAT, {"does not begin with"}},
    {" {}", 0, GSA_ERROR_FORMAT, {"does not begin with"}},
    {"", 0, GSA_ERROR_FORMAT, {"does not begin with"}},
    {"{\"a\":", 0, GSA_ERROR_FORMAT, {"not valid JSON"}},
    {"{}x", 0, GSA_ERROR_FORMAT, {"not valid JSON"}},
    {"{\"a\":NaN}", 0, GSA_ERROR_FORMAT, {"not valid JSON"}},
    {"{\"a\xff\":1}", 0, GSA_ERROR_FORMAT, {"not valid JSON"}},
    {"{\"a\":{\"shape\":[99999999999999999999]}}", 0, GSA_ERROR_FORMAT, {"not valid JSON", "integer"}},
    {"{\"a\":{\"shape\":[1e999]}}", 0, GSA_ERROR_FORMAT, {"not valid JSON", "real"}},
    {"{\"a\":1,\"a\":1}", 0, GSA_ERROR_FORMAT, {"not valid JSON", "duplicate"}},
    {"{\"bad\":1}", 0, GSA_ERROR_FORMAT, {"tensor bad", "not an object"}},
    {"{\"__metadata__\":[]}", 0, GSA_ERROR_FORMAT, {"__metadata__ is not an object"}},
    {"{\"__metadata__\":{\"k\":1}}", 0, GSA_ERROR_FORMAT, {"__metadata__.k", "not a string"}},
    {T("\"shape\":[1],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "dtype is missing"}},
    {T("\"dtype\":7,\"shape\":[1],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "dtype"}},
    {T("\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "\"F33\""}},
    {T("\"dtype\":\"F32\",\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "shape is missing"}},
    {T("\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "shape"}},
    {T("\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad", "shape[0] is not an integer"}},
    {T("\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "shape[0]"}},
    {T("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad", "shape[0] is -1"}},
    {T("\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad", "9223372036854775807"}},
    {T("\"dtype\":\"F32\",\"shape\":[281474976710656,281474976710656],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad", "64 bits"}},
    {T("\"dtype\":\"F64\",\"shape\":[268435456,4294967296],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad"}},
    {T("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[4,8]"), 8, GSA_ERROR_UNSUPPORTED,
        {"tensor bad", "5 dimensions"}},
    {T("\"dtype\":\"F32\",\"shape\":[1]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "data_offsets"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "data_offsets"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8,9]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad", "data_offsets"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8.0]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad", "data_offsets"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "[-4, 0]"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "[8, 4]"}},
    {T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad", "[4, 12]", "8 bytes of data"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,9223372036854775807]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad"}},
    {T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT,
        {"tensor bad", "2 elements of dtype F32", "4 bytes"}},
    {T("\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[4,8]"), 8, GSA_ERROR_FORMAT, {"tensor bad", "F16"}},
    {T("\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[4,4]"), 4, GSA_ERROR_FORMAT, {"tensor bad", "F4"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]"), 6, GSA_ERROR_FORMAT,
        {"tensor bad", "overlaps tensor good by 2 bytes"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, GSA_ERROR_FORMAT, {"overlaps", "by 4 bytes"}},
    {T("\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[2,2]"), 4, GSA_ERROR_FORMAT, {"tensor bad", "overlaps"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[6,10]"), 10, GSA_ERROR_FORMAT,
        {"tensor bad", "2 bytes before it"}},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"), 9, GSA_ERROR_FORMAT,
        {"1 bytes after the last tensor"}},
    {"{}", 1, GSA_ERROR_FORMAT, {"1 bytes after the last tensor"}},
};

static void check_bad(const uint8_t *bytes, size_t size, gsa_status status, const char *const *words, size_t n)
{
    gsai_safetensors s;
    assert_int_equal(parse(bytes, size, &s), status);
    assert_null(s.tensors);
    assert_int_equal(strncmp(gsa_error_text(), "FILE.safetensors: ", 18), 0);
    for (size_t i = 0; i < n && words[i]; i++) {
        if (!strstr(gsa_error_text(), words[i])) fail_msg("\"%s\" is not in \"%s\"", words[i], gsa_error_text());
    }
}

static void safetensors_broken_rule_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t size;
        uint8_t *bytes = make(bad[i].header, bad[i].data_size, &size);
        check_bad(bytes, size, bad[i].status, bad[i].words, 3);
        free(bytes);
    }
}

static void safetensors_lying_header_length_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *word;
    } cases[] = {{0, "does not begin"}, {1, "does not begin"}, {29 + 1, "not valid JSON"}, {100000000, "cut short"},
        {100000001, "allows 100000000"}, {UINT64_MAX, "18446744073709551615"}, {UINT64_MAX - 7, "allows"},
        {(uint64_t)1 << 63, "allows"}};
    size_t size;
    uint8_t *bytes = make(valid, 28, &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int b = 0; b < 8; b++) bytes[b] = (uint8_t)(cases[i].length >> 8 * b);
        check_bad(bytes, size, GSA_ERROR_FORMAT, &cases[i].word, 1);
    }
    free(bytes);
}

static void safetensors_truncation_anywhere_is_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make(valid, 28, &size);
    for (size_t n = 0; n < size; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, bytes, n);
        check_bad(cut, n, GSA_ERROR_FORMAT, NULL, 0);
        free(cut);
    }
    free(bytes);
}

static void safetensors_random_damage_never_crashes(void **state)
{
    (void)state;
    size_t size, opened = 0;
    uint8_t *bytes = make(valid, 28, &size), *damaged = malloc(size);
    uint32_t x = 1;
    for (int round = 0; round < 20000; round++) {
        memcpy(damaged, bytes, size);
        for (int k = 0; k < 1 + round % 3; k++) {
            x = x * 1664525u + 1013904223u;
            static const char alphabet[] = "0123456789-{}[]\",:.eEFIB6 \\u";
            damaged[8 + (x >> 8) % (size - 8 - 28)] = (uint8_t)alphabet[(x >> 3) % (sizeof alphabet - 1)];
        }
        gsai_safetensors s;
        const gsa_status status = parse(damaged, size, &s);
        if (status == GSA_OK) {
            opened++;
            for (uint64_t i = 0; i < s.n_tensors; i++) {
                const gsai_tensor *t = &s.tensors[i];
                assert_true(t->data >= damaged && t->n_bytes <= size && t->data + t->n_bytes <= damaged + size);
            }
        } else {
            assert_true(status == GSA_ERROR_FORMAT || status == GSA_ERROR_UNSUPPORTED);
        }
        gsai_safetensors_close(&s);
    }
    assert_true(opened > 0);
    free(damaged);
    free(bytes);
}

static void safetensors_allocation_failure_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make(valid, 28, &size);
    gsai_safetensors s;
    for (long n = 0;; n++) {
        counting_alloc counter = {.fail_at = n};
        const gsa_allocator a = counting_allocator(&counter);
        const gsa_status status = gsai_safetensors_parse("FILE", bytes, size, &a, &s);
        if (status == GSA_OK) {
            assert_int_equal(n, counter.calls);
            assert_true(n >= 3);
            gsai_safetensors_close(&s);
            assert_int_equal(counter.alive, 0);
            break;
        }
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
        assert_int_equal(counter.alive, 0);
    }
    free(bytes);
}

static void safetensors_absent_or_unreadable_file_is_a_file_error(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_safetensors s;
    assert_int_equal(gsai_safetensors_open("/nonexistent/x.safetensors", &a, &s), GSA_ERROR_FILE);
    assert_non_null(strstr(gsa_error_text(), "/nonexistent/x.safetensors"));
    assert_int_equal(gsai_safetensors_open("/tmp", &a, &s), GSA_ERROR_FILE);
    gsai_safetensors_close(&s);
}

static void safetensors_file_is_mapped_and_closed(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    char path[] = "/tmp/gsa-st-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    gsai_safetensors s;
    assert_int_equal(gsai_safetensors_open(path, &a, &s), GSA_ERROR_FORMAT); /* empty */
    size_t size;
    uint8_t *bytes = make(valid, 28, &size);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
    assert_int_equal(gsai_safetensors_open(path, &a, &s), GSA_OK);
    assert_int_equal(s.n_tensors, 4);
    uint8_t read[12];
    assert_int_equal(gsai_tensor_read(&s.tensors[1], 0, 12, read), GSA_OK);
    assert_int_equal(read[0], 8);
    gsai_safetensors_close(&s);
    unlink(path);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors_valid_file_gives_its_tensors),
        cmocka_unit_test(safetensors_empty_list_is_a_valid_file),
        cmocka_unit_test(safetensors_broken_rule_is_refused_by_name),
        cmocka_unit_test(safetensors_lying_header_length_is_refused),
        cmocka_unit_test(safetensors_truncation_anywhere_is_refused),
        cmocka_unit_test(safetensors_random_damage_never_crashes),
        cmocka_unit_test(safetensors_allocation_failure_is_reported_and_leaks_nothing),
        cmocka_unit_test(safetensors_absent_or_unreadable_file_is_a_file_error),
        cmocka_unit_test(safetensors_file_is_mapped_and_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
