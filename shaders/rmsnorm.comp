// RMS norm of rows: y = a / sqrt(mean(a^2) + eps) * w, with a = x, silu(x), or x + added (then also written to x).
//
//   x      [n_rows or more, width] f32   read; written back with GSA_NORM_ADD
//   w      [width] f32                   read with GSA_NORM_WEIGHT, else all ones
//   extra  GSA_NORM_ADD:  [n_rows, width] f32, added to x
//          GSA_NORM_ROWS: words, row t of y is made from row words[t] of x
//   y      [n_rows, width] f32           may be x; with HALF f16, padded with zeros to whole 16 bytes, bounded to what
//                                        f16 holds, and never x
//
// A workgroup owns a row, an invocation EACH runs of four of its columns, GROUP runs apart, which it holds in
// registers: a row is read once, with all of an invocation's loads in flight together. Squares are summed in f32, by
// lane and then over lanes, in an order that depends on GROUP and EACH only. An element is read and written by the same
// invocation, so y may lie on x. ADD and ROWS exclude each other. Rows begin at multiples of four floats.
// rmsnorm_pack.comp gives the same bits.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
layout(constant_id = 1) const uint EACH = 1u; // EACH GROUP runs cover a row
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"
#include "common/reduce.glsl"

layout(push_constant) uniform Push { gsa_rmsnorm_push push; };
#include "common/norm.glsl"
layout(std430, set = 0, binding = 0) buffer X { float x[]; };
layout(std430, set = 0, binding = 0) buffer X4 { vec4 x4[]; };
layout(std430, set = 0, binding = 1) readonly buffer W { float w[]; };
layout(std430, set = 0, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, set = 0, binding = 2) readonly buffer Extra { uint extra[]; };
layout(std430, set = 0, binding = 2) readonly buffer Extra4 { vec4 extra4[]; };
#if defined(HALF)
layout(std430, set = 0, binding = 3) writeonly buffer Y { uvec2 y[]; };
#else
layout(std430, set = 0, binding = 3) buffer Y { float y[]; };
layout(std430, set = 0, binding = 3) buffer Y4 { vec4 y4[]; };
#endif

REDUCE_DEFINE(group_sum, float, REDUCE_ADD)

vec4 weights(uint i)
{
    if (i + 4u <= push.width) return w4[i / 4u];
    vec4 a = vec4(0.0);
    [[unroll]] for (uint n = 0u; n < 3u; n++)
        if (i + n < push.width) a[n] = w[i + n];
    return a;
}

void main()
{
    const uint t = grid_group();
    if (t >= push.n_rows) return;

    const uint row = (push.flags & GSA_NORM_ROWS) != 0u ? extra[push.extra_offset + t] : t;
    const uint from = push.x_offset + row * push.x_stride, lane = gl_LocalInvocationIndex;
    vec4 a[EACH];
    float squares = 0.0;

    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint i = (lane + e * GROUP) * 4u;
        a[e] = x4[(from + min(i, push.width - 1u)) / 4u];
    }
    if ((push.flags & GSA_NORM_ADD) != 0u)
        [[unroll]] for (uint e = 0u; e < EACH; e++) {
            const uint i = (lane + e * GROUP) * 4u;
            if (i >= push.width) continue;
            a[e] += extra4[(push.extra_offset + t * push.extra_stride + i) / 4u];
            if (i + 4u <= push.width)
                x4[(from + i) / 4u] = a[e];
            else
                [[unroll]] for (uint n = 0u; n < 3u; n++)
                    if (i + n < push.width) x[from + i + n] = a[e][n];
        }
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint i = (lane + e * GROUP) * 4u;
        [[unroll]] for (uint n = 0u; n < 4u; n++)
            if (i + n >= push.width) a[e][n] = 0.0; // padding holds any value
        a[e] = norm_input(a[e]);
        squares += dot(a[e], a[e]);
    }
    vec4 factor[EACH]; // on their way while the squares are summed
    [[unroll]] for (uint e = 0u; e < EACH; e++)
        factor[e] = (push.flags & GSA_NORM_WEIGHT) != 0u ? weights((lane + e * GROUP) * 4u) : vec4(1.0);
    const float scale = norm_scale(group_sum(squares));

    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint i = (lane + e * GROUP) * 4u;
        const vec4 b = a[e] * scale * factor[e];
#if defined(HALF)
        if (i < (push.width + 7u) / 8u * 8u) y[(push.y_offset + t * push.y_stride + i) / 4u] = norm_half(b);
#else
        const uint to = push.y_offset + t * push.y_stride + i;
        if (i + 4u <= push.width)
            y4[to / 4u] = b;
        else
            [[unroll]] for (uint n = 0u; n < 3u; n++)
                if (i + n < push.width) y[to + n] = b[n];
#endif
    }
}
