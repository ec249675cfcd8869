// GSA for chunks of many rows, first of three: decays of a chunk, slot by slot.
//   in blocks of GSA_BLOCK rows: pre[t] = exp(sum of g from the block's start through t),
//   wsuf[t] = s[t] exp(sum of g after t to the block's end), total[block] = sum of g over the block;
//   wend[t] = s[t] exp(sum of g after t to the chunk's end), decay = the whole chunk's, as a pair
//
//   x       [rows, width] f32   columns s, g [G M]
//   work    spans and chunks
//   scratch pre, wsuf, wend, total, decay
//
// Sums are of the terms themselves, never differences of long sums: a gate of -50 must not cost its neighbours their
// digits. A workgroup owns 32 columns of [G M] of one chunk, an invocation one of its four blocks: x = columns,
// y = chunk.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_chunk_push push; };
#include "common/mixer.glsl"
#include "common/exp.glsl"
#include "common/decay.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Scratch { float scratch[]; };

const uint BLOCKS = GSA_CHUNK / GSA_BLOCK;
const uint COLUMNS = GSA_MIXER_GROUP / BLOCKS;

shared float total[GSA_MIXER_GROUP];

void main()
{
    const uint lane = gl_LocalInvocationIndex, block = lane / COLUMNS;
    const uint n = gl_WorkGroupID.x * COLUMNS + lane % COLUMNS;
    const uint chunk = gl_WorkGroupID.y, rows = work[chunk_entry(chunk) + 1u];
    const uint begin = min(block * GSA_BLOCK, rows), end = min(begin + GSA_BLOCK, rows);
    const uint first = push.x_offset + work[chunk_entry(chunk)] * push.x_stride + n;
    const uint local = chunk * push.chunk_rows * gm() + n;
    precise float sum = 0.0;

    if (n < gm())
        for (uint t = begin; t < end; t++) {
            sum += x[first + t * push.x_stride + push.g];
            scratch[local + t * gm()] = exp_neg(sum);
        }
    total[lane] = sum;
    barrier();
    if (n >= gm()) return;

    precise float after = 0.0, all = 0.0;
    for (uint b = BLOCKS; b-- > 0u;) {
        const float of_block = total[b * COLUMNS + lane % COLUMNS];
        if (b > block) after += of_block;
        all += of_block;
    }
    const float to_end = exp_neg(after);

    sum = 0.0;
    for (uint t = end; t-- > begin;) {
        const float w = x[first + t * push.x_stride + push.s] * exp_neg(sum);
        scratch[push.wsuf + local + t * gm()] = w;
        scratch[push.wend + local + t * gm()] = w * to_end;
        sum += x[first + t * push.x_stride + push.g];
    }

    scratch[push.total + (chunk * BLOCKS + block) * gm() + n] = total[lane];
    if (block == 0u) {
        const vec2 decay = decay_pair(all);
        scratch[push.decay + (chunk * 2u) * gm() + n] = decay.x;
        scratch[push.decay + (chunk * 2u + 1u) * gm() + n] = decay.y;
    }
}
