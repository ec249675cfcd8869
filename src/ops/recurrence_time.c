/* One layer's recurrence alone: compared with the reference, then timed. */
#include "ops/timing.h"

#include "ops/mixer.h"
#include "ref/ref.h"
#include "util/half.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

#define PASS_ROWS 4096u
#define MAX_ROWS  (1u << 20)

typedef struct pass {
    gsai_place x, o, work;
    gsai_row_class rows;
    uint32_t n_rows, n_chunks;
    bool projections; /* as in gsai_op_gsa */
} pass;

typedef struct rig {
    gsa_device *dev;
    gsai_config config;
    uint32_t T, n_passes, stride;
    gsai_qkvf columns; /* rows unset; [q | k | v | f or g | s] */
    pass *passes;
    gsai_place state, scratch;
    gsai_heap heap;
} rig;

/* Rows of the pass that begins with so many left: whole chunks, or the last, shorter one. */
static uint32_t pass_rows(uint32_t left)
{
    if (left >= PASS_ROWS) return PASS_ROWS;
    return left > GSA_CHUNK ? left / GSA_CHUNK * GSA_CHUNK : left;
}

static gsa_status describe(gsa_device *dev, const gsa_recurrence *what, rig *g)
{
    *g = (rig){.dev = dev,
        .T = what->T,
        .config = {.n_vocab = 1,
            .n_layers = 1,
            .D = 1,
            .H = what->H,
            .G = what->G,
            .K = what->K,
            .V = what->V,
            .M = what->M,
            .F = 1,
            .norm_eps = 1,
            .g_norm_eps = 1,
            .gate_normalizer = 8,
            .scale = 1,
            .bos_id = -1,
            .eos_id = -1}};
    if (what->T < 1 || what->T > MAX_ROWS)
        return gsai_fail(GSA_ERROR_ARGUMENT, "recurrence: %u tokens, expected 1 to %u", what->T, MAX_ROWS);
    const gsai_config *c = &g->config;
    if (gsai_config_check(c) != GSA_OK) return gsai_fail_in(GSA_ERROR_ARGUMENT, "recurrence");
    g->columns = (gsai_qkvf){.k = c->H * c->K, .v = (c->H + c->G) * c->K, .g = (c->H + c->G) * c->K + c->G * c->V};
    g->columns.s = g->columns.g + c->G * c->M;
    g->columns.width = g->columns.s + c->G * c->M;
    g->stride = (uint32_t)gsai_round_up(g->columns.width, 4);
    for (uint32_t done = 0; done < g->T; done += pass_rows(g->T - done)) g->n_passes++;
    g->passes = gsai_alloc_array(&dev->allocator, g->n_passes, sizeof *g->passes);
    return g->passes ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "recurrence: no host memory");
}

static gsa_status place(rig *g)
{
    const gsai_config *c = &g->config;
    gsai_layout l;
    gsa_status status = GSA_OK;
    uint32_t left = g->T;

    gsai_layout_init_for(&l, g->dev);
    for (uint32_t i = 0; i < g->n_passes && status == GSA_OK; i++) {
        pass *p = &g->passes[i];
        p->n_rows = pass_rows(left);
        p->n_chunks = (p->n_rows + GSA_CHUNK - 1) / GSA_CHUNK;
        p->rows = gsai_row_class_of(p->n_rows);
        left -= p->n_rows;
        const uint64_t whole_rows = gsai_round_up(p->n_rows, GSA_CHUNK);
        status = gsai_layout_place(&l, whole_rows * g->stride * 4, &p->x);
        if (status == GSA_OK)
            status = gsai_layout_place(&l, whole_rows * gsai_round_up((uint64_t)c->H * c->V, 4) * 4, &p->o);
        if (status == GSA_OK) status = gsai_layout_place(&l, 16ull * (1 + p->n_chunks), &p->work);
    }
    if (status == GSA_OK) status = gsai_layout_place(&l, gsai_config_layer_state(c, 0).n_floats * 4, &g->state);
    if (status == GSA_OK)
        status = gsai_layout_place(&l, gsai_gsa_scratch_floats(c, PASS_ROWS / GSA_CHUNK, PASS_ROWS) * 4, &g->scratch);
    if (status == GSA_OK) status = gsai_heap_create(g->dev, &l, GSAI_MEMORY_DEVICE, &g->heap);
    gsai_layout_finish(&l);
    return status;
}

