/* All tensor types that ggml ever wrote: names and block sizes, so that any file can be listed. */
#ifndef GSAI_GGUF_TYPES_H
#define GSAI_GGUF_TYPES_H

#include "gguf/format.h"

typedef struct gsai_gguf_type {
    const char *name;
    uint32_t block, bytes; /* elements and bytes of a block; 0: not known */
    gsai_type type;        /* GSAI_N_TYPES: one this library cannot use */
} gsai_gguf_type;

#define GSAI_GGUF_TYPE_NAME 16 /* bytes of "type 4294967295" with its NUL */

const gsai_gguf_type *gsai_gguf_type_lookup(uint32_t id); /* NULL: a number nobody gave */

#endif
