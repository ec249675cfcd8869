#include "quant/encode.h"

#include "quant/encode_fit.h"
#include "util/status.h"

#include <string.h>

#define N_STEPS(steps) (int)(sizeof(steps) / sizeof *(steps))

/* What the extreme element of a q4_0 block may become: around both ends of the range clipping a little pays. */
static const float q4_0_steps[] = {-8, -5.5f, -6, -6.25f, -6.5f, -6.75f, -7, -7.15f, -7.3f, -7.45f, -7.6f, -7.75f,
    -7.9f, -8.15f, -8.3f, -8.45f, -8.6f, -8.8f, -9.1f, 6.2f, 6.5f, 6.75f, 7, 7.2f, 7.4f, 7.7f, 8.1f};

/* Best float16 near scale: the steps below and above it too, each with its own nearest integers. */
static uint16_t fit_half(const float *x, const float *w, float lo, float hi, float scale)
{
    const uint16_t h = to_half(scale);
    uint16_t best = h;
    float least = FLT_MAX;
    for (int step = 0; step <= 6; step++) { /* 0, 1, -1, 2, ... */
        const uint16_t near = half_near(h, step % 2 ? (step + 1) / 2 : -step / 2);
        const float error = error_of(x, w, 32, gsai_f16_to_float(near), 0, lo, hi);
        best = error < least ? near : best;
        least = error < least ? error : least;
    }
    return best;
}

/* x = d q of 32 elements, for the best float16 d near scale. */
static uint16_t round_32(const float *x, const float *w, float lo, float hi, float scale, float q[32])
{
    const uint16_t h = fit_half(x, w, lo, hi, scale);
    nearest_all(x, 32, 0, inverse_of(gsai_f16_to_float(h)), lo, hi, q);
    return h;
}

/* The scale of a block that was of this type before: float16, the extreme element becomes an integer up to most, and so
 * does every other, without error. 0 when there is none. Four elements tell for almost all candidates. */