static gsai_rows rows_of(const rig *g, gsai_place p, uint64_t width)
{
    return (gsai_rows){gsai_heap_range(&g->heap, p), 0, (uint32_t)gsai_round_up(width, 4), false};
}

static gsai_work work_of(const rig *g, const pass *p)
{
    return (gsai_work){
        gsai_heap_range(&g->heap, p->work), 0, GSA_WORK_STRIDE, 1, p->n_chunks, p->n_rows, p->rows, true};
}

static gsa_status record(rig *g, gsai_plan *plan)
{
    const gsai_config *c = &g->config;
    const gsai_state state = {gsai_heap_range(&g->heap, g->state), gsai_config_layer_state(c, 0)};
    gsai_recorder *r = NULL;
    const gsa_status status = gsai_recorder_begin(g->dev, 0, &r);

    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < g->n_passes; i++) {
        const gsai_work work = work_of(g, &g->passes[i]);
        gsai_qkvf x = g->columns;
        x.rows = rows_of(g, g->passes[i].x, g->columns.width);
        gsai_op_gsa(r, c, rows_of(g, g->passes[i].o, (uint64_t)c->H * c->V), &x, &state, &work,
            gsai_heap_range(&g->heap, g->scratch), g->passes[i].projections);
    }
    return gsai_recorder_finish(r, plan);
}

/* Which passes begin at the projections? */
static gsa_status ask_forms(rig *g)
{
    gsai_recorder *r = NULL;
    gsai_plan plan = {0};
    gsa_status status = gsai_recorder_begin(g->dev, 0, &r);

    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < g->n_passes; i++) {
        const gsai_work work = work_of(g, &g->passes[i]);
        g->passes[i].projections = gsai_gsa_takes_projections(r, &g->config, &work);
    }
    status = gsai_recorder_finish(r, &plan);
    gsai_plan_destroy(g->dev, &plan);
    return status;
}

/* Projections of n tokens: uniform, queries small enough that slots compete but none wins by far. */
static void make_rows(const rig *g, uint64_t *random, float *x, uint32_t n)
{
    const float small = 3 / sqrtf((float)g->config.K);
    for (uint32_t t = 0; t < n; t++, x += g->stride) {
        for (uint32_t i = 0; i < g->stride; i++) {
            *random = *random * 6364136223846793005ull + 1442695040888963407ull;
            x[i] =
                (float)((int64_t)(*random >> 33) - (1ll << 30)) * (1.0f / (1ll << 30)) * (i < g->columns.k ? small : 1);
        }
    }
}

/* What a model does before the recurrence, by the reference. */
static void make_maps(const rig *g, float *x, uint32_t n)
{
    const gsai_config *c = &g->config;
    const gsai_qkvf *at = &g->columns;
    gsai_ref_feature_map(x + at->q, g->stride, n, c->H, c->K, GSAI_FEATURE_SWISH, NULL);
    gsai_ref_feature_map(x + at->k, g->stride, n, c->G, c->K, GSAI_FEATURE_SWISH, NULL);
    gsai_ref_feature_map(x + at->v, g->stride, n, c->G, c->V, GSAI_FEATURE_SWISH, NULL);
}

static void make_gates(const rig *g, float *x, uint32_t n)
{
    const gsai_qkvf *at = &g->columns;
    for (uint32_t t = 0; t < n; t++, x += g->stride)
        gsai_ref_gate(x + at->g, x + at->s, x + at->g, (size_t)g->config.G * g->config.M, g->config.gate_normalizer);
}

