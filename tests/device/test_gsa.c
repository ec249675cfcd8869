/* The GSA recurrence on the device: golden vectors, odd shapes, and the promises about bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "mixer_check.h"

#include "ref/ref.h"
#include "support/goldens.h"

#include <math.h>

/* These are compiled anew for nearly every shape and use no subgroups, so wide vectors give them nothing to be wrong about:
 * where they compile slowly, two shapes are asked, and all on the other drivers. */
static void assert_op_of_many_shapes(const char *op)
{
    assert_op_briefly(op, 2);
}

/* The one dispatch stands in for the two where they are. */
static bool has_rows_kv(const char *one, const char *two)
{
    return gsai_variant_pick(dev, one) && gsai_variant_pick(dev, two);
}

static void gsa_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op_of_many_shapes("gsa_step_k");
    assert_op_of_many_shapes("gsa_step_v");
    if (gsai_variant_pick(dev, "gsa_rows_v")) { /* five buffers */
        assert_op_of_many_shapes("gsa_rows_k");
        assert_op_of_many_shapes("gsa_rows_v");
    }
    if (has_rows_kv("gsa_rows_kv", "gsa_rows_v")) assert_op_of_many_shapes("gsa_rows_kv");
    if (gsai_variant_pick(dev, "gsa_few_mix")) assert_op_of_many_shapes("gsa_few_mix");
    assert_op("gsa_chunk_gate");
    assert_op("gsa_chunk_scan");
    assert_op("gsa_chunk_read");
}

/* States of f16; needs 16-bit storage. */
static void gsa_half_states_known_questions_are_answered(void **state)
{
    (void)state;
    if (!gsai_variant_pick(dev, "gsa_step_k_half")) {
        assert_false(gsai_caps_has(&dev->caps, GSAI_CAP_STORAGE16));
        skip();
    }
    assert_op_of_many_shapes("gsa_step_v_half"); /* the questions are the same for both kernels */
    assert_op("gsa_chunk_scan_half");
    if (gsai_variant_pick(dev, "gsa_rows_v_half")) assert_op_of_many_shapes("gsa_rows_v_half");
    if (has_rows_kv("gsa_rows_kv_half", "gsa_rows_v_half")) assert_op_of_many_shapes("gsa_rows_kv_half");
}

static void gsa_cm_known_questions_are_answered(void **state)
{
    (void)state;
    if (!gsai_variant_pick(dev, "gsa_cm_read")) skip();
    assert_op("gsa_cm_read"); /* the questions are the same for all three kernels */
    assert_op("gsa_cm_chunks_half");
}

static void gsa_cm_that_holds_less_answers_too(void **state)
{
    (void)state;
    if (!gsai_variant_pick(dev, "gsa_cm_read")) skip();
    const bool few_registers = dev->caps.few_registers;
    dev->caps.few_registers = true;
    assert_op_briefly("gsa_cm_read", 1);
    dev->caps.few_registers = few_registers;
}

/* n: H, G, K, V, M, sessions, rows of the first, less of each next, gates, scale in hundredths, singly */
static void gsa_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case step[] = {
        {"H 9 G 3 K 17 V 16 M 8, 5 x 1", 1e-5, {9, 3, 17, 16, 8, 5, 1, 0, GSAI_GATES_USUAL, 100, 1}},
        {"H 16 G 2 K 128 V 128 M 64, 3 x 2", 1e-5, {16, 2, 128, 128, 64, 3, 2, 0, GSAI_GATES_MIXED, 25, 1}},
        {"H 3 G 3 K 60 V 200 M 130, 2 x 4", 1e-5, {3, 3, 60, 200, 130, 2, 4, 1, GSAI_GATES_KEEP, 100, 1}},
        {"H 2 G 1 K 16 V 70 M 4096, 1 x 1", 1e-5, {2, 1, 16, 70, 4096, 1, 1, 0, GSAI_GATES_USUAL, 100, 1}},
    };
    static const gsai_verify_case chunk[] = {
        {"H 8 G 2 K 130 V 66 M 8, 2 x 64", 1e-5, {8, 2, 130, 66, 8, 2, 64, 32, GSAI_GATES_USUAL, 100, 0}},
        {"H 2 G 2 K 60 V 48 M 64, 8 x 9..2", 1e-5, {2, 2, 60, 48, 64, 8, 9, 1, GSAI_GATES_MIXED, 25, 0}},
        {"H 3 G 3 K 20 V 140 M 65, 1 x 192", 1e-5, {3, 3, 20, 140, 65, 1, 192, 0, GSAI_GATES_FORGET, 100, 0}},
        {"H 2 G 1 K 16 V 30 M 2100, 1 x 20", 1e-5, {2, 1, 16, 30, 2100, 1, 20, 0, GSAI_GATES_MIXED, 100, 0}},
    };
    (void)state;
    assert_mixer_cases("gsa_step_v", step, N_OF(step));
    assert_mixer_cases("gsa_chunk_read", chunk, N_OF(chunk));
}

