// GSA for chunks of one row, what is left after staged_matvec.comp with STEP: x holds q, k, v in their final form and
// the log decay, partial what the query read of the key memory before this row's write.
//   score[m] = exp(g[m]) sum_tiles partial[tile][m] + s[m] q.k;   p = softmax(score)
//   hk[k, m] <- exp(g[m]) hk[k, m] + s[m] k[k];   hv[m, v] <- exp(g[m]) hv[m, v] + s[m] v[v]
//   o[v] = silu(sum_m p[m] hv[m, v])
//
//   x       [rows, width] f32
//   work    chunks: chunk i is row i, or nothing, and then the session is left alone
//   state   [slot] -> hk [G][K][M], hv [G][M][V] f32  updated in place
//   scratch partial [rows][H][k_tiles][M]
//   o       [rows, H V] f32
//
// Workgroup x of kv head y and chunk z owns 16 columns of hv and push.tiles rows of hk. It makes the softmax of its query
// heads for itself: cheaper than one more dependency. Subgroups are full; M is a multiple of 4, at most 32 HELD.
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
layout(constant_id = 1) const uint HELD = 2u;
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer State { vec4 state[]; };
layout(std430, set = 0, binding = 3) readonly buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 4) writeonly buffer O { vec4 o[]; };

const uint GROUP = GSA_MIXER_GROUP;
const uint QUADS = 4u;           // of a column tile
const uint MAX_SLOTS = 32u * HELD;
const uint KEYS = 2u;            // quads of hk that an invocation loads ahead

shared float base[MAX_SLOTS], small[MAX_SLOTS], strength[MAX_SLOTS];
shared float score[HEADS * MAX_SLOTS];
shared float score_part[HEADS * GROUP];
shared float dot_part[HEADS * GROUP / 4u]; // no subgroup is smaller than 4
shared vec4 o_part[HEADS * GROUP];

vec4 decayed(uint m, vec4 h, vec4 write)
{
    vec4 result;
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        result[i] = decay_apply(vec2(base[m + i], small[m + i]), h[i], strength[m + i] * write[i]);
    return result;
}

