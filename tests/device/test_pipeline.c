/* The shader table, pipelines by key, and the cache that outlives a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/device.h"
#include "vk/pipeline.h"

static gsa_device *dev;

static void shader_table_keeps_the_rules_of_every_device(void **state)
{
    (void)state;
    assert_true(gsai_n_shaders > 0);
    for (uint32_t i = 0; i < gsai_n_shaders; i++) {
        const gsai_shader *s = &gsai_shaders[i];
        assert_ptr_equal(gsai_shader_find(s->name), s);
        assert_int_equal(s->words[0], 0x07230203);
        assert_int_equal(s->words[1], s->spirv_version);
        assert_true(s->n_bindings >= 1 && s->n_bindings <= GSAI_MAX_BINDINGS);
        assert_true(s->push_bytes <= GSAI_PUSH_BYTES && s->push_bytes % 4 == 0);
        assert_true(s->group_size[0] * s->group_size[1] * s->group_size[2] >= 1);
        assert_int_equal(s->caps & ~GSAI_CAPS_ALL, 0);
    }
    assert_null(gsai_shader_find("no such kernel"));
    const gsai_shader *add = gsai_shader_find("add");
    assert_non_null(add);
    assert_int_equal(add->n_bindings, 2);
    assert_int_equal(add->push_bytes, 28);
    assert_int_equal(add->group_size[0], 128);
    assert_int_equal(add->group_spec[0], -1);
    assert_int_equal(add->caps, 0);
}

static void pipeline_same_key_is_made_once(void **state)
{
    (void)state;
    const gsai_shader *add = gsai_shader_find("add");
    const gsai_pipeline *a, *b, *c, *d;
    const uint32_t one[2] = {1, 2}, two[2] = {1, 3};
    assert_int_equal(gsai_pipeline_get(dev, add, NULL, 0, 0, &a), GSA_OK);
    const uint32_t n = gsai_pipelines_count(dev);
    assert_int_equal(gsai_pipeline_get(dev, add, NULL, 0, 0, &b), GSA_OK);
    assert_ptr_equal(a, b);
    assert_int_equal(gsai_pipelines_count(dev), n);
    assert_int_equal(gsai_pipeline_get(dev, add, one, 2, 0, &b), GSA_OK);
    assert_int_equal(gsai_pipeline_get(dev, add, two, 2, 0, &c), GSA_OK);
    assert_int_equal(gsai_pipeline_get(dev, add, one, 1, 0, &d), GSA_OK);
    assert_true(a != b && b != c && b != d && a != d);
    assert_int_equal(gsai_pipelines_count(dev), n + 3);
    assert_ptr_equal(a->layout, b->layout); /* layouts are shared */
}

static void pipeline_every_shader_the_device_can_run_compiles(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < gsai_n_shaders; i++) {
        const gsai_shader *s = &gsai_shaders[i];
        const gsai_pipeline *k;
        const gsa_status status = gsai_pipeline_get(dev, s, NULL, 0, 0, &k);
        if (status != GSA_OK && status != GSA_ERROR_UNSUPPORTED) print_error("%s: %s\n", s->name, gsa_error_text());
        assert_true(status == GSA_OK || status == GSA_ERROR_UNSUPPORTED);
        assert_true((status == GSA_OK) == (k != NULL));
        if (!gsai_caps_has(&dev->caps, s->caps)) assert_int_equal(status, GSA_ERROR_UNSUPPORTED);
    }
}

static void refused(const gsai_shader *s, uint32_t subgroup, const char *word)
{
    const gsai_pipeline *k;
    const uint32_t n = gsai_pipelines_count(dev);
    assert_int_equal(gsai_pipeline_get(dev, s, NULL, 0, subgroup, &k), GSA_ERROR_UNSUPPORTED);
    assert_null(k);
    assert_int_equal(gsai_pipelines_count(dev), n);
    if (!strstr(gsa_error_text(), word)) fail_msg("\"%s\" does not say \"%s\"", gsa_error_text(), word);
}

static void pipeline_beyond_the_device_is_refused_by_name(void **state)
{
    (void)state;
    const gsai_shader *add = gsai_shader_find("add");
    const gsai_caps was = dev->caps;
    gsai_shader s = *add;
    s.name = "add_f16";
    s.caps = GSAI_CAP_FLOAT16;
    dev->caps.present |= GSAI_CAP_FLOAT16;
    dev->caps.masked |= GSAI_CAP_FLOAT16;
    refused(&s, 0, "the mask hides");
    dev->caps.present &= ~(uint32_t)GSAI_CAP_FLOAT16;
    refused(&s, 0, "does not have");
    refused(&s, 0, "float16");
    dev->caps = was;
    dev->caps.max_invocations = 64;
    refused(add, 0, "128 invocations");
    dev->caps = was;
    dev->caps.max_group_size[0] = 127;
    refused(add, 0, "group size 128");
    dev->caps = was;
    dev->caps.max_push_bytes = 16;
    refused(add, 0, "push");
    dev->caps = was;
    dev->caps.max_storage_buffers = 1;
    refused(add, 0, "buffers");
    dev->caps = was;
    s = *add;
    s.spirv_version = 0x10900;
    refused(&s, 0, "newer Vulkan");
    refused(add, 3, "subgroup size 3");
    refused(add, 1u << 20, "subgroup size");
    dev->caps.masked |= GSAI_CAP_SUBGROUP_SIZE;
    dev->caps.subgroup_size_min = 4;
    dev->caps.subgroup_size_max = 64;
    refused(add, 32, "not selectable");
    dev->caps = was;
    if (gsai_caps_has(&dev->caps, GSAI_CAP_SUBGROUP_SIZE)) {
        dev->caps.max_subgroups = 1;
        refused(add, dev->caps.subgroup_size_min, "takes 1 subgroups");
    }
    dev->caps = was;
    const gsai_pipeline *k;
    assert_int_equal(gsai_pipeline_get(dev, NULL, NULL, 0, 0, &k), GSA_ERROR_ARGUMENT);
    const uint32_t many[GSAI_MAX_SPEC + 1] = {0};
    assert_int_equal(gsai_pipeline_get(dev, add, many, GSAI_MAX_SPEC + 1, 0, &k), GSA_ERROR_ARGUMENT);
}

