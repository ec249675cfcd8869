/* Prompts of two to four tokens, and such ends of longer ones, by the kernels of single tokens: against the reference. */
#include "golden_models.h"

#include "ref/ref.h"
#include "session/gpu_engine.h"
#include "support/device.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* CPU drivers take other kernels, unless those are hidden. */
#define MASK         "norm_matvec_f16,norm_matvec_q4_0"
#define MOST         (GSA_CHUNK + 4)

/* Products of chunks of many rows on matrix units round their inputs to f16. */
#define BOUND        1e-4
#define MATRIX_BOUND 5e-3

/* F: lanes of 4 and 8 have several loads in flight of which the last ones are beyond the row, of halves and of blocks. */
static const gsai_config config = {.n_vocab = 300,
    .n_layers = 2,
    .D = 256,
    .H = 4,
    .G = 2,
    .K = 32,
    .V = 64,
    .M = 16,
    .F = 800,
    .norm_eps = 1e-6f,
    .g_norm_eps = 1e-5f,
    .gate_normalizer = 8,
    .scale = 1,
    .bos_id = 1,
    .eos_id = 2};

static gsa_device *open_staged(const char *more_mask)
{
    gsa_device_params params = test_device_params();
    gsa_device *dev = NULL;
    char mask[512];
    snprintf(mask, sizeof mask, "%s%s" MASK "%s", params.mask ? params.mask : "", params.mask ? "," : "", more_mask);
    params.mask = mask;
    OK(gsa_device_create(&params, &dev));
    if (gsai_variant_pick(dev, "staged_matvec_f16")) return dev;
    gsa_device_destroy(dev);
    skip();
    return NULL;
}

static bool was_used(const gsa_device *dev, const char *shader)
{
    for (uint32_t i = 0; i < gsai_n_variants; i++)
        if (strcmp(gsai_variants[i].shader, shader) == 0) return dev->variant_used[i];
    return false;
}

static gsai_engine *new_engine(gsa_device *dev, const gsai_checkpoint *ck)
{
    gsai_engine *e = NULL;
    OK(gsai_engine_gpu_create(dev, &(gsai_engine_params){.checkpoint = ck, .n_slots = 1}, &e));
    if (dev->caps.device_type != VK_PHYSICAL_DEVICE_TYPE_CPU) assert_true(((gsai_gpu_engine *)e)->most_staged >= 2);
    ((gsai_gpu_engine *)e)->most_staged = 4; /* also where matrix units would take three, with an error of theirs */
    return e;
}

static void check_prompt(gsai_engine *e, const gsai_checkpoint *ck, uint32_t n, bool on_matrix_units)
{
    const gsa_allocator *a = &ck->allocator;
    const size_t n_state = gsai_config_state_floats(&config);
    float *want_state = calloc(n_state, sizeof *want_state), *state = malloc(n_state * sizeof *state);
    float *want = malloc(sizeof(float) * n * config.n_vocab), *got = malloc(sizeof(float) * config.n_vocab);
    int32_t ids[MOST];
    gsai_job *job = NULL;
    for (uint32_t i = 0; i < n; i++) ids[i] = (int32_t)((i * 37 + 5 + n) % config.n_vocab);
    OK(gsai_ref_forward(ck, want_state, ids, n, &(gsai_ref_wants){.logits = want}, a));

    gsai_span span = {.tokens = ids, .n_tokens = n, .want = GSA_WANT_LOGITS, .last_logits = got, .n_generate = 1};
    OK(e->ops->slot_zero(e, 0));
    OK(e->ops->submit(e, &span, 1, 0, &job));
    OK(e->ops->wait(e, job, UINT64_MAX));
    OK(e->ops->collect(e, job));
    assert_int_equal(span.n_done, n);
    OK(e->ops->slot_read(e, 0, state));
    const double bound = on_matrix_units && n >= GSA_CHUNK ? MATRIX_BOUND : BOUND;
    const double error = goldens_error(got, want + (uint64_t)(n - 1) * config.n_vocab, config.n_vocab),
                 state_error = goldens_error(state, want_state, n_state);
    if (!(error <= bound)) fail_msg("%u tokens: logits off by %.3g", n, error);
    if (!(state_error <= bound)) fail_msg("%u tokens: state off by %.3g", n, state_error);
    free(want_state);
    free(state);
    free(want);
    free(got);
}

static void check_type(gsa_device *dev, gsai_type type)
{
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    static const uint32_t lengths[] = {2, 3, 4, GSA_CHUNK + 2, GSA_CHUNK + 4};
    gsai_checkpoint *ck = NULL;
    OK(gsai_checkpoint_open_synthetic(&config, type, 7, &options, &ck));
    gsai_engine *e = new_engine(dev, ck);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check_prompt(e, ck, lengths[i], gsai_caps_has(&dev->caps, GSAI_CAP_COOPMAT));
    e->ops->destroy(e);
    gsai_checkpoint_close(ck);
}

static void few_tokens_give_the_logits_and_the_state_of_the_reference(void **state)
{
    (void)state;
    gsa_device *dev = open_staged("");
    check_type(dev, GSAI_F16);
    check_type(dev, GSAI_Q4_0);
    assert_true(was_used(dev, "staged_step_f16"));
    assert_true(was_used(dev, "staged_step_q4_0")); /* of floats, also where single tokens take integers */
    assert_int_equal(was_used(dev, "gsa_few_mix"), gsai_variant_pick(dev, "gsa_few_mix") != NULL);
    assert_int_equal(gsa_device_validation_count(dev), 0);
    gsa_device_destroy(dev);
}

/* Where products of floats are hidden, those of integers serve a few tokens, too. */
static void few_tokens_by_integers_do_so_too(void **state)
{
    (void)state;
    gsa_device *dev = open_staged(",staged_matvec_q4_0,staged_step_q4_0");
    const bool can = gsai_variant_pick(dev, "staged_dots_q4_0") && gsai_variant_pick(dev, "staged_dots_step_q4_0");
    if (can) check_type(dev, GSAI_Q4_0);
    assert_int_equal(was_used(dev, "staged_dots_step_q4_0"), can);
    assert_int_equal(gsa_device_validation_count(dev), 0);
    gsa_device_destroy(dev);
    if (!can) skip();
}

/* As where a workgroup has less memory: the step is that of any few rows. */
static void few_tokens_without_a_step_of_their_own_do_so_too(void **state)
{
    (void)state;
    gsa_device *dev = open_staged(",gsa_few_mix");
    check_type(dev, GSAI_F16);
    assert_false(was_used(dev, "gsa_few_mix"));
    assert_int_equal(gsa_device_validation_count(dev), 0);
    gsa_device_destroy(dev);
}

int main(void)
{
    gsa_device *device;
    const int absent = model_test_device_open(&device);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_tokens_give_the_logits_and_the_state_of_the_reference),
        cmocka_unit_test(few_tokens_by_integers_do_so_too),
        cmocka_unit_test(few_tokens_without_a_step_of_their_own_do_so_too),
    };
    const int failed = cmocka_run_group_tests_name("few tokens", tests, NULL, NULL);
    return model_test_device_close(device, failed);
}
