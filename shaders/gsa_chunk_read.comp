// GSA for chunks of many rows, last of three: what each row reads. With h0 the state before the chunk, block by block:
//   A[t, j]  = scale q[t] . key[j], j <= t
//   score[t] = pre[t] lead (scale q[t] hk0) + sum over earlier blocks of A[t, j] pre[t] wsuf[j] gap + the block's own
//   p        = softmax over the slots
//   B[t, j]  = sum_m p[t, m] (weight with which j reached slot m by the time of t)
//   o[t]     = (p[t] pre[t] lead) hv0 + sum_{j <= t} B[t, j] value[j]
// lead = decay from the chunk's start to the block's, gap = decay from the end of j's block to the start of t's block.
// Inside the block the weights are s[j] times the running product of the decays after j: at most 15 factors, each <= 1.
//
//   x       [rows, width] f32   columns q [H K], k [G K], v [G V], s, g [G M]
//   work    spans and chunks
//   scratch reads start, pre, wsuf, total; score is written and read by the same invocation
//   o       [rows, H V] f32
//
// A workgroup owns one block of rows of one query head: x = block of the chunk, y = query head, z = chunk. Matrix
// products put 64 columns side by side, an invocation makes half of the block's rows of its column. Slots are taken in
// tiles of 64; with more than one, scores wait in scratch.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_chunk_push push; };
#include "common/mixer.glsl"
#include "common/exp.glsl"

layout(constant_id = 0) const bool ONE_TILE = true; // M <= GSA_SLOT_TILE
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 3) writeonly buffer O { float o[]; };

const uint ROWS = GSA_BLOCK;              // of a block
const uint WIDE = GSA_SLOT_TILE;          // columns side by side
const uint HALF = ROWS * WIDE / GSA_MIXER_GROUP; // rows an invocation owns
const uint BLOCKS = GSA_CHUNK / GSA_BLOCK;
const uint P_STRIDE = WIDE + 1u;          // odd: rows start in different banks
const uint Q_STRIDE = ROWS + 4u;
const uint K_DEPTH = 16u, K_STRIDE = K_DEPTH + 1u;

shared float pairs[GSA_CHUNK * ROWS];     // A, then B, as [j][t]
shared float weight[ROWS * P_STRIDE];     // a tile of scores or slot weights, as [t][m]
shared float stage[GSA_CHUNK * K_STRIDE + K_DEPTH * Q_STRIDE];
shared float part[GSA_MIXER_GROUP];
shared float row_value[ROWS];

// This invocation's column, and its rows of the block: row0 .. row0 + HALF - 1
uint column()
{
    return gl_LocalInvocationIndex % WIDE;
}
uint row0()
{
    return gl_LocalInvocationIndex / WIDE * HALF;
}

struct where {
    uint chunk, h, g;
    uint block;   // first row of the block in the chunk
    uint n;       // rows of the block
    uint row;     // first row of the chunk, in x and o
    uint local;   // first row of the block in scratch
};

uint x_at(where w, uint t, uint col)
{
    return push.x_offset + (w.row + t) * push.x_stride + col;
}

// [row of the block][m] of pre (base 0) or wsuf, rows before the block are negative
uint slot_at(where w, uint base, int t, uint m)
{
    return base + uint(int(w.local) + t) * gm() + w.g * push.M + m;
}

uint score_at(where w, uint t, uint m)
{
    return push.score + (w.local + t) * heads() * push.M + w.h * push.M + m;
}

// A into pairs
void make_pairs(where w)
{
    const uint lane = gl_LocalInvocationIndex, n_j = w.block + w.n;
    const uint q_stage = GSA_CHUNK * K_STRIDE;
    precise float sum[HALF];
    [[unroll]] for (uint i = 0u; i < HALF; i++) sum[i] = 0.0;

    for (uint k0 = 0u; k0 < push.K; k0 += K_DEPTH) {
        for (uint i = lane; i < n_j * K_DEPTH; i += GSA_MIXER_GROUP) {
            const uint j = i / K_DEPTH, k = i % K_DEPTH;
            stage[j * K_STRIDE + k] = k0 + k < push.K ? x[x_at(w, j, push.k + w.g * push.K + k0 + k)] : 0.0;
        }
        for (uint i = lane; i < ROWS * K_DEPTH; i += GSA_MIXER_GROUP) {
            const uint t = i / K_DEPTH, k = i % K_DEPTH;
            stage[q_stage + k * Q_STRIDE + t] =
                t < w.n && k0 + k < push.K ? push.scale * x[x_at(w, w.block + t, push.q + w.h * push.K + k0 + k)] : 0.0;
        }
        barrier();
        if (column() < n_j)
            for (uint k = 0u; k < K_DEPTH; k++) {
                const float key = stage[column() * K_STRIDE + k];
                [[unroll]] for (uint i = 0u; i < HALF; i++)
                    sum[i] = fma(stage[q_stage + k * Q_STRIDE + row0() + i], key, sum[i]);
            }
        barrier();
    }
    if (column() < n_j) [[unroll]]
        for (uint i = 0u; i < HALF; i++) pairs[column() * ROWS + row0() + i] = sum[i];
}

