/* An allocator that counts what is alive and can fail one allocation. */
#ifndef GSA_TEST_COUNTING_ALLOC_H
#define GSA_TEST_COUNTING_ALLOC_H

#include "gsa/base.h"

#include <stdlib.h>

typedef struct counting_alloc {
    long calls;   /* allocations asked for */
    long fail_at; /* the call that returns NULL, from 0; negative: none */
    long alive;   /* blocks not yet freed */
} counting_alloc;

static inline void *counting_realloc(void *user, void *memory, size_t size)
{
    counting_alloc *c = user;
    if (c->calls++ == c->fail_at) return NULL;
    void *p = realloc(memory, size);
    if (p && !memory) c->alive++;
    return p;
}
static inline void *counting_malloc(void *user, size_t size)
{
    return counting_realloc(user, NULL, size);
}
static inline void counting_free(void *user, void *memory)
{
    if (memory) ((counting_alloc *)user)->alive--;
    free(memory);
}
static inline gsa_allocator counting_allocator(counting_alloc *c)
{
    return (gsa_allocator){counting_malloc, counting_realloc, counting_free, c};
}

#endif
