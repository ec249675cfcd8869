/* Passes from spans: which rows go together, and what they are filled up to. No device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "session/pack.h"

enum { N_IDS = 5000 };
static int32_t ids[N_IDS];
static const gsai_config config = {
    .n_layers = 2, .D = 64, .F = 128, .H = 2, .G = 2, .K = 16, .V = 16, .M = 16, .n_vocab = 300};

static gsai_capacity capacity(bool cpu_driver, uint32_t singles)
{
    gsai_limits limits = gsai_limits_of(NULL);
    gsai_capacity k;

    limits.cpu_driver = cpu_driver;
    assert_int_equal(gsai_capacity_of(&config, &limits, 4, 0, &k), GSA_OK);
    k.singles = singles;
    return k;
}

static gsai_span span(uint32_t slot, uint32_t n_tokens)
{
    return (gsai_span){.slot = slot, .tokens = ids, .n_tokens = n_tokens, .want = GSA_WANT_LOGITS, .n_generate = 1};
}

/* The next pass of spans of which done[] tokens went before. */
static gsai_pack next(const gsai_capacity *k, const gsai_span *spans, uint32_t n, const uint32_t *done, uint32_t budget)
{
    gsai_pack p;
    uint32_t *table = malloc(k->work_uints * sizeof *table);

    assert_non_null(table);
    assert_true(gsai_pack_next(k, spans, n, done, budget, table, &p));
    free(table);
    return p;
}

static void pack_fills_rows_up(void **state)
{
    static const struct {
        uint32_t n_tokens, gpu, cpu;
    } cases[] = {{9, 32, 16}, {31, 32, 32}, {32, 32, 32}, {33, 64, 40}, {63, 64, 64}, {64, 64, 64}};

    (void)state;
    const gsai_capacity gpu = capacity(false, 1), cpu = capacity(true, 1);
    const uint32_t none[2] = {0, 0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gsai_span one = span(0, cases[i].n_tokens);
        assert_int_equal(next(&gpu, &one, 1, none, gpu.max_rows).n_rows, cases[i].gpu);
        assert_int_equal(next(&cpu, &one, 1, none, cpu.max_rows).n_rows, cases[i].cpu);
    }
    const gsai_span two[] = {span(0, 12), span(1, 25)}, few = span(0, 5), single = span(0, 1);
    const gsai_pack together = next(&gpu, two, 2, none, gpu.max_rows);
    assert_int_equal(together.n_entries, 2);
    assert_int_equal(together.n_chunks, 2);
    assert_int_equal(together.n_rows, 64);
    assert_int_equal(next(&gpu, &few, 1, none, gpu.max_rows).n_rows, 5);
    assert_int_equal(next(&gpu, &single, 1, none, gpu.max_rows).n_rows, 1);
}

/* Chunks begin at multiples of GSA_CHUNK, whatever the budget; what is left behind them goes by itself. */
static void pack_cuts_at_chunks(void **state)
{
    (void)state;
    const gsai_capacity k = capacity(false, 1), by_ones = capacity(false, 2);
    const gsai_span one = span(0, 3 * GSA_CHUNK + 2);
    uint32_t done = 0;

    assert_int_equal(next(&k, &one, 1, &done, 1).entries[0].n_tokens, GSA_CHUNK); /* one chunk at least */
    assert_int_equal(next(&k, &one, 1, &done, 2 * GSA_CHUNK).entries[0].n_tokens, 2 * GSA_CHUNK);
    gsai_pack p = next(&k, &one, 1, &done, k.max_rows);
    assert_int_equal(p.entries[0].n_tokens, 3 * GSA_CHUNK);
    assert_int_equal(p.n_chunks, 3);
    assert_false(p.entries[0].last);
    done = p.entries[0].n_tokens;
    p = next(&k, &one, 1, &done, k.max_rows);
    assert_int_equal(p.rows, GSAI_ROWS_FEW);
    assert_int_equal(p.n_rows, 2);
    assert_true(p.entries[0].last);
    p = next(&by_ones, &one, 1, &done, k.max_rows);
    assert_int_equal(p.rows, GSAI_ROWS_ONE);
    assert_int_equal(p.n_rows, 1);
    assert_false(p.entries[0].last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack_fills_rows_up),
        cmocka_unit_test(pack_cuts_at_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
