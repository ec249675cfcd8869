// A weight matrix times many vectors on matrix units: products of f16, sums in f32.
//   y[t, n] (+)= sum_c x[t, c] w[n, c], or with SWIGLU in f16:
//   y[t, n] = act(sum_c x[t, c] w[n, c]) * sum_c x[t, c] w[up_rows + n, c]
//
//   weights [rows][row_vecs] 16-byte vectors   of any type but f32, turned into f16 on the way; rows first_row .. first_row + n_rows - 1 of a part; with SWIGLU also those
//                                              up_rows further on
//   x       [n_tokens, 8 x_vecs] f16           as 16-byte vectors
//   y       [n_tokens, n_rows] f32             added to with ACCUMULATE; with SWIGLU f16; with MAPS the columns of the matrix
//                                              below push.half_columns are f16 in the first half of their place in the
//                                              row, mapped: below push.relu_columns rectified, the others silu
//
// A workgroup owns TILE_T tokens x TILE_N weight rows, a subgroup SUB_T x SUB_N of them, in fragments of the shape that
// the device's matrix units take. Columns are walked in steps of DEPTH through shared memory, in STAGES buffers; the next
// step's vectors are fetched while this one's are multiplied, and made halves behind the multiplications, before the workgroup
// waits. Every output takes its columns in ascending order in runs of
// FRAG_K: its bits depend neither on its place in the tile, nor on the tile, nor on the number of tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 256u;
layout(constant_id = 1) const uint TILE_T = 128u;
layout(constant_id = 2) const uint TILE_N = 128u;
layout(constant_id = 3) const uint DEPTH = 32u;
layout(constant_id = 4) const uint SUB_T = 64u;
layout(constant_id = 5) const uint SUB_N = 32u;
layout(constant_id = 6) const uint FRAG_T = 16u;
layout(constant_id = 7) const uint FRAG_N = 16u;
layout(constant_id = 8) const uint FRAG_K = 16u;
layout(constant_id = 9) const uint STAGES = 1u;
layout(constant_id = 10) const bool EDGES = true;       // the tiles do not just fill the outputs
layout(constant_id = 11) const bool ACCUMULATE = false; // y +=
layout(constant_id = 12) const bool MAPS = false;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"
#if defined(WEIGHT_BLOCKS)
#include "common/weight_halves.glsl"
#endif
#include "common/act.glsl"

layout(push_constant) uniform Push { gsa_matmul_cm_push push; };
#if !defined(WEIGHT_BLOCKS)
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer X { uvec4 x[]; };
#if defined(SWIGLU)
layout(std430, set = 0, binding = 2) buffer Y { float16_t y[]; };
#define VALUE float16_t
#else
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };
layout(std430, set = 0, binding = 2) buffer YHalf { float16_t y_half[]; };
#define VALUE float
#endif

const uint VECS = DEPTH / 8u;  // 16-byte vectors of a row of a tile
const uint PITCH = VECS + 1u;  // odd, so that neighbouring rows lie in different banks
const uint N_X = TILE_T * VECS, N_W = TILE_N * VECS;
const uint X_EACH = (N_X + THREADS - 1u) / THREADS; // of an invocation
#if defined(WEIGHT_BLOCKS)
const uint PIECES = VECS / 4u; // of a row's step
const uint W_EACH = (TILE_N * PIECES + THREADS - 1u) / THREADS;
#else
const uint W_EACH = (N_W + THREADS - 1u) / THREADS;
#endif
const uint ROWS = SUB_T / FRAG_T, COLUMNS = SUB_N / FRAG_N; // fragments of a subgroup
const uint SIDE = TILE_N / SUB_N;                           // subgroups along the weight rows
const uint STAGE = (TILE_T + TILE_N) * PITCH;
#if defined(SWIGLU)
const uint OUT_N = TILE_N / 2u, OUT_SUB = SUB_N / 2u, OUT_COLUMNS = COLUMNS / 2u;
#else
const uint OUT_N = TILE_N, OUT_SUB = SUB_N, OUT_COLUMNS = COLUMNS;
#endif

shared uvec4 tile[STAGES * STAGE]; // row r of x at r * PITCH, of the weights at (TILE_T + r) * PITCH

uint first_token, first_row; // of the tile, in y
uvec4 x_next[X_EACH];
#if defined(WEIGHT_BLOCKS)
WeightPiece w_next[W_EACH];
uvec4 w_halves[4u * W_EACH];
#else
uvec4 w_next[W_EACH];
#endif

// Weight row of the part that row r of the tile holds. With SWIGLU each subgroup has the gates' rows, then the ups'.
uint weight_row(uint r)
{
#if defined(SWIGLU)
    const uint within = r % SUB_N;
    const uint n = min(first_row + r / SUB_N * OUT_SUB + within % OUT_SUB, push.n_rows - 1u);
    return push.first_row + n + (within >= OUT_SUB ? push.up_rows : 0u);
#else
    return push.first_row + min(first_row + r, push.n_rows - 1u);
#endif
}

