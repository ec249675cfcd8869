// A product of single rows where every microsecond between dependent calls counts: x is read once by a workgroup, made
// into what the product needs (norm) and kept in shared memory, while the first weights are already on their way.
//   z[t, n] = sum_c f(x)[t, c] w[n, c],   f(x) = x, or with NORM  x[t, c] norm[c] / sqrt(mean_c x[t, c]^2 + eps)
//   y[t, n] (+)= z[t, n],   or with SWIGLU  y[t, n] = act(z[t, n]) z[t, n + up_rows]
//
//   weights [rows][row_vecs] 16-byte vectors   of one part
//   x       [n_tokens, width] f32              width a multiple of 4
//   y       [n_tokens, n_rows] f32
//   norm    [width] f32                        read with push.weighted only
//
// A team of SPLIT subgroups owns ROWS outputs, a lane takes every lanes-th unit of the weights; subgroups have LANES
// invocations and are full. A workgroup owns TEAMS * ROWS outputs. The bits of an output depend on LANES and SPLIT,
// neither on the other tokens nor on GROUP, ROWS, COLUMNS, UNROLL or STAGED; so the squares of x are summed by runs of
// LANES vecs, whichever subgroup has them.
//
// DOTS (builds of q8_0 and q4_0): x is kept in fixed point, products are of integers (common/weight_dots.glsl).
//
// With several rows of x, those and the first weights are all on their way before any of them is used: nothing in between
// is a branch, for some compilers wait at its end for what is loaded under a condition.
//
// STEP (a build of its own): the product is q, k, v and the slot gate f of GSA for chunks of one row, y their final form
// (scale phi(q), phi(k), silu(v), log decay), and what the query reads of the key memory before this row's write goes
// to the scratch, for gsa_step_mix.comp:
//   partial[t][head][tile][m] = sum_{k in tile} q[k] hk[k, m],   a tile is the rows of a workgroup: bits depend on it
// With ONE_CHUNK the rows are those of one chunk, for gsa_few_mix.comp: hk is what it was before the first of them.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#if defined(DOTS)
#extension GL_EXT_integer_dot_product : require
#endif
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 128u;
layout(constant_id = 1) const uint COLUMNS = 1u;
layout(constant_id = 2) const uint ROWS = 1u;
layout(constant_id = 3) const uint UNROLL = 1u; // units in flight per row and lane
layout(constant_id = 4) const uint SPLIT = 1u;
layout(constant_id = 5) const bool SWIGLU = false;
layout(constant_id = 6) const uint LANES = 32u; // of a subgroup
layout(constant_id = 7) const bool NORM = false;
layout(constant_id = 8) const bool STAGED = true; // else x is read where it lies, for want of shared memory
layout(constant_id = 9) const uint X_VECS = 1u;   // of a row of x
#ifdef STEP
layout(constant_id = 10) const bool ONE_CHUNK = false;
#endif
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weight_unit.glsl"
#include "common/act.glsl"
#ifdef STEP
#include "common/mixer.h"
#include "common/exp.glsl"
#include "common/gate.glsl"
layout(push_constant) uniform Push { gsa_staged_step_push push; };
#else
layout(push_constant) uniform Push { gsa_staged_push push; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };
layout(std430, set = 0, binding = 3) readonly buffer Norm { vec4 norm[]; };
#ifdef STEP
layout(std430, set = 0, binding = 4) readonly buffer State { float state[]; };
layout(std430, set = 0, binding = 5) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 6) writeonly buffer Scratch { float scratch[]; };
#endif

#if defined(WEIGHT_BLOCKS)
// As weight_staged.
const uint QUADS = (X_VECS + WEIGHT_QUAD_VECS - 1u) / WEIGHT_QUAD_VECS, UNITS = 4u * QUADS; // of x
const uint HELD = QUADS * (WEIGHT_QUAD_VECS + 2u);
#if defined(DOTS)
const uint KEPT = QUADS * WEIGHT_QUAD_VECS; // vecs that lanes keep: those beyond x, too
#else
const uint KEPT = X_VECS;
#endif
#else
// First the first vec of every unit, then the second ones: lanes at neighbouring units meet neighbouring vecs.
const uint UNITS = (X_VECS + WEIGHT_VECS - 1u) / WEIGHT_VECS; // of x
const uint HELD = UNITS * WEIGHT_VECS, KEPT = X_VECS;
#endif
const uint SUBGROUPS = GROUP / LANES, TEAMS = SUBGROUPS / SPLIT, TEAM_LANES = LANES * SPLIT;
const uint PER = SWIGLU ? 2u : 1u; // weight rows behind an output
const uint OUTPUTS = TEAMS * ROWS; // of the workgroup
const uint LOADS = ROWS * PER;
const uint X_RUNS = (X_VECS + LANES - 1u) / LANES;

