// GSA for single tokens of many sessions and for chunks of a few rows, second of two: what gsa_step_v.comp computes, with
// columns of the value memory in registers from a chunk's first row to its last, read and written once.
//   p = softmax over m of the summed partial scores
//   hv[m, v] <- exp(g[m]) hv[m, v] + s[m] value[v];   o[v] = sum_m p[m] hv[m, v]
// With PROJECTIONS x holds the projections themselves, and o is silu(o), as the output norm wants it.
//
//   x       [rows, width] f32           columns v [G V], s, g [G M]
//   work    chunks
//   state   [slot] -> hv [G][M][V]      updated in place
//   scratch partial [chunks][chunk_rows][H][k_tiles][M], as gsa_rows_k.comp left it
//   o       [rows, H V] f32
//
// A workgroup owns 4 push.tiles = 4 GSA_MIXER_GROUP HELD / M columns of one kv head's hv: x = run of columns, y = kv
// head, z = chunk; an invocation four columns of every side-th slot. Each group makes the softmax of its query heads for
// itself. Shapes as for gsa_rows_k.comp; V is a multiple of 4.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common/state.glsl"
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_step_push push; };
#include "common/mixer.glsl"
#include "common/exp.glsl"
#include "common/decay.glsl"
#include "common/gate.glsl"

layout(constant_id = 0) const uint HEADS = 1u; // query heads of a kv head, R
layout(constant_id = 1) const bool PROJECTIONS = false;
// Always the same: the driver shall unroll these loops, for glslc loses precise where it does.
layout(constant_id = 2) const uint HELD = GSA_ROWS_HELD;
layout(constant_id = 3) const uint AHEAD = 8u; // partial scores on their way at a time
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer State { STATE4 state[]; };
layout(std430, set = 0, binding = 3) readonly buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 4) writeonly buffer O { float o[]; };

const uint TEAM = GSA_MIXER_GROUP / GSA_ROWS_HEADS; // invocations of a query head in the softmax
const uint TURNS = 256u / GSA_MIXER_GROUP;           // for an invocation, of slots

shared float base[256], small[256], strength[256];
shared float weight[HEADS * 256u];
shared float team_part[GSA_MIXER_GROUP];
shared vec4 part[GSA_MIXER_GROUP];

float output_of(float sum)
{
    return PROJECTIONS ? silu_exact(sum) : sum;
}

