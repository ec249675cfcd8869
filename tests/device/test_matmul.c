/* Matrix products: every weight type and class of rows, parts, and the promise that a row's bits do not depend on its company. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_check.h"
#include "ops/matmul_cm.h"
#include "util/half.h"

static bool is_cpu(void)
{
    return dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

static bool has_matrix_units(void)
{
    return gsai_variant_pick(dev, "matmul_cm_f16") != NULL;
}

/* Kernels of two types differ in how they read weights. That is the same at any width of vectors, and CPU drivers compile
 * for wide ones several times as long: there one plain and one block type stand for all. */
static bool stands_for_others(gsai_type type)
{
    return !compiles_slowly() || type == GSAI_F16 || type == GSAI_Q4_0;
}

/* What serves without matrix units, and all kernels at once, are asked where there are none: the same driver's kernels,
 * compiled sooner. */
static void leave_to_others(void)
{
    if (is_cpu() && has_matrix_units()) skip();
}

/* Kernels named after a type, for the rest of this program. */
static void leave_out(const char *type)
{
    for (uint32_t i = 0; i < gsai_n_variants; i++)
        if (strstr(gsai_variants[i].op, type)) dev->variant_off[i] = GSAI_VARIANT_MASKED;
}

/* Types of a test: all, or those of a range. */
static void each_type_of(
    gsai_type first, gsai_type last, const char *kind, const gsai_verify_case *more, uint32_t n_more)
{
    char op[32];

    for (gsai_type type = first; type <= last; type++) {
        if (!stands_for_others(type)) continue;
        snprintf(op, sizeof op, "%s_%s", kind, gsai_type_name(type));
        if (more) {
            assert_more(op, more, n_more);
        } else {
            assert_op(op);
        }
    }
}

static void each_type(const char *kind, const gsai_verify_case *more, uint32_t n_more)
{
    each_type_of(GSAI_F32, more ? GSAI_BF16 : GSAI_Q6_K, kind, more, n_more);
}

static void matvec_known_questions_are_answered(void **state)
{
    (void)state;
    leave_to_others();
    each_type("matvec", NULL, 0);
}

/* Where the device cannot run them, the op takes other kernels and there is nothing to ask. */
static void norm_matvec_known_questions_are_answered(void **state)
{
    (void)state;
    leave_to_others();
    if (!gsai_variant_pick(dev, "norm_matvec_f32")) skip();
    for (gsai_type type = GSAI_F32; type <= GSAI_Q6_K; type++) {
        char op[32];
        if (!stands_for_others(type)) continue;
        snprintf(op, sizeof op, "norm_matvec_%s", gsai_type_name(type));
        assert_op_briefly(op, 3); /* one token and up to eight, SwiGLU; each number is compiled anew */
    }
}

/* Calls of 128 weight rows each, with the norm before them. */
static void norm_matvec_in_several_calls_matches_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {{"T 2 N 300 C 256, in calls of 128 rows", 1e-5, {2, 300, 256, 300, 0}}};
    static const char *const ops[] = {"norm_matvec_f16", "norm_matvec_q4_0", "staged_matvec_f16"};
    const uint32_t most = dev->max_submit_us;
    (void)state;
    leave_to_others();
    if (!gsai_variant_pick(dev, "norm_matvec_f32")) skip();
    dev->max_submit_us = 1;
    for (size_t i = 0; i < N_OF(ops); i++)
        if (gsai_variant_pick(dev, ops[i])) assert_more(ops[i], cases, 1);
    dev->max_submit_us = most;
}

static void matmul_known_questions_are_answered(void **state)
{
    (void)state;
    each_type("matmul", NULL, 0);
}

/* n: T, N, C, rows of a part, accumulate, class of rows. 270001 rows pass 65535 groups of 4. */
static void matvec_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 4 N 9 C 4", 1e-5, {4, 9, 4, 0, 0, GSAI_ROWS_FEW}},
        {"T 6 N 17 C 1025", 1e-5, {6, 17, 1025, 3, 1, GSAI_ROWS_FEW}},
        {"T 7 N 255 C 31", 1e-5, {7, 255, 31, 0, 1, GSAI_ROWS_FEW}},
        {"T 1 N 270001 C 3", 1e-5, {1, 270001, 3, 0, 0, GSAI_ROWS_ONE}},
    };
    (void)state;
    leave_to_others();
    each_type("matvec", cases, N_OF(cases));
}

