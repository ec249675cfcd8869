// GSA for a chunk of a few rows, what is left after staged_matvec.comp with STEP and ONE_CHUNK: x holds q, k, v in their
// final form and the log decay, partial what each row's query read of the key memory before the chunk. What the chunk's
// rows write there since, a query meets as its products with their keys:
//   score_t = sum_tiles partial[t][tile], then for i = 0 .. t  score_t[m] <- exp(g_i[m]) score_t[m] + s_i[m] q_t.k_i
//   p_t = softmax(score_t);   row after row  hk[k, m] <- exp(g[m]) hk[k, m] + s[m] k[k],
//   hv[m, v] <- exp(g[m]) hv[m, v] + s[m] v[v],   o[v] = silu(sum_m p[m] hv[m, v])
//
//   x       [ROWS, width] f32
//   work    the chunk
//   state   [slot] -> hk [G][K][M], hv [G][M][V] f32  updated in place
//   scratch partial [ROWS][H][k_tiles][M]
//   o       [ROWS, H V] f32
//
// Workgroup x of kv head y owns 16 columns of hv and push.tiles rows of hk, and makes the softmax of its query heads for
// itself. All of x and of the state is asked for before the first of it is used, under no condition: some compilers wait
// where one ends. Subgroups are full; K, V and M are multiples of 4.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_step_push push; };
#include "common/mixer.glsl"
#include "common/exp.glsl"
#include "common/decay.glsl"

layout(constant_id = 0) const uint HEADS = 1u; // query heads of a kv head, R
layout(constant_id = 1) const uint ROWS = 2u;
layout(constant_id = 2) const uint M = 64u;
layout(constant_id = 3) const uint K = 512u;
layout(constant_id = 4) const uint LANES = 32u; // of a subgroup
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer State { vec4 state[]; };
layout(std430, set = 0, binding = 3) readonly buffer Scratch { vec4 scratch[]; };
layout(std430, set = 0, binding = 4) writeonly buffer O { vec4 o[]; };

const uint GROUP = GSA_MIXER_GROUP, SUBGROUPS = GROUP / LANES;
const uint QUADS = 4u; // of hv's columns
const uint HELD = (M * QUADS + GROUP - 1u) / GROUP, SLOT_QUADS = M / 4u;
const uint ACROSS = SLOT_QUADS <= 8u ? 8u : SLOT_QUADS <= 16u ? 16u : 32u, DEEP = GROUP / ACROSS;
const uint LINES = ROWS * HEADS; // of scores: a query head of a row each
const uint AHEAD = LINES <= 3u ? 8u : LINES <= 6u ? 4u : 2u; // tiles of partial scores on their way, of each line
const uint GATES = (ROWS * M + GROUP - 1u) / GROUP; // of an invocation
const uint KEY_QUADS = K / 4u, TURNS = (KEY_QUADS + GROUP - 1u) / GROUP; // of an invocation
const uint KEYS = 2u; // quads of hk that an invocation asks for ahead

shared float base[ROWS * M], small[ROWS * M], strength[ROWS * M];
shared float score[LINES * M];
shared vec4 parts[LINES * GROUP];                  // of scores, later of o
shared float dot_part[LINES * ROWS * SUBGROUPS]; // q.k of a line and a row

uint row(uint t) // of x
{
    return push.x_offset + t * push.x_stride;
}

vec4 decayed(uint at, uvec4 slot, vec4 h, vec4 write)
{
    vec4 to;
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        to[i] = decay_apply(vec2(base[at + slot[i]], small[at + slot[i]]), h[i], strength[at + slot[i]] * write[i]);
    return to;
}

void softmax()
{
    for (uint line = gl_SubgroupID; line < LINES; line += SUBGROUPS) {
        float largest = -3.4e38;
        precise float sum = 0.0;
        for (uint m = gl_SubgroupInvocationID; m < M; m += LANES)
            largest = max(largest, score[line * M + m]);
        largest = subgroupMax(largest);
        for (uint m = gl_SubgroupInvocationID; m < M; m += LANES) {
            const float e = exp_neg(score[line * M + m] - largest);
            score[line * M + m] = e;
            sum += e;
        }
        precise const float all = subgroupAdd(sum);
        for (uint m = gl_SubgroupInvocationID; m < M; m += LANES) score[line * M + m] /= all;
    }
}

