/* What a driver's compiler tells of the kernels it makes (VK_KHR_pipeline_executable_properties): to the log. */
#include "vk/pipeline.h"

#include <stdio.h>

enum { MAX_EXECUTABLES = 4, MAX_STATISTICS = 64 };

static void append(char *text, size_t capacity, const VkPipelineExecutableStatisticKHR *s)
{
    size_t n = 0;
    while (n < capacity && text[n]) n++;
    text += n;
    capacity -= n;
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        snprintf(text, capacity, "; %s=%u", s->name, s->value.b32);
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        snprintf(text, capacity, "; %s=%lld", s->name, (long long)s->value.i64);
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        snprintf(text, capacity, "; %s=%llu", s->name, (unsigned long long)s->value.u64);
        break;
    default:
        snprintf(text, capacity, "; %s=%g", s->name, s->value.f64);
    }
}

void gsai_pipeline_log_statistics(gsa_device *dev, const gsai_pipeline *k)
{
    const struct VolkDeviceTable *vk = &dev->vk;
    VkPipelineExecutablePropertiesKHR executables[MAX_EXECUTABLES];
    VkPipelineExecutableStatisticKHR statistics[MAX_STATISTICS];
    uint32_t n_executables = MAX_EXECUTABLES;

    for (uint32_t i = 0; i < MAX_EXECUTABLES; i++)
        executables[i] = (VkPipelineExecutablePropertiesKHR){VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    const VkPipelineInfoKHR info = {VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, NULL, k->handle};
    if (!vk->vkGetPipelineExecutablePropertiesKHR || !vk->vkGetPipelineExecutableStatisticsKHR ||
        vk->vkGetPipelineExecutablePropertiesKHR(dev->device, &info, &n_executables, executables) < VK_SUCCESS)
        return;
    for (uint32_t e = 0; e < n_executables; e++) {
        char constants[GSAI_MAX_SPEC * 11 + 1] = "", text[800] = "";
        uint32_t n = MAX_STATISTICS;
        for (uint32_t i = 0; i < MAX_STATISTICS; i++)
            statistics[i] = (VkPipelineExecutableStatisticKHR){VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
        const VkPipelineExecutableInfoKHR of = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, NULL, k->handle, e};
        if (vk->vkGetPipelineExecutableStatisticsKHR(dev->device, &of, &n, statistics) < VK_SUCCESS) continue;
        for (uint32_t i = 0, at = 0; i < k->n_spec; i++)
            at += (uint32_t)snprintf(constants + at, sizeof constants - at, i ? ",%u" : "%u", k->spec[i]);
        for (uint32_t i = 0; i < n; i++) append(text, sizeof text, &statistics[i]);
        gsai_log(&dev->log, GSA_LOG_INFO, "statistics of kernel %s(%s)%s%s: subgroup=%u%s", k->shader->name, constants,
            n_executables > 1 ? " " : "", n_executables > 1 ? executables[e].name : "", executables[e].subgroupSize,
            text);
    }
}
