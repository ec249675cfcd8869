/* gsa/device.h: choosing and opening a device. A device is a Vulkan device of our own, or the CPU reference ("cpu").
 * Adopting a host's VkDevice is in gsa/vulkan.h. */
#ifndef GSA_DEVICE_H
#define GSA_DEVICE_H

#include "gsa/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gsa_device gsa_device;

/* Before a model is used the first time on a device and driver, each kernel it needs answers a question whose answer is
 * known; one that answers wrongly gives way to the next in line. Takes well under a second on a GPU; the verdicts are kept
 * in gsa_device_cache(), so that the next run does not ask again. */
typedef enum gsa_self_test {
    GSA_SELF_TEST_DEFAULT = 0, /* on, but off for CPU drivers: they compile for seconds */
    GSA_SELF_TEST_ON = 1,
    GSA_SELF_TEST_OFF = 2
} gsa_self_test;

typedef struct gsa_device_params {
    size_t struct_size; /* sizeof(gsa_device_params) */
    const char *select; /* NULL or "" = best; "cpu" = the CPU reference; digits = index; else part of a name */
    const char *mask;   /* capabilities to hide, e.g. "coopmat,float16" or "minimum"; NULL = none */
    const void *cache;  /* bytes of gsa_device_cache() of an earlier run; NULL = none. A stale one is ignored */
    size_t cache_size;
    uint32_t max_submit_us; /* cap on one submission's GPU time; 0 = 8000 */
    gsa_self_test self_test;
    bool profile;    /* time each GPU call (slower) */
    bool validation; /* VK_LAYER_KHRONOS_validation with synchronization checks; messages are logged and counted */
    gsa_log log;     /* zeroed = silent */
    const gsa_allocator *allocator; /* NULL = malloc; copied */
    /* Single tokens of one session by the resident kernel: all layers in one dispatch whose workgroups wait for each other,
     * with the same bits as without. "always": wherever device and model can; "never"; NULL or "auto": as this version
     * thinks best, which is never. For measuring, after a comma: groups=N (of the dispatch; needed where the number of
     * cores is unknown), cores=N (groups for each core), invocations=N, depth=N (16-byte units that an invocation holds),
     * clerks=0|1, polls=N (looks of one wait). */
    const char *resident;
} gsa_device_params;

typedef enum gsa_device_type {
    GSA_DEVICE_OTHER = 0,
    GSA_DEVICE_INTEGRATED = 1,
    GSA_DEVICE_DISCRETE = 2,
    GSA_DEVICE_VIRTUAL = 3,
    GSA_DEVICE_CPU = 4,
    GSA_DEVICE_REFERENCE = 5 /* the CPU reference of this library */
} gsa_device_type;

typedef struct gsa_device_info {
    uint32_t index; /* for gsa_device_params.select; UINT32_MAX for the CPU reference */
    gsa_device_type type;
    char name[256], driver[256];
    uint32_t vendor_id, device_id, api_version;
    uint64_t memory_bytes; /* largest device-local heap */
    bool usable;           /* has a compute queue and Vulkan 1.1 */
} gsa_device_info;

/* List the Vulkan devices in index order. infos may be NULL to count; *count in: capacity, out: how many there are.
 * OK (also with no device: *count is 0), NO_VULKAN, HOST_MEMORY. Blocks while drivers load. Any thread. */
GSA_API gsa_status gsa_device_list(const gsa_device_params *params, gsa_device_info *infos, uint32_t *count);

/* Open a device. params may be NULL: best device, silent. "Best": discrete, then integrated, virtual, other, CPU driver;
 * more memory first; one that cannot be opened gives way to the next, and the log says so. OK; ARGUMENT (bad mask or
 * params), NO_VULKAN, NO_DEVICE (also: a loader without drivers), DRIVER, UNSUPPORTED (validation asked for, layer
 * absent), HOST_MEMORY, DEVICE_MEMORY: *device is NULL. Blocks while the driver loads. Any thread; several devices may
 * be open at once. */
