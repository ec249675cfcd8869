// What a chunk's own rows contribute to the scores of its rows (gsa_cm_chunks.comp). See gsa_chunk_read.comp for the sums;
// products between blocks are of f16, those inside a block f32.
const uint ROWS = GSA_CM_TILE;
const uint PAIR_FRAGS = GSA_CHUNK / FRAG_N, ITEMS = TILE_FRAGS * PAIR_FRAGS, PAIRS_EACH = (ITEMS + SUBS - 1u) / SUBS;
const uint N_Q = ROWS * CHUNK_VECS / GROUP, N_K = GSA_CHUNK * CHUNK_VECS / GROUP;
const uint SCORE_PITCH = SLOTS / 4u + 1u;

// In the pool, where the stage of q and k was: A as f16, A inside the blocks as f32, scores
const uint AT_PAIRS = 0u, AT_OWN = AT_PAIRS + ROWS * CHUNK_PITCH, AT_SCORES = AT_OWN + ROWS * GSA_BLOCK / 4u;

// Eight f16 of the chunk's row t. Rows past its end count nowhere, but what lies there may not be finite: the last row
// stands for them.
uvec4 half_of(uint chunk, uvec2 rows, uint t, uint column, uint vec)
{
    return half_vec[(half_row(chunk, rows.x) + min(t, rows.y - 1u) * push.half_stride + column) / 8u + vec];
}

#define FETCH_QK(K0)                                                                                      \
    {                                                                                                     \
        [[unroll]] for (uint e = 0u; e < N_Q; e++) {                                                      \
            const uint i = lane + e * GROUP;                                                              \
            q_next[e] = half_of(chunk, rows, block0 * GSA_BLOCK + i / CHUNK_VECS, h * push.K + (K0), i % CHUNK_VECS); \
        }                                                                                                 \
        [[unroll]] for (uint e = 0u; e < N_K; e++) {                                                      \
            const uint i = lane + e * GROUP, t = min(i / CHUNK_VECS, last_row);                           \
            k_next[e] = half_of(chunk, rows, t, (push.R * push.G + g) * push.K + (K0), i % CHUNK_VECS);   \
        }                                                                                                 \
    }

// A block's own writes, followed row by row: what row j wrote is element j of w0 .. w3, 0 before.
#define ROWS_OF_BLOCK(DO) \
    DO(0, w0, x) DO(1, w0, y) DO(2, w0, z) DO(3, w0, w) DO(4, w1, x) DO(5, w1, y) DO(6, w1, z) DO(7, w1, w) \
    DO(8, w2, x) DO(9, w2, y) DO(10, w2, z) DO(11, w2, w) DO(12, w3, x) DO(13, w3, y) DO(14, w3, z) DO(15, w3, w)
#define LOAD_ROW(T, W, C)                                               \
    const float pre##T = table[gate + uint(T) * gm()];                  \
    const float keep##T = table[at_keep() + gate + uint(T) * gm()];     \
    const float wrote##T = table[at_write() + gate + uint(T) * gm()];
#define OWN_ROW(T, W, C)                                                \
    {                                                                   \
        const uint t = b * GSA_BLOCK + uint(T), own = AT_OWN + t * GSA_BLOCK / 4u; \
        w0 *= keep##T;                                                  \
        w1 *= keep##T;                                                  \
        w2 *= keep##T;                                                  \
        w3 *= keep##T;                                                  \
        W.C = wrote##T;                                                 \
        precise float sum = pre##T * uintBitsToFloat(pool[AT_SCORES + t * SCORE_PITCH + m / 4u][m % 4u]); \
        sum = own_sum(uintBitsToFloat(pool[own]), w0, sum);             \
        if (T > 3) sum = own_sum(uintBitsToFloat(pool[own + 1u]), w1, sum); \
        if (T > 7) sum = own_sum(uintBitsToFloat(pool[own + 2u]), w2, sum); \
        if (T > 11) sum = own_sum(uintBitsToFloat(pool[own + 3u]), w3, sum); \
        score[to + uint(T) * heads * SLOTS] = sum;                      \
    }
float own_sum(vec4 a, vec4 w, float sum)
{
    precise const float all = fma(a.w, w.w, fma(a.z, w.z, fma(a.y, w.y, fma(a.x, w.x, sum))));
    return all;
}

