// GSA for chunks of many rows on matrix units, last of three: what each row reads. See gsa_chunk_read.comp for the sums;
// here products with the state and between blocks are of f16, those inside a block and the softmax are f32.
//
//   work    chunks
//   half    [rows][half_stride] f16
//   tables  all but wend and decay
//   score   what the chunk's own rows contribute
//   start   [n_chunks][G][K + V][M] f16
//   o       [rows, H V] f32; silu(o) with GSA_CM_MAPPED
//
// A workgroup owns two blocks of a chunk for one query head: y = query head, z = chunk, x = half of the chunk + 2 (part of
// V): with few chunks several workgroups find the same weights of slots, and each reads its columns of V. The slots of
// all its rows fit shared memory. Invocations are numbered by subgroup, eight neighbours at least in one.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#include "common/push.h"
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_cm_push push; };
#include "common/gsa_cm.glsl"
#include "common/exp.glsl"
#include "common/act.glsl"

layout(std430, set = 0, binding = 0) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 1) readonly buffer Half { uvec4 half_vec[]; };
layout(std430, set = 0, binding = 2) readonly buffer Tables { vec4 table4[]; };
layout(std430, set = 0, binding = 2) readonly buffer TableVecs { uvec4 table_vec[]; };
layout(std430, set = 0, binding = 3) readonly buffer Score { vec4 score4[]; };
layout(std430, set = 0, binding = 4) readonly buffer Start { uvec4 start_vec[]; };
layout(std430, set = 0, binding = 5) writeonly buffer O { uvec4 o[]; };

const uint GROUP = GSA_MIXER_GROUP, ROWS = GSA_CM_TILE;
const uint SCORE_PITCH = SLOTS / 4u + 1u;

// Shared memory in 16-byte vectors, by phases; less than half of what a workgroup may have, see gsa_cm_chunks.comp. Rows of
// f16 are CHUNK_PITCH or SLOT_PITCH apart. First 64 columns of q and rows of hk at a time, then
const uint AT_HEAD = 0u;                                // [ROWS][SLOTS] f16: p pre lead, what reads the state
const uint AT_VALUES = AT_HEAD + ROWS * SLOT_PITCH;     // [ROWS][64] f16: B, what reads the chunk's values
const uint AT_SCORES = AT_VALUES + ROWS * CHUNK_PITCH;  // [ROWS][SLOTS] f32: scores, then p
const uint AT_PRE = AT_SCORES + ROWS * SCORE_PITCH;     // [ROWS][SLOTS] f16: p pre, what reads earlier blocks
const uint AT_HV = 0u, AT_V = AT_HV + GSA_CHUNK * SLOT_PITCH; // last, weights being in registers: columns of hv and of values
const uint AT_OUT = AT_V + GSA_CHUNK * CHUNK_PITCH;     // [SUBS][FRAG_M][FRAG_N] f32
shared uvec4 pool[1408];

// Fragments of ROWS x 64: a subgroup owns OUT_ROWS x OUT_COLUMNS, few rows, since it holds their weights in registers.
const uint WIDE_FRAGS = GSA_CHUNK / FRAG_N;
const uint OUT_ROW_SUBS = TILE_FRAGS < SUBS ? TILE_FRAGS : SUBS, OUT_COLUMN_SUBS = SUBS / OUT_ROW_SUBS;
const uint OUT_ROWS = TILE_FRAGS / OUT_ROW_SUBS, OUT_COLUMNS = (WIDE_FRAGS + OUT_COLUMN_SUBS - 1u) / OUT_COLUMN_SUBS;
const uint STATE_STEPS = SLOTS / FRAG_K, STEPS = STATE_STEPS + GSA_CHUNK / FRAG_K;
const uint CROSS = (TILE_FRAGS * WIDE_FRAGS + SUBS - 1u) / SUBS; // fragments of B of a subgroup

