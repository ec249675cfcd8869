#include "util/half.h"

float gsai_f16_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = (h >> 10) & 0x1f, fraction = h & 0x3ff;
    if (exponent == 0x1f) return gsai_bits_to_float(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) {
        if (fraction == 0) return gsai_bits_to_float(sign);
        exponent = 1;
        while (!(fraction & 0x400)) {
            fraction <<= 1;
            exponent--;
        }
        fraction &= 0x3ff;
    }
    return gsai_bits_to_float(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t gsai_float_to_f16(float f)
{
    const uint32_t bits = gsai_float_to_bits(f), magnitude = bits & 0x7fffffff;
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude > 0x7f800000) return sign | 0x7e00;
    if (magnitude >= 0x477ff000) return sign | 0x7c00;              /* rounds to at least 65520 */
    if (magnitude < 0x38800000) {                                   /* subnormal or zero in f16 */
        const float rounded = gsai_bits_to_float(magnitude) + 0.5f; /* 2^-24 becomes the last bit of the fraction */
        return sign | (uint16_t)(gsai_float_to_bits(rounded) - 0x3f000000);
    }
    const uint32_t odd = magnitude >> 13 & 1;
    return sign | (uint16_t)((magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

uint16_t gsai_float_to_bf16(float f)
{
    const uint32_t bits = gsai_float_to_bits(f);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
