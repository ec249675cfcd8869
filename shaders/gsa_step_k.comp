// GSA for chunks of one row, first of two: write the key into the slots, ask each slot how well the query fits.
// With PROJECTIONS x holds the projections themselves: q and k take their feature map, f becomes g and s, on the way.
//   hk[k, m] <- exp(g[m]) hk[k, m] + s[m] key[k];   partial[tile][m] = scale sum_{k in tile} q[k] hk[k, m]
//
//   x       [rows, width] f32           columns q [H K], k [G K], s, g [G M]
//   work    spans and chunks
//   state   [slot] -> hk [G][K][M]      updated in place
//   scratch partial [n_chunks][H][tiles][M], and the header for gsa_step_v.comp
//
// A workgroup owns tiles of TILE rows of one kv head's hk: x = run of tiles, y = kv head, z = span. It serves all R
// query heads of the kv head, so the state is read and written once. Invocations stand LANES wide along M and ROWS deep
// along K. Each tile is summed by itself, so the bits do not depend on how many tiles a group takes. The chunks of a
// span come one after another; an invocation meets the same elements of the state each time.
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

layout(constant_id = 0) const uint TILE = 16u;  // rows of hk
layout(constant_id = 1) const uint LANES = 64u; // divides the group
layout(constant_id = 2) const uint HEADS = 1u;  // query heads at a time, at most GSA_STEP_HEADS
layout(constant_id = 3) const bool PROJECTIONS = false;
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer State { STATE state[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Scratch { float scratch[]; };

const uint ROWS = GSA_MIXER_GROUP / LANES;
const uint BATCH = 8u; // loads in flight per invocation

shared float part[GSA_STEP_HEADS * GSA_MIXER_GROUP];
shared float key[GSA_MIXER_GROUP], query[GSA_STEP_HEADS * GSA_MIXER_GROUP]; // of the tile; TILE <= GSA_MIXER_GROUP

float feature(float z)
{
    if (!PROJECTIONS) return z;
    return push.map == GSA_MAP_RELU ? max(z, 0.0) : silu_exact(z);
}

void load_tile(uint row, uint tile, uint r0)
{
    const uint g = gl_WorkGroupID.y, k = tile * TILE + gl_LocalInvocationIndex;
    if (gl_LocalInvocationIndex < TILE && k < push.K) {
        key[gl_LocalInvocationIndex] = feature(x[row + push.k + g * push.K + k]);
        for (uint r = 0u; r < HEADS && r0 + r < push.R; r++)
            query[r * TILE + gl_LocalInvocationIndex] =
                push.scale * feature(x[row + push.q + (g * push.R + r0 + r) * push.K + k]);
    }
    barrier();
}

void write_header(uint lane, uint first, uint n)
{
    const uint span = gl_WorkGroupID.z;
    if (lane == 0u) {
        scratch[4u * span] = float(first);
        scratch[4u * span + 1u] = float(n);
        scratch[4u * span + 2u] = float(work[span_entry(span)]);
    }
    for (uint i = lane; i < n; i += GSA_MIXER_GROUP) {
        const uint chunk = chunk_entry(first + i);
        scratch[4u * push.n_spans + first + i] = work[chunk + 1u] > 0u ? float(work[chunk]) : -1.0;
    }
}

// One tile of rows for the slots m0 + column .. and all query heads.
void tile_step(uint tile, uint m0, uint row, uint hk, uint to)
{
    const uint lane = gl_LocalInvocationIndex, g = gl_WorkGroupID.y;
    const uint m = m0 + lane % LANES, end = min(push.K, (tile + 1u) * TILE);
    vec2 decay = vec2(0.0);
    float s = 0.0;

    if (m < push.M) {
        const float gate = x[row + push.g + g * push.M + m];
        const float log_a = PROJECTIONS ? log_decay(gate, push.normalizer) : gate;
        decay = decay_pair(log_a);
        s = PROJECTIONS ? one_minus_exp(log_a) : x[row + push.s + g * push.M + m];
    }
    for (uint r0 = 0u; r0 < push.R; r0 += HEADS) {
        precise float sum[GSA_STEP_HEADS];
        [[unroll]] for (uint r = 0u; r < GSA_STEP_HEADS; r++) sum[r] = 0.0;
        load_tile(row, tile, r0);

        for (uint k0 = tile * TILE + lane / LANES; k0 < end && m < push.M; k0 += ROWS * BATCH) {
            float h[BATCH];
            [[unroll]] for (uint i = 0u; i < BATCH; i++)
                h[i] = k0 + i * ROWS < end ? float(state[hk + (k0 + i * ROWS) * push.M + m]) : 0.0;
            [[unroll]] for (uint i = 0u; i < BATCH; i++) {
                const uint k = k0 + i * ROWS;
                if (k >= end) continue;
                if (r0 == 0u) {
                    h[i] = decay_apply(decay, h[i], s * key[k - tile * TILE]);
                    state[hk + k * push.M + m] = state_of(h[i]);
                }
                [[unroll]] for (uint r = 0u; r < GSA_STEP_HEADS; r++)
                    if (r < HEADS && r0 + r < push.R) sum[r] = fma(query[r * TILE + k - tile * TILE], h[i], sum[r]);
            }
        }

        [[unroll]] for (uint r = 0u; r < GSA_STEP_HEADS; r++)
            if (r < HEADS) part[r * GSA_MIXER_GROUP + lane] = sum[r];
        barrier();
        if (lane < LANES && m < push.M)
            for (uint r = 0u; r < HEADS && r0 + r < push.R; r++) {
                float all = part[r * GSA_MIXER_GROUP + lane];
                for (uint i = 1u; i < ROWS; i++) all += part[r * GSA_MIXER_GROUP + i * LANES + lane];
                scratch[to + (r0 + r) * push.k_tiles * push.M + m] = all;
            }
        barrier();
    }
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, g = gl_WorkGroupID.y;
    const uint span = span_entry(gl_WorkGroupID.z);
    const uint first = work[span + 1u], n = work[span + 2u];
    const uint hk = work[span] * push.state_stride + push.hk + g * push.K * push.M;

    if (gl_WorkGroupID.x == 0u && g == 0u) write_header(lane, first, n);

    for (uint c = first; c < first + n; c++) {
        if (work[chunk_entry(c) + 1u] == 0u) continue;
        const uint row = push.x_offset + work[chunk_entry(c)] * push.x_stride;
        const uint tile_end = min(push.k_tiles, (gl_WorkGroupID.x + 1u) * push.tiles);
        for (uint tile = gl_WorkGroupID.x * push.tiles; tile < tile_end; tile++)
            for (uint m0 = 0u; m0 < push.M; m0 += LANES)
                tile_step(tile, m0, row, hk,
                    push.partial + ((c * heads() + g * push.R) * push.k_tiles + tile) * push.M);
    }
}
