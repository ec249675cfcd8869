#include "vk/recorder.h"

#include <stdio.h>
#include <string.h>

#define COMPUTE           VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT
#define TRANSFER          VK_PIPELINE_STAGE_TRANSFER_BIT
#define SETS_PER_POOL     64
#define MIN_ARRAY_ENTRIES 8

struct gsai_recorder {
    gsa_device *dev;
    gsai_plan plan;
    gsa_status status;
    char error[512]; /* text of the first failure: other calls on this thread may fail before finish reports it */
    double max_segment_ns;
    VkCommandBuffer commands; /* of the open segment; NULL between segments */
    uint32_t segment_calls;
    uint32_t sets_left; /* in the newest descriptor pool */
    bool has_timestamps;
    gsai_hazards hazards;
    /* A barrier between shader calls says nothing about copies. After one, a copy needs a barrier of its own even when
     * no access in the list conflicts with it. */
    bool copies_unordered;
    const gsai_pipeline *bound;
    const void *forced; /* see gsai_recorder_force */
    void *tuner;
    const char *filter; /* see gsai_recorder_filter */
    bool only;
};

void gsai_recorder_fail(gsai_recorder *r, gsa_status status)
{
    if (r->status != GSA_OK || status >= GSA_OK) return;
    r->status = status;
    snprintf(r->error, sizeof r->error, "%s", gsa_error_text());
}

gsa_status gsai_recorder_status(const gsai_recorder *r)
{
    return r->status;
}

gsa_device *gsai_recorder_device(const gsai_recorder *r)
{
    return r->dev;
}

void gsai_recorder_force(gsai_recorder *r, const void *variant)
{
    r->forced = variant;
}

const void *gsai_recorder_forced(const gsai_recorder *r)
{
    return r->forced;
}

void gsai_recorder_set_tuner(gsai_recorder *r, void *tuner)
{
    r->tuner = tuner;
}

void *gsai_recorder_tuner(const gsai_recorder *r)
{
    return r->tuner;
}

void gsai_recorder_filter(gsai_recorder *r, const char *label, bool only)
{
    r->filter = label;
    r->only = only;
}

/* label NULL: a copy or fill */
static bool is_left_out(const gsai_recorder *r, const char *label)
{
    if (!r->filter) return false;
    return (label && strcmp(label, r->filter) == 0) != r->only;
}

/* True when *array of count entries has room for one more: it grows when count is a power of two from
 * MIN_ARRAY_ENTRIES on, or 0. */
static bool reserve(gsai_recorder *r, void *array, uint32_t count, size_t size)
{
    const bool is_full = count == 0 || (count >= MIN_ARRAY_ENTRIES && (count & (count - 1)) == 0);
    if (!is_full) return true;
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = gsai_realloc_array(&r->dev->allocator, old, count ? 2 * (size_t)count : MIN_ARRAY_ENTRIES, size);
    if (!grown) {
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory to record a plan of %u calls", r->plan.n_calls));
        return false;
    }
    memcpy(array, &grown, sizeof grown);
    return true;
}

/* --- timestamps --- */

/* Both at the bottom of the pipe: they are written when all earlier commands are done, so a plan is timed from the end
 * of what came before it, and the pair costs no waiting of its own. */
static void timestamp(gsai_recorder *r)
{
    gsai_plan *p = &r->plan;
    gsa_device *dev = r->dev;
    if (!r->has_timestamps || r->status != GSA_OK) return;
    const uint32_t block = p->n_queries / GSAI_QUERY_BLOCK, at = p->n_queries % GSAI_QUERY_BLOCK;
    if (block == p->n_query_pools) {
        if (!reserve(r, &p->query_pools, p->n_query_pools, sizeof *p->query_pools)) return;
        VkQueryPoolCreateInfo info = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
        info.queryType = VK_QUERY_TYPE_TIMESTAMP;
        info.queryCount = GSAI_QUERY_BLOCK;
        VkQueryPool pool = VK_NULL_HANDLE;
        const gsa_status status = GSAI_VK(dev, dev->vk.vkCreateQueryPool(dev->device, &info, NULL, &pool));
        if (status != GSA_OK) {
            gsai_recorder_fail(r, status);
            return;
        }
        p->query_pools[p->n_query_pools++] = pool;
    }
    dev->vk.vkCmdResetQueryPool(r->commands, p->query_pools[block], at, 1);
    dev->vk.vkCmdWriteTimestamp(r->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, p->query_pools[block], at);
    p->n_queries++;
}

