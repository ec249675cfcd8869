// A weight matrix times few vectors on matrix units: what matmul_cm.comp computes, to the bit, at the speed of memory.
//   y[t, n] (+)= sum_c x[t, c] w[n, c], or with SWIGLU in f16:
//   y[t, n] = act(sum_c x[t, c] w[n, c]) * sum_c x[t, c] w[up_rows + n, c]
//
//   weights, x, y   as for matmul_cm.comp; with SWIGLU a tile holds TILE_N / 2 gate rows, then their up rows
//
// Where tokens are few the weights' way from memory is what counts: a workgroup has few rows, so that all cores have work,
// and AHEAD steps of DEPTH columns on the way in registers. A step's vectors go to one of two buffers in shared memory
// while the other one's are multiplied: one barrier a step. The last subgroups multiply, each SUB_T x SUB_N of the tile;
// all of them load, and turn what they loaded into f16. Every output takes its columns in ascending order in runs of
// FRAG_K into one f32 sum, as in matmul_cm.comp.
//
// Loads stand under no condition, and nothing is done to what they bring before it is put: a driver's compiler waits for a
// load where a choice depends on it, and at the end of a branch for all of them, so that none would be ahead.
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
layout(constant_id = 1) const uint TILE_T = 16u;
layout(constant_id = 2) const uint TILE_N = 16u;
layout(constant_id = 3) const uint DEPTH = 128u; // whole blocks of 64 columns of the block types
layout(constant_id = 4) const uint SUB_T = 16u;
layout(constant_id = 5) const uint SUB_N = 16u;
layout(constant_id = 6) const uint FRAG_T = 16u;
layout(constant_id = 7) const uint FRAG_N = 16u;
layout(constant_id = 8) const uint FRAG_K = 16u;
layout(constant_id = 9) const uint AHEAD = 4u;
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
const uint OUT_N = TILE_N / 2u;
#else
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };
layout(std430, set = 0, binding = 2) buffer YHalf { float16_t y_half[]; };
const uint OUT_N = TILE_N;
#endif

const uint VECS = DEPTH / 8u; // 16-byte vectors of f16 in a row of a tile
const uint PITCH = VECS + 1u; // odd, so that neighbouring rows lie in different banks
const uint N_X = TILE_T * VECS;
const uint X_EACH = (N_X + THREADS - 1u) / THREADS; // of an invocation
#if defined(WEIGHT_BLOCKS)
#define ITEM WeightPiece
const uint ITEMS = DEPTH / 32u; // of a row's step
#else
#define ITEM uvec4
const uint ITEMS = VECS;
#endif
const uint N_W = TILE_N * ITEMS;
const uint W_EACH = (N_W + THREADS - 1u) / THREADS;
const uint ROWS = SUB_T / FRAG_T, COLUMNS = SUB_N / FRAG_N; // fragments of a subgroup
const uint SIDE = TILE_N / SUB_N;                           // subgroups along the weight rows
const uint N_MULTIPLY = TILE_T / SUB_T * SIDE;              // subgroups that multiply
const uint STAGE = (TILE_T + TILE_N) * PITCH;
const uint N_SUMS = TILE_T * TILE_N / 4u;

shared uvec4 tile[2u * STAGE > N_SUMS ? 2u * STAGE : N_SUMS]; // row r of x at r * PITCH, of the weights at (TILE_T + r) * PITCH; at the end the sums

uint first_token, first_row; // of the tile, in y

uint weight_row(uint r)
{
#if defined(SWIGLU)
    return push.first_row + min(first_row + r % OUT_N, push.n_rows - 1u) + (r >= OUT_N ? push.up_rows : 0u);
#else
    return push.first_row + min(first_row + r, push.n_rows - 1u);
#endif
}

// Rows beyond the matrix repeat its last one, columns beyond it become zero where they are put.
uvec4 load_x(uint s, uint i)
{
    const uint at = min(s * VECS + i % VECS, push.x_vecs - 1u), t = min(first_token + i / VECS, push.n_tokens - 1u);
    return x[push.x_offset + t * push.x_stride + at];
}

void store_x(uint base, uint s, uint i, uvec4 v)
{
    if (N_X % THREADS == 0u || i < N_X)
        tile[base + i / VECS * PITCH + i % VECS] = s * VECS + i % VECS < push.x_vecs ? v : uvec4(0u);
}

