/* Known questions for the ops that make or take rows of f16. */
#include "ops/verify.h"

#include "ops/matmul_cm.h"
#include "ref/ref.h"
#include "util/half.h"

#include <string.h>

/* Inputs are the reference's to the bit; sums are f32 in an order of the hardware's own, which may also drop their last
 * bits while it adds. Outputs in f16 are rounded to 2^-11. */
#define TOLERANCE_SUM  5e-5
#define TOLERANCE_HALF 1e-3

enum { LEAD = 16, GAP = 8 };

/* data [T, width] rounded to f16, and what of it is placed read back into data. NULL: an output. */
static gsai_rows place_half(gsai_check *c, float *data, uint32_t T, uint32_t width)
{
    const uint32_t stride = (width + 7) / 8 * 8 + GAP;
    const uint64_t n = LEAD + (uint64_t)T * stride;
    uint16_t *image = (uint16_t *)gsai_check_alloc(c, (n + 1) / 2);

    for (uint64_t i = 0; image && i < n; i++) image[i] = 0x7bff; /* the largest */
    for (uint32_t t = 0; image && data && t < T; t++)
        for (uint32_t i = 0; i < (width + 7) / 8 * 8; i++) {
            float *value = &data[(uint64_t)t * width + i];
            image[LEAD + (uint64_t)t * stride + i] = i < width ? gsai_float_to_f16(*value) : 0;
            if (i < width) *value = gsai_f16_to_float(gsai_float_to_f16(*value));
        }
    const gsai_range range = gsai_check_place(c, image, n * 2, data ? GSAI_CHECK_IN : GSAI_CHECK_INOUT);
    return (gsai_rows){range, LEAD, stride, true};
}

/* Only the rows may have changed, and their padding is zero. */
static void compare_half(gsai_check *c, gsai_rows rows, const float *want, uint32_t T, uint32_t width)
{
    const uint16_t *got = gsai_check_data(c, rows.range);
    float *values = gsai_check_alloc(c, (uint64_t)T * width);

    if (!got || !values) return;
    for (uint32_t i = 0; i < LEAD; i++)
        if (got[i] != 0x7bff) gsai_check_fail(c);
    for (uint32_t t = 0; t < T; t++) {
        const uint16_t *row = got + LEAD + (uint64_t)t * rows.stride;
        for (uint32_t i = 0; i < rows.stride; i++) {
            if (i < width)
                values[(uint64_t)t * width + i] = gsai_f16_to_float(row[i]);
            else if (row[i] != (i < (width + 7) / 8 * 8 ? 0 : 0x7bff))
                gsai_check_fail(c);
        }
    }
    gsai_check_compare(c, values, want, (uint64_t)T * width);
}

enum { WIDE = 1, HOSTILE, IN_PARTS = 1 };

/* Scales beyond f16 make no sense, but nothing else than large numbers either. */
static void check_finite(gsai_check *c, gsai_rows rows, uint32_t T, uint32_t N, float most)
{
    const float *got = gsai_check_data(c, rows.range);
    for (uint32_t t = 0; got && t < T; t++)
        for (uint32_t i = 0; i < N; i++) {
            const float value = got[rows.offset + (uint64_t)t * rows.stride + i];
            if (!(value >= -most && value <= most)) gsai_check_fail(c);
        }
}

/* For questions to packed rows: room for both operands. After begin, pack puts the weights there. */
static void place_packed(gsai_check *c, const gsai_matrix *w, gsai_rows *x, uint32_t T, bool in_pairs)
{
    gsai_packing p;
    if (strncmp(gsai_check_op(c), "matmul_pack", 11) != 0 || !gsai_packing_of(gsai_check_device(c), &p)) return;
    for (uint32_t i = 0; i < w->n_parts; i++) {
        gsai_matrix_part *part = &w->parts[i];
        const uint64_t bytes = gsai_packed_bytes(&p, part->n_rows, w->n_cols, in_pairs);
        part->packed = gsai_check_place(c, NULL, bytes, GSAI_CHECK_OUT);
        part->in_pairs = in_pairs;
    }
    const uint64_t bytes = gsai_round_up(T, p.tokens) * gsai_round_up(w->n_cols, p.columns) * 2;
    x->room = gsai_check_place(c, NULL, bytes, GSAI_CHECK_OUT);
}

