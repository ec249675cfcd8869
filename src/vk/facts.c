#include "vk/facts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_LIMITS (40 + GSAI_MAX_COOPMAT_SHAPES)

static void GSAI_PRINTF(3, 4) add(gsa_device *dev, const char *name, const char *format, ...)
{
    if (dev->n_facts[GSA_FACT_LIMIT] == MAX_LIMITS) return;
    gsai_fact *f = &dev->facts[GSA_FACT_LIMIT][dev->n_facts[GSA_FACT_LIMIT]++];
    snprintf(f->name, sizeof f->name, "%s", name);
    va_list args;
    va_start(args, format);
    vsnprintf(f->value, sizeof f->value, format, args);
    va_end(args);
    for (char *p = f->value; *p; p++) {
        if ((unsigned char)*p < 0x20) *p = '?';
    }
}

static void add_bytes(gsa_device *dev, const char *name, uint64_t bytes)
{
    if (bytes >= 1ull << 30) {
        add(dev, name, "%" PRIu64 " (%.1f GiB)", bytes, (double)bytes / (double)(1ull << 30));
    } else if (bytes >= 1ull << 20) {
        add(dev, name, "%" PRIu64 " (%.1f MiB)", bytes, (double)bytes / (double)(1ull << 20));
    } else {
        add(dev, name, "%" PRIu64, bytes);
    }
}

static void add_hex(gsa_device *dev, const char *name, const uint8_t bytes[16])
{
    char text[33];
    for (int i = 0; i < 16; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    add(dev, name, "%s", text);
}

static const char *component_name(gsai_component c)
{
    static const char *const names[] = {"f16", "f32", "bf16", "s8", "u8", "s32", "u32", "other"};
    return names[c <= GSAI_COMP_OTHER ? c : GSAI_COMP_OTHER];
}

static void add_limits(gsa_device *dev)
{
    static const char *const types[] = {"other", "integrated", "discrete", "virtual", "cpu"};
    const gsai_caps *c = &dev->caps;
    add(dev, "name", "%s", c->name);
    add(dev, "type", "%s", types[c->device_type >= 0 && c->device_type < 5 ? c->device_type : 0]);
    add(dev, "driver", "%s %s", c->driver_name, c->driver_info);
    add(dev, "driver_version", "0x%08x", c->driver_version);
    add(dev, "driver_id", "%u", c->driver_id);
    add(dev, "vendor_id", "0x%04x", c->vendor_id);
    add(dev, "device_id", "0x%04x", c->device_id);
    add(dev, "api_version", "%u.%u.%u", VK_API_VERSION_MAJOR(c->api_version), VK_API_VERSION_MINOR(c->api_version),
        VK_API_VERSION_PATCH(c->api_version));
    add_hex(dev, "device_uuid", c->device_uuid);
    add_hex(dev, "driver_uuid", c->driver_uuid);
    add_hex(dev, "pipeline_uuid", c->pipeline_uuid);
    add(dev, "queue_family", "%u", dev->queue_family);
    add_bytes(dev, "device_memory", c->device_heap_bytes);
    add_bytes(dev, "host_memory", c->host_heap_bytes);
    add(dev, "unified_memory", "%s", c->unified ? "yes" : "no");
    add(dev, "max_invocations", "%u", c->max_invocations);
    add(dev, "max_group_size", "%u %u %u", c->max_group_size[0], c->max_group_size[1], c->max_group_size[2]);
    add(dev, "max_group_count", "%u %u %u", c->max_group_count[0], c->max_group_count[1], c->max_group_count[2]);
    add_bytes(dev, "max_shared_bytes", c->max_shared_bytes);
    add(dev, "max_push_bytes", "%u", c->max_push_bytes);
    add(dev, "max_storage_buffers", "%u", c->max_storage_buffers);
    add_bytes(dev, "max_range_bytes", c->max_range_bytes);
    add_bytes(dev, "max_allocation_bytes", c->max_allocation_bytes);
    add(dev, "offset_align", "%u", c->offset_align);
    add(dev, "subgroup_size", "%u (%u to %u)", c->subgroup_size, c->subgroup_size_min, c->subgroup_size_max);
    if (c->n_cores) {
        add(dev, "cores", "%u", c->n_cores);
    } else {
        add(dev, "cores", "unknown");
    }
    add(dev, "timestamp_period_ns", "%g", c->timestamp_period_ns);
    add(dev, "max_submit_us", "%u", dev->max_submit_us);
    for (uint32_t i = 0; i < c->n_coopmat; i++) {
        const gsai_coopmat_shape *s = &c->coopmat[i];
        add(dev, "coopmat_shape", "%ux%ux%u %s*%s+%s->%s%s", s->m, s->n, s->k, component_name(s->a),
            component_name(s->b), component_name(s->c), component_name(s->r), s->saturating ? " saturating" : "");
    }
}

gsa_status gsai_facts_create(gsa_device *dev)
{
    dev->facts[GSA_FACT_LIMIT] = gsai_alloc_array(&dev->allocator, MAX_LIMITS, sizeof(gsai_fact));
    dev->facts[GSA_FACT_CAPABILITY] = gsai_alloc_array(&dev->allocator, GSAI_N_CAPS, sizeof(gsai_fact));
    if (!dev->facts[GSA_FACT_LIMIT] || !dev->facts[GSA_FACT_CAPABILITY])
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for the facts about a device");
    add_limits(dev);
    for (uint32_t i = 0; i < GSAI_N_CAPS; i++) {
        const uint32_t bit = 1u << i;
        gsai_fact *f = &dev->facts[GSA_FACT_CAPABILITY][i];
        snprintf(f->name, sizeof f->name, "%s", gsai_cap_name(bit));
        snprintf(f->value, sizeof f->value, "%s",
            !(dev->caps.present & bit) ? "no"
            : (dev->caps.masked & bit) ? "masked"
                                       : "yes");
    }
    dev->n_facts[GSA_FACT_CAPABILITY] = GSAI_N_CAPS;
    return GSA_OK;
}

void gsai_facts_destroy(gsa_device *dev)
{
    for (int kind = 0; kind < 2; kind++) {
        gsai_free(&dev->allocator, dev->facts[kind]);
        dev->facts[kind] = NULL;
        dev->n_facts[kind] = 0;
    }
}
