/* Known questions for the kernels of the mixer. The first case of a set is its self-test. */
#include "ops/check.h"
#include "ops/verify_mixer.h"

#include "ops/mixer.h"

#include "ref/ref.h"
#include "util/half.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

/* Sums of up to a thousand f32 terms in another order than the reference's doubles; measured below 2e-6. */
#define TOLERANCE 1e-5

/* --- gate: n = G, M, T, 1 / scale of f in hundredths, normalizer --- */

static void run_gate(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[2], n = k->n[0] * k->n[1];
    const gsai_config config = {.G = k->n[0], .M = k->n[1], .gate_normalizer = (float)k->n[4]};
    const gsai_qkvf columns = {.g = 3, .s = 3 + n, .width = 3 + 2 * n};
    float *x = gsai_check_random(c, (uint64_t)T * columns.width, k->n[3] / 100.0f, false);
    float *g = gsai_check_alloc(c, (uint64_t)T * n), *s = gsai_check_alloc(c, (uint64_t)T * n);
    float *want = gsai_check_alloc(c, (uint64_t)T * columns.width);
    gsai_qkvf args = columns;

    if (!x || !g || !s || !want) return;
    memcpy(want, x, (uint64_t)T * columns.width * sizeof *x);
    for (uint32_t t = 0; t < T; t++) {
        float *row = want + (uint64_t)t * columns.width;
        gsai_ref_gate(g + (uint64_t)t * n, s + (uint64_t)t * n, row + columns.g, n, config.gate_normalizer);
        memcpy(row + columns.g, g + (uint64_t)t * n, n * sizeof *row);
        memcpy(row + columns.s, s + (uint64_t)t * n, n * sizeof *row);
    }
    args.rows = gsai_check_rows(c, x, T, columns.width, GSAI_CHECK_INOUT);
    gsai_op_gate(gsai_check_begin(c), &config, &args, &args, T);
    if (gsai_check_end(c) != GSA_OK) return;
    gsai_check_compare_rows(c, args.rows, want, T, columns.width);

    /* Each value by itself: tiny ones count as much as large ones. */
    const float *got = gsai_check_data(c, args.rows.range);
    for (uint32_t t = 0; got && t < T; t++) {
        const float *row = got + args.rows.offset + (uint64_t)t * args.rows.stride;
        for (uint32_t i = 0; i < n; i++) {
            const float pair[2] = {g[(uint64_t)t * n + i], s[(uint64_t)t * n + i]};
            if (fabsf(row[columns.g + i] - pair[0]) > 1e-6f * fabsf(pair[0]) + 1e-37f) gsai_check_fail(c);
            if (fabsf(row[columns.s + i] - pair[1]) > 1e-6f * fabsf(pair[1]) + 1e-37f) gsai_check_fail(c);
        }
    }
}

static const gsai_verify_case gate_cases[] = {
    {"G 2 M 32 T 5, |f| < 8, / 8", 1e-6, {2, 32, 5, 800, 8}},
    {"G 3 M 60 T 70, |f| < 100, / 8", 1e-6, {3, 60, 70, 10000, 8}},
    {"G 1 M 17 T 300, |f| < 20, / 1", 1e-6, {1, 17, 300, 2000, 1}},
};

/* --- feature_map, t2r: n = H, G, K, V, T, map --- */

static void run_feature_map(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t H = k->n[0], G = k->n[1], K = k->n[2], V = k->n[3], T = k->n[4];
    const gsai_config config = {.H = H, .G = G, .K = K, .V = V, .feature_map = (gsai_feature_map)k->n[5]};
    const bool is_t2r = config.feature_map == GSAI_FEATURE_T2R;
    const gsai_qkvf columns = {.q = 1, .k = 1 + H * K, .v = 1 + (H + G) * K, .width = 2 + (H + G) * K + G * V};
    float *x = gsai_check_random(c, (uint64_t)T * columns.width, 6, false);
    float *w = is_t2r ? gsai_check_random(c, (uint64_t)K * K, 1, false) : NULL;
    float *want = gsai_check_alloc(c, (uint64_t)T * columns.width);
    gsai_qkvf args = columns;

    if (!x || !want || (is_t2r && !w)) return;
    memcpy(want, x, (uint64_t)T * columns.width * sizeof *x);
    gsai_check_status(c, gsai_ref_feature_map(want + columns.q, columns.width, T, H, K, config.feature_map, w));
    gsai_check_status(c, gsai_ref_feature_map(want + columns.k, columns.width, T, G, K, config.feature_map, w));
    gsai_check_status(c, gsai_ref_feature_map(want + columns.v, columns.width, T, G, V, GSAI_FEATURE_SWISH, NULL));

    args.rows = gsai_check_rows(c, x, T, columns.width, GSAI_CHECK_INOUT);
    const gsai_vector t2r = is_t2r ? gsai_check_place(c, w, (uint64_t)K * K * 4, GSAI_CHECK_IN) : (gsai_vector){0};
    gsai_op_feature_map(gsai_check_begin(c), &config, &args, t2r, T);
    if (gsai_check_end(c) != GSA_OK) return;
    gsai_check_compare_rows(c, args.rows, want, T, columns.width);
}