static void pack(gsai_recorder *r, const gsai_matrix *w)
{
    for (uint32_t i = 0; i < w->n_parts; i++)
        if (w->parts[i].packed.size > 0) gsai_op_pack(r, &w->parts[i], w->n_cols);
}

/* T, N, C, rows of a part, accumulate, WIDE inputs or HOSTILE scales, IN_PARTS */
static void run_matmul(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], N = k->n[1], C = k->n[2];
    gsai_tensor tensor;
    const bool wide = k->n[5] == WIDE, hostile = k->n[5] == HOSTILE;
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), N, C, k->n[3], hostile ? 1e9f : 0.5f, &tensor);
    float *x = gsai_check_random(c, (uint64_t)T * C, wide ? 60000 : 2, wide),
          *before = gsai_check_random(c, (uint64_t)T * N, 2, false);
    float *want = gsai_check_alloc(c, (uint64_t)T * N);
    if (!x || !before || !want) return;
    gsai_rows rx = place_half(c, x, T, C);
    const gsai_rows ry = gsai_check_rows(c, k->n[4] ? before : NULL, T, N, k->n[4] ? GSAI_CHECK_INOUT : GSAI_CHECK_OUT);
    place_packed(c, &w, &rx, T, false);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    pack(r, &w);
    gsai_op_matmul(r, ry, rx, &w, T, k->n[6] ? GSAI_ROWS_SESSIONS : GSAI_ROWS_MANY, k->n[4], "matmul known question");
    if (gsai_check_end(c) != GSA_OK) return;
    if (hostile) {
        check_finite(c, ry, T, N, 2 * 65504.0f * (float)C);
        return;
    }

    gsai_check_status(c, gsai_ref_matmul(want, N, x, C, &tensor, T));
    if (k->n[4]) gsai_ref_add(want, before, (size_t)T * N);
    gsai_check_compare_rows(c, ry, want, T, N);
}

static const gsai_verify_case matmul_cases[] = {
    {"T 9 N 70 C 40", TOLERANCE_SUM, {9, 70, 40, 0, 0, 0}},
    {"T 1 N 1 C 8", TOLERANCE_SUM, {1, 1, 8, 0, 0, 0}},
    {"T 65 N 67 C 16 accumulate", TOLERANCE_SUM, {65, 67, 16, 0, 1, 0}},
    {"T 64 N 128 C 256", TOLERANCE_SUM, {64, 128, 256, 0, 0, 0}},
    {"T 64 N 192 C 200 accumulate", TOLERANCE_SUM, {64, 192, 200, 0, 1, 0}},
    {"T 130 N 131 C 136 in parts of 50", TOLERANCE_SUM, {130, 131, 136, 50, 0, 0}},
    {"T 33 N 260 C 2048", TOLERANCE_SUM, {33, 260, 2048, 0, 0, 0}},
    {"T 192 N 256 C 512 wide", TOLERANCE_SUM, {192, 256, 512, 0, 0, WIDE}},
};

static const gsai_verify_case packed_few_cases[] = {
    {"T 9 N 70 C 40 in parts", TOLERANCE_SUM, {9, 70, 40, 0, 0, 0, IN_PARTS}},
    {"T 33 N 260 C 2048 accumulate, in parts", TOLERANCE_SUM, {33, 260, 2048, 0, 1, 0, IN_PARTS}},
    {"T 150 N 131 C 136 in parts", TOLERANCE_SUM, {150, 131, 136, 0, 0, 0, IN_PARTS}},
    {"T 17 N 3000 C 1416 in parts, wide", TOLERANCE_SUM, {17, 3000, 1416, 0, 0, WIDE, IN_PARTS}},
    {"T 50 N 70 C 264 in parts", TOLERANCE_SUM, {50, 70, 264, 0, 0, 0, IN_PARTS}},
    {"T 50 N 2200 C 136 accumulate, in parts", TOLERANCE_SUM, {50, 2200, 136, 0, 1, 0, IN_PARTS}},
    {"T 100 N 2200 C 264 in parts", TOLERANCE_SUM, {100, 2200, 264, 0, 0, 0, IN_PARTS}},
    {"T 65 N 67 C 264 accumulate", TOLERANCE_SUM, {65, 67, 264, 0, 1, 0, 0}},
};

