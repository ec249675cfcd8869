// The state before each chunk, and after the last (gsa_cm_chunks.comp):
//   h[kv, m] <- D[m] h[kv, m] + sum_t [key | value][t, kv] wend[t, m]
// for both memories at once: rows kv below K are hk's, the others hv's columns. The state is carried in f32; what the next
// kernel reads of it is f16. The chain is that of a serial scan, so its bits depend neither on the other chunks of the call
// nor on where a call ends.
//
// Inputs pass through shared memory. A round follows two chunks; at its beginning it asks for those of the next round, since
// what a loop asks for may be waited for where it ends, and lets the second chunk's wait in other registers. Without AHEAD
// a round is one chunk.
const uint ROUND = AHEAD ? 2u : 1u;
const uint N_KV = GSA_CHUNK * KV_VECS / GROUP, N_W = (GSA_CHUNK * SLOT_VECS + GROUP - 1u) / GROUP; // vectors of an invocation
const uint AT_W = GSA_CHUNK * KV_PITCH; // in the stage
const uint STATE_PITCH = SLOTS / 4u + 1u;

// The pool is the stage, first and last [kv][m] f32.

uint first, last; // chunks
uint kv0, g;      // rows of [K | V] of a kv head

uvec2 entry_of(uint chunk) // first row, and how many
{
    const uint at = chunk_entry(min(chunk, last));
    return uvec2(work[at], work[at + 1u]);
}

// Rows past the chunk's end have no strength, but what lies there may not be finite: the last row stands for them.
#define FETCH(CHUNK, ENTRY, KV, W, D)                                                                                              \
    {                                                                                                             \
        const uint at = min(CHUNK, last), n_q = push.R * push.G * push.K;                                         \
        const uint column = kv0 < push.K ? n_q + g * push.K + kv0 : n_q + push.G * push.K + g * push.V + kv0 - push.K; \
        [[unroll]] for (uint e = 0u; e < N_KV; e++) {                                                             \
            const uint i = lane + e * GROUP, t = min(i / KV_VECS, max(ENTRY.y, 1u) - 1u);                         \
            const uint from = (half_row(at, ENTRY.x) + t * push.half_stride + column) / 8u + i % KV_VECS;         \
            KV[e] = half_vec[from];                                                                               \
        }                                                                                                         \
        [[unroll]] for (uint e = 0u; e < N_W; e++) {                                                              \
            const uint i = min(lane + e * GROUP, GSA_CHUNK * SLOT_VECS - 1u), t = i / SLOT_VECS;                  \
            W[e] = table_vec[(at_wend() * 2u + gate_row(at) + t * gm() + g * SLOTS) / 8u + i % SLOT_VECS];        \
        }                                                                                                         \
        const uint decays = push.decay + at * GSA_BLOCK * gm() + g * SLOTS;                                       \
        [[unroll]] for (uint j = 0u; j < EACH_COLUMNS; j++)                                                       \
            coopMatLoad(D[j], table_vec, (decays + frag_column(j * EACH_ROWS)) / 4u, gm() / 4u, ROW_MAJOR); \
    }

#define PUT(KV, W)                                                                                                \
    {                                                                                                             \
        [[unroll]] for (uint e = 0u; e < N_KV; e++) {                                                             \
            const uint i = lane + e * GROUP;                                                                      \
            pool[i / KV_VECS * KV_PITCH + i % KV_VECS] = KV[e];                                                   \
        }                                                                                                         \
        [[unroll]] for (uint e = 0u; e < N_W; e++) {                                                              \
            const uint i = lane + e * GROUP;                                                                      \
            if (i < GSA_CHUNK * SLOT_VECS) pool[AT_W + i / SLOT_VECS * SLOT_PITCH + i % SLOT_VECS] = W[e];        \
        }                                                                                                         \
    }
// One chunk, whose inputs are in shared memory and its decay in D.
#define FOLLOW(CHUNK, D)                                                                                          \
    {                                                                                                             \
        FRAG_C sum[EACH];                                                                                         \
        [[unroll]] for (uint e = 0u; e < EACH; e++) {                                                             \
            FRAG_C bounded = h[e];                                                                                \
            [[unroll]] for (uint n = 0u; n < bounded.length(); n++) bounded[n] = clamp(bounded[n], -HALF_MAX, HALF_MAX); \
            const uint to = (((CHUNK) * push.G + g) * (push.K + push.V) + kv0 + frag_row(e)) * SLOTS + frag_column(e); \
            if (owns(e)) coopMatStore(FRAG_H(bounded), start_vec, to / 8u, SLOT_VECS, ROW_MAJOR);                 \
            sum[e] = FRAG_C(0.0);                                                                                 \
        }                                                                                                         \
        [[unroll]] for (uint t = 0u; t < GSA_CHUNK; t += FRAG_K) {                                                \
            FRAG_A left[EACH_ROWS];                                                                               \
            [[unroll]] for (uint i = 0u; i < EACH_ROWS; i++)                                                      \
                coopMatLoad(left[i], pool, t * KV_PITCH + frag_row(i) / 8u, KV_PITCH, COLUMN_MAJOR);              \
            [[unroll]] for (uint j = 0u; j < EACH_COLUMNS; j++) {                                                 \
                FRAG_B right;                                                                                     \
                coopMatLoad(right, pool, AT_W + t * SLOT_PITCH + frag_column(j * EACH_ROWS) / 8u, SLOT_PITCH, ROW_MAJOR); \
                [[unroll]] for (uint i = 0u; i < EACH_ROWS; i++)                                                  \
                    sum[j * EACH_ROWS + i] = coopMatMulAdd(left[i], right, sum[j * EACH_ROWS + i]);               \
            }                                                                                                     \
        }                                                                                                         \
        [[unroll]] for (uint e = 0u; e < EACH; e++)                                                               \
            [[unroll]] for (uint n = 0u; n < sum[e].length(); n++)                                                \
                h[e][n] = state_kept(follow(D[e / EACH_ROWS][n], h[e][n], sum[e][n]));                            \
    }

