// y = silu(x) for n_rows rows of width f32 values; y may be x. An invocation owns one element.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"

layout(push_constant) uniform Push { gsa_elementwise_push push; };
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) buffer Y { float y[]; };

void main()
{
    const uint thread = grid_thread();
    const uint t = thread / push.width, i = thread - t * push.width;
    if (t >= push.n_rows) return;

    y[push.y_offset + t * push.y_stride + i] = silu(x[push.x_offset + t * push.x_stride + i]);
}
