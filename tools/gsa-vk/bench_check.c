#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_TOKENS 16

static void on_row(void *user, const gsa_verify_row *row)
{
    bench *b = user;
    b->n_checks++;
    if (row->error > b->max_error) b->max_error = row->error;
    report_progress(0, row->variant);
}

int bench_verify(bench *b)
{
    if (b->options->no_verify || b->is_reference) return 0;
    const double start = app_now_ms();
    const gsa_status status = gsa_device_verify(b->a->device, on_row, b, &b->n_failed);
    report_progress(0, NULL);
    b->verify_ms = app_now_ms() - start;
    b->verified = status == GSA_OK && b->n_checks > 0;
    return bench_ok(status);
}

/* The promise of the library: 1e-4 with products in f32, 5e-3 with f16 ones. The variants in use do not say which, so
 * the wider bound decides; the number itself is in the record. */
#define MAX_LOGIT_ERROR 5e-3

const char *bench_verdict(const bench *b)
{
    if (b->is_reference) return "pass";
    bool compared = b->verified;
    if (b->n_failed > 0 || b->logit_error > MAX_LOGIT_ERROR) return "fail";
    for (size_t i = 0; i < b->n_rows; i++) {
        if (b->rows[i].error > MAX_LOGIT_ERROR) return "fail";
        if (!b->has_model && isfinite(b->rows[i].error)) compared = true; /* an op alone is its own question */
    }
    return compared ? "pass" : "not run";
}

bool bench_is_valid(const bench *b)
{
    return strcmp(bench_verdict(b), "pass") == 0;
}

static int logits_of(gsa_model *model, const int32_t *tokens, float *logits)
{
    gsa_session *s = NULL;
    gsa_status status = gsa_session_create(model, &s);
    if (status == GSA_OK) status = gsa_session_eval_wait(s, tokens, N_TOKENS, logits);
    gsa_session_destroy(s);
    return status == GSA_OK ? 0 : fail_library();
}

static void compare(bench *b, const float *got, const float *want, size_t n_vocab)
{
    double difference = 0, norm = 0, worst_kl = 0;
    for (size_t i = 0; i < N_TOKENS * n_vocab; i++) {
        difference += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += (double)want[i] * want[i];
    }
    for (size_t t = 0; t < N_TOKENS; t++) {
        const float *p = want + t * n_vocab, *q = got + t * n_vocab;
        double sum_p = 0, sum_q = 0, max_p = p[0], max_q = q[0], kl = 0;
        for (size_t i = 0; i < n_vocab; i++) {
            max_p = fmax(max_p, p[i]);
            max_q = fmax(max_q, q[i]);
        }
        for (size_t i = 0; i < n_vocab; i++) {
            sum_p += exp(p[i] - max_p);
            sum_q += exp(q[i] - max_q);
        }
        for (size_t i = 0; i < n_vocab; i++) {
            const double log_p = p[i] - max_p - log(sum_p);
            kl += exp(log_p) * (log_p - (q[i] - max_q - log(sum_q)));
        }
        worst_kl = fmax(worst_kl, kl);
    }
    b->logit_error = sqrt(difference / norm);
    if (!isfinite(b->logit_error)) b->logit_error = INFINITY;
    b->logit_kl = worst_kl;
}

int bench_check_model(bench *b)
{
    const app *a = b->a;
    const bench_options *o = b->options;
    const size_t n_vocab = a->info.n_vocab;
    if (b->is_reference) return 0;
    const gsa_device_params device_params = {.struct_size = sizeof device_params, .select = "cpu"};
    const gsa_model_params params = {.struct_size = sizeof params,
        .path = o->synthetic ? NULL : a->model_path,
        .synthetic = o->synthetic,
        .synthetic_type = o->type,
        .synthetic_seed = o->weight_seed,
        .n_slots = 1,
        .state_type = a->info.state_type,
        .progress = report_library_progress};
    int32_t tokens[N_TOKENS];
    float *got = malloc(N_TOKENS * n_vocab * sizeof *got), *want = malloc(N_TOKENS * n_vocab * sizeof *want);
    gsa_device *cpu = NULL;
    gsa_model *model = NULL;
    bench_tokens(tokens, N_TOKENS, a->info.n_vocab, 3);
    int rc = got && want ? 0 : fail("out of memory for logits");
    if (rc == 0) rc = logits_of(a->model, tokens, got);
    report_progress(0, "CPU reference");
    if (rc == 0 &&
        (gsa_device_create(&device_params, &cpu) != GSA_OK || gsa_model_load(cpu, &params, &model) != GSA_OK))
        rc = fail_library();
    if (rc == 0) rc = logits_of(model, tokens, want);
    report_progress(0, NULL);
    if (rc == 0) compare(b, got, want, n_vocab);
    gsa_model_destroy(model);
    gsa_device_destroy(cpu);
    free(got);
    free(want);
    return rc;
}
