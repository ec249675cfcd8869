/* The reference ops: the recurrence against golden vectors of the original, the others against values worked out by
 * hand or by a second, dumber computation. */
#include "ref/ref.h"
#include "support/goldens.h"
#include "util/alloc.h"
#include "util/half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static gsa_allocator heap;

/* [-1, 1), the same on every machine */
static float noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) * 0x1p-23f - 1.0f;
}

static float *noise_array(size_t n, uint32_t seed)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = noise(&seed);
    return x;
}

static float *copy_array(const float *x, size_t n)
{
    float *y = calloc(n + 1, sizeof *y);
    assert_non_null(y);
    if (x) memcpy(y, x, n * sizeof *y);
    return y;
}

static void assert_near(double got, double expected, double relative)
{
    if (!(fabs(got - expected) <= relative * fabs(expected))) fail_msg("got %.9g, expected %.9g", got, expected);
}

/* ---- the recurrence ---- */

typedef struct gsa_case {
    size_t B, T, H, G, K, V, M;
    const float *q, *k, *v, *s, *g, *hk0, *hv0, *o, *ok, *hk, *hv;
} gsa_case;

static const golden_array *need(const goldens *file, const char *name, const char *array, size_t n_dims)
{
    const golden_array *a = goldens_find(file, "%s", array);

    if (!a || !a->f || a->n_dims != n_dims) fail_msg("%s: no float array %s of %zu dimensions", name, array, n_dims);
    return a;
}

static gsa_case read_case(const goldens *file, const char *name)
{
    const golden_array *q = need(file, name, "q", 4), *hk = need(file, name, "hk", 4), *hv = need(file, name, "hv", 4);
    const golden_array *hk0 = goldens_find(file, "hk0"), *hv0 = goldens_find(file, "hv0");
    gsa_case c = {.B = q->dims[0], .T = q->dims[1], .H = q->dims[2], .K = q->dims[3]};

    c.G = hk->dims[1];
    c.M = hk->dims[3];
    c.V = hv->dims[3];
    c.q = q->f;
    c.k = need(file, name, "k", 4)->f;
    c.v = need(file, name, "v", 4)->f;
    c.s = need(file, name, "s", 4)->f;
    c.g = need(file, name, "g", 4)->f;
    c.o = need(file, name, "o", 4)->f;
    c.ok = need(file, name, "ok", 4)->f;
    c.hk = hk->f;
    c.hv = hv->f;
    c.hk0 = hk0 ? hk0->f : NULL;
    c.hv0 = hv0 ? hv0->f : NULL;
    return c;
}

/* All sequences of a case in slices of at most slice tokens; outputs like the golden arrays. */
static void run_case(const gsa_case *c, size_t slice, float *o, float *ok, float *hk, float *hv)
{
    const size_t H = c->H, G = c->G, K = c->K, V = c->V, M = c->M;

    for (size_t b = 0; b < c->B; b++) {
        for (size_t t = 0; t < c->T; t += slice) {
            const size_t row = b * c->T + t;
            const gsai_ref_gsa_args args = {
                .q = c->q + row * H * K,
                .k = c->k + row * G * K,
                .v = c->v + row * G * V,
                .s = c->s + row * G * M,
                .g = c->g + row * G * M,
                .q_stride = H * K,
                .k_stride = G * K,
                .v_stride = G * V,
                .s_stride = G * M,
                .g_stride = G * M,
                .hk = hk + b * G * K * M,
                .hv = hv + b * G * M * V,
                .o = o + row * H * V,
                .ok = ok ? ok + row * H * M : NULL,
                .T = c->T - t < slice ? c->T - t : slice,
                .H = H,
                .G = G,
                .K = K,
                .V = V,
                .M = M,
                .scale = 1,
            };
            assert_int_equal(gsai_ref_gsa(&args, &heap), GSA_OK);
        }
    }
}

static void assert_error_below(const char *file, const char *what, const float *got, const float *want, size_t n)
{
    /* Stored states are rounded to float once per token (6e-8), which over 300 tokens and open gates adds up to 5e-7. */
    const double error = goldens_error(got, want, n);
    if (!(error <= 1e-6)) fail_msg("%s: %s is off by %.3g relative", file, what, error);
}

