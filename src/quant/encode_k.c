/* The formats with blocks of 256: scales of sub-blocks are integers times a float16. First every sub-block gets the real
 * scales that suit it best, then these become integers, then integers and float16s are improved in turn. */
#include "quant/encode.h"

#include "quant/encode_fit.h"

#include <string.h>

#define ROUNDS 3

/* Of 32 elements x = a q + b with 0 <= q <= 15, a >= 0 >= b: the best a and b of a search over ranges for q to span,
 * narrower than the elements' at one end or both. Returns the sums for it. */
static fit_sums fit_affine(const float *x, const float *w, float *scale, float *offset)
{
    /* Shares of the range that are cut off at the low and the high end. */
    static const float cuts[][2] = {{0, 0}, {.01f, .01f}, {.02f, .02f}, {.03f, .03f}, {.045f, .045f}, {.06f, .06f},
        {.08f, .08f}, {-.02f, -.02f}, {.03f, 0}, {.06f, 0}, {.09f, 0}, {.12f, 0}, {0, .03f}, {0, .06f}, {0, .09f},
        {0, .12f}, {.06f, .03f}, {.03f, .06f}, {.09f, .04f}, {.04f, .09f}, {.12f, .06f}, {.06f, .12f}, {.1f, .1f},
        {-.02f, .01f}, {.01f, -.02f}, {.15f, 0}, {0, .15f}, {.15f, .05f}, {.05f, .15f}, {.14f, .1f}, {.1f, .14f},
        {.13f, .13f}};
    const int n_cuts = sizeof cuts / sizeof *cuts;
    float low = 0, high = x[0], gain = -1, q[32];
    for (int i = 0; i < 32; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    fit_sums s = {0}, best = {0};
    sum_block(x, w, 32, &s);
    *scale = *offset = 0;
    if (!(s.w > 0) || (vanishes(low) && vanishes(high))) return s;
    const float range = high - low;
    for (int i = 0; i < n_cuts + 3; i++) {
        if (i < n_cuts) {
            const float span = range * (1 - cuts[i][0] - cuts[i][1]);
            nearest_all(x, 32, low + cuts[i][0] * range, 15 * inverse_of(span), 0, 15, q);
        } else {
            nearest_all(x, 32, *offset, inverse_of(*scale), 0, 15, q);
        }
        sum_integers(x, w, q, 32, &s);
        const float det = s.w * s.qq - s.q * s.q;
        float a = 0, b = s.x / s.w;
        if (det > 1e-5f * s.w * s.qq) { /* not all q alike */
            a = (s.w * s.qx - s.q * s.x) / det;
            b = (s.x - a * s.q) / s.w;
        }
        if (b > 0) {
            a = s.qq > 0 ? s.qx / s.qq : 0;
            b = 0;
        }
        const float g = a * s.qx + b * s.x; /* the error is sum w x x - g */
        if (g <= gain) continue;
        gain = g;
        *scale = a;
        *offset = b;
        best = s;
    }
    return best;
}

/* The float16 whose multiples by integers in [lo, hi] come nearest to n values, weighted. The extreme value becomes
 * each of n_steps integers from first on towards 0, and on to 1 or -1 where float16 has few digits. */
static uint16_t fit_multiples(
    const float *values, const float *weights, int n, float lo, float hi, int first, int n_steps)
{
    const float largest = extreme(values, n);
    if (largest == 0) return 0;
    const int towards = first < 0 ? 1 : -1;
    const bool coarse = magnitude(largest) < 0x1p-14f * magnitude((float)first);
    uint16_t best = 0;
    float least = FLT_MAX;
    for (int i = 0; i < n_steps || (coarse && first != 0); i++, first += towards) {
        uint16_t h = to_half(largest / (float)first);
        if ((h & 0x7fff) == 0) h++; /* integers may still be found for it */
        const float error = error_of(values, weights, n, gsai_f16_to_float(h), 0, lo, hi);
        best = error < least ? h : best;
        least = error < least ? error : least;
    }
    return best;
}

typedef struct q4_k {
    uint16_t d, dmin;
    float scale[8], min[8]; /* integers 0 .. 63 */
} q4_k;

/* Improve the integers of one sub-block: each by one up or down, or both alike, as they pull together. */
static float improve_q4_k(const float *x, const float *w, const q4_k *k, float *scale, float *min)
{
    static const int8_t steps[][2] = {{0, 0}, {1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {-1, -1}, {1, 2}};
    const float d = gsai_f16_to_float(k->d), dmin = gsai_f16_to_float(k->dmin), scale0 = *scale, min0 = *min;
    float least = FLT_MAX;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const float s = nearest_in(scale0 + steps[i][0], 0, 63), m = nearest_in(min0 + steps[i][1], 0, 63);
        const float error = error_of(x, w, 32, d * s, -(dmin * m), 0, 15);
        if (error >= least) continue;
        least = error;
        *scale = s;
        *min = m;
    }
    return least;
}

/* q of a sub-block under its stored scales. */
static void round_q4_k(const float *x, const q4_k *k, int j, float q[32])
{
    const float a = gsai_f16_to_float(k->d) * k->scale[j], m = gsai_f16_to_float(k->dmin) * k->min[j];
    nearest_all(x, 32, -m, inverse_of(a), 0, 15, q);
}

/* d and dmin for the integers as they are: x = d u - dmin v with u = scale q, v = min. */
static void refit_q4_k(const float *x, const float *w, q4_k *k)
{
    double uu = 0, uv = 0, vv = 0, ux = 0, vx = 0;
    for (int j = 0; j < 8; j++) {
        float q[32];
        fit_sums s;
        round_q4_k(x + 32 * j, k, j, q);
        sum_block(x + 32 * j, w + 32 * j, 32, &s);
        sum_integers(x + 32 * j, w + 32 * j, q, 32, &s);
        const double u = (double)k->scale[j], v = (double)k->min[j];
        uu += u * u * (double)s.qq;
        uv += u * v * (double)s.q;
        vv += v * v * (double)s.w;
        ux += u * (double)s.qx;
        vx += v * (double)s.x;
    }
    const double det = uu * vv - uv * uv;
    double d = uu > 0 ? ux / uu : 0, dmin = 0;
    if (det > 1e-9 * uu * vv) {
        d = (ux * vv - vx * uv) / det;
        dmin = (ux * uv - vx * uu) / det;
        if (dmin < 0) {
            d = ux / uu;
            dmin = 0;
        }
    }
    const uint16_t h = to_half(d > 0 ? (float)d : 0), hmin = to_half((float)dmin);
    double least = DBL_MAX;
    for (int i = -1; i <= 1; i++) {
        for (int l = -1; l <= 1; l++) {
            const uint16_t near = half_near(h, i), near_min = half_near(hmin, l);
            const double a = (double)gsai_f16_to_float(near), b = (double)gsai_f16_to_float(near_min);
            const double error = a * (a * uu - 2 * ux) + b * (b * vv + 2 * vx) - 2 * a * b * uv;
            if (error >= least) continue;
            least = error;
            k->d = near;
            k->dmin = near_min;
        }
    }
}

static void store_q4_k(const float *x, const q4_k *k, uint8_t *block)
{
    put_half(block, k->d);
    put_half(block + 2, k->dmin);
    uint8_t *s = block + 4, *p = block + 16;
    memset(s, 0, 12);
    for (int j = 0; j < 8; j++) {
        const unsigned scale = (unsigned)k->scale[j], min = (unsigned)k->min[j];
        if (j < 4) {
            s[j] |= (uint8_t)scale;
            s[j + 4] |= (uint8_t)min;
        } else {
            s[j + 4] = (uint8_t)((scale & 15) | (min & 15) << 4);
            s[j - 4] |= (uint8_t)(scale >> 4 << 6);
            s[j] |= (uint8_t)(min >> 4 << 6);
        }
        float q[32];
        round_q4_k(x + 32 * j, k, j, q);
        for (int i = 0; i < 32; i++) {
            uint8_t *at = p + 32 * (j / 2) + i;
            *at = j % 2 ? (uint8_t)(*at | (unsigned)q[i] << 4) : (uint8_t)q[i];
        }
    }
}

void gsai_encode_q4_k(const float *x, const float *w, uint8_t *block)
{
    float scale[8], min[8], curve_scale[8], curve_min[8];
    for (int j = 0; j < 8; j++) {
        const fit_sums s = fit_affine(x + 32 * j, w + 32 * j, &scale[j], &min[j]);
        min[j] = -min[j];
        curve_scale[j] = s.qq; /* how much the error grows when the scale is off */
        curve_min[j] = s.w;
    }
    q4_k k = {.d = fit_multiples(scale, curve_scale, 8, 0, 63, 64, 24),
        .dmin = fit_multiples(min, curve_min, 8, 0, 63, 64, 24)};
    const float d = gsai_f16_to_float(k.d), dmin = gsai_f16_to_float(k.dmin);
    for (int j = 0; j < 8; j++) {
        k.scale[j] = d > 0 ? nearest_in(scale[j] / d, 0, 63) : 0;
        k.min[j] = dmin > 0 ? nearest_in(min[j] / dmin, 0, 63) : 0;
    }
    q4_k best = k;
    float least = FLT_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        float error = 0;
        for (int j = 0; j < 8; j++) error += improve_q4_k(x + 32 * j, w + 32 * j, &k, &k.scale[j], &k.min[j]);
        if (!(error < least)) break;
        least = error;
        best = k;
        refit_q4_k(x, w, &k);
    }
    store_q4_k(x, &best, block);
}