static void matmul_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 128 N 128 C 16", 1e-5, {128, 128, 16, 0, 0, GSAI_ROWS_MANY}},
        {"T 129 N 129 C 17", 1e-5, {129, 129, 17, 0, 1, GSAI_ROWS_MANY}},
        {"T 63 N 1 C 1000", 1e-5, {63, 1, 1000, 0, 0, GSAI_ROWS_MANY}},
        {"T 300 N 65 C 9 in parts of 64", 1e-5, {300, 65, 9, 64, 0, GSAI_ROWS_MANY}},
    };
    (void)state;
    each_type("matmul", cases, N_OF(cases));
}

/* One column more than a block, and rows whose planes end anywhere within 16 bytes. Types of 256 columns a block leave
 * cases out. */
static void block_types_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case matvec[] = {
        {"T 4 N 9 C 32", 1e-5, {4, 9, 32, 0, 0, GSAI_ROWS_FEW}},
        {"T 5 N 17 C 1280", 1e-5, {5, 17, 1280, 3, 1, GSAI_ROWS_FEW}},
        {"T 6 N 40 C 288", 1e-5, {6, 40, 288, 0, 0, GSAI_ROWS_FEW}},
        {"T 7 N 255 C 224", 1e-5, {7, 255, 224, 0, 1, GSAI_ROWS_FEW}},
        {"T 1 N 5 C 14336", 1e-5, {1, 5, 14336, 0, 0, GSAI_ROWS_ONE}},
        {"T 8 N 5 C 9216", 1e-5, {8, 5, 9216, 0, 0, GSAI_ROWS_ONE}},
        {"T 1 N 70001 C 256", 1e-5, {1, 70001, 256, 0, 0, GSAI_ROWS_ONE}},
    };
    static const gsai_verify_case matmul[] = {
        {"T 65 N 64 C 32", 1e-5, {65, 64, 32, 0, 0, GSAI_ROWS_MANY}},
        {"T 64 N 65 C 2816", 1e-5, {64, 65, 2816, 0, 1, GSAI_ROWS_MANY}},
        {"T 9 N 7 C 352 in parts of 2", 1e-5, {9, 7, 352, 2, 0, GSAI_ROWS_MANY}},
    };
    (void)state;
    leave_to_others();
    each_type_of(GSAI_Q8_0, GSAI_Q6_K, "matvec", matvec, N_OF(matvec));
    each_type_of(GSAI_Q8_0, GSAI_Q6_K, "matmul", matmul, N_OF(matmul));
}

static gsai_rows half_rows(gsai_check *c, const float *x, uint32_t T, uint32_t C)
{
    const uint32_t stride = (C + 7) / 8 * 8;
    uint16_t *image = (uint16_t *)gsai_check_alloc(c, (uint64_t)T * stride / 2);
    for (uint32_t i = 0; x && image && i < T * C; i++)
        image[(uint64_t)(i / C) * stride + i % C] = gsai_float_to_f16(x[i]);
    return (gsai_rows){gsai_check_place(c, image, T * stride * 2ull, GSAI_CHECK_IN), 0, stride, true};
}

/* n: T of the whole, N, C, class of rows, then T of subsets up to a zero. Each subset starts at a different row. */
static void run_company(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], N = k->n[1], C = k->n[2];
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), N, C, 0, 0.5f, &tensor);
    const float *x = gsai_check_random(c, (uint64_t)T * C, 2, false);
    float *all = gsai_check_alloc(c, (uint64_t)T * N);
    const bool half = strncmp(gsai_check_op(c), "matmul_cm", 9) == 0;
    const gsai_rows rx = half ? half_rows(c, x, T, C) : gsai_check_rows(c, x, T, C, GSAI_CHECK_IN);
    const gsai_rows ry = gsai_check_rows(c, NULL, T, N, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_matmul(r, ry, rx, &w, T, k->n[3], false, "all rows");
    if (gsai_check_end(c) != GSA_OK) return;
    const float *got = gsai_check_data(c, ry.range);
    for (uint32_t t = 0; t < T; t++) memcpy(all + (uint64_t)t * N, got + ry.offset + (uint64_t)t * ry.stride, N * 4ull);

    for (uint32_t i = 4; i < 12 && k->n[i]; i++) {
        const uint32_t n = k->n[i], first = T - n - (i - 4) % (T - n + 1);
        const gsai_rows from = {rx.range, rx.offset + first * rx.stride, rx.stride, rx.half};
        const gsai_rows to = {ry.range, ry.offset + first * ry.stride, ry.stride, false};
        if (!(r = gsai_check_begin(c))) return;
        gsai_op_matmul(r, to, from, &w, n, k->n[3], false, "some rows");
        if (gsai_check_end(c) != GSA_OK) return;
        got = gsai_check_data(c, ry.range);
        for (uint32_t t = first; t < first + n; t++)
            if (memcmp(got + ry.offset + (uint64_t)t * ry.stride, all + (uint64_t)t * N, N * 4ull) != 0)
                gsai_check_fail(c);
    }
}

