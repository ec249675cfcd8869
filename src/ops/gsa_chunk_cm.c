/* Chunks of many rows on matrix units: decays and f16 copies of each chunk; one scan of the joint state along each span, in
 * the same call what a chunk's own rows contribute to the scores; then all reads at once. */
#include "ops/op_util.h"

#include "ops/matmul_cm.h"
#include "ops/mixer.h"
#include "util/status.h"

#define BLOCKS     (GSA_CHUNK / GSA_BLOCK)
#define POOL_FRAGS 1024 /* floats of all subgroups' fragments that gsa_cm_read.comp has room for */

/* Where the parts of the scratch begin, in floats (the order of shaders/common/mixer.h). */
typedef struct layout {
    uint64_t table, lead, decay, score, start, half, end; /* pre is at 0 */
    uint32_t half_stride;
} layout;

static bool shapes_fit(const gsai_config *c)
{
    return c->K % GSA_CHUNK == 0 && c->V % GSA_CHUNK == 0 && c->M % GSA_BLOCK == 0 && c->M <= GSA_SLOT_TILE;
}

/* Where a range of its own may begin on any device. */
static uint64_t range_after(uint64_t floats)
{
    return gsai_round_up(floats, 64);
}

static layout lay_out(const gsai_config *c, uint32_t n_chunks)
{
    const uint64_t gm = (uint64_t)c->G * c->M, rows = (uint64_t)n_chunks * GSA_CHUNK;
    layout l = {.half_stride = c->H * c->K + c->G * (c->K + c->V), .table = rows * gm};

    l.lead = 7 * l.table / 2 + n_chunks * 3 * GSA_BLOCK * gm; /* three of f32, one of f16, later's 6 blocks of f16 */
    l.decay = l.lead + n_chunks * BLOCKS * gm;
    l.score = range_after(l.decay + n_chunks * GSA_BLOCK * gm);
    l.start = range_after(l.score + rows * c->H * c->M);
    l.half = range_after(l.start + n_chunks * gm * (c->K + c->V) / 2);
    l.end = l.half + rows * l.half_stride / 2;
    return l;
}

uint64_t gsai_gsa_chunk_cm_floats(const gsai_config *c, uint32_t n_chunks)
{
    return shapes_fit(c) ? lay_out(c, n_chunks).end : 0;
}

bool gsai_gsa_chunk_cm_has(gsai_recorder *r, const gsai_config *c, const gsai_work *work)
{
    const char *const ops[] = {"gsa_cm_prepare", GSAI_STATE_OP(c, "gsa_cm_chunks"), "gsa_cm_read"};
    const gsa_device *dev = gsai_recorder_device(r);
    const uint32_t lanes = dev->caps.subgroup_size;
    gsai_coopmat_shape frag;

    /* CPU drivers have no such units; they compile these kernels for half a minute, to no gain. */
    if (dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU && !gsai_recorder_forced(r)) return false;
    if (!work->half || work->rows != GSAI_ROWS_MANY || !shapes_fit(c) || !gsai_caps_matrix_shape(&dev->caps, &frag))
        return false;
    if (frag.m > GSA_BLOCK || frag.n > GSA_BLOCK || frag.k > GSA_BLOCK) return false;
    if (lanes < 8 || lanes > GSA_MIXER_GROUP || GSA_MIXER_GROUP / lanes * frag.m * frag.n > POOL_FRAGS) return false;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (!gsai_variant_pick(dev, ops[i])) return false;
    return true;
}

/* One of the three; bindings, groups, bytes and flops are set. */
static void record(gsai_recorder *r, const char *op, gsai_call call, const struct gsa_cm_push *push, bool multiplies)
{
    const gsai_caps *caps = &gsai_recorder_device(r)->caps;
    const gsai_variant *v = gsai_op_variant(r, op);
    gsai_coopmat_shape frag;
    if (!v || !gsai_caps_matrix_shape(caps, &frag)) return;

    const uint32_t spec[] = {
        frag.m, frag.n, frag.k, push->M, GSA_MIXER_GROUP / caps->subgroup_size, !caps->few_registers};
    const bool sized = multiplies && gsai_caps_has(caps, GSAI_CAP_SUBGROUP_SIZE);
    call.label = op;
    call.push = push;
    call.push_bytes = sizeof *push;
    call.pipeline = gsai_op_pipeline(r, v, spec, multiplies ? 6 : 0, sized ? caps->subgroup_size : 0);
    if (call.pipeline) gsai_recorder_call(r, &call);
}

/* Workgroups that share a query head's half of a chunk, each with its columns of V: as many as fill the device twice when
 * chunks are few. They find the same weights of slots, so their number changes no bit. */
static uint32_t value_parts(const gsa_device *dev, const gsai_config *c, uint32_t n_chunks)
{
    const uint64_t cores = dev->caps.n_cores ? dev->caps.n_cores : 16, tiles = c->V / GSA_CHUNK;
    uint64_t parts = 1;

    while (parts * 2 <= tiles && parts * 4 * c->H * n_chunks <= 2 * cores) parts *= 2;
    return (uint32_t)parts;
}