/* Mapped q k v as f16 in the first half of their place, as a product with gsai_maps leaves them. */
static void halve(const rig *g, float *x, uint32_t n)
{
    for (uint32_t t = 0; t < n; t++, x += g->stride)
        for (uint32_t i = 0; i < g->columns.g; i++) {
            const uint16_t half = gsai_float_to_f16(x[i]);
            memcpy((uint8_t *)x + 2ull * i, &half, sizeof half); /* behind what is still to be read */
        }
}

/* Zeroes the state, writes the tables and inputs; first [rows of the first pass][stride]: maps and gates made. */
static gsa_status upload(rig *g, float *first)
{
    const uint32_t most = g->passes[0].n_rows;
    float *x = gsai_alloc_array(&g->dev->allocator, (uint64_t)most * g->stride, sizeof *x);
    gsai_upload *up = NULL;
    uint64_t random = 1;
    gsa_status status = x ? gsai_upload_create(g->dev, &up) : gsai_fail(GSA_ERROR_HOST_MEMORY, "recurrence: no memory");

    if (status == GSA_OK) status = gsai_upload_fill_zero(up, gsai_heap_range(&g->heap, g->state));
    for (uint32_t i = 0; i < g->n_passes && status == GSA_OK; i++) {
        const pass *p = &g->passes[i];
        uint32_t words[GSA_WORK_STRIDE * (1 + PASS_ROWS / GSA_CHUNK)] = {0, 0, p->n_chunks, 0};
        for (uint32_t k = 0; k < p->n_chunks; k++) {
            uint32_t *chunk = words + GSA_WORK_STRIDE * (1 + k);
            const uint32_t left = p->n_rows - k * GSA_CHUNK;
            chunk[0] = k * GSA_CHUNK;
            chunk[1] = left < GSA_CHUNK ? left : GSA_CHUNK;
        }
        make_rows(g, &random, x, p->n_rows);
        if (i == 0) {
            memcpy(first, x, (uint64_t)most * g->stride * sizeof *x);
            make_maps(g, first, most);
            make_gates(g, first, most);
        }
        if (!p->projections || p->rows == GSAI_ROWS_MANY) make_maps(g, x, p->n_rows);
        if (!p->projections) make_gates(g, x, p->n_rows);
        if (p->projections && p->rows == GSAI_ROWS_MANY) halve(g, x, p->n_rows);
        status = gsai_upload_write(up, gsai_heap_range(&g->heap, p->work), 0, words, 16ull * (1 + p->n_chunks));
        if (status == GSA_OK)
            status = gsai_upload_write(up, gsai_heap_range(&g->heap, p->x), 0, x, (uint64_t)p->n_rows * g->stride * 4);
    }
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    gsai_free(&g->dev->allocator, x);
    return status;
}

