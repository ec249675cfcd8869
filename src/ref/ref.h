/* The CPU reference: every op and the whole forward pass in plain C, float32 storage, float64 accumulation.
 * Obvious rather than fast: it is the oracle of all tests and the device "cpu". Shapes are row-major, T rows. */
#ifndef GSAI_REF_H
#define GSAI_REF_H

#include "model/checkpoint.h"

/* x[T,D] = rows ids[T] of embed [n_vocab,D] */
gsa_status gsai_ref_embed(float *x, const gsai_tensor *embed, const int32_t *ids, size_t T);
/* y[T,N] = x[T,C] w^T with w [N,C]; row t of x starts at x + t * x_stride, of y at y + t * y_stride */
gsa_status gsai_ref_matmul(float *y, size_t y_stride, const float *x, size_t x_stride, const gsai_tensor *w, size_t T);
/* y = x / sqrt(mean(x^2) + eps) * w; w NULL = ones; y may be x */
void gsai_ref_rmsnorm(float *y, const float *x, const float *w, size_t T, size_t D, float eps);
/* x[T] rows of N channels at stride, in place: silu(causal depthwise convolution); w [N,W], state [N,W] oldest first */
void gsai_ref_conv1d(float *x, size_t stride, const float *w, float *state, size_t T, size_t N, size_t W);
/* In place on T rows of n heads x K at stride; t2r [K,K] or NULL. UNSUPPORTED: t2r with K over GSAI_REF_MAX_T2R. */
#define GSAI_REF_MAX_T2R 4096
gsa_status gsai_ref_feature_map(
    float *x, size_t stride, size_t T, size_t n, size_t K, gsai_feature_map map, const float *t2r);
/* g = logsigmoid(f) / normalizer, s = 1 - exp(g), elementwise over n values */
void gsai_ref_gate(float *g, float *s, const float *f, size_t n, float normalizer);
/* One sequence. q [T,H,K] k [T,G,K] v [T,G,V] s,g [T,G,M]; hk [G,K,M], hv [G,M,V] are updated; o [T,H,V];
 * ok [T,H,M] pre-softmax scores, or NULL. Token by token: write, then read. Strides are floats between tokens. */
typedef struct gsai_ref_gsa_args {
    const float *q, *k, *v, *s, *g;
    size_t q_stride, k_stride, v_stride, s_stride, g_stride;
    float *hk, *hv;
    float *o; /* stride H*V */
    float *ok;
    size_t T, H, G, K, V, M;
    float scale;
} gsai_ref_gsa_args;
gsa_status gsai_ref_gsa(const gsai_ref_gsa_args *a, const gsa_allocator *allocator);
void gsai_ref_silu(float *y, const float *x, size_t n);
/* y[T,F] = act(gate) * up from rows [gate(F) | up(F)] */
void gsai_ref_swiglu(float *y, const float *gate_up, size_t T, size_t F, gsai_ffn_act act);
void gsai_ref_add(float *x, const float *y, size_t n);
/* Lowest index of the largest value. NaN never wins: nothing but NaN gives 0; n = 0 gives -1. */
int32_t gsai_ref_argmax(const float *x, size_t n);

/* What forward() can hand out for each token besides the new state. */
typedef struct gsai_ref_wants {
    float *logits; /* [T - first_logits, n_vocab] or NULL */
    size_t first_logits;
    float *hidden; /* [T, D] after the final norm, or NULL */
    float *write;  /* [n_layers, T, G, M] write strengths s, or NULL */
    float *read;   /* [n_layers, T, H, M] weights of the slots that are read: softmax of the scores, or NULL */
} gsai_ref_wants;

/* T tokens of one session from state (gsai_config_state_floats floats, updated). On failure state is undefined: run
 * on a copy. Long inputs are walked in blocks, so memory does not grow with T. */
gsa_status gsai_ref_forward(const gsai_checkpoint *c, float *state, const int32_t *ids, size_t T,
    const gsai_ref_wants *wants, const gsa_allocator *allocator);

#endif
