/* Push constants of the general ops, read by C and GLSL: 4-byte members only, at most 128 bytes each. Offsets and
 * strides of activations are in floats, of weights in 16-byte vectors (embed: in words). */
#ifndef GSA_PUSH_H
#define GSA_PUSH_H

#include "shared.h"

struct gsa_embed_push {
    uint n_tokens;
    uint width;
    uint ids;       /* index of the first id in the work table */
    uint first_row; /* ids first_row .. first_row + n_rows - 1 lie in this part */
    uint n_rows;
    uint row_words;
    uint x_offset, x_stride;
};

struct gsa_rmsnorm_push {
    uint n_rows;
    uint width;
    float eps;
    uint flags; /* GSA_NORM_* */
    uint x_offset, x_stride;
    uint y_offset, y_stride;
    uint extra_offset, extra_stride; /* of the added rows, or the base index of the row table */
};
#define GSA_NORM_WEIGHT 1u
#define GSA_NORM_SILU   2u
#define GSA_NORM_ADD    4u
#define GSA_NORM_ROWS   8u
#define GSA_NORM_BOTH   16u

/* rmsnorm_pack, rmsnorm_place: flags are WEIGHT, SILU, and BOTH: y is written, too. */
struct gsa_rmsnorm_pack_push {
    uint n_rows;
    uint width; /* a multiple of 8 */
    float eps;
    uint flags;
    uint x_offset, x_stride;
    uint y_offset, y_stride; /* in vectors of 8 */
    uint n_blocks, n_frags;  /* of the image, as of matmul_pack */
};

/* One product with a run of rows of one part of a weight matrix. */
struct gsa_matmul_push {
    uint n_tokens;
    uint first_row;          /* weight row of the part where this dispatch begins */
    uint n_rows;             /* weight rows of this dispatch */
    uint row_vecs;           /* 16-byte vectors from one weight row to the next */
    uint x_vecs;             /* 4-float vectors of an x row that hold columns of the matrix */
    uint x_offset, x_stride; /* in 4-float vectors */
    uint y_offset, y_stride; /* in floats; y_offset is the column of the dispatch's first weight row */
    uint accumulate;
    uint rows_per_group; /* matvec only */
};

/* matmul_cm, matmul_few, matmul_packed: offsets and strides of x in vectors of 8 f16, of y in its own elements. Where an
 * operand lies in the order of fragments: the block of the first token or weight row, and how many blocks there are. */
struct gsa_matmul_cm_push {
    uint n_tokens;
    uint first_row, n_rows, row_vecs, x_vecs;
    uint x_offset, x_stride;
    uint x_block, x_blocks, w_block, w_blocks;
    uint y_offset, y_stride;
    uint up_rows;                            /* SWIGLU: from a gate's weight row to its up row */
    uint act;                                /* SWIGLU: GSA_ACT_* */
    uint column, half_columns, relu_columns; /* MAPS: the matrix's column of the dispatch's first weight row */
    uint n_rounds;                           /* matmul_packed_few: of its loop */
    uint y_frags;                            /* PACKS: fragments along y's columns */
};

/* matmul_pack: offsets and strides of rows in 16-byte vectors. */
struct gsa_matmul_pack_push {
    uint src_offset, row_vecs;
    uint col_vecs; /* eights of columns of the matrix */
    uint n_rows;
    uint half_rows; /* gates and ups take turns within a block: rows of each; 0 = rows as they come */
    uint n_blocks;  /* of four fragments' rows, in the image */
    uint n_frags;   /* fragments along the columns there */
};

/* norm_matvec: gsa_matmul_push with an RMSNorm before and, with SWIGLU, weight rows in pairs up_rows apart. */
struct gsa_norm_matvec_push {
    uint n_tokens;
    uint first_row, n_rows, row_vecs, x_vecs;
    uint x_offset, x_stride; /* in 4-float vectors */
    uint y_offset, y_stride; /* in floats */
    uint accumulate;
    uint rows_per_group;
    uint weighted; /* 0: the norm has no weights */
    uint width;
    uint up_rows;
    uint act; /* GSA_ACT_* */
    float eps;
};

/* staged_matvec: the same without its choice of rows. */
struct gsa_staged_push {
    uint n_tokens;
    uint first_row, n_rows, row_vecs, x_vecs;
    uint x_offset, x_stride; /* in 4-float vectors */
    uint y_offset, y_stride; /* in floats */
    uint accumulate;
    uint weighted;
    uint width;
    uint up_rows;
    uint act;
    float eps;
};

/* With STEP. Rows are those of the whole matrix: q from 0, then k, v, f. */
struct gsa_staged_step_push {
    uint n_tokens;
    uint first_row, n_rows, row_vecs, x_vecs;
    uint x_offset, x_stride;
    uint y_offset, y_stride;
    uint weighted;
    uint width;
    uint up_rows; /* 0 */
    float eps;
    uint part_row; /* row of the matrix where the part begins */
    uint k_row, v_row, f_row;
    uint K, M, R, n_heads;
    uint state_stride, hk;
    uint chunks;  /* of the first token, in the work table */
    uint token;   /* the first one's number in the scratch */
    uint partial; /* base in the scratch */
    float scale, normalizer;
    uint map; /* GSA_MAP_* of mixer.h */
};

/* add: x += y; silu: y = silu(x); swiglu: y = act(x[:, 0:F]) * x[:, F:2F] */
struct gsa_elementwise_push {
    uint n_rows;
    uint width;
    uint x_offset, x_stride;
    uint y_offset, y_stride;
    uint act; /* swiglu: GSA_ACT_* */
};
#define GSA_ACT_SWISH 0u
#define GSA_ACT_POWLU 1u

struct gsa_pick_push { /* argmax, penalty, sample */
    uint n_rows;
    uint n_vocab;
    uint x_offset, x_stride;
    uint params; /* index of the first row's sampling parameters in the work table */
};

struct gsa_advance_push {
    uint n_rows;
    uint params; /* index of the first row's sampling parameters in the work table */
    uint chunks; /* base of the chunks there */
};

struct gsa_read_push {
    uint n_vecs; /* 16-byte vectors to read */
    uint never;  /* a sum that does not occur; the comparison makes the loads necessary */
};

#endif
