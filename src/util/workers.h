/* A few threads that work off a queue, beside the thread that fills it. */
#ifndef GSAI_WORKERS_H
#define GSAI_WORKERS_H

#include "util/alloc.h"

#define GSAI_WORK_GROUPS 4

/* One piece of work; what its fields mean is between who adds it and run. group < GSAI_WORK_GROUPS: what is waited for
 * together. */
typedef struct gsai_chore {
    gsa_status (*run)(const struct gsai_chore *work); /* on any of the threads; fails as any function does */
    const void *what;
    uint64_t first, n;
    void *dst;
    uint32_t group;
} gsai_chore;

typedef struct gsai_workers gsai_workers;

/* At most most_threads, and one less than there are processors: the calling thread works, too, while it waits. With none
 * (also when the system gives no thread) all is done by the calls below. HOST_MEMORY. */
gsa_status gsai_workers_create(const gsa_allocator *a, uint32_t most_threads, gsai_workers **out);
/* One thread adds and waits. When the queue is full, it does some of the work first. After a failure work is dropped. */
void gsai_workers_add(gsai_workers *w, const gsai_chore *work);
bool gsai_workers_is_done(gsai_workers *w, uint32_t group); /* nothing of the group is queued or running */
/* Until the group is done, working. The first failure of any work so far, with its text. */
gsa_status gsai_workers_wait(gsai_workers *w, uint32_t group);
void gsai_workers_destroy(gsai_workers *w); /* drops what is queued, waits for what runs; NULL is fine */

#endif
