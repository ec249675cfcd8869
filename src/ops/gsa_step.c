/* Chunks of one row: two dispatches over tiles of the state. The tiles follow from the model alone, because the sums
 * they cut the scores into are part of a result's bits; how many tiles a workgroup takes is free. */
#include "ops/op_util.h"

#include "ops/mixer.h"

/* Tiles are small enough for this many workgroups where the state of one session is that large. */
#define WANTED_GROUPS 160u
#define MIN_TILE      16u

/* Rows of hk per tile. */
static uint32_t k_tile(const gsai_config *c)
{
    uint32_t tile = MIN_TILE;

    while (tile < 128 && (c->K + tile - 1) / tile * c->G > WANTED_GROUPS) tile *= 2;
    return tile;
}

/* Columns of hv per tile: invocations side by side, so at most half a workgroup. */
static uint32_t v_tile(const gsai_config *c)
{
    uint32_t tile = MIN_TILE;

    while (tile < 64 && (c->V + tile - 1) / tile * c->G > WANTED_GROUPS) tile *= 2;
    return tile;
}

static uint32_t lanes(const gsai_config *c)
{
    uint32_t n = 8;

    while (n < GSA_MIXER_GROUP && n < c->M) n *= 2;
    return n;
}

/* Query heads whose slot weights a workgroup holds together. */
static uint32_t v_heads(const gsai_config *c)
{
    const uint32_t R = c->H / c->G, held = c->M < GSA_STEP_SLOTS ? GSA_STEP_SLOTS / c->M : 1;
    const uint32_t n = R < GSA_STEP_HEADS ? R : GSA_STEP_HEADS;

    return n < held ? n : held;
}

uint64_t gsai_gsa_step_floats(const gsai_config *c, uint32_t n_spans, uint32_t n_chunks)
{
    const uint32_t tile = k_tile(c), tiles = (c->K + tile - 1) / tile;

    return 4ull * n_spans + n_chunks + (uint64_t)n_chunks * c->H * tiles * c->M;
}

/* As many tiles to a group as leave eight groups for every core. */
static uint32_t tiles_per_group(const gsa_device *dev, uint32_t tiles, uint64_t columns)
{
    const uint32_t cores = dev->caps.n_cores ? dev->caps.n_cores : 16;
    const uint64_t n = tiles * columns / (8ull * cores);

    return n < 1 ? 1 : n > tiles ? tiles : (uint32_t)n;
}

void gsai_op_gsa_step(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch, bool projections)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const uint32_t R = c->H / c->G, k_rows = k_tile(c), v_columns = v_tile(c);
    const uint32_t k_tiles = (c->K + k_rows - 1) / k_rows, v_tiles = (c->V + v_columns - 1) / v_columns;
    const uint64_t columns = (uint64_t)work->n_spans * c->G;
    struct gsa_step_push push = {
        .R = c->H / c->G,
        .G = c->G,
        .K = c->K,
        .V = c->V,
        .M = c->M,
        .x_offset = x->rows.offset,
        .x_stride = x->rows.stride,
        .q = x->q,
        .k = x->k,
        .v = x->v,
        .g = x->g,
        .s = x->s,
        .o_offset = o.offset,
        .o_stride = o.stride,
        .state_stride = (uint32_t)state->at.n_floats,
        .hk = (uint32_t)state->at.hk,
        .hv = (uint32_t)state->at.hv,
        .spans = work->spans,
        .chunks = work->chunks,
        .scale = c->scale,
        .n_spans = work->n_spans,
        .partial = 4 * work->n_spans + work->n_chunks,
        .k_tiles = k_tiles,
        .tiles = tiles_per_group(dev, k_tiles, columns),
        .normalizer = c->gate_normalizer,
        .map = c->feature_map == GSAI_FEATURE_RELU ? GSA_MAP_RELU : GSA_MAP_SILU,
    };
    const uint32_t k_spec[] = {k_rows, lanes(c), R < GSA_STEP_HEADS ? R : GSA_STEP_HEADS, projections};
    const uint32_t v_spec[] = {v_columns, lanes(c), v_heads(c), c->M <= GSA_STEP_SLOTS, projections};

    const gsai_variant *k_step = gsai_op_variant(r, "gsa_step_k"), *v_step = gsai_op_variant(r, "gsa_step_v");
    if (!k_step || !v_step) return;

    gsai_call call = {.label = "gsa_step_k", .n_bind = 4, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, k_step, k_spec, 4, 0);
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.bind[3] = GSAI_BIND(scratch, GSAI_WRITE);
    call.groups[0] = (k_tiles + push.tiles - 1) / push.tiles;
    call.groups[1] = c->G;
    call.groups[2] = work->n_spans;
    call.bytes = (uint64_t)work->n_chunks * c->M * (c->G * 8ull * c->K + c->H * 4ull * k_tiles);
    call.flops = (uint64_t)work->n_chunks * c->G * c->K * c->M * (6 + 2 * R);
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);

    push.tiles = tiles_per_group(dev, v_tiles, columns);
    call.label = "gsa_step_v";
    call.pipeline = gsai_op_pipeline(r, v_step, v_spec, 5, 0);
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(scratch, GSAI_READ);
    call.bind[2] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.bind[3] = GSAI_BIND(o.range, GSAI_WRITE);
    call.groups[0] = (v_tiles + push.tiles - 1) / push.tiles;
    call.bytes = (uint64_t)work->n_chunks * c->M * (c->G * 8ull * c->V + call.groups[0] * c->H * 4ull * k_tiles);
    call.flops = (uint64_t)work->n_chunks * c->M *
                 (c->G * (uint64_t)c->V * (6 + 2 * R) + call.groups[0] * c->H * (20ull + k_tiles));
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);
}
