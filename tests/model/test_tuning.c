/* The search over kernel shapes: bounded, remembered, and never seen in a result. */
#include "golden_models.h"

#include "support/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MODEL "gsa-tiny"
#define T     21

static gsa_device *open_with(gsa_tuning tuning, const char *mask, const void *cache, size_t cache_size)
{
    gsa_device_params p = test_device_params();
    gsa_device *dev = NULL;
    char both[512];
    snprintf(both, sizeof both, "%s%s%s", p.mask ? p.mask : "", p.mask && mask ? "," : "", mask ? mask : "");
    p.mask = both;
    p.tuning = tuning;
    p.self_test = GSA_SELF_TEST_OFF;
    p.cache = cache;
    p.cache_size = cache_size;
    OK(gsa_device_create(&p, &dev));
    return dev;
}

/* What stands aside on this kind of device: CPU drivers take the kernels without staging, GPUs those with. */
static const char *other_kernels(const gsa_device *dev)
{
    return dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU ? "matvec_f32_sg,norm_matvec_f32"
                                                                : "staged_matvec_f32,staged_step_f32";
}

/* Logits of a prompt, token by token. */
static float *answers(gsa_device *dev, size_t *n)
{
    golden_model m = golden_model_open(dev, MODEL, 1);
    const golden_array *ids = goldens_find(m.goldens, "p37.ids");
    gsa_session *s = NULL;
    *n = (size_t)T * m.info.n_vocab;
    float *logits = malloc(*n * sizeof *logits);
    assert_non_null(logits);
    OK(gsa_session_create(m.model, &s));
    for (uint32_t t = 0; t < T; t++) {
        const int32_t token = (int32_t)ids->i[t];
        OK(gsa_session_eval_wait(s, &token, 1, logits + (size_t)t * m.info.n_vocab));
    }
    gsa_session_destroy(s);
    golden_model_close(&m);
    return logits;
}

static char *cache_of(gsa_device *dev, size_t *size)
{
    OK(gsa_device_cache(dev, NULL, 0, size));
    char *cache = malloc(*size);
    assert_non_null(cache);
    OK(gsa_device_cache(dev, cache, *size, size));
    return cache;
}

static bool can_search(const gsa_device *dev)
{
    return gsai_caps_has(&dev->caps, GSAI_CAP_TIMESTAMPS | GSAI_CAP_SUBGROUP_SIZE | GSAI_CAP_SUBGROUP);
}

static void assert_searched(gsa_device *dev, uint32_t n, bool now)
{
    gsa_device_startup startup;
    gsa_device_startup_get(dev, &startup);
    assert_int_equal(startup.n_tuned, n);
    assert_true(now == (startup.tuning_ms > 0));
}

/* The next start knows the same and does not search; with a damaged cache nothing is known. */
static void check_cache(gsa_device *found)
{
    const uint32_t n = found->n_tuned;
    const char *name, *value;
    size_t size = 0;
    char *cache = cache_of(found, &size);
    gsa_device *dev = open_with(GSA_TUNING_ON, NULL, cache, size);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(gsa_device_fact_get(dev, GSA_FACT_SHAPE, i, &name, &value));
        assert_string_equal(name, found->tuned[i].fact.name);
        assert_string_equal(value, found->tuned[i].fact.value);
    }
    assert_false(gsa_device_fact_get(dev, GSA_FACT_SHAPE, n, &name, &value));
    golden_model m = golden_model_open(dev, MODEL, 1);
    assert_searched(dev, n, false);
    golden_model_close(&m);
    gsa_device_destroy(dev);

    cache[size / 2] ^= 1;
    dev = open_with(GSA_TUNING_OFF, NULL, cache, size);
    assert_searched(dev, 0, false);
    gsa_device_destroy(dev);
    free(cache);
}

/* Whatever a search may find, no bit of a result changes. Shapes that do not fit a product leave its default. */
static void check_shapes(gsa_device *dev, const float *plain, size_t n)
{
    static const gsai_knobs shapes[] = {{64, 1, 8}, {128, 4, 1}, {256, 1, 4}};
    const uint32_t n_pipelines = dev->n_pipelines;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t n_found = 0;
        for (uint32_t t = 0; t < dev->n_tuned; t++) dev->tuned[t].knobs = shapes[i];
        float *shaped = answers(dev, &n_found);
        assert_int_equal(n_found, n);
        assert_memory_equal(shaped, plain, n * sizeof *plain);
        free(shaped);
    }
    assert_true(dev->n_pipelines > n_pipelines); /* so the shapes were used */
}

