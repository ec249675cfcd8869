/* The sampler: each rule alone on logits made by hand, all rules together against a second implementation that sorts,
 * and the generator against published answers. */
#include "sample/sampler.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static gsa_sampler *make(gsa_sampler_params params)
{
    gsa_sampler *s = NULL;

    params.struct_size = sizeof params;
    assert_int_equal(gsa_sampler_create(&params, &s), GSA_OK);
    assert_non_null(s);
    return s;
}

static int32_t sample(gsa_sampler *s, const float *logits, size_t n)
{
    int32_t token = -1;

    assert_int_equal(gsa_sampler_sample(s, logits, n, &token), GSA_OK);
    assert_in_range(token, 0, n - 1);
    return token;
}

/* Bit i of the result: token i came up in n_draws. */
static unsigned seen(gsa_sampler_params params, const float *logits, size_t n, int n_draws)
{
    gsa_sampler *s = make(params);
    unsigned tokens = 0;

    for (int i = 0; i < n_draws; i++) tokens |= 1u << sample(s, logits, n);
    gsa_sampler_destroy(s);
    return tokens;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* ---- generator and order ---- */

static void sampler_philox_known_answers_match(void **state)
{
    (void)state;
    /* the answers published with the generator (Random123, kat_vectors, philox4x32 10) */
    static const uint32_t counters[3][4] = {
        {0, 0, 0, 0}, {~0u, ~0u, ~0u, ~0u}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}};
    static const uint32_t keys[3][2] = {{0, 0}, {~0u, ~0u}, {0xa4093822, 0x299f31d0}};
    static const uint32_t answers[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};

    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        gsai_sampler_philox(counters[i], keys[i], out);
        assert_memory_equal(out, answers[i], sizeof out);
    }
}

static void sampler_uniform_uses_all_of_seed_and_draw(void **state)
{
    (void)state;
    const float u = gsai_sampler_uniform(0, 0);

    assert_true(u == (float)(0x6627e8d5u >> 8) / 16777216.0f);
    assert_true(gsai_sampler_uniform(1, 0) != u);
    assert_true(gsai_sampler_uniform(1ull << 32, 0) != u);
    assert_true(gsai_sampler_uniform(0, 1) != u);
    assert_true(gsai_sampler_uniform(0, 1ull << 32) != u);
    for (uint64_t i = 0; i < 1000; i++) {
        const float x = gsai_sampler_uniform(i * 0x9e3779b97f4a7c15u, ~i);
        assert_true(x >= 0 && x < 1 && x * 16777216.0f == floorf(x * 16777216.0f));
    }
}

/* Sum of (observed - expected)^2 / expected. */
static double chi_square(const size_t *observed, const double *share, size_t n_classes, size_t n_draws)
{
    double sum = 0;

    for (size_t i = 0; i < n_classes; i++) {
        const double expected = share[i] * (double)n_draws;
        sum += ((double)observed[i] - expected) * ((double)observed[i] - expected) / expected;
    }
    return sum;
}

static void sampler_uniform_is_even(void **state)
{
    (void)state;
    size_t bins[16] = {0};
    double share[16];

    for (size_t i = 0; i < 16; i++) share[i] = 1.0 / 16;
    for (uint64_t i = 0; i < 160000; i++) bins[(size_t)(gsai_sampler_uniform(7, i) * 16)]++;
    assert_true(chi_square(bins, share, 16, 160000) < 37.7); /* 15 degrees of freedom: passed once in 1000 */
}

static void sampler_key_keeps_the_order_of_values(void **state)
{
    (void)state;
    const float up[] = {
        -INFINITY, -FLT_MAX, -1.5f, -1, -FLT_MIN, -1e-45f, 0, 1e-45f, FLT_MIN, 1, 1.5f, FLT_MAX, INFINITY};

    for (size_t i = 1; i < COUNT(up); i++) assert_true(gsai_sampler_key(up[i - 1]) < gsai_sampler_key(up[i]));
    assert_int_equal(gsai_sampler_key(-0.0f), gsai_sampler_key(0.0f));
    assert_true(gsai_sampler_key(-INFINITY) > 0);
}

/* ---- greedy and penalty ---- */