void main()
{
    const uint lane = gl_SubgroupID * LANES + gl_SubgroupInvocationID;
    const uint g = gl_WorkGroupID.y, V = push.V, v_quads = V / 4u;
    const uint slot = work[push.chunks + 2u] * push.state_stride;

    // x and partial scores
    float log_a[GATES];
    [[unroll]] for (uint e = 0u; e < GATES; e++) {
        const uint i = min(lane + e * GROUP, ROWS * M - 1u);
        log_a[e] = x[row(i / M) + push.g + g * M + i % M];
    }
    const uint v = gl_WorkGroupID.x * QUADS + lane % QUADS;
    const uint k0 = gl_WorkGroupID.x * push.tiles, k1 = min(k0 + push.tiles, K); // rows of hk
    const uint n_keys = k0 < k1 ? (k1 - k0) * SLOT_QUADS : 0u;
    vec4 key[ROWS * TURNS], query[LINES * TURNS], value[ROWS];
    float written[ROWS * KEYS];
    [[unroll]] for (uint t = 0u; t < ROWS; t++) {
        value[t] = x4[(row(t) + push.v + g * V) / 4u + min(v, v_quads - 1u)];
        [[unroll]] for (uint e = 0u; e < TURNS; e++) {
            const uint k_quad = min(lane + e * GROUP, KEY_QUADS - 1u);
            key[t * TURNS + e] = x4[(row(t) + push.k + g * K) / 4u + k_quad];
            [[unroll]] for (uint r = 0u; r < HEADS; r++)
                query[(t * HEADS + r) * TURNS + e] = x4[(row(t) + push.q + (g * HEADS + r) * K) / 4u + k_quad];
        }
        [[unroll]] for (uint i = 0u; i < KEYS; i++)
            written[t * KEYS + i] = x[row(t) + push.k + g * K + min(k0 + (lane + i * GROUP) / SLOT_QUADS, K - 1u)];
    }
    const uint tile0 = lane / ACROSS, from = min(lane % ACROSS, SLOT_QUADS - 1u);
    vec4 ahead[LINES * AHEAD], sum[LINES];
#define LOAD_PARTIALS(FIRST)                                                                          \
    [[unroll]] for (uint i = 0u; i < AHEAD; i++)                                                      \
        [[unroll]] for (uint line = 0u; line < LINES; line++) {                                       \
            const uint head = (line / HEADS * push.G + g) * HEADS + line % HEADS;                     \
            const uint tile = min((FIRST) + i * DEEP, push.k_tiles - 1u);                             \
            ahead[i * LINES + line] = scratch[(head * push.k_tiles + tile) * SLOT_QUADS + from];      \
        }
    LOAD_PARTIALS(tile0)

    // The state
    vec4 held[HELD], keys[KEYS];
    const uint hv = (slot + push.hv + g * M * V) / 4u, hk = (slot + push.hk + g * K * M) / 4u;
    [[unroll]] for (uint i = 0u; i < HELD; i++)
        held[i] = state[hv + min((lane + i * GROUP) / QUADS, M - 1u) * v_quads + min(v, v_quads - 1u)];
    [[unroll]] for (uint i = 0u; i < KEYS; i++)
        keys[i] = state[hk + min(k0 * SLOT_QUADS + lane + i * GROUP, K * SLOT_QUADS - 1u)];

    [[unroll]] for (uint e = 0u; e < GATES; e++) {
        const uint i = lane + e * GROUP;
        if (i < ROWS * M) {
            const vec2 pair = decay_pair(log_a[e]);
            base[i] = pair.x;
            small[i] = pair.y;
            strength[i] = one_minus_exp(log_a[e]);
        }
    }
    [[unroll]] for (uint line = 0u; line < LINES; line++) {
        const uint t = line / HEADS;
        [[unroll]] for (uint j = 0u; j < ROWS; j++) {
            if (j > t) continue;
            precise float product = 0.0;
            [[unroll]] for (uint e = 0u; e < TURNS; e++)
                if (lane + e * GROUP < KEY_QUADS)
                    [[unroll]] for (uint i = 0u; i < 4u; i++)
                        product = fma(query[line * TURNS + e][i], key[j * TURNS + e][i], product);
            precise const float all = subgroupAdd(product);
            if (gl_SubgroupInvocationID == 0u) dot_part[(line * ROWS + j) * SUBGROUPS + gl_SubgroupID] = all;
        }
        sum[line] = vec4(0.0);
    }
    for (uint tile = tile0;;) {
        [[unroll]] for (uint i = 0u; i < AHEAD; i++)
            if (tile + i * DEEP < push.k_tiles)
                [[unroll]] for (uint line = 0u; line < LINES; line++) {
                    precise const vec4 more = sum[line] + ahead[i * LINES + line];
                    sum[line] = more;
                }
        tile += AHEAD * DEEP;
        if (tile >= push.k_tiles) break;
        LOAD_PARTIALS(tile)
    }
    [[unroll]] for (uint line = 0u; line < LINES; line++) parts[line * GROUP + lane] = sum[line];
    barrier();
    for (uint i = lane; i < LINES * M; i += GROUP) {
        const uint line = i / M, m = i % M;
        precise float read = 0.0;
        for (uint y = 0u; y < DEEP; y++) read += parts[line * GROUP + y * ACROSS + m / 4u][m % 4u];
        for (uint j = 0u; j <= line / HEADS; j++) {
            precise float product = 0.0;
            for (uint s = 0u; s < SUBGROUPS; s++) product += dot_part[(line * ROWS + j) * SUBGROUPS + s];
            read = decay_apply(
                vec2(base[j * M + m], small[j * M + m]), read, strength[j * M + m] * product);
        }
        score[i] = read;
    }
    barrier();
    softmax();
    barrier();

    precise vec4 mixed[LINES];
    [[unroll]] for (uint line = 0u; line < LINES; line++) mixed[line] = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint m = (lane + i * GROUP) / QUADS;
        if (m >= M || v >= v_quads) continue;
        vec4 h = held[i];
        [[unroll]] for (uint t = 0u; t < ROWS; t++) {
            h = decayed(t * M + m, uvec4(0u), h, value[t]);
            [[unroll]] for (uint r = 0u; r < HEADS; r++) {
                const uint line = t * HEADS + r;
                mixed[line] = fma(vec4(score[line * M + m]), h, mixed[line]);
            }
        }
        state[hv + m * v_quads + v] = h;
    }
    [[unroll]] for (uint line = 0u; line < LINES; line++) {
        [[unroll]] for (uint far = QUADS; far < LANES; far *= 2u) {
            precise const vec4 other = mixed[line] + subgroupShuffleXor(mixed[line], far);
            mixed[line] = other;
        }
        if (gl_SubgroupInvocationID < QUADS)
            parts[(line * SUBGROUPS + gl_SubgroupID) * QUADS + gl_SubgroupInvocationID] = mixed[line];
    }
    barrier();
    if (lane < LINES * QUADS && v < v_quads) {
        const uint line = lane / QUADS;
        precise vec4 all = vec4(0.0);
        for (uint s = 0u; s < SUBGROUPS; s++) all += parts[(line * SUBGROUPS + s) * QUADS + lane % QUADS];
        const uint to = push.o_offset + line / HEADS * push.o_stride + (g * HEADS + line % HEADS) * V;
        o[to / 4u + v] = vec4(silu_exact(all.x), silu_exact(all.y), silu_exact(all.z), silu_exact(all.w));
    }

    // The key memory: nobody waits for it.
    [[unroll]] for (uint i = 0u; i < KEYS; i++) {
        const uint at = lane + i * GROUP;
        if (at >= n_keys) continue;
        vec4 h = keys[i];
        [[unroll]] for (uint t = 0u; t < ROWS; t++)
            h = decayed(t * M + at % SLOT_QUADS * 4u, uvec4(0u, 1u, 2u, 3u), h, vec4(written[t * KEYS + i]));
        state[hk + k0 * SLOT_QUADS + at] = h;
    }
    for (uint at = lane + KEYS * GROUP; at < n_keys; at += GROUP) {
        vec4 h = state[hk + k0 * SLOT_QUADS + at];
        [[unroll]] for (uint t = 0u; t < ROWS; t++) {
            const vec4 write = vec4(x[row(t) + push.k + g * K + k0 + at / SLOT_QUADS]);
            h = decayed(t * M + at % SLOT_QUADS * 4u, uvec4(0u, 1u, 2u, 3u), h, write);
        }
        state[hk + k0 * SLOT_QUADS + at] = h;
    }
}
