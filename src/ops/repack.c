/* Rows as kernels read them (the layout is explained in shaders/common/weights.glsl), out of rows as files hold them. */
#include "ops/ops.h"

#include <string.h>

enum { UNITS = 8, UNIT_BYTES = 16, RUN = 32 /* columns of a run; a unit has 4 of them */ };

/* Of the block types: runs of 32 columns in a group, bytes a group in each plane after the units. */
static const struct {
    uint32_t runs, planes[3];
} layouts[GSAI_N_TYPES] = {
    [GSAI_Q8_0] = {4, {8}},
    [GSAI_Q4_0] = {8, {16}},
    [GSAI_Q4_K] = {8, {16}},
    [GSAI_Q6_K] = {8, {64, 16, 2}},
};

static uint64_t groups_of(gsai_type type, uint32_t n_cols)
{
    const uint64_t columns = layouts[type].runs * RUN;
    return (n_cols + columns - 1) / columns;
}

uint64_t gsai_matrix_row_bytes(gsai_type type, uint32_t n_cols)
{
    if (!gsai_type_is_quantised(type)) return gsai_round_up(gsai_type_bytes(type, n_cols), UNIT_BYTES);
    const uint64_t groups = groups_of(type, n_cols);
    uint64_t bytes = groups * UNITS * UNIT_BYTES;
    for (int i = 0; i < 3; i++) bytes += gsai_round_up(groups * layouts[type].planes[i], UNIT_BYTES);
    return bytes;
}

uint32_t gsai_matrix_row_units(gsai_type type, uint32_t n_cols)
{
    if (!gsai_type_is_quantised(type)) return (uint32_t)(gsai_matrix_row_bytes(type, n_cols) / UNIT_BYTES);
    return (uint32_t)groups_of(type, n_cols) * UNITS;
}

static uint32_t word_at(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

#define LOW 0x0f0f0f0fu

/* One group from its blocks (n of them; fewer than the layout has at the end of a row) into zeroed words: units, then the
 * planes as this group has them. */
static void q8_0_group(const uint8_t *p, uint32_t n, uint32_t units[UNITS][4], uint8_t *const planes[3])
{
    for (uint32_t b = 0; b < n; b++, p += 34) {
        for (uint32_t i = 0; i < UNITS; i++) units[i][b] = word_at(p + 2 + 4 * i);
        memcpy(planes[0] + 2 * b, p, 2);
    }
}

static void q4_0_group(const uint8_t *p, uint32_t n, uint32_t units[UNITS][4], uint8_t *const planes[3])
{
    for (uint32_t b = 0; b < n; b++, p += 18) {
        for (uint32_t i = 0; i < UNITS / 2; i++) { /* low halves: columns 0 .. 15 */
            const uint32_t w = word_at(p + 2 + 4 * i);
            units[i][b / 2] |= (w & LOW) << b % 2 * 4;
            units[i + 4][b / 2] |= (w >> 4 & LOW) << b % 2 * 4;
        }
        memcpy(planes[0] + 2 * b, p, 2);
    }
}

static void q4_k_group(const uint8_t *p, uint32_t n, uint32_t units[UNITS][4], uint8_t *const planes[3])
{
    (void)n; /* a group is a block */
    for (uint32_t i = 0; i < UNITS; i++)
        for (uint32_t m = 0; m < 4; m++) units[i][m] = word_at(p + 16 + 32 * m + 4 * i);
    memcpy(planes[0], p, 16);
}

static void q6_k_group(const uint8_t *p, uint32_t n, uint32_t units[UNITS][4], uint8_t *const planes[3])
{
    (void)n;
    for (uint32_t i = 0; i < UNITS; i++)
        for (uint32_t h = 0; h < 2; h++) {
            const uint32_t a = word_at(p + 64 * h + 4 * i), b = word_at(p + 64 * h + 32 + 4 * i);
            units[i][2 * h] = (a & LOW) | (b & LOW) << 4;
            units[i][2 * h + 1] = (a >> 4 & LOW) | (b & ~LOW);
            memcpy(planes[0] + 8 * i + 4 * h, p + 128 + 32 * h + 4 * i, 4);
        }
    for (uint32_t v = 0; v < 8; v++) { /* scales are of 16 columns: two a run */
        planes[1][v] = p[192 + 2 * v];
        planes[1][8 + v] = p[193 + 2 * v];
    }
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
    const uint32_t per_group = layouts[type].runs * RUN / gsai_type_block(type); /* blocks */
    const uint32_t block_bytes = gsai_type_block_bytes(type), n_blocks = n_cols / gsai_type_block(type);
    const uint64_t groups = groups_of(type, n_cols);
    for (uint64_t r = 0; r < n_rows; r++, src += from_bytes, dst += to_bytes) {
        uint8_t *plane[3], *end = dst + groups * UNITS * UNIT_BYTES;
        for (int i = 0; i < 3; i++) {
            plane[i] = end;
            end += gsai_round_up(groups * layouts[type].planes[i], UNIT_BYTES);
        }
        for (uint64_t g = 0; g < groups; g++) {
            const uint64_t first = g * per_group;
            const uint32_t n = n_blocks - first < per_group ? (uint32_t)(n_blocks - first) : per_group;
            const uint8_t *blocks = src + first * block_bytes;
            /* The destination may be memory that is slow but for writing in order: put the group together here. */
            uint32_t units[UNITS][4] = {{0}};
            uint8_t bytes[3][64] = {{0}}, *const planes[3] = {bytes[0], bytes[1], bytes[2]};
            switch (type) {
            case GSAI_Q8_0:
                q8_0_group(blocks, n, units, planes);
                break;
            case GSAI_Q4_0:
                q4_0_group(blocks, n, units, planes);
                break;
            case GSAI_Q4_K:
                q4_k_group(blocks, n, units, planes);
                break;
            default:
                q6_k_group(blocks, n, units, planes);
                break;
            }
            memcpy(dst + g * sizeof units, units, sizeof units);
            for (int i = 0; i < 3; i++) {
                const uint32_t size = layouts[type].planes[i];
                memcpy(plane[i] + g * size, planes[i], size);
            }
        }
        for (int i = 0; i < 3; i++) {
            const uint64_t used = groups * layouts[type].planes[i];
            memset(plane[i] + used, 0, (size_t)(gsai_round_up(used, UNIT_BYTES) - used));
        }
    }
}
