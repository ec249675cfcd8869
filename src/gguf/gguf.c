/* The second pass over a header (walk.c is the first): tables of what was walked, then what only the tables show. */
#include "gguf/gguf.h"

#include "gguf/types.h"
#include "gguf/walk.h"
#include "util/alloc.h"
#include "util/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull; /* for %llu */

static uint64_t value_bytes(gsai_gguf_kind kind, const uint8_t *p);

static uint64_t items_bytes(gsai_gguf_kind kind, uint64_t n, const uint8_t *p)
{
    if (kind != GSAI_GGUF_STRING && kind != GSAI_GGUF_ARRAY) return n * gsai_gguf_kind_bytes(kind);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) sum += value_bytes(kind, p + sum);
    return sum;
}

/* Bytes of a value as it stands in the file. */
static uint64_t value_bytes(gsai_gguf_kind kind, const uint8_t *p)
{
    if (kind == GSAI_GGUF_STRING) return 8 + gsai_gguf_u64_at(p);
    if (kind == GSAI_GGUF_ARRAY)
        return 12 + items_bytes((gsai_gguf_kind)gsai_gguf_u32_at(p), gsai_gguf_u64_at(p + 4), p + 12);
    return gsai_gguf_kind_bytes(kind);
}

gsai_gguf_value gsai_gguf_value_at(gsai_gguf_kind kind, const uint8_t *p)
{
    gsai_gguf_value v = {.kind = kind, .n = 1, .bytes = p, .raw = p, .n_raw = value_bytes(kind, p)};
    if (kind == GSAI_GGUF_STRING) {
        v.n = gsai_gguf_u64_at(p);
        v.bytes = p + 8;
    } else if (kind == GSAI_GGUF_ARRAY) {
        v.item_kind = (gsai_gguf_kind)gsai_gguf_u32_at(p);
        v.n = gsai_gguf_u64_at(p + 4);
        v.bytes = p + 12;
    }
    return v;
}

bool gsai_gguf_next(const gsai_gguf_value *array, gsai_gguf_value *item)
{
    const uint8_t *p = item->raw ? item->raw + item->n_raw : array->bytes;
    if (p == array->raw + array->n_raw) return false;
    *item = gsai_gguf_value_at(array->item_kind, p);
    return true;
}

typedef struct filler {
    gsai_gguf *g;
    const uint8_t *at;
    char *name; /* where the next name goes */
} filler;

static const char *keep_name(filler *f, const uint8_t *bytes, size_t n)
{
    char *name = f->name;
    memcpy(name, bytes, n);
    name[n] = 0;
    f->name += n + 1;
    return name;
}

static const char *fill_name(filler *f)
{
    const uint64_t n = gsai_gguf_u64_at(f->at);
    const char *name = keep_name(f, f->at + 8, (size_t)n);
    f->at += 8 + n;
    return name;
}

static void fill_pair(filler *f, gsai_gguf_pair *pair)
{
    pair->key = fill_name(f);
    pair->value = gsai_gguf_value_at((gsai_gguf_kind)gsai_gguf_u32_at(f->at), f->at + 4);
    f->at += 4 + pair->value.n_raw;
}

static void name_type(filler *f, gsai_gguf_tensor *t)
{
    const gsai_gguf_type *type = gsai_gguf_type_lookup(t->type_id);
    t->type = type ? type->type : GSAI_N_TYPES;
    if (type) {
        t->type_name = type->name;
        return;
    }
    t->type_name = f->name;
    snprintf(f->name, GSAI_GGUF_TYPE_NAME, "type %u", t->type_id);
    f->name += GSAI_GGUF_TYPE_NAME;
}

/* offset is relative to the data until check_tensor. */
static void fill_tensor(filler *f, gsai_gguf_tensor *t)
{
    t->name = fill_name(f);
    const uint32_t n_dims = gsai_gguf_u32_at(f->at);
    f->at += 4;
    for (uint32_t d = 0; d < n_dims; d++, f->at += 8) t->dims[n_dims - 1 - d] = gsai_gguf_u64_at(f->at);
    t->n_dims = n_dims;
    if (n_dims == 0) { /* a scalar; the rest of the library takes no dims for an absent tensor */
        t->n_dims = 1;
        t->dims[0] = 1;
    }
    t->type_id = gsai_gguf_u32_at(f->at);
    t->offset = gsai_gguf_u64_at(f->at + 4);
    f->at += 12;
    name_type(f, t);
}

static int compare_entries(const void *a, const void *b)
{
    const gsai_gguf_entry *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : x->index < y->index ? -1 : 1;
}

