/* Known questions for the general ops. n[] of a case is explained above each runner. */
#include "ops/verify.h"

#include "ref/ref.h"
#include "util/half.h"

#include <math.h>
#include <string.h>

/* Sums of f32 products of either sign: rounding grows with the root of the width, to about 3e-6 at 5000 columns. */
#define TOLERANCE    1e-5
/* A block's values are a few products and a difference, each rounded as the reference rounds it. */
#define BLOCK_VALUES 0

/* T, vocabulary, D, rows of a part */
static void run_embed(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], n_vocab = k->n[1], D = k->n[2];
    gsai_tensor tensor;
    const gsai_matrix embed = gsai_check_matrix(c, gsai_check_arg(c), n_vocab, D, k->n[3], 1, &tensor);
    uint32_t *ids = (uint32_t *)gsai_check_alloc(c, T);
    float *want = gsai_check_alloc(c, (uint64_t)T * D);
    if (!ids || !want) return;

    for (uint32_t t = 0; t < T; t++) ids[t] = t == 0 ? n_vocab - 1 : t == 1 ? 0 : gsai_check_random_u32(c) % n_vocab;
    const gsai_table table = gsai_check_table(c, ids, T);
    const gsai_rows x = gsai_check_rows(c, NULL, T, D, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_embed(r, x, &embed, table, T);
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_check_status(c, gsai_ref_embed(want, &tensor, (const int32_t *)ids, T));
    gsai_check_compare_rows(c, x, want, T, D);
}

static const gsai_verify_case embed_cases[] = {
    {"T 3 D 40 vocabulary 50", 0, {3, 50, 40, 0}},
    {"T 1 D 1 vocabulary 1", 0, {1, 1, 1, 0}},
    {"T 7 D 33 vocabulary 100 in parts of 13", 0, {7, 100, 33, 13}},
    {"T 300 D 130 vocabulary 512 in parts of 200", 0, {300, 512, 130, 200}},
};

/* T, D, what (bits), power of ten of eps */
enum { NORM_WEIGHT = 1, NORM_SILU = 2, NORM_ADD = 4, NORM_ROWS = 8, NORM_IN_PLACE = 16, NORM_WIDE = 32 };
static void run_rmsnorm(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], D = k->n[1], what = k->n[2];
    const uint32_t n_x = what & NORM_ROWS ? T + 3 : T; /* more rows than are asked for */
    const uint64_t n = (uint64_t)n_x * D;
    float *x = gsai_check_random(c, n, what & NORM_WIDE ? 1e4f : 2, what & NORM_WIDE);
    float *added = gsai_check_random(c, n, 1, false), *w = gsai_check_random(c, D, 1.5f, false);
    float *in = gsai_check_alloc(c, n), *want = gsai_check_alloc(c, n);
    uint32_t *rows = (uint32_t *)gsai_check_alloc(c, T);
    if (!x || !added || !w || !in || !want || !rows) return;
    for (uint32_t t = 0; t < T; t++) rows[t] = gsai_check_random_u32(c) % n_x;

    const bool writes_x = what & (NORM_ADD | NORM_IN_PLACE);
    gsai_rmsnorm_args a = {.T = T, .D = D, .eps = powf(10, -(float)k->n[3]), .pre_silu = what & NORM_SILU};
    a.x = gsai_check_rows(c, x, n_x, D, writes_x ? GSAI_CHECK_INOUT : GSAI_CHECK_IN);
    a.y = what & NORM_IN_PLACE ? a.x : gsai_check_rows(c, NULL, T, D, GSAI_CHECK_OUT);
    if (what & NORM_WEIGHT) a.w = gsai_check_place(c, w, D * 4ull, GSAI_CHECK_IN);
    const gsai_rows add = gsai_check_rows(c, added, T, D, GSAI_CHECK_IN);
    const gsai_table table = gsai_check_table(c, rows, T);
    if (what & NORM_ADD) a.add = &add;
    if (what & NORM_ROWS) a.rows = &table;
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_rmsnorm(r, &a);
    if (gsai_check_end(c) != GSA_OK) return;

    for (uint32_t t = 0; t < T; t++) {
        const float *from = x + (uint64_t)(what & NORM_ROWS ? rows[t] : t) * D;
        memcpy(in + (uint64_t)t * D, from, D * 4ull);
    }
    if (what & NORM_ADD) {
        gsai_ref_add(in, added, n);
        gsai_check_compare_rows(c, a.x, in, T, D);
    }
    if (what & NORM_SILU) gsai_ref_silu(in, in, (size_t)T * D);
    gsai_ref_rmsnorm(want, in, what & NORM_WEIGHT ? w : NULL, T, D, a.eps);
    gsai_check_compare_rows(c, a.y, want, T, D);
}