// exp(g) of the block's rows into stage as [t][m]; 1 past the last row
void stage_decays(where w, uint m)
{
    for (uint i = 0u; i < HALF; i++) {
        const uint t = row0() + i;
        stage[t * WIDE + column()] =
            t < w.n && m < push.M ? exp_neg(x[x_at(w, w.block + t, push.g + w.g * push.M + m)]) : 1.0;
    }
}

// Scores of slots m0 .. m0 + WIDE - 1 into weight
void make_scores(where w, uint m0)
{
    const uint lane = gl_LocalInvocationIndex, m = m0 + column();
    precise float sum[HALF];
    [[unroll]] for (uint i = 0u; i < HALF; i++) sum[i] = 0.0;

    // what the state before the chunk answers
    const uint start = push.start + (w.chunk * push.G + w.g) * (push.K + push.V) * push.M + m;
    for (uint k0 = 0u; k0 < push.K; k0 += WIDE) {
        for (uint i = lane; i < ROWS * WIDE; i += GSA_MIXER_GROUP) {
            const uint t = i / WIDE, k = i % WIDE;
            stage[k * Q_STRIDE + t] =
                t < w.n && k0 + k < push.K ? push.scale * x[x_at(w, w.block + t, push.q + w.h * push.K + k0 + k)] : 0.0;
        }
        barrier();
        const uint deep = min(WIDE, push.K - k0);
        if (m < push.M)
            for (uint k = 0u; k < deep; k++) {
                const float h = scratch[start + (k0 + k) * push.M];
                [[unroll]] for (uint i = 0u; i < HALF; i++)
                    sum[i] = fma(stage[k * Q_STRIDE + row0() + i], h, sum[i]);
            }
        barrier();
    }

    // what earlier blocks wrote, the nearest first, so that the decay in between is a sum of few totals
    precise float gap = 0.0, cross[HALF];
    [[unroll]] for (uint i = 0u; i < HALF; i++) cross[i] = 0.0;
    if (m < push.M) {
        for (uint b = w.block; b > 0u; b -= ROWS) {
            const float decay = exp_neg(gap);
            for (uint j = b - ROWS; j < b; j++) {
                const float wrote = scratch[slot_at(w, push.wsuf, int(j) - int(w.block), m)] * decay;
                [[unroll]] for (uint i = 0u; i < HALF; i++)
                    cross[i] = fma(pairs[j * ROWS + row0() + i], wrote, cross[i]);
            }
            gap += scratch[push.total + (w.chunk * BLOCKS + b / ROWS - 1u) * gm() + w.g * push.M + m];
        }
        const float lead = exp_neg(gap);
        [[unroll]] for (uint i = 0u; i < HALF; i++) {
            const uint t = row0() + i;
            const float pre = t < w.n ? scratch[slot_at(w, 0u, int(t), m)] : 0.0;
            sum[i] = pre * fma(lead, sum[i], cross[i]);
        }
    }

    // what the block itself wrote
    stage_decays(w, m);
    barrier();
    const uint last = min(w.n, row0() + HALF);
    if (m < push.M)
        for (uint j = 0u; j < last; j++) {
            precise float run = x[x_at(w, w.block + j, push.s + w.g * push.M + m)];
            for (uint t = j + 1u; t <= row0(); t++) run *= stage[t * WIDE + column()];
            [[unroll]] for (uint i = 0u; i < HALF; i++) {
                const uint t = row0() + i;
                if (t < j) continue;
                sum[i] = fma(pairs[(w.block + j) * ROWS + t], run, sum[i]);
                run *= stage[min(t + 1u, ROWS - 1u) * WIDE + column()];
            }
        }
    [[unroll]] for (uint i = 0u; i < HALF; i++) weight[(row0() + i) * P_STRIDE + column()] = sum[i];
    barrier();
}

// This invocation's elements of weight to scratch, and back. Nobody else touches them.
void park(where w, uint m0)
{
    const uint m = m0 + column();
    for (uint i = 0u; i < HALF; i++)
        if (m < push.M && row0() + i < w.n)
            scratch[score_at(w, row0() + i, m)] = weight[(row0() + i) * P_STRIDE + column()];
}
void fetch(where w, uint m0)
{
    const uint m = m0 + column();
    barrier(); // others have read the tile that was here
    for (uint i = 0u; i < HALF; i++)
        weight[(row0() + i) * P_STRIDE + column()] =
            m < push.M && row0() + i < w.n ? scratch[score_at(w, row0() + i, m)] : 0.0;
}