#if defined(WEIGHT_BLOCKS)
// Columns beyond the last block repeat it: there x is zero.
uint block_of(uint s, uint i)
{
    const uint blocks = weight_units(2u * push.x_vecs) / WEIGHT_BLOCK_UNITS;
    return min(s * (DEPTH / 64u) + i % ITEMS / 2u, blocks - 1u);
}

WeightPiece load_w(uint s, uint i)
{
    const uint row = weight_row(min(i / ITEMS, TILE_N - 1u)) * push.row_vecs;
    return weight_piece(row, weight_units(2u * push.x_vecs), block_of(s, i), i % 2u);
}

void store_w(uint base, uint s, uint i, WeightPiece piece)
{
    if (N_W % THREADS != 0u && i >= N_W) return;
    const uint run = base + (TILE_T + i / ITEMS) * PITCH + i % ITEMS / 2u * 8u + i % 2u * 2u;
    [[unroll]] for (uint v = 0u; v < 4u; v++) tile[run + v / 2u * 4u + v % 2u] = weight_halves(piece, block_of(s, i), v);
}
#else
uvec4 load_w(uint s, uint i)
{
    const uint at = min(s * VECS + i % VECS, push.row_vecs - 1u);
    return weights[weight_row(min(i / VECS, TILE_N - 1u)) * push.row_vecs + at];
}

#if defined(WEIGHT_BF16)
// Exact but for what f16 cannot hold: below 2^-14 the last digits, and what is out of its range is bounded.
uint half_pair(uint word)
{
    return packHalf2x16(clamp(weight_pair(word), -65504.0, 65504.0));
}
#endif

void store_w(uint base, uint s, uint i, uvec4 v)
{
    if (N_W % THREADS != 0u && i >= N_W) return;
#if defined(WEIGHT_BF16)
    v = uvec4(half_pair(v.x), half_pair(v.y), half_pair(v.z), half_pair(v.w));
#endif
    tile[base + (TILE_T + i / VECS) * PITCH + i % VECS] = s * VECS + i % VECS < push.row_vecs ? v : uvec4(0u);
}
#endif

