// GSA for chunks of many rows on matrix units, third of four: the state before each chunk, and after the last.
//   h[kv, m] <- D[m] h[kv, m] + sum[kv, m]
// The chunks' sums exist already, so that the only chain is a few operations a chunk, and every four elements of the
// state have an invocation of their own to follow it. The state stays f32; what the next kernel reads of it is f16. The
// chain is that of a serial scan, so its bits depend neither on the other chunks of the call nor on where a call ends.
//
//   work    spans
//   scratch reads sum, decay; writes start
//   state   [slot] -> hk [G][K][M], hv [G][M][V] f32
//
// An invocation owns four slots of a row of [K | V] of one kv head, eight neighbours the same slots of eight rows, so
// that they meet in hv's rows: x = blocks of these, y = kv head, z = span.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_cm_push push; };
layout(local_size_x = GSA_MIXER_GROUP) in;
#include "common/exp.glsl"
#include "common/decay.glsl"

layout(std430, set = 0, binding = 0) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 1) buffer Scratch2 { uvec2 scratch2[]; };
layout(std430, set = 0, binding = 1) buffer Scratch4 { vec4 scratch4[]; };
layout(std430, set = 0, binding = 2) buffer State { float state[]; };

const uint AHEAD = 4u; // chunks whose sums are fetched together

void main()
{
    const uint g = gl_WorkGroupID.y, span = push.spans + GSA_WORK_STRIDE * gl_WorkGroupID.z;
    const uint first = work[span + 1u], end = first + work[span + 2u];
    if (first == end) return; // an idle span owns no slot, so it must not even write back what it read

    const uint quads = push.M / 4u, gm = push.G * push.M, both = push.K + push.V;
    const uint n = gl_WorkGroupID.x * GSA_MIXER_GROUP + gl_LocalInvocationIndex;
    const uint kv = n / (8u * quads) * 8u + n % 8u, m = n / 8u % quads * 4u;
    if (kv >= both) return;
    const bool is_k = kv < push.K;
    const uint at = work[span] * push.state_stride +
        (is_k ? push.hk + (g * push.K + kv) * push.M + m : push.hv + (g * push.M + m) * push.V + kv - push.K);
    const uint step = is_k ? 1u : push.V; // from slot to slot
    vec4 h = vec4(state[at], state[at + step], state[at + 2u * step], state[at + 3u * step]);

    for (uint c0 = first; c0 < end; c0 += AHEAD) {
        vec4 sum[AHEAD], base[AHEAD], change[AHEAD];
        [[unroll]] for (uint i = 0u; i < AHEAD; i++) {
            const uint c = min(c0 + i, end - 1u), decay = push.decay + c * 2u * gm + g * push.M + m;
            sum[i] = scratch4[(push.sum + ((c * push.G + g) * both + kv) * push.M + m) / 4u];
            base[i] = scratch4[decay / 4u];
            change[i] = scratch4[(decay + gm) / 4u];
        }
        [[unroll]] for (uint i = 0u; i < AHEAD; i++) {
            if (c0 + i < end) {
                const vec4 bounded = clamp(h, vec4(-65504.0), vec4(65504.0));
                scratch2[(push.start * 2u + (((c0 + i) * push.G + g) * both + kv) * push.M + m) / 4u] =
                    uvec2(packHalf2x16(bounded.xy), packHalf2x16(bounded.zw));
                h = vec4(decay_apply(vec2(base[i].x, change[i].x), h.x, sum[i].x),
                    decay_apply(vec2(base[i].y, change[i].y), h.y, sum[i].y),
                    decay_apply(vec2(base[i].z, change[i].z), h.z, sum[i].z),
                    decay_apply(vec2(base[i].w, change[i].w), h.w, sum[i].w));
            }
        }
    }
    state[at] = h.x;
    state[at + step] = h.y;
    state[at + 2u * step] = h.z;
    state[at + 3u * step] = h.w;
}
