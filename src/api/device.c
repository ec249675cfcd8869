/* gsa/device.h: opening, describing and closing a device. */
#include "gsa/device.h"

#include <stdio.h>
#include <string.h>

#include "ops/tune.h"
#include "ops/verify.h"
#include "vk/device.h"
#include "vk/pipeline.h"

gsa_status gsa_device_list(const gsa_device_params *params, gsa_device_info *infos, uint32_t *count)
{
    if (!count) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_list: count is NULL");
    return gsai_device_enumerate(params, infos, count);
}

gsa_status gsa_device_create(const gsa_device_params *params, gsa_device **device)
{
    if (!device) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_create: device is NULL");
    gsa_device *dev = NULL;
    *device = NULL;
    gsa_status status = gsai_device_open(params, &dev);
    if (status != GSA_OK) return status;
    status = gsai_variants_init(dev, dev->variant_mask);
    if (status == GSA_OK && !dev->is_cpu_reference) {
        status = gsai_ops_verdicts_read(dev);
        gsai_tune_read(dev);
    }
    if (status != GSA_OK) {
        gsai_device_close(dev);
        return status;
    }
    *device = dev;
    return GSA_OK;
}

void gsa_device_destroy(gsa_device *device)
{
    gsai_device_close(device);
}

void gsa_device_info_get(const gsa_device *device, gsa_device_info *info)
{
    if (!device || !info) return;
    *info = device->info;
}

bool gsa_device_fact_get(
    const gsa_device *device, gsa_device_fact kind, uint32_t i, const char **name, const char **value)
{
    if (!device || !name || !value || kind < GSA_FACT_LIMIT || kind > GSA_FACT_SHAPE) return false;
    if (kind == GSA_FACT_VARIANT) return !device->is_cpu_reference && gsai_variant_fact(device, i, name, value);
    if (kind == GSA_FACT_SHAPE) return gsai_tune_fact(device, i, name, value);
    if (i >= device->n_facts[kind]) return false;
    *name = device->facts[kind][i].name;
    *value = device->facts[kind][i].value;
    return true;
}

gsa_status gsa_device_cache(gsa_device *device, void *data, size_t capacity, size_t *size)
{
    if (!device || !size) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_cache: device or size is NULL");
    *size = 0;
    if (device->is_cpu_reference) return GSA_OK; /* nothing to keep */
    return gsai_pipelines_cache(device, data, capacity, size);
}

void gsa_device_memory_get(const gsa_device *device, gsa_device_memory *memory)
{
    if (!memory) return;
    *memory = (gsa_device_memory){0};
    if (!device || device->is_cpu_reference) return;
    const gsai_memory_count *device_memory = &device->memory_count[0], *host = &device->memory_count[1];
    memory->device_bytes = atomic_load(&device_memory->bytes);
    memory->device_peak_bytes = atomic_load(&device_memory->peak);
    memory->host_bytes = atomic_load(&host->bytes);
    memory->host_peak_bytes = atomic_load(&host->peak);
    memory->n_allocations = atomic_load(&device->n_allocations);
}

void gsa_device_startup_get(const gsa_device *device, gsa_device_startup *startup)
{
    if (!startup) return;
    *startup = (gsa_device_startup){0};
    if (!device || device->is_cpu_reference) return;
    startup->n_pipelines = atomic_load(&device->n_pipelines);
    startup->pipelines_ms = (double)atomic_load(&device->pipeline_ns) * 1e-6;
    startup->cache_fitted = gsai_pipelines_cache_hit(device);
    startup->n_self_tests = atomic_load(&device->n_self_tests);
    startup->self_test_ms = (double)atomic_load(&device->self_test_ns) * 1e-6;
    startup->n_tuned = atomic_load(&device->n_tuned);
    startup->tuning_ms = (double)atomic_load(&device->tuning_ns) * 1e-6;
}

gsa_status gsa_device_status(const gsa_device *device)
{
    return device ? gsai_device_check(device) : gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_status: device is NULL");
}

uint32_t gsa_device_validation_count(const gsa_device *device)
{
    return device ? atomic_load(&device->n_validation_messages) : 0;
}
