/* gsa/device.h as a program sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "support/device.h"

static gsa_device *dev;

static void api_null_arguments_are_rejected(void **state)
{
    (void)state;
    size_t size;
    const char *name, *value;
    assert_int_equal(gsa_device_create(NULL, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_device_list(NULL, NULL, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_device_cache(NULL, NULL, 0, &size), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_device_cache(dev, NULL, 0, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_device_status(NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_device_validation_count(NULL), 0);
    assert_false(gsa_device_fact_get(NULL, GSA_FACT_LIMIT, 0, &name, &value));
    assert_false(gsa_device_fact_get(dev, (gsa_device_fact)3, 0, &name, &value));
    assert_false(gsa_device_fact_get(dev, GSA_FACT_LIMIT, 100000, &name, &value));
    gsa_device_info_get(NULL, NULL);
    gsa_device_destroy(NULL);
}

static void api_info_and_list_agree(void **state)
{
    (void)state;
    gsa_device_info info, infos[32];
    uint32_t n = 32;
    gsa_device_info_get(dev, &info);
    assert_int_equal(gsa_device_list(NULL, infos, &n), GSA_OK);
    assert_true(info.index < n);
    assert_string_equal(infos[info.index].name, info.name);
    assert_true(info.usable && info.memory_bytes > 0 && info.api_version > 0);
    assert_int_equal(gsa_device_status(dev), GSA_OK);
}

static void api_facts_of_each_kind_have_name_and_value(void **state)
{
    (void)state;
    for (int kind = GSA_FACT_LIMIT; kind <= GSA_FACT_VARIANT; kind++) {
        const char *name = NULL, *value = NULL;
        uint32_t n = 0;
        while (gsa_device_fact_get(dev, (gsa_device_fact)kind, n, &name, &value)) {
            assert_true(name[0] && value[0] && !strchr(value, '\n'));
            n++;
        }
        assert_true(n >= 5);
    }
}

static void api_cache_goes_round(void **state)
{
    (void)state;
    size_t size = 0, written = 0;
    assert_int_equal(gsa_device_cache(dev, NULL, 0, &size), GSA_OK);
    char *cache = malloc(size + 1000);
    assert_int_equal(gsa_device_cache(dev, cache, 1, &written), GSA_ERROR_LIMIT);
    assert_int_equal(gsa_device_cache(dev, cache, size + 1000, &written), GSA_OK);
    gsa_device_params p = test_device_params();
    gsa_device *again;
    p.cache = cache;
    p.cache_size = written;
    assert_int_equal(gsa_device_create(&p, &again), GSA_OK);
    gsa_device_destroy(again);
    free(cache);
}

static void api_unknown_mask_words_are_rejected(void **state)
{
    (void)state;
    gsa_device_params p = test_device_params();
    gsa_device *d = (gsa_device *)1;
    p.mask = "no_such_capability_or_kernel";
    assert_int_equal(gsa_device_create(&p, &d), GSA_ERROR_ARGUMENT);
    assert_null(d);
    assert_non_null(strstr(gsa_error_text(), "no_such_capability_or_kernel"));
}

static void api_cpu_device_has_no_vulkan_facts(void **state)
{
    (void)state;
    gsa_device *cpu;
    gsa_device_info info;
    size_t size = 7;
    const char *name, *value;
    const gsa_device_params p = {.struct_size = sizeof p, .select = "cpu"};
    assert_int_equal(gsa_device_create(&p, &cpu), GSA_OK);
    gsa_device_info_get(cpu, &info);
    assert_int_equal(info.type, GSA_DEVICE_REFERENCE);
    assert_true(info.usable);
    assert_int_equal(gsa_device_cache(cpu, NULL, 0, &size), GSA_OK);
    assert_int_equal(size, 0);
    for (int kind = GSA_FACT_LIMIT; kind <= GSA_FACT_VARIANT; kind++)
        assert_false(gsa_device_fact_get(cpu, (gsa_device_fact)kind, 0, &name, &value));
    assert_int_equal(gsa_device_status(cpu), GSA_OK);
    gsa_matrix_rate rate;
    assert_int_equal(gsa_device_matrix_rate(cpu, "f16", 0, &rate), GSA_ERROR_UNSUPPORTED);
    gsa_device_destroy(cpu);
}

static void api_ceilings_are_measured(void **state)
{
    (void)state;
    gsa_matrix_rate rate;
    double bytes_per_second;
    assert_int_equal(gsa_device_bandwidth(dev, 1 << 20, &bytes_per_second), GSA_OK);
    assert_true(bytes_per_second > 0);
    assert_int_equal(gsa_device_matrix_rate(dev, "q4_0", 256, &rate), GSA_OK);
    assert_true(rate.flops_per_second > 0 && rate.size == 256 && strstr(rate.kernel, "q4_0"));
    assert_int_equal(gsa_device_matrix_rate(dev, "f16", 100, &rate), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_device_matrix_rate(dev, "q5_1", 256, &rate), GSA_ERROR_ARGUMENT);
    assert_true(rate.flops_per_second == 0 && rate.size == 0);
}

/* Longer than a pass where it is cheap; the last chunk is a short one. */
static void api_recurrence_is_right_and_timed(void **state)
{
    (void)state;
    gsa_recurrence what = {sizeof what, 2, 1, 16, 16, 8, 1};
    double us[2], error;
    for (what.T = 1; what.T <= 2120; what.T += what.T == 1 ? 69 : 2050) {
        assert_int_equal(gsa_device_recurrence_time(dev, &what, us, 2, &error), GSA_OK);
        assert_true(us[0] > 0 && us[1] > 0 && error > 0 && error < 5e-3);
    }
    what.G = 3; /* does not divide H */
    assert_int_equal(gsa_device_recurrence_time(dev, &what, us, 2, &error), GSA_ERROR_ARGUMENT);
    what = (gsa_recurrence){sizeof what, 2, 1, 16, 16, 8, 0};
    assert_int_equal(gsa_device_recurrence_time(dev, &what, us, 2, &error), GSA_ERROR_ARGUMENT);
    what.T = 5;
    assert_int_equal(gsa_device_recurrence_time(dev, &what, us, 0, &error), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_device_recurrence_time(NULL, &what, us, 2, &error), GSA_ERROR_ARGUMENT);
}

int main(void)
{
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    gsa_device_destroy(dev); /* the same device again, through the public door */
    const gsa_device_params params = test_device_params();
    if (gsa_device_create(&params, &dev) != GSA_OK) {
        fprintf(stderr, "%s\n", gsa_error_text());
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_null_arguments_are_rejected),
        cmocka_unit_test(api_info_and_list_agree),
        cmocka_unit_test(api_facts_of_each_kind_have_name_and_value),
        cmocka_unit_test(api_cache_goes_round),
        cmocka_unit_test(api_unknown_mask_words_are_rejected),
        cmocka_unit_test(api_cpu_device_has_no_vulkan_facts),
        cmocka_unit_test(api_ceilings_are_measured),
        cmocka_unit_test(api_recurrence_is_right_and_timed),
    };
    return test_device_close(dev, cmocka_run_group_tests(tests, NULL, NULL));
}
