#include "bench.h"

#include "eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIN_COPY_REPS 7  /* what is left of a difference of two times is noisy */
#define AT_ONCE       64 /* tokens that a session generates in one step */
#define N_COPIES      4  /* state copies that are timed together: one is shorter than the way to the device and back */

void bench_tokens(int32_t *out, size_t n, uint32_t n_vocab, uint32_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        out[i] = (int32_t)((x >> 33) % n_vocab);
    }
}

static int ok(gsa_status status)
{
    return status == GSA_OK ? 0 : fail_library();
}

static bench_row *new_row(bench *b, const char *measure, const char *unit)
{
    bench_row *r = &b->rows[b->n_rows];
    if (b->n_rows + 1 < BENCH_MAX_ROWS) b->n_rows++;
    *r = (bench_row){.measure = measure, .unit = unit, .fraction = NAN};
    return r;
}

static void add(bench_row *r, double value)
{
    if (r->n < BENCH_MAX_REPS) r->values[r->n++] = value;
}

static void add_gpu(bench_row *r, double value)
{
    if (r->n_gpu < BENCH_MAX_REPS) r->gpu_values[r->n_gpu++] = value;
}

/* Evaluate, and say how long it took. */
static int timed(gsa_session *s, const int32_t *tokens, size_t n, gsa_want want, double *ms, eval_result *result)
{
    const double start = app_now_ms();
    const int rc = ok(eval_tokens(s, tokens, n, want, NULL, false, result));
    *ms = app_now_ms() - start;
    if (rc == 0 && result->n_done < n) return fail("stopped by Ctrl-C");
    return rc;
}

static int measure_prefill(bench *b, gsa_session *s, size_t n, int32_t *tokens)
{
    bench_row *rate = new_row(b, "prefill", "tok/s"), *first = new_row(b, "first_token", "ms");
    rate->tokens = first->tokens = n;
    for (uint64_t rep = 0; rep <= b->options->reps; rep++) { /* the first one warms up */
        eval_result result;
        double ms;
        report_progress((double)rep / (double)(b->options->reps + 1), "prefill");
        bench_tokens(tokens, n, b->a->info.n_vocab, (uint32_t)rep + 1);
        int rc = ok(gsa_session_reset(s));
        if (rc == 0) rc = timed(s, tokens, n, GSA_WANT_TOKEN, &ms, &result);
        if (rc) return rc;
        if (rep == 0) continue;
        add(rate, (double)n * 1e3 / ms);
        add(first, ms);
        if (result.gpu_ns > 0) {
            add_gpu(rate, (double)n * 1e9 / result.gpu_ns);
            add_gpu(first, result.gpu_ns * 1e-6);
        }
    }
    return 0;
}

static int measure_decode(bench *b, gsa_session *s, int32_t *tokens)
{
    const bench_options *o = b->options;
    bench_row *r = new_row(b, "decode", "tok/s");
    r->tokens = o->n;
    r->context = o->context;
    int rc = ok(gsa_session_reset(s));
    if (rc == 0 && o->context > 0) {
        double ms;
        eval_result result;
        bench_tokens(tokens, o->context, b->a->info.n_vocab, 99);
        rc = timed(s, tokens, o->context, GSA_WANT_NOTHING, &ms, &result);
    }
    gsa_snapshot *start = NULL;
    if (rc == 0) rc = ok(gsa_session_snapshot(s, &start));
    for (uint64_t rep = 0; rep <= o->reps && rc == 0; rep++) {
        const uint64_t n = rep == 0 ? (o->n < 4 ? o->n : 4) : o->n;
        int32_t token = 1;
        double sum_ms = 0, sum_ns = 0;
        rc = ok(gsa_session_restore(s, start));
        bench_tokens(&token, 1, b->a->info.n_vocab, (uint32_t)rep + 7);
        for (uint64_t i = 0; i < n && rc == 0;) {
            int32_t made[AT_ONCE];
            uint32_t n_made = 0;
            double gpu_ns = 0;
            report_progress(((double)rep + (double)i / (double)n) / (double)(o->reps + 1), "decode");
            const double begin = app_now_ms();
            rc = ok(eval_generate(
                s, token, n - i < AT_ONCE ? (uint32_t)(n - i) : AT_ONCE, NULL, NULL, 0, made, &n_made, &gpu_ns));
            if (rc) break;
            token = made[n_made - 1];
            sum_ms += app_now_ms() - begin;
            sum_ns += gpu_ns;
            i += n_made;
        }
        if (rc || rep == 0) continue;
        add(r, (double)n * 1e3 / sum_ms);
        if (sum_ns > 0) add_gpu(r, (double)n * 1e9 / sum_ns);
    }
    gsa_snapshot_destroy(start);
    return rc;
}

