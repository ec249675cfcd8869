/* Known questions for the resident step: a small model of two layers, one token of a session with a past. Where the number
 * of cores is known the dispatch has the workgroups that it will have in earnest. */
#include "ops/check.h"
#include "ops/mixer.h"
#include "ops/resident.h"

#include "ref/ref.h"

#include <string.h>

#define TOLERANCE 2e-5 /* as of the ops it is made of, two layers deep */
#define LAYERS    2u
#define N_SLOTS   3u

/* n = H, G, K, V, M, D, F, map (1 swish, 2 relu), ffn_act */
typedef struct small_model {
    gsai_config c;
    gsai_tensor tensors[LAYERS][4];
    gsai_matrix matrices[LAYERS][4];
    const float *norms[LAYERS][3];
    gsai_resident_layer layers[LAYERS];
} small_model;

static bool make_model(gsai_check *c, const gsai_verify_case *k, small_model *m)
{
    *m = (small_model){.c = {.n_layers = LAYERS,
                           .H = k->n[0],
                           .G = k->n[1],
                           .K = k->n[2],
                           .V = k->n[3],
                           .M = k->n[4],
                           .D = k->n[5],
                           .F = k->n[6],
                           .feature_map = k->n[7] == 2 ? GSAI_FEATURE_RELU : GSAI_FEATURE_SWISH,
                           .ffn_act = (gsai_ffn_act)k->n[8],
                           .scale = 0.7f,
                           .norm_eps = 1e-6f,
                           .g_norm_eps = 1e-5f,
                           .gate_normalizer = 8}};
    const gsai_config *f = &m->c;
    const uint32_t rows[4] = {f->H * f->K + f->G * (f->K + f->V + f->M), f->D, 2 * f->F, f->D};
    const uint32_t columns[4] = {f->D, f->H * f->V, f->D, f->F}, widths[3] = {f->D, f->H * f->V, f->D};
    for (uint32_t l = 0; l < LAYERS; l++) {
        gsai_resident_layer *layer = &m->layers[l];
        const gsai_matrix **of_layer[4] = {&layer->qkvf, &layer->o, &layer->gate_up, &layer->down};
        gsai_vector *norms[3] = {&layer->attn_norm, &layer->g_norm, &layer->ffn_norm};
        for (uint32_t i = 0; i < 4; i++) {
            m->matrices[l][i] = gsai_check_matrix(
                c, (gsai_type)gsai_check_arg(c), rows[i], columns[i], rows[i], 0.3f, &m->tensors[l][i]);
            if (!m->matrices[l][i].parts) return false;
            *of_layer[i] = &m->matrices[l][i];
        }
        for (uint32_t i = 0; i < 3; i++) {
            float *norm = gsai_check_random(c, widths[i], 2, false);
            if (!norm) return false;
            m->norms[l][i] = norm;
            if (i != 1 || l == 0) *norms[i] = gsai_check_place(c, norm, widths[i] * 4ull, GSAI_CHECK_IN);
            if (i == 1 && l > 0) m->norms[l][i] = NULL; /* a norm without weights, too */
        }
    }
    return true;
}