#if defined(WEIGHT_BLOCKS)
// Piece i of a step: eight neighbours are of eight rows, whose vectors lie in different banks.
uint piece_row(uint i)
{
    return i / (8u * PIECES) * 8u + i % 8u;
}

uint piece_of_row(uint i)
{
    return i / 8u % PIECES;
}

// Columns beyond the last block repeat it: there x is zero.
uint block_of(uint step_index, uint i)
{
    const uint blocks = weight_units(2u * push.x_vecs) / WEIGHT_BLOCK_UNITS;
    return min(step_index * (DEPTH / 64u) + piece_of_row(i) / 2u, blocks - 1u);
}
#endif

// Rows beyond the matrix repeat its last one, columns beyond it are zero.
void fetch(uint step_index)
{
    const uint lane = gl_LocalInvocationIndex;
    [[unroll]] for (uint e = 0u; e < X_EACH; e++) {
        const uint i = lane + e * THREADS, at = step_index * VECS + i % VECS;
        const uint t = min(first_token + i / VECS, push.n_tokens - 1u);
        x_next[e] = at < push.x_vecs ? x[push.x_offset + t * push.x_stride + at] : uvec4(0u);
    }
#if defined(WEIGHT_BLOCKS)
    const uint units = weight_units(2u * push.x_vecs);
    [[unroll]] for (uint e = 0u; e < W_EACH; e++) {
        const uint i = lane + e * THREADS, row = weight_row(min(piece_row(i), TILE_N - 1u)) * push.row_vecs;
        w_next[e] = weight_piece(row, units, block_of(step_index, i), piece_of_row(i) % 2u);
    }
#else
    [[unroll]] for (uint e = 0u; e < W_EACH; e++) {
        const uint i = lane + e * THREADS, at = step_index * VECS + i % VECS;
        w_next[e] = at < push.row_vecs ? weights[weight_row(i / VECS) * push.row_vecs + at] : uvec4(0u);
    }
#endif
}

#if defined(WEIGHT_BLOCKS)
void convert(uint step_index)
{
    [[unroll]] for (uint e = 0u; e < W_EACH; e++) {
        const uint block = block_of(step_index, gl_LocalInvocationIndex + e * THREADS);
        [[unroll]] for (uint v = 0u; v < 4u; v++) w_halves[4u * e + v] = weight_halves(w_next[e], block, v);
    }
}
#endif

#if defined(WEIGHT_BF16)
// Exact but for what f16 cannot hold: below 2^-14 the last digits, and what is out of its range is bounded.
uint half_pair(uint word)
{
    return packHalf2x16(clamp(weight_pair(word), -65504.0, 65504.0));
}
#endif

void put(uint stage)
{
    const uint lane = gl_LocalInvocationIndex, base = stage * STAGE;
    [[unroll]] for (uint e = 0u; e < X_EACH; e++) {
        const uint i = lane + e * THREADS;
        if (N_X % THREADS == 0u || i < N_X) tile[base + i / VECS * PITCH + i % VECS] = x_next[e];
    }
    [[unroll]] for (uint e = 0u; e < W_EACH; e++) {
        const uint i = lane + e * THREADS;
#if defined(WEIGHT_BLOCKS)
        const uint run = base + (TILE_T + piece_row(i)) * PITCH + piece_of_row(i) / 2u * 8u + piece_of_row(i) % 2u * 2u;
        if ((TILE_N * PIECES) % THREADS == 0u || i < TILE_N * PIECES)
            [[unroll]] for (uint v = 0u; v < 4u; v++) tile[run + v / 2u * 4u + v % 2u] = w_halves[4u * e + v];
    }
#else
#if defined(WEIGHT_BF16)
        const uvec4 w = uvec4(half_pair(w_next[e].x), half_pair(w_next[e].y), half_pair(w_next[e].z), half_pair(w_next[e].w));
#else
        const uvec4 w = w_next[e];
#endif
        if (N_W % THREADS == 0u || i < N_W) tile[base + (TILE_T + i / VECS) * PITCH + i % VECS] = w;
    }
#endif
}

#if !defined(SWIGLU)
float mapped(float z, uint column)
{
    return clamp(column < push.relu_columns ? max(z, 0.0) : silu(z), -65504.0, 65504.0);
}
#endif

#define FRAG_A coopmat<float16_t, gl_ScopeSubgroup, FRAG_T, FRAG_K, gl_MatrixUseA>
#define FRAG_B coopmat<float16_t, gl_ScopeSubgroup, FRAG_K, FRAG_N, gl_MatrixUseB>
#define FRAG_C coopmat<float, gl_ScopeSubgroup, FRAG_T, FRAG_N, gl_MatrixUseAccumulator>
#define FRAG_H coopmat<float16_t, gl_ScopeSubgroup, FRAG_T, FRAG_N, gl_MatrixUseAccumulator>
#define FRAG_Y coopmat<VALUE, gl_ScopeSubgroup, FRAG_T, FRAG_N, gl_MatrixUseAccumulator>

