// GSA for chunks of many rows on matrix units, last of four: what each row reads. See gsa_chunk_read.comp for the sums;
// here products between blocks are of f16, those inside a block and the softmax are f32.
//
//   work    chunks
//   half    [rows][half_stride] f16
//   scratch all but decay, wend and sum
//   o       [rows, H V] f32; silu(o) with GSA_CM_MAPPED
//
// A workgroup owns two blocks of a chunk for one query head: y = query head, z = chunk, x = half of the chunk + 2 (part of
// V): with few chunks several workgroups find the same weights of slots, and each reads its columns of V. The slots of
// all its rows fit shared memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
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
layout(std430, set = 0, binding = 2) readonly buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 2) readonly buffer ScratchHalf { float16_t scratch16[]; };
layout(std430, set = 0, binding = 2) readonly buffer Scratch2 { uint scratch_pair[]; };
layout(std430, set = 0, binding = 2) readonly buffer Scratch16 { uvec4 scratch_vec[]; };
layout(std430, set = 0, binding = 3) writeonly buffer O { float o[]; };

const uint GROUP = GSA_MIXER_GROUP;
const uint ROWS = 2u * GSA_BLOCK;          // of the workgroup
const uint BLOCKS = GSA_CHUNK / GSA_BLOCK; // of the chunk
const uint ROW_FRAGS = ROWS / FRAG_M;

// Shared memory by phases, in 16-byte vectors. Rows of f16 are CHUNK_PITCH or SLOT_PITCH apart, rows of scores
// SCORE_PITCH.
const uint SCORE_PITCH = SLOTS / 4u + 1u;
const uint AT_PAIRS = 0u;                               // [ROWS][64] f16: A; then p pre, then p pre lead
const uint AT_VALUES = AT_PAIRS + ROWS * CHUNK_PITCH;   // [ROWS][64] f16: B
const uint AT_SCORES = AT_VALUES + ROWS * CHUNK_PITCH;  // [ROWS][SLOTS] f32: scores, then p
const uint AT_WROTE = AT_SCORES + ROWS * SCORE_PITCH;   // [3][16][SLOTS] f16: writes of blocks two and more before
const uint AT_OWN = AT_WROTE + 3u * GSA_BLOCK * SLOT_PITCH; // [2][16][16] f32: A inside the blocks
const uint AT_KEEP = AT_PAIRS;                          // [16][SLOTS] f32, when AT_PAIRS is done with
const uint AT_SUMS = AT_WROTE;                          // [16][GROUP] f32, when AT_WROTE and AT_OWN are done with
const uint AT_Q = 0u, AT_K = AT_Q + ROWS * CHUNK_PITCH, AT_HK = AT_K + GSA_CHUNK * CHUNK_PITCH; // tiles of the first phase
const uint AT_HV = AT_SCORES, AT_V = AT_HV + GSA_CHUNK * SLOT_PITCH;                            // and of the last
const uint AT_EDGE = 1728u;                             // [SUBS][FRAG_M][FRAG_N] f32, at the very end
const uint AT_DECAY = AT_EDGE;                          // before: [5][SLOTS] f32, see put_decays
const uint AT_PART = 1984u;                             // [GROUP] f32
shared uvec4 pool[2016];

float get(uint at, uint i)
{
    return uintBitsToFloat(pool[at + i / 4u][i % 4u]);
}
void set(uint at, uint i, float value)
{
    pool[at + i / 4u][i % 4u] = floatBitsToUint(value);
}
void set_pair(uint at, uint word, vec2 pair)
{
    pool[at + word / 4u][word % 4u] = packHalf2x16(clamp(pair, vec2(-HALF_MAX), vec2(HALF_MAX)));
}

uint chunk, h, g, block0; // block0: the workgroup's first, in the chunk
uint row, rows;           // of the chunk: its first in the pass, how many

uint gate(uint t, uint m) // local row t of the workgroup
{
    return gate_row(chunk) + (block0 * GSA_BLOCK + t) * gm() + g * SLOTS + m;
}

