#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/checkpoint.h"
#include "support/counting_alloc.h"
#include "util/alloc.h"
#include "util/half.h"

#include <math.h>
#include <string.h>

static gsai_config small(void)
{
    return (gsai_config){.n_vocab = 300,
        .n_layers = 2,
        .D = 96,
        .H = 4,
        .G = 2,
        .K = 24,
        .V = 40,
        .M = 16,
        .F = 200,
        .W = 4,
        .norm_eps = 1e-6f,
        .g_norm_eps = 1e-5f,
        .gate_normalizer = 8,
        .scale = 1,
        .feature_map = GSAI_FEATURE_T2R,
        .bos_id = 1,
        .eos_id = 2};
}

/* Rows of whole blocks in most matrices; 96 columns (o) are none of q4_k and q6_k, 200 (down) of no block type. */
static gsai_config blocks_fit(void)
{
    gsai_config c = small();
    c.D = 256;
    c.V = 24;
    return c;
}

static gsai_checkpoint *make(const gsai_config *config, gsai_type type, uint64_t seed)
{
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    gsai_checkpoint *c = NULL;
    if (gsai_checkpoint_open_synthetic(config, type, seed, &options, &c)) fail_msg("%s", gsa_error_text());
    return c;
}

static float *floats_of(const gsai_tensor *t)
{
    const uint64_t n = gsai_tensor_elements(t);
    float *f = malloc(n * sizeof *f);
    assert_int_equal(gsai_tensor_read_floats(t, 0, n, f), GSA_OK);
    return f;
}

static void synthetic_presets_have_their_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t n_layers, D, H, G, K, F;
        double parameters; /* millions */
    } cases[] = {{"340m", 24, 1024, 4, 4, 256, 2816, 380}, {"1.3b", 24, 2048, 4, 4, 512, 5632, 1378},
        {"2.7b", 32, 2560, 5, 5, 512, 6912, 2726}, {"7b", 32, 4096, 32, 8, 128, 14336, 7310}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gsai_config c;
        assert_int_equal(gsai_checkpoint_synthetic_preset(cases[i].name, &c), GSA_OK);
        assert_int_equal(gsai_config_check(&c), GSA_OK);
        assert_int_equal(c.n_layers, cases[i].n_layers);
        assert_int_equal(c.D, cases[i].D);
        assert_int_equal(c.H, cases[i].H);
        assert_int_equal(c.G, cases[i].G);
        assert_int_equal(c.K, cases[i].K);
        assert_int_equal(c.V, cases[i].K);
        assert_int_equal(c.M, 64);
        assert_int_equal(c.F, cases[i].F);
        assert_int_equal(c.W, 0);
        assert_int_equal(c.n_vocab, 32000);
        assert_false(c.tied);
        gsai_checkpoint *m = make(&c, GSAI_F16, 1);
        double parameters = 0;
        for (uint64_t t = 0; t < m->n_tensors; t++) parameters += (double)gsai_tensor_elements(&m->tensors[t]) / 1e6;
        assert_true(fabs(parameters - cases[i].parameters) < 5);
        assert_int_equal(m->n_tensors, 3 + 11 * c.n_layers);
        gsai_checkpoint_close(m);
    }
    gsai_config c;
    assert_int_equal(gsai_checkpoint_synthetic_preset("13b", &c), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "\"13b\""));
}

static void synthetic_roles_have_names_shapes_and_types(void **state)
{
    (void)state;
    gsai_config c = small();
    gsai_checkpoint *m = make(&c, GSAI_BF16, 7);
    assert_string_equal(m->description, "synthetic model (2 layers of 96, bf16, seed 7)");
    assert_string_equal(m->embed.name, "token_embd.weight");
    assert_string_equal(m->layers[1].f.name, "blk.1.attn_slot_gate.weight");
    for (uint32_t layer = 0; layer < c.n_layers; layer++) {
        for (int role = 0; role < GSAI_N_ROLES; role++) {
            uint64_t dims[2];
            const gsai_tensor *t = gsai_checkpoint_role(m, (gsai_role)role, layer);
            assert_int_equal(t->n_dims, gsai_role_shape(&c, (gsai_role)role, dims));
            assert_memory_equal(t->dims, dims, t->n_dims * sizeof *dims);
            assert_int_equal(t->type, t->n_dims == 1 ? GSAI_F32 : GSAI_BF16);
        }
    }
    gsai_checkpoint_close(m);
    c.tied = true;
    c.W = 0;
    c.feature_map = GSAI_FEATURE_RELU;
    m = make(&c, GSAI_F32, 7);
    assert_ptr_equal(m->head.name, m->embed.name);
    assert_false(gsai_tensor_present(&m->layers[0].conv_q));
    assert_false(gsai_tensor_present(&m->layers[0].t2r));
    assert_int_equal(m->n_tensors, 2 + 11 * 2);
    gsai_checkpoint_close(m);
}