/* Sort an index; FORMAT when a name is there twice. */
static gsa_status sort_entries(gsai_gguf_entry *entries, uint64_t n, const char *what)
{
    qsort(entries, (size_t)n, sizeof *entries, compare_entries);
    for (uint64_t i = 1; i < n; i++) {
        if (strcmp(entries[i - 1].name, entries[i].name) == 0)
            return gsai_fail(GSA_ERROR_FORMAT, "%s %.150s: is there twice, as number %llu and %llu", what,
                entries[i].name, (ull)entries[i - 1].index, (ull)entries[i].index);
    }
    return GSA_OK;
}

static const void *find(const gsai_gguf_entry *entries, uint64_t n, const char *name, const void *table, size_t size)
{
    uint64_t low = 0, high = n;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        const int order = strcmp(entries[middle].name, name);
        if (order == 0) return (const char *)table + entries[middle].index * size;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const gsai_gguf_value *gsai_gguf_find(const gsai_gguf *g, const char *key)
{
    const gsai_gguf_pair *pair = find(g->by_key, g->n_pairs, key, g->pairs, sizeof *g->pairs);
    return pair ? &pair->value : NULL;
}

const gsai_gguf_tensor *gsai_gguf_find_tensor(const gsai_gguf *g, const char *name)
{
    return find(g->by_name, g->n_tensors, name, g->tensors, sizeof *g->tensors);
}

/* ---- tensors against type and file ---- */

static gsa_status check_shape(gsai_gguf_tensor *t)
{
    const gsai_gguf_type *type = gsai_gguf_type_lookup(t->type_id);
    uint64_t elements = 1;
    bool empty = false;
    for (uint32_t d = 0; d < t->n_dims; d++) {
        if (t->dims[d] > GSAI_GGUF_MAX_DIM_SIZE)
            return gsai_fail(GSA_ERROR_FORMAT, "a dimension is %llu, expected at most %llu", (ull)t->dims[d],
                (ull)GSAI_GGUF_MAX_DIM_SIZE);
        empty = empty || t->dims[d] == 0;
        if (!gsai_mul_u64(elements, t->dims[d] ? t->dims[d] : 1, &elements))
            return gsai_fail(GSA_ERROR_FORMAT, "the product of its dimensions does not fit 64 bits");
    }
    if (!type || !type->block) return GSA_OK;
    const uint64_t columns = t->dims[t->n_dims - 1];
    if (columns % type->block != 0)
        return gsai_fail(GSA_ERROR_FORMAT, "rows of %llu elements are not whole blocks of type %s (%u elements)",
            (ull)columns, type->name, type->block);
    if (!gsai_mul_u64(elements / type->block, type->bytes, &t->n_bytes))
        return gsai_fail(GSA_ERROR_FORMAT, "its number of bytes does not fit 64 bits");
    if (empty) t->n_bytes = 0;
    return GSA_OK;
}

static gsa_status check_tensor(const gsai_gguf *g, gsai_gguf_tensor *t)
{
    const gsa_status status = check_shape(t);
    if (status) return status;
    if (t->offset % g->alignment != 0)
        return gsai_fail(
            GSA_ERROR_FORMAT, "offset %llu is not a multiple of the alignment %u", (ull)t->offset, g->alignment);
    const uint64_t data = g->file_size > g->data_offset ? g->file_size - g->data_offset : 0;
    if (t->offset > data || t->n_bytes > data - t->offset)
        return gsai_fail(GSA_ERROR_FORMAT,
            "its %llu bytes at offset %llu do not lie within the file's %llu bytes of data "
            "(is it cut short?)",
            (ull)t->n_bytes, (ull)t->offset, (ull)data);
    t->offset += g->data_offset;
    return GSA_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const gsai_gguf_tensor *x = *(const gsai_gguf_tensor *const *)a, *y = *(const gsai_gguf_tensor *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x < y ? -1 : 1;
}

static gsa_status check_overlap(const gsai_gguf *g)
{
    const gsai_gguf_tensor **order = gsai_alloc_array(&g->allocator, (size_t)g->n_tensors, sizeof *order);
    if (!order) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for %llu tensors", (ull)g->n_tensors);
    size_t n = 0;
    gsa_status status = GSA_OK;
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        if (g->tensors[i].n_bytes) order[n++] = &g->tensors[i];
    }
    qsort(order, n, sizeof *order, compare_offsets);
    for (size_t i = 1; i < n && !status; i++) {
        const gsai_gguf_tensor *last = order[i - 1], *t = order[i];
        if (t->offset - last->offset < last->n_bytes)
            status = gsai_fail(GSA_ERROR_FORMAT, "tensor %.150s: overlaps tensor %.150s by %llu bytes", t->name,
                last->name, (ull)(last->n_bytes - (t->offset - last->offset)));
    }
    gsai_free(&g->allocator, order);
    return status;
}

/* Its text names the file. */
static gsa_status read_alignment(gsai_gguf *g)
{
    g->alignment = GSAI_GGUF_ALIGNMENT;
    const gsa_status status = gsai_gguf_get_u32(
        g, "general.alignment", false, GSAI_GGUF_MIN_ALIGNMENT, GSAI_GGUF_MAX_ALIGNMENT, &g->alignment);
    if (status || (g->alignment & (g->alignment - 1)) == 0) return status;
    return gsai_fail(
        GSA_ERROR_FORMAT, "%s: key general.alignment: is %u, expected a power of two", g->name, g->alignment);
}

static gsa_status check_tensors(gsai_gguf *g, uint64_t header_end)
{
    g->data_offset = gsai_round_up(header_end, g->alignment);
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        const gsa_status status = check_tensor(g, &g->tensors[i]);
        if (status) return gsai_fail_in(status, "tensor %.150s", g->tensors[i].name);
    }
    return check_overlap(g);
}

