#include "vk/device.h"

#include <stdio.h>
#include <string.h>

#include "vk/facts.h"
#include "vk/caps_read.h"
#include "vk/loader.h"
#include "vk/pipeline.h"
#include "vk/queue.h"

#define DEFAULT_SUBMIT_US 8000

/* The caller's struct may be of an older, shorter version of the library. */
static gsa_status take_params(const gsa_device_params *params, gsa_device_params *out)
{
    memset(out, 0, sizeof *out);
    if (!params) return GSA_OK;
    if (params->struct_size < offsetof(gsa_device_params, mask) || params->struct_size > sizeof *out) {
        return gsai_fail(GSA_ERROR_ARGUMENT,
            "gsa_device_params.struct_size is %zu, this library knows up to %zu: set it to sizeof(gsa_device_params)",
            params->struct_size, sizeof *out);
    }
    memcpy(out, params, params->struct_size);
    const gsa_allocator *a = out->allocator;
    if (a && (a->alloc || a->realloc || a->free) && !(a->alloc && a->realloc && a->free))
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_allocator: give all of alloc, realloc and free, or none");
    if (out->cache_size && !out->cache)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_params.cache is NULL with cache_size %zu", out->cache_size);
    return GSA_OK;
}

static gsa_status new_device(const gsa_device_params *p, gsa_device **out)
{
    const gsa_allocator a = gsai_allocator_or_default(p->allocator);
    gsa_device *dev = gsai_alloc(&a, sizeof *dev);
    if (!dev) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for a device");
    dev->allocator = a;
    dev->log = p->log;
    dev->max_submit_us = p->max_submit_us ? p->max_submit_us : DEFAULT_SUBMIT_US;
    dev->profile = p->profile;
    dev->self_test = p->self_test;
    const gsa_status status = gsai_resident_parse(p->resident, GSAI_RESIDENT_AUTO, &dev->resident);
    if (status != GSA_OK) {
        gsai_free(&a, dev);
        return status;
    }
    dev->tuning = p->tuning;
    dev->kernel_statistics = p->kernel_statistics;
    atomic_store(&dev->cost_permille, 1000);
    atomic_store(&dev->math_permille, 1000);
    gsai_mutex_init(&dev->self_test_mutex);
    gsai_mutex_init(&dev->tuned_mutex);
    *out = dev;
    return GSA_OK;
}

/* Undo open_physical, so that the next candidate can be tried with the same instance. */
static void close_physical(gsa_device *dev)
{
    if (dev->queue) gsai_queue_wait_idle(dev);
    gsai_pipelines_destroy(dev);
    gsai_queue_destroy(dev);
    gsai_facts_destroy(dev);
    gsai_free(&dev->allocator, dev->variant_mask);
    dev->variant_mask = NULL;
    if (dev->device && dev->owns_handles && dev->vk.vkDestroyDevice) dev->vk.vkDestroyDevice(dev->device, NULL);
    dev->device = VK_NULL_HANDLE;
    atomic_store(&dev->lost, false);
}

void gsai_device_close(gsa_device *dev)
{
    if (!dev) return;
    const uint32_t n_children = atomic_load(&dev->n_children);
    if (n_children) {
        gsai_log(&dev->log, GSA_LOG_ERROR, "gsa_device_destroy: %s still has %u living model%s; not destroyed",
            dev->caps.name, n_children, n_children == 1 ? "" : "s");
        return;
    }
    close_physical(dev);
    if (dev->owns_handles) gsai_instance_destroy(dev);
    const gsa_allocator a = dev->allocator;
    gsai_mutex_destroy(&dev->self_test_mutex);
    gsai_mutex_destroy(&dev->tuned_mutex);
    gsai_free(&a, dev);
}

