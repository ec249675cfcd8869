/* Gates: each value by itself within a millionth, however small; huge arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "mixer_check.h"

#include "ref/ref.h"

#include <math.h>

static void gate_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op("gate");
}

/* n: G, M, T, |f| in hundredths, normalizer */
static void gate_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"G 1 M 1 T 1", 1e-6, {1, 1, 1, 100, 8}},
        {"G 1 M 128 T 1", 1e-6, {1, 128, 1, 1500, 16}},
        {"G 43 M 3 T 2", 1e-6, {43, 3, 2, 1500, 1}},
        {"G 4 M 64 T 1000", 1e-6, {4, 64, 1000, 4000, 8}},
    };
    (void)state;
    assert_mixer_cases("gate", cases, N_OF(cases));
}

/* Nothing is forgotten and nothing written, or everything: no NaN, no sign lost. */
static void run_extremes(gsai_check *c, const gsai_verify_case *k)
{
    static const float f[] = {0, -0.0f, 1e-30f, 88, 104, 200, 1e30f, INFINITY, -88, -104, -1e4f, -1e30f};
    const uint32_t n = N_OF(f);
    const gsai_config config = {.G = 1, .M = n, .gate_normalizer = 8};
    float x[2 * N_OF(f)] = {0};
    gsai_qkvf args = {.g = 0, .s = n, .width = 2 * n};

    (void)k;
    memcpy(x, f, sizeof f);
    args.rows = gsai_check_rows(c, x, 1, 2 * n, GSAI_CHECK_INOUT);
    gsai_op_gate(gsai_check_begin(c), &config, &args, &args, 1);
    if (gsai_check_end(c) != GSA_OK) return;
    const float *got = gsai_check_data(c, args.rows.range);
    got += args.rows.offset;
    for (uint32_t i = 0; i < n; i++) {
        float g, s;
        gsai_ref_gate(&g, &s, &f[i], 1, 8);
        if (!(fabsf(got[i] - g) <= 1e-6f * fabsf(g) + 1e-37f) || !(fabsf(got[n + i] - s) <= 1e-6f * s + 1e-37f)) {
            print_error("f %g: g %g s %g, expected %g %g\n", f[i], got[i], got[n + i], g, s);
            gsai_check_fail(c);
        }
    }
}

static void gate_extreme_arguments_saturate(void **state)
{
    static const gsai_verify_case cases[] = {{"extremes", 0, {0}}};
    (void)state;
    assert_set("gate", run_extremes, cases, 1, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gate_known_questions_are_answered),
    cmocka_unit_test(gate_other_shapes_match_the_reference),
    cmocka_unit_test(gate_extreme_arguments_saturate),
};
OPS_MAIN(tests)