/* x [D] and the layers' states, each [hk | hv], changed as a token changes them. */
static bool reference(gsai_check *c, const small_model *m, float *x, float *const *states)
{
    const gsai_config *f = &m->c;
    const gsai_layer_state at = gsai_config_layer_state(f, 0);
    const uint32_t q = 0, k = f->H * f->K, v = k + f->G * f->K, g = v + f->G * f->V, n = g + f->G * f->M;
    float *h = gsai_check_alloc(c, f->D + f->F), *z = gsai_check_alloc(c, n + f->G * f->M);
    float *o = gsai_check_alloc(c, f->H * f->V), *wide = gsai_check_alloc(c, 2ull * f->F);
    if (!h || !z || !o || !wide) return false;
    for (uint32_t l = 0; l < LAYERS; l++) {
        float *s = z + n;
        gsai_ref_rmsnorm(h, x, m->norms[l][0], 1, f->D, f->norm_eps);
        gsai_check_status(c, gsai_ref_matmul(z, n, h, f->D, &m->tensors[l][0], 1));
        gsai_check_status(c, gsai_ref_feature_map(z + q, n, 1, f->H, f->K, f->feature_map, NULL));
        gsai_check_status(c, gsai_ref_feature_map(z + k, n, 1, f->G, f->K, f->feature_map, NULL));
        gsai_check_status(c, gsai_ref_feature_map(z + v, n, 1, f->G, f->V, GSAI_FEATURE_SWISH, NULL));
        gsai_ref_gate(z + g, s, z + g, (size_t)f->G * f->M, f->gate_normalizer);
        const gsai_ref_gsa_args step = {.q = z + q,
            .k = z + k,
            .v = z + v,
            .g = z + g,
            .s = s,
            .hk = states[l] + at.hk,
            .hv = states[l] + at.hv,
            .o = o,
            .T = 1,
            .H = f->H,
            .G = f->G,
            .K = f->K,
            .V = f->V,
            .M = f->M,
            .scale = f->scale};
        gsai_check_status(c, gsai_ref_gsa(&step, &c->dev->allocator));
        gsai_ref_silu(o, o, (size_t)f->H * f->V);
        gsai_ref_rmsnorm(o, o, m->norms[l][1], 1, (size_t)f->H * f->V, f->g_norm_eps);
        gsai_check_status(c, gsai_ref_matmul(h, f->D, o, f->H * f->V, &m->tensors[l][1], 1));
        gsai_ref_add(x, h, f->D);
        gsai_ref_rmsnorm(h, x, m->norms[l][2], 1, f->D, f->norm_eps);
        gsai_check_status(c, gsai_ref_matmul(wide, 2ull * f->F, h, f->D, &m->tensors[l][2], 1));
        gsai_ref_swiglu(h, wide, 1, f->F, f->ffn_act);
        gsai_check_status(c, gsai_ref_matmul(wide, f->D, h, f->F, &m->tensors[l][3], 1));
        gsai_ref_add(x, wide, f->D);
    }
    return c->status == GSA_OK;
}

/* The question itself; post is memory of the device, where workgroups can tell each other. */
static void ask(gsai_check *c, small_model *m, const gsai_resident_shape *shape, const gsai_buffer *post)
{
    const gsai_config *f = &m->c;
    const gsai_layer_state at = gsai_config_layer_state(f, 0);
    const uint32_t slot = 1;
    const uint64_t n_list = gsai_resident_table_uints(gsai_resident_told(shape), shape->n_groups, f);
    float *x = gsai_check_random(c, f->D, 2, false), *states[LAYERS];
    uint32_t *words = (uint32_t *)gsai_check_alloc(c, GSA_WORK_STRIDE);
    uint32_t *list = (uint32_t *)gsai_check_alloc(c, n_list);
    if (!x || !words || !list) return;
    words[1] = 1;
    words[2] = slot;
    for (uint32_t l = 0; l < LAYERS; l++) {
        float *all = gsai_check_random(c, N_SLOTS * at.n_floats, 1, false);
        if (!all) return;
        states[l] = all + slot * at.n_floats;
        m->layers[l].state = gsai_check_place(c, all, N_SLOTS * at.n_floats * 4, GSAI_CHECK_INOUT);
    }
    const gsai_rows residual = gsai_check_rows(c, x, 1, f->D, GSAI_CHECK_INOUT);
    const gsai_range chunks = gsai_check_place(c, words, GSA_WORK_STRIDE * 4, GSAI_CHECK_IN);
    const gsai_range spare = gsai_check_place(c, NULL, LAYERS * at.n_floats * 4, GSAI_CHECK_OUT);
    if (c->status != GSA_OK || c->skipped) return;
    gsai_resident_table_fill(shape, f, m->layers, NULL, list);
    const gsai_work work = {chunks, 0, 0, 1, 1, 1, GSAI_ROWS_ONE};
    const gsai_resident_args args = {.shape = shape,
        .config = f,
        .x = residual,
        .table = gsai_check_place(c, list, n_list * 4, GSAI_CHECK_IN),
        .post = {post, 0, post->size},
        .state = at,
        .work = &work};
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_recorder_fill_zero(r, args.post);
    gsai_op_resident_keep(r, &args, spare);
    gsai_op_resident(r, &args);
    if (gsai_check_end(c) != GSA_OK) return;

    for (uint32_t l = 0; l < LAYERS; l++) { /* the copy is of the states before */
        const float *kept = gsai_check_data(c, spare);
        if (kept && memcmp(kept + l * at.n_floats, states[l], at.n_floats * 4) != 0) gsai_check_fail(c);
    }
    if (!reference(c, m, x, states)) return;
    gsai_check_compare_rows(c, residual, x, 1, f->D);
    for (uint32_t l = 0; l < LAYERS; l++) {
        const float *got = gsai_check_data(c, m->layers[l].state);
        if (got) gsai_check_compare(c, got + slot * at.n_floats, states[l], at.n_floats);
    }
}

