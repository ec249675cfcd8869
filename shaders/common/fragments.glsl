// Fragments of rows that matmul_pack has put into the order in which subgroups hold them:
//   [blocks][K / FRAG_K][4][lanes][lane_vecs] 16-byte vectors, a block of four fragments' rows.
// Macros, because an array of matrices that a driver does not unroll lands in slow memory.

// A lane's elements of matrix m: EACH vectors of source.
#define FRAGMENT(m, source, from, EACH) \
    [[unroll]] for (uint v = 0u; v < EACH; v++) { \
        const uvec4 q = source[(from) + v]; \
        const f16vec2 q0 = unpackFloat2x16(q.x), q1 = unpackFloat2x16(q.y), q2 = unpackFloat2x16(q.z), q3 = unpackFloat2x16(q.w); \
        m[v * 8u] = q0.x, m[v * 8u + 1u] = q0.y, m[v * 8u + 2u] = q1.x, m[v * 8u + 3u] = q1.y; \
        m[v * 8u + 4u] = q2.x, m[v * 8u + 5u] = q2.y, m[v * 8u + 6u] = q3.x, m[v * 8u + 7u] = q3.y; \
    }
// Where fragment i behind the one at block's begin lies, g along the columns; VECS of a fragment. Blocks beyond the last one
// repeat it.
#define FRAGMENT_AT(i, g, block, n_blocks, VECS) \
    (BLOCKS_ON(i, block, n_blocks) * (4u * VECS * (K / FRAG_K)) + ((g) * 4u + (i) % 4u) * VECS)
#define BLOCKS_ON(i, block, n_blocks) (EDGES ? min(block + (i) / 4u, n_blocks - 1u) - block : (i) / 4u)