typedef struct q6_k {
    uint16_t d;
    float scale[16]; /* integers -128 .. 127 */
} q6_k;

static float improve_q6_k(const float *x, const float *w, float d, float *scale)
{
    const float scale0 = *scale;
    float least = FLT_MAX;
    for (int step = 0; step <= 6; step++) { /* 0, 1, -1, 2, ... */
        const float s = nearest_in(scale0 + (float)(step % 2 ? (step + 1) / 2 : -step / 2), -128, 127);
        const float error = error_of(x, w, 16, d * s, 0, -32, 31);
        if (error >= least) continue;
        least = error;
        *scale = s;
    }
    return least;
}

static void round_q6_k(const float *x, float d, float scale, float q[16])
{
    nearest_all(x, 16, 0, inverse_of(d * scale), -32, 31, q);
}

static void refit_q6_k(const float *x, const float *w, q6_k *k)
{
    const float d = gsai_f16_to_float(k->d);
    double uu = 0, ux = 0;
    for (int j = 0; j < 16; j++) {
        float q[16];
        fit_sums s;
        round_q6_k(x + 16 * j, d, k->scale[j], q);
        sum_integers(x + 16 * j, w + 16 * j, q, 16, &s);
        const double u = (double)k->scale[j];
        uu += u * u * (double)s.qq;
        ux += u * (double)s.qx;
    }
    if (uu > 0) k->d = to_half((float)(ux / uu));
}

