/* Sampling on the device: token by token what the CPU sampler draws, over thousands of draws. Where u lies within 1e-5
 * of the border between two tokens' shares either token counts: the device sums in f32 (see verify_sample.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_check.h"

static void sample_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op("penalty");
    assert_op("sample");
}

/* n: rows (one draw each), vocabulary, temperature / 1000, top_k, top_p / 1000, min_p / 1000, penalty / 1000, recent
 * tokens, kind of logits, seed and draw number beyond 32 bits */
static void sample_thousands_of_draws_equal_the_cpu_sampler(void **state)
{
    static const gsai_verify_case cases[] = {
        {"2000 draws of 50, temperature 1", 0, {2000, 50, 1000, 0, 0, 0, 0, 0, 0, 0}},
        {"2000 draws of 50, temperature 0.05", 0, {2000, 50, 50, 0, 0, 0, 0, 0, 0, 1}},
        {"1000 draws of 333, temperature 5", 0, {1000, 333, 5000, 0, 0, 0, 0, 0, 2, 0}},
        {"1000 draws of 200, top_k 20", 0, {1000, 200, 1000, 20, 0, 0, 0, 0, 0, 1}},
        {"1000 draws of 200, top_p 0.6", 0, {1000, 200, 1000, 0, 600, 0, 0, 0, 0, 1}},
        {"1000 draws of 200, top_p 0.99", 0, {1000, 200, 2000, 0, 990, 0, 0, 0, 2, 0}},
        {"1000 draws of 200, min_p 0.05", 0, {1000, 200, 1500, 0, 0, 50, 0, 0, 0, 0}},
        {"1000 draws of 200, penalty", 0, {1000, 200, 1000, 0, 0, 0, 1300, 256, 0, 0}},
        {"1000 draws of 200, all rules", 0, {1000, 200, 900, 50, 900, 20, 1100, 64, 2, 1}},
    };
    (void)state;
    assert_more("sample", cases, N_OF(cases));
}

static void sample_extreme_parameters_equal_the_cpu_sampler(void **state)
{
    static const gsai_verify_case cases[] = {
        {"top_k as large as the vocabulary", 0, {100, 64, 1000, 64, 0, 0, 0, 0, 0}},
        {"top_k above the vocabulary", 0, {100, 64, 1000, 1000, 0, 0, 0, 0, 0}},
        {"top_p 1", 0, {100, 64, 1000, 0, 1000, 0, 0, 0, 0}},
        {"top_p 0.001", 0, {100, 64, 1000, 0, 1, 0, 0, 0, 0}},
        {"min_p 1", 0, {100, 64, 1000, 0, 0, 1000, 0, 0, 1}},
        {"temperature 0.001", 0, {100, 64, 1, 0, 0, 0, 0, 0, 0}},
        {"temperature 1000", 0, {100, 64, 1000000, 0, 0, 0, 0, 0, 0}},
        {"vocabulary 2", 0, {100, 2, 1000, 0, 0, 0, 0, 0, 0}},
        {"vocabulary 17", 0, {100, 17, 1000, 3, 0, 0, 0, 0, 1}},
        {"infinities under all rules", 0, {100, 64, 1000, 10, 900, 100, 1200, 30, 3}},
        {"greedy, infinities, penalty", 0, {100, 64, 0, 0, 0, 0, 1200, 30, 3}},
        {"vocabulary 128256, all rules", 0, {2, 128256, 1000, 100, 950, 1, 1100, 256, 0, 1}},
    };
    (void)state;
    assert_more("sample", cases, N_OF(cases));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sample_known_questions_are_answered),
    cmocka_unit_test(sample_thousands_of_draws_equal_the_cpu_sampler),
    cmocka_unit_test(sample_extreme_parameters_equal_the_cpu_sampler),
};
OPS_MAIN(tests)
