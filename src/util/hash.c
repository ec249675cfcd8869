#include "util/hash.h"

#include <string.h>

/* Four independent multiply-xorshift lanes over 32-byte blocks: fast enough to digest weights while they are read. */
#define PRIME_A 0x9e3779b97f4a7c15ull
#define PRIME_B 0xd6e8feb86659fd93ull

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t x = 0;
    for (int i = 7; i >= 0; i--) x = x << 8 | p[i];
    return x;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 32) * PRIME_B;
    x = (x ^ x >> 29) * PRIME_A;
    return x ^ x >> 32;
}

static void block(gsai_hash *h, const uint8_t *p)
{
    for (int i = 0; i < 4; i++) {
        const uint64_t x = (h->lane[i] ^ load_le64(p + 8 * i)) * PRIME_A;
        h->lane[i] = x ^ x >> 31;
    }
}

void gsai_hash_init(gsai_hash *h)
{
    memset(h, 0, sizeof *h);
    for (uint64_t i = 0; i < 4; i++) h->lane[i] = mix(PRIME_B + i);
}

void gsai_hash_update(gsai_hash *h, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t held = (size_t)(h->length % 32);
    h->length += size;
    if (held) {
        const size_t n = size < 32 - held ? size : 32 - held;
        memcpy(h->tail + held, p, n);
        p += n;
        size -= n;
        if (held + n < 32) return;
        block(h, h->tail);
    }
    for (; size >= 32; p += 32, size -= 32) block(h, p);
    if (size) memcpy(h->tail, p, size);
}

uint64_t gsai_hash_final(const gsai_hash *h)
{
    gsai_hash end = *h;
    const size_t held = (size_t)(h->length % 32);
    if (held) {
        memset(end.tail + held, 0, 32 - held);
        block(&end, end.tail);
    }
    uint64_t x = h->length;
    for (int i = 0; i < 4; i++) x = mix(x ^ end.lane[i]);
    return x;
}

uint64_t gsai_hash64(const void *data, size_t size)
{
    gsai_hash h;
    gsai_hash_init(&h);
    gsai_hash_update(&h, data, size);
    return gsai_hash_final(&h);
}
