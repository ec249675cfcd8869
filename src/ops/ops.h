/* The ops: each checks shapes, picks its variant, fills push constants and records its call(s). Activations are f32
 * matrices of T rows in one buffer range; weights are matrices in parts. Every op can be
 * done by variants of at most 4 storage buffers, which is what every device has.
 *
 * Bits: an output element depends only on its own row's inputs and on the variant, never on how many rows there are.
 * Which variant serves a row is decided by gsai_row_class alone. */
#ifndef GSAI_OPS_H
#define GSAI_OPS_H

#include "model/config.h"
#include "model/tensor.h"
#include "vk/recorder.h"

#include "common/shared.h" /* of shaders/ */

/* A f32 matrix of rows inside a range: element (t, i) is float number offset + t * stride + i of the range.
 * Strides and offsets are multiples of 4 floats; columns past the width up to the stride hold finite values. */
typedef struct gsai_rows {
    gsai_range range;
    uint32_t offset, stride;
    bool half; /* elements are f16, input of a product on matrix units: offset and stride in f16, multiples of 8; the
                  columns from the width up to a multiple of 8 are zero. Written by rmsnorm, swiglu and norm_matmul */
    gsai_range room; /* half only: a product may put the rows there in an order of its own; size 0 = nowhere */
    bool in_room, only_in_room; /* rmsnorm puts them there already, where it can (gsai_rmsnorm_packs); and nowhere else:
                                   products then read them there */
} gsai_rows;
/* Rows of f16 from the start of a range that has room for as many of f32: the second half of it is room. */
gsai_rows gsai_half_rows(gsai_range range, uint32_t width);

/* A vector of f32 weights (norms, taps); range.size 0 = absent. */
typedef gsai_range gsai_vector;

/* A weight matrix [n_rows, n_cols] on the device: rows in parts, because a binding may cover only so much and because
 * merged matrices (q,k,v,f) may mix types. Layout of a part: row-major, row stride = gsai_matrix_row_bytes(type, n_cols):
 * the row's elements, zero-padded to a multiple of 16 bytes; of the block types as in
 * shaders/common/weight_blocks.glsl: units of numbers, then planes of scales. n_cols is a multiple of the block. */
typedef struct gsai_matrix_part {
    gsai_type type;
    uint32_t first_row, n_rows;
    gsai_range range;
    gsai_range packed; /* the rows once more, by gsai_op_pack; size 0 = they are not */
    bool in_pairs;     /* there: gates and ups by turns, for a product with swiglu only */
} gsai_matrix_part;
typedef struct gsai_matrix {
    uint32_t n_rows, n_cols, n_parts;
    gsai_matrix_part *parts;
} gsai_matrix;
uint64_t gsai_matrix_row_bytes(gsai_type type, uint32_t n_cols);
uint32_t gsai_matrix_row_units(gsai_type type, uint32_t n_cols); /* 16-byte units of numbers: what lanes share out */
/* n_rows rows as a file holds them to n_rows rows on the device. dst may be memory that is slow to read: it is not. */
void gsai_matrix_repack(gsai_type type, uint32_t n_cols, uint64_t n_rows, const uint8_t *src, uint8_t *dst);

/* How a row is computed: alone, among a few rows of its own chunk, or among many. Decided by its chunk's length. Products of
 * a few may be by the kernels of single rows, with bits of their own; those of single rows of several sessions by kernels
 * that sum parts of the columns, with bits of their own, too. */
typedef enum gsai_row_class {
    GSAI_ROWS_ONE,
    GSAI_ROWS_FEW,
    GSAI_ROWS_MANY,
    GSAI_ROWS_FEW_SINGLE,
    GSAI_ROWS_SESSIONS
} gsai_row_class;
static inline bool gsai_rows_are_many(gsai_row_class rows)
{
    return rows == GSAI_ROWS_MANY || rows == GSAI_ROWS_SESSIONS;
}
static inline bool gsai_rows_are_single(gsai_row_class rows)
{
    return rows == GSAI_ROWS_ONE || rows == GSAI_ROWS_FEW_SINGLE;
}
#define GSAI_FEW_MAX 8u
static inline gsai_row_class gsai_row_class_of(uint32_t chunk_rows)
{
    return chunk_rows == 1 ? GSAI_ROWS_ONE : chunk_rows <= GSAI_FEW_MAX ? GSAI_ROWS_FEW : GSAI_ROWS_MANY;
}

