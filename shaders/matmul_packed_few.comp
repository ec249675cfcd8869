// Products of few tokens on matrix units, of operands in the order of fragments, at the speed of memory.
//   y[t, n] (+)= sum_c x[t, c] w[n, c], or with SWIGLU in f16:
//   y[t, n] = act(sum_c x[t, c] w[n, c]) * sum_c x[t, c] w[up_rows + n, c]
//
//   w, x, y   as for matmul_packed.comp; with PACKS y is in the order of fragments, too, as matmul_pack.comp has tokens
//
// Where tokens are few the weights' way from memory is what counts. A subgroup owns SUB_T tokens x SUB_N weight rows of a
// tile, with SWIGLU fragments of gates and ups by turns, and one of PARTS parts of the columns: AHEAD fragments of each row
// are on their way in registers, with no shared memory and no barrier to wait for. Only what loops carry stays on its way:
// some compilers wait at the end of a loop for what was loaded in it, and in a straight line move loads to where they are
// used, so how often the loop goes round is told as late as by the push constants.
//
// Every output takes the columns of a part in ascending order in runs of FRAG_K; sums of parts then meet in pairs. One part
// gives the bits of matmul_cm.comp and matmul_packed.comp.
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
layout(constant_id = 1) const uint TILE_T = 16u;
layout(constant_id = 2) const uint TILE_N = 32u; // weight rows: gates and ups
layout(constant_id = 3) const uint PARTS = 2u;   // a power of two
layout(constant_id = 4) const uint SUB_T = 16u;
layout(constant_id = 5) const uint SUB_N = 16u;
layout(constant_id = 6) const uint FRAG_T = 16u;
layout(constant_id = 7) const uint FRAG_N = 16u;
layout(constant_id = 8) const uint FRAG_K = 16u;
layout(constant_id = 9) const uint AHEAD = 4u;
layout(constant_id = 11) const bool ACCUMULATE = false; // y +=
layout(constant_id = 12) const bool MAPS = false;
layout(constant_id = 13) const uint K = 2048u;     // columns, filled up to whole steps; PARTS divide its fragments
layout(constant_id = 14) const bool PACKS = false; // SWIGLU; FRAG_N is FRAG_K
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"
#include "common/elements.glsl"

layout(push_constant) uniform Push { gsa_matmul_cm_push push; };
layout(std430, set = 0, binding = 0) readonly buffer W { uvec4 w[]; };
layout(std430, set = 0, binding = 1) readonly buffer X { uvec4 x[]; };
#if defined(SWIGLU)
layout(std430, set = 0, binding = 2) writeonly buffer Y { float16_t y[]; };
layout(std430, set = 0, binding = 2) writeonly buffer YVec { uvec4 y_vec[]; };
const uint OUT_N = TILE_N / 2u;
#else
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };
layout(std430, set = 0, binding = 2) buffer YHalf { float16_t y_half[]; };
const uint OUT_N = TILE_N;
#endif

const uint SIDE = TILE_N / SUB_N, TEAM = TILE_T / SUB_T * SIDE; // subgroups along the weight rows, of a part
const uint LANES = THREADS / (TEAM * PARTS);
const uint ROWS = SUB_T / FRAG_T, COLUMNS = SUB_N / FRAG_N; // fragments of a subgroup
const uint N_FRAGS = K / FRAG_K, STEPS = N_FRAGS / PARTS;
const uint LEFT = STEPS - (STEPS - 1u) / AHEAD * AHEAD; // behind the loop's rounds
const uint T_VECS = FRAG_T * FRAG_K / 8u, N_VECS = FRAG_N * FRAG_K / 8u; // 16-byte vectors of a fragment
const uint T_EACH = T_VECS / LANES, N_EACH = N_VECS / LANES;             // of a lane
const uint TILE = TILE_T * TILE_N, OUT = TILE_T * OUT_N, EACH = (OUT + THREADS - 1u) / THREADS;

#if defined(SWIGLU)
shared float sums[PARTS > 1u ? PARTS / 2u * TILE : 1u];
shared float16_t halves[OUT];
#else
shared float sums[PARTS > 1u ? PARTS / 2u * TILE : TILE];
float mapped(float z, uint column)
{
    return clamp(column < push.relu_columns ? max(z, 0.0) : silu(z), -65504.0, 65504.0);
}
#endif

