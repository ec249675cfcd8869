// A weight matrix times a few vectors: y[t, n] (+)= sum_c x[t, c] w[n, c] for COLUMNS tokens t at most.
//
//   weights [rows][row_vecs] 16-byte vectors   rows first_row .. first_row + n_rows - 1 of a part
//   x       [n_tokens, width] f32              finite up to the next multiple of four columns
//   y       [n_tokens, n_rows] f32             added to with push.accumulate
//
// A team of lanes owns ROWS weight rows: lane l multiplies vectors l, l + lanes, .. in this order, four running sums per
// output, then the lanes' sums are added. A team is SPLIT subgroups (of any size) with SUBGROUP, else LANES invocations
// that meet in shared memory. The bits of an output depend neither on the other tokens nor on ROWS, COLUMNS or UNROLL:
// its sums take the same fused steps in the same order, and steps past the end add nothing.
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
#ifdef SUBGROUP
layout(constant_id = 4) const uint SPLIT = 1u; // subgroups of a team; above 1 all subgroups are full
#else
layout(constant_id = 4) const uint LANES = 32u; // of a team
#endif
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"

layout(push_constant) uniform Push { gsa_matmul_push push; };
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };

#ifdef SUBGROUP
shared float part[COLUMNS * ROWS * GROUP / 4u]; // no subgroup is smaller than 4
#else
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
    const uint subgroup_lane = subgroupBallotExclusiveBitCount(active_lanes);
    const uint lanes = subgroupBallotBitCount(active_lanes) * SPLIT;
    const uint share = gl_SubgroupID % SPLIT;
    const uint lane = share * (lanes / SPLIT) + subgroup_lane;
    const uint team = gl_SubgroupID / SPLIT, teams = max(gl_NumSubgroups / SPLIT, 1u);
#else
    const uint lanes = LANES, lane = gl_LocalInvocationIndex % LANES;
    const uint team = gl_LocalInvocationIndex / LANES, teams = GROUP / LANES;
#endif
    const uint first = grid_group() * push.rows_per_group;

    // The caller makes rows_per_group = teams * ROWS: one turn, unless a driver makes other subgroups than it said.
    for (uint turn = 0u; turn < push.rows_per_group; turn += teams * ROWS) {
        const uint local = turn + team * ROWS;
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
                const uint s = r * COLUMNS + c;
                precise const float lane_sum = (sum[s].x + sum[s].y) + (sum[s].z + sum[s].w);
                precise const float total = subgroupAdd(lane_sum);
                const uint row = first + local + r;
                if (subgroup_lane != 0u) continue;
                if (SPLIT > 1u) {
                    part[gl_SubgroupID * ROWS * COLUMNS + s] = total;
                } else if (c < push.n_tokens && local + r < push.rows_per_group && row < push.n_rows) {
                    store(c, row, total);
                }
            }
        if (SPLIT > 1u) {
            barrier();
            for (uint i = gl_LocalInvocationIndex; i < teams * ROWS * COLUMNS; i += GROUP) {
                const uint of_team = i / (ROWS * COLUMNS), s = i % (ROWS * COLUMNS);
                const uint t = s % COLUMNS, in_group = turn + of_team * ROWS + s / COLUMNS, row = first + in_group;
                if (t >= push.n_tokens || in_group >= push.rows_per_group || row >= push.n_rows) continue;
                precise float total = 0.0;
                for (uint j = 0u; j < SPLIT; j++) total += part[(of_team * SPLIT + j) * ROWS * COLUMNS + s];
                store(t, row, total);
            }
            barrier();
        }
#else
        [[unroll]] for (uint i = 0u; i < ROWS * COLUMNS; i++) {
            precise const float lane_sum = (sum[i].x + sum[i].y) + (sum[i].z + sum[i].w);
            part[i * GROUP + gl_LocalInvocationIndex] = lane_sum;
        }
        barrier();
        for (uint out_i = gl_LocalInvocationIndex; out_i < teams * ROWS * COLUMNS; out_i += GROUP) {
            const uint s = out_i / teams, of_team = out_i % teams;
            const uint t = s % COLUMNS, row = first + turn + of_team * ROWS + s / COLUMNS;
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
