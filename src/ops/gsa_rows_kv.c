/* Single tokens of many sessions in one dispatch: a workgroup for both memories of a kv head. Its bits are those of the two
 * kernels of gsa_rows.c, so the number of sessions may choose. */
#include "ops/op_util.h"

#include "ops/mixer.h"

#include <string.h>

/* Invocations of a workgroup and vectors on their way at most. */
#define THREADS            512u
#define WINDOW             16u

/* With fewer workgroups than this part of the cores the two kernels, which have eight times as many each, serve: with a
 * quarter, 8 sessions of 1.3b on an H200, one dispatch took 12.0 microseconds, two 15.8; with less it was not measured. */
#define MOST_CORES_A_GROUP 5u

static uint32_t shared_bytes(const gsai_config *c)
{
    const uint32_t R = c->H / c->G, widest = c->K > c->V ? c->K : c->V;
    const uint32_t parts = R * widest * c->M / GSA_ROWS_HELD; /* of each invocation's HELD vectors, their sum */
    const uint32_t floats = 3 * c->M + (1 + R) * c->K + c->V + 2 * R * c->M + R * (GSA_MIXER_GROUP / GSA_ROWS_HEADS);

    return 4 * (parts + floats);
}

bool gsai_gsa_rows_kv_fits(const gsa_device *dev, const gsai_config *c, const gsai_rows_form *f)
{
    const uint64_t team = 4 * GSA_ROWS_HELD * f->threads, k = (uint64_t)c->K * c->M, v = (uint64_t)c->V * c->M;

    return f->threads >= GSA_MIXER_GROUP && f->threads % GSA_MIXER_GROUP == 0 && k % team == 0 && v % team == 0 &&
           f->window > 0 && f->window <= (k + v) / (4 * f->threads) && f->threads <= dev->caps.max_invocations &&
           f->threads <= dev->caps.max_group_size[0] && shared_bytes(c) <= dev->caps.max_shared_bytes;
}

/* The widest workgroup up to the usual one among which the tiles divide evenly. */
static bool form_of(const gsa_device *dev, const gsai_config *c, gsai_rows_form *f)
{
    for (f->threads = THREADS; f->threads >= GSA_MIXER_GROUP; f->threads /= 2) {
        const uint64_t vecs = (uint64_t)(c->K + c->V) * c->M / (4 * f->threads);
        f->window = vecs < WINDOW ? (uint32_t)vecs : WINDOW;
        if (gsai_gsa_rows_kv_fits(dev, c, f)) return true;
    }
    return false;
}

bool gsai_gsa_rows_kv_has(gsai_recorder *r, const gsai_config *c, const gsai_work *work, gsai_rows_form *f)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_caps *caps = &dev->caps;
    const gsai_variant *forced = gsai_recorder_forced(r);
    const uint64_t cores = caps->n_cores ? caps->n_cores : 32;

    if (work->rows != GSAI_ROWS_ONE || !gsai_variant_pick(dev, GSAI_STATE_OP(c, "gsa_rows_kv")) || !form_of(dev, c, f))
        return false;
    if (forced) return strcmp(forced->op, GSAI_STATE_OP(c, "gsa_rows_kv")) == 0;
    if (caps->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU || caps->few_registers) return false;
    return (uint64_t)work->n_chunks * c->G * MOST_CORES_A_GROUP >= cores;
}

void gsai_op_gsa_rows_kv(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x,
    const gsai_state *state, const gsai_work *work, bool projections, const gsai_rows_form *f)
{
    const uint32_t R = c->H / c->G;
    const uint64_t n = (uint64_t)work->n_chunks * c->M;
    struct gsa_step_push push = {
        .scale = c->scale,
        .normalizer = c->gate_normalizer,
        .map = c->feature_map == GSAI_FEATURE_RELU ? GSA_MAP_RELU : GSA_MAP_SILU,
    };
    gsai_mixer_push(&push, c, o, x, state, work);
    const uint32_t spec[] = {f->threads, f->window, R, c->K, c->V, c->M, projections};
    const gsai_variant *kv = gsai_op_variant(r, GSAI_STATE_OP(c, "gsa_rows_kv"));
    if (!kv) return;

    gsai_call call = {.label = "gsa_rows_kv", .n_bind = 4, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, kv, spec, 7, 0);
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.bind[3] = GSAI_BIND(o.range, GSAI_WRITE);
    call.groups[0] = 1;
    call.groups[1] = c->G;
    call.groups[2] = work->n_chunks;
    call.bytes = n * c->G * (c->K + c->V) * 2 * gsai_state_element(c);
    call.flops = n * (c->G * (uint64_t)(c->K + c->V) * (6 + 2 * R) + c->H * 20ull);
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);
}
