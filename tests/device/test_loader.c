/* Machines without a loader, with a broken one, and with odd devices: this program brings its own "loader" of which
 * every answer can be chosen. Needs no Vulkan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <string.h>

#include "vk/device.h"
#include "vk/loader.h"
#include "vk/pipeline.h"

static struct fake_machine {
    bool has_loader;
    uint32_t loader_version;
    VkResult create_instance, create_device[3];
    uint32_t n_devices;
    uint32_t api_version[3];
    VkQueueFlags queues[3];
    bool has_dispatch; /* device functions can be had */
    int n_instances, n_created;
    const char *layer; /* the one layer there is */
} fake;

/* Stands in front of the C library's: "libvulkan" is this program. */
void *dlopen(const char *name, int flags)
{
    void *(*real)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    if (name && strstr(name, "libvulkan")) return fake.has_loader ? real(NULL, flags) : NULL;
    return real(name, flags);
}

static uint32_t index_of(VkPhysicalDevice d)
{
    return (uint32_t)(uintptr_t)d - 1;
}

static VkResult VKAPI_PTR enumerate_version(uint32_t *version)
{
    *version = fake.loader_version;
    return VK_SUCCESS;
}
static VkResult VKAPI_PTR no_extensions(const char *layer, uint32_t *n, VkExtensionProperties *out)
{
    (void)layer, (void)out;
    *n = 0;
    return VK_SUCCESS;
}
static VkResult VKAPI_PTR layers(uint32_t *n, VkLayerProperties *out)
{
    *n = fake.layer ? 1 : 0;
    if (out && fake.layer) snprintf(out->layerName, sizeof out->layerName, "%s", fake.layer);
    return VK_SUCCESS;
}
static VkResult VKAPI_PTR create_instance(
    const VkInstanceCreateInfo *info, const VkAllocationCallbacks *a, VkInstance *out)
{
    (void)info, (void)a;
    *out = VK_NULL_HANDLE;
    if (fake.create_instance != VK_SUCCESS) return fake.create_instance;
    *out = (VkInstance)&fake;
    fake.n_instances++;
    return VK_SUCCESS;
}
static void VKAPI_PTR destroy_instance(VkInstance i, const VkAllocationCallbacks *a)
{
    (void)i, (void)a;
    fake.n_instances--;
}
static VkResult VKAPI_PTR enumerate_devices(VkInstance i, uint32_t *n, VkPhysicalDevice *out)
{
    (void)i;
    *n = fake.n_devices;
    for (uintptr_t k = 0; out && k < fake.n_devices; k++) out[k] = (VkPhysicalDevice)(k + 1);
    return VK_SUCCESS;
}
static VkResult VKAPI_PTR device_extensions(
    VkPhysicalDevice d, const char *layer, uint32_t *n, VkExtensionProperties *out)
{
    (void)d, (void)layer, (void)out;
    *n = 0;
    return VK_SUCCESS;
}
static void VKAPI_PTR properties(VkPhysicalDevice d, VkPhysicalDeviceProperties *out)
{
    static const char *const names[] = {"Fake Alpha 100", "Fake Beta 200", "Fake Gamma 300"};
    memset(out, 0, sizeof *out);
    snprintf(out->deviceName, sizeof out->deviceName, "%s", names[index_of(d)]);
    out->apiVersion = fake.api_version[index_of(d)];
    out->deviceType = index_of(d) == 1 ? VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU : VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
    out->limits.maxComputeWorkGroupInvocations = 128;
}
static void VKAPI_PTR properties2(VkPhysicalDevice d, VkPhysicalDeviceProperties2 *out)
{
    properties(d, &out->properties);
}
static void VKAPI_PTR features2(VkPhysicalDevice d, VkPhysicalDeviceFeatures2 *out)
{
    (void)d;
    memset(&out->features, 0, sizeof out->features);
}
static void VKAPI_PTR memory(VkPhysicalDevice d, VkPhysicalDeviceMemoryProperties *out)
{
    memset(out, 0, sizeof *out);
    out->memoryHeapCount = 1;
    out->memoryHeaps[0] = (VkMemoryHeap){(1 + index_of(d)) << 20, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
}
static void VKAPI_PTR memory2(VkPhysicalDevice d, VkPhysicalDeviceMemoryProperties2 *out)
{
    memory(d, &out->memoryProperties);
}
static void VKAPI_PTR families(VkPhysicalDevice d, uint32_t *n, VkQueueFamilyProperties *out)
{
    *n = 1;
    if (out) *out = (VkQueueFamilyProperties){fake.queues[index_of(d)], 1, 0, {1, 1, 1}};
}
static VkResult VKAPI_PTR create_device(
    VkPhysicalDevice d, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *a, VkDevice *out)
{
    (void)info, (void)a;
    *out = VK_NULL_HANDLE;
    if (fake.create_device[index_of(d)] != VK_SUCCESS) return fake.create_device[index_of(d)];
    *out = (VkDevice)&fake;
    fake.n_created++;
    return VK_SUCCESS;
}
static void VKAPI_PTR destroy_device(VkDevice d, const VkAllocationCallbacks *a)
{
    (void)d, (void)a;
    fake.n_created--;
}
static void VKAPI_PTR get_queue(VkDevice d, uint32_t family, uint32_t index, VkQueue *out)
{
    (void)d, (void)family, (void)index;
    *out = VK_NULL_HANDLE;
}
static VkResult VKAPI_PTR create_cache(
    VkDevice d, const VkPipelineCacheCreateInfo *info, const VkAllocationCallbacks *a, VkPipelineCache *out)
{
    (void)d, (void)info, (void)a;
    memset(out, 0, sizeof *out);
    return VK_SUCCESS;
}
static void VKAPI_PTR never_called(void)
{
    fail_msg("a device function was called that should not be");
}

static PFN_vkVoidFunction VKAPI_PTR device_proc(VkDevice d, const char *name)
{
    (void)d;
    if (!fake.has_dispatch) return NULL;
    if (strcmp(name, "vkDestroyDevice") == 0) return (PFN_vkVoidFunction)destroy_device;
    if (strcmp(name, "vkGetDeviceQueue") == 0) return (PFN_vkVoidFunction)get_queue;
    if (strcmp(name, "vkCreatePipelineCache") == 0) return (PFN_vkVoidFunction)create_cache;
    return never_called;
}

PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance, const char *name);
__attribute__((visibility("default"))) PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance, const char *name)
{
    (void)instance;
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } table[] = {
        {"vkEnumerateInstanceVersion", (PFN_vkVoidFunction)enumerate_version},
        {"vkEnumerateInstanceExtensionProperties", (PFN_vkVoidFunction)no_extensions},
        {"vkEnumerateInstanceLayerProperties", (PFN_vkVoidFunction)layers},
        {"vkCreateInstance", (PFN_vkVoidFunction)create_instance},
        {"vkDestroyInstance", (PFN_vkVoidFunction)destroy_instance},
        {"vkEnumeratePhysicalDevices", (PFN_vkVoidFunction)enumerate_devices},
        {"vkEnumerateDeviceExtensionProperties", (PFN_vkVoidFunction)device_extensions},
        {"vkGetPhysicalDeviceProperties", (PFN_vkVoidFunction)properties},
        {"vkGetPhysicalDeviceProperties2", (PFN_vkVoidFunction)properties2},
        {"vkGetPhysicalDeviceFeatures2", (PFN_vkVoidFunction)features2},
        {"vkGetPhysicalDeviceMemoryProperties", (PFN_vkVoidFunction)memory},
        {"vkGetPhysicalDeviceMemoryProperties2", (PFN_vkVoidFunction)memory2},
        {"vkGetPhysicalDeviceQueueFamilyProperties", (PFN_vkVoidFunction)families},
        {"vkCreateDevice", (PFN_vkVoidFunction)create_device},
        {"vkGetDeviceProcAddr", (PFN_vkVoidFunction)device_proc},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].name, name) == 0) return table[i].function;
    }
    return NULL;
}

