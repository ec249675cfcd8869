// One GSA step, what is left after the product of q, k, v and log decay g: gsa_step_mix.comp tells the formulas. A task
// is a run of columns of a kv head's value memory and the rows of its key memory that go with it; GROUP invocations
// serve it, lane by lane. Subgroups are full, and a task's are the first MIX_SUBGROUPS of the workgroup, whose other
// invocations call as well. The including shader defines
//   MIX_K MIX_V MIX_M MIX_K_TILES MIX_LANES   sizes, multiples of 4 but for the tiles of the key memory; lanes of a subgroup
//   STEP_Q4(R, I) STEP_K4(I) STEP_V4(I)   fours of the task's heads
//   STEP_K(K) STEP_G(M)                   single ones
//   STEP_PARTIAL4(R, T, I)                what query head R read of tile T of the key memory, by fours of slots
//   STEP_STATE(I)                         vec4 I of the state, read and written
//   STEP_PART(I), STEP_FLOAT(I)           if it has room in shared memory for HEADS * GSA_MIXER_GROUP vectors and for
//                                         STEP_FLOATS floats: one of them
#include "exp.glsl"
#include "decay.glsl"

const uint GROUP = GSA_MIXER_GROUP;
const uint QUADS = 4u;           // of a column tile
const uint MAX_SLOTS = 32u * HELD;

const uint STEP_FLOATS = (3u + HEADS) * MAX_SLOTS + HEADS * GROUP / 4u;
#if !defined(STEP_PART) // of scores, later of o
shared vec4 parts[HEADS * GROUP];
shared float floats[STEP_FLOATS];
#define STEP_PART(I) parts[I]
#define STEP_FLOAT(I) floats[I]
#endif
#define BASE(S) STEP_FLOAT(S)
#define SMALL(S) STEP_FLOAT(MAX_SLOTS + (S))
#define STRENGTH(S) STEP_FLOAT(2u * MAX_SLOTS + (S))
#define SCORE(R, S) STEP_FLOAT(3u * MAX_SLOTS + (R) * MIX_M + (S))
#define DOT_PART(I) STEP_FLOAT((3u + HEADS) * MAX_SLOTS + (I)) // no subgroup is smaller than 4

// The task's columns of the value memory, which begins at vec hv and has v0 quads before the task.
void step_load(uint lane, uint hv, uint v0, out vec4 held[HELD])
{
    const uint v_quads = MIX_V / 4u;
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint at = lane + i * GROUP, m = at / QUADS, v = v0 + at % QUADS;
        held[i] = vec4(0.0);
        if (lane < GROUP && m < MIX_M && v < v_quads) held[i] = STEP_STATE(hv + m * v_quads + v);
    }
}

// Gates, scores and their softmax. Everything that comes from memory is asked for before the first of it is used.
void step_scores(uint lane)
{
    const uint M = MIX_M, slot_quads = M / 4u, key_quads = MIX_K / 4u;
    const uint across = slot_quads <= 8u ? 8u : slot_quads <= 16u ? 16u : 32u, deep = GROUP / across;
    const uint AHEAD = HEADS <= 2u ? 8u : HEADS <= 4u ? 4u : 2u;
    if (lane < GROUP) {
        const float log_a = lane < M ? STEP_G(lane) : 0.0;
        const vec4 key = lane < key_quads ? STEP_K4(lane) : vec4(0.0);
        vec4 query[HEADS], sum[HEADS];
        [[unroll]] for (uint r = 0u; r < HEADS; r++) {
            query[r] = lane < key_quads ? STEP_Q4(r, lane) : vec4(0.0);
            sum[r] = vec4(0.0);
        }
        const uint quad = lane % across;
        for (uint t = lane / across; t < MIX_K_TILES; t += AHEAD * deep) {
            vec4 ahead[HEADS * AHEAD];
            [[unroll]] for (uint i = 0u; i < AHEAD; i++)
                [[unroll]] for (uint r = 0u; r < HEADS; r++) {
                    ahead[i * HEADS + r] = vec4(0.0);
                    if (t + i * deep < MIX_K_TILES && quad < slot_quads)
                        ahead[i * HEADS + r] = STEP_PARTIAL4(r, t + i * deep, quad);
                }
            [[unroll]] for (uint i = 0u; i < AHEAD; i++)
                [[unroll]] for (uint r = 0u; r < HEADS; r++) {
                    precise const vec4 more = sum[r] + ahead[i * HEADS + r];
                    sum[r] = more;
                }
        }
        if (lane < M) {
            const vec2 pair = decay_pair(log_a);
            BASE(lane) = pair.x;
            SMALL(lane) = pair.y;
            STRENGTH(lane) = one_minus_exp(log_a);
        }
        [[unroll]] for (uint r = 0u; r < HEADS; r++) {
            precise float product = 0.0;
            [[unroll]] for (uint i = 0u; i < 4u; i++) product = fma(query[r][i], key[i], product);
            for (uint k = lane + GROUP; k < key_quads; k += GROUP) {
                const vec4 q = STEP_Q4(r, k), other = STEP_K4(k);
                [[unroll]] for (uint i = 0u; i < 4u; i++) product = fma(q[i], other[i], product);
            }
            precise const float all = subgroupAdd(product);
            if (gl_SubgroupInvocationID == 0u) DOT_PART(r * MIX_SUBGROUPS + gl_SubgroupID) = all;
            STEP_PART(r * GROUP + lane) = sum[r];
        }
    }
    barrier();
    for (uint i = lane; i < HEADS * M && lane < GROUP; i += GROUP) {
        const uint r = i / M, m = i % M;
        precise float sum = 0.0, product = 0.0;
        for (uint y = 0u; y < deep; y++) sum += STEP_PART(r * GROUP + y * across + m / 4u)[m % 4u];
        for (uint j = 0u; j < MIX_SUBGROUPS; j++) product += DOT_PART(r * MIX_SUBGROUPS + j);
        SCORE(0u, i) = decay_apply(vec2(BASE(m), SMALL(m)), sum, STRENGTH(m) * product);
    }
    barrier();
    for (uint r = gl_SubgroupID; r < HEADS && lane < GROUP; r += MIX_SUBGROUPS) {
        float largest = -3.4e38;
        precise float sum = 0.0;
        for (uint m = gl_SubgroupInvocationID; m < M; m += MIX_LANES) largest = max(largest, SCORE(r, m));
        largest = subgroupMax(largest);
        for (uint m = gl_SubgroupInvocationID; m < M; m += MIX_LANES) {
            const float e = exp_neg(SCORE(r, m) - largest);
            SCORE(r, m) = e;
            sum += e;
        }
        precise const float all = subgroupAdd(sum);
        for (uint m = gl_SubgroupInvocationID; m < M; m += MIX_LANES) SCORE(r, m) /= all;
    }
    barrier();
}

