// Gates: g = logsigmoid(f) / normalizer, s = 1 - exp(g).
//
//   in  [n_rows, width] f32   column f, where out has g
//   out [n_rows, width] f32   columns g and s; may be the same memory as in: each element is read before it is written
//
// An invocation owns a column: x = columns, y = rows (a group takes every so-manieth row). Both results keep their
// relative accuracy where they are tiny: logsigmoid(f) = min(f, 0) - log(1 + exp(-|f|)), and 1 - exp(g) by a series.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common/mixer.h"
#include "common/exp.glsl"
#include "common/gate.glsl"

layout(local_size_x = GSA_MIXER_GROUP) in;
layout(push_constant) uniform Push { gsa_gate_push push; };
layout(std430, set = 0, binding = 0) readonly buffer In { float x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Out { float y[]; };

void main()
{
    const uint n = gl_GlobalInvocationID.x;
    if (n >= push.n) return;

    for (uint t = gl_WorkGroupID.y; t < push.n_rows; t += gl_NumWorkGroups.y) {
        const uint row = push.out_offset + t * push.out_stride;
        const float f = x[push.in_offset + t * push.in_stride + push.g + n];
        const float g = log_decay(f, push.normalizer);
        y[row + push.g + n] = g;
        y[row + push.s + n] = one_minus_exp(g);
    }
}
