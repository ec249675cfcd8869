// A weight matrix times many vectors, for drivers that run a subgroup as the lanes of one vector unit: the sums of
// matmul.comp, bit for bit, in another order of work. There a load costs as much as ten multiply-adds of whole vectors, for
// each lane's address is taken apart, and a barrier puts all that is live into memory. So a workgroup is one subgroup
// without shared memory; each lane loads weight rows of its own, and of x a share that the others get by a shuffle.
//
//   weights [rows][row_vecs] 16-byte vectors   as in matmul.comp
//   x       [n_tokens, width] f32              finite up to the next multiple of four columns
//   y       [n_tokens, n_rows] f32             added to with push.accumulate
//
// A workgroup owns TOKENS tokens x ROWS * LANES weight rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 8u; // of a subgroup: 4, 8 or 16
#define TOKENS 16u
#define ROWS 4u
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"

layout(push_constant) uniform Push { gsa_matmul_push push; };
#if !defined(WEIGHT_BLOCKS)
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };

#if defined(WEIGHT_BLOCKS)
#define VECS 1u // of four columns in a step
#else
#define VECS WEIGHT_VECS
#endif

// Token i LANES + l; lanes of a broadcast are literals.
#define MULTIPLY(L)                                                        \
    if (L < LANES) [[unroll]]                                              \
        for (uint i = 0u; i < TOKENS / LANES; i++) {                       \
            const vec4 xs = subgroupBroadcast(mine[i], L);                 \
            [[unroll]] for (uint k = 0u; k < 4u; k++)                      \
                [[unroll]] for (uint r = 0u; r < ROWS; r++) {              \
                    const uint to = (i * LANES + L) * ROWS + r;            \
                    sum[to] = fma(xs[k], w[r][k], sum[to]);                \
                }                                                          \
        }
#define SHARES(DO)                                                                                              \
    DO(0u) DO(1u) DO(2u) DO(3u) DO(4u) DO(5u) DO(6u) DO(7u) DO(8u) DO(9u) DO(10u) DO(11u) DO(12u) DO(13u) DO(14u) \
        DO(15u)

void main()
{
    const uint tiles_t = (push.n_tokens + TOKENS - 1u) / TOKENS;
    const uint group = grid_group(), lane = gl_SubgroupInvocationID;
    const uint first_token = group % tiles_t * TOKENS; // neighbours share weight rows
    const uint first_row = group / tiles_t * (ROWS * LANES);
    if (first_row >= push.n_rows) return;

    // Past the last token and row the last ones are taken once more, and not stored.
    uint from_w[ROWS], from_x[TOKENS / LANES];
    precise float sum[ROWS * TOKENS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        from_w[r] = (push.first_row + min(first_row + r * LANES + lane, push.n_rows - 1u)) * push.row_vecs;
    [[unroll]] for (uint i = 0u; i < TOKENS / LANES; i++)
        from_x[i] = push.x_offset + min(first_token + i * LANES + lane, push.n_tokens - 1u) * push.x_stride;
    [[unroll]] for (uint i = 0u; i < ROWS * TOKENS; i++) sum[i] = 0.0;

    for (uint s = 0u; s * VECS < push.x_vecs; s++) {
#if defined(WEIGHT_BLOCKS)
        vec4 w[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            w[r] = weight_four(weight_load_four(from_w[r], weight_units(push.x_vecs), s));
#else
        uvec4 words[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++) words[r] = weights[from_w[r] + s];
#endif
        [[unroll]] for (uint v = 0u; v < VECS; v++) {
            const uint at = s * VECS + v;
#if !defined(WEIGHT_BLOCKS)
            vec4 w[ROWS];
            [[unroll]] for (uint r = 0u; r < ROWS; r++) w[r] = weight_vec4(words[r], v);
#endif
            vec4 mine[TOKENS / LANES];
            [[unroll]] for (uint i = 0u; i < TOKENS / LANES; i++)
                mine[i] = at < push.x_vecs ? x[from_x[i] + at] : vec4(0.0);
            SHARES(MULTIPLY)
        }
    }

    [[unroll]] for (uint t = 0u; t < TOKENS; t++)
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            const uint token = first_token + t, n = first_row + r * LANES + lane;
            if (token >= push.n_tokens || n >= push.n_rows) continue;
            const uint to = push.y_offset + token * push.y_stride + n;
            y[to] = push.accumulate != 0u ? y[to] + sum[t * ROWS + r] : sum[t * ROWS + r];
        }
}
