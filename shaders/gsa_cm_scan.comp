// GSA for chunks of many rows on matrix units, second of three: the state before each chunk, and after the last.
//   h[kv, m] <- D[m] h[kv, m] + sum_t [key | value][t, kv] wend[t, m]
// for both memories at once: rows kv below K are hk's, the others hv's columns.
//
//   work    spans
//   scratch reads half_x, wend, decay; writes start
//   state   [slot] -> hk [G][K][M], hv [G][M][V] f32
//
// A workgroup carries GSA_CM_TILE rows of [K | V] of one kv head through the chunks of a span: x = tile, y = kv head,
// z = span. The state stays f32 in the matrices; what the next kernel reads of it is f16. The next chunk's vectors are
// fetched while this one's are multiplied. A chunk's sum is made by itself and then added.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_cm_push push; };
#include "common/gsa_cm.glsl"
#include "common/exp.glsl"
#include "common/decay.glsl"

layout(std430, set = 0, binding = 0) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 1) buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 1) buffer ScratchHalf { float16_t scratch16[]; };
layout(std430, set = 0, binding = 1) buffer Scratch16 { uvec4 scratch_vec[]; };
layout(std430, set = 0, binding = 2) buffer State { float state[]; };

const uint TILE_VECS = GSA_CM_TILE / 8u, TILE_PITCH = TILE_VECS + 1u;
const uint COLUMNS = SLOTS / FRAG_N, FRAGS = GSA_CM_TILE / FRAG_M * COLUMNS;
const uint EACH = (FRAGS + SUBS - 1u) / SUBS; // fragments of a subgroup
const uint N_KV = GSA_CHUNK * TILE_VECS / GSA_MIXER_GROUP;
const uint N_W = (GSA_CHUNK * SLOT_VECS + GSA_MIXER_GROUP - 1u) / GSA_MIXER_GROUP;

shared uvec4 kv_tile[GSA_CHUNK * TILE_PITCH]; // [t][kv]
shared uvec4 w_tile[GSA_CHUNK * SLOT_PITCH];  // [t][m]
shared float base[FRAG_M * SLOTS], extra[FRAG_M * SLOTS]; // the decay's pair, the same in every row

uvec4 kv_next[N_KV], w_next[N_W];
vec2 decay_next;

void fetch(uint chunk, uint g, uint column)
{
    const uint lane = gl_LocalInvocationIndex;
    [[unroll]] for (uint e = 0u; e < N_KV; e++) {
        const uint i = lane + e * GSA_MIXER_GROUP;
        kv_next[e] = scratch_vec[(half_row(chunk) + i / TILE_VECS * push.half_stride + column) / 8u + i % TILE_VECS];
    }
    [[unroll]] for (uint e = 0u; e < N_W; e++) {
        const uint i = min(lane + e * GSA_MIXER_GROUP, GSA_CHUNK * SLOT_VECS - 1u);
        w_next[e] = scratch_vec[(push.wend * 2u + gate_row(chunk) + i / SLOT_VECS * gm() + g * SLOTS) / 8u + i % SLOT_VECS];
    }
    const uint at = push.decay + chunk * 2u * gm() + g * SLOTS + min(lane, SLOTS - 1u);
    decay_next = vec2(scratch[at], scratch[at + gm()]);
}

void put()
{
    const uint lane = gl_LocalInvocationIndex;
    [[unroll]] for (uint e = 0u; e < N_KV; e++) {
        const uint i = lane + e * GSA_MIXER_GROUP;
        kv_tile[i / TILE_VECS * TILE_PITCH + i % TILE_VECS] = kv_next[e];
    }
    [[unroll]] for (uint e = 0u; e < N_W; e++) {
        const uint i = lane + e * GSA_MIXER_GROUP;
        if (i < GSA_CHUNK * SLOT_VECS) w_tile[i / SLOT_VECS * SLOT_PITCH + i % SLOT_VECS] = w_next[e];
    }
    if (lane < SLOTS)
        for (uint i = 0u; i < FRAG_M; i++) {
            base[i * SLOTS + lane] = decay_next.x;
            extra[i * SLOTS + lane] = decay_next.y;
        }
}

void main()
{
    const uint g = gl_WorkGroupID.y, span = push.spans + GSA_WORK_STRIDE * gl_WorkGroupID.z;
    const uint first = work[span + 1u], n_chunks = work[span + 2u];
    if (n_chunks == 0u) return; // an idle span owns no slot, so it must not even write back what it read

    const uint row = gl_WorkGroupID.x * GSA_CM_TILE; // of [K | V]
    const bool is_k = row < push.K;
    const uint n_q = push.R * push.G * push.K;
    const uint column = is_k ? n_q + g * push.K + row : n_q + push.G * push.K + g * push.V + row - push.K;
    const uint arena = work[span] * push.state_stride;
    FRAG_C h[EACH];
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint f = min(gl_SubgroupID + e * SUBS, FRAGS - 1u), i = row + f / COLUMNS * FRAG_M, j = f % COLUMNS * FRAG_N;
        if (is_k)
            coopMatLoad(h[e], state, arena + push.hk + (g * push.K + i) * SLOTS + j, SLOTS, ROW_MAJOR);
        else
            coopMatLoad(h[e], state, arena + push.hv + (g * SLOTS + j) * push.V + i - push.K, push.V, COLUMN_MAJOR);
    }

    fetch(first, g, column);
    for (uint c = first; c < first + n_chunks; c++) {
        put();
        barrier();
        if (c + 1u < first + n_chunks) fetch(c + 1u, g, column);
        [[unroll]] for (uint e = 0u; e < EACH; e++) {
            const uint f = min(gl_SubgroupID + e * SUBS, FRAGS - 1u), i = f / COLUMNS * FRAG_M, j = f % COLUMNS * FRAG_N;
            FRAG_C bounded = h[e];
            [[unroll]] for (uint n = 0u; n < bounded.length(); n++) bounded[n] = clamp(bounded[n], -HALF_MAX, HALF_MAX);
            coopMatStore(FRAG_H(bounded), scratch16,
                push.start * 2u + ((c * push.G + g) * (push.K + push.V) + row + i) * SLOTS + j, SLOTS, ROW_MAJOR);

            FRAG_C sum = FRAG_C(0.0), b, x;
            [[unroll]] for (uint t = 0u; t < GSA_CHUNK; t += FRAG_K) {
                FRAG_A left;
                FRAG_B right;
                coopMatLoad(left, kv_tile, t * TILE_PITCH + i / 8u, TILE_PITCH, COLUMN_MAJOR);
                coopMatLoad(right, w_tile, t * SLOT_PITCH + j / 8u, SLOT_PITCH, ROW_MAJOR);
                sum = coopMatMulAdd(left, right, sum);
            }
            coopMatLoad(b, base, j, SLOTS, ROW_MAJOR);
            coopMatLoad(x, extra, j, SLOTS, ROW_MAJOR);
            [[unroll]] for (uint n = 0u; n < sum.length(); n++) h[e][n] = decay_apply(vec2(b[n], x[n]), h[e][n], sum[n]);
        }
        barrier();
    }

    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint f = gl_SubgroupID + e * SUBS, i = row + f / COLUMNS * FRAG_M, j = f % COLUMNS * FRAG_N;
        if (f >= FRAGS) continue;
        if (is_k)
            coopMatStore(h[e], state, arena + push.hk + (g * push.K + i) * SLOTS + j, SLOTS, ROW_MAJOR);
        else
            coopMatStore(h[e], state, arena + push.hv + (g * SLOTS + j) * push.V + i - push.K, push.V, COLUMN_MAJOR);
    }
}