// Sum of g over blocks [from, to) of the chunk
float total(uint from, uint to, uint m)
{
    precise float sum = 0.0;
    for (uint b = from; b < to; b++) sum += scratch[push.total + (chunk * BLOCKS + b) * gm() + g * SLOTS + m];
    return sum;
}

// Where the writes of block j, decayed to the start of block b, lie in AT_WROTE, when b is two or more after j.
uint wrote_slot(uint b, uint j)
{
    return b == 2u ? 0u : 1u + j;
}

const uint KEY_COLUMNS = GSA_CHUNK / FRAG_N, ALL_COLUMNS = (GSA_CHUNK + SLOTS) / FRAG_N;
const uint EACH = (ALL_COLUMNS + SUBS - 1u) / SUBS; // columns of fragments of a subgroup
const uint N_Q = ROWS * CHUNK_VECS / GROUP, N_K = GSA_CHUNK * CHUNK_VECS / GROUP, N_H = (GSA_CHUNK * SLOT_VECS + GROUP - 1u) / GROUP;

uvec4 q_next[N_Q], k_next[N_K], h_next[N_H];

uint start_vec(uint row) // of [K | V]
{
    return (push.start * 2u + ((chunk * push.G + g) * (push.K + push.V) + row) * SLOTS) / 8u;
}

// Eight f16 of the chunk's row t. Rows past its end count nowhere, but what lies there may not be finite.
uvec4 half_of(uint t, uint column, uint vec)
{
    return t < rows ? half_vec[(half_row(chunk, row) + t * push.half_stride + column) / 8u + vec] : uvec4(0u);
}

void fetch_keys(uint k0)
{
    const uint lane = gl_LocalInvocationIndex, q_row = block0 * GSA_BLOCK;
    const uint k_at = push.R * push.G * push.K + g * push.K + k0;
    [[unroll]] for (uint e = 0u; e < N_Q; e++) {
        const uint i = lane + e * GROUP;
        q_next[e] = half_of(q_row + i / CHUNK_VECS, h * push.K + k0, i % CHUNK_VECS);
    }
    [[unroll]] for (uint e = 0u; e < N_K; e++) {
        const uint i = lane + e * GROUP;
        k_next[e] = half_of(i / CHUNK_VECS, k_at, i % CHUNK_VECS);
    }
    [[unroll]] for (uint e = 0u; e < N_H; e++) {
        const uint i = min(lane + e * GROUP, GSA_CHUNK * SLOT_VECS - 1u);
        h_next[e] = scratch_vec[start_vec(k0) + i];
    }
}

void put_keys()
{
    const uint lane = gl_LocalInvocationIndex;
    [[unroll]] for (uint e = 0u; e < N_Q; e++) {
        const uint i = lane + e * GROUP;
        pool[AT_Q + i / CHUNK_VECS * CHUNK_PITCH + i % CHUNK_VECS] = q_next[e];
    }
    [[unroll]] for (uint e = 0u; e < N_K; e++) {
        const uint i = lane + e * GROUP;
        pool[AT_K + i / CHUNK_VECS * CHUNK_PITCH + i % CHUNK_VECS] = k_next[e];
    }
    [[unroll]] for (uint e = 0u; e < N_H; e++) {
        const uint i = lane + e * GROUP;
        if (i < GSA_CHUNK * SLOT_VECS) pool[AT_HK + i / SLOT_VECS * SLOT_PITCH + i % SLOT_VECS] = h_next[e];
    }
}

