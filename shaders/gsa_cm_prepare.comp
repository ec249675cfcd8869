// GSA for chunks of many rows on matrix units, first of three: q, k, v as f16, and the decays of a chunk (see
// gsa_chunk_gate.comp for what is summed how).
//
//   x       [rows, width] f32   columns q, k, v and g, s; with GSA_CM_MAPPED only g's, which hold f
//   work    chunks
//   scratch half, and the tables
//
// x = without GSA_CM_MAPPED workgroups that copy, GSA_CM_COPY_ROWS rows of 4 GSA_MIXER_GROUP columns each, then workgroups
// that own GSA_CM_COLUMNS columns of [G M]; y = chunk.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#include "common/push.h"
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_cm_push push; };
layout(local_size_x = GSA_MIXER_GROUP) in;
#include "common/exp.glsl"
#include "common/decay.glsl"
#include "common/gate.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Scratch2 { uvec2 scratch2[]; };
layout(std430, set = 0, binding = 2) writeonly buffer ScratchHalf { float16_t scratch16[]; };

const uint BLOCKS = GSA_CHUNK / GSA_BLOCK, COLUMNS = GSA_CM_COLUMNS;
const uint ITEMS = GSA_CHUNK * COLUMNS, EACH = ITEMS / GSA_MIXER_GROUP;

shared float gates_of[ITEMS];             // [t][column]: log decays
shared float until[ITEMS], later[ITEMS]; // their sums from the block's start through t, and after t to its end
shared float between[BLOCKS * BLOCKS * COLUMNS]; // [first][last][column]: exp of the sum over whole blocks first .. last
shared float decay[COLUMNS];

bool is_mapped()
{
    return (push.flags & GSA_CM_MAPPED) != 0u;
}

void copy(uint group, uint chunk, uint row, uint rows)
{
    const uint steps = GSA_CHUNK / GSA_CM_COPY_ROWS, n_q = push.R * push.G * push.K, n_k = push.G * push.K;
    const uint column = (group / steps * GSA_MIXER_GROUP + gl_LocalInvocationIndex) * 4u;
    if (column >= push.half_stride) return;
    const bool is_q = column < n_q, is_k = !is_q && column < n_q + n_k;
    const uint from = is_q ? push.q + column : is_k ? push.k + column - n_q : push.v + column - n_q - n_k;
    const uint t0 = group % steps * GSA_CM_COPY_ROWS;
    vec4 a[GSA_CM_COPY_ROWS];
    [[unroll]] for (uint i = 0u; i < GSA_CM_COPY_ROWS; i++)
        a[i] = x4[(push.x_offset + (row + min(t0 + i, max(rows, 1u) - 1u)) * push.x_stride + from) / 4u];
    [[unroll]] for (uint i = 0u; i < GSA_CM_COPY_ROWS; i++) {
        if (t0 + i >= rows) return;
        const vec4 b = clamp(a[i], vec4(-65504.0), vec4(65504.0));
        scratch2[push.half_base / 2u + ((chunk * GSA_CHUNK + t0 + i) * push.half_stride + column) / 4u] =
            uvec2(packHalf2x16(b.xy), packHalf2x16(b.zw));
    }
}

// Sum of g over blocks first .. last
float total(uint first, uint last, uint column)
{
    precise float sum = 0.0;
    [[unroll]] for (uint b = 0u; b < BLOCKS; b++)
        if (b >= first && b <= last) sum += until[(b * GSA_BLOCK + GSA_BLOCK - 1u) * COLUMNS + column];
    return sum;
}

