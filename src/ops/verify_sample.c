/* Known questions for penalty and sample: whole batches of draws against the CPU sampler. */
#include "ops/verify.h"

#include "common/shared.h"
#include "sample/sampler.h"
#include "util/half.h"

#include <math.h>
#include <string.h>

/* The device sums kept probabilities in f32 and the CPU in f64: a draw this close to the border of two tokens' shares may
 * fall on either side. */
#define BORDER 1e-5

/* n: rows, vocabulary, temperature / 1000, top_k, top_p / 1000, min_p / 1000, penalty / 1000, recent tokens,
 * logits: 0 random, 1 few values (ties), 2 peaked, 3 with infinities; 9: seed and draw beyond 32 bits */
static void fill_params(const gsai_verify_case *k, gsa_sampler_params *p)
{
    *p = (gsa_sampler_params){
        .struct_size = sizeof *p,
        .temperature = (float)k->n[2] / 1000,
        .top_k = k->n[3],
        .top_p = (float)k->n[4] / 1000,
        .min_p = (float)k->n[5] / 1000,
        .repeat_penalty = (float)k->n[6] / 1000,
        .repeat_last_n = GSAI_MAX_RECENT,
        .seed = k->n[9] ? 0x123456789ABCDEFull : 7,
    };
}

static uint64_t draw_of_row(const gsai_verify_case *k, uint32_t row)
{
    return row + (k->n[9] ? 0xFFFFFFF0ull : 0);
}

static void fill_logits(gsai_check *c, const gsai_verify_case *k, float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t dice = gsai_check_random_u32(c) % 64;
        if (k->n[8] == 1) x[i] = (float)(dice % 5) - 2;
        if (k->n[8] == 2) x[i] = x[i] * x[i] * x[i] / 8;
        if (k->n[8] == 3 && dice < 2) x[i] = dice ? INFINITY : -INFINITY;
    }
}

/* Words of shared.h for one row. */
static void write_params(const gsai_verify_case *k, const gsa_sampler_params *p, uint32_t row, const int32_t *recent,
    uint32_t n_recent, uint32_t *words)
{
    const uint64_t draw = draw_of_row(k, row);

    words[GSA_SAMPLE_TEMPERATURE] = gsai_float_to_bits(p->temperature);
    words[GSA_SAMPLE_TOP_K] = p->top_k;
    words[GSA_SAMPLE_TOP_P] = gsai_float_to_bits(p->top_p);
    words[GSA_SAMPLE_MIN_P] = gsai_float_to_bits(p->min_p);
    words[GSA_SAMPLE_PENALTY] = gsai_float_to_bits(p->repeat_penalty);
    words[GSA_SAMPLE_SEED_LO] = (uint32_t)p->seed;
    words[GSA_SAMPLE_SEED_HI] = (uint32_t)(p->seed >> 32);
    words[GSA_SAMPLE_DRAW_LO] = (uint32_t)draw;
    words[GSA_SAMPLE_DRAW_HI] = (uint32_t)(draw >> 32);
    words[GSA_SAMPLE_N_RECENT] = n_recent;
    memcpy(words + GSA_SAMPLE_RECENT, recent, n_recent * sizeof *recent);
}

/* The sampler's weights are those of the draw just made. */
static bool near_border(const gsa_sampler *s, uint64_t draw, uint32_t n, int32_t token)
{
    double before = 0, sum = 0;

    if (token < 0 || (uint32_t)token >= n || s->params.temperature == 0 || !(s->weights[token] > 0)) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (i == (uint32_t)token) before = sum;
        sum += s->weights[i];
    }
    const double u = gsai_sampler_uniform(s->params.seed, draw);
    return fabs(u - before / sum) < BORDER || fabs(u - (before + s->weights[token]) / sum) < BORDER;
}

