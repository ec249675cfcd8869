// Reads n_vecs 16-byte vectors once, eight independent loads per invocation, and keeps nothing: for measuring bandwidth.
//
//   data [n_vecs] 16-byte vectors
//   sink one word, written only if an invocation's sum is push.never
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"

layout(push_constant) uniform Push { gsa_read_push push; };
layout(std430, set = 0, binding = 0) readonly buffer Data { uvec4 data[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Sink { uint sink[]; };

#define LOADS 8u

void main()
{
    const uint first = grid_group() * gl_WorkGroupSize.x * LOADS + gl_LocalInvocationIndex;
    uvec4 v[LOADS];
    uvec4 sum = uvec4(0u);

    if (first + (LOADS - 1u) * gl_WorkGroupSize.x < push.n_vecs) {
        [[unroll]] for (uint i = 0u; i < LOADS; i++) v[i] = data[first + i * gl_WorkGroupSize.x];
        [[unroll]] for (uint i = 0u; i < LOADS; i++) sum ^= v[i];
    } else {
        for (uint i = first; i < push.n_vecs; i += gl_WorkGroupSize.x) sum ^= data[i];
    }
    const uint all = sum.x ^ sum.y ^ sum.z ^ sum.w;
    if (all == push.never) sink[0] = all;
}
