/* Golden checkpoints end to end on the test device: logits at all positions, final states and greedy continuations, for a
 * whole prompt, token by token, and in slices of 7. */
#include "golden_models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The promise for float32 math (the goldens themselves are up to 8e-6 from float64), and for products of f16, which
 * weights that are not float32 may take. */
#define BOUND      1e-4
#define BOUND_HALF 5e-3
/* Where best and second-best logit are this close, rounding may choose: the continuation ends there. */
#define MIN_GAP    (half_products ? 0.05f : 1e-3f)

static gsa_device *device;
static bool half_products; /* of the model at hand */

/* Does the device choose a kernel for this op? */
static bool has_kernel(const char *op)
{
    const char *name, *value;
    for (uint32_t i = 0; gsa_device_fact_get(device, GSA_FACT_VARIANT, i, &name, &value); i++)
        if (strcmp(name, op) == 0) return strncmp(value, "none", 4) != 0;
    return false;
}

static void check_close(
    const golden_model *m, const char *what, uint32_t slice, const float *got, const golden_array *want, size_t n)
{
    assert_non_null(want);
    if (want->n != n) fail_msg("%s: golden %s has %zu elements, expected %zu", m->name, want->name, want->n, n);
    const double error = goldens_error(got, want->f, n);
    if (!(error <= (half_products ? BOUND_HALF : BOUND)))
        fail_msg("%s: %s %s, slices of %u: off by %.3g relative", m->name, want->name, what, slice, error);
}

static void check_logits(const golden_model *m, const golden_prompt *p, uint32_t slice, const float *logits)
{
    const size_t n_vocab = m->info.n_vocab;
    const golden_array *rows = goldens_find(m->goldens, "%s.rows", p->name);
    assert_non_null(rows);
    float *kept = malloc(rows->n * n_vocab * sizeof *kept);
    assert_non_null(kept);
    for (size_t i = 0; i < rows->n; i++)
        memcpy(kept + i * n_vocab, logits + (size_t)rows->i[i] * n_vocab, n_vocab * sizeof *kept);
    check_close(m, "logits", slice, kept, goldens_find(m->goldens, "%s.logits", p->name), rows->n * n_vocab);
    free(kept);
}

static void check_states(const golden_model *m, const golden_prompt *p, uint32_t slice, const gsa_session *s)
{
    const gsa_model_info *c = &m->info;
    const size_t n = c->state_bytes / 4;
    const struct {
        const char *name;
        size_t n;
    } parts[] = {{"hk", (size_t)c->G * c->K * c->M}, {"hv", (size_t)c->G * c->M * c->V},
        {"conv_q", (size_t)c->H * c->K * c->W}, {"conv_k", (size_t)c->G * c->K * c->W},
        {"conv_v", (size_t)c->G * c->V * c->W}};
    float *state = malloc(n * sizeof *state), *at = state;
    assert_non_null(state);
    OK(gsa_session_state_wait(s, state, n));
    for (uint32_t layer = 0; layer < c->n_layers; layer++) {
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; at += parts[i++].n) {
            const golden_array *want = goldens_find(m->goldens, "%s.layer%u.%s", p->name, layer, parts[i].name);
            if (want) check_close(m, "state", slice, at, want, parts[i].n);
        }
    }
    assert_ptr_equal(at, state + n);
    free(state);
}

static void check_greedy(const golden_model *m, const golden_prompt *p, gsa_session *s)
{
    const golden_array *want = goldens_find(m->goldens, "%s.greedy_ids", p->name);
    const golden_array *gap = goldens_find(m->goldens, "%s.greedy_gap", p->name);
    assert_non_null(want);
    int32_t token = -1;
    const float *logits = gsa_session_logits(s);
    assert_non_null(logits);
    for (uint32_t i = 0; i < m->info.n_vocab; i++)
        if (token < 0 || logits[i] > logits[token]) token = (int32_t)i;
    for (size_t j = 0; j < want->n; j++) {
        if (gap && gap->n == want->n && gap->f[j] < MIN_GAP) {
            print_message("%s %s: greedy continuation compared for %zu tokens: the golden gap is %.1e there\n", m->name,
                p->name, j, (double)gap->f[j]);
            return;
        }
        if (token != want->i[j]) {
            if (gap && gap->n == 1 && gap->f[0] < MIN_GAP) return;
            fail_msg("%s %s: greedy token %zu is %d, expected %d", m->name, p->name, j, (int)token, (int)want->i[j]);
        }
        gsa_step_item item = {.session = s, .tokens = &token, .n_tokens = 1, .want = GSA_WANT_TOKEN};
        gsa_step *step = NULL;
        OK(gsa_step_submit(m->model, &item, 1, 0, &step));
        OK(gsa_step_wait(step, UINT64_MAX));
        OK(gsa_step_collect(step));
        token = item.token;
    }
}

static void match_prompt(const golden_model *m, const golden_prompt *p)
{
    const uint32_t slices[] = {p->T, 7, 1};
    float *logits = calloc((size_t)p->T * m->info.n_vocab, sizeof *logits);
    assert_non_null(logits);
    for (size_t i = 0; i < 3; i++) {
        gsa_session *s = NULL;
        OK(gsa_session_create(m->model, &s));
        for (uint32_t t = 0; t < p->T; t += slices[i]) {
            const uint32_t n = p->T - t < slices[i] ? p->T - t : slices[i];
            OK(gsa_session_eval_wait(s, p->ids + t, n, logits + (size_t)t * m->info.n_vocab));
        }
        assert_int_equal(gsa_session_position(s), p->T);
        check_logits(m, p, slices[i], logits);
        check_states(m, p, slices[i], s);
        if (i == 0) check_greedy(m, p, s);
        gsa_session_destroy(s);
    }
    free(logits);
}

static void match_model(const golden_model *m)
{
    half_products = strstr(m->name, "bf16") && has_kernel("matmul_cm_bf16");
    for_each_golden_prompt(m, match_prompt);
}

static void goldens_logits_states_and_greedy_match(void **state)
{
    (void)state;
    for_each_golden_model(device, 2, match_model);
}

static void refuse(const char *name, const char *word)
{
    char path[4096];
    gsa_model *model = (gsa_model *)1;
    assert_true(goldens_path(path, sizeof path, "models/%s", name));
    const gsa_model_params params = {.struct_size = sizeof params, .path = path};
    assert_int_equal(gsa_model_load(device, &params, &model), GSA_ERROR_UNSUPPORTED);
    assert_null(model);
    if (!strstr(gsa_error_text(), word))
        fail_msg("%s: the message '%s' does not name %s", name, gsa_error_text(), word);
}

static void goldens_other_graphs_are_refused_by_name(void **state)
{
    (void)state;
    refuse("gsa-hybrid", "attn");
    refuse("gsa-attnres", "attnres_block_size");
}

int main(void)
{
    const int absent = model_test_device_open(&device);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goldens_logits_states_and_greedy_match),
        cmocka_unit_test(goldens_other_graphs_are_refused_by_name),
    };
    const int failed = cmocka_run_group_tests_name("goldens", tests, NULL, NULL);
    return model_test_device_close(device, failed);
}
