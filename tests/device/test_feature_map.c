/* Feature maps: silu, relu and t2r of q and k, silu of v. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "mixer_check.h"

static void feature_map_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op("feature_map");
    assert_op("t2r");
}

/* n: H, G, K, V, T, map */
static void feature_map_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"H 1 G 1 K 1 V 1 T 1", 1e-6, {1, 1, 1, 1, 1, GSAI_FEATURE_SWISH}},
        {"H 8 G 2 K 33 V 31 T 257", 1e-6, {8, 2, 33, 31, 257, GSAI_FEATURE_RELU}},
        {"H 4 G 4 K 512 V 512 T 2", 1e-6, {4, 4, 512, 512, 2, GSAI_FEATURE_SWISH}},
    };
    static const gsai_verify_case t2r[] = {
        {"H 1 G 1 K 1 V 1 T 1", 1e-5, {1, 1, 1, 1, 1, GSAI_FEATURE_T2R}},
        {"H 9 G 3 K 129 V 20 T 7", 1e-5, {9, 3, 129, 20, 7, GSAI_FEATURE_T2R}},
        {"H 2 G 1 K 1500 V 8 T 2", 1e-5, {2, 1, 1500, 8, 2, GSAI_FEATURE_T2R}},
    };
    (void)state;
    assert_mixer_cases("feature_map", cases, N_OF(cases));
    assert_mixer_cases("t2r", t2r, N_OF(t2r));
}

static void feature_map_t2r_of_a_huge_head_is_refused_by_name(void **state)
{
    const gsai_config config = {.H = 1, .G = 1, .K = 4097, .V = 1, .feature_map = GSAI_FEATURE_T2R};
    const uint32_t width = 4097 * 2 + 1;
    gsai_buffer buffer;
    gsai_recorder *r = NULL;
    gsai_plan plan;

    (void)state;
    assert_int_equal(gsai_buffer_create(dev, 65536, GSAI_MEMORY_DEVICE, &buffer), GSA_OK);
    const gsai_qkvf x = {.rows = {{&buffer, 0, 65536}, 0, 8196}, .k = 4097, .v = 2 * 4097, .width = width};
    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    gsai_op_feature_map(r, &config, &x, (gsai_vector){0}, 1);
    assert_int_equal(gsai_recorder_finish(r, &plan), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "t2r"));
    assert_non_null(strstr(gsa_error_text(), "4097"));
    gsai_buffer_destroy(dev, &buffer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(feature_map_known_questions_are_answered),
    cmocka_unit_test(feature_map_other_shapes_match_the_reference),
    cmocka_unit_test(feature_map_t2r_of_a_huge_head_is_refused_by_name),
};
OPS_MAIN(tests)