static void synthetic_any_split_reads_the_same_bytes(void **state)
{
    (void)state;
    const gsai_config c = blocks_fit();
    uint32_t x = 1;
    for (int type = 0; type < GSAI_N_TYPES; type++) {
        gsai_checkpoint *m = make(&c, (gsai_type)type, 3), *again = make(&c, (gsai_type)type, 3);
        for (uint64_t i = 0; i < m->n_tensors; i++) {
            const gsai_tensor *t = &m->tensors[i];
            uint8_t *whole = malloc(t->n_bytes), *part = malloc(t->n_bytes);
            assert_int_equal(gsai_tensor_read(t, 0, t->n_bytes, whole), GSA_OK);
            assert_int_equal(gsai_tensor_read(&again->tensors[i], 0, t->n_bytes, part), GSA_OK);
            assert_memory_equal(whole, part, t->n_bytes);
            for (int k = 0; k < 20; k++) {
                x = x * 1664525u + 1013904223u;
                const uint64_t at = (x >> 4) % t->n_bytes;
                x = x * 1664525u + 1013904223u;
                const uint64_t n = (x >> 4) % (t->n_bytes - at + 1);
                assert_int_equal(gsai_tensor_read(t, at, n, part), GSA_OK);
                assert_memory_equal(part, whole + at, n);
            }
            for (uint64_t at = 0; at < t->n_bytes; at += 997) {
                const uint64_t n = t->n_bytes - at < 997 ? t->n_bytes - at : 997;
                assert_int_equal(gsai_tensor_read(t, at, n, part + at), GSA_OK);
            }
            assert_memory_equal(part, whole, t->n_bytes);
            if (t->n_dims == 2) {
                const gsai_tensor view = gsai_tensor_view_rows(t, 1, t->dims[0] - 1);
                assert_int_equal(gsai_tensor_read(&view, 3, view.n_bytes - 3, part), GSA_OK);
                assert_memory_equal(part, whole + (t->n_bytes - view.n_bytes) + 3, view.n_bytes - 3);
            }
            free(part);
            free(whole);
        }
        gsai_checkpoint_close(again);
        gsai_checkpoint_close(m);
    }
}

static void synthetic_types_hold_the_same_model(void **state)
{
    (void)state;
    const gsai_config c = small();
    gsai_checkpoint *f32 = make(&c, GSAI_F32, 3), *f16 = make(&c, GSAI_F16, 3), *bf16 = make(&c, GSAI_BF16, 3);
    for (uint64_t i = 0; i < f32->n_tensors; i++) {
        float *a = floats_of(&f32->tensors[i]), *b = floats_of(&f16->tensors[i]), *d = floats_of(&bf16->tensors[i]);
        const bool rounded = f16->tensors[i].type == GSAI_F16;
        for (uint64_t e = 0; e < gsai_tensor_elements(&f32->tensors[i]); e++) {
            assert_true(b[e] == (rounded ? gsai_f16_to_float(gsai_float_to_f16(a[e])) : a[e]));
            assert_true(d[e] == (rounded ? gsai_bf16_to_float(gsai_float_to_bf16(a[e])) : a[e]));
        }
        free(a);
        free(b);
        free(d);
    }
    gsai_checkpoint_close(f32);
    gsai_checkpoint_close(f16);
    gsai_checkpoint_close(bf16);
}

static void synthetic_weights_have_the_intended_spread(void **state)
{
    (void)state;
    gsai_config c = small();
    c.n_vocab = 2000;
    c.D = 512;
    c.F = 1024;
    gsai_checkpoint *m = make(&c, GSAI_F32, 11);
    const double back = 1 / sqrt(2.0 * c.n_layers);
    const struct {
        const gsai_tensor *t;
        double deviation;
    } cases[] = {{&m->embed, 1}, {&m->head, 2 / sqrt(512)}, {&m->layers[0].q, 1 / sqrt(512)},
        {&m->layers[1].f, 1 / sqrt(512)}, {&m->layers[0].gate, 1 / sqrt(512)}, {&m->layers[1].o, back / sqrt(160)},
        {&m->layers[0].down, 1.7 * back / sqrt(1024)}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint64_t n = gsai_tensor_elements(cases[i].t);
        float *f = floats_of(cases[i].t);
        double sum = 0, squares = 0, neighbours = 0, below = 0, top = 0;
        for (uint64_t e = 0; e < n; e++) {
            sum += f[e];
            squares += (double)f[e] * f[e];
            if (e > 0) neighbours += (double)f[e] * f[e - 1];
            below += f[e] < 0;
            top = fmax(top, fabs(f[e]));
        }
        const double deviation = sqrt(squares / n), error = 5 / sqrt(n); /* five standard errors */
        assert_true(fabs(sum / n) < error * cases[i].deviation);
        assert_true(fabs(deviation / cases[i].deviation - 1) < error);
        assert_true(fabs(neighbours / squares) < error);
        assert_true(fabs(below / n - 0.5) < error);
        assert_true(top <= cases[i].deviation * sqrt(3) * 1.0001 && top > cases[i].deviation * 1.7);
        free(f);
    }
    float *norm = floats_of(&m->layers[0].attn_norm);
    double sum = 0;
    for (uint32_t e = 0; e < c.D; e++) {
        assert_true(norm[e] >= 0.875f && norm[e] < 1.125f);
        sum += norm[e];
    }
    assert_true(fabs(sum / c.D - 1) < 0.02);
    free(norm);
    gsai_checkpoint_close(m);
}

