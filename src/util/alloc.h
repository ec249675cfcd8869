/* Host memory through the caller's callbacks, and size arithmetic that cannot wrap. */
#ifndef GSAI_ALLOC_H
#define GSAI_ALLOC_H

#include "gsa/base.h"

/* Fill the empty callbacks of a user's struct with malloc and friends. user may be NULL. */
gsa_allocator gsai_allocator_or_default(const gsa_allocator *user);

/* All memory comes zeroed. NULL on failure or when count * size wraps; count or size 0 gives a valid pointer. */
void *gsai_alloc(const gsa_allocator *a, size_t size);
void *gsai_alloc_array(const gsa_allocator *a, size_t count, size_t size);
/* Grow or shrink; new bytes are NOT zeroed. On failure the old block is untouched. */
void *gsai_realloc_array(const gsa_allocator *a, void *memory, size_t count, size_t size);
void gsai_free(const gsa_allocator *a, void *memory);
char *gsai_strdup(const gsa_allocator *a, const char *text);

/* False when the result does not fit; *out is then untouched. */
static inline bool gsai_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (a > UINT64_MAX - b) return false;
    *out = a + b;
    return true;
}
static inline bool gsai_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b != 0 && a > UINT64_MAX / b) return false;
    *out = a * b;
    return true;
}
static inline uint64_t gsai_round_up(uint64_t x, uint64_t multiple)
{
    return (x + multiple - 1) / multiple * multiple;
}

#endif
