// y[t, i] = act(x[t, i]) * x[t, width + i], act = silu or powlu.
//
//   x [n_rows, 2 width] f32   gate, then up
//   y [n_rows, width] f32; with HALF f16, two to a word, padded with zeros to whole 16 bytes, bounded to what f16 holds
//
// An invocation owns one element of y, with HALF one word.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"

layout(push_constant) uniform Push { gsa_elementwise_push push; };
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
#if defined(HALF)
layout(std430, set = 0, binding = 1) writeonly buffer Y { uint y[]; };
#else
layout(std430, set = 0, binding = 1) writeonly buffer Y { float y[]; };
#endif

float element(uint t, uint i)
{
    if (i >= push.width) return 0.0;
    const uint from = push.x_offset + t * push.x_stride + i;
    const float gate = x[from], up = x[from + push.width];
    return ffn_act(gate, push.act) * up;
}

void main()
{
    const uint thread = grid_thread();
#if defined(HALF)
    const uint n = (push.width + 7u) / 8u * 4u; // words of a row
#else
    const uint n = push.width;
#endif
    const uint t = thread / n, i = thread - t * n;
    if (t >= push.n_rows) return;

#if defined(HALF)
    const vec2 pair = vec2(element(t, 2u * i), element(t, 2u * i + 1u));
    y[(push.y_offset + t * push.y_stride) / 2u + i] = packHalf2x16(clamp(pair, -65504.0, 65504.0));
#else
    y[push.y_offset + t * push.y_stride + i] = element(t, i);
#endif
}
