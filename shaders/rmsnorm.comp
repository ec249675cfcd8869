// RMS norm of rows: y = a / sqrt(mean(a^2) + eps) * w, with a = x, silu(x), or x + added (then also written to x).
//
//   x      [n_rows or more, width] f32   read; written back with GSA_NORM_ADD
//   w      [width] f32                   read with GSA_NORM_WEIGHT, else all ones
//   extra  GSA_NORM_ADD:  [n_rows, width] f32, added to x
//          GSA_NORM_ROWS: words, row t of y is made from row words[t] of x
//   y      [n_rows, width] f32           may be x; with HALF f16, two to a word, padded with zeros to whole 16 bytes,
//                                        bounded to what f16 holds, and never x
//
// A workgroup owns a row. Squares are summed in f32, by lane and then over lanes, in an order that depends on GROUP
// only. An element is read and written by the same invocation, so y may lie on x. ADD and ROWS exclude each other.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"
#include "common/reduce.glsl"

layout(push_constant) uniform Push { gsa_rmsnorm_push push; };
layout(std430, set = 0, binding = 0) buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer W { float w[]; };
layout(std430, set = 0, binding = 2) readonly buffer Extra { uint extra[]; };
#if defined(HALF)
layout(std430, set = 0, binding = 3) writeonly buffer Y { uint y[]; };
#else
layout(std430, set = 0, binding = 3) buffer Y { float y[]; };
#endif

REDUCE_DEFINE(group_sum, float, REDUCE_ADD)

// Element i of the row at from, normed; 0 beyond the row.
float normed(uint from, uint i, float scale)
{
    if (i >= push.width) return 0.0;
    float a = x[from + i];
    if ((push.flags & GSA_NORM_SILU) != 0u) a = silu(a);
    a *= scale;
    if ((push.flags & GSA_NORM_WEIGHT) != 0u) a *= w[i];
    return a;
}

void main()
{
    const uint t = grid_group();
    if (t >= push.n_rows) return;

    const uint row = (push.flags & GSA_NORM_ROWS) != 0u ? extra[push.extra_offset + t] : t;
    const uint from = push.x_offset + row * push.x_stride;
#if defined(HALF)
    const uint to = (push.y_offset + t * push.y_stride) / 2u;
#else
    const uint to = push.y_offset + t * push.y_stride;
#endif
    const uint lane = gl_LocalInvocationIndex;
    float squares = 0.0;

    for (uint i = lane; i < push.width; i += GROUP) {
        float a = x[from + i];
        if ((push.flags & GSA_NORM_ADD) != 0u) {
            a += uintBitsToFloat(extra[push.extra_offset + t * push.extra_stride + i]);
            x[from + i] = a;
        }
        if ((push.flags & GSA_NORM_SILU) != 0u) a = silu(a);
        squares += a * a;
    }
    const float scale = 1.0 / sqrt(group_sum(squares) / float(push.width) + push.eps);

#if defined(HALF)
    const uint n_words = (push.width + 7u) / 8u * 4u;
    for (uint i = lane; i < n_words; i += GROUP) {
        const vec2 pair = vec2(normed(from, 2u * i, scale), normed(from, 2u * i + 1u, scale));
        y[to + i] = packHalf2x16(clamp(pair, -65504.0, 65504.0));
    }
#else
    for (uint i = lane; i < push.width; i += GROUP) y[to + i] = normed(from, i, scale);
#endif
}