/* Sessions forked from one, each generating in the same steps. */
static int generate_batch(bench *b, gsa_step_item *items, uint32_t n_items, uint64_t n, double *ms, double *gpu_ns)
{
    const double begin = app_now_ms();
    *gpu_ns = 0;
    int rc = 0;
    for (uint64_t i = 0; i < n && rc == 0;) {
        gsa_step *step = NULL;
        for (uint32_t k = 0; k < n_items; k++) items[k].n_generate = n - i < AT_ONCE ? (uint32_t)(n - i) : AT_ONCE;
        rc = ok(gsa_step_submit(b->a->model, items, n_items, 0, &step));
        if (rc) return rc;
        rc = ok(gsa_step_wait(step, UINT64_MAX));
        if (rc == 0) *gpu_ns += gsa_step_gpu_ns(step);
        const int collected = ok(gsa_step_collect(step));
        if (rc == 0) rc = collected;
        i += items[0].n_generated;
        for (uint32_t k = 0; k < n_items && rc == 0; k++) {
            if (items[k].n_generated == 0) return fail("a step left out %u of %u sessions", n_items - k, n_items);
            *(int32_t *)items[k].tokens = items[k].token;
        }
    }
    *ms = app_now_ms() - begin;
    return rc;
}

static int measure_batch(bench *b, gsa_session *s, uint32_t batch)
{
    const bench_options *o = b->options;
    bench_row *r = new_row(b, "decode_batch", "tok/s");
    gsa_session **sessions = calloc(batch, sizeof(gsa_session *));
    gsa_step_item *items = calloc(batch, sizeof *items);
    int32_t *made = calloc(batch, sizeof *made * (AT_ONCE + 1)), *first = made ? made + batch * AT_ONCE : NULL;
    int rc = sessions && items && made ? 0 : fail("out of memory for %u sessions", batch);
    r->tokens = o->n;
    r->context = o->context;
    r->batch = batch;
    if (rc == 0) bench_tokens(first, batch, b->a->info.n_vocab, 5);
    for (uint32_t i = 0; i < batch && rc == 0; i++) {
        rc = ok(gsa_session_fork(s, &sessions[i]));
        items[i] = (gsa_step_item){.session = sessions[i],
            .tokens = &first[i],
            .n_tokens = 1,
            .want = GSA_WANT_TOKEN,
            .generated = made + (size_t)i * AT_ONCE};
    }
    for (uint64_t rep = 0; rep <= o->reps && rc == 0; rep++) {
        double ms = 0, gpu_ns = 0;
        report_progress((double)rep / (double)(o->reps + 1), "decode of a batch");
        rc = generate_batch(b, items, batch, o->n, &ms, &gpu_ns);
        if (rc || rep == 0) continue;
        add(r, (double)o->n * batch * 1e3 / ms);
        if (gpu_ns > 0) add_gpu(r, (double)o->n * batch * 1e9 / gpu_ns);
    }
    for (uint32_t i = 0; i < batch && sessions; i++) gsa_session_destroy(sessions[i]);
    free(sessions);
    free(items);
    free(made);
    return rc;
}

/* State copies are queued, not waited for; so a decode step is put behind them and its own time is taken off. */
static int measure_copies(bench *b, gsa_session *s, bool fork)
{
    bench_row *r = new_row(b, fork ? "fork" : "restore", "us");
    const uint64_t n_reps = b->options->reps > MIN_COPY_REPS ? b->options->reps : MIN_COPY_REPS;
    gsa_snapshot *snapshot = NULL;
    int rc = ok(gsa_session_snapshot(s, &snapshot));
    for (uint64_t rep = 0; rep <= n_reps && rc == 0; rep++) {
        gsa_session *forks[N_COPIES] = {0};
        eval_result result;
        double step_ms = 0, both_ms;
        const int32_t token = 1;
        rc = timed(s, &token, 1, GSA_WANT_TOKEN, &step_ms, &result);
        const double start = app_now_ms();
        for (int i = 0; i < N_COPIES && rc == 0; i++)
            rc = ok(fork ? gsa_session_fork(s, &forks[i]) : gsa_session_restore(s, snapshot));
        if (rc == 0) rc = timed(s, &token, 1, GSA_WANT_TOKEN, &both_ms, &result);
        const double us = (app_now_ms() - start - step_ms) * 1e3 / N_COPIES;
        for (int i = 0; i < N_COPIES; i++) gsa_session_destroy(forks[i]);
        if (rc == 0 && rep > 0) add(r, us > 0 ? us : 0);
    }
    gsa_snapshot_destroy(snapshot);
    return rc;
}

