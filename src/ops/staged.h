/* staged_matvec.comp: products of single rows with x in shared memory, and the GSA step that begins in the epilogue of
 * the q k v f product. Internal to the ops. */
#ifndef GSAI_OPS_STAGED_H
#define GSAI_OPS_STAGED_H

#include "ops/ops.h"

typedef struct gsai_staged_shape {
    uint32_t group_size, rows, unroll, split, lanes;
    uint32_t outputs; /* of a workgroup */
} gsai_staged_shape;

typedef struct gsai_staged_step { /* the epilogue of the q k v f product */
    const gsai_config *config;
    const gsai_state *state;
    const gsai_work *work;
    gsai_range scratch;
    uint32_t outputs; /* of a workgroup: rows of a tile of partial scores */
    bool one_chunk;   /* all rows are of the first chunk; else a chunk each */
} gsai_staged_step;

typedef struct gsai_staged_args {
    gsai_rows y, x;
    gsai_vector norm; /* with is_normed; absent: ones */
    float eps;
    const gsai_matrix_part *part;
    uint32_t n_cols, first_row, n_rows; /* rows of the part; with swiglu all of its pairs */
    uint32_t T;
    bool few; /* rows of one chunk, with bits of their own: products of floats, which have the shapes for it */
    bool is_normed, accumulate, swiglu;
    gsai_ffn_act act;
    const gsai_staged_step *step; /* NULL: a plain product */
    const char *label;
} gsai_staged_args;

/* Whether this device takes single rows of that type and width this way. CPU drivers do only when the kernels without
 * staging are masked: there a workgroup's memory is no faster than any other. */
bool gsai_staged_serves(gsai_recorder *r, gsai_type type, uint32_t n_cols);
bool gsai_staged_chosen(const gsa_device *dev, gsai_type type, uint32_t n_cols); /* when nothing is forced */
/* Whether products of that type are of integers, and so have other bits (common/weight_dots.glsl): where the device has
 * an instruction for them, or the kernels in floats are masked; and of that many columns, where a row of x fits. */
bool gsai_staged_has_dots(const gsa_device *dev, gsai_type type);
bool gsai_staged_dots(const gsa_device *dev, gsai_type type, uint32_t n_cols);
uint32_t gsai_staged_runs(gsai_type type);                          /* of columns in a unit of a block type */
uint32_t gsai_staged_scales(const gsa_device *dev, gsai_type type); /* of a unit's columns in fixed point */
/* A few rows that fit shared memory at once. */
uint32_t gsai_staged_most(const gsa_device *dev, gsai_type type, uint32_t n_cols);
/* n_out outputs of one weight row, or two with swiglu; step_K: rows of a head's key memory, 0 without the step. Bits depend
 * on split, and with the step on outputs: neither depends on the number of tokens. */
gsai_staged_shape gsai_staged_choose(
    const gsa_device *dev, gsai_type type, uint32_t n_out, uint32_t n_cols, bool swiglu, uint32_t step_K);
/* The step of one chunk's n_tokens rows, whose bits are its own. */
gsai_staged_shape gsai_staged_choose_few(
    const gsa_device *dev, gsai_type type, uint32_t n_out, uint32_t n_cols, uint32_t step_K, uint32_t n_tokens);
void gsai_staged_record(gsai_recorder *r, const gsai_staged_args *a);

#endif