static void ref_gsa_golden_vectors_match(void **state)
{
    (void)state;
    char folder[2048], path[4096];

    assert_true(goldens_path(folder, sizeof folder, "ops"));
    char **names = goldens_list(folder, ".safetensors");
    if (!names[0]) fail_msg("%s holds no golden vectors", folder);

    for (size_t i = 0; names[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        goldens *file = goldens_load(path);
        assert_non_null(file);

        const gsa_case c = read_case(file, names[i]);
        const size_t n_o = c.B * c.T * c.H * c.V, n_ok = c.B * c.T * c.H * c.M;
        const size_t n_hk = c.B * c.G * c.K * c.M, n_hv = c.B * c.G * c.M * c.V;
        float *o = copy_array(NULL, n_o), *ok = copy_array(NULL, n_ok);
        float *hk = copy_array(c.hk0, n_hk), *hv = copy_array(c.hv0, n_hv);

        run_case(&c, c.T, o, ok, hk, hv);
        assert_error_below(names[i], "o", o, c.o, n_o);
        assert_error_below(names[i], "ok", ok, c.ok, n_ok);
        assert_error_below(names[i], "hk", hk, c.hk, n_hk);
        assert_error_below(names[i], "hv", hv, c.hv, n_hv);

        const size_t slices[] = {1, 7};
        for (size_t j = 0; j < COUNT(slices); j++) {
            float *o2 = copy_array(NULL, n_o), *hk2 = copy_array(c.hk0, n_hk), *hv2 = copy_array(c.hv0, n_hv);
            run_case(&c, slices[j], o2, NULL, hk2, hv2);
            assert_memory_equal(o2, o, n_o * sizeof *o);
            assert_memory_equal(hk2, hk, n_hk * sizeof *hk);
            assert_memory_equal(hv2, hv, n_hv * sizeof *hv);
            free(o2);
            free(hk2);
            free(hv2);
        }
        free(o);
        free(ok);
        free(hk);
        free(hv);
        goldens_free(file);
    }
    goldens_free_list(names);
}

/* One head, two slots, by hand: slot 0 forgets half and takes half, slot 1 is frozen. */
static void ref_gsa_hand_made_step_writes_then_reads(void **state)
{
    (void)state;
    const float q[] = {2}, k[] = {3}, v[] = {4}, s[] = {0.5f, 0}, g[] = {logf(0.5f), 0};
    float hk[] = {1, 0.5f}, hv[] = {2, -1}, o, ok[2];
    gsai_ref_gsa_args args = {.q = q, .k = k, .v = v, .s = s, .g = g, .hk = hk, .hv = hv, .o = &o, .ok = ok, .T = 1};

    args.H = args.G = args.K = args.V = 1;
    args.M = 2;
    args.scale = 0.25f;
    assert_int_equal(gsai_ref_gsa(&args, &heap), GSA_OK);
    assert_near(hk[0], 2, 1e-6); /* 0.5 * 1 + 0.5 * 3 */
    assert_near(hk[1], 0.5, 0);
    assert_near(ok[0], 0.25 * 2 * 2, 1e-6);
    assert_near(ok[1], 0.25 * 2 * 0.5, 1e-6);
    assert_near(hv[0], 3, 1e-6); /* 0.5 * 2 + 0.5 * 4 */
    assert_near(hv[1], -1, 0);
    const double p = 1 / (1 + exp(0.25 - 1.0));
    assert_near(o, p * 3 - (1 - p), 1e-6);
}

static void ref_gsa_huge_scores_do_not_overflow(void **state)
{
    (void)state;
    const float q[] = {1e20f}, k[] = {1e18f}, v[] = {1}, s[] = {1, 0.5f}, g[] = {-1000, 0};
    float hk[] = {1, 1}, hv[] = {5, 5}, o;
    gsai_ref_gsa_args args = {.q = q, .k = k, .v = v, .s = s, .g = g, .hk = hk, .hv = hv, .o = &o, .T = 1};

    args.H = args.G = args.K = args.V = 1;
    args.M = 2;
    args.scale = 1;
    assert_int_equal(gsai_ref_gsa(&args, &heap), GSA_OK);
    assert_near(o, 1, 0); /* all weight on slot 0, which forgot everything and took v */
}

static void *refuse(void *user, size_t size)
{
    (void)user;
    (void)size;
    return NULL;
}

static void ref_gsa_without_memory_reports_it(void **state)
{
    (void)state;
    gsa_allocator none = heap;
    none.alloc = refuse;
    const gsai_ref_gsa_args args = {.T = 1, .H = 1, .G = 1, .K = 1, .V = 1, .M = 1};
    assert_int_equal(gsai_ref_gsa(&args, &none), GSA_ERROR_HOST_MEMORY);
}

/* ---- matrices ---- */

/* A [rows, columns] tensor of the type holding values, starting at an odd address; bytes is what to free. */
static gsai_tensor make_tensor(gsai_type type, float *values, size_t rows, size_t columns, uint8_t **bytes)
{
    const size_t n = rows * columns, size = type == GSAI_F32 ? 4 : 2;
    gsai_tensor t = {.name = "w", .type = type, .n_dims = 2, .dims = {rows, columns}, .n_bytes = n * size};

    *bytes = malloc(n * size + 1);
    assert_non_null(*bytes);
    t.data = *bytes + 1;
    for (size_t i = 0; i < n; i++) {
        uint16_t h = 0;
        if (type == GSAI_F16) {
            h = gsai_float_to_f16(values[i]);
            values[i] = gsai_f16_to_float(h);
        } else if (type == GSAI_BF16) {
            h = gsai_float_to_bf16(values[i]);
            values[i] = gsai_bf16_to_float(h);
        }
        if (type == GSAI_F32)
            memcpy(*bytes + 1 + i * size, &values[i], size);
        else
            memcpy(*bytes + 1 + i * size, &h, size);
    }
    return t;
}

static gsa_status read_elsewhere(void *user, const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst)
{
    (void)t;
    memcpy(dst, (const uint8_t *)user + offset, size);
    return GSA_OK;
}

static gsa_status read_never(void *user, const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst)
{
    (void)user;
    (void)t;
    (void)offset;
    (void)size;
    (void)dst;
    return GSA_ERROR_FILE;
}

static void check_matmul(gsai_type type, size_t T, size_t N, size_t C)
{
    const size_t x_stride = C + 3, y_stride = N + 2;
    float *x = noise_array(T * x_stride, 1), *values = noise_array(N * C, 2);
    float *y = noise_array(T * y_stride, 3), *y1 = copy_array(y, T * y_stride), *y2 = copy_array(y, T * y_stride);
    uint8_t *bytes;
    gsai_tensor w = make_tensor(type, values, N, C, &bytes);

    assert_int_equal(gsai_ref_matmul(y, y_stride, x, x_stride, &w, T), GSA_OK);
    for (size_t t = 0; t < T; t++) {
        for (size_t n = 0; n < N; n++) {
            double sum = 0, size = 0;
            for (size_t c = 0; c < C; c++) {
                sum += (double)x[t * x_stride + c] * values[n * C + c];
                size += fabs((double)x[t * x_stride + c] * values[n * C + c]);
            }
            /* the result is rounded to float; the sums differ by some 1e-16 of the terms' sizes */
            if (!(fabs(y[t * y_stride + n] - sum) <= 6.1e-8 * fabs(sum) + 1e-13 * size))
                fail_msg("type %d, T %zu N %zu C %zu: y[%zu,%zu] is %.9g, expected %.9g", type, T, N, C, t, n,
                    y[t * y_stride + n], sum);
        }
        assert_memory_equal(y + t * y_stride + N, y1 + t * y_stride + N, 2 * sizeof *y); /* between rows: untouched */
    }

    for (size_t t = 0; t < T; t++)
        assert_int_equal(gsai_ref_matmul(y1 + t * y_stride, y_stride, x + t * x_stride, x_stride, &w, 1), GSA_OK);
    assert_memory_equal(y1, y, T * y_stride * sizeof *y);

    w.data = NULL;
    w.read = read_elsewhere;
    w.read_user = bytes + 1;
    assert_int_equal(gsai_ref_matmul(y2, y_stride, x, x_stride, &w, T), GSA_OK);
    assert_memory_equal(y2, y, T * y_stride * sizeof *y);

    w.read = read_never;
    assert_int_equal(gsai_ref_matmul(y2, y_stride, x, x_stride, &w, T), GSA_ERROR_FILE);

    free(x);
    free(values);
    free(y);
    free(y1);
    free(y2);
    free(bytes);
}

static void ref_matmul_any_shape_and_type_is_right(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{1, 1, 1}, {1, 5, 7}, {3, 2, 8}, {2, 3, 9}, {65, 3, 33}, {130, 2, 17},
        {2, 4, 1024}, {3, 2, 1025}, {1, 2, 3000}};

    for (int type = 0; type < GSAI_N_PLAIN_TYPES; type++)
        for (size_t i = 0; i < COUNT(shapes); i++)
            check_matmul((gsai_type)type, shapes[i][0], shapes[i][1], shapes[i][2]);
}

