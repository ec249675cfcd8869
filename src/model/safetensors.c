/* File: u64 little-endian n; n bytes of JSON {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...,
 * "__metadata__": {string: string}}; then the data, from whose start offsets count and which the tensors fill without
 * overlap or hole. */
#include "model/safetensors.h"

#include "util/alloc.h"
#include "util/json.h"
#include "util/status.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HEADER   100000000u /* the format's own cap */
#define MAX_VALUES   4000000u   /* of JSON: some 200,000 tensors */
#define MAX_DIM_SIZE ((json_int_t)1 << 48)

typedef unsigned long long ull; /* for %llu */

static const struct dtype {
    const char *name;
    uint32_t bits;
    gsai_type type;
} dtypes[] = {
    {"F32", 32, GSAI_F32},
    {"F16", 16, GSAI_F16},
    {"BF16", 16, GSAI_BF16},
    {"F64", 64, GSAI_N_TYPES},
    {"I64", 64, GSAI_N_TYPES},
    {"I32", 32, GSAI_N_TYPES},
    {"I16", 16, GSAI_N_TYPES},
    {"I8", 8, GSAI_N_TYPES},
    {"U64", 64, GSAI_N_TYPES},
    {"U32", 32, GSAI_N_TYPES},
    {"U16", 16, GSAI_N_TYPES},
    {"U8", 8, GSAI_N_TYPES},
    {"BOOL", 8, GSAI_N_TYPES},
    {"F8_E4M3", 8, GSAI_N_TYPES},
    {"F8_E5M2", 8, GSAI_N_TYPES},
    {"F8_E8M0", 8, GSAI_N_TYPES},
    {"F4", 4, GSAI_N_TYPES},
    {"F6_E2M3", 6, GSAI_N_TYPES},
    {"F6_E3M2", 6, GSAI_N_TYPES},
    {"C64", 64, GSAI_N_TYPES},
};

static const struct dtype *find_dtype(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, name) == 0) return &dtypes[i];
    }
    return NULL;
}

static gsa_status read_shape(const json_t *shape, gsai_tensor *t, uint64_t *elements)
{
    if (!json_is_array(shape)) return gsai_fail(GSA_ERROR_FORMAT, "shape is missing or not a list");
    const size_t n = json_array_size(shape);
    if (n > GSAI_MAX_DIMS)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "has %zu dimensions, at most %d can be used", n, GSAI_MAX_DIMS);
    *elements = 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim)) return gsai_fail(GSA_ERROR_FORMAT, "shape[%zu] is not an integer", i);
        const json_int_t value = json_integer_value(dim);
        if (value < 0 || value > MAX_DIM_SIZE)
            return gsai_fail(
                GSA_ERROR_FORMAT, "shape[%zu] is %lld, expected 0..%lld", i, (long long)value, (long long)MAX_DIM_SIZE);
        t->dims[i] = (uint64_t)value;
        if (!gsai_mul_u64(*elements, t->dims[i], elements))
            return gsai_fail(GSA_ERROR_FORMAT, "the product of its dimensions does not fit 64 bits");
    }
    t->n_dims = (uint32_t)n;
    if (n == 0) { /* a scalar; n_dims 0 would mean absent */
        t->n_dims = 1;
        t->dims[0] = 1;
    }
    return GSA_OK;
}

static gsa_status read_entry(const json_t *entry, const uint8_t *data, uint64_t data_size, gsai_tensor *t)
{
    if (!json_is_object(entry)) return gsai_fail(GSA_ERROR_FORMAT, "its entry is not an object");
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (!name) return gsai_fail(GSA_ERROR_FORMAT, "dtype is missing or not a string");
    const struct dtype *dtype = find_dtype(name);
    if (!dtype) return gsai_fail(GSA_ERROR_FORMAT, "unknown dtype \"%.40s\"", name);
    t->type = dtype->type;
    t->file_type = dtype->name;
    uint64_t elements = 0, bits = 0;
    const gsa_status status = read_shape(json_object_get(entry, "shape"), t, &elements);
    if (status) return status;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return gsai_fail(GSA_ERROR_FORMAT, "data_offsets is not a list of two integers");
    const json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin || (uint64_t)end > data_size)
        return gsai_fail(GSA_ERROR_FORMAT,
            "data_offsets [%lld, %lld] do not lie within the file's %llu bytes of data (is the file cut short?)",
            (long long)begin, (long long)end, (ull)data_size);
    t->n_bytes = (uint64_t)(end - begin);
    if (!gsai_mul_u64(elements, dtype->bits, &bits) || bits % 8 != 0 || bits / 8 != t->n_bytes)
        return gsai_fail(GSA_ERROR_FORMAT, "%llu elements of dtype %s do not take the %llu bytes of data_offsets",
            (ull)elements, dtype->name, (ull)t->n_bytes);
    t->data = data + begin;
    return GSA_OK;
}

static gsa_status check_metadata(const json_t *metadata)
{
    if (!json_is_object(metadata)) return gsai_fail(GSA_ERROR_FORMAT, "__metadata__ is not an object");
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value)) return gsai_fail(GSA_ERROR_FORMAT, "__metadata__.%.100s is not a string", key);
    }
    return GSA_OK;
}

