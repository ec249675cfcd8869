// RMSNorm, a weight matrix and what follows it, for a few vectors at once:
//   z[t, n] = sum_c rms(x)[t, c] w[n, c],   rms(x)[t, c] = x[t, c] norm[c] / sqrt(mean_c x[t, c]^2 + eps)
//   y[t, n] (+)= z[t, n],   or with SWIGLU  y[t, n] = act(z[t, n]) z[t, n + up_rows]
//
//   weights [rows][row_vecs] 16-byte vectors   of one part
//   x       [n_tokens, width] f32              width a multiple of 4
//   y       [n_tokens, n_rows] f32
//   norm    [width] f32                        read with push.weighted only
//
// As matvec.comp: a team of SPLIT subgroups owns ROWS outputs, a lane takes every lanes-th vector, four running sums per
// output. The root is a factor of the whole row, so the lanes sum x^2 on the way and the norm costs no pass of its own
// and no barrier. The bits of an output depend neither on the other tokens nor on ROWS, COLUMNS or UNROLL.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
layout(constant_id = 1) const uint COLUMNS = 1u;
layout(constant_id = 2) const uint ROWS = 1u;
layout(constant_id = 3) const uint UNROLL = 1u; // 16-byte loads in flight per row and lane
layout(constant_id = 4) const uint SPLIT = 1u;  // subgroups of a team; above 1 all subgroups are full
layout(constant_id = 5) const bool SWIGLU = false;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"
#include "common/act.glsl"

layout(push_constant) uniform Push { gsa_norm_matvec_push push; };
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };
layout(std430, set = 0, binding = 3) readonly buffer Norm { vec4 norm[]; };

const uint PER = SWIGLU ? 2u : 1u;             // weight rows behind an output
const uint PRODUCTS = ROWS * PER * COLUMNS;    // of a team, [row][gate, up][token]
const uint SUMS = PRODUCTS + COLUMNS;          // then the squares of each token

shared float part[SUMS * GROUP / 4u]; // no subgroup is smaller than 4

float root_factor(float squares)
{
    return 1.0 / sqrt(squares / float(push.width) + push.eps);
}

void finish(uint t, uint row, float gate, float up, float squares)
{
    const uint at = push.y_offset + t * push.y_stride + row;
    const float factor = root_factor(squares);
    precise const float z = gate * factor;
    if (SWIGLU) {
        y[at] = ffn_act(z, push.act) * (up * factor);
    } else {
        y[at] = push.accumulate != 0u ? y[at] + z : z;
    }
}

void main()
{
    // Counted rather than taken from gl_SubgroupSize: right even if the driver splits a workgroup unevenly.
    const uvec4 active_lanes = subgroupBallot(true);
    const uint subgroup_lane = subgroupBallotExclusiveBitCount(active_lanes);
    const uint lanes = subgroupBallotBitCount(active_lanes) * SPLIT;
    const uint share = gl_SubgroupID % SPLIT;
    const uint lane = share * (lanes / SPLIT) + subgroup_lane;
    const uint team = gl_SubgroupID / SPLIT, teams = max(gl_NumSubgroups / SPLIT, 1u);
    const uint first = grid_group() * push.rows_per_group;

    // The caller makes rows_per_group = teams * ROWS: one turn, unless a driver makes other subgroups than it said.
    for (uint turn = 0u; turn < push.rows_per_group; turn += teams * ROWS) {
        const uint local = turn + team * ROWS;
        uint from[ROWS * PER];
        precise vec4 sum[PRODUCTS], squares[COLUMNS];
        [[unroll]] for (uint r = 0u; r < ROWS * PER; r++)
            from[r] = (push.first_row + min(first + local + r / PER, push.n_rows - 1u) + r % PER * push.up_rows) *
                      push.row_vecs;
        [[unroll]] for (uint i = 0u; i < PRODUCTS; i++) sum[i] = vec4(0.0);
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) squares[c] = vec4(0.0);

        for (uint i = lane; i < push.row_vecs; i += lanes * UNROLL) {
            uvec4 words[UNROLL * ROWS * PER];
            [[unroll]] for (uint u = 0u; u < UNROLL; u++)
                [[unroll]] for (uint r = 0u; r < ROWS * PER; r++)
                    words[u * ROWS * PER + r] =
                        i + u * lanes < push.row_vecs ? weights[from[r] + i + u * lanes] : uvec4(0u);

            [[unroll]] for (uint u = 0u; u < UNROLL; u++)
                [[unroll]] for (uint v = 0u; v < WEIGHT_VECS; v++) {
                    const uint wanted = (i + u * lanes) * WEIGHT_VECS + v, at = min(wanted, push.x_vecs - 1u);
                    const vec4 scale = push.weighted != 0u ? norm[at] : vec4(1.0);
                    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                        const uint t = min(c, push.n_tokens - 1u);
                        const vec4 xs = wanted < push.x_vecs ? x[push.x_offset + t * push.x_stride + at] : vec4(0.0);
                        const vec4 scaled = xs * scale;
                        squares[c] = fma(xs, xs, squares[c]);
                        [[unroll]] for (uint r = 0u; r < ROWS * PER; r++) {
                            const uint s = r * COLUMNS + c;
                            sum[s] = fma(weight_vec4(words[u * ROWS * PER + r], v), scaled, sum[s]);
                        }
                    }
                }
        }

        precise float total[SUMS];
        [[unroll]] for (uint s = 0u; s < SUMS; s++) {
            const vec4 four = s < PRODUCTS ? sum[min(s, PRODUCTS - 1u)] : squares[s - min(s, PRODUCTS)];
            precise const float lane_sum = (four.x + four.y) + (four.z + four.w);
            total[s] = subgroupAdd(lane_sum);
        }
        if (SPLIT == 1u) {
            if (subgroup_lane == 0u)
                [[unroll]] for (uint r = 0u; r < ROWS; r++)
                    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                        const uint row = first + local + r;
                        if (c < push.n_tokens && local + r < push.rows_per_group && row < push.n_rows)
                            finish(c, row, total[r * PER * COLUMNS + c], total[(r * PER + PER - 1u) * COLUMNS + c],
                                total[PRODUCTS + c]);
                    }
        } else {
            if (subgroup_lane == 0u)
                [[unroll]] for (uint s = 0u; s < SUMS; s++) part[gl_SubgroupID * SUMS + s] = total[s];
            barrier();
            for (uint i = gl_LocalInvocationIndex; i < teams * ROWS * COLUMNS; i += GROUP) {
                const uint of_team = i / (ROWS * COLUMNS), r = i % (ROWS * COLUMNS) / COLUMNS, t = i % COLUMNS;
                const uint in_group = turn + of_team * ROWS + r, row = first + in_group;
                if (t >= push.n_tokens || in_group >= push.rows_per_group || row >= push.n_rows) continue;
                precise float gate = 0.0, up = 0.0, square = 0.0;
                for (uint j = 0u; j < SPLIT; j++) {
                    const uint at = (of_team * SPLIT + j) * SUMS;
                    gate += part[at + r * PER * COLUMNS + t];
                    up += part[at + (r * PER + PER - 1u) * COLUMNS + t];
                    square += part[at + PRODUCTS + t];
                }
                finish(t, row, gate, up, square);
            }
            barrier();
        }
    }
}