static void ref_embed_copies_rows(void **state)
{
    (void)state;
    const size_t n_vocab = 7, D = 5;
    const int32_t ids[] = {6, 0, 3, 3};

    for (int type = 0; type < GSAI_N_PLAIN_TYPES; type++) {
        float *values = noise_array(n_vocab * D, 4), x[COUNT(ids) * 5];
        uint8_t *bytes;
        const gsai_tensor embed = make_tensor((gsai_type)type, values, n_vocab, D, &bytes);

        assert_int_equal(gsai_ref_embed(x, &embed, ids, COUNT(ids)), GSA_OK);
        for (size_t t = 0; t < COUNT(ids); t++) assert_memory_equal(x + t * D, values + ids[t] * D, D * sizeof *x);
        free(values);
        free(bytes);
    }
}

static void ref_embed_id_outside_vocabulary_is_refused(void **state)
{
    (void)state;
    float values[6] = {0}, x[6];
    uint8_t *bytes;
    const gsai_tensor embed = make_tensor(GSAI_F32, values, 3, 2, &bytes);
    const int32_t bad[] = {-1, 3, INT32_MAX, INT32_MIN};

    for (size_t i = 0; i < COUNT(bad); i++) {
        const int32_t ids[] = {0, bad[i]};
        assert_int_equal(gsai_ref_embed(x, &embed, ids, 2), GSA_ERROR_ARGUMENT);
        assert_non_null(strstr(gsa_error_text(), "0 to 2"));
    }
    free(bytes);
}

