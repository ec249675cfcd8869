#include "vk/pipeline.h"

#include <string.h>

#include "util/clock.h"
#include "util/hash.h"

#define N_BUCKETS 64

typedef struct entry {
    gsai_pipeline pipeline; /* first: pointers to it are handed out */
    struct entry *next;
} entry;

typedef struct layout {
    uint32_t n_bindings, push_bytes;
    VkPipelineLayout handle;
    struct layout *next;
} layout;

struct gsai_pipelines {
    gsai_mutex mutex;
    VkPipelineCache cache;
    bool cache_hit;
    VkDescriptorSetLayout sets[GSAI_MAX_BINDINGS + 1]; /* by number of bindings */
    layout *layouts;
    entry *buckets[N_BUCKETS];
    uint32_t n_entries;
    void *notes[GSAI_N_NOTE_KINDS];
    size_t note_bytes[GSAI_N_NOTE_KINDS];
};

const gsai_shader *gsai_shader_find(const char *name)
{
    for (uint32_t i = 0; i < gsai_n_shaders; i++) {
        if (strcmp(gsai_shaders[i].name, name) == 0) return &gsai_shaders[i];
    }
    return NULL;
}

/* --- cache --- */

/* Header, notes of the layers above, the driver's blob; the hash is of all that follows the header. */
#define CACHE_MAGIC "GSAVKPC5"

typedef struct cache_header { /* no padding; read on the same machine that wrote it, anything else is a miss */
    char magic[8];
    uint32_t header_bytes, library_version;
    uint32_t vendor_id, device_id, driver_id, driver_version;
    uint8_t pipeline_uuid[16];
    uint64_t note_bytes[GSAI_N_NOTE_KINDS], rest_bytes, rest_hash;
} cache_header;
_Static_assert(sizeof(cache_header) == 80, "cache_header has no padding");

static cache_header header_of(const gsa_device *dev, const uint64_t *note_bytes, const void *rest, size_t size)
{
    cache_header h = {CACHE_MAGIC, sizeof h, gsa_version(), dev->caps.vendor_id, dev->caps.device_id,
        dev->caps.driver_id, dev->caps.driver_version, {0}, {0}, size, 0};
    gsai_hash hash;
    gsai_hash_init(&hash);
    memcpy(h.note_bytes, note_bytes, sizeof h.note_bytes);
    gsai_hash_update(&hash, note_bytes, sizeof h.note_bytes);
    gsai_hash_update(&hash, rest, size);
    h.rest_hash = gsai_hash_final(&hash);
    memcpy(h.pipeline_uuid, dev->caps.pipeline_uuid, sizeof h.pipeline_uuid);
    return h;
}

/* The driver's part of a cache, with the notes before it; NULL when the cache is of something else or damaged. */
static const void *blob_of(const gsa_device *dev, const void *cache, size_t size, size_t *blob_size, const char **notes,
    size_t note_bytes[GSAI_N_NOTE_KINDS])
{
    cache_header h;
    if (!cache || size <= sizeof h) return NULL;
    memcpy(&h, cache, sizeof h);
    const char *rest = (const char *)cache + sizeof h;
    const size_t rest_bytes = size - sizeof h;
    const cache_header expected = header_of(dev, h.note_bytes, rest, rest_bytes);
    if (memcmp(&h, &expected, sizeof h) != 0) return NULL;
    *notes = rest;
    *blob_size = rest_bytes;
    for (int i = 0; i < GSAI_N_NOTE_KINDS; i++) {
        if (h.note_bytes[i] >= *blob_size) return NULL;
        note_bytes[i] = (size_t)h.note_bytes[i];
        *blob_size -= note_bytes[i];
    }
    return rest + (rest_bytes - *blob_size);
}

