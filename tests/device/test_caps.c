/* Choosing a device, its capability record, masks, facts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "support/counting_alloc.h"
#include "support/device.h"
#include "vk/pipeline.h"

static gsa_device *dev;

/* --- masks: no device --- */

static gsai_caps big(void)
{
    gsai_caps c = {.present = GSAI_CAPS_ALL,
        .max_invocations = 1024,
        .max_group_size = {1024, 1024, 64},
        .max_group_count = {UINT32_MAX, 65535, 65535},
        .max_shared_bytes = 49152,
        .max_push_bytes = 256,
        .max_storage_buffers = 1000,
        .max_range_bytes = UINT32_MAX,
        .max_allocation_bytes = 1ull << 40,
        .offset_align = 64,
        .n_coopmat = 3};
    return c;
}

static gsa_status mask(gsai_caps *c, const char *list, char **others)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    return gsai_caps_mask(c, list, &a, others);
}

static void mask_each_capability_by_name(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < GSAI_N_CAPS; i++) {
        gsai_caps c = big();
        char *others;
        assert_true(gsai_caps_has(&c, 1u << i));
        assert_int_equal(mask(&c, gsai_cap_name(1u << i), &others), GSA_OK);
        assert_null(others);
        assert_int_equal(c.masked, 1u << i);
        assert_false(gsai_caps_has(&c, 1u << i));
        assert_non_null(strstr(gsai_caps_mask_words(), gsai_cap_name(1u << i)));
    }
}

static void mask_minimum_is_what_vulkan_requires(void **state)
{
    (void)state;
    gsai_caps c = big();
    char *others;
    assert_int_equal(mask(&c, "minimum", &others), GSA_OK);
    assert_int_equal(c.present & ~c.masked, 0);
    assert_int_equal(c.max_invocations, 128);
    assert_int_equal(c.max_group_size[0], 128);
    assert_int_equal(c.max_group_size[2], 64);
    assert_int_equal(c.max_group_count[0], 65535);
    assert_int_equal(c.max_shared_bytes, 16384);
    assert_int_equal(c.max_push_bytes, 128);
    assert_int_equal(c.max_storage_buffers, 4);
    assert_int_equal(c.max_range_bytes, 1 << 27);
    assert_int_equal(c.max_allocation_bytes, 1 << 30);
    assert_int_equal(c.offset_align, 64);
    assert_int_equal(c.n_coopmat, 0);
}

static void mask_limits_lower_and_never_raise(void **state)
{
    (void)state;
    gsai_caps c = big();
    char *others;
    assert_int_equal(
        mask(&c, "range=65536, alloc=1048576 ,shared=16384,invocations=128,push=64,groups=100,buffers=4,coopmat",
            &others),
        GSA_OK);
    assert_null(others);
    assert_int_equal(c.max_range_bytes, 65536);
    assert_int_equal(c.max_allocation_bytes, 1 << 20);
    assert_int_equal(c.max_shared_bytes, 16384);
    assert_int_equal(c.max_invocations, 128);
    assert_int_equal(c.max_group_size[1], 128);
    assert_int_equal(c.max_group_size[2], 64);
    assert_int_equal(c.max_push_bytes, 64);
    assert_int_equal(c.max_group_count[2], 100);
    assert_int_equal(c.max_storage_buffers, 4);
    assert_int_equal(c.masked, GSAI_CAP_COOPMAT);
    assert_int_equal(mask(&c, "range=999999999999,minimum", &others), GSA_OK);
    assert_int_equal(c.max_range_bytes, 65536);
    assert_int_equal(c.max_storage_buffers, 4);
}

static void mask_other_words_are_handed_on(void **state)
{
    (void)state;
    gsai_caps c = big();
    char *others;
    assert_int_equal(mask(&c, "matvec_f16_sg, float16 ,other_kernel", &others), GSA_OK);
    assert_string_equal(others, "matvec_f16_sg,other_kernel");
    assert_int_equal(c.masked, GSAI_CAP_FLOAT16);
    free(others);
    assert_int_equal(mask(&c, "", &others), GSA_OK);
    assert_null(others);
    assert_int_equal(mask(&c, NULL, &others), GSA_OK);
    assert_null(others);
}

static void mask_nonsense_is_rejected_and_changes_nothing(void **state)
{
    (void)state;
    const char *const bad[] = {"range", "range=", "range=-1", "range=1k", "range=0x100", "range=3", "alloc=4095",
        "rang=4096", "=5", "float16,,int8", ",float16", "float16,", "  ", "range=99999999999999999999999",
        "float16,shared=x", "=", "invocations=0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        gsai_caps c = big();
        const gsai_caps was = c;
        char *others = (char *)1;
        const gsa_status status = mask(&c, bad[i], &others);
        if (strcmp(bad[i], "range") == 0) { /* no '=': the ops layer will not know it either */
            assert_int_equal(status, GSA_OK);
            free(others);
            continue;
        }
        if (status != GSA_ERROR_ARGUMENT) fail_msg("\"%s\" gave %s", bad[i], gsa_status_name(status));
        assert_null(others);
        assert_memory_equal(&c, &was, sizeof c);
        assert_non_null(strstr(gsa_error_text(), "mask"));
    }
}

