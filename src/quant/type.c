#include "quant/type.h"

#include "util/half.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t block, bytes;
} types[GSAI_N_TYPES] = {
    [GSAI_F32] = {"f32", 1, 4},
    [GSAI_F16] = {"f16", 1, 2},
    [GSAI_BF16] = {"bf16", 1, 2},
    [GSAI_Q8_0] = {"q8_0", 32, 34},
    [GSAI_Q4_0] = {"q4_0", 32, 18},
    [GSAI_Q4_K] = {"q4_k", 256, 144},
    [GSAI_Q6_K] = {"q6_k", 256, 210},
};

const char *gsai_type_name(gsai_type type)
{
    return type < GSAI_N_TYPES ? types[type].name : "other";
}

bool gsai_type_parse(const char *name, gsai_type *type)
{
    for (int i = 0; i < GSAI_N_TYPES; i++) {
        if (strcmp(name, types[i].name) != 0) continue;
        *type = (gsai_type)i;
        return true;
    }
    return false;
}

uint32_t gsai_type_block(gsai_type type)
{
    return type < GSAI_N_TYPES ? types[type].block : 0;
}

uint32_t gsai_type_block_bytes(gsai_type type)
{
    return type < GSAI_N_TYPES ? types[type].bytes : 0;
}

uint64_t gsai_type_bytes(gsai_type type, uint64_t n)
{
    return type < GSAI_N_TYPES ? n / types[type].block * types[type].bytes : 0;
}

/* Without branches, so that the loop below becomes vector code: rebias the exponent, then mend the two ends of its
 * range. A subnormal gets an implicit one that is subtracted again. */
static inline float half_to_float(uint16_t h)
{
    const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t is_small = 0u - (uint32_t)((h & 0x7c00) == 0), is_top = 0u - (uint32_t)((h & 0x7c00) == 0x7c00);
    const uint32_t normal = magnitude + (112u << 23) + (112u << 23 & is_top);
    const float small = gsai_bits_to_float(magnitude + (113u << 23)) - gsai_bits_to_float(113u << 23);
    const uint32_t bits = (gsai_float_to_bits(small) & is_small) | (normal & ~is_small);
    return gsai_bits_to_float(bits | (uint32_t)(h & 0x8000) << 16);
}

static inline float half_at(const uint8_t *p)
{
    return half_to_float((uint16_t)(p[0] | p[1] << 8));
}

static void q8_0_to_float(const uint8_t *p, float *x)
{
    const float d = half_at(p);
    for (int i = 0; i < 32; i++) x[i] = d * (float)(int8_t)p[2 + i];
}

static void q4_0_to_float(const uint8_t *p, float *x)
{
    const float d = half_at(p);
    for (int i = 0; i < 16; i++) {
        x[i] = d * (float)((p[2 + i] & 15) - 8);
        x[i + 16] = d * (float)((p[2 + i] >> 4) - 8);
    }
}

static void q4_k_to_float(const uint8_t *p, float *x)
{
    const float d = half_at(p), dmin = half_at(p + 2);
    const uint8_t *q = p + 16;
    for (unsigned j = 0; j < 8; j++) {
        uint8_t scale, min;
        gsai_q4_k_scale_min(p + 4, j, &scale, &min);
        const float a = d * (float)scale, b = dmin * (float)min;
        for (unsigned l = 0; l < 32; l++) x[32 * j + l] = a * (float)(q[32 * (j / 2) + l] >> 4 * (j % 2) & 15) - b;
    }
}

static void q6_k_to_float(const uint8_t *p, float *x)
{
    const uint8_t *ql = p, *qh = p + 128, *s = p + 192;
    const float d = half_at(p + 208);
    for (unsigned i = 0; i < 256; i++) {
        const unsigned h = i / 128, k = i / 32 % 4, l = i % 32;
        const unsigned low = ql[64 * h + 32 * (k % 2) + l] >> 4 * (k / 2) & 15;
        const unsigned high = qh[32 * h + l] >> 2 * k & 3;
        x[i] = d * (float)(int8_t)s[i / 16] * (float)((int)(low | high << 4) - 32);
    }
}

void gsai_type_to_float(gsai_type type, const void *src, uint64_t n, float *dst)
{
    static void (*const decode[GSAI_N_TYPES])(const uint8_t *block, float *x) = {
        [GSAI_Q8_0] = q8_0_to_float,
        [GSAI_Q4_0] = q4_0_to_float,
        [GSAI_Q4_K] = q4_k_to_float,
        [GSAI_Q6_K] = q6_k_to_float,
    };
    const uint8_t *p = src;
    uint16_t h;
    switch (type) {
    case GSAI_F32:
        memcpy(dst, src, (size_t)n * sizeof *dst);
        break;
    case GSAI_F16:
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&h, p + 2 * i, sizeof h);
            dst[i] = half_to_float(h);
        }
        break;
    case GSAI_BF16:
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&h, p + 2 * i, sizeof h);
            dst[i] = gsai_bf16_to_float(h);
        }
        break;
    case GSAI_N_TYPES:
        break;
    default:
        for (uint64_t i = 0; i < n; i += types[type].block, p += types[type].bytes) decode[type](p, dst + i);
        break;
    }
}