// Rows past the chunk's end keep everything and write nothing.
void gates(uint group, uint chunk, uint row, uint rows)
{
    const uint lane = gl_LocalInvocationIndex, column = lane % COLUMNS, n = group * COLUMNS + column, gm = push.G * push.M;
    const uint from = push.x_offset + row * push.x_stride + n, first = lane / COLUMNS, step = GSA_MIXER_GROUP / COLUMNS;
    float g[EACH], s[EACH];
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint at = from + min(first + e * step, max(rows, 1u) - 1u) * push.x_stride; // under no condition: all at once
        g[e] = x[at + push.g];
        if (!is_mapped()) s[e] = x[at + push.s];
    }
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        if (is_mapped()) {
            g[e] = log_decay(g[e], push.normalizer);
            s[e] = one_minus_exp(g[e]);
        }
        if (first + e * step >= rows) g[e] = s[e] = 0.0;
        gates_of[lane + e * GSA_MIXER_GROUP] = g[e];
    }
    barrier();

    // One half of the invocations follow the blocks' columns from their starts, the other from their ends.
    const uint block = lane % (BLOCKS * COLUMNS) / COLUMNS * GSA_BLOCK;
    precise float sum = 0.0;
    if (lane < BLOCKS * COLUMNS) {
        [[unroll]] for (uint i = 0u; i < GSA_BLOCK; i++) {
            sum += gates_of[(block + i) * COLUMNS + column];
            until[(block + i) * COLUMNS + column] = sum;
        }
    } else {
        [[unroll]] for (uint i = GSA_BLOCK; i-- > 0u;) {
            later[(block + i) * COLUMNS + column] = sum;
            sum += gates_of[(block + i) * COLUMNS + column];
        }
    }
    barrier();
    [[unroll]] for (uint e = 0u; e < BLOCKS * BLOCKS * COLUMNS / GSA_MIXER_GROUP; e++) {
        const uint i = lane + e * GSA_MIXER_GROUP, pair = i / COLUMNS;
        const float all = total(pair / BLOCKS, pair % BLOCKS, column);
        between[i] = exp_neg(all);
        if (pair != BLOCKS - 1u) continue;
        const vec2 pair_of_all = decay_pair(all);
        decay[column] = pair_of_all.x > 0.0 ? min(pair_of_all.y, -1e-37) : pair_of_all.y;
    }
    barrier();

    const uint wend = 6u * push.table, after = 7u * push.table;
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint t = first + e * step, b = t / GSA_BLOCK, at = (chunk * GSA_CHUNK + t) * gm + n;
        const uint item = lane + e * GSA_MIXER_GROUP;
        const float wrote = s[e] * exp_neg(later[item]);
        scratch[at] = exp_neg(until[item]);
        scratch[push.table + at] = exp_neg(g[e]);
        scratch[2u * push.table + at] = s[e];
        const float to_end = b + 1u < BLOCKS ? between[((b + 1u) * BLOCKS + BLOCKS - 1u) * COLUMNS + column] : 1.0;
        scratch16[wend + at] = float16_t(wrote * to_end);
        [[unroll]] for (uint to = 1u; to < BLOCKS; to++) {
            if (to <= b) continue;
            const float gap = to > b + 1u ? between[((b + 1u) * BLOCKS + to - 1u) * COLUMNS + column] : 1.0;
            const uint row_at = (chunk * 6u + to * (to - 1u) / 2u + b) * GSA_BLOCK + t % GSA_BLOCK;
            scratch16[after + row_at * gm + n] = float16_t(wrote * gap);
        }
    }
    if (lane < BLOCKS * COLUMNS)
        scratch[push.lead + (chunk * BLOCKS + first) * gm + n] = first > 0u ? between[(first - 1u) * COLUMNS + column] : 1.0;
    [[unroll]] for (uint e = 0u; e < GSA_BLOCK / step; e++)
        scratch[push.decay + (chunk * GSA_BLOCK + first + e * step) * gm + n] = decay[column];
}

void main()
{
    const uint chunk = gl_WorkGroupID.y, entry = push.chunks + GSA_WORK_STRIDE * chunk;
    const uint row = work[entry], rows = work[entry + 1u];
    const uint copies = is_mapped() ? 0u : (push.half_stride / 4u + GSA_MIXER_GROUP - 1u) / GSA_MIXER_GROUP * (GSA_CHUNK / GSA_CM_COPY_ROWS);
    if (gl_WorkGroupID.x < copies)
        copy(gl_WorkGroupID.x, chunk, row, rows);
    else
        gates(gl_WorkGroupID.x - copies, chunk, row, rows);
}
