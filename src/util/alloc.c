#include "util/alloc.h"

#include <stdlib.h>
#include <string.h>

static void *default_alloc(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}
static void *default_realloc(void *user, void *memory, size_t size)
{
    (void)user;
    return realloc(memory, size);
}
static void default_free(void *user, void *memory)
{
    (void)user;
    free(memory);
}

gsa_allocator gsai_allocator_or_default(const gsa_allocator *user)
{
    if (user && user->alloc && user->realloc && user->free) return *user;
    return (gsa_allocator){default_alloc, default_realloc, default_free, NULL};
}

void *gsai_alloc(const gsa_allocator *a, size_t size)
{
    void *p = a->alloc(a->user, size ? size : 1);
    if (p) memset(p, 0, size ? size : 1);
    return p;
}

void *gsai_alloc_array(const gsa_allocator *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) return NULL;
    return gsai_alloc(a, count * size);
}

void *gsai_realloc_array(const gsa_allocator *a, void *memory, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) return NULL;
    const size_t bytes = count * size;
    return a->realloc(a->user, memory, bytes ? bytes : 1);
}

void gsai_free(const gsa_allocator *a, void *memory)
{
    if (memory) a->free(a->user, memory);
}

char *gsai_strdup(const gsa_allocator *a, const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = gsai_alloc(a, n);
    if (copy) memcpy(copy, text, n);
    return copy;
}
