/* Argmax: ties, NaN, infinities, large vocabularies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_check.h"

static void argmax_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op("argmax");
}

/* n: rows, vocabulary, kind (verify_cases.c) */
static void argmax_other_sizes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"rows 100 vocabulary 127 ties", 0, {100, 127, 1}},
        {"rows 3 vocabulary 128 NaN among numbers", 0, {3, 128, 2}},
        {"rows 3 vocabulary 129 zeros and denormals", 0, {3, 129, 5}},
        {"rows 2 vocabulary 128256 ties", 0, {2, 128256, 1}},
        {"rows 1 vocabulary 1000003", 0, {1, 1000003, 0}},
    };
    (void)state;
    assert_more("argmax", cases, N_OF(cases));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(argmax_known_questions_are_answered),
    cmocka_unit_test(argmax_other_sizes_match_the_reference),
};
OPS_MAIN(tests)