/* --- selection --- */

static gsa_status open_with(const char *select, gsa_device **d)
{
    gsa_device_params p = test_device_params();
    p.select = select;
    p.log.message = NULL;
    return gsai_device_open(&p, d);
}

static void device_list_counts_and_fills(void **state)
{
    (void)state;
    uint32_t n = 0, again;
    const gsa_device_params p = test_device_params();
    assert_int_equal(gsai_device_enumerate(&p, NULL, &n), GSA_OK);
    assert_true(n >= 1);
    gsa_device_info *infos = calloc(n, sizeof *infos);
    again = 0;
    assert_int_equal(gsai_device_enumerate(&p, infos, &again), GSA_OK);
    assert_int_equal(again, n);
    assert_int_equal(infos[0].name[0], 0);
    again = n;
    assert_int_equal(gsai_device_enumerate(NULL, infos, &again), GSA_OK);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(infos[i].index, i);
        assert_true(infos[i].name[0] && infos[i].driver[0] && infos[i].memory_bytes > 0);
    }
    assert_true(infos[dev->info.index].usable);
    assert_string_equal(infos[dev->info.index].name, dev->caps.name);
    free(infos);
}

static void device_select_by_index_and_name(void **state)
{
    (void)state;
    gsa_device *d;
    char text[16], name[256];
    snprintf(text, sizeof text, "%u", dev->info.index);
    assert_int_equal(open_with(text, &d), GSA_OK);
    assert_int_equal(d->info.index, dev->info.index);
    gsai_device_close(d);
    snprintf(name, sizeof name, "%s", dev->caps.name); /* whole, and a part in the other case */
    assert_int_equal(open_with(name, &d), GSA_OK);
    gsai_device_close(d);
    name[5] = 0;
    for (char *c = name; *c; c++) *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    assert_int_equal(open_with(name, &d), GSA_OK);
    gsai_device_close(d);
}

static void device_select_without_match_lists_what_there_is(void **state)
{
    (void)state;
    gsa_device *d = (gsa_device *)1;
    const char *const bad[] = {"no such device", "31", "99999999999999999999"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(open_with(bad[i], &d), GSA_ERROR_NO_DEVICE);
        assert_null(d);
        assert_non_null(strstr(gsa_error_text(), bad[i]));
        assert_non_null(strstr(gsa_error_text(), dev->caps.name));
    }
}

static void device_cpu_touches_no_vulkan(void **state)
{
    (void)state;
    gsa_device *d;
    assert_int_equal(open_with("cpu", &d), GSA_OK);
    assert_true(d->is_cpu_reference);
    assert_null(d->instance);
    assert_null(d->device);
    assert_int_equal(d->info.type, GSA_DEVICE_REFERENCE);
    assert_true(d->info.name[0]);
    assert_int_equal(gsai_device_check(d), GSA_OK);
    gsai_device_close(d);
    gsai_device_close(NULL);
}

static void device_params_are_checked(void **state)
{
    (void)state;
    gsa_device *d = (gsa_device *)1;
    gsa_device_params p = {.struct_size = sizeof p + 8};
    assert_int_equal(gsai_device_open(&p, &d), GSA_ERROR_ARGUMENT);
    assert_null(d);
    p.struct_size = 0;
    assert_int_equal(gsai_device_open(&p, &d), GSA_ERROR_ARGUMENT);
    counting_alloc counter = {0, -1, 0};
    gsa_allocator a = counting_allocator(&counter);
    a.realloc = NULL;
    p = (gsa_device_params){.struct_size = sizeof p, .allocator = &a};
    assert_int_equal(gsai_device_open(&p, &d), GSA_ERROR_ARGUMENT);
    p = (gsa_device_params){.struct_size = sizeof p, .cache_size = 5};
    assert_int_equal(gsai_device_open(&p, &d), GSA_ERROR_ARGUMENT);
    p = (gsa_device_params){.struct_size = sizeof p, .mask = "float16,range=x"};
    assert_int_equal(gsai_device_open(&p, &d), GSA_ERROR_ARGUMENT);
    p.select = "cpu";
    assert_int_equal(gsai_device_open(&p, &d), GSA_ERROR_ARGUMENT);
    assert_null(d);
    p = (gsa_device_params){.struct_size = offsetof(gsa_device_params, mask), .select = "cpu", .mask = "=not read"};
    assert_int_equal(gsai_device_open(&p, &d), GSA_OK); /* of a shorter, older version */
    gsai_device_close(d);
}