gsa_status gsai_pipelines_create(gsa_device *dev, const void *cache, size_t cache_size)
{
    struct gsai_pipelines *p = gsai_alloc(&dev->allocator, sizeof *p);
    if (!p) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for the pipelines");
    gsai_mutex_init(&p->mutex);
    dev->pipelines = p;
    size_t blob_size = 0, note_bytes[GSAI_N_NOTE_KINDS] = {0};
    const char *notes = NULL;
    const void *blob = blob_of(dev, cache, cache_size, &blob_size, &notes, note_bytes);
    p->cache_hit = blob != NULL;
    for (int i = 0; blob && i < GSAI_N_NOTE_KINDS; i++) {
        const gsa_status status = gsai_pipelines_set_notes(dev, (gsai_note_kind)i, notes, note_bytes[i]);
        if (status != GSA_OK) return status;
        notes += note_bytes[i];
    }
    if (cache && !blob)
        gsai_log(&dev->log, GSA_LOG_INFO, "pipeline cache: of another version, device or driver, or damaged; not used");
    VkPipelineCacheCreateInfo info = {VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    info.initialDataSize = blob_size;
    info.pInitialData = blob;
    VkResult result = dev->vk.vkCreatePipelineCache(dev->device, &info, NULL, &p->cache);
    if (result != VK_SUCCESS && blob) { /* the driver is free to dislike its own bytes */
        p->cache_hit = false;
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        result = dev->vk.vkCreatePipelineCache(dev->device, &info, NULL, &p->cache);
    }
    if (result != VK_SUCCESS) p->cache = VK_NULL_HANDLE;
    return gsai_vk_result(dev, result, "vkCreatePipelineCache", __FILE__, __LINE__);
}

void gsai_pipelines_destroy(gsa_device *dev)
{
    struct gsai_pipelines *p = dev->pipelines;
    if (!p) return;
    for (uint32_t i = 0; i < N_BUCKETS; i++) {
        for (entry *e = p->buckets[i], *next; e; e = next) {
            next = e->next;
            dev->vk.vkDestroyPipeline(dev->device, e->pipeline.handle, NULL);
            gsai_free(&dev->allocator, e);
        }
    }
    for (layout *l = p->layouts, *next; l; l = next) {
        next = l->next;
        dev->vk.vkDestroyPipelineLayout(dev->device, l->handle, NULL);
        gsai_free(&dev->allocator, l);
    }
    for (uint32_t i = 0; i <= GSAI_MAX_BINDINGS; i++) {
        if (p->sets[i]) dev->vk.vkDestroyDescriptorSetLayout(dev->device, p->sets[i], NULL);
    }
    if (p->cache) dev->vk.vkDestroyPipelineCache(dev->device, p->cache, NULL);
    for (int i = 0; i < GSAI_N_NOTE_KINDS; i++) gsai_free(&dev->allocator, p->notes[i]);
    gsai_mutex_destroy(&p->mutex);
    gsai_free(&dev->allocator, p);
    dev->pipelines = NULL;
}

uint32_t gsai_pipelines_count(gsa_device *dev)
{
    gsai_mutex_lock(&dev->pipelines->mutex);
    const uint32_t n = dev->pipelines->n_entries;
    gsai_mutex_unlock(&dev->pipelines->mutex);
    return n;
}

bool gsai_pipelines_cache_hit(const gsa_device *dev)
{
    return dev->pipelines && dev->pipelines->cache_hit;
}

static gsa_status read_cache(gsa_device *dev, char *out, size_t capacity, size_t *size)
{
    struct gsai_pipelines *p = dev->pipelines;
    size_t blob_size = 0;
    gsa_status status = GSAI_VK(dev, dev->vk.vkGetPipelineCacheData(dev->device, p->cache, &blob_size, NULL));
    if (status != GSA_OK) return status;
    uint64_t note_bytes[GSAI_N_NOTE_KINDS], all_note_bytes = 0;
    for (int i = 0; i < GSAI_N_NOTE_KINDS; i++) all_note_bytes += note_bytes[i] = p->note_bytes[i];
    *size = sizeof(cache_header) + all_note_bytes + blob_size;
    if (!out) return GSA_OK;
    if (capacity < *size)
        return gsai_fail(GSA_ERROR_LIMIT, "the pipeline cache has %zu bytes, room was given for %zu", *size, capacity);
    char *notes = out + sizeof(cache_header), *blob = notes + all_note_bytes;
    status = GSAI_VK(dev, dev->vk.vkGetPipelineCacheData(dev->device, p->cache, &blob_size, blob));
    if (status != GSA_OK) return status;
    for (int i = 0, at = 0; i < GSAI_N_NOTE_KINDS; at += (int)note_bytes[i++])
        if (note_bytes[i]) memcpy(notes + at, p->notes[i], note_bytes[i]);
    const cache_header h = header_of(dev, note_bytes, notes, all_note_bytes + blob_size);
    memcpy(out, &h, sizeof h);
    *size = sizeof h + all_note_bytes + blob_size;
    return GSA_OK;
}

gsa_status gsai_pipelines_cache(gsa_device *dev, void *out, size_t capacity, size_t *size)
{
    *size = 0;
    const gsa_status lost = gsai_device_check(dev);
    if (lost != GSA_OK) return lost;
    gsai_mutex_lock(&dev->pipelines->mutex); /* no pipeline is added between asking for the size and the bytes */
    const gsa_status status = read_cache(dev, out, capacity, size);
    gsai_mutex_unlock(&dev->pipelines->mutex);
    return status;
}

const void *gsai_pipelines_notes(const gsa_device *dev, gsai_note_kind kind, size_t *size)
{
    *size = dev->pipelines->note_bytes[kind];
    return dev->pipelines->notes[kind];
}

gsa_status gsai_pipelines_set_notes(gsa_device *dev, gsai_note_kind kind, const void *notes, size_t size)
{
    struct gsai_pipelines *p = dev->pipelines;
    void *copy = gsai_alloc(&dev->allocator, size);
    if (!copy) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for %zu bytes of the pipeline cache", size);
    if (size) memcpy(copy, notes, size);
    gsai_mutex_lock(&p->mutex);
    gsai_free(&dev->allocator, p->notes[kind]);
    p->notes[kind] = copy;
    p->note_bytes[kind] = size;
    gsai_mutex_unlock(&p->mutex);
    return GSA_OK;
}

/* --- pipelines --- */

static gsa_status check_key(const gsa_device *dev, const gsai_shader *s, uint32_t n_spec, const uint32_t *spec,
    uint32_t subgroup_size, uint32_t group[3])
{
    const gsai_caps *c = &dev->caps;
    if (n_spec > GSAI_MAX_SPEC)
        return gsai_fail(
            GSA_ERROR_ARGUMENT, "%s: %u specialization constants, at most %u", s->name, n_spec, GSAI_MAX_SPEC);
    for (uint32_t bit = 1; bit & GSAI_CAPS_ALL; bit <<= 1) {
        if ((s->caps & bit) && !gsai_caps_has(c, bit)) {
            return gsai_fail(GSA_ERROR_UNSUPPORTED, "kernel %s needs %s, which %s %s", s->name, gsai_cap_name(bit),
                c->name, (c->present & bit) ? "has but the mask hides" : "does not have");
        }
    }
    if (s->spirv_version > dev->spirv_max)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "kernel %s needs a newer Vulkan than %s has", s->name, c->name);
    if (s->push_bytes > c->max_push_bytes || s->n_bindings > c->max_storage_buffers ||
        s->n_bindings > GSAI_MAX_BINDINGS) {
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "kernel %s needs %u push bytes and %u buffers, %s has %u and %u",
            s->name, s->push_bytes, s->n_bindings, c->name, c->max_push_bytes, c->max_storage_buffers);
    }
    uint64_t invocations = 1;
    for (int i = 0; i < 3; i++) {
        const int32_t id = s->group_spec[i];
        group[i] = id >= 0 && (uint32_t)id < n_spec ? spec[id] : s->group_size[i];
        if (group[i] == 0 || group[i] > c->max_group_size[i])
            return gsai_fail(GSA_ERROR_UNSUPPORTED, "kernel %s: group size %u in dimension %d, %s takes 1 to %u",
                s->name, group[i], i, c->name, c->max_group_size[i]);
        invocations *= group[i];
    }
    if (invocations > c->max_invocations)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "kernel %s: %llu invocations in a group, %s takes %u", s->name,
            (unsigned long long)invocations, c->name, c->max_invocations);
    if (!subgroup_size) return GSA_OK;
    const bool is_power_of_2 = (subgroup_size & (subgroup_size - 1)) == 0;
    const bool is_only_one = c->subgroup_size_min == subgroup_size && c->subgroup_size_max == subgroup_size;
    if (!is_power_of_2 || subgroup_size < c->subgroup_size_min || subgroup_size > c->subgroup_size_max ||
        (!is_only_one && !gsai_caps_has(c, GSAI_CAP_SUBGROUP_SIZE))) {
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "kernel %s: subgroup size %u cannot be had on %s (%u to %u%s)", s->name,
            subgroup_size, c->name, c->subgroup_size_min, c->subgroup_size_max,
            gsai_caps_has(c, GSAI_CAP_SUBGROUP_SIZE) ? "" : ", not selectable");
    }
    if (invocations > (uint64_t)subgroup_size * c->max_subgroups)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "kernel %s: %llu invocations in subgroups of %u, %s takes %u subgroups",
            s->name, (unsigned long long)invocations, subgroup_size, c->name, c->max_subgroups);
    return GSA_OK;
}

