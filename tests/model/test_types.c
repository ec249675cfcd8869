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

static void choose_tokens(int32_t ids[N_TOKENS])
{
    for (int i = 0; i < N_TOKENS; i++) ids[i] = (i * 37 + 5) % (int)config.n_vocab;
}

/* Logits of a prompt of many rows, then few, then single ones. */
static void all_logits(gsa_device *dev, const gsai_checkpoint *ck, gsa_prompt_weights prompt_weights, float *got)
{
    static const uint32_t parts[] = {69, 5, 1, 1};
    gsai_engine *e = NULL;
    int32_t ids[N_TOKENS];
    choose_tokens(ids);
    OK(gsai_engine_gpu_create(
        dev, &(gsai_engine_params){.checkpoint = ck, .n_slots = 1, .prompt_weights = prompt_weights}, &e));
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
    e->ops->destroy(e);
}

static void check_type(gsa_device *dev, gsai_type type)
{
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    gsai_checkpoint *ck = NULL;
    int32_t ids[N_TOKENS];
    OK(gsai_checkpoint_open_synthetic(&config, type, 7, &options, &ck));
    choose_tokens(ids);

    float *state = calloc(gsai_config_state_floats(&config), sizeof *state);
    float *want = malloc(sizeof(float) * N_TOKENS * config.n_vocab),
          *got = malloc(sizeof(float) * N_TOKENS * config.n_vocab);
    OK(gsai_ref_forward(ck, state, ids, N_TOKENS, &(gsai_ref_wants){.logits = want}, &options.allocator));
    all_logits(dev, ck, GSA_PROMPT_WEIGHTS_DEFAULT, got);
    const double error = goldens_error(got, want, (uint64_t)N_TOKENS * config.n_vocab);
    if (!(error <= (gsai_caps_has(&dev->caps, GSAI_CAP_COOPMAT) ? MATRIX_BOUND : BOUND)))
        fail_msg("%s: logits off by %.3g", gsai_type_name(type), error);
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
    /* Types differ in how weights are read, which is the same at any width of vectors. CPU drivers compile for subgroups of
     * 16 for long: there one stands for all. */
    const bool slow = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU && dev->caps.subgroup_size > 8;
    for (gsai_type type = GSAI_Q8_0; type <= GSAI_Q6_K; type++)
        if (!slow || type == GSAI_Q4_0) check_type(dev, type);
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

static gsa_memory_plan plan_of(const gsa_device *dev, const gsai_checkpoint *ck, gsa_prompt_weights prompt_weights)
{
    gsa_memory_plan plan;
    OK(gsai_engine_plan(dev,
        &(gsai_engine_params){.checkpoint = ck, .n_slots = 1, .max_rows = 128, .prompt_weights = prompt_weights},
        &plan));
    return plan;
}

/* A model of q4_k, q4_0 and f16. */
static void types_of_blocks_with_weights_for_prompts_keep_their_bits(void **state)
{
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    gsa_device_params params = test_device_params();
    gsa_device *dev = NULL;
    gsai_checkpoint *ck = NULL;
    gsai_engine *e = NULL;
    gsa_device_memory memory;
    const size_t n = (size_t)N_TOKENS * config.n_vocab;
    (void)state;
    OK(gsa_device_create(&params, &dev));
    OK(gsai_checkpoint_open_synthetic(&config, GSAI_Q4_K, 7, &options, &ck));
    const gsa_memory_plan without = plan_of(dev, ck, GSA_PROMPT_WEIGHTS_OFF),
                          with = plan_of(dev, ck, GSA_PROMPT_WEIGHTS_ON);
    assert_int_equal(without.prompt_weight_bytes, 0);
    assert_int_equal(with.device_bytes, without.device_bytes + with.prompt_weight_bytes);
    if (with.prompt_weight_bytes > 0) {
        OK(gsai_engine_gpu_create(dev,
            &(gsai_engine_params){
                .checkpoint = ck, .n_slots = 1, .max_rows = 128, .prompt_weights = GSA_PROMPT_WEIGHTS_ON},
            &e));
        gsa_device_memory_get(dev, &memory);
        assert_int_equal(memory.device_bytes, with.device_bytes);
        e->ops->destroy(e);
        float *rows = malloc(n * sizeof *rows), *packed = malloc(n * sizeof *packed);
        all_logits(dev, ck, GSA_PROMPT_WEIGHTS_OFF, rows);
        all_logits(dev, ck, GSA_PROMPT_WEIGHTS_ON, packed);
        assert_memory_equal(rows, packed, n * sizeof *rows);
        static const char *const used[] = {"matmul_pack_q4_k", "matmul_pack_q4_0", "matmul_pack_f16", "matmul_packed"};
        for (size_t i = 0; i < sizeof used / sizeof *used; i++)
            assert_true(dev->variant_used[gsai_variant_pick(dev, used[i]) - gsai_variants]);
        free(rows);
        free(packed);
    }
    gsai_checkpoint_close(ck);
    gsa_device_destroy(dev);
    if (with.prompt_weight_bytes == 0) skip();
}

/* As if the device were a GPU of any size: blocks have copies only where these take an eighth of its memory at most. */
static void types_of_blocks_have_weights_for_prompts_where_these_are_small(void **state)
{
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    gsa_device_params params = test_device_params();
    gsa_device *dev = NULL;
    gsai_checkpoint *mixed = NULL, *blocks = NULL, *plain = NULL;
    (void)state;
    OK(gsa_device_create(&params, &dev));
    dev->caps.device_type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    gsai_config even = config, uneven = config;
    even.n_layers = uneven.n_layers = 8;
    even.K = even.V = 64; /* all rows are whole blocks */
    even.F = 2048;
    uneven.F = 2016; /* as in config, o is f16 */
    OK(gsai_checkpoint_open_synthetic(&uneven, GSAI_Q4_K, 7, &options, &mixed));
    OK(gsai_checkpoint_open_synthetic(&even, GSAI_Q4_K, 7, &options, &blocks));
    OK(gsai_checkpoint_open_synthetic(&even, GSAI_F16, 7, &options, &plain));
    const gsa_memory_plan of_mixed = plan_of(dev, mixed, GSA_PROMPT_WEIGHTS_ON),
                          of_blocks = plan_of(dev, blocks, GSA_PROMPT_WEIGHTS_ON),
                          of_plain = plan_of(dev, plain, GSA_PROMPT_WEIGHTS_ON);
    if (of_mixed.prompt_weight_bytes > 0) {
        const uint64_t copy = of_blocks.prompt_weight_bytes;
        uint64_t *memory = &dev->caps.device_heap_bytes;
        assert_int_equal(copy, of_plain.prompt_weight_bytes);
        assert_true(of_plain.device_bytes < 4 * copy); /* half the memory is no question */
        *memory = 8 * copy;
        assert_int_equal(plan_of(dev, blocks, GSA_PROMPT_WEIGHTS_DEFAULT).prompt_weight_bytes, copy);
        *memory = 8 * copy - 1;
        assert_int_equal(plan_of(dev, blocks, GSA_PROMPT_WEIGHTS_DEFAULT).prompt_weight_bytes, 0);
        assert_int_equal(plan_of(dev, blocks, GSA_PROMPT_WEIGHTS_ON).prompt_weight_bytes, copy);

        *memory = 2 * of_plain.device_bytes;
        assert_int_equal(plan_of(dev, plain, GSA_PROMPT_WEIGHTS_DEFAULT).prompt_weight_bytes, copy);
        *memory = 2 * of_plain.device_bytes - 1;
        assert_int_equal(plan_of(dev, plain, GSA_PROMPT_WEIGHTS_DEFAULT).prompt_weight_bytes, 0);

        *memory = 8 * of_mixed.prompt_weight_bytes;
        assert_int_equal(
            plan_of(dev, mixed, GSA_PROMPT_WEIGHTS_DEFAULT).prompt_weight_bytes, of_mixed.prompt_weight_bytes);
        *memory = 4 * of_mixed.prompt_weight_bytes; /* that of o remains */
        const uint64_t of_o = plan_of(dev, mixed, GSA_PROMPT_WEIGHTS_DEFAULT).prompt_weight_bytes;
        assert_true(of_o > 0 && of_o < of_mixed.prompt_weight_bytes / 8);
    }
    gsai_checkpoint_close(mixed);
    gsai_checkpoint_close(blocks);
    gsai_checkpoint_close(plain);
    gsa_device_destroy(dev);
    if (of_mixed.prompt_weight_bytes == 0) skip();
}

int main(void)
{
    gsa_device *device;
    const int absent = model_test_device_open(&device);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_of_blocks_have_weights_for_prompts_where_these_are_small),
        cmocka_unit_test(types_of_blocks_with_weights_for_prompts_keep_their_bits),
        cmocka_unit_test(types_of_blocks_give_the_reference_logits),
        cmocka_unit_test(types_of_blocks_in_small_bindings_give_the_reference_logits),
    };
    const int failed = cmocka_run_group_tests_name("types", tests, NULL, NULL);
    return model_test_device_close(device, failed);
}
