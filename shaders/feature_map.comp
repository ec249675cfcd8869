// Feature maps that work element by element, in place: q, k = phi(q), phi(k); v = silu(v).
//   phi = silu or max(0, .)
//
//   x [n_rows, width] f32   columns q, k, v
//
// An invocation owns a column: x = columns of [q | k | v], y = rows (a group takes every so-manieth row).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common/mixer.h"
#include "common/exp.glsl"

layout(local_size_x = GSA_MIXER_GROUP) in;
layout(push_constant) uniform Push { gsa_feature_map_push push; };
layout(std430, set = 0, binding = 0) buffer X { float x[]; };

void main()
{
    uint n = gl_GlobalInvocationID.x, column;
    uint map = push.map;

    if (n < push.n_q) {
        column = push.q + n;
    } else if (n - push.n_q < push.n_k) {
        column = push.k + n - push.n_q;
    } else {
        n -= push.n_q + push.n_k;
        if (n >= push.n_v) return;
        column = push.v + n;
        map = GSA_MAP_SILU;
    }

    for (uint t = gl_WorkGroupID.y; t < push.n_rows; t += gl_NumWorkGroups.y) {
        const uint at = push.x_offset + t * push.x_stride + column;
        const float a = x[at];
        x[at] = map == GSA_MAP_RELU ? max(a, 0.0) : silu_exact(a);
    }
}