static const gsai_verify_case pack_cases[] = {
    {"T 70 N 70 C 72", TOLERANCE_SUM, {70, 70, 72, 0, 0, 0}},
    {"T 128 N 128 C 256", TOLERANCE_SUM, {128, 128, 256, 0, 0, 0}},
};

static const gsai_verify_case pack_block_cases[] = {
    {"T 70 N 70 C 768", TOLERANCE_HALF, {70, 70, 768, 0, 0, 0}},
    {"T 128 N 131 C 512 in parts of 50", TOLERANCE_HALF, {128, 131, 512, 50, 0, 0}},
    {"T 33 N 70 C 512 scales out of range", TOLERANCE_HALF, {33, 70, 512, 0, 0, HOSTILE}},
};

/* Rows of blocks; weights are turned into f16, whose rounding shows. */
static const gsai_verify_case block_cases[] = {
    {"T 9 N 70 C 256", TOLERANCE_HALF, {9, 70, 256, 0, 0, 0}},
    {"T 65 N 67 C 512 accumulate", TOLERANCE_HALF, {65, 67, 512, 0, 1, 0}},
    {"T 128 N 131 C 768 in parts of 50", TOLERANCE_HALF, {128, 131, 768, 50, 0, 0}},
    {"T 192 N 256 C 1280", TOLERANCE_HALF, {192, 256, 1280, 0, 0, 0}},
    {"T 33 N 70 C 512 scales out of range", TOLERANCE_HALF, {33, 70, 512, 0, 0, HOSTILE}},
};

/* T, columns of q and k, of v, of f, C, rows of a part, relu */
static void run_maps(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], n_qk = k->n[1], n_half = n_qk + k->n[2], N = n_half + k->n[3], C = k->n[4];
    const gsai_maps maps = {.n_half = n_half, .n_relu = k->n[6] ? n_qk : 0};
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), N, C, k->n[5], 0.5f, &tensor);
    float *x = gsai_check_random(c, (uint64_t)T * C, 2, false);
    float *z = gsai_check_alloc(c, (uint64_t)T * N), *want = gsai_check_alloc(c, (uint64_t)T * N);
    float *halves = gsai_check_alloc(c, (uint64_t)T * n_half), *rest = gsai_check_alloc(c, (uint64_t)T * N);
    if (!x || !z || !want || !halves || !rest) return;
    gsai_rows rx = place_half(c, x, T, C);
    const gsai_rows ry = gsai_check_rows(c, z, T, N, GSAI_CHECK_INOUT);
    place_packed(c, &w, &rx, T, false);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    bool has_packed_x = false;
    pack(r, &w);
    for (uint32_t i = 0; i < w.n_parts; i++)
        gsai_matmul_cm(r, &(gsai_matmul_cm_args){.y = ry,
                              .x = rx,
                              .part = &w.parts[i],
                              .n_cols = C,
                              .T = T,
                              .n_rows = w.parts[i].n_rows,
                              .maps = &maps,
                              .has_packed_x = &has_packed_x,
                              .label = "maps known question"});
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_check_status(c, gsai_ref_matmul(want, N, x, C, &tensor, T));
    const float *got = gsai_check_data(c, ry.range);
    for (uint32_t t = 0; got && t < T; t++) {
        float *row = want + (uint64_t)t * N;
        const float *y = got + ry.offset + (uint64_t)t * ry.stride;
        gsai_ref_silu(row + maps.n_relu, row + maps.n_relu, n_half - maps.n_relu);
        for (uint32_t i = 0; i < maps.n_relu; i++)
            if (row[i] < 0) row[i] = 0;
        memcpy(rest + (uint64_t)t * N, y, N * sizeof *y);
        for (uint32_t i = 0; i < n_half; i++) {
            uint16_t half;
            memcpy(&half, (const uint8_t *)y + 2 * i, 2);
            halves[(uint64_t)t * n_half + i] = gsai_f16_to_float(half);
        }
        /* halves by themselves, then what is f32, then the second half of the halves' place, which stays as it was */
        gsai_check_compare(c, halves + (uint64_t)t * n_half, row, n_half);
        gsai_check_compare(c, rest + (uint64_t)t * N + n_half, row + n_half, N - n_half);
        for (uint32_t i = (n_half + 1) / 2; i < n_half; i++)
            if (y[i] != 0) gsai_check_fail(c);
    }
}

