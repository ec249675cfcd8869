#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quant/encode.h"
#include "util/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 88172645463325252ull;

static uint32_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32);
}
static double uniform(void)
{
    return (random_bits() + 0.5) / 4294967296.0;
}
static double normal(void)
{
    const double u = uniform();
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * uniform());
}

enum { NORMAL, LAPLACE, OUTLIERS, N_KINDS };

static void fill(float *x, int n, int kind)
{
    for (int i = 0; i < n; i++) {
        double v = normal();
        if (kind == LAPLACE) v = (random_bits() & 1 ? 1 : -1) * log(uniform());
        if (kind == OUTLIERS && uniform() < 0.01) v *= 10;
        x[i] = (float)(0.02 * v);
    }
}

static double error_between(const float *x, const float *y, const float *w, int n)
{
    double e = 0;
    for (int i = 0; i < n; i++)
        e += (w ? (double)w[i] : 1) * ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return e;
}

static void encode(gsai_type type, const float *x, int n, const float *w, uint8_t *bytes, float *y)
{
    assert_int_equal(gsai_type_from_float(type, x, (uint64_t)n, w, bytes), GSA_OK);
    gsai_type_to_float(type, bytes, (uint64_t)n, y);
}

static const gsai_type blocks[] = {GSAI_Q8_0, GSAI_Q4_0, GSAI_Q4_K, GSAI_Q6_K};
#define N_BLOCKS (int)(sizeof blocks / sizeof *blocks)

#define N        65536
static float x[N], y[N], z[N], w[N];
static uint8_t bytes[N * 4], again[N * 4];

/* Root of error over root of signal. Scaling the extreme element to the end of the range and rounding, as quantisers
 * that do not search do, gives 0.00537 0.0861 0.0786 0.0188 on the normal, 0.00671 0.1065 0.0921 0.0224 on the Laplace,
 * 0.00930 0.1448 0.1002 0.0276 on the outlier distribution. */
static void encode_errors_are_those_of_a_search(void **state)
{
    (void)state;
    static const double bounds[N_KINDS][N_BLOCKS] = {
        [NORMAL] = {0.00480, 0.0815, 0.0704, 0.0167},
        [LAPLACE] = {0.00630, 0.1045, 0.0840, 0.0210},
        [OUTLIERS] = {0.00895, 0.1430, 0.0912, 0.0267},
    };
    for (int kind = 0; kind < N_KINDS; kind++) {
        fill(x, N, kind);
        double xx = 0;
        for (int i = 0; i < N; i++) xx += (double)x[i] * (double)x[i];
        for (int t = 0; t < N_BLOCKS; t++) {
            encode(blocks[t], x, N, NULL, bytes, y);
            const double error = sqrt(error_between(x, y, NULL, N) / xx);
            if (!(error < bounds[kind][t]))
                fail_msg("%s, distribution %d: error %g", gsai_type_name(blocks[t]), kind, error);
        }
    }
}

/* Against all float16 scales that could be meant. */
static void encode_q4_0_comes_near_the_best_scale(void **state)
{
    (void)state;
    double ours = 0, best = 0;
    fill(x, 32 * 100, NORMAL);
    for (int b = 0; b < 100; b++) {
        const float *xb = x + 32 * b;
        encode(GSAI_Q4_0, xb, 32, NULL, bytes, y);
        ours += error_between(xb, y, NULL, 32);
        float largest = 0;
        for (int i = 0; i < 32; i++) largest = fmaxf(largest, fabsf(xb[i]));
        double least = INFINITY;
        const uint16_t from = gsai_float_to_f16(largest / 20), to = gsai_float_to_f16(largest / 3);
        for (uint16_t h = from; h <= to; h++) {
            for (int sign = 0; sign < 2; sign++) {
                const float d = gsai_f16_to_float((uint16_t)(h | sign << 15));
                for (int i = 0; i < 32; i++) y[i] = d * fminf(7, fmaxf(-8, rintf(xb[i] / d)));
                least = fmin(least, error_between(xb, y, NULL, 32));
            }
        }
        best += least;
    }
    if (!(ours < best * 1.01)) fail_msg("%g times the least error", ours / best);
}

