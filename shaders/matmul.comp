// A weight matrix times many vectors, tiled: y[t, n] (+)= sum_c x[t, c] w[n, c], f32 multiply-add.
//
//   weights [rows][row_vecs] 16-byte vectors   rows first_row .. first_row + n_rows - 1 of a part; block types: see
//                                              weight_blocks.glsl
//   x       [n_tokens, width] f32              finite up to the next multiple of four columns
//   y       [n_tokens, n_rows] f32             added to with push.accumulate
//
// A workgroup owns TILE tokens x TILE weight rows; an invocation 8 consecutive tokens x every 16th weight row. Columns are
// walked in steps of 16 through shared memory; the next step's vectors are fetched while this one's are multiplied. Every
// output takes its columns in ascending order with fused multiply-adds: its bits depend neither on its place in the tile
// nor on the number of tokens.
//
// Sums are variables of their own, not an array: an array that a driver does not unroll fully lands in slow memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#define TILE 64u
#define THREADS 128u
layout(local_size_x = 128) in;
#include "common/push.h"
#include "common/grid.glsl"
#include "common/weights.glsl"

#define STEP_VECS 4u                          // 4-column vectors of a step
#if defined(WEIGHT_BLOCKS)
#define W_STEP STEP_VECS                      // fetches of a weight row in a step
#define RAW WeightFour
#else
#define W_STEP (STEP_VECS / WEIGHT_VECS)      // 16-byte vectors of a weight row in a step
#define RAW uvec4
#endif
#if defined(WEIGHT_BLOCKS) || defined(WEIGHT_F32)
#define RAW_TWICE                             // an invocation fetches two a step, else one
#endif
#define PITCH (STEP_VECS + 1u)                // odd, so that neighbouring rows lie in different banks
#define ACROSS 16u                            // invocations along the weight rows

layout(push_constant) uniform Push { gsa_matmul_push push; };
#if !defined(WEIGHT_BLOCKS)
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
#endif
layout(std430, set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) buffer Y { float y[]; };

shared vec4 x_tile[TILE * PITCH]; // token t, columns 4 q .. 4 q + 3 of the step at t * PITCH + q
shared vec4 w_tile[TILE * PITCH];

uint first_token, first_row; // of the tile

// Vector i of the tile's TILE * STEP_VECS; zero outside the matrix.
vec4 fetch_x(uint step_index, uint i)
{
    const uint t = first_token + i / STEP_VECS, at = step_index * STEP_VECS + i % STEP_VECS;
    return t < push.n_tokens && at < push.x_vecs ? x[push.x_offset + t * push.x_stride + at] : vec4(0.0);
}

RAW fetch_w(uint step_index, uint i)
{
    const uint n = first_row + i / W_STEP, at = step_index * W_STEP + i % W_STEP;
#if defined(WEIGHT_BLOCKS)
    // Outside the matrix any weights do: those rows are not stored, and x is zero there.
    const uint row = (push.first_row + min(n, push.n_rows - 1u)) * push.row_vecs;
    return weight_load_four(row, weight_units(push.x_vecs), min(at, push.x_vecs - 1u));
#else
    return n < push.n_rows && at < push.row_vecs ? weights[(push.first_row + n) * push.row_vecs + at] : uvec4(0u);
#endif
}

void put_x(uint i, vec4 v)
{
    x_tile[i / STEP_VECS * PITCH + i % STEP_VECS] = v;
}

void put_w(uint i, RAW words)
{
#if defined(WEIGHT_BLOCKS)
    w_tile[i / W_STEP * PITCH + i % W_STEP] = weight_four(words);
#else
    const uint to = i / W_STEP * PITCH + i % W_STEP * WEIGHT_VECS;
    w_tile[to] = weight_vec4(words, 0u);
#if !defined(WEIGHT_F32)
    w_tile[to + 1u] = weight_vec4(words, 1u);
#endif
#endif
}

// Four outputs of one token: weight rows row, row + ACROSS, ..
void store(uint t, uint row, vec4 sum)
{
    if (t >= push.n_tokens) return;
    const uint to = push.y_offset + t * push.y_stride + row;
    for (uint j = 0u; j < 4u; j++) {
        if (row + j * ACROSS >= push.n_rows) return;
        const uint at = to + j * ACROSS;
        y[at] = push.accumulate != 0u ? y[at] + sum[j] : sum[j];
    }
}

#define TOKENS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define DECLARE(I) precise vec4 a##I = vec4(0.0);
#define STORE(I) store(t + uint(I), n, a##I);
#define MULTIPLY(I)                                         \
    {                                                       \
        const vec4 xs = x_tile[x_at + uint(I) * PITCH];        \
        a##I = fma(vec4(xs.x), w_x, a##I);                  \
        a##I = fma(vec4(xs.y), w_y, a##I);                  \
        a##I = fma(vec4(xs.z), w_z, a##I);                  \
        a##I = fma(vec4(xs.w), w_w, a##I);                  \
    }
void main()
{
    const uint tiles_t = (push.n_tokens + TILE - 1u) / TILE;
    const uint group = grid_group();
    first_token = group % tiles_t * TILE; // neighbours share weight rows
    first_row = group / tiles_t * TILE;
    if (first_row >= push.n_rows) return;

    const uint lane = gl_LocalInvocationIndex, across = lane % ACROSS, down = lane / ACROSS * 8u;
    const uint n_steps = (push.x_vecs + STEP_VECS - 1u) / STEP_VECS;
    TOKENS(DECLARE)

    // Per invocation: two vectors of x; of the weights one or two.
    vec4 x_first = fetch_x(0u, lane), x_second = fetch_x(0u, lane + THREADS);
    RAW w_first = fetch_w(0u, lane);
#if defined(RAW_TWICE)
    RAW w_second = fetch_w(0u, lane + THREADS);
#endif
    for (uint s = 0u; s < n_steps; s++) {
        barrier(); // the previous step has been multiplied
        put_x(lane, x_first);
        put_x(lane + THREADS, x_second);
        put_w(lane, w_first);
#if defined(RAW_TWICE)
        put_w(lane + THREADS, w_second);
#endif
        barrier();
        x_first = fetch_x(s + 1u, lane); // zeros after the last step
        x_second = fetch_x(s + 1u, lane + THREADS);
        w_first = fetch_w(s + 1u, lane);
#if defined(RAW_TWICE)
        w_second = fetch_w(s + 1u, lane + THREADS);
#endif
        for (uint q = 0u; q < STEP_VECS; q++) {
            const uint x_at = down * PITCH + q, w_at = across * PITCH + q;
            const vec4 w0 = w_tile[w_at], w1 = w_tile[w_at + ACROSS * PITCH];
            const vec4 w2 = w_tile[w_at + 2u * ACROSS * PITCH], w3 = w_tile[w_at + 3u * ACROSS * PITCH];
            const vec4 w_x = vec4(w0.x, w1.x, w2.x, w3.x), w_y = vec4(w0.y, w1.y, w2.y, w3.y);
            const vec4 w_z = vec4(w0.z, w1.z, w2.z, w3.z), w_w = vec4(w0.w, w1.w, w2.w, w3.w);
            TOKENS(MULTIPLY)
        }
    }

    const uint t = first_token + down, n = first_row + across;
    TOKENS(STORE)
}