static const gsai_verify_case feature_map_cases[] = {
    {"swish, H 4 G 2 K 24 V 20 T 3", 1e-6, {4, 2, 24, 20, 3, GSAI_FEATURE_SWISH}},
    {"relu, H 4 G 4 K 30 V 50 T 17", 1e-6, {4, 4, 30, 50, 17, GSAI_FEATURE_RELU}},
    {"swish, H 6 G 3 K 60 V 96 T 130", 1e-6, {6, 3, 60, 96, 130, GSAI_FEATURE_SWISH}},
};

static const gsai_verify_case t2r_cases[] = {
    {"H 4 G 4 K 24 V 24 T 3", TOLERANCE, {4, 4, 24, 24, 3, GSAI_FEATURE_T2R}},
    {"H 6 G 2 K 60 V 30 T 40", TOLERANCE, {6, 2, 60, 30, 40, GSAI_FEATURE_T2R}},
    {"H 1 G 1 K 640 V 16 T 2", TOLERANCE, {1, 1, 640, 16, 2, GSAI_FEATURE_T2R}},
};

/* --- conv1d: n = H, G, K, V, W, sessions, rows of the first, less of each next, singly --- */

static void conv_part(const gsai_check_mixer *m, const gsai_check_span *span, float *x, uint32_t column, uint32_t n,
    const float *taps, float *state)
{
    gsai_ref_conv1d(x + (uint64_t)span->first_row * m->columns.width + column, m->columns.width, taps, state,
        span->n_rows, n, m->config.W);
}

static void run_conv1d(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {
        .n_layers = 1, .H = k->n[0], .G = k->n[1], .K = k->n[2], .V = k->n[3], .M = 4, .W = k->n[4]};
    const uint32_t n_q = config.H * config.K, n_k = config.G * config.K, n_v = config.G * config.V, W = config.W;
    gsai_check_mixer m;

    if (!gsai_check_mixer_make(c, &config, k->n[5], k->n[6], k->n[7], GSAI_GATES_USUAL, &m)) return;
    const uint64_t n_x = (uint64_t)m.T * m.columns.width, n_state = m.n_slots * m.at.n_floats;
    float *taps = gsai_check_random(c, (uint64_t)(n_q + n_k + n_v) * W, 1, false);
    float *want = gsai_check_alloc(c, n_x), *after = gsai_check_alloc(c, n_state);
    if (!taps || !want || !after) return;

    /* columns that the op does not write keep what they held */
    for (uint64_t i = 0; i < n_x; i++) want[i] = m.x[i];
    memcpy(after, m.state, n_state * sizeof *after);
    for (uint32_t i = 0; i < m.n_spans; i++) {
        float *slot = after + m.spans[i].slot * m.at.n_floats;
        conv_part(&m, &m.spans[i], want, m.columns.q, n_q, taps, slot + m.at.conv_q);
        conv_part(&m, &m.spans[i], want, m.columns.k, n_k, taps + (uint64_t)n_q * W, slot + m.at.conv_k);
        conv_part(&m, &m.spans[i], want, m.columns.v, n_v, taps + (uint64_t)(n_q + n_k) * W, slot + m.at.conv_v);
    }

    gsai_qkvf in = m.columns, out = m.columns;
    in.rows = gsai_check_rows(c, m.x, m.T, in.width, GSAI_CHECK_IN);
    out.rows = gsai_check_rows(c, m.x, m.T, out.width, GSAI_CHECK_INOUT);
    const gsai_vector w = gsai_check_place(c, taps, (uint64_t)(n_q + n_k + n_v) * W * 4, GSAI_CHECK_IN);
    const gsai_state state = {gsai_check_place(c, m.state, n_state * 4, GSAI_CHECK_INOUT), m.at};
    const gsai_check_works works = gsai_check_cut(c, m.spans, m.n_spans, k->n[8] != 0);
    gsai_recorder *r = gsai_check_begin(c);
    for (uint32_t i = 0; i < works.n; i++) gsai_op_conv1d(r, &config, &out, &in, w, &state, &works.work[i]);
    if (gsai_check_end(c) != GSA_OK) return;
    gsai_check_compare_rows(c, out.rows, want, m.T, out.width);
    const float *got = gsai_check_data(c, state.range);
    if (got && memcmp(got, after, n_state * sizeof *got) != 0) gsai_check_fail(c); /* inputs are only moved */
}

