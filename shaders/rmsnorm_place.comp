// RMS norm of few rows, put into the order in which subgroups hold fragments of them: what rmsnorm_pack.comp does, with the
// same bits, spread over more cores.
//
//   x, w, y, dst   as for rmsnorm_pack.comp; the last block is filled up with rows of zeros
//
// A workgroup owns a row and an invocation EACH runs of four of its columns, GROUP runs apart, as in rmsnorm.comp: squares
// are summed in the order of that. Values are stored one by one, or by twos where neighbours of a row stay neighbours: where
// a fragment's elements lie is found out by a matrix of their numbers, while the row is on its way. Loads stand under no
// condition.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
layout(constant_id = 1) const uint EACH = 1u; // EACH GROUP runs of four columns cover a row
layout(constant_id = 2) const uint FRAG_R = 16u;
layout(constant_id = 3) const uint FRAG_K = 16u;
layout(constant_id = 4) const uint FLAGS = 0u; // those of the push constants, known as the kernel is compiled
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"
#include "common/reduce.glsl"

layout(push_constant) uniform Push { gsa_rmsnorm_pack_push push; };
#define NORM_FLAGS FLAGS
#include "common/norm.glsl"
layout(std430, set = 0, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, set = 0, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Y { uvec2 y[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Dst { float16_t dst[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Dst2 { uint dst2[]; };

shared float16_t numbers[FRAG_R * FRAG_K];
shared uint places[FRAG_R * FRAG_K];

REDUCE_DEFINE(group_sum, float, REDUCE_ADD)

void main()
{
    const uint t = grid_group(), lane = gl_LocalInvocationIndex;
    if (t >= push.n_blocks * 4u * FRAG_R) return;

    const uint from = push.x_offset + min(t, push.n_rows - 1u) * push.x_stride;
    vec4 a[EACH], factor[EACH];
    [[unroll]] for (uint e = 0u; e < EACH; e++) a[e] = x4[(from + min((lane + e * GROUP) * 4u, push.width - 4u)) / 4u];
    [[unroll]] for (uint e = 0u; e < EACH; e++)
        factor[e] = (FLAGS & GSA_NORM_WEIGHT) != 0u ? w4[min((lane + e * GROUP) * 4u, push.width - 4u) / 4u] : vec4(1.0);

    for (uint i = lane; i < FRAG_R * FRAG_K; i += GROUP) numbers[i] = float16_t(i);
    barrier();
    if (gl_SubgroupID == 0u) {
        coopmat<float16_t, gl_ScopeSubgroup, FRAG_R, FRAG_K, gl_MatrixUseA> m;
        coopMatLoad(m, numbers, 0u, FRAG_K, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint e = 0u; e < m.length(); e++) places[uint(m[e])] = gl_SubgroupInvocationID * m.length() + e;
    }
    barrier();
    const uint in_fragment = t % FRAG_R * FRAG_K + lane * 4u % FRAG_K; // the same in all runs
    uint place[4];
    [[unroll]] for (uint n = 0u; n < 4u; n++) place[n] = places[in_fragment + n];
    const bool by_twos = (place[0] | place[2]) % 2u == 0u && place[1] == place[0] + 1u && place[3] == place[2] + 1u;

    float squares = 0.0;
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        a[e] = norm_input((lane + e * GROUP) * 4u < push.width ? a[e] : vec4(0.0));
        squares += dot(a[e], a[e]);
    }
    const float scale = norm_scale(group_sum(squares));

    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint i = (lane + e * GROUP) * 4u;
        if (i >= push.n_frags * FRAG_K) continue;
        uvec2 q = norm_half(a[e] * scale * factor[e]);
        if (t < push.n_rows && i < push.width && (FLAGS & GSA_NORM_BOTH) != 0u)
            y[2u * (push.y_offset + t * push.y_stride) + i / 4u] = q;
        if (t >= push.n_rows || i >= push.width) q = uvec2(0u);
        const uint frag = (t / (4u * FRAG_R) * push.n_frags + i / FRAG_K) * 4u + t / FRAG_R % 4u;
        const uint to = frag * (FRAG_R * FRAG_K);
        if (by_twos)
            [[unroll]] for (uint n = 0u; n < 2u; n++) dst2[(to + place[2u * n]) / 2u] = q[n];
        else
            [[unroll]] for (uint n = 0u; n < 4u; n++) dst[to + place[n]] = unpackFloat2x16(q[n / 2u])[n % 2u];
    }
}
