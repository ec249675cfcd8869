// A weight matrix times a few vectors: y[t, n] (+)= sum_c x[t, c] w[n, c] for COLUMNS tokens t at most.
//
//   weights [rows][row_vecs] 16-byte vectors   rows first_row .. first_row + n_rows - 1 of a part
//   x       [n_tokens, width] f32              finite up to the next multiple of four columns
//   y       [n_tokens, n_rows] f32             added to with push.accumulate
//
// A team of lanes owns ROWS weight rows: lane l multiplies vectors l, l + lanes, .. in this order, four running sums per
// output, then the lanes' sums are added. A team is a subgroup (any size) with SUBGROUP, else LANES invocations that
// meet in shared memory. The bits of an output depend neither on the other tokens nor on ROWS, COLUMNS or UNROLL: its
// sums take the same fused steps in the same order, and steps past the end add nothing.
//
// Weight padding is zero, and x is read again at its last vector there, so that padding meets finite values.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
layout(constant_id = 1) const uint COLUMNS = 1u;
layout(constant_id = 2) const uint ROWS = 1u;
layout(constant_id = 3) const uint UNROLL = 1u; // 16-byte loads in flight per row and lane
layout(constant_id = 4) const uint LANES = 32u; // of a team; not with SUBGROUP
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"

layout(push_constant) uniform Push { gsa_matmul_push push; };
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };

#ifndef SUBGROUP
shared float part[COLUMNS * ROWS * GROUP];
#endif

void store(uint t, uint row, float sum)
{
    const uint at = push.y_offset + t * push.y_stride + row;
    y[at] = push.accumulate != 0u ? y[at] + sum : sum;
}

void main()
{
#ifdef SUBGROUP
    // Counted rather than taken from gl_SubgroupSize: right even if the driver splits a workgroup unevenly.
    const uvec4 active_lanes = subgroupBallot(true);
    const uint lanes = subgroupBallotBitCount(active_lanes);
    const uint lane = subgroupBallotExclusiveBitCount(active_lanes);
    const uint team = gl_SubgroupID, teams = gl_NumSubgroups;
#else
    const uint lanes = LANES, lane = gl_LocalInvocationIndex % LANES;
    const uint team = gl_LocalInvocationIndex / LANES, teams = GROUP / LANES;
#endif
    const uint first = grid_group() * push.rows_per_group;

    // Without SUBGROUP the caller makes rows_per_group = teams * ROWS: one turn, the same for all.
    for (uint local = team * ROWS; local < push.rows_per_group; local += teams * ROWS) {
        uint from[ROWS];
        precise vec4 sum[ROWS * COLUMNS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            from[r] = (push.first_row + min(first + local + r, push.n_rows - 1u)) * push.row_vecs;
        [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) sum[i] = vec4(0.0);

        for (uint i = lane; i < push.row_vecs; i += lanes * UNROLL) {
            uvec4 words[UNROLL * ROWS];
            [[unroll]] for (uint u = 0u; u < UNROLL; u++)
                [[unroll]] for (uint r = 0u; r < ROWS; r++)
                    words[u * ROWS + r] =
                        i + u * lanes < push.row_vecs ? weights[from[r] + i + u * lanes] : uvec4(0u);

            [[unroll]] for (uint u = 0u; u < UNROLL; u++)
                [[unroll]] for (uint v = 0u; v < WEIGHT_VECS; v++) {
                    const uint at = min((i + u * lanes) * WEIGHT_VECS + v, push.x_vecs - 1u);
                    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                        const uint t = min(c, push.n_tokens - 1u);
                        const vec4 xs = x[push.x_offset + t * push.x_stride + at];
                        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                            const uint s = r * COLUMNS + c;
                            sum[s] = fma(weight_vec4(words[u * ROWS + r], v), xs, sum[s]);
                        }
                    }
                }
        }

#ifdef SUBGROUP
        [[unroll]] for (uint r = 0u; r < ROWS; r++)
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                precise float lane_sum = (sum[r * COLUMNS + c].x + sum[r * COLUMNS + c].y) +
                    (sum[r * COLUMNS + c].z + sum[r * COLUMNS + c].w);
                precise const float total = subgroupAdd(lane_sum);
                const uint row = first + local + r;
                if (lane == 0u && c < push.n_tokens && local + r < push.rows_per_group && row < push.n_rows)
                    store(c, row, total);
            }
#else
        [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) {
            precise const float lane_sum = (sum[i].x + sum[i].y) + (sum[i].z + sum[i].w);
            part[i * GROUP + gl_LocalInvocationIndex] = lane_sum;
        }
        barrier();
        for (uint out_i = gl_LocalInvocationIndex; out_i < teams * ROWS * COLUMNS; out_i += GROUP) {
            const uint s = out_i / teams, of_team = out_i % teams;
            const uint t = s % COLUMNS, row = first + of_team * ROWS + s / COLUMNS;
            if (t >= push.n_tokens || row >= push.n_rows) continue;
            precise vec4 total = vec4(0.0);
            for (uint l = 0u; l < LANES; l += 4u) {
                const uint at = s * GROUP + of_team * LANES + l;
                total += vec4(part[at], part[at + 1u], part[at + 2u], part[at + 3u]);
            }
            store(t, row, (total.x + total.y) + (total.z + total.w));
        }
#endif
    }
}
