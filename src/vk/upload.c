/* Staging: a ring of mapped pieces, each with the command buffer that copies out of it. */
#include <string.h>

#include "vk/hazard.h"
#include "vk/queue.h"

#define N_PIECES 3 /* one is filled, one waits for its last bytes, the device empties one */
_Static_assert(N_PIECES <= GSAI_WORK_GROUPS, "a piece is a group of work");
#define TRANSFER VK_PIPELINE_STAGE_TRANSFER_BIT

typedef struct piece {
    gsai_buffer staging;
    VkCommandBuffer commands;
    gsai_ticket ticket;
    uint64_t used;
    bool is_open;   /* being recorded */
    bool is_sealed; /* recorded, to be submitted when its bytes are there */
} piece;

struct gsai_upload {
    gsa_device *dev;
    VkCommandPool pool;
    uint64_t piece_bytes;
    piece pieces[N_PIECES];
    uint32_t at, oldest;   /* piece in use; the first that is sealed, if any is */
    gsai_workers *workers; /* NULL = none */
    gsai_hazards hazards;  /* of the open piece */
};

static uint64_t piece_bytes_of(uint64_t max_allocation_bytes)
{
    const uint64_t most = max_allocation_bytes / 16 * 16;
    return most < GSAI_UPLOAD_PIECE ? most : GSAI_UPLOAD_PIECE;
}

uint64_t gsai_upload_staging_bytes(uint64_t max_allocation_bytes)
{
    return N_PIECES * gsai_round_up(piece_bytes_of(max_allocation_bytes), GSAI_BUFFER_UNIT);
}

gsa_status gsai_upload_create(gsa_device *dev, gsai_upload **out)
{
    *out = NULL;
    gsai_upload *u = gsai_alloc(&dev->allocator, sizeof *u);
    if (!u) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for an upload");
    u->dev = dev;
    u->piece_bytes = piece_bytes_of(dev->caps.max_allocation_bytes);
    VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    pool.queueFamilyIndex = dev->queue_family;
    gsa_status status = gsai_device_check(dev);
    if (status == GSA_OK) status = GSAI_VK(dev, dev->vk.vkCreateCommandPool(dev->device, &pool, NULL, &u->pool));
    if (status != GSA_OK) u->pool = VK_NULL_HANDLE;
    for (uint32_t i = 0; status == GSA_OK && i < N_PIECES; i++) {
        VkCommandBufferAllocateInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
        info.commandPool = u->pool;
        info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
        info.commandBufferCount = 1;
        status = GSAI_VK(dev, dev->vk.vkAllocateCommandBuffers(dev->device, &info, &u->pieces[i].commands));
        if (status == GSA_OK)
            status = gsai_buffer_create(dev, u->piece_bytes, GSAI_MEMORY_UPLOAD, &u->pieces[i].staging);
    }
    if (status != GSA_OK) {
        gsai_upload_destroy(u);
        return status;
    }
    *out = u;
    return GSA_OK;
}

uint64_t gsai_upload_max(const gsai_upload *u)
{
    return u->piece_bytes;
}

/* The oldest sealed piece, once its bytes are there. */
static gsa_status submit(gsai_upload *u)
{
    gsa_device *dev = u->dev;
    piece *p = &u->pieces[u->oldest];
    gsa_status status = u->workers ? gsai_workers_wait(u->workers, u->oldest) : GSA_OK;
    if (status != GSA_OK) return status;
    p->is_sealed = false;
    u->oldest = (u->oldest + 1) % N_PIECES;
    gsai_buffer_flush(dev, &p->staging, 0, p->used);
    status = gsai_queue_submit(dev, &p->commands, 1, &p->ticket);
    if (status == GSA_ERROR_BUSY) { /* many small batches of others are in flight: let them finish */
        status = gsai_queue_wait_idle(dev);
        if (status == GSA_OK) status = gsai_queue_submit(dev, &p->commands, 1, &p->ticket);
    }
    return status;
}

/* End the open piece, and submit what is ready by now, in order. */
static gsa_status seal(gsai_upload *u)
{
    piece *p = &u->pieces[u->at];
    if (!p->is_open) return GSA_OK;
    gsa_status status = GSAI_VK(u->dev, u->dev->vk.vkEndCommandBuffer(p->commands));
    p->is_open = false;
    p->is_sealed = status == GSA_OK;
    u->at = (u->at + 1) % N_PIECES;
    while (status == GSA_OK && u->pieces[u->oldest].is_sealed &&
           (!u->workers || gsai_workers_is_done(u->workers, u->oldest)))
        status = submit(u);
    return status;
}

static gsa_status open_piece(gsai_upload *u, piece *p)
{
    gsa_device *dev = u->dev;
    if (p->is_open) return GSA_OK;
    gsa_status status = p->is_sealed ? submit(u) : GSA_OK; /* all are sealed, so this is the oldest */
    if (status == GSA_OK) status = gsai_queue_wait(dev, p->ticket, UINT64_MAX);
    if (status != GSA_OK) return status;
    p->ticket = 0;
    p->used = 0;
    VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    status = GSAI_VK(dev, dev->vk.vkBeginCommandBuffer(p->commands, &info));
    if (status != GSA_OK) return status;
    p->is_open = true;
    gsai_cmd_barrier(dev, p->commands, TRANSFER | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, TRANSFER);
    gsai_hazards_clear(&u->hazards);
    return GSA_OK;
}