static gsa_status get_set_layout(gsa_device *dev, uint32_t n, VkDescriptorSetLayout *out)
{
    struct gsai_pipelines *p = dev->pipelines;
    gsa_status status = GSA_OK;
    if (!p->sets[n]) {
        VkDescriptorSetLayoutBinding bindings[GSAI_MAX_BINDINGS];
        for (uint32_t i = 0; i < n; i++) {
            bindings[i] = (VkDescriptorSetLayoutBinding){
                i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL};
        }
        VkDescriptorSetLayoutCreateInfo info = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
        info.bindingCount = n;
        info.pBindings = bindings;
        status = GSAI_VK(dev, dev->vk.vkCreateDescriptorSetLayout(dev->device, &info, NULL, &p->sets[n]));
        if (status != GSA_OK) p->sets[n] = VK_NULL_HANDLE;
    }
    *out = p->sets[n];
    return status;
}

static gsa_status get_layout(
    gsa_device *dev, uint32_t n_bindings, uint32_t push_bytes, VkDescriptorSetLayout set, VkPipelineLayout *out)
{
    struct gsai_pipelines *p = dev->pipelines;
    for (layout *l = p->layouts; l; l = l->next) {
        if (l->n_bindings == n_bindings && l->push_bytes == push_bytes) {
            *out = l->handle;
            return GSA_OK;
        }
    }
    layout *l = gsai_alloc(&dev->allocator, sizeof *l);
    if (!l) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for a pipeline layout");
    const VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, push_bytes};
    VkPipelineLayoutCreateInfo info = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
    info.setLayoutCount = 1;
    info.pSetLayouts = &set;
    info.pushConstantRangeCount = push_bytes ? 1 : 0;
    info.pPushConstantRanges = &push;
    const gsa_status status = GSAI_VK(dev, dev->vk.vkCreatePipelineLayout(dev->device, &info, NULL, &l->handle));
    if (status != GSA_OK) {
        gsai_free(&dev->allocator, l);
        return status;
    }
    l->n_bindings = n_bindings;
    l->push_bytes = push_bytes;
    l->next = p->layouts;
    p->layouts = l;
    *out = l->handle;
    return GSA_OK;
}

