/* Speed with proof: what is measured (bench_measure.c), whether it can be believed (bench_check.c), how it is shown
 * (bench_report.c). */
#ifndef BENCH_H
#define BENCH_H

#include "app.h"

#define BENCH_MAX_ROWS    32
#define BENCH_MAX_REPS    101
#define BENCH_MAX_LENGTHS 8

typedef struct bench_options {
    const char *synthetic, *type; /* type NULL = f16 */
    uint64_t weight_seed, max_rows;
    uint64_t prefill[BENCH_MAX_LENGTHS];
    size_t n_prefill;
    uint64_t batch[BENCH_MAX_LENGTHS]; /* sessions that decode together */
    size_t n_batch;
    uint64_t context, n, reps;
    uint64_t search; /* seconds; 0 = none */
    bool quick, no_verify, check, profile, cold;
    bool markdown, csv;
} bench_options;

/* One measurement: values of the repeats, and of the same repeats by the GPU's clock. */
typedef struct bench_row {
    const char *measure, *unit;
    uint64_t tokens, context, batch; /* what it was measured at; batch 0 = one session */
    double values[BENCH_MAX_REPS], gpu_values[BENCH_MAX_REPS];
    size_t n, n_gpu; /* n_gpu 0: the device tells no times */
    double fraction; /* of the read bandwidth reached; NaN = does not apply */
} bench_row;

typedef struct bench {
    app *a;
    const bench_options *options;
    gsa_device_info device;
    gsa_memory_plan plan;
    char weight_type[16];
    uint64_t read_bytes;                    /* of weights, for one token */
    uint64_t model_hash;                    /* 0 = not asked: synthetic weights */
    double cold_pipelines_ms, cold_load_ms; /* of a start without a pipeline cache; NaN = not measured */
    double load_peak_bytes;                 /* host memory of the process after loading; NaN = unknown */
    /* proof */
    bool verified, is_reference;
    uint32_t n_checks, n_failed;
    double max_error;             /* largest of the checks */
    double logit_error, logit_kl; /* against the CPU reference; NaN = not checked */
    /* results */
    double bandwidth; /* bytes per second; NaN = not measured */
    bench_row rows[BENCH_MAX_ROWS];
    size_t n_rows;
} bench;

typedef struct bench_stats {
    double median, p5, p95, gpu_median; /* NaN = unknown */
} bench_stats;
bench_stats bench_stats_of(const bench_row *row);

/* Each 0, or 1 after fail(). */
int bench_measure(bench *b);
int bench_verify(bench *b);
int bench_check_model(bench *b); /* logits of a few tokens against the CPU reference */
int bench_report(const bench *b);
int bench_search(bench *b);
int bench_profile(bench *b); /* instead of all these */

/* What the model is, as a short name: the preset, or the folder's last part. */
const char *bench_model_name(const bench *b);

/* "pass", "fail", "not run". Without a pass, rows are marked INVALID. */
const char *bench_verdict(const bench *b);

/* Token ids as random as the weights: never all the same. */
void bench_tokens(int32_t *out, size_t n, uint32_t n_vocab, uint32_t seed);

#endif