static void make_block(gsai_type type, uint8_t *block)
{
    for (uint32_t i = 0; i < gsai_type_block_bytes(type); i++) block[i] = (uint8_t)random_bits();
    const uint16_t d = gsai_float_to_f16((float)(0.001 + uniform())), dmin = gsai_float_to_f16((float)uniform());
    memcpy(block + (type == GSAI_Q6_K ? 208 : 0), &d, 2);
    if (type == GSAI_Q8_0) {
        for (int i = 0; i < 32; i++) block[2 + i] = block[2 + i] == 0x80 ? 0 : block[2 + i];
    } else if (type ==
               GSAI_Q4_K) { /* a sub-block whose integers span 0 .. 15 has one meaning, and so does a scale of 63 */
        memcpy(block + 2, &dmin, 2);
        block[4 + random_bits() % 4] |= 63;
        block[8 + random_bits() % 4] |= 63;
        for (int j = 0; j < 4; j++) {
            block[4 + j] |= 1;
            block[12 + j] |= 1;
            block[16 + 32 * j] = 0xf0;
            block[17 + 32 * j] = 0x0f;
        }
    } else if (type == GSAI_Q6_K) { /* likewise -32 and a scale of -128 */
        for (int j = 0; j < 16; j++) {
            const int e = 16 * j, h = e / 128, part = e / 32 % 4, l = e % 32;
            uint8_t *low = &block[64 * h + 32 * (part % 2) + l];
            *low = (uint8_t)(*low & (part / 2 ? 0x0f : 0xf0));
            block[128 + 32 * h + l] = (uint8_t)(block[128 + 32 * h + l] & ~(3 << 2 * part));
        }
        block[192 + random_bits() % 16] = 0x80;
    }
}

static void encode_finds_the_numbers_of_a_block_again(void **state)
{
    (void)state;
    for (int t = 0; t < N_BLOCKS; t++) {
        const int n = (int)gsai_type_block(blocks[t]);
        for (int b = 0; b < 500; b++) {
            make_block(blocks[t], bytes);
            if (b < 60 && blocks[t] == GSAI_Q8_0) { /* few small integers */
                for (int i = 0; i < 32; i++) bytes[2 + i] = (uint8_t)(int8_t)((int)(random_bits() % 7) - 3);
            }
            if (b < 60 && blocks[t] == GSAI_Q4_0) {
                for (int i = 0; i < 16; i++) bytes[2 + i] = (uint8_t)(0x77 + random_bits() % 3);
            }
            gsai_type_to_float(blocks[t], bytes, (uint64_t)n, x);
            encode(blocks[t], x, n, NULL, again, y);
            for (int i = 0; i < n; i++) {
                if (y[i] != x[i])
                    fail_msg("%s block %d, element %d: %g became %g", gsai_type_name(blocks[t]), b, i, (double)x[i],
                        (double)y[i]);
            }
        }
    }
}

/* Encoding what was encoded before must not drift. */
static void encode_repeated_changes_next_to_nothing(void **state)
{
    (void)state;
    for (int t = 0; t < N_BLOCKS; t++) {
        fill(x, 16384, NORMAL);
        encode(blocks[t], x, 16384, NULL, bytes, y);
        encode(blocks[t], y, 16384, NULL, again, z);
        const double drift = error_between(y, z, NULL, 16384), error = error_between(x, y, NULL, 16384);
        if (!(drift <= 0.02 * error)) fail_msg("%s: %g of the error", gsai_type_name(blocks[t]), drift / error);
    }
}

