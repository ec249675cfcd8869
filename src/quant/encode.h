/* Floats to stored numbers. The block formats' scales are searched for the least squared error. */
#ifndef GSAI_ENCODE_H
#define GSAI_ENCODE_H

#include "quant/type.h"

/* n floats, whole blocks, as stored numbers of type into dst, any alignment.
 *   importance  NULL, or [n] weights of the squared errors, finite and not negative; the plain types do not look at it
 *   status      OK. UNSUPPORTED: an element is NaN, infinite or too large for the type; the text names its index, and
 *               what dst holds is undefined. ARGUMENT: n cuts a block, or type is GSAI_N_TYPES
 * The same input gives the same bytes. No memory is taken. Any thread. */
gsa_status gsai_type_from_float(gsai_type type, const float *x, uint64_t n, const float *importance, void *dst);

/* One block of 256; x is finite and small enough. w [256]: weights. Only encode.c calls these. */
void gsai_encode_q4_k(const float *x, const float *w, uint8_t *block);
void gsai_encode_q6_k(const float *x, const float *w, uint8_t *block);

#endif