/* ---- the rest ---- */

static void ref_rmsnorm_weighs_and_scales(void **state)
{
    (void)state;
    float x[] = {3, 4, 0, 0, 0, 0}; /* rows of 2 */
    const float w[] = {2, -1};
    float y[6];

    gsai_ref_rmsnorm(y, x, w, 3, 2, 0.5f);
    assert_near(y[0], 2 * 3 / sqrt(12.5 + 0.5), 1e-7);
    assert_near(y[1], -4 / sqrt(12.5 + 0.5), 1e-7);
    assert_near(y[2], 0, 0);

    gsai_ref_rmsnorm(x, x, NULL, 3, 2, 0.5f);
    assert_near(x[0], 3 / sqrt(12.5 + 0.5), 1e-7);
    assert_near(x[1], 4 / sqrt(12.5 + 0.5), 1e-7);
}

static void ref_conv1d_keeps_last_inputs(void **state)
{
    (void)state;
    /* two channels of three taps, rows 3 floats apart; the third column is not the op's */
    float x[] = {1, 10, 99, 2, 20, 99, 3, 30, 99, 4, 40, 99};
    const float w[] = {0.1f, 0.2f, 0.4f, 0, 0.01f, -0.01f};
    float past[] = {-7, 0.5f, 0.25f, -8, 0, 5};
    const double sums[] = {0.1 * 0.5 + 0.2 * 0.25 + 0.4, 0.01 * 5 - 0.1, 0.1 * 0.25 + 0.2 + 0.4 * 2, 0.1 - 0.2,
        0.1 * 1 + 0.2 * 2 + 0.4 * 3, 0.2 - 0.3, 0.1 * 2 + 0.2 * 3 + 0.4 * 4, 0.3 - 0.4};

    gsai_ref_conv1d(x, 3, w, past, 1, 2, 3);
    gsai_ref_conv1d(x + 3, 3, w, past, 3, 2, 3);
    for (size_t i = 0; i < 8; i++) assert_near(x[i / 2 * 3 + i % 2], sums[i] / (1 + exp(-sums[i])), 1e-6);
    for (size_t t = 0; t < 4; t++) assert_near(x[t * 3 + 2], 99, 0);
    const float last[] = {2, 3, 4, 20, 30, 40};
    assert_memory_equal(past, last, sizeof last);
}

