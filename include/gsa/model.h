/* gsa/model.h: a model on a device: config and weights, immutable after loading, shared by any number of sessions and
 * threads. Its state slots are set aside at load time; no later call allocates device memory. */
#ifndef GSA_MODEL_H
#define GSA_MODEL_H

#include "gsa/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gsa_model gsa_model;

/* Weights for prompts: a second copy, on the device, of the layers' matrices, as f16 in the order in which the matrix units
 * of this device take them. Costs as much device memory as those matrices in f16 (padded a little), and loading them once
 * more from there to there; brings prompts of some hundred tokens and more in three quarters of the time, with the same
 * bits, and single tokens of three and more sessions in four fifths, unless the model is deterministic: of those the bits
 * differ from what they are without it, as far as such steps differ from sessions alone. Only where the device has matrix
 * units whose fragments can be loaded so; matrices of f32 and other devices take no such memory, whatever is asked for. */
typedef enum gsa_prompt_weights {
    GSA_PROMPT_WEIGHTS_DEFAULT, /* where the whole model then takes at most half of the device's memory, and no more than
                                   max_device_bytes; of block types (q8_0, q4_0, q4_k, q6_k) only where their copy takes at
                                   most an eighth of the device's memory besides; not with CPU drivers */
    GSA_PROMPT_WEIGHTS_ON,
    GSA_PROMPT_WEIGHTS_OFF
} gsa_prompt_weights;

/* How sessions keep the two memories of each layer, hk and hv; short convolutions keep their inputs in f32. Arithmetic is
 * f32 either way. With f16 a state takes half the memory, and a token reads and writes half the bytes of it; it is rounded
 * where a chunk of tokens ends (MODEL.md), so results differ from those of f32 and, by as much, with how a prompt is cut
 * into calls. Repeating, forking, saving and slicing by a budget still give the same bits. Needs 16-bit storage on a
 * device: without it loading fails with UNSUPPORTED. */
typedef enum gsa_state_type { GSA_STATE_F32, GSA_STATE_F16 } gsa_state_type;

/* Exactly one of path, source and synthetic. The struct and its strings need to live for the call only; so do progress and
 * its user. The memory or callback of a source must stay until the model is destroyed: weights are read again for the
 * identity in state files and, on the CPU reference, for every token. A path is kept mapped as long: replace such a file,
 * do not write into it. */
typedef struct gsa_model_params {
    size_t struct_size;         /* sizeof(gsa_model_params) */
    const char *path;           /* GGUF file, or Hugging Face folder: config.json + safetensors */
    const gsa_source *source;   /* GGUF file in memory or behind a callback */
    const char *synthetic;      /* "340m", "1.3b", "2.7b", "7b": random weights of that shape, for benchmarks */
    const char *synthetic_type; /* "f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k"; NULL = "f16" */
    uint64_t synthetic_seed;
    uint32_t n_slots;          /* sessions and snapshots that may exist at once; 0 = 8 */
    uint32_t max_rows;         /* tokens of one GPU pass at most, rounded to chunks of 64; 0 = chosen from limits */
    uint64_t max_device_bytes; /* loading fails with DEVICE_MEMORY rather than take more; 0 = no cap */
    /* Nonzero: a session's bits never depend on which other sessions share its steps. Else single tokens of three and more
     * sessions may take faster kernels, whose results differ by rounding (the bound for f16 products in MODEL.md). */
    int deterministic;
    gsa_prompt_weights prompt_weights;
    gsa_state_type state_type;
    gsa_progress progress; /* may be NULL. On the thread that loads; other threads read and repack meanwhile */
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
    uint64_t n_state;      /* numbers of a session's state */
    uint64_t state_bytes;  /* of one session, in memory and in a state file */
    gsa_state_type state_type;
    char description[512]; /* where it came from */
} gsa_model_info;

/* What a load with these params takes on this device, in bytes: exactly what gsa_device_memory_get() shows afterwards.
 * For the CPU reference: its states, in host memory; the weights stay in the file. */