const uint N_Q = ROWS * CHUNK_VECS / GROUP, N_K = GSA_CHUNK * CHUNK_VECS / GROUP, N_H = (GSA_CHUNK * SLOT_VECS + GROUP - 1u) / GROUP;
const uint QUADS = SLOTS / GSA_BLOCK; // of slots of a row, for one of the four invocations that share it
const uint OWN_QUADS = (SLOTS / 4u + 7u) / 8u; // for one of the eight that share a pair of writes

// Eight f16 of the chunk's row t. Rows past its end count nowhere, but what lies there may not be finite: the last row
// stands for them.
uvec4 half_of(uint chunk, uvec2 rows, uint t, uint column, uint vec)
{
    return half_vec[(half_row(chunk, rows.x) + min(t, rows.y - 1u) * push.half_stride + column) / 8u + vec];
}

// Of [K | V], eight slots of the rows of a head from row on
uint start_at(uint chunk, uint g, uint row)
{
    return (chunk * push.G + g) * (push.K + push.V) * SLOT_VECS + row * SLOT_VECS;
}

#define FETCH_START(ROW)                                                                                   \
    [[unroll]] for (uint e = 0u; e < N_H; e++)                                                            \
        h_next[e] = start_vec[start_at(chunk, g, ROW) + min(lane + e * GROUP, GSA_CHUNK * SLOT_VECS - 1u)];
#define PUT_START(BASE)                                                                                   \
    [[unroll]] for (uint e = 0u; e < N_H; e++) {                                                          \
        const uint i = lane + e * GROUP;                                                                  \
        if (i < GSA_CHUNK * SLOT_VECS) pool[(BASE) + i / SLOT_VECS * SLOT_PITCH + i % SLOT_VECS] = h_next[e]; \
    }
#define FETCH_KEYS(K0)                                                                                    \
    {                                                                                                     \
        [[unroll]] for (uint e = 0u; e < N_Q; e++) {                                                      \
            const uint i = lane + e * GROUP;                                                              \
            q_next[e] = half_of(chunk, rows, block0 * GSA_BLOCK + i / CHUNK_VECS, h * push.K + (K0), i % CHUNK_VECS); \
        }                                                                                                 \
        FETCH_START(K0)                                                                                   \
    }
#define PUT_KEYS                                                                                          \
    {                                                                                                     \
        [[unroll]] for (uint e = 0u; e < N_Q; e++) {                                                      \
            const uint i = lane + e * GROUP;                                                              \
            pool[i / CHUNK_VECS * CHUNK_PITCH + i % CHUNK_VECS] = q_next[e];                              \
        }                                                                                                 \
        PUT_START(ROWS * CHUNK_PITCH)                                                                     \
    }
#define FETCH_VALUES(V0)                                                                                  \
    {                                                                                                     \
        [[unroll]] for (uint e = 0u; e < N_K; e++) {                                                      \
            const uint i = lane + e * GROUP;                                                              \
            const uint t = min(i / CHUNK_VECS, last_row);                                                 \
            v_next[e] = half_of(chunk, rows, t, (push.R + 1u) * push.G * push.K + g * push.V + (V0), i % CHUNK_VECS); \
        }                                                                                                 \
        FETCH_START(push.K + (V0))                                                                        \
    }
#define PUT_VALUES                                                                                        \
    {                                                                                                     \
        [[unroll]] for (uint e = 0u; e < N_K; e++) {                                                      \
            const uint i = lane + e * GROUP;                                                              \
            pool[AT_V + i / CHUNK_VECS * CHUNK_PITCH + i % CHUNK_VECS] = v_next[e];                       \
        }                                                                                                 \
        PUT_START(AT_HV)                                                                                  \
    }

void set_half(uint at, uint quad, vec4 a) // four f16 of a row
{
    a = clamp(a, vec4(-HALF_MAX), vec4(HALF_MAX));
    const uvec2 both = uvec2(packHalf2x16(a.xy), packHalf2x16(a.zw));
    if (quad % 2u == 0u)
        pool[at + quad / 2u].xy = both;
    else
        pool[at + quad / 2u].zw = both;
}

