// y[t, i] = act(x[t, i]) * x[t, width + i], act = silu or powlu.
//
//   x [n_rows, 2 width] f32   gate, then up
//   y [n_rows, width] f32
//
// An invocation owns one element of y.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"

layout(push_constant) uniform Push { gsa_elementwise_push push; };
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { float y[]; };

void main()
{
    const uint thread = grid_thread();
    const uint t = thread / push.width, i = thread - t * push.width;
    if (t >= push.n_rows) return;

    const uint from = push.x_offset + t * push.x_stride + i;
    const float gate = x[from], up = x[from + push.width];
    y[push.y_offset + t * push.y_stride + i] = ffn_act(gate, push.act) * up;
}
