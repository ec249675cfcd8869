/* A checkpoint's weights on a device, in the layout the kernels want. */
#ifndef GSAI_WEIGHTS_H
#define GSAI_WEIGHTS_H

#include "model/checkpoint.h"
#include "ops/ops.h"

typedef struct gsai_layer_weights {
    gsai_vector attn_norm; /* [D] */
    gsai_matrix qkvf;      /* [H*K + G*K + G*V + G*M, D]: one product for all four projections */
    gsai_vector conv_taps; /* [H*K + G*K + G*V][W], absent without short convolution */
    gsai_vector t2r;       /* [K,K], absent without */
    gsai_vector g_norm;    /* [H*V], absent without */
    gsai_matrix o;         /* [D, H*V] */
    gsai_vector ffn_norm;  /* [D] */
    gsai_matrix gate_up;   /* [2F, D] */
    gsai_matrix down;      /* [D, F] */
} gsai_layer_weights;

typedef struct gsai_weights {
    gsai_matrix embed; /* [n_vocab, D] */
    gsai_vector out_norm;
    gsai_matrix head; /* [n_vocab, D]; the same parts as embed when tied */
    gsai_layer_weights *layers;
    gsai_heap heap;
    gsai_heap packed;        /* the layers' matrices once more, for prompts; empty without */
    gsai_matrix_part *parts; /* of all matrices */
    gsa_allocator allocator;
} gsai_weights;

/* Bytes the weights take on a device with these limits, and those of the packed copies with a packing (else NULL).
 * LIMIT: one row of a matrix passes max_range. */
gsa_status gsai_weights_plan(const gsai_checkpoint *ck, uint64_t max_range, uint64_t max_allocation, uint32_t align,
    const gsai_packing *packing, uint64_t *n_bytes, uint64_t *n_packed_bytes);

/* Upload, and with a packing make the packed copies. Peak host memory: the staging ring. On failure *w can be destroyed
 * (it is empty). */
gsa_status gsai_weights_create(gsa_device *dev, const gsai_checkpoint *ck, const gsai_packing *packing,
    gsa_progress progress, void *progress_user, gsai_weights *w);
void gsai_weights_destroy(gsa_device *dev, gsai_weights *w);

#endif
