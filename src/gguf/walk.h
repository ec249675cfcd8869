/* The first pass over a GGUF header: walked byte by byte, loaded as it goes, everything that does not fit refused. Only
 * then are there counts that may be trusted for allocations, and bytes that may be read without looking. */
#ifndef GSAI_GGUF_WALK_H
#define GSAI_GGUF_WALK_H

#include "gguf/gguf.h"

typedef struct gsai_gguf_walk {
    const gsa_allocator *allocator;
    gsai_source *source;
    uint8_t *bytes;      /* [loaded] the start of the file */
    uint64_t loaded, at; /* at the end: bytes of the header */
    uint64_t n_pairs, n_tensors;
    uint64_t n_name_bytes; /* of keys and names with a NUL each */
} gsai_gguf_walk;

/* Begin with allocator and source set and the rest zero; the caller frees bytes in any case. Structure, lengths, kinds,
 * characters of names are checked; what needs a second look (duplicates, tensors against their types) is not.
 * Statuses as gsai_gguf_open. */
gsa_status gsai_gguf_walk_header(gsai_gguf_walk *w);

static inline uint32_t gsai_gguf_u32_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t gsai_gguf_u64_at(const uint8_t *p)
{
    return gsai_gguf_u32_at(p) | (uint64_t)gsai_gguf_u32_at(p + 4) << 32;
}

#endif