static void label(gsai_recorder *r, const char *text)
{
    if (!r->dev->profile || !r->has_timestamps) return;
    if (reserve(r, &r->plan.labels, r->plan.n_labels, sizeof *r->plan.labels))
        r->plan.labels[r->plan.n_labels++] = text;
}

/* --- segments --- */

static void open_segment(gsai_recorder *r)
{
    gsai_plan *p = &r->plan;
    gsa_device *dev = r->dev;
    if (r->status != GSA_OK) return;
    if (!reserve(r, &p->segments, p->n_segments, sizeof *p->segments)) return;
    if (!reserve(r, &p->segment_estimate_ns, p->n_segments, sizeof *p->segment_estimate_ns)) return;
    VkCommandBufferAllocateInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = p->pool;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    gsa_status status = GSAI_VK(dev, dev->vk.vkAllocateCommandBuffers(dev->device, &info, &commands));
    VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
    if (status == GSA_OK) status = GSAI_VK(dev, dev->vk.vkBeginCommandBuffer(commands, &begin));
    if (status != GSA_OK) {
        gsai_recorder_fail(r, status);
        return;
    }
    p->segments[p->n_segments] = commands;
    p->segment_estimate_ns[p->n_segments++] = 0;
    r->commands = commands;
    r->segment_calls = 0;
    r->bound = NULL;
    if (p->n_segments == 1) gsai_cmd_barrier(dev, commands, COMPUTE | TRANSFER, COMPUTE | TRANSFER);
    if (!dev->profile) timestamp(r);
}

static void close_segment(gsai_recorder *r)
{
    if (!r->commands) return;
    if (!r->dev->profile) timestamp(r);
    if (r->status == GSA_OK) gsai_recorder_fail(r, GSAI_VK(r->dev, r->dev->vk.vkEndCommandBuffer(r->commands)));
    r->commands = VK_NULL_HANDLE;
}

/* Room for a call of this cost: a new segment begins before the call that would pass the cap. */
static bool make_room(gsai_recorder *r, uint64_t bytes, uint64_t flops)
{
    gsai_plan *p = &r->plan;
    const double cost = gsai_estimate_ns(r->dev, bytes, flops);
    if (r->commands && r->segment_calls > 0 && p->segment_estimate_ns[p->n_segments - 1] + cost > r->max_segment_ns)
        close_segment(r);
    if (!r->commands) open_segment(r);
    if (r->status != GSA_OK) return false;
    p->segment_estimate_ns[p->n_segments - 1] += cost;
    p->estimate_ns += cost;
    p->memory_ns += gsai_estimate_memory_ns(r->dev, bytes);
    p->math_ns += gsai_estimate_math_ns(r->dev, flops);
    p->n_calls++;
    r->segment_calls++;
    return true;
}

/* --- barriers --- */

static void barrier(gsai_recorder *r, VkPipelineStageFlags src, VkPipelineStageFlags dst)
{
    gsai_cmd_barrier(r->dev, r->commands, src, dst);
    gsai_hazards_clear(&r->hazards);
    r->copies_unordered = !(dst & TRANSFER);
    r->plan.n_barriers++;
}

static void order_shader(gsai_recorder *r, const gsai_call *c)
{
    /* One at a time, or the times overlap; and what is left out may have been what ordered two others. */
    bool conflict = (r->dev->profile || (r->filter && !r->only)) && r->hazards.stages;
    conflict |= r->hazards.by_address || (c->by_address && r->hazards.stages);
    for (uint32_t i = 0; i < c->n_bind && !c->beside; i++) /* the call before it has waited for all that matters */
        conflict |= gsai_hazards_conflict(&r->hazards, c->bind[i].range, c->bind[i].access);
    if (conflict) barrier(r, r->hazards.stages, COMPUTE);
    for (uint32_t i = 0; i < c->n_bind; i++)
        gsai_hazards_add(&r->hazards, c->bind[i].range, c->bind[i].access, COMPUTE);
    r->hazards.by_address = c->by_address;
}

