/* The whole reference forward pass against golden logits, states and greedy continuations of the original. */
#include "ref/ref.h"
#include "support/goldens.h"
#include "util/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The goldens are float32 results of the original's GPU kernels, which are up to 8e-6 from float64 themselves. */
#define BOUND    1e-5

static gsa_allocator heap;

typedef struct model {
    char name[256];
    gsai_checkpoint *checkpoint;
    goldens *goldens;
    size_t n_vocab, D, n_state;
} model;

/* Logits, hidden rows and state after some tokens. */
typedef struct result {
    float *logits, *hidden, *state;
} result;

/* Run check on every model that has goldens; a data folder without one is a failure. */
static void for_each_model(void (*check)(const model *m))
{
    char folder[2048], path[4096];
    size_t n_models = 0;

    assert_true(goldens_path(folder, sizeof folder, "models"));
    char **names = goldens_list(folder, NULL);
    for (size_t i = 0; names[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        char **files = goldens_list(path, "golden.safetensors");
        const bool has_goldens = files[0] != NULL;
        goldens_free_list(files);
        if (!has_goldens) continue;

        model m = {0};
        const gsai_checkpoint_options options = {.allocator = heap};
        snprintf(m.name, sizeof m.name, "%s", names[i]);
        if (gsai_checkpoint_open_hf(path, &options, &m.checkpoint) != GSA_OK) fail_msg("%s", gsa_error_text());
        snprintf(path, sizeof path, "%s/%s/golden.safetensors", folder, names[i]);
        m.goldens = goldens_load(path);
        assert_non_null(m.goldens);
        m.n_vocab = m.checkpoint->config.n_vocab;
        m.D = m.checkpoint->config.D;
        m.n_state = gsai_config_state_floats(&m.checkpoint->config);
        check(&m);
        goldens_free(m.goldens);
        gsai_checkpoint_close(m.checkpoint);
        n_models++;
    }
    goldens_free_list(names);
    if (n_models == 0) fail_msg("%s holds no model with goldens", folder);
}

/* Run check on every prompt of a model: arrays called PROMPT.ids. */
static void for_each_prompt(
    const model *m, void (*check)(const model *m, const char *prompt, const int32_t *ids, size_t T))
{
    size_t n_prompts = 0;

    for (size_t i = 0; i < m->goldens->n; i++) {
        const golden_array *a = &m->goldens->arrays[i];
        const size_t length = strlen(a->name);
        char prompt[64];
        if (length < 5 || length >= sizeof prompt || strcmp(a->name + length - 4, ".ids") != 0) continue;
        memcpy(prompt, a->name, length - 4);
        prompt[length - 4] = 0;

        int32_t *ids = malloc((a->n + 1) * sizeof *ids);
        assert_non_null(ids);
        assert_non_null(a->i);
        for (size_t t = 0; t < a->n; t++) ids[t] = (int32_t)a->i[t];
        check(m, prompt, ids, a->n);
        free(ids);
        n_prompts++;
    }
    if (n_prompts == 0) fail_msg("%s: no prompt in its goldens", m->name);
}

static float *zeros(size_t n)
{
    float *x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

/* All logits and hidden rows of T tokens from the empty state, at most slice tokens a call. */
static result run(const model *m, const int32_t *ids, size_t T, size_t slice)
{
    result r = {zeros(T * m->n_vocab), zeros(T * m->D), zeros(m->n_state)};

    for (size_t t = 0; t < T; t += slice) {
        const gsai_ref_wants wants = {.logits = r.logits + t * m->n_vocab, .hidden = r.hidden + t * m->D};
        const size_t n = T - t < slice ? T - t : slice;
        if (gsai_ref_forward(m->checkpoint, r.state, ids + t, n, &wants, &heap) != GSA_OK)
            fail_msg("%s: %s", m->name, gsa_error_text());
    }
    return r;
}

static void free_result(result *r)
{
    free(r->logits);
    free(r->hidden);
    free(r->state);
}

/* The golden array of a prompt, or NULL; its size must be n. */
static const golden_array *golden(const model *m, const char *prompt, const char *array, size_t n)
{
    const golden_array *a = goldens_find(m->goldens, "%s.%s", prompt, array);

    if (a && a->n != n) fail_msg("%s: golden %s has %zu elements, expected %zu", m->name, a->name, a->n, n);
    return a;
}

static void assert_close(const model *m, const float *got, const golden_array *want)
{
    assert_non_null(want->f);
    const double error = goldens_error(got, want->f, want->n);
    if (!(error <= BOUND)) fail_msg("%s: %s is off by %.3g relative", m->name, want->name, error);
}

/* Goldens keep the rows that PROMPT.rows lists. */
static void check_logits(const model *m, const char *prompt, const float *logits, size_t T)
{
    const golden_array *rows = goldens_find(m->goldens, "%s.rows", prompt);

    if (!rows || !rows->i || rows->n == 0) fail_msg("%s %s: no golden rows", m->name, prompt);
    const golden_array *want = golden(m, prompt, "logits", rows->n * m->n_vocab);
    if (!want) fail_msg("%s %s: no golden logits", m->name, prompt);

    float *got = zeros(want->n);
    for (size_t i = 0; i < rows->n; i++) {
        assert_in_range(rows->i[i], 0, T - 1);
        memcpy(got + i * m->n_vocab, logits + (size_t)rows->i[i] * m->n_vocab, m->n_vocab * sizeof *got);
    }
    assert_close(m, got, want);
    free(got);
}

static void check_states(const model *m, const char *prompt, const float *state)
{
    const gsai_config *c = &m->checkpoint->config;
    const size_t H = c->H, G = c->G, K = c->K, V = c->V, M = c->M, W = c->W;

    for (uint32_t i = 0; i < c->n_layers; i++) {
        const gsai_layer_state at = gsai_config_layer_state(c, i);
        const struct {
            const char *name;
            uint64_t offset;
            size_t n;
        } parts[] = {{"hk", at.hk, G * K * M}, {"hv", at.hv, G * M * V}, {"conv_q", at.conv_q, H * K * W},
            {"conv_k", at.conv_k, G * K * W}, {"conv_v", at.conv_v, G * V * W}};
        for (size_t j = 0; j < COUNT(parts); j++) {
            char array[64];
            snprintf(array, sizeof array, "layer%u.%s", i, parts[j].name);
            const golden_array *want = golden(m, prompt, array, parts[j].n);
            if (want) assert_close(m, state + parts[j].offset, want);
        }
        state += at.n_floats;
    }
}

static void check_greedy(const model *m, const char *prompt, const float *last_logits, float *state)
{
    const golden_array *want = goldens_find(m->goldens, "%s.greedy_ids", prompt);
    float *logits = zeros(m->n_vocab);
    const gsai_ref_wants wants = {.logits = logits};

    if (!want || !want->i) fail_msg("%s %s: no golden greedy_ids", m->name, prompt);
    memcpy(logits, last_logits, m->n_vocab * sizeof *logits);
    for (size_t j = 0; j < want->n; j++) {
        const int32_t id = gsai_ref_argmax(logits, m->n_vocab);
        if (id != want->i[j])
            fail_msg("%s %s: greedy token %zu is %ld, expected %ld", m->name, prompt, j, (long)id, (long)want->i[j]);
        assert_int_equal(gsai_ref_forward(m->checkpoint, state, &id, 1, &wants, &heap), GSA_OK);
    }
    free(logits);
}

static void match_prompt(const model *m, const char *prompt, const int32_t *ids, size_t T)
{
    result r = run(m, ids, T, T);

    check_logits(m, prompt, r.logits, T);
    check_states(m, prompt, r.state);
    check_greedy(m, prompt, r.logits + (T - 1) * m->n_vocab, r.state);
    free_result(&r);
}

static void match_model(const model *m)
{
    if (!goldens_find(m->goldens, "p37.layer0.hk")) fail_msg("%s: no golden states", m->name);
    for_each_prompt(m, match_prompt);
}

static void ref_forward_golden_models_match(void **state)
{
    (void)state;
    for_each_model(match_model);
}

static void slice_prompt(const model *m, const char *prompt, const int32_t *ids, size_t n_ids)
{
    const size_t slices[] = {1, 7, 65};
    const size_t T = 70; /* more than one block of the reference, and no more */

    if (n_ids < T) return;
    result whole = run(m, ids, T, T);

    (void)prompt;
    for (size_t i = 0; i < COUNT(slices); i++) {
        result r = run(m, ids, T, slices[i]);
        assert_memory_equal(r.logits, whole.logits, T * m->n_vocab * sizeof *r.logits);
        assert_memory_equal(r.hidden, whole.hidden, T * m->D * sizeof *r.hidden);
        assert_memory_equal(r.state, whole.state, m->n_state * sizeof *r.state);
        free_result(&r);
    }

    /* wanting less gives the same bits of what is wanted */
    const size_t firsts[] = {T / 2, T + 5};
    for (size_t i = 0; i < COUNT(firsts); i++) {
        const size_t n = firsts[i] < T ? T - firsts[i] : 0;
        float *logits = zeros(n * m->n_vocab), *past = zeros(m->n_state);
        const gsai_ref_wants wants = {.logits = logits, .first_logits = firsts[i]};
        assert_int_equal(gsai_ref_forward(m->checkpoint, past, ids, T, &wants, &heap), GSA_OK);
        assert_memory_equal(logits, whole.logits + (T - n) * m->n_vocab, n * m->n_vocab * sizeof *logits);
        assert_memory_equal(past, whole.state, m->n_state * sizeof *past);
        free(logits);
        free(past);
    }
    free_result(&whole);
}

static void slice_model(const model *m)
{
    for_each_prompt(m, slice_prompt);
}

static void ref_forward_any_slicing_gives_identical_bits(void **state)
{
    (void)state;
    for_each_model(slice_model);
}

static void *refuse(void *user, size_t size)
{
    (void)user;
    (void)size;
    return NULL;
}

static void misuse_model(const model *m)
{
    float *state = zeros(m->n_state), *before = zeros(m->n_state);
    gsa_allocator none = heap;
    const int32_t outside[] = {0, (int32_t)m->n_vocab}, negative = -1, zero = 0;

    assert_int_equal(gsai_ref_forward(m->checkpoint, state, &zero, 0, NULL, &heap), GSA_OK);
    assert_memory_equal(state, before, m->n_state * sizeof *state);
    assert_int_equal(gsai_ref_forward(m->checkpoint, state, outside, 2, NULL, &heap), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_ref_forward(m->checkpoint, state, &negative, 1, NULL, &heap), GSA_ERROR_ARGUMENT);
    none.alloc = refuse;
    assert_int_equal(gsai_ref_forward(m->checkpoint, state, &zero, 1, NULL, &none), GSA_ERROR_HOST_MEMORY);
    free(state);
    free(before);
}

static void ref_forward_misuse_is_refused(void **state)
{
    (void)state;
    for_each_model(misuse_model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ref_forward_golden_models_match),
        cmocka_unit_test(ref_forward_any_slicing_gives_identical_bits),
        cmocka_unit_test(ref_forward_misuse_is_refused),
    };
    heap = gsai_allocator_or_default(NULL);
    return cmocka_run_group_tests_name("ref_forward", tests, NULL, NULL);
}