// The scores of query heads g HEADS .. become weights of the slots.
void softmax(uint from)
{
    const uint lane = gl_LocalInvocationIndex, r = lane / TEAM, member = lane % TEAM;
    for (uint i = lane; i < HEADS * push.M; i += GSA_MIXER_GROUP) {
        const uint at = from + i / push.M * push.k_tiles * push.M + i % push.M;
        precise float score = 0.0;
        for (uint t0 = 0u; t0 < push.k_tiles; t0 += AHEAD) {
            float tile[AHEAD];
            [[unroll]] for (uint t = 0u; t < AHEAD; t++) tile[t] = scratch[at + min(t0 + t, push.k_tiles - 1u) * push.M];
            [[unroll]] for (uint t = 0u; t < AHEAD; t++)
                if (t0 + t < push.k_tiles) score = t0 + t > 0u ? score + tile[t] : tile[t];
        }
        weight[i] = score;
    }
    barrier();
    float most = -3.4e38;
    if (r < HEADS)
        for (uint m = member; m < push.M; m += TEAM) most = max(most, weight[r * push.M + m]);
    team_part[lane] = most;
    barrier();
    for (uint i = 0u; i < TEAM; i++) most = max(most, team_part[r * TEAM + i]);
    barrier();
    precise float sum = 0.0;
    if (r < HEADS)
        for (uint m = member; m < push.M; m += TEAM) {
            const float e = exp_neg(weight[r * push.M + m] - most);
            weight[r * push.M + m] = e;
            sum += e;
        }
    team_part[lane] = sum;
    barrier();
    precise float all = team_part[r * TEAM];
    for (uint i = 1u; i < TEAM; i++) all += team_part[r * TEAM + i];
    if (r < HEADS)
        for (uint m = member; m < push.M; m += TEAM) weight[r * push.M + m] /= all;
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, g = gl_WorkGroupID.y, chunk = chunk_entry(gl_WorkGroupID.z);
    const uint first = work[chunk], n = work[chunk + 1u];
    const uint quads = push.tiles, side = GSA_MIXER_GROUP / quads; // slots side by side
    const uint quad = gl_WorkGroupID.x * quads + lane % quads, y = lane / quads;
    const bool inside = quad < push.V / 4u;
    const uint hv = (work[chunk + 2u] * push.state_stride + push.hv + g * push.M * push.V) / 4u;
    if (n == 0u) return;

    vec4 h[HELD];
    [[unroll]] for (uint i = 0u; i < HELD; i++) // what lies beyond is neither used nor written
        h[i] = vec4(state[hv + min(y + i * side, push.M - 1u) * (push.V / 4u) + min(quad, push.V / 4u - 1u)]);
    for (uint t = 0u; t < n; t++) {
        const uint row = push.x_offset + (first + t) * push.x_stride;
        const uint v = row + push.v + g * push.V + 4u * min(quad, push.V / 4u - 1u);
        // All on their way, and the scores, before the first is used
        vec4 value = vec4(x[v], x[v + 1u], x[v + 2u], x[v + 3u]);
        float gates[TURNS], writes[TURNS];
        [[unroll]] for (uint e = 0u; e < TURNS; e++) {
            const uint m = row + g * push.M + min(lane + e * GSA_MIXER_GROUP, push.M - 1u);
            if (e * GSA_MIXER_GROUP >= push.M) break;
            gates[e] = x[m + push.g];
            if (!PROJECTIONS) writes[e] = x[m + push.s];
        }
        softmax(((gl_WorkGroupID.z * push.chunk_rows + t) * heads() + g * HEADS) * push.k_tiles * push.M);
        if (PROJECTIONS) value = vec4(silu_exact(value.x), silu_exact(value.y), silu_exact(value.z), silu_exact(value.w));
        [[unroll]] for (uint e = 0u; e < TURNS; e++) {
            const uint m = lane + e * GSA_MIXER_GROUP;
            if (m >= push.M) break;
            const float log_a = PROJECTIONS ? log_decay(gates[e], push.normalizer) : gates[e];
            const vec2 decay = decay_pair(log_a);
            base[m] = decay.x;
            small[m] = decay.y;
            strength[m] = PROJECTIONS ? one_minus_exp(log_a) : writes[e];
        }
        barrier();

        precise vec4 sum[HEADS];
        [[unroll]] for (uint r = 0u; r < HEADS; r++) sum[r] = vec4(0.0);
        [[unroll]] for (uint i = 0u; i < HELD; i++) {
            const uint m = y + i * side;
            if (m < push.M) {
                h[i] = decay_apply(vec4(base[m]), vec4(small[m]), h[i], strength[m] * value);
                [[unroll]] for (uint r = 0u; r < HEADS; r++)
                    sum[r] = fma(vec4(weight[r * push.M + m]), h[i], sum[r]);
            }
        }
        [[unroll]] for (uint r = 0u; r < HEADS; r++) {
            part[lane] = sum[r];
            barrier();
            if (y == 0u && inside) {
                precise vec4 all = part[lane];
                for (uint i = 1u; i < side; i++) all += part[i * quads + lane];
                const uint to = push.o_offset + (first + t) * push.o_stride + (g * HEADS + r) * push.V + 4u * quad;
                o[to] = output_of(all.x);
                o[to + 1u] = output_of(all.y);
                o[to + 2u] = output_of(all.z);
                o[to + 3u] = output_of(all.w);
            }
            barrier();
        }
    }
    [[unroll]] for (uint i = 0u; i < HELD; i++)
        if (inside && y + i * side < push.M)
            state[hv + (y + i * side) * (push.V / 4u) + quad] = state_of(h[i]);
}