static gsa_status read_entries(gsai_safetensors *s, json_t *header, const uint8_t *data, uint64_t data_size)
{
    const char *key;
    json_t *value;
    size_t n = 0, name_bytes = 0;
    json_object_foreach(header, key, value)
    {
        n++;
        name_bytes += strlen(key) + 1;
    }
    s->tensors = gsai_alloc_array(&s->allocator, n, sizeof *s->tensors);
    s->names = gsai_alloc(&s->allocator, name_bytes);
    if (!s->tensors || !s->names) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for %zu tensor entries", n);
    char *name = s->names;
    json_object_foreach(header, key, value)
    {
        gsa_status status;
        if (strcmp(key, "__metadata__") == 0) {
            if ((status = check_metadata(value))) return status;
            continue;
        }
        gsai_tensor *t = &s->tensors[s->n_tensors];
        if ((status = read_entry(value, data, data_size, t))) return gsai_fail_in(status, "tensor %.150s", key);
        t->name = memcpy(name, key, strlen(key) + 1);
        name += strlen(key) + 1;
        s->n_tensors++;
    }
    return GSA_OK;
}

static int by_position(const void *a, const void *b)
{
    const gsai_tensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    if (x->n_bytes != y->n_bytes) return x->n_bytes < y->n_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static gsa_status check_coverage(gsai_safetensors *s, const uint8_t *data, uint64_t data_size)
{
    qsort(s->tensors, (size_t)s->n_tensors, sizeof *s->tensors, by_position);
    const uint8_t *end = data;
    for (uint64_t i = 0; i < s->n_tensors; i++) {
        const gsai_tensor *t = &s->tensors[i];
        if (t->data < end)
            return gsai_fail(GSA_ERROR_FORMAT, "tensor %.150s: overlaps tensor %.150s by %llu bytes", t->name,
                s->tensors[i - 1].name, (ull)(end - t->data));
        if (t->data > end)
            return gsai_fail(GSA_ERROR_FORMAT, "tensor %.150s: %llu bytes before it belong to no tensor", t->name,
                (ull)(t->data - end));
        end = t->data + t->n_bytes;
    }
    if (end != data + data_size)
        return gsai_fail(
            GSA_ERROR_FORMAT, "%llu bytes after the last tensor belong to no tensor", (ull)(data + data_size - end));
    return GSA_OK;
}

static gsa_status parse(gsai_safetensors *s, const uint8_t *bytes, uint64_t size)
{
    if (size < 8)
        return gsai_fail(GSA_ERROR_FORMAT, "has %llu bytes, expected at least the 8 of the header's length", (ull)size);
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | bytes[i];
    if (n > MAX_HEADER)
        return gsai_fail(GSA_ERROR_FORMAT,
            "header claims %llu bytes, the format allows %u (is this a safetensors file?)", (ull)n, MAX_HEADER);
    if (n > size - 8)
        return gsai_fail(GSA_ERROR_FORMAT,
            "header claims %llu bytes, the file has %llu after the length (is it cut short?)", (ull)n, (ull)(size - 8));
    if (n < 2 || bytes[8] != '{')
        return gsai_fail(GSA_ERROR_FORMAT, "header of %llu bytes does not begin with \"{\"", (ull)n);
    json_t *header;
    gsa_status status = gsai_json_parse(bytes + 8, (size_t)n, MAX_VALUES, &header);
    if (status) return gsai_fail_in(status, "header");
    const uint8_t *data = bytes + 8 + n;
    status = read_entries(s, header, data, size - 8 - n);
    if (!status) status = check_coverage(s, data, size - 8 - n);
    json_decref(header);
    return status;
}

gsa_status gsai_safetensors_parse(
    const char *path, const uint8_t *data, uint64_t size, const gsa_allocator *allocator, gsai_safetensors *s)
{
    *s = (gsai_safetensors){.allocator = *allocator};
    s->path = gsai_strdup(allocator, path);
    gsa_status status = GSA_OK;
    if (!s->path)
        status = gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for its name", path);
    else if ((status = parse(s, data, size)))
        status = gsai_fail_in(status, "%s", path);
    if (status) gsai_safetensors_close(s);
    return status;
}

gsa_status gsai_safetensors_open(const char *path, const gsa_allocator *allocator, gsai_safetensors *s)
{
    *s = (gsai_safetensors){.allocator = *allocator};
    gsai_file_map map;
    gsa_status status = gsai_file_map_open(path, &map);
    if (status) return status;
    status = gsai_safetensors_parse(path, map.data, map.size, allocator, s);
    if (status) {
        gsai_file_map_close(&map);
        return status;
    }
    s->map = map;
    for (uint64_t i = 0; i < s->n_tensors; i++) s->tensors[i].is_mapped = true;
    return GSA_OK;
}

void gsai_safetensors_close(gsai_safetensors *s)
{
    if (s->allocator.free) {
        gsai_free(&s->allocator, s->tensors);
        gsai_free(&s->allocator, s->names);
        gsai_free(&s->allocator, s->path);
    }
    gsai_file_map_close(&s->map);
    *s = (gsai_safetensors){0};
}
