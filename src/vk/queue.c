#include "vk/queue.h"

/* A fence per batch in flight. A fence may be reset only when nobody waits for it, so a finished batch stays until its
 * last waiter has left. Batches finish in order: a fence also covers everything submitted before it. */
typedef struct batch {
    VkFence fence;
    gsai_ticket ticket; /* 0 = free */
    uint32_t n_waiters;
    bool is_done;
} batch;

struct gsai_queue {
    gsai_mutex mutex; /* guards all below and our calls on the VkQueue */
    batch batches[GSAI_MAX_IN_FLIGHT];
    gsai_ticket last;
};

#define WAIT_SLICE_NS 100000000ull

gsa_status gsai_queue_create(gsa_device *dev)
{
    struct gsai_queue *q = gsai_alloc(&dev->allocator, sizeof *q);
    if (!q) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for a queue");
    gsai_mutex_init(&q->mutex);
    dev->queue = q;
    return GSA_OK; /* fences are made when first needed */
}

void gsai_queue_destroy(gsa_device *dev)
{
    struct gsai_queue *q = dev->queue;
    if (!q) return;
    for (uint32_t i = 0; i < GSAI_MAX_IN_FLIGHT; i++) {
        if (q->batches[i].fence) dev->vk.vkDestroyFence(dev->device, q->batches[i].fence, NULL);
    }
    gsai_mutex_destroy(&q->mutex);
    gsai_free(&dev->allocator, q);
    dev->queue = NULL;
}

static void release_if_done(batch *b)
{
    if (b->is_done && b->n_waiters == 0) b->ticket = 0;
}

static batch *find(struct gsai_queue *q, gsai_ticket ticket)
{
    for (uint32_t i = 0; i < GSAI_MAX_IN_FLIGHT; i++) {
        if (q->batches[i].ticket == ticket) return &q->batches[i];
    }
    return NULL;
}

/* A free batch with an unsignalled fence, or NULL with *status set. */
static batch *take_batch(gsa_device *dev, gsa_status *status)
{
    struct gsai_queue *q = dev->queue;
    batch *b = find(q, 0);
    for (uint32_t i = 0; !b && i < GSAI_MAX_IN_FLIGHT; i++) { /* finished ones that nobody asked about */
        batch *old = &q->batches[i];
        if (!old->is_done) old->is_done = dev->vk.vkGetFenceStatus(dev->device, old->fence) == VK_SUCCESS;
        release_if_done(old);
        if (old->ticket == 0) b = old;
    }
    if (!b) {
        *status = gsai_fail(GSA_ERROR_BUSY, "%u submissions are unfinished: collect some first", GSAI_MAX_IN_FLIGHT);
        return NULL;
    }
    if (b->fence) {
        *status = GSAI_VK(dev, dev->vk.vkResetFences(dev->device, 1, &b->fence));
    } else {
        const VkFenceCreateInfo info = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
        *status = GSAI_VK(dev, dev->vk.vkCreateFence(dev->device, &info, NULL, &b->fence));
        if (*status != GSA_OK) b->fence = VK_NULL_HANDLE;
    }
    b->is_done = false;
    return *status == GSA_OK ? b : NULL;
}

static VkResult submit_one(gsa_device *dev, const VkCommandBuffer *buffer, VkFence fence)
{
    VkSubmitInfo info = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
    info.commandBufferCount = buffer ? 1 : 0;
    info.pCommandBuffers = buffer;
    if (dev->queue_lock) dev->queue_lock(dev->queue_user);
    const VkResult result = dev->vk.vkQueueSubmit(dev->vk_queue, buffer ? 1 : 0, buffer ? &info : NULL, fence);
    if (dev->queue_unlock) dev->queue_unlock(dev->queue_user);
    return result;
}

/* Part of a batch is running and the rest was refused: the caller will destroy the buffers, so let the part finish. */
static void drain(gsa_device *dev, VkFence fence)
{
    if (submit_one(dev, NULL, fence) != VK_SUCCESS) return;
    VkResult result;
    do {
        result = dev->vk.vkWaitForFences(dev->device, 1, &fence, VK_TRUE, WAIT_SLICE_NS);
    } while (result == VK_TIMEOUT && !atomic_load(&dev->lost));
}

