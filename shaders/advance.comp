// Between two tokens of one submission: what the host would do with the chosen token before it asks for the next one.
// The draw is counted, the token joins the recent ones, and after a stop id the row's chunk is emptied, so that later
// passes leave its state alone.
//
//   table  the work table: parameters of the rows at push.params, chunks at push.chunks; row t is chunk t
//   tokens [n_rows] as chosen
//
// A workgroup owns a row.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"

layout(push_constant) uniform Push { gsa_advance_push push; };
layout(std430, set = 0, binding = 0) buffer Table { uint table[]; };
layout(std430, set = 0, binding = 1) readonly buffer Tokens { uint tokens[]; };

const uint HELD = GSA_SAMPLE_MAX_RECENT / 128u;

void main()
{
    const uint t = grid_group(), lane = gl_LocalInvocationIndex;
    if (t >= push.n_rows) return;

    const uint at = push.params + t * GSA_SAMPLE_STRIDE, recent = at + GSA_SAMPLE_RECENT;
    const uint window = min(table[at + GSA_SAMPLE_WINDOW], GSA_SAMPLE_MAX_RECENT), token = tokens[t];
    uint held[HELD];
    for (uint i = 0u; i < HELD; i++) held[i] = table[recent + lane + i * 128u];
    barrier();
    for (uint i = 0u; i < HELD; i++) {
        const uint to = lane + i * 128u + 1u;
        if (to < window) table[recent + to] = held[i];
    }
    if (lane != 0u) return;
    if (window > 0u) table[recent] = token;
    table[at + GSA_SAMPLE_N_RECENT] = min(table[at + GSA_SAMPLE_N_RECENT] + 1u, window);
    const uint draws = table[at + GSA_SAMPLE_DRAW_LO] + 1u;
    table[at + GSA_SAMPLE_DRAW_LO] = draws;
    if (draws == 0u) table[at + GSA_SAMPLE_DRAW_HI] += 1u;
    const uint n_stops = min(table[at + GSA_SAMPLE_N_STOP], GSA_SAMPLE_MAX_STOP);
    for (uint i = 0u; i < n_stops; i++)
        if (table[at + GSA_SAMPLE_STOP + i] == token) table[push.chunks + t * GSA_WORK_STRIDE + 1u] = 0u;
}