/* --- golden vectors --- */

static struct {
    const goldens *file;
    bool singly;
} golden;

static void copy_part(const gsai_check_mixer *m, uint32_t column, const golden_array *a)
{
    const uint32_t n = (uint32_t)(a->dims[2] * a->dims[3]);

    for (uint32_t t = 0; t < m->T; t++)
        memcpy(m->x + (uint64_t)t * m->columns.width + column, a->f + (uint64_t)t * n, n * sizeof *a->f);
}

static void run_golden(gsai_check *c, const gsai_verify_case *k)
{
    const golden_array *q = goldens_find(golden.file, "q"), *key = goldens_find(golden.file, "k");
    const golden_array *v = goldens_find(golden.file, "v"), *s = goldens_find(golden.file, "s");
    const golden_array *g = goldens_find(golden.file, "g"), *o = goldens_find(golden.file, "o");
    const golden_array *hk = goldens_find(golden.file, "hk"), *hv = goldens_find(golden.file, "hv");
    const golden_array *hk0 = goldens_find(golden.file, "hk0"), *hv0 = goldens_find(golden.file, "hv0");
    gsai_check_mixer m;

    (void)k;
    if (!q || !key || !v || !s || !g || !o || !hk || !hv) {
        gsai_check_fail(c);
        return;
    }
    const uint32_t B = (uint32_t)q->dims[0], T = (uint32_t)q->dims[1];
    const gsai_config config = {.n_layers = 1,
        .H = (uint32_t)q->dims[2],
        .G = (uint32_t)key->dims[2],
        .K = (uint32_t)q->dims[3],
        .V = (uint32_t)v->dims[3],
        .M = (uint32_t)s->dims[3],
        .scale = 1};
    if (!gsai_check_mixer_make(c, &config, B, T, 0, GSAI_GATES_USUAL, &m)) return;
    copy_part(&m, m.columns.q, q);
    copy_part(&m, m.columns.k, key);
    copy_part(&m, m.columns.v, v);
    copy_part(&m, m.columns.s, s);
    copy_part(&m, m.columns.g, g);

    float *want = gsai_check_alloc(c, m.n_slots * m.at.n_floats);
    if (!want) return;
    const uint64_t n_hk = (uint64_t)config.G * config.K * config.M, n_hv = (uint64_t)config.G * config.M * config.V;
    for (uint32_t b = 0; b < B; b++) {
        float *before = m.state + m.spans[b].slot * m.at.n_floats, *after = want + m.spans[b].slot * m.at.n_floats;
        memset(before, 0, m.at.n_floats * sizeof *before);
        if (hk0) memcpy(before + m.at.hk, hk0->f + b * n_hk, n_hk * sizeof *before);
        if (hv0) memcpy(before + m.at.hv, hv0->f + b * n_hv, n_hv * sizeof *before);
        memcpy(after + m.at.hk, hk->f + b * n_hk, n_hk * sizeof *after);
        memcpy(after + m.at.hv, hv->f + b * n_hv, n_hv * sizeof *after);
    }
    gsai_check_mixer_run(c, &m, golden.singly, o->f, want, NULL, NULL);
}

