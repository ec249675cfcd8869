/* Single tokens of many sessions, and chunks of a few rows: two dispatches that hold the state in registers from a chunk's
 * first row to its last. */
#include "ops/op_util.h"

#include "model/state.h"
#include "ops/mixer.h"

#include <string.h>

static bool is_power_of_2(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static bool shapes_fit(const gsai_config *c)
{
    const gsai_layer_state at = gsai_kept_layer_state(c);

    if (at.hk % 4 != 0 || at.hv % 4 != 0 || at.n_floats % 4 != 0) return false;
    return is_power_of_2(c->M) && c->M >= 16 && c->M <= GSA_ROWS_SLOTS && c->V % 4 == 0 &&
           c->H / c->G <= GSA_ROWS_HEADS;
}

/* Vectors of four that a workgroup holds. */
#define GROUP_VECS (GSA_MIXER_GROUP * GSA_ROWS_HELD)

static uint32_t k_tiles(const gsai_config *c)
{
    const uint32_t rows = 4 * GROUP_VECS / c->M;
    return (c->K + rows - 1) / rows;
}

uint64_t gsai_gsa_rows_floats(const gsai_config *c, uint32_t n_chunks, uint32_t chunk_rows)
{
    return shapes_fit(c) ? (uint64_t)n_chunks * chunk_rows * c->H * k_tiles(c) * c->M : 0;
}

/* However many sessions there are: their bits do not depend on it. */
bool gsai_gsa_rows_has(gsai_recorder *r, const gsai_config *c, const gsai_work *work)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_variant *forced = gsai_recorder_forced(r);

    if (!shapes_fit(c) || work->n_chunks != work->n_spans || work->rows == GSAI_ROWS_MANY) return false;
    if (!gsai_variant_pick(dev, GSAI_STATE_OP(c, "gsa_rows_k"))) return false;
    if (!gsai_variant_pick(dev, GSAI_STATE_OP(c, "gsa_rows_v"))) return false;
    return !forced || strncmp(forced->op, "gsa_", 4) != 0 || strncmp(forced->op, "gsa_rows_", 9) == 0;
}

void gsai_op_gsa_rows(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch, bool projections)
{
    const uint32_t R = c->H / c->G, quads = GROUP_VECS / c->M;
    const uint64_t states = (uint64_t)work->n_chunks * c->G * c->M * 2 * gsai_state_element(c), rows = work->n_rows;
    struct gsa_step_push push = {
        .scale = c->scale,
        .n_spans = work->n_spans,
        .k_tiles = k_tiles(c),
        .tiles = 4 * quads,
        .normalizer = c->gate_normalizer,
        .map = c->feature_map == GSAI_FEATURE_RELU ? GSA_MAP_RELU : GSA_MAP_SILU,
        .chunk_rows = gsai_mixer_chunk_rows(work->rows),
    };
    gsai_mixer_push(&push, c, o, x, state, work);
    const uint32_t spec[] = {R, projections};
    const gsai_variant *k = gsai_op_variant(r, GSAI_STATE_OP(c, "gsa_rows_k"));
    const gsai_variant *v = gsai_op_variant(r, GSAI_STATE_OP(c, "gsa_rows_v"));
    if (!k || !v) return;

    gsai_call call = {.label = "gsa_rows_k", .n_bind = 4, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, k, spec, 2, 0);
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.bind[3] = GSAI_BIND(scratch, GSAI_WRITE);
    call.groups[0] = push.k_tiles;
    call.groups[1] = c->G;
    call.groups[2] = work->n_chunks;
    call.bytes = states * c->K + rows * c->H * push.k_tiles * c->M * 4;
    call.flops = rows * c->G * c->K * c->M * (6 + 2 * R);
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);

    push.tiles = quads;
    call.label = "gsa_rows_v";
    call.pipeline = gsai_op_pipeline(r, v, spec, 2, 0);
    call.n_bind = 5;
    call.bind[3] = GSAI_BIND(scratch, GSAI_READ);
    call.bind[4] = GSAI_BIND(o.range, GSAI_WRITE);
    call.groups[0] = (c->V / 4 + quads - 1) / quads;
    call.bytes = states * c->V + rows * call.groups[0] * c->H * push.k_tiles * c->M * 4;
    call.flops = rows * c->M * (c->G * (uint64_t)c->V * (6 + 2 * R) + call.groups[0] * c->H * (20ull + push.k_tiles));
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);
}
