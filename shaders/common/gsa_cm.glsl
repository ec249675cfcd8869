// What the gsa_cm_* shaders share. The scratch is seen as words, floats, f16 and 16-byte vectors; bases are in floats,
// multiples of 8. The including shader has declared push and the matrix extensions.
layout(local_size_x = GSA_MIXER_GROUP) in;
layout(constant_id = 0) const uint FRAG_M = 16u; // the shape of the device's matrix units
layout(constant_id = 1) const uint FRAG_N = 16u;
layout(constant_id = 2) const uint FRAG_K = 16u;
layout(constant_id = 3) const uint SLOTS = 64u; // M
layout(constant_id = 4) const uint SUBS = 4u;   // subgroups of a workgroup
layout(constant_id = 5) const bool AHEAD = true; // hold more in registers, so as to wait less; changes no bit

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
uint at_wend()
{
    return 3u * push.table;
}
// First f16 of what block j wrote as of the start of block b > j
uint later_row(uint chunk, uint b, uint j)
{
    return 7u * push.table + (chunk * 6u + b * (b - 1u) / 2u + j) * GSA_BLOCK * gm();
}

// Fragments of a tile of GSA_CM_TILE rows by SLOTS columns: a subgroup owns EACH_ROWS x EACH_COLUMNS of them, one column
// and all rows where there are as many columns as subgroups.
const uint TILE_FRAGS = GSA_CM_TILE / FRAG_M, SLOT_FRAGS = SLOTS / FRAG_N;
const uint EACH_COLUMNS = (SLOT_FRAGS + SUBS - 1u) / SUBS;
const uint COLUMN_SUBS = (SLOT_FRAGS + EACH_COLUMNS - 1u) / EACH_COLUMNS; // subgroups side by side
const uint ROW_SUBS = TILE_FRAGS < SUBS / COLUMN_SUBS ? TILE_FRAGS : SUBS / COLUMN_SUBS;
const uint EACH_ROWS = (TILE_FRAGS + ROW_SUBS - 1u) / ROW_SUBS;
const uint EACH = EACH_ROWS * EACH_COLUMNS;

// Row and column of fragment e of this subgroup, in elements; clamped where there are fewer, see owns().
uint frag_row(uint e)
{
    return min(gl_SubgroupID / COLUMN_SUBS * EACH_ROWS + e % EACH_ROWS, TILE_FRAGS - 1u) * FRAG_M;
}
uint frag_column(uint e)
{
    return min(gl_SubgroupID % COLUMN_SUBS * EACH_COLUMNS + e / EACH_ROWS, SLOT_FRAGS - 1u) * FRAG_N;
}
bool owns(uint e)
{
    return gl_SubgroupID / COLUMN_SUBS * EACH_ROWS + e % EACH_ROWS < TILE_FRAGS &&
        gl_SubgroupID % COLUMN_SUBS * EACH_COLUMNS + e / EACH_ROWS < SLOT_FRAGS;
}
