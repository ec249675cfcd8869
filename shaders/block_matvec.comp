// A weight matrix of a block type times a few vectors: y[t, n] (+)= sum_c x[t, c] w[n, c] for COLUMNS tokens t at most.
// With NORM an RMSNorm goes before and, with SWIGLU, an activation after, as in norm_matvec.comp.
//
//   weights see common/weight_blocks.glsl      rows first_row .. first_row + n_rows - 1 of a part
//   x       [n_tokens, width] f32              width a multiple of 32
//   y       [n_tokens, n_rows] f32             added to with push.accumulate
//   norm    [width] f32                        NORM, read with push.weighted only
//
// A team of lanes owns ROWS outputs: lane l multiplies units l, l + lanes, .. in this order, then the lanes' sums are
// added. A team is SPLIT subgroups (of any size) with SUBGROUP, else LANES invocations that meet in shared memory.
// Neighbouring lanes take neighbouring units, so each reads 32 columns of x of its own: from shared memory, where the
// workgroup puts CHUNK blocks of 32 columns at a time, each followed by its sums. CHUNK blocks are a multiple of a team's
// lanes in units, or the whole row. The bits of an output depend neither on the other tokens nor on ROWS, COLUMNS, UNROLL
// or CHUNK: its sums take the same fused steps in the same order, and units past the end add nothing.
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
layout(constant_id = 6) const uint CHUNK = 32u;
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

#define BLOCK_VECS 8u // of 32 columns
#define PITCH 9u      // then a vec of sums: of columns 0 .. 15, of 16 .. 31
#define BLOCK_UNITS (BLOCK_VECS / WEIGHT_VECS)
const uint PER = SWIGLU ? 2u : 1u;          // weight rows behind an output
const uint PRODUCTS = ROWS * PER * COLUMNS; // of a team, [row][gate, up][token]

shared vec4 x_tile[COLUMNS * CHUNK * PITCH];
#ifdef SUBGROUP
shared float part[PRODUCTS * GROUP / 4u]; // no subgroup is smaller than 4
#else
shared float part[PRODUCTS * GROUP];
#endif
#ifdef NORM
shared float square_part[COLUMNS * GROUP / 4u];
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

// Blocks first .. of all tokens into x_tile; an invocation takes 16 columns at a time. squares: of what it took.
void stage(uint first, inout float squares[COLUMNS])
{
    const uint blocks = min(CHUNK, push.x_vecs / BLOCK_VECS - first);
    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
        const uint from = push.x_offset + min(c, push.n_tokens - 1u) * push.x_stride;
        for (uint i = gl_LocalInvocationIndex; i < blocks * 2u; i += GROUP) {
            const uint at = first * BLOCK_VECS + i * 4u, to = (c * CHUNK + i / 2u) * PITCH;
            vec4 v[4];
            [[unroll]] for (uint j = 0u; j < 4u; j++) v[j] = x[from + at + j];
#ifdef NORM
            precise vec4 square = v[0] * v[0];
            [[unroll]] for (uint j = 1u; j < 4u; j++) square = fma(v[j], v[j], square);
            precise const float more = squares[c] + four(square);
            squares[c] = more;
            if (push.weighted != 0u)
                [[unroll]] for (uint j = 0u; j < 4u; j++) v[j] *= norm[at + j];
#endif
            precise const vec4 sums = (v[0] + v[1]) + (v[2] + v[3]);
            [[unroll]] for (uint j = 0u; j < 4u; j++) x_tile[to + i % 2u * 4u + j] = v[j];
            x_tile[to + BLOCK_VECS][i % 2u] = four(sums);
        }
    }
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
    const uint units = weight_units(push.x_vecs), blocks = push.x_vecs / BLOCK_VECS;

    // The caller makes rows_per_group = teams * ROWS: one turn, unless a driver makes other subgroups than it said.
    for (uint turn = 0u; turn < push.rows_per_group; turn += teams * ROWS) {
        const uint local = turn + team * ROWS;
        uint from[ROWS * PER];
        float sum[PRODUCTS], squares[COLUMNS];
        [[unroll]] for (uint r = 0u; r < ROWS * PER; r++) {
            const uint row = push.first_row + min(first + local + r / PER, push.n_rows - 1u);
#ifdef NORM
            from[r] = (row + r % PER * push.up_rows) * push.row_vecs;
#else
            from[r] = row * push.row_vecs;
#endif
        }
        [[unroll]] for (uint i = 0u; i < PRODUCTS; i++) sum[i] = 0.0;
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) squares[c] = 0.0;

        for (uint block = 0u; block < blocks; block += CHUNK) {
            if (block + turn > 0u) barrier(); // the previous chunk has been read
            stage(block, squares);
            barrier();
            const uint end = min(units, (block + CHUNK) * BLOCK_UNITS);
            for (uint i = block * BLOCK_UNITS + lane; i < end; i += lanes * UNROLL) {
                WeightUnit unit[UNROLL * ROWS * PER];
                [[unroll]] for (uint u = 0u; u < UNROLL; u++)
                    [[unroll]] for (uint r = 0u; r < ROWS * PER; r++)
                        if (i + u * lanes < end) {
                            unit[u * ROWS * PER + r] = weight_unit(from[r], units, i + u * lanes);
                        } else {
                            unit[u * ROWS * PER + r] = weight_nothing();
                        }

                [[unroll]] for (uint u = 0u; u < UNROLL; u++) {
                    // Past the end: numbers meet some finite x and count nothing.
                    const uint at = min(i + u * lanes, end - 1u) - block * BLOCK_UNITS;
                    const uint tile = at / BLOCK_UNITS * PITCH;
                    [[unroll]] for (uint s = 0u; s < WEIGHT_SPANS; s++) {
                        float product[PRODUCTS], x_sum[COLUMNS];
                        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                            const vec4 sums = x_tile[tile + c * CHUNK * PITCH + BLOCK_VECS];
                            x_sum[c] = WEIGHT_SPANS == 2u ? sums[s] : sums.x + sums.y;
                        }
                        [[unroll]] for (uint p = 0u; p < PRODUCTS; p++) product[p] = weight_start(x_sum[p % COLUMNS]);

                        [[unroll]] for (uint j = 0u; j < WEIGHT_VECS / WEIGHT_SPANS; j++) {
                            const uint v = s * (WEIGHT_VECS / WEIGHT_SPANS) + j;
                            vec4 numbers[ROWS * PER];
                            [[unroll]] for (uint r = 0u; r < ROWS * PER; r++)
                                numbers[r] = weight_numbers(unit[u * ROWS * PER + r], v);
                            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                                const vec4 xs = x_tile[tile + c * CHUNK * PITCH + at % BLOCK_UNITS * WEIGHT_VECS + v];
                                [[unroll]] for (uint r = 0u; r < ROWS * PER; r++) {
                                    const uint p = r * COLUMNS + c;
                                    precise float product_p = fma(numbers[r].x, xs.x, product[p]);
                                    product_p = fma(numbers[r].y, xs.y, product_p);
                                    product_p = fma(numbers[r].z, xs.z, product_p);
                                    product_p = fma(numbers[r].w, xs.w, product_p);
                                    product[p] = product_p;
                                }
                            }
                        }
                        [[unroll]] for (uint p = 0u; p < PRODUCTS; p++)
                            sum[p] = weight_end(
                                unit[u * ROWS * PER + p / COLUMNS], s, product[p], x_sum[p % COLUMNS], sum[p]);
                    }
                }
            }
        }

