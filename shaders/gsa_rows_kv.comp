// GSA for single tokens of many sessions in one dispatch: what gsa_rows_k.comp and gsa_rows_v.comp compute of chunks of
// one row, to the bit. The scores never leave the workgroup, and the value memory is on its way while they are made.
//
//   x      [rows, width] f32           columns q [H K], k [G K], v [G V], s, g [G M]; with PROJECTIONS as for these two
//   work   chunks of at most one row
//   state  [slot] -> hk [G][K][M], hv [G][M][V]   updated in place
//   o      [rows, H V] f32             with PROJECTIONS silu(o)
//
// A workgroup owns both memories of one kv head: y = kv head, z = chunk. Teams of GSA_MIXER_GROUP invocations take the
// tiles of the two kernels in turn, each invocation the vectors of four that it has there, in the same order. All of them,
// hk's and then hv's, go one by one through WINDOW places in registers: where one is stored, the next is asked for, so that
// WINDOW loads are on their way from the first instructions to the last. The stores between them keep a compiler from
// moving loads to where they are used. Tiles divide evenly: K M and V M are multiples of 4 GSA_ROWS_HELD THREADS; M is a
// power of two from 16 to 256.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 512u; // a multiple of GSA_MIXER_GROUP
layout(constant_id = 1) const uint WINDOW = 16u;   // at most all vectors of an invocation
layout(constant_id = 2) const uint HEADS = 1u;     // query heads of a kv head, R
layout(constant_id = 3) const uint K = 512u;
layout(constant_id = 4) const uint V = 512u;
layout(constant_id = 5) const uint M = 64u;
layout(constant_id = 6) const bool PROJECTIONS = false;
#include "common/state.glsl"
#include "common/mixer.h"
// Always the same: the driver shall unroll these loops, for glslc loses precise where it does.
layout(constant_id = 7) const uint HELD = GSA_ROWS_HELD;
layout(constant_id = 8) const uint MEMBERS = GSA_MIXER_GROUP / GSA_ROWS_HEADS; // of a query head in the softmax
layout(push_constant) uniform Push { gsa_step_push push; };
#include "common/exp.glsl"
#include "common/decay.glsl"
#include "common/gate.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
#ifdef HALF_STATE
// On their way as they lie in memory: half the registers.
layout(std430, set = 0, binding = 2) readonly buffer Kept { uvec2 kept_state[]; };
layout(std430, set = 0, binding = 2) writeonly buffer State { STATE4 state[]; };
#define ON_ITS_WAY uvec2
#define LOAD(i) kept_state[i]
#define HAS_COME(h) vec4(unpackHalf2x16((h).x), unpackHalf2x16((h).y))
#else
layout(std430, set = 0, binding = 2) buffer State { vec4 state[]; };
#define ON_ITS_WAY vec4
#define LOAD(i) state[i]
#define HAS_COME(h) (h)
#endif
layout(std430, set = 0, binding = 3) writeonly buffer O { float o[]; };

const uint TEAM = GSA_MIXER_GROUP, TEAMS = THREADS / TEAM;
const uint TILE = 4u * HELD * TEAM / M;          // rows of hk, or columns of hv
const uint K_TILES = K / TILE, V_TILES = V / TILE;
const uint K_TURNS = K_TILES / TEAMS, V_TURNS = V_TILES / TEAMS; // tiles of a team
const uint K_QUADS = M / 4u, V_QUADS = TILE / 4u;                // vectors of a row of the tile
const uint K_SIDE = TEAM / K_QUADS, V_SIDE = TEAM / V_QUADS;     // rows side by side
const uint K_STEPS = K_TURNS * HELD, STEPS = K_STEPS + V_TURNS * HELD; // vectors of an invocation
const uint K_EACH = (K + THREADS - 1u) / THREADS, V_EACH = (V + THREADS - 1u) / THREADS;
const uint M_EACH = (M + THREADS - 1u) / THREADS;

shared vec4 base[M / 4u], small[M / 4u], strength[M / 4u], value[V / 4u];
shared float key[K], query[HEADS * K];
shared float score[HEADS * M], weight[HEADS * M], member_part[HEADS * MEMBERS];
shared vec4 part[HEADS * (K_TILES > V_TILES ? K_TILES : V_TILES) * TEAM];

uint k_from, v_from; // of the invocation in hk and hv