static const gsai_verify_case rmsnorm_cases[] = {
    {"T 3 D 64", TOLERANCE, {3, 64, NORM_WEIGHT, 5}},
    {"T 1 D 1", TOLERANCE, {1, 1, NORM_WEIGHT, 6}},
    {"T 2 D 2048", TOLERANCE, {2, 2048, NORM_WEIGHT, 6}},
    {"T 5 D 333 no weight", TOLERANCE, {5, 333, 0, 5}},
    {"T 4 D 130 silu before, in place", TOLERANCE, {4, 130, NORM_WEIGHT | NORM_SILU | NORM_IN_PLACE, 5}},
    {"T 3 D 1030 wide, no weight, silu before", TOLERANCE, {3, 1030, NORM_SILU | NORM_WIDE, 6}},
    {"T 6 D 200 with residual add", TOLERANCE, {6, 200, NORM_WEIGHT | NORM_ADD, 6}},
    {"T 9 D 96 of chosen rows", TOLERANCE, {9, 96, NORM_WEIGHT | NORM_ROWS, 6}},
    {"T 2 D 4097 wide", TOLERANCE, {2, 4097, NORM_WEIGHT | NORM_WIDE, 6}},
};

/* T, N, C, rows of a part (0: one part), accumulate, gsai_row_class */
static void run_matmul(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], N = k->n[1], C = k->n[2];
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), N, C, k->n[3], 0.5f, &tensor);
    float *x = gsai_check_random(c, (uint64_t)T * C, 2, false),
          *before = gsai_check_random(c, (uint64_t)T * N, 2, false);
    float *want = gsai_check_alloc(c, (uint64_t)T * N);
    const gsai_rows rx = gsai_check_rows(c, x, T, C, GSAI_CHECK_IN);
    const gsai_rows ry = gsai_check_rows(c, k->n[4] ? before : NULL, T, N, k->n[4] ? GSAI_CHECK_INOUT : GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_matmul(r, ry, rx, &w, T, k->n[5], k->n[4], "matmul known question");
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_check_status(c, gsai_ref_matmul(want, N, x, C, &tensor, T));
    if (k->n[4]) gsai_ref_add(want, before, (size_t)T * N);
    gsai_check_compare_rows(c, ry, want, T, N);
}

/* T, N, C, most rows of a part, kind: 0 y =, 1 y +=, 2 swiglu with swish, 3 with powlu, 4 y = without norm weights, 5 y +=
 * without any norm */
