/* Single tokens by the resident step: the bits of the plain pass, also when its workgroups cannot all run at once. */
#include "golden_models.h"

#include "ops/resident.h"
#include "ops/staged.h"
#include "session/engine.h"
#include "session/gpu_engine.h"
#include "support/device.h"
#include "util/alloc.h"
#include "vk/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* CPU drivers take another plain pass, unless its kernels are hidden. */
#define MASK                                                                                                           \
    "norm_matvec_f32,norm_matvec_f16,norm_matvec_bf16,norm_matvec_q8_0,norm_matvec_q4_0,norm_matvec_q4_k,"             \
    "norm_matvec_q6_k"
#define N_SLOTS  2
#define N_TOKENS 6 /* two passes: four, and two more that go on from them */

static uint32_t n_given_up, n_unsupported;
static uint32_t singles;              /* of the engines to come, where not 0: as on discrete GPUs */
static uint32_t ffn_width = 256;      /* of the models to come */
static uint32_t n_windows, n_batches; /* of the last engine's resident step */
static bool has_head;
static const char *hidden = ""; /* from the devices to come: names, each behind a comma */

static void count_warnings(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    if (level > GSA_LOG_WARNING) return;
    n_given_up += strstr(text, "did not all run at once") != NULL;
    n_unsupported += strstr(text, "call by call instead") != NULL;
}

static gsa_device *open_with(const char *resident, const char *more_mask)
{
    gsa_device_params params = test_device_params();
    gsa_device *dev = NULL;
    char mask[512];
    snprintf(mask, sizeof mask, "%s%s" MASK "%s%s", params.mask ? params.mask : "", params.mask ? "," : "", hidden,
        more_mask);
    params.mask = mask;
    params.resident = resident;
    params.log = (gsa_log){count_warnings, NULL, GSA_LOG_WARNING};
    n_given_up = n_unsupported = 0;
    OK(gsa_device_create(&params, &dev));
    return dev;
}

static void close_device(gsa_device *dev)
{
    assert_int_equal(gsa_device_validation_count(dev), 0);
    gsa_device_destroy(dev);
}

static const char *const kernels[GSAI_N_TYPES] = {"resident_f32", "resident_f16", "resident_bf16", "resident_q8_0",
    "resident_q4_0", "resident_q4_k", "resident_q6_k"};

static const char *kernel_of(const gsa_device *dev, gsai_type type)
{
    if (!gsai_staged_has_dots(dev, type)) return kernels[type];
    return type == GSAI_Q8_0 ? "resident_dots_q8_0" : "resident_dots_q4_0";
}

static bool was_used(const gsa_device *dev, gsai_type type)
{
    for (uint32_t i = 0; i < gsai_n_variants; i++)
        if (strcmp(gsai_variants[i].shader, kernel_of(dev, type)) == 0) return dev->variant_used[i];
    return false;
}

/* And its question was answered: a kernel that is wrong is used for that, but no longer. */
static void assert_serves(const gsa_device *dev, gsai_type type)
{
    assert_true(was_used(dev, type));
    assert_non_null(gsai_variant_pick(dev, kernel_of(dev, type)));
}

/* Devices that can; on a CPU driver as many groups, at most as many as main has set threads. more: words. */
static gsa_device *open_resident_with(uint32_t groups, const char *more)
{
    char words[64];
    snprintf(words, sizeof words, "always,groups=%u%s", groups, more);
    gsa_device *dev = open_with(words, "");
    if (gsai_variant_pick(dev, "resident_f16") && dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) return dev;
    const bool can = gsai_variant_pick(dev, "resident_f16") && dev->caps.n_cores;
    close_device(dev);
    if (!can) skip();
    snprintf(words, sizeof words, "always%s", more);
    return open_with(words, "");
}

static gsa_device *open_resident(uint32_t groups)
{
    return open_resident_with(groups, "");
}

