/* Number types of stored weights: plain floats, and ggml's block formats bit for bit. No tensors, no files. */
#ifndef GSAI_TYPE_H
#define GSAI_TYPE_H

#include "gsa/base.h"

/* GSAI_N_TYPES as a tensor's type: one this library cannot use. Such tensors appear in lists, never in a role.
 * The order is part of the model identity (gsai_checkpoint_hash): add at the end. */
typedef enum gsai_type {
    GSAI_F32,
    GSAI_F16,
    GSAI_BF16,
    GSAI_Q8_0,
    GSAI_Q4_0,
    GSAI_Q4_K,
    GSAI_Q6_K,
    GSAI_N_TYPES,
    GSAI_N_PLAIN_TYPES = GSAI_BF16 + 1 /* those before the block formats */
} gsai_type;

/* A block as it stands in a file: elements of one row, little-endian, packed. x is what element i means.
 *   q8_0   32: f16 d, int8 q[32]                                           x = d q[i]
 *   q4_0   32: f16 d, uint8 q[16]                                          x = d (n[i] - 8); n[i] is the low half of
 *              q[i] for i < 16, the high half of q[i - 16] from there on
 *   q4_k  256: f16 d, f16 dmin, uint8 s[12], uint8 q[128]                  x = d scale[j] n[i] - dmin min[j], j = i / 32;
 *              scale and min are 6-bit numbers in s (gsai_q4_k_scale_min); of each 64 elements the first 32 are the
 *              low halves, the last 32 the high halves of 32 bytes of q
 *   q6_k  256: uint8 ql[128], uint8 qh[64], int8 s[16], f16 d              x = d s[i / 16] (n[i] - 32); of each 128
 *              elements at i = 128 h + 32 k + l (k 0..3, l 0..31) the low 4 bits are a half (low for k < 2) of
 *              ql[64 h + 32 (k % 2) + l], the high 2 bits are bits 2k, 2k+1 of qh[32 h + l] */
#define GSAI_MAX_BLOCK       256 /* elements */
#define GSAI_MAX_BLOCK_BYTES 210

const char *gsai_type_name(gsai_type type); /* "f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k"; "other" */
bool gsai_type_parse(const char *name, gsai_type *type);
uint32_t gsai_type_block(gsai_type type);       /* elements of a block; 1 for plain floats, 0 for GSAI_N_TYPES */
uint32_t gsai_type_block_bytes(gsai_type type); /* bytes of a block */
static inline bool gsai_type_is_quantised(gsai_type type)
{
    return type >= GSAI_N_PLAIN_TYPES && type < GSAI_N_TYPES;
}

/* Bytes of n consecutive elements, a multiple of the block; the caller keeps n below 2^48. */
uint64_t gsai_type_bytes(gsai_type type, uint64_t n);

/* n elements of a type, whole blocks, at any alignment, to float. */
void gsai_type_to_float(gsai_type type, const void *src, uint64_t n, float *dst);

/* The 6-bit scale and minimum of sub-block j (0..7) of a q4_k block. */
static inline void gsai_q4_k_scale_min(const uint8_t s[12], unsigned j, uint8_t *scale, uint8_t *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *min = (uint8_t)(s[j + 4] >> 4 | (s[j] >> 6) << 4);
    }
}

#endif