static void run_resident(gsai_check *c, const gsai_verify_case *k)
{
    small_model m;
    gsai_resident_shape shape;
    gsai_buffer post = {0};
    if (!make_model(c, k, &m)) return;
    const bool dots = strncmp(gsai_check_op(c), "resident_dots", 13) == 0;
    const gsa_status status =
        gsai_resident_choose(c->dev, &m.c, m.layers, NULL, 1, dots ? GSAI_RESIDENT_DOTS : GSAI_RESIDENT_FLOATS, &shape);
    if (status != GSA_OK) {
        c->skipped = true;
        return;
    }
    gsai_check_status(
        c, gsai_buffer_create(c->dev, gsai_resident_post_words(&m.c, shape.lanes) * 4, GSAI_MEMORY_DEVICE, &post));
    if (c->status == GSA_OK) ask(c, &m, &shape, &post);
    gsai_buffer_destroy(c->dev, &post);
}

static const gsai_verify_case cases[] = {
    {"H 4 G 2 K 32 V 48 M 16 D 64 F 96", TOLERANCE, {4, 2, 32, 48, 16, 64, 96, 1, GSAI_FFN_SWISH}},
    {"H 4 G 4 K 64 V 60 M 60 D 256 F 200, relu, powlu", TOLERANCE, {4, 4, 64, 60, 60, 256, 200, 2, GSAI_FFN_POWLU}},
};

static const gsai_verify_case block_cases[] = {
    {"H 4 G 2 K 32 V 64 M 16 D 256 F 256", TOLERANCE, {4, 2, 32, 64, 16, 256, 256, 1, GSAI_FFN_SWISH}},
};
/* Rows that end within a quad of units. */
static const gsai_verify_case small_block_cases[] = {
    {"H 4 G 2 K 32 V 64 M 16 D 256 F 256", TOLERANCE, {4, 2, 32, 64, 16, 256, 256, 1, GSAI_FFN_SWISH}},
    {"H 4 G 2 K 32 V 40 M 16 D 96 F 224", TOLERANCE, {4, 2, 32, 40, 16, 96, 224, 1, GSAI_FFN_SWISH}},
};

#define SET(TYPE, CASES, ARG)                                                                                          \
    {                                                                                                                  \
        "resident_" TYPE, run_resident, CASES, sizeof CASES / sizeof *CASES, ARG                                       \
    }
const gsai_verify_set gsai_verify_resident[] = {
    {"resident_keep", run_resident, cases, 1, GSAI_F32},
    SET("f32", cases, GSAI_F32),
    SET("f16", cases, GSAI_F16),
    SET("bf16", cases, GSAI_BF16),
    SET("q8_0", small_block_cases, GSAI_Q8_0),
    SET("q4_0", small_block_cases, GSAI_Q4_0),
    SET("q4_k", block_cases, GSAI_Q4_K),
    SET("q6_k", block_cases, GSAI_Q6_K),
    SET("dots_q8_0", small_block_cases, GSAI_Q8_0),
    SET("dots_q4_0", small_block_cases, GSAI_Q4_0),
};
const uint32_t gsai_n_verify_resident = sizeof gsai_verify_resident / sizeof *gsai_verify_resident;