static gsai_config small_config(gsai_feature_map map)
{
    return (gsai_config){.n_vocab = 300,
        .n_layers = 2,
        .D = 256,
        .H = 4,
        .G = 2,
        .K = 32,
        .V = 64,
        .M = 16,
        .F = ffn_width,
        .norm_eps = 1e-6f,
        .g_norm_eps = 1e-5f,
        .gate_normalizer = 8,
        .scale = 1,
        .feature_map = map,
        .bos_id = 1,
        .eos_id = 2};
}

/* What a session has to show after a prompt and N_TOKENS generated ones, in two steps with a copy of the state between. */
typedef struct outcome {
    int32_t tokens[2 * N_TOKENS];
    uint32_t n_tokens;
    float *logits, *state;
    size_t n_vocab, n_state;
    bool stopped;
} outcome;

static void step(gsai_engine *e, gsai_span *span)
{
    gsai_job *job = NULL;
    OK(e->ops->submit(e, span, 1, 0, &job));
    assert_int_equal(span->n_done, span->n_tokens);
    OK(e->ops->wait(e, job, UINT64_MAX));
    OK(e->ops->collect(e, job));
}

static void generate(gsai_engine *e, uint32_t slot, int32_t from, gsa_sampler *sampler, int32_t stop, outcome *out)
{
    gsai_span span = {.slot = slot,
        .tokens = &from,
        .n_tokens = 1,
        .want = GSA_WANT_TOKEN,
        .sampler = sampler,
        .n_generate = N_TOKENS,
        .generated = out->tokens + out->n_tokens,
        .stop_ids = &stop,
        .n_stop = stop >= 0};
    step(e, &span);
    out->n_tokens += span.n_generated;
    out->stopped = span.stopped;
}

static outcome run(gsa_device *dev, gsai_type type, gsai_feature_map map, bool sample, int32_t stop)
{
    const gsai_config config = small_config(map);
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    const gsa_sampler_params rules = {.struct_size = sizeof rules,
        .temperature = 1.5f,
        .top_k = 50,
        .top_p = 0.95f,
        .repeat_penalty = 1.2f,
        .repeat_last_n = 8,
        .seed = 5};
    static const int32_t prompt[] = {1, 17, 250, 33, 90};
    outcome out = {.n_vocab = config.n_vocab, .n_state = gsai_config_state_floats(&config)};
    gsai_checkpoint *ck = NULL;
    gsai_engine *e = NULL;
    gsa_sampler *sampler = NULL;
    if (sample) OK(gsa_sampler_create(&rules, &sampler));
    OK(gsai_checkpoint_open_synthetic(&config, type, 7, &options, &ck));
    OK(gsai_engine_gpu_create(dev, &(gsai_engine_params){.checkpoint = ck, .n_slots = N_SLOTS}, &e));
    if (singles) ((gsai_gpu_engine *)e)->k.singles = singles;
    n_windows = ((gsai_gpu_engine *)e)->resident.shape.windows;
    n_batches = ((gsai_gpu_engine *)e)->resident.shape.batches;
    has_head = ((gsai_gpu_engine *)e)->resident.shape.head != 0;
    out.logits = malloc(out.n_vocab * sizeof *out.logits);
    out.state = malloc(out.n_state * sizeof *out.state);
    OK(e->ops->slot_zero(e, 0));
    gsai_span span = {
        .slot = 0, .tokens = prompt, .n_tokens = singles ? singles : 5, .want = GSA_WANT_TOKEN, .n_generate = 1};
    step(e, &span);
    generate(e, 0, span.token, sampler, stop, &out);
    OK(e->ops->slot_copy(e, 1, 0));
    OK(e->ops->slot_zero(e, 0));
    generate(e, 1, out.tokens[out.n_tokens - 1], sampler, stop, &out);
    span = (gsai_span){.slot = 1,
        .tokens = prompt,
        .n_tokens = 1,
        .want = GSA_WANT_LOGITS,
        .last_logits = out.logits,
        .n_generate = 1};
    step(e, &span);
    OK(e->ops->slot_read(e, 1, out.state));
    e->ops->destroy(e);
    gsai_checkpoint_close(ck);
    gsa_sampler_destroy(sampler);
    return out;
}