static void run(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t n_rows = k->n[0], n = k->n[1], n_recent = k->n[7];
    float *x = gsai_check_random(c, (uint64_t)n_rows * n, 4, false);
    uint32_t *words = (uint32_t *)gsai_check_alloc(c, (uint64_t)n_rows * GSA_SAMPLE_STRIDE);
    int32_t recent[GSA_SAMPLE_MAX_RECENT];
    gsa_sampler_params params;
    gsa_sampler *sampler = NULL;
    if (!x || !words) return;

    fill_logits(c, k, x, (uint64_t)n_rows * n);
    fill_params(k, &params);
    params.allocator = &gsai_check_device(c)->allocator;
    for (uint32_t i = 0; i < n_recent; i++)
        recent[i] = (int32_t)(gsai_check_random_u32(c) % n); /* repeats among them */
    for (uint32_t row = 0; row < n_rows; row++)
        write_params(k, &params, row, recent, n_recent, words + row * GSA_SAMPLE_STRIDE);

    const gsai_rows logits = gsai_check_rows(c, x, n_rows, n, GSAI_CHECK_INOUT);
    const gsai_table table = gsai_check_table(c, words, n_rows * GSA_SAMPLE_STRIDE);
    const gsai_range tokens = gsai_check_place(c, NULL, n_rows * 4ull, GSAI_CHECK_OUT);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_sample(r, tokens, logits, table, n_rows, n);
    if (gsai_check_end(c) != GSA_OK) return;

    const int32_t *got = gsai_check_data(c, tokens);
    gsa_status status = gsa_sampler_create(&params, &sampler);
    for (uint32_t i = 0; status == GSA_OK && i < n_recent; i++) gsa_sampler_accept(sampler, recent[i]);
    for (uint32_t row = 0; status == GSA_OK && row < n_rows; row++) {
        int32_t want = -1;
        sampler->n_drawn = draw_of_row(k, row);
        status = gsa_sampler_sample(sampler, x + (uint64_t)row * n, n, &want);
        if (status == GSA_OK && got[row] != want && !near_border(sampler, draw_of_row(k, row), n, got[row]))
            gsai_check_fail(c);
    }
    gsa_sampler_destroy(sampler);
    gsai_check_status(c, status);
}

static const gsai_verify_case penalty_cases[] = {
    {"rows 20 vocabulary 100 greedy, penalty 1.5, 30 recent", 0, {20, 100, 0, 0, 0, 0, 1500, 30, 0}},
    {"rows 20 vocabulary 300 greedy, penalty 0.5, 256 recent", 0, {20, 300, 0, 0, 0, 0, 500, 256, 0}},
    {"rows 50 vocabulary 40 temperature 1, penalty 3, 64 recent", 0, {50, 40, 1000, 0, 0, 0, 3000, 64, 0}},
};

static const gsai_verify_case sample_cases[] = {
    {"rows 50 vocabulary 300 temperature 1", 0, {50, 300, 1000, 0, 0, 0, 0, 0, 0}},
    {"rows 3 vocabulary 1 temperature 1", 0, {3, 1, 1000, 0, 0, 0, 0, 0, 0}},
    {"rows 20 vocabulary 300 greedy", 0, {20, 300, 0, 0, 0, 0, 0, 0, 1}},
    {"rows 500 vocabulary 17 temperature 0.7", 0, {500, 17, 700, 0, 0, 0, 0, 0, 0, 1}},
    {"rows 200 vocabulary 500 top_k 5", 0, {200, 500, 1000, 5, 0, 0, 0, 0, 0}},
    {"rows 200 vocabulary 500 top_k 1", 0, {200, 500, 1000, 1, 0, 0, 0, 0, 0}},
    {"rows 200 vocabulary 100 top_k 10 among ties", 0, {200, 100, 1500, 10, 0, 0, 0, 0, 1}},
    {"rows 200 vocabulary 500 top_p 0.3", 0, {200, 500, 1000, 0, 300, 0, 0, 0, 2}},
    {"rows 200 vocabulary 500 top_p 0.9", 0, {200, 500, 1300, 0, 900, 0, 0, 0, 0}},
    {"rows 200 vocabulary 100 top_p 0.9 among ties", 0, {200, 100, 1000, 0, 900, 0, 0, 0, 1}},
    {"rows 200 vocabulary 500 min_p 0.2", 0, {200, 500, 1000, 0, 0, 200, 0, 0, 0}},
    {"rows 200 vocabulary 500 all rules", 0, {200, 500, 800, 40, 950, 50, 1200, 100, 2, 1}},
    {"rows 50 vocabulary 200 temperature 1, infinities", 0, {50, 200, 1000, 0, 0, 0, 0, 0, 3}},
    {"rows 8 vocabulary 32000 temperature 0.8 top_k 50 top_p 0.9", 0, {8, 32000, 800, 50, 900, 0, 0, 0, 2}},
};

