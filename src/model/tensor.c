#include "model/tensor.h"

#include "util/status.h"

#include <stdio.h>
#include <string.h>

uint64_t gsai_tensor_elements(const gsai_tensor *t)
{
    return t->n_dims ? gsai_tensor_rows(t) * gsai_tensor_columns(t) : 0;
}

uint64_t gsai_tensor_rows(const gsai_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i + 1 < t->n_dims; i++) n *= t->dims[i];
    return t->n_dims ? n : 0;
}

uint64_t gsai_tensor_columns(const gsai_tensor *t)
{
    return t->n_dims ? t->dims[t->n_dims - 1] : 0;
}

gsai_tensor gsai_tensor_view_rows(const gsai_tensor *t, uint64_t row0, uint64_t n_rows)
{
    gsai_tensor view = *t;
    const uint64_t columns = gsai_tensor_columns(t), skip = gsai_type_bytes(t->type, row0 * columns);
    view.n_dims = 2;
    view.dims[0] = n_rows;
    view.dims[1] = columns;
    view.n_bytes = gsai_type_bytes(t->type, n_rows * columns);
    if (t->data) view.data = t->data + skip;
    view.read_offset = t->read_offset + skip;
    return view;
}

gsa_status gsai_tensor_read(const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst)
{
    if (offset > t->n_bytes || size > t->n_bytes - offset)
        return gsai_fail(GSA_ERROR_ARGUMENT, "tensor %.120s: bytes %llu..+%llu are outside its %llu bytes",
            t->name ? t->name : "(absent)", (unsigned long long)offset, (unsigned long long)size,
            (unsigned long long)t->n_bytes);
    if (size == 0) return GSA_OK;
    if (!t->data) return t->read(t->read_user, t, t->read_offset + offset, size, dst);
    memcpy(dst, t->data + offset, (size_t)size);
    return GSA_OK;
}

gsa_status gsai_tensor_read_floats(const gsai_tensor *t, uint64_t first, uint64_t n, float *dst)
{
    const char *name = t->name ? t->name : "(absent)";
    const uint64_t elements = gsai_tensor_elements(t);
    if (first > elements || n > elements - first)
        return gsai_fail(GSA_ERROR_ARGUMENT, "tensor %.120s: elements %llu..+%llu are outside its %llu elements", name,
            (unsigned long long)first, (unsigned long long)n, (unsigned long long)elements);
    if (t->type >= GSAI_N_TYPES)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "tensor %.120s: type %s cannot be read as floats", name,
            t->file_type ? t->file_type : "other");
    const uint64_t block = gsai_type_block(t->type);
    if (t->data && first % block == 0 && n % block == 0) {
        gsai_type_to_float(t->type, t->data + gsai_type_bytes(t->type, first), n, dst);
        return GSA_OK;
    }
    uint8_t bytes[2048];
    float floats[2 * sizeof bytes]; /* an element takes half a byte at least */
    const uint64_t at_once = sizeof bytes / gsai_type_block_bytes(t->type) * block;
    for (uint64_t i = first; i < first + n;) {
        const uint64_t from = i / block * block, end = from + at_once < elements ? from + at_once : elements;
        const uint64_t last = end < first + n ? end : first + n;
        const gsa_status status =
            gsai_tensor_read(t, gsai_type_bytes(t->type, from), gsai_type_bytes(t->type, end - from), bytes);
        if (status) return status;
        gsai_type_to_float(t->type, bytes, end - from, floats);
        memcpy(dst + (i - first), floats + (i - from), (size_t)(last - i) * sizeof *dst);
        i = last;
    }
    return GSA_OK;
}

void gsai_shape_text(char *out, size_t size, uint32_t n_dims, const uint64_t *dims)
{
    size_t at = (size_t)snprintf(out, size, "[");
    for (uint32_t i = 0; i < n_dims && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%llu", i ? ", " : "", (unsigned long long)dims[i]);
    if (at < size) snprintf(out + at, size - at, "]");
}
