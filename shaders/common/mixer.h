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
    uint map;           /* GSA_MAP_* */
};
#define GSA_MAP_SILU 0u
#define GSA_MAP_RELU 1u

struct gsa_gate_push {
    uint in_offset, in_stride;
    uint out_offset, out_stride;
    uint g, s; /* first column of each */
    uint n;    /* columns of each */
    uint n_rows;
    float normalizer;
};

/* The same for all shaders of the mixer; each reads what it needs.
 *
 * Scratch of a one-row step, chunk i counted from the first of the call:
 *   header   [n_spans][4]: the span's first chunk, number of chunks, slot, unused; then [n_chunks]: row, or -1 for an
 *            empty chunk. As floats, which hold these counts exactly
 *   partial  [n_chunks][H][tiles of K][M]: what each tile of K contributes to the scores
 * Scratch of the chunked form; local row i of a chunk is row chunk * chunk_rows + i there:
 *   pre      [rows][G M]          exp(sum of g from the start of the row's block through the row)
 *   wsuf     [rows][G M]          s exp(sum of g after the row to the end of its block)
 *   wend     [rows][G M]          s exp(sum of g after the row to the end of the chunk)
 *   total    [n_chunks][4][G M]   sum of g over each block
 *   decay    [n_chunks][2][G M]   the chunk's decay as the pair of decay.glsl
 *   start    [n_chunks][G][K M + M V]   the state before the chunk, hk as [K][M], hv as [M][V]
 *   score    [rows][H][M]         scores, then slot weights; only when M is above GSA_SLOT_TILE */
struct gsa_mixer_push {
    uint x_offset, x_stride;
    uint q, k, v, g, s; /* first column of each part */
    uint o_offset, o_stride;
    uint state_stride, hk, hv;
    uint spans, chunks; /* bases in the work table */
    uint n_spans;
    uint chunk_rows;
    uint header, partial; /* one-row step */
    uint pre, wsuf, wend, total, decay, start, score;
    uint tiles;           /* one-row step: tiles a workgroup takes in turn; never changes a bit */
    float scale;
};

/* Columns of slots that a workgroup of the chunked form handles at a time. */
#define GSA_SLOT_TILE 64u

/* Slots whose weights a workgroup of the one-row step can hold at a time. */
#define GSA_STEP_SLOTS 2048u

/* Specialization constants of the gsa_* shaders. */
#define GSA_SPEC_R    0 /* query heads per kv head */
#define GSA_SPEC_G    1
#define GSA_SPEC_K    2
#define GSA_SPEC_V    3
#define GSA_SPEC_M    4
#define GSA_SPEC_TILE 5 /* step: rows of K, or columns of V, per tile; scan: see gsa_chunk_scan.comp */
#define GSA_SPEC_LANES 6 /* step: invocations side by side along M: a power of two */
#define GSA_SPEC_KTILES 7 /* step: tiles of K, for the half that adds up their partial scores */
#define GSA_N_SPEC    8

#endif
