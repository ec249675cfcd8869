// tokens[t] = lowest index of the largest of x[t, 0 .. n_vocab); NaN never wins. A workgroup owns a row.
//
//   x      [rows, n_vocab] f32
//   tokens [rows] i32
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/order.glsl"
#include "common/reduce.glsl"

layout(push_constant) uniform Push { gsa_pick_push push; };
layout(std430, set = 0, binding = 0) readonly buffer X { uvec4 x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Tokens { uint tokens[]; };

#include "common/argmax.glsl"

void main()
{
    const uint t = grid_group();
    if (t >= push.n_rows) return;

    const uvec2 best = argmax_row(push.x_offset + t * push.x_stride, push.n_vocab);
    if (gl_LocalInvocationIndex == 0u) tokens[t] = best.y;
}