// Blocks block0 and the next of a chunk, for query head h.
void pairs_of(uint chunk, uint h, uint block0)
{
    const uint lane = gl_LocalInvocationIndex, g = h / push.R, heads = push.R * push.G;
    const uvec2 rows = uvec2(work[chunk_entry(chunk)], work[chunk_entry(chunk) + 1u]); // first in the pass, how many
    if (block0 * GSA_BLOCK >= rows.y) return;

    // A: a subgroup's fragments lie side by side
    FRAG_C pairs[PAIRS_EACH];
    uvec4 q_next[N_Q], k_next[N_K];
    const uint last_row = block0 * GSA_BLOCK + ROWS - 1u; // of keys that any of these rows meets
    [[unroll]] for (uint e = 0u; e < PAIRS_EACH; e++) pairs[e] = FRAG_C(0.0);
    FETCH_QK(0u)
    for (uint k0 = 0u; k0 < push.K; k0 += GSA_CHUNK) {
        [[unroll]] for (uint e = 0u; e < N_Q; e++) {
            const uint i = lane + e * GROUP;
            pool[i / CHUNK_VECS * CHUNK_PITCH + i % CHUNK_VECS] = q_next[e];
        }
        [[unroll]] for (uint e = 0u; e < N_K; e++) {
            const uint i = lane + e * GROUP;
            pool[(ROWS + i / CHUNK_VECS) * CHUNK_PITCH + i % CHUNK_VECS] = k_next[e];
        }
        barrier();
        FETCH_QK(min(k0 + GSA_CHUNK, push.K - GSA_CHUNK)) // under no condition: it would be waited for where that ends
        [[unroll]] for (uint e = 0u; e < PAIRS_EACH; e++) {
            const uint f = min(gl_SubgroupID + e * SUBS, ITEMS - 1u), t = f / PAIR_FRAGS * FRAG_M, column = f % PAIR_FRAGS * FRAG_N;
            if (column > last_row) continue;
            [[unroll]] for (uint k = 0u; k < GSA_CHUNK; k += FRAG_K) {
                FRAG_A a;
                FRAG_B b;
                coopMatLoad(a, pool, t * CHUNK_PITCH + k / 8u, CHUNK_PITCH, ROW_MAJOR);
                coopMatLoad(b, pool, (ROWS + column) * CHUNK_PITCH + k / 8u, CHUNK_PITCH, COLUMN_MAJOR);
                pairs[e] = coopMatMulAdd(a, b, pairs[e]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint e = 0u; e < PAIRS_EACH; e++) {
        const uint f = gl_SubgroupID + e * SUBS, t = f / PAIR_FRAGS * FRAG_M, column = f % PAIR_FRAGS * FRAG_N;
        FRAG_C z = pairs[e];
        if (f >= ITEMS) continue;
        [[unroll]] for (uint n = 0u; n < z.length(); n++) z[n] *= push.scale;
        if (block0 + t / GSA_BLOCK == column / GSA_BLOCK)
            coopMatStore(z, pool, AT_OWN + t * GSA_BLOCK / 4u + column % GSA_BLOCK / 4u, GSA_BLOCK / 4u, ROW_MAJOR);
        [[unroll]] for (uint n = 0u; n < z.length(); n++) z[n] = clamp(z[n], -HALF_MAX, HALF_MAX);
        coopMatStore(FRAG_H(z), pool, AT_PAIRS + t * CHUNK_PITCH + column / 8u, CHUNK_PITCH, ROW_MAJOR);
    }
    barrier();

    // Earlier blocks of the chunk
    [[unroll]] for (uint e = 0u; e < EACH; e++) {
        const uint t = frag_row(e), m = frag_column(e), b = block0 + t / GSA_BLOCK;
        FRAG_C sum = FRAG_C(0.0);
        for (uint j = 0u; j < b; j++)
            [[unroll]] for (uint k = 0u; k < GSA_BLOCK; k += FRAG_K) {
                FRAG_A a;
                FRAG_B w;
                coopMatLoad(a, pool, AT_PAIRS + t * CHUNK_PITCH + (j * GSA_BLOCK + k) / 8u, CHUNK_PITCH, ROW_MAJOR);
                coopMatLoad(w, table_vec, (later_row(chunk, b, j) + k * gm() + g * SLOTS + m) / 8u, gm() / 8u, ROW_MAJOR);
                sum = coopMatMulAdd(a, w, sum);
            }
        if (owns(e)) coopMatStore(sum, pool, AT_SCORES + t * SCORE_PITCH + m / 4u, SCORE_PITCH, ROW_MAJOR);
    }
    barrier();

    for (uint i = lane; i < 2u * SLOTS; i += GROUP) {
        const uint b = i / SLOTS, m = i % SLOTS, row = chunk * GSA_CHUNK + (block0 + b) * GSA_BLOCK;
        const uint gate = row * gm() + g * SLOTS + m, to = (row * heads + h) * SLOTS + m;
        precise vec4 w0 = vec4(0.0), w1 = vec4(0.0), w2 = vec4(0.0), w3 = vec4(0.0);
        ROWS_OF_BLOCK(LOAD_ROW)
        ROWS_OF_BLOCK(OWN_ROW)
    }
}