static int measure_save(bench *b, gsa_session *s)
{
    bench_row *save = new_row(b, "save", "us"), *load = new_row(b, "load_state", "us");
    size_t size = 0;
    int rc = ok(gsa_session_serialize_wait(s, NULL, NULL, 0, &size));
    void *data = rc == 0 ? malloc(size) : NULL;
    if (rc == 0 && !data) rc = fail("out of memory for a state of %zu bytes", size);
    for (uint64_t rep = 0; rep <= b->options->reps && rc == 0; rep++) {
        const double start = app_now_ms();
        rc = ok(gsa_session_serialize_wait(s, NULL, data, size, &size));
        const double between = app_now_ms();
        if (rc == 0) rc = ok(gsa_session_deserialize_wait(s, NULL, data, size));
        if (rc || rep == 0) continue;
        add(save, (between - start) * 1e3);
        add(load, (app_now_ms() - between) * 1e3);
    }
    free(data);
    return rc;
}

/* Before and after: a device that is throttled or shared shows here. The higher one is what the device can do. */
static void measure_bandwidth(bench *b)
{
    const uint64_t most = 1ull << 30, bytes = b->read_bytes < most ? b->read_bytes : most;
    double rate = 0;
    if (b->is_reference || gsa_device_bandwidth(b->a->device, bytes, &rate) != GSA_OK) return;
    if (!(b->bandwidth > rate)) b->bandwidth = rate;
}

int bench_measure(bench *b)
{
    const bench_options *o = b->options;
    size_t most = o->context;
    for (size_t i = 0; i < o->n_prefill; i++)
        if (o->prefill[i] > most) most = o->prefill[i];
    int32_t *tokens = malloc((most + 1) * sizeof *tokens);
    if (!tokens) return fail("out of memory for %zu tokens", most);
    gsa_device_startup startup;
    gsa_device_startup_get(b->a->device, &startup);
    add(new_row(b, "open_device", "ms"), b->a->device_ms);
    add(new_row(b, "load_model", "ms"), b->a->load_ms);
    if (isfinite(b->cold_load_ms)) {
        add(new_row(b, "load_cold", "ms"), b->cold_load_ms);
        add(new_row(b, "pipelines_cold", "ms"), b->cold_pipelines_ms);
    }
    if (!b->is_reference) {
        add(new_row(b, startup.cache_fitted ? "pipelines_warm" : "pipelines_cold", "ms"), startup.pipelines_ms);
        if (startup.n_self_tests) add(new_row(b, "self_test", "ms"), startup.self_test_ms);
    }
    if (isfinite(b->load_peak_bytes)) add(new_row(b, "load_peak_rss", "MiB"), b->load_peak_bytes / (1 << 20));
    gsa_session *s = NULL;
    measure_bandwidth(b);
    int rc = ok(gsa_session_create(b->a->model, &s));
    for (size_t i = 0; i < o->n_prefill && rc == 0; i++) rc = measure_prefill(b, s, o->prefill[i], tokens);
    if (rc == 0) rc = measure_decode(b, s, tokens);
    for (size_t i = 0; i < o->n_batch && rc == 0; i++) rc = measure_batch(b, s, (uint32_t)o->batch[i]);
    if (rc == 0) rc = measure_copies(b, s, true);
    if (rc == 0) rc = measure_copies(b, s, false);
    if (rc == 0) rc = measure_save(b, s);
    gsa_session_destroy(s);
    free(tokens);
    measure_bandwidth(b);
    report_progress(0, NULL);
    for (size_t i = 0; i < b->n_rows; i++) {
        bench_row *r = &b->rows[i];
        if (strcmp(r->measure, "decode") == 0 && b->bandwidth > 0)
            r->fraction = (double)b->read_bytes * bench_stats_of(r).median / b->bandwidth;
    }
    if (isfinite(b->bandwidth)) add(new_row(b, "read_bandwidth", "GB/s"), b->bandwidth * 1e-9);
    return rc;
}
