/* One pass of the model over the rows of a work table: which ops, in which order. */
#ifndef GSAI_FORWARD_H
#define GSAI_FORWARD_H

#include "model/weights.h"
#include "ops/resident.h"

/* Activations of the largest pass, f32. Padding columns are zero from creation on: ops write real columns only. */
typedef struct gsai_scratch {
    gsai_rows x;       /* [T, D]    residual stream */
    gsai_rows h;       /* [T, D or H*V]    normed input of a block; with f16 products also of the output projection */
    gsai_qkvf qkvf;    /* [T, P]    projections, then q k v g s */
    gsai_qkvf raw;     /* [T, P]    projections before the short convolution; absent without */
    gsai_rows o;       /* [T, H*V]  mixer output, normed in place */
    gsai_rows gate_up; /* [T, 2F] */
    gsai_rows act;     /* [T, F] */
    gsai_rows logits;  /* [max_wanted_at_once, n_vocab] */
    gsai_rows wanted;  /* [max_wanted_at_once, D] final norm of the wanted rows */
    gsai_range tokens; /* [rows chosen] i32 */
    gsai_range gsa;    /* of gsai_op_gsa */
    gsai_range work;   /* device copy of the work table */
    uint32_t max_wanted_at_once;
} gsai_scratch;

typedef enum gsai_choose { GSAI_CHOOSE_NOTHING, GSAI_CHOOSE_ARGMAX, GSAI_CHOOSE_SAMPLE } gsai_choose;

/* A pass: rows of one class, of spans whose states lie in one page of the arena. */
typedef struct gsai_pass {
    gsai_work work;
    gsai_table ids;    /* [work.n_rows] */
    gsai_table wanted; /* [n_wanted] rows whose logits are wanted */
    uint32_t n_wanted;
    /* Of the layers' products: work.rows, MANY for several rows, FEW_SINGLE for a few, SESSIONS for single ones of several. */
    gsai_row_class product_class;
    gsai_row_class wanted_class; /* ONE: last rows of spans; else whole chunks */
    gsai_choose choose;
    gsai_table sample_params; /* [n_wanted] of GSA_SAMPLE_STRIDE */
    bool copy_logits;
    /* Generation: rows are single tokens, every one wanted and chosen from. The pass runs repeat times, each run on the
     * tokens that the one before chose; a chained pass begins with those that the pass before it on the queue left, and
     * with its work table. Run i leaves its tokens tokens_stride bytes after those of run i + 1, the last run at the
     * start of both ranges. */
    uint32_t repeat;       /* at least 1 */
    bool chained, advance; /* advance: draws, penalties or stop ids need gsai_op_advance after each token */
    uint64_t tokens_stride;
    gsai_range staging; /* host-written work table, copied first */
    uint64_t staging_bytes;
    gsai_range readback; /* logits [n_wanted, n_vocab] at logits_at, tokens [n_wanted] at tokens_at */
    uint64_t logits_at, tokens_at;
    const gsai_state *states; /* [n_layers] of this pass's page */
    /* The layers in one dispatch, after a copy of the state unless an earlier pass has kept it; NULL = call by call. */
    const gsai_resident_args *resident;
    bool kept;
    gsai_range spare;     /* for the copy */
    uint64_t given_up_at; /* of the read-back: not zero when a wait was given up, and then nothing else counts */
} gsai_pass;

void gsai_forward(
    gsai_recorder *r, const gsai_config *c, const gsai_weights *w, const gsai_scratch *s, const gsai_pass *p);

#endif