static void company_never_changes_bits(
    gsai_type first, gsai_type last, const char *kind, const gsai_verify_case *cases, uint32_t n)
{
    char op[32];

    for (gsai_type type = first; type <= last; type++) {
        if (!stands_for_others(type)) continue;
        snprintf(op, sizeof op, "%s_%s", kind, gsai_type_name(type));
        assert_set(op, run_company, cases, n, type);
    }
}

static void matvec_rows_in_any_company_keep_their_bits(void **state)
{
    static const gsai_verify_case cases[] = {
        {"few: 8 rows and fewer", 0, {8, 70, 333, GSAI_ROWS_FEW, 7, 5, 4, 3, 2, 1}},
        {"one: 19 rows and fewer", 0, {19, 33, 520, GSAI_ROWS_ONE, 9, 8, 5, 1}},
    };
    static const gsai_verify_case block_cases[] = {
        {"few: 8 rows and fewer", 0, {8, 70, 2816, GSAI_ROWS_FEW, 7, 5, 4, 3, 2, 1}},
        {"one: 19 rows and fewer", 0, {19, 33, 512, GSAI_ROWS_ONE, 9, 8, 5, 1}},
    };
    (void)state;
    leave_to_others();
    company_never_changes_bits(GSAI_F32, GSAI_BF16, "matvec", cases, N_OF(cases));
    company_never_changes_bits(GSAI_Q8_0, GSAI_Q6_K, "matvec", block_cases, N_OF(block_cases));
}

/* One row has code of its own, and so has each number up to four. CPU drivers take these kernels only when others are
 * hidden: there one plain and one block type stand for all. */
static void staged_matvec_rows_in_any_company_keep_their_bits(void **state)
{
    static const gsai_verify_case cases[] = {
        {"one: 8 rows and fewer", 0, {8, 33, 800, GSAI_ROWS_ONE, 5, 4, 3, 2, 1}},
    };
    (void)state;
    leave_to_others();
    if (!gsai_variant_pick(dev, "staged_matvec_f32")) skip();
    for (gsai_type type = GSAI_F32; type <= GSAI_Q4_0; type++)
        if (!is_cpu() || type == GSAI_F16 || type == GSAI_Q4_0)
            company_never_changes_bits(type, type, "staged_matvec", cases, N_OF(cases));
}

/* n: T, N, C, column that is no number, whether it is infinite. */
static void run_no_number(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], N = k->n[1], C = k->n[2];
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), N, C, 0, 0.5f, &tensor);
    float *x = gsai_check_random(c, (uint64_t)T * C, 2, false);
    if (!x) return;
    x[C * (T - 1) + k->n[3]] = k->n[4] ? -INFINITY : NAN;
    const gsai_rows rx = gsai_check_rows(c, x, T, C, GSAI_CHECK_IN),
                    ry = gsai_check_rows(c, NULL, T, N, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_matmul(r, ry, rx, &w, T, GSAI_ROWS_ONE, false, "no number");
    if (gsai_check_end(c) != GSA_OK) return;
    const float *got = gsai_check_data(c, ry.range);
    for (uint32_t t = 0; t < T; t++)
        for (uint32_t n = 0; n < N; n++)
            if (isfinite(got[ry.offset + t * ry.stride + n]) != (t + 1 < T)) gsai_check_fail(c);
}

/* Products of integers: known questions, rows in any company, and columns that no integer stands for. */
static void dots_are_as_good_as_floats(void **state)
{
    static const gsai_verify_case company[] = {
        {"one: 8 rows and fewer", 0, {8, 33, 800, GSAI_ROWS_ONE, 5, 4, 3, 2, 1}},
    };
    static const gsai_verify_case no_number[] = {
        {"NaN", 0, {2, 9, 256, 37, 0}},
        {"infinity", 0, {1, 9, 256, 255, 1}},
    };
    (void)state;
    leave_to_others();
    for (gsai_type type = GSAI_Q8_0; type <= GSAI_Q4_0; type++) {
        char op[32];
        snprintf(op, sizeof op, "staged_dots_%s", gsai_type_name(type));
        if (!gsai_variant_pick(dev, op)) skip();
        assert_op_briefly(op, 3);
        assert_set(op, run_no_number, no_number, N_OF(no_number), type);
        if (!is_cpu() || type == GSAI_Q4_0) assert_set(op, run_company, company, N_OF(company), type);
    }
}