static const gsai_verify_case maps_cases[] = {
    {"T 9 q k 48 v 24 f 10 C 40, maps", TOLERANCE_HALF, {9, 48, 24, 10, 40, 0, 0}},
    {"T 64 q k 64 v 32 f 32 C 64, maps, relu", TOLERANCE_HALF, {64, 64, 32, 32, 64, 0, 1}},
    {"T 33 q k 70 v 30 f 28 C 72, maps in parts of 50, relu", TOLERANCE_HALF, {33, 70, 30, 28, 72, 50, 1}},
};

/* T, F, C, gsai_ffn_act, scale of x, IN_PARTS */
static void run_swiglu_matmul(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], F = k->n[1], C = k->n[2];
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), 2 * F, C, 0, 0.5f, &tensor);
    float *x = gsai_check_random(c, (uint64_t)T * C, (float)k->n[4], false);
    float *z = gsai_check_alloc(c, (uint64_t)T * 2 * F), *want = gsai_check_alloc(c, (uint64_t)T * F);
    if (!x || !z || !want || w.n_parts != 1) return;
    gsai_rows rx = place_half(c, x, T, C), ry = place_half(c, NULL, T, F);
    place_packed(c, &w, &rx, T, true);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    pack(r, &w);
    gsai_matmul_cm(r, &(gsai_matmul_cm_args){.y = ry,
                          .x = rx,
                          .part = w.parts,
                          .n_cols = C,
                          .T = T,
                          .n_rows = F,
                          .swiglu = true,
                          .in_parts = k->n[5],
                          .act = k->n[3],
                          .label = "swiglu known question"});
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_check_status(c, gsai_ref_matmul(z, 2 * F, x, C, &tensor, T));
    gsai_ref_swiglu(want, z, T, F, k->n[3]);
    for (uint64_t i = 0; i < (uint64_t)T * F; i++)
        want[i] = want[i] > 65504 ? 65504 : want[i] < -65504 ? -65504 : want[i];
    compare_half(c, ry, want, T, F);
}

static const gsai_verify_case swiglu_matmul_cases[] = {
    {"T 9 F 72 C 40", TOLERANCE_HALF, {9, 72, 40, GSAI_FFN_SWISH, 2}},
    {"T 64 F 128 C 256", TOLERANCE_HALF, {64, 128, 256, GSAI_FFN_SWISH, 1}},
    {"T 70 F 40 C 64 powlu", TOLERANCE_HALF, {70, 40, 64, GSAI_FFN_POWLU, 2}},
    {"T 128 F 64 C 512 beyond what f16 holds", TOLERANCE_HALF, {128, 64, 512, GSAI_FFN_SWISH, 100}},
};

static const gsai_verify_case swiglu_few_cases[] = {
    {"T 9 F 72 C 40", TOLERANCE_HALF, {9, 72, 40, GSAI_FFN_SWISH, 2}},
    {"T 33 F 40 C 672 powlu", TOLERANCE_HALF, {33, 40, 672, GSAI_FFN_POWLU, 1}},
    {"T 20 F 104 C 1280 in parts", TOLERANCE_HALF, {20, 104, 1280, GSAI_FFN_SWISH, 1, IN_PARTS}},
    {"T 50 F 72 C 264 in parts", TOLERANCE_HALF, {50, 72, 264, GSAI_FFN_SWISH, 1, IN_PARTS}},
    {"T 140 F 40 C 264 powlu, in parts", TOLERANCE_HALF, {140, 40, 264, GSAI_FFN_POWLU, 2, IN_PARTS}},
};