static const gsai_verify_case conv1d_cases[] = {
    {"H 4 G 2 K 16 V 24 W 4, 2 x 70", 1e-6, {4, 2, 16, 24, 4, 2, 70, 3, 0}},
    {"H 2 G 2 K 30 V 50 W 3, 5 x 6..2", 1e-6, {2, 2, 30, 50, 3, 5, 6, 1, 0}},
    {"H 2 G 1 K 60 V 33 W 4, 3 x 1", 1e-6, {2, 1, 60, 33, 4, 3, 1, 0, 0}},
    {"H 1 G 1 K 9 V 7 W 64, 3 x 135..1", 1e-6, {1, 1, 9, 7, 64, 3, 135, 67, 0}},
    {"H 2 G 2 K 16 V 16 W 4, 2 x 5, row by row", 1e-6, {2, 2, 16, 16, 4, 2, 5, 0, 1}},
    {"H 2 G 2 K 16 V 16 W 1, 2 x 20", 1e-6, {2, 2, 16, 16, 1, 2, 20, 9, 0}},
};

/* --- gsa: n = H, G, K, V, M, sessions, rows of the first, less of each next, gates, scale in hundredths, singly,
 *     from projections: 0 no, 1 swish, 2 relu --- */

/* The same pass with maps and gates made beforehand, for the reference. */
static bool make_inputs(gsai_check *c, const gsai_check_mixer *m, gsai_check_mixer *out)
{
    const gsai_config *f = &m->config;
    const gsai_qkvf *at = &m->columns;
    const uint64_t n = (uint64_t)m->T * at->width;
    float *x = gsai_check_alloc(c, n);

    if (!x) return false;
    memcpy(x, m->x, n * sizeof *x);
    gsai_check_status(c, gsai_ref_feature_map(x + at->q, at->width, m->T, f->H, f->K, f->feature_map, NULL));
    gsai_check_status(c, gsai_ref_feature_map(x + at->k, at->width, m->T, f->G, f->K, f->feature_map, NULL));
    gsai_check_status(c, gsai_ref_feature_map(x + at->v, at->width, m->T, f->G, f->V, GSAI_FEATURE_SWISH, NULL));
    for (uint32_t t = 0; t < m->T; t++) {
        float *row = x + (uint64_t)t * at->width;
        gsai_ref_gate(
            row + at->g, row + at->s, m->x + (uint64_t)t * at->width + at->g, (size_t)f->G * f->M, f->gate_normalizer);
    }
    *out = *m;
    out->x = x;
    return true;
}

static void run_projections(gsai_check *c, const gsai_verify_case *k, gsai_config config)
{
    gsai_check_mixer m, inputs;
    float *state;

    config.feature_map = k->n[11] == 2 ? GSAI_FEATURE_RELU : GSAI_FEATURE_SWISH;
    config.gate_normalizer = 8;
    if (!gsai_check_mixer_make(c, &config, k->n[5], k->n[6], k->n[7], (gsai_check_gates)k->n[8], &m)) return;
    m.projections = true;
    if (!make_inputs(c, &m, &inputs)) return;
    if (strncmp(gsai_check_op(c), "gsa_cm_", 7) == 0) { /* they take q k v with their maps, as f16 */
        for (uint32_t t = 0; t < m.T; t++)
            for (uint32_t i = 0; i < m.columns.g; i++) {
                float *x = &inputs.x[(uint64_t)t * m.columns.width + i];
                *x = gsai_f16_to_float(gsai_float_to_f16(*x));
            }
        m.mapped = inputs.x;
    }
    float *o = gsai_check_mixer_reference(c, &inputs, &state);
    if (!o) return;
    gsai_ref_silu(o, o, (size_t)m.T * config.H * config.V);
    gsai_check_mixer_run(c, &m, k->n[10] != 0, o, state, NULL, NULL);
}