static void matmul_rows_in_any_company_keep_their_bits(void **state)
{
    static const gsai_verify_case cases[] = {
        {"many: 200 rows and fewer", 0, {200, 130, 203, GSAI_ROWS_MANY, 64, 65, 129, 9, 1}},
    };
    static const gsai_verify_case block_cases[] = {
        {"many: 130 rows and fewer", 0, {130, 70, 512, GSAI_ROWS_MANY, 64, 65, 129, 9, 1}},
    };
    (void)state;
    leave_to_others();
    company_never_changes_bits(GSAI_F32, GSAI_BF16, "matmul", cases, N_OF(cases));
    company_never_changes_bits(GSAI_Q8_0, GSAI_Q6_K, "matmul", block_cases, N_OF(block_cases));
}

/* A row computed alone has the bits it has among a few: spans of any length then agree within one variant. On CPU drivers
 * these kernels also serve many rows. */
static void run_one_and_few(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t N = k->n[0], C = k->n[1];
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), N, C, 0, 0.5f, &tensor);
    const float *x = gsai_check_random(c, C, 2, false);
    const gsai_rows rx = gsai_check_rows(c, x, 1, C, GSAI_CHECK_IN);
    const gsai_rows one = gsai_check_rows(c, NULL, 1, N, GSAI_CHECK_OUT),
                    few = gsai_check_rows(c, NULL, 1, N, GSAI_CHECK_OUT),
                    many = gsai_check_rows(c, NULL, 1, N, GSAI_CHECK_OUT);
    const bool asks_many = is_cpu() && gsai_variant_pick(dev, gsai_check_op(c))->caps & GSAI_CAP_SUBGROUP;
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_matmul(r, one, rx, &w, 1, GSAI_ROWS_ONE, false, "one");
    gsai_op_matmul(r, few, rx, &w, 1, GSAI_ROWS_FEW, false, "few");
    gsai_op_matmul(r, many, rx, &w, 1, asks_many ? GSAI_ROWS_MANY : GSAI_ROWS_FEW, false, "many");
    if (gsai_check_end(c) != GSA_OK) return;
    const float *a = gsai_check_data(c, one.range), *b = gsai_check_data(c, few.range),
                *d = gsai_check_data(c, many.range);
    if (memcmp(a + one.offset, b + few.offset, N * 4ull) != 0) gsai_check_fail(c);
    if (memcmp(a + one.offset, d + many.offset, N * 4ull) != 0) gsai_check_fail(c);
}

static void matvec_one_row_and_few_rows_agree_in_bits(void **state)
{
    static const gsai_verify_case cases[] = {{"N 90 C 700", 0, {90, 700}}}, blocks[] = {{"N 90 C 768", 0, {90, 768}}};
    (void)state;
    assert_set("matvec_f16", run_one_and_few, cases, 1, GSAI_F16);
    assert_set("matvec_q4_k", run_one_and_few, blocks, 1, GSAI_Q4_K);
}

/* The check itself must see what it is there for. */
static void run_stray_write(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_rows x = gsai_check_rows(c, NULL, 3, 5, GSAI_CHECK_IN);
    gsai_rows y = gsai_check_rows(c, NULL, 3, 5, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    y.offset += k->n[0]; /* four floats on: into the padding */
    gsai_op_silu(r, y, x, k->n[1], 5);
    gsai_check_end(c);
}

static void check_stray_writes_are_found(void **state)
{
    static const gsai_verify_case cases[] = {{"into the padding", 1, {4, 2}}};
    const gsai_verify_set set = {"silu", run_stray_write, cases, 1, 0};
    uint32_t n_rows = 0, n_failed = 0;

    (void)state;
    assert_int_equal(gsai_ops_verify_set(dev, &set, NULL, &n_rows, &n_failed), GSA_OK);
    assert_int_equal(n_failed, 1);
}

static void selftest_leaves_right_kernels_in_use(void **state)
{
    uint8_t before[GSAI_MAX_VARIANTS];

    (void)state;
    leave_to_others();
    for (gsai_type type = GSAI_BF16; type <= GSAI_Q6_K; type++) /* the whole step is asked with f32 */
        if (!stands_for_others(type)) leave_out(gsai_type_name(type));
    memcpy(before, dev->variant_off, sizeof before);
    assert_int_equal(gsai_ops_self_test(dev), GSA_OK);
    assert_memory_equal(before, dev->variant_off, sizeof before);
}

static void half_rows_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op("rmsnorm_half");
    assert_op("swiglu_half");
}

static void matmul_cm_known_questions_are_answered(void **state)
{
    (void)state;
    if (!has_matrix_units()) skip();
    each_type_of(GSAI_F16, GSAI_Q6_K, "matmul_cm", NULL, 0);
    each_type_of(GSAI_F16, GSAI_Q6_K, "matmul_cm_swiglu", NULL, 0);
}