static void order(gsai_upload *u, piece *p, gsai_range written)
{
    if (gsai_hazards_conflict(&u->hazards, written, GSAI_WRITE)) {
        gsai_cmd_barrier(u->dev, p->commands, TRANSFER, TRANSFER);
        gsai_hazards_clear(&u->hazards);
    }
    gsai_hazards_add(&u->hazards, written, GSAI_WRITE, TRANSFER);
}

static gsa_status check_target(gsai_range dst, uint64_t offset, uint64_t size)
{
    if (dst.buffer && dst.offset <= dst.buffer->size && dst.size <= dst.buffer->size - dst.offset &&
        offset <= dst.size && size <= dst.size - offset)
        return GSA_OK;
    return gsai_fail(GSA_ERROR_ARGUMENT, "upload: %llu bytes at %llu lie outside a range of %llu",
        (unsigned long long)size, (unsigned long long)offset, (unsigned long long)dst.size);
}

gsa_status gsai_upload_map(gsai_upload *u, gsai_range dst, uint64_t offset, uint64_t size, void **ptr)
{
    *ptr = NULL;
    gsa_status status = check_target(dst, offset, size);
    if (status != GSA_OK) return status;
    if (size == 0 || size > u->piece_bytes) {
        return gsai_fail(GSA_ERROR_ARGUMENT, "upload: %llu bytes at once, 1 to %llu can be mapped",
            (unsigned long long)size, (unsigned long long)u->piece_bytes);
    }
    piece *p = &u->pieces[u->at];
    if (p->is_open && size > u->piece_bytes - gsai_round_up(p->used, 16)) {
        status = seal(u);
        if (status != GSA_OK) return status;
        p = &u->pieces[u->at];
    }
    status = open_piece(u, p);
    if (status != GSA_OK) return status;
    const uint64_t from = gsai_round_up(p->used, 16);
    const VkBufferCopy copy = {from, dst.offset + offset, size};
    order(u, p, (gsai_range){dst.buffer, dst.offset + offset, size});
    u->dev->vk.vkCmdCopyBuffer(p->commands, p->staging.buffer, dst.buffer->buffer, 1, &copy);
    p->used = from + size;
    *ptr = (char *)p->staging.mapped + from;
    return GSA_OK;
}

gsa_status gsai_upload_start_workers(gsai_upload *u, uint32_t most_threads)
{
    return u->workers ? GSA_OK : gsai_workers_create(&u->dev->allocator, most_threads, &u->workers);
}

gsa_status gsai_upload_fill(gsai_upload *u, gsai_range dst, uint64_t offset, uint64_t size, gsai_chore work)
{
    if (!u->workers) return gsai_fail(GSA_ERROR_ARGUMENT, "upload: no workers were started");
    const gsa_status status = gsai_upload_map(u, dst, offset, size, &work.dst);
    if (status != GSA_OK) return status;
    work.group = u->at;
    gsai_workers_add(u->workers, &work);
    return GSA_OK;
}

gsa_status gsai_upload_write(gsai_upload *u, gsai_range dst, uint64_t offset, const void *data, uint64_t size)
{
    gsa_status status = check_target(dst, offset, size);
    for (uint64_t done = 0; status == GSA_OK && done < size;) {
        const uint64_t n = size - done < u->piece_bytes ? size - done : u->piece_bytes;
        void *ptr;
        status = gsai_upload_map(u, dst, offset + done, n, &ptr);
        if (status == GSA_OK) memcpy(ptr, (const char *)data + done, (size_t)n);
        done += n;
    }
    return status;
}

gsa_status gsai_upload_fill_zero(gsai_upload *u, gsai_range dst)
{
    gsa_status status = check_target(dst, 0, dst.size);
    if (status != GSA_OK) return status;
    if (dst.size == 0) return GSA_OK;
    if (dst.offset % 4 || dst.size % 4) return gsai_fail(GSA_ERROR_ARGUMENT, "upload: only whole words can be filled");
    piece *p = &u->pieces[u->at];
    status = open_piece(u, p);
    if (status != GSA_OK) return status;
    order(u, p, dst);
    u->dev->vk.vkCmdFillBuffer(p->commands, dst.buffer->buffer, dst.offset, dst.size, 0);
    return GSA_OK;
}

gsa_status gsai_upload_finish(gsai_upload *u)
{
    gsa_status status = seal(u);
    while (status == GSA_OK && u->pieces[u->oldest].is_sealed) status = submit(u);
    for (uint32_t i = 0; status == GSA_OK && i < N_PIECES; i++) {
        status = gsai_queue_wait(u->dev, u->pieces[i].ticket, UINT64_MAX);
        if (status == GSA_OK) u->pieces[i].ticket = 0;
    }
    return status;
}

void gsai_upload_destroy(gsai_upload *u)
{
    if (!u) return;
    gsa_device *dev = u->dev;
    gsai_workers_destroy(u->workers); /* nobody writes into the staging memory any more */
    for (uint32_t i = 0; i < N_PIECES; i++) {
        if (u->pieces[i].ticket) gsai_queue_wait(dev, u->pieces[i].ticket, UINT64_MAX);
    }
    if (u->pool) dev->vk.vkDestroyCommandPool(dev->device, u->pool, NULL);
    for (uint32_t i = 0; i < N_PIECES; i++) gsai_buffer_destroy(dev, &u->pieces[i].staging);
    gsai_free(&dev->allocator, u);
}
