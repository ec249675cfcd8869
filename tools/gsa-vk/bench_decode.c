/* Decoding: one session after a context, many sessions in the same steps. */
#include "bench.h"

#include "eval.h"

#include <stdlib.h>

/* Weights are read once a step, the state of each session once. */
static void describe_work(const bench *b, bench_row *r, double sessions)
{
    const gsa_model_info *m = &b->a->info;
    r->bytes_per_token = (double)b->read_bytes / sessions + (double)m->state_bytes;
    r->flops_per_token = 2.0 * (double)(b->layer_parameters + b->head_elements) +
                         2.0 * m->n_layers * (double)(m->H + m->G) * m->M * (m->K + m->V);
}

/* n tokens, each the input of the next, from the session's state. */
static int generate(bench *b, gsa_session *s, uint64_t n, uint32_t seed, double *ms, double *gpu_ns)
{
    int32_t token = 1;
    *ms = *gpu_ns = 0;
    bench_tokens(&token, 1, b->a->info.n_vocab, seed);
    for (uint64_t i = 0; i < n;) {
        int32_t made[BENCH_AT_ONCE];
        const uint32_t most = n - i < BENCH_AT_ONCE ? (uint32_t)(n - i) : BENCH_AT_ONCE;
        uint32_t n_made = 0;
        double ns = 0;
        const double begin = app_now_ms();
        const int rc = bench_ok(eval_generate(s, token, most, NULL, NULL, 0, made, &n_made, &ns));
        if (rc) return rc;
        *ms += app_now_ms() - begin;
        *gpu_ns += ns;
        token = made[n_made - 1];
        i += n_made;
    }
    return 0;
}

int bench_decode(bench *b, gsa_session *s, uint64_t context, int32_t *tokens)
{
    const uint64_t n = b->options->n;
    bench_row *r = bench_new_row(b, "decode", "tok/s");
    gsa_snapshot *start = NULL;
    eval_result result;
    r->tokens = n;
    r->context = context;
    describe_work(b, r, 1);
    int rc = bench_ok(gsa_session_reset(s));
    if (rc == 0 && context > 0) {
        bench_tokens(tokens, context, b->a->info.n_vocab, 99);
        rc = bench_ok(eval_tokens(s, tokens, context, GSA_WANT_NOTHING, NULL, true, &result));
    }
    if (rc == 0) rc = bench_ok(gsa_session_snapshot(s, &start));
    bench_runs runs = {.b = b, .what = "decode"};
    while (rc == 0 && bench_next_run(&runs)) {
        double ms, gpu_ns;
        rc = bench_ok(gsa_session_restore(s, start));
        if (rc == 0)
            rc = generate(
                b, s, runs.counts || n < BENCH_AT_ONCE ? n : BENCH_AT_ONCE, (uint32_t)runs.n_counted + 7, &ms, &gpu_ns);
        if (rc || !runs.counts) continue;
        bench_add(r, (double)n * 1e3 / ms);
        if (gpu_ns > 0) bench_add_gpu(r, (double)n * 1e9 / gpu_ns);
    }
    gsa_snapshot_destroy(start);
    return rc;
}

static int generate_batch(bench *b, gsa_step_item *items, uint32_t n_items, uint64_t n, double *ms, double *gpu_ns)
{
    const double begin = app_now_ms();
    int rc = 0;
    *gpu_ns = 0;
    for (uint64_t i = 0; i < n && rc == 0;) {
        gsa_step *step = NULL;
        for (uint32_t k = 0; k < n_items; k++)
            items[k].n_generate = n - i < BENCH_AT_ONCE ? (uint32_t)(n - i) : BENCH_AT_ONCE;
        rc = bench_ok(gsa_step_submit(b->a->model, items, n_items, 0, &step));
        if (rc) return rc;
        rc = bench_ok(gsa_step_wait(step, UINT64_MAX));
        if (rc == 0) *gpu_ns += gsa_step_gpu_ns(step);
        const gsa_status collected = gsa_step_collect(step);
        if (rc == 0) rc = bench_ok(collected);
        i += items[0].n_generated;
        for (uint32_t k = 0; k < n_items && rc == 0; k++) {
            if (items[k].n_generated == 0) return fail("a step left out %u of %u sessions", n_items - k, n_items);
            *(int32_t *)items[k].tokens = items[k].token;
        }
    }
    *ms = app_now_ms() - begin;
    return rc;
}

int bench_decode_batch(bench *b, gsa_session *s, uint32_t batch)
{
    const uint64_t n = b->options->n;
    bench_row *r = bench_new_row(b, "decode_batch", "tok/s");
    gsa_session **sessions = calloc(batch, sizeof(gsa_session *));
    gsa_step_item *items = calloc(batch, sizeof *items);
    int32_t *made = calloc(batch, sizeof *made * (BENCH_AT_ONCE + 1)),
            *first = made ? made + batch * BENCH_AT_ONCE : NULL;
    int rc = sessions && items && made ? 0 : fail("out of memory for %u sessions", batch);
    r->tokens = n;
    r->context = gsa_session_position(s);
    r->batch = batch;
    describe_work(b, r, batch);
    if (rc == 0) bench_tokens(first, batch, b->a->info.n_vocab, 5);
    for (uint32_t i = 0; i < batch && rc == 0; i++) {
        rc = bench_ok(gsa_session_fork(s, &sessions[i]));
        items[i] = (gsa_step_item){.session = sessions[i],
            .tokens = &first[i],
            .n_tokens = 1,
            .want = GSA_WANT_TOKEN,
            .generated = made + (size_t)i * BENCH_AT_ONCE};
    }
    bench_runs runs = {.b = b, .what = "decode of a batch"};
    while (rc == 0 && bench_next_run(&runs)) {
        double ms = 0, gpu_ns = 0;
        rc = generate_batch(b, items, batch, runs.counts || n < BENCH_AT_ONCE ? n : BENCH_AT_ONCE, &ms, &gpu_ns);
        if (rc || !runs.counts) continue;
        bench_add(r, (double)n * batch * 1e3 / ms);
        if (gpu_ns > 0) bench_add_gpu(r, (double)n * batch * 1e9 / gpu_ns);
    }
    for (uint32_t i = 0; i < batch && sessions; i++) gsa_session_destroy(sessions[i]);
    free(sessions);
    free(items);
    free(made);
    return rc;
}
