/* Ops of one invocation per element: add, silu, swiglu. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_check.h"

static void add_known_questions_are_answered(void **state)
{
    static const gsai_verify_case more[] = {{"T 127 D 129", 0, {127, 129, 0}}, {"T 1 D 128", 0, {1, 128, 0}}};
    (void)state;
    assert_op("add");
    assert_more("add", more, N_OF(more));
}

static void silu_known_questions_are_answered(void **state)
{
    static const gsai_verify_case more[] = {{"T 127 D 129", 1e-5, {127, 129, 1, 0}}};
    (void)state;
    assert_op("silu");
    assert_more("silu", more, N_OF(more));
}

static void swiglu_known_questions_are_answered(void **state)
{
    static const gsai_verify_case more[] = {
        {"T 127 F 129 swish", 1e-5, {127, 129, GSAI_FFN_SWISH, 0}},
        {"T 127 F 129 powlu", 1e-5, {127, 129, GSAI_FFN_POWLU, 0}},
    };
    (void)state;
    assert_op("swiglu");
    assert_more("swiglu", more, N_OF(more));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(add_known_questions_are_answered),
    cmocka_unit_test(silu_known_questions_are_answered),
    cmocka_unit_test(swiglu_known_questions_are_answered),
};
OPS_MAIN(tests)
