/* A stranger's bytes as a host gives them: in memory, and through a callback that watches the promised bounds. */
#ifndef GSA_FUZZ_SOURCE_H
#define GSA_FUZZ_SOURCE_H

#include "fuzz.h"

#include <string.h>

typedef struct fuzz_bytes {
    const uint8_t *data;
    size_t size;
} fuzz_bytes;

static inline bool fuzz_read(void *user, uint64_t offset, size_t size, void *dst)
{
    const fuzz_bytes *b = user;
    FUZZ_CHECK(size > 0 && offset <= b->size && size <= b->size - offset);
    memcpy(dst, b->data + offset, size);
    return true;
}

static inline gsa_source fuzz_source(fuzz_bytes *b, bool callback)
{
    gsa_source s = {.name = "FILE", .size = b->size};
    if (callback) {
        s.read = fuzz_read;
        s.user = b;
    } else {
        s.data = b->size ? b->data : (const uint8_t *)"";
    }
    return s;
}

#endif