static void count_errors(void *user, gsa_log_level level, const char *text)
{
    int *n = user;
    if (level == GSA_LOG_ERROR && strstr(text, "living model")) ++*n;
}

static void device_with_children_is_not_destroyed(void **state)
{
    (void)state;
    gsa_device *d;
    int n = 0;
    gsa_device_params p = test_device_params();
    p.log = (gsa_log){count_errors, &n, GSA_LOG_ERROR};
    assert_int_equal(gsai_device_open(&p, &d), GSA_OK);
    d->n_children++;
    gsai_device_close(d);
    assert_int_equal(n, 1);
    assert_int_equal(gsai_device_check(d), GSA_OK); /* still there */
    d->n_children--;
    gsai_device_close(d);
}

static void device_two_at_once_are_independent(void **state)
{
    (void)state;
    gsa_device *a, *b;
    assert_int_equal(open_with(NULL, &a), GSA_OK);
    assert_int_equal(open_with(NULL, &b), GSA_OK);
    assert_true(a->device != b->device && a->instance != b->instance);
    gsai_device_close(a);
    const gsai_pipeline *k;
    assert_int_equal(gsai_pipeline_get(b, gsai_shader_find("add"), NULL, 0, 0, &k), GSA_OK);
    gsai_device_close(b);
}

static void device_host_allocations_failing_one_by_one_leave_nothing(void **state)
{
    (void)state;
    bool opened = false;
    for (long fail_at = 0; !opened; fail_at++) {
        assert_true(fail_at < 200);
        counting_alloc counter = {0, fail_at, 0};
        const gsa_allocator a = counting_allocator(&counter);
        gsa_device_params p = test_device_params();
        p.allocator = &a;
        p.validation = false; /* without it this takes milliseconds, not seconds */
        p.log.message = NULL;
        gsa_device *d = NULL;
        const gsa_status status = gsai_device_open(&p, &d);
        opened = status == GSA_OK;
        if (opened) {
            const gsai_pipeline *k;
            counter.fail_at = counter.calls;
            assert_int_equal(gsai_pipeline_get(d, gsai_shader_find("add"), NULL, 0, 0, &k), GSA_ERROR_HOST_MEMORY);
            counter.fail_at = counter.calls + 1;
            assert_int_equal(gsai_pipeline_get(d, gsai_shader_find("add"), NULL, 0, 0, &k), GSA_ERROR_HOST_MEMORY);
            assert_int_equal(gsai_pipeline_get(d, gsai_shader_find("add"), NULL, 0, 0, &k), GSA_OK);
            gsai_device_close(d);
        } else {
            if (status != GSA_ERROR_HOST_MEMORY) fail_msg("%ld: %s", fail_at, gsa_error_text());
            assert_null(d);
        }
        assert_int_equal(counter.alive, 0);
        uint32_t n = 0;
        counter = (counting_alloc){0, fail_at, 0};
        gsa_device_info infos[4];
        gsai_device_enumerate(&p, infos, &n);
        assert_int_equal(counter.alive, 0);
    }
}

/* --- the record --- */

static void caps_of_the_device_make_sense(void **state)
{
    (void)state;
    const gsai_caps *c = &dev->caps;
    const char *mask_text = getenv("GSA_TEST_MASK");
    if (mask_text && strchr(mask_text, '=')) skip(); /* limits below what Vulkan requires */
    assert_true(c->name[0] && c->api_version >= VK_API_VERSION_1_1);
    assert_int_equal(c->masked & ~GSAI_CAPS_ALL, 0);
    assert_true(c->max_invocations >= 128 && c->max_shared_bytes >= 16384 && c->max_push_bytes >= 128);
    assert_true(c->max_group_size[0] >= 128 && c->max_group_count[0] >= 65535 && c->max_storage_buffers >= 4);
    assert_true(c->max_range_bytes >= 1u << 27 && c->max_allocation_bytes >= 1u << 30);
    assert_true(c->offset_align >= 16 && c->offset_align <= 256 && (c->offset_align & (c->offset_align - 1)) == 0);
    assert_true(c->subgroup_size_min <= c->subgroup_size && c->subgroup_size <= c->subgroup_size_max);
    assert_true(c->device_heap_bytes > 0 && c->host_heap_bytes > 0 && c->atom_bytes > 0);
    assert_true((c->n_coopmat > 0) == gsai_caps_has(c, GSAI_CAP_COOPMAT));
    if (gsai_caps_has(c, GSAI_CAP_TIMESTAMPS)) assert_true(c->timestamp_period_ns > 0 && c->timestamp_bits > 0);
    if (c->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) assert_true(c->unified);
    for (uint32_t i = 0; i < c->n_coopmat; i++) assert_true(c->coopmat[i].m && c->coopmat[i].n && c->coopmat[i].k);
}