static void sampler_greedy_takes_lowest_of_equals(void **state)
{
    (void)state;
    const float logits[] = {-1, 7, 3, 7}, low[] = {-INFINITY, -INFINITY}, one[] = {-3};
    gsa_sampler *s = make((gsa_sampler_params){.top_k = 2, .top_p = 0.5f, .min_p = 0.1f});

    assert_int_equal(sample(s, logits, 4), 1);
    assert_int_equal(sample(s, logits + 2, 2), 1);
    assert_int_equal(sample(s, low, 2), 0);
    assert_int_equal(sample(s, one, 1), 0);
    gsa_sampler_destroy(s);
}

static void sampler_penalty_divides_positive_multiplies_negative(void **state)
{
    (void)state;
    gsa_sampler *s = make((gsa_sampler_params){.repeat_penalty = 2});
    const float positive[] = {4, 3, 1.9f}, negative[] = {-1, -1.5f, -2.5f}, zero[] = {0, -1};

    assert_int_equal(sample(s, positive, 3), 0);
    gsa_sampler_accept(s, 0);
    assert_int_equal(sample(s, positive, 3), 1); /* 2, 3, 1.9 */
    assert_int_equal(sample(s, negative, 3), 1); /* -2, -1.5, -2.5 */
    assert_int_equal(sample(s, zero, 2), 0);
    gsa_sampler_accept(s, 1);
    assert_int_equal(sample(s, positive, 3), 0); /* 2, 1.5, 1.9 */
    assert_int_equal(sample(s, negative, 3), 0); /* -2, -3, -2.5 */
    gsa_sampler_destroy(s);
}

static void sampler_penalty_of_repeated_token_counts_once(void **state)
{
    (void)state;
    gsa_sampler *s = make((gsa_sampler_params){.repeat_penalty = 2});
    const float logits[] = {4, 1.5f};

    for (int i = 0; i < 5; i++) gsa_sampler_accept(s, 0);
    assert_int_equal(sample(s, logits, 2), 0); /* 2 once, 0.125 if it were five times */
    gsa_sampler_destroy(s);
}

static void sampler_penalty_forgets_what_left_the_window(void **state)
{
    (void)state;
    const uint32_t windows[] = {1, 3, 0, 255, 256};
    const float logits[] = {4, 3, 0, 0};

    for (size_t i = 0; i < COUNT(windows); i++) {
        gsa_sampler *s = make((gsa_sampler_params){.repeat_penalty = 2, .repeat_last_n = windows[i]});
        const uint32_t n = windows[i] ? windows[i] : 64;
        for (int round = 0; round < 3; round++) { /* past the end of the ring */
            gsa_sampler_accept(s, 0);
            for (uint32_t j = 1; j < n; j++) gsa_sampler_accept(s, 2);
            assert_int_equal(sample(s, logits, 4), 1);
            gsa_sampler_accept(s, 3);
            assert_int_equal(sample(s, logits, 4), 0);
        }
        gsa_sampler_destroy(s);
    }
}

static void sampler_penalty_ignores_ids_outside_the_logits(void **state)
{
    (void)state;
    gsa_sampler *s = make((gsa_sampler_params){.repeat_penalty = 2});
    const float logits[] = {4, 3};

    gsa_sampler_accept(s, -1);
    gsa_sampler_accept(s, 2);
    gsa_sampler_accept(s, INT32_MIN);
    gsa_sampler_accept(s, INT32_MAX);
    assert_int_equal(sample(s, logits, 2), 0);
    gsa_sampler_destroy(s);
}

static void sampler_penalty_one_or_zero_is_off(void **state)
{
    (void)state;
    const float logits[] = {4, 3.9f}, penalties[] = {0, 1};

    for (size_t i = 0; i < COUNT(penalties); i++) {
        gsa_sampler *s = make((gsa_sampler_params){.repeat_penalty = penalties[i]});
        gsa_sampler_accept(s, 0);
        assert_int_equal(sample(s, logits, 2), 0);
        gsa_sampler_destroy(s);
    }
}

/* ---- one rule each ---- */

static void sampler_top_k_keeps_k_and_equals(void **state)
{
    (void)state;
    const float logits[] = {1, 0.5f, 2, 1, -1, 0.5f};

    assert_int_equal(seen((gsa_sampler_params){.temperature = 5, .top_k = 1}, logits, 6, 200), 1 << 2);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 5, .top_k = 2}, logits, 6, 200), 1 << 2 | 1 | 1 << 3);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 5, .top_k = 3}, logits, 6, 200), 1 << 2 | 1 | 1 << 3);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 5, .top_k = 4}, logits, 6, 400), 0x2f);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 5, .top_k = 6}, logits, 6, 400), 0x3f);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 5, .top_k = UINT32_MAX}, logits, 6, 400), 0x3f);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 5}, logits, 6, 400), 0x3f);
}

