/* RMS norm: with weight, silu, residual add, chosen rows; wide values; bad arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_check.h"

static void rmsnorm_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op("rmsnorm");
}

/* n: T, D, bits 1 weight, 2 silu, 4 add, 8 chosen rows, 16 in place, 32 wide; power of ten of eps */
static void rmsnorm_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 1 D 127", 1e-5, {1, 127, 1, 5}},
        {"T 1 D 128", 1e-5, {1, 128, 1, 5}},
        {"T 1 D 129 silu", 1e-5, {1, 129, 3, 5}},
        {"T 300 D 17 add", 1e-5, {300, 17, 5, 6}},
        {"T 2 D 5120 silu, in place", 1e-5, {2, 5120, 19, 6}},
        {"T 1 D 16384 wide", 1e-5, {1, 16384, 33, 6}},
        {"T 40 D 260 chosen rows, no weight", 1e-5, {40, 260, 8, 6}},
    };
    (void)state;
    assert_more("rmsnorm", cases, N_OF(cases));
}

/* n: T, D, silu, scale of weights, with weights, rows as they come, too */
static void rmsnorm_packed_has_the_bits_of_norm_and_packing(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 1 D 8", 1e-3, {1, 8, 0, 2, 1, 0}}, {"T 200 D 512", 1e-3, {200, 512, 0, 2, 1, 1}},
        {"T 33 D 520 silu", 1e-3, {33, 520, 1, 2, 1, 0}}, {"T 128 D 4096", 1e-3, {128, 4096, 0, 2, 1, 0}},
        {"T 17 D 8200 silu, no weights", 1e-3, {17, 8200, 1, 2, 0, 1}}, /* another size of group */
    };
    gsai_packing p;
    (void)state;
    if (!gsai_packing_of(dev, &p) || !gsai_variant_pick(dev, "rmsnorm_pack")) skip();
    assert_op("rmsnorm_pack");
    assert_more("rmsnorm_pack", cases, N_OF(cases));
    if (!gsai_variant_pick(dev, "rmsnorm_place")) return;
    assert_op("rmsnorm_place");
    assert_more("rmsnorm_place", cases, N_OF(cases));
}

enum { PLAIN, MAPPED, GATED };

/* A product with the norm before it, from rows that are put in order by themselves, and by the norm. n: T, outputs, C, which
 * product, silu, part of the weights that is packed (0: all). Rows that nobody reads are not written. */