static void ref_conv1d_one_tap_is_a_scaling(void **state)
{
    (void)state;
    float x[] = {2, -2}, w[] = {0.5f}, past[] = {9};

    gsai_ref_conv1d(x, 1, w, past, 2, 1, 1);
    assert_near(x[0], 1 / (1 + exp(-1)), 1e-7);
    assert_near(x[1], -1 / (1 + exp(1)), 1e-7);
    assert_near(past[0], -2, 0);
}

static void ref_feature_map_each_kind_is_right(void **state)
{
    (void)state;
    const float input[] = {1, -2, 0.5f, -0.5f, 77, 3, 0, -1, 2, 77}; /* two rows of two heads x 2, 5 floats apart */
    const float t2r[] = {1, 2, -1, 1};
    float x[10];

    memcpy(x, input, sizeof x);
    assert_int_equal(gsai_ref_feature_map(x, 5, 2, 2, 2, GSAI_FEATURE_SWISH, NULL), GSA_OK);
    for (size_t i = 0; i < 10; i++) assert_near(x[i], i % 5 == 4 ? 77 : input[i] / (1 + exp(-input[i])), 1e-7);

    memcpy(x, input, sizeof x);
    assert_int_equal(gsai_ref_feature_map(x, 5, 2, 2, 2, GSAI_FEATURE_RELU, NULL), GSA_OK);
    const float relu[] = {1, 0, 0.5f, 0, 77, 3, 0, 0, 2, 77};
    for (size_t i = 0; i < 10; i++) assert_near(x[i], relu[i], 0);

    memcpy(x, input, sizeof x);
    assert_int_equal(gsai_ref_feature_map(x, 5, 2, 2, 2, GSAI_FEATURE_T2R, t2r), GSA_OK);
    const float mapped[] = {0, 0, 0, 0, 77, 3, 0, 3, 3, 77};
    for (size_t i = 0; i < 10; i++) assert_near(x[i], mapped[i], 0);

    assert_int_equal(
        gsai_ref_feature_map(x, 5, 2, 1, GSAI_REF_MAX_T2R + 1, GSAI_FEATURE_T2R, t2r), GSA_ERROR_UNSUPPORTED);
}

static void ref_gate_extremes_keep_their_digits(void **state)
{
    (void)state;
    const float f[] = {0, 30, -1.5f, -100, 1e4f, -1e4f};
    const double want_g[] = {-0.08664339756999316, -1.1697028711049671e-14, -0.21267665974784405, -12.5, 0, -1250};
    const double want_s[] = {0.08299595679532876, 1.1697028711049603e-14, 0.1915825111238439, 0.999996273346828, 0, 1};
    float g[6], s[6];

    gsai_ref_gate(g, s, f, 6, 8);
    for (size_t i = 0; i < 6; i++) {
        assert_near(g[i], want_g[i], 1e-7);
        assert_near(s[i], want_s[i], 1e-7);
    }
}