/* n: T, N, C, rows of a part, accumulate, wide */
static void matmul_cm_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 128 N 128 C 16", 5e-5, {128, 128, 16, 0, 0, 0}},
        {"T 129 N 129 C 24", 5e-5, {129, 129, 24, 0, 1, 0}},
        {"T 63 N 1 C 1000", 5e-5, {63, 1, 1000, 0, 0, 0}},
        {"T 256 N 384 C 320", 5e-5, {256, 384, 320, 0, 1, 0}},
        {"T 300 N 65 C 8 in parts of 64", 5e-5, {300, 65, 8, 64, 0, 0}},
    };
    (void)state;
    if (!has_matrix_units()) skip();
    assert_more("matmul_cm_f16", cases, N_OF(cases));
    if (!is_cpu()) assert_more("matmul_cm_bf16", cases, N_OF(cases));
}

/* Tiles differ with the number of rows; bits must not. */
static void matmul_cm_rows_in_any_company_keep_their_bits(void **state)
{
    static const gsai_verify_case cases[] = {
        {"many: 192 rows and fewer", 0, {192, 128, 200, GSAI_ROWS_MANY, 64, 65, 128, 9, 1}},
        {"many: 320 rows and fewer", 0, {320, 512, 520, GSAI_ROWS_MANY, 256, 128, 64, 32, 16}},
    };
    (void)state;
    if (!has_matrix_units()) skip();
    assert_set("matmul_cm_f16", run_company, cases, N_OF(cases), GSAI_F16);
    if (!is_cpu()) assert_set("matmul_cm_bf16", run_company, cases, N_OF(cases), GSAI_BF16);
}

/* On CPU drivers, where nothing else takes these kernels, one question for each type. */
static void matmul_few_known_questions_are_answered(void **state)
{
    static const gsai_verify_case plain = {"T 20 N 70 C 768", 1e-3, {20, 70, 768, 0, 0, 0}};
    static const gsai_verify_case swiglu = {"T 20 F 72 C 768", 1e-3, {20, 72, 768, GSAI_FFN_SWISH, 2}};

    (void)state;
    if (!has_matrix_units()) skip();
    for (gsai_type type = GSAI_F16; type <= GSAI_Q6_K; type++) {
        if (!is_cpu()) {
            each_type_of(type, type, "matmul_few", NULL, 0);
            each_type_of(type, type, "matmul_few_swiglu", NULL, 0);
            continue;
        }
        char op[2][32];
        snprintf(op[0], sizeof op[0], "matmul_few_%s", gsai_type_name(type));
        snprintf(op[1], sizeof op[1], "matmul_few_swiglu_%s", gsai_type_name(type));
        assert_set(op[0], library_set(op[0])->run, &plain, 1, type);
        if (stands_for_others(type)) assert_set(op[1], library_set(op[1])->run, &swiglu, 1, type);
    }
}

enum { MOST_TILES = 64 };

/* Tiles of both kernels that this device takes; those of the kernel for many tokens first, last what the library chooses.
 * Without all one tile of each kernel. */
static uint32_t tiles_that_fit(gsai_type type, bool swiglu, bool all, const gsai_cm_tile *out[MOST_TILES])
{
    uint32_t n = 0;

    for (int few = 0; few < 2; few++) {
        uint32_t n_tiles;
        const gsai_cm_tile *tiles = gsai_matmul_cm_tiles(dev, few, &n_tiles);
        const uint32_t before = n;
        for (uint32_t i = 0; i < n_tiles && n + 1 < MOST_TILES && (all || n == before); i++)
            if (gsai_matmul_cm_fits(dev, &tiles[i], type, swiglu)) out[n++] = &tiles[i];
        if (n == before) return 0; /* nothing could be compared */
    }
    out[n++] = NULL;
    return n;
}

