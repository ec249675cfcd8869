// Embedding: x[t] = row ids[t] of one part of the embedding matrix; ids outside the part are left alone, so that one
// dispatch per part fills all rows.
//
//   weights [n_rows][row_vecs] 16-byte vectors   the part
//   work    ids at push.ids                      work table
//   x       [n_tokens, width] f32                written where the id lies in the part
//
// An invocation owns four columns of one token. The caller has checked the ids against the vocabulary.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"

layout(push_constant) uniform Push { gsa_embed_push push; };
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

    const uint vec = thread - t * quads, column = vec * 4u;
    // A row's padding reaches 16 bytes: four columns never leave it.
    const vec4 v = weight_four(weight_load_four(row * push.row_vecs, weight_units(quads), vec));
    const uint to = push.x_offset + t * push.x_stride + column;
    const uint n = min(4u, push.width - column);
    for (uint i = 0u; i < n; i++) x[to + i] = v[i];
}