static gsa_status create_vk_device(gsa_device *dev, const gsai_extensions *ext)
{
    gsai_features features;
    gsai_features_chain(dev, dev->physical, ext, &dev->caps, &features);
    dev->full_subgroups =
        features.subgroup_size.computeFullSubgroups && gsai_caps_has(&dev->caps, GSAI_CAP_SUBGROUP_SIZE);
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, features.base.pNext, VK_TRUE};
    if (dev->kernel_statistics && gsai_extensions_have(ext, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME)) {
        features.base.pNext = &statistics;
        features.extensions[features.n_extensions++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    } else {
        dev->kernel_statistics = false;
    }
    const float priority = 0.5f;
    VkDeviceQueueCreateInfo queue = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queue.queueFamilyIndex = dev->queue_family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features.base};
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = features.n_extensions;
    info.ppEnabledExtensionNames = features.extensions;
    const VkResult result = dev->vki.vkCreateDevice(dev->physical, &info, NULL, &dev->device);
    if (result == VK_SUCCESS) return GSA_OK;
    dev->device = VK_NULL_HANDLE;
    if (result == VK_ERROR_DEVICE_LOST) /* lost before it was ours: just another way for a driver to refuse */
        return gsai_fail(GSA_ERROR_DRIVER, "%s: vkCreateDevice gave %s", dev->caps.name, gsai_vk_result_name(result));
    return gsai_vk_result(dev, result, "vkCreateDevice", __FILE__, __LINE__);
}

static gsa_status check_table(const gsa_device *dev)
{
    const struct VolkDeviceTable *t = &dev->vk;
    if (t->vkDestroyDevice && t->vkGetDeviceQueue && t->vkQueueSubmit && t->vkCmdDispatch &&
        t->vkCreateComputePipelines && t->vkCmdPipelineBarrier && t->vkAllocateMemory)
        return GSA_OK;
    return gsai_fail(GSA_ERROR_DRIVER, "%s: the driver does not offer the functions of Vulkan 1.0", dev->caps.name);
}

static gsa_status open_physical(
    gsa_device *dev, VkPhysicalDevice physical, const gsa_device_info *info, const gsa_device_params *p)
{
    gsai_extensions ext;
    gsa_status status = gsai_extensions_read(dev, physical, &ext);
    if (status != GSA_OK) return status;
    dev->physical = physical;
    dev->info = *info;
    dev->queue_family = gsai_instance_queue_family(dev, physical, &dev->caps.timestamp_bits);
    dev->vki.vkGetPhysicalDeviceMemoryProperties(physical, &dev->memory);
    status = gsai_caps_read(dev, physical, &ext, &dev->caps);
    if (status == GSA_OK) status = gsai_caps_mask(&dev->caps, p->mask, &dev->allocator, &dev->variant_mask);
    if (status == GSA_OK) status = create_vk_device(dev, &ext);
    dev->spirv_max = dev->caps.api_version >= VK_API_VERSION_1_3   ? 0x10600
                     : dev->caps.api_version >= VK_API_VERSION_1_2 ? 0x10500
                                                                   : 0x10300;
    gsai_extensions_finish(dev, &ext);
    if (status != GSA_OK) goto fail;
    gsai_loader_device_table(dev->instance, dev->device, &dev->vk);
    if ((status = check_table(dev)) != GSA_OK) goto fail;
    dev->vk.vkGetDeviceQueue(dev->device, dev->queue_family, 0, &dev->vk_queue);
    if ((status = gsai_queue_create(dev)) != GSA_OK) goto fail;
    if ((status = gsai_pipelines_create(dev, p->cache, p->cache_size)) != GSA_OK) goto fail;
    if ((status = gsai_facts_create(dev)) != GSA_OK) goto fail;
    return GSA_OK;
fail:
    close_physical(dev);
    return status;
}

/* --- selection --- */

typedef struct candidates {
    VkPhysicalDevice handles[GSAI_MAX_DEVICES];
    gsa_device_info infos[GSAI_MAX_DEVICES];
    uint32_t n;
    uint32_t order[GSAI_MAX_DEVICES]; /* what to try, best first */
    uint32_t n_order;
} candidates;

static int rank(gsa_device_type type)
{
    switch (type) {
    case GSA_DEVICE_DISCRETE:
        return 0;
    case GSA_DEVICE_INTEGRATED:
        return 1;
    case GSA_DEVICE_VIRTUAL:
        return 2;
    case GSA_DEVICE_OTHER:
        return 3;
    default:
        return 4;
    }
}

static bool is_better(const gsa_device_info *a, const gsa_device_info *b)
{
    if (rank(a->type) != rank(b->type)) return rank(a->type) < rank(b->type);
    return a->memory_bytes > b->memory_bytes;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && lower(text[i]) == lower(part[i])) i++;
        if (!part[i]) return true;
    }
    return false;
}

