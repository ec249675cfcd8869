/* GGUF v3 in numbers and names, for its reader and its writer. The layout is in FORMAT.md. */
#ifndef GSAI_GGUF_FORMAT_H
#define GSAI_GGUF_FORMAT_H

#include "quant/type.h"

#define GSAI_GGUF_MAGIC     0x46554747u /* "GGUF", little-endian */
#define GSAI_GGUF_VERSION   3u
#define GSAI_GGUF_ALIGNMENT 32u /* of tensor data, unless general.alignment says otherwise */
#define GSAI_GGUF_MAX_DIMS  4
#define GSAI_GGUF_MAX_NAME  256 /* bytes of a tensor's name with its NUL; other readers stop at 64 */

typedef enum gsai_gguf_kind { /* of a metadata value */
    GSAI_GGUF_U8,
    GSAI_GGUF_I8,
    GSAI_GGUF_U16,
    GSAI_GGUF_I16,
    GSAI_GGUF_U32,
    GSAI_GGUF_I32,
    GSAI_GGUF_F32,
    GSAI_GGUF_BOOL,
    GSAI_GGUF_STRING, /* u64 length, bytes */
    GSAI_GGUF_ARRAY,  /* u32 kind, u64 count, values */
    GSAI_GGUF_U64,
    GSAI_GGUF_I64,
    GSAI_GGUF_F64,
    GSAI_GGUF_N_KINDS
} gsai_gguf_kind;

typedef struct gsai_text { /* bytes of a string, any bytes, no NUL behind them */
    const char *bytes;
    size_t length;
} gsai_text;

/* ggml's number of a tensor type. */
static inline uint32_t gsai_gguf_type_id(gsai_type type)
{
    static const uint32_t ids[GSAI_N_TYPES] = {
        [GSAI_F32] = 0,
        [GSAI_F16] = 1,
        [GSAI_BF16] = 30,
        [GSAI_Q8_0] = 8,
        [GSAI_Q4_0] = 2,
        [GSAI_Q4_K] = 12,
        [GSAI_Q6_K] = 14,
    };
    return ids[type];
}

#endif