static void sampler_top_k_takes_both_zeros_as_equal(void **state)
{
    (void)state;
    const float logits[] = {-0.0f, 0.0f, -1, -0.0f};

    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_k = 1}, logits, 4, 200), 1 | 2 | 8);
}

static void sampler_top_p_keeps_fewest_that_reach_it(void **state)
{
    (void)state;
    /* shares 0.4 0.3 0.2 0.1, out of order */
    const float logits[] = {logf(2), logf(4), logf(1), logf(3)};

    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 1e-30f}, logits, 4, 200), 2);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 0.39f}, logits, 4, 200), 2);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 0.41f}, logits, 4, 200), 2 | 8);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 0.69f}, logits, 4, 200), 2 | 8);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 0.71f}, logits, 4, 200), 2 | 8 | 1);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 0.91f}, logits, 4, 200), 15);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 1}, logits, 4, 200), 15);
    /* of what top_k 3 leaves, 0.4 and 0.3 are 7/9 = 0.78 */
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_k = 3, .top_p = 0.77f}, logits, 4, 200), 2 | 8);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_k = 3, .top_p = 0.79f}, logits, 4, 200), 11);
}

static void sampler_top_p_keeps_all_equal_to_the_last(void **state)
{
    (void)state;
    const float logits[] = {0, 0, 0, 0, -1};

    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 0.1f}, logits, 5, 200), 15);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .top_p = 0.95f}, logits, 5, 400), 31);
}

static void sampler_min_p_drops_below_share_of_largest(void **state)
{
    (void)state;
    const float logits[] = {logf(2), logf(4), logf(1), logf(3)};

    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .min_p = 0.24f}, logits, 4, 300), 15);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .min_p = 0.26f}, logits, 4, 200), 11);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .min_p = 0.51f}, logits, 4, 200), 2 | 8);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1, .min_p = 1}, logits, 4, 200), 2);
    /* after the temperature: at 2 the second token's probability is sqrt(1/2) of the largest */
    assert_int_equal(seen((gsa_sampler_params){.temperature = 2, .min_p = 0.7f}, logits, 4, 200), 11);
}

static void sampler_temperature_draws_the_softmax(void **state)
{
    (void)state;
    const float logits[] = {0.5f, -1, 2, 0, 1.25f, -0.5f, 0.25f, 1}, temperatures[] = {0.5f, 1, 2};
    const size_t n = COUNT(logits), n_draws = 40000;

    for (size_t i = 0; i < COUNT(temperatures); i++) {
        gsa_sampler *s = make((gsa_sampler_params){.temperature = temperatures[i], .seed = 42 + i});
        size_t counts[COUNT(logits)] = {0};
        double share[COUNT(logits)], sum = 0;
        for (size_t j = 0; j < n; j++) sum += share[j] = exp(logits[j] / temperatures[i]);
        for (size_t j = 0; j < n; j++) share[j] /= sum;
        for (size_t j = 0; j < n_draws; j++) counts[sample(s, logits, n)]++;
        assert_true(chi_square(counts, share, n, n_draws) < 24.3); /* 7 degrees of freedom: passed once in 1000 */
        gsa_sampler_destroy(s);
    }
}

static void sampler_tiny_temperature_is_greedy(void **state)
{
    (void)state;
    const float logits[] = {1, 1.001f, 0.5f};

    assert_int_equal(seen((gsa_sampler_params){.temperature = 1e-45f}, logits, 3, 100), 2);
    assert_int_equal(seen((gsa_sampler_params){.temperature = 1e-6f}, logits, 3, 100), 2);
}

/* ---- all rules, against sorting ---- */

typedef struct entry {
    float logit;
    double p;
    int32_t id;
} entry;

static int larger_first(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return x->id - y->id;
}

static int id_order(const void *a, const void *b)
{
    return ((const entry *)a)->id - ((const entry *)b)->id;
}