static void ref_silu_known_values_match(void **state)
{
    (void)state;
    const float x[] = {1, -2, 0, -1000, 1000};
    float y[5];

    gsai_ref_silu(y, x, 5);
    assert_near(y[0], 0.7310585786300049, 1e-7);
    assert_near(y[1], -0.2384058440442351, 1e-7);
    assert_near(y[2], 0, 0);
    assert_near(y[3], 0, 0);
    assert_near(y[4], 1000, 0);
}

static void ref_swiglu_both_activations_match(void **state)
{
    (void)state;
    const float gate_up[] = {1, -2, 3, 0.5f, /* second row: */ 4, 0.25f, -1, 2};
    float y[4];

    gsai_ref_swiglu(y, gate_up, 2, 2, GSAI_FFN_SWISH);
    assert_near(y[0], 3 * 0.7310585786300049, 1e-7);
    assert_near(y[1], 0.5 * -0.2384058440442351, 1e-7);
    assert_near(y[2], -4 / (1 + exp(-4)), 1e-7);
    assert_near(y[3], 2 * 0.25 / (1 + exp(-0.25)), 1e-7);

    gsai_ref_swiglu(y, gate_up, 2, 2, GSAI_FFN_POWLU);
    assert_near(y[0], 3 * 0.7310585786300049, 1e-7); /* 1 to any power */
    assert_near(y[1], 0.5 * -0.2384058440442351, 1e-7);
    assert_near(y[2], -3.928055160151634, 1e-7);      /* 4^(3/3) sigmoid(4) */
    assert_near(y[3], 2 * 0.03513603130536238, 1e-7); /* 0.25^(3/1.5) sigmoid(0.25) */
}

static void ref_add_is_in_place(void **state)
{
    (void)state;
    float x[] = {1, 2, 3};
    const float y[] = {10, 20, 30};

    gsai_ref_add(x, y, 2);
    assert_near(x[0], 11, 0);
    assert_near(x[1], 22, 0);
    assert_near(x[2], 3, 0);
}

static void ref_argmax_ties_and_nan_follow_the_rule(void **state)
{
    (void)state;
    const float ties[] = {1, 3, 2, 3}, nan_first[] = {NAN, -5, NAN, -4}, all_nan[] = {NAN, NAN};
    const float low[] = {-INFINITY, -INFINITY};

    assert_int_equal(gsai_ref_argmax(ties, 4), 1);
    assert_int_equal(gsai_ref_argmax(ties, 1), 0);
    assert_int_equal(gsai_ref_argmax(nan_first, 4), 3);
    assert_int_equal(gsai_ref_argmax(nan_first, 2), 1);
    assert_int_equal(gsai_ref_argmax(low, 2), 0);
    assert_int_equal(gsai_ref_argmax(all_nan, 2), 0);
    assert_int_equal(gsai_ref_argmax(ties, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ref_gsa_golden_vectors_match),
        cmocka_unit_test(ref_gsa_hand_made_step_writes_then_reads),
        cmocka_unit_test(ref_gsa_huge_scores_do_not_overflow),
        cmocka_unit_test(ref_gsa_without_memory_reports_it),
        cmocka_unit_test(ref_matmul_any_shape_and_type_is_right),
        cmocka_unit_test(ref_embed_copies_rows),
        cmocka_unit_test(ref_embed_id_outside_vocabulary_is_refused),
        cmocka_unit_test(ref_rmsnorm_weighs_and_scales),
        cmocka_unit_test(ref_conv1d_keeps_last_inputs),
        cmocka_unit_test(ref_conv1d_one_tap_is_a_scaling),
        cmocka_unit_test(ref_feature_map_each_kind_is_right),
        cmocka_unit_test(ref_gate_extremes_keep_their_digits),
        cmocka_unit_test(ref_silu_known_values_match),
        cmocka_unit_test(ref_swiglu_both_activations_match),
        cmocka_unit_test(ref_add_is_in_place),
        cmocka_unit_test(ref_argmax_ties_and_nan_follow_the_rule),
    };
    heap = gsai_allocator_or_default(NULL);
    return cmocka_run_group_tests_name("ref_ops", tests, NULL, NULL);
}