static void check(const char *mask, bool with_cache)
{
    size_t n = 0, n_found = 0;
    gsa_device_startup startup;
    gsa_device *dev = open_with(GSA_TUNING_OFF, mask, NULL, 0);
    float *plain = answers(dev, &n);
    assert_searched(dev, 0, false);
    gsa_device_destroy(dev);

    dev = open_with(GSA_TUNING_ON, mask, NULL, 0);
    float *found = answers(dev, &n_found);
    assert_int_equal(n_found, n);
    assert_memory_equal(found, plain, n * sizeof *plain);
    free(found);
    gsa_device_startup_get(dev, &startup);
    assert_in_range(startup.n_tuned, 3, 12);
    /* a second, and a kernel that was being compiled when it ended: CPU drivers take seconds for one */
    assert_true(startup.tuning_ms > 0 && startup.tuning_ms < 10000);
    golden_model again = golden_model_open(dev, MODEL, 1); /* a second load has nothing to search */
    gsa_device_startup after;
    gsa_device_startup_get(dev, &after);
    assert_true(after.tuning_ms == startup.tuning_ms);
    golden_model_close(&again);
    if (with_cache) check_cache(dev);
    check_shapes(dev, plain, n);
    gsa_device_destroy(dev);
    free(plain);
}

static void search_is_bounded_remembered_and_never_changes_bits(void **state)
{
    (void)state;
    gsa_device *dev = open_with(GSA_TUNING_OFF, NULL, NULL, 0);
    const char *other = other_kernels(dev);
    const bool can = can_search(dev);
    gsa_device_destroy(dev);
    if (!can) skip();
    check(NULL, true);
    check(other, false);
}

/* Loading a model on a CPU driver does not search unless told to. */
static void search_is_off_by_default_on_cpu_drivers(void **state)
{
    (void)state;
    gsa_device *dev = open_with(GSA_TUNING_DEFAULT, NULL, NULL, 0);
    if (dev->caps.device_type != VK_PHYSICAL_DEVICE_TYPE_CPU) {
        gsa_device_destroy(dev);
        skip();
    }
    golden_model m = golden_model_open(dev, MODEL, 1);
    assert_searched(dev, 0, false);
    golden_model_close(&m);
    gsa_device_destroy(dev);
}

static void count_row(void *user, const gsa_tune_row *row)
{
    uint32_t *n = user;
    assert_true(row->us > 0 && row->n_calls > 0 && row->bytes > 0 && row->group_size > 0);
    n[0]++;
    n[1] += row->is_default;
}

/* All shapes, for people: told, not kept, and not while somebody uses the model. */
static void table_of_shapes_is_told_and_nothing_kept(void **state)
{
    (void)state;
    uint32_t n[2] = {0, 0};
    gsa_session *s = NULL;
    gsa_device *dev = open_with(GSA_TUNING_OFF, NULL, NULL, 0);
    const bool can = can_search(dev);
    golden_model m = golden_model_open(dev, MODEL, 1);
    OK(gsa_session_create(m.model, &s));
    assert_int_equal(gsa_model_tune(m.model, 1, count_row, n), GSA_ERROR_BUSY);
    gsa_session_destroy(s);
    assert_int_equal(gsa_model_tune(m.model, 0, count_row, n), GSA_ERROR_ARGUMENT);
    OK(gsa_model_tune(m.model, 1, count_row, n));
    if (can && (n[0] <= n[1] || n[1] == 0)) fail_msg("%u shapes, %u defaults", n[0], n[1]);
    assert_int_equal(dev->n_tuned, 0);
    golden_model_close(&m);
    gsa_device_destroy(dev);
}

int main(void)
{
    gsa_device *dev = NULL;
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    const int broken = test_device_close(dev, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_is_bounded_remembered_and_never_changes_bits),
        cmocka_unit_test(search_is_off_by_default_on_cpu_drivers),
        cmocka_unit_test(table_of_shapes_is_told_and_nothing_kept),
    };
    return broken + cmocka_run_group_tests(tests, NULL, NULL);
}
