// GSA for chunks of many rows on matrix units, second of three: two tasks that wait for nothing of each other. The first
// workgroups are few and follow the state through all chunks, one after the other (common/gsa_cm_scan.glsl); beside them
// the others find what each chunk's own rows contribute to the scores of its rows (common/gsa_cm_pairs.glsl). Dispatches of
// their own were not seen to run side by side.
//
//   work    spans, chunks
//   half    [rows][half_stride] f16
//   tables  pre, keep, write, later; wend, decay
//   start   written
//   state   [slot] -> hk [G][K][M], hv [G][M][V]
//   score   written
//
// A workgroup below n_scan has a tile of [K | V], a kv head and a span; of the others each has half of a chunk and a query
// head.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#include "common/state.glsl"
#include "common/mixer.h"
layout(push_constant) uniform Push { gsa_cm_push push; };
#include "common/gsa_cm.glsl"
#include "common/grid.glsl"

layout(std430, set = 0, binding = 0) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 1) readonly buffer Half { uvec4 half_vec[]; };
layout(std430, set = 0, binding = 2) readonly buffer Tables { float table[]; };
layout(std430, set = 0, binding = 2) readonly buffer TableVecs { uvec4 table_vec[]; };
layout(std430, set = 0, binding = 3) buffer Start { uvec4 start_vec[]; };
layout(std430, set = 0, binding = 4) buffer State { STATE state[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Score { float score[]; };

const uint GROUP = GSA_MIXER_GROUP;
const uint PAIRS_STAGE = (GSA_CM_TILE + GSA_CHUNK) * CHUNK_PITCH; // 64 columns of q and k
const uint KV_VECS = GSA_CM_TILE / 8u, KV_PITCH = KV_VECS + 1u;
const uint SCAN_STAGE = GSA_CHUNK * (KV_PITCH + SLOT_PITCH); // [t][kv] and [t][m] of a chunk
const uint PAIRS_ROWS = GSA_CM_TILE * (CHUNK_PITCH + GSA_BLOCK / 4u + SLOTS / 4u + 1u); // A and scores
const uint STAGE = SCAN_STAGE > PAIRS_STAGE ? SCAN_STAGE : PAIRS_STAGE;
// One stage, not two: there are drivers that give all workgroups of a core together little more than the most shared
// memory one may have, and other workgroups hide what a wait for memory costs better than a second stage does.
shared uvec4 pool[STAGE > PAIRS_ROWS ? STAGE : PAIRS_ROWS]; // 16-byte vectors

#include "common/gsa_cm_scan.glsl"
#include "common/gsa_cm_pairs.glsl"

void main()
{
    const uint tiles = (push.K + push.V) / GSA_CM_TILE, halves = GSA_CHUNK / GSA_CM_TILE, heads = push.R * push.G;
    uint i = grid_group();
    if (i < push.n_scan) {
        scan_of(i % tiles, i / tiles % push.G, i / tiles / push.G);
        return;
    }
    i -= push.n_scan;
    if (i < push.n_chunks * heads * halves) pairs_of(i / halves / heads, i / halves % heads, i % halves * 2u);
}
