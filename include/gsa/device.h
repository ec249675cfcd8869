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

/* How work is cut into workgroups matters much for speed and depends on the device. When a model is loaded, the shapes of
 * its products for single tokens are measured on its own weights, a few around each default, in about a second; what was
 * found is kept in gsa_device_cache(), so that the next run does not search. Only choices that leave every bit of the
 * results as it is are tried: results are the same with and without the search, and whatever it finds. */
typedef enum gsa_tuning {
    GSA_TUNING_DEFAULT = 0, /* on, but off for CPU drivers */
    GSA_TUNING_ON = 1,
    GSA_TUNING_OFF = 2 /* defaults, and what the cache holds */
} gsa_tuning;

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
    /* Single tokens of one session by the resident kernel: all layers in one dispatch whose workgroups wait for each other's
     * values, with the same bits as without, for the memory of one more state a model. NULL or "auto": on discrete GPUs
     * whose number of cores is known, where its known question was answered and it was faster when both were measured as
     * the model was loaded (not with tuning off); "always": wherever device and model can; "never". No wait is longer
     * than 20,000 looks at memory, 10 to 20 ms: then the step is repeated without it, from a copy of the state, a warning
     * is logged, and it is not used again. For measuring, after a comma: groups=N (of the dispatch; needed where the
     * number of cores is unknown), cores=N (groups for each core), invocations=N, depth=N (16-byte units of weights that
     * an invocation multiplies while as many are on their way), polls=N (looks of one wait), window=N (16-byte units of
     * a row that an invocation has in one window, at most, where a layer's widest product takes its input in windows
     * because shared memory cannot hold it), carry=N (pairs of rows whose sums a subgroup takes from window to window),
     * apart=1 (with windows, too, the head is a call of its own); for tests leave=N (workgroup 0 does not come beyond
     * product N). */
    const char *resident;
    gsa_tuning tuning;
    /* log at GSA_LOG_INFO what the driver's compiler tells of each kernel it makes: registers, spills, .. */
    bool kernel_statistics;
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
typedef enum gsa_device_fact {
    GSA_FACT_LIMIT = 0,
    GSA_FACT_CAPABILITY = 1,
    GSA_FACT_VARIANT = 2,
    GSA_FACT_SHAPE = 3 /* shapes found by the search: name "kernel rows x columns", value the shape */
} gsa_device_fact;
GSA_API bool gsa_device_fact_get(
    const gsa_device *device, gsa_device_fact kind, uint32_t i, const char **name, const char **value);

/* What to keep for the next run's gsa_device_params.cache: the self-test's verdicts, the shapes that were
 * found best, and the driver's compiled pipelines. It
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
    uint32_t n_tuned;    /* products whose shape is known from a search, this one's or the cache's */
    double tuning_ms;    /* searching, all in all */
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

/* What this device does at best, measured now: what the speed of a model is to be compared with. Each takes device memory
 * for the time of the call, warms the device up (GPUs lower their clocks while idle; a CPU driver gets one run) and gives
 * the median of seven runs by the device's clock. They block for a fraction of a second on a GPU. UNSUPPORTED on the CPU
 * reference; ARGUMENT, DEVICE_MEMORY, HOST_MEMORY, DRIVER, DEVICE_LOST: the results are zeroed. One thread, no model's
 * step in flight: it would be measured with. */

/* Read bandwidth in bytes per second: a kernel that reads so many bytes once, or as many as fit half of the free memory. */
GSA_API gsa_status gsa_device_bandwidth(gsa_device *device, uint64_t bytes, double *bytes_per_second);

/* Rate of a product size x size x size (2 size^3 operations) of random weights of a type ("f16", "q8_0", ...) with
 * activations, f32 sums, by the kernel that prompts take here: on matrix units where the device has them and the type
 * allows it. size: a multiple of 256 up to 16384; 0 = the largest power of two up to 4096 that takes well under a second. */
typedef struct gsa_matrix_rate {
    double flops_per_second;
    uint32_t size;
    const char *kernel; /* static text, as in gsa_verify_row.variant */
} gsa_matrix_rate;
GSA_API gsa_status gsa_device_matrix_rate(gsa_device *device, const char *type, uint32_t size, gsa_matrix_rate *rate);

/* Time of the recurrence of one layer alone, of one session with T tokens: from what the product q k v f leaves on this
 * device (its maps made or not, as kernels and shape want it; else gates made, too) to the outputs, states
 * read and written. Passes of 4,096 tokens, chunks as a prompt's; T = 1 is the step of decoding. us: time of each of
 * n_runs runs (1 to 1000), in microseconds. *error: before anything is timed, outputs of the first 4,096 tokens and, when
 * there are no more, the state after them against the CPU reference, |out - reference| / |reference|, the larger one:
 * below 1e-5 where all is f32, 5e-3 where products are of f16. The reference takes about a millisecond a token. */
typedef struct gsa_recurrence {
    size_t struct_size;     /* sizeof(gsa_recurrence) */
    uint32_t H, G, K, V, M; /* as in gsa_model_info */
    uint32_t T;             /* tokens, up to 1048576 */
} gsa_recurrence;
GSA_API gsa_status gsa_device_recurrence_time(
    gsa_device *device, const gsa_recurrence *what, double *us, uint32_t n_runs, double *error);

#ifdef __cplusplus
}
#endif

#endif