static gsa_status fill(gsai_gguf *g, const gsai_gguf_walk *w)
{
    const gsa_allocator *a = &g->allocator;
    g->pairs = gsai_alloc_array(a, (size_t)w->n_pairs, sizeof *g->pairs);
    g->tensors = gsai_alloc_array(a, (size_t)w->n_tensors, sizeof *g->tensors);
    g->by_key = gsai_alloc_array(a, (size_t)w->n_pairs, sizeof *g->by_key);
    g->by_name = gsai_alloc_array(a, (size_t)w->n_tensors, sizeof *g->by_name);
    g->names = gsai_alloc(a, (size_t)w->n_name_bytes);
    if (!g->pairs || !g->tensors || !g->by_key || !g->by_name || !g->names)
        return gsai_fail(
            GSA_ERROR_HOST_MEMORY, "no memory for %llu keys and %llu tensors", (ull)w->n_pairs, (ull)w->n_tensors);
    g->n_pairs = w->n_pairs;
    g->n_tensors = w->n_tensors;
    filler f = {g, g->header + 24, g->names};
    for (uint64_t i = 0; i < g->n_pairs; i++) {
        fill_pair(&f, &g->pairs[i]);
        g->by_key[i] = (gsai_gguf_entry){g->pairs[i].key, i};
    }
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        fill_tensor(&f, &g->tensors[i]);
        g->by_name[i] = (gsai_gguf_entry){g->tensors[i].name, i};
    }
    gsa_status status = sort_entries(g->by_key, g->n_pairs, "key");
    if (!status) status = sort_entries(g->by_name, g->n_tensors, "tensor");
    return status;
}

/* The source and the alignment name the file in their texts. */
static gsa_status open_into(gsai_gguf *g, gsai_gguf_walk *w)
{
    gsa_status status = gsai_gguf_walk_header(w);
    g->header = w->bytes;
    if (!status) status = fill(g, w);
    if (!status && (status = read_alignment(g))) return status;
    if (!status) status = check_tensors(g, w->at);
    return status && status != GSA_ERROR_FILE ? gsai_fail_in(status, "%s", g->name) : status;
}

gsa_status gsai_gguf_open(gsai_source *source, const gsa_allocator *allocator, gsai_gguf **out)
{
    *out = NULL;
    gsai_gguf *g = gsai_alloc(allocator, sizeof *g);
    if (!g) return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory to open it", source->name);
    g->allocator = *allocator;
    g->name = source->name;
    g->file_size = source->size;
    gsai_gguf_walk w = {.allocator = allocator, .source = source};
    const gsa_status status = open_into(g, &w);
    if (status) {
        gsai_gguf_close(g);
        return status;
    }
    *out = g;
    return GSA_OK;
}

void gsai_gguf_close(gsai_gguf *g)
{
    if (!g) return;
    const gsa_allocator a = g->allocator;
    gsai_free(&a, g->pairs);
    gsai_free(&a, g->tensors);
    gsai_free(&a, g->by_key);
    gsai_free(&a, g->by_name);
    gsai_free(&a, g->names);
    gsai_free(&a, g->header);
    gsai_free(&a, g);
}

bool gsai_gguf_is(gsai_source *source)
{
    uint8_t magic[4];
    return source->size >= 4 && gsai_source_read(source, 0, 4, magic) == GSA_OK &&
           gsai_gguf_u32_at(magic) == GSAI_GGUF_MAGIC;
}