/* rows, window of recent tokens, recent ones before; row i stops at its own token when i is a multiple of 3 */
static void run_advance(gsai_check *c, const gsai_verify_case *k)
{
    const uint32_t n_rows = k->n[0], window = k->n[1], n_recent = k->n[2], chunks = n_rows * GSA_SAMPLE_STRIDE;
    const uint32_t n_words = chunks + n_rows * GSA_WORK_STRIDE;
    uint32_t *words = (uint32_t *)gsai_check_alloc(c, n_words), *want = (uint32_t *)gsai_check_alloc(c, n_words);
    uint32_t *chosen = (uint32_t *)gsai_check_alloc(c, n_rows);
    if (!words || !want || !chosen) return;

    for (uint32_t i = 0; i < n_words; i++) words[i] = gsai_check_random_u32(c) % 1000;
    for (uint32_t t = 0; t < n_rows; t++) {
        uint32_t *p = words + t * GSA_SAMPLE_STRIDE;
        chosen[t] = 1000 + t;
        p[GSA_SAMPLE_WINDOW] = window;
        p[GSA_SAMPLE_N_RECENT] = n_recent;
        p[GSA_SAMPLE_DRAW_LO] = t % 2 ? UINT32_MAX : 5;
        p[GSA_SAMPLE_N_STOP] = t % (GSA_SAMPLE_MAX_STOP + 1);
        if (t % 3 == 0 && p[GSA_SAMPLE_N_STOP]) p[GSA_SAMPLE_STOP + p[GSA_SAMPLE_N_STOP] - 1] = chosen[t];
        words[chunks + t * GSA_WORK_STRIDE + 1] = 1;
    }
    memcpy(want, words, n_words * sizeof *words);
    for (uint32_t t = 0; t < n_rows; t++) {
        uint32_t *p = want + t * GSA_SAMPLE_STRIDE;
        for (uint32_t i = window; i-- > 1;) p[GSA_SAMPLE_RECENT + i] = p[GSA_SAMPLE_RECENT + i - 1];
        if (window) p[GSA_SAMPLE_RECENT] = chosen[t];
        p[GSA_SAMPLE_N_RECENT] = n_recent < window ? n_recent + 1 : window;
        if (++p[GSA_SAMPLE_DRAW_LO] == 0) p[GSA_SAMPLE_DRAW_HI]++;
        if (t % 3 == 0 && p[GSA_SAMPLE_N_STOP]) want[chunks + t * GSA_WORK_STRIDE + 1] = 0;
    }

    const gsai_range table = gsai_check_place(c, words, n_words * 4ull, GSAI_CHECK_INOUT);
    const gsai_range tokens = gsai_check_place(c, chosen, n_rows * 4ull, GSAI_CHECK_IN);
    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    gsai_op_advance(r, (gsai_table){table, 0}, chunks, tokens, n_rows);
    if (gsai_check_end(c) != GSA_OK) return;
    if (memcmp(gsai_check_data(c, table), want, n_words * sizeof *want) != 0) gsai_check_fail(c);
}

static const gsai_verify_case advance_cases[] = {
    {"rows 1 window 1", 0, {1, 1, 0}},
    {"rows 4 window 0", 0, {4, 0, 0}},
    {"rows 30 window 64, 63 recent", 0, {30, 64, 63}},
    {"rows 7 window 256, 256 recent", 0, {7, 256, 256}},
};

#define N(CASES) (sizeof CASES / sizeof *CASES)
const gsai_verify_set gsai_verify_sampling[] = {
    {"penalty", run, penalty_cases, N(penalty_cases), 0},
    {"sample", run, sample_cases, N(sample_cases), 0},
    {"advance", run_advance, advance_cases, N(advance_cases), 0},
};
const uint32_t gsai_n_verify_sampling = N(gsai_verify_sampling);
