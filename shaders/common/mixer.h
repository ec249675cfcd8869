/* Push constants and layouts of the mixer's shaders (conv1d, feature_map, t2r, gate, gsa_*), read by C and GLSL: 4-byte
 * members only, at most 128 bytes each. Offsets and strides are in floats, bases of tables in uints. */
#ifndef GSA_MIXER_H
#define GSA_MIXER_H

#include "shared.h"

/* Invocations of every mixer workgroup: what Vulkan guarantees. */
#define GSA_MIXER_GROUP 128u

/* Short convolution: columns [q | k | v] of the rows, each part a run of channels. The state and the taps number the
 * channels through all three parts. */
struct gsa_conv1d_push {
    uint in_offset, in_stride;   /* of the raw rows */
    uint out_offset, out_stride; /* of the convolved rows */
    uint q, k, v;                /* first column of each part */
    uint n_q, n_k, n_v;          /* channels of each part */
    uint state_stride;           /* from slot to slot */
    uint state_q, state_k, state_v;
    uint spans, chunks;
};

struct gsa_feature_map_push {
    uint x_offset, x_stride;
    uint q, k, v;       /* first column of each part */
    uint n_q, n_k, n_v; /* columns of each part, 0 = leave it alone; t2r: heads of q and k */
    uint n_rows;
    uint map; /* GSA_MAP_* */
    uint K;   /* t2r */
};
#define GSA_MAP_SILU   0u
#define GSA_MAP_RELU   1u
#define GSA_T2R_FLOATS 4096u /* heads in shared memory */

struct gsa_gate_push {
    uint in_offset, in_stride;
    uint out_offset, out_stride;
    uint g, s; /* first column of each */
    uint n;    /* columns of each */
    uint n_rows;
    float normalizer;
};

/* What all kernels of the recurrence are told first (gsai_mixer_push fills it). R: query heads per kv head; q, k, v, g, s:
 * first column of each part of a row of x; hk, hv: in a slot of the state; spans, chunks: bases in the work table. */
#define GSA_MIXER_PUSH                                                                                                 \
    uint R, G, K, V, M;                                                                                                \
    uint x_offset, x_stride;                                                                                           \
    uint q, k, v, g, s;                                                                                                \
    uint o_offset, o_stride;                                                                                           \
    uint state_stride, hk, hv;                                                                                         \
    uint spans, chunks

/* GSA, chunks of one row: gsa_step_*.comp; of a few rows: gsa_rows_*.comp. The scratch, chunk i counted from the first of the call:
 *   header   [n_spans][4]: the span's first chunk, number of chunks, slot, unused; then [n_chunks]: row, or -1 for an
 *            empty chunk. As floats, which hold these counts exactly
 *   partial  [n_chunks][H][k_tiles][M]: what each tile of K contributes to the scores */
struct gsa_step_push {
    GSA_MIXER_PUSH;
    uint n_spans;
    uint partial;
    uint k_tiles;
    uint tiles; /* that a workgroup takes in turn; never changes a bit */
    float scale;
    float normalizer; /* of the gate */
    uint map;         /* GSA_MAP_*, of q and k; both only when x holds projections */
    uint chunk_rows;  /* gsa_rows_*.comp */
};

/* Slots whose weights a workgroup of gsa_step_v.comp can hold at a time, and query heads of gsa_step_*.comp. */
#define GSA_STEP_SLOTS 2048u
#define GSA_STEP_HEADS 8u

/* gsa_few_mix.comp: most rows of the chunk, and query heads of a kv head times rows. */
#define GSA_FEW_ROWS  4u
#define GSA_FEW_LINES 8u

/* gsa_rows_*.comp: most query heads of a kv head, vectors of the state that an invocation holds, most slots. The scratch
 * is partial [n_chunks][chunk_rows][H][k_tiles][M] alone. */
#define GSA_ROWS_HEADS 4u
#define GSA_ROWS_HELD  8u
#define GSA_ROWS_SLOTS 256u

/* GSA, chunks of many rows: gsa_chunk_*.comp. The scratch; row i of a chunk is local row chunk * chunk_rows + i:
 *   pre      [rows][G M]          exp(sum of g from the start of the row's block through the row); at 0
 *   wsuf     [rows][G M]          s exp(sum of g after the row to the end of its block)
 *   wend     [rows][G M]          s exp(sum of g after the row to the end of the chunk)
 *   total    [n_chunks][4][G M]   sum of g over each block
 *   decay    [n_chunks][2][G M]   the chunk's decay as the pair of decay.glsl
 *   start    [n_chunks][G][K M + M V]   the state before the chunk, hk as [K][M], hv as [M][V]
 *   score    [rows][H][M]         scores, then slot weights; only when M is above GSA_SLOT_TILE */
struct gsa_chunk_push {
    GSA_MIXER_PUSH;
    uint chunk_rows;
    uint wsuf, wend, total, decay, start, score;
    float scale;
};

/* The same on matrix units: gsa_cm_*.comp, for M <= GSA_SLOT_TILE. Chunks have GSA_CHUNK local rows each; in the tables
 * those past a chunk's end hold no strength, and gates that keep everything. Bases in floats, multiples of 8.
 * The tables, one range: pre at 0, keep, write, wend and later one behind the other, table floats each but for f16.
 *   pre      [rows][G M] f32           as above
 *   keep     [rows][G M] f32           exp(g)
 *   write    [rows][G M] f32           s
 *   wend     [rows][G M] f16           as above
 *   later    [n_chunks][6][GSA_BLOCK][G M] f16   what block j wrote, as of the start of block b > j: at b (b - 1) / 2 + j
 *   lead     [n_chunks][4][G M] f32    exp(sum of g from the chunk's start to that of the block)
 *   decay    [n_chunks][GSA_BLOCK][G M] f32   the chunk's decay, the same in all rows: a fragment's worth. The pair
 *                                      (base, e) of decay.glsl as e, which is below 0 just when base is 1
 * Ranges of their own:
 *   score    [rows][H][M] f32          what the chunk's own rows contribute to the scores
 *   start    [n_chunks][G][K + V][M] f16   the state before the chunk, of either memory slots last
 *   half     [rows][half_stride] f16   q [H K], k [G K], v [G V] with their maps, bounded to what f16 holds. With
 *                                      GSA_CM_MAPPED rows of the pass instead, that the product left so */
struct gsa_cm_push {
    GSA_MIXER_PUSH;
    uint half_base, half_stride; /* of half, in floats and in f16 */
    uint table, lead, decay;
    float scale;
    float normalizer; /* of the gate */
    uint flags;       /* GSA_CM_* */
    uint n_scan, n_chunks; /* gsa_cm_chunks.comp: workgroups that follow the state, and chunks of the others */
};
#define GSA_CM_MAPPED    1u /* q, k, v are f16 with their maps and x holds f: gates are made here, and silu(o) */
#define GSA_CM_COPY_ROWS 8u
#define GSA_CM_COLUMNS   16u /* of [G M] whose gates a workgroup of gsa_cm_prepare.comp makes */
#define GSA_CM_TILE      32u /* rows of a workgroup: of [K | V] or of the chunk in gsa_cm_chunks.comp, of the chunk in _read */

/* Slots that a workgroup of gsa_chunk_read.comp handles at a time. */
#define GSA_SLOT_TILE    64u

#endif
