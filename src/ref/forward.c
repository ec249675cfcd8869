#include "ref/ref.h"

#include "util/alloc.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const gsa_status status_ = (call);                                                                             \
        if (status_ != GSA_OK) return status_;                                                                         \
    } while (0)

/* Tokens walked at a time: enough to convert weights seldom, few enough that activations stay small. */
#define BLOCK 64

/* Activations of one block, rows of T <= BLOCK tokens. */
typedef struct block {
    const gsai_config *c;
    const gsa_allocator *allocator;
    size_t T;
    float *x;            /* [T,D] residual stream */
    float *h;            /* [T,D] its norm, or what is added to it */
    float *q, *k, *v;    /* [T,H*K] [T,G*K] [T,G*V] */
    float *f, *s, *g;    /* [T,G*M] */
    float *o;            /* [T,H*V] */
    float *gate_up, *y;  /* [T,2F] [T,F] */
    float *write, *read; /* [T,G,M] [T,H,M] of this layer and block, where they are wanted, or NULL */
    float *w;            /* one small weight as floats */
} block;

static size_t max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* All buffers in one allocation, which *memory then holds (NULL on failure). */
static gsa_status block_init(
    block *b, const gsai_checkpoint *m, size_t T, const gsa_allocator *allocator, float **memory)
{
    const gsai_config *c = &m->config;
    const size_t D = c->D, H = c->H, G = c->G, K = c->K, V = c->V, M = c->M, F = c->F, W = c->W;
    const bool t2r = c->feature_map == GSAI_FEATURE_T2R;
    const size_t small = max(max(D, H * V), max(max(H * K, G * V) * W, t2r ? K * K : 0));
    const size_t rows[] = {D, D, H * K, G * K, G * V, G * M, G * M, G * M, H * V, 2 * F, F};
    float **const pointers[] = {&b->x, &b->h, &b->q, &b->k, &b->v, &b->f, &b->s, &b->g, &b->o, &b->gate_up, &b->y};
    size_t n = small;

    *b = (block){.c = c, .allocator = allocator};
    *memory = NULL;
    if (t2r && K > GSAI_REF_MAX_T2R)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "t2r feature map with key dimension %zu: the CPU does at most %d", K,
            GSAI_REF_MAX_T2R);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) n += T * rows[i];
    float *next = *memory = gsai_alloc_array(allocator, n, sizeof *next);
    if (!next)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for the activations of %zu tokens (%zu floats)", T, n);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *pointers[i] = next;
        next += T * rows[i];
    }
    b->w = next;
    return GSA_OK;
}

static gsa_status small_weight(block *b, const gsai_tensor *t)
{
    return gsai_tensor_present(t) ? gsai_tensor_read_floats(t, 0, gsai_tensor_elements(t), b->w) : GSA_OK;
}

static gsa_status norm(block *b, float *y, const float *x, const gsai_tensor *w, size_t D, float eps)
{
    TRY(small_weight(b, w));
    gsai_ref_rmsnorm(y, x, gsai_tensor_present(w) ? b->w : NULL, b->T, D, eps);
    return GSA_OK;
}

/* y[T,N] = x[T,C] w^T */
static gsa_status project(block *b, float *y, const float *x, const gsai_tensor *w)
{
    return gsai_ref_matmul(y, gsai_tensor_rows(w), x, gsai_tensor_columns(w), w, b->T);
}

static gsa_status conv(block *b, float *x, const gsai_tensor *w, float *state)
{
    const size_t N = gsai_tensor_rows(w), W = gsai_tensor_columns(w);

    TRY(small_weight(b, w));
    gsai_ref_conv1d(x, N, b->w, state, b->T, N, W);
    return GSA_OK;
}

/* In place: scores of the slots to weights that sum to one. */
static void softmax(float *p, size_t M)
{
    double largest = p[0], sum = 0;
    for (size_t m = 1; m < M; m++)
        if (p[m] > largest) largest = p[m];
    for (size_t m = 0; m < M; m++) sum += exp(p[m] - largest);
    for (size_t m = 0; m < M; m++) p[m] = (float)(exp(p[m] - largest) / sum);
}

static gsa_status recurrence(block *b, float *hk, float *hv)
{
    const gsai_config *c = b->c;
    const size_t H = c->H, G = c->G, K = c->K, V = c->V, M = c->M;
    const gsai_ref_gsa_args args = {
        .q = b->q,
        .k = b->k,
        .v = b->v,
        .s = b->s,
        .g = b->g,
        .q_stride = H * K,
        .k_stride = G * K,
        .v_stride = G * V,
        .s_stride = G * M,
        .g_stride = G * M,
        .hk = hk,
        .hv = hv,
        .o = b->o,
        .ok = b->read,
        .T = b->T,
        .H = H,
        .G = G,
        .K = K,
        .V = V,
        .M = M,
        .scale = c->scale,
    };
    return gsai_ref_gsa(&args, b->allocator);
}

