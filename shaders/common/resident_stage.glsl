// What a phase reads of other workgroups' results, waited for and copied once: x with its norm's weights as
// staged_matvec.comp keeps it, or the inputs of the GSA step.
void put(uint i, uint units, vec4 value)
{
#if defined(DOTS)
    dot_put(0u, units, i, value);
#elif defined(WEIGHT_BLOCKS)
    staged[i + i / WEIGHT_QUAD_VECS * 2u] = value; // as weight_staged
    const float mine = sum_of(value); // a unit has vecs i and i + 2 of a run
    precise const float both = mine + subgroupShuffleXor(mine, 2u);
    const uint run = i % WEIGHT_QUAD_VECS / 8u, u = i / WEIGHT_QUAD_VECS * 4u + i / 4u % 2u * 2u + i % 2u;
    if ((i & 2u) == 0u) run_sums[u][run] = both;
#else
    staged[i % WEIGHT_VECS * units + i / WEIGHT_VECS] = value;
#endif
}

// Vecs that lanes put: where those that lie together are put together, those beyond x as well.
uint n_put(uint x_vecs, uint units)
{
#if defined(DOTS)
    return units * WEIGHT_VECS;
#else
    return x_vecs;
#endif
}

// What the last units have beyond the row and was not put.
void put_padding(uint x_vecs, uint units)
{
#if defined(DOTS)
#elif defined(WEIGHT_BLOCKS)
    for (uint i = x_vecs + lane; i < units / 4u * WEIGHT_QUAD_VECS; i += INVOCATIONS) {
        const uint run = i % WEIGHT_QUAD_VECS / 8u, u = i / WEIGHT_QUAD_VECS * 4u + i / 4u % 2u * 2u + i % 2u;
        staged[i + i / WEIGHT_QUAD_VECS * 2u] = vec4(0.0);
        if ((i & 2u) == 0u) run_sums[u][run] = 0.0;
    }
#else
    if (lane < units * WEIGHT_VECS - x_vecs) staged[units * WEIGHT_VECS - 1u] = vec4(0.0); // at most one
#endif
}

// Squares are summed by runs of LANES vecs.
void stage_normed_vec(uint i, uint x_vecs, uint units, vec4 value, vec4 weight)
{
    if (i >= x_vecs) value = vec4(0.0);
    precise const vec4 square = value * value;
    precise const float all = subgroupAdd(sum_of(square));
    if (gl_SubgroupInvocationID == 0u && i < x_vecs) squares[i / LANES] = all;
    put(i, units, value * weight);
}

void stage_normed(Phase p, uint x_vecs, uint units)
{
    const uint x = place(p, GSA_RESIDENT_X);
    const uvec2 norm = address(p, GSA_RESIDENT_NORM);
    const bool weighted = (norm.x | norm.y) != 0u;
    const uint n = n_put(x_vecs, units);
    for (uint first = lane; first < n; first += NORMED_AHEAD * INVOCATIONS) {
        vec4 weight[NORMED_AHEAD];
        uint from[4u * NORMED_AHEAD], word[4u * NORMED_AHEAD];
        [[unroll]] for (uint j = 0u; j < NORMED_AHEAD; j++) {
            const uint i = min(first + j * INVOCATIONS, x_vecs - 1u);
            weight[j] = Vecs(weighted ? norm : uvec2(push.x_lo, push.x_hi)).v[weighted ? i : 0u];
            [[unroll]] for (uint e = 0u; e < 4u; e++) from[4u * j + e] = x + post_vec(i) + e * LANES;
        }
        AWAIT(4u * NORMED_AHEAD, word, from)
        [[unroll]] for (uint j = 0u; j < NORMED_AHEAD; j++) {
            vec4 value;
            [[unroll]] for (uint e = 0u; e < 4u; e++) value[e] = post_value(word[4u * j + e]);
            if (first + j * INVOCATIONS < n)
                stage_normed_vec(first + j * INVOCATIONS, x_vecs, units, value, weighted ? weight[j] : vec4(1.0));
        }
    }
}