static void order_copy(gsai_recorder *r, const gsai_range *src, gsai_range dst)
{
    bool conflict = r->copies_unordered || r->hazards.by_address || (r->dev->profile && r->hazards.stages);
    conflict |= gsai_hazards_conflict(&r->hazards, dst, GSAI_WRITE);
    if (src) conflict |= gsai_hazards_conflict(&r->hazards, *src, GSAI_READ);
    if (conflict) barrier(r, COMPUTE | TRANSFER, COMPUTE | TRANSFER);
    gsai_hazards_add(&r->hazards, dst, GSAI_WRITE, TRANSFER);
    if (src) gsai_hazards_add(&r->hazards, *src, GSAI_READ, TRANSFER);
}

/* --- calls --- */

static bool range_in_buffer(const gsai_range *g)
{
    return g->buffer && g->buffer->buffer && g->size > 0 && g->offset <= g->buffer->size &&
           g->size <= g->buffer->size - g->offset;
}

static gsa_status check_call(const gsa_device *dev, const gsai_call *c)
{
    const char *name = c->label ? c->label : "(no label)";
    if (!c->pipeline) return gsai_fail(GSA_ERROR_ARGUMENT, "%s: no pipeline", name);
    const gsai_shader *s = c->pipeline->shader;
    if (c->n_bind != s->n_bindings)
        return gsai_fail(
            GSA_ERROR_ARGUMENT, "%s: %u buffers for kernel %s, which has %u", name, c->n_bind, s->name, s->n_bindings);
    if (c->push_bytes != s->push_bytes || (c->push_bytes && !c->push)) {
        return gsai_fail(GSA_ERROR_ARGUMENT, "%s: %u push bytes for kernel %s, which has %u", name, c->push_bytes,
            s->name, s->push_bytes);
    }
    for (uint32_t i = 0; i < c->n_bind; i++) {
        const gsai_range *g = &c->bind[i].range;
        if (!range_in_buffer(g) || g->size % 4 || g->size > dev->caps.max_range_bytes ||
            g->offset % dev->caps.offset_align || c->bind[i].access < GSAI_READ ||
            c->bind[i].access > GSAI_READ_WRITE) {
            return gsai_fail(GSA_ERROR_ARGUMENT,
                "%s: binding %u of kernel %s is bytes %llu + %llu of a buffer of %llu (a range has whole words, at "
                "most %llu bytes, starts at a "
                "multiple of %u)",
                name, i, s->name, (unsigned long long)g->offset, (unsigned long long)g->size,
                g->buffer ? (unsigned long long)g->buffer->size : 0, (unsigned long long)dev->caps.max_range_bytes,
                dev->caps.offset_align);
        }
    }
    for (int i = 0; i < 3; i++) {
        if ((i == 0 && c->groups[0] == 0) || c->groups[i] > dev->caps.max_group_count[i]) {
            return gsai_fail(GSA_ERROR_ARGUMENT,
                "%s: %u groups in dimension %d for kernel %s, the device takes 1 to %u", name, c->groups[i], i, s->name,
                dev->caps.max_group_count[i]);
        }
    }
    return GSA_OK;
}

