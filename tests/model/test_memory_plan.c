/* The plan of a model's memory: what it says is taken to the byte, and what passes the cap is refused with the numbers. */
#include "golden_models.h"

#include "support/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N_PROMPT 200

static gsa_device *device;
static golden_model tiny, conv; /* plain; short convolution in the state */
static int32_t prompt[N_PROMPT];

static void model_memory_cap_is_respected(void **state)
{
    (void)state;
    gsa_memory_plan plan;
    gsa_model *m = NULL;
    gsa_model_params params = {.struct_size = sizeof params, .path = tiny.path, .n_slots = 4};
    params.prompt_weights = GSA_PROMPT_WEIGHTS_OFF;
    OK(gsa_model_inspect(&params, device, NULL, NULL, NULL, &plan));
    gsa_device_memory before, after;
    gsa_device_memory_get(device, &before);
    params.max_device_bytes = plan.device_bytes - 1;
    assert_int_equal(gsa_model_load(device, &params, &m), GSA_ERROR_DEVICE_MEMORY);
    assert_null(m);
    const uint64_t said[] = {
        plan.weight_bytes, plan.arena_bytes, plan.scratch_bytes, plan.device_bytes, params.max_device_bytes};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        char number[32];
        snprintf(number, sizeof number, "%llu", (unsigned long long)said[i]);
        assert_non_null(strstr(gsa_error_text(), number));
    }
    assert_non_null(strstr(gsa_error_text(), "fewer slots"));
    params.max_device_bytes = plan.weight_bytes;
    assert_int_equal(gsa_model_load(device, &params, &m), GSA_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(gsa_error_text(), "smaller type"));
    gsa_device_memory_get(device, &after);
    assert_int_equal(after.device_peak_bytes, before.device_peak_bytes); /* nothing was tried */
    params.max_device_bytes = plan.device_bytes;
    OK(gsa_model_load(device, &params, &m));
    gsa_memory_plan taken;
    gsa_model_plan_get(m, &taken);
    assert_memory_equal(&plan, &taken, sizeof plan);
    gsa_model_destroy(m);
}

static void check_plan(const golden_model *golden, uint32_t n_slots, uint32_t max_rows, gsa_state_type type)
{
    gsa_memory_plan plan;
    gsa_device_memory before, with, after;
    gsa_model *m = NULL;
    const gsa_model_params params = {.struct_size = sizeof params,
        .path = golden->path,
        .n_slots = n_slots,
        .max_rows = max_rows,
        .state_type = type};
    gsa_device_memory_get(device, &before);
    const gsa_status planned = gsa_model_inspect(&params, device, NULL, NULL, NULL, &plan);
    if (type == GSA_STATE_F16 && planned == GSA_ERROR_UNSUPPORTED) return;
    OK(planned);
    OK(gsa_model_load(device, &params, &m));
    gsa_device_memory_get(device, &with);
    assert_int_equal(
        plan.device_bytes, plan.weight_bytes + plan.prompt_weight_bytes + plan.arena_bytes + plan.scratch_bytes);
    assert_int_equal(with.device_bytes - before.device_bytes, plan.device_bytes);
    assert_int_equal(with.host_bytes - before.host_bytes, plan.host_bytes);

    /* No later call takes any. */
    gsa_session *s = NULL, *fork = NULL;
    OK(gsa_session_create(m, &s));
    OK(gsa_session_eval_wait(s, prompt, N_PROMPT, NULL));
    OK(gsa_session_eval_wait(s, prompt, 1, NULL));
    OK(gsa_session_fork(s, &fork));
    gsa_device_memory_get(device, &after);
    assert_int_equal(after.device_bytes, with.device_bytes);
    assert_int_equal(after.host_bytes, with.host_bytes);
    assert_int_equal(after.device_peak_bytes, with.device_peak_bytes);
    assert_int_equal(after.host_peak_bytes, with.host_peak_bytes);
    gsa_session_destroy(fork);
    gsa_session_destroy(s);
    gsa_model_destroy(m);
    gsa_device_memory_get(device, &after);
    assert_int_equal(after.device_bytes, before.device_bytes);
    assert_int_equal(after.host_bytes, before.host_bytes);
    assert_int_equal(after.n_allocations, before.n_allocations);
}

static void model_takes_exactly_the_planned_bytes(void **state)
{
    (void)state;
    check_plan(&tiny, 2, 0, GSA_STATE_F32);
    check_plan(&tiny, 37, 64, GSA_STATE_F32);
    check_plan(&conv, 3, 1000, GSA_STATE_F32);
    check_plan(&conv, 3, 64, GSA_STATE_F16);
}

int main(void)
{
    const int absent = model_test_device_open(&device);
    if (absent) return absent;
    tiny = golden_model_open(device, "gsa-tiny", 16);
    conv = golden_model_open(device, "gsa-relu-conv", 16);
    for (uint32_t i = 0; i < N_PROMPT; i++) prompt[i] = (int32_t)(i * 7919u % 311u);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_takes_exactly_the_planned_bytes),
        cmocka_unit_test(model_memory_cap_is_respected),
    };
    const int failed = cmocka_run_group_tests_name("memory plan", tests, NULL, NULL);
    golden_model_close(&tiny);
    golden_model_close(&conv);
    return model_test_device_close(device, failed);
}