static gsa_status build(gsa_device *dev, gsai_pipeline *k)
{
    const gsai_shader *s = k->shader;
    gsa_status status = get_set_layout(dev, s->n_bindings, &k->set_layout);
    if (status == GSA_OK) status = get_layout(dev, s->n_bindings, s->push_bytes, k->set_layout, &k->layout);
    if (status != GSA_OK) return status;

    VkShaderModuleCreateInfo module_info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
    module_info.codeSize = (size_t)s->n_words * sizeof(uint32_t);
    module_info.pCode = s->words;
    VkShaderModule module = VK_NULL_HANDLE;
    status = GSAI_VK(dev, dev->vk.vkCreateShaderModule(dev->device, &module_info, NULL, &module));
    if (status != GSA_OK) return status;

    VkSpecializationMapEntry map[GSAI_MAX_SPEC];
    for (uint32_t i = 0; i < k->n_spec; i++)
        map[i] = (VkSpecializationMapEntry){i, i * (uint32_t)sizeof(uint32_t), sizeof(uint32_t)};
    const VkSpecializationInfo spec = {k->n_spec, map, k->n_spec * sizeof(uint32_t), k->spec};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, NULL, k->subgroup_size};
    VkComputePipelineCreateInfo info = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = k->n_spec ? &spec : NULL;
    if (k->subgroup_size && gsai_caps_has(&dev->caps, GSAI_CAP_SUBGROUP_SIZE)) {
        if (dev->caps.subgroup_size_settable) info.stage.pNext = &size;
        if (dev->full_subgroups && k->group_size[0] % k->subgroup_size == 0)
            info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
    }
    if (dev->kernel_statistics) info.flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    info.layout = k->layout;
    status =
        GSAI_VK(dev, dev->vk.vkCreateComputePipelines(dev->device, dev->pipelines->cache, 1, &info, NULL, &k->handle));
    dev->vk.vkDestroyShaderModule(dev->device, module, NULL);
    if (status != GSA_OK) return gsai_fail_in(status, "kernel %s", s->name);
    if (dev->kernel_statistics) gsai_pipeline_log_statistics(dev, k);
    return GSA_OK;
}

