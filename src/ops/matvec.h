/* The shape of a matrix-times-few-vectors kernel: matvec.comp and norm_matvec.comp, or block_matvec.comp. */
#ifndef GSAI_OPS_MATVEC_H
#define GSAI_OPS_MATVEC_H

#include "ops/ops.h"

#define GSAI_MATVEC_COLUMNS GSAI_FEW_MAX /* tokens of one call */

typedef struct gsai_matvec_shape {
    uint32_t columns, rows, unroll, team; /* constants of matvec.comp; team: subgroups, or lanes without subgroups */
    uint32_t group_size, rows_per_group, subgroup_size;
} gsai_matvec_shape;

/* For a part of n_rows rows of row_vecs 16-byte vectors. Of these choices only team changes bits, so it depends neither
 * on the number of tokens nor on how many of the part's rows one call takes. */
gsai_matvec_shape gsai_matvec_choose(
    const gsa_device *dev, const gsai_variant *v, uint32_t n_rows, uint32_t row_vecs, uint32_t n_tokens);
/* For one token: replaces the shape by what a search has found (ops/tune.h). per: weight rows behind an output. */
void gsai_matvec_tune(gsai_recorder *r, const gsai_variant *v, const char *label, const gsai_matrix_part *part,
    uint32_t n_cols, uint32_t per, gsai_matvec_shape *s);
/* The same for a block type with row_units units a row; rows_each: weight rows behind an output. */
gsai_matvec_shape gsai_block_matvec_choose(const gsa_device *dev, const gsai_variant *v, uint32_t n_rows,
    uint32_t row_units, uint32_t n_tokens, uint32_t rows_each);

/* Weight rows of one call of T tokens: as many as the cap on a submission allows, for a call cannot be cut afterwards. All
 * of the part's, or a multiple of 128. half: on matrix units. */
uint32_t gsai_matmul_rows_at_once(
    const gsa_device *dev, const gsai_matrix_part *part, uint32_t n_cols, uint32_t T, bool half);

#endif
