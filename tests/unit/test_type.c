#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quant/type.h"
#include "util/half.h"

#include <stdlib.h>
#include <string.h>

static void type_names_round_trip(void **state)
{
    (void)state;
    gsai_type type = GSAI_N_TYPES;
    for (int i = 0; i < GSAI_N_TYPES; i++) {
        assert_true(gsai_type_parse(gsai_type_name((gsai_type)i), &type));
        assert_int_equal(type, i);
    }
    assert_false(gsai_type_parse("f64", &type));
    assert_false(gsai_type_parse("other", &type));
    assert_string_equal(gsai_type_name(GSAI_N_TYPES), "other");
    assert_int_equal(gsai_type_bytes(GSAI_F32, 3), 12);
    assert_int_equal(gsai_type_bytes(GSAI_BF16, 3), 6);
}

static void type_f16_conversion_is_exact_for_every_value(void **state)
{
    (void)state;
    /* Odd address: no alignment is promised. */
    uint8_t *bytes = malloc(2 * 65536 + 1);
    float *floats = malloc(65536 * sizeof *floats);
    for (uint32_t h = 0; h < 65536; h++) {
        const uint16_t half = (uint16_t)h;
        memcpy(bytes + 1 + 2 * h, &half, 2);
    }
    gsai_type_to_float(GSAI_F16, bytes + 1, 65536, floats);
    for (uint32_t h = 0; h < 65536; h++)
        assert_int_equal(gsai_float_to_bits(floats[h]), gsai_float_to_bits(gsai_f16_to_float((uint16_t)h)));
    gsai_type_to_float(GSAI_BF16, bytes + 1, 65536, floats);
    for (uint32_t h = 0; h < 65536; h++) assert_int_equal(gsai_float_to_bits(floats[h]), h << 16);
    free(floats);
    free(bytes);
}

/* A block of each format whose fields are chosen by hand, so that each element's value can be told from its index. */
static void type_blocks_mean_what_their_definition_says(void **state)
{
    (void)state;
    const uint16_t half = gsai_float_to_f16(0.5f), two = gsai_float_to_f16(2);
    uint8_t block[GSAI_MAX_BLOCK_BYTES];
    float x[GSAI_MAX_BLOCK];

    memcpy(block, &half, 2);
    for (int i = 0; i < 32; i++) block[2 + i] = (uint8_t)(int8_t)(i * 8 - 128);
    gsai_type_to_float(GSAI_Q8_0, block, 32, x);
    for (int i = 0; i < 32; i++) assert_true(x[i] == 0.5f * (float)(i * 8 - 128));

    for (int i = 0; i < 16; i++) block[2 + i] = (uint8_t)(i | (15 - i) << 4);
    gsai_type_to_float(GSAI_Q4_0, block, 32, x);
    for (int i = 0; i < 32; i++) assert_true(x[i] == 0.5f * (float)((i < 16 ? i : 31 - i) - 8));

    /* Sub-block j: scale 7j + 3 and minimum 62 - 5j use all six bits. */
    memset(block, 0, sizeof block);
    memcpy(block, &half, 2);
    memcpy(block + 2, &two, 2);
    for (int j = 0; j < 8; j++) {
        const int scale = 7 * j + 3, min = 62 - 5 * j;
        uint8_t *s = block + 4;
        if (j < 4) {
            s[j] |= (uint8_t)scale;
            s[j + 4] |= (uint8_t)min;
        } else {
            s[j + 4] |= (uint8_t)((scale & 15) | (min & 15) << 4);
            s[j - 4] |= (uint8_t)(scale >> 4 << 6);
            s[j] |= (uint8_t)(min >> 4 << 6);
        }
    }
    for (int i = 0; i < 128; i++) block[16 + i] = (uint8_t)(i % 16 | (i / 32 + 5) << 4);
    gsai_type_to_float(GSAI_Q4_K, block, 256, x);
    for (int i = 0; i < 256; i++) {
        const int j = i / 32, n = j % 2 ? i / 64 + 5 : i % 32 % 16;
        assert_true(x[i] == 0.5f * (float)(7 * j + 3) * (float)n - 2 * (float)(62 - 5 * j));
    }

    /* Element i: 6-bit number i mod 64, scale of its 16 elements i / 16 - 8. */
    memset(block, 0, sizeof block);
    for (int i = 0; i < 256; i++) {
        const int h = i / 128, k = i / 32 % 4, l = i % 32, n = i % 64;
        block[64 * h + 32 * (k % 2) + l] |= (uint8_t)((n & 15) << 4 * (k / 2));
        block[128 + 32 * h + l] |= (uint8_t)(n >> 4 << 2 * k);
        block[192 + i / 16] = (uint8_t)(int8_t)(i / 16 - 8);
    }
    memcpy(block + 208, &half, 2);
    gsai_type_to_float(GSAI_Q6_K, block, 256, x);
    for (int i = 0; i < 256; i++) assert_true(x[i] == 0.5f * (float)(i / 16 - 8) * (float)(i % 64 - 32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(type_names_round_trip),
        cmocka_unit_test(type_f16_conversion_is_exact_for_every_value),
        cmocka_unit_test(type_blocks_mean_what_their_definition_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