// Of several rows of x: turns that the workgroup takes, those of them that are on their way at a time, and whether lanes
// have whole rounds of the weights.
const bool SEVERAL = COLUMNS > 1u;
const uint TURNS = (KEPT + GROUP - 1u) / GROUP, MOST_AHEAD = COLUMNS <= 2u ? 4u : COLUMNS <= 4u ? 2u : 1u;
const uint AHEAD = TURNS < MOST_AHEAD ? TURNS : MOST_AHEAD;
const bool WHOLE = UNITS % (TEAM_LANES * UNROLL) == 0u;

#if defined(DOTS)
shared uvec4 dot_high[COLUMNS * WEIGHT_RUNS * UNITS];
shared uvec2 dot_low[COLUMNS * WEIGHT_RUNS * UNITS];
shared float dot_scale[COLUMNS * (WEIGHT_QUAD_VECS <= LANES ? 1u : WEIGHT_RUNS) * UNITS];
#define DOT_HIGH(I) dot_high[I]
#define DOT_LOW(I) dot_low[I]
#define DOT_SCALE(I) dot_scale[I]
#define DOT_PUT_HIGH(I, J, WORD) dot_high[I][J] = WORD
#define DOT_PUT_LOW(I, J, WORD) dot_low[I][J] = WORD
#include "common/weight_dots.glsl"
#else
shared vec4 staged[STAGED ? COLUMNS * HELD : 1u];
#if defined(WEIGHT_BLOCKS)
shared WEIGHT_RUN_SUMS run_sums[STAGED ? COLUMNS * UNITS : 1u];
#endif
#endif
shared float part[SUBGROUPS * LOADS * COLUMNS];
shared float squares[NORM ? COLUMNS * X_RUNS : 1u]; // of a run
#ifdef STEP
shared float query[COLUMNS * OUTPUTS];
#endif

vec4 x_value(uint t, uint at)
{
    const vec4 value = x[push.x_offset + t * push.x_stride + at];
    return NORM && push.weighted != 0u ? value * norm[at] : value;
}

#if !defined(DOTS)
// Vec v of a unit's columns; beyond the row any finite value, for the weights are zero there.
vec4 x_at(uint c, uint u, uint v)
{
#if defined(WEIGHT_BLOCKS)
    if (STAGED) return staged[c * HELD + weight_staged(u, v)];
    const uint at = weight_at(u, v);
#else
    if (STAGED) return staged[c * HELD + v * UNITS + u];
    const uint at = u * WEIGHT_VECS + v;
#endif
    return x_value(min(c, push.n_tokens - 1u), min(at, X_VECS - 1u));
}

#if defined(WEIGHT_BLOCKS)
float x_sum(uint c, uint u, uint run)
{
    if (STAGED) return run_sums[c * UNITS + u][run];
    precise const float sum = sum_of(x_at(c, u, 2u * run)) + sum_of(x_at(c, u, 2u * run + 1u));
    return sum;
}
#endif
#endif

// Vec i of row c; lanes of a run call together.
void square(uint c, uint i, vec4 value)
{
    precise const vec4 square = value * value;
    precise const float all = subgroupAdd(sum_of(square));
    if (gl_SubgroupInvocationID == 0u && i < X_VECS) squares[c * X_RUNS + i / LANES] = all;
}

void keep(uint c, uint i, vec4 value)
{
#if defined(DOTS)
    dot_put(c * WEIGHT_RUNS * UNITS, UNITS, i, value);
#elif defined(WEIGHT_BLOCKS)
    staged[c * HELD + i + i / WEIGHT_QUAD_VECS * 2u] = value;
    const float mine = sum_of(value); // a unit has vecs i and i + 2 of a run
    precise const float both = mine + subgroupShuffleXor(mine, 2u);
    const uint run = i % WEIGHT_QUAD_VECS / 8u, u = i / WEIGHT_QUAD_VECS * 4u + i / 4u % 2u * 2u + i % 2u;
    if ((i & 2u) == 0u) run_sums[c * UNITS + u][run] = both;
#else
    staged[c * HELD + i % WEIGHT_VECS * UNITS + i / WEIGHT_VECS] = value;
#endif
}

