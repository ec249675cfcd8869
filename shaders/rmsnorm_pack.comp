// RMS norm of rows, put into the order in which subgroups hold fragments of them: rmsnorm.comp with HALF, then
// matmul_pack.comp with TOKENS, in one, with the same bits.
//
//   x      [n_rows, width] f32
//   w      [width] f32                                              read with GSA_NORM_WEIGHT, else all ones
//   y      [n_rows, width] f16 as 16-byte vectors                   with GSA_NORM_BOTH the rows once more, as they come
//   dst    [n_blocks][n_frags][4][lanes][lane_vecs] 16-byte vectors of f16, a block of four fragments' rows
//
// A workgroup owns a fragment's rows. First the squares of whole rows are
// summed, ROWS rows by GROUP invocations, as rmsnorm has it: by lane over runs of 4 GROUP columns, then over lanes. Then
// the rows are read again, from cache, in runs of RUN columns: scaled, put into shared memory, loaded from there as
// matrices, and each lane stores what it has got. The next run is on its way meanwhile. Whatever is loaded is asked for
// before anything is done with it, and no condition stands between.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 512u; // FRAG_R / ROWS times GROUP
layout(constant_id = 1) const uint GROUP = 128u;
layout(constant_id = 2) const uint EACH = 1u; // as of rmsnorm: EACH GROUP runs of four columns cover a row
layout(constant_id = 3) const uint FRAG_R = 16u;
layout(constant_id = 4) const uint FRAG_K = 16u;
layout(constant_id = 5) const uint LANES = 32u; // of a subgroup
#include "common/push.h"
#include "common/grid.glsl"
#include "common/act.glsl"
#include "common/reduce.glsl"

layout(push_constant) uniform Push { gsa_rmsnorm_pack_push push; };
#include "common/norm.glsl"
layout(std430, set = 0, binding = 0) readonly buffer X4 { vec4 x4[]; };
layout(std430, set = 0, binding = 1) readonly buffer W4 { vec4 w4[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Y { uvec4 y[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Dst { uvec4 dst[]; };

const uint ROWS = 4u, AHEAD = EACH < 4u ? EACH : 4u; // loads of an invocation in flight: AHEAD of each row
const uint RUN = 512u, VECS = RUN / 8u, PITCH = VECS + 1u; // odd, so that neighbouring rows lie in different banks
const uint APART = THREADS / VECS, HELD = FRAG_R / APART;  // rows of an invocation
const uint FRAGS = RUN / FRAG_K, FRAG_VECS = FRAG_R * FRAG_K / 8u, LANE_VECS = FRAG_VECS / LANES;

shared uvec4 tile[FRAG_R * PITCH];
REDUCE_ROWS_DEFINE(row_sums, float, REDUCE_ADD, FRAG_R)

vec4 held[2u * HELD], factor[2u]; // of the next run
#define FRAG coopmat<float16_t, gl_ScopeSubgroup, FRAG_R, FRAG_K, gl_MatrixUseA>

// Behind the last row and column the last ones are read, for nothing.
vec4 x_at(uint row, uint column)
{
    const uint from = push.x_offset + min(row, push.n_rows - 1u) * push.x_stride;
    return x4[(from + min(column, push.width - 4u)) / 4u];
}

void fetch(uint first_row, uint at)
{
    [[unroll]] for (uint n = 0u; n < 2u; n++) {
        const uint column = at * 8u + n * 4u;
        [[unroll]] for (uint r = 0u; r < HELD; r++) held[2u * r + n] = x_at(first_row + r * APART, column);
        factor[n] = (push.flags & GSA_NORM_WEIGHT) != 0u ? w4[min(column, push.width - 4u) / 4u] : vec4(1.0);
    }
}

void main()
{
    const uint fragment_row = grid_group();
    if (fragment_row >= 4u * push.n_blocks) return;

    const uint team = gl_LocalInvocationIndex / GROUP * ROWS, lane = gl_LocalInvocationIndex % GROUP;
    float squares[ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++) squares[r] = 0.0;
    for (uint e = 0u; e < EACH; e += AHEAD) {
        vec4 a[ROWS * AHEAD];
        [[unroll]] for (uint i = 0u; i < ROWS * AHEAD; i++)
            a[i] = x_at(fragment_row * FRAG_R + team + i / AHEAD, (lane + (e + i % AHEAD) * GROUP) * 4u);
        [[unroll]] for (uint i = 0u; i < ROWS * AHEAD; i++) {
            const bool is_there = (lane + (e + i % AHEAD) * GROUP) * 4u < push.width;
            const vec4 b = norm_input(is_there ? a[i] : vec4(0.0));
            squares[i / AHEAD] += dot(b, b);
        }
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++) row_sums_part[(team + r) * REDUCE_PITCH + lane] = squares[r];

    const uint row = gl_LocalInvocationIndex / VECS, column = gl_LocalInvocationIndex % VECS;
    const uint first_row = fragment_row * FRAG_R + row, first = (fragment_row / 4u * push.n_frags * 4u + fragment_row % 4u);
    const uint n_runs = (push.n_frags + FRAGS - 1u) / FRAGS;
    fetch(first_row, column); // on its way while the squares are summed
    row_sums();
    float scale[HELD];
    [[unroll]] for (uint r = 0u; r < HELD; r++) scale[r] = norm_scale(row_sums_part[(row + r * APART) * REDUCE_PITCH]);

    for (uint run = 0u; run < n_runs; run++) {
        const uint at = run * VECS + column;
        [[unroll]] for (uint r = 0u; r < HELD; r++) {
            const uint t = first_row + r * APART;
            const bool is_there = t < push.n_rows && at * 8u < push.width;
            uvec4 q;
            q.xy = norm_half(norm_input(held[2u * r]) * scale[r] * factor[0]);
            q.zw = norm_half(norm_input(held[2u * r + 1u]) * scale[r] * factor[1]);
            if (!is_there) q = uvec4(0u);
            tile[(row + r * APART) * PITCH + column] = q;
            if (is_there && (push.flags & GSA_NORM_BOTH) != 0u) y[push.y_offset + t * push.y_stride + at] = q;
        }
        barrier();
        fetch(first_row, at + VECS);
        for (uint f = gl_SubgroupID; f < FRAGS && run * FRAGS + f < push.n_frags; f += THREADS / LANES) {
            FRAG m;
            coopMatLoad(m, tile, f * FRAG_K / 8u, PITCH, gl_CooperativeMatrixLayoutRowMajor);
            const uint to = (first + (run * FRAGS + f) * 4u) * FRAG_VECS + gl_SubgroupInvocationID * LANE_VECS;
            [[unroll]] for (uint v = 0u; v < LANE_VECS; v++) {
                uvec4 q;
                [[unroll]] for (uint i = 0u; i < 4u; i++)
                    q[i] = packFloat2x16(f16vec2(m[v * 8u + 2u * i], m[v * 8u + 2u * i + 1u]));
                dst[to + v] = q;
            }
        }
        barrier();
    }
}
