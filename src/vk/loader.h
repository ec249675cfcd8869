/* The process's Vulkan loader, through volk. volk keeps what it loads in globals; everything here is under one lock. */
#ifndef GSAI_LOADER_H
#define GSAI_LOADER_H

#include "gsa/base.h"

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan.h>

struct VolkDeviceTable;

/* Find the loader; once per process, tried again while it fails. NO_VULKAN says what to install. */
gsa_status gsai_loader_open(void);
/* Version of the loader; 1.0 ones know no more than that. After gsai_loader_open. */
uint32_t gsai_loader_version(void);
/* A global (instance NULL) or instance-level function. After gsai_loader_open. */
PFN_vkVoidFunction gsai_loader_proc(VkInstance instance, const char *name);
void gsai_loader_device_table(VkInstance instance, VkDevice device, struct VolkDeviceTable *out);

#endif
