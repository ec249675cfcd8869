/* Short convolution with state: any number of taps, spans shorter and longer than the taps, cuts anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "mixer_check.h"

static void conv1d_known_questions_are_answered(void **state)
{
    (void)state;
    assert_op("conv1d_past");
    assert_op("conv1d");
    assert_op("conv1d_state");
}

/* n: H, G, K, V, W, sessions, rows of the first, less of each next, singly */
static void conv1d_other_shapes_match_the_reference(void **state)
{
    static const gsai_verify_case cases[] = {
        {"H 1 G 1 K 1 V 1 W 2, 1 x 1", 1e-6, {1, 1, 1, 1, 2, 1, 1, 0, 0}},
        {"H 8 G 4 K 20 V 30 W 4, 70 x 1", 1e-6, {8, 4, 20, 30, 4, 70, 1, 0, 0}},
        {"H 3 G 1 K 40 V 40 W 7, 4 x 300..120", 1e-6, {3, 1, 40, 40, 7, 4, 300, 60, 0}},
        {"H 1 G 1 K 16 V 16 W 64, 2 x 64", 1e-6, {1, 1, 16, 16, 64, 2, 64, 1, 0}},
    };
    (void)state;
    assert_mixer_cases("conv1d", cases, N_OF(cases));
}

/* One call on m; results stored tightly. */
static void convolve(gsai_check *c, const gsai_check_mixer *m, const float *taps, float *got, float *got_state)
{
    const gsai_config *f = &m->config;
    const uint64_t n_taps = (uint64_t)(f->H * f->K + f->G * (f->K + f->V)) * f->W,
                   n_state = m->n_slots * m->at.n_floats;
    const uint32_t width = m->columns.width;
    gsai_qkvf in = m->columns, out = m->columns;

    in.rows = gsai_check_rows(c, m->x, m->T, width, GSAI_CHECK_IN);
    out.rows = gsai_check_rows(c, m->x, m->T, width, GSAI_CHECK_INOUT);
    const gsai_vector w = gsai_check_place(c, taps, n_taps * 4, GSAI_CHECK_IN);
    const gsai_state state = {gsai_check_place(c, m->state, n_state * 4, GSAI_CHECK_INOUT), m->at};
    const gsai_check_works works = gsai_check_cut(c, m->spans, m->n_spans, false);
    gsai_recorder *r = gsai_check_begin(c);
    for (uint32_t i = 0; r && i < works.n; i++) gsai_op_conv1d(r, f, &out, &in, w, &state, &works.work[i]);
    if (gsai_check_end(c) != GSA_OK) return;
    const float *y = (const float *)gsai_check_data(c, out.rows.range) + out.rows.offset;
    for (uint32_t t = 0; t < m->T; t++) memcpy(got + (uint64_t)t * width, y + (uint64_t)t * out.rows.stride, width * 4);
    memcpy(got_state, gsai_check_data(c, state.range), n_state * 4);
}

/* A text in one piece and in pieces of n[1..]. */
static void run_pieces(gsai_check *c, const gsai_verify_case *k)
{
    const gsai_config config = {.n_layers = 1, .H = 4, .G = 2, .K = 10, .V = 12, .M = 4, .W = k->n[0]};
    uint32_t T = 0;
    gsai_check_mixer m;

    for (uint32_t i = 1; k->n[i]; i++) T += k->n[i];
    if (!gsai_check_mixer_make(c, &config, 1, T, 0, GSAI_GATES_USUAL, &m)) return;
    const uint64_t n_x = (uint64_t)T * m.columns.width, n_state = m.n_slots * m.at.n_floats;
    float *taps = gsai_check_random(c, (uint64_t)(6 * 10 + 2 * 12) * config.W, 1, false);
    float *whole = gsai_check_alloc(c, n_x), *whole_state = gsai_check_alloc(c, n_state);
    float *pieces = gsai_check_alloc(c, n_x), *state = gsai_check_alloc(c, n_state);
    if (!taps || !whole || !whole_state || !pieces || !state) return;

    convolve(c, &m, taps, whole, whole_state);
    memcpy(state, m.state, n_state * sizeof *state);
    for (uint32_t i = 1, t = 0; k->n[i]; t += k->n[i++]) {
        gsai_check_span span;
        const gsai_check_mixer piece = mixer_slice(&m, &span, t, k->n[i], state);
        convolve(c, &piece, taps, pieces + (uint64_t)t * m.columns.width, state);
    }
    if (memcmp(pieces, whole, n_x * sizeof *whole) != 0) gsai_check_fail(c);
    if (memcmp(state, whole_state, n_state * sizeof *state) != 0) gsai_check_fail(c);
}

/* Sums take their terms from the oldest input on, wherever it lies: cuts anywhere give the same bits. */
static void conv1d_pieces_of_a_text_give_the_same_bits(void **state)
{
    static const gsai_verify_case cases[] = {
        {"W 4: 130 = 64 + 1 + 2 + 63", 0, {4, 64, 1, 2, 63}},
        {"W 4: 1 + 1 + 1 + 1 + 1", 0, {4, 1, 1, 1, 1, 1}},
        {"W 64: 100 = 10 + 3 + 70 + 17", 0, {64, 10, 3, 70, 17}},
    };
    (void)state;
    assert_set("conv1d", run_pieces, cases, N_OF(cases), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(conv1d_known_questions_are_answered),
    cmocka_unit_test(conv1d_other_shapes_match_the_reference),
    cmocka_unit_test(conv1d_pieces_of_a_text_give_the_same_bits),
};
OPS_MAIN(tests)
