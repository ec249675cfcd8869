/* The shape of a matrix-times-few-vectors kernel: matvec.comp and norm_matvec.comp, or for block types block_matvec.comp. */
#ifndef GSAI_OPS_MATVEC_H
#define GSAI_OPS_MATVEC_H

#include "ops/ops.h"

#define GSAI_MATVEC_COLUMNS GSAI_FEW_MAX /* tokens of one call */

typedef struct gsai_matvec_shape {
    uint32_t columns, rows, unroll, team; /* constants of matvec.comp; team: subgroups, or lanes without subgroups */
    uint32_t group_size, rows_per_group, subgroup_size;
    uint32_t chunk; /* block_matvec.comp: blocks of 32 columns staged at once */
} gsai_matvec_shape;

/* For a part of n_rows rows of row_units 16-byte units. Of these choices only team changes bits, so it depends neither
 * on the number of tokens nor on how many of the part's rows one call takes. */
gsai_matvec_shape gsai_matvec_choose(
    const gsa_device *dev, const gsai_variant *v, uint32_t n_rows, uint32_t row_units, uint32_t n_tokens);
/* The same for a block type. rows_each: weight rows behind an output. columns may be fewer than n_tokens: call again for
 * the rest. Bits depend on team alone here too. */
gsai_matvec_shape gsai_block_matvec_choose(const gsa_device *dev, const gsai_variant *v, gsai_type type,
    uint32_t n_rows, uint32_t n_cols, uint32_t n_tokens, uint32_t rows_each);

#endif