static void store_q6_k(const float *x, const q6_k *k, uint8_t *block)
{
    const float d = gsai_f16_to_float(k->d);
    uint8_t *ql = block, *qh = block + 128;
    memset(block, 0, 192);
    for (int j = 0; j < 16; j++) {
        float q[16];
        round_q6_k(x + 16 * j, d, k->scale[j], q);
        block[192 + j] = (uint8_t)(int8_t)k->scale[j];
        for (int i = 0; i < 16; i++) {
            const int e = 16 * j + i, half = e / 128, part = e / 32 % 4, l = e % 32;
            const unsigned n = (unsigned)((int)q[i] + 32);
            ql[64 * half + 32 * (part % 2) + l] |= (uint8_t)((n & 15) << 4 * (part / 2));
            qh[32 * half + l] |= (uint8_t)(n >> 4 << 2 * part);
        }
    }
    put_half(block + 208, k->d);
}

/* What the extreme of 16 elements may become. */
static const float q6_k_steps[] = {
    -32, -31.5f, -31, -30.5f, -30, -29.5f, -29, -28, -32.3f, -32.6f, -33, -31.7f, 30.4f, 30.8f, 31.2f, 31.5f};

void gsai_encode_q6_k(const float *x, const float *w, uint8_t *block)
{
    float scale[16], curve[16];
    for (int j = 0; j < 16; j++) {
        const float *xj = x + 16 * j, *wj = w + 16 * j;
        float xx = 0;
        for (int i = 0; i < 16; i++) xx += wj[i] * xj[i] * xj[i];
        scale[j] = fit_scale(xj, wj, 16, -32, 31, q6_k_steps, sizeof q6_k_steps / sizeof *q6_k_steps);
        curve[j] = scale[j] != 0 ? xx / (scale[j] * scale[j]) : 0;
    }
    q6_k k = {.d = fit_multiples(scale, curve, 16, -128, 127, -128, 64)};
    float d = gsai_f16_to_float(k.d);
    for (int j = 0; j < 16; j++) k.scale[j] = d != 0 ? nearest_in(scale[j] / d, -128, 127) : 0;
    q6_k best = k;
    float least = FLT_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        float error = 0;
        d = gsai_f16_to_float(k.d);
        for (int j = 0; j < 16; j++) error += improve_q6_k(x + 16 * j, w + 16 * j, d, &k.scale[j]);
        if (!(error < least)) break;
        least = error;
        best = k;
        refit_q6_k(x, w, &k);
    }
    store_q6_k(x, &best, block);
}