// weight of each row times a value of its slot
void scale_by_pre(where w, uint m, float factor)
{
    for (uint i = 0u; i < HALF; i++) {
        const uint t = row0() + i;
        if (t < w.n && m < push.M) weight[t * P_STRIDE + column()] *= scratch[slot_at(w, 0u, int(t), m)] * factor;
    }
}
void scale_by(float factor)
{
    for (uint i = 0u; i < HALF; i++) weight[(row0() + i) * P_STRIDE + column()] *= factor;
}
void scale_by_row()
{
    for (uint i = 0u; i < HALF; i++) weight[(row0() + i) * P_STRIDE + column()] *= row_value[row0() + i];
}

// Eight invocations per row look at a tile and combine in fixed order.
const uint TEAM = GSA_MIXER_GROUP / ROWS;

float tile_max(uint m0, float largest)
{
    const uint row = gl_LocalInvocationIndex / TEAM, n = min(WIDE, push.M - m0);
    for (uint m = gl_LocalInvocationIndex % TEAM; m < n; m += TEAM) largest = max(largest, weight[row * P_STRIDE + m]);
    return largest;
}

float tile_sum(uint m0, float sum)
{
    const uint row = gl_LocalInvocationIndex / TEAM, n = min(WIDE, push.M - m0);
    for (uint m = gl_LocalInvocationIndex % TEAM; m < n; m += TEAM) sum += weight[row * P_STRIDE + m];
    return sum;
}

// Scores of all slots, then slot weights before division by their sum, in weight (one tile) or scratch. row_value
// becomes 1 / sum.
void make_weights(where w)
{
    const uint lane = gl_LocalInvocationIndex;
    float largest = -3.4e38, sum = 0.0;

    for (uint m0 = 0u; m0 < push.M; m0 += WIDE) {
        make_scores(w, m0);
        if (!ONE_TILE) park(w, m0);
        largest = tile_max(m0, largest);
        if (!ONE_TILE) barrier();
    }
    part[lane] = largest;
    barrier();
    if (lane < ROWS) {
        for (uint i = 0u; i < TEAM; i++) largest = max(i == 0u ? part[lane * TEAM] : largest, part[lane * TEAM + i]);
        row_value[lane] = largest;
    }
    barrier();
    for (uint m0 = 0u; m0 < push.M; m0 += WIDE) {
        if (!ONE_TILE) fetch(w, m0);
        for (uint i = 0u; i < HALF; i++) {
            const uint at = (row0() + i) * P_STRIDE + column();
            weight[at] = m0 + column() < push.M ? exp_neg(weight[at] - row_value[row0() + i]) : 0.0;
        }
        if (!ONE_TILE) park(w, m0);
        barrier();
        sum = tile_sum(m0, sum);
    }
    part[lane] = sum;
    barrier();
    if (lane < ROWS) {
        float all = part[lane * TEAM];
        for (uint i = 1u; i < TEAM; i++) all += part[lane * TEAM + i];
        row_value[lane] = 1.0 / all;
    }
    barrier();
}

