/* resident_step.comp: one token of one session through all layers in a single dispatch whose workgroups wait for each
 * other. Its sums are those of the step of single rows (staged.h, gsa_step.c) to the bit. */
#ifndef GSAI_OPS_RESIDENT_H
#define GSAI_OPS_RESIDENT_H

#include "ops/ops.h"

#define GSAI_RESIDENT_PRODUCTS 4u  /* of a layer: q k v f, o, gate and up, down */
#define GSAI_RESIDENT_MOST     32u /* phases of a layer */

typedef struct gsai_resident_layer {
    gsai_vector attn_norm, g_norm, ffn_norm;
    const gsai_matrix *qkvf, *o, *gate_up, *down;
    gsai_range state; /* slots of one page of the arena */
} gsai_resident_layer;

/* What is behind the layers. */
typedef struct gsai_resident_head {
    gsai_vector norm;
    const gsai_matrix *w;
} gsai_resident_head;

/* The shape of the dispatch, fixed for a model on a device. */
typedef struct gsai_resident_shape {
    gsai_type type;  /* of all layers' matrices */
    bool dots;       /* products are of integers, as the plain pass's */
    uint32_t scales; /* then: of a unit's columns of x */
    uint32_t n_groups, invocations, lanes, steps, max_polls;
    uint32_t tile; /* rows of the key memory behind a partial score */
    uint32_t split_log[GSAI_RESIDENT_PRODUCTS + 1], loads[GSAI_RESIDENT_PRODUCTS + 1]; /* of the head, too */
    /* Windows of the last product's x, which begin at multiples of window_step loads of a lane; carried: pairs of a
     * subgroup in a batch. Windows times batches are its phases. */
    uint32_t n_phases, windows, window_step, batches, carried;
    uint32_t head;                                      /* phases behind the layers: 1 or 0 */
    uint32_t x_held, run_sums, parts, queries, squares; /* room in shared memory; see the shader */
    uint32_t memory_at;
    uint32_t ahead[2]; /* vecs of x, with a norm and without, that an invocation waits for at a time */
} gsai_resident_shape;

/* Which kernel: the one that sums as the plain pass does, or, for its question, one of both. */
typedef enum gsai_resident_bits {
    GSAI_RESIDENT_PLAIN_BITS,
    GSAI_RESIDENT_FLOATS,
    GSAI_RESIDENT_DOTS
} gsai_resident_bits;

/* UNSUPPORTED tells why this device or model cannot; that is no failure of the caller's. layers [n_layers]; ranges of
 * states are not looked at. head: to be taken where that helps and the plain pass sums it so; NULL: never. groups: how
 * many where neither the settings nor the number of cores tells; 0: refuse then. */
gsa_status gsai_resident_choose(const gsa_device *dev, const gsai_config *c, const gsai_resident_layer *layers,
    const gsai_resident_head *head, uint32_t groups, gsai_resident_bits bits, gsai_resident_shape *out);

/* The kernel of a shape; NULL: masked, lacks a capability, or wrong. */
const gsai_variant *gsai_resident_variant(const gsa_device *dev, const gsai_resident_shape *s);

/* The list of phases and what each workgroup has of them, for one page of states; with GSAI_RESIDENT_MOST phases it has
 * room for any shape's. */
uint64_t gsai_resident_table_uints(uint32_t n_told, uint32_t n_groups, const gsai_config *c);
uint32_t gsai_resident_told(const gsai_resident_shape *s); /* phases that the list tells */
void gsai_resident_table_fill(const gsai_resident_shape *s, const gsai_config *c, const gsai_resident_layer *layers,
    const gsai_resident_head *head, uint32_t *table);

/* Words of the post, what workgroups tell each other. The first is not zero once a wait was given up; from
 * GSAI_RESIDENT_LINE_BYTES on are two sets of values. A submission's first run needs zeros in the first set, and empties
 * the second for the next. */
#define GSAI_RESIDENT_LINE_BYTES 256u
uint64_t gsai_resident_set_words(const gsai_config *c, uint32_t lanes);
uint64_t gsai_resident_post_words(const gsai_config *c, uint32_t lanes);

typedef struct gsai_resident_args {
    const gsai_resident_shape *shape;
    const gsai_config *config;
    gsai_rows x;      /* the residual stream's one row */
    gsai_rows logits; /* where the shape has the head and they are wanted; x is not written then */
    gsai_range table, post;
    gsai_layer_state state;
    const gsai_work *work; /* one chunk of one row */
    uint32_t run;          /* of the submission: its sets take turns */
    uint64_t bytes;        /* weights and state, for the estimate */
} gsai_resident_args;
void gsai_op_resident(gsai_recorder *r, const gsai_resident_args *a);

/* The state of the work table's only chunk to spare [n_layers][state floats]. */
void gsai_op_resident_keep(gsai_recorder *r, const gsai_resident_args *a, gsai_range spare);

#endif