static void run_norm_matvec(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], N = k->n[1], C = k->n[2], kind = k->n[4];
    const bool swiglu = kind == 2 || kind == 3, adds = kind == 1 || kind == 5;
    const uint32_t out = swiglu ? N / 2 : N;
    const float eps = 1e-5f;
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, gsai_check_arg(c), N, C, k->n[3], 0.5f, &tensor);
    float *x = gsai_check_random(c, (uint64_t)T * C, 2, false), *norm = gsai_check_random(c, C, 2, false),
          *before = gsai_check_random(c, (uint64_t)T * out, 2, false);
    float *h = gsai_check_alloc(c, (uint64_t)T * C), *z = gsai_check_alloc(c, (uint64_t)T * N);
    float *want = gsai_check_alloc(c, (uint64_t)T * out);
    const gsai_rows rx = gsai_check_rows(c, x, T, C, GSAI_CHECK_IN);
    const gsai_rows ry = gsai_check_rows(c, adds ? before : NULL, T, out, adds ? GSAI_CHECK_INOUT : GSAI_CHECK_OUT);
    const gsai_vector weights = kind == 4 ? (gsai_vector){0} : gsai_check_place(c, norm, C * 4ull, GSAI_CHECK_IN);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    if (kind == 5) {
        gsai_op_matmul(r, ry, rx, &w, T, GSAI_ROWS_ONE, true, "product known question");
    } else {
        gsai_op_norm_matmul(r, &(gsai_norm_matmul_args){.y = ry,
                                   .x = rx,
                                   .norm = weights,
                                   .eps = eps,
                                   .w = &w,
                                   .T = T,
                                   .rows = GSAI_ROWS_ONE,
                                   .accumulate = adds,
                                   .swiglu = swiglu,
                                   .act = kind == 3 ? GSAI_FFN_POWLU : GSAI_FFN_SWISH,
                                   .label = "norm_matvec known question"});
    }
    if (gsai_check_end(c) != GSA_OK) return;

    if (kind == 5)
        memcpy(h, x, (size_t)T * C * sizeof *h);
    else
        gsai_ref_rmsnorm(h, x, kind == 4 ? NULL : norm, T, C, eps);
    gsai_check_status(c, gsai_ref_matmul(z, N, h, C, &tensor, T));
    if (swiglu)
        gsai_ref_swiglu(want, z, T, out, kind == 3 ? GSAI_FFN_POWLU : GSAI_FFN_SWISH);
    else
        memcpy(want, z, (size_t)T * N * sizeof *want);
    if (adds) gsai_ref_add(want, before, (size_t)T * N);
    gsai_check_compare_rows(c, ry, want, T, out);
}

static const gsai_verify_case norm_matvec_cases[] = {
    {"T 1 N 96 C 64", TOLERANCE, {1, 96, 64, 96, 0}},
    {"T 5 N 129 C 260, parts, added", TOLERANCE, {5, 129, 260, 50, 1}},
    {"T 1 N 300 C 516, swiglu", TOLERANCE, {1, 300, 516, 300, 2}},
    {"T 11 N 74 C 36, swiglu with powlu", TOLERANCE, {11, 74, 36, 74, 3}},
    {"T 3 N 33 C 2048, no norm weights", TOLERANCE, {3, 33, 2048, 33, 4}},
    {"T 2 N 11264 C 512, swiglu", TOLERANCE, {2, 11264, 512, 11264, 2}},
};

static const gsai_verify_case staged_cases[] = {
    {"T 1 N 96 C 64", TOLERANCE, {1, 96, 64, 96, 0}},
    {"T 5 N 129 C 260, parts, added", TOLERANCE, {5, 129, 260, 50, 1}},
    {"T 1 N 300 C 516, swiglu", TOLERANCE, {1, 300, 516, 300, 2}},
    {"T 11 N 74 C 36, swiglu with powlu", TOLERANCE, {11, 74, 36, 74, 3}},
    {"T 3 N 33 C 2048, no norm weights", TOLERANCE, {3, 33, 2048, 33, 4}},
    {"T 1 N 70 C 5632, added without norm", TOLERANCE, {1, 70, 5632, 70, 5}},
    {"T 2 N 9 C 14336, added without norm", TOLERANCE, {2, 9, 14336, 9, 5}},
    {"T 1 N 9001 C 132, added without norm", TOLERANCE, {1, 9001, 132, 9001, 5}},
    {"T 2 N 11264 C 512, swiglu", TOLERANCE, {2, 11264, 512, 11264, 2}},
};

