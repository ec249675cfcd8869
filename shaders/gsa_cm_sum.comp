// GSA for chunks of many rows on matrix units, second of four: what each chunk adds to the state.
//   sum[kv, m] = sum_t [key | value][t, kv] wend[t, m]
// for both memories at once: rows kv below K are hk's, the others hv's columns.
//
//   work    chunks
//   half    [rows][half_stride] f16
//   scratch reads wend; writes sum
//
// A workgroup owns GSA_CM_TILE rows of [K | V] of one kv head for one chunk: x = tile, y = kv head, z = chunk. No chunk
// waits for another here; gsa_cm_scan.comp follows the state through them.
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

layout(std430, set = 0, binding = 0) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 1) readonly buffer Half { uvec4 half_vec[]; };
layout(std430, set = 0, binding = 2) buffer Scratch { uvec4 scratch_vec[]; };

const uint TILE_VECS = GSA_CM_TILE / 8u, TILE_PITCH = TILE_VECS + 1u;
const uint COLUMNS = SLOTS / FRAG_N, FRAGS = GSA_CM_TILE / FRAG_M * COLUMNS;
const uint EACH = (FRAGS + SUBS - 1u) / SUBS; // fragments of a subgroup

shared uvec4 kv_tile[GSA_CHUNK * TILE_PITCH]; // [t][kv]
shared uvec4 w_tile[GSA_CHUNK * SLOT_PITCH];  // [t][m]

void main()
{
    const uint lane = gl_LocalInvocationIndex, g = gl_WorkGroupID.y, chunk = gl_WorkGroupID.z;
    const uint row = work[chunk_entry(chunk)], rows = work[chunk_entry(chunk) + 1u];
    const uint kv = gl_WorkGroupID.x * GSA_CM_TILE; // of [K | V]
    const uint n_q = push.R * push.G * push.K;
    const uint column = kv < push.K ? n_q + g * push.K + kv : n_q + push.G * push.K + g * push.V + kv - push.K;

    // Rows past the chunk's end have no strength, but what lies there may not be finite.
    [[unroll]] for (uint e = 0u; e < GSA_CHUNK * TILE_VECS / GSA_MIXER_GROUP; e++) {
        const uint i = lane + e * GSA_MIXER_GROUP, t = i / TILE_VECS;
        const uint from = (half_row(chunk, row) + t * push.half_stride + column) / 8u + i % TILE_VECS;
        kv_tile[t * TILE_PITCH + i % TILE_VECS] = t < rows ? half_vec[from] : uvec4(0u);
    }
    for (uint i = lane; i < GSA_CHUNK * SLOT_VECS; i += GSA_MIXER_GROUP)
        w_tile[i / SLOT_VECS * SLOT_PITCH + i % SLOT_VECS] =
            scratch_vec[(at_wend() * 2u + gate_row(chunk) + i / SLOT_VECS * gm() + g * SLOTS) / 8u + i % SLOT_VECS];
    barrier();

    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint f = gl_SubgroupID + e * SUBS, i = f / COLUMNS * FRAG_M, j = f % COLUMNS * FRAG_N;
        if (f >= FRAGS) continue;
        FRAG_C sum = FRAG_C(0.0);
        [[unroll]] for (uint t = 0u; t < GSA_CHUNK; t += FRAG_K) {
            FRAG_A left;
            FRAG_B right;
            coopMatLoad(left, kv_tile, t * TILE_PITCH + i / 8u, TILE_PITCH, COLUMN_MAJOR);
            coopMatLoad(right, w_tile, t * SLOT_PITCH + j / 8u, SLOT_PITCH, ROW_MAJOR);
            sum = coopMatMulAdd(left, right, sum);
        }
        const uint to = push.sum + ((chunk * push.G + g) * (push.K + push.V) + kv + i) * SLOTS + j;
        coopMatStore(sum, scratch_vec, to / 4u, SLOTS / 4u, ROW_MAJOR);
    }
}
