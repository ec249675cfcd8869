// A weight matrix times many vectors on matrix units, as matmul_cm: products of f16, sums in f32, here of operands that
// matmul_pack has put into the order in which subgroups hold them. Each lane loads its elements of a fragment as 16-byte
// vectors straight into registers: no shared memory, no barrier, and the next fragments are on their way while these are
// multiplied.
//   w  [w_blocks][K / FRAG_K][4][lanes][lane_vecs] 16-byte vectors   rows of the weights; with SWIGLU a block of four
//                                                                     fragments has two of gates, then two of their ups
//   x  [x_blocks][K / FRAG_K][4][lanes][lane_vecs]                    tokens
//   y  as in matmul_cm.comp, with its ACCUMULATE, SWIGLU and MAPS
//
// A workgroup owns TILE_T tokens x TILE_N weight rows, a subgroup SUB_T x SUB_N of them, in whole blocks. Every output
// takes its columns in ascending order in runs of FRAG_K, as in matmul_cm: its bits are the same.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128u;
layout(constant_id = 1) const uint TILE_T = 128u;
layout(constant_id = 2) const uint TILE_N = 128u;
layout(constant_id = 4) const uint SUB_T = 64u;
layout(constant_id = 5) const uint SUB_N = 64u;
layout(constant_id = 6) const uint FRAG_T = 16u;
layout(constant_id = 7) const uint FRAG_N = 16u;
layout(constant_id = 8) const uint FRAG_K = 16u;
layout(constant_id = 10) const bool EDGES = true;       // the tiles do not just fill the outputs
layout(constant_id = 11) const bool ACCUMULATE = false; // y +=
layout(constant_id = 12) const bool MAPS = false;
layout(constant_id = 13) const uint K = 2048u; // columns, filled up to whole steps: known, so that addresses fold
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"
#include "common/elements.glsl"

layout(push_constant) uniform Push { gsa_matmul_cm_push push; };
layout(std430, set = 0, binding = 0) readonly buffer W { uvec4 w[]; };
layout(std430, set = 0, binding = 1) readonly buffer X { uvec4 x[]; };
#if defined(SWIGLU)
layout(std430, set = 0, binding = 2) buffer Y { float16_t y[]; };
#define VALUE float16_t
#else
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };
layout(std430, set = 0, binding = 2) buffer YHalf { float16_t y_half[]; };
#define VALUE float
#endif

const uint SUBGROUPS = (TILE_T / SUB_T) * (TILE_N / SUB_N), LANES = THREADS / SUBGROUPS;
const uint ROWS = SUB_T / FRAG_T, COLUMNS = SUB_N / FRAG_N; // fragments of a subgroup
const uint SIDE = TILE_N / SUB_N;                           // subgroups along the weight rows
const uint STEP = 2u;                                       // fragments along K of a step: more spill
const uint BLOCK_T = 4u * FRAG_T, BLOCK_N = 4u * FRAG_N, KV = K / 8u;
const uint T_VECS = FRAG_T * FRAG_K / 8u, N_VECS = FRAG_N * FRAG_K / 8u; // of a fragment
const uint T_EACH = T_VECS / LANES, N_EACH = N_VECS / LANES;             // of a lane
const uint N_FRAG = FRAG_T * FRAG_N;
#if defined(SWIGLU)
const uint OUT_N = TILE_N / 2u, OUT_SUB = SUB_N / 2u, OUT_COLUMNS = COLUMNS / 2u;
#else
const uint OUT_N = TILE_N, OUT_SUB = SUB_N, OUT_COLUMNS = COLUMNS;
#endif

shared uvec4 staged[SUBGROUPS * N_FRAG / 4u]; // with EDGES

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

/* Fragment i of the subgroup's rows, g of the columns. Blocks beyond the last one repeat it. */
#define LOAD_A(m, i, g) \
    { ELEMENTS(m, x, x_from + BEHIND((i) / 4u, x_block, push.x_blocks) * (BLOCK_T * KV) + ((g) * 4u + (i) % 4u) * T_VECS, T_EACH) }
