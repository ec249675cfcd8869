/* The measurements of a model, in order; ceilings before and after. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

static void add_startup(bench *b)
{
    gsa_device_startup startup;
    gsa_device_startup_get(b->a->device, &startup);
    bench_add(bench_new_row(b, "open_device", "ms"), b->a->device_ms);
    bench_add(bench_new_row(b, "load_model", "ms"), b->a->load_ms);
    if (isfinite(b->cold_load_ms)) {
        bench_add(bench_new_row(b, "load_cold", "ms"), b->cold_load_ms);
        bench_add(bench_new_row(b, "pipelines_cold", "ms"), b->cold_pipelines_ms);
    }
    if (!b->is_reference) {
        bench_add(
            bench_new_row(b, startup.cache_fitted ? "pipelines_warm" : "pipelines_cold", "ms"), startup.pipelines_ms);
        if (startup.n_self_tests) bench_add(bench_new_row(b, "self_test", "ms"), startup.self_test_ms);
    }
    if (isfinite(b->load_peak_bytes))
        bench_add(bench_new_row(b, "load_peak_rss", "MiB"), b->load_peak_bytes / (1 << 20));
}

static int measure_model(bench *b, gsa_session *s, int32_t *tokens)
{
    const bench_options *o = b->options;
    int rc = 0;
    for (size_t i = 0; i < o->prefill.n && rc == 0; i++) rc = bench_prefill(b, s, o->prefill.at[i], tokens);
    for (size_t i = 0; i < o->n_prompts && rc == 0; i++) rc = bench_prompt_batch(b, &o->prompts[i]);
    for (size_t i = 0; i < o->context.n && rc == 0; i++) rc = bench_decode(b, s, o->context.at[i], tokens);
    for (size_t i = 0; i < o->batch.n && rc == 0; i++) rc = bench_decode_batch(b, s, (uint32_t)o->batch.at[i]);
    if (rc == 0 && o->crossover) rc = bench_crossover(b, s);
    return rc ? rc : bench_state(b, s);
}

static uint64_t most_tokens(const bench_options *o)
{
    uint64_t most = 1;
    for (size_t i = 0; i < o->prefill.n; i++)
        if (o->prefill.at[i] > most) most = o->prefill.at[i];
    for (size_t i = 0; i < o->context.n; i++)
        if (o->context.at[i] > most) most = o->context.at[i];
    return most;
}

int bench_measure(bench *b)
{
    int rc = 0;
    add_startup(b);
    bench_ceilings(b);
    if (b->has_model) {
        gsa_session *s = NULL;
        int32_t *tokens = malloc(most_tokens(b->options) * sizeof *tokens);
        rc = tokens ? bench_ok(gsa_session_create(b->a->model, &s)) : fail("out of memory for tokens");
        if (rc == 0) rc = measure_model(b, s, tokens);
        gsa_session_destroy(s);
        free(tokens);
    }
    if (rc == 0 && b->options->op) rc = bench_op(b);
    if (rc == 0) bench_ceilings(b);
    report_progress(0, NULL);
    if (isfinite(b->bandwidth)) bench_add(bench_new_row(b, "read_bandwidth", "GB/s"), b->bandwidth * 1e-9);
    for (size_t i = 0; i < b->n_rates; i++) {
        static const char *const names[] = {"matrix_rate", "matrix_rate_own"};
        bench_row *r = bench_new_row(b, names[i], "TFLOP/s");
        r->tokens = b->rates[i].rate.size;
        bench_add(r, b->rates[i].rate.flops_per_second * 1e-12);
    }
    return rc;
}
