/* Loading: cancelled at every point, failing allocations in time, what is uploaded in parallel. */
#include "golden_models.h"

#include "support/counting_alloc.h"
#include "support/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct watcher {
    long calls, stop_at; /* stop_at negative: never */
    double last;
    bool goes_back; /* a fraction was less than one before */
} watcher;

static bool watch(void *user, double fraction, const char *what)
{
    watcher *w = user;
    assert_non_null(what);
    if (!(fraction >= w->last && fraction <= 1)) w->goes_back = true;
    w->last = fraction;
    return w->calls++ != w->stop_at;
}

static gsa_status load(gsa_device *dev, const char *name, watcher *w, gsa_model **model)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/models/%s", getenv("GSA_TEST_DATA"), name);
    const gsa_model_params params = {
        .struct_size = sizeof params, .path = path, .n_slots = 2, .progress = w ? watch : NULL, .progress_user = w};
    return gsa_model_load(dev, &params, model);
}

static gsa_device *open_counted(counting_alloc *c, const gsa_allocator *a)
{
    gsa_device_params p = test_device_params();
    gsa_device *dev = NULL;
    *c = (counting_alloc){.fail_at = -1};
    p.allocator = a;
    OK(gsa_device_create(&p, &dev));
    return dev;
}

static void loading_cancelled_at_any_call_frees_everything(void **state)
{
    (void)state;
    counting_alloc c;
    const gsa_allocator a = counting_allocator(&c);
    gsa_device *dev = open_counted(&c, &a);
    gsa_model *model = NULL;
    watcher whole = {.stop_at = -1};
    OK(load(dev, "gsa-relu-conv", &whole, &model));
    assert_false(whole.goes_back);
    assert_true(whole.last == 1);
    assert_true(whole.calls > 15);
    gsa_model_destroy(model);
    const long alive = c.alive; /* pipelines stay with the device */
    for (long i = 0; i < whole.calls; i++) {
        watcher w = {.stop_at = i};
        gsa_device_memory memory;
        assert_int_equal(load(dev, "gsa-relu-conv", &w, &model), GSA_ERROR_CANCELLED);
        assert_null(model);
        assert_int_equal(w.calls, i + 1); /* it is not called again */
        gsa_device_memory_get(dev, &memory);
        assert_int_equal(memory.n_allocations, 0);
        if (c.alive != alive) fail_msg("cancelled at call %ld: %ld blocks stay", i, c.alive - alive);
    }
    gsa_device_destroy(dev);
    assert_int_equal(c.alive, 0);
}

static void loading_out_of_host_memory_frees_everything(void **state)
{
    (void)state;
    counting_alloc c;
    const gsa_allocator a = counting_allocator(&c);
    gsa_device *dev = open_counted(&c, &a);
    gsa_model *model = NULL;
    OK(load(dev, "gsa-relu-conv", NULL, &model));
    gsa_model_destroy(model);
    const long alive = c.alive, before = c.calls;
    OK(load(dev, "gsa-relu-conv", NULL, &model));
    gsa_model_destroy(model);
    const long n = c.calls - before;
    assert_true(n > 20);
    for (long i = 0; i < n; i += 1 + n / 40) {
        gsa_device_memory memory;
        c.fail_at = c.calls + i;
        const gsa_status status = load(dev, "gsa-relu-conv", NULL, &model);
        c.fail_at = -1;
        if (status == GSA_OK) { /* somebody could do without */
            gsa_model_destroy(model);
        } else {
            assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
            assert_null(model);
        }
        gsa_device_memory_get(dev, &memory);
        assert_int_equal(memory.n_allocations, 0);
        if (c.alive != alive) fail_msg("allocation %ld failed: %ld blocks stay", i, c.alive - alive);
    }
    gsa_device_destroy(dev);
    assert_int_equal(c.alive, 0);
}

int main(void)
{
    gsa_device *dev = NULL;
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    const int broken = test_device_close(dev, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_cancelled_at_any_call_frees_everything),
        cmocka_unit_test(loading_out_of_host_memory_frees_everything),
    };
    return broken + cmocka_run_group_tests(tests, NULL, NULL);
}