void gsai_op_gsa_chunk_cm(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x,
    const gsai_state *state, const gsai_work *work, gsai_range scratch, bool mapped)
{
    const uint32_t gm = c->G * c->M, n_chunks = work->n_chunks;
    const uint64_t T = work->n_rows, both = c->K + c->V;
    const layout l = lay_out(c, n_chunks);
    struct gsa_cm_push push = {
        .half_base = (uint32_t)l.half,
        .half_stride = mapped ? 2 * x->rows.stride : l.half_stride,
        .table = (uint32_t)l.table,
        .lead = (uint32_t)l.lead,
        .decay = (uint32_t)l.decay,
        .scale = c->scale,
        .normalizer = c->gate_normalizer,
        .flags = mapped ? GSA_CM_MAPPED : 0,
    };
    gsai_mixer_push(&push, c, o, x, state, work);
    if (l.end > UINT32_MAX / 2) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_LIMIT, "gsa: %lu chunks are more than one dispatch addresses",
                                  (unsigned long)n_chunks));
        return;
    }

    if ((o.offset | o.stride) % 4 != 0) { /* written by vectors of four */
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_ARGUMENT, "gsa: o at %u, %u a row, expected multiples of 4", o.offset, o.stride));
        return;
    }
    const uint32_t columns = l.half_stride / 4;
    const uint32_t copies =
        mapped ? 0 : (columns + GSA_MIXER_GROUP - 1) / GSA_MIXER_GROUP * (GSA_CHUNK / GSA_CM_COPY_ROWS);
    const gsai_range tables = {scratch.buffer, scratch.offset, 4 * l.score};
    const gsai_range score = {scratch.buffer, scratch.offset + 4 * l.score, 4 * (l.start - l.score)};
    const gsai_range start = {scratch.buffer, scratch.offset + 4 * l.start, 4 * (l.half - l.start)};
    const gsai_range copy = {scratch.buffer, scratch.offset + 4 * l.half, 4 * (l.end - l.half)};
    const gsai_binding half = GSAI_BIND(mapped ? x->rows.range : copy, GSAI_READ);
    const gsai_binding work_table = GSAI_BIND(work->range, GSAI_READ), table = GSAI_BIND(tables, GSAI_READ);
    record(r, "gsa_cm_prepare",
        (gsai_call){
            .groups = {copies + gm / GSA_CM_COLUMNS, n_chunks, 1},
            .bind = {GSAI_BIND(x->rows.range, GSAI_READ), work_table, GSAI_BIND(scratch, GSAI_WRITE)},
            .n_bind = 3,
            .bytes = T * ((mapped ? 0 : l.half_stride * 6ull) + gm * 24ull),
            .flops = T * gm * 150ull,
        },
        &push, false);
    push.half_base = mapped ? x->rows.offset : 0;
    push.n_scan = (uint32_t)(both / GSA_CM_TILE) * c->G * work->n_spans;
    push.n_chunks = n_chunks;
    gsai_call chunks = {
        .bind = {work_table, half, table, GSAI_BIND(start, GSAI_WRITE), GSAI_BIND(state->range, GSAI_READ_WRITE),
            GSAI_BIND(score, GSAI_WRITE)},
        .n_bind = 6,
        .bytes = (n_chunks * 2 + work->n_spans * 2ull * gsai_state_element(c)) * gm * both +
                 T * (c->G * both * 2 + gm * 22ull + (c->H + c->G) * c->K * 2ull + c->H * c->M * 4ull),
        .flops = 2 * T * gm * both / GSAI_MATRIX_SPEEDUP + n_chunks * gm * both * 4 +
                 2 * T * c->H * (GSA_CHUNK * ((uint64_t)c->K + c->M) / GSAI_MATRIX_SPEEDUP + 16ull * c->M),
    };
    if (!gsai_op_grid(r, push.n_scan + (uint64_t)GSA_CHUNK / GSA_CM_TILE * c->H * n_chunks, 1, chunks.groups)) return;
    record(r, GSAI_STATE_OP(c, "gsa_cm_chunks"), chunks, &push, true);
    record(r, "gsa_cm_read",
        (gsai_call){
            .groups = {GSA_CHUNK / GSA_CM_TILE * value_parts(gsai_recorder_device(r), c, n_chunks), c->H, n_chunks},
            .bind = {work_table, half, table, GSAI_BIND(score, GSAI_READ), GSAI_BIND(start, GSAI_READ),
                GSAI_BIND(o.range, GSAI_WRITE)},
            .n_bind = 6,
            .bytes = n_chunks * gm * both * 2 +
                     T * ((c->H * c->K + c->G * c->V) * 2ull + c->H * (c->V + c->M) * 4ull + gm * 14ull),
            .flops = 2 * T * c->H * ((c->M * both + GSA_CHUNK * c->V) / GSAI_MATRIX_SPEEDUP + 40ull * c->M),
        },
        &push, true);
}
