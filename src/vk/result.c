/* VkResult to gsa_status. */
#include <string.h>

#include "vk/device.h"

const char *gsai_vk_result_name(VkResult result)
{
    switch ((int)result) {
#define NAME(x)                                                                                                        \
    case x:                                                                                                            \
        return #x;
        NAME(VK_SUCCESS)
        NAME(VK_NOT_READY)
        NAME(VK_TIMEOUT)
        NAME(VK_INCOMPLETE)
        NAME(VK_ERROR_OUT_OF_HOST_MEMORY)
        NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY)
        NAME(VK_ERROR_INITIALIZATION_FAILED)
        NAME(VK_ERROR_DEVICE_LOST)
        NAME(VK_ERROR_MEMORY_MAP_FAILED)
        NAME(VK_ERROR_LAYER_NOT_PRESENT)
        NAME(VK_ERROR_EXTENSION_NOT_PRESENT)
        NAME(VK_ERROR_FEATURE_NOT_PRESENT)
        NAME(VK_ERROR_INCOMPATIBLE_DRIVER)
        NAME(VK_ERROR_TOO_MANY_OBJECTS)
        NAME(VK_ERROR_FRAGMENTED_POOL)
        NAME(VK_ERROR_OUT_OF_POOL_MEMORY)
        NAME(VK_ERROR_INVALID_SHADER_NV)
        NAME(VK_ERROR_UNKNOWN)
#undef NAME
    default:
        return "an unknown VkResult";
    }
}

/* "dev->vk.vkCreateFence(dev->device, ..." -> "vkCreateFence" */
static void name_of_call(const char *call, char *out, size_t capacity)
{
    const char *start = strstr(call, "vk.vk");
    start = start ? start + 3 : call;
    size_t n = strcspn(start, "(");
    if (n >= capacity) n = capacity - 1;
    memcpy(out, start, n);
    out[n] = 0;
}

gsa_status gsai_vk_result(gsa_device *dev, VkResult result, const char *call, const char *file, int line)
{
    if (result >= VK_SUCCESS) return GSA_OK;
    char name[64];
    name_of_call(call, name, sizeof name);
    const char *base = strrchr(file, '/');
    base = base ? base + 1 : file;
    const char *text = gsai_vk_result_name(result);
    switch (result) {
    case VK_ERROR_DEVICE_LOST:
        if (!atomic_exchange(&dev->lost, true))
            gsai_log(&dev->log, GSA_LOG_ERROR, "device lost: %s in %s (%s:%d)", text, name, base, line);
        return gsai_fail(GSA_ERROR_DEVICE_LOST,
            "%s: the device was lost (%s, %s:%d); destroy everything on it and open it again", dev->caps.name, name,
            base, line);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s gave %s (%s:%d)", name, text, base, line);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return gsai_fail(GSA_ERROR_DEVICE_MEMORY, "%s gave %s (%s:%d)", name, text, base, line);
    default:
        return gsai_fail(GSA_ERROR_DRIVER, "%s gave %s (%d) at %s:%d", name, text, (int)result, base, line);
    }
}

gsa_status gsai_device_check(const gsa_device *dev)
{
    if (!atomic_load(&dev->lost)) return GSA_OK;
    return gsai_fail(
        GSA_ERROR_DEVICE_LOST, "%s: the device was lost; destroy everything on it and open it again", dev->caps.name);
}
