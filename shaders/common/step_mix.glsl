// One GSA step, what is left after the product of q, k, v and log decay g: gsa_step_mix.comp tells the formulas. A task
// is a run of columns of a kv head's value memory and the rows of its key memory that go with it; GROUP invocations
// serve it, lane by lane. Subgroups are full, and a task's are the first MIX_SUBGROUPS of the workgroup, whose other
// invocations call as well. The including shader declares push with K, V, M, k_tiles and tiles, and defines
//   STEP_Q(R, K) STEP_K(K) STEP_G(M) STEP_V(V)   of the task's heads
//   STEP_PARTIAL(R, T, M)                        what query head R read of tile T of the key memory
//   STEP_STATE(I)                                vec4 I of the state, read and written
#include "exp.glsl"
#include "decay.glsl"

const uint GROUP = GSA_MIXER_GROUP;
const uint QUADS = 4u;           // of a column tile
const uint MAX_SLOTS = 32u * HELD;

shared float base[MAX_SLOTS], small[MAX_SLOTS], strength[MAX_SLOTS];
shared float score[HEADS * MAX_SLOTS];
shared float score_part[HEADS * GROUP];
shared float dot_part[HEADS * GROUP / 4u]; // no subgroup is smaller than 4
shared vec4 o_part[HEADS * GROUP];

// The task's columns of the value memory, which begins at vec hv and has v0 quads before the task.
void step_load(uint lane, uint hv, uint v0, out vec4 held[HELD])
{
    const uint v_quads = push.V / 4u;
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint at = lane + i * GROUP, m = at / QUADS, v = v0 + at % QUADS;
        held[i] = vec4(0.0);
        if (lane < GROUP && m < push.M && v < v_quads) held[i] = STEP_STATE(hv + m * v_quads + v);
    }
}

// Gates, scores and their softmax.
void step_scores(uint lane)
{
    const uint M = push.M, K = push.K;
    for (uint m = lane; m < M; m += GROUP) {
        const float log_a = STEP_G(m);
        const vec2 pair = decay_pair(log_a);
        base[m] = pair.x;
        small[m] = pair.y;
        strength[m] = one_minus_exp(log_a);
    }
    const uint across = M <= 32u ? 32u : M <= 64u ? 64u : 128u, deep = GROUP / across;
    if (lane < GROUP) {
        [[unroll]] for (uint r = 0u; r < HEADS; r++) {
            const uint m = lane % across;
            precise float sum = 0.0, product = 0.0;
            if (m < M) {
                uint t = lane / across;
                for (; t + 7u * deep < push.k_tiles; t += 8u * deep) {
                    float ahead[8];
                    [[unroll]] for (uint i = 0u; i < 8u; i++) ahead[i] = STEP_PARTIAL(r, t + i * deep, m);
                    [[unroll]] for (uint i = 0u; i < 8u; i++) sum += ahead[i];
                }
                for (; t < push.k_tiles; t += deep) sum += STEP_PARTIAL(r, t, m);
            }
            score_part[r * GROUP + lane] = sum;
            for (uint k = lane; k < K; k += GROUP) product = fma(STEP_Q(r, k), STEP_K(k), product);
            precise const float all = subgroupAdd(product);
            if (gl_SubgroupInvocationID == 0u) dot_part[r * MIX_SUBGROUPS + gl_SubgroupID] = all;
        }
    }
    barrier();
    for (uint i = lane; i < HEADS * M && lane < GROUP; i += GROUP) {
        const uint r = i / M, m = i % M;
        precise float sum = 0.0, product = 0.0;
        for (uint y = 0u; y < deep; y++) sum += score_part[r * GROUP + y * across + m];
        for (uint j = 0u; j < MIX_SUBGROUPS; j++) product += dot_part[r * MIX_SUBGROUPS + j];
        score[i] = decay_apply(vec2(base[m], small[m]), sum, strength[m] * product);
    }
    barrier();
    for (uint r = gl_SubgroupID; r < HEADS && lane < GROUP; r += MIX_SUBGROUPS) {
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
}

// The value memory, written and read: an invocation meets one quad of columns and every 32nd slot.
void step_values(uint lane, uint hv, uint v0, vec4 held[HELD])
{
    const uint M = push.M, v_quads = push.V / 4u, v = v0 + lane % QUADS;
    if (lane >= GROUP) return;
    precise vec4 mix_[HEADS];
    [[unroll]] for (uint r = 0u; r < HEADS; r++) mix_[r] = vec4(0.0);
    const bool inside = v < v_quads;
    const vec4 value =
        inside ? vec4(STEP_V(4u * v), STEP_V(4u * v + 1u), STEP_V(4u * v + 2u), STEP_V(4u * v + 3u)) : vec4(0.0);
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint m = (lane + i * GROUP) / QUADS;
        if (m >= M || !inside) continue;
        vec4 h;
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            h[j] = decay_apply(vec2(base[m], small[m]), held[i][j], strength[m] * value[j]);
        STEP_STATE(hv + m * v_quads + v) = h;
        [[unroll]] for (uint r = 0u; r < HEADS; r++) mix_[r] = fma(vec4(score[r * M + m]), h, mix_[r]);
    }
    [[unroll]] for (uint r = 0u; r < HEADS; r++) {
        for (uint far = QUADS; far < gl_SubgroupSize; far *= 2u) {
            precise const vec4 other = mix_[r] + subgroupShuffleXor(mix_[r], far);
            mix_[r] = other;
        }
        if (gl_SubgroupInvocationID < QUADS)
            o_part[(r * MIX_SUBGROUPS + gl_SubgroupID) * QUADS + gl_SubgroupInvocationID] = mix_[r];
    }
}

// After a barrier: silu(o) of lane < HEADS * QUADS, which stands for query head lane / QUADS and quad lane % QUADS.
vec4 step_output(uint lane)
{
    precise vec4 all = vec4(0.0);
    for (uint j = 0u; j < MIX_SUBGROUPS; j++)
        all += o_part[(lane / QUADS * MIX_SUBGROUPS + j) * QUADS + lane % QUADS];
    vec4 result;
    [[unroll]] for (uint i = 0u; i < 4u; i++) result[i] = silu_exact(all[i]);
    return result;
}

// Vec at of the task's rows of the key memory, of which k0 is the first: old, with this step's write.
vec4 step_key(uint at, uint k0, vec4 old)
{
    const uint m = at * 4u % push.M;
    const float key = STEP_K(k0 + at * 4u / push.M);
    vec4 result;
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        result[i] = decay_apply(vec2(base[m + i], small[m + i]), old[i], strength[m + i] * key);
    return result;
}