// Fragments G of the part's columns to their place A; behind the last one it once more, for nothing. Macros, because
// arrays that functions write may leave registers.
#define STEP_AT(G) (STEPS % AHEAD == 0u ? (G) : min((G), STEPS - 1u))
#define LOAD(G, A)                                                                                                  \
    {                                                                                                               \
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++)                                                              \
            [[unroll]] for (uint v = 0u; v < N_EACH; v++)                                                           \
                w_way[((A) * COLUMNS + j) * N_EACH + v] = w[w_from[j] + STEP_AT(G) * 4u * N_VECS + v];               \
        [[unroll]] for (uint i = 0u; i < ROWS; i++)                                                                 \
            [[unroll]] for (uint v = 0u; v < T_EACH; v++)                                                           \
                x_way[((A) * ROWS + i) * T_EACH + v] = x[x_from[i] + STEP_AT(G) * 4u * T_VECS + v];                  \
    }
#define MULTIPLY(A)                                                                                                 \
    {                                                                                                               \
        FRAG_A of_x[ROWS];                                                                                          \
        [[unroll]] for (uint i = 0u; i < ROWS; i++) ELEMENTS(of_x[i], x_way, ((A) * ROWS + i) * T_EACH, T_EACH)      \
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++) {                                                            \
            FRAG_B of_w;                                                                                            \
            ELEMENTS(of_w, w_way, ((A) * COLUMNS + j) * N_EACH, N_EACH)                                              \
            [[unroll]] for (uint i = 0u; i < ROWS; i++)                                                             \
                sum[j * ROWS + i] = coopMatMulAdd(of_x[i], of_w, sum[j * ROWS + i]);                                \
        }                                                                                                           \
    }
#define FRAG_A coopmat<float16_t, gl_ScopeSubgroup, FRAG_T, FRAG_K, gl_MatrixUseA>
#define FRAG_B coopmat<float16_t, gl_ScopeSubgroup, FRAG_K, FRAG_N, gl_MatrixUseB>
#define FRAG_C coopmat<float, gl_ScopeSubgroup, FRAG_T, FRAG_N, gl_MatrixUseAccumulator>
#define FRAG_H coopmat<float16_t, gl_ScopeSubgroup, FRAG_T, FRAG_N, gl_MatrixUseAccumulator>
#define ROW_MAJOR gl_CooperativeMatrixLayoutRowMajor

