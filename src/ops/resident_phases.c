/* The phases of a layer, and which pairs of weight rows each workgroup has in them. */
#include "ops/resident_phases.h"

uint32_t gsai_resident_window_begin(const gsai_resident_shape *s, uint32_t i)
{
    const uint32_t steps = (s->loads[GSAI_RESIDENT_LAST] + s->window_step - 1) / s->window_step;
    const uint32_t begin = steps * i / s->windows * s->window_step;
    return begin < s->loads[GSAI_RESIDENT_LAST] ? begin : s->loads[GSAI_RESIDENT_LAST];
}

gsai_resident_phase gsai_resident_phase_of(const gsai_resident_shape *s, uint32_t i)
{
    if (i < GSAI_RESIDENT_LAST || s->windows == 1) return (gsai_resident_phase){.product = i, .loads = s->loads[i]};
    if (i == s->n_phases)
        return (gsai_resident_phase){.product = GSAI_RESIDENT_HEAD, .loads = s->loads[GSAI_RESIDENT_HEAD]};
    const uint32_t batch = (i - GSAI_RESIDENT_LAST) / s->windows, window = (i - GSAI_RESIDENT_LAST) % s->windows,
                   first = gsai_resident_window_begin(s, window);
    return (gsai_resident_phase){.product = GSAI_RESIDENT_LAST,
        .batch = batch,
        .first_load = first,
        .loads = gsai_resident_window_begin(s, window + 1) - first,
        .window = GSA_RESIDENT_PART | (window > 0 ? GSA_RESIDENT_GOES_ON : 0) |
                  (window + 1 < s->windows ? GSA_RESIDENT_MORE : 0)};
}

gsai_resident_columns gsai_resident_columns_of(
    const gsai_resident_shape *s, const gsai_resident_phase *f, uint32_t n_cols)
{
    const uint32_t team = s->lanes << s->split_log[f->product], all = gsai_matrix_row_units(s->type, n_cols);
    const uint32_t unit_vecs = s->type == GSAI_F32                           ? 1
                               : s->type == GSAI_F16 || s->type == GSAI_BF16 ? 2
                               : s->type == GSAI_Q8_0                        ? 4
                                                                             : 8;
    const uint32_t begin = f->first_load * team, rest = all - begin, most = f->loads * team;
    gsai_resident_columns c = {begin, most < rest ? most : rest, begin * unit_vecs, 0};
    c.vecs = c.units * unit_vecs;
    if (c.first_vec + c.vecs > n_cols / 4) c.vecs = n_cols / 4 - c.first_vec;
    return c;
}

/* --- who has which pairs --- */

/* Pairs [first, first + n) of group g when n_pairs are shared out evenly. */
static uint32_t share_begin(uint64_t n_pairs, uint32_t g, uint32_t n_groups)
{
    return (uint32_t)(n_pairs * g / n_groups);
}

/* Queries go out in whole tiles; the other rows fill groups up to the same number of pairs. */
static void share_step(
    const gsai_resident_shape *s, const gsai_config *c, uint32_t n_pairs, uint32_t *shares, uint32_t stride)
{
    const uint32_t n = s->n_groups, tiles = c->H * c->K / s->tile, n_q = c->H * c->K / 2;
    uint64_t low = 0, high = n_pairs; /* least level that holds all others */
    while (low < high) {
        const uint64_t level = (low + high) / 2;
        uint64_t room = 0;
        for (uint32_t g = 0; g < n; g++) {
            const uint64_t has = (share_begin(tiles, g + 1, n) - share_begin(tiles, g, n)) * (uint64_t)s->tile / 2;
            room += level > has ? level - has : 0;
        }
        if (room >= n_pairs - n_q) {
            high = level;
        } else {
            low = level + 1;
        }
    }
    uint32_t at = n_q;
    for (uint32_t g = 0; g < n; g++, shares += stride) {
        const uint32_t first = share_begin(tiles, g, n) * s->tile / 2, end = share_begin(tiles, g + 1, n) * s->tile / 2;
        const uint32_t room = low > end - first ? (uint32_t)low - (end - first) : 0, left = n_pairs - at;
        shares[0] = first;
        shares[1] = end - first;
        shares[2] = at;
        shares[3] = room < left ? room : left;
        at += shares[3];
    }
}

/* Of each group as many as most says, behind as many for each batch before. */
static void share_evenly(
    const gsai_resident_shape *s, uint32_t n_pairs, uint32_t batch, uint32_t most, uint32_t *shares, uint32_t stride)
{
    for (uint32_t g = 0; g < s->n_groups; g++, shares += stride) {
        const uint32_t first = share_begin(n_pairs, g, s->n_groups);
        const uint32_t n = share_begin(n_pairs, g + 1, s->n_groups) - first;
        const uint32_t before = batch * most < n ? batch * most : n;
        shares[0] = shares[1] = 0;
        shares[2] = first + before;
        shares[3] = n - before < most ? n - before : most;
    }
}

uint32_t gsai_resident_teams(const gsai_resident_shape *s, uint32_t i)
{
    return s->invocations / s->lanes >> s->split_log[i];
}

void gsai_resident_share_phase(const gsai_resident_shape *s, const gsai_config *c, const gsai_resident_phase *f,
    uint32_t n_pairs, uint32_t *shares, uint32_t stride)
{
    const uint32_t most = f->window ? s->carried * gsai_resident_teams(s, f->product) : n_pairs;
    if (f->product == 0)
        share_step(s, c, n_pairs, shares, stride);
    else
        share_evenly(s, n_pairs, f->batch, most, shares, stride);
}
