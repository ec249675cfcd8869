/* Submitting recorded plans and reading their timestamps. */
#include <string.h>

#include "vk/recorder.h"

gsa_status gsai_plan_submit(gsa_device *dev, const gsai_plan *plan, gsai_ticket *ticket)
{
    return gsai_queue_submit(dev, plan->segments, plan->n_segments, ticket);
}

void gsai_plan_destroy(gsa_device *dev, gsai_plan *plan)
{
    const gsa_allocator *a = &dev->allocator;
    if (plan->pool) dev->vk.vkDestroyCommandPool(dev->device, plan->pool, NULL); /* with its buffers */
    for (uint32_t i = 0; i < plan->n_descriptor_pools; i++)
        dev->vk.vkDestroyDescriptorPool(dev->device, plan->descriptor_pools[i], NULL);
    for (uint32_t i = 0; i < plan->n_query_pools; i++)
        dev->vk.vkDestroyQueryPool(dev->device, plan->query_pools[i], NULL);
    gsai_free(a, plan->segments);
    gsai_free(a, plan->segment_estimate_ns);
    gsai_free(a, plan->descriptor_pools);
    gsai_free(a, plan->query_pools);
    gsai_free(a, plan->labels);
    memset(plan, 0, sizeof *plan);
}

/* Timestamp number i; OK with *is_known false when the driver has no value for it. */
static gsa_status read_timestamp(gsa_device *dev, const gsai_plan *plan, uint32_t i, uint64_t *value, bool *is_known)
{
    const VkResult result = dev->vk.vkGetQueryPoolResults(dev->device, plan->query_pools[i / GSAI_QUERY_BLOCK],
        i % GSAI_QUERY_BLOCK, 1, sizeof *value, value, sizeof *value, VK_QUERY_RESULT_64_BIT);
    *is_known = result == VK_SUCCESS;
    return gsai_vk_result(dev, result, "vkGetQueryPoolResults", __FILE__, __LINE__);
}

static gsa_status read_span(gsa_device *dev, const gsai_plan *plan, uint32_t first, uint32_t last, double *ns)
{
    uint64_t begin = 0, end = 0;
    bool has_begin = false, has_end = false;
    *ns = 0;
    gsa_status status = read_timestamp(dev, plan, first, &begin, &has_begin);
    if (status == GSA_OK) status = read_timestamp(dev, plan, last, &end, &has_end);
    if (status != GSA_OK || !has_begin || !has_end) return status;
    const uint32_t bits = dev->caps.timestamp_bits;
    const uint64_t mask = bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
    *ns = (double)((end - begin) & mask) * dev->caps.timestamp_period_ns; /* counters wrap at their width */
    return GSA_OK;
}

gsa_status gsai_plan_gpu_time(gsa_device *dev, const gsai_plan *plan, double *ns)
{
    *ns = 0;
    const gsa_status lost = gsai_device_check(dev);
    if (lost != GSA_OK || plan->n_queries < 2) return lost;
    /* Without a profile a pair for each segment: what the host lets pass between two submissions is not theirs. A segment
     * may be begun before the one before it has ended; that time counts once. */
    const uint32_t step = plan->n_labels ? plan->n_queries : 2;
    double counted = 0; /* until so long after the first */
    gsa_status status = GSA_OK;
    for (uint32_t i = 0; i + step <= plan->n_queries && status == GSA_OK; i += step) {
        double begin, end;
        status = read_span(dev, plan, 0, i, &begin);
        if (status == GSA_OK) status = read_span(dev, plan, 0, i + step - 1, &end);
        if (status != GSA_OK) break;
        if (end > counted) *ns += end - (begin > counted ? begin : counted);
        if (end > counted) counted = end;
    }
    if (status == GSA_OK)
        gsai_estimate_learn(dev, plan->n_calls, plan->n_segments, plan->memory_ns, plan->math_ns, *ns);
    return status;
}

gsa_status gsai_plan_profile(gsa_device *dev, const gsai_plan *plan, gsai_plan_time_fn fn, void *user)
{
    gsa_status status = gsai_device_check(dev);
    for (uint32_t i = 0; status == GSA_OK && i < plan->n_labels; i++) {
        double ns;
        status = read_span(dev, plan, 2 * i, 2 * i + 1, &ns);
        if (status == GSA_OK) fn(user, plan->labels[i] ? plan->labels[i] : "(no label)", ns);
    }
    return status;
}
