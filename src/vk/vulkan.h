/* The only way Vulkan enters the library: types and the layout of volk's device table, no prototypes and no global
 * function pointers, so that a stray global call does not compile. Device calls go through gsa_device.vk, instance
 * calls through gsa_device.vki. gsai_volk_table.h is made from volk.h by tools/volk_hide.py. */
#ifndef GSAI_VULKAN_H
#define GSAI_VULKAN_H

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan.h>
#include "gsai_volk_table.h"

#endif
