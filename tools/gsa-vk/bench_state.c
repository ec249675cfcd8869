/* What a state of fixed size makes cheap: forks, restores, saves. */
#include "bench.h"

#include "eval.h"

#include <stdlib.h>

#define MIN_REPS 7 /* what is left of a difference of two times is noisy */
#define N_COPIES 4 /* state copies that are timed together: one is shorter than the way to the device and back */

static int one_token(gsa_session *s, double *ms)
{
    const int32_t token = 1;
    eval_result result;
    const double start = app_now_ms();
    const int rc = bench_ok(eval_tokens(s, &token, 1, GSA_WANT_TOKEN, NULL, false, &result));
    *ms = app_now_ms() - start;
    return rc;
}

/* State copies are queued, not waited for; so a decode step is put behind them and its own time is taken off. */
static int measure_copies(bench *b, gsa_session *s, bool fork)
{
    bench_row *r = bench_new_row(b, fork ? "fork" : "restore", "us");
    const uint64_t n_reps = b->options->reps > MIN_REPS ? b->options->reps : MIN_REPS;
    gsa_snapshot *snapshot = NULL;
    int rc = bench_ok(gsa_session_snapshot(s, &snapshot));
    for (uint64_t rep = 0; rep <= n_reps && rc == 0; rep++) {
        gsa_session *forks[N_COPIES] = {0};
        double step_ms = 0, both_ms;
        rc = one_token(s, &step_ms);
        const double start = app_now_ms();
        for (int i = 0; i < N_COPIES && rc == 0; i++)
            rc = bench_ok(fork ? gsa_session_fork(s, &forks[i]) : gsa_session_restore(s, snapshot));
        if (rc == 0) rc = one_token(s, &both_ms);
        const double us = (app_now_ms() - start - step_ms) * 1e3 / N_COPIES;
        for (int i = 0; i < N_COPIES; i++) gsa_session_destroy(forks[i]);
        if (rc == 0 && rep > 0) bench_add(r, us > 0 ? us : 0);
    }
    gsa_snapshot_destroy(snapshot);
    return rc;
}

static int measure_save(bench *b, gsa_session *s)
{
    bench_row *save = bench_new_row(b, "save", "us"), *load = bench_new_row(b, "load_state", "us");
    size_t size = 0;
    int rc = bench_ok(gsa_session_serialize_wait(s, NULL, NULL, 0, &size));
    void *data = rc == 0 ? malloc(size) : NULL;
    if (rc == 0 && !data) rc = fail("out of memory for a state of %zu bytes", size);
    for (uint64_t rep = 0; rep <= b->options->reps && rc == 0; rep++) {
        const double start = app_now_ms();
        rc = bench_ok(gsa_session_serialize_wait(s, NULL, data, size, &size));
        const double between = app_now_ms();
        if (rc == 0) rc = bench_ok(gsa_session_deserialize_wait(s, NULL, data, size));
        if (rc || rep == 0) continue;
        bench_add(save, (between - start) * 1e3);
        bench_add(load, (app_now_ms() - between) * 1e3);
    }
    free(data);
    return rc;
}

int bench_state(bench *b, gsa_session *s)
{
    int rc = measure_copies(b, s, true);
    if (rc == 0) rc = measure_copies(b, s, false);
    return rc ? rc : measure_save(b, s);
}
