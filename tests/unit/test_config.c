#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/checkpoint.h"

#include <math.h>
#include <string.h>

static gsai_config small(void)
{
    return (gsai_config){.n_vocab = 10,
        .n_layers = 2,
        .D = 8,
        .H = 4,
        .G = 2,
        .K = 3,
        .V = 5,
        .M = 7,
        .F = 6,
        .W = 4,
        .context_length = 100,
        .norm_eps = 1e-6f,
        .g_norm_eps = 1e-5f,
        .gate_normalizer = 8,
        .scale = 1,
        .bos_id = 1,
        .eos_id = -1};
}

static void config_valid_values_pass(void **state)
{
    (void)state;
    gsai_config c = small();
    assert_int_equal(gsai_config_check(&c), GSA_OK);
    c.W = 0;
    c.G = 4;
    c.bos_id = -1;
    c.eos_id = 9;
    assert_int_equal(gsai_config_check(&c), GSA_OK);
}

static void refuse(const gsai_config *c, const char *word)
{
    assert_int_equal(gsai_config_check(c), GSA_ERROR_FORMAT);
    if (!strstr(gsa_error_text(), word)) fail_msg("\"%s\" is not in \"%s\"", word, gsa_error_text());
}

static void config_value_out_of_range_is_refused_by_name(void **state)
{
    (void)state;
#define REFUSE(field, value, word)                                                                                     \
    do {                                                                                                               \
        gsai_config c = small();                                                                                       \
        c.field = value;                                                                                               \
        refuse(&c, word);                                                                                              \
    } while (0)
    REFUSE(n_vocab, 0, "vocabulary size is 0");
    REFUSE(n_vocab, GSAI_MAX_VOCAB + 1, "vocabulary size is 16777217");
    REFUSE(n_layers, 0, "layers is 0");
    REFUSE(n_layers, 1025, "layers is 1025, expected 1..1024");
    REFUSE(D, 0, "D is 0");
    REFUSE(D, GSAI_MAX_DIM + 1, "D is 1048577");
    REFUSE(H, 0, "H is 0");
    REFUSE(H, UINT32_MAX, "H is 4294967295");
    REFUSE(G, 0, "G is 0");
    REFUSE(G, 3, "4 is not a multiple of the number of kv heads 3");
    REFUSE(G, 8, "multiple");
    REFUSE(K, 0, "K is 0");
    REFUSE(K, GSAI_MAX_DIM, "heads * key size is 4194304");
    REFUSE(V, 0, "V is 0");
    REFUSE(V, GSAI_MAX_DIM, "heads * value size");
    REFUSE(M, 0, "M is 0");
    REFUSE(M, GSAI_MAX_SLOTS + 1, "M is 4097");
    REFUSE(F, 0, "F is 0");
    REFUSE(F, UINT32_MAX, "F is");
    REFUSE(W, 65, "65 taps");
    REFUSE(norm_eps, 0, "norm epsilon is 0");
    REFUSE(norm_eps, NAN, "norm epsilon is");
    REFUSE(g_norm_eps, -1, "output norm epsilon is -1");
    REFUSE(gate_normalizer, INFINITY, "gate normalizer is inf");
    REFUSE(gate_normalizer, -8, "gate normalizer is -8");
    REFUSE(scale, 0, "scale is 0");
    REFUSE(feature_map, (gsai_feature_map)3, "feature map is 3");
    REFUSE(ffn_act, (gsai_ffn_act)2, "activation is 2");
    REFUSE(bos_id, 10, "bos id is 10");
    REFUSE(bos_id, -2, "bos id is -2");
    REFUSE(eos_id, 10, "eos id is 10");
}

static void config_state_layout_is_dense_and_ordered(void **state)
{
    (void)state;
    gsai_config c = small();
    gsai_layer_state s = gsai_config_layer_state(&c, 1);
    assert_int_equal(s.hk, 0);
    assert_int_equal(s.hv, 2 * 3 * 7);
    assert_int_equal(s.conv_q, s.hv + 2 * 7 * 5);
    assert_int_equal(s.conv_k, s.conv_q + 4 * 3 * 4);
    assert_int_equal(s.conv_v, s.conv_k + 2 * 3 * 4);
    assert_int_equal(s.n_floats, s.conv_v + 2 * 5 * 4);
    assert_int_equal(gsai_config_state_floats(&c), 2 * s.n_floats);
    c.W = 0;
    assert_int_equal(gsai_config_layer_state(&c, 0).n_floats, s.conv_q);
}