void main()
{
    const uint tiles_t = (push.n_tokens + TILE_T - 1u) / TILE_T;
    const uint group = grid_group();
    const uint first_token = group % tiles_t * TILE_T, first_row = group / tiles_t * OUT_N;
    if (first_row >= push.n_rows) return;

    const uint part = gl_SubgroupID / TEAM, sub_t = gl_SubgroupID % TEAM / SIDE * SUB_T, sub = gl_SubgroupID % SIDE;
    const uint lane = gl_SubgroupInvocationID, first_step = part * STEPS;
    uint w_from[COLUMNS], x_from[ROWS];
    [[unroll]] for (uint j = 0u; j < COLUMNS; j++) {
#if defined(SWIGLU) // a block has two fragments of gates, then two of their ups
        const uint pair = first_row / FRAG_N + (sub * COLUMNS + j) / 2u;
        const uint block = pair / 2u, row = pair % 2u + j % 2u * 2u;
#else
        const uint frag = first_row / FRAG_N + sub * COLUMNS + j, block = frag / 4u, row = frag % 4u;
#endif
        const uint at_block = min(push.w_block + block, push.w_blocks - 1u);
        w_from[j] = ((at_block * N_FRAGS + first_step) * 4u + row) * N_VECS + lane * N_EACH;
    }
    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
        const uint frag = (first_token + sub_t) / FRAG_T + i, at_block = min(push.x_block + frag / 4u, push.x_blocks - 1u);
        x_from[i] = ((at_block * N_FRAGS + first_step) * 4u + frag % 4u) * T_VECS + lane * T_EACH;
    }
    uvec4 w_way[AHEAD * COLUMNS * N_EACH], x_way[AHEAD * ROWS * T_EACH];
    FRAG_C sum[ROWS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = FRAG_C(0.0);
    [[unroll]] for (uint a = 0u; a < AHEAD; a++) LOAD(min(a, STEPS - 1u), a)
#if !defined(SWIGLU)
    float before[EACH]; // of y
    if (ACCUMULATE)
        [[unroll]] for (uint e = 0u; e < EACH; e++) {
            const uint i = gl_LocalInvocationIndex + e * THREADS;
            before[e] = y[push.y_offset + min(first_token + i / OUT_N, push.n_tokens - 1u) * push.y_stride +
                          min(first_row + i % OUT_N, push.n_rows - 1u)];
        }
#endif

    for (uint g = 0u; g < push.n_rounds; g++)
        [[unroll]] for (uint a = 0u; a < AHEAD; a++) {
            MULTIPLY(a)
            LOAD((g + 1u) * AHEAD + a, a)
        }
    [[unroll]] for (uint a = 0u; a < LEFT; a++) MULTIPLY(a)

    const uint at = sub_t * TILE_N + sub * SUB_N;
    [[unroll]] for (uint half_parts = PARTS / 2u; half_parts > 0u; half_parts /= 2u) {
        if (part >= half_parts && part < 2u * half_parts)
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                [[unroll]] for (uint i = 0u; i < ROWS; i++)
                    coopMatStore(sum[j * ROWS + i], sums,
                        (part - half_parts) * TILE + at + i * FRAG_T * TILE_N + j * FRAG_N, TILE_N, ROW_MAJOR);
        barrier();
        if (part < half_parts)
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                [[unroll]] for (uint i = 0u; i < ROWS; i++) {
                    FRAG_C other;
                    coopMatLoad(other, sums, part * TILE + at + i * FRAG_T * TILE_N + j * FRAG_N, TILE_N, ROW_MAJOR);
                    sum[j * ROWS + i] += other;
                }
        barrier();
    }

#if defined(SWIGLU)
    if (part == 0u)
        [[unroll]] for (uint j = 0u; j < COLUMNS; j += 2u) {
            const uint unit = sub * COLUMNS / 2u + j / 2u; // of the tile's outputs
            [[unroll]] for (uint i = 0u; i < ROWS; i++) {
                FRAG_C z = sum[j * ROWS + i];
                [[unroll]] for (uint e = 0u; e < z.length(); e++)
                    z[e] = clamp(ffn_act(z[e], push.act) * sum[(j + 1u) * ROWS + i][e], -65504.0, 65504.0);
                coopMatStore(
                    FRAG_H(z), halves, (sub_t + i * FRAG_T) * OUT_N + unit * FRAG_N, OUT_N, ROW_MAJOR);
            }
        }
    barrier();
    if (PACKS) {
        for (uint f = gl_SubgroupID; f < OUT / (FRAG_T * FRAG_N); f += TEAM * PARTS) {
            const uint row = f % (OUT_N / FRAG_N), token = f / (OUT_N / FRAG_N) * FRAG_T; // of the tile
            const uint frag = (first_token + token) / FRAG_T, of_row = first_row / FRAG_N + row;
            if (of_row >= push.y_frags) continue;
            FRAG_A m;
            coopMatLoad(m, halves, token * OUT_N + row * FRAG_N, OUT_N, ROW_MAJOR);
            const uint to = ((frag / 4u * push.y_frags + of_row) * 4u + frag % 4u) * T_VECS + lane * T_EACH;
            [[unroll]] for (uint v = 0u; v < T_EACH; v++) {
                uvec4 q;
                [[unroll]] for (uint n = 0u; n < 4u; n++)
                    q[n] = packFloat2x16(f16vec2(m[v * 8u + 2u * n], m[v * 8u + 2u * n + 1u]));
                y_vec[to + v] = q;
            }
        }
        return;
    }
#else
    if (part == 0u)
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
            [[unroll]] for (uint i = 0u; i < ROWS; i++)
                coopMatStore(sum[j * ROWS + i], sums, at + i * FRAG_T * TILE_N + j * FRAG_N, TILE_N, ROW_MAJOR);
    barrier();
#endif
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint i = gl_LocalInvocationIndex + e * THREADS, t = first_token + i / OUT_N, row = first_row + i % OUT_N;
        if (i >= OUT || t >= push.n_tokens || row >= push.n_rows) continue;
        const uint to = push.y_offset + t * push.y_stride + row;
#if defined(SWIGLU)
        y[to] = halves[i];
#else
        const uint column = push.column + row;
        if (MAPS && column < push.half_columns)
            y_half[2u * to - column] = float16_t(mapped(sums[i], column));
        else
            y[to] = ACCUMULATE ? before[e] + sums[i] : sums[i];
#endif
    }
}