// What is on the way, a set of variables for each step: an array indexed by the step would land in slow memory wherever
// a driver does not unroll the loop over it.
#define WAY(A)                                                                                                       \
    ITEM w_##A[W_EACH];                                                                                              \
    uvec4 x_##A[X_EACH];                                                                                             \
    void fetch_##A(uint s)                                                                                           \
    {                                                                                                                \
        const uint lane = gl_LocalInvocationIndex;                                                                   \
        [[unroll]] for (uint e = 0u; e < W_EACH; e++) w_##A[e] = load_w(s, lane + e * THREADS);                      \
        [[unroll]] for (uint e = 0u; e < X_EACH; e++) x_##A[e] = load_x(s, lane + e * THREADS);                      \
    }                                                                                                                \
    void put_##A(uint s)                                                                                             \
    {                                                                                                                \
        const uint lane = gl_LocalInvocationIndex, base = (s & 1u) * STAGE;                                          \
        [[unroll]] for (uint e = 0u; e < X_EACH; e++) store_x(base, s, lane + e * THREADS, x_##A[e]);                \
        [[unroll]] for (uint e = 0u; e < W_EACH; e++) store_w(base, s, lane + e * THREADS, w_##A[e]);                \
    }
WAY(0)
WAY(1)
WAY(2)
WAY(3)

// Value of an output in f32 from the sums in shared memory
float sum_at(uint t, uint n)
{
    const uint i = t * TILE_N + n;
    return uintBitsToFloat(tile[i / 4u][i % 4u]);
}

void write_outputs()
{
    for (uint i = gl_LocalInvocationIndex; i < TILE_T * OUT_N; i += THREADS) {
        const uint t = i / OUT_N, n = i % OUT_N;
        if (first_token + t >= push.n_tokens || first_row + n >= push.n_rows) continue;
        const uint to = push.y_offset + (first_token + t) * push.y_stride + first_row + n;
        float z = sum_at(t, n);
#if defined(SWIGLU)
        y[to] = float16_t(clamp(ffn_act(z, push.act) * sum_at(t, OUT_N + n), -65504.0, 65504.0));
#else
        const uint column = push.column + first_row + n;
        if (MAPS && column < push.half_columns) {
            z = clamp(column < push.relu_columns ? max(z, 0.0) : silu(z), -65504.0, 65504.0);
            y_half[2u * to - column] = float16_t(z);
        } else {
            y[to] = ACCUMULATE ? y[to] + z : z;
        }
#endif
    }
}

// Matrices are variables of main: elsewhere they land in slow memory.
#define MULTIPLY(S)                                                                                                  \
    if (multiplies) {                                                                                                \
        const uint x_at = ((S)&1u) * STAGE + sub_t * PITCH, w_at = ((S)&1u) * STAGE + (TILE_T + sub_n) * PITCH;      \
        [[unroll]] for (uint k = 0u; k < VECS; k += FRAG_K / 8u) {                                                   \
            FRAG_A a[ROWS];                                                                                          \
            [[unroll]] for (uint i = 0u; i < ROWS; i++)                                                              \
                coopMatLoad(a[i], tile, x_at + i * FRAG_T * PITCH + k, PITCH, gl_CooperativeMatrixLayoutRowMajor);   \
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++) {                                                         \
                FRAG_B b;                                                                                            \
                coopMatLoad(b, tile, w_at + j * FRAG_N * PITCH + k, PITCH, gl_CooperativeMatrixLayoutColumnMajor);   \
                [[unroll]] for (uint i = 0u; i < ROWS; i++)                                                          \
                    sum[i * COLUMNS + j] = coopMatMulAdd(a[i], b, sum[i * COLUMNS + j]);                             \
            }                                                                                                        \
        }                                                                                                            \
    }
// Step S is in its buffer; the next one follows, and its way is free for the step AHEAD of it. Steps beyond the end are
// fetched and put, and never multiplied.
#define STEP(S, NEXT)                                                                                                \
    MULTIPLY(S)                                                                                                      \
    put_##NEXT((S) + 1u);                                                                                            \
    fetch_##NEXT((S) + 1u + AHEAD);                                                                                  \
    barrier();
#define LAST_STEP(S, NEXT)                                                                                           \
    if ((S) < n_steps) {                                                                                             \
        MULTIPLY(S)                                                                                                  \
        put_##NEXT((S) + 1u);                                                                                        \
        barrier();                                                                                                   \
    }
#define FRAG_A coopmat<float16_t, gl_ScopeSubgroup, FRAG_T, FRAG_K, gl_MatrixUseA>
#define FRAG_B coopmat<float16_t, gl_ScopeSubgroup, FRAG_K, FRAG_N, gl_MatrixUseB>
#define FRAG_C coopmat<float, gl_ScopeSubgroup, FRAG_T, FRAG_N, gl_MatrixUseAccumulator>

void main()
{
    const uint tiles_t = (push.n_tokens + TILE_T - 1u) / TILE_T;
    const uint group = grid_group();
    first_token = group % tiles_t * TILE_T; // neighbours share weight rows
    first_row = group / tiles_t * OUT_N;
    if (first_row >= push.n_rows) return;

    const uint n_steps = (push.x_vecs + VECS - 1u) / VECS;
    const bool multiplies = gl_SubgroupID + N_MULTIPLY >= gl_NumSubgroups;
    const uint part = gl_SubgroupID + N_MULTIPLY - gl_NumSubgroups; // of those that multiply
    const uint sub_t = part / SIDE * SUB_T, sub_n = part % SIDE * SUB_N;
    FRAG_C sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = FRAG_C(0.0);

    fetch_0(0u);
    if (AHEAD > 1u) fetch_1(1u);
    if (AHEAD > 2u) fetch_2(2u);
    if (AHEAD > 3u) fetch_3(3u);
    put_0(0u);
    fetch_0(AHEAD);
    barrier();
    uint s = 0u;
    for (; s + AHEAD <= n_steps; s += AHEAD) {
        if (AHEAD == 1u) {
            STEP(s, 0)
        } else if (AHEAD == 2u) {
            STEP(s, 1)
            STEP(s + 1u, 0)
        } else if (AHEAD == 3u) {
            STEP(s, 1)
            STEP(s + 1u, 2)
            STEP(s + 2u, 0)
        } else {
            STEP(s, 1)
            STEP(s + 1u, 2)
            STEP(s + 2u, 3)
            STEP(s + 3u, 0)
        }
    }
    if (AHEAD > 1u) {
        LAST_STEP(s, 1)
        if (AHEAD > 2u) LAST_STEP(s + 1u, 2)
        if (AHEAD > 3u) LAST_STEP(s + 2u, 3)
    }

    if (multiplies)
        [[unroll]] for (uint i = 0u; i < ROWS; i++)
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                coopMatStore(sum[i * COLUMNS + j], tile, ((sub_t + i * FRAG_T) * TILE_N + sub_n + j * FRAG_N) / 4u,
                    TILE_N / 4u, gl_CooperativeMatrixLayoutRowMajor);
    barrier();
    write_outputs();
}