// The invocation's quad of the row's values.
vec4 step_value(uint lane, uint v0)
{
    const uint v = v0 + lane % QUADS;
    return lane < GROUP && v < MIX_V / 4u ? STEP_V4(v) : vec4(0.0);
}

// The value memory, written and read: an invocation meets one quad of columns and every 32nd slot.
void step_values(uint lane, uint hv, uint v0, vec4 value, vec4 held[HELD])
{
    const uint M = MIX_M, v_quads = MIX_V / 4u, v = v0 + lane % QUADS;
    if (lane >= GROUP) return;
    precise vec4 mix_[HEADS];
    [[unroll]] for (uint r = 0u; r < HEADS; r++) mix_[r] = vec4(0.0);
    const bool inside = v < v_quads;
    [[unroll]] for (uint i = 0u; i < HELD; i++) {
        const uint m = (lane + i * GROUP) / QUADS;
        if (m >= M || !inside) continue;
        vec4 h;
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            h[j] = decay_apply(vec2(BASE(m), SMALL(m)), held[i][j], STRENGTH(m) * value[j]);
        STEP_STATE(hv + m * v_quads + v) = h;
        [[unroll]] for (uint r = 0u; r < HEADS; r++) mix_[r] = fma(vec4(SCORE(r, m)), h, mix_[r]);
    }
    [[unroll]] for (uint r = 0u; r < HEADS; r++) {
        for (uint far = QUADS; far < MIX_LANES; far *= 2u) {
            precise const vec4 other = mix_[r] + subgroupShuffleXor(mix_[r], far);
            mix_[r] = other;
        }
        if (gl_SubgroupInvocationID < QUADS)
            STEP_PART((r * MIX_SUBGROUPS + gl_SubgroupID) * QUADS + gl_SubgroupInvocationID) = mix_[r];
    }
}

// After a barrier: silu(o) of lane < HEADS * QUADS, which stands for query head lane / QUADS and quad lane % QUADS.
vec4 step_output(uint lane)
{
    precise vec4 all = vec4(0.0);
    for (uint j = 0u; j < MIX_SUBGROUPS; j++)
        all += STEP_PART((lane / QUADS * MIX_SUBGROUPS + j) * QUADS + lane % QUADS);
    vec4 result;
    [[unroll]] for (uint i = 0u; i < 4u; i++) result[i] = silu_exact(all[i]);
    return result;
}

// Vec at of the task's rows of the key memory, of which k0 is the first: old, with this step's write.
vec4 step_key(uint at, uint k0, vec4 old)
{
    const uint m = at * 4u % MIX_M;
    const float key = STEP_K(k0 + at * 4u / MIX_M);
    vec4 result;
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        result[i] = decay_apply(vec2(BASE(m + i), SMALL(m + i)), old[i], STRENGTH(m + i) * key);
    return result;
}