/* n: T, N, C, 1 = accumulate, 2 = with maps, 3 = SwiGLU */
static void run_tiles(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], N = k->n[1], C = k->n[2], kind = k->n[3];
    const gsai_type type = (gsai_type)gsai_check_arg(c);
    const bool swiglu = kind == 3;
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, type, swiglu ? 2 * N : N, C, 0, 0.5f, &tensor);
    const float *x = gsai_check_random(c, (uint64_t)T * C, 2, false),
                *y = gsai_check_random(c, (uint64_t)T * N, 2, false);
    const gsai_maps maps = {.n_half = N / 2, .n_relu = N / 4};
    const gsai_cm_tile *tiles[MOST_TILES];
    /* On CPU drivers tiles differ in how steps follow each other, kinds in how sums leave: one kind sees all tiles. */
    const uint32_t n = tiles_that_fit(type, swiglu, !is_cpu() || kind == 1, tiles);
    const gsai_rows rx = half_rows(c, x, T, C);
    gsai_rows to[MOST_TILES];

    if (n == 0) gsai_check_fail(c);
    for (uint32_t i = 0; i < n; i++) {
        to[i] = swiglu ? half_rows(c, y, T, N) : gsai_check_rows(c, y, T, N, GSAI_CHECK_INOUT);
        if (swiglu)
            to[i].range =
                gsai_check_place(c, gsai_check_alloc(c, T * N), T * (uint64_t)to[i].stride * 2, GSAI_CHECK_INOUT);
    }
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    for (uint32_t i = 0; i < n; i++)
        gsai_matmul_cm(r, &(gsai_matmul_cm_args){.y = to[i],
                              .x = rx,
                              .part = w.parts,
                              .n_cols = C,
                              .T = T,
                              .n_rows = N,
                              .accumulate = kind == 1,
                              .swiglu = swiglu,
                              .maps = kind == 2 ? &maps : NULL,
                              .tile = tiles[i],
                              .label = "tile"});
    if (gsai_check_end(c) != GSA_OK) return;
    const uint8_t *want = (const uint8_t *)gsai_check_data(c, to[0].range);
    const uint32_t bytes = swiglu ? 2 : 4;
    for (uint32_t i = 1; i < n; i++) {
        const uint8_t *got = (const uint8_t *)gsai_check_data(c, to[i].range);
        for (uint32_t t = 0; t < T; t++)
            if (memcmp(got + bytes * (to[i].offset + (uint64_t)t * to[i].stride),
                    want + bytes * (to[0].offset + (uint64_t)t * to[0].stride), (uint64_t)N * bytes) != 0)
                gsai_check_fail(c);
    }
}

/* The promise that every length of a prompt gives a token the same bits: both kernels, all their tiles. */
static void matmul_few_has_the_bits_of_matmul_cm(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 64 N 96 C 512 accumulate", 0, {64, 96, 512, 1}}, {"T 33 N 64 C 264 maps", 0, {33, 64, 264, 2}},
        {"T 17 N 72 C 512 swiglu", 0, {17, 72, 512, 3}},
        {"T 9 N 70 C 1416", 0, {9, 70, 1416, 0}}, /* on CPU drivers of block types only */
    };
    static const gsai_verify_case blocks[] = {{"T 17 N 70 C 768", 0, {17, 70, 768, 0}}};

    (void)state;
    if (!has_matrix_units()) skip();
    assert_set("matmul_few_f16", run_tiles, cases, is_cpu() ? 3 : N_OF(cases), GSAI_F16);
    for (gsai_type type = GSAI_BF16; type <= GSAI_Q6_K; type++) {
        char op[32];
        snprintf(op, sizeof op, "matmul_few_%s", gsai_type_name(type));
        if (!is_cpu() || type == GSAI_Q4_K) assert_set(op, run_tiles, blocks, 1, type);
    }
}

static void packed_known_questions_are_answered(void **state)
{
    gsai_packing p;
    (void)state;
    if (!gsai_packing_of(dev, &p)) skip();
    if (is_cpu()) { /* compiled for seconds each; the rest is compared to the bit below */
        static const char *const ops[] = {"matmul_packed", "matmul_packed_few"};
        for (size_t i = 0; i < N_OF(ops); i++)
            assert_set(ops[i], library_set(ops[i])->run, library_set(ops[i])->cases, 1, GSAI_F16);
        const gsai_verify_set *in_order = NULL;
        for (uint32_t i = 0; i < gsai_n_verify_half; i++)
            if (strcmp(gsai_verify_half[i].op, "matmul_packed_few_swiglu") == 0) in_order = &gsai_verify_half[i];
        assert_non_null(in_order); /* the last of that name */
        assert_set(in_order->op, in_order->run, in_order->cases, 1, GSAI_F16);
        return;
    }
    assert_op("matmul_pack_x");
    each_type_of(GSAI_F16, GSAI_Q6_K, "matmul_pack", NULL, 0);
    assert_op("matmul_packed");
    assert_op("matmul_packed_swiglu");
    assert_op("matmul_packed_few");
    assert_op("matmul_packed_few_swiglu");
}

enum { PLAIN, ADDED, MAPPED, GATED };

