// Behind a product: sums of a team put together, norm's factor, activation, residual; and for a STEP phase what the
// queries read of the key memory.
float norm_factor(Phase p)
{
    const uint AHEAD = 8u, x_vecs = field(p, GSA_RESIDENT_X_VECS), n = (x_vecs + LANES - 1u) / LANES;
    precise float sum = 0.0;
    for (uint first = 0u; first < n; first += AHEAD) {
        float run[AHEAD];
        [[unroll]] for (uint i = 0u; i < AHEAD; i++) run[i] = squares[min(first + i, n - 1u)];
        [[unroll]] for (uint i = 0u; i < AHEAD; i++)
            if (first + i < n) sum += run[i];
    }
    return 1.0 / sqrt(sum / float(4u * x_vecs) + uintBitsToFloat(field(p, GSA_RESIDENT_EPS)));
}

float team_sum(Phase p, uint pair, uint r)
{
    const uint split = field(p, GSA_RESIDENT_SPLIT);
    precise float sum = 0.0;
    for (uint j = 0u; j < 1u << split; j++) sum += part_sums[2u * ((pair << split) + j) + r];
    return sum;
}

// Final form of a projection.
float projected(float z, uint row)
{
    const bool is_gate = row >= F_ROW, is_key = row < V_ROW;
    const float scale = row < K_ROW ? push.scale : 1.0;
    const float activated = is_key && MAP == GSA_MAP_RELU ? max(z, 0.0) : silu_exact(z);
    return is_gate ? log_decay(z, push.normalizer) : scale * activated;
}

// Column of the output that is the workgroup's i-th.
uint output_column(Phase p, uint i)
{
    return kind_of(p) == GSA_RESIDENT_SWIGLU ? pair_index(p, i)
                                                              : 2u * pair_index(p, i / 2u) + i % 2u;
}

uint n_outputs(Phase p)
{
    const bool all = !WINDOWED || (field(p, GSA_RESIDENT_WINDOW) & GSA_RESIDENT_MORE) == 0u;
    return all ? n_pairs(p) * (kind_of(p) == GSA_RESIDENT_SWIGLU ? 1u : 2u) : 0u;
}

// What a column of the output is added to; other invocations have seen it. Where nothing is added: anything.
float added_to(Phase p, uint column)
{
    const bool plain = p.layer == 0u && p.i == 1u; // the pass's x
    column = kind_of(p) == GSA_RESIDENT_ADD ? column : 0u;
    const uint at = plain ? column : place(p, GSA_RESIDENT_BEFORE) + post_float(column);
    const uint word = LOOK(plain ? uvec2(push.x_lo, push.x_hi) : post_address(), at);
    return uintBitsToFloat(plain ? word : ~word);
}

// A workgroup's outputs, the column of the invocation's first, and what that is added to.
struct Outputs {
    uint n, to;
    float before;
};

Outputs outputs_of(Phase p)
{
    Outputs o;
    o.n = n_outputs(p);
    o.to = o.n != 0u ? output_column(p, min(lane, o.n - 1u)) : 0u;
    o.before = added_to(p, o.to);
    return o;
}

void finish(Phase p, Outputs o)
{
    const uint kind = kind_of(p), y = place(p, GSA_RESIDENT_Y);
    const float scale = field(p, GSA_RESIDENT_NORMED) != 0u ? factor : 1.0;
    for (uint i = lane; i < o.n; i += INVOCATIONS) {
        if (i >= INVOCATIONS) {
            o.to = output_column(p, i);
            o.before = added_to(p, o.to);
        }
        const uint pair = kind == GSA_RESIDENT_SWIGLU ? i : i / 2u;
        precise const float z = team_sum(p, pair, kind == GSA_RESIDENT_SWIGLU ? 0u : i % 2u) * scale;
        float value;
        uint at = y + post_float(o.to);
        if (kind == GSA_RESIDENT_STEP) {
            value = projected(z, o.to);
            at = y + o.to;
            if (i < QUERIES) query[i] = value; // queries come first
        } else if (kind == GSA_RESIDENT_SWIGLU) {
            precise const float up = team_sum(p, pair, 1u) * scale;
            value = ffn_act(z, ACT) * up;
        } else {
            value = is_head(p) ? z : o.before + z;
        }
        if (is_head(p)) {
            Floats(uvec2(push.logits_lo, push.logits_hi)).v[o.to] = value;
        } else if (kind == GSA_RESIDENT_ADD && p.i != 1u && p.layer + 1u == N_LAYERS && !wants_logits()) {
            Floats(uvec2(push.x_lo, push.x_hi)).v[o.to] = value;
        } else {
            post_tell(at, value);
        }
    }
}

// --- the state: vecs of it, slot being the first of the session's ---

uint step_share(uint i)
{
    return share[i];
}

// Vecs of the rows of the key memory that the workgroup's queries meet, and where vec i of them is.
uint n_queried()
{
    return step_share(1u) * 2u * M / 4u;
}

uint key_vec(uint slot, uint i)
{
    const uint local = 4u * i / M, m = 4u * i - local * M, q = 2u * step_share(0u) + local;
    const uint head = q / K, g = head / HEADS;
    return slot + (push.hk + (q - (head - g) * K) * M + m) / 4u;
}

// The invocation's first of them, on its way (in phases without a step: anything), and all to shared memory.
vec4 queried_keys(Phase p, uint slot)
{
    const bool is_step = kind_of(p) == GSA_RESIDENT_STEP && n_queried() != 0u;
    return state.v[is_step ? key_vec(slot, min(lane, n_queried() - 1u)) : 0u];
}

void keep_keys(uint slot, vec4 first)
{
    for (uint i = lane; i < n_queried(); i += INVOCATIONS)
        staged[MEMORY_AT + i] = i == lane ? first : state.v[key_vec(slot, i)];
}

void aim_task(uint i, uint slot)
{
    const uint g = i / TASKS, of_head = i - g * TASKS;
    task.v0 = of_head * QUADS;
    task.values = slot + (push.hv + g * M * V) / 4u;
    task.k0 = of_head * TASK_KEYS;
    task.keys = slot + (push.hk + (g * K + task.k0) * M) / 4u;
    task.n_keys = task.k0 < K ? min(TASK_KEYS, K - task.k0) * M / 4u : 0u;
    kv_head = g;
}

// Partial scores of the workgroup's tiles.
void read_tiles(Phase p)
{
    const uint first = 2u * step_share(0u) / TILE * M, n = 2u * step_share(1u) / TILE * M;
    const uint partial = p.layer * push.layer_words + push.partial + first;
    for (uint i = lane; i < n; i += INVOCATIONS) {
        const uint t = i / M, m = i - t * M;
        precise float read = 0.0;
        for (uint k = 0u; k < TILE; k++)
            read = fma(query[t * TILE + k], staged[MEMORY_AT + (t * TILE + k) * (M / 4u) + m / 4u][m % 4u], read);
        post_tell(partial + i, read);
    }
}