static bool is_number(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9') return false;
    }
    return *text != 0;
}

/* "0: NVIDIA H200, 1: llvmpipe (unusable)" */
static void list_names(const candidates *c, char *out, size_t capacity)
{
    size_t used = 0;
    snprintf(out, capacity, "none");
    for (uint32_t i = 0; i < c->n && used < capacity; i++) {
        const int n = snprintf(out + used, capacity - used, "%s%u: %.80s%s", i ? ", " : "", i, c->infos[i].name,
            c->infos[i].usable ? "" : " (unusable: no compute queue or older than Vulkan 1.1)");
        if (n < 0) break;
        used += (size_t)n;
    }
}

static gsa_status no_device(const candidates *c, const char *what, const char *select)
{
    char names[400];
    list_names(c, names, sizeof names);
    return gsai_fail(GSA_ERROR_NO_DEVICE, "%s%.60s%s; devices: %s; \"cpu\" is always there", what, select,
        *select ? "\"" : "", names);
}

static gsa_status choose(gsa_device *dev, candidates *c, const char *select)
{
    if (!*select) {
        for (uint32_t i = 0; i < c->n; i++) {
            if (!c->infos[i].usable) continue;
            uint32_t at = c->n_order++;
            for (; at > 0 && is_better(&c->infos[i], &c->infos[c->order[at - 1]]); at--)
                c->order[at] = c->order[at - 1];
            c->order[at] = i;
        }
        return c->n_order ? GSA_OK : no_device(c, "no usable Vulkan device", "");
    }
    if (is_number(select)) {
        uint32_t index = 0;
        for (const char *p = select; *p && index < GSAI_MAX_DEVICES; p++) index = index * 10 + (uint32_t)(*p - '0');
        if (index >= c->n) return no_device(c, "no Vulkan device has the index \"", select);
        if (!c->infos[index].usable) return no_device(c, "this Vulkan device cannot be used: \"", select);
        c->order[c->n_order++] = index;
        return GSA_OK;
    }
    uint32_t n_more = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (!c->infos[i].usable || !contains(c->infos[i].name, select)) continue;
        if (c->n_order == 0) {
            c->order[c->n_order++] = i;
        } else {
            n_more++;
        }
    }
    if (!c->n_order) return no_device(c, "no usable Vulkan device has a name with \"", select);
    if (n_more) {
        gsai_log(&dev->log, GSA_LOG_WARNING, "\"%.60s\" fits %u devices; taking the first, %u: %s", select, n_more + 1,
            c->order[0], c->infos[c->order[0]].name);
    }
    return GSA_OK;
}

static gsa_status read_candidates(gsa_device *dev, candidates *c)
{
    memset(c, 0, sizeof *c);
    const gsa_status status = gsai_instance_devices(dev, c->handles, &c->n);
    for (uint32_t i = 0; status == GSA_OK && i < c->n; i++) gsai_instance_info(dev, c->handles[i], i, &c->infos[i]);
    return status;
}

static gsa_status open_vulkan(gsa_device *dev, const gsa_device_params *p)
{
    dev->owns_handles = true;
    gsa_status status = gsai_instance_create(dev, p->validation);
    if (status != GSA_OK) return status;
    candidates *c = gsai_alloc(&dev->allocator, sizeof *c);
    if (!c) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for the list of devices");
    status = read_candidates(dev, c);
    if (status == GSA_OK) status = choose(dev, c, p->select ? p->select : "");
    for (uint32_t i = 0; i < c->n_order; i++) {
        const uint32_t at = c->order[i];
        status = open_physical(dev, c->handles[at], &c->infos[at], p);
        if (status == GSA_OK) {
            gsai_log(&dev->log, GSA_LOG_INFO, "device %u: %s, %s", at, c->infos[at].name, c->infos[at].driver);
            break;
        }
        if (status == GSA_ERROR_ARGUMENT || status == GSA_ERROR_HOST_MEMORY) break; /* another device would not help */
        gsai_log(&dev->log, GSA_LOG_WARNING, "device %u (%s) cannot be opened: %s%s", at, c->infos[at].name,
            gsa_error_text(), i + 1 < c->n_order ? "; trying the next" : "");
    }
    gsai_free(&dev->allocator, c);
    return status;
}