static void run_gsa(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {
        .n_layers = 1, .H = k->n[0], .G = k->n[1], .K = k->n[2], .V = k->n[3], .M = k->n[4], .scale = k->n[9] / 100.0f};
    gsai_check_mixer m;
    float *state;

    for (uint32_t i = 0; i < 4; i++) {
        static const char *const pairs[4][2] = {{"gsa_rows_k", "gsa_rows_v"}, {"gsa_rows_k_half", "gsa_rows_v_half"},
            {"gsa_rows_kv", "gsa_rows_v"}, {"gsa_rows_kv_half", "gsa_rows_v_half"}};
        if (strcmp(gsai_check_op(c), pairs[i][0]) == 0 && !gsai_variant_pick(gsai_check_device(c), pairs[i][1])) {
            c->skipped = true; /* never used alone */
            return;
        }
    }
    if (k->n[11] != 0) {
        run_projections(c, k, config);
        return;
    }
    if (!gsai_check_mixer_make(c, &config, k->n[5], k->n[6], k->n[7], (gsai_check_gates)k->n[8], &m)) return;
    const float *o = gsai_check_mixer_reference(c, &m, &state);
    if (o) gsai_check_mixer_run(c, &m, k->n[10] != 0, o, state, NULL, NULL);
}

/* --- the whole step: n = H, G, K, V, M, sessions, idle one, width of the residual stream, map (1 swish, 2 relu), or
 *     instead of sessions rows of one chunk --- */

/* Session i in slot n_slots - 1 - i; its state [hk | hv] and the projections of its row in, the state and o out. */
static void whole_step_reference(gsai_check *c, const gsai_check_mixer *m, float *o)
{
    gsai_check_mixer inputs;
    float *after = NULL;
    if (!make_inputs(c, m, &inputs)) return;
    const float *made = gsai_check_mixer_reference(c, &inputs, &after);
    if (!made) return;
    gsai_ref_silu(o, made, (size_t)m->T * m->config.H * m->config.V);
    memcpy(m->state, after, m->n_slots * m->at.n_floats * sizeof *after);
}

static void run_whole_step(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {.n_layers = 1,
        .H = k->n[0],
        .G = k->n[1],
        .K = k->n[2],
        .V = k->n[3],
        .M = k->n[4],
        .scale = 0.7f,
        .gate_normalizer = 8,
        .feature_map = k->n[8] == 2 ? GSAI_FEATURE_RELU : GSAI_FEATURE_SWISH};
    const uint32_t T = k->n[5] + k->n[9], D = k->n[7], idle = k->n[6], width = config.H * config.V;
    const uint32_t n_chunks = k->n[9] ? 1 : T, chunk_rows = T / n_chunks;
    gsai_check_mixer m;
    gsai_tensor tensor;
    if (!gsai_check_mixer_make(c, &config, n_chunks, chunk_rows, 0, GSAI_GATES_USUAL, &m)) return;
    const uint32_t n_rows = m.columns.s; /* projections without the strengths */
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), n_rows, D, n_rows, 0.3f, &tensor);
    float *x = gsai_check_random(c, (uint64_t)T * D, 2, false), *norm = gsai_check_random(c, D, 2, false);
    float *h = gsai_check_alloc(c, (uint64_t)T * D), *z = gsai_check_alloc(c, (uint64_t)T * n_rows);
    float *want = gsai_check_alloc(c, (uint64_t)T * width), *held = gsai_check_alloc(c, m.at.n_floats);
    uint32_t *words = (uint32_t *)gsai_check_alloc(c, 4 + 4ull * T);
    if (!x || !norm || !h || !z || !want || !held || !words) return;

    const gsai_rows rx = gsai_check_rows(c, x, T, D, GSAI_CHECK_IN);
    gsai_qkvf projected = m.columns;
    projected.rows = gsai_check_rows(c, NULL, T, m.columns.width, GSAI_CHECK_OUT);
    const gsai_rows o = gsai_check_rows(c, NULL, T, width, GSAI_CHECK_OUT);
    const gsai_vector weights = gsai_check_place(c, norm, D * 4ull, GSAI_CHECK_IN);
    const gsai_state state = {gsai_check_place(c, m.state, m.n_slots * m.at.n_floats * 4, GSAI_CHECK_INOUT), m.at};
    for (uint32_t i = 0; i < n_chunks; i++) {
        uint32_t *chunk = words + 4 + GSA_WORK_STRIDE * i;
        chunk[0] = i;
        chunk[1] = i + 1 != idle ? chunk_rows : 0;
        chunk[2] = m.spans[i].slot;
    }
    const gsai_table table = gsai_check_table(c, words, 4 + GSA_WORK_STRIDE * T);
    const gsai_row_class rows = k->n[9] ? GSAI_ROWS_FEW : GSAI_ROWS_ONE;
    const gsai_work work = {table.range, table.base, table.base + 4, 1, n_chunks, T, rows};
    const gsai_range scratch = gsai_check_place(c, NULL, gsai_gsa_step_floats(&config, T, T) * 4, GSAI_CHECK_OUT);
    const gsai_norm_matmul_args qkvf = {.y = projected.rows,
        .x = rx,
        .norm = weights,
        .eps = 1e-5f,
        .w = &w,
        .T = T,
        .rows = GSAI_ROWS_ONE,
        .label = "step known question"};
    const gsai_step_args args = {&config, &qkvf, &projected, o, &state, &work, scratch};
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    if (!gsai_op_gsa_whole_step(r, &args)) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_UNSUPPORTED, "the whole step does not take this shape"));
        gsai_check_end(c);
        return;
    }
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_ref_rmsnorm(h, x, norm, T, D, 1e-5f);
    gsai_check_status(c, gsai_ref_matmul(z, n_rows, h, D, &tensor, T));
    for (uint32_t t = 0; t < T; t++)
        memcpy(m.x + (uint64_t)t * m.columns.width, z + (uint64_t)t * n_rows, n_rows * sizeof *z);
    m.projections = true;
    float *idle_state = idle ? m.state + m.spans[idle - 1].slot * m.at.n_floats : NULL;
    if (idle) memcpy(held, idle_state, m.at.n_floats * sizeof *held);
    whole_step_reference(c, &m, want);
    if (idle) memcpy(idle_state, held, m.at.n_floats * sizeof *held);
    const float *got = gsai_check_data(c, o.range), *after = gsai_check_data(c, state.range);
    if (!got || !after) return;
    for (uint32_t t = 0; t < T; t++)
        if (t + 1 != idle)
            gsai_check_compare(c, got + o.offset + (uint64_t)t * o.stride, want + (uint64_t)t * width, width);
    for (uint32_t i = 0; i < m.n_slots; i++)
        gsai_check_compare(c, after + i * m.at.n_floats, m.state + i * m.at.n_floats, m.at.n_floats);
}

