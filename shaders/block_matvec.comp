// A weight matrix of a block type times a few vectors: y[t, n] (+)= sum_c x[t, c] w[n, c] for COLUMNS tokens t at most.
// With NORM an RMSNorm goes before and, with SWIGLU, an activation after, as in norm_matvec.comp.
//
//   weights see common/weight_blocks.glsl      rows first_row .. first_row + n_rows - 1 of a part
//   x       [n_tokens, width] f32              width a multiple of 32
//   y       [n_tokens, n_rows] f32             added to with push.accumulate
//   norm    [width] f32                        NORM, read with push.weighted only
//
// A team of lanes owns ROWS outputs: lane l multiplies units l, l + lanes, .. in this order, then the lanes' sums are
// added. A team is SPLIT subgroups (of any size) with SUBGROUP, else LANES invocations that meet in shared memory. The
// bits of an output depend neither on the other tokens nor on ROWS, COLUMNS or UNROLL: its sums take the same fused steps
// in the same order, and units past the end add nothing.
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
layout(constant_id = 3) const uint UNROLL = 1u; // units in flight per weight row and lane
#ifdef SUBGROUP
layout(constant_id = 4) const uint SPLIT = 1u; // subgroups of a team; above 1 all subgroups are full
#else
layout(constant_id = 4) const uint LANES = 32u; // of a team
#endif
#ifdef NORM
layout(constant_id = 5) const bool SWIGLU = false;
#else
const bool SWIGLU = false;
#endif
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"

#ifdef NORM
#include "common/act.glsl"
layout(push_constant) uniform Push { gsa_norm_matvec_push push; };
layout(std430, set = 0, binding = 3) readonly buffer Norm { vec4 norm[]; };
#else
layout(push_constant) uniform Push { gsa_matmul_push push; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };

const uint PER = SWIGLU ? 2u : 1u;          // weight rows behind an output
const uint EACH = ROWS * PER;               // weight rows of a team
const uint PRODUCTS = EACH * COLUMNS;       // of a team, [row][gate, up][token]
#ifdef NORM
const uint SUMS = PRODUCTS + COLUMNS;       // then the squares of each token
#else
const uint SUMS = PRODUCTS;
#endif

#ifdef SUBGROUP
shared float part[SUMS * GROUP / 4u]; // no subgroup is smaller than 4
#else
shared float part[SUMS * GROUP];
#endif

void finish(uint t, uint row, float gate, float up, float squares)
{
    const uint at = push.y_offset + t * push.y_stride + row;
#ifdef NORM
    const float factor = 1.0 / sqrt(squares / float(push.width) + push.eps);
    precise const float z = gate * factor;
    if (SWIGLU) {
        y[at] = ffn_act(z, push.act) * (up * factor);
        return;
    }
#else
    const float z = gate;
#endif
    y[at] = push.accumulate != 0u ? y[at] + z : z;
}

