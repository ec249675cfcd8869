// Repeat penalty, rule 1 of gsa/sampler.h: the logit of each recent token is divided by the penalty when positive, else
// multiplied. Applied once however often the token occurs, in place, before sample.comp.
//
//   params [n_rows][GSA_SAMPLE_STRIDE] words at push.params
//   x      [n_rows, n_vocab] f32
//
// A workgroup owns a row, an invocation recent tokens 128 apart.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"

layout(push_constant) uniform Push { gsa_pick_push push; };
layout(std430, set = 0, binding = 0) readonly buffer Params { uint params[]; };
layout(std430, set = 0, binding = 1) buffer X { float x[]; };

void main()
{
    const uint t = grid_group();
    if (t >= push.n_rows) return;

    const uint at = push.params + t * GSA_SAMPLE_STRIDE;
    const float penalty = uintBitsToFloat(params[at + GSA_SAMPLE_PENALTY]);
    if (!(penalty > 0.0) || penalty == 1.0) return;

    const uint n_recent = min(params[at + GSA_SAMPLE_N_RECENT], GSA_SAMPLE_MAX_RECENT);
    for (uint i = gl_LocalInvocationIndex; i < n_recent; i += gl_WorkGroupSize.x) {
        const uint token = params[at + GSA_SAMPLE_RECENT + i];
        bool first = token < push.n_vocab;
        for (uint j = 0u; j < i && first; j++) first = params[at + GSA_SAMPLE_RECENT + j] != token;
        if (!first) continue;

        const uint to = push.x_offset + t * push.x_stride + token;
        const float value = x[to];
        x[to] = value > 0.0 ? value / penalty : value * penalty;
    }
}
