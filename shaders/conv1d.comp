// Short convolution, second of three: the inputs of the span itself, then silu.
//   out[t, n] = silu(past + sum_j taps[n, j] in[t - (W - 1) + j, n]) over inputs not before the span's first row;
//   past = out as conv1d_past.comp left it in the first W - 1 rows of the span, else 0
//
//   in    [rows, width] f32
//   taps  [channels][W] f32
//   work  spans and chunks
//   out   [rows, width] f32   not the same memory as in
//
// An invocation owns a channel and ROWS rows: x = channels, y = run of rows in the chunk, z = chunk. Chunks of a span
// are consecutive rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common/mixer.h"
#include "common/conv1d.glsl"
#include "common/exp.glsl"

layout(constant_id = 1) const uint ROWS = 8u;
layout(std430, set = 0, binding = 0) readonly buffer In { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Taps { float taps[]; };
layout(std430, set = 0, binding = 2) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 3) buffer Out { float y[]; };

void main()
{
    const uint n = gl_GlobalInvocationID.x;
    const uint chunk = push.chunks + GSA_WORK_STRIDE * gl_WorkGroupID.z;
    const uint row = work[chunk], rows = work[chunk + 1u], first = gl_WorkGroupID.y * ROWS;
    if (n >= conv1d_channels() || first >= rows) return;

    const uint span = push.spans + GSA_WORK_STRIDE * work[chunk + 3u];
    const uint span_row = work[push.chunks + GSA_WORK_STRIDE * work[span + 1u]];
    const uint column = conv1d_column(n);

    for (uint r = first; r < min(first + ROWS, rows); r++) {
        const uint t = row + r, place = t - span_row; // in the span
        const uint to = push.out_offset + t * push.out_stride + column;
        const uint skip = place + 1u < W ? W - 1u - place : 0u; // taps that look before the span
        precise float sum = skip > 0u ? y[to] : 0.0;
        uint from = push.in_offset + (t + skip - (W - 1u)) * push.in_stride + column;
        for (uint j = skip; j < W; j++, from += push.in_stride) sum = fma(taps[n * W + j], x[from], sum);
        y[to] = silu_exact(sum);
    }
}