/* n: T, outputs, C, which of these. The same product from rows and from packed rows. */
static void run_packed(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], N = k->n[1], C = k->n[2], kind = k->n[3];
    const bool swiglu = kind == GATED;
    const gsai_maps maps = {.n_half = N / 4 * 3, .n_relu = N / 2};
    gsai_packing p;
    gsai_tensor tensor;
    gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), swiglu ? 2 * N : N, C, 0, 0.5f, &tensor);
    const float *x = gsai_check_random(c, (uint64_t)T * C, 2, false), *before = gsai_check_random(c, T * N, 2, false);
    if (!w.parts || !gsai_packing_of(dev, &p)) return;
    gsai_rows rx = half_rows(c, x, T, C), ry[2];
    for (int i = 0; i < 2; i++) {
        const uint32_t stride = (N + 7) / 8 * 8;
        const uint64_t bytes = (uint64_t)T * stride * 2;
        ry[i] = swiglu ? (gsai_rows){gsai_check_place(c, NULL, bytes, GSAI_CHECK_INOUT), 0, stride, true}
                       : gsai_check_rows(c, before, T, N, GSAI_CHECK_INOUT);
    }
    const uint64_t packed_bytes = gsai_packed_bytes(&p, w.n_rows, C, swiglu);
    const gsai_range packed = gsai_check_place(c, NULL, packed_bytes, GSAI_CHECK_OUT);
    rx.room = gsai_check_place(c, NULL, gsai_round_up(T, p.tokens) * gsai_round_up(C, p.columns) * 2, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    for (int i = 0; i < 2; i++) {
        if (i == 1) {
            w.parts->packed = packed;
            w.parts->in_pairs = swiglu;
            gsai_op_pack(r, w.parts, C);
        }
        gsai_matmul_cm(r, &(gsai_matmul_cm_args){.y = ry[i],
                              .x = rx,
                              .part = w.parts,
                              .n_cols = C,
                              .T = T,
                              .n_rows = N,
                              .accumulate = kind == ADDED,
                              .swiglu = swiglu,
                              .maps = kind == MAPPED ? &maps : NULL,
                              .label = i ? "packed" : "rows"});
    }
    if (gsai_check_end(c) != GSA_OK) return;
    const uint8_t *a = gsai_check_data(c, ry[0].range), *b = gsai_check_data(c, ry[1].range);
    if (memcmp(a, b, ry[0].range.size) != 0) gsai_check_fail(c);
}

/* CPU drivers compile a kernel of packed rows for many seconds, one for each kind and width. It does not know the weights'
 * type: there all types are asked with one width of each kind, of which rows of f16 fill but half of the last step. */
static void packed_rows_give_the_bits_of_rows(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 200 N 200 C 280 added", 0, {200, 200, 280, ADDED}}, /* these two on CPU drivers, too */
        {"T 131 N 250 C 344 maps", 0, {131, 250, 344, MAPPED}},
        {"T 128 N 256 C 512", 0, {128, 256, 512, PLAIN}},
        {"T 64 N 64 C 8", 0, {64, 64, 8, PLAIN}},
        {"T 256 N 384 C 1280 added", 0, {256, 384, 1280, ADDED}},
        {"T 128 N 256 C 320 maps", 0, {128, 256, 320, MAPPED}},
        {"T 1 N 3 C 40", 0, {1, 3, 40, PLAIN}},
    };
    static const gsai_verify_case gated[] = {
        {"T 130 N 200 C 760", 0, {130, 200, 760, GATED}}, /* this one, too */
        {"T 128 N 128 C 256", 0, {128, 128, 256, GATED}},
        {"T 9 N 8 C 16", 0, {9, 8, 16, GATED}},
    };
    static const gsai_verify_case few[] = {
        {"T 23 N 100 C 80", 0, {23, 100, 80, GATED}}, /* and this */
        {"T 1 N 64 C 2048", 0, {1, 64, 2048, GATED}},
        {"T 32 N 200 C 1312", 0, {32, 200, 1312, GATED}},
        {"T 50 N 200 C 1312", 0, {50, 200, 1312, GATED}},
        {"T 70 N 8 C 16", 0, {70, 8, 16, GATED}},
        {"T 128 N 300 C 520", 0, {128, 300, 520, GATED}},
    };
    static const gsai_verify_case few_plain[] = {
        {"T 23 N 100 C 80 maps", 0, {23, 100, 80, MAPPED}},
        {"T 16 N 70 C 2048", 0, {16, 70, 2048, PLAIN}},
        {"T 64 N 200 C 1312 added", 0, {64, 200, 1312, ADDED}},
        {"T 128 N 200 C 520 maps", 0, {128, 200, 520, MAPPED}},
        {"T 131 N 250 C 344 added", 0, {131, 250, 344, ADDED}},
    };
    gsai_packing p;
    (void)state;
    if (!gsai_packing_of(dev, &p)) skip();
    assert_set("matmul_packed", run_packed, cases, is_cpu() ? 2 : N_OF(cases), GSAI_F16);
    assert_set("matmul_packed_swiglu", run_packed, gated, is_cpu() ? 1 : N_OF(gated), GSAI_F16);
    assert_set("matmul_packed_few_swiglu", run_packed, few, is_cpu() ? 1 : N_OF(few), GSAI_F16);
    if (!is_cpu()) assert_set("matmul_packed_few", run_packed, few_plain, N_OF(few_plain), GSAI_F16);
    assert_set("matmul_packed", run_packed, cases, is_cpu() ? 1 : N_OF(cases), GSAI_BF16);
    if (!is_cpu()) assert_set("matmul_packed_swiglu", run_packed, gated, N_OF(gated), GSAI_BF16);
}

