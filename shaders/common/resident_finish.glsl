// Behind a product: sums of a team put together, norm's factor, activation, residual; and for a STEP phase what the
// queries read of the key memory.
float norm_factor(uint at)
{
    const uint x_vecs = field(at, GSA_RESIDENT_X_VECS);
    if (field(at, GSA_RESIDENT_NORMED) == 0u) return 1.0;
    precise float sum = 0.0;
    for (uint i = 0u; i < (x_vecs + LANES - 1u) / LANES; i++) sum += squares[i];
    return 1.0 / sqrt(sum / float(4u * x_vecs) + uintBitsToFloat(field(at, GSA_RESIDENT_EPS)));
}

float team_sum(uint at, uint pair, uint r)
{
    const uint split = field(at, GSA_RESIDENT_SPLIT);
    precise float sum = 0.0;
    for (uint j = 0u; j < 1u << split; j++) sum += part_sums[2u * ((pair << split) + j) + r];
    return sum;
}

// Final form of a projection.
float projected(float z, uint row)
{
    const bool is_gate = row >= push.f_row, is_key = row < push.v_row;
    const float scale = row < push.k_row ? push.scale : 1.0;
    const float activated = is_key && push.map == GSA_MAP_RELU ? max(z, 0.0) : silu_exact(z);
    return is_gate ? log_decay(z, push.normalizer) : scale * activated;
}

// Column of the output that is the workgroup's i-th.
uint output_column(uint at, uint i)
{
    return field(at, GSA_RESIDENT_KIND) == GSA_RESIDENT_SWIGLU ? pair_index(at, i)
                                                              : 2u * pair_index(at, i / 2u) + i % 2u;
}

uint n_outputs(uint at)
{
    return n_pairs(at) * (field(at, GSA_RESIDENT_KIND) == GSA_RESIDENT_SWIGLU ? 1u : 2u);
}

float add_to(uint at, uint i)
{
    return i < n_outputs(at) ? SharedFloats(address(at, GSA_RESIDENT_Y)).v[output_column(at, i)] : 0.0;
}

void finish(uint at, uint kind, float before)
{
    SharedFloats y = SharedFloats(address(at, GSA_RESIDENT_Y));
    const uint n = n_outputs(at);
    const float scale = norm_factor(at);
    for (uint i = lane; i < n; i += INVOCATIONS) {
        const uint to = output_column(at, i), pair = kind == GSA_RESIDENT_SWIGLU ? i : i / 2u;
        precise const float z = team_sum(at, pair, kind == GSA_RESIDENT_SWIGLU ? 0u : i % 2u) * scale;
        if (kind == GSA_RESIDENT_SWIGLU) {
            precise const float up = team_sum(at, pair, 1u) * scale;
            y.v[to] = ffn_act(z, push.act) * up;
        } else if (kind == GSA_RESIDENT_ADD) {
            y.v[to] = (i < INVOCATIONS ? before : y.v[to]) + z;
        } else if (kind == GSA_RESIDENT_STEP) {
            const float value = projected(z, to);
            if (i < QUERIES) query[i] = value; // queries come first
            y.v[to] = value;
        } else {
            y.v[to] = z;
        }
    }
}

// --- the state: vecs of it, slot being the first of the session's ---

// Vec i of the rows of the key memory that the workgroup's queries meet.
uint key_vec(uint at, uint slot, uint i)
{
    const uint local = 4u * i / push.M, m = 4u * i - local * push.M, q = 2u * share[at * GSA_RESIDENT_SHARE] + local;
    const uint head = q / push.K, g = head / HEADS;
    return slot + (push.hk + (q - (head - g) * push.K) * push.M + m) / 4u;
}

// A task of the step: columns of the value memory of one kv head, and rows of its key memory.
struct Task {
    uint v0;     // quads of columns before it
    uint values; // vec of the state where the head's value memory begins
    uint k0;     // first row
    uint keys;   // vec where that begins
    uint n_keys; // vecs
};

Task task_at(uint i, uint slot)
{
    const uint g = i / push.tasks, of_head = i - g * push.tasks;
    Task t;
    t.v0 = of_head * QUADS;
    t.values = slot + (push.hv + g * push.M * push.V) / 4u;
    t.k0 = of_head * push.tiles;
    t.keys = slot + (push.hk + (g * push.K + t.k0) * push.M) / 4u;
    t.n_keys = t.k0 < push.K ? min(push.tiles, push.K - t.k0) * push.M / 4u : 0u;
    kv_head = g;
    return t;
}

// Partial scores of the workgroup's tiles.
void read_tiles(uint at)
{
    SharedFloats partial = SharedFloats(uvec2(push.partial_lo, push.partial_hi));
    const uint first = 2u * share[at * GSA_RESIDENT_SHARE] / push.tile * push.M;
    const uint n = 2u * share[at * GSA_RESIDENT_SHARE + 1u] / push.tile * push.M;
    for (uint i = lane; i < n; i += INVOCATIONS) {
        const uint t = i / push.M, m = i - t * push.M;
        precise float read = 0.0;
        for (uint k = 0u; k < push.tile; k++)
            read = fma(query[t * push.tile + k], memory[(t * push.tile + k) * push.M + m], read);
        partial.v[first + i] = read;
    }
}