/* A set with the ranges of one call. Pools hold sets of the largest kind, so which kinds come does not matter. */
static VkDescriptorSet make_set(gsai_recorder *r, const gsai_call *c)
{
    gsai_plan *p = &r->plan;
    gsa_device *dev = r->dev;
    if (r->sets_left == 0) {
        if (!reserve(r, &p->descriptor_pools, p->n_descriptor_pools, sizeof *p->descriptor_pools))
            return VK_NULL_HANDLE;
        const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SETS_PER_POOL * GSAI_MAX_BINDINGS};
        VkDescriptorPoolCreateInfo info = {VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
        info.maxSets = SETS_PER_POOL;
        info.poolSizeCount = 1;
        info.pPoolSizes = &size;
        VkDescriptorPool pool = VK_NULL_HANDLE;
        const gsa_status status = GSAI_VK(dev, dev->vk.vkCreateDescriptorPool(dev->device, &info, NULL, &pool));
        if (status != GSA_OK) {
            gsai_recorder_fail(r, status);
            return VK_NULL_HANDLE;
        }
        p->descriptor_pools[p->n_descriptor_pools++] = pool;
        r->sets_left = SETS_PER_POOL;
    }
    VkDescriptorSetAllocateInfo info = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
    info.descriptorPool = p->descriptor_pools[p->n_descriptor_pools - 1];
    info.descriptorSetCount = 1;
    info.pSetLayouts = &c->pipeline->set_layout;
    VkDescriptorSet set = VK_NULL_HANDLE;
    const gsa_status status = GSAI_VK(dev, dev->vk.vkAllocateDescriptorSets(dev->device, &info, &set));
    if (status != GSA_OK) {
        gsai_recorder_fail(r, status);
        return VK_NULL_HANDLE;
    }
    r->sets_left--;
    VkDescriptorBufferInfo buffers[GSAI_MAX_BINDINGS];
    for (uint32_t i = 0; i < c->n_bind; i++) {
        const gsai_range *g = &c->bind[i].range;
        buffers[i] = (VkDescriptorBufferInfo){g->buffer->buffer, g->offset, g->size};
    }
    VkWriteDescriptorSet write = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    write.dstSet = set;
    write.descriptorCount = c->n_bind; /* runs on through the bindings that follow 0 */
    write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    write.pBufferInfo = buffers;
    if (c->n_bind) dev->vk.vkUpdateDescriptorSets(dev->device, 1, &write, 0, NULL);
    return set;
}

void gsai_recorder_call(gsai_recorder *r, const gsai_call *c)
{
    gsa_device *dev = r->dev;
    if (r->status != GSA_OK || is_left_out(r, c->label)) return;
    const gsa_status status = check_call(dev, c);
    if (status != GSA_OK) {
        gsai_recorder_fail(r, status);
        return;
    }
    const VkDescriptorSet set = c->n_bind ? make_set(r, c) : VK_NULL_HANDLE;
    if (r->status != GSA_OK || !make_room(r, c->bytes, c->flops)) return;
    order_shader(r, c);
    if (dev->profile) timestamp(r);
    const gsai_pipeline *k = c->pipeline;
    if (r->bound != k) dev->vk.vkCmdBindPipeline(r->commands, VK_PIPELINE_BIND_POINT_COMPUTE, k->handle);
    r->bound = k;
    if (set)
        dev->vk.vkCmdBindDescriptorSets(r->commands, VK_PIPELINE_BIND_POINT_COMPUTE, k->layout, 0, 1, &set, 0, NULL);
    if (c->push_bytes)
        dev->vk.vkCmdPushConstants(r->commands, k->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, c->push_bytes, c->push);
    const uint32_t *g = c->groups;
    dev->vk.vkCmdDispatch(r->commands, g[0], g[1] ? g[1] : 1, g[2] ? g[2] : 1);
    if (dev->profile) timestamp(r);
    label(r, c->label);
}

static gsa_status check_copy(gsai_range src, gsai_range dst)
{
    const bool ok = range_in_buffer(&src) && range_in_buffer(&dst) && (src.offset | dst.offset | dst.size) % 4 == 0;
    const bool overlaps = ok && src.buffer->buffer == dst.buffer->buffer && src.offset < dst.offset + dst.size &&
                          dst.offset < src.offset + src.size;
    if (ok && !overlaps) return GSA_OK;
    return gsai_fail(GSA_ERROR_ARGUMENT,
        "copy of %llu bytes from %llu to %llu: outside a buffer, not whole words, or onto itself",
        (unsigned long long)dst.size, (unsigned long long)src.offset, (unsigned long long)dst.offset);
}

