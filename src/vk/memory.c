#include "vk/memory.h"

#include <string.h>

/* --- buffers --- */

/* Types to try in order; a kind never falls from device memory to host memory without the driver offering no other. */
static uint32_t choose_type(const gsa_device *dev, uint32_t bits, gsai_memory_kind kind)
{
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
                                coherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    /* Lazy and protected memory are not for buffers, AMD's coherent types need a feature that is not enabled. */
    const VkMemoryPropertyFlags odd = VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT |
                                      VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD |
                                      VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;
    const struct {
        gsai_memory_kind kind;
        VkMemoryPropertyFlags wanted, unwanted;
    } tries[] = {
        {GSAI_MEMORY_DEVICE, local, odd | visible},
        {GSAI_MEMORY_DEVICE, local, odd},
        {GSAI_MEMORY_DEVICE, 0, odd},
        {GSAI_MEMORY_UPLOAD, visible | coherent, odd | local | cached},
        {GSAI_MEMORY_UPLOAD, visible | coherent, odd | local},
        {GSAI_MEMORY_UPLOAD, visible | coherent, odd},
        {GSAI_MEMORY_READBACK, visible | coherent | cached, odd},
        {GSAI_MEMORY_READBACK, visible | cached, odd},
        {GSAI_MEMORY_READBACK, visible | coherent, odd},
        {GSAI_MEMORY_READBACK, visible, odd},
    };
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        if (tries[i].kind != kind) continue;
        const uint32_t type = gsai_device_memory_type(dev, bits, tries[i].wanted, tries[i].unwanted);
        if (type != UINT32_MAX) return type;
    }
    return UINT32_MAX;
}

static gsa_status no_memory(const gsa_device *dev, gsai_memory_kind kind, uint64_t size)
{
    return gsai_fail(GSA_ERROR_DEVICE_MEMORY,
        "%s: no room for %llu bytes of %s memory (about %llu of %llu device bytes are free)", dev->caps.name,
        (unsigned long long)size, kind == GSAI_MEMORY_DEVICE ? "device" : "host-visible",
        (unsigned long long)gsai_device_memory_free(dev), (unsigned long long)dev->caps.device_heap_bytes);
}

static void count(gsa_device *dev, const gsai_buffer *b)
{
    gsai_memory_count *c = &dev->memory_count[b->is_host];
    const uint64_t now = atomic_fetch_add(&c->bytes, b->allocated) + b->allocated;
    uint64_t peak = atomic_load(&c->peak);
    while (now > peak && !atomic_compare_exchange_weak(&c->peak, &peak, now)) {}
    atomic_fetch_add(&dev->n_allocations, 1);
}

static uint64_t address_of(const gsa_device *dev, VkBuffer buffer)
{
    const VkBufferDeviceAddressInfo info = {VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, NULL, buffer};
    if (dev->vk.vkGetBufferDeviceAddress) return dev->vk.vkGetBufferDeviceAddress(dev->device, &info);
    return dev->vk.vkGetBufferDeviceAddressKHR ? dev->vk.vkGetBufferDeviceAddressKHR(dev->device, &info) : 0;
}

static gsa_status allocate(gsa_device *dev, gsai_memory_kind kind, gsai_buffer *b)
{
    VkMemoryRequirements needs;
    dev->vk.vkGetBufferMemoryRequirements(dev->device, b->buffer, &needs);
    const uint32_t type = choose_type(dev, needs.memoryTypeBits, kind);
    if (type == UINT32_MAX)
        return gsai_fail(GSA_ERROR_DRIVER, "%s has no memory type for a storage buffer", dev->caps.name);
    const bool has_address = gsai_caps_has(&dev->caps, GSAI_CAP_BUFFER_ADDRESS);
    VkMemoryAllocateFlagsInfo flags = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO};
    flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
    VkMemoryAllocateInfo info = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, has_address ? &flags : NULL};
    info.allocationSize = needs.size;
    info.memoryTypeIndex = type;
    const VkResult result = dev->vk.vkAllocateMemory(dev->device, &info, NULL, &b->memory);
    if (result != VK_SUCCESS) b->memory = VK_NULL_HANDLE;
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_TOO_MANY_OBJECTS)
        return no_memory(dev, kind, needs.size);
    gsa_status status = gsai_vk_result(dev, result, "vkAllocateMemory", __FILE__, __LINE__);
    if (status != GSA_OK) return status;
    b->is_host = kind != GSAI_MEMORY_DEVICE;
    b->allocated = needs.size;
    count(dev, b);
    status = GSAI_VK(dev, dev->vk.vkBindBufferMemory(dev->device, b->buffer, b->memory, 0));
    if (status == GSA_OK && has_address) b->address = address_of(dev, b->buffer);
    if (status != GSA_OK || kind == GSAI_MEMORY_DEVICE) return status;
    b->coherent = (dev->memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
    return GSAI_VK(dev, dev->vk.vkMapMemory(dev->device, b->memory, 0, VK_WHOLE_SIZE, 0, &b->mapped));
}

