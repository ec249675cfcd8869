/* Speed with proof. What is measured: bench_prefill.c, bench_decode.c, bench_state.c, bench_op.c; against what:
 * bench_ceilings.c; in which order: bench_measure.c; whether it can be believed: bench_check.c; how it is shown:
 * bench_report.c, bench_json.c. */
#ifndef BENCH_H
#define BENCH_H

#include "app.h"

#include <jansson.h>
#include <stdio.h>

#define BENCH_MAX_ROWS   160
#define BENCH_MAX_REPS   101
#define BENCH_MAX_LIST   16
#define BENCH_AT_ONCE    64   /* tokens that a session generates in one step */
#define BENCH_MAX_LENGTH 1024 /* tokens of a short prompt */

typedef struct bench_list {
    uint64_t at[BENCH_MAX_LIST];
    size_t n;
} bench_list;

typedef struct bench_prompts { /* so many prompts of so many tokens in one step */
    uint64_t sessions, tokens;
} bench_prompts;

typedef struct bench_options {
    const char *synthetic, *type; /* type NULL = f16 */
    uint64_t weight_seed, max_rows;
    bench_list prefill, context, batch; /* prompt lengths; tokens before decoding; sessions that decode together */
    bench_prompts prompts[BENCH_MAX_LIST];
    size_t n_prompts;
    const char *op;   /* "gsa" or NULL */
    bench_list shape; /* of the op: H, G, K, V, M */
    bench_list op_tokens;
    bench_list lengths; /* of prompts that are compared with single tokens */
    uint64_t n, reps;
    uint64_t search; /* seconds; 0 = none */
    bool all, quick, crossover, no_verify, check, profile, cold;
    bool markdown, csv;
    const char *record; /* file for the JSON record beside what is printed; NULL = none */
} bench_options;

/* One measurement: values of the repeats, and of the same repeats by the GPU's clock. */
typedef struct bench_row {
    const char *measure, *unit;
    uint64_t tokens, context, batch; /* what it was measured at; batch 0 = one session */
    double values[BENCH_MAX_REPS], gpu_values[BENCH_MAX_REPS];
    size_t n, n_gpu;                         /* n_gpu 0: the device tells no times */
    double bytes_per_token, flops_per_token; /* of rates: what a token reads and computes; NaN = does not apply */
    double error;                            /* against the CPU reference; NaN = not compared by itself */
} bench_row;

typedef struct bench_rate { /* a ceiling of products */
    const char *type;
    gsa_matrix_rate rate;
} bench_rate;

typedef struct bench {
    app *a;
    const bench_options *options;
    gsa_device_info device;
    gsa_memory_plan plan;
    bool has_model; /* not when an op is measured alone */
    char name[96];  /* of the model, or of the op's shape */
    char weight_type[16];
    uint64_t read_bytes;                      /* of weights, for one token */
    uint64_t layer_parameters, head_elements; /* of matrices: what each token, and each choice, is multiplied with */
    uint64_t model_hash;                      /* see bench_describe */
    double cold_pipelines_ms, cold_load_ms;   /* of a start without a pipeline cache; NaN = not measured */
    double load_peak_bytes;                   /* host memory of the process after loading; NaN = unknown */
    /* proof */
    bool verified, is_reference;
    uint32_t n_checks, n_failed;
    double verify_ms;             /* of all checks; NaN = not asked */
    double max_error;             /* largest of the checks */
    double logit_error, logit_kl; /* against the CPU reference; NaN = not checked */
    /* results */
    double bandwidth; /* bytes per second; NaN = not measured */
    bench_rate rates[2];
    size_t n_rates;
    bench_row rows[BENCH_MAX_ROWS];
    size_t n_rows;
} bench;

typedef struct bench_stats {
    double median, min, max, p5, p95, gpu_median; /* NaN = unknown */
    double spread;                                /* (max - min) / median */
    double of_read, of_matrix;                    /* of the ceilings, by the median */
} bench_stats;
bench_stats bench_stats_of(const bench *b, const bench_row *row);

/* Each 0, or 1 after fail(). */
int bench_describe(bench *b, const gsa_model_params *params); /* weights, hash; the model is loaded */
int bench_measure(bench *b);
int bench_prefill(bench *b, gsa_session *s, uint64_t n, int32_t *tokens);
int bench_prompt_batch(bench *b, const bench_prompts *p);
int bench_crossover(bench *b, gsa_session *s); /* needs a decode row */
int bench_decode(bench *b, gsa_session *s, uint64_t context, int32_t *tokens);
int bench_decode_batch(bench *b, gsa_session *s, uint32_t batch);
int bench_state(bench *b, gsa_session *s); /* fork, restore, save, load */
int bench_op(bench *b);
void bench_ceilings(bench *b); /* call it twice: the higher value is what the device can do */
int bench_verify(bench *b);
int bench_check_model(bench *b); /* logits of a few tokens against the CPU reference */
int bench_report(const bench *b);
int bench_search(bench *b);
int bench_report_json(const bench *b, FILE *to);
int bench_profile(bench *b); /* instead of all these */

/* "pass", "fail", "not run". Without a pass, rows are marked INVALID. */
const char *bench_verdict(const bench *b);
bool bench_is_valid(const bench *b);

/* --- for those that measure --- */

/* 0, or 1 after fail(): the call failed, or Ctrl-C was pressed. */
int bench_ok(gsa_status status);
bench_row *bench_new_row(bench *b, const char *measure, const char *unit);
void bench_add(bench_row *row, double value);
void bench_add_gpu(bench_row *row, double value);

/* The runs of one measurement: first those that warm up, since pipelines are made at first use and the clocks of an idle
 * GPU are low, then those that count. */
typedef struct bench_runs {
    const bench *b;
    const char *what;
    uint64_t n_warm, n_counted;
    double start_ms;
    bool counts;
} bench_runs;
bool bench_next_run(bench_runs *runs); /* from {.b, .what} until false */

/* Token ids as random as the weights: never all the same. */
void bench_tokens(int32_t *out, size_t n, uint32_t n_vocab, uint32_t seed);

#endif