// decay_apply of decay.glsl, of the pair in one number
float follow(float decay, float h, float write)
{
    precise const float kept = decay < 0.0 ? h : 0.0, change = decay * h + write;
    precise const float sum = kept + change;
    return sum;
}

// Where element i of the tile lies in the state, and in shared memory as floats: neighbours are neighbours in the state.
uvec2 place(uint i, uint slot)
{
    const bool is_k = kv0 < push.K;
    const uint kv = is_k ? i / SLOTS : i % GSA_CM_TILE, m = is_k ? i % SLOTS : i / GSA_CM_TILE;
    const uint at = is_k ? push.hk + (g * push.K + kv0 + kv) * SLOTS + m : push.hv + (g * SLOTS + m) * push.V + kv0 - push.K + kv;
    return uvec2(slot * push.state_stride + at, kv * STATE_PITCH * 4u + m);
}

// Follows GSA_CM_TILE rows of [K | V] of one kv head through all chunks of a span.
void scan_of(uint tile, uint kv_head, uint span_index)
{
    const uint lane = gl_LocalInvocationIndex, span = push.spans + GSA_WORK_STRIDE * span_index;
    const uint slot = work[span], n_chunks = work[span + 2u];
    if (n_chunks == 0u) return; // an idle span owns no slot, so it must not even write back what it read
    first = work[span + 1u];
    last = first + n_chunks - 1u;
    kv0 = tile * GSA_CM_TILE;
    g = kv_head;

    uvec4 kv[N_KV], w[N_W], kv_next[N_KV], w_next[N_W], kv_wait[N_KV], w_wait[N_W];
    FRAG_C h[EACH], decay[EACH_COLUMNS], decay_next[EACH_COLUMNS], decay_now[EACH_COLUMNS], decay_wait[EACH_COLUMNS];
    uvec2 entry = entry_of(first), entry_next = entry_of(first + 1u);
    FETCH(first, entry, kv, w, decay)
    if (AHEAD) FETCH(first + 1u, entry_next, kv_next, w_next, decay_next)
    entry = entry_of(first + ROUND);
    entry_next = entry_of(first + ROUND + 1u);

    for (uint i = lane; i < GSA_CM_TILE * SLOTS; i += GROUP) {
        const uvec2 at = place(i, slot);
        pool[at.y / 4u][at.y % 4u] = floatBitsToUint(float(state[at.x]));
    }
    barrier();
    [[unroll]] for (uint e = 0u; e < EACH; e++)
        coopMatLoad(h[e], pool, frag_row(e) * STATE_PITCH + frag_column(e) / 4u, STATE_PITCH, ROW_MAJOR);
    barrier();

    for (uint c = first; c <= last; c += ROUND) {
        PUT(kv, w)
        [[unroll]] for (uint j = 0u; j < EACH_COLUMNS; j++) decay_now[j] = decay[j];
        if (AHEAD) {
            [[unroll]] for (uint e = 0u; e < N_KV; e++) kv_wait[e] = kv_next[e];
            [[unroll]] for (uint e = 0u; e < N_W; e++) w_wait[e] = w_next[e];
            [[unroll]] for (uint j = 0u; j < EACH_COLUMNS; j++) decay_wait[j] = decay_next[j];
        }
        barrier();
        FETCH(c + ROUND, entry, kv, w, decay)
        if (AHEAD) FETCH(c + ROUND + 1u, entry_next, kv_next, w_next, decay_next)
        entry = entry_of(c + 2u * ROUND);
        entry_next = entry_of(c + 2u * ROUND + 1u);
        FOLLOW(c, decay_now)
        barrier();
        if (!AHEAD || c == last) continue;
        PUT(kv_wait, w_wait)
        barrier();
        FOLLOW(c + 1u, decay_wait)
        barrier();
    }
    [[unroll]] for (uint e = 0u; e < EACH; e++)
        if (owns(e)) coopMatStore(h[e], pool, frag_row(e) * STATE_PITCH + frag_column(e) / 4u, STATE_PITCH, ROW_MAJOR);
    barrier();
    for (uint i = lane; i < GSA_CM_TILE * SLOTS; i += GROUP) {
        const uvec2 at = place(i, slot);
        state[at.x] = state_of(uintBitsToFloat(pool[at.y / 4u][at.y % 4u]));
    }
}