typedef struct gsa_memory_plan {
    uint64_t weight_bytes;        /* device: repacked weights */
    uint64_t prompt_weight_bytes; /* device: the second copy for prompts, see gsa_prompt_weights; 0 without */
    uint64_t arena_bytes;         /* device: n_slots states; with gsa_device_params.resident what that takes, too */
    uint64_t scratch_bytes;       /* device: activations of the largest pass, logits */
    uint64_t host_bytes;          /* host-visible: work tables, read-back, state transfer */
    uint64_t load_bytes;          /* host-visible, while loading only: staging of the upload */
    uint64_t device_bytes;        /* sum of the first four */
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
/* The identity that state files carry: a hash of the config and all weights, the same whatever file format they came in.
 * Reads the files once, then remembers. Blocks. OK, FILE, HOST_MEMORY. Any thread. */
GSA_API gsa_status gsa_model_identity_wait(gsa_model *model, uint64_t *hash);
GSA_API void gsa_model_plan_get(const gsa_model *model, gsa_memory_plan *plan);

/* One way to cut the work of a product of a single token's pass, and what it takes. Valid during the callback. */
typedef struct gsa_tune_row {
    const char *label, *kernel; /* e.g. "matmul gate_up", "staged_matvec_f16" */
    uint32_t n_rows, n_cols;    /* of the weights */
    uint32_t n_calls;           /* in a pass */
    uint32_t group_size, rows, unroll, split;
    double us;      /* of the product in a pass */
    uint64_t bytes; /* of its weights in a pass */
    bool is_default;
    bool changes_bits; /* against the default: a search at first use does not take these */
} gsa_tune_row;
/* Times all shapes of the products of a single token's pass on this model, for people who look for better defaults; nothing
 * is kept. seconds: how long, about; products share it. Blocks. No session or snapshot may live. OK (also without
 * timestamps: no rows), UNSUPPORTED (CPU reference), ARGUMENT, BUSY (living sessions), DEVICE_LOST, HOST_MEMORY. */
GSA_API gsa_status gsa_model_tune(
    gsa_model *model, double seconds, void (*row)(void *user, const gsa_tune_row *row), void *user);

/* One tensor of a file, for inspection. Valid during the callback. */
typedef struct gsa_tensor_info {
    const char *name, *type;
    uint32_t n_dims;
    uint64_t dims[4]; /* outermost first */
    uint64_t n_bytes;
} gsa_tensor_info;

/* A metadata value of a GGUF file, or an item of one that is an array. Valid during the callback it is given to. */
typedef enum gsa_value_kind {
    GSA_VALUE_UINT,
    GSA_VALUE_INT,
    GSA_VALUE_FLOAT,
    GSA_VALUE_BOOL,
    GSA_VALUE_TEXT,
    GSA_VALUE_ARRAY
} gsa_value_kind;

typedef struct gsa_value {
    gsa_value_kind kind;
    const char *type; /* as the format calls it: "u32", "string", ...; of an array: of its items */
    uint64_t n;       /* bytes of a text, items of an array; else 1 */
    uint64_t uint_value;
    int64_t int_value;
    double float_value;
    bool bool_value;
    const char *text; /* not NUL-terminated, any bytes */
    const void *raw;  /* the library's */
    uint64_t raw_kind, n_raw;
} gsa_value;

typedef struct gsa_file_info {
    uint32_t version, alignment;
    uint64_t n_tensors, n_metadata;
    uint64_t file_bytes, data_offset; /* tensors' bytes begin there */
    char architecture[64];            /* "" when the file does not say */
    bool has_tokenizer;               /* keys of one are there; gsa_tokenizer_create tells whether it is known here */
    bool is_model;                    /* of an architecture that gsa_model_load takes */
} gsa_file_info;

/* List any GGUF file, whatever its architecture and tensor types: metadata and tensors in the file's order. Give path or
 * source, which needs to live for the call only. Each callback and info may be NULL. A tensor's type is ggml's name, its
 * n_bytes 0 when the type is one nobody knows.
 *   status     OK. ARGUMENT. FILE: cannot be read. FORMAT: breaks a rule of the format. UNSUPPORTED: another GGUF version
 *              or byte order. HOST_MEMORY
 *   threads    any; callbacks run on the calling one */
typedef void (*gsa_metadata_callback)(void *user, const char *key, const gsa_value *value);
typedef void (*gsa_tensor_callback)(void *user, const gsa_tensor_info *tensor);
GSA_API gsa_status gsa_file_inspect(const char *path, const gsa_source *source, gsa_file_info *info,
    gsa_metadata_callback metadata, gsa_tensor_callback tensor, void *user);

/* Walk an array: with *item zeroed before the first call, each call gives the next item; false at the end. */
GSA_API bool gsa_value_next(const gsa_value *array, gsa_value *item);

/* Read and check a model's files without a GPU; a source needs to live for the call only. info, tensor and plan may each be NULL. The plan is for the given
 * device, or with NULL for common limits (4 GiB ranges, 4 GiB allocations, 256-byte alignment).
 * Statuses as gsa_model_load. Blocks on file access only. Any thread. */
GSA_API gsa_status gsa_model_inspect(const gsa_model_params *params, const gsa_device *device, gsa_model_info *info,
    void (*tensor)(void *user, const gsa_tensor_info *t), void *user, gsa_memory_plan *plan);

/* The numbers of one tensor of a model's files, by its name there, as f32 in their order, some at a time. Needs no GPU.
 *   sink       takes the next n values; returns false to stop
 *   status     as gsa_model_load for the files; ARGUMENT also when there is no such tensor; UNSUPPORTED when its type is not
 *              known here; CANCELLED when sink said so
 *   threads    any; sink runs on the calling one */
GSA_API gsa_status gsa_tensor_read(const gsa_model_params *params, const char *name,
    bool (*sink)(void *user, const float *values, size_t n), void *user);

#ifdef __cplusplus
}
#endif

#endif
