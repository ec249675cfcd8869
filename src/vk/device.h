/* A Vulkan device as the library uses it: one compute queue, a function table of its own, capabilities, submissions. */
#ifndef GSAI_DEVICE_H
#define GSAI_DEVICE_H

#include <stdatomic.h>

#include "gsa/device.h"
#include "util/alloc.h"
#include "util/status.h"
#include "util/thread.h"
#include "vk/caps.h"
#include "vk/vulkan.h"

/* Instance-level functions, loaded for this instance (volk keeps those in globals, which other devices share). */
#define GSAI_INSTANCE_FUNCTIONS(X)                                                                                     \
    X(vkDestroyInstance)                                                                                               \
    X(vkEnumeratePhysicalDevices)                                                                                      \
    X(vkEnumerateDeviceExtensionProperties)                                                                            \
    X(vkGetPhysicalDeviceProperties)                                                                                   \
    X(vkGetPhysicalDeviceProperties2)                                                                                  \
    X(vkGetPhysicalDeviceFeatures2)                                                                                    \
    X(vkGetPhysicalDeviceMemoryProperties)                                                                             \
    X(vkGetPhysicalDeviceMemoryProperties2)                                                                            \
    X(vkGetPhysicalDeviceQueueFamilyProperties)                                                                        \
    X(vkCreateDevice)                                                                                                  \
    X(vkGetDeviceProcAddr)

typedef struct gsai_instance_table {
#define GSAI_MEMBER(f) PFN_##f f;
    GSAI_INSTANCE_FUNCTIONS(GSAI_MEMBER)
#undef GSAI_MEMBER
} gsai_instance_table;

struct gsai_pipelines; /* vk/pipeline.h */
struct gsai_queue;     /* vk/queue.h */

#define GSAI_MAX_VARIANTS 160
#define GSAI_MAX_TUNED    64

typedef enum gsai_resident_use {
    GSAI_RESIDENT_NEVER,
    GSAI_RESIDENT_AUTO, /* where it was measured to be faster */
    GSAI_RESIDENT_ALWAYS
} gsai_resident_use;
typedef struct gsai_resident_settings { /* of gsa_device_params.resident; numbers are 0 where none was given */
    gsai_resident_use use;
    uint32_t groups, cores, invocations, depth, polls, leave, window, carry, apart;
} gsai_resident_settings;

typedef struct gsai_fact { /* one line for people */
    char name[40];
    char value[280];
} gsai_fact;

/* How a product's work is cut. Kept by the ops layer (ops/tune.h), one row for each product that was measured. */
typedef struct gsai_knobs {
    uint32_t group_size, rows, unroll, split;
} gsai_knobs;
typedef struct gsai_tuned {
    uint64_t kernel; /* hash of name and code */
    uint32_t n_out, n_cols, kind;
    gsai_knobs knobs;
    gsai_fact fact;
} gsai_tuned;

typedef struct gsai_memory_count {
    _Atomic uint64_t bytes, peak;
} gsai_memory_count;

struct gsa_device {
    gsa_allocator allocator;
    gsa_log log;
    bool is_cpu_reference; /* "cpu": of all below only caps.name, info and variant_mask are set */

    bool owns_handles; /* false when the host's device was adopted: never destroy these */
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    uint32_t queue_family;
    VkQueue vk_queue;
    void (*queue_lock)(void *user); /* an adopted host's lock around each queue call; NULL = the queue is ours alone */
    void (*queue_unlock)(void *user);
    void *queue_user;
    gsai_instance_table vki;
    struct VolkDeviceTable vk;
    VkDebugUtilsMessengerEXT messenger; /* only with gsa_device_params.validation */
    VkPhysicalDeviceMemoryProperties memory;

