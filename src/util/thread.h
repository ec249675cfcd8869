/* The little of threads the library needs. */
#ifndef GSAI_THREAD_H
#define GSAI_THREAD_H

#include <pthread.h>

typedef pthread_mutex_t gsai_mutex;

#define GSAI_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

static inline void gsai_mutex_init(gsai_mutex *m)
{
    pthread_mutex_init(m, NULL);
}
static inline void gsai_mutex_destroy(gsai_mutex *m)
{
    pthread_mutex_destroy(m);
}
static inline void gsai_mutex_lock(gsai_mutex *m)
{
    pthread_mutex_lock(m);
}
static inline void gsai_mutex_unlock(gsai_mutex *m)
{
    pthread_mutex_unlock(m);
}

#endif