static const gsai_verify_case matvec_cases[] = {
    {"T 1 N 48 C 96", TOLERANCE, {1, 48, 96, 0, 0, GSAI_ROWS_ONE}},
    {"T 1 N 1 C 1", TOLERANCE, {1, 1, 1, 0, 0, GSAI_ROWS_ONE}},
    {"T 1 N 3 C 7", TOLERANCE, {1, 3, 7, 0, 0, GSAI_ROWS_ONE}},
    {"T 1 N 67 C 333 accumulate", TOLERANCE, {1, 67, 333, 0, 1, GSAI_ROWS_ONE}},
    {"T 1 N 258 C 2048", TOLERANCE, {1, 258, 2048, 0, 0, GSAI_ROWS_ONE}},
    {"T 1 N 65 C 5000", TOLERANCE, {1, 65, 5000, 0, 0, GSAI_ROWS_ONE}},
    {"T 2 N 50 C 66 in parts of 7", TOLERANCE, {2, 50, 66, 7, 0, GSAI_ROWS_FEW}},
    {"T 3 N 33 C 130 accumulate in parts of 16", TOLERANCE, {3, 33, 130, 16, 1, GSAI_ROWS_FEW}},
    {"T 5 N 129 C 260", TOLERANCE, {5, 129, 260, 0, 0, GSAI_ROWS_FEW}},
    {"T 8 N 64 C 516", TOLERANCE, {8, 64, 516, 0, 0, GSAI_ROWS_FEW}},
    {"T 19 N 31 C 65 one-row chunks", TOLERANCE, {19, 31, 65, 0, 1, GSAI_ROWS_ONE}},
    {"T 1 N 9001 C 132", TOLERANCE, {1, 9001, 132, 0, 0, GSAI_ROWS_ONE}},
};

static const gsai_verify_case matmul_cases[] = {
    {"T 9 N 70 C 40", TOLERANCE, {9, 70, 40, 0, 0, GSAI_ROWS_MANY}},
    {"T 1 N 1 C 1", TOLERANCE, {1, 1, 1, 0, 0, GSAI_ROWS_MANY}},
    {"T 65 N 67 C 13 accumulate", TOLERANCE, {65, 67, 13, 0, 1, GSAI_ROWS_MANY}},
    {"T 64 N 128 C 256", TOLERANCE, {64, 128, 256, 0, 0, GSAI_ROWS_MANY}},
    {"T 130 N 131 C 130 in parts of 50", TOLERANCE, {130, 131, 130, 50, 0, GSAI_ROWS_MANY}},
    {"T 33 N 260 C 2050", TOLERANCE, {33, 260, 2050, 0, 0, GSAI_ROWS_MANY}},
};

/* The same for the block types. Columns that are no whole blocks of a type leave the case out for it; 32-column blocks
 * end within a group of units at 32, 96 and 2080. */
static const gsai_verify_case embed_block_cases[] = {
    {"T 3 D 256 vocabulary 50", BLOCK_VALUES, {3, 50, 256, 0}},
    {"T 7 D 96 vocabulary 100 in parts of 13", BLOCK_VALUES, {7, 100, 96, 13}},
    {"T 40 D 2816 vocabulary 70 in parts of 33", BLOCK_VALUES, {40, 70, 2816, 33}},
};

static const gsai_verify_case matvec_block_cases[] = {
    {"T 1 N 48 C 256", TOLERANCE, {1, 48, 256, 0, 0, GSAI_ROWS_ONE}},
    {"T 1 N 1 C 32", TOLERANCE, {1, 1, 32, 0, 0, GSAI_ROWS_ONE}},
    {"T 1 N 67 C 2080 accumulate", TOLERANCE, {1, 67, 2080, 0, 1, GSAI_ROWS_ONE}},
    {"T 1 N 65 C 5632", TOLERANCE, {1, 65, 5632, 0, 0, GSAI_ROWS_ONE}},
    {"T 2 N 50 C 96 in parts of 7", TOLERANCE, {2, 50, 96, 7, 0, GSAI_ROWS_FEW}},
    {"T 3 N 33 C 768 accumulate in parts of 16", TOLERANCE, {3, 33, 768, 16, 1, GSAI_ROWS_FEW}},
    {"T 8 N 64 C 512", TOLERANCE, {8, 64, 512, 0, 0, GSAI_ROWS_FEW}},
    {"T 9 N 31 C 256 one-row chunks", TOLERANCE, {9, 31, 256, 0, 1, GSAI_ROWS_ONE}},
    {"T 1 N 9001 C 256", TOLERANCE, {1, 9001, 256, 0, 0, GSAI_ROWS_ONE}},
};

