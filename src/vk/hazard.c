#include "vk/hazard.h"

#define ROOM 8 /* accesses of one call */

bool gsai_hazards_conflict(const gsai_hazards *h, gsai_range range, gsai_access access)
{
    if (h->n + ROOM > GSAI_MAX_HAZARDS) return true;
    const uint64_t begin = range.offset, end = range.offset + range.size;
    for (uint32_t i = 0; i < h->n; i++) {
        const struct gsai_hazard *e = &h->list[i];
        if (e->buffer == range.buffer->buffer && begin < e->end && e->begin < end &&
            ((e->access | access) & GSAI_WRITE))
            return true;
    }
    return false;
}

void gsai_hazards_add(gsai_hazards *h, gsai_range range, gsai_access access, VkPipelineStageFlags stage)
{
    const uint64_t begin = range.offset, end = range.offset + range.size;
    h->stages |= stage;
    for (uint32_t i = 0; i < h->n; i++) { /* touching ranges of the same kind become one */
        struct gsai_hazard *e = &h->list[i];
        if (e->buffer != range.buffer->buffer || e->access != access || begin > e->end || e->begin > end) continue;
        if (begin < e->begin) e->begin = begin;
        if (end > e->end) e->end = end;
        return;
    }
    if (h->n < GSAI_MAX_HAZARDS) h->list[h->n++] = (struct gsai_hazard){range.buffer->buffer, begin, end, access};
}

void gsai_hazards_clear(gsai_hazards *h)
{
    h->n = 0;
    h->stages = 0;
    h->by_address = false;
}

void gsai_cmd_barrier(const gsa_device *dev, VkCommandBuffer cmd, VkPipelineStageFlags src, VkPipelineStageFlags dst)
{
    VkMemoryBarrier barrier = {VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    if (src & VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT) barrier.srcAccessMask |= VK_ACCESS_SHADER_WRITE_BIT;
    if (src & VK_PIPELINE_STAGE_TRANSFER_BIT) barrier.srcAccessMask |= VK_ACCESS_TRANSFER_WRITE_BIT;
    if (dst & VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT)
        barrier.dstAccessMask |= VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    if (dst & VK_PIPELINE_STAGE_TRANSFER_BIT)
        barrier.dstAccessMask |= VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    if (dst & VK_PIPELINE_STAGE_HOST_BIT) barrier.dstAccessMask |= VK_ACCESS_HOST_READ_BIT;
    dev->vk.vkCmdPipelineBarrier(cmd, src, dst, 0, 1, &barrier, 0, NULL, 0, NULL);
}
