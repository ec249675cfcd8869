// Short convolution, first of three: what the inputs before a span contribute to its first W - 1 rows.
//   out[t, n] = sum_{j < W - 1 - i} taps[n, j] state[n, j + i + 1],  i = place of row t in its span
//
//   taps  [channels][W] f32            oldest input first; the last tap is the row's own input
//   state [slot] -> [channels][W] f32  the last W inputs, oldest first
//   work  spans and chunks
//   out   [rows, width] f32            the running sum, which conv1d.comp continues
//
// An invocation owns a channel of one row: x = channels, y = place in the span (0 .. W - 2), z = span. The sum takes its
// terms from the oldest input on, here and in conv1d.comp, so the bits do not depend on where spans are cut.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common/mixer.h"
#include "common/conv1d.glsl"

layout(std430, set = 0, binding = 0) readonly buffer Taps { float taps[]; };
layout(std430, set = 0, binding = 1) readonly buffer State { float state[]; };
layout(std430, set = 0, binding = 2) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Out { float y[]; };

void main()
{
    const uint n = gl_GlobalInvocationID.x, i = gl_WorkGroupID.y;
    if (n >= conv1d_channels()) return;

    // The span's rows follow each other through its chunks: find the one that holds row i.
    const uint span = push.spans + GSA_WORK_STRIDE * gl_WorkGroupID.z;
    uint left = i;
    for (uint c = 0u; c < work[span + 2u]; c++) {
        const uint chunk = push.chunks + GSA_WORK_STRIDE * (work[span + 1u] + c);
        const uint rows = work[chunk + 1u];
        if (left >= rows) {
            left -= rows;
            continue;
        }
        const uint from = conv1d_state(n, work[span]);
        precise float sum = 0.0;
        for (uint j = 0u; j + i + 1u < W; j++) sum = fma(taps[n * W + j], state[from + j + i + 1u], sum);
        y[push.out_offset + (work[chunk] + left) * push.out_stride + conv1d_column(n)] = sum;
        return;
    }
}
