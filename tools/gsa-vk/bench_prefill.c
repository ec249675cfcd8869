/* Prompts: one, several at once, and short ones against single tokens. */
#include "bench.h"

#include "eval.h"

#include <stdlib.h>
#include <string.h>

/* What each token of prompts of n tokens reads and computes, in passes of max_rows tokens; products of the recurrence
 * as a token of its own needs them. */
static void describe_work(const bench *b, bench_row *r, double n, double sessions)
{
    const gsa_model_info *m = &b->a->info;
    const double total = n * sessions, most = b->plan.max_rows ? b->plan.max_rows : total;
    const double passes = (double)(uint64_t)((total + most - 1) / most);
    r->bytes_per_token = passes * (double)b->read_bytes / total;
    r->flops_per_token = 2.0 * (double)b->layer_parameters +
                         2.0 * m->n_layers * (double)(m->H + m->G) * m->M * (m->K + m->V) +
                         2.0 * (double)b->head_elements / n;
}

/* A whole prompt from an empty session, the next token chosen. */
static int run_prompt(bench *b, gsa_session *s, uint64_t n, int32_t *tokens, uint32_t seed, double *ms, double *gpu_ns)
{
    eval_result result;
    bench_tokens(tokens, n, b->a->info.n_vocab, seed);
    int rc = bench_ok(gsa_session_reset(s));
    if (rc) return rc;
    const double start = app_now_ms();
    rc = bench_ok(eval_tokens(s, tokens, n, GSA_WANT_TOKEN, NULL, false, &result));
    *ms = app_now_ms() - start;
    *gpu_ns = result.gpu_ns;
    return rc;
}

int bench_prefill(bench *b, gsa_session *s, uint64_t n, int32_t *tokens)
{
    bench_row *rate = bench_new_row(b, "prefill", "tok/s"), *first = bench_new_row(b, "first_token", "ms");
    rate->tokens = first->tokens = n;
    describe_work(b, rate, (double)n, 1);
    bench_runs runs = {.b = b, .what = "prefill"};
    while (bench_next_run(&runs)) {
        double ms, gpu_ns;
        const int rc = run_prompt(b, s, n, tokens, (uint32_t)runs.n_counted + 1, &ms, &gpu_ns);
        if (rc) return rc;
        if (!runs.counts) continue;
        bench_add(rate, (double)n * 1e3 / ms);
        bench_add(first, ms);
        if (gpu_ns > 0) {
            bench_add_gpu(rate, (double)n * 1e9 / gpu_ns);
            bench_add_gpu(first, gpu_ns * 1e-6);
        }
    }
    return 0;
}

/* All items to their end, as many of each in a step as the library takes. */
static int run_items(bench *b, gsa_step_item *items, uint32_t n, const int32_t *tokens, uint32_t each, double *gpu_ns)
{
    uint32_t n_left = n;
    *gpu_ns = 0;
    for (uint32_t i = 0; i < n; i++) {
        items[i].tokens = tokens + (size_t)i * each;
        items[i].n_tokens = each;
    }
    while (n_left > 0) {
        gsa_step *step = NULL;
        int rc = bench_ok(gsa_step_submit(b->a->model, items, n_left, 0, &step));
        if (rc) return rc;
        rc = bench_ok(gsa_step_wait(step, UINT64_MAX));
        if (rc == 0) *gpu_ns += gsa_step_gpu_ns(step);
        const gsa_status collected = gsa_step_collect(step);
        if (rc == 0) rc = bench_ok(collected);
        if (rc) return rc;
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n_left; i++) {
            items[i].tokens += items[i].n_done;
            items[i].n_tokens -= items[i].n_done;
            if (items[i].n_tokens > 0) {
                const gsa_step_item item = items[i];
                items[i] = items[kept];
                items[kept++] = item;
            }
        }
        n_left = kept;
    }
    return 0;
}

int bench_prompt_batch(bench *b, const bench_prompts *p)
{
    const uint32_t n = (uint32_t)p->sessions;
    const double total = (double)p->sessions * (double)p->tokens;
    bench_row *r = bench_new_row(b, "prefill_batch", "tok/s");
    gsa_session **sessions = calloc(n, sizeof(gsa_session *));
    gsa_step_item *items = calloc(n, sizeof *items);
    int32_t *tokens = malloc((size_t)total * sizeof *tokens);
    int rc = sessions && items && tokens ? 0 : fail("out of memory for %u prompts", n);
    r->tokens = p->tokens;
    r->batch = n;
    describe_work(b, r, (double)p->tokens, n);
    for (uint32_t i = 0; i < n && rc == 0; i++) rc = bench_ok(gsa_session_create(b->a->model, &sessions[i]));
    bench_runs runs = {.b = b, .what = "prefill of a batch"};
    while (rc == 0 && bench_next_run(&runs)) {
        double gpu_ns;
        bench_tokens(tokens, (size_t)total, b->a->info.n_vocab, (uint32_t)runs.n_counted + 1);
        for (uint32_t i = 0; i < n && rc == 0; i++) {
            items[i] = (gsa_step_item){.session = sessions[i], .want = GSA_WANT_TOKEN};
            rc = bench_ok(gsa_session_reset(sessions[i]));
        }
        if (rc) break;
        const double start = app_now_ms();
        rc = run_items(b, items, n, tokens, (uint32_t)p->tokens, &gpu_ns);
        const double ms = app_now_ms() - start;
        if (rc || !runs.counts) continue;
        bench_add(r, total * 1e3 / ms);
        if (gpu_ns > 0) bench_add_gpu(r, total * 1e9 / gpu_ns);
    }
    for (uint32_t i = 0; i < n && sessions; i++) gsa_session_destroy(sessions[i]);
    free(sessions);
    free(items);
    free(tokens);
    return rc;
}

/* Against tokens that follow each other on the device, the fastest way to feed them one by one. */
int bench_crossover(bench *b, gsa_session *s)
{
    const bench_list *lengths = &b->options->lengths;
    int32_t tokens[BENCH_MAX_LENGTH];
    double token_ms = 0;
    for (size_t i = 0; i < b->n_rows && token_ms == 0; i++)
        if (strcmp(b->rows[i].measure, "decode") == 0) token_ms = 1e3 / bench_stats_of(b, &b->rows[i]).median;
    for (size_t i = 0; i < lengths->n; i++) {
        const uint32_t n = (uint32_t)lengths->at[i];
        bench_row *r = bench_new_row(b, "prompt_gain", "x");
        r->tokens = n;
        bench_runs runs = {.b = b, .what = "short prompts"};
        while (bench_next_run(&runs)) {
            double ms, gpu_ns;
            const int rc = run_prompt(b, s, n, tokens, (uint32_t)runs.n_counted + 1, &ms, &gpu_ns);
            if (rc) return rc;
            if (runs.counts) bench_add(r, n * token_ms / ms);
        }
    }
    return 0;
}
