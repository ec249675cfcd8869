// Short convolution, last of three: the state of each span's slot becomes the last W inputs, oldest first.
//
//   in    [rows, width] f32
//   state [slot] -> [channels][W] f32
//   work  spans and chunks
//
// An invocation owns a channel of a span: x = channels, y = span. It moves the state towards older places, in order, so
// that it never reads what it has written.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common/mixer.h"
#include "common/conv1d.glsl"

layout(std430, set = 0, binding = 0) readonly buffer In { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer State { float state[]; };

void main()
{
    const uint n = gl_GlobalInvocationID.x;
    const uint span = push.spans + GSA_WORK_STRIDE * gl_WorkGroupID.y;
    if (n >= conv1d_channels() || work[span + 2u] == 0u) return;

    const uint first = push.chunks + GSA_WORK_STRIDE * work[span + 1u];
    const uint last = first + GSA_WORK_STRIDE * (work[span + 2u] - 1u);
    const uint row = work[first], rows = work[last] + work[last + 1u] - row;
    const uint at = conv1d_state(n, work[span]), column = conv1d_column(n);

    for (uint j = 0u; j < W; j++)
        state[at + j] = j + rows < W ? state[at + j + rows]
                                     : x[push.in_offset + (row + j + rows - W) * push.in_stride + column];
}