    gsa_device_info info; /* also of the CPU reference */
    gsai_caps caps;
    bool full_subgroups; /* feature computeFullSubgroups is on */
    uint32_t spirv_max;  /* newest SPIR-V version word the device takes: 0x10300 or 0x10600 */
    struct gsai_pipelines *pipelines;
    struct gsai_queue *queue;
    _Atomic bool lost; /* sticky */
    _Atomic uint32_t n_validation_messages;
    gsai_fact *facts[2]; /* by GSA_FACT_LIMIT, GSA_FACT_CAPABILITY */
    uint32_t n_facts[2];

    uint32_t max_submit_us; /* cap on one submission's estimated GPU time */
    bool profile;           /* a timestamp around each call */
    _Atomic uint32_t
        cost_permille; /* measured GPU time of memory traffic over the cost model's guess; 1000 = as guessed */
    _Atomic uint32_t math_permille; /* the same of arithmetic */

    gsai_resident_settings resident;
    char *variant_mask; /* words of the mask that are no capabilities, for the ops layer; NULL = none */
    /* Ops layer, by row of its table of variants. */
    _Atomic uint8_t variant_off[GSAI_MAX_VARIANTS];     /* why it may not be used; 0 = usable */
    _Atomic uint8_t variant_verdict[GSAI_MAX_VARIANTS]; /* of its known question */
    _Atomic uint8_t variant_used[GSAI_MAX_VARIANTS];    /* a recording has chosen it */
    gsa_self_test self_test;
    gsai_mutex self_test_mutex;
    _Atomic uint32_t n_self_tests; /* questions asked so far */
    _Atomic uint64_t self_test_ns;
    gsa_tuning tuning;
    gsai_mutex tuned_mutex; /* around adding rows; rows never change */
    gsai_tuned tuned[GSAI_MAX_TUNED];
    _Atomic uint32_t n_tuned;
    _Atomic uint64_t tuning_ns;
    bool kernel_statistics;
    _Atomic uint32_t n_pipelines; /* created so far */
    _Atomic uint64_t pipeline_ns; /* in the driver, creating them */
    const char *break_kernel;     /* for tests: answers of this kernel count as wrong; NULL = none */

    gsai_memory_count memory_count[2]; /* allocated: device memory, host-visible memory */
    _Atomic uint32_t n_allocations;

    _Atomic uint32_t n_children; /* living models */
};

/* gsa_device_create, _list and _destroy without the layers above: variant words of the mask wait in variant_mask. */
gsa_status gsai_device_open(const gsa_device_params *params, gsa_device **out);
gsa_status gsai_device_enumerate(const gsa_device_params *params, gsa_device_info *infos, uint32_t *count);
void gsai_device_close(gsa_device *dev);
/* ARGUMENT names the word that is not known. otherwise: the use where text, which may be NULL, has no word for it. */
gsa_status gsai_resident_parse(const char *text, gsai_resident_use otherwise, gsai_resident_settings *out);

/* One macro turns a VkResult into a status and says which call failed and where:
 *     GSAI_VK(dev, dev->vk.vkCreateFence(dev->device, &info, NULL, &fence)) -> gsa_status */
#define GSAI_VK(dev, call) gsai_vk_result((dev), (call), #call, __FILE__, __LINE__)
gsa_status gsai_vk_result(gsa_device *dev, VkResult result, const char *call, const char *file, int line);
const char *gsai_vk_result_name(VkResult result);

/* DEVICE_LOST with a text when the device is lost, else OK. */
gsa_status gsai_device_check(const gsa_device *dev);
/* Are kernels measured when a model is loaded? By default not where that is slow (CPU drivers) or means nothing. */
bool gsai_device_tunes(const gsa_device *dev);

/* Index of a memory type allowed by bits with all wanted flags and none of the unwanted, or UINT32_MAX. */
uint32_t gsai_device_memory_type(
    const gsa_device *dev, uint32_t bits, VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags unwanted);
/* Free device memory now by VK_EXT_memory_budget (clamped: budget and usage may lie), else the heap's size. */
uint64_t gsai_device_memory_free(const gsa_device *dev);

#endif
