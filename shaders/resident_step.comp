// One token of one session through all layers in a single dispatch: a list of products, each with the norm before it and
// the activation, residual or GSA step behind it, and a barrier of all workgroups between them. What a barrier costs
// other kernels, an empty memory bus, is filled here: the first weights of the next product are on their way, or
// waiting in registers, before a workgroup arrives at the barrier.
//
//   phases  the list (common/resident.h)                    memory by address: weights, norms, x, y, state
//   work    the row's chunk: an empty one is left alone
//   sync    [0] a wait was given up; then the arrivals of each run
//
// All workgroups must run at once, which only the host can know: a wait is given up after max_polls looks, and then all
// workgroups leave. The state is then half written; the host has a copy.
//
// A pair is two weight rows, side by side or gate and up. A team of 1 << SPLIT subgroups shares it, lane by lane; a
// workgroup has a run of pairs (for queries: of whole tiles of the key memory), which its first WORKERS subgroups take in
// turn. A lane meets its pairs' units as one stream, STEPS ahead of the sums, on into the next phase. Sums are those of
// staged_matvec.comp and gsa_step_mix.comp to the bit, given the same split, lanes and tile.
#version 450
#pragma use_vulkan_memory_model
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_shuffle : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint INVOCATIONS = 512u;
layout(constant_id = 1) const uint LANES = 32u; // of a subgroup
layout(constant_id = 2) const uint STEPS = 8u;  // pairs of units that a lane holds
layout(constant_id = 3) const uint CLERKS = 0u; // subgroups without weights: the last one waits for other workgroups
layout(constant_id = 4) const uint HEADS = 1u;  // query heads of a kv head
layout(constant_id = 5) const uint HELD = 2u;   // quads of the value memory of an invocation
layout(constant_id = 6) const uint X_HELD = 1u; // room: vecs of x
layout(constant_id = 7) const uint RUN_SUMS = 1u;
layout(constant_id = 8) const uint PARTS = 1u;   // most pairs of a workgroup times their split
layout(constant_id = 9) const uint QUERIES = 1u; // most rows of queries of a workgroup
layout(constant_id = 10) const uint KEYS = 4u;   // room: floats of the key memory that queries of a workgroup meet
layout(constant_id = 11) const uint SQUARES = 1u;
#include "common/resident.h"
layout(push_constant) uniform Push { gsa_resident_push push; };
#include "common/push.h"

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Vecs { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer StateVecs { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer WeightVecs { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer WeightPairs { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer WeightWords { uint v[]; };
// What workgroups tell each other: written and read past the caches of a core.
layout(buffer_reference, std430, buffer_reference_align = 16) buffer SharedVecs { devicecoherent vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer SharedFloats { devicecoherent float v[]; };

layout(std430, set = 0, binding = 0) readonly buffer Phases { uint phases[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) devicecoherent buffer Sync { uint sync[]; };

WeightVecs weights; // of the phase that is being loaded
#define WEIGHT_AT(I) weights.v[I]
#define WEIGHT_PAIR_AT(I) WeightPairs(weights).v[I]
#define WEIGHT_WORD_AT(I) WeightWords(weights).v[I]
#include "common/weight_unit.glsl"
#include "common/act.glsl"

const uint SUBGROUPS = INVOCATIONS / LANES, WORKERS = SUBGROUPS - CLERKS;

shared vec4 staged[X_HELD];
shared float part_sums[2u * PARTS];
#if defined(WEIGHT_BLOCKS)
shared float run_sums[RUN_SUMS]; // of what a unit has of a run of x
#endif
shared float squares[SQUARES]; // of LANES vecs of x each
shared float query[QUERIES];
shared float memory[KEYS];
shared uint record[2u * GSA_RESIDENT_STRIDE]; // of this phase and the next
shared uint share[2u * GSA_RESIDENT_SHARE];
shared uint arrived;

// The step's inputs, copied to where x is kept.
uint q_at, k_at, g_at; // floats there
SharedVecs row;        // q k v g
StateVecs state;
uint kv_head;
float staged_float(uint i)
{
    return staged[i / 4u][i % 4u];
}
#define STEP_Q4(R, I) staged[(q_at + (R) * push.K) / 4u + (I)]
#define STEP_K4(I) staged[k_at / 4u + (I)]
#define STEP_V4(I) row.v[(push.v_row + kv_head * push.V) / 4u + (I)]
#define STEP_K(I) staged_float(k_at + (I))
#define STEP_G(I) staged_float(g_at + (I))
#define STEP_PARTIAL4(R, T, I) staged[((R) * push.k_tiles + (T)) * (push.M / 4u) + (I)]
#define STEP_STATE(I) state.v[I]
#define MIX_SUBGROUPS (GSA_MIXER_GROUP / LANES)
#include "common/step_mix.glsl"
#include "common/gate.glsl"

uint lane, subgroup; // of the workgroup
uint field(uint at, uint name)
{
    return record[at * GSA_RESIDENT_STRIDE + name];
}
uvec2 address(uint at, uint name)
{
    return uvec2(field(at, name), field(at, name + 1u));
}

#include "common/resident_wait.glsl"
#include "common/resident_stage.glsl"
#include "common/resident_load.glsl"
#include "common/resident_finish.glsl"

// The phase's record and what of it this workgroup has, for all invocations after a barrier.
void read_record(uint phase)
{
    const uint at = phase % 2u, from = phase * GSA_RESIDENT_STRIDE;
    if (lane < GSA_RESIDENT_STRIDE) record[at * GSA_RESIDENT_STRIDE + lane] = phases[from + lane];
    if (lane < GSA_RESIDENT_SHARE)
        share[at * GSA_RESIDENT_SHARE + lane] =
            phases[phases[from + GSA_RESIDENT_SHARES] + gl_WorkGroupID.x * GSA_RESIDENT_SHARE + lane];
}

void main()
{
    subgroup = subgroupBroadcastFirst(gl_SubgroupID); // so that compilers know it is one for all lanes
    lane = subgroup * LANES + gl_SubgroupInvocationID;
    if (atomicLoad(sync[0], gl_ScopeDevice, 0, gl_SemanticsRelaxed) != 0u ||
        work[push.chunk + 1u] == 0u)
        return;
    const uint slot = work[push.chunk + 2u] * push.state_stride / 4u;

    read_record(0u);
    barrier();
    Loader next;
    WeightUnit held[2u * STEPS];
    aim(next, 0u);
    [[unroll]] for (uint d = 0u; d < STEPS; d++) {
        held[2u * d] = held[2u * d + 1u] = weight_nothing();
        LOAD_STEP(next, d)
    }

    uint target = 0u; // arrivals
    for (uint phase = 0u;; phase++) {
        const uint at = phase % 2u, kind = field(at, GSA_RESIDENT_KIND);
        const bool is_last = phase + 1u == push.n_phases;
        if (push.leave != 0u && phase == push.leave && gl_WorkGroupID.x == 0u) return;
        if (!is_last) read_record(phase + 1u);
        uint n_keys = 0u; // vecs of the key memory that this workgroup's queries meet
        vec4 ahead = vec4(0.0);
        if (kind == GSA_RESIDENT_STEP) {
            state = StateVecs(address(at, GSA_RESIDENT_STATE));
            n_keys = share[at * GSA_RESIDENT_SHARE + 1u] * 2u * push.M / 4u;
            if (lane < n_keys) ahead = state.v[key_vec(at, slot, lane)];
        }
        float before = 0.0; // what the invocation's first output is added to
        if (kind == GSA_RESIDENT_ADD) before = add_to(at, lane);
        stage(at); // with a barrier: the next record is there, too

        const uint units = weight_units(field(at, GSA_RESIDENT_X_VECS));
        const uint n_parts = n_pairs(at) << field(at, GSA_RESIDENT_SPLIT);
        const uint n_mine = subgroup < min(n_parts, WORKERS) ? (n_parts - subgroup + WORKERS - 1u) / WORKERS : 0u;
        const uint n_steps = n_mine * field(at, GSA_RESIDENT_LOADS);
        uint part = subgroup, left = field(at, GSA_RESIDENT_LOADS), unit = first_unit(at);
        precise SUM sum[2] = SUM[](SUM(0.0), SUM(0.0));
        for (uint done = 0u; done == 0u || done < n_steps; done += STEPS) {
            if (done + STEPS >= n_steps) { // what is loaded from here on belongs to the next phase
                if (is_last) {
                    next.n_pairs = 0u;
                } else {
                    aim(next, 1u - at);
                }
            }
            [[unroll]] for (uint d = 0u; d < STEPS; d++) {
                if (done + d < n_steps) {
                    if (unit < units) multiply(held[2u * d], held[2u * d + 1u], unit, units, sum);
                    unit += LANES << field(at, GSA_RESIDENT_SPLIT);
                    if (--left == 0u) {
                        precise const float first = subgroupAdd(sum_of(sum[0])), second = subgroupAdd(sum_of(sum[1]));
                        if (gl_SubgroupInvocationID == 0u) {
                            part_sums[2u * part] = first;
                            part_sums[2u * part + 1u] = second;
                        }
                        sum[0] = sum[1] = SUM(0.0);
                        part += WORKERS;
                        left = field(at, GSA_RESIDENT_LOADS);
                        unit = first_unit(at);
                    }
                }
                LOAD_STEP(next, d)
            }
        }
        for (uint i = lane; i < n_keys; i += INVOCATIONS) {
            const vec4 h = i == lane ? ahead : state.v[key_vec(at, slot, i)];
            [[unroll]] for (uint j = 0u; j < 4u; j++) memory[4u * i + j] = h[j];
        }
        barrier();
        finish(at, kind, before);
        if (kind == GSA_RESIDENT_STEP) {
            barrier();
            read_tiles(at);
        }
        if (is_last) return;
        if (kind != GSA_RESIDENT_STEP) {
            arrive();
            target += push.n_groups;
            if (!everyone(target)) return;
            continue;
        }

        // The step: its state is on the way before the barrier.
        vec4 values[HELD], keys = vec4(0.0);
        Task task = task_at(gl_WorkGroupID.x, slot);
        if (gl_WorkGroupID.x < push.n_tasks) {
            step_load(lane, task.values, task.v0, values);
            if (lane < task.n_keys) keys = state.v[task.keys + lane];
        }
        arrive();
        target += push.n_groups;
        if (!everyone(target)) return;
        row = SharedVecs(address(at, GSA_RESIDENT_Y));
        for (uint i = gl_WorkGroupID.x; i < push.n_tasks; i += push.n_groups) {
            if (i != gl_WorkGroupID.x) {
                barrier(); // the task before is done with what invocations share
                task = task_at(i, slot);
                step_load(lane, task.values, task.v0, values);
                keys = vec4(0.0);
                if (lane < task.n_keys) keys = state.v[task.keys + lane];
            }
            const vec4 value = step_value(lane, task.v0);
            stage_step();
            step_scores(lane);
            step_values(lane, task.values, task.v0, value, values);
            barrier();
            if (lane < HEADS * QUADS && task.v0 + lane % QUADS < push.V / 4u)
                SharedVecs(uvec2(push.o_lo, push.o_hi))
                    .v[(kv_head * HEADS + lane / QUADS) * push.V / 4u + task.v0 + lane % QUADS] = step_output(lane);
            if (i + push.n_groups >= push.n_tasks) arrive(); // the rest concerns nobody before the next token
            for (uint j = lane; j < task.n_keys; j += INVOCATIONS)
                state.v[task.keys + j] = step_key(j, task.k0, j == lane ? keys : state.v[task.keys + j]);
        }
        if (gl_WorkGroupID.x >= push.n_tasks) arrive();
        target += push.n_groups;
        if (!everyone(target)) return;
    }
}
