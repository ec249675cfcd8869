/* Changes to GGUF files that keep their structure: a field gets an odd number, a string other bytes and the length that
 * fits, a key or a tensor is doubled or removed with the counts adjusted. */
#include "fuzz.h"

#include <string.h>

#define MAX_FIELDS 4096

typedef enum field_kind { FIELD_NUMBER, FIELD_STRING, FIELD_PAIR, FIELD_TENSOR } field_kind;

typedef struct field { /* of a string: its length and its bytes */
    field_kind kind;
    size_t at, size;
} field;

typedef struct outline {
    const uint8_t *data;
    size_t size, at, header_end;
    field fields[MAX_FIELDS];
    size_t n;
} outline;

static uint64_t number(const uint8_t *p, size_t size)
{
    uint64_t x = 0;
    for (size_t i = size; i-- > 0;) x = x << 8 | p[i];
    return x;
}

static void put_number(uint8_t *p, size_t size, uint64_t x)
{
    for (size_t i = 0; i < size; i++) p[i] = (uint8_t)(x >> 8 * i);
}

static void add_field(outline *o, field_kind kind, size_t at, size_t size)
{
    if (o->n < MAX_FIELDS) o->fields[o->n++] = (field){kind, at, size};
}

static bool take(outline *o, size_t size, uint64_t *out)
{
    if (o->size - o->at < size) return false;
    *out = number(o->data + o->at, size);
    add_field(o, FIELD_NUMBER, o->at, size);
    o->at += size;
    return true;
}

static bool take_string(outline *o)
{
    uint64_t n;
    const size_t at = o->at;
    if (!take(o, 8, &n) || n > o->size - o->at) return false;
    o->at += n;
    add_field(o, FIELD_STRING, at, 8 + n);
    return true;
}

static bool take_value(outline *o, uint64_t kind, int depth)
{
    static const uint8_t sizes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint64_t x, n;
    if (kind > 12 || depth > 6) return false;
    if (kind == 8) return take_string(o);
    if (kind != 9) return take(o, sizes[kind], &x);
    if (!take(o, 4, &kind) || !take(o, 8, &n)) return false;
    for (uint64_t i = 0; i < n; i++)
        if (!take_value(o, kind, depth + 1)) return false;
    return true;
}

static bool take_all(outline *o)
{
    uint64_t n_tensors, n_pairs, x, n_dims;
    o->at = 8;
    if (o->size < 24 || !take(o, 8, &n_tensors) || !take(o, 8, &n_pairs)) return false;
    for (uint64_t i = 0; i < n_pairs; i++) {
        const size_t at = o->at;
        if (!take_string(o) || !take(o, 4, &x) || !take_value(o, x, 0)) return false;
        add_field(o, FIELD_PAIR, at, o->at - at);
    }
    for (uint64_t i = 0; i < n_tensors; i++) {
        const size_t at = o->at;
        if (!take_string(o) || !take(o, 4, &n_dims) || n_dims > 8) return false;
        for (uint64_t d = 0; d < n_dims; d++)
            if (!take(o, 8, &x)) return false;
        if (!take(o, 4, &x) || !take(o, 8, &x)) return false;
        add_field(o, FIELD_TENSOR, at, o->at - at);
    }
    o->header_end = o->at;
    return true;
}

static uint64_t odd_number(uint64_t x, uint32_t *seed)
{
    static const uint64_t odd[] = {0, 1, 2, 3, 4, 7, 8, 9, 12, 31, 32, 33, 63, 64, 127, 128, 255, 256, 4096, 65535,
        65536, (1u << 20) + 1, 1u << 24, INT32_MAX, 1ull << 31, UINT32_MAX, 1ull << 32, 1ull << 48, INT64_MAX,
        1ull << 63, UINT64_MAX, UINT64_MAX - 7, 0x7fc00000, 0x7f800000, 0xff800000};
    switch (fuzz_random(seed) % 5) {
    case 0:
        return x + 1;
    case 1:
        return x - 1;
    case 2:
        return x ^ 1ull << fuzz_random(seed) % 64;
    case 3:
        return fuzz_random(seed) % 44;
    default:
        return odd[fuzz_random(seed) % (sizeof odd / sizeof *odd)];
    }
}

/* Put n bytes in place of size ones at a place of the header. What follows the header stays on its alignment. */
static size_t replace(
    const outline *o, uint8_t *data, size_t at, size_t size, const uint8_t *bytes, size_t n, size_t max)
{
    const size_t old_end = (o->header_end + 31) / 32 * 32, tail = o->size > old_end ? o->size - old_end : 0;
    const size_t header = o->header_end - size + n, end = tail ? (header + 31) / 32 * 32 : header;
    if (end + tail > max) return 0;
    uint8_t *copy = malloc(end + tail + 1);
    if (!copy) return 0;
    memcpy(copy, o->data, at);
    memcpy(copy + at, bytes, n);
    memcpy(copy + at + n, o->data + at + size, o->header_end - at - size);
    memset(copy + header, 0, end - header);
    if (tail) memcpy(copy + end, o->data + old_end, tail);
    memcpy(data, copy, end + tail);
    free(copy);
    return end + tail;
}

static size_t change_string(outline *o, uint8_t *data, const field *f, size_t max, uint32_t *seed)
{
    uint8_t text[520];
    size_t n = f->size - 8;
    if (n > 256) n = 256;
    memcpy(text + 8, data + f->at + 8, n);
    const field *other = &o->fields[fuzz_random(seed) % o->n];
    if (fuzz_random(seed) % 4 == 0 && other->kind == FIELD_STRING && other->size < sizeof text) { /* another's text */
        n = other->size - 8;
        memcpy(text + 8, data + other->at + 8, n);
    } else {
        n = fuzz_mutate_bytes(text + 8, n, sizeof text - 8);
    }
    put_number(text, 8, n);
    return replace(o, data, f->at, f->size, text, 8 + n, max);
}

static size_t change_list(outline *o, uint8_t *data, const field *f, size_t size, size_t max, uint32_t *seed)
{
    uint8_t two[2048];
    const size_t count = f->kind == FIELD_PAIR ? 16 : 8; /* where the number of them is */
    const bool remove = fuzz_random(seed) % 2;
    const field *other = &o->fields[fuzz_random(seed) % o->n];
    if (other->kind != f->kind) other = f;
    if (f->size + other->size > sizeof two) return size;
    memcpy(two, data + f->at, f->size);
    size_t n = f->size;
    if (!remove) {
        memcpy(two + n, data + other->at, other->size);
        n += other->size;
    }
    const size_t made = replace(o, data, f->at, f->size, two, remove ? 0 : n, max);
    if (made) put_number(data + count, 8, number(data + count, 8) + (remove ? UINT64_MAX : 1));
    return made ? made : size;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max_size, uint32_t seed)
{
    static outline o; /* large, and one thread */
    const uint32_t n = 1 + fuzz_random(&seed) % 3;
    for (uint32_t i = 0; i < n; i++) {
        o = (outline){.data = data, .size = size};
        if (!take_all(&o) || o.n == 0) return i ? size : 0;
        const field *f = &o.fields[fuzz_random(&seed) % o.n];
        size_t made = size;
        if (f->kind == FIELD_NUMBER)
            put_number(data + f->at, f->size, odd_number(number(data + f->at, f->size), &seed));
        else if (f->kind == FIELD_STRING)
            made = change_string(&o, data, f, max_size, &seed);
        else
            made = change_list(&o, data, f, size, max_size, &seed);
        if (made) size = made;
    }
    return size;
}
