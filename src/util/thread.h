/* The little of threads the library needs. */
#ifndef GSAI_THREAD_H
#define GSAI_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

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

typedef pthread_t gsai_thread;

static inline bool gsai_thread_start(gsai_thread *t, void *(*run)(void *user), void *user)
{
    return pthread_create(t, NULL, run, user) == 0;
}
static inline void gsai_thread_join(gsai_thread t)
{
    pthread_join(t, NULL);
}
uint32_t gsai_n_processors(void); /* that this process may use; at least 1 */

#endif