float feature(float z)
{
    if (!PROJECTIONS) return z;
    return push.map == GSA_MAP_RELU ? max(z, 0.0) : silu_exact(z);
}

// The invocation's vectors in order: hk tile by tile; hv by slots, each in all tiles.
uint place(uint step)
{
    const uint v_step = step - K_STEPS;
    if (step < K_STEPS) return k_from + (step / HELD * TEAMS * HELD + step % HELD) * TEAM;
    return v_from + v_step / V_TURNS * V_SIDE * (V / 4u) + v_step % V_TURNS * TEAMS * V_QUADS;
}

void main()
{
    const uint thread = gl_LocalInvocationIndex, team = thread / TEAM, lane = thread % TEAM;
    const uint g = gl_WorkGroupID.y, chunk = push.chunks + GSA_WORK_STRIDE * gl_WorkGroupID.z;
    const uint first = work[chunk], n = work[chunk + 1u], slot = work[chunk + 2u];
    if (n == 0u) return;

    // All on their way before the first is used
    const uint row = push.x_offset + first * push.x_stride;
    float keys[K_EACH], queries[K_EACH * HEADS], values[V_EACH], gates[M_EACH], writes[M_EACH];
    [[unroll]] for (uint e = 0u; e < M_EACH; e++) {
        const uint m = g * M + min(thread + e * THREADS, M - 1u);
        gates[e] = x[row + push.g + m];
        if (!PROJECTIONS) writes[e] = x[row + push.s + m];
    }
    [[unroll]] for (uint e = 0u; e < K_EACH; e++) {
        const uint k = min(thread + e * THREADS, K - 1u);
        keys[e] = x[row + push.k + g * K + k];
        [[unroll]] for (uint r = 0u; r < HEADS; r++)
            queries[e * HEADS + r] = x[row + push.q + (g * HEADS + r) * K + k];
    }
    [[unroll]] for (uint e = 0u; e < V_EACH; e++)
        values[e] = x[row + push.v + g * V + min(thread + e * THREADS, V - 1u)];

    const uint k_quad = lane % K_QUADS, k_y = lane / K_QUADS, v_quad = lane % V_QUADS, v_y = lane / V_QUADS;
    k_from = (slot * push.state_stride + push.hk + g * K * M) / 4u + team * HELD * TEAM + lane;
    v_from = (slot * push.state_stride + push.hv + g * M * V) / 4u + v_y * (V / 4u) + team * V_QUADS + v_quad;
    ON_ITS_WAY h[WINDOW];
    [[unroll]] for (uint i = 0u; i < WINDOW; i++) h[i] = LOAD(place(i));

    [[unroll]] for (uint e = 0u; e < M_EACH; e++) {
        const uint m = thread + e * THREADS;
        if (m < M) {
            const float log_a = PROJECTIONS ? log_decay(gates[e], push.normalizer) : gates[e];
            const vec2 decay = decay_pair(log_a);
            base[m / 4u][m % 4u] = decay.x;
            small[m / 4u][m % 4u] = decay.y;
            strength[m / 4u][m % 4u] = PROJECTIONS ? one_minus_exp(log_a) : writes[e];
        }
    }
    [[unroll]] for (uint e = 0u; e < K_EACH; e++) {
        const uint k = thread + e * THREADS;
        if (k < K) {
            key[k] = feature(keys[e]);
            [[unroll]] for (uint r = 0u; r < HEADS; r++) query[r * K + k] = push.scale * feature(queries[e * HEADS + r]);
        }
    }
    [[unroll]] for (uint e = 0u; e < V_EACH; e++) {
        const uint v = thread + e * THREADS;
        if (v < V) value[v / 4u][v % 4u] = PROJECTIONS ? silu_exact(values[e]) : values[e];
    }
    barrier();

    // hk[k, m] <- exp(g[m]) hk[k, m] + s[m] key[k];   part = sum over a tile's k of q[k] hk[k, m], by rows side by side
    [[unroll]] for (uint turn = 0u; turn < K_TURNS; turn++) {
        const uint tile = turn * TEAMS + team;
        precise vec4 sum[HEADS];
        [[unroll]] for (uint r = 0u; r < HEADS; r++) sum[r] = vec4(0.0);
        [[unroll]] for (uint i = 0u; i < HELD; i++) {
            const uint step = turn * HELD + i, at = step % WINDOW, k = tile * TILE + i * K_SIDE + k_y;
            const vec4 kept = decay_apply(base[k_quad], small[k_quad], HAS_COME(h[at]), strength[k_quad] * key[k]);
            [[unroll]] for (uint r = 0u; r < HEADS; r++) sum[r] = fma(vec4(query[r * K + k]), kept, sum[r]);
            state[place(step)] = state_of(kept);
            if (step + WINDOW < STEPS) h[at] = LOAD(place(step + WINDOW));
        }
        [[unroll]] for (uint r = 0u; r < HEADS; r++) part[(r * K_TILES + tile) * TEAM + lane] = sum[r];
    }
    barrier();

    for (uint i = thread; i < HEADS * M; i += THREADS) {
        const uint from = i / M * K_TILES * TEAM + i % M / 4u, e = i % 4u;
        precise float all = 0.0;
        [[unroll]] for (uint t = 0u; t < K_TILES; t++) {
            precise float of_tile = part[from + t * TEAM][e];
            [[unroll]] for (uint y = 1u; y < K_SIDE; y++) of_tile += part[from + t * TEAM + y * K_QUADS][e];
            all = t > 0u ? all + of_tile : of_tile;
        }
        score[i] = all;
    }
    barrier();

    // Softmax over m, summed by members as gsa_rows_v.comp does.
    if (thread < HEADS * MEMBERS) {
        const uint from = thread / MEMBERS * M;
        float most = -3.4e38;
        [[unroll]] for (uint m = 0u; m < M; m++) most = max(most, score[from + m]);
        precise float sum = 0.0;
        for (uint m = thread % MEMBERS; m < M; m += MEMBERS) {
            const float e = exp_neg(score[from + m] - most);
            weight[from + m] = e;
            sum += e;
        }
        member_part[thread] = sum;
    }
    barrier();
    for (uint i = thread; i < HEADS * M; i += THREADS) {
        const uint from = i / M * MEMBERS;
        precise float all = member_part[from];
        [[unroll]] for (uint k = 1u; k < MEMBERS; k++) all += member_part[from + k];
        weight[i] /= all;
    }
    barrier();

    // hv[m, v] <- exp(g[m]) hv[m, v] + s[m] value[v];   part = sum over m of p[m] hv[m, v], by slots side by side
    vec4 write[V_TURNS];
    precise vec4 sum[V_TURNS * HEADS];
    [[unroll]] for (uint turn = 0u; turn < V_TURNS; turn++) {
        write[turn] = value[(turn * TEAMS + team) * V_QUADS + v_quad];
        [[unroll]] for (uint r = 0u; r < HEADS; r++) sum[turn * HEADS + r] = vec4(0.0);
    }
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint m = v_y + i * V_SIDE;
        [[unroll]] for (uint turn = 0u; turn < V_TURNS; turn++) {
            const uint step = K_STEPS + i * V_TURNS + turn, at = step % WINDOW;
            const vec4 kept = decay_apply(vec4(base[m / 4u][m % 4u]), vec4(small[m / 4u][m % 4u]), HAS_COME(h[at]),
                strength[m / 4u][m % 4u] * write[turn]);
            [[unroll]] for (uint r = 0u; r < HEADS; r++)
                sum[turn * HEADS + r] = fma(vec4(weight[r * M + m]), kept, sum[turn * HEADS + r]);
            state[place(step)] = state_of(kept);
            if (step + WINDOW < STEPS) h[at] = LOAD(place(step + WINDOW));
        }
    }
    [[unroll]] for (uint turn = 0u; turn < V_TURNS; turn++)
        [[unroll]] for (uint r = 0u; r < HEADS; r++)
            part[(r * V_TILES + turn * TEAMS + team) * TEAM + lane] = sum[turn * HEADS + r];
    barrier();

    const uint to = push.o_offset + first * push.o_stride + g * HEADS * V;
    for (uint i = thread; i < HEADS * V; i += THREADS) {
        const uint from = i / TILE * TEAM + i % TILE / 4u, e = i % 4u; // V is a multiple of TILE
        precise float all = part[from][e];
        [[unroll]] for (uint y = 1u; y < V_SIDE; y++) all += part[from + y * V_QUADS][e];
        o[to + i] = PROJECTIONS ? silu_exact(all) : all;
    }
}
