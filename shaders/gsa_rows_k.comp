// GSA for single tokens of many sessions and for chunks of a few rows, first of two: what gsa_step_k.comp computes, with
// a tile of the key memory in registers from a chunk's first row to its last, read and written once.
//   hk[k, m] <- exp(g[m]) hk[k, m] + s[m] key[k];   partial[row][tile][m] = scale sum_{k in tile} q[k] hk[k, m]
// With PROJECTIONS x holds the projections themselves: q and k take their feature map, f becomes g and s, on the way.
//
//   x       [rows, width] f32           columns q [H K], k [G K], s, g [G M]
//   work    chunks
//   state   [slot] -> hk [G][K][M]      updated in place
//   scratch partial [chunks][chunk_rows][H][k_tiles][M]
//
// A workgroup owns push.tiles = 4 GSA_MIXER_GROUP HELD / M rows of one kv head's hk: x = tile, y = kv head, z = chunk;
// an invocation four slots of HELD of them, on their way before anything else is looked at. M is a power of two from 16
// to 256, R at most GSA_ROWS_HEADS.
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
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer State { STATE4 state[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Scratch { vec4 scratch[]; };

const uint MOST_ROWS = HELD * GSA_MIXER_GROUP / 4u; // of a tile, at M = 16
const uint TURNS = MOST_ROWS / GSA_MIXER_GROUP;      // for an invocation, of slots or of a tile's rows

shared float base[256], small[256], strength[256];
shared float key[MOST_ROWS], query[HEADS * MOST_ROWS];
shared vec4 part[GSA_MIXER_GROUP];

float feature(float z)
{
    if (!PROJECTIONS) return z;
    return push.map == GSA_MAP_RELU ? max(z, 0.0) : silu_exact(z);
}

vec4 decay_quad(uint m, vec4 h, float k)
{
    const vec4 to_base = vec4(base[m], base[m + 1u], base[m + 2u], base[m + 3u]);
    const vec4 to_small = vec4(small[m], small[m + 1u], small[m + 2u], small[m + 3u]);
    const vec4 to_strength = vec4(strength[m], strength[m + 1u], strength[m + 2u], strength[m + 3u]);
    return decay_apply(to_base, to_small, h, to_strength * k);
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, g = gl_WorkGroupID.y, chunk = chunk_entry(gl_WorkGroupID.z);
    const uint first = work[chunk], n = work[chunk + 1u];
    const uint quads = push.M / 4u, side = GSA_MIXER_GROUP / quads; // rows side by side
    const uint quad = lane % quads, y = lane / quads, k0 = gl_WorkGroupID.x * push.tiles;
    const uint hk = (work[chunk + 2u] * push.state_stride + push.hk + g * push.K * push.M) / 4u;
    if (n == 0u) return;

    vec4 h[HELD];
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint k = min(k0 + y + i * side, push.K - 1u); // beyond the head keys and queries are zero
        h[i] = vec4(state[hk + k * quads + quad]);
    }
    for (uint t = 0u; t < n; t++) {
        const uint row = push.x_offset + (first + t) * push.x_stride;
        float gates[TURNS], writes[TURNS], keys[TURNS], queries[TURNS * HEADS];
        [[unroll]] for (uint e = 0u; e < TURNS; e++) { // all on their way before the first is used
            const uint i = lane + e * GSA_MIXER_GROUP, m = min(i, push.M - 1u), k = min(k0 + i, push.K - 1u);
            if (e * GSA_MIXER_GROUP < push.M) {
                gates[e] = x[row + push.g + g * push.M + m];
                if (!PROJECTIONS) writes[e] = x[row + push.s + g * push.M + m];
            }
            if (e * GSA_MIXER_GROUP < push.tiles) {
                keys[e] = x[row + push.k + g * push.K + k];
                [[unroll]] for (uint r = 0u; r < HEADS; r++)
                    queries[e * HEADS + r] = x[row + push.q + (g * HEADS + r) * push.K + k];
            }
        }
        [[unroll]] for (uint e = 0u; e < TURNS; e++) {
            const uint i = lane + e * GSA_MIXER_GROUP;
            if (i < push.M) {
                const float log_a = PROJECTIONS ? log_decay(gates[e], push.normalizer) : gates[e];
                const vec2 decay = decay_pair(log_a);
                base[i] = decay.x;
                small[i] = decay.y;
                strength[i] = PROJECTIONS ? one_minus_exp(log_a) : writes[e];
            }
            if (i < push.tiles) {
                const bool inside = k0 + i < push.K;
                key[i] = inside ? feature(keys[e]) : 0.0;
                [[unroll]] for (uint r = 0u; r < HEADS; r++)
                    query[r * MOST_ROWS + i] = inside ? push.scale * feature(queries[e * HEADS + r]) : 0.0;
            }
        }
        barrier();

        precise vec4 sum[HEADS];
        [[unroll]] for (uint r = 0u; r < HEADS; r++) sum[r] = vec4(0.0);
        [[unroll]] for (uint i = 0u; i < HELD; i++) {
            h[i] = decay_quad(4u * quad, h[i], key[y + i * side]);
            [[unroll]] for (uint r = 0u; r < HEADS; r++)
                sum[r] = fma(vec4(query[r * MOST_ROWS + y + i * side]), h[i], sum[r]);
        }
        [[unroll]] for (uint r = 0u; r < HEADS; r++) {
            part[lane] = sum[r];
            barrier();
            if (y == 0u) {
                precise vec4 all = part[quad];
                for (uint i = 1u; i < side; i++) all += part[i * quads + quad];
                scratch[(((gl_WorkGroupID.z * push.chunk_rows + t) * heads() + g * HEADS + r) * push.k_tiles + gl_WorkGroupID.x) * quads + quad] = all;
            }
            barrier();
        }
    }
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint k = k0 + y + i * side;
        if (k < push.K) state[hk + k * quads + quad] = state_of(h[i]);
    }
}