/* T, F, C, N: gates and ups leave in the order of fragments, in which a second product takes them. */
static void run_swiglu_in_order(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], F = k->n[1], C = k->n[2], N = k->n[3];
    gsai_tensor tensor, second;
    const gsai_matrix w = gsai_check_matrix(c, GSAI_F16, 2 * F, C, 0, 0.5f, &tensor);
    const gsai_matrix down = gsai_check_matrix(c, GSAI_F16, N, F, 0, 0.5f, &second);
    float *x = gsai_check_random(c, (uint64_t)T * C, 1, false), *z = gsai_check_alloc(c, (uint64_t)T * 2 * F);
    float *act = gsai_check_alloc(c, (uint64_t)T * F), *want = gsai_check_alloc(c, (uint64_t)T * N);
    if (!x || !z || !act || !want || w.n_parts != 1 || down.n_parts != 1) return;
    gsai_rows rx = place_half(c, x, T, C), rows = place_half(c, NULL, T, F);
    const gsai_rows ry = gsai_check_rows(c, NULL, T, N, GSAI_CHECK_OUT);
    place_packed(c, &w, &rx, T, true);
    place_packed(c, &down, &rows, T, false);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_matmul_cm_args a = {.y = rows,
        .x = rx,
        .part = w.parts,
        .n_cols = C,
        .T = T,
        .n_rows = F,
        .swiglu = true,
        .in_parts = true,
        .label = "swiglu known question"};
    pack(r, &w);
    pack(r, &down);
    a.y.in_room = a.y.only_in_room = gsai_matmul_cm_leaves_packed(r, &a);
    gsai_matmul_cm(r, &a);
    gsai_op_matmul(r, ry, a.y, &down, T, GSAI_ROWS_SESSIONS, false, "down known question");
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_check_status(c, gsai_ref_matmul(z, 2 * F, x, C, &tensor, T));
    gsai_ref_swiglu(act, z, T, F, GSAI_FFN_SWISH);
    for (uint64_t i = 0; i < (uint64_t)T * F; i++) act[i] = gsai_f16_to_float(gsai_float_to_f16(act[i]));
    gsai_check_status(c, gsai_ref_matmul(want, N, act, F, &second, T));
    gsai_check_compare_rows(c, ry, want, T, N);
}

static const gsai_verify_case swiglu_in_order_cases[] = {
    {"T 20 F 128 C 1280 N 40, in order", TOLERANCE_HALF, {20, 128, 1280, 40}},
    {"T 70 F 96 C 264 N 70, in order", TOLERANCE_HALF, {70, 96, 264, 70}},
};

static const gsai_verify_case swiglu_block_cases[] = {
    {"T 9 F 72 C 256", TOLERANCE_HALF, {9, 72, 256, GSAI_FFN_SWISH, 2}},
    {"T 128 F 128 C 512 powlu", TOLERANCE_HALF, {128, 128, 512, GSAI_FFN_POWLU, 1}},
};

/* T, D, silu before, scale */
static void run_rmsnorm(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], D = k->n[1];
    float *x = gsai_check_random(c, (uint64_t)T * D, 2, false), *w = gsai_check_random(c, D, (float)k->n[3], false);
    float *want = gsai_check_alloc(c, (uint64_t)T * D);
    if (!x || !w || !want) return;
    gsai_rmsnorm_args a = {.T = T, .D = D, .eps = 1e-6f, .pre_silu = k->n[2]};
    a.x = gsai_check_rows(c, x, T, D, GSAI_CHECK_IN);
    a.w = gsai_check_place(c, w, D * 4ull, GSAI_CHECK_IN);
    a.y = place_half(c, NULL, T, D);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_rmsnorm(r, &a);
    if (gsai_check_end(c) != GSA_OK) return;

    if (k->n[2]) gsai_ref_silu(x, x, (size_t)T * D);
    gsai_ref_rmsnorm(want, x, w, T, D, a.eps);
    for (uint64_t i = 0; i < (uint64_t)T * D; i++)
        want[i] = want[i] > 65504 ? 65504 : want[i] < -65504 ? -65504 : want[i];
    compare_half(c, a.y, want, T, D);
}

