/* Embedding: every weight type, parts, odd widths, bad arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_check.h"

static void embed_any_type_and_shape_gives_the_rows_of_the_ids(void **state)
{
    (void)state;
    assert_op("embed_f32");
    assert_op("embed_f16");
    assert_op("embed_bf16");
    assert_op("embed_q8_0");
    assert_op("embed_q4_0");
    assert_op("embed_q4_k");
    assert_op("embed_q6_k");
}

static void embed_odd_sizes_give_the_rows_of_the_ids(void **state)
{
    static const gsai_verify_case cases[] = {
        {"T 2 D 2", 0, {2, 3, 2, 1}},
        {"T 65 D 5 one row a part", 0, {65, 20, 5, 1}},
        {"T 1000 D 257", 0, {1000, 999, 257, 0}},
        {"T 1 D 8191", 0, {1, 2, 8191, 0}},
    };
    (void)state;
    assert_more("embed_f32", cases, N_OF(cases));
    assert_more("embed_f16", cases, N_OF(cases));
    assert_more("embed_bf16", cases, N_OF(cases));
}

/* x is one row short; nothing may be recorded. */
static void embed_what_does_not_fit_is_refused(void **state)
{
    gsai_buffer buffer;
    gsai_recorder *r = NULL;
    gsai_plan plan;

    (void)state;
    assert_int_equal(gsai_buffer_create(dev, 65536, GSAI_MEMORY_DEVICE, &buffer), GSA_OK);
    gsai_matrix_part part = {GSAI_F32, 0, 4, {&buffer, 0, 4 * 16 * 4}};
    const gsai_matrix embed = {4, 16, 1, &part};
    const gsai_range x = {&buffer, 4096, 2 * 16 * 4}, ids = {&buffer, 8192, 64};

    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    gsai_op_embed(r, (gsai_rows){x, 0, 16}, &embed, (gsai_table){ids, 0}, 3);
    assert_int_equal(gsai_recorder_finish(r, &plan), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "embed: x"));

    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    gsai_op_embed(r, (gsai_rows){x, 0, 16}, &embed, (gsai_table){ids, 15}, 2);
    assert_int_equal(gsai_recorder_finish(r, &plan), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "embed: ids"));

    part.type = GSAI_Q4_0;
    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    gsai_op_embed(r, (gsai_rows){x, 0, 16}, &embed, (gsai_table){ids, 0}, 1);
    assert_int_equal(gsai_recorder_finish(r, &plan), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "16 columns are not whole blocks of 32"));
    gsai_buffer_destroy(dev, &buffer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(embed_any_type_and_shape_gives_the_rows_of_the_ids),
    cmocka_unit_test(embed_odd_sizes_give_the_rows_of_the_ids),
    cmocka_unit_test(embed_what_does_not_fit_is_refused),
};
OPS_MAIN(tests)