static const gsai_verify_case whole_step_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16 D 64, 3 sessions", TOLERANCE, {4, 2, 32, 48, 16, 3, 0, 64, 1}},
    {"H 4 G 4 K 64 V 60 M 64 D 256, 5 sessions, one idle, relu", TOLERANCE, {4, 4, 64, 60, 64, 5, 2, 256, 2}},
    {"H 8 G 1 K 16 V 16 M 128 D 96, 11 sessions, one idle", TOLERANCE, {8, 1, 16, 16, 128, 11, 9, 96, 1}},
    {"H 2 G 2 K 512 V 512 M 64 D 128, 1 session", TOLERANCE, {2, 2, 512, 512, 64, 1, 0, 128, 1}},
    {"H 4 G 1 K 128 V 128 M 60 D 512, 2 sessions", TOLERANCE, {4, 1, 128, 128, 60, 2, 0, 512, 1}},
};

static const gsai_verify_case few_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16 D 64, 2 rows", TOLERANCE, {4, 2, 32, 48, 16, 0, 0, 64, 1, 2}},
    {"H 4 G 4 K 512 V 60 M 64 D 256, 3 rows, relu", TOLERANCE, {4, 4, 512, 60, 64, 0, 0, 256, 2, 3}},
    {"H 4 G 2 K 256 V 32 M 60 D 96, 4 rows", TOLERANCE, {4, 2, 256, 32, 60, 0, 0, 96, 1, 4}},
    {"H 2 G 1 K 1024 V 16 M 128 D 132, 2 rows", TOLERANCE, {2, 1, 1024, 16, 128, 0, 0, 132, 1, 2}},
};