static void good_machine(void)
{
    memset(&fake, 0, sizeof fake);
    fake.has_loader = fake.has_dispatch = true;
    fake.loader_version = VK_API_VERSION_1_3;
    fake.n_devices = 3;
    for (int i = 0; i < 3; i++) {
        fake.api_version[i] = VK_API_VERSION_1_1;
        fake.queues[i] = VK_QUEUE_COMPUTE_BIT;
    }
}

static char logged[2000];
static void collect(void *user, gsa_log_level level, const char *text)
{
    (void)user, (void)level;
    strncat(logged, text, sizeof logged - strlen(logged) - 1);
    strncat(logged, "\n", sizeof logged - strlen(logged) - 1);
}

static gsa_status open_with(const char *select, bool validation, gsa_device **d)
{
    logged[0] = 0;
    const gsa_device_params p = {
        .struct_size = sizeof p, .select = select, .validation = validation, .log = {collect, NULL, GSA_LOG_WARNING}};
    return gsai_device_open(&p, d);
}

static void refused(gsa_status expected, const char *word)
{
    gsa_device *d = (gsa_device *)1;
    const gsa_status status = open_with(NULL, false, &d);
    if (status != expected) fail_msg("%s: %s", gsa_status_name(status), gsa_error_text());
    assert_null(d);
    if (!strstr(gsa_error_text(), word)) fail_msg("\"%s\" does not say \"%s\"", gsa_error_text(), word);
    assert_int_equal(fake.n_instances, 0);
    assert_int_equal(fake.n_created, 0);
}