static const gsai_verify_case rmsnorm_cases[] = {
    {"T 3 D 64", TOLERANCE_HALF, {3, 64, 0, 2}},
    {"T 2 D 2048 silu before", TOLERANCE_HALF, {2, 2048, 1, 2}},
    {"T 5 D 333", TOLERANCE_HALF, {5, 333, 0, 2}},
    {"T 4 D 130 beyond what f16 holds", TOLERANCE_HALF, {4, 130, 0, 100000}},
};

/* T, D, silu before, scale, with weights, 0 = nowhere but in order. Against the two kernels whose work it does, to the bit. */
static void run_rmsnorm_pack(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], D = k->n[1];
    float *x = gsai_check_random(c, (uint64_t)T * D, 2, false), *w = gsai_check_random(c, D, (float)k->n[3], false);
    float *want = gsai_check_alloc(c, (uint64_t)T * D);
    const gsa_device *dev = gsai_check_device(c);
    gsai_packing p;
    gsai_cm_choice choice;
    if (!x || !w || !want || !gsai_packing_of(dev, &p) || !gsai_matmul_packed_choice(dev, &choice)) return;
    gsai_rmsnorm_args a = {.T = T, .D = D, .eps = 1e-6f, .pre_silu = k->n[2]}, both[2];
    a.x = gsai_check_rows(c, x, T, D, GSAI_CHECK_IN);
    if (k->n[4]) a.w = gsai_check_place(c, w, D * 4ull, GSAI_CHECK_IN);
    const uint64_t bytes = gsai_round_up(T, p.tokens) * gsai_round_up(D, p.columns) * 2;
    for (int i = 0; i < 2; i++) {
        both[i] = a;
        both[i].y = place_half(c, NULL, T, D);
        both[i].y.room = gsai_check_place(c, NULL, bytes, GSAI_CHECK_OUT);
    }
    both[1].y.in_room = true;
    both[1].y.only_in_room = !k->n[5];
    if (!gsai_rmsnorm_packs(dev, &both[1].y, T, D)) return;
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    bool has_packed_x = false;
    gsai_op_rmsnorm(r, &both[0]);
    gsai_matmul_packed_x(
        r, &(gsai_matmul_cm_args){.x = both[0].y, .n_cols = D, .T = T, .has_packed_x = &has_packed_x}, &choice);
    gsai_op_rmsnorm(r, &both[1]);
    if (gsai_check_end(c) != GSA_OK) return;

    const void *two = gsai_check_data(c, both[0].y.room), *one = gsai_check_data(c, both[1].y.room);
    if (!two || !one || memcmp(two, one, bytes) != 0) gsai_check_fail(c);
    if (k->n[2]) gsai_ref_silu(x, x, (size_t)T * D);
    gsai_ref_rmsnorm(want, x, k->n[4] ? w : NULL, T, D, a.eps);
    for (uint64_t i = 0; i < (uint64_t)T * D; i++)
        want[i] = want[i] > 65504 ? 65504 : want[i] < -65504 ? -65504 : want[i];
    compare_half(c, both[0].y, want, T, D);
    two = gsai_check_data(c, both[0].y.range);
    one = gsai_check_data(c, both[1].y.range);
    for (uint64_t i = 0; two && one && !k->n[5] && i < both[1].y.range.size / 2; i++)
        if (((const uint16_t *)one)[i] != 0x7bff) gsai_check_fail(c);
    if (two && one && k->n[5] && memcmp(two, one, both[1].y.range.size) != 0) gsai_check_fail(c);
}