#if !defined(DOTS)
// What row c's last unit or quad has beyond the row.
void keep_padding(uint c, uint me)
{
#if defined(WEIGHT_BLOCKS)
    for (uint i = X_VECS + me; i < QUADS * WEIGHT_QUAD_VECS; i += GROUP) {
        const uint run = i % WEIGHT_QUAD_VECS / 8u, u = i / WEIGHT_QUAD_VECS * 4u + i / 4u % 2u * 2u + i % 2u;
        staged[c * HELD + i + i / WEIGHT_QUAD_VECS * 2u] = vec4(0.0);
        if ((i & 2u) == 0u) run_sums[c * UNITS + u][run] = 0.0;
    }
#else
    if (me < HELD - X_VECS) staged[c * HELD + HELD - 1u] = vec4(0.0); // at most one
#endif
}
#endif

// Every lane's share of the one row of x, and with NORM of its squares.
void stage(uint me)
{
    for (uint i = me; i < KEPT; i += GROUP) {
        vec4 value = x[push.x_offset + (KEPT > X_VECS ? min(i, X_VECS - 1u) : i)];
        if (KEPT > X_VECS && i >= X_VECS) value = vec4(0.0);
        if (NORM) square(0u, i, value);
        if (NORM && push.weighted != 0u) value *= norm[KEPT > X_VECS ? min(i, X_VECS - 1u) : i];
        if (STAGED) keep(0u, i, value);
    }
}

// Of several: turns of FIRST .. FIRST + AHEAD - 1 to x_ahead and norm_ahead. A macro, because arrays that functions write
// may leave registers.
#define LOAD_X(FIRST)                                                                              \
    [[unroll]] for (uint e = 0u; e < AHEAD; e++) {                                       \
        const uint i = min(me + ((FIRST) + e) * GROUP, X_VECS - 1u);                     \
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {                                 \
            const uint t = min(c, push.n_tokens - 1u);                                   \
            x_ahead[e * COLUMNS + c] = x[push.x_offset + t * push.x_stride + i];         \
        }                                                                                \
        if (NORM) norm_ahead[e] = norm[i];                                               \
    }

#define KEEP_X(FIRST)                                                                    \
    [[unroll]] for (uint e = 0u; e < AHEAD; e++) {                                       \
        const uint i = me + ((FIRST) + e) * GROUP;                                       \
        if (i < KEPT)                                                                    \
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {                             \
                vec4 value = x_ahead[e * COLUMNS + c];                                   \
                if (KEPT > X_VECS && i >= X_VECS) value = vec4(0.0);                     \
                if (NORM) square(c, i, value);                                           \
                if (NORM) value *= push.weighted != 0u ? norm_ahead[e] : vec4(1.0);      \
                if (STAGED) keep(c, i, value);                                           \
            }                                                                            \
    }

float factor(uint c)
{
    if (!NORM) return 1.0;
    precise float sum = 0.0;
    for (uint i = 0u; i < X_RUNS; i++) sum += squares[c * X_RUNS + i];
    return 1.0 / sqrt(sum / float(push.width) + push.eps);
}

float team_sum(uint team, uint load, uint c)
{
    precise float sum = 0.0;
    for (uint j = 0u; j < SPLIT; j++) sum += part[((team * SPLIT + j) * LOADS + load) * COLUMNS + c];
    return sum;
}

#ifdef STEP
float finished(float z, uint row)
{
    if (row < push.k_row) {
        const float q = push.map == GSA_MAP_RELU ? max(z, 0.0) : silu_exact(z);
        return push.scale * q;
    }
    if (row < push.v_row) return push.map == GSA_MAP_RELU ? max(z, 0.0) : silu_exact(z);
    return row < push.f_row ? silu_exact(z) : log_decay(z, push.normalizer);
}

uint key_memory(uint c, uint row)
{
    const uint head = row / push.K, chunk = ONE_CHUNK ? 0u : c;
    return work[push.chunks + chunk * GSA_WORK_STRIDE + 2u] * push.state_stride + push.hk +
           (head / push.R * push.K + row % push.K) * push.M;
}
#endif

