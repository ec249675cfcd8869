// One token of one session through all layers in a single dispatch: a list of products, each with the norm before it and
// the activation, residual or GSA step behind it. What other kernels spend between products, an empty memory bus, is filled
// here: the first weights of the next product are on their way while a workgroup waits for the values it needs, which other
// workgroups tell one by one (common/resident_post.glsl).
//
//   phases  the list (common/resident.h)                    memory by address: weights, norms, the pass's x, state
//   work    the row's chunk: an empty one is left alone
//   post    [0] a wait was given up; then the values of this run and the next
//
// All workgroups must run at once, which only the host can know: a wait is given up after max_polls looks, and then all
// workgroups leave. The state is then half written; the host has a copy.
//
// x of the last product may come in windows (common/resident.h): then its phases share lanes' sums, and behind the last
// layer the head with its norm may be one phase more.
//
// A pair is two weight rows, side by side or gate and up. A team of 1 << SPLIT subgroups shares it, lane by lane; a
// workgroup has a run of pairs (for queries: of whole tiles of the key memory), which its subgroups take in turn. A lane
// meets its pairs' units as one stream, a chunk of them on its way while another is multiplied, on into the next phase.
// Sums are those of staged_matvec.comp and gsa_step_mix.comp to the bit, given the same split, lanes and tile.
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
#if defined(DOTS)
#extension GL_EXT_integer_dot_product : require
#endif
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint INVOCATIONS = 512u;
layout(constant_id = 1) const uint LANES = 32u; // of a subgroup
layout(constant_id = 2) const uint STEPS = 8u;  // pairs of units of a lane in a chunk; it holds two
layout(constant_id = 3) const uint HEADS = 1u;  // query heads of a kv head
layout(constant_id = 4) const uint G = 1u;      // kv heads
layout(constant_id = 5) const uint K = 16u;
layout(constant_id = 6) const uint V = 16u;
layout(constant_id = 7) const uint M = 16u;
layout(constant_id = 8) const uint TILE = 8u;    // rows of the key memory behind a partial score
layout(constant_id = 9) const uint MAP = 0u;     // GSA_MAP_*
layout(constant_id = 10) const uint ACT = 0u;    // GSA_ACT_*
layout(constant_id = 11) const uint X_HELD = 1u; // room: vecs of x, and of what takes turns with it
layout(constant_id = 12) const uint RUN_SUMS = 1u;
layout(constant_id = 13) const uint PARTS = 1u;   // most pairs of a workgroup times their split
layout(constant_id = 14) const uint QUERIES = 1u; // most rows of queries of a workgroup
layout(constant_id = 15) const uint SQUARES = 1u;
// Vecs of x that are looked for at a time, with and without a norm.
layout(constant_id = 16) const uint NORMED_AHEAD = 1u;
layout(constant_id = 17) const uint PLAIN_AHEAD = 1u;
layout(constant_id = 18) const uint N_LAYERS = 1u;
layout(constant_id = 19) const uint PHASES = 4u;  // of a layer
layout(constant_id = 20) const uint CARRIED = 1u; // pairs of a subgroup whose sums go on from window to window
layout(constant_id = 21) const uint MEMORY_AT = 0u; // where in that room rows of the key memory begin
layout(constant_id = 22) const uint HEAD = 0u;      // phases behind the layers, with windows: 1, or none
#include "common/resident.h"
layout(push_constant) uniform Push { gsa_resident_push push; };
#include "common/push.h"

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Vecs { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer StateVecs { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer WeightVecs { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer WeightPairs { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer WeightWords { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };

layout(std430, set = 0, binding = 0) readonly buffer Phases { uint phases[]; };
layout(std430, set = 0, binding = 1) readonly buffer Work { uint work[]; };
layout(std430, set = 0, binding = 2) buffer Post { uint post[]; };

WeightVecs weights; // of the phase that is being loaded
#define WEIGHT_AT(I) weights.v[I]
#define WEIGHT_PAIR_AT(I) WeightPairs(weights).v[I]
#define WEIGHT_WORD_AT(I) WeightWords(weights).v[I]
#include "common/weight_unit.glsl"
#include "common/act.glsl"

const uint SUBGROUPS = INVOCATIONS / LANES;
const uint HELD = (M + 31u) / 32u; // quads of the value memory of an invocation
const uint K_TILES = K / TILE;
const uint K_ROW = HEADS * G * K, V_ROW = K_ROW + G * K, F_ROW = V_ROW + G * V; // of q k v f, where k, v and f begin
const uint TASKS = (V + 15u) / 16u;                // of the step for a kv head
const uint TASK_KEYS = (K + TASKS - 1u) / TASKS;   // rows of the key memory that a task writes
const bool WINDOWED = PHASES > GSA_RESIDENT_PRODUCTS;
const uint WAITING = CARRIED > 1u ? CARRIED - 1u : 1u; // pairs

shared vec4 staged[X_HELD]; // x, behind that of q k v f rows of the key memory; or the step's inputs and sums
shared float part_sums[2u * PARTS];
#if defined(DOTS) // what there is of x beside what is in `staged`; room for RUN_SUMS runs
shared uvec2 dot_low[RUN_SUMS];
shared float dot_scale[RUN_SUMS / (WEIGHT_QUAD_VECS <= LANES ? WEIGHT_RUNS : 1u)];
#define DOT_HIGH(I) floatBitsToUint(staged[I])
#define DOT_LOW(I) dot_low[I]
#define DOT_SCALE(I) dot_scale[I]
#define DOT_PUT_HIGH(I, J, WORD) staged[I][J] = uintBitsToFloat(WORD)
#define DOT_PUT_LOW(I, J, WORD) dot_low[I][J] = WORD
#include "common/weight_dots.glsl"
#elif defined(WEIGHT_BLOCKS)
shared WEIGHT_RUN_SUMS run_sums[RUN_SUMS / WEIGHT_RUNS];
#endif
shared float squares[SQUARES]; // of LANES vecs of x each
shared float query[QUERIES];
const uint STRIDE = GSA_RESIDENT_STRIDE(PHASES), TOLD = PHASES + HEAD;
const uint PHASE_WORDS = TOLD * STRIDE, SHARE_WORDS = TOLD * GSA_RESIDENT_SHARE;
shared uint phase_words[PHASE_WORDS];
shared uint share[SHARE_WORDS];
const uint ADDRESSES = (N_LAYERS + HEAD) * GSA_RESIDENT_LAYER / 2u;
shared uvec2 addresses[ADDRESSES];
shared float factor; // of the norm
shared uint failed;

// A task of the step: columns of the value memory of one kv head, and rows of its key memory.
struct Task {
    uint v0;     // quads of columns before it
    uint values; // vec of the state where the head's value memory begins
    uint k0;     // first row
    uint keys;   // vec where that begins
    uint n_keys; // vecs
};
Task task;
uint kv_head;
StateVecs state;

// The step's inputs, copied to where x is kept: floats there.
const uint Q_AT = HEADS * K_TILES * M, K_AT = Q_AT + HEADS * K, G_AT = K_AT + K, V_AT = G_AT + M;
float staged_float(uint i)
{
    return staged[i / 4u][i % 4u];
}
#define STEP_Q4(R, I) staged[(Q_AT + (R) * K) / 4u + (I)]
#define STEP_K4(I) staged[K_AT / 4u + (I)]
#define STEP_V4(I) staged[V_AT / 4u + (I) - task.v0]
#define STEP_K(I) staged_float(K_AT + (I))
#define STEP_G(I) staged_float(G_AT + (I))
#define STEP_PARTIAL4(R, T, I) staged[((R) * K_TILES + (T)) * (M / 4u) + (I)]
#define STEP_PART(I) staged[V_AT / 4u + QUADS + (I)]
#define STEP_FLOAT(I) staged[V_AT / 4u + QUADS + HEADS * GROUP + (I) / 4u][(I) % 4u]
#define STEP_STATE(I) state.v[I]
#define MIX_K K
#define MIX_V V
#define MIX_M M
#define MIX_K_TILES K_TILES
#define MIX_LANES LANES
#define MIX_SUBGROUPS (GSA_MIXER_GROUP / LANES)
#include "common/step_mix.glsl"
#include "common/gate.glsl"

uint lane, subgroup; // of the workgroup

// A phase of the pass: which layer's, and which of the layer. The head is phase PHASES of layer N_LAYERS.
struct Phase {
    uint layer, i;
};

bool is_head(Phase p)
{
    return HEAD != 0u && p.i == PHASES;
}

bool wants_logits()
{
    return HEAD != 0u && (push.logits_lo | push.logits_hi) != 0u;
}

// Behind the pass's last phase: some phase.
Phase phase_after(Phase p)
{
    Phase next = Phase(p.layer, p.i + 1u);
    if (HEAD != 0u) {
        if (next.i >= PHASES) next = p.layer + 1u < N_LAYERS ? Phase(p.layer + 1u, 0u) : Phase(N_LAYERS, PHASES);
    } else {
        if (next.i == PHASES) next = Phase(min(p.layer + 1u, N_LAYERS - 1u), 0u);
    }
    return next;
}

// next: what phase_after says.
bool is_last(Phase p, Phase next)
{
    if (HEAD != 0u) return is_head(p) || (is_head(next) && !wants_logits());
    return p.layer + 1u == N_LAYERS && next.i == 0u;
}

uint field(Phase p, uint name)
{
    return phase_words[p.i * STRIDE + name];
}

uint kind_of(Phase p)
{
    return field(p, GSA_RESIDENT_KIND);
}

// name: GSA_RESIDENT_WEIGHTS or _NORM
uvec2 address(Phase p, uint name)
{
    const uint product = WINDOWED ? min(p.i, GSA_RESIDENT_PRODUCTS - 1u) : p.i;
    return addresses[p.layer * (GSA_RESIDENT_LAYER / 2u) + name / 2u + product];
}

StateVecs states(uint layer)
{
    return StateVecs(addresses[layer * (GSA_RESIDENT_LAYER / 2u) + GSA_RESIDENT_STATE / 2u]);
}

// A word of the run's set: name is GSA_RESIDENT_X, _Y or _BEFORE.
uint place(Phase p, uint name)
{
    return p.layer * push.layer_words + field(p, name);
}

#include "common/resident_post.glsl"
#include "common/resident_stage.glsl"
#include "common/resident_load.glsl"
#include "common/resident_finish.glsl"

// The next run's set, this layer's words of it.
void empty_other(uint layer)
{
    const uint from = push.other + layer * push.layer_words;
    for (uint i = gl_WorkGroupID.x * INVOCATIONS + lane; i < push.layer_words; i += push.n_groups * INVOCATIONS)
        post[from + i] = 0u;
}

// The GSA step behind the product of q k v f. False: leave.
bool take_step(Phase p, uint slot)
{
    barrier();
    read_tiles(p);
    for (uint i = gl_WorkGroupID.x; i < G * TASKS; i += push.n_groups) {
        if (i != gl_WorkGroupID.x) aim_task(i, slot);
        vec4 values[HELD], keys = vec4(0.0); // on their way before the inputs are there
        step_load(lane, task.values, task.v0, values);
        if (lane < task.n_keys) keys = state.v[task.keys + lane];
        if (!stage_step(p)) return false;
        step_scores(lane);
        step_values(lane, task.values, task.v0, step_value(lane, task.v0), values);
        barrier();
        if (lane < HEADS * QUADS && task.v0 + lane % QUADS < V / 4u) {
            const vec4 o = step_output(lane);
            const uint row = p.layer * push.layer_words + push.o;
            const uint column = (kv_head * HEADS + lane / QUADS) * V + 4u * (task.v0 + lane % QUADS);
            [[unroll]] for (uint j = 0u; j < 4u; j++) post_tell(row + post_float(column + j), o[j]);
        }
        for (uint j = lane; j < task.n_keys; j += INVOCATIONS)
            state.v[task.keys + j] = step_key(j, task.k0, j == lane ? keys : state.v[task.keys + j]);
    }
    if (G * TASKS > push.n_groups) aim_task(gl_WorkGroupID.x, slot);
    return true;
}

void main()
{
    subgroup = subgroupBroadcastFirst(gl_SubgroupID); // so that compilers know it is one for all lanes
    lane = subgroup * LANES + gl_SubgroupInvocationID;
    if (work[push.chunk + 1u] == 0u) return;
    const uint slot = work[push.chunk + 2u] * push.state_stride / 4u;

    for (uint i = lane; i < PHASE_WORDS; i += INVOCATIONS) phase_words[i] = phases[i];
    for (uint i = lane; i < SHARE_WORDS; i += INVOCATIONS)
        share[i] = phases[PHASE_WORDS + gl_WorkGroupID.x * SHARE_WORDS + i];
    for (uint i = lane; i < ADDRESSES; i += INVOCATIONS) {
        const uint at = PHASE_WORDS + push.n_groups * SHARE_WORDS + 2u * i;
        addresses[i] = uvec2(phases[at], phases[at + 1u]);
    }
    if (lane == 0u) failed = atomicLoad(post[0], gl_ScopeDevice, 0, gl_SemanticsRelaxed);
    aim_task(gl_WorkGroupID.x, slot);
    barrier();
    if (failed != 0u) return;
    WeightUnit held[2u * STEPS], ahead[2u * STEPS]; // this chunk's, and the next one's on their way
    Phase phase = Phase(0u, 0u);
    Stream stream = stream_of(phase);
    Chunk chunk = next_chunk(stream);
    LOAD_CHUNK(held, stream, chunk)
    Outputs outputs = outputs_of(phase);
    state = states(0u);
    keep_keys(slot, queried_keys(phase, slot));
    stage_first(phase);
    Sums sums = Sums(0u, 0u, 0u, SUM[](SUM(0.0), SUM(0.0)));
    SUM waiting_first[WAITING], waiting_second[WAITING]; // beside the sums of the pair at hand

    // Some compilers wait at the end of a loop for all that is on its way. So what a round asks for it asks for first, and a
    // phase ends where its weights are needed: with its x in place.
    for (;;) {
        if (push.leave != 0u && phase.layer * PHASES + phase.i == push.leave && gl_WorkGroupID.x == 0u) return;
        if (subgroup == SUBGROUPS - 1u && field(phase, GSA_RESIDENT_NORMED) != 0u) { // it has the fewest pairs
            const float of_norm = norm_factor(phase);
            if (gl_SubgroupInvocationID == 0u) factor = of_norm;
        }
        sums.part = subgroup;
        sums.chunk = 0u;
        sums.unit = stream.first_unit;
        if ((stream.window & GSA_RESIDENT_GOES_ON) == 0u) {
            sums.sum = SUM[](SUM(0.0), SUM(0.0));
            [[unroll]] for (uint i = 0u; i < WAITING; i++) waiting_first[i] = waiting_second[i] = SUM(0.0);
        }
        uint left = n_chunks(phase, stream);
        for (; left > 1u; left--) {
            chunk = next_chunk(stream);
            LOAD_CHUNK(ahead, stream, chunk)
            MULTIPLY_CHUNK(held, stream, sums)
            KEEP_CHUNK(held, ahead)
            if (end_chunk(stream, sums)) { TAKE_TURNS(sums) }
        }
        const Phase next = phase_after(phase);
        Stream then = stream_of(next);
        chunk = next_chunk(then);
        LOAD_CHUNK(ahead, then, chunk)
        if (left != 0u) {
            MULTIPLY_CHUNK(held, stream, sums)
            if (end_chunk(stream, sums)) { TAKE_TURNS(sums) }
        }
        if (WINDOWED && stream.window != 0u) // of subgroups with fewer pairs, too, CARRIED turns
            [[unroll]] for (uint i = 1u; i < CARRIED; i++)
                if (sums.part < (i + 1u) * SUBGROUPS) { TAKE_TURNS(sums) }
        stream = then;
        KEEP_CHUNK(held, ahead)
        barrier();
        finish(phase, outputs);
        if (is_last(phase, next)) return;
        if (kind_of(phase) == GSA_RESIDENT_STEP && !take_step(phase, slot)) return;
        if (kind_of(phase) == GSA_RESIDENT_SWIGLU) empty_other(phase.layer);

        // What the next phase needs is on its way before its x is waited for.
        phase = next;
        outputs = outputs_of(phase);
        state = states(phase.layer);
        const vec4 keys = queried_keys(phase, slot);
        if (!stage(phase)) return;
        if (kind_of(phase) == GSA_RESIDENT_STEP) keep_keys(slot, keys);
    }
}