static void loader_missing_says_what_to_install(void **state)
{
    (void)state;
    good_machine();
    fake.has_loader = false;
    refused(GSA_ERROR_NO_VULKAN, "libvulkan1");
    uint32_t n = 5;
    assert_int_equal(gsai_device_enumerate(NULL, NULL, &n), GSA_ERROR_NO_VULKAN);
    assert_int_equal(n, 0);
    gsa_device *d;
    assert_int_equal(open_with("cpu", false, &d), GSA_OK);
    gsai_device_close(d);
}

static void loader_installed_later_is_found(void **state)
{
    (void)state;
    good_machine();
    uint32_t n;
    gsa_device_info infos[3];
    n = 3;
    assert_int_equal(gsai_device_enumerate(NULL, infos, &n), GSA_OK);
    assert_int_equal(n, 3);
    assert_string_equal(infos[2].name, "Fake Gamma 300");
    assert_int_equal(infos[1].type, GSA_DEVICE_DISCRETE);
    assert_int_equal(fake.n_instances, 0);
}

static void loader_of_vulkan_1_0_is_refused(void **state)
{
    (void)state;
    good_machine();
    fake.loader_version = VK_API_VERSION_1_0;
    refused(GSA_ERROR_NO_VULKAN, "1.0");
}

static void instance_failures_have_their_own_texts(void **state)
{
    (void)state;
    good_machine();
    fake.create_instance = VK_ERROR_INITIALIZATION_FAILED;
    refused(GSA_ERROR_NO_VULKAN, "layer");
    fake.create_instance = VK_ERROR_LAYER_NOT_PRESENT;
    refused(GSA_ERROR_NO_VULKAN, "VK_ERROR_LAYER_NOT_PRESENT");
    fake.create_instance = VK_ERROR_OUT_OF_HOST_MEMORY;
    refused(GSA_ERROR_HOST_MEMORY, "memory");
    fake.create_instance = VK_ERROR_INCOMPATIBLE_DRIVER;
    refused(GSA_ERROR_NO_DEVICE, "driver");
    uint32_t n = 4;
    assert_int_equal(gsai_device_enumerate(NULL, NULL, &n), GSA_OK);
    assert_int_equal(n, 0);
}

