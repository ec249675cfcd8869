/* Reading a physical device into gsai_caps, and turning caps back into what vkCreateDevice must enable. */
#ifndef GSAI_CAPS_READ_H
#define GSAI_CAPS_READ_H

#include "vk/instance.h"

/* Fill caps, nothing masked. */
gsa_status gsai_caps_read(gsa_device *dev, VkPhysicalDevice physical, const gsai_extensions *ext, gsai_caps *caps);

/* What to enable: exactly the features whose bits are present and not masked. The chain lies in this struct, so it must
 * not be moved after gsai_features_chain. */
typedef struct gsai_features {
    VkPhysicalDeviceFeatures2 base; /* head of the chain */
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDevice8BitStorageFeatures storage8;
    VkPhysicalDeviceShaderFloat16Int8Features float16_int8;
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_size;
    VkPhysicalDeviceShaderIntegerDotProductFeatures integer_dot;
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory_model;
    VkPhysicalDeviceBufferDeviceAddressFeatures address;
    VkPhysicalDeviceMaintenance4Features maintenance4;
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
#endif
#ifdef VK_NV_cooperative_matrix2
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coopmat2;
#endif
#ifdef VK_KHR_shader_bfloat16
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16;
#endif
    const char *extensions[24];
    uint32_t n_extensions;
} gsai_features;

void gsai_features_chain(
    gsa_device *dev, VkPhysicalDevice physical, const gsai_extensions *ext, const gsai_caps *caps, gsai_features *out);

#endif
