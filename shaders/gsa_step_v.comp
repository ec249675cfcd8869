// GSA for chunks of one row, second of two: weigh the slots, write the value into them, read the mixture.
// With PROJECTIONS x holds the projections themselves, and o is silu(o), as the output norm wants it.
//   p = softmax over m of the summed partial scores
//   hv[m, v] <- exp(g[m]) hv[m, v] + s[m] value[v];   o[v] = sum_m p[m] hv[m, v]
//
//   x       [rows, width] f32           columns v [G V], s, g [G M]
//   scratch header and partial, as gsa_step_k.comp left them
//   state   [slot] -> hv [G][M][V]      updated in place
//   o       [rows, H V] f32
//
// A workgroup owns columns of one kv head's hv: x = run of tiles of TILE columns, y = kv head, z = span. Every group
// makes the softmax of its R query heads again: that is cheaper than one more dependency between dispatches. Invocations
// stand TILE wide along V and ROWS deep along M.
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

layout(constant_id = 0) const uint TILE = 16u;  // columns of hv; divides the group
layout(constant_id = 1) const uint LANES = 64u; // along M while scores are summed
layout(constant_id = 2) const uint HEADS = 1u;  // query heads at a time: HEADS times the slots held fit weight[]
layout(constant_id = 3) const bool ALL_SLOTS = true; // weight[] holds all slots: M <= GSA_STEP_SLOTS
layout(constant_id = 4) const bool PROJECTIONS = false;
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 2) buffer State { STATE state[]; };
layout(std430, set = 0, binding = 3) writeonly buffer O { float o[]; };

const uint ROWS = GSA_MIXER_GROUP / TILE;
const uint DECAYS = 256u; // decays held at a time
const uint BATCH = 8u;    // loads in flight per invocation
const uint TEAM = 16u;    // invocations per head in the softmax

shared float weight[GSA_STEP_SLOTS]; // [HEADS][slots()]
shared float base[DECAYS], small[DECAYS], strength[DECAYS];
shared float part[GSA_STEP_HEADS * GSA_MIXER_GROUP];
shared float team_part[GSA_STEP_HEADS * TEAM];

// weights held at a time for one query head
uint slots()
{
    return ALL_SLOTS ? push.M : GSA_STEP_SLOTS;
}

// Scores of slots m0 .. m0 + slots() - 1 for query heads r0 .. r0 + HEADS - 1 into weight[][].
void sum_scores(uint from, uint r0, uint m0)
{
    const uint lane = gl_LocalInvocationIndex, y = lane / LANES;

    for (uint m1 = 0u; m1 < slots(); m1 += LANES) {
        const uint m = m1 + lane % LANES;
        const bool inside = m < slots() && m0 + m < push.M;
        [[unroll]] for (uint r = 0u; r < HEADS; r++) {
            float sum = 0.0;
            if (inside && r0 + r < push.R)
                for (uint t = y; t < push.k_tiles; t += GSA_MIXER_GROUP / LANES)
                    sum += scratch[from + ((r0 + r) * push.k_tiles + t) * push.M + m0 + m];
            part[r * GSA_MIXER_GROUP + lane] = sum;
        }
        barrier();
        if (y == 0u && inside)
            for (uint r = 0u; r < HEADS; r++) {
                float sum = part[r * GSA_MIXER_GROUP + lane];
                for (uint i = LANES; i < GSA_MIXER_GROUP; i += LANES) sum += part[r * GSA_MIXER_GROUP + i + lane];
                weight[r * slots() + m] = sum;
            }
        barrier();
    }
}

// The team's value of head r, combined in the order of its members.
float team_max(uint r)
{
    float all = team_part[r * TEAM];
    for (uint i = 1u; i < TEAM; i++) all = max(all, team_part[r * TEAM + i]);
    return all;
}

float team_sum(uint r)
{
    float all = team_part[r * TEAM];
    for (uint i = 1u; i < TEAM; i++) all += team_part[r * TEAM + i];
    return all;
}

// The scores of a block of slots become exp(score - largest).
void make_weights(uint r, uint m0, float largest)
{
    const uint n = min(slots(), push.M - m0);
    if (r < HEADS)
        for (uint m = gl_LocalInvocationIndex % TEAM; m < n; m += TEAM)
            weight[r * slots() + m] = exp_neg(weight[r * slots() + m] - largest);
}

// Largest score and sum of the weights of this invocation's head in the softmax; weight[][] then holds exp(score -
// largest) of the last block of slots (of all when ALL_SLOTS).
vec2 softmax(uint from, uint r0)
{
    const uint lane = gl_LocalInvocationIndex, r = lane / TEAM;
    float largest = -3.4e38, sum = 0.0;

    for (uint m0 = 0u; m0 < push.M; m0 += slots()) {
        sum_scores(from, r0, m0);
        if (r < HEADS)
            for (uint m = lane % TEAM; m < min(slots(), push.M - m0); m += TEAM)
                largest = max(largest, weight[r * slots() + m]);
        barrier();
    }
    team_part[lane] = largest;
    barrier();
    largest = team_max(r);
    for (uint m0 = 0u; m0 < push.M; m0 += slots()) {
        if (!ALL_SLOTS) sum_scores(from, r0, m0);
        make_weights(r, m0, largest);
        if (r < HEADS)
            for (uint m = lane % TEAM; m < min(slots(), push.M - m0); m += TEAM) sum += weight[r * slots() + m];
        barrier();
    }
    team_part[lane] = sum;
    barrier();
    return vec2(largest, team_sum(r));
}

