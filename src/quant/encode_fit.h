/* Least squares for quantisers. A block of numbers x is stored as integers q and few scales. For fixed q the best scales
 * are a linear least squares fit; for fixed scales the best q are the nearest integers. A search tries scales, fits, and
 * rounds again.
 * The loops have few forms, each of which compilers turn into vector code without changing the order of a sum; n is a
 * multiple of 4, at most 32, and known where these functions are used. */
#ifndef GSAI_ENCODE_FIT_H
#define GSAI_ENCODE_FIT_H

#include "util/half.h"

#include <float.h>
#include <string.h>

typedef float float4 __attribute__((vector_size(16)));

static inline float4 load4(const float *p)
{
    float4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float sum4(float4 v)
{
    return (v[0] + v[1]) + (v[2] + v[3]);
}

static inline float magnitude(float v)
{
    return v < 0 ? -v : v;
}

/* 1 / v, and 0 for 0. */
static inline float inverse_of(float v)
{
    return v != 0 ? 1 / v : 0;
}

/* The integer in [lo, hi] that is nearest to v, halves to even; |lo| and |hi| are below 2^22. */
static inline float nearest_in(float v, float lo, float hi)
{
    const float shift = 12582912; /* 1.5 * 2^23: the last bit of the sum is 1 */
    v = v < lo ? lo : v;
    v = v > hi ? hi : v;
    return (v + shift) - shift;
}

/* q = the integers in [lo, hi] nearest to (x - base) inverse. */
static inline void nearest_all(
    const float *restrict x, int n, float base, float inverse, float lo, float hi, float *restrict q)
{
    for (int i = 0; i < n; i++) q[i] = nearest_in((x[i] - base) * inverse, lo, hi);
}

/* Sums over a (sub-)block: of w, w x, w q, w q q, w q x. */
typedef struct fit_sums {
    float w, x, q, qq, qx;
} fit_sums;

static inline void sum_block(const float *x, const float *w, int n, fit_sums *s)
{
    float4 sum_w = {0}, sum_x = {0};
    for (int i = 0; i < n; i += 4) {
        const float4 wi = load4(w + i);
        sum_w += wi;
        sum_x += wi * load4(x + i);
    }
    s->w = sum4(sum_w);
    s->x = sum4(sum_x);
}

static inline void sum_integers(const float *x, const float *w, const float *q, int n, fit_sums *s)
{
    float4 sum_q = {0}, sum_qq = {0}, sum_qx = {0};
    for (int i = 0; i < n; i += 4) {
        const float4 qi = load4(q + i), wq = load4(w + i) * qi;
        sum_q += wq;
        sum_qq += wq * qi;
        sum_qx += wq * load4(x + i);
    }
    s->q = sum4(sum_q);
    s->qq = sum4(sum_qq);
    s->qx = sum4(sum_qx);
}

/* Sum of w (x - a q - b)^2 with the best q. */
static inline float error_of(const float *x, const float *w, int n, float a, float b, float lo, float hi)
{
    float q[32];
    nearest_all(x, n, b, inverse_of(a), lo, hi, q);
    float4 sum = {0};
    for (int i = 0; i < n; i += 4) {
        const float4 e = (load4(x + i) - b) - a * load4(q + i);
        sum += load4(w + i) * e * e;
    }
    return sum4(sum);
}

/* The element farthest from 0. */
static inline float extreme(const float *x, int n)
{
    float low = x[0], high = x[0];
    for (int i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    return high > -low ? high : low;
}

/* Is the best block all zeros? True below half the smallest step that a float16 scale can have. */
static inline int vanishes(float largest)
{
    return magnitude(largest) <= 0x1p-25f;
}

/* The scale a of x = a q with the least error that a search finds: the extreme element becomes each of steps[] (not 0)
 * in turn, then the best is refitted. 0 when x is 0. */
static inline float fit_scale(
    const float *x, const float *w, int n, float lo, float hi, const float *steps, int n_steps)
{
    const float largest = extreme(x, n);
    float scale = 0, gain = 0, q[32];
    for (int i = 0; i < n_steps + 2 && !vanishes(largest); i++) {
        fit_sums s;
        nearest_all(x, n, 0, i < n_steps ? steps[i] / largest : inverse_of(scale), lo, hi, q);
        sum_integers(x, w, q, n, &s);
        /* sum w (x - a q)^2 = sum w x x - a (w q x) for the best a */
        if (s.qx * s.qx <= gain * s.qq) continue;
        scale = s.qx / s.qq;
        gain = scale * s.qx;
    }
    return scale;
}

/* The float16 some steps away from h in the order of magnitudes; stays finite and keeps its sign. */
static inline uint16_t half_near(uint16_t h, int steps)
{
    const int m = (h & 0x7fff) + steps;
    return (uint16_t)((h & 0x8000) | (m < 0 ? 0 : m > 0x7bff ? 0x7bff : m));
}

static inline uint16_t to_half(float f)
{
    return half_near(gsai_float_to_f16(f), 0);
}

static inline void put_half(uint8_t *p, uint16_t h)
{
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

#endif