GSA_API gsa_status gsa_device_create(const gsa_device_params *params, gsa_device **device);

/* Close. NULL is fine. A device with living models is not destroyed: the log says so, and it stays usable. */
GSA_API void gsa_device_destroy(gsa_device *device);

GSA_API void gsa_device_info_get(const gsa_device *device, gsa_device_info *info);

/* Facts for people and reports, one line each, until false: name and value are valid as long as the device.
 * kind: limits and identity, capabilities (value "yes", "no" or "masked"), kernel variants (name "op", value
 * "variant: why it was chosen", and whether it passed the self-test). Immediate; any thread. */
typedef enum gsa_device_fact { GSA_FACT_LIMIT = 0, GSA_FACT_CAPABILITY = 1, GSA_FACT_VARIANT = 2 } gsa_device_fact;
GSA_API bool gsa_device_fact_get(
    const gsa_device *device, gsa_device_fact kind, uint32_t i, const char **name, const char **value);

/* What to keep for the next run's gsa_device_params.cache: the self-test's verdicts and the driver's compiled pipelines. It
 * is valid for the same library version, device and driver only, which is checked together with a hash of its bytes when
 * it is given back; verdicts count for the very same kernel code only. Anything else costs time, never a failure. It grows
 * until models are loaded, so ask afterwards. Two-call idiom: data NULL gives *size. LIMIT: capacity too small. */
GSA_API gsa_status gsa_device_cache(gsa_device *device, void *data, size_t capacity, size_t *size);

/* OK, or DEVICE_LOST from the moment the device was lost. Immediate. */
GSA_API gsa_status gsa_device_status(const gsa_device *device);
/* Messages of the validation layer so far. */
GSA_API uint32_t gsa_device_validation_count(const gsa_device *device);

/* Memory that this library holds on a device, in bytes as the driver was asked for them: what a host's own memory is
 * planned against. Immediate; any thread. All 0 for the CPU reference. */
typedef struct gsa_device_memory {
    uint64_t device_bytes, device_peak_bytes; /* device memory: now, and the most there ever was */
    uint64_t host_bytes, host_peak_bytes;     /* host-visible memory: staging and read-back */
    uint32_t n_allocations;                   /* now */
} gsa_device_memory;
GSA_API void gsa_device_memory_get(const gsa_device *device, gsa_device_memory *memory);

/* What getting ready took so far. Immediate; any thread. All 0 for the CPU reference. */
typedef struct gsa_device_startup {
    uint32_t n_pipelines; /* created, those of the self-test included */
    double pipelines_ms;  /* in the driver, while creating them; some drivers compile at first use instead */
    bool cache_fitted;    /* gsa_device_params.cache was of this library, device and driver */
    uint32_t n_self_tests;
    double self_test_ms; /* all in all */
} gsa_device_startup;
GSA_API void gsa_device_startup_get(const gsa_device *device, gsa_device_startup *startup);

/* Run every kernel variant this device can run on known questions and compare with the CPU reference.
 * row is called once per check; *n_failed counts failures. Blocks for seconds. OK also when checks fail. */
typedef struct gsa_verify_row {
    const char *op, *variant, *shape; /* e.g. "matmul", "matvec_f16_sg", "T 1 N 64 C 96" */
    double error, tolerance;          /* ||out - ref|| / ||ref||, largest of the op's outputs */
    bool passed;
    double gpu_us; /* 0 when the device has no timestamps */
} gsa_verify_row;
GSA_API gsa_status gsa_device_verify(
    gsa_device *device, void (*row)(void *user, const gsa_verify_row *row), void *user, uint32_t *n_failed);

/* Read bandwidth in bytes per second: a kernel that reads bytes once, median of a few runs. DRIVER, DEVICE_MEMORY. */
GSA_API gsa_status gsa_device_bandwidth(gsa_device *device, uint64_t bytes, double *bytes_per_second);

#ifdef __cplusplus
}
#endif

#endif
