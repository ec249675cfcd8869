/* Conversions between float and the 16-bit storage types, exact in one direction, round-to-nearest-even in the other. */
#ifndef GSAI_HALF_H
#define GSAI_HALF_H

#include <stdint.h>
#include <string.h>

static inline float gsai_bits_to_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
static inline uint32_t gsai_float_to_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float gsai_bf16_to_float(uint16_t h)
{
    return gsai_bits_to_float((uint32_t)h << 16);
}

float gsai_f16_to_float(uint16_t h);
uint16_t gsai_float_to_f16(float f); /* overflow gives infinity; NaN stays NaN */
uint16_t gsai_float_to_bf16(float f);

#endif