// A into AT_PAIRS and, inside the blocks, AT_OWN; what the state before the chunk answers into AT_SCORES.
void make_pairs()
{
    FRAG_C sum[ROW_FRAGS * EACH];
    [[unroll]] for (uint i = 0u; i < ROW_FRAGS * EACH; i++) sum[i] = FRAG_C(0.0);
    fetch_keys(0u);
    for (uint k0 = 0u; k0 < push.K; k0 += GSA_CHUNK) {
        put_keys();
        barrier();
        if (k0 + GSA_CHUNK < push.K) fetch_keys(k0 + GSA_CHUNK);
        [[unroll]] for (uint k = 0u; k < GSA_CHUNK; k += FRAG_K) {
            FRAG_A a[ROW_FRAGS];
            [[unroll]] for (uint i = 0u; i < ROW_FRAGS; i++)
                coopMatLoad(a[i], pool, AT_Q + i * FRAG_M * CHUNK_PITCH + k / 8u, CHUNK_PITCH, ROW_MAJOR);
            [[unroll]] for (uint e = 0u; e < EACH; e++) {
                const uint j = min(gl_SubgroupID * EACH + e, ALL_COLUMNS - 1u);
                FRAG_B b;
                if (j < KEY_COLUMNS)
                    coopMatLoad(b, pool, AT_K + j * FRAG_N * CHUNK_PITCH + k / 8u, CHUNK_PITCH, COLUMN_MAJOR);
                else
                    coopMatLoad(b, pool, AT_HK + k * SLOT_PITCH + (j - KEY_COLUMNS) * FRAG_N / 8u, SLOT_PITCH, ROW_MAJOR);
                [[unroll]] for (uint i = 0u; i < ROW_FRAGS; i++) sum[i * EACH + e] = coopMatMulAdd(a[i], b, sum[i * EACH + e]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint j = gl_SubgroupID * EACH + e;
        if (j >= ALL_COLUMNS) continue;
        [[unroll]] for (uint i = 0u; i < ROW_FRAGS; i++) {
            FRAG_C z = sum[i * EACH + e];
            [[unroll]] for (uint n = 0u; n < z.length(); n++) z[n] *= push.scale;
            if (j >= KEY_COLUMNS) {
                coopMatStore(z, pool, AT_SCORES + i * FRAG_M * SCORE_PITCH + (j - KEY_COLUMNS) * FRAG_N / 4u, SCORE_PITCH, ROW_MAJOR);
                continue;
            }
            const uint t = i * FRAG_M, column = j * FRAG_N;
            if (block0 + t / GSA_BLOCK == column / GSA_BLOCK)
                coopMatStore(z, pool, AT_OWN + t * GSA_BLOCK / 4u + column % GSA_BLOCK / 4u, GSA_BLOCK / 4u, ROW_MAJOR);
            [[unroll]] for (uint n = 0u; n < z.length(); n++) z[n] = clamp(z[n], -HALF_MAX, HALF_MAX);
            coopMatStore(FRAG_H(z), pool, AT_PAIRS + t * CHUNK_PITCH + column / 8u, CHUNK_PITCH, ROW_MAJOR);
        }
    }
    barrier();
}

// Decays from the chunk's start to each of our two blocks, then those from the ends of blocks 0, 0, 1 to the starts of
// 2, 3, 3: the order of AT_WROTE.
void put_decays()
{
    for (uint i = gl_LocalInvocationIndex; i < 5u * SLOTS; i += GROUP) {
        const uint which = i / SLOTS, m = i % SLOTS;
        const uint from = which < 2u ? 0u : which == 4u ? 2u : 1u;
        const uint to = which < 2u ? block0 + which : which == 2u ? 2u : 3u;
        set(AT_DECAY, i, exp_neg(total(from, to, m)));
    }
    barrier();
}

// What earlier blocks wrote, decayed to the start of each block of ours that is two or more later. scores *= lead.
void make_writes()
{
    const uint lane = gl_LocalInvocationIndex;
    put_decays();
    for (uint i = lane; i < ROWS * SLOTS; i += GROUP) {
        const uint t = i / SLOTS, m = i % SLOTS, at = t * SCORE_PITCH * 4u + m;
        set(AT_SCORES, at, get(AT_SCORES, at) * get(AT_DECAY, t / GSA_BLOCK * SLOTS + m));
    }
    if (block0 > 0u)
        for (uint i = lane; i < 3u * GSA_BLOCK * SLOTS / 2u; i += GROUP) {
            const uint row = i / (SLOTS / 2u), pair = i % (SLOTS / 2u), slot = row / GSA_BLOCK, j = slot == 2u ? 1u : 0u;
            const uint decay = (2u + slot) * SLOTS + 2u * pair;
            const uint from = at_wsuf() + (gate_row(chunk) + (j * GSA_BLOCK + row % GSA_BLOCK) * gm() + g * SLOTS) / 2u + pair;
            set_pair(AT_WROTE, row * SLOT_PITCH * 4u + pair,
                unpackHalf2x16(scratch_pair[from]) * vec2(get(AT_DECAY, decay), get(AT_DECAY, decay + 1u)));
        }
    barrier();
}

// scores += what earlier blocks of the chunk wrote, all as of the block's start
void add_earlier_blocks()
{
    const uint columns = SLOTS / FRAG_N;
    for (uint f = gl_SubgroupID; f < ROW_FRAGS * columns; f += SUBS) {
        const uint t = f / columns * FRAG_M, m = f % columns * FRAG_N, b = block0 + t / GSA_BLOCK;
        const uint at = AT_SCORES + t * SCORE_PITCH + m / 4u;
        FRAG_C sum;
        coopMatLoad(sum, pool, at, SCORE_PITCH, ROW_MAJOR);
        for (uint j = 0u; j < b; j++)
            [[unroll]] for (uint k = 0u; k < GSA_BLOCK; k += FRAG_K) {
                FRAG_A a;
                FRAG_B w;
                coopMatLoad(a, pool, AT_PAIRS + t * CHUNK_PITCH + (j * GSA_BLOCK + k) / 8u, CHUNK_PITCH, ROW_MAJOR);
                if (j + 1u == b)
                    coopMatLoad(w, scratch16, at_wsuf() * 2u + gate_row(chunk) + (j * GSA_BLOCK + k) * gm() + g * SLOTS + m,
                        gm(), ROW_MAJOR);
                else
                    coopMatLoad(w, pool, AT_WROTE + (wrote_slot(b, j) * GSA_BLOCK + k) * SLOT_PITCH + m / 8u, SLOT_PITCH, ROW_MAJOR);
                sum = coopMatMulAdd(a, w, sum);
            }
        coopMatStore(sum, pool, at, SCORE_PITCH, ROW_MAJOR);
    }
    barrier();
}

// scores = pre scores + the block's own writes, followed row by row. What row j wrote is element j of w0 .. w3, 0 before:
// variables of their own, since an array that a driver does not unroll lands in slow memory.
#define OWN_ROW(T, W, C)                                                             \
    {                                                                                \
        const uint row = b * GSA_BLOCK + uint(T), at = gate(row, m);                 \
        const uint to = row * SCORE_PITCH * 4u + m, own = AT_OWN + row * GSA_BLOCK / 4u; \
        const float keep = scratch[at_keep() + at];                                  \
        w0 *= keep;                                                                  \
        w1 *= keep;                                                                  \
        w2 *= keep;                                                                  \
        w3 *= keep;                                                                  \
        W.C = scratch[at_write() + at];                                              \
        precise float sum = scratch[at] * get(AT_SCORES, to);             \
        sum = own_sum(uintBitsToFloat(pool[own]), w0, sum);                          \
        sum = own_sum(uintBitsToFloat(pool[own + 1u]), w1, sum);                     \
        sum = own_sum(uintBitsToFloat(pool[own + 2u]), w2, sum);                     \
        sum = own_sum(uintBitsToFloat(pool[own + 3u]), w3, sum);                     \
        set(AT_SCORES, to, sum);                                                     \
    }
float own_sum(vec4 a, vec4 w, float sum)
{
    precise const float all = fma(a.w, w.w, fma(a.z, w.z, fma(a.y, w.y, fma(a.x, w.x, sum))));
    return all;
}
void add_own_block()
{
    for (uint item = gl_LocalInvocationIndex; item < 2u * SLOTS; item += GROUP) {
        const uint b = item / SLOTS, m = item % SLOTS;
        precise vec4 w0 = vec4(0.0), w1 = vec4(0.0), w2 = vec4(0.0), w3 = vec4(0.0);
        OWN_ROW(0, w0, x) OWN_ROW(1, w0, y) OWN_ROW(2, w0, z) OWN_ROW(3, w0, w)
        OWN_ROW(4, w1, x) OWN_ROW(5, w1, y) OWN_ROW(6, w1, z) OWN_ROW(7, w1, w)
        OWN_ROW(8, w2, x) OWN_ROW(9, w2, y) OWN_ROW(10, w2, z) OWN_ROW(11, w2, w)
        OWN_ROW(12, w3, x) OWN_ROW(13, w3, y) OWN_ROW(14, w3, z) OWN_ROW(15, w3, w)
    }
    barrier();
}

// scores = softmax of each row, by four invocations a row
void make_weights()
{
    const uint lane = gl_LocalInvocationIndex, row = lane / 4u * SCORE_PITCH * 4u;
    float largest = -3.4e38, sum = 0.0;
    for (uint m = lane % 4u; m < SLOTS; m += 4u) largest = max(largest, get(AT_SCORES, row + m));
    set(AT_PART, lane, largest);
    barrier();
    for (uint i = 0u; i < 4u; i++) largest = max(largest, get(AT_PART, lane / 4u * 4u + i));
    barrier();
    for (uint m = lane % 4u; m < SLOTS; m += 4u) {
        const float p = exp_neg(get(AT_SCORES, row + m) - largest);
        set(AT_SCORES, row + m, p);
        sum += p;
    }
    set(AT_PART, lane, sum);
    barrier();
    sum = 0.0;
    for (uint i = 0u; i < 4u; i++) sum += get(AT_PART, lane / 4u * 4u + i);
    for (uint m = lane % 4u; m < SLOTS; m += 4u) set(AT_SCORES, row + m, get(AT_SCORES, row + m) / sum);
    barrier();
}

// AT_PAIRS = p pre, or p pre lead, as f16
void put_read_weights(bool led)
{
    for (uint i = gl_LocalInvocationIndex; i < ROWS * SLOTS / 2u; i += GROUP) {
        const uint t = i / (SLOTS / 2u), m = i % (SLOTS / 2u) * 2u, at = gate(t, m), from = t * SCORE_PITCH * 4u + m;
        vec2 p = vec2(get(AT_SCORES, from) * scratch[at], get(AT_SCORES, from + 1u) * scratch[at + 1u]);
        const uint lead = t / GSA_BLOCK * SLOTS + m;
        if (led) p *= vec2(get(AT_DECAY, lead), get(AT_DECAY, lead + 1u));
        set_pair(AT_PAIRS, t * CHUNK_PITCH * 4u + m / 2u, p);
    }
    barrier();
}

#define INSIDE_ROWS(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define INSIDE_DECLARE(T) precise float inside##T = 0.0;
#define INSIDE_FOLLOW(T)                                                      \
    run *= uint(T) > j ? get(AT_KEEP, uint(T) * SLOTS + m) : 1.0;             \
    inside##T = fma(get(AT_SCORES, (b * GSA_BLOCK + uint(T)) * SCORE_PITCH * 4u + m), uint(T) >= j ? run : 0.0, inside##T);
#define INSIDE_STORE(T) set(AT_SUMS, uint(T) * GROUP + lane, inside##T);

// B into AT_VALUES
void make_values_weights()
{
    const uint lane = gl_LocalInvocationIndex;
    put_read_weights(false);
    for (uint f = gl_SubgroupID; f < ROW_FRAGS * KEY_COLUMNS; f += SUBS) {
        const uint t = f / KEY_COLUMNS * FRAG_M, column = f % KEY_COLUMNS * FRAG_N;
        const uint b = block0 + t / GSA_BLOCK, j = column / GSA_BLOCK;
        FRAG_C sum = FRAG_C(0.0);
        if (j == b) continue;
        if (j < b)
            [[unroll]] for (uint k = 0u; k < SLOTS; k += FRAG_K) {
                FRAG_A a;
                FRAG_B w;
                coopMatLoad(a, pool, AT_PAIRS + t * CHUNK_PITCH + k / 8u, CHUNK_PITCH, ROW_MAJOR);
                if (j + 1u == b)
                    coopMatLoad(w, scratch16, at_wsuf() * 2u + gate_row(chunk) + column * gm() + g * SLOTS + k, gm(), COLUMN_MAJOR);
                else
                    coopMatLoad(w, pool, AT_WROTE + (wrote_slot(b, j) * GSA_BLOCK + column % GSA_BLOCK) * SLOT_PITCH + k / 8u,
                        SLOT_PITCH, COLUMN_MAJOR);
                sum = coopMatMulAdd(a, w, sum);
            }
        coopMatStore(FRAG_H(sum), pool, AT_VALUES + t * CHUNK_PITCH + column / 8u, CHUNK_PITCH, ROW_MAJOR);
    }
    barrier();

    // Inside the blocks, one after the other: an invocation follows the write of one row j through every eighth slot.
    for (uint b = 0u; b < 2u; b++) {
        for (uint i = lane; i < GSA_BLOCK * SLOTS / 4u; i += GROUP)
            pool[AT_KEEP + i] = scratch_vec[(at_keep() + gate(b * GSA_BLOCK + i / (SLOTS / 4u), i % (SLOTS / 4u) * 4u)) / 4u];
        barrier();
        const uint j = lane / 8u;
        INSIDE_ROWS(INSIDE_DECLARE)
        for (uint m = lane % 8u; m < SLOTS; m += 8u) {
            precise float run = scratch[at_write() + gate(b * GSA_BLOCK + j, m)];
            INSIDE_ROWS(INSIDE_FOLLOW)
        }
        INSIDE_ROWS(INSIDE_STORE)
        barrier();
        // GROUP words of two neighbouring columns each
        const uint t = lane / 8u, pair = lane % 8u;
        vec2 sum = vec2(0.0);
        for (uint e = 0u; e < 2u; e++) {
            const uint from = AT_SUMS + (t * GROUP + pair * 16u) / 4u + e;
            const vec4 first = uintBitsToFloat(pool[from]), second = uintBitsToFloat(pool[from + 2u]);
            sum += vec2((first.x + first.y) + (first.z + first.w), (second.x + second.y) + (second.z + second.w));
        }
        set_pair(AT_VALUES, (b * GSA_BLOCK + t) * CHUNK_PITCH * 4u + (block0 + b) * GSA_BLOCK / 2u + pair, sum);
        barrier();
    }
}

uvec4 v_next[N_K];

void fetch_values(uint v0)
{
    const uint lane = gl_LocalInvocationIndex;
    const uint v_at = (push.R + 1u) * push.G * push.K + g * push.V + v0;
    [[unroll]] for (uint e = 0u; e < N_K; e++) {
        const uint i = lane + e * GROUP;
        v_next[e] = half_of(i / CHUNK_VECS, v_at, i % CHUNK_VECS);
    }
    [[unroll]] for (uint e = 0u; e < N_H; e++) {
        const uint i = min(lane + e * GROUP, GSA_CHUNK * SLOT_VECS - 1u);
        h_next[e] = scratch_vec[start_vec(push.K + v0) + i];
    }
}

void put_values()
{
    const uint lane = gl_LocalInvocationIndex;
    [[unroll]] for (uint e = 0u; e < N_K; e++) {
        const uint i = lane + e * GROUP;
        pool[AT_V + i / CHUNK_VECS * CHUNK_PITCH + i % CHUNK_VECS] = v_next[e];
    }
    [[unroll]] for (uint e = 0u; e < N_H; e++) {
        const uint i = lane + e * GROUP;
        if (i < GSA_CHUNK * SLOT_VECS) pool[AT_HV + i / SLOT_VECS * SLOT_PITCH + i % SLOT_VECS] = h_next[e];
    }
}

// o = (p pre lead) hv0 + B value, 64 columns at a time
void read_values()
{
    // This workgroup's part of V, in tiles
    const uint parts = gl_NumWorkGroups.x / 2u, part = gl_WorkGroupID.x / 2u, tiles = push.V / GSA_CHUNK;
    const uint begin = part * tiles / parts * GSA_CHUNK, end = (part + 1u) * tiles / parts * GSA_CHUNK;
    const uint n = min(rows - min(rows, block0 * GSA_BLOCK), ROWS); // of ours that exist
    const uint to = push.o_offset + (row + block0 * GSA_BLOCK) * push.o_stride + h * push.V;
    const bool act = (push.flags & GSA_CM_MAPPED) != 0u;
    fetch_values(begin);
    put_read_weights(true); // the last use of the scores, whose place the tiles take
    for (uint v0 = begin; v0 < end; v0 += GSA_CHUNK) {
        put_values();
        barrier();
        if (v0 + GSA_CHUNK < end) fetch_values(v0 + GSA_CHUNK);
        for (uint first = 0u; first < KEY_COLUMNS; first += SUBS) {
            const uint j = min(first + gl_SubgroupID, KEY_COLUMNS - 1u) * FRAG_N;
            FRAG_C sum[ROW_FRAGS];
            [[unroll]] for (uint i = 0u; i < ROW_FRAGS; i++) sum[i] = FRAG_C(0.0);
            [[unroll]] for (uint k = 0u; k < SLOTS; k += FRAG_K) {
                FRAG_B b;
                coopMatLoad(b, pool, AT_HV + j * SLOT_PITCH + k / 8u, SLOT_PITCH, COLUMN_MAJOR);
                [[unroll]] for (uint i = 0u; i < ROW_FRAGS; i++) {
                    FRAG_A a;
                    coopMatLoad(a, pool, AT_PAIRS + i * FRAG_M * CHUNK_PITCH + k / 8u, CHUNK_PITCH, ROW_MAJOR);
                    sum[i] = coopMatMulAdd(a, b, sum[i]);
                }
            }
            [[unroll]] for (uint k = 0u; k < GSA_CHUNK; k += FRAG_K) {
                FRAG_B b;
                coopMatLoad(b, pool, AT_V + k * CHUNK_PITCH + j / 8u, CHUNK_PITCH, ROW_MAJOR);
                [[unroll]] for (uint i = 0u; i < ROW_FRAGS; i++) {
                    FRAG_A a;
                    coopMatLoad(a, pool, AT_VALUES + i * FRAG_M * CHUNK_PITCH + k / 8u, CHUNK_PITCH, ROW_MAJOR);
                    sum[i] = coopMatMulAdd(a, b, sum[i]);
                }
            }
            const bool mine = first + gl_SubgroupID < KEY_COLUMNS;
            [[unroll]] for (uint i = 0u; i < ROW_FRAGS; i++) {
                if (act) [[unroll]]
                    for (uint e = 0u; e < sum[i].length(); e++) sum[i][e] = silu(sum[i][e]);
                if (n == ROWS) {
                    if (mine) coopMatStore(sum[i], o, to + i * FRAG_M * push.o_stride + v0 + j, push.o_stride, ROW_MAJOR);
                    continue;
                }
                const uint from = AT_EDGE + gl_SubgroupID * FRAG_M * FRAG_N / 4u;
                coopMatStore(sum[i], pool, from, FRAG_N / 4u, ROW_MAJOR);
                barrier();
                for (uint e = gl_SubgroupInvocationID; e < FRAG_M * FRAG_N && mine; e += gl_SubgroupSize) {
                    const uint t = i * FRAG_M + e / FRAG_N;
                    if (t < n) o[to + t * push.o_stride + v0 + j + e % FRAG_N] = get(from, e);
                }
                barrier();
            }
        }
        barrier();
    }
}

void main()
{
    chunk = gl_WorkGroupID.z;
    h = gl_WorkGroupID.y;
    g = h / push.R;
    block0 = gl_WorkGroupID.x % 2u * 2u;
    row = work[chunk_entry(chunk)];
    rows = work[chunk_entry(chunk) + 1u];
    if (block0 * GSA_BLOCK >= rows) return;

    make_pairs();
    make_writes();
    add_earlier_blocks();
    add_own_block();
    make_weights();
    make_values_weights();
    read_values();
}