gsa_status gsai_queue_submit(gsa_device *dev, const VkCommandBuffer *buffers, uint32_t n, gsai_ticket *ticket)
{
    *ticket = 0;
    gsa_status status = gsai_device_check(dev);
    if (status != GSA_OK) return status;
    struct gsai_queue *q = dev->queue;
    gsai_mutex_lock(&q->mutex);
    batch *b = take_batch(dev, &status);
    for (uint32_t i = 0; status == GSA_OK && i < (n ? n : 1); i++) {
        const VkResult result = submit_one(dev, n ? &buffers[i] : NULL, i + 1 >= n ? b->fence : VK_NULL_HANDLE);
        status = gsai_vk_result(dev, result, "vkQueueSubmit", __FILE__, __LINE__);
        if (status != GSA_OK && i > 0 && status != GSA_ERROR_DEVICE_LOST) drain(dev, b->fence);
    }
    if (status == GSA_OK) *ticket = b->ticket = ++q->last;
    gsai_mutex_unlock(&q->mutex);
    return status;
}

static gsa_status check_ticket(gsa_device *dev, gsai_ticket ticket)
{
    if (ticket > dev->queue->last) {
        return gsai_fail(GSA_ERROR_ARGUMENT, "ticket %llu was never given out (last is %llu)",
            (unsigned long long)ticket, (unsigned long long)dev->queue->last);
    }
    return gsai_device_check(dev);
}

gsa_status gsai_queue_poll(gsa_device *dev, gsai_ticket ticket)
{
    struct gsai_queue *q = dev->queue;
    gsai_mutex_lock(&q->mutex);
    gsa_status status = check_ticket(dev, ticket);
    batch *b = status == GSA_OK && ticket ? find(q, ticket) : NULL;
    if (b && !b->is_done) {
        const VkResult result = dev->vk.vkGetFenceStatus(dev->device, b->fence);
        if (result == VK_NOT_READY) {
            status = GSA_NOT_READY;
        } else {
            status = gsai_vk_result(dev, result, "vkGetFenceStatus", __FILE__, __LINE__);
            b->is_done = status == GSA_OK;
        }
    }
    if (b) release_if_done(b);
    gsai_mutex_unlock(&q->mutex);
    return status;
}

gsa_status gsai_queue_wait(gsa_device *dev, gsai_ticket ticket, uint64_t timeout_ns)
{
    struct gsai_queue *q = dev->queue;
    gsai_mutex_lock(&q->mutex);
    gsa_status status = check_ticket(dev, ticket);
    batch *b = status == GSA_OK && ticket ? find(q, ticket) : NULL;
    if (b) b->n_waiters++;
    gsai_mutex_unlock(&q->mutex);
    if (!b) return status;

    /* In slices, so that a loss noticed by another thread ends the wait even if this driver never wakes us. */
    VkResult result = VK_TIMEOUT;
    uint64_t left = timeout_ns;
    do {
        const uint64_t slice = left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS;
        result = dev->vk.vkWaitForFences(dev->device, 1, &b->fence, VK_TRUE, slice);
        if (timeout_ns != UINT64_MAX) left -= slice;
    } while (result == VK_TIMEOUT && left > 0 && !atomic_load(&dev->lost));

    status = gsai_vk_result(dev, result, "vkWaitForFences", __FILE__, __LINE__);
    if (status == GSA_OK && result == VK_TIMEOUT) status = GSA_NOT_READY;
    gsai_mutex_lock(&q->mutex);
    b->n_waiters--;
    if (status == GSA_OK) b->is_done = true;
    release_if_done(b);
    gsai_mutex_unlock(&q->mutex);
    return status == GSA_NOT_READY && atomic_load(&dev->lost) ? gsai_device_check(dev) : status;
}

gsa_status gsai_queue_wait_idle(gsa_device *dev)
{
    gsai_mutex_lock(&dev->queue->mutex);
    const gsai_ticket last = dev->queue->last;
    gsai_mutex_unlock(&dev->queue->mutex);
    return gsai_queue_wait(dev, last, UINT64_MAX);
}
