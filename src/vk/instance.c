#include "vk/instance.h"

#include <stdio.h>
#include <string.h>

#include "vk/loader.h"

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

/* Only messages of the validation kind count: loaders and drivers send chatter of the general kind through the same
 * messenger ("not a conformant implementation", "layer X skipped"), which says nothing about this library. */
static VkBool32 VKAPI_PTR on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
    VkDebugUtilsMessageTypeFlagsEXT types, const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    gsa_device *dev = user;
    const bool is_ours = (types & VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT) != 0;
    const bool is_error = severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    char text[900];
    snprintf(text, sizeof text, "%s", data && data->pMessage ? data->pMessage : "(no text)");
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20) *p = ' ';
    }
    if (is_ours) atomic_fetch_add(&dev->n_validation_messages, 1);
    const gsa_log_level level = !is_ours ? GSA_LOG_DEBUG : is_error ? GSA_LOG_ERROR : GSA_LOG_WARNING;
    gsai_log(&dev->log, level, "%s: %s", is_ours ? "validation" : "Vulkan loader", text);
    return VK_FALSE;
}

static PFN_vkVoidFunction proc(const gsa_device *dev, const char *name)
{
    return gsai_loader_proc(dev->instance, name);
}

/* Does the loader (layer NULL) or one of its layers offer this instance extension? */
static bool instance_extension(gsa_device *dev, const char *layer, const char *name)
{
    const PFN_vkEnumerateInstanceExtensionProperties list =
        (PFN_vkEnumerateInstanceExtensionProperties)gsai_loader_proc(NULL, "vkEnumerateInstanceExtensionProperties");
    uint32_t n = 0;
    if (!list || list(layer, &n, NULL) != VK_SUCCESS || n == 0) return false;
    VkExtensionProperties *e = gsai_alloc_array(&dev->allocator, n, sizeof *e);
    if (!e) return false;
    const VkResult result = list(layer, &n, e);
    bool found = false;
    for (uint32_t i = 0; (result == VK_SUCCESS || result == VK_INCOMPLETE) && i < n; i++) {
        found |= strcmp(e[i].extensionName, name) == 0;
    }
    gsai_free(&dev->allocator, e);
    return found;
}

static gsa_status check_validation_layer(gsa_device *dev)
{
    const PFN_vkEnumerateInstanceLayerProperties list =
        (PFN_vkEnumerateInstanceLayerProperties)gsai_loader_proc(NULL, "vkEnumerateInstanceLayerProperties");
    uint32_t n = 0;
    if (list) list(&n, NULL);
    VkLayerProperties *layers = gsai_alloc_array(&dev->allocator, n, sizeof *layers);
    if (!layers) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for the list of %u Vulkan layers", n);
    bool found = false;
    if (n > 0 && list(&n, layers) >= VK_SUCCESS) {
        for (uint32_t i = 0; i < n; i++) found |= strcmp(layers[i].layerName, VALIDATION_LAYER) == 0;
    }
    gsai_free(&dev->allocator, layers);
    if (found) return GSA_OK;
    return gsai_fail(GSA_ERROR_UNSUPPORTED, "validation was asked for, but the layer " VALIDATION_LAYER
                                            " is not installed (package vulkan-validationlayers)");
}

