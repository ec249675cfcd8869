// A session's state, copied to a spare place before the resident step changes it: layer y, whose first slot the list of
// phases knows (common/resident.h).
//
//   phases  the list                     work    the row's chunk: an empty one has nothing to keep
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
layout(local_size_x = 128) in;
#include "common/resident.h"
layout(push_constant) uniform Push { gsa_resident_keep_push push; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Vecs { uvec4 v[]; };
layout(std430, set = 0, binding = 0) readonly buffer Phases { uint phases[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };

void main()
{
    const uint layer = gl_WorkGroupID.y, at = push.first + layer * GSA_RESIDENT_LAYER;
    if (work[push.chunk + 1u] == 0u) return;
    Vecs state = Vecs(uvec2(phases[at], phases[at + 1u])), spare = Vecs(uvec2(push.spare_lo, push.spare_hi));
    const uint slot = work[push.chunk + 2u] * push.n_vecs;
    for (uint i = gl_GlobalInvocationID.x; i < push.n_vecs; i += gl_NumWorkGroups.x * gl_WorkGroupSize.x)
        spare.v[layer * push.n_vecs + i] = state.v[slot + i];
}
