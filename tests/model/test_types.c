/* Models whose matrices have block types, mixed ones included, against the CPU reference on the same weights. */
#include "golden_models.h"

#include "ref/ref.h"
#include "session/engine.h"
#include "support/device.h"
#include "util/alloc.h"
#include "vk/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 80 columns of the output projection fall back to f16, 96 of down to q8_0 or q4_0 for the types of 256. */
static const gsai_config config = {.n_vocab = 700,
    .n_layers = 2,
    .D = 256,
    .H = 4,
    .G = 2,
    .K = 24,
    .V = 20,
    .M = 16,
    .F = 96,
    .W = 4,
    .norm_eps = 1e-6f,
    .g_norm_eps = 1e-5f,
    .gate_normalizer = 8,
    .scale = 1,
    .feature_map = GSAI_FEATURE_T2R,
    .bos_id = 1,
    .eos_id = 2};
#define N_TOKENS     76

/* Products on matrix units round their inputs to f16. */
#define BOUND        1e-4
#define MATRIX_BOUND 5e-3

/* A prompt of many rows, then few, then single ones. */
static void check_type(gsa_device *dev, gsai_type type)
{
    static const uint32_t parts[] = {69, 5, 1, 1};
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    gsai_checkpoint *ck = NULL;
    gsai_engine *e = NULL;
    OK(gsai_checkpoint_open_synthetic(&config, type, 7, &options, &ck));
    int32_t ids[N_TOKENS];
    for (int i = 0; i < N_TOKENS; i++) ids[i] = (i * 37 + 5) % (int)config.n_vocab;

    float *state = calloc(gsai_config_state_floats(&config), sizeof *state);
    float *want = malloc(sizeof(float) * N_TOKENS * config.n_vocab),
          *got = malloc(sizeof(float) * N_TOKENS * config.n_vocab);
    OK(gsai_ref_forward(ck, state, ids, N_TOKENS, &(gsai_ref_wants){.logits = want}, &options.allocator));

    OK(gsai_engine_gpu_create(dev, &(gsai_engine_params){.checkpoint = ck, .n_slots = 1}, &e));
    OK(e->ops->slot_zero(e, 0));
    for (uint32_t i = 0, at = 0; i < sizeof parts / sizeof *parts; at += parts[i], i++)
        for (uint32_t done = 0; done < parts[i];) {
            float *last = malloc(sizeof(float) * config.n_vocab);
            gsai_span span = {.tokens = ids + at + done,
                .n_tokens = parts[i] - done,
                .want = GSA_WANT_ALL_LOGITS,
                .last_logits = last,
                .all_logits = got + (uint64_t)(at + done) * config.n_vocab};
            gsai_job *job = NULL;
            OK(e->ops->submit(e, &span, 1, 0, &job));
            OK(e->ops->wait(e, job, UINT64_MAX));
            OK(e->ops->collect(e, job));
            done += span.n_done;
            free(last);
        }
    const double error = goldens_error(got, want, (uint64_t)N_TOKENS * config.n_vocab);
    if (!(error <= (gsai_caps_has(&dev->caps, GSAI_CAP_COOPMAT) ? MATRIX_BOUND : BOUND)))
        fail_msg("%s: logits off by %.3g", gsai_type_name(type), error);
    e->ops->destroy(e);
    gsai_checkpoint_close(ck);
    free(state);
    free(want);
    free(got);
}

static void check_all(const char *mask)
{
    gsa_device_params params = test_device_params();
    gsa_device *dev = NULL;
    char text[512];
    snprintf(text, sizeof text, "%s%s%s", params.mask ? params.mask : "", params.mask ? "," : "", mask);
    params.mask = text;
    OK(gsa_device_create(&params, &dev));
    for (gsai_type type = GSAI_Q8_0; type <= GSAI_Q6_K; type++) check_type(dev, type);
    gsa_device_destroy(dev);
}

static void types_of_blocks_give_the_reference_logits(void **state)
{
    (void)state;
    check_all("range=134217728");
}

/* Matrices in several parts; a part begins anywhere. */
static void types_of_blocks_in_small_bindings_give_the_reference_logits(void **state)
{
    (void)state;
    check_all("range=73728,alloc=1048576");
}

int main(void)
{
    gsa_device *device;
    const int absent = model_test_device_open(&device);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_of_blocks_give_the_reference_logits),
        cmocka_unit_test(types_of_blocks_in_small_bindings_give_the_reference_logits),
    };
    const int failed = cmocka_run_group_tests_name("types", tests, NULL, NULL);
    return model_test_device_close(device, failed);
}