/* The rules as the header words them, with a sorted list. */
static int32_t by_sorting(const gsa_sampler_params *p, const float *logits, size_t n, uint64_t draw_number,
    const int32_t *accepted, size_t n_accepted)
{
    entry *e = malloc(n * sizeof *e);
    const size_t window = n_accepted < p->repeat_last_n ? n_accepted : p->repeat_last_n;
    double sum = 0;

    assert_non_null(e);
    for (size_t i = 0; i < n; i++) {
        bool recent = false;
        for (size_t j = n_accepted - window; j < n_accepted; j++) recent |= accepted[j] == (int32_t)i;
        e[i] = (entry){logits[i], 0, (int32_t)i};
        if (recent && p->repeat_penalty > 0)
            e[i].logit = logits[i] > 0 ? logits[i] / p->repeat_penalty : logits[i] * p->repeat_penalty;
    }
    qsort(e, n, sizeof *e, larger_first);
    for (size_t i = 0; i < n; i++) e[i].p = exp(((double)e[i].logit - e[0].logit) / p->temperature);
    const double largest = e[0].p;

    size_t kept = n;
    if (p->top_k > 0 && p->top_k < kept) kept = p->top_k;
    while (kept < n && e[kept].logit == e[kept - 1].logit) kept++;
    if (p->top_p > 0 && p->top_p < 1) {
        for (size_t i = 0; i < kept; i++) sum += e[i].p;
        double share = 0;
        size_t i = 0;
        while (i < kept && share < p->top_p * sum) share += e[i++].p;
        while (i < kept && e[i].logit == e[i - 1].logit) i++;
        kept = i;
    }
    while (kept > 0 && e[kept - 1].p < p->min_p * largest) kept--;

    qsort(e, kept, sizeof *e, id_order);
    const double u = gsai_sampler_uniform(p->seed, draw_number);
    double running = 0;
    sum = 0;
    for (size_t i = 0; i < kept; i++) sum += e[i].p;
    size_t chosen = 0;
    while (chosen + 1 < kept && (running += e[chosen].p) <= u * sum) chosen++;
    const int32_t id = e[chosen].id;
    free(e);
    return id;
}

static void sampler_all_rules_together_equal_sorting(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 17, 100, 1000};
    uint32_t seed = 5;

    for (int round = 0; round < 600; round++) {
        const size_t n = sizes[(size_t)round % COUNT(sizes)];
        const bool coarse = round % 2; /* many ties */
        const gsa_sampler_params params = {
            .temperature = 0.25f + (float)(next_random(&seed) % 8) * 0.25f,
            .top_k = next_random(&seed) % 3 ? next_random(&seed) % 40 : 0,
            .top_p = next_random(&seed) % 3 ? (float)(next_random(&seed) % 1000) / 1000.0f : 0,
            .min_p = next_random(&seed) % 3 ? 0 : (float)(next_random(&seed) % 100) / 500.0f,
            .repeat_penalty = next_random(&seed) % 3 ? 0 : 0.5f + (float)(next_random(&seed) % 10) / 4.0f,
            .repeat_last_n = 1 + next_random(&seed) % 32,
            .seed = next_random(&seed),
        };
        gsa_sampler *s = make(params);
        float *logits = malloc(n * sizeof *logits);
        int32_t accepted[20];

        assert_non_null(logits);
        for (size_t i = 0; i < COUNT(accepted); i++) {
            for (size_t j = 0; j < n; j++) {
                const float x = (float)next_random(&seed) / 16777216.0f * 12 - 6;
                logits[j] = coarse ? floorf(x) : x;
            }
            const int32_t expected = by_sorting(&params, logits, n, i, accepted, i);
            accepted[i] = sample(s, logits, n);
            if (accepted[i] != expected)
                fail_msg("round %d, draw %zu of %zu logits: token %ld, sorting gives %ld", round, i, n,
                    (long)accepted[i], (long)expected);
            gsa_sampler_accept(s, accepted[i]);
        }
        free(logits);
        gsa_sampler_destroy(s);
    }
}

/* ---- seeds, bad input, memory ---- */

static void sampler_same_seed_gives_same_tokens(void **state)
{
    (void)state;
    const float logits[8] = {0};
    gsa_sampler *a = make((gsa_sampler_params){.temperature = 1, .seed = 99});
    gsa_sampler *b = make((gsa_sampler_params){.temperature = 1, .seed = 99});
    gsa_sampler *c = make((gsa_sampler_params){.temperature = 1, .seed = 100});
    int32_t first[64];
    int different = 0;

    for (size_t i = 0; i < 64; i++) {
        first[i] = sample(a, logits, 8);
        assert_int_equal(sample(b, logits, 8), first[i]);
        different += sample(c, logits, 8) != first[i];
    }
    assert_true(different > 32);

    gsa_sampler_accept(a, 3);
    gsa_sampler_reset(a);
    assert_int_equal(a->n_drawn, 0);
    assert_int_equal(a->n_recent, 0);
    for (size_t i = 0; i < 64; i++) assert_int_equal(sample(a, logits, 8), first[i]);
    gsa_sampler_destroy(a);
    gsa_sampler_destroy(b);
    gsa_sampler_destroy(c);
}