static void config_hash_depends_on_the_graph_only(void **state)
{
    (void)state;
    gsai_config c = small();
    const uint64_t hash = gsai_config_hash(&c);
    assert_int_equal(hash, 0xcf46158d0227061eull); /* state files hold it: never changes */
    c.context_length = 5;
    c.bos_id = 3;
    c.eos_id = 4;
    assert_int_equal(gsai_config_hash(&c), hash);
    memset(&c, 0xff, sizeof c); /* padding has no influence */
    c = small();
    assert_int_equal(gsai_config_hash(&c), hash);
#define DIFFERS(field, value)                                                                                          \
    do {                                                                                                               \
        gsai_config d = small();                                                                                       \
        d.field = value;                                                                                               \
        assert_int_not_equal(gsai_config_hash(&d), hash);                                                              \
    } while (0)
    DIFFERS(n_vocab, 11);
    DIFFERS(n_layers, 3);
    DIFFERS(D, 9);
    DIFFERS(H, 2);
    DIFFERS(G, 1);
    DIFFERS(K, 4);
    DIFFERS(V, 4);
    DIFFERS(M, 8);
    DIFFERS(F, 7);
    DIFFERS(W, 0);
    DIFFERS(norm_eps, 1e-5f);
    DIFFERS(g_norm_eps, 1e-6f);
    DIFFERS(gate_normalizer, 4);
    DIFFERS(scale, 2);
    DIFFERS(feature_map, GSAI_FEATURE_RELU);
    DIFFERS(ffn_act, GSAI_FFN_POWLU);
    DIFFERS(tied, true);
}

static void expect_shape(const gsai_config *c, gsai_role role, uint32_t n_dims, uint64_t d0, uint64_t d1)
{
    uint64_t dims[2] = {0, 0};
    assert_int_equal(gsai_role_shape(c, role, dims), n_dims);
    if (n_dims > 0) assert_int_equal(dims[0], d0);
    if (n_dims > 1) assert_int_equal(dims[1], d1);
}

static void config_gives_every_role_its_shape(void **state)
{
    (void)state;
    gsai_config c = small();
    expect_shape(&c, GSAI_ROLE_EMBED, 2, 10, 8);
    expect_shape(&c, GSAI_ROLE_OUT_NORM, 1, 8, 0);
    expect_shape(&c, GSAI_ROLE_HEAD, 2, 10, 8);
    expect_shape(&c, GSAI_ROLE_ATTN_NORM, 1, 8, 0);
    expect_shape(&c, GSAI_ROLE_Q, 2, 12, 8);
    expect_shape(&c, GSAI_ROLE_K, 2, 6, 8);
    expect_shape(&c, GSAI_ROLE_V, 2, 10, 8);
    expect_shape(&c, GSAI_ROLE_F, 2, 14, 8);
    expect_shape(&c, GSAI_ROLE_CONV_Q, 2, 12, 4);
    expect_shape(&c, GSAI_ROLE_CONV_K, 2, 6, 4);
    expect_shape(&c, GSAI_ROLE_CONV_V, 2, 10, 4);
    expect_shape(&c, GSAI_ROLE_T2R, 0, 0, 0);
    expect_shape(&c, GSAI_ROLE_G_NORM, 1, 20, 0);
    expect_shape(&c, GSAI_ROLE_O, 2, 8, 20);
    expect_shape(&c, GSAI_ROLE_FFN_NORM, 1, 8, 0);
    expect_shape(&c, GSAI_ROLE_GATE, 2, 6, 8);
    expect_shape(&c, GSAI_ROLE_UP, 2, 6, 8);
    expect_shape(&c, GSAI_ROLE_DOWN, 2, 8, 6);
    c.W = 0;
    c.tied = true;
    c.feature_map = GSAI_FEATURE_T2R;
    expect_shape(&c, GSAI_ROLE_CONV_Q, 0, 0, 0);
    expect_shape(&c, GSAI_ROLE_HEAD, 0, 0, 0);
    expect_shape(&c, GSAI_ROLE_T2R, 2, 3, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_valid_values_pass),
        cmocka_unit_test(config_value_out_of_range_is_refused_by_name),
        cmocka_unit_test(config_state_layout_is_dense_and_ordered),
        cmocka_unit_test(config_hash_depends_on_the_graph_only),
        cmocka_unit_test(config_gives_every_role_its_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