static bool same_key(const gsai_pipeline *a, const gsai_pipeline *b)
{
    return a->shader == b->shader && a->n_spec == b->n_spec && a->subgroup_size == b->subgroup_size &&
           memcmp(a->spec, b->spec, sizeof a->spec) == 0;
}

static uint32_t bucket_of(const gsai_pipeline *k)
{
    uint32_t h = (uint32_t)((uintptr_t)k->shader >> 4) * 2654435761u + k->subgroup_size;
    for (uint32_t i = 0; i < k->n_spec; i++) h = (h ^ k->spec[i]) * 16777619u;
    return (h ^ h >> 16) % N_BUCKETS;
}

static gsa_status find_or_build(gsa_device *dev, const gsai_pipeline *key, const gsai_pipeline **out)
{
    struct gsai_pipelines *p = dev->pipelines;
    const uint32_t bucket = bucket_of(key);
    for (entry *e = p->buckets[bucket]; e; e = e->next) {
        if (same_key(&e->pipeline, key)) {
            *out = &e->pipeline;
            return GSA_OK;
        }
    }
    entry *e = gsai_alloc(&dev->allocator, sizeof *e);
    if (!e) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for kernel %s", key->shader->name);
    e->pipeline = *key;
    const uint64_t start = gsai_clock_ns();
    const gsa_status status = build(dev, &e->pipeline);
    const uint64_t took = gsai_clock_ns() - start;
    gsai_log(&dev->log, GSA_LOG_DEBUG, "pipeline %s: %.1f ms", key->shader->name, (double)took * 1e-6);
    atomic_fetch_add(&dev->pipeline_ns, took);
    atomic_fetch_add(&dev->n_pipelines, 1);
    if (status != GSA_OK) {
        gsai_free(&dev->allocator, e);
        return status;
    }
    e->next = p->buckets[bucket];
    p->buckets[bucket] = e;
    p->n_entries++;
    *out = &e->pipeline;
    return GSA_OK;
}

gsa_status gsai_pipeline_get(gsa_device *dev, const gsai_shader *shader, const uint32_t *spec, uint32_t n_spec,
    uint32_t subgroup_size, const gsai_pipeline **out)
{
    *out = NULL;
    if (!shader) return gsai_fail(GSA_ERROR_ARGUMENT, "no kernel given (this build lacks it?)");
    gsai_pipeline key = {0};
    gsa_status status = gsai_device_check(dev);
    if (status == GSA_OK) status = check_key(dev, shader, n_spec, spec, subgroup_size, key.group_size);
    if (status != GSA_OK) return status;
    key.shader = shader;
    key.n_spec = n_spec;
    if (n_spec) memcpy(key.spec, spec, n_spec * sizeof *spec);
    key.subgroup_size = subgroup_size;
    gsai_mutex_lock(&dev->pipelines->mutex);
    status = find_or_build(dev, &key, out);
    gsai_mutex_unlock(&dev->pipelines->mutex);
    return status;
}
