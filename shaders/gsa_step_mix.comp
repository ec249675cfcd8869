// GSA for chunks of one row, what is left after staged_matvec.comp with STEP: x holds q, k, v in their final form and
// the log decay, partial what the query read of the key memory before this row's write.
//   score[m] = exp(g[m]) sum_tiles partial[tile][m] + s[m] q.k;   p = softmax(score)
//   hk[k, m] <- exp(g[m]) hk[k, m] + s[m] k[k];   hv[m, v] <- exp(g[m]) hv[m, v] + s[m] v[v]
//   o[v] = silu(sum_m p[m] hv[m, v])
//
//   x       [rows, width] f32
//   work    chunks: chunk i is row i, or nothing, and then the session is left alone
//   state   [slot] -> hk [G][K][M], hv [G][M][V] f32  updated in place
//   scratch partial [rows][H][k_tiles][M]
//   o       [rows, H V] f32
//
// Workgroup x of kv head y and chunk z owns 16 columns of hv and push.tiles rows of hk. It makes the softmax of its query
// heads for itself: cheaper than one more dependency. Subgroups are full; M is a multiple of 4, at most 32 HELD.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_step_push push; };
#include "common/mixer.glsl"

layout(constant_id = 0) const uint HEADS = 1u; // query heads of a kv head, R
layout(constant_id = 1) const uint HELD = 2u;
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer State { vec4 state[]; };
layout(std430, set = 0, binding = 3) readonly buffer Scratch { vec4 scratch[]; };
layout(std430, set = 0, binding = 4) writeonly buffer O { vec4 o[]; };

uint row() // of x
{
    return push.x_offset + gl_WorkGroupID.z * push.x_stride;
}

#define STEP_Q4(R, I) x4[(row() + push.q + (gl_WorkGroupID.y * HEADS + (R)) * push.K) / 4u + (I)]
#define STEP_K4(I) x4[(row() + push.k + gl_WorkGroupID.y * push.K) / 4u + (I)]
#define STEP_V4(I) x4[(row() + push.v + gl_WorkGroupID.y * push.V) / 4u + (I)]
#define STEP_K(I) x[row() + push.k + gl_WorkGroupID.y * push.K + (I)]
#define STEP_G(I) x[row() + push.g + gl_WorkGroupID.y * push.M + (I)]
#define STEP_PARTIAL4(R, T, I)                                                                                        \
    scratch[(((gl_WorkGroupID.z * push.G + gl_WorkGroupID.y) * HEADS + (R)) * push.k_tiles + (T)) * (push.M / 4u) + (I)]
#define STEP_STATE(I) state[I]
#define MIX_K push.K
#define MIX_V push.V
#define MIX_M push.M
#define MIX_K_TILES push.k_tiles
#define MIX_LANES gl_SubgroupSize
#define MIX_SUBGROUPS gl_NumSubgroups
#include "common/step_mix.glsl"

const uint KEYS = 2u; // quads of hk that an invocation loads ahead

void main()
{
    const uint lane = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
    const uint g = gl_WorkGroupID.y, chunk = chunk_entry(gl_WorkGroupID.z);
    const uint M = push.M, K = push.K, V = push.V;
    if (work[chunk + 1u] == 0u) return;
    const uint slot = work[chunk + 2u] * push.state_stride;
    const uint v0 = gl_WorkGroupID.x * QUADS; // quads of hv
    const uint hv = (slot + push.hv + g * M * V) / 4u;
    const uint k0 = gl_WorkGroupID.x * push.tiles, k1 = min(k0 + push.tiles, K); // rows of hk
    const uint n_keys = k0 < k1 ? (k1 - k0) * M / 4u : 0u;
    const uint hk = (slot + push.hk + (g * K + k0) * M) / 4u;

    vec4 held[HELD], keys[KEYS];
    step_load(lane, hv, v0, held);
    [[unroll]] for (uint i = 0u; i < KEYS; i++)
        if (lane + i * GROUP < n_keys) keys[i] = state[hk + lane + i * GROUP];
    const vec4 value = step_value(lane, v0);
    step_scores(lane);
    step_values(lane, hv, v0, value, held);
    barrier();
    if (lane < HEADS * QUADS && v0 + lane % QUADS < V / 4u)
        o[(push.o_offset + gl_WorkGroupID.z * push.o_stride + (g * HEADS + lane / QUADS) * V) / 4u + v0 +
            lane % QUADS] = step_output(lane);

    // The key memory: nobody waits for it.
    [[unroll]] for (uint i = 0u; i < KEYS; i++) {
        const uint at = lane + i * GROUP;
        if (at < n_keys) state[hk + at] = step_key(at, k0, keys[i]);
    }
    for (uint at = lane + KEYS * GROUP; at < n_keys; at += GROUP) state[hk + at] = step_key(at, k0, state[hk + at]);
}