// The first phase's, which lies ready.
void stage_first(Phase p)
{
    const uint x_vecs = field(p, GSA_RESIDENT_X_VECS), units = weight_units(x_vecs);
    const uvec2 norm = address(p, GSA_RESIDENT_NORM);
    for (uint i = lane; i < n_put(x_vecs, units); i += INVOCATIONS) {
        const uint at = min(i, x_vecs - 1u);
        vec4 weight = vec4(1.0);
        if ((norm.x | norm.y) != 0u) weight = Vecs(norm).v[at];
        stage_normed_vec(i, x_vecs, units, Vecs(uvec2(push.x_lo, push.x_hi)).v[at], weight);
    }
    put_padding(x_vecs, units);
    barrier();
}

void stage_plain(Phase p, uint x_vecs, uint units)
{
    const uint x = place(p, GSA_RESIDENT_X), n = n_put(x_vecs, units);
    for (uint first = lane; first < n; first += PLAIN_AHEAD * INVOCATIONS) {
        uint from[4u * PLAIN_AHEAD], word[4u * PLAIN_AHEAD];
        [[unroll]] for (uint j = 0u; j < 4u * PLAIN_AHEAD; j++)
            from[j] = x + post_vec(min(first + j / 4u * INVOCATIONS, x_vecs - 1u)) + j % 4u * LANES;
        AWAIT(4u * PLAIN_AHEAD, word, from)
        [[unroll]] for (uint j = 0u; j < PLAIN_AHEAD; j++) {
            vec4 value;
            [[unroll]] for (uint e = 0u; e < 4u; e++) value[e] = post_value(word[4u * j + e]);
            if (first + j * INVOCATIONS >= x_vecs) value = vec4(0.0);
            if (first + j * INVOCATIONS < n) put(first + j * INVOCATIONS, units, value);
        }
    }
}

// The phase's x to shared memory, with a barrier behind. False: leave. And one before, here and below: all subgroups have
// told what they had to before one waits, for it may be what the others wait for.
bool stage(Phase p)
{
    const uint x_vecs = field(p, GSA_RESIDENT_X_VECS), units = weight_units(x_vecs);
    barrier();
    if (field(p, GSA_RESIDENT_NORMED) != 0u) {
        stage_normed(p, x_vecs, units);
    } else {
        stage_plain(p, x_vecs, units);
    }
    put_padding(x_vecs, units);
    barrier();
    return failed == 0u;
}

// Word i of a task's inputs beside partial scores: its queries, its key, its log decays, its values.
uint step_input(uint i)
{
    const uint k = HEADS * K, g = k + K, v = g + M;
    uint from = V_ROW + kv_head * V + min(4u * task.v0 + i - v, V - 1u);
    from = i < v ? F_ROW + kv_head * M + i - g : from;
    from = i < g ? K_ROW + kv_head * K + i - k : from;
    return i < k ? kv_head * HEADS * K + i : from;
}

bool stage_step(Phase p)
{
    const uint PARTIALS = HEADS * K_TILES * M, INPUTS = HEADS * K + K + M + 4u * QUADS;
    const uint PARTIAL_AHEAD = (PARTIALS + INVOCATIONS - 1u) / INVOCATIONS;
    const uint AHEAD = PARTIAL_AHEAD + (INPUTS + INVOCATIONS - 1u) / INVOCATIONS;
    const uint partial = p.layer * push.layer_words + push.partial + kv_head * PARTIALS, row = place(p, GSA_RESIDENT_Y);
    uint from[AHEAD], word[AHEAD];
    [[unroll]] for (uint j = 0u; j < AHEAD; j++)
        from[j] = j < PARTIAL_AHEAD ? partial + min(lane + j * INVOCATIONS, PARTIALS - 1u)
                                    : row + step_input(min(lane + (j - PARTIAL_AHEAD) * INVOCATIONS, INPUTS - 1u));
    barrier();
    AWAIT(AHEAD, word, from)
    [[unroll]] for (uint j = 0u; j < AHEAD; j++) {
        const uint i = j < PARTIAL_AHEAD ? min(lane + j * INVOCATIONS, PARTIALS - 1u)
                                         : PARTIALS + min(lane + (j - PARTIAL_AHEAD) * INVOCATIONS, INPUTS - 1u);
        staged[i / 4u][i % 4u] = post_value(word[j]);
    }
    barrier();
    return failed == 0u;
}
