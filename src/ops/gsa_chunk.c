/* Chunks of many rows: decays of each chunk, one scan of the joint state along each span, then all reads at once. */
#include "ops/op_util.h"

#include "ops/mixer.h"

#define BLOCKS (GSA_CHUNK / GSA_BLOCK)

/* Where the parts of the scratch begin, in floats (the order of shaders/common/mixer.h). */
typedef struct layout {
    uint64_t pre, wsuf, wend, total, decay, start, score, end;
} layout;

static layout lay_out(const gsai_config *c, uint32_t n_chunks, uint32_t chunk_rows)
{
    const uint64_t gm = (uint64_t)c->G * c->M, rows = (uint64_t)n_chunks * chunk_rows;
    layout l = {0};

    l.wsuf = l.pre + rows * gm;
    l.wend = l.wsuf + rows * gm;
    l.total = l.wend + rows * gm;
    l.decay = l.total + n_chunks * BLOCKS * gm;
    l.start = l.decay + n_chunks * 2 * gm;
    l.score = l.start + n_chunks * gm * (c->K + c->V);
    l.end = l.score + (c->M > GSA_SLOT_TILE ? rows * c->H * c->M : 0);
    return l;
}

uint64_t gsai_gsa_chunk_floats(const gsai_config *c, uint32_t n_chunks, uint32_t chunk_rows)
{
    const uint64_t plain = lay_out(c, n_chunks, chunk_rows).end;
    const uint64_t matrix = chunk_rows == GSA_CHUNK ? gsai_gsa_chunk_cm_floats(c, n_chunks) : 0;
    return plain > matrix ? plain : matrix;
}

static uint32_t tiles_of(uint32_t n, uint32_t tile)
{
    return (n + tile - 1) / tile;
}

void gsai_op_gsa_chunk(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch)
{
    const uint32_t gm = c->G * c->M, chunk_rows = gsai_mixer_chunk_rows(work->rows);
    const uint64_t T = work->n_rows, n_chunks = work->n_chunks;
    const layout l = lay_out(c, work->n_chunks, chunk_rows);
    struct gsa_chunk_push push = {
        .scale = c->scale,
        .chunk_rows = chunk_rows,
        .wsuf = (uint32_t)l.wsuf,
        .wend = (uint32_t)l.wend,
        .total = (uint32_t)l.total,
        .decay = (uint32_t)l.decay,
        .start = (uint32_t)l.start,
        .score = (uint32_t)l.score,
    };
    gsai_mixer_push(&push, c, o, x, state, work);
    /* Tiles of the scan: 2048 elements, as wide along the slots as there are slots to fill them. */
    const uint32_t side = c->M <= 16 ? 16 : c->M <= 32 ? 32 : 64, other = 2048 / side;
    const uint32_t one_tile = c->M <= GSA_SLOT_TILE;

    const gsai_variant *gate = gsai_op_variant(r, "gsa_chunk_gate");
    const gsai_variant *scan = gsai_op_variant(r, GSAI_STATE_OP(c, "gsa_chunk_scan"));
    const gsai_variant *read = gsai_op_variant(r, "gsa_chunk_read");
    if (!gate || !scan || !read) return;

    gsai_call call = {.label = "gsa_chunk_gate", .n_bind = 3, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, gate, NULL, 0, 0);
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(scratch, GSAI_WRITE);
    call.groups[0] = tiles_of(gm, GSA_MIXER_GROUP / BLOCKS);
    call.groups[1] = work->n_chunks;
    call.groups[2] = 1;
    call.bytes = T * gm * 24;
    call.flops = T * gm * 50;
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);

    call.label = "gsa_chunk_scan";
    call.n_bind = 4;
    call.pipeline = gsai_op_pipeline(r, scan, &side, 1, 0);
    call.bind[2] = GSAI_BIND(scratch, GSAI_READ_WRITE);
    call.bind[3] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.groups[0] = tiles_of(c->M, side) * (tiles_of(c->K, other) + tiles_of(c->V, other));
    call.groups[1] = c->G;
    call.groups[2] = work->n_spans;
    call.bytes = ((n_chunks * 4 + 2ull * work->n_spans * gsai_state_element(c)) * gm + T * c->G * 4) * (c->K + c->V) +
                 T * gm * 4;
    call.flops = 2 * T * gm * (c->K + c->V);
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);

    const uint32_t blocks = tiles_of(chunk_rows, GSA_BLOCK);
    const uint64_t mean_rows = chunk_rows / 2 + GSA_BLOCK / 2; /* of the chunk that a row looks at */
    call.label = "gsa_chunk_read";
    call.pipeline = gsai_op_pipeline(r, read, &one_tile, 1, 0);
    call.bind[3] = GSAI_BIND(o.range, GSAI_WRITE);
    call.groups[0] = blocks;
    call.groups[1] = c->H;
    call.groups[2] = work->n_chunks;
    /* The blocks and heads that share a chunk's state mostly find it in the cache. */
    call.bytes = n_chunks * gm * (c->K + c->V) * 4 + T * ((c->H + c->G) * (c->K + c->V) + gm * 4ull) * 4;
    call.flops = 2 * T * c->H * ((c->M + mean_rows) * (c->K + c->V) + 2 * mean_rows * c->M + 30ull * c->M);
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);
}