static void assert_same(outcome a, outcome b)
{
    assert_int_equal(a.n_tokens, b.n_tokens);
    assert_memory_equal(a.tokens, b.tokens, a.n_tokens * sizeof *a.tokens);
    assert_int_equal(a.stopped, b.stopped);
    assert_memory_equal(a.logits, b.logits, a.n_vocab * sizeof *a.logits);
    assert_memory_equal(a.state, b.state, a.n_state * sizeof *a.state);
    free(a.logits);
    free(a.state);
    free(b.logits);
    free(b.state);
}

static void resident_steps_give_the_bits_of_plain_ones(void **state)
{
    (void)state;
    gsa_device *one = open_resident(1), *two = open_resident(2), *plain = open_with("never", "");
    for (gsai_type type = GSAI_F32; type <= GSAI_Q6_K; type++) {
        const gsai_feature_map map = type % 2 ? GSAI_FEATURE_RELU : GSAI_FEATURE_SWISH;
        gsa_device *dev = type == GSAI_F16 || type == GSAI_Q4_0 ? two : one; /* waiting is slow where cores are few */
        assert_same(run(dev, type, map, false, -1), run(plain, type, map, false, -1));
        assert_serves(dev, type);
        assert_false(was_used(plain, type));
    }
    assert_int_equal(n_given_up, 0);
    close_device(plain);
    close_device(one);
    close_device(two);
}

/* Products of integers, or where devices take those of themselves, of floats. On CPU drivers the former serve where the
 * latter are hidden. */
static const char *other_products(const gsa_device *dev)
{
    return dev->caps.device_type != VK_PHYSICAL_DEVICE_TYPE_CPU
               ? ",intdot"
               : ",staged_matvec_q8_0,staged_matvec_q4_0,staged_step_q8_0,staged_step_q4_0";
}

static void resident_steps_multiply_as_plain_ones_do(void **state)
{
    (void)state;
    gsa_device *dev = open_resident(1);
    const bool has_dots[2] = {gsai_staged_has_dots(dev, GSAI_Q8_0), gsai_staged_has_dots(dev, GSAI_Q4_0)};
    const bool can = gsai_caps_has(&dev->caps, GSAI_CAP_INTEGER_DOT);
    hidden = other_products(dev);
    close_device(dev);
    if (!can) {
        hidden = "";
        skip();
    }
    dev = open_resident(1);
    gsa_device *plain = open_with("never", "");
    for (gsai_type type = GSAI_Q8_0; type <= GSAI_Q4_0; type++) {
        assert_true(gsai_staged_has_dots(dev, type) != has_dots[type - GSAI_Q8_0]);
        assert_same(run(dev, type, GSAI_FEATURE_SWISH, false, -1), run(plain, type, GSAI_FEATURE_SWISH, false, -1));
        assert_serves(dev, type);
        assert_false(was_used(plain, type));
    }
    hidden = "";
    close_device(plain);
    close_device(dev);
}

/* The widest product's x in parts, as where it does not fit shared memory while the others' do: sums go on from part to
 * part, of as many pairs at a time as a word says. The head is a phase then, but for blocks whose head is of another type,
 * or where a word says so; two tokens of the first case's prompt do not want it. */
static void resident_steps_that_take_x_in_windows_give_the_same_bits(void **state)
{
    (void)state;
    static const struct {
        gsai_type type;
        uint32_t groups, width, singles;
        const char *words;
        bool head;
    } cases[] = {{GSAI_F16, 2, 768, 3, ",window=2,carry=3", true},
        {GSAI_F32, 2, 520, 0, ",window=4,carry=2,apart=1", false}, {GSAI_Q4_0, 2, 2048, 0, ",window=1,carry=2", false},
        {GSAI_Q8_0, 1, 1024, 0, ",window=1,carry=4", true}, {GSAI_Q6_K, 2, 1280, 0, ",window=1,carry=5", true}};
    gsa_device *plain = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gsa_device *dev = open_resident_with(cases[i].groups, cases[i].words); /* skips where there are none */
        if (!plain) plain = open_with("never", "");
        ffn_width = cases[i].width;
        singles = cases[i].singles;
        const outcome expected = run(plain, cases[i].type, GSAI_FEATURE_SWISH, false, -1);
        assert_same(run(dev, cases[i].type, GSAI_FEATURE_SWISH, false, -1), expected);
        assert_serves(dev, cases[i].type);
        if (dev->caps.subgroup_size <= 32) { /* lanes have several loads */
            assert_true(n_windows > 1);
            assert_int_equal(has_head, cases[i].head);
        }
        if (dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) assert_true(n_batches > 1);
        assert_int_equal(n_given_up, 0);
        close_device(dev);
    }
    ffn_width = 256;
    singles = 0;
    close_device(plain);
}

