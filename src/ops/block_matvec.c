/* Shapes of block_matvec.comp. */
#include "ops/matvec.h"

enum {
    BLOCK = 32,        /* columns staged together */
    STAGED_BYTES = 144 /* a block in shared memory: 32 floats and their sums */
};

/* Shared memory left for staged columns, in blocks, when per-lane sums of this many outputs are kept there too. */
static uint32_t blocks_that_fit(const gsai_caps *caps, const gsai_matvec_shape *s, bool subgroups, uint32_t products)
{
    const uint32_t lanes_kept = subgroups ? s->group_size / 4 : s->group_size;
    const uint64_t kept = 4ull * lanes_kept * (products + (subgroups ? s->columns : 0));
    const uint64_t most = caps->max_shared_bytes < 49152 ? caps->max_shared_bytes : 49152;
    return most > kept ? (uint32_t)((most - kept) / STAGED_BYTES / s->columns) : 0;
}

gsai_matvec_shape gsai_block_matvec_choose(const gsa_device *dev, const gsai_variant *v, gsai_type type,
    uint32_t n_rows, uint32_t n_cols, uint32_t n_tokens, uint32_t rows_each)
{
    const gsai_caps *caps = &dev->caps;
    const bool subgroups = v->caps & GSAI_CAP_SUBGROUP;
    const uint32_t wave = (caps->n_cores ? caps->n_cores : 32) * 32, units = gsai_matrix_row_units(type, n_cols);
    const uint32_t block_units = units / (n_cols / BLOCK), blocks = n_cols / BLOCK;
    gsai_matvec_shape s = {.columns = 1, .rows = 1, .unroll = 1, .group_size = 128, .team = 32};
    uint32_t lanes = s.team, teams = s.group_size / s.team;

    if (subgroups) {
        uint32_t n_subgroups = 4;
        while (n_subgroups > 1 && n_subgroups * caps->subgroup_size > caps->max_invocations) n_subgroups /= 2;
        s.group_size = n_subgroups * caps->subgroup_size;
        s.team = 1;
        if (gsai_caps_has(caps, GSAI_CAP_SUBGROUP_SIZE)) s.subgroup_size = caps->subgroup_size;
        if (s.subgroup_size)
            while (s.team < n_subgroups && n_rows * s.team < wave && units >= 2 * caps->subgroup_size * s.team)
                s.team *= 2;
        lanes = caps->subgroup_size * s.team;
        teams = n_subgroups / s.team;
        if (n_rows >= 2 * wave && rows_each == 1) s.rows = 2;
    }
    /* Staged columns serve all lanes of a team evenly, or are the whole row. */
    const uint32_t least_blocks = (lanes + block_units - 1) / block_units;
    uint32_t fit = 0;
    for (s.columns = 8;; s.columns /= 2) {
        fit = blocks_that_fit(caps, &s, subgroups, s.rows * rows_each * s.columns);
        if (s.columns == 1 || (s.columns / 2 < n_tokens && (fit >= least_blocks || fit >= blocks))) break;
    }
    s.chunk = fit >= blocks ? blocks : fit >= least_blocks ? fit / least_blocks * least_blocks : fit;
    s.rows_per_group = teams * s.rows;
    return s;
}