/* For the kernels of one-row chunks: every row is a chunk. */
static const gsai_verify_case step_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16, 3 x 2", TOLERANCE, {4, 2, 32, 48, 16, 3, 2, 0, GSAI_GATES_USUAL, 100, 1}},
    {"H 4 G 4 K 60 V 48 M 64, 2 x 5..1", TOLERANCE, {4, 4, 60, 48, 64, 2, 5, 4, GSAI_GATES_MIXED, 100, 1}},
    {"H 2 G 2 K 128 V 130 M 128, 2 x 3", TOLERANCE, {2, 2, 128, 130, 128, 2, 3, 0, GSAI_GATES_KEEP, 70, 1}},
    {"H 12 G 1 K 20 V 17 M 60, 2 x 3", TOLERANCE, {12, 1, 20, 17, 60, 2, 3, 1, GSAI_GATES_FORGET, 100, 1}},
    {"H 5 G 1 K 33 V 40 M 512, 1 x 2", TOLERANCE, {5, 1, 33, 40, 512, 1, 2, 0, GSAI_GATES_USUAL, 100, 1}},
    {"H 2 G 1 K 8 V 9 M 2100, 1 x 2", TOLERANCE, {2, 1, 8, 9, 2100, 1, 2, 0, GSAI_GATES_MIXED, 100, 1}},
    {"H 1 G 1 K 1 V 1 M 1, 2 x 2", TOLERANCE, {1, 1, 1, 1, 1, 2, 2, 0, GSAI_GATES_USUAL, 100, 1}},
    {"H 4 G 4 K 512 V 512 M 64, 1 x 2", TOLERANCE, {4, 4, 512, 512, 64, 1, 2, 0, GSAI_GATES_USUAL, 100, 1}},
    {"H 4 G 1 K 64 V 64 M 64, 40 x 1", TOLERANCE, {4, 1, 64, 64, 64, 40, 1, 0, GSAI_GATES_USUAL, 100, 1}},
    {"H 4 G 2 K 60 V 48 M 64, 3 x 2, from projections", TOLERANCE,
        {4, 2, 60, 48, 64, 3, 2, 0, GSAI_GATES_USUAL, 100, 1, 1}},
    {"H 5 G 1 K 33 V 40 M 512, 2 x 2, from projections, relu", TOLERANCE,
        {5, 1, 33, 40, 512, 2, 2, 0, GSAI_GATES_MIXED, 100, 1, 2}},
};

static const gsai_verify_case chunk_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16, 2 x 70..50", TOLERANCE, {4, 2, 32, 48, 16, 2, 70, 20, GSAI_GATES_USUAL, 100, 0}},
    {"H 4 G 4 K 60 V 48 M 64, 3 x 130..2", TOLERANCE, {4, 4, 60, 48, 64, 3, 130, 64, GSAI_GATES_MIXED, 100, 0}},
    {"H 2 G 2 K 128 V 130 M 128, 1 x 63", TOLERANCE, {2, 2, 128, 130, 128, 1, 63, 0, GSAI_GATES_KEEP, 70, 0}},
    {"H 4 G 1 K 20 V 17 M 60, 9 x 17..2", TOLERANCE, {4, 1, 20, 17, 60, 9, 17, 2, GSAI_GATES_FORGET, 100, 0}},
    {"H 3 G 1 K 33 V 40 M 512, 1 x 68", TOLERANCE, {3, 1, 33, 40, 512, 1, 68, 0, GSAI_GATES_USUAL, 100, 0}},
    {"H 1 G 1 K 1 V 1 M 1, 2 x 33", TOLERANCE, {1, 1, 1, 1, 1, 2, 33, 1, GSAI_GATES_USUAL, 100, 0}},
    {"H 2 G 1 K 80 V 90 M 30, 2 x 200", TOLERANCE, {2, 1, 80, 90, 30, 2, 200, 0, GSAI_GATES_KEEP, 100, 0}},
    {"H 1 G 1 K 512 V 512 M 64, 1 x 64", TOLERANCE, {1, 1, 512, 512, 64, 1, 64, 0, GSAI_GATES_USUAL, 100, 0}},
};

/* Shapes that matrix units take, products of f16. Tails are of the plain kernels where they are short. */
#define TOLERANCE_HALF 1e-3
static const gsai_verify_case cm_cases[] = {
    {"H 4 G 2 K 64 V 64 M 32, 2 x 74..50", TOLERANCE_HALF, {4, 2, 64, 64, 32, 2, 74, 24, GSAI_GATES_USUAL, 100, 0}},
    {"H 2 G 2 K 128 V 64 M 64, 3 x 140..12", TOLERANCE_HALF, {2, 2, 128, 64, 64, 3, 140, 64, GSAI_GATES_MIXED, 20, 0}},
    {"H 2 G 1 K 64 V 192 M 64, 1 x 63", TOLERANCE_HALF, {2, 1, 64, 192, 64, 1, 63, 0, GSAI_GATES_KEEP, 70, 0}},
    {"H 4 G 1 K 64 V 64 M 32, 4 x 27..9", TOLERANCE_HALF, {4, 1, 64, 64, 32, 4, 27, 6, GSAI_GATES_FORGET, 30, 0}},
    {"H 4 G 2 K 64 V 128 M 64, 2 x 128, from projections", TOLERANCE_HALF,
        {4, 2, 64, 128, 64, 2, 128, 0, GSAI_GATES_USUAL, 20, 0, 1}},
    {"H 2 G 2 K 64 V 64 M 64, 2 x 75..65, from projections, relu", TOLERANCE_HALF,
        {2, 2, 64, 64, 64, 2, 75, 0, GSAI_GATES_MIXED, 20, 0, 2}},
    {"H 1 G 1 K 512 V 512 M 64, 1 x 256", TOLERANCE_HALF, {1, 1, 512, 512, 64, 1, 256, 0, GSAI_GATES_MIXED, 5, 0}},
};

