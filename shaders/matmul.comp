// A weight matrix times many vectors, tiled: y[t, n] (+)= sum_c x[t, c] w[n, c], f32 multiply-add.
//
//   weights [rows][row_vecs] 16-byte vectors   rows first_row .. first_row + n_rows - 1 of a part
//   x       [n_tokens, width] f32              finite up to the next multiple of four columns
//   y       [n_tokens, n_rows] f32             added to with push.accumulate
//
// A workgroup owns TILE_T tokens x TILE_N weight rows, an invocation 8 tokens x THREAD_N rows of it. Columns are walked
// in steps of 16 through shared memory, stored column by column so that the products read vectors; the next step's
// vectors are fetched while this one's are multiplied. Every output takes its columns in ascending order with fused
// multiply-adds: its bits depend neither on its place in the tile nor on the number of tokens.
//
// The build chooses the tile: 64 x 64, 4 rows a thread (128 invocations, 8704 bytes shared), or BIG: 128 x 128, 8 rows
// a thread (256 invocations, 16896 bytes shared).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef BIG
#define TILE 128u
#define THREAD_N4 2u // weight rows of an invocation, in fours
#else
#define TILE 64u
#define THREAD_N4 1u
#endif
#define TILE_T TILE
#define TILE_N TILE
#define STEP 16u
#define ACROSS (TILE_N / (4u * THREAD_N4)) // invocations along the weight rows: 16
#define THREADS (TILE_T / 8u * ACROSS)
#define PITCH (TILE / 4u + 1u) // one vector more than needed spreads the stores over the banks
#ifdef BIG
layout(local_size_x = 256) in;
#else
layout(local_size_x = 128) in;
#endif
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"

#define X_LOADS (TILE_T * 4u / THREADS)                      // x vectors an invocation fetches per step
#define W_ROW_LOADS (4u / WEIGHT_VECS)                       // 16-byte vectors of a weight row per step
#define W_LOADS (TILE_N * W_ROW_LOADS / THREADS)

layout(push_constant) uniform Push { gsa_matmul_push push; };
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };

shared vec4 x_tile[STEP * PITCH]; // column c, tokens 4 i .. 4 i + 3 at c * PITCH + i
shared vec4 w_tile[STEP * PITCH]; // column c, weight rows 4 i .. 4 i + 3

vec4 x_next[X_LOADS];
uvec4 w_next[W_LOADS];

void fetch(uint first_token, uint first_row, uint step_index)
{
    [[unroll]] for (uint j = 0u; j < X_LOADS; j++) {
        const uint i = gl_LocalInvocationIndex + j * THREADS;
        const uint t = first_token + i / 4u, at = step_index * 4u + i % 4u;
        x_next[j] = t < push.n_tokens && at < push.x_vecs ? x[push.x_offset + t * push.x_stride + at] : vec4(0.0);
    }
    [[unroll]] for (uint j = 0u; j < W_LOADS; j++) {
        const uint i = gl_LocalInvocationIndex + j * THREADS;
        const uint n = first_row + i / W_ROW_LOADS, at = step_index * W_ROW_LOADS + i % W_ROW_LOADS;
        w_next[j] = n < push.n_rows && at < push.row_vecs ? weights[(push.first_row + n) * push.row_vecs + at] : uvec4(0u);
    }
}

void put()
{
    [[unroll]] for (uint j = 0u; j < X_LOADS; j++) {
        const uint i = gl_LocalInvocationIndex + j * THREADS;
        const uint row = i / 4u, column = i % 4u * 4u;
        [[unroll]] for (uint e = 0u; e < 4u; e++) x_tile[(column + e) * PITCH + row / 4u][row % 4u] = x_next[j][e];
    }
    [[unroll]] for (uint j = 0u; j < W_LOADS; j++) {
        const uint i = gl_LocalInvocationIndex + j * THREADS;
        const uint row = i / W_ROW_LOADS, column = i % W_ROW_LOADS * 4u * WEIGHT_VECS;
        [[unroll]] for (uint v = 0u; v < WEIGHT_VECS; v++) {
            const vec4 values = weight_vec4(w_next[j], v);
            [[unroll]] for (uint e = 0u; e < 4u; e++)
                w_tile[(column + v * 4u + e) * PITCH + row / 4u][row % 4u] = values[e];
        }
    }
}

void main()
{
    const uint tiles_t = (push.n_tokens + TILE_T - 1u) / TILE_T;
    const uint group = grid_group();
    const uint first_token = group % tiles_t * TILE_T; // neighbours share weight rows
    const uint first_row = group / tiles_t * TILE_N;
    if (first_row >= push.n_rows) return;

    const uint across = gl_LocalInvocationIndex % ACROSS, down = gl_LocalInvocationIndex / ACROSS;
    const uint n_steps = (push.x_vecs + 3u) / 4u;
    precise vec4 sum[8u * THREAD_N4];

    [[unroll]] for (uint i = 0u; i < 8u * THREAD_N4; i++) sum[i] = vec4(0.0);
    fetch(first_token, first_row, 0u);
    for (uint s = 0u; s < n_steps; s++) {
        barrier();
        put();
        barrier();
        if (s + 1u < n_steps) fetch(first_token, first_row, s + 1u);

        // Unrolled in part: sixteen columns of code take CPU drivers seconds to compile.
        for (uint c0 = 0u; c0 < STEP; c0 += 4u) {
            [[unroll]] for (uint c = 0u; c < 4u; c++) {
                const uint at = (c0 + c) * PITCH;
                const vec4 x0 = x_tile[at + down * 2u], x1 = x_tile[at + down * 2u + 1u];
                [[unroll]] for (uint n = 0u; n < THREAD_N4; n++) {
                    const vec4 w = w_tile[at + across + n * ACROSS];
                    [[unroll]] for (uint i = 0u; i < 4u; i++) {
                        sum[n * 8u + i] = fma(vec4(x0[i]), w, sum[n * 8u + i]);
                        sum[n * 8u + 4u + i] = fma(vec4(x1[i]), w, sum[n * 8u + 4u + i]);
                    }
                }
            }
        }
    }

    [[unroll]] for (uint n = 0u; n < THREAD_N4; n++)
        [[unroll]] for (uint i = 0u; i < 8u; i++) {
            const uint t = first_token + down * 8u + i, row = first_row + (across + n * ACROSS) * 4u;
            if (t >= push.n_tokens) continue;
            const uint to = push.y_offset + t * push.y_stride + row;
            [[unroll]] for (uint e = 0u; e < 4u; e++) {
                if (row + e >= push.n_rows) continue;
                y[to + e] = push.accumulate != 0u ? y[to + e] + sum[n * 8u + i][e] : sum[n * 8u + i][e];
            }
        }
}