static void pipeline_asks_for_a_subgroup_size(void **state)
{
    (void)state;
    const gsai_pipeline *k;
    const uint32_t size = dev->caps.subgroup_size_max;
    const bool can = gsai_caps_has(&dev->caps, GSAI_CAP_SUBGROUP_SIZE) || dev->caps.subgroup_size_min == size;
    assert_int_equal(
        gsai_pipeline_get(dev, gsai_shader_find("add"), NULL, 0, size, &k), can ? GSA_OK : GSA_ERROR_UNSUPPORTED);
    if (can) assert_int_equal(k->subgroup_size, size);
}

static void *get_many(void *user)
{
    const gsai_pipeline **out = user;
    for (uint32_t i = 0; i < 8; i++) gsai_pipeline_get(dev, gsai_shader_find("add"), &i, 1, 0, &out[i]);
    return NULL;
}

static void pipeline_threads_get_the_same_ones(void **state)
{
    (void)state;
    pthread_t threads[3];
    const gsai_pipeline *got[3][8] = {{0}};
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, get_many, got[i]);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int k = 0; k < 8; k++) {
        assert_non_null(got[0][k]);
        assert_true(got[0][k] == got[1][k] && got[1][k] == got[2][k]);
    }
}

static VkResult VKAPI_PTR refuse_to_compile(VkDevice d, VkPipelineCache c, uint32_t n,
    const VkComputePipelineCreateInfo *info, const VkAllocationCallbacks *a, VkPipeline *out)
{
    (void)d, (void)c, (void)n, (void)info, (void)a;
    *out = VK_NULL_HANDLE;
    return VK_ERROR_INVALID_SHADER_NV;
}

static void pipeline_the_driver_refuses_is_named(void **state)
{
    (void)state;
    const PFN_vkCreateComputePipelines real = dev->vk.vkCreateComputePipelines;
    dev->vk.vkCreateComputePipelines = refuse_to_compile;
    const gsai_pipeline *k;
    const uint32_t spec = 12345;
    assert_int_equal(gsai_pipeline_get(dev, gsai_shader_find("add"), &spec, 1, 0, &k), GSA_ERROR_DRIVER);
    dev->vk.vkCreateComputePipelines = real;
    assert_non_null(strstr(gsa_error_text(), "kernel add"));
    assert_non_null(strstr(gsa_error_text(), "VK_ERROR_INVALID_SHADER_NV"));
    assert_int_equal(gsai_pipeline_get(dev, gsai_shader_find("add"), &spec, 1, 0, &k), GSA_OK); /* not remembered */
}

/* --- cache --- */

/* Whether a device opened with these bytes takes them; it must work either way. */
static bool is_hit(const void *cache, size_t size)
{
    gsa_device_params p = test_device_params();
    p.cache = cache;
    p.cache_size = size;
    p.log.message = NULL;
    gsa_device *d;
    assert_int_equal(gsai_device_open(&p, &d), GSA_OK);
    const bool hit = gsai_pipelines_cache_hit(d);
    const gsai_pipeline *k;
    assert_int_equal(gsai_pipeline_get(d, gsai_shader_find("add"), NULL, 0, 0, &k), GSA_OK);
    assert_int_equal(atomic_load(&d->n_validation_messages), 0);
    gsai_device_close(d);
    return hit;
}

static void cache_round_trip_hits_and_damage_misses(void **state)
{
    (void)state;
    size_t size = 0, again = 0;
    assert_int_equal(gsai_pipelines_cache(dev, NULL, 0, &size), GSA_OK);
    assert_true(size > 64);
    uint8_t *cache = malloc(size);
    assert_int_equal(gsai_pipelines_cache(dev, cache, size - 1, &again), GSA_ERROR_LIMIT);
    assert_int_equal(again, size);
    assert_int_equal(gsai_pipelines_cache(dev, cache, size, &size), GSA_OK);
    assert_true(is_hit(cache, size));
    for (size_t at = 0; at < 72; at += 4) { /* each word of the header */
        cache[at] ^= 1;
        assert_false(is_hit(cache, size));
        cache[at] ^= 1;
    }
    cache[72 + (size - 72) / 2] ^= 0x80;
    assert_false(is_hit(cache, size));
    cache[72 + (size - 72) / 2] ^= 0x80;
    assert_false(is_hit(cache, size - 1));
    assert_false(is_hit(cache, 72));
    assert_false(is_hit(cache, 3));
    assert_false(is_hit(NULL, 0));
    assert_true(is_hit(cache, size));
    free(cache);
}

int main(void)
{
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shader_table_keeps_the_rules_of_every_device),
        cmocka_unit_test(pipeline_same_key_is_made_once),
        cmocka_unit_test(pipeline_every_shader_the_device_can_run_compiles),
        cmocka_unit_test(pipeline_beyond_the_device_is_refused_by_name),
        cmocka_unit_test(pipeline_asks_for_a_subgroup_size),
        cmocka_unit_test(pipeline_threads_get_the_same_ones),
        cmocka_unit_test(pipeline_the_driver_refuses_is_named),
        cmocka_unit_test(cache_round_trip_hits_and_damage_misses),
    };
    return test_device_close(dev, cmocka_run_group_tests(tests, NULL, NULL));
}