// Matrices are variables of main and their loops short: an array that a driver does not unroll lands in slow memory.
void main()
{
    const uint tiles_t = (push.n_tokens + TILE_T - 1u) / TILE_T;
    const uint group = grid_group();
    first_token = group % tiles_t * TILE_T; // neighbours share weight rows
    first_row = group / tiles_t * OUT_N;
    if (first_row >= push.n_rows) return;

    const uint sub_t = gl_SubgroupID / SIDE * SUB_T, sub = gl_SubgroupID % SIDE;
    const uint n_steps = (push.x_vecs + VECS - 1u) / VECS;
    FRAG_C sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = FRAG_C(0.0);

    fetch(0u);
#if defined(WEIGHT_BLOCKS)
    convert(0u);
#endif
    put(0u);
    barrier();
    for (uint s = 0u; s < n_steps; s++) {
        const bool more = s + 1u < n_steps;
        if (more) fetch(s + 1u);
        const uint stage = STAGES > 1u ? (s & 1u) * STAGE : 0u;
        const uint x_at = stage + sub_t * PITCH, w_at = stage + (TILE_T + sub * SUB_N) * PITCH;
        [[unroll]] for (uint k = 0u; k < VECS; k += FRAG_K / 8u) {
            FRAG_A a[ROWS];
            [[unroll]] for (uint i = 0u; i < ROWS; i++)
                coopMatLoad(a[i], tile, x_at + i * FRAG_T * PITCH + k, PITCH, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++) {
                FRAG_B b;
                coopMatLoad(b, tile, w_at + j * FRAG_N * PITCH + k, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0u; i < ROWS; i++)
                    sum[i * COLUMNS + j] = coopMatMulAdd(a[i], b, sum[i * COLUMNS + j]);
            }
        }
#if defined(WEIGHT_BLOCKS)
        convert(s + 1u); // also when there is no more: no branch keeps it from mixing with the multiplications
#endif
        if (STAGES == 1u) barrier();
        if (more) put(STAGES > 1u ? (s + 1u) & 1u : 0u);
        barrier();
    }

    // With edges through shared memory, a fragment of each subgroup at a time, as f32; otherwise straight from the matrix.
    const uint token = first_token + sub_t, row = first_row + sub * OUT_SUB;
    const uint n_frag = FRAG_T * FRAG_N, from = gl_SubgroupID * n_frag / 4u;
    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
        [[unroll]] for (uint j = 0u; j < OUT_COLUMNS; j++) {
            const uint at = push.y_offset + (token + i * FRAG_T) * push.y_stride + row + j * FRAG_N;
            FRAG_C z = sum[i * COLUMNS + j];
#if defined(SWIGLU)
            [[unroll]] for (uint e = 0u; e < z.length(); e++)
                z[e] = clamp(ffn_act(z[e], push.act) * sum[i * COLUMNS + OUT_COLUMNS + j][e], -65504.0, 65504.0);
#endif
            if (EDGES) {
                coopMatStore(z, tile, from, FRAG_N / 4u, gl_CooperativeMatrixLayoutRowMajor);
                barrier();
                for (uint e = gl_SubgroupInvocationID; e < n_frag; e += gl_SubgroupSize) {
                    if (token + i * FRAG_T + e / FRAG_N >= push.n_tokens || row + j * FRAG_N + e % FRAG_N >= push.n_rows)
                        continue;
                    const uint to = at + e / FRAG_N * push.y_stride + e % FRAG_N;
                    const float value = uintBitsToFloat(tile[from + e / 4u][e % 4u]);
#if !defined(SWIGLU)
                    const uint column = push.column + row + j * FRAG_N + e % FRAG_N;
                    if (MAPS && column < push.half_columns) {
                        y_half[2u * to - column] = float16_t(mapped(value, column));
                        continue;
                    }
#endif
                    y[to] = VALUE(ACCUMULATE ? float(y[to]) + value : value);
                }
                barrier();
                continue;
            }
#if !defined(SWIGLU)
            const uint column = push.column + row + j * FRAG_N; // the parts of a row end between fragments
            if (MAPS && column < push.half_columns) {
                [[unroll]] for (uint e = 0u; e < z.length(); e++) z[e] = mapped(z[e], column);
                coopMatStore(FRAG_H(z), y_half, 2u * at - column, 2u * push.y_stride, gl_CooperativeMatrixLayoutRowMajor);
                continue;
            }
#endif
            FRAG_Y out_frag = FRAG_Y(z);
            if (ACCUMULATE) {
                FRAG_Y old;
                coopMatLoad(old, y, at, push.y_stride, gl_CooperativeMatrixLayoutRowMajor);
                out_frag = old + out_frag;
            }
            coopMatStore(out_frag, y, at, push.y_stride, gl_CooperativeMatrixLayoutRowMajor);
        }
    }
}