static void print_golden(void *user, const gsa_verify_row *row)
{
    count_row(user, row);
    print_message("%-40s %s: %.2g\n", row->shape, golden.singly ? "token by token" : "in chunks", row->error);
}

/* f32 sums of a few hundred terms and states rounded once per token: measured below 1e-6. */
static void gsa_golden_vectors_match(void **state)
{
    char folder[2048], path[4096];
    uint32_t n_rows = 0, n_files = 0, n_failed = 0;

    (void)state;
    assert_true(goldens_path(folder, sizeof folder, "ops"));
    char **names = goldens_list(folder, ".safetensors");
    if (!names[0]) fail_msg("%s holds no golden vectors", folder);
    for (; names[n_files]; n_files++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[n_files]);
        goldens *file = goldens_load(path);
        assert_non_null(file);
        golden.file = file;
        const gsai_verify_case k = {names[n_files], 1e-5, {0}};
        for (int singly = 0; singly < 2; singly++) {
            const gsai_verify_set set = {singly ? "gsa_step_v" : "gsa_chunk_read", run_golden, &k, 1, 0};
            uint32_t failed = 0;
            golden.singly = singly;
            assert_int_equal(gsai_ops_verify_set(dev, &set, print_golden, &n_rows, &failed), GSA_OK);
            n_failed += failed;
        }
        goldens_free(file);
    }
    goldens_free_list(names);
    assert_int_equal(n_failed, 0);
    assert_true(n_rows > 0);
}

/* --- bits --- */

/* n: H, G, K, V, M, gates, then the pieces, 0 */
static void run_pieces(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {
        .n_layers = 1, .H = k->n[0], .G = k->n[1], .K = k->n[2], .V = k->n[3], .M = k->n[4], .scale = 1};
    const uint32_t width = config.H * config.V;
    uint32_t T = 0;
    gsai_check_mixer m;

    for (uint32_t i = 6; k->n[i]; i++) T += k->n[i];
    if (!gsai_check_mixer_make(c, &config, 1, T, 0, (gsai_check_gates)k->n[5], &m)) return;
    const uint64_t n_o = (uint64_t)T * width, n_state = m.n_slots * m.at.n_floats;
    float *whole = gsai_check_alloc(c, n_o), *whole_state = gsai_check_alloc(c, n_state);
    float *pieces = gsai_check_alloc(c, n_o), *state = gsai_check_alloc(c, n_state);
    if (!whole || !whole_state || !pieces || !state) return;

    gsai_check_mixer_run(c, &m, false, NULL, NULL, whole, whole_state);
    memcpy(state, m.state, n_state * sizeof *state);
    for (uint32_t i = 6, t = 0; k->n[i]; t += k->n[i++]) {
        gsai_check_span span;
        const gsai_check_mixer piece = mixer_slice(&m, &span, t, k->n[i], state);
        gsai_check_mixer_run(c, &piece, false, NULL, NULL, pieces + (uint64_t)t * width, state);
    }
    if (memcmp(pieces, whole, n_o * sizeof *whole) != 0) gsai_check_fail(c);
    if (memcmp(state, whole_state, n_state * sizeof *state) != 0) gsai_check_fail(c);
}

/* A chunk's bits depend on the chunk and the state before it: cuts between chunks change nothing. */
static void gsa_pieces_cut_between_chunks_give_the_same_bits(void **state)
{
    static const gsai_verify_case cases[] = {
        {"200 = 64 + 128 + 8", 0, {4, 2, 60, 48, 64, GSAI_GATES_USUAL, 64, 128, 8}},
        {"193 = 128 + 64 + 1", 0, {2, 2, 33, 70, 100, GSAI_GATES_MIXED, 128, 64, 1}},
        {"148 = 64 + 64 + 20", 0, {2, 1, 32, 32, 16, GSAI_GATES_KEEP, 64, 64, 20}},
    };
    static const gsai_verify_case matrix[] = {
        {"200 = 64 + 128 + 8", 0, {4, 2, 64, 64, 32, GSAI_GATES_USUAL, 64, 128, 8}},
        {"340 = 256 + 64 + 20", 0, {2, 1, 64, 64, 32, GSAI_GATES_MIXED, 256, 64, 20}},
    };
    (void)state;
    assert_set("gsa_chunk_read", run_pieces, cases, N_OF(cases), 0);
    if (gsai_variant_pick(dev, "gsa_cm_read")) {
        assert_set("gsa_cm_read", run_pieces, matrix, N_OF(matrix), 0);
        assert_set("gsa_cm_chunks_half", run_pieces, matrix, 1, 0);
    }
    if (gsai_variant_pick(dev, "gsa_step_k_half")) assert_set("gsa_chunk_scan_half", run_pieces, cases, N_OF(cases), 0);
}