float four(vec4 v)
{
    precise const float sum = (v.x + v.y) + (v.z + v.w);
    return sum;
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
    const uint first = grid_group() * push.rows_per_group, units = weight_units(push.x_vecs);

    // The caller makes rows_per_group = teams * ROWS: one turn, unless a driver makes other subgroups than it said.
    for (uint turn = 0u; turn < push.rows_per_group; turn += teams * ROWS) {
        const uint local = turn + team * ROWS;
        uint from[EACH];
        precise float sum[SUMS];
        [[unroll]] for (uint r = 0u; r < EACH; r++) {
            const uint row = push.first_row + min(first + local + r / PER, push.n_rows - 1u);
#ifdef NORM
            from[r] = (row + r % PER * push.up_rows) * push.row_vecs;
#else
            from[r] = row * push.row_vecs;
#endif
        }
        [[unroll]] for (uint i = 0u; i < SUMS; i++) sum[i] = 0.0;

        for (uint i = lane; i < units; i += lanes * UNROLL) {
            WeightUnit unit[UNROLL * EACH];
            [[unroll]] for (uint u = 0u; u < UNROLL; u++)
                [[unroll]] for (uint r = 0u; r < EACH; r++)
                    if (i + u * lanes < units) {
                        unit[u * EACH + r] = weight_unit(from[r], units, i + u * lanes);
                    } else {
                        unit[u * EACH + r] = weight_nothing();
                    }

            [[unroll]] for (uint u = 0u; u < UNROLL; u++) {
                WeightPart unit_part[PRODUCTS];
                [[unroll]] for (uint p = 0u; p < PRODUCTS; p++) unit_part[p] = WeightPart(0.0);

                [[unroll]] for (uint run = 0u; run < WEIGHT_RUNS; run++) {
                    // Past the row's end weights are zeros, which any finite x may meet.
                    const uint wanted = weight_at(i + u * lanes, run * 2u), at = min(wanted, push.x_vecs - 3u);
                    vec4 numbers[EACH * 2u];
                    [[unroll]] for (uint r = 0u; r < EACH * 2u; r++)
                        numbers[r] = weight_numbers(unit[u * EACH + r / 2u], run * 2u + r % 2u);
#ifdef NORM
                    const bool weighted = push.weighted != 0u;
                    const vec4 scale_0 = weighted ? norm[at] : vec4(1.0), scale_1 = weighted ? norm[at + 2u] : vec4(1.0);
#endif
                    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                        const uint x_at = push.x_offset + min(c, push.n_tokens - 1u) * push.x_stride + at;
                        vec4 x_0 = x[x_at], x_1 = x[x_at + 2u];
#ifdef NORM
                        precise const vec4 square = fma(x_1, x_1, x_0 * x_0);
                        if (wanted < push.x_vecs) sum[PRODUCTS + c] += four(square);
                        x_0 *= scale_0;
                        x_1 *= scale_1;
#endif
                        precise const vec4 both = x_0 + x_1;
                        const float x_sum = four(both);
                        [[unroll]] for (uint r = 0u; r < EACH; r++) {
                            const vec4 n_0 = numbers[r * 2u], n_1 = numbers[r * 2u + 1u];
                            precise float product = fma(n_0.x, x_0.x, weight_start(x_sum));
                            product = fma(n_0.y, x_0.y, product);
                            product = fma(n_0.z, x_0.z, product);
                            product = fma(n_0.w, x_0.w, product);
                            product = fma(n_1.x, x_1.x, product);
                            product = fma(n_1.y, x_1.y, product);
                            product = fma(n_1.z, x_1.z, product);
                            product = fma(n_1.w, x_1.w, product);
                            const uint p = r * COLUMNS + c;
                            unit_part[p] = weight_add(unit[u * EACH + r], run, product, x_sum, unit_part[p]);
                        }
                    }
                }
                [[unroll]] for (uint p = 0u; p < PRODUCTS; p++)
                    sum[p] = weight_end(unit[u * EACH + p / COLUMNS], unit_part[p], sum[p]);
            }
        }

#ifdef SUBGROUP
        precise float total[SUMS];
        [[unroll]] for (uint s = 0u; s < SUMS; s++) total[s] = subgroupAdd(sum[s]);
        if (SPLIT == 1u) {
            if (subgroup_lane == 0u)
                [[unroll]] for (uint r = 0u; r < ROWS; r++)
                    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                        const uint row = first + local + r;
                        if (c < push.n_tokens && local + r < push.rows_per_group && row < push.n_rows)
                            finish(c, row, total[r * PER * COLUMNS + c], total[(r * PER + PER - 1u) * COLUMNS + c],
                                total[SUMS - COLUMNS + c]);
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
                    square += part[at + SUMS - COLUMNS + t];
                }
                finish(t, row, gate, up, square);
            }
            barrier();
        }
#else
        [[unroll]] for (uint s = 0u; s < SUMS; s++) part[s * GROUP + gl_LocalInvocationIndex] = sum[s];
        barrier();
        for (uint out_i = gl_LocalInvocationIndex; out_i < teams * SUMS; out_i += GROUP) {
            const uint s = out_i / teams, of_team = out_i % teams;
            const uint t = s % COLUMNS, row = first + turn + of_team * ROWS + s / COLUMNS;
            if (t >= push.n_tokens || row >= push.n_rows) continue;
            precise vec4 total = vec4(0.0);
            for (uint l = 0u; l < LANES; l += 4u) {
                const uint at = s * GROUP + of_team * LANES + l;
                total += vec4(part[at], part[at + 1u], part[at + 2u], part[at + 3u]);
            }
            finish(t, row, four(total), 0.0, 0.0);
        }
#endif
    }
}
