/* GGUF v3, written: metadata and tensor list grow in memory, the tensors' bytes go straight to the file. */
#include "gguf/write.h"

#include "util/alloc.h"
#include "util/new_file.h"
#include "util/status.h"
#include "util/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEY  65535u
#define MAX_NAME 63u /* ggml keeps names in 64 bytes */

typedef struct growing {
    uint8_t *data;
    size_t n, capacity;
} growing;

typedef struct entry { /* a tensor */
    char *name;
    gsai_type type;
    uint32_t n_dims;
    uint64_t dims[GSAI_GGUF_MAX_DIMS];
    uint64_t n_bytes, written;
    uint64_t offset; /* from the start of the file, once begun */
} entry;

struct gsai_gguf_writer {
    gsa_allocator allocator;
    growing metadata; /* as it stands in the file */
    size_t *keys;     /* [n_keys] where each begins in metadata */
    uint64_t n_keys, keys_capacity;
    entry *tensors;
    uint32_t n_tensors, tensors_capacity;
    gsai_new_file file;
    uint64_t file_bytes;
    bool begun, finished;

    gsai_mutex lock; /* around what follows, and the counts of written bytes */
    gsa_status failed;
    char failure[512];
};

/* The first failure stays: every later call returns it. */
static gsa_status keep(gsai_gguf_writer *w, gsa_status status)
{
    if (status == GSA_OK) return status;
    gsai_mutex_lock(&w->lock);
    if (w->failed == GSA_OK) {
        w->failed = status;
        snprintf(w->failure, sizeof w->failure, "%s", gsa_error_text());
    }
    gsai_mutex_unlock(&w->lock);
    return status;
}

static gsa_status kept(gsai_gguf_writer *w)
{
    gsai_mutex_lock(&w->lock);
    const gsa_status status = w->failed;
    gsai_mutex_unlock(&w->lock);
    return status == GSA_OK ? GSA_OK : gsai_fail(status, "%s", w->failure);
}

static gsa_status no_memory(gsai_gguf_writer *w)
{
    return keep(w, gsai_fail(GSA_ERROR_HOST_MEMORY, "GGUF writer: no memory for the header"));
}

gsa_status gsai_gguf_writer_create(const gsa_allocator *allocator, gsai_gguf_writer **out)
{
    const gsa_allocator a = gsai_allocator_or_default(allocator);
    *out = gsai_alloc(&a, sizeof **out);
    if (!*out) return gsai_fail(GSA_ERROR_HOST_MEMORY, "GGUF writer: no memory");
    (*out)->allocator = a;
    gsai_mutex_init(&(*out)->lock);
    return GSA_OK;
}

void gsai_gguf_writer_destroy(gsai_gguf_writer *w)
{
    if (!w) return;
    const gsa_allocator a = w->allocator;
    gsai_new_file_abandon(&w->file);
    for (uint32_t i = 0; i < w->n_tensors; i++) gsai_free(&a, w->tensors[i].name);
    gsai_free(&a, w->tensors);
    gsai_free(&a, w->keys);
    gsai_free(&a, w->metadata.data);
    gsai_mutex_destroy(&w->lock);
    gsai_free(&a, w);
}

/* Room for n more bytes; NULL when there is none. The bytes count as used. */
static uint8_t *grow(gsai_gguf_writer *w, growing *b, uint64_t n)
{
    uint64_t need;
    if (!gsai_add_u64(b->n, n, &need) || need > SIZE_MAX / 2) return NULL;
    if (need > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : 1024;
        while (capacity < need) capacity *= 2;
        void *p = gsai_realloc_array(&w->allocator, b->data, capacity, 1);
        if (!p) return NULL;
        b->data = p;
        b->capacity = capacity;
    }
    uint8_t *at = b->data + b->n;
    b->n = (size_t)need;
    return at;
}

static uint8_t *put_int(uint8_t *p, uint64_t x, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) *p++ = (uint8_t)(x >> 8 * i);
    return p;
}

static uint8_t *put_text(uint8_t *p, const char *text, uint64_t n)
{
    p = put_int(p, n, 8);
    if (n) memcpy(p, text, (size_t)n);
    return p + n;
}

static bool has_key(const gsai_gguf_writer *w, const char *key, size_t n)
{
    for (uint64_t i = 0; i < w->n_keys; i++) {
        const uint8_t *p = w->metadata.data + w->keys[i];
        uint8_t length[8];
        put_int(length, n, 8);
        if (memcmp(p, length, 8) == 0 && memcmp(p + 8, key, n) == 0) return true;
    }
    return false;
}

