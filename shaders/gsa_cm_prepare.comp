// GSA for chunks of many rows on matrix units, first of four: q, k, v as f16, and the decays of a chunk (see
// gsa_chunk_gate.comp for what is summed how).
//
//   x       [rows, width] f32   columns q, k, v and g, s; with GSA_CM_MAPPED only g's, which hold f
//   work    chunks
//   scratch half, pre, keep, write, wsuf, wend, total, decay
//
// x = without GSA_CM_MAPPED workgroups that copy, GSA_CM_COPY_ROWS rows of 4 GSA_MIXER_GROUP columns each, then workgroups
// that own 32 columns of [G M], an invocation one of their four blocks; y = chunk.
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

const uint BLOCKS = GSA_CHUNK / GSA_BLOCK;
const uint COLUMNS = GSA_MIXER_GROUP / BLOCKS;

shared float total[GSA_MIXER_GROUP];
shared float decays[GSA_BLOCK * GSA_MIXER_GROUP]; // each invocation's own: an array would lie in slow memory

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
    [[unroll]] for (uint i = 0u; i < GSA_CM_COPY_ROWS; i++) {
        const uint t = group % steps * GSA_CM_COPY_ROWS + i;
        if (t >= rows) return;
        const vec4 a = clamp(x4[(push.x_offset + (row + t) * push.x_stride + from) / 4u], vec4(-65504.0), vec4(65504.0));
        scratch2[push.half_base / 2u + ((chunk * GSA_CHUNK + t) * push.half_stride + column) / 4u] =
            uvec2(packHalf2x16(a.xy), packHalf2x16(a.zw));
    }
}

// Log decay of local row t, 0 past the chunk's end, and the write strength that belongs to it.
float decay_of(uint t, uint from, uint rows)
{
    if (t >= rows) return 0.0;
    const float g = x[from + push.g];
    return is_mapped() ? log_decay(g, push.normalizer) : g;
}
float strength_of(uint t, uint from, uint rows, float g)
{
    if (t >= rows) return 0.0;
    return is_mapped() ? one_minus_exp(g) : x[from + push.s];
}

void gates(uint group, uint chunk, uint row, uint rows)
{
    const uint lane = gl_LocalInvocationIndex, block = lane / COLUMNS, gm = push.G * push.M;
    const uint n = group * COLUMNS + lane % COLUMNS, first = block * GSA_BLOCK, end = n < gm ? rows : 0u;
    const uint at = chunk * GSA_CHUNK * gm + n, column = push.x_offset + row * push.x_stride + n;
    precise float sum = 0.0;

    for (uint i = 0u; i < GSA_BLOCK; i++) {
        const uint t = first + i;
        const float g = decay_of(t, column + t * push.x_stride, end);
        decays[i * GSA_MIXER_GROUP + lane] = g;
        sum += g;
        if (n >= gm) continue;
        scratch[at + t * gm] = exp_neg(sum);
        scratch[push.table + at + t * gm] = exp_neg(g);
    }
    total[lane] = sum;
    barrier();
    if (n >= gm) return;

    precise float after = 0.0, all = 0.0;
    for (uint b = BLOCKS; b-- > 0u;) {
        const float of_block = total[b * COLUMNS + lane % COLUMNS];
        if (b > block) after += of_block;
        all += of_block;
    }
    const float to_end = exp_neg(after);
    const uint wsuf = 6u * push.table;
    sum = 0.0;
    for (uint i = GSA_BLOCK; i-- > 0u;) {
        const uint t = first + i;
        const float g = decays[i * GSA_MIXER_GROUP + lane], s = strength_of(t, column + t * push.x_stride, end, g);
        const float w = s * exp_neg(sum);
        scratch[2u * push.table + at + t * gm] = s;
        scratch16[wsuf + at + t * gm] = float16_t(w);
        scratch16[wsuf + push.table + at + t * gm] = float16_t(w * to_end);
        sum += g;
    }
    scratch[push.total + (chunk * BLOCKS + block) * gm + n] = total[lane];
    if (block == 0u) {
        const vec2 decay = decay_pair(all);
        scratch[push.decay + chunk * 2u * gm + n] = decay.x;
        scratch[push.decay + (chunk * 2u + 1u) * gm + n] = decay.y;
    }
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