/* A session alone and among others: n as above, then sessions, rows, less */
static void run_company(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {
        .n_layers = 1, .H = k->n[0], .G = k->n[1], .K = k->n[2], .V = k->n[3], .M = k->n[4], .scale = 1};
    const uint32_t width = config.H * config.V;
    gsai_check_mixer m;

    if (!gsai_check_mixer_make(c, &config, k->n[6], k->n[7], k->n[8], (gsai_check_gates)k->n[5], &m)) return;
    const uint64_t n_o = (uint64_t)m.T * width, n_state = m.n_slots * m.at.n_floats;
    float *all = gsai_check_alloc(c, n_o), *all_state = gsai_check_alloc(c, n_state);
    float *one = gsai_check_alloc(c, n_o), *one_state = gsai_check_alloc(c, n_state);
    if (!all || !all_state || !one || !one_state) return;

    gsai_check_mixer_run(c, &m, false, NULL, NULL, all, all_state);
    for (uint32_t i = 0; i < m.n_spans; i += m.n_spans / 3) {
        const gsai_check_span at = m.spans[i];
        const uint64_t slot = at.slot * m.at.n_floats;
        gsai_check_span span = {at.slot, 0, at.n_rows};
        gsai_check_mixer alone = m;
        alone.x = m.x + (uint64_t)at.first_row * m.columns.width;
        alone.T = at.n_rows;
        alone.n_spans = 1;
        alone.spans = &span;
        gsai_check_mixer_run(c, &alone, false, NULL, NULL, one, one_state);
        if (memcmp(one, all + (uint64_t)at.first_row * width, (uint64_t)at.n_rows * width * 4) != 0) gsai_check_fail(c);
        if (memcmp(one_state + slot, all_state + slot, m.at.n_floats * 4) != 0) gsai_check_fail(c);
    }
}

static void gsa_company_never_changes_the_bits(void **state)
{
    static const gsai_verify_case step[] = {
        {"200 x 1", 0, {4, 2, 64, 64, 32, GSAI_GATES_USUAL, 200, 1, 0}},
        {"9 x 1, M 100", 0, {3, 1, 70, 130, 100, GSAI_GATES_MIXED, 9, 1, 0}},
    };
    static const gsai_verify_case chunk[] = {
        {"5 x 137..9", 0, {4, 2, 60, 48, 64, GSAI_GATES_USUAL, 5, 137, 32}},
        {"6 x 8..3, M 100", 0, {2, 1, 33, 70, 100, GSAI_GATES_MIXED, 6, 8, 1}},
    };
    static const gsai_verify_case matrix[] = {{"5 x 137..9", 0, {4, 2, 64, 64, 32, GSAI_GATES_USUAL, 5, 137, 32}}};
    static const gsai_verify_case rows[] = {
        {"6 x 8..3, M 64", 0, {2, 1, 33, 72, 64, GSAI_GATES_MIXED, 6, 8, 1}},
        {"200 x 1, M 32", 0, {4, 2, 64, 64, 32, GSAI_GATES_USUAL, 200, 1, 0}},
    };
    (void)state;
    if (gsai_variant_pick(dev, "gsa_rows_v")) assert_set("gsa_rows_v", run_company, rows, N_OF(rows), 0);
    assert_set("gsa_step_v", run_company, step, N_OF(step), 0);
    assert_set("gsa_chunk_read", run_company, chunk, N_OF(chunk), 0);
    if (gsai_variant_pick(dev, "gsa_cm_read")) assert_set("gsa_cm_read", run_company, matrix, N_OF(matrix), 0);
}