/* Key and kind of a value of n_bytes, whose place is returned; NULL after a failure. */
static uint8_t *begin_value(gsai_gguf_writer *w, const char *key, gsai_gguf_kind kind, uint64_t n_bytes)
{
    if (kept(w)) return NULL;
    const size_t n = strlen(key);
    if (w->begun) {
        keep(w, gsai_fail(GSA_ERROR_ARGUMENT, "GGUF writer: key %.80s comes after the file was begun", key));
        return NULL;
    }
    if (n == 0 || n > MAX_KEY || (unsigned)kind >= GSAI_GGUF_N_KINDS || has_key(w, key, n)) {
        keep(w, gsai_fail(GSA_ERROR_ARGUMENT, "GGUF writer: key %.80s is %s", key,
                    n == 0 || n > MAX_KEY                 ? "empty or longer than 65535 bytes"
                    : (unsigned)kind >= GSAI_GGUF_N_KINDS ? "of an unknown kind"
                                                          : "given twice"));
        return NULL;
    }
    if (w->n_keys == w->keys_capacity) {
        const uint64_t capacity = w->keys_capacity ? 2 * w->keys_capacity : 64;
        size_t *keys = gsai_realloc_array(&w->allocator, w->keys, (size_t)capacity, sizeof *keys);
        if (!keys) {
            no_memory(w);
            return NULL;
        }
        w->keys = keys;
        w->keys_capacity = capacity;
    }
    const size_t at = w->metadata.n;
    uint64_t size;
    uint8_t *p = gsai_add_u64(n_bytes, 8 + n + 4, &size) ? grow(w, &w->metadata, size) : NULL;
    if (!p) {
        no_memory(w);
        return NULL;
    }
    w->keys[w->n_keys++] = at;
    return put_int(put_text(p, key, n), (uint64_t)kind, 4);
}

static void put_number(gsai_gguf_writer *w, const char *key, gsai_gguf_kind kind, uint64_t bits, unsigned n_bytes)
{
    uint8_t *p = begin_value(w, key, kind, n_bytes);
    if (p) put_int(p, bits, n_bytes);
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void gsai_gguf_put_u32(gsai_gguf_writer *w, const char *key, uint32_t value)
{
    put_number(w, key, GSAI_GGUF_U32, value, 4);
}

void gsai_gguf_put_f32(gsai_gguf_writer *w, const char *key, float value)
{
    put_number(w, key, GSAI_GGUF_F32, float_bits(value), 4);
}

void gsai_gguf_put_bool(gsai_gguf_writer *w, const char *key, bool value)
{
    put_number(w, key, GSAI_GGUF_BOOL, value, 1);
}

void gsai_gguf_put_text(gsai_gguf_writer *w, const char *key, gsai_text value)
{
    uint64_t n = 0;
    uint8_t *p = gsai_add_u64(value.length, 8, &n) ? begin_value(w, key, GSAI_GGUF_STRING, n) : NULL;
    if (p) put_text(p, value.bytes, value.length);
}

void gsai_gguf_put_string(gsai_gguf_writer *w, const char *key, const char *value)
{
    gsai_gguf_put_text(w, key, (gsai_text){value, strlen(value)});
}

/* n values of width bytes, or strings of n_bytes in all; NULL after a failure. */
static uint8_t *begin_array(gsai_gguf_writer *w, const char *key, gsai_gguf_kind kind, uint64_t n, uint64_t n_bytes)
{
    uint64_t size;
    if (!gsai_add_u64(n_bytes, 12, &size)) {
        no_memory(w);
        return NULL;
    }
    uint8_t *p = begin_value(w, key, GSAI_GGUF_ARRAY, size);
    return p ? put_int(put_int(p, (uint64_t)kind, 4), n, 8) : NULL;
}

void gsai_gguf_put_texts(gsai_gguf_writer *w, const char *key, const gsai_text *values, uint64_t n)
{
    uint64_t size = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (gsai_add_u64(size, 8, &size) && gsai_add_u64(size, values[i].length, &size)) continue;
        no_memory(w);
        return;
    }
    uint8_t *p = begin_array(w, key, GSAI_GGUF_STRING, n, size);
    for (uint64_t i = 0; p && i < n; i++) p = put_text(p, values[i].bytes, values[i].length);
}

void gsai_gguf_put_f32s(gsai_gguf_writer *w, const char *key, const float *values, uint64_t n)
{
    uint64_t size;
    uint8_t *p = gsai_mul_u64(n, 4, &size) ? begin_array(w, key, GSAI_GGUF_F32, n, size) : (no_memory(w), NULL);
    for (uint64_t i = 0; p && i < n; i++) p = put_int(p, float_bits(values[i]), 4);
}

