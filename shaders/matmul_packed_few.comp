// Gates and ups of few tokens on matrix units, of operands in the order of fragments: what matmul_packed.comp computes
// with SWIGLU, to the bit, at the speed of memory.
//   y[t, n] = act(sum_c x[t, c] w[n, c]) * sum_c x[t, c] w[up_rows + n, c]
//
//   w, x, y   as for matmul_packed.comp; a block of w has two fragments of gates, then two of their ups
//
// Where tokens are few the weights' way from memory is what counts. A workgroup owns TILE_T tokens x one block of weights,
// each of its four subgroups a fragment's rows: AHEAD fragments of weights and of each row of tokens are on their way in
// registers, with no shared memory and no barrier to wait for. Only what loops carry stays on its way: some compilers wait at
// the end of a loop for what was loaded in it, and in a straight line move loads to where they are used, so a round of
// ROUND fragments is long and there is more than one. Every output takes its columns in ascending order in runs of FRAG_K.
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
layout(constant_id = 2) const uint TILE_N = 64u; // weight rows: a block
layout(constant_id = 3) const uint DEPTH = 256u; // columns of a round
layout(constant_id = 6) const uint FRAG_T = 16u;
layout(constant_id = 7) const uint FRAG_N = 16u;
layout(constant_id = 8) const uint FRAG_K = 16u;
layout(constant_id = 9) const uint AHEAD = 16u;
layout(constant_id = 13) const uint K = 2048u; // columns, filled up to whole steps
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"
#include "common/elements.glsl"

layout(push_constant) uniform Push { gsa_matmul_cm_push push; };
layout(std430, set = 0, binding = 0) readonly buffer W { uvec4 w[]; };
layout(std430, set = 0, binding = 1) readonly buffer X { uvec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float16_t y[]; };

const uint SUBGROUPS = 4u, LANES = THREADS / SUBGROUPS, ROWS = TILE_T / FRAG_T, OUT_N = TILE_N / 2u;
const uint ROUND = DEPTH / FRAG_K, N_FRAGS = K / FRAG_K, REST = N_FRAGS % ROUND;
const uint T_VECS = FRAG_T * FRAG_K / 8u, N_VECS = FRAG_N * FRAG_K / 8u; // 16-byte vectors of a fragment
const uint T_EACH = T_VECS / LANES, N_EACH = N_VECS / LANES;             // of a lane

shared float sums[TILE_T * TILE_N];

// Fragments G of the columns to their place A. Macros, because arrays that functions write may leave registers.
#define LOAD(G, A)                                                                                                  \
    {                                                                                                               \
        [[unroll]] for (uint v = 0u; v < N_EACH; v++) w_way[(A) * N_EACH + v] = w[w_from + (G) * 4u * N_VECS + v];   \
        [[unroll]] for (uint i = 0u; i < ROWS; i++)                                                                 \
            [[unroll]] for (uint v = 0u; v < T_EACH; v++)                                                           \
                x_way[((A) * ROWS + i) * T_EACH + v] = x[x_from + ((G) * 4u + i) * T_VECS + v];                     \
    }
#define MULTIPLY(A)                                                                                                 \
    {                                                                                                               \
        FRAG_B of_w;                                                                                                \
        ELEMENTS(of_w, w_way, (A) * N_EACH, N_EACH)                                                                    \
        [[unroll]] for (uint i = 0u; i < ROWS; i++) {                                                               \
            FRAG_A of_x;                                                                                            \
            ELEMENTS(of_x, x_way, ((A) * ROWS + i) * T_EACH, T_EACH)                                                \
            sum[i] = coopMatMulAdd(of_x, of_w, sum[i]);                                                             \
        }                                                                                                           \
    }
#define FRAG_A coopmat<float16_t, gl_ScopeSubgroup, FRAG_T, FRAG_K, gl_MatrixUseA>
#define FRAG_B coopmat<float16_t, gl_ScopeSubgroup, FRAG_K, FRAG_N, gl_MatrixUseB>
#define FRAG_C coopmat<float, gl_ScopeSubgroup, FRAG_T, FRAG_N, gl_MatrixUseAccumulator>

void main()
{
    const uint tiles_t = (push.n_tokens + TILE_T - 1u) / TILE_T;
    const uint group = grid_group();
    const uint first_token = group % tiles_t * TILE_T, first_row = group / tiles_t * OUT_N;
    if (first_row >= push.n_rows) return;

    // Tiles lie within blocks of four fragments' rows.
    const uint frag_t = first_token / FRAG_T, lane = gl_SubgroupInvocationID;
    const uint x_from = ((push.x_block + frag_t / 4u) * N_FRAGS * 4u + frag_t % 4u) * T_VECS + lane * T_EACH;
    const uint w_from = ((push.w_block + group / tiles_t) * N_FRAGS * 4u + gl_SubgroupID) * N_VECS + lane * N_EACH;
    uvec4 w_way[AHEAD * N_EACH], x_way[AHEAD * ROWS * T_EACH];
    FRAG_C sum[ROWS];
    [[unroll]] for (uint i = 0u; i < ROWS; i++) sum[i] = FRAG_C(0.0);

    [[unroll]] for (uint a = 0u; a < AHEAD; a++) LOAD(min(a, N_FRAGS - 1u), a)
    for (uint g = 0u; g + ROUND <= N_FRAGS; g += ROUND)
        [[unroll]] for (uint a = 0u; a < ROUND; a++) {
            MULTIPLY(a % AHEAD)
            LOAD(min(g + a + AHEAD, N_FRAGS - 1u), a % AHEAD) // the last one once more, for nothing
        }
    [[unroll]] for (uint a = 0u; a < ROUND; a++)
        if (a < REST) {
            MULTIPLY(a % AHEAD)
            if (a + AHEAD < REST) LOAD(N_FRAGS - REST + a + AHEAD, a % AHEAD)
        }

    [[unroll]] for (uint i = 0u; i < ROWS; i++)
        coopMatStore(sum[i], sums, i * FRAG_T * TILE_N + gl_SubgroupID * FRAG_N, TILE_N,
            gl_CooperativeMatrixLayoutRowMajor);
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < TILE_T * OUT_N; i += THREADS) {
        const uint t = i / OUT_N, n = i % OUT_N;
        if (first_token + t >= push.n_tokens || first_row + n >= push.n_rows) continue;
        const float z = ffn_act(sums[t * TILE_N + n], push.act) * sums[t * TILE_N + OUT_N + n];
        y[push.y_offset + (first_token + t) * push.y_stride + first_row + n] = float16_t(clamp(z, -65504.0, 65504.0));
    }
}