static gsa_status attention(block *b, const gsai_layer_tensors *l, const gsai_layer_state *at, float *state)
{
    const gsai_config *c = b->c;
    const size_t T = b->T, H = c->H, G = c->G, K = c->K, V = c->V, M = c->M;

    TRY(norm(b, b->h, b->x, &l->attn_norm, c->D, c->norm_eps));
    TRY(project(b, b->q, b->h, &l->q));
    TRY(project(b, b->k, b->h, &l->k));
    TRY(project(b, b->v, b->h, &l->v));
    TRY(project(b, b->f, b->h, &l->f));
    if (c->W > 0) {
        TRY(conv(b, b->q, &l->conv_q, state + at->conv_q));
        TRY(conv(b, b->k, &l->conv_k, state + at->conv_k));
        TRY(conv(b, b->v, &l->conv_v, state + at->conv_v));
    }
    TRY(small_weight(b, &l->t2r));
    TRY(gsai_ref_feature_map(b->q, H * K, T, H, K, c->feature_map, b->w));
    TRY(gsai_ref_feature_map(b->k, G * K, T, G, K, c->feature_map, b->w));
    gsai_ref_silu(b->v, b->v, T * G * V);
    gsai_ref_gate(b->g, b->s, b->f, T * G * M, c->gate_normalizer);
    TRY(recurrence(b, state + at->hk, state + at->hv));
    if (b->write) memcpy(b->write, b->s, T * G * M * sizeof(float));
    if (b->read)
        for (size_t i = 0; i < T * H; i++) softmax(b->read + i * M, M);
    gsai_ref_silu(b->o, b->o, T * H * V);
    TRY(norm(b, b->o, b->o, &l->g_norm, H * V, c->g_norm_eps));
    TRY(project(b, b->h, b->o, &l->o));
    gsai_ref_add(b->x, b->h, T * c->D);
    return GSA_OK;
}

static gsa_status feed_forward(block *b, const gsai_layer_tensors *l)
{
    const gsai_config *c = b->c;
    const size_t T = b->T, D = c->D, F = c->F;

    TRY(norm(b, b->h, b->x, &l->ffn_norm, D, c->norm_eps));
    TRY(gsai_ref_matmul(b->gate_up, 2 * F, b->h, D, &l->gate, T));
    TRY(gsai_ref_matmul(b->gate_up + F, 2 * F, b->h, D, &l->up, T));
    gsai_ref_swiglu(b->y, b->gate_up, T, F, c->ffn_act);
    TRY(project(b, b->h, b->y, &l->down));
    gsai_ref_add(b->x, b->h, T * D);
    return GSA_OK;
}

/* One block of the n_tokens of the call, beginning with number t0. */
static gsa_status forward(block *b, const gsai_checkpoint *m, float *state, const int32_t *ids, size_t t0,
    size_t n_tokens, const gsai_ref_wants *wants)
{
    const size_t D = m->config.D, n_vocab = m->config.n_vocab;
    const size_t n_write = (size_t)m->config.G * m->config.M, n_read = (size_t)m->config.H * m->config.M;

    TRY(gsai_ref_embed(b->x, &m->embed, ids, b->T));
    for (uint32_t i = 0; i < m->config.n_layers; i++) {
        const gsai_layer_state at = gsai_config_layer_state(&m->config, i);
        b->write = wants->write ? wants->write + (i * n_tokens + t0) * n_write : NULL;
        b->read = wants->read ? wants->read + (i * n_tokens + t0) * n_read : NULL;
        TRY(attention(b, &m->layers[i], &at, state));
        TRY(feed_forward(b, &m->layers[i]));
        state += at.n_floats;
    }
    TRY(norm(b, b->h, b->x, &m->out_norm, D, m->config.norm_eps));

    if (wants->hidden)
        for (size_t i = 0; i < b->T * D; i++) wants->hidden[t0 * D + i] = b->h[i];
    if (wants->logits && wants->first_logits < t0 + b->T) {
        const size_t first = max(wants->first_logits, t0);
        float *logits = wants->logits + (first - wants->first_logits) * n_vocab;
        TRY(gsai_ref_matmul(logits, n_vocab, b->h + (first - t0) * D, D, &m->head, t0 + b->T - first));
    }
    return GSA_OK;
}

gsa_status gsai_ref_forward(const gsai_checkpoint *c, float *state, const int32_t *ids, size_t T,
    const gsai_ref_wants *wants, const gsa_allocator *allocator)
{
    static const gsai_ref_wants nothing = {0};
    block b;
    float *memory;
    gsa_status status = block_init(&b, c, T < BLOCK ? T : BLOCK, allocator, &memory);

    for (size_t t0 = 0; status == GSA_OK && t0 < T; t0 += BLOCK) {
        b.T = T - t0 < BLOCK ? T - t0 : BLOCK;
        status = forward(&b, c, state, ids + t0, t0, T, wants ? wants : &nothing);
    }
    gsai_free(allocator, memory);
    return status;
}