static const gsai_verify_case rmsnorm_pack_cases[] = {
    {"T 70 D 72", TOLERANCE_HALF, {70, 72, 0, 2, 1, 1}},
    {"T 64 D 2048 silu before, in order only", TOLERANCE_HALF, {64, 2048, 1, 2, 1, 0}},
    {"T 5 D 3000 no weights", TOLERANCE_HALF, {5, 3000, 0, 2, 0, 1}},
    {"T 130 D 136 beyond what f16 holds", TOLERANCE_HALF, {130, 136, 0, 100000, 1, 0}},
};

/* T, F, gsai_ffn_act, scale */
static void run_swiglu(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], F = k->n[1];
    float *x = gsai_check_random(c, (uint64_t)T * 2 * F, (float)k->n[3], false);
    float *want = gsai_check_alloc(c, (uint64_t)T * F);
    if (!x || !want) return;
    const gsai_rows rx = gsai_check_rows(c, x, T, 2 * F, GSAI_CHECK_IN), ry = place_half(c, NULL, T, F);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_swiglu(r, ry, rx, T, F, k->n[2]);
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_ref_swiglu(want, x, T, F, k->n[2]);
    for (uint64_t i = 0; i < (uint64_t)T * F; i++)
        want[i] = want[i] > 65504 ? 65504 : want[i] < -65504 ? -65504 : want[i];
    compare_half(c, ry, want, T, F);
}

static const gsai_verify_case swiglu_cases[] = {
    {"T 3 F 72 swish", TOLERANCE_HALF, {3, 72, GSAI_FFN_SWISH, 10}},
    {"T 5 F 333 powlu", TOLERANCE_HALF, {5, 333, GSAI_FFN_POWLU, 10}},
    {"T 4 F 64 beyond what f16 holds", TOLERANCE_HALF, {4, 64, GSAI_FFN_SWISH, 1000}},
};

/* The same of the kernel for few tokens, whose steps are longer. */
static const gsai_verify_case few_cases[] = {
    {"T 4 N 40 C 1032", TOLERANCE_SUM, {4, 40, 1032, 0, 0, 0}},
    {"T 1 N 1 C 8", TOLERANCE_SUM, {1, 1, 8, 0, 0, 0}},
    {"T 17 N 67 C 16 accumulate", TOLERANCE_SUM, {17, 67, 16, 0, 1, 0}},
    {"T 64 N 128 C 2048 accumulate", TOLERANCE_SUM, {64, 128, 2048, 0, 1, 0}},
    {"T 128 N 192 C 200", TOLERANCE_SUM, {128, 192, 200, 0, 0, 0}},
    {"T 33 N 131 C 1416 in parts of 50, wide", TOLERANCE_SUM, {33, 131, 1416, 50, 0, 1}},
};

static const gsai_verify_case few_block_cases[] = {
    {"T 4 N 40 C 768", TOLERANCE_HALF, {4, 40, 768, 0, 0, 0}},
    {"T 33 N 67 C 512 accumulate", TOLERANCE_HALF, {33, 67, 512, 0, 1, 0}},
    {"T 128 N 131 C 1280 in parts of 50", TOLERANCE_HALF, {128, 131, 1280, 50, 0, 0}},
};

#define SET(OP, RUN, CASES, ARG)                                                                                       \
    {                                                                                                                  \
        OP, RUN, CASES, sizeof CASES / sizeof *CASES, ARG                                                              \
    }