// The writes of rows 2 PAIR and 2 PAIR + 1 of a block, followed through the block for four slots: own<T> takes what row T
// reads of either. OWN_FETCH asks for these slots' strengths, and what each row keeps of them.
#define BLOCK_ROWS(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define OWN_FETCH(I)                                                                                      \
    {                                                                                                     \
        const uint column = min(lane % 8u + 8u * (I), SLOTS / 4u - 1u);                                   \
        next0 = table4[at_wrote + column];                                                                \
        next1 = table4[at_wrote + gm() / 4u + column];                                                    \
        [[unroll]] for (uint t = 0u; t < GSA_BLOCK; t++) keeps[t] = table4[at_keeps + t * (gm() / 4u) + column]; \
    }
#define OWN_DECLARE(T) vec2 own##T = vec2(0.0);
#define OWN_FOLLOW(T)                                                                                     \
    {                                                                                                     \
        const vec4 p = uintBitsToFloat(pool[AT_SCORES + (block * GSA_BLOCK + uint(T)) * SCORE_PITCH + quad]); \
        run0 = uint(T) == 2u * pair ? wrote0 : run0 * keeps[T];                                           \
        run1 = uint(T) == 2u * pair + 1u ? wrote1 : run1 * keeps[T];                                      \
        own##T += vec2(dot(p, run0), dot(p, run1));                                                       \
    }
// Sums over eight neighbours, of which each keeps two rows: the first step halves 16 values, the next ones 8 and 4.
#define OWN_HALVE(TO, FROM, OTHER, BIT, MASK)                                                             \
    TO = ((BIT) ? OTHER : FROM) + subgroupShuffleXor((BIT) ? FROM : OTHER, MASK);