#ifdef SUBGROUP
#ifdef NORM
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
            precise const float total = subgroupAdd(squares[c]);
            if (subgroup_lane == 0u) square_part[c * (GROUP / 4u) + gl_SubgroupID] = total;
        }
#endif
        [[unroll]] for (uint p = 0u; p < PRODUCTS; p++) {
            precise const float total = subgroupAdd(sum[p]);
            if (subgroup_lane == 0u) part[gl_SubgroupID * PRODUCTS + p] = total;
        }
        barrier();
        for (uint i = gl_LocalInvocationIndex; i < teams * ROWS * COLUMNS; i += GROUP) {
            const uint of_team = i / (ROWS * COLUMNS), r = i % (ROWS * COLUMNS) / COLUMNS, t = i % COLUMNS;
            const uint in_group = turn + of_team * ROWS + r, row = first + in_group;
            if (t >= push.n_tokens || in_group >= push.rows_per_group || row >= push.n_rows) continue;
            precise float gate = 0.0, up = 0.0, square = 0.0;
            for (uint j = 0u; j < SPLIT; j++) {
                const uint at = (of_team * SPLIT + j) * PRODUCTS + r * PER * COLUMNS + t;
                gate += part[at];
                up += part[at + (PER - 1u) * COLUMNS];
            }
#ifdef NORM
            for (uint j = 0u; j < gl_NumSubgroups; j++) square += square_part[t * (GROUP / 4u) + j];
#endif
            finish(t, row, gate, up, square);
        }
#else
        [[unroll]] for (uint p = 0u; p < PRODUCTS; p++) part[p * GROUP + gl_LocalInvocationIndex] = sum[p];
        barrier();
        for (uint out_i = gl_LocalInvocationIndex; out_i < teams * PRODUCTS; out_i += GROUP) {
            const uint p = out_i / teams, of_team = out_i % teams;
            const uint t = p % COLUMNS, row = first + turn + of_team * ROWS + p / COLUMNS;
            if (t >= push.n_tokens || row >= push.n_rows) continue;
            precise vec4 total = vec4(0.0);
            for (uint l = 0u; l < LANES; l += 4u) {
                const uint at = p * GROUP + of_team * LANES + l;
                total += vec4(part[at], part[at + 1u], part[at + 2u], part[at + 3u]);
            }
            finish(t, row, four(total), 0.0, 0.0);
        }
#endif
    }
}
