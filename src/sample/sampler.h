/* Inside of a sampler, shared by the CPU rules (sampler.c) and the GPU sampling op, which must agree. */
#ifndef GSAI_SAMPLER_H
#define GSAI_SAMPLER_H

#include "gsa/sampler.h"
#include "util/half.h"

#define GSAI_MAX_RECENT 256

struct gsa_sampler {
    gsa_allocator allocator;
    gsa_sampler_params params;
    uint64_t n_drawn;                /* random numbers used so far */
    int32_t recent[GSAI_MAX_RECENT]; /* ring of accepted tokens */
    uint32_t n_recent, next_recent;
    double *weights; /* [n_scratch] and behind it */
    float *logits;   /* [n_scratch], grown to the largest n seen; only drawing and penalties need them */
    size_t n_scratch;
};

/* Philox-4x32-10 (Salmon and others, 2011): ten rounds over a counter and a key, 32-bit integer arithmetic only
 * (umulExtended in GLSL). One round maps (c0,c1,c2,c3) to (hi(B c2) ^ c1 ^ k0, lo(B c2), hi(A c0) ^ c3 ^ k1, lo(A c0))
 * with A = 0xD2511F53, B = 0xCD9E8D57; between rounds k0 += 0x9E3779B9, k1 += 0xBB67AE85. */
void gsai_sampler_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* u in [0,1), a multiple of 2^-24: the upper 24 bits of word 0 of Philox with counter (draw low, draw high, 0, 0) and
 * key (seed low, seed high). */
float gsai_sampler_uniform(uint64_t seed, uint64_t draw);

/* Order of values as order of unsigned integers: a < b exactly when key(a) < key(b), with -0 equal to +0. Not for NaN. */
static inline uint32_t gsai_sampler_key(float x)
{
    const uint32_t bits = x == 0 ? 0 : gsai_float_to_bits(x);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

#endif