void main()
{
    const uint lane = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
    const uint g = gl_WorkGroupID.y, chunk = chunk_entry(gl_WorkGroupID.z);
    const uint M = push.M, K = push.K, V = push.V, row = push.x_offset + gl_WorkGroupID.z * push.x_stride;
    if (work[chunk + 1u] == 0u) return;
    const uint slot = work[chunk + 2u] * push.state_stride;
    const uint v0 = gl_WorkGroupID.x * QUADS, v_quads = V / 4u;             // quads of hv
    const uint hv = (slot + push.hv + g * M * V) / 4u;
    const uint k0 = gl_WorkGroupID.x * push.tiles, k1 = min(k0 + push.tiles, K); // rows of hk
    const uint n_keys = k0 < k1 ? (k1 - k0) * M / 4u : 0u;
    const uint hk = (slot + push.hk + (g * K + k0) * M) / 4u;

    vec4 held[HELD], keys[KEYS];
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint at = lane + i * GROUP, m = at / QUADS, v = v0 + at % QUADS;
        if (m < M && v < v_quads) held[i] = state[hv + m * v_quads + v];
    }
    [[unroll]] for (uint i = 0u; i < KEYS; i++)
        if (lane + i * GROUP < n_keys) keys[i] = state[hk + lane + i * GROUP];

    // Gates, and each lane's part of the scores.
    for (uint m = lane; m < M; m += GROUP) {
        const float log_a = x[row + push.g + g * M + m];
        const vec2 pair = decay_pair(log_a);
        base[m] = pair.x;
        small[m] = pair.y;
        strength[m] = one_minus_exp(log_a);
    }
    const uint across = M <= 32u ? 32u : M <= 64u ? 64u : 128u, deep = GROUP / across;
    [[unroll]] for (uint r = 0u; r < HEADS; r++) {
        const uint head = g * HEADS + r;
        const uint from = push.partial + (gl_WorkGroupID.z * push.G * HEADS + head) * push.k_tiles * M;
        const uint m = lane % across;
        precise float sum = 0.0, product = 0.0;
        if (m < M) {
            uint t = lane / across;
            for (; t + 7u * deep < push.k_tiles; t += 8u * deep) {
                float ahead[8];
                [[unroll]] for (uint i = 0u; i < 8u; i++) ahead[i] = scratch[from + (t + i * deep) * M + m];
                [[unroll]] for (uint i = 0u; i < 8u; i++) sum += ahead[i];
            }
            for (; t < push.k_tiles; t += deep) sum += scratch[from + t * M + m];
        }
        score_part[r * GROUP + lane] = sum;
        for (uint k = lane; k < K; k += GROUP)
            product = fma(x[row + push.q + head * K + k], x[row + push.k + g * K + k], product);
        precise const float all = subgroupAdd(product);
        if (gl_SubgroupInvocationID == 0u) dot_part[r * gl_NumSubgroups + gl_SubgroupID] = all;
    }
    barrier();
    for (uint i = lane; i < HEADS * M; i += GROUP) {
        const uint r = i / M, m = i % M;
        precise float sum = 0.0, product = 0.0;
        for (uint y = 0u; y < deep; y++) sum += score_part[r * GROUP + y * across + m];
        for (uint j = 0u; j < gl_NumSubgroups; j++) product += dot_part[r * gl_NumSubgroups + j];
        score[i] = decay_apply(vec2(base[m], small[m]), sum, strength[m] * product);
    }
    barrier();
    for (uint r = gl_SubgroupID; r < HEADS; r += gl_NumSubgroups) {
        float largest = -3.4e38;
        precise float sum = 0.0;
        for (uint m = gl_SubgroupInvocationID; m < M; m += gl_SubgroupSize) largest = max(largest, score[r * M + m]);
        largest = subgroupMax(largest);
        for (uint m = gl_SubgroupInvocationID; m < M; m += gl_SubgroupSize) {
            const float e = exp_neg(score[r * M + m] - largest);
            score[r * M + m] = e;
            sum += e;
        }
        precise const float all = subgroupAdd(sum);
        for (uint m = gl_SubgroupInvocationID; m < M; m += gl_SubgroupSize) score[r * M + m] /= all;
    }
    barrier();

    // The value memory: an invocation meets one quad of columns and every 32nd slot.
    precise vec4 mix_[HEADS];
    [[unroll]] for (uint r = 0u; r < HEADS; r++) mix_[r] = vec4(0.0);
    const uint v = v0 + lane % QUADS, from_v = row + push.v + g * V + 4u * v;
    const bool inside = v < v_quads;
    const vec4 value = inside ? vec4(x[from_v], x[from_v + 1u], x[from_v + 2u], x[from_v + 3u]) : vec4(0.0);
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint m = (lane + i * GROUP) / QUADS;
        if (m >= M || !inside) continue;
        vec4 h;
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            h[j] = decay_apply(vec2(base[m], small[m]), held[i][j], strength[m] * value[j]);
        state[hv + m * v_quads + v] = h;
        [[unroll]] for (uint r = 0u; r < HEADS; r++) mix_[r] = fma(vec4(score[r * M + m]), h, mix_[r]);
    }
    [[unroll]] for (uint r = 0u; r < HEADS; r++) {
        for (uint far = QUADS; far < gl_SubgroupSize; far *= 2u) {
            precise const vec4 other = mix_[r] + subgroupShuffleXor(mix_[r], far);
            mix_[r] = other;
        }
        if (gl_SubgroupInvocationID < QUADS)
            o_part[(r * gl_NumSubgroups + gl_SubgroupID) * QUADS + gl_SubgroupInvocationID] = mix_[r];
    }

    // The key memory: nobody waits for it.
    [[unroll]] for (uint i = 0u; i < KEYS; i++) {
        const uint at = lane + i * GROUP;
        if (at < n_keys)
            state[hk + at] = decayed(at * 4u % M, keys[i], vec4(x[row + push.k + g * K + k0 + at * 4u / M]));
    }
    for (uint at = lane + KEYS * GROUP; at < n_keys; at += GROUP)
        state[hk + at] = decayed(at * 4u % M, state[hk + at], vec4(x[row + push.k + g * K + k0 + at * 4u / M]));

    barrier();
    if (lane < HEADS * QUADS && v0 + lane % QUADS < v_quads) {
        const uint r = lane / QUADS;
        precise vec4 all = vec4(0.0);
        for (uint j = 0u; j < gl_NumSubgroups; j++) all += o_part[(r * gl_NumSubgroups + j) * QUADS + lane % QUADS];
        vec4 result;
        [[unroll]] for (uint i = 0u; i < 4u; i++) result[i] = silu_exact(all[i]);
        o[(push.o_offset + gl_WorkGroupID.z * push.o_stride + (g * HEADS + r) * V) / 4u + v0 + lane % QUADS] = result;
    }
}