#define LOAD_B(m, j, g) \
    { ELEMENTS(m, w, w_from + BEHIND((j) / 4u, w_block, push.w_blocks) * (BLOCK_N * KV) + ((g) * 4u + (j) % 4u) * N_VECS, N_EACH) }
#define BEHIND(n, block, n_blocks) (EDGES ? min(block + (n), n_blocks - 1u) - block : (n))

// Matrices are variables of main and their loops short: an array that a driver does not unroll lands in slow memory.
void main()
{
    const uint tiles_t = (push.n_tokens + TILE_T - 1u) / TILE_T;
    const uint group = grid_group();
    const uint first_token = group % tiles_t * TILE_T; // neighbours share weight rows
    const uint first_row = group / tiles_t * OUT_N;
    if (first_row >= push.n_rows) return;

    const uint lane = gl_SubgroupInvocationID;
    const uint sub_t = gl_SubgroupID / SIDE * SUB_T, sub = gl_SubgroupID % SIDE;
    uint x_block = push.x_block + (first_token + sub_t) / BLOCK_T;
    uint w_block = push.w_block + (group / tiles_t * TILE_N + sub * SUB_N) / BLOCK_N;
    if (EDGES) {
        x_block = min(x_block, push.x_blocks - 1u);
        w_block = min(w_block, push.w_blocks - 1u);
    }
    const uint x_from = x_block * (BLOCK_T * KV) + lane * T_EACH, w_from = w_block * (BLOCK_N * KV) + lane * N_EACH;
    const uint n_frags = K / FRAG_K;
    FRAG_C sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = FRAG_C(0.0);
    FRAG_A a[ROWS], a_next[ROWS];
    FRAG_B b[COLUMNS], b_next[COLUMNS];

    [[unroll]] for (uint i = 0u; i < ROWS; i++) LOAD_A(a_next[i], i, 0u);
    [[unroll]] for (uint j = 0u; j < COLUMNS; j++) LOAD_B(b_next[j], j, 0u);
    for (uint s = 0u; s < n_frags / STEP; s++) {
        [[unroll]] for (uint k = 0u; k < STEP; k++) {
            [[unroll]] for (uint i = 0u; i < ROWS; i++) a[i] = a_next[i];
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++) b[j] = b_next[j];
            const uint next = min(s * STEP + k + 1u, n_frags - 1u); // the last ones once more, for nothing
            [[unroll]] for (uint i = 0u; i < ROWS; i++) LOAD_A(a_next[i], i, next);
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++) LOAD_B(b_next[j], j, next);
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                [[unroll]] for (uint i = 0u; i < ROWS; i++)
                    sum[i * COLUMNS + j] = coopMatMulAdd(a[i], b[j], sum[i * COLUMNS + j]);
        }
    }

    // With edges through shared memory, a fragment of each subgroup at a time, as f32; otherwise straight from the matrix.
    const uint token = first_token + sub_t, row = first_row + sub * OUT_SUB;
    const uint from = gl_SubgroupID * N_FRAG / 4u;
    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
        [[unroll]] for (uint j = 0u; j < OUT_COLUMNS; j++) {
            const uint at = push.y_offset + (token + i * FRAG_T) * push.y_stride + row + j * FRAG_N;
#if defined(SWIGLU)
            const uint gate = i * COLUMNS + j / 2u * 4u + j % 2u;
            FRAG_C z = sum[gate];
            [[unroll]] for (uint e = 0u; e < z.length(); e++)
                z[e] = clamp(ffn_act(z[e], push.act) * sum[gate + 2u][e], -65504.0, 65504.0);
#else
            FRAG_C z = sum[i * COLUMNS + j];
#endif
            if (EDGES) {
                coopMatStore(z, staged, from, FRAG_N / 4u, gl_CooperativeMatrixLayoutRowMajor);
                barrier();
                for (uint e = gl_SubgroupInvocationID; e < N_FRAG; e += LANES) {
                    if (token + i * FRAG_T + e / FRAG_N >= push.n_tokens || row + j * FRAG_N + e % FRAG_N >= push.n_rows)
                        continue;
                    const uint to = at + e / FRAG_N * push.y_stride + e % FRAG_N;
                    const float value = uintBitsToFloat(staged[from + e / 4u][e % 4u]);
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