static void resident_steps_sample_and_stop_as_plain_ones(void **state)
{
    (void)state;
    gsa_device *dev = open_resident(2), *plain = open_with("never", "");
    const outcome free_run = run(plain, GSAI_F16, GSAI_FEATURE_SWISH, true, -1);
    const int32_t stop = free_run.tokens[3];
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, true, -1), free_run);
    const outcome stopped = run(plain, GSAI_F16, GSAI_FEATURE_SWISH, true, stop);
    assert_true(stopped.n_tokens < 2 * N_TOKENS);
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, true, stop), stopped);
    close_device(plain);
    close_device(dev);
}

/* One group more than threads: it never arrives while the others wait. */
static void resident_steps_without_all_groups_fall_back_for_good(void **state)
{
    (void)state;
    gsa_device *dev = open_resident(2);
    const bool is_cpu = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    close_device(dev);
    if (!is_cpu) skip(); /* a GPU may be able to run more than it promises */
    dev = open_with("always,groups=5,polls=100000", "");
    gsa_device *plain = open_with("never", "");
    for (uint32_t i = 0; i < gsai_n_variants; i++) /* or the self-test would find out */
        if (strncmp(gsai_variants[i].op, "resident_", 9) == 0) dev->variant_verdict[i] = GSAI_VERDICT_RIGHT;
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, true, -1), run(plain, GSAI_F16, GSAI_FEATURE_SWISH, true, -1));
    assert_true(was_used(dev, GSAI_F16));
    assert_int_equal(n_given_up, 1);
    assert_null(gsai_variant_pick(dev, "resident_f16"));
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, false, -1), run(plain, GSAI_F16, GSAI_FEATURE_SWISH, false, -1));
    assert_int_equal(n_given_up, 1);
    close_device(plain);
    close_device(dev);
}

/* A group leaves in the second layer: the state of the first has been written by then. */
static void resident_steps_that_stop_half_way_leave_no_trace(void **state)
{
    (void)state;
    gsa_device *dev = open_resident(2), *plain = open_with("never", "");
    const bool is_cpu = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    close_device(dev);
    dev = open_with(is_cpu ? "always,groups=2,polls=20000000,leave=5" : "always,leave=5", "");
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, false, -1), run(plain, GSAI_F16, GSAI_FEATURE_SWISH, false, -1));
    assert_int_equal(n_given_up, 1);
    close_device(plain);
    close_device(dev);
}

/* Three tokens of a prompt take a pass each, all of one job: also when the first of them does not get through. */
static void resident_steps_of_one_job_follow_each_other(void **state)
{
    (void)state;
    gsa_device *dev = open_resident(2), *plain = open_with("never", "");
    const bool is_cpu = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    singles = 3;
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, false, -1), run(plain, GSAI_F16, GSAI_FEATURE_SWISH, false, -1));
    assert_int_equal(n_given_up, 0);
    close_device(dev);
    dev = open_with(is_cpu ? "always,groups=2,polls=20000000,leave=5" : "always,leave=5", "");
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, false, -1), run(plain, GSAI_F16, GSAI_FEATURE_SWISH, false, -1));
    assert_int_equal(n_given_up, 1);
    singles = 0;
    close_device(plain);
    close_device(dev);
}

static void resident_steps_that_fail_their_question_are_not_used(void **state)
{
    (void)state;
    gsa_device *dev = open_resident(2), *plain = open_with("never", "");
    dev->break_kernel = "resident_f16";
    n_given_up = 0;
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, false, -1), run(plain, GSAI_F16, GSAI_FEATURE_SWISH, false, -1));
    assert_null(gsai_variant_pick(dev, "resident_f16"));
    assert_int_equal(n_given_up, 0);
    close_device(plain);
    close_device(dev);
}