/* Tables of uints that change per step (work table, see shaders/common/shared.h): range and base index of the part. */
typedef struct gsai_table {
    gsai_range range;
    uint32_t base;
} gsai_table;

/* x[T,D] = rows ids[T] of embed; ids checked by the caller */
void gsai_op_embed(gsai_recorder *r, gsai_rows x, const gsai_matrix *embed, gsai_table ids, uint32_t T);
/* y = norm(act(x)) * w, act = silu when pre_silu, else identity; x row = rows[t] when rows is given, else t.
 * add given: x += add first, written back (norm with residual add); not together with rows. */
typedef struct gsai_rmsnorm_args {
    gsai_rows x, y;
    gsai_vector w;
    const gsai_rows *add;
    const gsai_table *rows;
    uint32_t T, D;
    float eps;
    bool pre_silu;
} gsai_rmsnorm_args;
void gsai_op_rmsnorm(gsai_recorder *r, const gsai_rmsnorm_args *a);
/* Can it put rows into y's room, in the order of products of packed operands? Not with add or rows. */
bool gsai_rmsnorm_packs(const gsa_device *dev, const gsai_rows *y, uint32_t T, uint32_t D);
/* y[T,N] = x[T,C] w^T, or y += with accumulate. label names the role. */
void gsai_op_matmul(gsai_recorder *r, gsai_rows y, gsai_rows x, const gsai_matrix *w, uint32_t T, gsai_row_class rows,
    bool accumulate, const char *label);
/* The form in which a product with w takes its input: f16 at the start of the range where matrix units do it (many rows,
 * weights not f32), else x itself. Depends on device, class and w only. */
gsai_rows gsai_matmul_input(gsai_recorder *r, const gsai_matrix *w, gsai_row_class rows, gsai_rows x);
/* Products of many tokens on matrix units are faster with rows in the order in which subgroups hold them (matmul_pack.comp),
 * whatever the product's epilogue, with the same bits: of the weights an image made once, of the tokens one for each
 * product. Rows fill up blocks, columns steps. */
typedef struct gsai_packing {
    uint32_t tokens, rows, columns; /* of a block, of a step */
    uint32_t types;                 /* of weights that have such an image, of f16: a bit 1 << gsai_type each */
} gsai_packing;
/* False where the device takes no such products. */
bool gsai_packing_of(const gsa_device *dev, gsai_packing *out);
/* Its kernels count as chosen: the next self-test of what is used asks them, before memory is taken for their sake. */
void gsai_packing_use(gsa_device *dev, const gsai_packing *p);
/* n_rows of a part. */
bool gsai_packing_has(const gsai_packing *p, gsai_type type, uint32_t n_cols);
uint64_t gsai_packed_bytes(const gsai_packing *p, uint32_t n_rows, uint32_t n_cols, bool in_pairs);
/* part->packed = the part's rows; in_pairs as the part says. */
void gsai_op_pack(gsai_recorder *r, const gsai_matrix_part *part, uint32_t n_cols);
/* Maps of q, k and v behind a product on matrix units: columns of y below n_half leave with their map as f16, in the first
 * half of these columns' place in the row; those below n_relu are rectified, the others silu. Columns from n_half on (the
 * slot gates) leave as they are, in f32. */
typedef struct gsai_maps {
    uint32_t n_half, n_relu;
} gsai_maps;

/* z = rms(x, norm, eps) w^T, then y = z, y += z with accumulate, or with swiglu y[T,F] = act(z[:,0:F]) z[:,F:2F]. Rows of
 * class ONE take one call a part where the device has the kernel; otherwise h [T, w->n_cols] holds the normed rows (half
 * where matrix units do the product) and product [T, 2F] the products. */
