/* What every op needs: its variant, the pipeline, checked rows, a grid within the device's limits, one call. */
#ifndef GSAI_OP_UTIL_H
#define GSAI_OP_UTIL_H

#include "ops/ops.h"

#include "common/push.h"

/* Variant of an op for this recording: the forced one if it is of this op (see gsai_recorder_force), else the first
 * usable rung. NULL after failing the recorder, or when the recorder has failed before: the op then returns at once. */
const gsai_variant *gsai_op_variant(gsai_recorder *r, const char *op);

/* The variant's pipeline; NULL after failing the recorder. */
const gsai_pipeline *gsai_op_pipeline(
    gsai_recorder *r, const gsai_variant *v, const uint32_t *spec, uint32_t n_spec, uint32_t subgroup_size);

/* n groups as a grid within the device's limits, folded into y (shaders/common/grid.glsl). False after failing the
 * recorder: more groups than 32 bits of invocations or two dimensions hold. */
bool gsai_op_grid(gsai_recorder *r, uint64_t n_groups, uint32_t group_size, uint32_t groups[3]);

/* Do T rows of width columns lie inside the range, at offsets a multiple of four? The text names op and what. */
bool gsai_op_check_rows(
    gsai_recorder *r, const char *op, const char *what, const gsai_rows *rows, uint32_t T, uint32_t width);
/* Do n words from index base lie inside the range? */
bool gsai_op_check_words(
    gsai_recorder *r, const char *op, const char *what, const gsai_range *range, uint64_t base, uint64_t n);
/* Do the part's rows lie inside the matrix and fit its range, in whole blocks of its type? */
bool gsai_op_check_part(gsai_recorder *r, const char *op, const gsai_matrix *w, const gsai_matrix_part *part);

/* Invocations of a workgroup that walks n elements of a row: a power of two from 128 to 1024 within the device's
 * limits, with at least four elements each where there are so many; shared_each: shared bytes an invocation takes. */
uint32_t gsai_op_row_group(const gsa_device *dev, uint32_t n, uint32_t shared_each);

/* Records an op of one invocation per element, two buffers and struct gsa_elementwise_push; the counts are per element. */
void gsai_op_elementwise(gsai_recorder *r, const char *op, struct gsa_elementwise_push push, gsai_binding first,
    gsai_binding second, uint64_t floats_each, uint64_t flops_each);

#define GSAI_BIND(RANGE, ACCESS) ((gsai_binding){.range = (RANGE), .access = (ACCESS)})

#endif