void main()
{
    const uint lane = gl_SubgroupID * (GROUP / SUBS) + gl_SubgroupInvocationID;
    const uint chunk = gl_WorkGroupID.z, h = gl_WorkGroupID.y, g = h / push.R;
    const uint block0 = gl_WorkGroupID.x % 2u * 2u; // the workgroup's first, in the chunk
    const uvec2 rows = uvec2(work[chunk_entry(chunk)], work[chunk_entry(chunk) + 1u]); // first in the pass, how many
    if (block0 * GSA_BLOCK >= rows.y) return;

    // What the state before the chunk answers
    FRAG_C sum[EACH];
    uvec4 q_next[N_Q], h_next[N_H];
    [[unroll]] for (uint e = 0u; e < EACH; e++) sum[e] = FRAG_C(0.0);
    FETCH_KEYS(0u)
    for (uint k0 = 0u; k0 < push.K; k0 += GSA_CHUNK) {
        PUT_KEYS
        barrier();
        FETCH_KEYS(min(k0 + GSA_CHUNK, push.K - GSA_CHUNK)) // under no condition: it would be waited for where that ends
        [[unroll]] for (uint k = 0u; k < GSA_CHUNK; k += FRAG_K) {
            FRAG_A a[EACH_ROWS];
            [[unroll]] for (uint i = 0u; i < EACH_ROWS; i++)
                coopMatLoad(a[i], pool, frag_row(i) * CHUNK_PITCH + k / 8u, CHUNK_PITCH, ROW_MAJOR);
            [[unroll]] for (uint j = 0u; j < EACH_COLUMNS; j++) {
                FRAG_B b;
                coopMatLoad(b, pool, ROWS * CHUNK_PITCH + k * SLOT_PITCH + frag_column(j * EACH_ROWS) / 8u, SLOT_PITCH, ROW_MAJOR);
                [[unroll]] for (uint i = 0u; i < EACH_ROWS; i++)
                    sum[j * EACH_ROWS + i] = coopMatMulAdd(a[i], b, sum[j * EACH_ROWS + i]);
            }
        }
        barrier();
    }

    // Four invocations share a row: quads part + 4 i of its slots are one's. All they need of memory, at once.
    const uint row = lane / 4u, part = lane % 4u;
    const uint at_gate = (gate_row(chunk) + (block0 * GSA_BLOCK + row) * gm() + g * SLOTS) / 4u + part;
    const uint at_lead = (push.lead + (chunk * 4u + block0 + row / GSA_BLOCK) * gm() + g * SLOTS) / 4u + part;
    const uint at_score = ((chunk * GSA_CHUNK + block0 * GSA_BLOCK + row) * push.R * push.G + h) * (SLOTS / 4u) + part;
    vec4 s[QUADS], pre[QUADS], lead[QUADS];
    [[unroll]] for (uint i = 0u; i < QUADS; i++) {
        s[i] = score4[at_score + 4u * i];
        pre[i] = table4[at_gate + 4u * i];
        lead[i] = table4[at_lead + 4u * i];
    }
    // and the first writes of the own block
    const uint block = lane / 64u, pair = lane / 8u % 8u;
    const uint at_block = (gate_row(chunk) + (block0 + block) * GSA_BLOCK * gm() + g * SLOTS) / 4u;
    const uint at_keeps = at_keep() / 4u + at_block, at_wrote = at_write() / 4u + at_block + 2u * pair * (gm() / 4u);
    vec4 next0, next1, keeps[GSA_BLOCK];
    if (AHEAD) OWN_FETCH(0u)
    [[unroll]] for (uint e = 0u; e < EACH; e++)
        if (owns(e)) coopMatStore(sum[e], pool, AT_SCORES + frag_row(e) * SCORE_PITCH + frag_column(e) / 4u, SCORE_PITCH, ROW_MAJOR);
    barrier();

    // Scores and their softmax, and what they read with
    vec4 most = vec4(-3.4e38), all = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < QUADS; i++) {
        const vec4 state = uintBitsToFloat(pool[AT_SCORES + row * SCORE_PITCH + part + 4u * i]);
        lead[i] *= pre[i];
        s[i] = fma(lead[i], push.scale * state, s[i]);
        most = max(most, s[i]);
    }
    float largest = max(max(most.x, most.y), max(most.z, most.w));
    largest = max(largest, subgroupShuffleXor(largest, 1u));
    largest = max(largest, subgroupShuffleXor(largest, 2u));
    [[unroll]] for (uint i = 0u; i < QUADS; i++) {
        s[i] -= largest;
        s[i] = vec4(exp_neg(s[i].x), exp_neg(s[i].y), exp_neg(s[i].z), exp_neg(s[i].w));
        all += s[i];
    }
    float total = (all.x + all.y) + (all.z + all.w);
    total += subgroupShuffleXor(total, 1u);
    total += subgroupShuffleXor(total, 2u);
    total = 1.0 / total;
    [[unroll]] for (uint i = 0u; i < QUADS; i++) {
        const vec4 p = s[i] * total;
        const uint quad = part + 4u * i;
        pool[AT_SCORES + row * SCORE_PITCH + quad] = floatBitsToUint(p);
        set_half(AT_PRE + row * SLOT_PITCH, quad, p * pre[i]);
        set_half(AT_HEAD + row * SLOT_PITCH, quad, p * lead[i]);
    }
    barrier();

    // B: inside the blocks
    BLOCK_ROWS(OWN_DECLARE)
    [[dont_unroll]] for (uint i = 0u; i < OWN_QUADS; i++) {
        if (!AHEAD) OWN_FETCH(i)
        const uint quad = min(lane % 8u + 8u * i, SLOTS / 4u - 1u);
        const bool exists = lane % 8u + 8u * i < SLOTS / 4u;
        const vec4 wrote0 = exists ? next0 : vec4(0.0), wrote1 = exists ? next1 : vec4(0.0);
        vec4 run0 = vec4(0.0), run1 = vec4(0.0);
        BLOCK_ROWS(OWN_FOLLOW)
        if (AHEAD) OWN_FETCH(i + 1u)
    }
    {
        const bool upper = lane % 2u != 0u, second = lane / 2u % 2u != 0u, last = lane / 4u % 2u != 0u;
        vec2 a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, c0, c1;
        OWN_HALVE(a0, own0, own8, upper, 1u)
        OWN_HALVE(a1, own1, own9, upper, 1u)
        OWN_HALVE(a2, own2, own10, upper, 1u)
        OWN_HALVE(a3, own3, own11, upper, 1u)
        OWN_HALVE(a4, own4, own12, upper, 1u)
        OWN_HALVE(a5, own5, own13, upper, 1u)
        OWN_HALVE(a6, own6, own14, upper, 1u)
        OWN_HALVE(a7, own7, own15, upper, 1u)
        OWN_HALVE(b0, a0, a4, second, 2u)
        OWN_HALVE(b1, a1, a5, second, 2u)
        OWN_HALVE(b2, a2, a6, second, 2u)
        OWN_HALVE(b3, a3, a7, second, 2u)
        OWN_HALVE(c0, b0, b2, last, 4u)
        OWN_HALVE(c1, b1, b3, last, 4u)
        const uint t = block * GSA_BLOCK + (upper ? 8u : 0u) + (second ? 4u : 0u) + (last ? 2u : 0u);
        const uint word = (block0 + block) * (GSA_BLOCK / 2u) + pair, to = AT_VALUES + t * CHUNK_PITCH + word / 4u;
        pool[to][word % 4u] = packHalf2x16(clamp(c0, vec2(-HALF_MAX), vec2(HALF_MAX)));
        pool[to + CHUNK_PITCH][word % 4u] = packHalf2x16(clamp(c1, vec2(-HALF_MAX), vec2(HALF_MAX)));
    }
    // The first columns of values come while the rest of B is made. This workgroup's part of V, in tiles:
    const uint parts = gl_NumWorkGroups.x / 2u, mine = gl_WorkGroupID.x / 2u, tiles = push.V / GSA_CHUNK;
    const uint begin = mine * tiles / parts * GSA_CHUNK, end = (mine + 1u) * tiles / parts * GSA_CHUNK;
    const uint last_row = block0 * GSA_BLOCK + ROWS - 1u; // of values that any of our rows meets
    uvec4 v_next[N_K];
    FETCH_VALUES(begin)

    // between blocks, and none of later ones
    [[unroll]] for (uint e = 0u; e < CROSS; e++) {
        const uint f = gl_SubgroupID + e * SUBS, t = f / WIDE_FRAGS * FRAG_M, column = f % WIDE_FRAGS * FRAG_N;
        const uint b = block0 + t / GSA_BLOCK, j = column / GSA_BLOCK;
        FRAG_C between = FRAG_C(0.0);
        if (f >= TILE_FRAGS * WIDE_FRAGS || j == b) continue;
        if (j < b) {
            const uint from = later_row(chunk, b, j) + column % GSA_BLOCK * gm() + g * SLOTS;
            FRAG_B wrote[STATE_STEPS];
            [[unroll]] for (uint k = 0u; k < STATE_STEPS; k++)
                coopMatLoad(wrote[k], table_vec, (from + k * FRAG_K) / 8u, gm() / 8u, COLUMN_MAJOR);
            [[unroll]] for (uint k = 0u; k < STATE_STEPS; k++) {
                FRAG_A a;
                coopMatLoad(a, pool, AT_PRE + t * SLOT_PITCH + k * FRAG_K / 8u, SLOT_PITCH, ROW_MAJOR);
                between = coopMatMulAdd(a, wrote[k], between);
            }
        }
        coopMatStore(FRAG_H(between), pool, AT_VALUES + t * CHUNK_PITCH + column / 8u, CHUNK_PITCH, ROW_MAJOR);
    }
    barrier();

    // o = (p pre lead) hv0 + B value, 64 columns at a time
    const uint n_rows = min(rows.y - block0 * GSA_BLOCK, ROWS); // of ours that exist
    const uint to = push.o_offset + (rows.x + block0 * GSA_BLOCK) * push.o_stride + h * push.V;
    const uint out_row = gl_SubgroupID % OUT_ROW_SUBS * OUT_ROWS * FRAG_M, out_column = gl_SubgroupID / OUT_ROW_SUBS * OUT_COLUMNS;
    FRAG_A weights[OUT_ROWS * STEPS];
    [[unroll]] for (uint i = 0u; i < OUT_ROWS; i++) {
        const uint r = out_row + i * FRAG_M;
        [[unroll]] for (uint k = 0u; k < STATE_STEPS; k++)
            coopMatLoad(weights[i * STEPS + k], pool, AT_HEAD + r * SLOT_PITCH + k * FRAG_K / 8u, SLOT_PITCH, ROW_MAJOR);
        [[unroll]] for (uint k = STATE_STEPS; k < STEPS; k++)
            coopMatLoad(weights[i * STEPS + k], pool, AT_VALUES + r * CHUNK_PITCH + (k - STATE_STEPS) * FRAG_K / 8u, CHUNK_PITCH, ROW_MAJOR);
    }
    for (uint v0 = begin; v0 < end; v0 += GSA_CHUNK) {
        barrier();
        PUT_VALUES
        barrier();
        FETCH_VALUES(min(v0 + GSA_CHUNK, push.V - GSA_CHUNK))
        FRAG_C out_sum[OUT_ROWS * OUT_COLUMNS];
        [[unroll]] for (uint i = 0u; i < OUT_ROWS * OUT_COLUMNS; i++) out_sum[i] = FRAG_C(0.0);
        [[unroll]] for (uint k = 0u; k < STEPS; k++) {
            if (k >= STATE_STEPS && (k - STATE_STEPS) * FRAG_K > last_row) continue;
            [[unroll]] for (uint c = 0u; c < OUT_COLUMNS; c++) {
                const uint j = min(out_column + c, WIDE_FRAGS - 1u) * FRAG_N;
                FRAG_B b;
                if (k < STATE_STEPS)
                    coopMatLoad(b, pool, AT_HV + j * SLOT_PITCH + k * FRAG_K / 8u, SLOT_PITCH, COLUMN_MAJOR);
                else
                    coopMatLoad(b, pool, AT_V + (k - STATE_STEPS) * FRAG_K * CHUNK_PITCH + j / 8u, CHUNK_PITCH, ROW_MAJOR);
                [[unroll]] for (uint i = 0u; i < OUT_ROWS; i++)
                    out_sum[c * OUT_ROWS + i] = coopMatMulAdd(weights[i * STEPS + k], b, out_sum[c * OUT_ROWS + i]);
            }
        }
        [[unroll]] for (uint e = 0u; e < OUT_ROWS * OUT_COLUMNS; e++) {
            const uint r = out_row + e % OUT_ROWS * FRAG_M, j = (out_column + e / OUT_ROWS) * FRAG_N;
            const uint from = AT_OUT + gl_SubgroupID * FRAG_M * FRAG_N / 4u;
            FRAG_C z = out_sum[e];
            if (out_column + e / OUT_ROWS >= WIDE_FRAGS) continue;
            if ((push.flags & GSA_CM_MAPPED) != 0u) [[unroll]]
                for (uint n = 0u; n < z.length(); n++) z[n] = silu(z[n]);
            coopMatStore(z, pool, from, FRAG_N / 4u, ROW_MAJOR);
            subgroupBarrier();
            [[unroll]] for (uint i = 0u; i < FRAG_M * FRAG_N / 4u; i += GROUP / SUBS) {
                const uint n = i + gl_SubgroupInvocationID, t = r + n / (FRAG_N / 4u);
                if (t < n_rows && n < FRAG_M * FRAG_N / 4u) o[(to + t * push.o_stride + v0 + j) / 4u + n % (FRAG_N / 4u)] = pool[from + n];
            }
            subgroupBarrier();
        }
    }
}