/* It is measured when the model is loaded, and whatever is found, sessions begin from nothing. */
static void resident_steps_that_are_measured_first_leave_no_trace(void **state)
{
    (void)state;
    gsa_device *dev = open_resident(2), *plain = open_with("never", "");
    const bool is_cpu = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    close_device(dev);
    dev = open_with(is_cpu ? "auto,groups=2,polls=20000000" : "auto", "");
    /* Measured on discrete GPUs only. Both are one, for other kernels serve them than CPU drivers. */
    dev->caps.device_type = plain->caps.device_type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    dev->tuning = GSA_TUNING_ON;
    assert_same(run(dev, GSAI_F16, GSAI_FEATURE_SWISH, false, -1), run(plain, GSAI_F16, GSAI_FEATURE_SWISH, false, -1));
    assert_true(was_used(dev, GSAI_F16));
    assert_int_equal(n_given_up, 0);
    close_device(plain);
    close_device(dev);
}

static void resident_steps_on_cpu_drivers_need_a_request(void **state)
{
    (void)state;
    gsa_device *dev = open_with("auto,groups=2", "");
    if (dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) {
        gsa_device *plain = open_with("never", "");
        assert_same(
            run(dev, GSAI_F32, GSAI_FEATURE_SWISH, false, -1), run(plain, GSAI_F32, GSAI_FEATURE_SWISH, false, -1));
        assert_false(was_used(dev, GSAI_F32));
        assert_int_equal(n_unsupported, 0);
        close_device(plain);
    }
    close_device(dev);
}

/* Refused by name, and nothing is lost but time. */
static void resident_steps_without_a_capability_are_refused_by_name(void **state)
{
    (void)state;
    gsa_device *dev = open_with("always,groups=2", ",buffer_address"), *plain = open_with("never", "");
    assert_same(run(dev, GSAI_F32, GSAI_FEATURE_SWISH, false, -1), run(plain, GSAI_F32, GSAI_FEATURE_SWISH, false, -1));
    assert_false(was_used(dev, GSAI_F32));
    assert_int_equal(n_unsupported, 1);
    close_device(plain);
    close_device(dev);
}

static void resident_words_that_are_not_known_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"sometimes", "always,groups", "always,groups=", "depth=x", "polls=99999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        gsa_device_params params = test_device_params();
        gsa_device *dev = NULL;
        params.resident = wrong[i];
        assert_int_equal(gsa_device_create(&params, &dev), GSA_ERROR_ARGUMENT);
        assert_non_null(strstr(gsa_error_text(), "resident: '"));
    }
}

int main(void)
{
    /* Before the driver starts: as many threads as workgroups that must run at once, and no more. */
    setenv("LP_NUM_THREADS", "4", 1);
    gsa_device *device;
    const int absent = model_test_device_open(&device);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resident_steps_give_the_bits_of_plain_ones),
        cmocka_unit_test(resident_steps_multiply_as_plain_ones_do),
        cmocka_unit_test(resident_steps_that_take_x_in_windows_give_the_same_bits),
        cmocka_unit_test(resident_steps_sample_and_stop_as_plain_ones),
        cmocka_unit_test(resident_steps_without_all_groups_fall_back_for_good),
        cmocka_unit_test(resident_steps_that_stop_half_way_leave_no_trace),
        cmocka_unit_test(resident_steps_of_one_job_follow_each_other),
        cmocka_unit_test(resident_steps_that_fail_their_question_are_not_used),
        cmocka_unit_test(resident_steps_that_are_measured_first_leave_no_trace),
        cmocka_unit_test(resident_steps_on_cpu_drivers_need_a_request),
        cmocka_unit_test(resident_steps_without_a_capability_are_refused_by_name),
        cmocka_unit_test(resident_words_that_are_not_known_are_refused),
    };
    const int failed = cmocka_run_group_tests_name("resident steps", tests, NULL, NULL);
    return model_test_device_close(device, failed);
}
