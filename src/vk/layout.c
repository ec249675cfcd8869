/* Places in blocks: arithmetic only. */
#include <string.h>

#include "vk/memory.h"

#define LEAST_ALIGN 256

void gsai_layout_init(
    gsai_layout *l, const gsa_allocator *a, uint64_t max_range, uint64_t max_allocation, uint32_t align)
{
    memset(l, 0, sizeof *l);
    l->allocator = *a;
    l->align = align < LEAST_ALIGN ? LEAST_ALIGN : align;
    l->max_block = max_allocation < GSAI_BLOCK_BYTES ? max_allocation : GSAI_BLOCK_BYTES;
    l->max_place = (max_range < max_allocation ? max_range : max_allocation) / 16 * 16;
}

void gsai_layout_init_for(gsai_layout *l, const gsa_device *dev)
{
    gsai_layout_init(
        l, &dev->allocator, dev->caps.max_range_bytes, dev->caps.max_allocation_bytes, dev->caps.offset_align);
}

void gsai_layout_finish(gsai_layout *l)
{
    if (l->allocator.free) gsai_free(&l->allocator, l->block_bytes);
    memset(l, 0, sizeof *l);
}

gsa_status gsai_layout_place(gsai_layout *l, uint64_t size, gsai_place *out)
{
    memset(out, 0, sizeof *out);
    if (size > l->max_place) {
        return gsai_fail(GSA_ERROR_LIMIT, "%llu bytes do not fit one binding of %llu", (unsigned long long)size,
            (unsigned long long)l->max_place);
    }
    size = size ? gsai_round_up(size, 16) : 16;
    for (uint32_t i = 0; i < l->n_blocks; i++) {
        const uint64_t offset = gsai_round_up(l->block_bytes[i], l->align);
        if (offset > l->max_block || size > l->max_block - offset) continue;
        *out = (gsai_place){i, offset, size};
        l->block_bytes[i] = offset + size;
        return GSA_OK;
    }
    /* The array grows by doubling; its capacity is the power of two not below n_blocks. */
    const uint32_t n = l->n_blocks;
    if ((n & (n - 1)) == 0) {
        uint64_t *grown = gsai_realloc_array(&l->allocator, l->block_bytes, n ? 2 * (size_t)n : 1, sizeof *grown);
        if (!grown) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for %u blocks", n + 1);
        l->block_bytes = grown;
    }
    l->block_bytes[n] = size;
    l->n_blocks = n + 1;
    *out = (gsai_place){n, 0, size};
    return GSA_OK;
}

uint64_t gsai_layout_bytes(const gsai_layout *l)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < l->n_blocks; i++) sum += gsai_round_up(l->block_bytes[i], GSAI_BUFFER_UNIT);
    return sum;
}