static gsa_status load_instance_functions(gsa_device *dev)
{
#define LOAD(f)                                                                                                        \
    dev->vki.f = (PFN_##f)proc(dev, #f);                                                                               \
    if (!dev->vki.f) return gsai_fail(GSA_ERROR_NO_VULKAN, "the Vulkan loader has no %s: it is too old or broken", #f);
    GSAI_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return GSA_OK;
}

static gsa_status create_failed(VkResult result)
{
    if (result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for a Vulkan instance");
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
        return gsai_fail(GSA_ERROR_NO_DEVICE,
            "the Vulkan loader found no driver: install one (package mesa-vulkan-drivers "
            "on Debian and Ubuntu, or your GPU vendor's), or use the device \"cpu\"");
    }
    return gsai_fail(GSA_ERROR_NO_VULKAN,
        "vkCreateInstance gave %s: a driver or an implicit layer of other software (overlay, recorder) is broken; "
        "VK_LOADER_LAYERS_DISABLE=~implicit~ leaves the layers out, VK_LOADER_DEBUG=all names them",
        gsai_vk_result_name(result));
}

gsa_status gsai_instance_create(gsa_device *dev, bool validation)
{
    gsa_status status = gsai_loader_open();
    if (status != GSA_OK) return status;
    if (gsai_loader_version() < VK_API_VERSION_1_1)
        return gsai_fail(
            GSA_ERROR_NO_VULKAN, "the Vulkan loader knows Vulkan 1.0 only, 1.1 is needed: install a newer one");
    if (validation && (status = check_validation_layer(dev)) != GSA_OK) return status;

    const VkApplicationInfo app = {
        VK_STRUCTURE_TYPE_APPLICATION_INFO, NULL, "gsa-vk", gsa_version(), "gsa-vk", gsa_version(), VK_API_VERSION_1_3};
    VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
    info.pApplicationInfo = &app;
    const char *extensions[4];
    uint32_t n_extensions = 0;
#ifdef VK_KHR_portability_enumeration
    if (instance_extension(dev, NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        extensions[n_extensions++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
#endif
    const char *layer = VALIDATION_LAYER;
    VkDebugUtilsMessengerCreateInfoEXT messenger = {VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
    messenger.messageSeverity =
        VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    messenger.messageType =
        VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
    messenger.pfnUserCallback = on_message;
    messenger.pUserData = dev;
    /* Synchronization checks are off by default in every version of the layer; old ones take them through
     * validation_features, and only layer_settings reaches the check of shader accesses between dispatches. */
    const VkValidationFeatureEnableEXT enable[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT features = {VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
    features.enabledValidationFeatureCount = 1;
    features.pEnabledValidationFeatures = enable;
#ifdef VK_EXT_layer_settings
    const VkBool32 yes = VK_TRUE;
    const VkLayerSettingEXT settings[] = {
        {VALIDATION_LAYER, "validate_sync", VK_LAYER_SETTING_TYPE_BOOL32_EXT, 1, &yes},
        {VALIDATION_LAYER, "syncval_shader_accesses_heuristic", VK_LAYER_SETTING_TYPE_BOOL32_EXT, 1, &yes},
    };
    VkLayerSettingsCreateInfoEXT layer_settings = {VK_STRUCTURE_TYPE_LAYER_SETTINGS_CREATE_INFO_EXT};
    layer_settings.settingCount = 2;
    layer_settings.pSettings = settings;
#endif
    if (validation) {
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &layer;
        extensions[n_extensions++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        info.pNext = &messenger;
        /* A layer reads both structs whether or not its manifest lists the extension that brings them, and some
         * manifests list none; naming an extension that is not listed would be an error, though. */
        messenger.pNext = &features;
        if (instance_extension(dev, layer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME))
            extensions[n_extensions++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
#ifdef VK_EXT_layer_settings
        features.pNext = &layer_settings;
        if (instance_extension(dev, layer, VK_EXT_LAYER_SETTINGS_EXTENSION_NAME))
            extensions[n_extensions++] = VK_EXT_LAYER_SETTINGS_EXTENSION_NAME;
#endif
    }
    info.enabledExtensionCount = n_extensions;
    info.ppEnabledExtensionNames = extensions;

    const PFN_vkCreateInstance create = (PFN_vkCreateInstance)gsai_loader_proc(NULL, "vkCreateInstance");
    const VkResult result = create ? create(&info, NULL, &dev->instance) : VK_ERROR_INITIALIZATION_FAILED;
    if (result != VK_SUCCESS) {
        dev->instance = VK_NULL_HANDLE;
        return create_failed(result);
    }
    status = load_instance_functions(dev);
    if (status != GSA_OK) goto fail;
    if (validation) {
        const PFN_vkCreateDebugUtilsMessengerEXT make =
            (PFN_vkCreateDebugUtilsMessengerEXT)proc(dev, "vkCreateDebugUtilsMessengerEXT");
        messenger.pNext = NULL;
        if (!make || make(dev->instance, &messenger, NULL, &dev->messenger) != VK_SUCCESS) {
            status = gsai_fail(GSA_ERROR_UNSUPPORTED, "validation was asked for, but its messages cannot be received");
            goto fail;
        }
    }
    return GSA_OK;
fail:
    gsai_instance_destroy(dev);
    return status;
}

void gsai_instance_destroy(gsa_device *dev)
{
    if (!dev->instance) return;
    if (dev->messenger) {
        const PFN_vkDestroyDebugUtilsMessengerEXT destroy =
            (PFN_vkDestroyDebugUtilsMessengerEXT)proc(dev, "vkDestroyDebugUtilsMessengerEXT");
        if (destroy) destroy(dev->instance, dev->messenger, NULL);
        dev->messenger = VK_NULL_HANDLE;
    }
    if (dev->vki.vkDestroyInstance) dev->vki.vkDestroyInstance(dev->instance, NULL);
    dev->instance = VK_NULL_HANDLE;
}

gsa_status gsai_instance_devices(gsa_device *dev, VkPhysicalDevice *out, uint32_t *n)
{
    *n = GSAI_MAX_DEVICES;
    const VkResult result = dev->vki.vkEnumeratePhysicalDevices(dev->instance, n, out);
    if (result == VK_SUCCESS || result == VK_INCOMPLETE) return GSA_OK;
    *n = 0;
    /* Some loaders report that every driver failed to start this way; for the caller that is "no device". */
    if (result == VK_ERROR_INITIALIZATION_FAILED) return GSA_OK;
    return gsai_vk_result(dev, result, "vkEnumeratePhysicalDevices", __FILE__, __LINE__);
}

/* The first family with compute, which on every known driver is the one with graphics too. A compute-only family runs
 * beside a host's drawing but may own fewer of the GPU's resources, and which is faster differs by driver; the general
 * one has all features, timestamps included, so it is the safe choice. */
uint32_t gsai_instance_queue_family(const gsa_device *dev, VkPhysicalDevice physical, uint32_t *timestamp_bits)
{
    VkQueueFamilyProperties families[32];
    uint32_t n = 32, any = UINT32_MAX;
    dev->vki.vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, families);
    *timestamp_bits = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || families[i].queueCount == 0) continue;
        const bool is_general = (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0;
        if (any == UINT32_MAX || is_general) {
            any = i;
            *timestamp_bits = families[i].timestampValidBits;
        }
        if (is_general) break;
    }
    return any;
}

static gsa_device_type type_of(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return GSA_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return GSA_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return GSA_DEVICE_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return GSA_DEVICE_CPU;
    default:
        return GSA_DEVICE_OTHER;
    }
}

void gsai_instance_info(const gsa_device *dev, VkPhysicalDevice physical, uint32_t index, gsa_device_info *out)
{
    memset(out, 0, sizeof *out);
    VkPhysicalDeviceProperties basic;
    dev->vki.vkGetPhysicalDeviceProperties(physical, &basic);
    out->index = index;
    out->type = type_of(basic.deviceType);
    snprintf(out->name, sizeof out->name, "%s", basic.deviceName);
    out->vendor_id = basic.vendorID;
    out->device_id = basic.deviceID;
    out->api_version = basic.apiVersion;
    snprintf(out->driver, sizeof out->driver, "driver 0x%x", basic.driverVersion);
    if (basic.apiVersion >= VK_API_VERSION_1_2) {
        VkPhysicalDeviceDriverProperties driver = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
        VkPhysicalDeviceProperties2 all = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &driver};
        dev->vki.vkGetPhysicalDeviceProperties2(physical, &all);
        if (driver.driverName[0])
            snprintf(out->driver, sizeof out->driver, "%.100s %.150s", driver.driverName, driver.driverInfo);
    }
    VkPhysicalDeviceMemoryProperties memory;
    dev->vki.vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &memory.memoryHeaps[i];
        if ((heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && heap->size > out->memory_bytes)
            out->memory_bytes = heap->size;
    }
    uint32_t timestamp_bits;
    out->usable = basic.apiVersion >= VK_API_VERSION_1_1 &&
                  gsai_instance_queue_family(dev, physical, &timestamp_bits) != UINT32_MAX;
}

gsa_status gsai_extensions_read(gsa_device *dev, VkPhysicalDevice physical, gsai_extensions *out)
{
    memset(out, 0, sizeof *out);
    VkResult result;
    do { /* the list may grow between the two calls */
        uint32_t n = 0;
        result = dev->vki.vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL);
        if (result != VK_SUCCESS) break;
        gsai_free(&dev->allocator, out->list);
        out->list = gsai_alloc_array(&dev->allocator, n, sizeof *out->list);
        if (!out->list) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for the names of %u extensions", n);
        out->n = n;
        result = dev->vki.vkEnumerateDeviceExtensionProperties(physical, NULL, &out->n, out->list);
    } while (result == VK_INCOMPLETE);
    if (result == VK_SUCCESS) return GSA_OK;
    gsai_extensions_finish(dev, out);
    return gsai_vk_result(dev, result, "vkEnumerateDeviceExtensionProperties", __FILE__, __LINE__);
}

bool gsai_extensions_have(const gsai_extensions *e, const char *name)
{
    for (uint32_t i = 0; i < e->n; i++) {
        if (strcmp(e->list[i].extensionName, name) == 0) return true;
    }
    return false;
}

void gsai_extensions_finish(const gsa_device *dev, gsai_extensions *e)
{
    gsai_free(&dev->allocator, e->list);
    memset(e, 0, sizeof *e);
}