static const gsai_verify_case norm_matvec_block_cases[] = {
    {"T 1 N 96 C 256", TOLERANCE, {1, 96, 256, 96, 0}},
    {"T 5 N 129 C 768, parts, added", TOLERANCE, {5, 129, 768, 50, 1}},
    {"T 1 N 300 C 2080, swiglu", TOLERANCE, {1, 300, 2080, 300, 2}},
    {"T 9 N 74 C 1024, swiglu with powlu", TOLERANCE, {9, 74, 1024, 74, 3}},
    {"T 3 N 33 C 2048, no norm weights", TOLERANCE, {3, 33, 2048, 33, 4}},
    {"T 2 N 11264 C 256, swiglu", TOLERANCE, {2, 11264, 256, 11264, 2}},
};

static const gsai_verify_case staged_block_cases[] = {
    {"T 1 N 96 C 256", TOLERANCE, {1, 96, 256, 96, 0}},
    {"T 5 N 129 C 768, parts, added", TOLERANCE, {5, 129, 768, 50, 1}},
    {"T 1 N 300 C 2080, swiglu", TOLERANCE, {1, 300, 2080, 300, 2}},
    {"T 9 N 74 C 1024, swiglu with powlu", TOLERANCE, {9, 74, 1024, 74, 3}},
    {"T 1 N 70 C 5632, added without norm", TOLERANCE, {1, 70, 5632, 70, 5}},
    {"T 2 N 9 C 14336, added without norm", TOLERANCE, {2, 9, 14336, 9, 5}},
    {"T 2 N 11264 C 256, swiglu", TOLERANCE, {2, 11264, 256, 11264, 2}},
};

/* Such that a row of x fits 16 KiB whatever the subgroups. */
static const gsai_verify_case dots_cases[] = {
    {"T 1 N 96 C 256", TOLERANCE, {1, 96, 256, 96, 0}},
    {"T 5 N 129 C 768, parts, added", TOLERANCE, {5, 129, 768, 50, 1}},
    {"T 1 N 300 C 2080, swiglu", TOLERANCE, {1, 300, 2080, 300, 2}},
    {"T 9 N 74 C 1024, swiglu with powlu", TOLERANCE, {9, 74, 1024, 74, 3}},
    {"T 2 N 70 C 2816, added without norm", TOLERANCE, {2, 70, 2816, 70, 5}},
    {"T 2 N 11264 C 256, swiglu", TOLERANCE, {2, 11264, 256, 11264, 2}},
};

static const gsai_verify_case matmul_block_cases[] = {
    {"T 9 N 70 C 256", TOLERANCE, {9, 70, 256, 0, 0, GSAI_ROWS_MANY}},
    {"T 65 N 67 C 96 accumulate", TOLERANCE, {65, 67, 96, 0, 1, GSAI_ROWS_MANY}},
    {"T 64 N 131 C 1024 in parts of 50", TOLERANCE, {64, 131, 1024, 50, 0, GSAI_ROWS_MANY}},
    {"T 1 N 1 C 512", TOLERANCE, {1, 1, 512, 0, 0, GSAI_ROWS_MANY}},
};

/* T, D, wide */
static void run_add(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], D = k->n[1];
    float *x = gsai_check_random(c, (uint64_t)T * D, 100, k->n[2]),
          *y = gsai_check_random(c, (uint64_t)T * D, 100, k->n[2]);
    const gsai_rows rx = gsai_check_rows(c, x, T, D, GSAI_CHECK_INOUT), ry = gsai_check_rows(c, y, T, D, GSAI_CHECK_IN);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_add(r, rx, ry, T, D);
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_ref_add(x, y, (size_t)T * D);
    gsai_check_compare_rows(c, rx, x, T, D);
}

static const gsai_verify_case add_cases[] = {
    {"T 3 D 70", 0, {3, 70, 0}},
    {"T 1 D 1", 0, {1, 1, 0}},
    {"T 200 D 333 wide", 0, {200, 333, 1}},
};

/* Where the exponentials of activations saturate, and the smallest values. */
static void put_extremes(float *x, uint64_t n)
{
    static const float values[] = {
        0, -0.0f, 90, -90, 300, -300, 1e4f, -1e4f, 1e-20f, -1e-20f, 1e-30f, -1e-30f, 3e-39f, 1e20f, -1e20f};
    const uint64_t n_values = sizeof values / sizeof *values;

    for (uint64_t i = 0; i < n_values && i < n; i++) x[i] = values[i];
}