void main()
{
    const uint team = gl_SubgroupID / SPLIT;
    const uint lane = gl_SubgroupID % SPLIT * LANES + gl_SubgroupInvocationID;
    const uint me = gl_SubgroupID * LANES + gl_SubgroupInvocationID;
    const uint first = grid_group() * OUTPUTS, units = weight_units(push.x_vecs);

    uint from[LOADS];
    [[unroll]] for (uint r = 0u; r < LOADS; r++)
        from[r] = (push.first_row + min(first + team * ROWS + r / PER, push.n_rows - 1u) + r % PER * push.up_rows) *
                  push.row_vecs;

    WeightUnit unit[UNROLL * LOADS];
#define LOAD_UNITS(AT)                                                                   \
    [[unroll]] for (uint u = 0u; u < UNROLL; u++)                                        \
        [[unroll]] for (uint r = 0u; r < LOADS; r++) {                                   \
            if (SEVERAL) { /* beyond: dropped when it is used */                         \
                const uint at = min((AT) + u * TEAM_LANES, units - 1u);                  \
                unit[u * LOADS + r] = weight_unit(from[r], units, at);                   \
            } else if ((AT) + u * TEAM_LANES < units) {                                  \
                unit[u * LOADS + r] = weight_unit(from[r], units, (AT) + u * TEAM_LANES); \
            } else {                                                                     \
                unit[u * LOADS + r] = weight_nothing();                                  \
            }                                                                            \
        }
    vec4 x_ahead[AHEAD * COLUMNS], norm_ahead[AHEAD];
    LOAD_UNITS(lane)
    if (SEVERAL && (NORM || STAGED)) { LOAD_X(0u) }
#ifndef STEP
    float before = 0.0; // what the invocation's first output is added to
    if (!SWIGLU && push.accumulate != 0u && gl_LocalInvocationIndex < OUTPUTS * COLUMNS) {
        const uint c = min(gl_LocalInvocationIndex / OUTPUTS, push.n_tokens - 1u);
        const uint row = min(first + gl_LocalInvocationIndex % OUTPUTS, push.n_rows - 1u);
        before = y[push.y_offset + c * push.y_stride + row];
    }
#endif
#ifdef STEP
    const uint row0 = push.part_row + first;
    const bool reads_memory = row0 < push.k_row;
    float memory[OUTPUTS]; // of the first token
    if (SEVERAL || (reads_memory && gl_LocalInvocationIndex < push.M)) {
        const uint slot = SEVERAL ? min(gl_LocalInvocationIndex, push.M - 1u) : gl_LocalInvocationIndex;
        const uint hk = key_memory(0u, SEVERAL && !reads_memory ? 0u : row0) + slot;
        [[unroll]] for (uint i = 0u; i < OUTPUTS; i++) memory[i] = state[hk + i * push.M];
    }
#endif
    if (NORM || STAGED) {
        if (SEVERAL) {
            KEEP_X(0u)
            for (uint turn = AHEAD; turn < TURNS; turn += AHEAD) {
                LOAD_X(turn)
                KEEP_X(turn)
            }
        } else {
            stage(me);
        }
#if !defined(DOTS)
        if (STAGED)
            [[unroll]] for (uint c = 0u; c < COLUMNS; c++) keep_padding(c, me);
#endif
        barrier();
    }

    precise SUM sum[LOADS * COLUMNS];
    [[unroll]] for (uint i = 0u; i < LOADS * COLUMNS; i++) sum[i] = SUM(0.0);
    for (uint i = lane; i < units;) {
        [[unroll]] for (uint u = 0u; u < UNROLL; u++) {
            const uint at = min(i + u * TEAM_LANES, units - 1u); // beyond: nothing times something
            if (SEVERAL && !WHOLE && i + u * TEAM_LANES >= units)
                [[unroll]] for (uint r = 0u; r < LOADS; r++) unit[u * LOADS + r] = weight_nothing();
#if defined(DOTS)
            float unit_part[LOADS * COLUMNS];
            [[unroll]] for (uint s = 0u; s < LOADS * COLUMNS; s++) unit_part[s] = 0.0;
            [[unroll]] for (uint run = 0u; run < WEIGHT_RUNS; run++)
                [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                    const uint kept = (c * WEIGHT_RUNS + run) * UNITS + at;
                    const uvec4 high = DOT_HIGH(kept);
                    const uvec2 low = DOT_LOW(kept);
                    const float of_run = DOT_SCALES > 1u ? DOT_SCALE(kept) : 1.0;
                    [[unroll]] for (uint r = 0u; r < LOADS; r++) {
                        const uint s = r * COLUMNS + c;
                        unit_part[s] = dot_run(unit[u * LOADS + r], run, high, low, of_run, unit_part[s]);
                    }
                }
            [[unroll]] for (uint s = 0u; s < LOADS * COLUMNS; s++)
                sum[s] = dot_end(unit_part[s], DOT_SCALES > 1u ? 1.0 : DOT_SCALE(s % COLUMNS * UNITS + at), sum[s]);
#elif defined(WEIGHT_BLOCKS)
            WeightPart unit_part[LOADS * COLUMNS];
            [[unroll]] for (uint s = 0u; s < LOADS * COLUMNS; s++) unit_part[s] = WeightPart(0.0);
            [[unroll]] for (uint run = 0u; run < WEIGHT_RUNS; run++) {
                vec4 numbers[LOADS * 2u];
                [[unroll]] for (uint r = 0u; r < LOADS * 2u; r++)
                    numbers[r] = weight_numbers(unit[u * LOADS + r / 2u], run * 2u + r % 2u);
                [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                    const vec4 x_0 = x_at(c, at, run * 2u), x_1 = x_at(c, at, run * 2u + 1u);
                    const float of_x = x_sum(c, at, run);
                    [[unroll]] for (uint r = 0u; r < LOADS; r++) {
                        precise float product = weight_start(of_x);
                        [[unroll]] for (uint k = 0u; k < 4u; k++) product = fma(numbers[2u * r][k], x_0[k], product);
                        [[unroll]] for (uint k = 0u; k < 4u; k++)
                            product = fma(numbers[2u * r + 1u][k], x_1[k], product);
                        const uint s = r * COLUMNS + c;
                        unit_part[s] = weight_add(unit[u * LOADS + r], run, product, of_x, unit_part[s]);
                    }
                }
            }
            [[unroll]] for (uint s = 0u; s < LOADS * COLUMNS; s++)
                sum[s] = weight_end(unit[u * LOADS + s / COLUMNS], unit_part[s], sum[s]);
#else
            [[unroll]] for (uint v = 0u; v < WEIGHT_VECS; v++)
                [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
                    const vec4 xs = x_at(c, at, v);
                    [[unroll]] for (uint r = 0u; r < LOADS; r++)
                        sum[r * COLUMNS + c] =
                            fma(weight_vec4(unit[u * LOADS + r].words, v), xs, sum[r * COLUMNS + c]);
                }
#endif
        }
        i += TEAM_LANES * UNROLL;
        if (i < units) { LOAD_UNITS(i) }
    }

    [[unroll]] for (uint s = 0u; s < LOADS * COLUMNS; s++) {
        precise const float all = subgroupAdd(sum_of(sum[s]));
        if (gl_SubgroupInvocationID == 0u) part[gl_SubgroupID * LOADS * COLUMNS + s] = all;
    }
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < OUTPUTS * COLUMNS; i += GROUP) {
        const uint c = i / OUTPUTS, local = i % OUTPUTS, row = first + local, r = local % ROWS * PER;
        if (c >= push.n_tokens || row >= push.n_rows) continue;
        const uint at = push.y_offset + c * push.y_stride + row;
        const float scale = factor(c);
        precise const float z = team_sum(local / ROWS, r, c) * scale;
#ifdef STEP
        const float value = finished(z, push.part_row + row);
        query[i] = value;
        y[at] = value;
#else
        if (SWIGLU) {
            precise const float up = team_sum(local / ROWS, r + 1u, c) * scale;
            y[at] = ffn_act(z, push.act) * up;
        } else {
            if (push.accumulate == 0u) {
                y[at] = z;
            } else {
                y[at] = (i < GROUP ? before : y[at]) + z;
            }
        }
#endif
    }
#ifdef STEP
    if (!reads_memory) return;
    barrier();
    const uint head = row0 / push.K, tile = row0 % push.K / OUTPUTS;
    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
        if (c >= push.n_tokens) break;
        for (uint m = gl_LocalInvocationIndex; m < push.M; m += GROUP) {
            const uint hk = key_memory(c, row0) + m;
            precise float read = 0.0;
            [[unroll]] for (uint i = 0u; i < OUTPUTS; i++) {
                const float held = (ONE_CHUNK || c == 0u) && m < GROUP ? memory[i] : state[hk + i * push.M];
                read = fma(query[c * OUTPUTS + i], held, read);
            }
            const uint row_head = (push.token + c) * push.n_heads + head;
            scratch[push.partial + (row_head * (push.K / OUTPUTS) + tile) * push.M + m] = read;
        }
    }
#endif
}
