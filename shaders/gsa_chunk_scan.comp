// GSA for chunks of many rows, second of three: the state before each chunk, and after the last.
// Both memories are written the same way, so one scan serves both:
//   hk[k, m] <- D[m] hk[k, m] + sum_t key[t, k] wend[t, m]
//   hv[m, v] <- D[m] hv[m, v] + sum_t wend[t, m] value[t, v]
//
//   x       [rows, width] f32   columns k [G K], v [G V]
//   work    spans and chunks
//   scratch reads wend, decay; writes start
//   state   [slot] -> hk [G][K][M], hv [G][M][V]
//
// A workgroup carries a tile of one kv head's hk or hv through the chunks of a span: x = tiles of hk, then of hv;
// y = kv head; z = span. The tile is SIDE slots by 2048 / SIDE rows of K or columns of V, an invocation owns 4 x 4 of
// it. A chunk's sum is made by itself and then added, so the result depends on the state before the chunk and on the
// chunk, wherever it stands.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common/state.glsl"
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_chunk_push push; };
#include "common/mixer.glsl"
#include "common/exp.glsl"
#include "common/decay.glsl"

layout(constant_id = 0) const uint SIDE = 64u; // 16, 32 or 64
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 3) buffer State { STATE state[]; };

const uint OTHER = 16u * GSA_MIXER_GROUP / SIDE;
const uint DEPTH = 16u; // rows of the chunk at a time

// The product's operands: left[t][i], right[t][j], for element [i][j] of the tile, j contiguous in the state.
shared float left[DEPTH * (SIDE > OTHER ? SIDE : OTHER)];
shared float right[DEPTH * (SIDE > OTHER ? SIDE : OTHER)];

void main()
{
    const uint lane = gl_LocalInvocationIndex, g = gl_WorkGroupID.y;
    const uint span = span_entry(gl_WorkGroupID.z), first = work[span + 1u], n_chunks = work[span + 2u];
    if (n_chunks == 0u) return; // an idle span owns no slot, so it must not even write back what it read

    // hk is [K][M], hv is [M][V]: the same code with the operands in the other order.
    const uint m_tiles = (push.M + SIDE - 1u) / SIDE, k_tiles = m_tiles * ((push.K + OTHER - 1u) / OTHER);
    const bool is_hk = gl_WorkGroupID.x < k_tiles;
    const uint tile = is_hk ? gl_WorkGroupID.x : gl_WorkGroupID.x - k_tiles;
    const uint m_from = tile % m_tiles * SIDE, other_from = tile / m_tiles * OTHER;
    const uint i_from = is_hk ? other_from : m_from, j_from = is_hk ? m_from : other_from;
    const uint i_tile = is_hk ? OTHER : SIDE, j_tile = is_hk ? SIDE : OTHER;
    const uint i_end = is_hk ? push.K : push.M, j_end = is_hk ? push.M : push.V;
    const uint i_mine = lane / (j_tile / 4u) * 4u, j_mine = lane % (j_tile / 4u) * 4u;
    const uint column = is_hk ? push.k + g * push.K : push.v + g * push.V;

    const uint arena = work[span] * push.state_stride +
        (is_hk ? push.hk + g * push.K * push.M : push.hv + g * push.M * push.V);
    const uint at = (i_from + i_mine) * j_end + j_from + j_mine;
    float h[16];
    bool inside[16];

    [[unroll]] for (uint e = 0u; e < 16u; e++) {
        inside[e] = i_from + i_mine + e / 4u < i_end && j_from + j_mine + e % 4u < j_end;
        h[e] = inside[e] ? float(state[arena + at + e / 4u * j_end + e % 4u]) : 0.0;
    }

    for (uint c = first; c < first + n_chunks; c++) {
        const uint rows = work[chunk_entry(c) + 1u], row = work[chunk_entry(c)];
        const uint start = push.start + (c * push.G + g) * (push.K + push.V) * push.M + (is_hk ? 0u : push.K * push.M);
        if (rows == 0u) continue;

        precise float sum[16];
        [[unroll]] for (uint e = 0u; e < 16u; e++) {
            if (inside[e]) scratch[start + at + e / 4u * j_end + e % 4u] = h[e];
            sum[e] = 0.0;
        }
        for (uint t0 = 0u; t0 < rows; t0 += DEPTH) {
            const uint deep = min(DEPTH, rows - t0);
            // Tile columns of k or v and of wend; what lies outside is zero.
            for (uint i = lane; i < DEPTH * OTHER; i += GSA_MIXER_GROUP) {
                const uint t = i / OTHER, d = other_from + i % OTHER;
                const float a = t < deep && d < (is_hk ? push.K : push.V)
                    ? x[push.x_offset + (row + t0 + t) * push.x_stride + column + d] : 0.0;
                if (is_hk) left[i] = a;
                else right[i] = a;
            }
            for (uint i = lane; i < DEPTH * SIDE; i += GSA_MIXER_GROUP) {
                const uint t = i / SIDE, m = m_from + i % SIDE;
                const float w = t < deep && m < push.M
                    ? scratch[push.wend + (c * push.chunk_rows + t0 + t) * gm() + g * push.M + m] : 0.0;
                if (is_hk) right[i] = w;
                else left[i] = w;
            }
            barrier();
            for (uint t = 0u; t < deep; t++) {
                float a[4], b[4];
                [[unroll]] for (uint e = 0u; e < 4u; e++) {
                    a[e] = left[t * i_tile + i_mine + e];
                    b[e] = right[t * j_tile + j_mine + e];
                }
                [[unroll]] for (uint e = 0u; e < 16u; e++) sum[e] = fma(a[e / 4u], b[e % 4u], sum[e]);
            }
            barrier();
        }
        [[unroll]] for (uint e = 0u; e < 4u; e++) {
            const uint m = min(m_from + (is_hk ? j_mine : i_mine) + e, push.M - 1u);
            const vec2 decay = vec2(scratch[push.decay + c * 2u * gm() + g * push.M + m],
                scratch[push.decay + (c * 2u + 1u) * gm() + g * push.M + m]);
            [[unroll]] for (uint f = 0u; f < 4u; f++) {
                const uint i = is_hk ? f * 4u + e : e * 4u + f;
                h[i] = state_kept(decay_apply(decay, h[i], sum[i]));
            }
        }
    }
    [[unroll]] for (uint e = 0u; e < 16u; e++)
        if (inside[e]) state[arena + at + e / 4u * j_end + e % 4u] = state_of(h[e]);
}
