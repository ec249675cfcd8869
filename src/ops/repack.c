/* Rows as kernels read them (shaders/common/weight_blocks.glsl explains the layout), out of rows as files hold them. */
#include "ops/ops.h"

#include <string.h>

enum { UNIT_BYTES = 16, QUAD = 4 /* units */, RUN = 32 /* columns */ };

/* Of the block types: runs of columns in a quad; bytes each plane after the units takes for every two quads. */
static const struct {
    uint32_t runs, planes[3];
} layouts[GSAI_N_TYPES] = {
    [GSAI_Q8_0] = {2, {8}},
    [GSAI_Q4_0] = {4, {16}},
    [GSAI_Q4_K] = {4, {16}},
    [GSAI_Q6_K] = {4, {64, 16, 2}},
};

static uint64_t quads_of(gsai_type type, uint32_t n_cols)
{
    const uint64_t columns = layouts[type].runs * RUN;
    return (n_cols + columns - 1) / columns;
}

static uint64_t plane_bytes(gsai_type type, uint64_t quads, int plane)
{
    return gsai_round_up(quads * layouts[type].planes[plane] / 2, UNIT_BYTES);
}

uint64_t gsai_matrix_row_bytes(gsai_type type, uint32_t n_cols)
{
    if (!gsai_type_is_quantised(type)) return gsai_round_up(gsai_type_bytes(type, n_cols), UNIT_BYTES);
    const uint64_t quads = quads_of(type, n_cols);
    uint64_t bytes = quads * QUAD * UNIT_BYTES;
    for (int i = 0; i < 3; i++) bytes += plane_bytes(type, quads, i);
    return bytes;
}

uint32_t gsai_matrix_row_units(gsai_type type, uint32_t n_cols)
{
    if (gsai_type_is_quantised(type)) return (uint32_t)quads_of(type, n_cols) * QUAD;
    return (uint32_t)(gsai_matrix_row_bytes(type, n_cols) / UNIT_BYTES);
}

/* Four bytes as a word of the device's: those of columns 0, 2, 1, 3. */
static uint32_t word_at(const uint8_t *p)
{
    const uint8_t bytes[4] = {p[0], p[2], p[1], p[3]};
    uint32_t w;
    memcpy(&w, bytes, sizeof w);
    return w;
}

#define LOW 0x0f0f0f0fu

/* Two quads, or one, put together; planes as these two have them. */
typedef struct pair {
    uint32_t units[2 * QUAD][4];
    uint8_t planes[3][64];
} pair;

/* Unit i of a quad has vecs first_of(i) and first_of(i) + 2 of each run. */
static uint32_t first_of(uint32_t i)
{
    return i / 2 * 4 + i % 2;
}

/* Run r of the pair: of each vec a word with its numbers in the low halves of the bytes. */
static void put_run(pair *to, uint32_t r, const uint32_t vecs[8])
{
    for (uint32_t i = 0; i < QUAD; i++)
        to->units[r / 4 * QUAD + i][r % 4] = (vecs[first_of(i)] & LOW) | (vecs[first_of(i) + 2] & LOW) << 4;
}

/* Block b of the pair (q8_0: 4 blocks, q4_0: 8, else one). */
static void q8_0_block(const uint8_t *from, uint32_t b, pair *to)
{
    for (uint32_t i = 0; i < QUAD; i++)
        for (uint32_t second = 0; second < 2; second++)
            to->units[b / 2 * QUAD + i][b % 2 * 2 + second] = word_at(from + 2 + 4 * (first_of(i) + 2 * second));
    memcpy(to->planes[0] + 2 * b, from, 2);
}

static void q4_0_block(const uint8_t *from, uint32_t b, pair *to)
{
    uint32_t vecs[8];
    for (uint32_t p = 0; p < 4; p++) {
        vecs[p] = word_at(from + 2 + 4 * p) ^ 0x88888888u; /* n to n - 8 */
        vecs[p + 4] = vecs[p] >> 4;
    }
    put_run(to, b, vecs);
    memcpy(to->planes[0] + 2 * b, from, 2);
}