/* T, D, extremes, in place */
static void run_silu(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], D = k->n[1];
    const uint64_t n = (uint64_t)T * D;
    float *x = gsai_check_random(c, n, 20, false), *want = gsai_check_alloc(c, n);
    if (!x || !want) return;
    if (k->n[2]) {
        put_extremes(x, n);
        x[13] = x[14] = 0; /* beyond what the norm of an error shows */
    }
    const gsai_rows rx = gsai_check_rows(c, x, T, D, k->n[3] ? GSAI_CHECK_INOUT : GSAI_CHECK_IN);
    const gsai_rows ry = k->n[3] ? rx : gsai_check_rows(c, NULL, T, D, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_silu(r, ry, rx, T, D);
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_ref_silu(want, x, n);
    gsai_check_compare_rows(c, ry, want, T, D);
}

static const gsai_verify_case silu_cases[] = {
    {"T 3 D 70", TOLERANCE, {3, 70, 0, 0}},
    {"T 1 D 1", TOLERANCE, {1, 1, 0, 0}},
    {"T 2 D 30 extreme values", TOLERANCE, {2, 30, 1, 0}},
    {"T 40 D 333 in place", TOLERANCE, {40, 333, 0, 1}},
};

/* T, F, gsai_ffn_act, what: 1 extremes, 2 small positive gates, 3 large gates */
static void run_swiglu(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], F = k->n[1];
    const uint64_t n = (uint64_t)T * 2 * F;
    const float scale = k->n[3] == 2 ? 1 : k->n[3] == 3 ? 1e4f : 10;
    float *x = gsai_check_random(c, n, scale, k->n[3] >= 2), *want = gsai_check_alloc(c, n / 2);
    if (!x || !want) return;
    if (k->n[3] == 1) put_extremes(x, F);
    const gsai_rows rx = gsai_check_rows(c, x, T, 2 * F, GSAI_CHECK_IN);
    const gsai_rows ry = gsai_check_rows(c, NULL, T, F, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_swiglu(r, ry, rx, T, F, k->n[2]);
    if (gsai_check_end(c) != GSA_OK) return;

    gsai_ref_swiglu(want, x, T, F, k->n[2]);
    gsai_check_compare_rows(c, ry, want, T, F);
}

static const gsai_verify_case swiglu_cases[] = {
    {"T 3 F 70 swish", TOLERANCE, {3, 70, GSAI_FFN_SWISH, 0}},
    {"T 3 F 70 powlu", TOLERANCE, {3, 70, GSAI_FFN_POWLU, 0}},
    {"T 1 F 1 swish", TOLERANCE, {1, 1, GSAI_FFN_SWISH, 0}},
    {"T 5 F 333 powlu small gates", TOLERANCE, {5, 333, GSAI_FFN_POWLU, 2}},
    {"T 5 F 333 powlu large gates", TOLERANCE, {5, 333, GSAI_FFN_POWLU, 3}},
    {"T 1 F 40 swish extreme values", TOLERANCE, {1, 40, GSAI_FFN_SWISH, 1}},
    {"T 1 F 40 powlu extreme values", TOLERANCE, {1, 40, GSAI_FFN_POWLU, 1}},
    {"T 90 F 130 swish", TOLERANCE, {90, 130, GSAI_FFN_SWISH, 0}},
};

/* rows, vocabulary, kind: 0 random, 1 ties, 2 NaN among numbers, 3 NaN only, 4 -inf only, 5 zeros of either sign and
 * denormals below, 6 infinity */
