/* 64-bit content hash for identities and checksums (not for security). FORMAT.md gives its definition. */
#ifndef GSAI_HASH_H
#define GSAI_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct gsai_hash {
    uint64_t lane[4];
    uint8_t tail[32];
    uint64_t length; /* bytes so far */
} gsai_hash;

void gsai_hash_init(gsai_hash *h);
void gsai_hash_update(gsai_hash *h, const void *data, size_t size); /* any split of the data gives the same result */
uint64_t gsai_hash_final(const gsai_hash *h);
uint64_t gsai_hash64(const void *data, size_t size);

#endif