const gsai_verify_set gsai_verify_half[] = {
    SET("rmsnorm_half", run_rmsnorm, rmsnorm_cases, 0),
    SET("rmsnorm_pack", run_rmsnorm_pack, rmsnorm_pack_cases, 0),
    SET("rmsnorm_place", run_rmsnorm_pack, rmsnorm_pack_cases, 0),
    SET("swiglu_half", run_swiglu, swiglu_cases, 0),
    SET("matmul_cm_f16", run_matmul, matmul_cases, GSAI_F16),
    SET("matmul_cm_f16", run_maps, maps_cases, GSAI_F16),
    SET("matmul_cm_swiglu_f16", run_swiglu_matmul, swiglu_matmul_cases, GSAI_F16),
    SET("matmul_pack_x", run_matmul, pack_cases, GSAI_F16),
    SET("matmul_pack_f16", run_matmul, pack_cases, GSAI_F16),
    SET("matmul_pack_bf16", run_matmul, pack_cases, GSAI_BF16),
    SET("matmul_pack_q8_0", run_matmul, pack_block_cases, GSAI_Q8_0),
    SET("matmul_pack_q4_0", run_matmul, pack_block_cases, GSAI_Q4_0),
    SET("matmul_pack_q4_k", run_matmul, pack_block_cases, GSAI_Q4_K),
    SET("matmul_pack_q6_k", run_matmul, pack_block_cases, GSAI_Q6_K),
    SET("matmul_packed", run_matmul, matmul_cases, GSAI_F16),
    SET("matmul_packed", run_maps, maps_cases, GSAI_F16),
    SET("matmul_packed_swiglu", run_swiglu_matmul, swiglu_matmul_cases, GSAI_F16),
    SET("matmul_packed_few", run_matmul, packed_few_cases, GSAI_F16),
    SET("matmul_packed_few", run_maps, maps_cases, GSAI_F16),
    SET("matmul_packed_few_swiglu", run_swiglu_matmul, swiglu_few_cases, GSAI_F16),
    SET("matmul_packed_few_swiglu", run_swiglu_in_order, swiglu_in_order_cases, GSAI_F16),
    SET("matmul_cm_bf16", run_matmul, matmul_cases, GSAI_BF16),
    SET("matmul_cm_swiglu_bf16", run_swiglu_matmul, swiglu_matmul_cases, GSAI_BF16),
    SET("matmul_cm_q8_0", run_matmul, block_cases, GSAI_Q8_0),
    SET("matmul_cm_swiglu_q8_0", run_swiglu_matmul, swiglu_block_cases, GSAI_Q8_0),
    SET("matmul_cm_q4_0", run_matmul, block_cases, GSAI_Q4_0),
    SET("matmul_cm_swiglu_q4_0", run_swiglu_matmul, swiglu_block_cases, GSAI_Q4_0),
    SET("matmul_cm_q4_k", run_matmul, block_cases, GSAI_Q4_K),
    SET("matmul_cm_swiglu_q4_k", run_swiglu_matmul, swiglu_block_cases, GSAI_Q4_K),
    SET("matmul_cm_q6_k", run_matmul, block_cases, GSAI_Q6_K),
    SET("matmul_cm_swiglu_q6_k", run_swiglu_matmul, swiglu_block_cases, GSAI_Q6_K),
    SET("matmul_few_f16", run_matmul, few_cases, GSAI_F16),
    SET("matmul_few_f16", run_maps, maps_cases, GSAI_F16),
    SET("matmul_few_swiglu_f16", run_swiglu_matmul, swiglu_matmul_cases, GSAI_F16),
    SET("matmul_few_bf16", run_matmul, few_cases, GSAI_BF16),
    SET("matmul_few_swiglu_bf16", run_swiglu_matmul, swiglu_matmul_cases, GSAI_BF16),
    SET("matmul_few_q8_0", run_matmul, few_block_cases, GSAI_Q8_0),
    SET("matmul_few_swiglu_q8_0", run_swiglu_matmul, swiglu_block_cases, GSAI_Q8_0),
    SET("matmul_few_q4_0", run_matmul, few_block_cases, GSAI_Q4_0),
    SET("matmul_few_swiglu_q4_0", run_swiglu_matmul, swiglu_block_cases, GSAI_Q4_0),
    SET("matmul_few_q4_k", run_matmul, few_block_cases, GSAI_Q4_K),
    SET("matmul_few_swiglu_q4_k", run_swiglu_matmul, swiglu_block_cases, GSAI_Q4_K),
    SET("matmul_few_q6_k", run_matmul, few_block_cases, GSAI_Q6_K),
    SET("matmul_few_swiglu_q6_k", run_swiglu_matmul, swiglu_block_cases, GSAI_Q6_K),
};
const uint32_t gsai_n_verify_half = sizeof gsai_verify_half / sizeof *gsai_verify_half;