static void sampler_greedy_counts_as_a_draw(void **state)
{
    (void)state;
    const float logits[] = {1, 2};
    gsa_sampler *s = make((gsa_sampler_params){0});

    sample(s, logits, 2);
    sample(s, logits, 2);
    assert_int_equal(s->n_drawn, 2);
    gsa_sampler_destroy(s);
}

static void sampler_nan_is_refused_and_not_counted(void **state)
{
    (void)state;
    const float temperatures[] = {0, 1};

    for (size_t i = 0; i < 2; i++) {
        gsa_sampler *s = make((gsa_sampler_params){.temperature = temperatures[i], .top_k = 1});
        const float logits[] = {5, 1, NAN};
        int32_t token = 77;
        assert_int_equal(gsa_sampler_sample(s, logits, 3, &token), GSA_ERROR_ARGUMENT);
        assert_non_null(strstr(gsa_error_text(), "logit 2 is NaN"));
        assert_int_equal(gsa_sampler_sample(s, logits, 0, &token), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsa_sampler_sample(s, NULL, 3, &token), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsa_sampler_sample(s, logits, 2, NULL), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsa_sampler_sample(NULL, logits, 2, &token), GSA_ERROR_ARGUMENT);
        assert_int_equal(token, 77);
        assert_int_equal(s->n_drawn, 0);
        gsa_sampler_destroy(s);
    }
}

static void sampler_extreme_logits_are_drawn_sanely(void **state)
{
    (void)state;
    const gsa_sampler_params plain = {.temperature = 1};
    const gsa_sampler_params all = {.temperature = 0.7f, .top_k = 3, .top_p = 0.9f, .min_p = 0.05f};
    const float huge[] = {1e30f, -1e30f, 1e30f, 0}, low[] = {-1e30f, -1e30f, -INFINITY};
    const float masked[] = {-INFINITY, 3, -INFINITY, 3}, none[] = {-INFINITY, -INFINITY};
    const float ends[] = {-FLT_MAX, FLT_MAX, 0}, infinite[] = {INFINITY, 5, INFINITY, -INFINITY}, one[] = {-1e30f};
    const gsa_sampler_params params[] = {plain, all};

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(seen(params[i], huge, 4, 100), 1 | 4);
        assert_int_equal(seen(params[i], low, 3, 100), 1 | 2);
        assert_int_equal(seen(params[i], masked, 4, 100), 2 | 8);
        assert_int_equal(seen(params[i], none, 2, 100), 1 | 2);
        assert_int_equal(seen(params[i], ends, 3, 100), 2);
        assert_int_equal(seen(params[i], infinite, 4, 100), 1 | 4);
        assert_int_equal(seen(params[i], one, 1, 3), 1);
    }

    gsa_sampler *s = make((gsa_sampler_params){.temperature = 1, .repeat_penalty = 1e30f});
    gsa_sampler_accept(s, 0);
    gsa_sampler_accept(s, 1);
    assert_int_equal(sample(s, ends, 3), 1); /* -infinity, 3e8, 0 */
    gsa_sampler_destroy(s);
}

static void assert_refused(gsa_sampler_params params, const char *field)
{
    gsa_sampler *s = (gsa_sampler *)&params;

    if (!params.struct_size) params.struct_size = sizeof params;
    assert_int_equal(gsa_sampler_create(&params, &s), GSA_ERROR_ARGUMENT);
    assert_null(s);
    if (!strstr(gsa_error_text(), field)) fail_msg("\"%s\" does not name %s", gsa_error_text(), field);
}