void gsai_recorder_copy(
    gsai_recorder *r, gsai_range src, uint64_t src_offset, gsai_range dst, uint64_t dst_offset, uint64_t size)
{
    if (r->status != GSA_OK || size == 0 || is_left_out(r, NULL)) return;
    gsa_status status = GSA_OK;
    if (src_offset > src.size || size > src.size - src_offset || dst_offset > dst.size || size > dst.size - dst_offset)
        status = gsai_fail(GSA_ERROR_ARGUMENT, "copy of %llu bytes leaves its range", (unsigned long long)size);
    const gsai_range from = {src.buffer, src.offset + src_offset, size},
                     to = {dst.buffer, dst.offset + dst_offset, size};
    if (status == GSA_OK) status = check_copy(from, to);
    if (status != GSA_OK) {
        gsai_recorder_fail(r, status);
        return;
    }
    if (!make_room(r, 2 * size, 0)) return;
    order_copy(r, &from, to);
    if (r->dev->profile) timestamp(r);
    const VkBufferCopy copy = {from.offset, to.offset, size};
    r->dev->vk.vkCmdCopyBuffer(r->commands, from.buffer->buffer, to.buffer->buffer, 1, &copy);
    if (r->dev->profile) timestamp(r);
    label(r, "copy");
}

void gsai_recorder_fill_zero(gsai_recorder *r, gsai_range dst)
{
    if (r->status != GSA_OK || dst.size == 0 || is_left_out(r, NULL)) return;
    if (!range_in_buffer(&dst) || (dst.offset | dst.size) % 4) {
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_ARGUMENT, "fill of %llu bytes at %llu: outside its buffer or not whole words",
                   (unsigned long long)dst.size, (unsigned long long)dst.offset));
        return;
    }
    if (!make_room(r, dst.size, 0)) return;
    order_copy(r, NULL, dst);
    if (r->dev->profile) timestamp(r);
    r->dev->vk.vkCmdFillBuffer(r->commands, dst.buffer->buffer, dst.offset, dst.size, 0);
    if (r->dev->profile) timestamp(r);
    label(r, "fill");
}

void gsai_recorder_to_host(gsai_recorder *r)
{
    if (r->status != GSA_OK) return;
    if (!r->commands) open_segment(r);
    if (r->status == GSA_OK) gsai_cmd_barrier(r->dev, r->commands, COMPUTE | TRANSFER, VK_PIPELINE_STAGE_HOST_BIT);
}

/* --- begin and end --- */

gsa_status gsai_recorder_begin(gsa_device *dev, double max_segment_ns, gsai_recorder **out)
{
    *out = NULL;
    gsa_status status = gsai_device_check(dev);
    if (status != GSA_OK) return status;
    gsai_recorder *r = gsai_alloc(&dev->allocator, sizeof *r);
    if (!r) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for a recorder");
    r->dev = dev;
    r->max_segment_ns = max_segment_ns > 0 ? max_segment_ns : 1000.0 * dev->max_submit_us;
    r->has_timestamps = gsai_caps_has(&dev->caps, GSAI_CAP_TIMESTAMPS);
    VkCommandPoolCreateInfo info = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    info.queueFamilyIndex = dev->queue_family;
    status = GSAI_VK(dev, dev->vk.vkCreateCommandPool(dev->device, &info, NULL, &r->plan.pool));
    if (status != GSA_OK) {
        gsai_free(&dev->allocator, r);
        return status;
    }
    *out = r;
    return GSA_OK;
}

gsa_status gsai_recorder_finish(gsai_recorder *r, gsai_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    gsa_device *dev = r->dev;
    if (!r->commands && r->plan.n_segments == 0) open_segment(r); /* an empty plan still submits and completes */
    close_segment(r);
    const gsa_status status = r->status;
    if (status == GSA_OK) {
        *plan = r->plan;
    } else {
        gsai_plan_destroy(dev, &r->plan);
        gsai_fail(status, "%s", r->error);
    }
    gsai_free(&dev->allocator, r);
    return status;
}
