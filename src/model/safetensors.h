/* One safetensors file: header checked in full, tensors as views into the mapped bytes. Knows no model. */
#ifndef GSAI_SAFETENSORS_H
#define GSAI_SAFETENSORS_H

#include "model/tensor.h"
#include "util/file.h"

typedef struct gsai_safetensors {
    gsa_allocator allocator;
    char *path;           /* for messages */
    gsai_file_map map;    /* empty when the bytes are the caller's */
    gsai_tensor *tensors; /* in the order of their bytes; dtypes this library cannot use have type GSAI_N_TYPES */
    uint64_t n_tensors;
    char *names;
} gsai_safetensors;

/* Map and check a file. FILE: cannot be read. FORMAT: breaks a rule of the format: the text names file, tensor, what
 * was expected and found. UNSUPPORTED: more than GSAI_MAX_DIMS dims. HOST_MEMORY. On failure *s is empty.
 * Every tensor's byte count fits dtype and shape exactly; the tensors cover the data without overlap or hole. */
gsa_status gsai_safetensors_open(const char *path, const gsa_allocator *allocator, gsai_safetensors *s);

/* The same for bytes in memory, which must outlive *s. path is only a name for messages. */
gsa_status gsai_safetensors_parse(
    const char *path, const uint8_t *data, uint64_t size, const gsa_allocator *allocator, gsai_safetensors *s);

void gsai_safetensors_close(gsai_safetensors *s); /* an empty one is fine */

#endif