static float find_exact(const float *x, float largest, int most, float lo, float hi)
{
    static const float ones[32] = {
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const float end = lo < -hi ? -largest : largest, inverse = inverse_of(end);
    for (int k = most; k > 0; k--) {
        const float step = inverse * (float)k;
        int i = 0;
        while (i < 4 && magnitude(x[i] * step - nearest_in(x[i] * step, lo, hi)) < 1e-3f) i++;
        if (i < 4) continue;
        const float d = gsai_f16_to_float(to_half(end / (float)k));
        if (error_of(x, ones, 32, d, 0, lo, hi) == 0) return d;
    }
    return 0;
}

/* -128 is not used: integer kernels of others negate. Which step suits 32 numbers best is close to chance, so several are
 * tried; the extreme element may stand for up to 127.5 of them. Errors are so small against the elements that they are
 * summed as such, not told from the fit's gain. */
static void encode_q8_0(const float *x, const float *w, uint8_t *block)
{
    float q[32], scale = 0, least = FLT_MAX;
    const float largest = extreme(x, 32);
    for (int i = -1; i < 16 && least > 0 && !vanishes(largest); i++) {
        const float d = gsai_f16_to_float(to_half(largest / (i < 0 ? 127 : 127.5f - 0.45f * (float)i)));
        const float error = error_of(x, w, 32, d, 0, -127, 127);
        scale = error < least ? d : scale;
        least = error < least ? error : least;
    }
    if (scale != 0 && least > 0) {
        const float exact = find_exact(x, largest, 126, -127, 127);
        fit_sums s;
        nearest_all(x, 32, 0, 1 / scale, -127, 127, q);
        sum_integers(x, w, q, 32, &s);
        scale = exact != 0 ? exact : s.qq > 0 ? s.qx / s.qq : scale;
    }
    put_half(block, round_32(x, w, -127, 127, scale, q));
    for (int i = 0; i < 32; i++) block[2 + i] = (uint8_t)(int8_t)q[i];
}

static void encode_q4_0(const float *x, const float *w, uint8_t *block)
{
    float q[32];
    const float exact = find_exact(x, extreme(x, 32), 8, -8, 7);
    const float scale = exact != 0 ? exact : fit_scale(x, w, 32, -8, 7, q4_0_steps, N_STEPS(q4_0_steps));
    put_half(block, round_32(x, w, -8, 7, scale, q));
    for (int i = 0; i < 16; i++) block[2 + i] = (uint8_t)((int)q[i] + 8) | (uint8_t)(((int)q[i + 16] + 8) << 4);
}

/* The largest magnitude that a type can come near, as bits: float16's largest number times integers. */
static uint32_t limit(gsai_type type)
{
    static const float limits[GSAI_N_TYPES] = {
        [GSAI_Q8_0] = 65504.0f * 127,
        [GSAI_Q4_0] = 65504.0f * 7,
        [GSAI_Q4_K] = 65504.0f * 63, /* of the minimum */
        [GSAI_Q6_K] = 65504.0f * 31 * 64,
    };
    return type == GSAI_F32    ? 0x7f7fffff
           : type == GSAI_F16  ? 0x477fefff /* the next float is rounded to infinity; so it is in the next line */
           : type == GSAI_BF16 ? 0x7f7f7fff
                               : gsai_float_to_bits(limits[type]);
}

/* By the bits: this file is compiled as if there were no NaN. */
static gsa_status check(gsai_type type, const float *x, uint64_t n)
{
    const uint32_t most = limit(type);
    for (uint64_t i = 0; i < n;) {
        const uint64_t end = n - i > 256 ? i + 256 : n, begin = i;
        uint32_t bad = 0;
        for (; i < end; i++) bad |= most - (gsai_float_to_bits(x[i]) & 0x7fffffff);
        if (!(bad >> 31)) continue;
        for (i = begin; (gsai_float_to_bits(x[i]) & 0x7fffffff) <= most;) i++;
        const uint32_t bits = gsai_float_to_bits(x[i]) & 0x7fffffff;
        if (bits > 0x7f800000) return gsai_fail(GSA_ERROR_UNSUPPORTED, "element %llu is NaN", (unsigned long long)i);
        if (bits == 0x7f800000)
            return gsai_fail(GSA_ERROR_UNSUPPORTED, "element %llu is infinite", (unsigned long long)i);
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "element %llu is %g, more than %s can hold (%g)", (unsigned long long)i,
            (double)x[i], gsai_type_name(type), (double)gsai_bits_to_float(most));
    }
    return GSA_OK;
}

gsa_status gsai_type_from_float(gsai_type type, const float *x, uint64_t n, const float *importance, void *dst)
{
    static void (*const encode[GSAI_N_TYPES])(const float *x, const float *w, uint8_t *block) = {
        [GSAI_Q8_0] = encode_q8_0,
        [GSAI_Q4_0] = encode_q4_0,
        [GSAI_Q4_K] = gsai_encode_q4_k,
        [GSAI_Q6_K] = gsai_encode_q6_k,
    };
    if ((unsigned)type >= GSAI_N_TYPES || n % gsai_type_block(type) != 0)
        return gsai_fail(GSA_ERROR_ARGUMENT, "%llu elements are not whole blocks of type %s", (unsigned long long)n,
            gsai_type_name(type));
    const gsa_status status = check(type, x, n);
    if (status) return status;
    uint8_t *p = dst;
    if (type == GSAI_F32) {
        memcpy(dst, x, (size_t)n * sizeof *x);
    } else if (type == GSAI_F16 || type == GSAI_BF16) {
        for (uint64_t i = 0; i < n; i++, p += 2)
            put_half(p, type == GSAI_F16 ? gsai_float_to_f16(x[i]) : gsai_float_to_bf16(x[i]));
    } else {
        const uint32_t block = gsai_type_block(type), n_bytes = gsai_type_block_bytes(type);
        float w[GSAI_MAX_BLOCK];
        for (uint64_t i = 0; i < n; i += block, p += n_bytes) {
            float sum = 0;
            for (uint32_t k = 0; k < block; k++) {
                w[k] = importance ? importance[i + k] : 1;
                sum += w[k];
            }
            for (uint32_t k = 0; k < block && !(sum > 0); k++) w[k] = 1; /* nothing is important: all is alike */
            encode[type](x + i, w, p);
        }
    }
    return GSA_OK;
}