static void run_in_order(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t T = k->n[0], N = k->n[1], C = k->n[2], kind = k->n[3], stride = (N + 7) / 8 * 8;
    const gsai_maps maps = {.n_half = N / 4 * 3, .n_relu = N / 2};
    _Atomic uint8_t *const off = &dev->variant_off[gsai_variant_pick(dev, "rmsnorm_pack") - gsai_variants];
    gsai_packing p;
    gsai_tensor tensor;
    const gsai_matrix w = gsai_check_matrix(c, GSAI_F16, kind == GATED ? 2 * N : N, C, k->n[5], 0.5f, &tensor);
    const float *x = gsai_check_random(c, (uint64_t)T * C, 2, false), *before = gsai_check_random(c, T * N, 2, false),
                *norm = gsai_check_random(c, C, 2, false);
    if (!w.parts || !x || !before || !norm || !gsai_packing_of(dev, &p)) return;
    gsai_norm_matmul_args a = {.eps = 1e-6f,
        .w = &w,
        .T = T,
        .rows = GSAI_ROWS_MANY,
        .accumulate = kind == PLAIN,
        .swiglu = kind == GATED,
        .pre_silu = k->n[4],
        .maps = kind == MAPPED ? &maps : NULL,
        .label = "in order"};
    a.x = gsai_check_rows(c, x, T, C, GSAI_CHECK_IN);
    a.norm = gsai_check_place(c, norm, C * 4ull, GSAI_CHECK_IN);
    const uint64_t bytes = gsai_round_up(T, p.tokens) * gsai_round_up(C, p.columns) * 4 + 2 * GSAI_BUFFER_UNIT;
    gsai_range half[2];
    gsai_rows y[2];
    for (int i = 0; i < 2; i++) {
        half[i] = gsai_check_place(c, NULL, bytes, GSAI_CHECK_OUT);
        y[i] = kind == GATED
                   ? (gsai_rows){gsai_check_place(c, NULL, 2ull * T * stride, GSAI_CHECK_INOUT), 0, stride, true}
                   : gsai_check_rows(c, before, T, N, GSAI_CHECK_INOUT);
    }
    const uint64_t packed = gsai_packed_bytes(&p, w.parts[0].n_rows, C, kind == GATED);
    w.parts[0].packed = gsai_check_place(c, NULL, packed, GSAI_CHECK_OUT);
    w.parts[0].in_pairs = kind == GATED;
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_pack(r, &w.parts[0], C);
    for (int i = 0; i < 2; i++) {
        a.y = y[i];
        a.half = half[i];
        *off = i == 0 ? GSAI_VARIANT_MASKED : GSAI_VARIANT_USABLE;
        gsai_op_norm_matmul(r, &a);
    }
    if (gsai_check_end(c) != GSA_OK) return;
    const uint8_t *want = gsai_check_data(c, y[0].range), *got = gsai_check_data(c, y[1].range);
    if (memcmp(want, got, y[0].range.size) != 0) gsai_check_fail(c);
    uint32_t first[2];
    for (int i = 0; i < 2; i++) memcpy(&first[i], gsai_check_data(c, half[i]), 4);
    if (first[0] == UINT32_MAX || (first[1] == UINT32_MAX) != (w.n_parts == 1)) gsai_check_fail(c);
}

/* The widths are those of test_matmul: what CPU drivers compiled there for half a minute they find in their cache. */
static void rmsnorm_packed_serves_products_with_the_same_bits(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 200 N 200 C 280 silu", 0, {200, 200, 280, PLAIN, 1, 0}},
        {"T 131 N 250 C 344 maps, in parts of 192", 0, {131, 250, 344, MAPPED, 0, 192}},
    };
    static const gsai_verify_case gated = {"T 130 N 200 C 760 gated", 0, {130, 200, 760, GATED, 0, 0}};
    gsai_packing p;
    (void)state;
    if (!gsai_packing_of(dev, &p) || !gsai_variant_pick(dev, "rmsnorm_pack")) skip();
    assert_set("matmul_packed", run_in_order, cases, N_OF(cases), GSAI_F16);
    assert_set("matmul_packed_swiglu", run_in_order, &gated, 1, GSAI_F16);
}

static void rmsnorm_add_with_chosen_rows_is_refused(void **state)
{
    gsai_buffer buffer;
    gsai_recorder *r = NULL;
    gsai_plan plan;

    (void)state;
    assert_int_equal(gsai_buffer_create(dev, 4096, GSAI_MEMORY_DEVICE, &buffer), GSA_OK);
    const gsai_rows x = {{&buffer, 0, 1024}, 0, 16};
    const gsai_table rows = {{&buffer, 2048, 64}, 0};
    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    gsai_op_rmsnorm(r, &(gsai_rmsnorm_args){.x = x, .y = x, .add = &x, .rows = &rows, .T = 2, .D = 16, .eps = 1e-6f});
    assert_int_equal(gsai_recorder_finish(r, &plan), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "rmsnorm"));
    gsai_buffer_destroy(dev, &buffer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rmsnorm_known_questions_are_answered),
    cmocka_unit_test(rmsnorm_other_shapes_match_the_reference),
    cmocka_unit_test(rmsnorm_packed_has_the_bits_of_norm_and_packing),
    cmocka_unit_test(rmsnorm_packed_serves_products_with_the_same_bits),
    cmocka_unit_test(rmsnorm_add_with_chosen_rows_is_refused),
};
OPS_MAIN(tests)