static void sampler_bad_params_are_refused_by_name(void **state)
{
    (void)state;
    const float bad[] = {-1, NAN, INFINITY, -INFINITY, -1e-30f};

    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_refused((gsa_sampler_params){.temperature = bad[i]}, "temperature");
        assert_refused((gsa_sampler_params){.top_p = bad[i]}, "top_p");
        assert_refused((gsa_sampler_params){.min_p = bad[i]}, "min_p");
        assert_refused((gsa_sampler_params){.repeat_penalty = bad[i]}, "repeat_penalty");
    }
    assert_refused((gsa_sampler_params){.top_p = 1.01f}, "top_p");
    assert_refused((gsa_sampler_params){.min_p = 1.01f}, "min_p");
    assert_refused((gsa_sampler_params){.repeat_last_n = 257}, "repeat_last_n");
    assert_refused((gsa_sampler_params){.struct_size = 3}, "struct_size");

    gsa_sampler *s = (gsa_sampler *)&s;
    assert_int_equal(gsa_sampler_create(NULL, &s), GSA_ERROR_ARGUMENT);
    assert_null(s);
    assert_int_equal(gsa_sampler_create(&(gsa_sampler_params){0}, NULL), GSA_ERROR_ARGUMENT);
    gsa_sampler_destroy(NULL);
}

typedef struct counter {
    int left; /* allocations before one is refused */
    int live;
} counter;

static void *count_alloc(void *user, size_t size)
{
    counter *c = user;
    if (c->left-- <= 0) return NULL;
    c->live++;
    return malloc(size);
}

static void *count_realloc(void *user, void *memory, size_t size)
{
    counter *c = user;
    if (c->left-- <= 0) return NULL;
    c->live += memory == NULL;
    return realloc(memory, size);
}

static void count_free(void *user, void *memory)
{
    counter *c = user;
    c->live -= memory != NULL;
    free(memory);
}

static void sampler_without_memory_reports_it(void **state)
{
    (void)state;
    const float logits[] = {1, 2, 3, 4};

    for (int left = 0; left < 4; left++) {
        counter c = {.left = left};
        const gsa_allocator allocator = {count_alloc, count_realloc, count_free, &c};
        const gsa_sampler_params params = {.struct_size = sizeof params, .temperature = 1, .allocator = &allocator};
        gsa_sampler *s;
        gsa_status status = gsa_sampler_create(&params, &s);
        uint64_t drawn = 0;
        for (size_t n = 1; status == GSA_OK && n <= 4; n += 3) { /* the second needs more scratch */
            int32_t token;
            status = gsa_sampler_sample(s, logits, n, &token);
            drawn += status == GSA_OK;
        }
        assert_int_equal(status, left < 3 ? GSA_ERROR_HOST_MEMORY : GSA_OK);
        if (left == 0)
            assert_null(s);
        else
            assert_int_equal(s->n_drawn, drawn);
        gsa_sampler_destroy(s);
        assert_int_equal(c.live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampler_philox_known_answers_match),
        cmocka_unit_test(sampler_uniform_uses_all_of_seed_and_draw),
        cmocka_unit_test(sampler_uniform_is_even),
        cmocka_unit_test(sampler_key_keeps_the_order_of_values),
        cmocka_unit_test(sampler_greedy_takes_lowest_of_equals),
        cmocka_unit_test(sampler_penalty_divides_positive_multiplies_negative),
        cmocka_unit_test(sampler_penalty_of_repeated_token_counts_once),
        cmocka_unit_test(sampler_penalty_forgets_what_left_the_window),
        cmocka_unit_test(sampler_penalty_ignores_ids_outside_the_logits),
        cmocka_unit_test(sampler_penalty_one_or_zero_is_off),
        cmocka_unit_test(sampler_top_k_keeps_k_and_equals),
        cmocka_unit_test(sampler_top_k_takes_both_zeros_as_equal),
        cmocka_unit_test(sampler_top_p_keeps_fewest_that_reach_it),
        cmocka_unit_test(sampler_top_p_keeps_all_equal_to_the_last),
        cmocka_unit_test(sampler_min_p_drops_below_share_of_largest),
        cmocka_unit_test(sampler_temperature_draws_the_softmax),
        cmocka_unit_test(sampler_tiny_temperature_is_greedy),
        cmocka_unit_test(sampler_all_rules_together_equal_sorting),
        cmocka_unit_test(sampler_same_seed_gives_same_tokens),
        cmocka_unit_test(sampler_greedy_counts_as_a_draw),
        cmocka_unit_test(sampler_nan_is_refused_and_not_counted),
        cmocka_unit_test(sampler_extreme_logits_are_drawn_sanely),
        cmocka_unit_test(sampler_bad_params_are_refused_by_name),
        cmocka_unit_test(sampler_without_memory_reports_it),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
