/* The self-test at first use: right kernels stay, wrong ones give way, and the cache remembers. */
#include "golden_models.h"

#include "ops/verify.h"
#include "support/device.h"
#include "vk/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t n_warnings;

static void count_warnings(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    if (level <= GSA_LOG_WARNING && strstr(text, "known question")) n_warnings++;
}

static gsa_device *open_with(gsa_self_test self_test, const void *cache, size_t cache_size)
{
    gsa_device_params p = test_device_params();
    gsa_device *dev = NULL;
    p.self_test = self_test;
    p.cache = cache;
    p.cache_size = cache_size;
    p.log = (gsa_log){count_warnings, NULL, GSA_LOG_WARNING};
    n_warnings = 0;
    OK(gsa_device_create(&p, &dev));
    return dev;
}

/* The chosen kernel of an op, as people see it. */
static const char *fact(const gsa_device *dev, const char *op)
{
    const char *name, *value;
    for (uint32_t i = 0; gsa_device_fact_get(dev, GSA_FACT_VARIANT, i, &name, &value); i++)
        if (strcmp(name, op) == 0) return value;
    fail_msg("no op %s", op);
    return NULL;
}

static void check_answers(const golden_model *m)
{
    const golden_array *ids = goldens_find(m->goldens, "p37.ids"), *want = goldens_find(m->goldens, "p37.logits");
    int32_t tokens[37];
    gsa_session *s = NULL;
    float *logits = malloc(want->n * sizeof *logits);
    assert_non_null(logits);
    for (size_t t = 0; t < 37; t++) tokens[t] = (int32_t)ids->i[t];
    OK(gsa_session_create(m->model, &s));
    OK(gsa_session_eval_wait(s, tokens, 37, logits));
    const double error = goldens_error(logits, want->f, want->n);
    if (!(error <= 1e-4)) fail_msg("logits off by %.3g", error);
    gsa_session_destroy(s);
    free(logits);
}

static void self_test_of_right_kernels_is_kept_in_the_cache(void **state)
{
    (void)state;
    gsa_device *dev = open_with(GSA_SELF_TEST_ON, NULL, 0);
    gsa_device_memory memory;
    gsa_memory_plan plan;
    assert_null(strstr(fact(dev, "rmsnorm"), "self-test"));
    golden_model m = golden_model_open(dev, "gsa-tiny", 1);
    const uint32_t n = dev->n_self_tests;
    assert_in_range(n, 10, 40);
    assert_non_null(strstr(fact(dev, "rmsnorm"), "self-test passed"));
    assert_null(strstr(fact(dev, "embed_bf16"), "self-test")); /* not this model's */
    assert_int_equal(n_warnings, 0);
    gsa_model_plan_get(m.model, &plan);
    gsa_device_memory_get(dev, &memory);
    assert_int_equal(memory.device_peak_bytes, plan.device_bytes); /* a cap holds during the self-test, too */
    assert_true(memory.host_peak_bytes <= plan.host_bytes + plan.load_bytes);
    golden_model again = golden_model_open(dev, "gsa-tiny", 1);
    assert_int_equal(dev->n_self_tests, n);
    golden_model_close(&again);
    golden_model_close(&m);

    size_t size = 0;
    OK(gsa_device_cache(dev, NULL, 0, &size));
    char *cache = malloc(size);
    assert_non_null(cache);
    OK(gsa_device_cache(dev, cache, size, &size));
    gsa_device_destroy(dev);
    dev = open_with(GSA_SELF_TEST_ON, cache, size);
    assert_non_null(strstr(fact(dev, "rmsnorm"), "self-test passed")); /* known before any model is there */
    m = golden_model_open(dev, "gsa-tiny", 1);
    assert_int_equal(dev->n_self_tests, 0);
    golden_model_close(&m);
    gsa_device_destroy(dev);
    free(cache);
}

static void self_test_drops_a_wrong_kernel_for_the_next(void **state)
{
    (void)state;
    gsa_device *dev = open_with(GSA_SELF_TEST_ON, NULL, 0);
    const gsai_variant *first = gsai_variant_pick(dev, "matvec_f32");
    assert_non_null(first);
    if (strcmp(first->shader, "matvec_f32") == 0) { /* the portable one is the only one here */
        gsa_device_destroy(dev);
        skip();
    }
    dev->break_kernel = first->shader;
    golden_model m = golden_model_open(dev, "gsa-tiny", 1);
    assert_int_equal(n_warnings, 1);
    assert_true(gsai_variant_pick(dev, "matvec_f32") != first);
    assert_non_null(strstr(fact(dev, "matvec_f32"), "the better one gave a wrong answer"));
    check_answers(&m);
    golden_model_close(&m);

    size_t size = 0;
    OK(gsa_device_cache(dev, NULL, 0, &size));
    char *cache = malloc(size);
    assert_non_null(cache);
    OK(gsa_device_cache(dev, cache, size, &size));
    gsa_device_destroy(dev);
    dev = open_with(GSA_SELF_TEST_ON, cache, size);
    assert_non_null(strstr(fact(dev, "matvec_f32"), "the better one gave a wrong answer"));
    m = golden_model_open(dev, "gsa-tiny", 1);
    assert_int_equal(n_warnings + dev->n_self_tests, 0);
    golden_model_close(&m);
    gsa_device_destroy(dev);
    free(cache);
}