void load_decays(uint gate, uint s, uint m0)
{
    barrier();
    for (uint m = gl_LocalInvocationIndex; m < min(DECAYS, push.M - m0); m += GSA_MIXER_GROUP) {
        const float log_a = PROJECTIONS ? log_decay(x[gate + m0 + m], push.normalizer) : x[gate + m0 + m];
        const vec2 decay = decay_pair(log_a);
        base[m] = decay.x;
        small[m] = decay.y;
        strength[m] = PROJECTIONS ? one_minus_exp(log_a) : x[s + m0 + m];
    }
    barrier();
}

void main()
{
    const uint lane = gl_LocalInvocationIndex, g = gl_WorkGroupID.y, span = gl_WorkGroupID.z;
    const uint first = uint(scratch[4u * span]), n = uint(scratch[4u * span + 1u]);
    const uint hv = uint(scratch[4u * span + 2u]) * push.state_stride + push.hv + g * push.M * push.V;
    const uint tiles = (push.V + TILE - 1u) / TILE, tile_end = min(tiles, (gl_WorkGroupID.x + 1u) * push.tiles);

    for (uint c = first; c < first + n; c++) {
        const float chunk_row = scratch[4u * push.n_spans + c];
        if (chunk_row < 0.0) continue;
        const uint row = push.x_offset + uint(chunk_row) * push.x_stride;
        const uint gate = row + push.g + g * push.M, s = row + push.s + g * push.M;
        const uint from = push.partial + (c * heads() + g * push.R) * push.k_tiles * push.M;

        for (uint r0 = 0u; r0 < push.R; r0 += HEADS) {
            const vec2 norm = softmax(from, r0);
            if (ALL_SLOTS) { // otherwise the sum divides the output: the weights are made block by block
                const uint r = lane / TEAM;
                if (r < HEADS)
                    for (uint m = lane % TEAM; m < push.M; m += TEAM) weight[r * slots() + m] /= norm.y;
            }
            if (push.M <= DECAYS) load_decays(gate, s, 0u);
            barrier();

            for (uint tile = gl_WorkGroupID.x * push.tiles; tile < tile_end; tile++) {
                const uint v = tile * TILE + lane % TILE;
                const float projected = v < push.V ? x[row + push.v + g * push.V + v] : 0.0;
                const float value = PROJECTIONS ? silu_exact(projected) : projected;
                precise float sum[GSA_STEP_HEADS];
                [[unroll]] for (uint r = 0u; r < GSA_STEP_HEADS; r++) sum[r] = 0.0;

                for (uint d0 = 0u; d0 < push.M; d0 += DECAYS) {
                    if (push.M > DECAYS) load_decays(gate, s, d0);
                    if (!ALL_SLOTS && d0 % GSA_STEP_SLOTS == 0u) {
                        sum_scores(from, r0, d0);
                        make_weights(lane / TEAM, d0, norm.x);
                        barrier();
                    }
                    const uint end = min(DECAYS, push.M - d0);
                    for (uint i0 = lane / TILE; i0 < end && v < push.V; i0 += ROWS * BATCH) {
                        float h[BATCH];
                        [[unroll]] for (uint i = 0u; i < BATCH; i++)
                            h[i] = i0 + i * ROWS < end ? float(state[hv + (d0 + i0 + i * ROWS) * push.V + v]) : 0.0;
                        [[unroll]] for (uint i = 0u; i < BATCH; i++) {
                            const uint m = i0 + i * ROWS;
                            if (m >= end) continue;
                            const uint held = ALL_SLOTS ? d0 + m : (d0 + m) % GSA_STEP_SLOTS;
                            if (r0 == 0u) {
                                h[i] = decay_apply(vec2(base[m], small[m]), h[i], strength[m] * value);
                                state[hv + (d0 + m) * push.V + v] = state_of(h[i]);
                            }
                            [[unroll]] for (uint r = 0u; r < GSA_STEP_HEADS; r++)
                                if (r < HEADS) sum[r] = fma(weight[r * slots() + held], h[i], sum[r]);
                        }
                    }
                }

                [[unroll]] for (uint r = 0u; r < GSA_STEP_HEADS; r++)
                    if (r < HEADS) part[r * GSA_MIXER_GROUP + lane] = sum[r];
                if (!ALL_SLOTS) team_part[lane] = norm.y;
                barrier();
                if (lane < TILE && v < push.V)
                    for (uint r = 0u; r < HEADS && r0 + r < push.R; r++) {
                        float all = part[r * GSA_MIXER_GROUP + lane];
                        for (uint i = 1u; i < ROWS; i++) all += part[r * GSA_MIXER_GROUP + i * TILE + lane];
                        if (!ALL_SLOTS) all /= team_part[r * TEAM];
                        o[push.o_offset + uint(chunk_row) * push.o_stride + (g * push.R + r0 + r) * push.V + v] =
                            PROJECTIONS ? silu_exact(all) : all;
                    }
                barrier();
            }
        }
    }
}