typedef struct gsai_norm_matmul_args {
    gsai_rows y, x;
    gsai_vector norm; /* absent: ones */
    float eps;
    const gsai_matrix *w;
    uint32_t T;
    gsai_row_class rows;
    bool accumulate, swiglu;
    bool pre_silu;         /* the norm is of silu(x); never one call */
    const gsai_maps *maps; /* or NULL. Only where the product runs on matrix units; excludes accumulate and swiglu */
    gsai_ffn_act act;
    gsai_rows h, product; /* product with swiglu only */
    gsai_range half;      /* room for the normed rows as f16; not x's */
    const char *label;
} gsai_norm_matmul_args;
void gsai_op_norm_matmul(gsai_recorder *r, const gsai_norm_matmul_args *a);
/* The form in which a product with w takes what a, of gates and ups with y as f32 rows, leaves: as gsai_matmul_input says, or
 * straight in the order of packed operands. For a->y and that product's input. */
gsai_rows gsai_swiglu_rows(gsai_recorder *r, const gsai_norm_matmul_args *a, const gsai_matrix *w);
/* Does it take one call a part? Its bits differ from those of the ops it is made of. */
bool gsai_norm_matmul_fuses(gsai_recorder *r, const gsai_norm_matmul_args *a);
void gsai_op_add(gsai_recorder *r, gsai_rows x, gsai_rows y, uint32_t T, uint32_t D); /* x += y */
void gsai_op_silu(gsai_recorder *r, gsai_rows y, gsai_rows x, uint32_t T, uint32_t D);
/* y[T,F] = act(x[:,0:F]) * x[:,F:2F] */
void gsai_op_swiglu(gsai_recorder *r, gsai_rows y, gsai_rows x, uint32_t T, uint32_t F, gsai_ffn_act act);
/* token[i] = argmax of row i of logits [n_rows, n_vocab]; lowest id wins, NaN never */
void gsai_op_argmax(gsai_recorder *r, gsai_range tokens, gsai_rows logits, uint32_t n_rows, uint32_t n_vocab);
/* token[i] by the rules of gsa/sampler.h, parameters at table.base + i * GSA_SAMPLE_STRIDE; logits are scratch after */
void gsai_op_sample(
    gsai_recorder *r, gsai_range tokens, gsai_rows logits, gsai_table params, uint32_t n_rows, uint32_t n_vocab);

/* What the host does after a token, done on the device: draws counted, the token among the recent ones, chunk i (one row)
 * emptied when token i is one of its stop ids. table: params at table.base + i * GSA_SAMPLE_STRIDE, chunks at chunks */
void gsai_op_advance(gsai_recorder *r, gsai_table params, uint32_t chunks, gsai_range tokens, uint32_t n_rows);

/* --- the GSA mixer. One row of the projection buffer, in floats: [q H*K | k G*K | v G*V | f -> g G*M | s G*M]. --- */
typedef struct gsai_qkvf {
    gsai_rows rows;
    uint32_t q, k, v, g, s; /* column of each part */
    uint32_t width;         /* columns in all, s included */
} gsai_qkvf;

/* The state of one layer for all slots: slot i at i * n_floats floats, parts as gsai_kept_layer_state tells. Slots lie in pages
 * when a layer's arena passes the binding limit; spans and chunks of one call lie in one page, slot numbers count
 * from the page's start. */
typedef struct gsai_state {
    gsai_range range;
    gsai_layer_state at;
} gsai_state;

/* Spans and chunks of a pass. */
typedef struct gsai_work {
    gsai_range range;
    uint32_t spans, chunks; /* base index of each table */
    uint32_t n_spans, n_chunks, n_rows;
    gsai_row_class rows;
    bool half; /* products of many rows may be of f16: the weights were not f32 */
} gsai_work;

/* Short convolution + silu of q, k, v from in to out (same columns), then the state takes the last W inputs. */
void gsai_op_conv1d(gsai_recorder *r, const gsai_config *c, const gsai_qkvf *out, const gsai_qkvf *in, gsai_vector taps,
    const gsai_state *state, const gsai_work *work); /* taps: [H*K | G*K | G*V][W] */
