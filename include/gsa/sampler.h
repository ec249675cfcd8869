/* gsa/sampler.h: choosing a token from logits on the CPU. Plain object, no device; the same rules run on the GPU when
 * a step asks for a sampled token. */
#ifndef GSA_SAMPLER_H
#define GSA_SAMPLER_H

#include "gsa/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gsa_sampler gsa_sampler;

/* All-zero is greedy without penalty. The rules apply in this order, each to what the former left:
 *   1. repeat_penalty: the logit of each token among the last repeat_last_n accepted ones is divided by it when
 *      positive, multiplied when negative
 *   2. temperature: p = softmax(logits / temperature); 0 = greedy: the largest logit, lowest id among equals
 *   3. top_k: keep the k largest (all that equal the k-th stay)
 *   4. top_p: keep the fewest of the largest whose share of the mass left by 3 reaches top_p (all equal to the last stay)
 *   5. min_p: drop those below min_p times the largest probability
 *   6. draw: u in [0,1) from (seed, number of tokens drawn so far); the first token in id order whose running share of
 *      the kept mass exceeds u */
typedef struct gsa_sampler_params {
    size_t struct_size;     /* sizeof(gsa_sampler_params) */
    float temperature;      /* 0 = greedy */
    uint32_t top_k;         /* 0 = off */
    float top_p;            /* 0 or 1 = off */
    float min_p;            /* 0 = off */
    float repeat_penalty;   /* 0 or 1 = off */
    uint32_t repeat_last_n; /* 0 = 64; at most 256 */
    uint64_t seed;
    const gsa_allocator *allocator; /* NULL = malloc */
} gsa_sampler_params;

/* OK, ARGUMENT (a value out of range; the text names it), HOST_MEMORY. On failure *sampler is NULL. */
GSA_API gsa_status gsa_sampler_create(const gsa_sampler_params *params, gsa_sampler **sampler);
GSA_API void gsa_sampler_destroy(gsa_sampler *sampler); /* NULL is fine */

/* Choose a token from logits [n]. Counts as one draw; does not record it as accepted.
 * OK; ARGUMENT: n is 0 or a logit is NaN; HOST_MEMORY: room for the largest n so far (nothing counted). One thread at a
 * time. */
GSA_API gsa_status gsa_sampler_sample(gsa_sampler *sampler, const float *logits, size_t n, int32_t *token);

/* Record a token (prompt or chosen) for the repeat penalty. */
GSA_API void gsa_sampler_accept(gsa_sampler *sampler, int32_t token);

/* Forget accepted tokens and draws; seed stays. */
GSA_API void gsa_sampler_reset(gsa_sampler *sampler);

#ifdef __cplusplus
}
#endif

#endif