static void devices_none_or_unusable_are_no_device(void **state)
{
    (void)state;
    good_machine();
    fake.n_devices = 0;
    refused(GSA_ERROR_NO_DEVICE, "none");
    good_machine();
    fake.n_devices = 2;
    fake.api_version[0] = VK_API_VERSION_1_0;
    fake.queues[1] = VK_QUEUE_TRANSFER_BIT;
    refused(GSA_ERROR_NO_DEVICE, "unusable");
    gsa_device *d;
    assert_int_equal(open_with("0", false, &d), GSA_ERROR_NO_DEVICE);
    assert_int_equal(open_with("beta", false, &d), GSA_ERROR_NO_DEVICE);
}

static void best_device_that_fails_gives_way_to_the_next(void **state)
{
    (void)state;
    gsa_device *d;
    good_machine();
    assert_int_equal(open_with(NULL, false, &d), GSA_OK);
    assert_int_equal(d->info.index, 1); /* the discrete one */
    gsai_device_close(d);
    fake.create_device[1] = VK_ERROR_INITIALIZATION_FAILED;
    assert_int_equal(open_with(NULL, false, &d), GSA_OK);
    assert_int_equal(d->info.index, 2); /* of the others, the one with more memory */
    assert_non_null(strstr(logged, "Fake Beta 200"));
    assert_non_null(strstr(logged, "next"));
    gsai_device_close(d);
    assert_int_equal(open_with("beta", false, &d), GSA_ERROR_DRIVER); /* asked for by name: no other will do */
    fake.create_device[0] = fake.create_device[2] = VK_ERROR_INITIALIZATION_FAILED;
    refused(GSA_ERROR_DRIVER, "vkCreateDevice");
    fake.create_device[0] = fake.create_device[1] = fake.create_device[2] = VK_ERROR_DEVICE_LOST;
    refused(GSA_ERROR_DRIVER, "VK_ERROR_DEVICE_LOST");
    fake.create_device[0] = VK_SUCCESS;
    assert_int_equal(open_with(NULL, false, &d), GSA_OK); /* the loss of one candidate is not inherited */
    assert_int_equal(gsai_device_check(d), GSA_OK);
    gsai_device_close(d);
    assert_int_equal(fake.n_instances, 0);
    assert_int_equal(fake.n_created, 0);
}

static void device_name_that_fits_several_takes_the_first(void **state)
{
    (void)state;
    gsa_device *d;
    good_machine();
    assert_int_equal(open_with("fAKE", false, &d), GSA_OK);
    assert_int_equal(d->info.index, 0);
    assert_non_null(strstr(logged, "fits 3 devices"));
    gsai_device_close(d);
    assert_int_equal(open_with("200", false, &d), GSA_ERROR_NO_DEVICE); /* digits are an index */
    assert_int_equal(open_with(" 300", false, &d), GSA_OK);
    assert_int_equal(d->info.index, 2);
    gsai_device_close(d);
}

static void device_without_functions_is_refused(void **state)
{
    (void)state;
    good_machine();
    fake.has_dispatch = false;
    gsa_device *d;
    assert_int_equal(open_with(NULL, false, &d), GSA_ERROR_DRIVER);
    assert_null(d);
    assert_int_equal(fake.n_instances, 0);
}

static void validation_without_the_layer_is_refused(void **state)
{
    (void)state;
    good_machine();
    gsa_device *d;
    assert_int_equal(open_with(NULL, true, &d), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "VK_LAYER_KHRONOS_validation"));
    fake.layer = "VK_LAYER_KHRONOS_validation"; /* there, but its messages cannot be had */
    assert_int_equal(open_with(NULL, true, &d), GSA_ERROR_UNSUPPORTED);
    assert_int_equal(fake.n_instances, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loader_missing_says_what_to_install),
        cmocka_unit_test(loader_installed_later_is_found),
        cmocka_unit_test(loader_of_vulkan_1_0_is_refused),
        cmocka_unit_test(instance_failures_have_their_own_texts),
        cmocka_unit_test(devices_none_or_unusable_are_no_device),
        cmocka_unit_test(best_device_that_fails_gives_way_to_the_next),
        cmocka_unit_test(device_name_that_fits_several_takes_the_first),
        cmocka_unit_test(device_without_functions_is_refused),
        cmocka_unit_test(validation_without_the_layer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