void gsai_gguf_put_i32s(gsai_gguf_writer *w, const char *key, const int32_t *values, uint64_t n)
{
    uint64_t size;
    uint8_t *p = gsai_mul_u64(n, 4, &size) ? begin_array(w, key, GSAI_GGUF_I32, n, size) : (no_memory(w), NULL);
    for (uint64_t i = 0; p && i < n; i++) p = put_int(p, (uint32_t)values[i], 4);
}

void gsai_gguf_put_raw(gsai_gguf_writer *w, const char *key, gsai_gguf_kind kind, const void *value, uint64_t n_bytes)
{
    uint8_t *p = begin_value(w, key, kind, n_bytes);
    if (p && n_bytes) memcpy(p, value, (size_t)n_bytes);
}

uint32_t gsai_gguf_add_tensor(
    gsai_gguf_writer *w, const char *name, gsai_type type, uint32_t n_dims, const uint64_t *dims)
{
    const size_t length = strlen(name);
    uint64_t n = 1;
    if (kept(w)) return 0;
    bool good = !w->begun && length > 0 && length <= MAX_NAME && (unsigned)type < GSAI_N_TYPES && n_dims > 0 &&
                n_dims <= GSAI_GGUF_MAX_DIMS && w->n_tensors < UINT32_MAX / 2;
    for (uint32_t i = 0; good && i < n_dims; i++) good = dims[i] > 0 && gsai_mul_u64(n, dims[i], &n);
    /* 2^48: as gsai_type_bytes wants it. */
    if (!good || n >> 48 || dims[n_dims - 1] % gsai_type_block(type) != 0) {
        keep(w, gsai_fail(GSA_ERROR_ARGUMENT,
                    "GGUF writer: tensor %.80s: expected a name of 1 to %u bytes, 1 to %d dimensions, rows of whole "
                    "blocks of its type (%s), below 2^48 elements, and that the file was not begun",
                    name, MAX_NAME, GSAI_GGUF_MAX_DIMS, gsai_type_name(type)));
        return 0;
    }
    if (w->n_tensors == w->tensors_capacity) {
        const uint32_t capacity = w->tensors_capacity ? 2 * w->tensors_capacity : 64;
        entry *tensors = gsai_realloc_array(&w->allocator, w->tensors, capacity, sizeof *tensors);
        if (!tensors) {
            no_memory(w);
            return 0;
        }
        w->tensors = tensors;
        w->tensors_capacity = capacity;
    }
    entry e = {
        .name = gsai_strdup(&w->allocator, name), .type = type, .n_dims = n_dims, .n_bytes = gsai_type_bytes(type, n)};
    if (!e.name) {
        no_memory(w);
        return 0;
    }
    memcpy(e.dims, dims, n_dims * sizeof *dims);
    w->tensors[w->n_tensors] = e;
    return w->n_tensors++;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gsa_status refuse_twins(const gsai_gguf_writer *w)
{
    const char **names = gsai_alloc_array(&w->allocator, w->n_tensors, sizeof *names);
    if (!names) return gsai_fail(GSA_ERROR_HOST_MEMORY, "GGUF writer: no memory for %u names", w->n_tensors);
    for (uint32_t i = 0; i < w->n_tensors; i++) names[i] = w->tensors[i].name;
    if (w->n_tensors) qsort(names, w->n_tensors, sizeof *names, by_name);
    gsa_status status = GSA_OK;
    for (uint32_t i = 1; i < w->n_tensors && !status; i++) {
        if (strcmp(names[i], names[i - 1]) == 0)
            status = gsai_fail(GSA_ERROR_ARGUMENT, "GGUF writer: tensor %s is given twice", names[i]);
    }
    gsai_free(&w->allocator, names);
    return status;
}

/* The list of tensors, offsets from the start of the data; and how many bytes the data takes. */
static gsa_status list_tensors(gsai_gguf_writer *w, growing *list, uint64_t *data_size)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < w->n_tensors; i++) {
        entry *e = &w->tensors[i];
        const size_t length = strlen(e->name);
        uint8_t *p = grow(w, list, 8 + length + 4 + 8 * e->n_dims + 4 + 8);
        if (!p) return gsai_fail(GSA_ERROR_HOST_MEMORY, "GGUF writer: no memory for the list of tensors");
        p = put_int(put_text(p, e->name, length), e->n_dims, 4);
        for (uint32_t d = e->n_dims; d-- > 0;) p = put_int(p, e->dims[d], 8); /* innermost first in the file */
        put_int(put_int(p, gsai_gguf_type_id(e->type), 4), at, 8);
        e->offset = at;
        if (!gsai_add_u64(at, gsai_round_up(e->n_bytes, GSAI_GGUF_ALIGNMENT), &at) || at > (uint64_t)INT64_MAX / 2)
            return gsai_fail(GSA_ERROR_ARGUMENT, "GGUF writer: tensor %s: the file would pass 2^62 bytes", e->name);
    }
    *data_size = at;
    return GSA_OK;
}