/* Mean and spread hold for the block types, too, and their scales are not all alike. */
static void synthetic_blocks_have_the_intended_spread(void **state)
{
    (void)state;
    gsai_config c = blocks_fit();
    c.F = 1024;
    for (int type = GSAI_Q8_0; type <= GSAI_Q6_K; type++) {
        gsai_checkpoint *m = make(&c, (gsai_type)type, 5);
        const gsai_tensor *t = &m->layers[1].gate;
        const uint64_t n = gsai_tensor_elements(t);
        float *f = floats_of(t);
        double sum = 0, squares = 0, least = 1e9, most = 0;
        for (uint64_t b = 0; b < n; b += 256) {
            double of_block = 0;
            for (uint64_t e = b; e < b + 256; e++) {
                sum += f[e];
                of_block += (double)f[e] * f[e];
            }
            squares += of_block;
            least = fmin(least, of_block);
            most = fmax(most, of_block);
        }
        assert_int_equal(t->type, type);
        assert_true(fabs(sum / n) < 5 / sqrt((double)n) / 16);
        assert_true(fabs(sqrt(squares / n) * 16 - 1) < 0.02); /* 1 / sqrt(256) */
        assert_true(most > 1.5 * least);
        free(f);
        gsai_checkpoint_close(m);
    }
}

static void synthetic_block_types_fall_back_where_rows_are_no_whole_blocks(void **state)
{
    (void)state;
    const gsai_config c = blocks_fit();
    static const struct {
        gsai_type asked, embed, head, q, o, down;
    } cases[] = {{GSAI_Q8_0, GSAI_Q8_0, GSAI_Q8_0, GSAI_Q8_0, GSAI_Q8_0, GSAI_F16},
        {GSAI_Q4_0, GSAI_Q6_K, GSAI_Q6_K, GSAI_Q4_0, GSAI_Q4_0, GSAI_F16},
        {GSAI_Q4_K, GSAI_Q6_K, GSAI_Q6_K, GSAI_Q4_K, GSAI_Q4_0, GSAI_F16},
        {GSAI_Q6_K, GSAI_Q6_K, GSAI_Q6_K, GSAI_Q6_K, GSAI_Q8_0, GSAI_F16}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gsai_checkpoint *m = make(&c, cases[i].asked, 1);
        assert_int_equal(m->embed.type, cases[i].embed);
        assert_int_equal(m->head.type, cases[i].head);
        assert_int_equal(m->layers[1].q.type, cases[i].q);
        assert_int_equal(m->layers[1].o.type, cases[i].o);
        assert_int_equal(m->layers[1].down.type, cases[i].down);
        assert_int_equal(m->layers[1].conv_k.type, GSAI_F32);
        assert_int_equal(m->layers[1].t2r.type, GSAI_F32);
        assert_int_equal(m->layers[1].attn_norm.type, GSAI_F32);
        gsai_checkpoint_close(m);
    }
}

static void synthetic_tensors_layers_and_seeds_are_unrelated(void **state)
{
    (void)state;
    gsai_config c = small();
    c.D = 512;
    gsai_checkpoint *m = make(&c, GSAI_F32, 1), *n = make(&c, GSAI_F32, 2);
    const gsai_tensor *tensors[] = {&m->layers[0].gate, &m->layers[0].up, &m->layers[1].gate, &m->layers[1].up,
        &n->layers[0].gate, &n->layers[0].up};
    const uint64_t size = gsai_tensor_elements(tensors[0]);
    float *f[6];
    for (int i = 0; i < 6; i++) f[i] = floats_of(tensors[i]);
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < i; j++) {
            double dot = 0;
            uint64_t equal = 0;
            for (uint64_t e = 0; e < size; e++) {
                dot += (double)f[i][e] * f[j][e];
                equal += f[i][e] == f[j][e];
            }
            assert_true(fabs(dot * 512 / size) < 5 / sqrt((double)size)); /* variance 1 / 512 */
            assert_true(equal < 20);
        }
    }
    for (int i = 0; i < 6; i++) free(f[i]);
    gsai_checkpoint_close(m);
    gsai_checkpoint_close(n);
}

