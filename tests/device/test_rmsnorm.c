/* RMS norm: with weight, silu, residual add, chosen rows; wide values; bad arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_check.h"

static void rmsnorm_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op("rmsnorm");
}

/* n: T, D, bits 1 weight, 2 silu, 4 add, 8 chosen rows, 16 in place, 32 wide; power of ten of eps */
static void rmsnorm_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 1 D 127", 1e-5, {1, 127, 1, 5}},
        {"T 1 D 128", 1e-5, {1, 128, 1, 5}},
        {"T 1 D 129 silu", 1e-5, {1, 129, 3, 5}},
        {"T 300 D 17 add", 1e-5, {300, 17, 5, 6}},
        {"T 2 D 5120 silu, in place", 1e-5, {2, 5120, 19, 6}},
        {"T 1 D 16384 wide", 1e-5, {1, 16384, 33, 6}},
        {"T 40 D 260 chosen rows, no weight", 1e-5, {40, 260, 8, 6}},
    };
    (void)state;
    assert_more("rmsnorm", cases, N_OF(cases));
}

static void rmsnorm_add_with_chosen_rows_is_refused(void **state)
{
    gsai_buffer buffer;
    gsai_recorder *r = NULL;
    gsai_plan plan;

    (void)state;
    assert_int_equal(gsai_buffer_create(dev, 4096, GSAI_MEMORY_DEVICE, &buffer), GSA_OK);
    const gsai_rows x = {{&buffer, 0, 1024}, 0, 16};
    const gsai_table rows = {{&buffer, 2048, 64}, 0};
    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    gsai_op_rmsnorm(r, &(gsai_rmsnorm_args){.x = x, .y = x, .add = &x, .rows = &rows, .T = 2, .D = 16, .eps = 1e-6f});
    assert_int_equal(gsai_recorder_finish(r, &plan), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "rmsnorm"));
    gsai_buffer_destroy(dev, &buffer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rmsnorm_known_questions_are_answered),
    cmocka_unit_test(rmsnorm_other_shapes_match_the_reference),
    cmocka_unit_test(rmsnorm_add_with_chosen_rows_is_refused),
};
OPS_MAIN(tests)