static const gsai_verify_case whole_step_block_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16 D 256, 3 sessions", TOLERANCE, {4, 2, 32, 48, 16, 3, 0, 256, 1}},
    {"H 4 G 4 K 64 V 60 M 64 D 512, 5 sessions, one idle", TOLERANCE, {4, 4, 64, 60, 64, 5, 2, 512, 2}},
};

/* Chunks of a few rows. */
static const gsai_verify_case rows_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16, 3 x 7..3", TOLERANCE, {4, 2, 32, 48, 16, 3, 7, 2, GSAI_GATES_USUAL, 100, 0}},
    {"H 4 G 4 K 60 V 48 M 64, 1 x 8", TOLERANCE, {4, 4, 60, 48, 64, 1, 8, 0, GSAI_GATES_MIXED, 100, 0}},
    {"H 2 G 2 K 128 V 132 M 128, 2 x 3", TOLERANCE, {2, 2, 128, 132, 128, 2, 3, 0, GSAI_GATES_KEEP, 70, 0}},
    {"H 4 G 1 K 20 V 20 M 256, 1 x 2", TOLERANCE, {4, 1, 20, 20, 256, 1, 2, 0, GSAI_GATES_FORGET, 100, 0}},
    {"H 3 G 1 K 33 V 40 M 32, 2 x 5, from projections", TOLERANCE,
        {3, 1, 33, 40, 32, 2, 5, 0, GSAI_GATES_USUAL, 100, 0, 1}},
    {"H 2 G 2 K 512 V 512 M 64, 1 x 4, from projections, relu", TOLERANCE,
        {2, 2, 512, 512, 64, 1, 4, 0, GSAI_GATES_MIXED, 5, 0, 2}},
    {"H 4 G 1 K 64 V 64 M 64, 40 x 1, from projections", TOLERANCE,
        {4, 1, 64, 64, 64, 40, 1, 0, GSAI_GATES_USUAL, 100, 0, 1}},
};

/* Single tokens in one dispatch: tiles that divide evenly. */
static const gsai_verify_case rows_kv_cases[] = {
    {"H 2 G 1 K 64 V 128 M 64, 3 x 1, from projections", TOLERANCE,
        {2, 1, 64, 128, 64, 3, 1, 0, GSAI_GATES_USUAL, 100, 0, 1}},
    {"H 2 G 2 K 256 V 128 M 128, 5 x 1", TOLERANCE, {2, 2, 256, 128, 128, 5, 1, 0, GSAI_GATES_MIXED, 70, 0}},
    {"H 4 G 1 K 256 V 512 M 16, 2 x 1", TOLERANCE, {4, 1, 256, 512, 16, 2, 1, 0, GSAI_GATES_KEEP, 100, 0}},
    {"H 2 G 2 K 512 V 512 M 64, 4 x 1, from projections, relu", TOLERANCE,
        {2, 2, 512, 512, 64, 4, 1, 0, GSAI_GATES_USUAL, 5, 0, 2}},
};

/* States of f16. Now and then a sum lies so near the middle between two of them that the reference takes the other one,
 * which is off by their distance: a thousandth of that element. Measured below 3e-5; truncation would miss by 5e-4. */
