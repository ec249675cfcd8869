/* Byte pair encoding of one piece. */
#ifndef GSAI_BPE_H
#define GSAI_BPE_H

#include "text/vocab.h"

typedef struct gsai_ids {
    int32_t *data;
    size_t size, capacity;
} gsai_ids;

/* A token of the piece as it stands, in a list by position. */
typedef struct gsai_symbol {
    uint32_t id;         /* UINT32_MAX = merged into one before it */
    uint32_t prev, next; /* UINT32_MAX = none */
} gsai_symbol;

/* A merge that may happen: the least key is next. */
typedef struct gsai_candidate {
    uint64_t key; /* priority << 32 | position of the left symbol */
    uint32_t id;  /* what it makes */
} gsai_candidate;

/* Scratch that pieces share. A zeroed one is empty. */
typedef struct gsai_bpe {
    gsai_symbol *symbols;
    gsai_candidate *heap;
    size_t n_symbols, max_symbols, n_heap, max_heap;
} gsai_bpe;

void gsai_bpe_free(const gsa_allocator *a, gsai_bpe *b);

/* Append ids. HOST_MEMORY. */
gsa_status gsai_ids_append(const gsa_allocator *a, gsai_ids *ids, const int32_t *more, size_t n);

/* Encode piece [n], valid UTF-8 (bytes already written as characters for a byte-level vocabulary), and append its ids.
 * O(n log n). HOST_MEMORY: ids may hold a part. */
gsa_status gsai_bpe_encode(const gsai_vocab *v, gsai_bpe *b, const char *piece, size_t n, gsai_ids *ids);

#endif
