#include "model/tensor.h"

#include "util/half.h"
#include "util/status.h"

#include <string.h>

static const struct {
    const char *name;
    uint64_t size;
} types[GSAI_N_TYPES] = {{"f32", 4}, {"f16", 2}, {"bf16", 2}};

const char *gsai_type_name(gsai_type type)
{
    return type < GSAI_N_TYPES ? types[type].name : "other";
}

bool gsai_type_parse(const char *name, gsai_type *type)
{
    for (int i = 0; i < GSAI_N_TYPES; i++) {
        if (strcmp(name, types[i].name) != 0) continue;
        *type = (gsai_type)i;
        return true;
    }
    return false;
}

uint64_t gsai_type_bytes(gsai_type type, uint64_t n)
{
    return type < GSAI_N_TYPES ? n * types[type].size : 0;
}

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
    if (t->data) {
        gsai_type_to_float(t->type, t->data + gsai_type_bytes(t->type, first), n, dst);
        return GSA_OK;
    }
    uint8_t block[4096];
    const uint64_t per_block = sizeof block / gsai_type_bytes(t->type, 1);
    for (uint64_t i = 0; i < n; i += per_block) {
        const uint64_t m = n - i < per_block ? n - i : per_block;
        const gsa_status status =
            gsai_tensor_read(t, gsai_type_bytes(t->type, first + i), gsai_type_bytes(t->type, m), block);
        if (status) return status;
        gsai_type_to_float(t->type, block, m, dst + i);
    }
    return GSA_OK;
}

/* Without branches, so that the loop below becomes vector code: rebias the exponent, then mend the two ends of its
 * range. A subnormal gets an implicit one that is subtracted again. */
static inline float half_to_float(uint16_t h)
{
    const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t is_small = 0u - (uint32_t)((h & 0x7c00) == 0), is_top = 0u - (uint32_t)((h & 0x7c00) == 0x7c00);
    const uint32_t normal = magnitude + (112u << 23) + (112u << 23 & is_top);
    const float small = gsai_bits_to_float(magnitude + (113u << 23)) - gsai_bits_to_float(113u << 23);
    const uint32_t bits = (gsai_float_to_bits(small) & is_small) | (normal & ~is_small);
    return gsai_bits_to_float(bits | (uint32_t)(h & 0x8000) << 16);
}

void gsai_type_to_float(gsai_type type, const void *src, uint64_t n, float *dst)
{
    const uint8_t *p = src;
    uint16_t h;
    switch (type) {
    case GSAI_F32:
        memcpy(dst, src, (size_t)n * sizeof *dst);
        break;
    case GSAI_F16:
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&h, p + 2 * i, sizeof h);
            dst[i] = half_to_float(h);
        }
        break;
    case GSAI_BF16:
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&h, p + 2 * i, sizeof h);
            dst[i] = gsai_bf16_to_float(h);
        }
        break;
    case GSAI_N_TYPES:
        break;
    }
}
