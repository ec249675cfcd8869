/* Chunks of many rows on matrix units: decays and f16 copies of each chunk, one scan of the joint state along each span,
 * then all reads at once. */
#include "ops/op_util.h"

#include "ops/matmul_cm.h"
#include "ops/mixer.h"
#include "util/status.h"

#define BLOCKS     (GSA_CHUNK / GSA_BLOCK)
#define POOL_FRAGS 1024 /* floats of all subgroups' fragments that gsa_cm_read.comp has room for */

/* Where the parts of the scratch begin, in floats (the order of shaders/common/mixer.h). */
typedef struct layout {
    uint64_t half_x, pre, keep, write, wsuf, wend, total, decay, start, end;
    uint32_t half_stride;
} layout;

static bool shapes_fit(const gsai_config *c)
{
    return c->K % GSA_CHUNK == 0 && c->V % GSA_CHUNK == 0 && c->M % GSA_BLOCK == 0 && c->M <= GSA_SLOT_TILE;
}

static layout lay_out(const gsai_config *c, uint32_t n_chunks)
{
    const uint64_t gm = (uint64_t)c->G * c->M, rows = (uint64_t)n_chunks * GSA_CHUNK;
    layout l = {.half_stride = c->H * c->K + c->G * (c->K + c->V)};

    l.pre = l.half_x + rows * l.half_stride / 2;
    l.keep = l.pre + rows * gm;
    l.write = l.keep + rows * gm;
    l.wsuf = l.write + rows * gm;
    l.wend = l.wsuf + rows * gm / 2;
    l.total = l.wend + rows * gm / 2;
    l.decay = l.total + n_chunks * BLOCKS * gm;
    l.start = l.decay + n_chunks * 2 * gm;
    l.end = l.start + n_chunks * gm * (c->K + c->V) / 2;
    return l;
}

uint64_t gsai_gsa_chunk_cm_floats(const gsai_config *c, uint32_t n_chunks)
{
    return shapes_fit(c) ? lay_out(c, n_chunks).end : 0;
}

bool gsai_gsa_chunk_cm_has(gsai_recorder *r, const gsai_config *c, const gsai_work *work)
{
    static const char *const ops[] = {"gsa_cm_prepare", "gsa_cm_scan", "gsa_cm_read"};
    const gsa_device *dev = gsai_recorder_device(r);
    const uint32_t lanes = dev->caps.subgroup_size;
    gsai_coopmat_shape frag;

    /* CPU drivers have no such units; they compile these kernels for half a minute, to no gain. */
    if (dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU && !gsai_recorder_forced(r)) return false;
    if (!work->half || work->rows != GSAI_ROWS_MANY || !shapes_fit(c) || !gsai_caps_matrix_shape(&dev->caps, &frag))
        return false;
    if (frag.k > GSA_BLOCK || lanes > GSA_MIXER_GROUP || GSA_MIXER_GROUP / lanes * frag.m * frag.n > POOL_FRAGS)
        return false;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (!gsai_variant_pick(dev, ops[i])) return false;
    return true;
}

/* One of the three; bind[0], groups, bytes and flops are set. */
static void record(gsai_recorder *r, const char *op, gsai_call call, const struct gsa_cm_push *push, uint32_t slots)
{
    const gsai_caps *caps = &gsai_recorder_device(r)->caps;
    const gsai_variant *v = gsai_op_variant(r, op);
    gsai_coopmat_shape frag;
    if (!v || !gsai_caps_matrix_shape(caps, &frag)) return;

    const uint32_t spec[] = {frag.m, frag.n, frag.k, slots, GSA_MIXER_GROUP / caps->subgroup_size};
    const bool is_plain = !(v->caps & GSAI_CAP_COOPMAT);
    const bool sized = gsai_caps_has(caps, GSAI_CAP_SUBGROUP_SIZE);
    call.label = op;
    call.n_bind = 3;
    call.push = push;
    call.push_bytes = sizeof *push;
    call.pipeline = gsai_op_pipeline(r, v, spec, is_plain ? 0 : 5, sized && !is_plain ? caps->subgroup_size : 0);
    if (call.pipeline) gsai_recorder_call(r, &call);
}

void gsai_op_gsa_chunk_cm(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x,
    const gsai_state *state, const gsai_work *work, gsai_range scratch, bool projections)
{
    const uint32_t gm = c->G * c->M;
    const uint64_t T = work->n_rows, n_chunks = work->n_chunks, both = c->K + c->V;
    const layout l = lay_out(c, work->n_chunks);
    const struct gsa_cm_push push = {
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
        .half_x = (uint32_t)l.half_x,
        .half_stride = l.half_stride,
        .pre = (uint32_t)l.pre,
        .keep = (uint32_t)l.keep,
        .write = (uint32_t)l.write,
        .wsuf = (uint32_t)l.wsuf,
        .wend = (uint32_t)l.wend,
        .total = (uint32_t)l.total,
        .decay = (uint32_t)l.decay,
        .start = (uint32_t)l.start,
        .scale = c->scale,
        .normalizer = c->gate_normalizer,
        .flags = (projections ? GSA_CM_PROJECTIONS : 0) | (c->feature_map == GSAI_FEATURE_RELU ? GSA_CM_RELU : 0),
    };
    if (l.end > UINT32_MAX / 2) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_LIMIT, "gsa: %lu chunks are more than one dispatch addresses",
                                  (unsigned long)work->n_chunks));
        return;
    }

    const uint32_t copies =
        (l.half_stride / 4 + GSA_MIXER_GROUP - 1) / GSA_MIXER_GROUP * (GSA_CHUNK / GSA_CM_COPY_ROWS);
    gsai_call call = {.groups = {copies + (gm * BLOCKS + GSA_MIXER_GROUP - 1) / GSA_MIXER_GROUP, work->n_chunks, 1}};
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(scratch, GSAI_WRITE);
    call.bytes = T * (l.half_stride * 6ull + gm * 20ull);
    call.flops = T * (l.half_stride * 10ull + gm * 100ull);
    record(r, "gsa_cm_prepare", call, &push, c->M);

    call.groups[0] = (uint32_t)(both / GSA_CM_TILE);
    call.groups[1] = c->G;
    call.groups[2] = work->n_spans;
    call.bind[0] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[1] = GSAI_BIND(scratch, GSAI_READ_WRITE);
    call.bind[2] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.bytes = (n_chunks * 2 + work->n_spans * 8ull) * gm * both + T * c->G * both * 2;
    call.flops = 2 * T * gm * both / GSAI_MATRIX_SPEEDUP;
    record(r, "gsa_cm_scan", call, &push, c->M);

    call.groups[0] = 2;
    call.groups[1] = c->H;
    call.groups[2] = work->n_chunks;
    call.bind[1] = GSAI_BIND(scratch, GSAI_READ);
    call.bind[2] = GSAI_BIND(o.range, GSAI_WRITE);
    call.bytes = n_chunks * gm * both * 2 + T * (l.half_stride * 2ull + c->H * c->V * 4ull + gm * 16ull);
    call.flops = 2 * T * c->H * ((c->M + GSA_CHUNK) * both / GSAI_MATRIX_SPEEDUP + 60ull * c->M);
    record(r, "gsa_cm_read", call, &push, c->M);
}
