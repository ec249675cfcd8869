/* gsa-vk bench --profile: what a decode step and a prefill pass are made of, call by call. */
#include "bench.h"

#include "format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LABELS 128

typedef struct label_sum {
    const char *label; /* static text of the library */
    uint64_t n_calls;
    double ns;
} label_sum;

typedef struct profile {
    label_sum sums[MAX_LABELS];
    size_t n;
    double ns;
    uint64_t n_steps, n_tokens;
} profile;

static void on_call(void *user, const char *label, double ns)
{
    profile *p = user;
    size_t i = 0;
    while (i < p->n && strcmp(p->sums[i].label, label) != 0) i++;
    if (i == MAX_LABELS) i--;
    if (i == p->n) p->sums[p->n++] = (label_sum){label, 0, 0};
    p->sums[i].n_calls++;
    p->sums[i].ns += ns;
    p->ns += ns;
}

static int by_time(const void *a, const void *b)
{
    const double x = ((const label_sum *)a)->ns, y = ((const label_sum *)b)->ns;
    return (x < y) - (x > y);
}

/* One step; p NULL: only warm up. */
static int run_items(const bench *b, gsa_step_item *items, uint32_t n, profile *p)
{
    gsa_step *step = NULL;
    gsa_status status = gsa_step_submit(b->a->model, items, n, 0, &step);
    if (status != GSA_OK) return fail_library();
    status = gsa_step_wait(step, UINT64_MAX);
    if (status == GSA_OK && p) {
        gsa_step_profile(step, on_call, p);
        p->n_steps++;
        for (uint32_t i = 0; i < n; i++) p->n_tokens += items[i].n_done;
    }
    const gsa_status collected = gsa_step_collect(step);
    return status == GSA_OK && collected == GSA_OK ? 0 : fail_library();
}

static int run_step(const bench *b, gsa_session *s, const int32_t *tokens, uint32_t n, profile *p)
{
    gsa_step_item item = {.session = s, .tokens = tokens, .n_tokens = n, .want = GSA_WANT_TOKEN};
    return run_items(b, &item, 1, p);
}

static void print_profile(const char *what, profile *p)
{
    const double steps = (double)p->n_steps;
    qsort(p->sums, p->n, sizeof p->sums[0], by_time);
    printf("\n%s: %.0f tokens a step, %.1f us of calls, %.1f us a token\n", what, (double)p->n_tokens / steps,
        p->ns / steps * 1e-3, p->ns * 1e-3 / (double)p->n_tokens);
    printf("  %-28s %8s %12s %12s %8s\n", "call", "calls", "us a call", "us a step", "share");
    for (size_t i = 0; i < p->n; i++) {
        const label_sum *l = &p->sums[i];
        printf("  %-28s %8.4g %12.2f %12.1f %7.1f%%\n", l->label, (double)l->n_calls / steps,
            l->ns * 1e-3 / (double)l->n_calls, l->ns / steps * 1e-3, 100 * l->ns / p->ns);
    }
}

static int print_profile_json(const bench *b, const char *what, profile *p)
{
    const double steps = (double)p->n_steps;
    json_t *calls = json_array();
    qsort(p->sums, p->n, sizeof p->sums[0], by_time);
    for (size_t i = 0; i < p->n; i++) {
        const label_sum *l = &p->sums[i];
        json_array_append_new(calls, json_pack("{s:s, s:f, s:f, s:f, s:f}", "call", l->label, "calls_per_step",
                                         (double)l->n_calls / steps, "us_per_call", l->ns * 1e-3 / (double)l->n_calls,
                                         "us_per_step", l->ns / steps * 1e-3, "share", l->ns / p->ns));
    }
    return format_json_print(json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:f, s:f, s:o}", "schema", "gsa-vk-profile",
                                 "measure", what, "schema_version", 1, "device", b->device.name, "driver",
                                 b->device.driver, "model", format_json_text(b->name), "tokens_per_step",
                                 (double)p->n_tokens / steps, "us_per_step", p->ns / steps * 1e-3, "calls", calls),
        0);
}