static void encode_plain_types_round_each_number(void **state)
{
    (void)state;
    fill(x, 1000, NORMAL);
    x[0] = -0.0f;
    x[1] = 65519;
    x[2] = 1e-8f;
    uint8_t *odd = bytes + 1;
    encode(GSAI_F32, x, 1000, NULL, odd, y);
    assert_memory_equal(x, y, 4000);
    assert_int_equal(gsai_type_from_float(GSAI_F16, x, 1000, NULL, odd), GSA_OK);
    for (int i = 0; i < 1000; i++) {
        uint16_t h;
        memcpy(&h, odd + 2 * i, 2);
        assert_int_equal(h, gsai_float_to_f16(x[i]));
    }
    assert_int_equal(gsai_type_from_float(GSAI_BF16, x, 1000, NULL, odd), GSA_OK);
    for (int i = 0; i < 1000; i++) {
        uint16_t h;
        memcpy(&h, odd + 2 * i, 2);
        assert_int_equal(h, gsai_float_to_bf16(x[i]));
    }
}

static void encode_zeros_give_zeros(void **state)
{
    (void)state;
    memset(x, 0, sizeof x);
    x[3] = -0.0f;
    for (int t = 0; t < N_BLOCKS; t++) {
        encode(blocks[t], x, 256, NULL, bytes, y);
        for (int i = 0; i < 256; i++) assert_true(y[i] == 0);
    }
}

/* Below the smallest step of a float16 scale nothing is left; above it errors stay within a step. */
static void encode_tiny_numbers_stay_within_a_step(void **state)
{
    (void)state;
    static const float sizes[] = {1e-45f, 1e-38f, 1e-20f, 1e-9f, 2e-8f, 4e-8f, 1e-7f, 1e-6f, 1e-5f, 1e-4f};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int i = 0; i < 256; i++) x[i] = sizes[s] * (float)(2 * uniform() - 1);
        for (int t = 0; t < N_BLOCKS; t++) {
            encode(blocks[t], x, 256, NULL, bytes, y);
            const float step = sizes[s] * (blocks[t] == GSAI_Q4_0 || blocks[t] == GSAI_Q4_K ? 0.13f : 0.03f);
            const float bound = fmaxf(fminf(sizes[s], 0x1p-24f), step);
            for (int i = 0; i < 256; i++) assert_true(fabsf(x[i] - y[i]) <= bound);
        }
    }
}

static void encode_constant_blocks_are_kept(void **state)
{
    (void)state;
    static const float values[] = {1, -1, 0.37f, -0.37f, 1000, -1e-3f};
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        for (int i = 0; i < 256; i++) x[i] = values[v];
        for (int t = 0; t < N_BLOCKS; t++) {
            encode(blocks[t], x, 256, NULL, bytes, y);
            for (int i = 0; i < 256; i++) assert_true(fabsf(y[i] - x[i]) <= 2e-3f * fabsf(x[i]));
        }
    }
}

static void encode_a_lone_number_is_kept(void **state)
{
    (void)state;
    for (int t = 0; t < N_BLOCKS; t++) {
        for (int at = 0; at < 256; at += 37) {
            memset(x, 0, 256 * sizeof *x);
            x[at] = at % 2 ? -3.25f : 0.77f;
            encode(blocks[t], x, 256, NULL, bytes, y);
            for (int i = 0; i < 256; i++) assert_true(fabsf(y[i] - x[i]) <= 1e-3f * fabsf(x[at]));
        }
    }
}

static void encode_huge_numbers_are_kept_or_refused(void **state)
{
    (void)state;
    static const struct {
        gsai_type type;
        float fits, too_much;
    } cases[] = {{GSAI_F16, 65504, 65520}, {GSAI_BF16, 3.38e38f, 3.4e38f}, {GSAI_Q8_0, 8.3e6f, 8.4e6f},
        {GSAI_Q4_0, 4.5e5f, 4.7e5f}, {GSAI_Q4_K, 4.1e6f, 4.2e6f}, {GSAI_Q6_K, 1.29e8f, 1.31e8f}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            for (int i = 0; i < 256; i++) x[i] = cases[c].fits * (float)(2 * uniform() - 1);
            x[77] = (float)sign * cases[c].fits;
            encode(cases[c].type, x, 256, NULL, bytes, y);
            for (int i = 0; i < 256; i++) assert_true(fabsf(x[i] - y[i]) <= cases[c].fits / 8);
            x[200] = (float)sign * cases[c].too_much;
            assert_int_equal(gsai_type_from_float(cases[c].type, x, 256, NULL, bytes), GSA_ERROR_UNSUPPORTED);
            assert_non_null(strstr(gsa_error_text(), "element 200"));
        }
    }
}

