#include "util/workers.h"

#include "util/status.h"
#include "util/thread.h"

#include <stdio.h>

#define MAX_THREADS 8
#define MAX_QUEUE   64

struct gsai_workers {
    gsa_allocator allocator;
    pthread_mutex_t mutex; /* around all below */
    pthread_cond_t queued, done;
    gsai_chore queue[MAX_QUEUE]; /* ring */
    uint32_t first, n_queued;
    uint32_t n_pending[GSAI_WORK_GROUPS]; /* queued or running */
    bool stop;
    gsa_status status;
    char text[512]; /* of the failure */
    pthread_t threads[MAX_THREADS];
    uint32_t n_threads;
};

/* Take one piece from the queue and do it. The mutex is held, but not during the work. */
static void run_one(gsai_workers *w)
{
    const gsai_chore work = w->queue[w->first];
    w->first = (w->first + 1) % MAX_QUEUE;
    w->n_queued--;
    gsa_status status = GSA_OK;
    if (w->status == GSA_OK && !w->stop) {
        pthread_mutex_unlock(&w->mutex);
        status = work.run(&work);
        pthread_mutex_lock(&w->mutex);
    }
    if (status != GSA_OK && w->status == GSA_OK) { /* the text belongs to this thread: keep it for the other */
        w->status = status;
        snprintf(w->text, sizeof w->text, "%s", gsa_error_text());
    }
    w->n_pending[work.group]--;
    pthread_cond_signal(&w->done); /* one thread waits */
}

static void *worker(void *user)
{
    gsai_workers *w = user;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (w->n_queued == 0 && !w->stop) pthread_cond_wait(&w->queued, &w->mutex);
        if (w->n_queued == 0) break;
        run_one(w);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

gsa_status gsai_workers_create(const gsa_allocator *a, uint32_t most_threads, gsai_workers **out)
{
    uint32_t n = gsai_n_processors() - 1;
    *out = NULL;
    gsai_workers *w = gsai_alloc(a, sizeof *w);
    if (!w) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for worker threads");
    w->allocator = *a;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->queued, NULL);
    pthread_cond_init(&w->done, NULL);
    if (n > most_threads) n = most_threads;
    if (n > MAX_THREADS) n = MAX_THREADS;
    while (w->n_threads < n && pthread_create(&w->threads[w->n_threads], NULL, worker, w) == 0) w->n_threads++;
    *out = w;
    return GSA_OK;
}

void gsai_workers_add(gsai_workers *w, const gsai_chore *work)
{
    pthread_mutex_lock(&w->mutex);
    while (w->n_queued == MAX_QUEUE) run_one(w);
    w->queue[(w->first + w->n_queued++) % MAX_QUEUE] = *work;
    w->n_pending[work->group]++;
    pthread_cond_signal(&w->queued);
    pthread_mutex_unlock(&w->mutex);
}

bool gsai_workers_is_done(gsai_workers *w, uint32_t group)
{
    pthread_mutex_lock(&w->mutex);
    const bool is_done = w->n_pending[group] == 0;
    pthread_mutex_unlock(&w->mutex);
    return is_done;
}

gsa_status gsai_workers_wait(gsai_workers *w, uint32_t group)
{
    pthread_mutex_lock(&w->mutex);
    while (w->n_pending[group] > 0) {
        if (w->n_queued > 0) {
            run_one(w);
        } else {
            pthread_cond_wait(&w->done, &w->mutex);
        }
    }
    const gsa_status status = w->status;
    pthread_mutex_unlock(&w->mutex);
    return status == GSA_OK ? status : gsai_fail(status, "%s", w->text);
}

void gsai_workers_destroy(gsai_workers *w)
{
    if (!w) return;
    const gsa_allocator a = w->allocator;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_broadcast(&w->queued);
    pthread_mutex_unlock(&w->mutex);
    for (uint32_t i = 0; i < w->n_threads; i++) pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->queued);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->mutex);
    gsai_free(&a, w);
}