/* n as above, then sessions; what the one dispatch gave is kept for the two. */
static float kept_rows[1u << 20];
static uint64_t n_kept_rows;

static void run_one_dispatch_and_two(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {.n_layers = 1,
        .H = k->n[0],
        .G = k->n[1],
        .K = k->n[2],
        .V = k->n[3],
        .M = k->n[4],
        .scale = 1,
        .gate_normalizer = 8};
    gsai_check_mixer m;

    if (!gsai_check_mixer_make(c, &config, k->n[6], 1, 0, (gsai_check_gates)k->n[5], &m)) return;
    m.projections = true;
    const uint64_t n_o = (uint64_t)m.T * config.H * config.V, n = n_o + m.n_slots * m.at.n_floats;
    float *got = gsai_check_alloc(c, n);
    if (!got || n > N_OF(kept_rows)) {
        gsai_check_fail(c);
        return;
    }
    gsai_check_mixer_run(c, &m, false, NULL, NULL, got, got + n_o);
    if (strncmp(gsai_check_op(c), "gsa_rows_kv", 11) == 0) {
        memcpy(kept_rows, got, n * sizeof *got);
        n_kept_rows = n;
    } else if (n != n_kept_rows || memcmp(kept_rows, got, n * sizeof *got) != 0) {
        gsai_check_fail(c);
    }
}

static void gsa_rows_have_the_same_bits_in_one_dispatch_and_in_two(void **state)
{
    static const gsai_verify_case cases[] = {
        {"5 x 1, M 64", 0, {4, 2, 128, 192, 64, GSAI_GATES_MIXED, 5}},
        {"3 x 1, M 32", 0, {3, 1, 256, 512, 32, GSAI_GATES_USUAL, 3}},
    };
    static const char *const ops[][2] = {{"gsa_rows_kv", "gsa_rows_v"}, {"gsa_rows_kv_half", "gsa_rows_v_half"}};
    bool asked = false;
    (void)state;
    for (size_t i = 0; i < N_OF(ops); i++) {
        if (!has_rows_kv(ops[i][0], ops[i][1])) continue;
        asked = true;
        for (size_t k = 0; k < N_OF(cases); k++) {
            assert_set(ops[i][0], run_one_dispatch_and_two, &cases[k], 1, 0);
            assert_set(ops[i][1], run_one_dispatch_and_two, &cases[k], 1, 0);
        }
    }
    if (!asked) skip();
}

/* --- 4,096 tokens and gates that are hard to bear --- */

typedef enum hard_gates { GATES_OPEN, GATES_SHUT, GATES_ALTERNATE, GATES_ONE, GATES_ANY } hard_gates;

static float hard_gate(hard_gates gates, uint32_t t, float usual)
{
    switch (gates) {
    case GATES_OPEN:
        return -1e-6f;
    case GATES_SHUT:
        return -50;
    case GATES_ALTERNATE:
        return t % 2 ? -50 : -1e-6f;
    case GATES_ONE:
        return t == 2100 ? -50 : -1e-3f;
    default:
        return usual;
    }
}

/* The recurrence of one head in doubles, no rounding on the way. state: [hk | hv] after the last row. */
static void recur(gsai_check *c, const gsai_check_mixer *m, float *o, float *state)
{
    const gsai_config *f = &m->config;
    const uint32_t K = f->K, V = f->V, M = f->M, n = M * (K + V);
    double *h = (double *)gsai_check_alloc(c, 2ull * (n + M)), *p = h + n;
    if (!h) return;
    for (uint32_t i = 0; i < n; i++) h[i] = state[i];
    for (uint32_t t = 0; t < m->T; t++) {
        const float *x = m->x + (uint64_t)t * m->columns.width, *q = x, *k = x + K, *v = k + K, *g = v + V, *s = g + M;
        double largest = -INFINITY, sum = 0;
        for (uint32_t j = 0; j < M; j++) {
            const double decay = exp((double)g[j]);
            p[j] = 0;
            for (uint32_t i = 0; i < K; i++) {
                h[i * M + j] = decay * h[i * M + j] + (double)s[j] * k[i];
                p[j] += (double)f->scale * q[i] * h[i * M + j];
            }
            for (uint32_t i = 0; i < V; i++) {
                double *at = &h[K * M + j * V + i];
                *at = decay * *at + (double)s[j] * v[i];
            }
            if (p[j] > largest) largest = p[j];
        }
        for (uint32_t j = 0; j < M; j++) sum += p[j] = exp(p[j] - largest);
        for (uint32_t i = 0; i < V; i++) {
            double value = 0;
            for (uint32_t j = 0; j < M; j++) value += p[j] / sum * h[K * M + j * V + i];
            o[(uint64_t)t * V + i] = (float)value;
        }
    }
    for (uint32_t i = 0; i < n; i++) state[i] = (float)h[i];
}

