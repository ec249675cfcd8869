// x += y for n_rows rows of width f32 values. An invocation owns one element.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"

layout(push_constant) uniform Push { gsa_elementwise_push push; };
layout(std430, set = 0, binding = 0) readonly buffer Y { float y[]; };
layout(std430, set = 0, binding = 1) buffer X { float x[]; };

void main()
{
    const uint thread = grid_thread();
    const uint t = thread / push.width, i = thread - t * push.width;
    if (t >= push.n_rows) return;

    x[push.x_offset + t * push.x_stride + i] += y[push.y_offset + t * push.y_stride + i];
}