static int show(const bench *b, const char *what, profile *p)
{
    if (b->a->json) return print_profile_json(b, what, p);
    print_profile(what, p);
    return 0;
}

/* name: "decode", or the measure's name with its number. */
static int show_once(const bench *b, const char *what, uint64_t number, profile *p)
{
    char name[32];
    if (p->n == 0) return fail("this device tells no times of GPU calls: there is nothing to profile");
    if (number)
        snprintf(name, sizeof name, "%s %llu", what, (unsigned long long)number);
    else
        snprintf(name, sizeof name, "%s", what);
    const int rc = show(b, name, p);
    memset(p, 0, sizeof *p);
    return rc;
}

static int profile_prompts(bench *b, gsa_session *s, const int32_t *tokens, profile *decode, profile *prefill)
{
    const bench_list *list = &b->options->prefill;
    int rc = 0;
    for (size_t k = 0; k < list->n && rc == 0; k++) {
        for (uint64_t i = 0; i <= b->options->reps && rc == 0; i++) { /* the first of each warms up */
            rc = gsa_session_reset(s) == GSA_OK ? run_step(b, s, tokens, (uint32_t)list->at[k], i ? prefill : NULL)
                                                : fail_library();
            for (int t = 0; t < 4 && rc == 0 && k == 0; t++) rc = run_step(b, s, tokens, 1, i ? decode : NULL);
        }
        if (rc == 0 && k == 0 && decode->n > 0 && !b->a->json)
            printf("%s on %s, %s; each call between two timestamps, so sums are more than a step takes without\n",
                b->name, b->device.name, b->device.driver);
        if (rc == 0 && k == 0) rc = show_once(b, "decode", 0, decode);
        if (rc == 0) rc = show_once(b, "prefill", list->n > 1 ? list->at[k] : 0, prefill);
    }
    return rc;
}

static int profile_batch(bench *b, gsa_session *s, const int32_t *tokens, uint32_t batch, profile *p)
{
    gsa_session **sessions = calloc(batch, sizeof(gsa_session *));
    gsa_step_item *items = calloc(batch, sizeof *items);
    int rc = sessions && items ? 0 : fail("out of memory for %u sessions", batch);
    for (uint32_t i = 0; i < batch && rc == 0; i++) {
        rc = gsa_session_fork(s, &sessions[i]) == GSA_OK ? 0 : fail_library();
        items[i] = (gsa_step_item){.session = sessions[i], .tokens = &tokens[i], .n_tokens = 1, .want = GSA_WANT_TOKEN};
    }
    for (uint64_t i = 0; i <= 4 * b->options->reps && rc == 0; i++) rc = run_items(b, items, batch, i >= 2 ? p : NULL);
    for (uint32_t i = 0; i < batch && sessions; i++) gsa_session_destroy(sessions[i]);
    free(sessions);
    free(items);
    return rc ? rc : show_once(b, "decode of a batch of", batch, p);
}

int bench_profile(bench *b)
{
    const bench_list *prefill = &b->options->prefill, *batch = &b->options->batch;
    profile *sums = calloc(2, sizeof *sums);
    uint64_t n = 1;
    for (size_t i = 0; i < prefill->n; i++) n = prefill->at[i] > n ? prefill->at[i] : n;
    for (size_t i = 0; i < batch->n; i++) n = batch->at[i] > n ? batch->at[i] : n;
    int32_t *tokens = malloc(n * sizeof *tokens);
    gsa_session *s = NULL;
    int rc = sums && tokens ? 0 : fail("out of memory");
    if (rc == 0 && gsa_session_create(b->a->model, &s) != GSA_OK) rc = fail_library();
    if (rc == 0) bench_tokens(tokens, n, b->a->info.n_vocab, 1);
    if (rc == 0) rc = profile_prompts(b, s, tokens, &sums[0], &sums[1]);
    for (size_t i = 0; i < batch->n && rc == 0; i++) rc = profile_batch(b, s, tokens, (uint32_t)batch->at[i], &sums[0]);
    gsa_session_destroy(s);
    free(sums);
    free(tokens);
    return rc;
}