static gsa_status write_header(gsai_gguf_writer *w, const growing *list, uint64_t data_size)
{
    uint8_t head[24];
    put_int(put_int(put_int(put_int(head, GSAI_GGUF_MAGIC, 4), GSAI_GGUF_VERSION, 4), w->n_tensors, 8), w->n_keys, 8);
    const uint64_t size = sizeof head + w->metadata.n + list->n, start = gsai_round_up(size, GSAI_GGUF_ALIGNMENT);
    for (uint32_t i = 0; i < w->n_tensors; i++) w->tensors[i].offset += start;
    w->file_bytes = start + data_size;
    gsa_status status = gsai_new_file_reserve(&w->file, w->file_bytes);
    if (!status) status = gsai_new_file_write(&w->file, 0, head, sizeof head);
    if (!status) status = gsai_new_file_write(&w->file, sizeof head, w->metadata.data, w->metadata.n);
    if (!status) status = gsai_new_file_write(&w->file, sizeof head + w->metadata.n, list->data, list->n);
    return status; /* the padding is what the reserved length reads as: zeros */
}

gsa_status gsai_gguf_begin(gsai_gguf_writer *w, const char *path)
{
    gsa_status status = kept(w);
    if (status) return status;
    if (w->begun) return keep(w, gsai_fail(GSA_ERROR_ARGUMENT, "GGUF writer: %s: a file was begun already", path));
    growing list = {0};
    uint64_t data_size = 0;
    status = refuse_twins(w);
    if (!status) status = list_tensors(w, &list, &data_size);
    if (!status) status = gsai_new_file_begin(&w->file, path, &w->allocator);
    if (!status && (status = write_header(w, &list, data_size))) gsai_new_file_abandon(&w->file);
    gsai_free(&w->allocator, list.data);
    w->begun = !status;
    return keep(w, status);
}

gsa_status gsai_gguf_write(gsai_gguf_writer *w, uint32_t tensor, uint64_t offset, const void *bytes, uint64_t size)
{
    gsa_status status = kept(w);
    if (status) return status;
    if (!w->begun || w->finished || tensor >= w->n_tensors || offset > w->tensors[tensor].n_bytes ||
        size > w->tensors[tensor].n_bytes - offset)
        return keep(w, gsai_fail(GSA_ERROR_ARGUMENT,
                           "GGUF writer: tensor %u (%s), bytes %llu..+%llu: outside the tensor, or no file is begun",
                           tensor, tensor < w->n_tensors ? w->tensors[tensor].name : "unknown",
                           (unsigned long long)offset, (unsigned long long)size));
    entry *e = &w->tensors[tensor];
    status = gsai_new_file_write(&w->file, e->offset + offset, bytes, (size_t)size);
    if (status) return keep(w, status);
    gsai_mutex_lock(&w->lock);
    e->written += size;
    gsai_mutex_unlock(&w->lock);
    return GSA_OK;
}

const char *gsai_gguf_begun_path(const gsai_gguf_writer *w)
{
    return w->begun && !w->finished ? w->file.temporary : NULL;
}

uint64_t gsai_gguf_file_bytes(const gsai_gguf_writer *w)
{
    return w->file_bytes;
}

gsa_status gsai_gguf_finish(gsai_gguf_writer *w)
{
    gsa_status status = kept(w);
    if (!status && (!w->begun || w->finished))
        return keep(w, gsai_fail(GSA_ERROR_ARGUMENT, "GGUF writer: no file is begun"));
    for (uint32_t i = 0; i < w->n_tensors && !status; i++) {
        const entry *e = &w->tensors[i];
        if (e->written != e->n_bytes)
            status = gsai_fail(GSA_ERROR_ARGUMENT, "GGUF writer: tensor %s: %llu of %llu bytes were written", e->name,
                (unsigned long long)e->written, (unsigned long long)e->n_bytes);
    }
    if (!status) status = gsai_new_file_commit(&w->file);
    if (status) gsai_new_file_abandon(&w->file);
    w->finished = true;
    return keep(w, status);
}
