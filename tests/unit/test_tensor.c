#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/tensor.h"
#include "util/half.h"

#include <stdlib.h>
#include <string.h>

/* Bytes 0, 1, 2, ... as if from a stream. */
static gsa_status read_counting(void *user, const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst)
{
    (void)t;
    (*(int *)user)++;
    for (uint64_t i = 0; i < size; i++) ((uint8_t *)dst)[i] = (uint8_t)((offset + i) % 251);
    return GSA_OK;
}

static void tensor_views_read_the_rows_they_name(void **state)
{
    (void)state;
    uint8_t data[6 * 5 * 2];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)i;
    int calls = 0;
    for (int through_read = 0; through_read < 2; through_read++) {
        gsai_tensor t = {.name = "t", .type = GSAI_BF16, .n_dims = 3, .dims = {2, 3, 5}, .n_bytes = sizeof data};
        if (through_read) {
            t.read = read_counting;
            t.read_user = &calls;
        } else {
            t.data = data;
        }
        assert_int_equal(gsai_tensor_elements(&t), 30);
        assert_int_equal(gsai_tensor_rows(&t), 6);
        assert_int_equal(gsai_tensor_columns(&t), 5);
        const gsai_tensor view = gsai_tensor_view_rows(&t, 1, 4), inner = gsai_tensor_view_rows(&view, 2, 1);
        assert_int_equal(inner.n_dims, 2);
        assert_int_equal(inner.n_bytes, 10);
        uint8_t read[10];
        assert_int_equal(gsai_tensor_read(&inner, 0, 10, read), GSA_OK);
        for (int i = 0; i < 10; i++) assert_int_equal(read[i], 30 + i);
        float floats[2];
        assert_int_equal(gsai_tensor_read_floats(&inner, 3, 2, floats), GSA_OK);
        uint16_t half;
        memcpy(&half, data + 36, 2);
        assert_true(floats[0] == gsai_bf16_to_float(half));
        assert_int_equal(gsai_tensor_read(&inner, 0, 11, read), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsai_tensor_read(&inner, UINT64_MAX, 2, read), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsai_tensor_read(&inner, 10, 0, read), GSA_OK);
        assert_int_equal(gsai_tensor_read_floats(&inner, 4, 2, floats), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsai_tensor_read_floats(&inner, 2, UINT64_MAX, floats), GSA_ERROR_ARGUMENT);
    }
    assert_int_equal(calls, 2);
}

static void tensor_long_float_reads_go_in_blocks(void **state)
{
    (void)state;
    int calls = 0;
    const uint64_t n = 5000;
    const gsai_tensor t = {.name = "t",
        .type = GSAI_F32,
        .n_dims = 1,
        .dims = {n},
        .n_bytes = 4 * n,
        .read = read_counting,
        .read_user = &calls};
    float *floats = malloc(n * sizeof *floats);
    uint8_t *bytes = malloc(4 * n);
    assert_int_equal(gsai_tensor_read(&t, 0, 4 * n, bytes), GSA_OK);
    assert_int_equal(gsai_tensor_read_floats(&t, 1, n - 1, floats), GSA_OK);
    assert_memory_equal(floats, bytes + 4, 4 * (n - 1));
    free(bytes);
    free(floats);
}

static void tensor_absent_or_unusable_one_gives_no_floats(void **state)
{
    (void)state;
    float f;
    const gsai_tensor absent = {0};
    assert_false(gsai_tensor_present(&absent));
    assert_int_equal(gsai_tensor_elements(&absent), 0);
    assert_int_equal(gsai_tensor_read_floats(&absent, 0, 1, &f), GSA_ERROR_ARGUMENT);
    const uint8_t data[8] = {0};
    const gsai_tensor other = {
        .name = "x", .type = GSAI_N_TYPES, .n_dims = 1, .dims = {1}, .n_bytes = 8, .data = data, .file_type = "I64"};
    assert_int_equal(gsai_tensor_read_floats(&other, 0, 1, &f), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "I64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensor_views_read_the_rows_they_name),
        cmocka_unit_test(tensor_long_float_reads_go_in_blocks),
        cmocka_unit_test(tensor_absent_or_unusable_one_gives_no_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