static void run_argmax(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t n_rows = k->n[0], n = k->n[1];
    float *x = gsai_check_random(c, (uint64_t)n_rows * n, 10, false);
    int32_t *want = (int32_t *)gsai_check_alloc(c, n_rows);
    if (!x || !want) return;

    for (uint64_t i = 0; i < (uint64_t)n_rows * n; i++) {
        const uint32_t dice = gsai_check_random_u32(c) % 16;
        if (k->n[2] == 1) x[i] = (float)(dice % 3);
        if (k->n[2] == 3 || (k->n[2] == 2 && dice < 8)) x[i] = dice & 1 ? NAN : -NAN;
        if (k->n[2] == 4) x[i] = -INFINITY;
        if (k->n[2] == 5) x[i] = dice == 0 ? 0.0f : dice == 1 ? -0.0f : -(float)dice * 1e-40f;
        if (k->n[2] == 6 && dice == 0) x[i] = INFINITY;
    }
    for (uint32_t t = 0; t < n_rows; t++) want[t] = gsai_ref_argmax(x + (uint64_t)t * n, n);
    const gsai_rows rx = gsai_check_rows(c, x, n_rows, n, GSAI_CHECK_IN);
    const gsai_range tokens = gsai_check_place(c, NULL, n_rows * 4ull, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_argmax(r, tokens, rx, n_rows, n);
    if (gsai_check_end(c) == GSA_OK) gsai_check_compare_ids(c, tokens, want, n_rows);
}

static const gsai_verify_case argmax_cases[] = {
    {"rows 2 vocabulary 300", 0, {2, 300, 0}},
    {"rows 1 vocabulary 1", 0, {1, 1, 0}},
    {"rows 5 vocabulary 1000 ties", 0, {5, 1000, 1}},
    {"rows 5 vocabulary 77 NaN among numbers", 0, {5, 77, 2}},
    {"rows 2 vocabulary 130 NaN only", 0, {2, 130, 3}},
    {"rows 2 vocabulary 130 minus infinity only", 0, {2, 130, 4}},
    {"rows 5 vocabulary 200 zeros and denormals", 0, {5, 200, 5}},
    {"rows 3 vocabulary 200 infinities", 0, {3, 200, 6}},
    {"rows 3 vocabulary 32000", 0, {3, 32000, 0}},
};

#define SET(OP, RUN, CASES, ARG)                                                                                       \
    {                                                                                                                  \
        OP, RUN, CASES, sizeof CASES / sizeof *CASES, ARG                                                              \
    }
#define SETS_OF_TYPE(NAME, RUN, CASES)                                                                                 \
    SET(NAME "_f32", RUN, CASES, GSAI_F32), SET(NAME "_f16", RUN, CASES, GSAI_F16),                                    \
        SET(NAME "_bf16", RUN, CASES, GSAI_BF16)
#define SETS_OF_BLOCK_TYPE(NAME, RUN, CASES)                                                                           \
    SET(NAME "_q8_0", RUN, CASES, GSAI_Q8_0), SET(NAME "_q4_0", RUN, CASES, GSAI_Q4_0),                                \
        SET(NAME "_q4_k", RUN, CASES, GSAI_Q4_K), SET(NAME "_q6_k", RUN, CASES, GSAI_Q6_K)

const gsai_verify_set gsai_verify_general[] = {
    SETS_OF_TYPE("embed", run_embed, embed_cases),
    SETS_OF_BLOCK_TYPE("embed", run_embed, embed_block_cases),
    SET("rmsnorm", run_rmsnorm, rmsnorm_cases, 0),
    SETS_OF_TYPE("matvec", run_matmul, matvec_cases),
    SETS_OF_BLOCK_TYPE("matvec", run_matmul, matvec_block_cases),
    SETS_OF_TYPE("staged_matvec", run_norm_matvec, staged_cases),
    SETS_OF_BLOCK_TYPE("staged_matvec", run_norm_matvec, staged_block_cases),
    SET("staged_dots_q8_0", run_norm_matvec, dots_cases, GSAI_Q8_0),
    SET("staged_dots_q4_0", run_norm_matvec, dots_cases, GSAI_Q4_0),
    SETS_OF_TYPE("norm_matvec", run_norm_matvec, norm_matvec_cases),
    SETS_OF_BLOCK_TYPE("norm_matvec", run_norm_matvec, norm_matvec_block_cases),
    SETS_OF_TYPE("matmul", run_matmul, matmul_cases),
    SETS_OF_BLOCK_TYPE("matmul", run_matmul, matmul_block_cases),
    SET("add", run_add, add_cases, 0),
    SET("silu", run_silu, silu_cases, 0),
    SET("swiglu", run_swiglu, swiglu_cases, 0),
    SET("argmax", run_argmax, argmax_cases, 0),
};
const uint32_t gsai_n_verify_general = sizeof gsai_verify_general / sizeof *gsai_verify_general;
