/* The one file that compiles volk, under names of our own (see tools/volk_hide.py). It must not include vk/vulkan.h:
 * the members of the device table have other names here, in the same order. */
#include "gsai_volk_names.h"
#define VOLK_IMPLEMENTATION
#include <volk.h>

#include "vk/loader.h"
#include "util/status.h"
#include "util/thread.h"

static gsai_mutex lock = GSAI_MUTEX_INIT;
static bool is_open;

gsa_status gsai_loader_open(void)
{
    gsai_mutex_lock(&lock);
    if (!is_open) is_open = volkInitialize() == VK_SUCCESS && vkGetInstanceProcAddr && vkCreateInstance;
    const bool ok = is_open;
    gsai_mutex_unlock(&lock);
    if (ok) return GSA_OK;
    return gsai_fail(GSA_ERROR_NO_VULKAN,
        "no Vulkan loader on this machine (libvulkan.so.1): install one (package libvulkan1 on Debian "
        "and Ubuntu, vulkan-loader elsewhere) and a Vulkan driver, or use the device \"cpu\"");
}

uint32_t gsai_loader_version(void)
{
    gsai_mutex_lock(&lock);
    const uint32_t version = is_open ? volkGetInstanceVersion() : 0;
    gsai_mutex_unlock(&lock);
    return version;
}

PFN_vkVoidFunction gsai_loader_proc(VkInstance instance, const char *name)
{
    return vkGetInstanceProcAddr(instance, name);
}

void gsai_loader_device_table(VkInstance instance, VkDevice device, struct VolkDeviceTable *out)
{
    gsai_mutex_lock(&lock);
    volkLoadInstanceOnly(instance); /* volk asks for device functions through this instance's vkGetDeviceProcAddr */
    volkLoadDeviceTable(out, device);
    gsai_mutex_unlock(&lock);
}
