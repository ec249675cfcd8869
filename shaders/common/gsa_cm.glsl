// What the gsa_cm_* shaders share. The scratch is seen as words, floats, f16 and 16-byte vectors; bases are in floats,
// multiples of 8. The including shader has declared push and the matrix extensions.
layout(local_size_x = GSA_MIXER_GROUP) in;
layout(constant_id = 0) const uint FRAG_M = 16u; // the shape of the device's matrix units
layout(constant_id = 1) const uint FRAG_N = 16u;
layout(constant_id = 2) const uint FRAG_K = 16u;
layout(constant_id = 3) const uint SLOTS = 64u; // M
layout(constant_id = 4) const uint SUBS = 4u;   // subgroups of a workgroup

#define FRAG_A coopmat<float16_t, gl_ScopeSubgroup, FRAG_M, FRAG_K, gl_MatrixUseA>
#define FRAG_B coopmat<float16_t, gl_ScopeSubgroup, FRAG_K, FRAG_N, gl_MatrixUseB>
#define FRAG_C coopmat<float, gl_ScopeSubgroup, FRAG_M, FRAG_N, gl_MatrixUseAccumulator>
#define FRAG_H coopmat<float16_t, gl_ScopeSubgroup, FRAG_M, FRAG_N, gl_MatrixUseAccumulator>
#define ROW_MAJOR gl_CooperativeMatrixLayoutRowMajor
#define COLUMN_MAJOR gl_CooperativeMatrixLayoutColumnMajor

const float HALF_MAX = 65504.0;
const uint CHUNK_VECS = GSA_CHUNK / 8u, SLOT_VECS = SLOTS / 8u; // 16-byte vectors of a row in shared memory, and with
const uint CHUNK_PITCH = CHUNK_VECS + 1u, SLOT_PITCH = SLOT_VECS + 1u; // the one that spreads rows over the banks

uint gm()
{
    return push.G * push.M;
}

uint chunk_entry(uint chunk)
{
    return push.chunks + GSA_WORK_STRIDE * chunk;
}

// First f16 of local row 0 of a chunk in [q | k | v], and in a table of gates; row: of the pass.
uint half_row(uint chunk, uint row)
{
    const uint first = (push.flags & GSA_CM_MAPPED) != 0u ? row : chunk * GSA_CHUNK;
    return push.half_base * 2u + first * push.half_stride;
}
uint gate_row(uint chunk)
{
    return chunk * GSA_CHUNK * gm();
}

// The tables behind that of pre, in floats
uint at_keep()
{
    return push.table;
}
uint at_write()
{
    return 2u * push.table;
}
uint at_wsuf()
{
    return 3u * push.table;
}
uint at_wend()
{
    return at_wsuf() + push.table / 2u;
}