static const char *fact(gsa_device_fact kind, const char *name)
{
    for (uint32_t i = 0; i < dev->n_facts[kind]; i++) {
        if (strcmp(dev->facts[kind][i].name, name) == 0) return dev->facts[kind][i].value;
    }
    return NULL;
}

static void facts_say_what_the_record_says(void **state)
{
    (void)state;
    assert_string_equal(fact(GSA_FACT_LIMIT, "name"), dev->caps.name);
    for (uint32_t i = 0; i < GSAI_N_CAPS; i++) {
        const uint32_t bit = 1u << i;
        const char *value = fact(GSA_FACT_CAPABILITY, gsai_cap_name(bit));
        assert_non_null(value);
        assert_string_equal(value, !(dev->caps.present & bit) ? "no" : (dev->caps.masked & bit) ? "masked" : "yes");
    }
    for (uint32_t i = 0; i < dev->n_facts[GSA_FACT_LIMIT]; i++) {
        assert_true(dev->facts[GSA_FACT_LIMIT][i].name[0] && dev->facts[GSA_FACT_LIMIT][i].value[0]);
        if (getenv("GSA_TEST_PRINT"))
            print_message("%s: %s\n", dev->facts[GSA_FACT_LIMIT][i].name, dev->facts[GSA_FACT_LIMIT][i].value);
    }
}

static void device_masked_to_the_minimum_opens(void **state)
{
    (void)state;
    gsa_device_params p = test_device_params();
    gsa_device *d;
    p.mask = "minimum,matvec_f16_sg";
    assert_int_equal(gsai_device_open(&p, &d), GSA_OK);
    assert_string_equal(d->variant_mask, "matvec_f16_sg");
    assert_false(gsai_caps_has(&d->caps, GSAI_CAP_SUBGROUP));
    assert_int_equal(d->caps.max_invocations, 128);
    const gsai_pipeline *k;
    assert_int_equal(gsai_pipeline_get(d, gsai_shader_find("add"), NULL, 0, 0, &k), GSA_OK);
    assert_int_equal(atomic_load(&d->n_validation_messages), 0);
    gsai_device_close(d);
}

/* Drivers that the loader cannot find are "no device", not a failure of the machine. */
static void device_without_drivers_is_no_device(void **state)
{
    (void)state;
    const char *const names[] = {"VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"};
    char *was[3];
    for (int i = 0; i < 3; i++) {
        was[i] = getenv(names[i]) ? strdup(getenv(names[i])) : NULL;
        setenv(names[i], "/nonexistent/driver.json", 1);
    }
    uint32_t n = 7;
    gsa_device *d = (gsa_device *)1;
    gsa_device_params p = {.struct_size = sizeof p};
    assert_int_equal(gsai_device_enumerate(NULL, NULL, &n), GSA_OK);
    assert_int_equal(n, 0);
    assert_int_equal(gsai_device_open(&p, &d), GSA_ERROR_NO_DEVICE);
    assert_null(d);
    p.select = "0";
    assert_int_equal(gsai_device_open(&p, &d), GSA_ERROR_NO_DEVICE);
    p.select = "cpu";
    assert_int_equal(gsai_device_open(&p, &d), GSA_OK);
    gsai_device_close(d);
    for (int i = 0; i < 3; i++) {
        if (was[i]) {
            setenv(names[i], was[i], 1);
        } else {
            unsetenv(names[i]);
        }
        free(was[i]);
    }
}

int main(void)
{
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mask_each_capability_by_name),
        cmocka_unit_test(mask_minimum_is_what_vulkan_requires),
        cmocka_unit_test(mask_limits_lower_and_never_raise),
        cmocka_unit_test(mask_other_words_are_handed_on),
        cmocka_unit_test(mask_nonsense_is_rejected_and_changes_nothing),
        cmocka_unit_test(device_list_counts_and_fills),
        cmocka_unit_test(device_select_by_index_and_name),
        cmocka_unit_test(device_select_without_match_lists_what_there_is),
        cmocka_unit_test(device_cpu_touches_no_vulkan),
        cmocka_unit_test(device_params_are_checked),
        cmocka_unit_test(device_with_children_is_not_destroyed),
        cmocka_unit_test(device_two_at_once_are_independent),
        cmocka_unit_test(device_host_allocations_failing_one_by_one_leave_nothing),
        cmocka_unit_test(caps_of_the_device_make_sense),
        cmocka_unit_test(facts_say_what_the_record_says),
        cmocka_unit_test(device_masked_to_the_minimum_opens),
        cmocka_unit_test(device_without_drivers_is_no_device),
    };
    return test_device_close(dev, cmocka_run_group_tests(tests, NULL, NULL));
}
