// Embedding: x[t] = row ids[t] of one part of the embedding matrix; ids outside the part are left alone, so that one
// dispatch per part fills all rows.
//
//   weights [n_rows][row_words] words    the part; rows zero-padded to 16 bytes, or blocks (weight_blocks.glsl)
//   work    ids at push.ids              work table
//   x       [n_tokens, width] f32        written where the id lies in the part
//
// An invocation owns four columns of one token. The caller has checked the ids against the vocabulary.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"

layout(push_constant) uniform Push { gsa_embed_push push; };
#if !defined(WEIGHT_BLOCKS)
layout(std430, set = 0, binding = 0) readonly buffer Weights { uint weights[]; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) writeonly buffer X { float x[]; };

void main()
{
    const uint quads = (push.width + 3u) / 4u;
    const uint thread = grid_thread();
    const uint t = thread / quads;
    if (t >= push.n_tokens) return;

    const uint row = work[push.ids + t] - push.first_row; // wraps to a large number below the part
    if (row >= push.n_rows) return;

    const uint column = (thread - t * quads) * 4u;
#if defined(WEIGHT_BLOCKS)
    const vec4 v = weight_four(weight_load_four(row * (push.row_words / 4u), weight_units(quads), column / 4u));
#else
    const uint at = row * push.row_words + column / WEIGHT_PER_WORD;
    // A row's padding reaches 16 bytes: words of four columns never leave it.
#if defined(WEIGHT_F32)
    const vec4 v = uintBitsToFloat(uvec4(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]));
#else
    const vec4 v = vec4(weight_pair(weights[at]), weight_pair(weights[at + 1u]));
#endif
#endif
    const uint to = push.x_offset + t * push.x_stride + column;
    const uint n = min(4u, push.width - column);
    for (uint i = 0u; i < n; i++) x[to + i] = v[i];
}
