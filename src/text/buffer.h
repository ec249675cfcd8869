/* A growing run of bytes. The owner keeps the allocator; a zeroed buffer is empty. */
#ifndef GSAI_BUFFER_H
#define GSAI_BUFFER_H

#include "util/alloc.h"

#include <string.h>

typedef struct gsai_buffer {
    char *data;
    size_t size, capacity;
} gsai_buffer;

/* Room for more bytes. False when the allocator refuses; the buffer is then unchanged. */
static inline bool gsai_buffer_reserve(const gsa_allocator *a, gsai_buffer *b, size_t more)
{
    if (more <= b->capacity - b->size) return true;
    if (more > SIZE_MAX / 2 - b->size) return false;
    size_t capacity = b->size + more + b->capacity / 2;
    if (capacity < 64) capacity = 64;
    char *data = gsai_realloc_array(a, b->data, capacity, 1);
    if (!data) return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

/* Append to a buffer that has the room. */
static inline void gsai_buffer_put(gsai_buffer *b, const char *data, size_t size)
{
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline bool gsai_buffer_append(const gsa_allocator *a, gsai_buffer *b, const char *data, size_t size)
{
    if (!gsai_buffer_reserve(a, b, size)) return false;
    gsai_buffer_put(b, data, size);
    return true;
}

static inline void gsai_buffer_free(const gsa_allocator *a, gsai_buffer *b)
{
    gsai_free(a, b->data);
    *b = (gsai_buffer){0};
}

#endif