/* n: K, V, M, T, gates */
static void run_hard_gates(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {.n_layers = 1, .H = 1, .G = 1, .K = k->n[0], .V = k->n[1], .M = k->n[2], .scale = 0.3f};
    const uint32_t T = k->n[3];
    gsai_check_mixer m;

    if (!gsai_check_mixer_make(c, &config, 1, T, 0, GSAI_GATES_USUAL, &m)) return;
    for (uint32_t t = 0; t < T; t++)
        for (uint32_t i = 0; i < config.M; i++) {
            float *g = m.x + (uint64_t)t * m.columns.width + m.columns.g + i;
            *g = hard_gate((hard_gates)k->n[4], t, *g);
            g[config.M] = -expm1f(*g);
        }
    const uint64_t n_state = m.n_slots * m.at.n_floats;
    float *want = gsai_check_alloc(c, (uint64_t)T * config.V), *after = gsai_check_alloc(c, n_state);
    if (!want || !after) return;
    memcpy(after, m.state, n_state * sizeof *after);
    recur(c, &m, want, after + m.spans[0].slot * m.at.n_floats);
    gsai_check_mixer_run(c, &m, false, want, after, NULL, NULL);
}

static void print_hard(void *user, const gsa_verify_row *row)
{
    count_row(user, row);
    print_message("%-28s %-16s %.2g\n", row->shape, row->variant, row->error);
}

static void gsa_hard_gates_match_over_4096_tokens(void **state)
{
    static const struct {
        const char *op;
        double tolerance;
    } forms[] = {{"gsa_chunk_read", 1e-5}, {"gsa_cm_read", 1e-3}};
    (void)state;
    for (size_t i = 0; i < N_OF(forms); i++) {
        const double tolerance = forms[i].tolerance;
        const gsai_verify_case cases[] = {
            {"K 64 V 64, all near 0", tolerance, {64, 64, 64, 4096, GATES_OPEN}},
            {"K 64 V 64, all at -50", tolerance, {64, 64, 64, 4096, GATES_SHUT}},
            {"K 64 V 64, alternating", tolerance, {64, 64, 64, 4096, GATES_ALTERNATE}},
            {"K 64 V 64, one of -50", tolerance, {64, 64, 64, 4096, GATES_ONE}},
            {"K 128 V 128, T 2048, usual", tolerance, {128, 128, 64, 2048, GATES_ANY}},
        };
        const gsai_verify_set set = {forms[i].op, run_hard_gates, cases, N_OF(cases), 0};
        uint32_t n_rows = 0, n_failed = 0;
        if (!gsai_variant_pick(dev, forms[i].op)) continue;
        assert_int_equal(gsai_ops_verify_set(dev, &set, print_hard, &n_rows, &n_failed), GSA_OK);
        assert_int_equal(n_failed, 0);
        assert_asked(n_rows);
    }
}

/* --- long memory --- */

/* Gates that forget a hundred-thousandth per token, n[0] tokens of a constant key and value: what is stored approaches
 * s k (1 - a^T) / (1 - a) = k (1 - a^T), which a decay rounded to f32 would miss by (its rounding) T / 2: up to 3e-4. */