/* q, k = phi(q), phi(k); v = silu(v), in place. t2r [K,K] f32 or absent. */
void gsai_op_feature_map(gsai_recorder *r, const gsai_config *c, const gsai_qkvf *x, gsai_vector t2r, uint32_t T);
/* g = logsigmoid(f) / normalizer, s = 1 - exp(g); f is in's column g. in may be out. */
void gsai_op_gate(gsai_recorder *r, const gsai_config *c, const gsai_qkvf *out, const gsai_qkvf *in, uint32_t T);

/* Scratch floats the mixer needs for a pass of n_chunks chunks (n_rows rows). */
uint64_t gsai_gsa_scratch_floats(const gsai_config *c, uint32_t n_chunks, uint32_t n_rows);
/* o[T,H*V]: both passes for every chunk of the work table, states updated. One-row chunks take the step, longer ones the
 * chunked form (work->rows tells which; a call never mixes them). projections: x holds q k v f without maps (chunks of one
 * row), or as a product with gsai_maps leaves them (many rows). */
void gsai_op_gsa(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch, bool projections);
/* Chunks of one row, from the residual stream to silu(o): norm, q k v f product and both passes, in two calls. False,
 * with nothing recorded: this device, shape or weight type takes the product and gsai_op_gsa. */
typedef struct gsai_step_args {
    const gsai_config *config;
    const gsai_norm_matmul_args *qkvf; /* its y is x.rows */
    const gsai_qkvf *x;
    gsai_rows o; /* silu(o) */
    const gsai_state *state;
    const gsai_work *work;
    gsai_range scratch;
} gsai_step_args;
bool gsai_op_gsa_whole_step(gsai_recorder *r, const gsai_step_args *a);

/* Can the op begin at the projections q k v f (it then makes gates itself, and for chunks of one row the feature maps)
 * and leave silu(o)? Only then may projections be true. */
bool gsai_gsa_takes_projections(gsai_recorder *r, const gsai_config *c, const gsai_work *work);

/* --- variants --- */
typedef struct gsai_variant {
    const char *op;     /* "matmul" */
    const char *shader; /* name in the shader table */
    uint32_t caps;      /* bits of gsai_cap it needs */
    uint32_t min_invocations, min_shared_bytes;
    const char *wants; /* for people: "subgroup arithmetic" */
} gsai_variant;
extern const gsai_variant gsai_variants[]; /* best first within an op */
extern const uint32_t gsai_n_variants;

typedef enum gsai_variant_off {
    GSAI_VARIANT_USABLE = 0,
    GSAI_VARIANT_NOT_BUILT, /* the build's shader compiler could not make it */
    GSAI_VARIANT_NO_CAP,
    GSAI_VARIANT_LIMIT,
    GSAI_VARIANT_MASKED,
    GSAI_VARIANT_WRONG, /* failed its known answer */
    GSAI_N_VARIANT_OFF
} gsai_variant_off;

typedef enum gsai_verdict {
    GSAI_VERDICT_NONE = 0, /* not asked yet */
    GSAI_VERDICT_RIGHT = 1,
    GSAI_VERDICT_WRONG = 2
} gsai_verdict;

/* Fill dev->variant_off from capabilities and the list of masked variant names (may be NULL). ARGUMENT: unknown name. */
gsa_status gsai_variants_init(gsa_device *dev, const char *masked_names);
/* Of name and code: what was learnt of a kernel counts for this very code. */
uint64_t gsai_variant_hash(const gsai_variant *v);
/* First usable rung of the op's ladder; NULL when all are masked or wrong. */
const gsai_variant *gsai_variant_pick(const gsa_device *dev, const char *op);
/* Rows of gsa_device_fact_get(GSA_FACT_VARIANT): one per op, with the variant chosen and why. Static texts. */
bool gsai_variant_fact(const gsa_device *dev, uint32_t index, const char **name, const char **value);

#endif