static gsa_status read_back(rig *g, gsai_place from, uint64_t bytes, float *out)
{
    gsai_buffer host = {0};
    gsai_recorder *r = NULL;
    gsai_plan plan = {0};
    gsai_ticket ticket = 0;
    gsa_status status = gsai_buffer_create(g->dev, bytes, GSAI_MEMORY_READBACK, &host);

    if (status == GSA_OK) status = gsai_recorder_begin(g->dev, 0, &r);
    if (status == GSA_OK) {
        gsai_recorder_copy(r, gsai_heap_range(&g->heap, from), 0, (gsai_range){&host, 0, host.size}, 0, bytes);
        gsai_recorder_to_host(r);
        status = gsai_recorder_finish(r, &plan);
    }
    if (status == GSA_OK) status = gsai_plan_submit(g->dev, &plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(g->dev, ticket, UINT64_MAX);
    if (status == GSA_OK) {
        gsai_buffer_invalidate(g->dev, &host, 0, bytes);
        memcpy(out, host.mapped, bytes);
    }
    gsai_plan_destroy(g->dev, &plan);
    gsai_buffer_destroy(g->dev, &host);
    return status;
}

static double distance(const float *got, const float *want, uint64_t n)
{
    double squares = 0, of = 0;

    for (uint64_t i = 0; i < n; i++) {
        const double d = (double)got[i] - want[i];
        squares += d * d;
        of += (double)want[i] * want[i];
    }
    const double error = of > 0 ? sqrt(squares / of) : sqrt(squares);
    return isfinite(error) ? error : INFINITY;
}

/* x: the first pass with maps made. Host memory: o and state twice. */
static gsa_status compare(rig *g, const float *x, double *error)
{
    const gsai_config *c = &g->config;
    const gsai_qkvf *at = &g->columns;
    const gsai_layer_state parts = gsai_config_layer_state(c, 0);
    const gsa_allocator *a = &g->dev->allocator;
    const uint64_t T = g->passes[0].n_rows, width = (uint64_t)c->H * c->V, stride = gsai_round_up(width, 4);
    float *want = gsai_alloc_array(a, T * width + parts.n_floats, sizeof *want), *state = want + T * width;
    float *got = gsai_alloc_array(a, T * stride + parts.n_floats, sizeof *got), *got_state = got + T * stride;
    gsa_status status = want && got ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "recurrence: no memory to compare");

    const gsai_ref_gsa_args args = {x + at->q, x + at->k, x + at->v, x + at->s, x + at->g, g->stride, g->stride,
        g->stride, g->stride, g->stride, state + parts.hk, state + parts.hv, want, NULL, T, c->H, c->G, c->K, c->V,
        c->M, c->scale};
    if (status == GSA_OK) memset(state, 0, parts.n_floats * sizeof *state);
    if (status == GSA_OK) status = gsai_ref_gsa(&args, a);
    if (status == GSA_OK) status = read_back(g, g->passes[0].o, T * stride * 4, got);
    if (status == GSA_OK) status = read_back(g, g->state, parts.n_floats * 4, got_state);
    if (status == GSA_OK) {
        if (g->passes[0].projections) gsai_ref_silu(want, want, T * width);
        for (uint64_t t = 1; t < T; t++) memmove(got + t * width, got + t * stride, width * sizeof *got);
        *error = distance(got, want, T * width);
        if (g->n_passes == 1) *error = fmax(*error, distance(got_state, state, parts.n_floats));
    }
    gsai_free(a, want);
    gsai_free(a, got);
    return status;
}

static gsa_status measure(rig *g, double *us, uint32_t n_runs, double *error)
{
    gsai_plan plan = {0};
    gsai_ticket ticket = 0;
    float *first = NULL;
    gsa_status status = place(g);

    if (status == GSA_OK) status = ask_forms(g);
    if (status == GSA_OK) {
        first = gsai_alloc_array(&g->dev->allocator, (uint64_t)g->passes[0].n_rows * g->stride, sizeof *first);
        status = first ? upload(g, first) : gsai_fail(GSA_ERROR_HOST_MEMORY, "recurrence: no host memory");
    }
    if (status == GSA_OK) status = record(g, &plan);
    if (status == GSA_OK) status = gsai_plan_submit(g->dev, &plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(g->dev, ticket, UINT64_MAX);
    if (status == GSA_OK) status = compare(g, first, error);
    if (status == GSA_OK) status = gsai_timing_run(g->dev, &plan, us, n_runs);
    for (uint32_t i = 0; i < n_runs; i++) us[i] = status == GSA_OK ? us[i] * 1e-3 : 0;
    gsai_free(&g->dev->allocator, first);
    gsai_plan_destroy(g->dev, &plan);
    gsai_heap_destroy(g->dev, &g->heap);
    return status;
}

gsa_status gsai_ops_recurrence_time(
    gsa_device *dev, const gsa_recurrence *what, double *us, uint32_t n_runs, double *error)
{
    rig g;
    gsa_status status = describe(dev, what, &g);

    if (status == GSA_OK) status = measure(&g, us, n_runs, error);
    gsai_free(&dev->allocator, g.passes);
    return status;
}