static void synthetic_elements_beyond_32_bits_are_their_own(void **state)
{
    (void)state;
    gsai_config c = small();
    c.n_vocab = GSAI_MAX_VOCAB;
    c.D = 2048;
    gsai_checkpoint *m = make(&c, GSAI_F16, 1);
    const uint64_t edge = (uint64_t)1 << 33; /* bytes */
    uint8_t low[512], high[512], across[512];
    assert_int_equal(gsai_tensor_read(&m->embed, 0, 512, low), GSA_OK);
    assert_int_equal(gsai_tensor_read(&m->embed, edge, 512, high), GSA_OK);
    assert_int_equal(gsai_tensor_read(&m->embed, edge - 257, 512, across), GSA_OK);
    assert_memory_not_equal(low, high, 512);
    assert_memory_equal(across + 257, high, 255);
    gsai_checkpoint_close(m);
    m = make(&c, GSAI_Q8_0, 1);
    const uint64_t blocks = (uint64_t)34 << 26; /* bytes of 2^26 blocks, where the generator's counter begins anew */
    assert_int_equal(gsai_tensor_read(&m->embed, 0, 512, low), GSA_OK);
    assert_int_equal(gsai_tensor_read(&m->embed, blocks, 512, high), GSA_OK);
    assert_int_equal(gsai_tensor_read(&m->embed, blocks - 257, 512, across), GSA_OK);
    assert_memory_not_equal(low, high, 512);
    assert_memory_equal(across + 257, high, 255);
    gsai_checkpoint_close(m);
}

static void synthetic_model_identity_is_fixed(void **state)
{
    (void)state;
    const gsai_config plain = small(), blocks = blocks_fit();
    static const uint64_t expected[GSAI_N_TYPES] = {0x798eb8ee6786abb9ull, 0xf61bd76936bbadc2ull, 0x8674d338c379f725ull,
        0xb6e5a04f2c8ac450ull, 0x9ad3355681a6d99aull, 0x7d336494e4f7ff38ull, 0x2a36dd4017ddad56ull};
    for (int type = 0; type < GSAI_N_TYPES; type++) {
        gsai_checkpoint *m = make(type < GSAI_N_PLAIN_TYPES ? &plain : &blocks, (gsai_type)type, 42);
        uint64_t hash = 0;
        assert_int_equal(gsai_checkpoint_hash(m, &hash), GSA_OK);
        assert_int_equal(hash, expected[type]); /* benchmark records name a model by it */
        gsai_checkpoint_close(m);
    }
}

static void synthetic_bad_arguments_are_refused(void **state)
{
    (void)state;
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    gsai_checkpoint *m;
    gsai_config c = small();
    assert_int_equal(gsai_checkpoint_open_synthetic(&c, GSAI_N_TYPES, 1, &options, &m), GSA_ERROR_ARGUMENT);
    assert_null(m);
    c.G = 3;
    assert_int_equal(gsai_checkpoint_open_synthetic(&c, GSAI_F32, 1, &options, &m), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "synthetic model: number of query heads 4"));
    assert_null(m);
}

static void synthetic_allocation_failure_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    const gsai_config c = small();
    for (long n = 0;; n++) {
        counting_alloc counter = {.fail_at = n};
        const gsai_checkpoint_options options = {.allocator = counting_allocator(&counter)};
        gsai_checkpoint *m;
        const gsa_status status = gsai_checkpoint_open_synthetic(&c, GSAI_F32, 1, &options, &m);
        gsai_checkpoint_close(m);
        assert_int_equal(counter.alive, 0);
        if (!status) {
            assert_int_equal(n, counter.calls);
            break;
        }
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synthetic_presets_have_their_shapes),
        cmocka_unit_test(synthetic_roles_have_names_shapes_and_types),
        cmocka_unit_test(synthetic_any_split_reads_the_same_bytes),
        cmocka_unit_test(synthetic_types_hold_the_same_model),
        cmocka_unit_test(synthetic_weights_have_the_intended_spread),
        cmocka_unit_test(synthetic_blocks_have_the_intended_spread),
        cmocka_unit_test(synthetic_block_types_fall_back_where_rows_are_no_whole_blocks),
        cmocka_unit_test(synthetic_tensors_layers_and_seeds_are_unrelated),
        cmocka_unit_test(synthetic_elements_beyond_32_bits_are_their_own),
        cmocka_unit_test(synthetic_model_identity_is_fixed),
        cmocka_unit_test(synthetic_bad_arguments_are_refused),
        cmocka_unit_test(synthetic_allocation_failure_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
