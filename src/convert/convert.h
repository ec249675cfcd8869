/* A conversion in the making: what becomes of each tensor, then the file, then the look back. */
#ifndef GSAI_CONVERT_H
#define GSAI_CONVERT_H

#include "gguf/write.h"
#include "gsa/convert.h"
#include "model/checkpoint.h"
#include "model/gguf_keys.h"

typedef struct gsai_convert_item { /* a tensor of the new file */
    char name[GSAI_GGUF_NAME_SIZE];
    gsai_role role;
    uint32_t layer;
    const gsai_tensor *from;
    gsai_type type;
    char why[32];
    uint32_t n_dims;
    uint64_t dims[2];
    uint64_t rows, columns, n_bytes;
    uint64_t rows_at_once; /* of a piece of work */
    uint32_t index;        /* in the writer */
} gsai_convert_item;

typedef struct gsai_conversion {
    const gsa_convert_params *params;
    gsa_allocator allocator;
    gsai_checkpoint *source;
    gsai_convert_item *items; /* [n_items] in the order of the file */
    uint32_t n_items;
    uint64_t source_bytes;                      /* of all items */
    uint64_t max_floats, max_source, max_bytes; /* of a piece: elements, bytes in the source, bytes in the file */
    gsai_gguf_writer *writer;
    gsa_convert_result result;
} gsai_conversion;

/* Does name match a pattern of literal characters, ? and *? */
bool gsai_convert_matches(const char *pattern, const char *name);

/* The items, with their types; the result's counts. ARGUMENT: params; HOST_MEMORY. */
gsa_status gsai_convert_plan(gsai_conversion *c);
/* Metadata and list of tensors into the writer. */
gsa_status gsai_convert_header(gsai_conversion *c);
/* All tensors' bytes into the writer, by several threads. */
gsa_status gsai_convert_run(gsai_conversion *c);
/* Open the unfinished file and compare it with the source; the result's errors. MISMATCH. */
gsa_status gsai_convert_check(gsai_conversion *c);

#endif
