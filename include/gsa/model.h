/* gsa/model.h: a model on a device: config and weights, immutable after loading, shared by any number of sessions and
 * threads. Its state slots are set aside at load time; no later call allocates device memory. */
#ifndef GSA_MODEL_H
#define GSA_MODEL_H

#include "gsa/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gsa_model gsa_model;

/* path or synthetic, not both. Strings and callbacks need to live for the call only. */
typedef struct gsa_model_params {
    size_t struct_size;         /* sizeof(gsa_model_params) */
    const char *path;           /* Hugging Face folder: config.json + safetensors */
    const char *synthetic;      /* "340m", "1.3b", "2.7b", "7b": random weights of that shape, for benchmarks */
    const char *synthetic_type; /* "f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k"; NULL = "f16" */
    uint64_t synthetic_seed;
    uint32_t n_slots;          /* sessions and snapshots that may exist at once; 0 = 8 */
    uint32_t max_rows;         /* tokens of one GPU pass at most, rounded to chunks of 64; 0 = chosen from limits */
    uint64_t max_device_bytes; /* loading fails with DEVICE_MEMORY rather than take more; 0 = no cap */
    gsa_progress progress;     /* may be NULL */
    void *progress_user;
} gsa_model_params;

typedef struct gsa_model_info {
    uint32_t n_vocab, n_layers;
    uint32_t D, H, G, K, V, M, F,
        W;                   /* hidden, query heads, kv heads, key dim, value dim, slots, feed-forward, conv taps */
    uint32_t context_length; /* trained length, advisory; 0 = unknown */
    int32_t bos_id, eos_id;  /* -1 = none */
    bool tied;
    char feature_map[16], ffn_act[16];
    float norm_eps, gate_normalizer;
    uint64_t n_parameters;
    uint64_t weight_bytes; /* as stored in the file */
    uint64_t state_bytes;  /* of one session */
    char description[512]; /* where it came from */
} gsa_model_info;

/* Exact device and pinned host bytes a load with these params takes on this device. */
typedef struct gsa_memory_plan {
    uint64_t weight_bytes;  /* device: repacked weights */
    uint64_t arena_bytes;   /* device: n_slots states */
    uint64_t scratch_bytes; /* device: activations of the largest pass, logits */
    uint64_t host_bytes;    /* host-visible: work tables, read-back, staging */
    uint64_t device_bytes;  /* sum of the first three */
    uint32_t n_slots, max_rows;
} gsa_memory_plan;

/* Load. Blocks: reads the files, uploads, creates all pipelines. OK; ARGUMENT, FILE, FORMAT (a broken file),
 * UNSUPPORTED (a graph this library does not run, by name), HOST_MEMORY, DEVICE_MEMORY (with the numbers), LIMIT (a
 * shape the device cannot hold in one binding), CANCELLED, DRIVER, DEVICE_LOST: *model is NULL and all is freed.
 * One thread; different models in parallel are fine. The device must outlive the model. */
GSA_API gsa_status gsa_model_load(gsa_device *device, const gsa_model_params *params, gsa_model **model);

/* Frees it. NULL is fine. A model with living sessions or snapshots is not destroyed: the log says so. */
GSA_API void gsa_model_destroy(gsa_model *model);

GSA_API void gsa_model_info_get(const gsa_model *model, gsa_model_info *info);
GSA_API gsa_device *gsa_model_device(const gsa_model *model);
GSA_API void gsa_model_plan_get(const gsa_model *model, gsa_memory_plan *plan);

/* One tensor of a file, for inspection. Valid during the callback. */
typedef struct gsa_tensor_info {
    const char *name, *type;
    uint32_t n_dims;
    uint64_t dims[4]; /* outermost first */
    uint64_t n_bytes;
} gsa_tensor_info;

/* Read and check a model's files without a GPU. info, tensor and plan may each be NULL. The plan is for the given
 * device, or with NULL for common limits (4 GiB ranges, 4 GiB allocations, 256-byte alignment).
 * Statuses as gsa_model_load. Blocks on file access only. Any thread. */
GSA_API gsa_status gsa_model_inspect(const gsa_model_params *params, const gsa_device *device, gsa_model_info *info,
    void (*tensor)(void *user, const gsa_tensor_info *t), void *user, gsa_memory_plan *plan);

#ifdef __cplusplus
}
#endif

#endif
