// Feature map t2r of q and k, in place: each head x[K] <- max(0, W x), one W for all heads.
//
//   w [K, K] f32
//   x [n_rows, width] f32   columns q (n_q heads of K), k (n_k heads of K)
//
// A workgroup owns TILE heads of one row, kept in shared memory: x = tiles of the row's q and k heads, y = rows (a group
// takes every so-manieth row). An invocation makes output i of all TILE heads, so a weight is read once for them.
// The caller keeps TILE * K <= GSA_T2R_FLOATS, the 16 KiB that Vulkan guarantees.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common/mixer.h"

layout(local_size_x = GSA_MIXER_GROUP) in;
layout(constant_id = 0) const uint TILE = 8u; // at most 8
layout(push_constant) uniform Push { gsa_feature_map_push push; };
layout(std430, set = 0, binding = 0) readonly buffer Weights { float w[]; };
layout(std430, set = 0, binding = 1) buffer X { float x[]; };

shared float head[GSA_T2R_FLOATS]; // [TILE][K]

uint head_column(uint h)
{
    return h < push.n_q ? push.q + h * push.K : push.k + (h - push.n_q) * push.K;
}

void main()
{
    const uint lane = gl_LocalInvocationIndex;
    const uint first = gl_WorkGroupID.x * TILE, n = min(TILE, push.n_q + push.n_k - first);

    for (uint t = gl_WorkGroupID.y; t < push.n_rows; t += gl_NumWorkGroups.y) {
        const uint row = push.x_offset + t * push.x_stride;
        for (uint i = lane; i < n * push.K; i += GSA_MIXER_GROUP)
            head[i] = x[row + head_column(first + i / push.K) + i % push.K];
        barrier();

        for (uint i = lane; i < push.K; i += GSA_MIXER_GROUP) {
            precise float sum[8];
            [[unroll]] for (uint h = 0u; h < 8u; h++) sum[h] = 0.0;
            for (uint j0 = 0u; j0 < push.K; j0 += 4u)
                [[unroll]] for (uint u = 0u; u < 4u; u++) {
                    const uint j = j0 + u;
                    if (j >= push.K) continue;
                    const float weight = w[i * push.K + j];
                    [[unroll]] for (uint h = 0u; h < 8u; h++)
                        if (h < TILE) sum[h] = fma(weight, head[h * push.K + j], sum[h]);
                }
            [[unroll]] for (uint h = 0u; h < 8u; h++)
                if (h < n) x[row + head_column(first + h) + i] = max(sum[h], 0.0);
        }
        barrier(); // the heads have been read before the next row replaces them
    }
}
