/* A tensor of a checkpoint: type, shape, and a way to read its bytes. No GPU, no interpretation of the name. */
#ifndef GSAI_TENSOR_H
#define GSAI_TENSOR_H

#include "quant/type.h"

#define GSAI_MAX_DIMS 4

typedef struct gsai_tensor gsai_tensor;

/* Reads bytes [offset, offset + size) of a tensor whose bytes are not in memory. Bounds are already checked. */
typedef gsa_status (*gsai_tensor_reader)(void *user, const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst);

struct gsai_tensor {
    const char *name; /* as in the file; owned by the checkpoint */
    gsai_type type;
    uint32_t n_dims;              /* 0 = this tensor is absent */
    uint64_t dims[GSAI_MAX_DIMS]; /* outermost first: a matrix is [rows, columns], rows contiguous */
    const uint8_t *data;          /* bytes in memory (no alignment promised), or NULL: then through read */
    bool is_mapped;               /* data lies in a file that we mapped: its pages may be dropped and come back */
    uint64_t n_bytes;             /* of this tensor or view; fits the shape exactly */
    uint64_t read_offset;         /* added to offset when reading through read */
    gsai_tensor_reader read;
    void *read_user;
    const char *file_type; /* the type as the file spells it ("BF16"), for people; NULL = gsai_type_name(type) */
};

static inline bool gsai_tensor_present(const gsai_tensor *t)
{
    return t->n_dims > 0;
}

uint64_t gsai_tensor_elements(const gsai_tensor *t);
uint64_t gsai_tensor_rows(const gsai_tensor *t);    /* product of all dims but the last */
uint64_t gsai_tensor_columns(const gsai_tensor *t); /* the last dim */

/* View of rows [row0, row0 + n_rows) of a matrix. The caller guarantees the range. */
gsai_tensor gsai_tensor_view_rows(const gsai_tensor *t, uint64_t row0, uint64_t n_rows);

/* Raw bytes, or elements converted to float; first and n may cut blocks. ARGUMENT when the range leaves the tensor;
 * UNSUPPORTED for floats of a
 * tensor of type GSAI_N_TYPES; otherwise what read says. */
gsa_status gsai_tensor_read(const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst);
gsa_status gsai_tensor_read_floats(const gsai_tensor *t, uint64_t first, uint64_t n, float *dst);

/* "[rows, columns]" for messages, cut where out ends. */
void gsai_shape_text(char *out, size_t size, uint32_t n_dims, const uint64_t *dims);

#endif
