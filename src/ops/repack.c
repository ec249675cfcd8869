/* Rows as kernels read them (shaders/common/weight_blocks.glsl explains the layout), out of rows as files hold them. */
#include "ops/ops.h"

#include <string.h>

enum { UNIT_BYTES = 16, GROUP_UNITS = 8 /* that share a plane's entry in the types of 256 columns a block */ };

/* Of the block types: columns of a unit; bytes each plane after the units takes for each 8 units (q8_0: 16 columns each). */
static const struct {
    uint32_t columns, planes[3];
} layouts[GSAI_N_TYPES] = {
    [GSAI_Q8_0] = {16, {8}},
    [GSAI_Q4_0] = {32, {16}},
    [GSAI_Q4_K] = {32, {16}},
    [GSAI_Q6_K] = {32, {64, 16, 2}},
};

uint32_t gsai_matrix_row_units(gsai_type type, uint32_t n_cols)
{
    if (gsai_type_is_quantised(type)) return n_cols / layouts[type].columns;
    return (uint32_t)(gsai_matrix_row_bytes(type, n_cols) / UNIT_BYTES);
}

static uint64_t plane_bytes(gsai_type type, uint32_t units, int plane)
{
    return gsai_round_up((uint64_t)units * layouts[type].planes[plane] / GROUP_UNITS, UNIT_BYTES);
}

uint64_t gsai_matrix_row_bytes(gsai_type type, uint32_t n_cols)
{
    if (!gsai_type_is_quantised(type)) return gsai_round_up(gsai_type_bytes(type, n_cols), UNIT_BYTES);
    const uint32_t units = gsai_matrix_row_units(type, n_cols);
    uint64_t bytes = (uint64_t)units * UNIT_BYTES;
    for (int i = 0; i < 3; i++) bytes += plane_bytes(type, units, i);
    return bytes;
}

static uint32_t word_at(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static void put_word(uint8_t *p, uint32_t w)
{
    memcpy(p, &w, sizeof w);
}

#define LOW 0x0f0f0f0fu

/* One block to its units, and to where its entries in the planes begin. */
static void q8_0_block(const uint8_t *p, uint8_t *units, uint8_t *const planes[3])
{
    memcpy(units, p + 2, 32);
    memcpy(planes[0], p, 2);
}

static void q4_0_block(const uint8_t *p, uint8_t *units, uint8_t *const planes[3])
{
    memcpy(units, p + 2, 16);
    memcpy(planes[0], p, 2);
}

/* Sub-blocks 2 m and 2 m + 1 are the low and the high halves of 32 bytes: a unit wants one sub-block's first 16 numbers
 * in its low halves, the last 16 in its high halves. */
static void split_halves(const uint8_t *p, uint8_t *low_unit, uint8_t *high_unit)
{
    for (uint32_t k = 0; k < 16; k += 4) {
        const uint32_t a = word_at(p + k), b = word_at(p + 16 + k);
        put_word(low_unit + k, (a & LOW) | (b & LOW) << 4);
        put_word(high_unit + k, (a >> 4 & LOW) | (b & ~LOW));
    }
}

static void q4_k_block(const uint8_t *p, uint8_t *units, uint8_t *const planes[3])
{
    for (uint32_t m = 0; m < 4; m++) split_halves(p + 16 + 32 * m, units + 32 * m, units + 32 * m + 16);
    uint8_t packed[16] = {p[0], p[1], p[2], p[3]};
    for (uint32_t i = 0; i < 8; i++) {
        uint8_t scale, min;
        gsai_q4_k_scale_min(p + 4, i, &scale, &min);
        packed[4 + i] = (uint8_t)(scale | (min & 3) << 6);
        packed[12 + i / 2] |= (uint8_t)((min >> 2) << i % 2 * 4);
    }
    memcpy(planes[0], packed, sizeof packed);
}

/* Of each 128 columns the lower bits of runs k = 0 .. 3 of 32 lie in low halves of bytes 0 .. 31 and 32 .. 63, then in
 * high halves; the upper bits of run k are bits 2 k, 2 k + 1 of 32 bytes. */
static void q6_k_block(const uint8_t *p, uint8_t *units, uint8_t *const planes[3])
{
    for (uint32_t h = 0; h < 2; h++) {
        uint8_t *to = units + 64 * h;
        split_halves(p + 64 * h, to, to + 32);
        split_halves(p + 64 * h + 32, to + 16, to + 48);
        for (uint32_t k = 0; k < 4; k++) {
            uint32_t upper[2] = {0, 0};
            for (uint32_t v = 0; v < 8; v++)
                upper[v / 4] |= (word_at(p + 128 + 32 * h + 4 * v) >> 2 * k & 0x03030303u) << 2 * (v % 4);
            put_word(planes[0] + 32 * h + 8 * k, upper[0]);
            put_word(planes[0] + 32 * h + 8 * k + 4, upper[1]);
        }
    }
    memcpy(planes[1], p + 192, 16);
    memcpy(planes[2], p + 208, 2);
}

void gsai_matrix_repack(gsai_type type, uint32_t n_cols, uint64_t n_rows, const uint8_t *src, uint8_t *dst)
{
    const uint64_t from_bytes = gsai_type_bytes(type, n_cols), to_bytes = gsai_matrix_row_bytes(type, n_cols);

    if (!gsai_type_is_quantised(type)) {
        if (from_bytes == to_bytes) {
            memcpy(dst, src, (size_t)(n_rows * to_bytes));
            return;
        }
        for (uint64_t r = 0; r < n_rows; r++, src += from_bytes, dst += to_bytes) {
            memcpy(dst, src, (size_t)from_bytes);
            memset(dst + from_bytes, 0, (size_t)(to_bytes - from_bytes));
        }
        return;
    }
    static void (*const block_of[GSAI_N_TYPES])(const uint8_t *p, uint8_t *units, uint8_t *const planes[3]) = {
        [GSAI_Q8_0] = q8_0_block,
        [GSAI_Q4_0] = q4_0_block,
        [GSAI_Q4_K] = q4_k_block,
        [GSAI_Q6_K] = q6_k_block,
    };
    const uint32_t units = gsai_matrix_row_units(type, n_cols), n_blocks = n_cols / gsai_type_block(type);
    const uint32_t block_bytes = gsai_type_block_bytes(type), block_units = n_blocks ? units / n_blocks : 0;
    for (uint64_t r = 0; r < n_rows; r++, dst += to_bytes) {
        uint8_t *planes[3], *end = dst + (uint64_t)units * UNIT_BYTES;
        for (int i = 0; i < 3; i++) {
            const uint64_t used = (uint64_t)units * layouts[type].planes[i] / GROUP_UNITS;
            planes[i] = end;
            end += plane_bytes(type, units, i);
            memset(planes[i] + used, 0, (size_t)(end - planes[i] - used));
        }
        for (uint32_t b = 0; b < n_blocks; b++, src += block_bytes) {
            block_of[type](src, dst + (uint64_t)b * block_units * UNIT_BYTES, planes);
            for (int i = 0; i < 3; i++) planes[i] += block_units * layouts[type].planes[i] / GROUP_UNITS;
        }
    }
}