static void self_test_without_a_right_kernel_fails_the_load_by_name(void **state)
{
    (void)state;
    gsa_device *dev = open_with(GSA_SELF_TEST_ON, NULL, 0);
    gsa_device_memory memory;
    gsa_model *model = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/models/gsa-tiny", getenv("GSA_TEST_DATA"));
    const gsa_model_params params = {.struct_size = sizeof params, .path = path, .n_slots = 1};
    dev->break_kernel = "rmsnorm";
    assert_int_equal(gsa_model_load(dev, &params, &model), GSA_ERROR_UNSUPPORTED);
    assert_null(model);
    assert_non_null(strstr(gsa_error_text(), "rmsnorm"));
    gsa_device_memory_get(dev, &memory);
    assert_int_equal(memory.n_allocations, 0);
    gsa_device_destroy(dev);
}

/* Nothing is kept for a kernel that is not used. */
static void self_test_asks_before_weights_are_packed(void **state)
{
    (void)state;
    gsa_device *dev = open_with(GSA_SELF_TEST_ON, NULL, 0);
    gsa_device_memory memory;
    gsa_memory_plan with, without;
    char path[4096];
    snprintf(path, sizeof path, "%s/models/gsa-bf16-sharded", getenv("GSA_TEST_DATA"));
    gsa_model_params params = {
        .struct_size = sizeof params, .path = path, .n_slots = 1, .prompt_weights = GSA_PROMPT_WEIGHTS_OFF};
    OK(gsa_model_inspect(&params, dev, NULL, NULL, NULL, &without));
    params.prompt_weights = GSA_PROMPT_WEIGHTS_ON;
    OK(gsa_model_inspect(&params, dev, NULL, NULL, NULL, &with));
    if (with.prompt_weight_bytes > 0) {
        gsa_model *model = NULL;
        dev->break_kernel = "matmul_packed";
        OK(gsa_model_load(dev, &params, &model));
        gsa_device_memory_get(dev, &memory);
        assert_int_equal(memory.device_bytes, without.device_bytes);
        assert_int_equal(n_warnings, 1);
        gsa_model_destroy(model);
    }
    gsa_device_destroy(dev);
    if (with.prompt_weight_bytes == 0) skip();
}

static void self_test_can_be_left_out(void **state)
{
    (void)state;
    gsa_device *dev = open_with(GSA_SELF_TEST_OFF, NULL, 0);
    golden_model m = golden_model_open(dev, "gsa-tiny", 1);
    assert_int_equal(dev->n_self_tests, 0);
    golden_model_close(&m);
    gsa_device_destroy(dev);
}

/* Every op's first question fits the arena of the self-test. CPU drivers with subgroups of 16 compile all ops' kernels for
 * minutes: test_matmul asks some of them there, and this is left to the others. */
static void self_test_asks_every_op(void **state)
{
    (void)state;
    gsa_device *dev = open_with(GSA_SELF_TEST_ON, NULL, 0);
    if (dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU && dev->caps.subgroup_size > 8) {
        gsa_device_destroy(dev);
        skip();
    }
    OK(gsai_ops_self_test(dev));
    const gsai_verify_set *set;
    for (uint32_t i = 0; dev->caps.max_range_bytes >= 1u << 20 && (set = gsai_verify_set_at(i)) != NULL; i++) {
        const gsai_variant *v = gsai_variant_pick(dev, set->op);
        if (strncmp(set->op, "gsa_rows_", 9) == 0 && !gsai_variant_pick(dev, "gsa_rows_v"))
            continue; /* never used alone */
        if (v && dev->variant_verdict[v - gsai_variants] != GSAI_VERDICT_RIGHT) fail_msg("%s was not asked", v->shader);
    }
    gsa_device_destroy(dev);
}

int main(void)
{
    gsa_device *dev = NULL;
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    const int broken = test_device_close(dev, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_test_of_right_kernels_is_kept_in_the_cache),
        cmocka_unit_test(self_test_drops_a_wrong_kernel_for_the_next),
        cmocka_unit_test(self_test_without_a_right_kernel_fails_the_load_by_name),
        cmocka_unit_test(self_test_asks_before_weights_are_packed),
        cmocka_unit_test(self_test_can_be_left_out),
        cmocka_unit_test(self_test_asks_every_op),
    };
    return broken + cmocka_run_group_tests(tests, NULL, NULL);
}