static void encode_what_is_no_number_is_refused_with_its_index(void **state)
{
    (void)state;
    for (int t = 0; t < GSAI_N_TYPES; t++) {
        fill(x, 1024, NORMAL);
        x[1023] = NAN;
        assert_int_equal(gsai_type_from_float((gsai_type)t, x, 1024, NULL, bytes), GSA_ERROR_UNSUPPORTED);
        assert_string_equal(gsa_error_text(), "element 1023 is NaN");
        x[300] = -INFINITY;
        assert_int_equal(gsai_type_from_float((gsai_type)t, x, 1024, NULL, bytes), GSA_ERROR_UNSUPPORTED);
        assert_string_equal(gsa_error_text(), "element 300 is infinite");
    }
    assert_int_equal(gsai_type_from_float(GSAI_Q4_0, x, 33, NULL, bytes), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_type_from_float(GSAI_Q6_K, x, 128, NULL, bytes), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_type_from_float(GSAI_N_TYPES, x, 128, NULL, bytes), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_type_from_float(GSAI_Q4_K, x, 0, NULL, bytes), GSA_OK);
}

static void encode_importance_moves_the_error_away(void **state)
{
    (void)state;
    fill(x, 4096, NORMAL);
    for (int i = 0; i < 4096; i++) w[i] = i % 8 ? 0.01f : 1; /* every eighth column matters */
    for (int t = 0; t < N_BLOCKS; t++) {
        encode(blocks[t], x, 4096, NULL, bytes, y);
        encode(blocks[t], x, 4096, w, again, z);
        const double without = error_between(x, y, w, 4096), with = error_between(x, z, w, 4096);
        if (!(with < 0.9 * without)) fail_msg("%s: %g", gsai_type_name(blocks[t]), with / without);
        memset(w, 0, 256 * sizeof *w); /* no importance at all is none given */
        encode(blocks[t], x, 256, w, again, z);
        encode(blocks[t], x, 256, NULL, bytes, z);
        assert_memory_equal(bytes, again, gsai_type_bytes(blocks[t], 256));
        for (int i = 0; i < 4096; i++) w[i] = i % 8 ? 0.01f : 1;
    }
}

static void encode_many_blocks_are_the_same_as_one_by_one(void **state)
{
    (void)state;
    fill(x, 2048, OUTLIERS);
    for (int t = 0; t < N_BLOCKS; t++) {
        const uint64_t n = gsai_type_block(blocks[t]), size = gsai_type_block_bytes(blocks[t]);
        assert_int_equal(gsai_type_from_float(blocks[t], x, 2048, NULL, bytes), GSA_OK);
        for (uint64_t i = 0; i < 2048 / n; i++)
            assert_int_equal(gsai_type_from_float(blocks[t], x + i * n, n, NULL, again + 1 + i * size), GSA_OK);
        assert_memory_equal(bytes, again + 1, gsai_type_bytes(blocks[t], 2048));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_errors_are_those_of_a_search),
        cmocka_unit_test(encode_q4_0_comes_near_the_best_scale),
        cmocka_unit_test(encode_finds_the_numbers_of_a_block_again),
        cmocka_unit_test(encode_repeated_changes_next_to_nothing),
        cmocka_unit_test(encode_plain_types_round_each_number),
        cmocka_unit_test(encode_zeros_give_zeros),
        cmocka_unit_test(encode_tiny_numbers_stay_within_a_step),
        cmocka_unit_test(encode_constant_blocks_are_kept),
        cmocka_unit_test(encode_a_lone_number_is_kept),
        cmocka_unit_test(encode_huge_numbers_are_kept_or_refused),
        cmocka_unit_test(encode_what_is_no_number_is_refused_with_its_index),
        cmocka_unit_test(encode_importance_moves_the_error_away),
        cmocka_unit_test(encode_many_blocks_are_the_same_as_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