static void run_long_memory(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {.n_layers = 1, .H = 1, .G = 1, .K = 4, .V = 4, .M = 16, .scale = 1};
    const uint32_t T = k->n[0];
    gsai_check_mixer m;

    if (!gsai_check_mixer_make(c, &config, 1, T, 0, GSAI_GATES_USUAL, &m)) return;
    for (uint32_t t = 0; t < T; t++) {
        float *row = m.x + (uint64_t)t * m.columns.width;
        for (uint32_t i = 0; i < config.M; i++) {
            row[m.columns.g + i] = -1e-5f * (1 + 0.1f * (float)i);
            row[m.columns.s + i] = -expm1f(row[m.columns.g + i]);
        }
        for (uint32_t i = 0; i < 4; i++) row[m.columns.k + i] = row[m.columns.v + i] = 1 + (float)i;
    }
    float *want = gsai_check_alloc(c, m.n_slots * m.at.n_floats);
    if (!want) return;
    memset(m.state, 0, m.n_slots * m.at.n_floats * sizeof *want);
    for (uint32_t i = 0; i < config.M; i++) {
        const double reached = -expm1((double)m.x[m.columns.g + i] * T);
        float *slot = want + m.spans[0].slot * m.at.n_floats;
        for (uint32_t j = 0; j < 4; j++)
            slot[m.at.hk + j * config.M + i] = slot[m.at.hv + i * 4 + j] = (float)(reached * (1 + j));
    }
    gsai_check_mixer_run(c, &m, k->n[1] != 0, NULL, want, NULL, NULL);
}

static void gsa_long_memory_does_not_drift(void **state)
{
    static const gsai_verify_case chunk[] = {{"20000 tokens", 2e-6, {20000, 0}}};
    static const gsai_verify_case step[] = {{"600 tokens", 2e-6, {600, 1}}};
    (void)state;
    assert_set("gsa_chunk_scan", run_long_memory, chunk, 1, 0);
    assert_set("gsa_step_k", run_long_memory, step, 1, 0);
}

static void gsa_too_little_scratch_is_refused(void **state)
{
    const gsai_config config = {.n_layers = 1, .H = 2, .G = 2, .K = 8, .V = 8, .M = 8, .scale = 1};
    const uint32_t width = 2 * (8 + 8 + 8 + 8 + 8);
    gsai_buffer buffer;
    gsai_recorder *r = NULL;
    gsai_plan plan;

    (void)state;
    assert_int_equal(gsai_buffer_create(dev, 65536, GSAI_MEMORY_DEVICE, &buffer), GSA_OK);
    const gsai_range all = {&buffer, 0, 65536};
    const gsai_qkvf x = {.rows = {all, 0, width}, .k = 16, .v = 32, .g = 48, .s = 64, .width = width};
    const gsai_state at = {all, gsai_config_layer_state(&config, 0)};
    const gsai_work work = {.range = all, .n_spans = 1, .n_chunks = 1, .n_rows = 20, .rows = GSAI_ROWS_MANY};
    const uint64_t need = gsai_gsa_scratch_floats(&config, 1, 20) * 4;
    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    gsai_op_gsa(r, &config, (gsai_rows){all, 0, 16}, &x, &at, &work, (gsai_range){&buffer, 0, need - 4}, false);
    assert_int_equal(gsai_recorder_finish(r, &plan), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "scratch"));
    gsai_buffer_destroy(dev, &buffer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gsa_cm_known_questions_are_answered),
    cmocka_unit_test(gsa_cm_that_holds_less_answers_too),
    cmocka_unit_test(gsa_known_questions_are_answered),
    cmocka_unit_test(gsa_half_states_known_questions_are_answered),
    cmocka_unit_test(gsa_other_shapes_match_the_reference),
    cmocka_unit_test(gsa_golden_vectors_match),
    cmocka_unit_test(gsa_pieces_cut_between_chunks_give_the_same_bits),
    cmocka_unit_test(gsa_company_never_changes_the_bits),
    cmocka_unit_test(gsa_rows_have_the_same_bits_in_one_dispatch_and_in_two),
    cmocka_unit_test(gsa_hard_gates_match_over_4096_tokens),
    cmocka_unit_test(gsa_long_memory_does_not_drift),
    cmocka_unit_test(gsa_too_little_scratch_is_refused),
};
OPS_MAIN(tests)
