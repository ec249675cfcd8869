// Rows in the order in which the subgroups of matmul_packed hold fragments of them: each lane's elements lie together, so
// that a product loads its operands straight into registers. Which elements a lane holds is the driver's own: the rows
// are loaded as matrices of the product's own type, and each lane stores what it has got. Such an image is of one device,
// driver and kernel shape, and never leaves it.
//   src  [n_rows][row_vecs] 16-byte vectors, from src_offset on   tokens of f16, or weights of any type but f32, made the
//                                                                 same f16 as by matmul_cm
//   dst  [n_blocks][n_frags][4][lanes][lane_vecs] 16-byte vectors of f16
//
// A block is four fragments' rows; with half_rows of a matrix of gates, then ups: two fragments' gates, then their ups.
// Rows and columns that fill up blocks and steps are zero. A workgroup owns four fragments' rows times 64 columns, each of
// its four subgroups a fragment's rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128u; // four subgroups
layout(constant_id = 1) const uint FRAG_R = 16u;
layout(constant_id = 2) const uint FRAG_K = 16u;
#include "common/push.h"
#include "common/grid.glsl"
#if defined(TOKENS)
#define WEIGHT_F16
#endif
#include "common/weights.glsl"
#if defined(WEIGHT_BLOCKS)
#include "common/weight_halves.glsl"
#endif

layout(push_constant) uniform Push { gsa_matmul_pack_push push; };
#if !defined(WEIGHT_BLOCKS)
layout(std430, set = 0, binding = 0) readonly buffer Src { uvec4 src[]; };
#endif
layout(std430, set = 0, binding = 1) writeonly buffer Dst { uvec4 dst[]; };

const uint LANES = THREADS / 4u;
const uint VECS = 8u, PITCH = VECS + 1u; // of a row of the tile; odd, so that neighbouring rows lie in different banks
const uint BLOCK = 4u * FRAG_R;
const uint FRAG_VECS = FRAG_R * FRAG_K / 8u, LANE_VECS = FRAG_VECS / LANES;
#if defined(WEIGHT_BLOCKS)
const uint N_LOADS = BLOCK * 2u; // pieces of a row's 64 columns
#else
const uint N_LOADS = BLOCK * VECS;
#endif
const uint EACH = (N_LOADS + THREADS - 1u) / THREADS;

shared uvec4 tile[BLOCK * PITCH];

#if defined(TOKENS)
#define FRAG coopmat<float16_t, gl_ScopeSubgroup, FRAG_R, FRAG_K, gl_MatrixUseA>
#define LAYOUT gl_CooperativeMatrixLayoutRowMajor
#else
#define FRAG coopmat<float16_t, gl_ScopeSubgroup, FRAG_K, FRAG_R, gl_MatrixUseB>
#define LAYOUT gl_CooperativeMatrixLayoutColumnMajor
#endif

#if defined(WEIGHT_BF16)
uint half_pair(uint word) // as matmul_cm has it
{
    return packHalf2x16(clamp(weight_pair(word), -65504.0, 65504.0));
}
#endif

// The row in src of row r of a block; false where there is none, and row then is one that there is.
bool row_of(uint block, uint r, out uint row)
{
    row = block * BLOCK + r;
    bool is_there = row < push.n_rows;
    if (push.half_rows > 0u) {
        const uint pair = block * (BLOCK / 2u) + r % (BLOCK / 2u);
        row = pair + r / (BLOCK / 2u) * push.half_rows;
        is_there = pair < push.half_rows;
    }
    if (!is_there) row = 0u;
    return is_there;
}

// Load i of a workgroup, into the tile.
void load(uint block, uint step_index, uint i)
{
    uint row;
#if defined(WEIGHT_BLOCKS)
    const uint r = i / 16u * 8u + i % 8u, piece = i / 8u % 2u; // eight neighbours write to different banks
    const bool is_there = row_of(block, r, row);
    const uint units = weight_units(2u * push.col_vecs);
    const uint of_row = min(step_index, units / WEIGHT_BLOCK_UNITS - 1u); // a last step may be behind the last block
    const WeightPiece w = weight_piece(push.src_offset + row * push.row_vecs, units, of_row, piece);
    [[unroll]] for (uint v = 0u; v < 4u; v++) {
        const uint at = v / 2u * 4u + piece * 2u + v % 2u;
        const uvec4 halves = weight_halves(w, of_row, v);
        tile[r * PITCH + at] = is_there && step_index * VECS + at < push.col_vecs ? halves : uvec4(0u);
    }
#else
    const uint r = i / VECS, at = step_index * VECS + i % VECS;
    uvec4 v = uvec4(0u);
    if (row_of(block, r, row) && at < push.col_vecs) v = src[push.src_offset + row * push.row_vecs + at];
#if defined(WEIGHT_BF16)
    v = uvec4(half_pair(v.x), half_pair(v.y), half_pair(v.z), half_pair(v.w));
#endif
    tile[r * PITCH + i % VECS] = v;
#endif
}

void main()
{
    const uint n_steps = (push.n_frags * FRAG_K + 63u) / 64u, group = grid_group();
    const uint block = group / n_steps, step_index = group % n_steps;
    if (block >= push.n_blocks) return;

    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint i = gl_LocalInvocationIndex + e * THREADS;
        if (N_LOADS % THREADS == 0u || i < N_LOADS) load(block, step_index, i);
    }
    barrier();

    for (uint k = 0u; k < VECS; k += FRAG_K / 8u) {
        const uint frag = step_index * (64u / FRAG_K) + k / (FRAG_K / 8u);
        if (frag >= push.n_frags) break;
        FRAG m;
        coopMatLoad(m, tile, gl_SubgroupID * FRAG_R * PITCH + k, PITCH, LAYOUT);
        const uint to = ((block * push.n_frags + frag) * 4u + gl_SubgroupID) * FRAG_VECS;
        [[unroll]] for (uint v = 0u; v < LANE_VECS; v++) {
            uvec4 q;
            q.x = packFloat2x16(f16vec2(m[v * 8u], m[v * 8u + 1u]));
            q.y = packFloat2x16(f16vec2(m[v * 8u + 2u], m[v * 8u + 3u]));
            q.z = packFloat2x16(f16vec2(m[v * 8u + 4u], m[v * 8u + 5u]));
            q.w = packFloat2x16(f16vec2(m[v * 8u + 6u], m[v * 8u + 7u]));
            dst[to + gl_SubgroupInvocationID * LANE_VECS + v] = q;
        }
    }
}
