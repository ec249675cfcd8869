/* Products on matrix units: weights in f16 (or turned into it on the way), inputs in f16, sums in f32. */
#ifndef GSAI_OPS_MATMUL_CM_H
#define GSAI_OPS_MATMUL_CM_H

#include "ops/ops.h"

/* Arithmetic on matrix units counts as this much less in the cost model. */
#define GSAI_MATRIX_SPEEDUP 8

/* Can all parts of w be multiplied so on this device? False for f32 weights: their users are promised f32 arithmetic. */
bool gsai_matmul_cm_has(const gsa_device *dev, const gsai_matrix *w);
/* Also with the activation behind it: gate and up lie in one part. */
bool gsai_matmul_cm_has_swiglu(const gsa_device *dev, const gsai_matrix *w);

/* How a product is cut. A row's bits are the same from all of them. */
typedef struct gsai_cm_tile {
    uint32_t t, n, depth; /* tokens and weight rows of a workgroup, columns of a step */
    uint32_t sub_t, sub_n;
    uint32_t subgroups, ahead; /* for few tokens: of a workgroup, and steps on the way; 0 = for many */
    float alone, each;         /* time of 64 columns: of one workgroup on a core, of each of several */
} gsai_cm_tile;
/* All that this device may choose from, whether they fit it or not. */
const gsai_cm_tile *gsai_matmul_cm_tiles(const gsa_device *dev, bool few, uint32_t *n);
bool gsai_matmul_cm_fits(const gsa_device *dev, const gsai_cm_tile *tile, gsai_type type, bool swiglu);

typedef struct gsai_matmul_cm_args {
    gsai_rows y, x; /* x half; y half exactly with swiglu */
    const gsai_matrix_part *part;
    uint32_t n_cols, T;
    uint32_t first_row, n_rows; /* of the part; with swiglu of its gate half */
    bool accumulate, swiglu;
    bool in_parts; /* where operands lie ready, as sums of parts of the columns: single tokens of sessions */
    gsai_ffn_act act;
    const gsai_maps *maps;    /* or NULL; y is then f32 rows, not added to */
    const gsai_cm_tile *tile; /* NULL = what this device is expected to do soonest */
    bool *has_packed_x; /* x.room holds the rows of x: of products with the same x, one puts them there. NULL: alone */
    const char *label;
} gsai_matmul_cm_args;
/* x and y are checked by the caller. */
void gsai_matmul_cm(gsai_recorder *r, const gsai_matmul_cm_args *a);
/* Records nothing, but tells what that would read of x: reads[false] is set if it is the rows as they come, reads[true] if
 * it is those in x.room. has_packed_x is kept up as if it were recorded. */
void gsai_matmul_cm_reads(gsai_recorder *r, const gsai_matmul_cm_args *a, bool reads[2]);

/* Is a product that may be in parts (in_parts) really so? */
bool gsai_matmul_cm_in_parts(gsai_recorder *r, const gsai_matmul_cm_args *a);
/* And one with swiglu can leave y in the order of fragments, in y.room, where y.only_in_room asks for it. */
bool gsai_matmul_cm_leaves_packed(gsai_recorder *r, const gsai_matmul_cm_args *a);

typedef enum gsai_cm_kernel {
    GSAI_CM_MANY,       /* matmul_cm.comp */
    GSAI_CM_FEW,        /* matmul_few.comp */
    GSAI_CM_PACKED,     /* matmul_packed.comp: both operands lie in the order of fragments */
    GSAI_CM_PACKED_FEW, /* matmul_packed_few.comp: so for few tokens */
    GSAI_N_CM_KERNELS
} gsai_cm_kernel;

typedef struct gsai_cm_choice {
    gsai_cm_kernel kernel;
    gsai_cm_tile tile;
    gsai_coopmat_shape frag;
    uint32_t lanes, group_size;
    uint32_t parts; /* GSAI_CM_PACKED_FEW: of the columns, whose sums meet at the end; more than one give other bits */
} gsai_cm_choice;

/* The order of fragments: rows of a block in fragments. */
enum { GSAI_CM_BLOCK = 4 };

/* matmul_packed.c. The tile of packed operands; false where the device takes none. */
bool gsai_matmul_packed_choice(const gsa_device *dev, gsai_cm_choice *out);
/* As that, for few tokens, the next T of a product. */
bool gsai_matmul_packed_few_choice(
    const gsa_device *dev, const gsai_matmul_cm_args *a, uint32_t T, gsai_cm_choice *out);
/* Do these operands lie ready, or is there room? */
bool gsai_matmul_packed_serves(const gsa_device *dev, const gsai_cm_choice *c, const gsai_matmul_cm_args *a);
/* What putting x in order takes, in the unit of a tile's times. */
double gsai_matmul_packed_x_time(const gsa_device *dev, const gsai_matmul_cm_args *a);
/* Columns of an operand there: filled up to whole steps. */
uint32_t gsai_matmul_packed_columns(const gsai_cm_choice *c, uint32_t n_cols);
/* x in that order, put there now unless it is. */
gsai_range gsai_matmul_packed_x(gsai_recorder *r, const gsai_matmul_cm_args *a, const gsai_cm_choice *c);

#endif