/* On CPU drivers each type is asked one question, of another kind. */
static void packed_rows_of_blocks_give_the_bits_of_rows(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 40 N 70 C 768", 0, {40, 70, 768, PLAIN}},
        {"T 256 N 256 C 512", 0, {256, 256, 512, PLAIN}},
        {"T 300 N 520 C 2304 added", 0, {300, 520, 2304, ADDED}},
        {"T 1 N 3 C 256", 0, {1, 3, 256, PLAIN}},
        {"T 128 N 256 C 512 maps", 0, {128, 256, 512, MAPPED}},
    };
    static const gsai_verify_case halves[] = {/* the last step is half of one: types of 32 only */
        {"T 200 N 200 C 288 added", 0, {200, 200, 288, ADDED}}, {"T 131 N 250 C 352 maps", 0, {131, 250, 352, MAPPED}}};
    static const gsai_verify_case gated[] = {
        {"T 130 N 200 C 768", 0, {130, 200, 768, GATED}},
        {"T 128 N 128 C 256", 0, {128, 128, 256, GATED}},
        {"T 9 N 8 C 256", 0, {9, 8, 256, GATED}},
    };
    gsai_packing p;
    (void)state;
    if (!gsai_packing_of(dev, &p)) skip();
    assert_set("matmul_packed", run_packed, &halves[0], 1, GSAI_Q4_0);
    assert_set("matmul_packed", run_packed, &halves[1], 1, GSAI_Q8_0);
    assert_set("matmul_packed_swiglu", run_packed, gated, 1, GSAI_Q4_K);
    assert_set("matmul_packed_swiglu", run_packed, gated, 1, GSAI_Q6_K);
    for (gsai_type type = GSAI_Q8_0; type <= GSAI_Q6_K && !is_cpu(); type++) {
        assert_set("matmul_packed", run_packed, cases, N_OF(cases), type);
        assert_set("matmul_packed_swiglu", run_packed, gated, N_OF(gated), type);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(packed_known_questions_are_answered),
    cmocka_unit_test(packed_rows_give_the_bits_of_rows),
    cmocka_unit_test(packed_rows_of_blocks_give_the_bits_of_rows),
    cmocka_unit_test(matmul_few_has_the_bits_of_matmul_cm),
    cmocka_unit_test(matmul_few_known_questions_are_answered),
    cmocka_unit_test(half_rows_known_questions_are_answered),
    cmocka_unit_test(matmul_cm_known_questions_are_answered),
    cmocka_unit_test(matmul_cm_other_shapes_match_the_reference),
    cmocka_unit_test(matmul_cm_rows_in_any_company_keep_their_bits),
    cmocka_unit_test(matvec_known_questions_are_answered),
    cmocka_unit_test(norm_matvec_known_questions_are_answered),
    cmocka_unit_test(norm_matvec_in_several_calls_matches_the_reference),
    cmocka_unit_test(matmul_known_questions_are_answered),
    cmocka_unit_test(matvec_other_shapes_match_the_reference),
    cmocka_unit_test(matmul_other_shapes_match_the_reference),
    cmocka_unit_test(block_types_other_shapes_match_the_reference),
    cmocka_unit_test(matvec_rows_in_any_company_keep_their_bits),
    cmocka_unit_test(matmul_rows_in_any_company_keep_their_bits),
    cmocka_unit_test(staged_matvec_rows_in_any_company_keep_their_bits),
    cmocka_unit_test(dots_are_as_good_as_floats),
    cmocka_unit_test(matvec_one_row_and_few_rows_agree_in_bits),
    cmocka_unit_test(check_stray_writes_are_found),
    cmocka_unit_test(selftest_leaves_right_kernels_in_use),
};
OPS_MAIN(tests)
