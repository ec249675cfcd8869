/* A device whose bindings are small: matrices in parts, states in pages, logits in pieces, the same answers. */
#include "golden_models.h"

#include "support/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* gsa-tiny has 1000 tokens of 64 f32 (256 KB, three parts), states of 8 KB a layer and slot (pages of 16), and 64 rows of
 * logits take 256 KB (three pieces). */
#define LIMITS  "range=131072,alloc=1048576"
#define N_SLOTS 40

static gsa_device *device;

static void limits_small_bindings_give_the_golden_logits(void **state)
{
    (void)state;
    golden_model m = golden_model_open(device, "gsa-tiny", N_SLOTS);
    const size_t n_vocab = m.info.n_vocab;
    const golden_array *ids = goldens_find(m.goldens, "p37.ids"), *want = goldens_find(m.goldens, "p37.logits");
    assert_non_null(ids);
    assert_non_null(want);
    assert_int_equal(want->n, ids->n * n_vocab);
    int32_t tokens[37];
    for (size_t t = 0; t < 37; t++) tokens[t] = (int32_t)ids->i[t];
    float *logits = malloc(want->n * sizeof *logits);
    assert_non_null(logits);

    /* Sessions on every page, evaluated together: the pages take turns. */
    gsa_session *sessions[N_SLOTS];
    for (uint32_t i = 0; i < N_SLOTS; i++) OK(gsa_session_create(m.model, &sessions[i]));
    const uint32_t first = 0, last = N_SLOTS - 1;
    const uint32_t chosen[] = {first, last};
    for (size_t i = 0; i < 2; i++) {
        memset(logits, 0, want->n * sizeof *logits);
        OK(gsa_session_eval_wait(sessions[chosen[i]], tokens, 37, logits));
        const double error = goldens_error(logits, want->f, want->n);
        if (!(error <= 1e-4)) fail_msg("slot %u: logits off by %.3g", chosen[i], error);
        OK(gsa_session_reset(sessions[chosen[i]]));
    }
    gsa_step_item items[2] = {{.session = sessions[first], .tokens = tokens, .n_tokens = 37, .want = GSA_WANT_LOGITS},
        {.session = sessions[last], .tokens = tokens, .n_tokens = 37, .want = GSA_WANT_LOGITS}};
    gsa_step *step = NULL;
    OK(gsa_step_submit(m.model, items, 2, 0, &step));
    OK(gsa_step_wait(step, UINT64_MAX));
    OK(gsa_step_collect(step));
    assert_int_equal(items[0].n_done, 37);
    assert_int_equal(items[1].n_done, 37);
    assert_memory_equal(
        gsa_session_logits(sessions[first]), gsa_session_logits(sessions[last]), n_vocab * sizeof(float));
    assert_true(goldens_error(gsa_session_logits(sessions[first]), want->f + 36 * n_vocab, n_vocab) <= 1e-4);

    free(logits);
    for (uint32_t i = 0; i < N_SLOTS; i++) gsa_session_destroy(sessions[i]);
    golden_model_close(&m);
}

static void limits_too_small_a_binding_is_refused_with_the_numbers(void **state)
{
    (void)state;
    gsa_device_params params = test_device_params();
    params.mask = "range=4096";
    gsa_device *small = NULL;
    gsa_model *model = NULL;
    char path[4096];
    assert_true(goldens_path(path, sizeof path, "models/gsa-tiny"));
    OK(gsa_device_create(&params, &small));
    assert_int_equal(
        gsa_model_load(small, &(gsa_model_params){.struct_size = sizeof(gsa_model_params), .path = path}, &model),
        GSA_ERROR_LIMIT);
    assert_null(model);
    assert_non_null(strstr(gsa_error_text(), "4096"));
    gsa_device_destroy(small);
}

int main(void)
{
    gsa_device_params params = test_device_params();
    char mask[512];
    snprintf(mask, sizeof mask, "%s%s%s", params.mask ? params.mask : "", params.mask ? "," : "", LIMITS);
    params.mask = mask;
    const int absent = model_test_device_open_with(&params, &device);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_small_bindings_give_the_golden_logits),
        cmocka_unit_test(limits_too_small_a_binding_is_refused_with_the_numbers),
    };
    const int failed = cmocka_run_group_tests_name("limits", tests, NULL, NULL);
    return model_test_device_close(device, failed);
}
