// What a phase reads of other workgroups' results, copied to shared memory once: x with its norm's weights as
// staged_matvec.comp keeps it, or the inputs of the GSA step.
void put(uint i, uint units, vec4 value)
{
#if defined(WEIGHT_BLOCKS)
    staged[i + i / WEIGHT_QUAD_VECS * 2u] = value;
    const float mine = sum_of(value); // a unit has vecs i and i + 2 of a run
    precise const float both = mine + subgroupShuffleXor(mine, 2u);
    const uint run = i % WEIGHT_QUAD_VECS / 8u, u = i / WEIGHT_QUAD_VECS * 4u + i / 4u % 2u * 2u + i % 2u;
    if ((i & 2u) == 0u) run_sums[run * units + u] = both;
#else
    staged[i % WEIGHT_VECS * units + i / WEIGHT_VECS] = value;
#endif
}

// What the last units have beyond the row.
void put_padding(uint x_vecs, uint units)
{
#if defined(WEIGHT_BLOCKS)
    for (uint i = x_vecs + lane; i < units / 4u * WEIGHT_QUAD_VECS; i += INVOCATIONS) {
        const uint run = i % WEIGHT_QUAD_VECS / 8u, u = i / WEIGHT_QUAD_VECS * 4u + i / 4u % 2u * 2u + i % 2u;
        staged[i + i / WEIGHT_QUAD_VECS * 2u] = vec4(0.0);
        if ((i & 2u) == 0u) run_sums[run * units + u] = 0.0;
    }
#else
    if (lane < units * WEIGHT_VECS - x_vecs) staged[units * WEIGHT_VECS - 1u] = vec4(0.0); // at most one
#endif
}

// Squares are summed by runs of LANES vecs.
void stage_normed(uint at, uint x_vecs, uint units)
{
    const uint AHEAD = 2u;
    SharedVecs x = SharedVecs(address(at, GSA_RESIDENT_X));
    const uvec2 norm = address(at, GSA_RESIDENT_NORM);
    const bool weighted = (norm.x | norm.y) != 0u;
    for (uint first = lane; first < x_vecs; first += AHEAD * INVOCATIONS) {
        vec4 value[AHEAD], weight[AHEAD];
        [[unroll]] for (uint j = 0u; j < AHEAD; j++) {
            value[j] = weight[j] = vec4(0.0);
            if (first + j * INVOCATIONS < x_vecs) {
                value[j] = x.v[first + j * INVOCATIONS];
                weight[j] = weighted ? Vecs(norm).v[first + j * INVOCATIONS] : vec4(1.0);
            }
        }
        [[unroll]] for (uint j = 0u; j < AHEAD; j++)
            if (first + j * INVOCATIONS < x_vecs) {
                precise const vec4 square = value[j] * value[j];
                precise const float all = subgroupAdd(sum_of(square));
                if (gl_SubgroupInvocationID == 0u) squares[(first + j * INVOCATIONS) / LANES] = all;
                put(first + j * INVOCATIONS, units, value[j] * weight[j]);
            }
    }
}

void stage_plain(uint at, uint x_vecs, uint units)
{
    const uint AHEAD = 4u;
    SharedVecs x = SharedVecs(address(at, GSA_RESIDENT_X));
    for (uint first = lane; first < x_vecs; first += AHEAD * INVOCATIONS) {
        vec4 value[AHEAD];
        [[unroll]] for (uint j = 0u; j < AHEAD; j++) value[j] = vec4(0.0);
        [[unroll]] for (uint j = 0u; j < AHEAD; j++)
            if (first + j * INVOCATIONS < x_vecs) value[j] = x.v[first + j * INVOCATIONS];
        [[unroll]] for (uint j = 0u; j < AHEAD; j++)
            if (first + j * INVOCATIONS < x_vecs) put(first + j * INVOCATIONS, units, value[j]);
    }
}

void stage(uint at)
{
    const uint x_vecs = field(at, GSA_RESIDENT_X_VECS), units = weight_units(x_vecs);
    if (field(at, GSA_RESIDENT_NORMED) != 0u) {
        stage_normed(at, x_vecs, units);
    } else {
        stage_plain(at, x_vecs, units);
    }
    put_padding(x_vecs, units);
    barrier();
}

// Vec i of: partial scores of the kv head's queries, these queries, its key, its log decays.
vec4 step_input(uint i)
{
    const uint partials = HEADS * push.k_tiles * push.M / 4u, queries = HEADS * push.K / 4u, keys = push.K / 4u;
    if (i < partials) return SharedVecs(uvec2(push.partial_lo, push.partial_hi)).v[kv_head * partials + i];
    i -= partials;
    if (i < queries) return row.v[kv_head * queries + i];
    i -= queries;
    if (i < keys) return row.v[push.k_row / 4u + kv_head * keys + i];
    return row.v[push.f_row / 4u + kv_head * push.M / 4u + i - keys];
}

void stage_step()
{
    const uint AHEAD = 4u;
    q_at = HEADS * push.k_tiles * push.M;
    k_at = q_at + HEADS * push.K;
    g_at = k_at + push.K;
    const uint n = (g_at + push.M) / 4u;
    for (uint first = lane; first < n; first += AHEAD * INVOCATIONS) {
        vec4 value[AHEAD];
        [[unroll]] for (uint j = 0u; j < AHEAD; j++) value[j] = vec4(0.0);
        [[unroll]] for (uint j = 0u; j < AHEAD; j++)
            if (first + j * INVOCATIONS < n) value[j] = step_input(first + j * INVOCATIONS);
        [[unroll]] for (uint j = 0u; j < AHEAD; j++)
            if (first + j * INVOCATIONS < n) staged[first + j * INVOCATIONS] = value[j];
    }
    barrier();
}