static void q4_k_block(const uint8_t *from, uint32_t b, pair *to)
{
    (void)b;
    for (uint32_t m = 0; m < 4; m++) {
        uint32_t low[8], high[8];
        for (uint32_t p = 0; p < 8; p++) {
            low[p] = word_at(from + 16 + 32 * m + 4 * p);
            high[p] = low[p] >> 4;
        }
        put_run(to, 2 * m, low);
        put_run(to, 2 * m + 1, high);
    }
    uint8_t scale[8], min[8];
    for (uint32_t r = 0; r < 8; r++) gsai_q4_k_scale_min(from + 4, r, &scale[r], &min[r]);
    memcpy(to->planes[0], from, 4);
    for (uint32_t r = 0; r < 8; r++) to->planes[0][4 + r] = (uint8_t)(scale[r] | (min[r] & 3) << 6);
    for (uint32_t r = 0; r < 4; r++) to->planes[0][12 + r] = (uint8_t)(min[r] >> 2 | (min[r + 4] >> 2) << 4);
}

static void q6_k_block(const uint8_t *from, uint32_t b, pair *to)
{
    (void)b;
    for (uint32_t h = 0; h < 2; h++) {
        uint32_t vecs[4][8], upper[8];
        for (uint32_t p = 0; p < 8; p++) {
            vecs[0][p] = word_at(from + 64 * h + 4 * p);
            vecs[1][p] = word_at(from + 64 * h + 32 + 4 * p);
            vecs[2][p] = vecs[0][p] >> 4;
            vecs[3][p] = vecs[1][p] >> 4;
            upper[p] = word_at(from + 128 + 32 * h + 4 * p);
        }
        for (uint32_t k = 0; k < 4; k++) put_run(to, 4 * h + k, vecs[k]);
        for (uint32_t i = 0; i < QUAD; i++)
            for (uint32_t m = 0; m < 2; m++) { /* runs 2 m and 2 m + 1, two vecs each */
                const uint32_t a = upper[first_of(i)] >> 4 * m, c = upper[first_of(i) + 2] >> 4 * m;
                const uint32_t two = 0x03030303u;
                const uint32_t word = (a & two) | (c & two) << 2 | (a >> 2 & two) << 4 | (c >> 2 & two) << 6;
                memcpy(to->planes[0] + 8 * (h * QUAD + i) + 4 * m, &word, sizeof word);
            }
        for (uint32_t k = 0; k < 4; k++) { /* scales are of 16 columns: two a run */
            to->planes[1][8 * h + k] = from[192 + 8 * h + 2 * k];
            to->planes[1][8 * h + 4 + k] = from[193 + 8 * h + 2 * k];
        }
    }
    memcpy(to->planes[2], from + 208, 2);
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
    static void (*const block_of[GSAI_N_TYPES])(const uint8_t *from, uint32_t b, pair *to) = {
        [GSAI_Q8_0] = q8_0_block,
        [GSAI_Q4_0] = q4_0_block,
        [GSAI_Q4_K] = q4_k_block,
        [GSAI_Q6_K] = q6_k_block,
    };
    const uint32_t n_blocks = n_cols / gsai_type_block(type), block_bytes = gsai_type_block_bytes(type);
    const uint32_t in_pair = 2 * layouts[type].runs * RUN / gsai_type_block(type);
    const uint64_t quads = quads_of(type, n_cols);
    for (uint64_t r = 0; r < n_rows; r++, dst += to_bytes) {
        uint8_t *planes[3], *end = dst + quads * QUAD * UNIT_BYTES;
        for (int i = 0; i < 3; i++) {
            planes[i] = end;
            end += plane_bytes(type, quads, i);
        }
        for (uint64_t quad = 0, block = 0; quad < quads; quad += 2) {
            const bool last = quad + 2 >= quads;
            pair made;
            if (last) memset(&made, 0, sizeof made); /* it fills the planes' padding and may have few blocks */
            for (uint32_t b = 0; b < in_pair && block < n_blocks; b++, block++, src += block_bytes)
                block_of[type](src, b, &made);
            const size_t n = quads - quad < 2 ? 1 : 2;
            memcpy(dst + quad * QUAD * UNIT_BYTES, made.units, n * sizeof made.units / 2);
            for (int i = 0; i < 3; i++) {
                const uint64_t at = quad / 2 * layouts[type].planes[i], left = plane_bytes(type, quads, i) - at;
                const uint64_t whole = last ? left : layouts[type].planes[i];
                if (layouts[type].planes[i]) memcpy(planes[i] + at, made.planes[i], (size_t)whole);
            }
        }
    }
}
