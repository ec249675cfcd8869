/* Instance and physical devices: what comes before a VkDevice. */
#ifndef GSAI_INSTANCE_H
#define GSAI_INSTANCE_H

#include "vk/device.h"

#define GSAI_MAX_DEVICES 32

/* Make dev->instance, dev->vki and, when asked, the validation messenger. NO_VULKAN, NO_DEVICE (a loader without
 * drivers), UNSUPPORTED (validation asked for, layer absent). On failure nothing stays. */
gsa_status gsai_instance_create(gsa_device *dev, bool validation);
void gsai_instance_destroy(gsa_device *dev);

/* Physical devices in the loader's order, at most GSAI_MAX_DEVICES. */
gsa_status gsai_instance_devices(gsa_device *dev, VkPhysicalDevice *out, uint32_t *n);

/* Queue family for compute of a device, or UINT32_MAX. */
uint32_t gsai_instance_queue_family(const gsa_device *dev, VkPhysicalDevice physical, uint32_t *timestamp_bits);

void gsai_instance_info(const gsa_device *dev, VkPhysicalDevice physical, uint32_t index, gsa_device_info *out);

/* Extensions of a device. Names are looked up, never listed by the library. */
typedef struct gsai_extensions {
    VkExtensionProperties *list;
    uint32_t n;
} gsai_extensions;
gsa_status gsai_extensions_read(gsa_device *dev, VkPhysicalDevice physical, gsai_extensions *out);
bool gsai_extensions_have(const gsai_extensions *e, const char *name);
void gsai_extensions_finish(const gsa_device *dev, gsai_extensions *e);

#endif