// B into pairs. With one tile, weight is left as p pre lead, ready to read the state before the chunk.
void make_values_weights(where w)
{
    const uint lane = gl_LocalInvocationIndex, j_mine = lane / TEAM;
    precise float inside[ROWS];
    [[unroll]] for (uint t = 0u; t < ROWS; t++) inside[t] = 0.0;

    for (uint m0 = 0u; m0 < push.M; m0 += WIDE) {
        const uint m = m0 + column();
        if (!ONE_TILE) fetch(w, m0);
        scale_by_row();
        stage_decays(w, m);
        barrier();

        // inside the block: an invocation follows the write of one row j through every eighth slot
        if (j_mine < w.n)
            for (uint i = lane % TEAM; i < min(WIDE, push.M - m0); i += TEAM) {
                precise float run = x[x_at(w, w.block + j_mine, push.s + w.g * push.M + m0 + i)];
                [[unroll]] for (uint t = 0u; t < ROWS; t++) {
                    if (t < j_mine) continue;
                    inside[t] = fma(weight[t * P_STRIDE + i], run, inside[t]);
                    run *= stage[min(t + 1u, ROWS - 1u) * WIDE + i];
                }
            }
        barrier();

        // earlier blocks: products of p pre with what they wrote, an invocation makes two rows of one column j
        scale_by_pre(w, m, 1.0);
        precise float gap = 0.0;
        for (uint b = w.block; b > 0u; b -= ROWS) {
            const uint from = b - ROWS;
            const float decay = exp_neg(gap);
            for (uint i = 0u; i < HALF; i++) {
                const uint j = row0() + i;
                stage[j * P_STRIDE + column()] =
                    m < push.M ? scratch[slot_at(w, push.wsuf, int(from + j) - int(w.block), m)] * decay : 0.0;
            }
            if (m < push.M) gap += scratch[push.total + (w.chunk * BLOCKS + from / ROWS) * gm() + w.g * push.M + m];
            barrier();
            const uint t = lane / ROWS, at = (from + lane % ROWS) * ROWS + t;
            precise float low = m0 > 0u ? pairs[at] : 0.0, high = m0 > 0u ? pairs[at + TEAM] : 0.0;
            for (uint i = 0u; i < min(WIDE, push.M - m0); i++) {
                const float wrote = stage[lane % ROWS * P_STRIDE + i];
                low = fma(weight[t * P_STRIDE + i], wrote, low);
                high = fma(weight[(t + TEAM) * P_STRIDE + i], wrote, high);
            }
            pairs[at] = low;
            pairs[at + TEAM] = high;
            barrier();
        }
        if (ONE_TILE) scale_by(exp_neg(gap));
    }

    [[unroll]] for (uint t0 = 0u; t0 < ROWS; t0 += TEAM) {
        [[unroll]] for (uint t = 0u; t < TEAM; t++) stage[t * GSA_MIXER_GROUP + lane] = inside[t0 + t];
        barrier();
        const uint j = lane % ROWS, t = lane / ROWS;
        float sum = stage[t * GSA_MIXER_GROUP + j * TEAM];
        for (uint i = 1u; i < TEAM; i++) sum += stage[t * GSA_MIXER_GROUP + j * TEAM + i];
        pairs[(w.block + j) * ROWS + t0 + t] = j <= t0 + t ? sum : 0.0;
        barrier();
    }
}

// With several tiles: p pre lead of a tile into weight.
void fetch_read_weights(where w, uint m0)
{
    const uint m = m0 + column();
    precise float lead = 0.0;
    fetch(w, m0);
    scale_by_row();
    if (m < push.M)
        for (uint b = w.block; b > 0u; b -= ROWS)
            lead += scratch[push.total + (w.chunk * BLOCKS + b / ROWS - 1u) * gm() + w.g * push.M + m];
    scale_by_pre(w, m, 1.0);
    scale_by(exp_neg(lead));
    barrier();
}

void read_values(where w)
{
    const uint start = push.start + (w.chunk * push.G + w.g) * (push.K + push.V) * push.M + push.K * push.M;

    for (uint v0 = 0u; v0 < push.V; v0 += WIDE) {
        const uint v = v0 + column();
        precise float sum[HALF];
        [[unroll]] for (uint i = 0u; i < HALF; i++) sum[i] = 0.0;

        for (uint m0 = 0u; m0 < push.M; m0 += WIDE) {
            if (!ONE_TILE) fetch_read_weights(w, m0);
            if (v < push.V)
                for (uint m = 0u; m < min(WIDE, push.M - m0); m++) {
                    const float h = scratch[start + (m0 + m) * push.V + v];
                    [[unroll]] for (uint i = 0u; i < HALF; i++)
                        sum[i] = fma(weight[(row0() + i) * P_STRIDE + m], h, sum[i]);
                }
        }
        for (uint j = 0u; j < w.block + w.n && v < push.V; j++) {
            const float value = x[x_at(w, j, push.v + w.g * push.V + v)];
            [[unroll]] for (uint i = 0u; i < HALF; i++) sum[i] = fma(pairs[j * ROWS + row0() + i], value, sum[i]);
        }
        [[unroll]] for (uint i = 0u; i < HALF; i++)
            if (v < push.V && row0() + i < w.n)
                o[push.o_offset + (w.row + w.block + row0() + i) * push.o_stride + w.h * push.V + v] = sum[i];
    }
}

void main()
{
    where w;
    w.chunk = gl_WorkGroupID.z;
    w.h = gl_WorkGroupID.y;
    w.g = w.h / push.R;
    w.block = gl_WorkGroupID.x * ROWS;
    const uint rows = work[chunk_entry(w.chunk) + 1u];
    if (w.block >= rows) return;
    w.n = min(ROWS, rows - w.block);
    w.row = work[chunk_entry(w.chunk)];
    w.local = w.chunk * push.chunk_rows + w.block;

    make_pairs(w);
    barrier();
    make_weights(w);
    make_values_weights(w);
    barrier();
    read_values(w);
}