#define TOLERANCE_STATE 1e-4
static const gsai_verify_case step_half_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16, 3 x 2, f16", TOLERANCE_STATE, {4, 2, 32, 48, 16, 3, 2, 0, GSAI_GATES_USUAL, 100, 1}},
    {"H 4 G 4 K 60 V 47 M 63, 2 x 5..1, f16", TOLERANCE_STATE, {4, 4, 60, 47, 63, 2, 5, 4, GSAI_GATES_MIXED, 100, 1}},
    {"H 5 G 1 K 33 V 40 M 512, 2 x 2, from projections, relu, f16", TOLERANCE_STATE,
        {5, 1, 33, 40, 512, 2, 2, 0, GSAI_GATES_MIXED, 100, 1, 2}},
};
static const gsai_verify_case rows_half_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16, 3 x 7..3, f16", TOLERANCE_STATE, {4, 2, 32, 48, 16, 3, 7, 2, GSAI_GATES_USUAL, 100, 0}},
    {"H 4 G 1 K 64 V 64 M 64, 40 x 1, from projections, f16", TOLERANCE_STATE,
        {4, 1, 64, 64, 64, 40, 1, 0, GSAI_GATES_USUAL, 100, 0, 1}},
};
static const gsai_verify_case rows_kv_half_cases[] = {
    {"H 2 G 1 K 64 V 128 M 64, 3 x 1, from projections, f16", TOLERANCE_STATE,
        {2, 1, 64, 128, 64, 3, 1, 0, GSAI_GATES_USUAL, 100, 0, 1}},
};
static const gsai_verify_case chunk_half_cases[] = {
    {"H 4 G 2 K 32 V 48 M 16, 2 x 70..50, f16", TOLERANCE_STATE,
        {4, 2, 32, 48, 16, 2, 70, 20, GSAI_GATES_USUAL, 100, 0}},
    {"H 3 G 1 K 33 V 45 M 61, 1 x 200, f16", TOLERANCE_STATE, {3, 1, 33, 45, 61, 1, 200, 0, GSAI_GATES_KEEP, 100, 0}},
};
static const gsai_verify_case cm_half_cases[] = {
    {"H 4 G 2 K 64 V 64 M 32, 2 x 140..74, f16", TOLERANCE_HALF,
        {4, 2, 64, 64, 32, 2, 140, 66, GSAI_GATES_USUAL, 100, 0}},
};

#define SET(OP, RUN, CASES)                                                                                            \
    {                                                                                                                  \
        OP, RUN, CASES, sizeof CASES / sizeof *CASES, 0                                                                \
    }
#define STEP_SET(TYPE, CASES, ARG)                                                                                     \
    {                                                                                                                  \
        "staged_" TYPE, run_whole_step, CASES, sizeof CASES / sizeof *CASES, ARG                                       \
    }
const gsai_verify_set gsai_verify_gsa[] = {
    SET("gate", run_gate, gate_cases),
    SET("feature_map", run_feature_map, feature_map_cases),
    SET("t2r", run_feature_map, t2r_cases),
    SET("conv1d_past", run_conv1d, conv1d_cases),
    SET("conv1d", run_conv1d, conv1d_cases),
    SET("conv1d_state", run_conv1d, conv1d_cases),
    SET("gsa_step_k", run_gsa, step_cases),
    SET("gsa_step_v", run_gsa, step_cases),
    SET("gsa_step_mix", run_whole_step, whole_step_cases),
    SET("gsa_few_mix", run_whole_step, few_cases),
    STEP_SET("step_f32", whole_step_cases, GSAI_F32),
    STEP_SET("step_f16", whole_step_cases, GSAI_F16),
    STEP_SET("step_bf16", whole_step_cases, GSAI_BF16),
    STEP_SET("step_q8_0", whole_step_block_cases, GSAI_Q8_0),
    STEP_SET("step_q4_0", whole_step_block_cases, GSAI_Q4_0),
    STEP_SET("step_q4_k", whole_step_block_cases, GSAI_Q4_K),
    STEP_SET("step_q6_k", whole_step_block_cases, GSAI_Q6_K),
    STEP_SET("dots_step_q8_0", whole_step_block_cases, GSAI_Q8_0),
    STEP_SET("dots_step_q4_0", whole_step_block_cases, GSAI_Q4_0),
    SET("gsa_rows_k", run_gsa, rows_cases),
    SET("gsa_rows_v", run_gsa, rows_cases),
    SET("gsa_rows_kv", run_gsa, rows_kv_cases),
    SET("gsa_step_k_half", run_gsa, step_half_cases),
    SET("gsa_step_v_half", run_gsa, step_half_cases),
    SET("gsa_rows_k_half", run_gsa, rows_half_cases),
    SET("gsa_rows_v_half", run_gsa, rows_half_cases),
    SET("gsa_rows_kv_half", run_gsa, rows_kv_half_cases),
    SET("gsa_chunk_gate", run_gsa, chunk_cases),
    SET("gsa_chunk_scan", run_gsa, chunk_cases),
    SET("gsa_chunk_scan_half", run_gsa, chunk_half_cases),
    SET("gsa_chunk_read", run_gsa, chunk_cases),
    SET("gsa_cm_prepare", run_gsa, cm_cases),
    SET("gsa_cm_chunks", run_gsa, cm_cases),
    SET("gsa_cm_chunks_half", run_gsa, cm_half_cases),
    SET("gsa_cm_read", run_gsa, cm_cases),
};
const uint32_t gsai_n_verify_gsa = sizeof gsai_verify_gsa / sizeof *gsai_verify_gsa;
