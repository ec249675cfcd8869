/* gsa/convert.h: a model's files into one GGUF file, with its weights in other number types. On the CPU; no device. */
#ifndef GSA_CONVERT_H
#define GSA_CONVERT_H

#include "gsa/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Number types of weights: "f32", "f16", "bf16", and ggml's blocks "q8_0" (8.5 bits a weight), "q6_k" (6.5625), "q4_k"
 * and "q4_0" (4.5). */

/* The type of tensors whose GGUF name (blk.0.attn_q.weight) matches a pattern: * is any text, ? any character. */
typedef struct gsa_convert_override {
    const char *pattern;
    const char *type;
} gsa_convert_override;

typedef struct gsa_convert_progress {
    const char *what;     /* "quantise" or "check" */
    const char *tensor;   /* the tensor that is worked on */
    uint64_t bytes_done;  /* of the source's weights, in this phase */
    uint64_t bytes_total; /* of this phase */
} gsa_convert_progress;

/* One tensor of the new file, before work begins. Valid during the callback. */
typedef struct gsa_convert_tensor {
    const char *name;
    const char *from, *to; /* number types */
    const char *why;       /* "": by the rules below; "override"; "rows of N": to fits where the wanted type did not */
    uint32_t n_dims;
    uint64_t dims[4]; /* outermost first */
    uint64_t n_bytes; /* in the new file */
} gsa_convert_tensor;

/* Input: exactly one of path, source, synthetic. All that is pointed to must live for the call only.
 *
 * Which tensor gets which type: the first override whose pattern matches its name; otherwise norms, convolutions and
 * learned feature maps get f32 (their kernels take no blocks, not even by an override); the embedding and the head get
 * q6_k when type is q4_0 or q4_k; all others get type. Where a tensor's rows are not whole blocks the next type that
 * fits is taken (q4_k: q4_0; q6_k: q8_0; any: f16), and the log says so. A tensor that has its type already is copied.
 *
 * From a GGUF file all metadata is taken over unchanged, but general.file_type and general.quantization_version are made
 * anew. From a folder the tokenizer.json is taken along. */
typedef struct gsa_convert_params {
    size_t struct_size;       /* sizeof(gsa_convert_params) */
    const char *path;         /* GGUF file, or Hugging Face folder: config.json + safetensors */
    const gsa_source *source; /* GGUF file in memory or behind a callback */
    const char *synthetic;    /* "340m", "1.3b", "2.7b", "7b": random f32 weights of that shape */
    uint64_t synthetic_seed;
    const char *output; /* path of the new file; one that is there is replaced once the new one is whole */
    const char *type;   /* NULL: every tensor keeps its type */
    const gsa_convert_override *overrides; /* [n_overrides] */
    size_t n_overrides;
    const char *name;  /* general.name of the new file; NULL: from the source, or the name of the folder */
    bool no_tokenizer; /* leave out the tokenizer of a folder */
    bool no_check; /* leave out the check at the end: reading the new file back, shapes and types, rows of each tensor
                          compared with the source */
    uint32_t n_threads; /* 0 = one for each processor; the bytes do not depend on it */
    /* Called on the calling thread only, now and then; return false to cancel. May be NULL. */
    bool (*progress)(void *user, const gsa_convert_progress *progress);
    /* Called on the calling thread for each tensor, in the order of the file, before any is written. May be NULL. */
    void (*tensor)(void *user, const gsa_convert_tensor *tensor);
    void *user;
    const gsa_log *log;             /* NULL = silent. Called on the calling thread only */
    const gsa_allocator *allocator; /* NULL = malloc. Called from several threads at once */
} gsa_convert_params;

typedef struct gsa_convert_type { /* what became of the tensors of one type */
    const char *type;
    uint32_t n_tensors;
    uint64_t n_elements, n_bytes;
    double
        error; /* root of the summed squared error over root of the summed squares, in the rows that the check read */
} gsa_convert_type;

#define GSA_CONVERT_MAX_TYPES 8

typedef struct gsa_convert_result {
    uint64_t source_bytes; /* of weights */
    uint64_t file_bytes;   /* of the new file */
    uint64_t n_elements, n_bytes;
    uint32_t n_tensors, n_types, n_threads;
    gsa_convert_type types[GSA_CONVERT_MAX_TYPES]; /* [n_types], largest first */
} gsa_convert_result;

/* Convert. Blocks: reads the source once, in pieces; a thread takes about 2 MiB, or the size of 3 rows if that is more.
 *   result    out, may be NULL
 *   status    OK. ARGUMENT: params that do not fit together, an unknown type, an override that matches no tensor or asks
 *             for blocks where none can be. FILE, FORMAT, UNSUPPORTED: as gsa_model_load for the source; FILE also for
 *             the output; UNSUPPORTED also for a weight that is NaN, infinite or too large for its type (the text names
 *             tensor and element), and a tokenizer that is not known here (see no_tokenizer). MISMATCH: the check failed.
 *             CANCELLED, HOST_MEMORY. After a failure the output path is what it was before, and nothing is left beside it
 *   threads   any; several conversions at once are fine, also of one source */
GSA_API gsa_status gsa_convert(const gsa_convert_params *params, gsa_convert_result *result);

#ifdef __cplusplus
}
#endif

#endif
