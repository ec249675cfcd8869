/* Rows of results, and the runs that fill them. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP_MS 100

void bench_tokens(int32_t *out, size_t n, uint32_t n_vocab, uint32_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        out[i] = (int32_t)((x >> 33) % n_vocab);
    }
}

int bench_ok(gsa_status status)
{
    if (status != GSA_OK) return fail_library();
    return interrupted() ? fail("stopped by Ctrl-C") : 0;
}

bench_row *bench_new_row(bench *b, const char *measure, const char *unit)
{
    bench_row *r = &b->rows[b->n_rows];
    if (b->n_rows + 1 < BENCH_MAX_ROWS) b->n_rows++;
    *r = (bench_row){.measure = measure, .unit = unit, .bytes_per_token = NAN, .flops_per_token = NAN, .error = NAN};
    return r;
}

void bench_add(bench_row *r, double value)
{
    if (r->n < BENCH_MAX_REPS) r->values[r->n++] = value;
}

void bench_add_gpu(bench_row *r, double value)
{
    if (r->n_gpu < BENCH_MAX_REPS) r->gpu_values[r->n_gpu++] = value;
}

bool bench_next_run(bench_runs *r)
{
    const bench *b = r->b;
    const bool has_clocks = !b->is_reference && b->device.type != GSA_DEVICE_CPU && !b->options->quick;
    if (r->start_ms == 0) {
        r->start_ms = app_now_ms();
        r->n_warm = 1;
    } else if (r->counts) {
        r->n_counted++;
    } else if (has_clocks && app_now_ms() - r->start_ms < WARM_UP_MS) {
        r->n_warm++;
    } else {
        r->counts = true;
    }
    if (r->n_counted >= b->options->reps) return false;
    report_progress((double)(r->counts + r->n_counted) / (double)(b->options->reps + 1), r->what);
    return true;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the neighbours. */
static double quantile(const double *sorted, size_t n, double q)
{
    if (n == 0) return NAN;
    const double at = q * (double)(n - 1);
    const size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (sorted[high] - sorted[low]) * (at - (double)low);
}

bench_stats bench_stats_of(const bench *b, const bench_row *row)
{
    double v[BENCH_MAX_REPS], g[BENCH_MAX_REPS], best = NAN;
    memcpy(v, row->values, sizeof v);
    memcpy(g, row->gpu_values, sizeof g);
    qsort(v, row->n, sizeof *v, by_value);
    qsort(g, row->n_gpu, sizeof *g, by_value);
    for (size_t i = 0; i < b->n_rates; i++)
        if (!(best >= b->rates[i].rate.flops_per_second)) best = b->rates[i].rate.flops_per_second;
    bench_stats s = {.median = quantile(v, row->n, 0.5),
        .min = quantile(v, row->n, 0),
        .max = quantile(v, row->n, 1),
        .p5 = quantile(v, row->n, 0.05),
        .p95 = quantile(v, row->n, 0.95),
        .gpu_median = quantile(g, row->n_gpu, 0.5)};
    s.spread = s.median != 0 ? (s.max - s.min) / s.median : NAN;
    s.of_read = s.median * row->bytes_per_token / b->bandwidth;
    s.of_matrix = s.median * row->flops_per_token / best;
    return s;
}