gsa_status gsai_buffer_create(gsa_device *dev, uint64_t size, gsai_memory_kind kind, gsai_buffer *out)
{
    memset(out, 0, sizeof *out);
    gsa_status status = gsai_device_check(dev);
    if (status != GSA_OK) return status;
    if (size == 0) return gsai_fail(GSA_ERROR_ARGUMENT, "a buffer of 0 bytes was asked for");
    if (size > dev->caps.max_allocation_bytes || size > UINT64_MAX - GSAI_BUFFER_UNIT) {
        return gsai_fail(GSA_ERROR_DEVICE_MEMORY, "%s allows %llu bytes in one allocation, %llu were asked for",
            dev->caps.name, (unsigned long long)dev->caps.max_allocation_bytes, (unsigned long long)size);
    }
    out->size = gsai_round_up(size, 16);
    VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.size = gsai_round_up(size, GSAI_BUFFER_UNIT);
    info.usage =
        VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    if (gsai_caps_has(&dev->caps, GSAI_CAP_BUFFER_ADDRESS)) info.usage |= VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
    info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    const VkResult result = dev->vk.vkCreateBuffer(dev->device, &info, NULL, &out->buffer);
    if (result != VK_SUCCESS) out->buffer = VK_NULL_HANDLE;
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY) {
        status = no_memory(dev, kind, size);
    } else {
        status = gsai_vk_result(dev, result, "vkCreateBuffer", __FILE__, __LINE__);
    }
    if (status == GSA_OK) status = allocate(dev, kind, out);
    if (status != GSA_OK) gsai_buffer_destroy(dev, out);
    return status;
}

void gsai_buffer_destroy(gsa_device *dev, gsai_buffer *b)
{
    if (b->buffer) dev->vk.vkDestroyBuffer(dev->device, b->buffer, NULL);
    if (b->memory) {
        dev->vk.vkFreeMemory(dev->device, b->memory, NULL); /* unmaps as well */
        atomic_fetch_sub(&dev->memory_count[b->is_host].bytes, b->allocated);
        atomic_fetch_sub(&dev->n_allocations, 1);
    }
    memset(b, 0, sizeof *b);
}

/* The bytes widened to whole atoms, as the specification wants for memory that is not coherent. */
static VkMappedMemoryRange atoms(const gsa_device *dev, const gsai_buffer *b, uint64_t offset, uint64_t size)
{
    const uint64_t atom = dev->caps.atom_bytes, first = offset / atom * atom;
    const uint64_t end = gsai_round_up(offset + size, atom);
    return (VkMappedMemoryRange){
        VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE, NULL, b->memory, first, end >= b->size ? VK_WHOLE_SIZE : end - first};
}

void gsai_buffer_invalidate(gsa_device *dev, const gsai_buffer *b, uint64_t offset, uint64_t size)
{
    if (b->coherent || !b->mapped || size == 0) return;
    const VkMappedMemoryRange range = atoms(dev, b, offset, size);
    const gsa_status status = GSAI_VK(dev, dev->vk.vkInvalidateMappedMemoryRanges(dev->device, 1, &range));
    if (status != GSA_OK) gsai_log(&dev->log, GSA_LOG_ERROR, "%s", gsa_error_text());
}

void gsai_buffer_flush(gsa_device *dev, const gsai_buffer *b, uint64_t offset, uint64_t size)
{
    if (b->coherent || !b->mapped || size == 0) return;
    const VkMappedMemoryRange range = atoms(dev, b, offset, size);
    const gsa_status status = GSAI_VK(dev, dev->vk.vkFlushMappedMemoryRanges(dev->device, 1, &range));
    if (status != GSA_OK) gsai_log(&dev->log, GSA_LOG_ERROR, "%s", gsa_error_text());
}

/* --- heaps --- */

gsa_status gsai_heap_create(gsa_device *dev, const gsai_layout *l, gsai_memory_kind kind, gsai_heap *out)
{
    memset(out, 0, sizeof *out);
    out->blocks = gsai_alloc_array(&dev->allocator, l->n_blocks, sizeof *out->blocks);
    if (!out->blocks) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for %u device blocks", l->n_blocks);
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        const gsa_status status = gsai_buffer_create(dev, l->block_bytes[i], kind, &out->blocks[i]);
        if (status != GSA_OK) {
            const unsigned long long all = gsai_layout_bytes(l), had = out->n_bytes;
            gsai_heap_destroy(dev, out);
            return gsai_fail_in(status, "after %llu of %llu bytes", had, all);
        }
        out->n_blocks++;
        out->n_bytes += out->blocks[i].size;
    }
    return GSA_OK;
}

void gsai_heap_destroy(gsa_device *dev, gsai_heap *h)
{
    for (uint32_t i = 0; i < h->n_blocks; i++) gsai_buffer_destroy(dev, &h->blocks[i]);
    gsai_free(&dev->allocator, h->blocks);
    memset(h, 0, sizeof *h);
}

gsai_range gsai_heap_range(const gsai_heap *h, gsai_place p)
{
    return (gsai_range){&h->blocks[p.block], p.offset, p.size};
}
