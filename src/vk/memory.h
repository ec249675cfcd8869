/* Device memory in few allocations. A layout is arithmetic only (so a memory plan needs no device): places are put into
 * blocks; committing a layout makes one buffer with one allocation per block. */
#ifndef GSAI_MEMORY_H
#define GSAI_MEMORY_H

#include "util/workers.h"
#include "vk/device.h"

typedef enum gsai_memory_kind {
    GSAI_MEMORY_DEVICE,  /* device local */
    GSAI_MEMORY_UPLOAD,  /* host writes, mapped, coherent */
    GSAI_MEMORY_READBACK /* host reads, mapped, cached where there is such a type (then invalidate before reading) */
} gsai_memory_kind;

typedef struct gsai_buffer {
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint64_t size;
    void *mapped; /* whole buffer, or NULL for device memory */
    bool coherent;
    bool is_host;       /* counted as host-visible memory */
    uint64_t allocated; /* bytes asked of the driver */
    uint64_t address;   /* as shaders see it; 0 without GSAI_CAP_BUFFER_ADDRESS */
} gsai_buffer;

/* Bytes [offset, offset + size) of a buffer; what descriptors bind. offset is a multiple of caps.offset_align, size a
 * multiple of 4 and at most caps.max_range_bytes. */
typedef struct gsai_range {
    const gsai_buffer *buffer;
    uint64_t offset, size;
} gsai_range;

/* Where the range begins, as shaders see it; only with GSAI_CAP_BUFFER_ADDRESS. */
static inline uint64_t gsai_range_address(gsai_range r)
{
    return r.buffer->address + r.offset;
}

/* Memory is taken in whole units: what drivers round to, so that a plan's bytes are those that are allocated. */
#define GSAI_BUFFER_UNIT 256

/* Storage + transfer usage; size is rounded up to a multiple of 16. Contents undefined. DEVICE_MEMORY tells the bytes
 * wanted and free, and also answers a size above caps.max_allocation_bytes. *out is zeroed on failure. */
gsa_status gsai_buffer_create(gsa_device *dev, uint64_t size, gsai_memory_kind kind, gsai_buffer *out);
void gsai_buffer_destroy(gsa_device *dev, gsai_buffer *b); /* zeroed is fine */
void gsai_buffer_invalidate(
    gsa_device *dev, const gsai_buffer *b, uint64_t offset, uint64_t size);                    /* before host reads */
void gsai_buffer_flush(gsa_device *dev, const gsai_buffer *b, uint64_t offset, uint64_t size); /* after host writes */

typedef struct gsai_place {
    uint32_t block;
    uint64_t offset, size;
} gsai_place;

typedef struct gsai_layout {
    gsa_allocator allocator;
    uint64_t *block_bytes;
    uint32_t n_blocks;
    uint64_t max_block; /* from max_allocation_bytes, at most GSAI_BLOCK_BYTES unless one place needs more */
    uint64_t max_place; /* min(max_range_bytes, max_allocation_bytes), whole 16 bytes */
    uint32_t align;     /* of places: offset_align, at least 256 */
} gsai_layout;

#define GSAI_BLOCK_BYTES (256ull << 20)

void gsai_layout_init(
    gsai_layout *l, const gsa_allocator *a, uint64_t max_range, uint64_t max_allocation, uint32_t align);
void gsai_layout_init_for(gsai_layout *l, const gsa_device *dev); /* with the device's limits */
void gsai_layout_finish(gsai_layout *l);
/* LIMIT when size > max_place (the caller splits), HOST_MEMORY. size is rounded up to a multiple of 16; 0 becomes 16. */
gsa_status gsai_layout_place(gsai_layout *l, uint64_t size, gsai_place *out);
uint64_t gsai_layout_bytes(const gsai_layout *l); /* of all blocks, each in whole units of GSAI_BUFFER_UNIT */

typedef struct gsai_heap {
    gsai_buffer *blocks;
    uint32_t n_blocks;
    uint64_t n_bytes;
} gsai_heap;

/* The heap's blocks must stay where they are while ranges of it are in use (ranges point at them). */
gsa_status gsai_heap_create(gsa_device *dev, const gsai_layout *l, gsai_memory_kind kind, gsai_heap *out);
void gsai_heap_destroy(gsa_device *dev, gsai_heap *h); /* zeroed is fine */
gsai_range gsai_heap_range(const gsai_heap *h, gsai_place p);

/* Staging: host -> device in pieces through a ring: while one is copied, the host fills the next. */
#define GSAI_UPLOAD_PIECE (16ull << 20)
typedef struct gsai_upload gsai_upload;

/* Host-visible bytes that an upload holds while it lives. */
uint64_t gsai_upload_staging_bytes(uint64_t max_allocation_bytes);
gsa_status gsai_upload_create(gsa_device *dev, gsai_upload **out);
/* Most bytes of one map: GSAI_UPLOAD_PIECE, less where allocations are small. */
uint64_t gsai_upload_max(const gsai_upload *u);
/* *ptr: size bytes the caller fills before the next call on this upload; they end up at dst.offset + offset. *ptr is
 * aligned to 16 bytes. ARGUMENT: outside dst, or size is 0 or above gsai_upload_max. After a failure of another kind
 * the upload can only be destroyed. */
gsa_status gsai_upload_map(gsai_upload *u, gsai_range dst, uint64_t offset, uint64_t size, void **ptr);
/* As map, but work fills the bytes (work.dst; work.group is not the caller's) on another thread or a later call on this
 * upload. What it needs must stay until finish. Its failure is that of a later call. Needs gsai_upload_start_workers. */
gsa_status gsai_upload_fill(gsai_upload *u, gsai_range dst, uint64_t offset, uint64_t size, gsai_chore work);
gsa_status gsai_upload_start_workers(gsai_upload *u, uint32_t most_threads);
/* The same from memory of the caller, any size. */
gsa_status gsai_upload_write(gsai_upload *u, gsai_range dst, uint64_t offset, const void *data, uint64_t size);
gsa_status gsai_upload_fill_zero(gsai_upload *u, gsai_range dst);
gsa_status gsai_upload_finish(gsai_upload *u); /* flushes and waits; the upload may be used again */
void gsai_upload_destroy(gsai_upload *u);      /* drops what is not filled, waits for the rest; NULL is fine */

#endif