/* A mask is read even when no Vulkan device is opened, so that a typing error is told on every machine. */
static gsa_status open_reference(gsa_device *dev, const gsa_device_params *p)
{
    dev->is_cpu_reference = true;
    snprintf(dev->caps.name, sizeof dev->caps.name, "CPU reference");
    dev->info.type = GSA_DEVICE_REFERENCE;
    dev->info.index = UINT32_MAX;
    dev->info.usable = true;
    snprintf(dev->info.name, sizeof dev->info.name, "%s", dev->caps.name);
    snprintf(dev->info.driver, sizeof dev->info.driver, "gsa-vk %d.%d.%d", GSA_VERSION_MAJOR, GSA_VERSION_MINOR,
        GSA_VERSION_PATCH);
    gsai_caps none = {0};
    return gsai_caps_mask(&none, p->mask, &dev->allocator, &dev->variant_mask);
}

gsa_status gsai_device_open(const gsa_device_params *params, gsa_device **out)
{
    gsa_device_params p;
    gsa_device *dev = NULL;
    *out = NULL;
    gsa_status status = take_params(params, &p);
    if (status == GSA_OK) status = new_device(&p, &dev);
    if (status != GSA_OK) return status;
    status = p.select && strcmp(p.select, "cpu") == 0 ? open_reference(dev, &p) : open_vulkan(dev, &p);
    if (status != GSA_OK) {
        gsai_device_close(dev);
        return status;
    }
    *out = dev;
    return GSA_OK;
}

gsa_status gsai_device_enumerate(const gsa_device_params *params, gsa_device_info *infos, uint32_t *count)
{
    gsa_device_params p;
    gsa_device *dev = NULL;
    const uint32_t capacity = infos ? *count : 0;
    *count = 0;
    gsa_status status = take_params(params, &p);
    if (status == GSA_OK) status = new_device(&p, &dev);
    if (status != GSA_OK) return status;
    dev->owns_handles = true;
    status = gsai_instance_create(dev, p.validation);
    if (status == GSA_ERROR_NO_DEVICE) status = GSA_OK; /* a loader without drivers: the list is empty */
    candidates *c = gsai_alloc(&dev->allocator, sizeof *c);
    if (!c && status == GSA_OK) status = gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for the list of devices");
    if (status == GSA_OK && dev->instance) {
        status = read_candidates(dev, c);
        *count = c->n;
        for (uint32_t i = 0; i < c->n && i < capacity; i++) infos[i] = c->infos[i];
    }
    gsai_free(&dev->allocator, c);
    gsai_device_close(dev);
    return status;
}

/* --- memory --- */

bool gsai_device_tunes(const gsa_device *dev)
{
    const bool is_slow = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU || dev->profile;
    return dev->tuning != GSA_TUNING_OFF && (dev->tuning != GSA_TUNING_DEFAULT || !is_slow);
}

uint32_t gsai_device_memory_type(
    const gsa_device *dev, uint32_t bits, VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags unwanted)
{
    for (uint32_t i = 0; i < dev->memory.memoryTypeCount; i++) {
        const VkMemoryPropertyFlags flags = dev->memory.memoryTypes[i].propertyFlags;
        if ((bits & 1u << i) && (flags & wanted) == wanted && !(flags & unwanted)) return i;
    }
    return UINT32_MAX;
}

uint64_t gsai_device_memory_free(const gsa_device *dev)
{
    uint32_t heap = UINT32_MAX;
    for (uint32_t i = 0; i < dev->memory.memoryHeapCount; i++) {
        const VkMemoryHeap *h = &dev->memory.memoryHeaps[i];
        if (!(h->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)) continue;
        if (heap == UINT32_MAX || h->size > dev->memory.memoryHeaps[heap].size) heap = i;
    }
    if (heap == UINT32_MAX) return 0;
    const uint64_t size = dev->memory.memoryHeaps[heap].size;
    if (!gsai_caps_has(&dev->caps, GSAI_CAP_MEMORY_BUDGET)) return size;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 all = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget};
    dev->vki.vkGetPhysicalDeviceMemoryProperties2(dev->physical, &all);
    /* Drivers are known that report a budget above the heap's size, or a usage above the budget. */
    const uint64_t limit = budget.heapBudget[heap] < size ? budget.heapBudget[heap] : size;
    const uint64_t used = budget.heapUsage[heap];
    return used < limit ? limit - used : 0;
}
