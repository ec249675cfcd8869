// A lane's elements of a fragment in f16, from the EACH 16-byte vectors of source from `from` on, as matmul_pack.comp stores them.
// A macro: matrices are variables of main.
#define ELEMENTS(m, source, from, EACH) \
    [[unroll]] for (uint v = 0u; v < EACH; v++) { \
        const uvec4 q = source[(from) + v]; \
        const f16vec2 q0 = unpackFloat2x16(q.x), q1 = unpackFloat2x16(q.y), q2 = unpackFloat2x16(q.z), q3 = unpackFloat2x16(q.w); \
        m[v * 8u] = q0.x, m[v * 8u + 1u] = q0.y, m[v * 8u + 2u] = q1.x, m[v * 8u + 3u] = q1.y; \
        m[v * 8u + 4u] = q2.x, m[v * 8u + 5u] = q2.y, m[v * 8u + 6u] = q3.x, m[v * 8u + 7u] = q3.y; \
    }
