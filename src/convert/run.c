/* The weights' way into the file: pieces of some rows, each read, converted and written by one thread. Where a piece
 * ends depends on the tensor alone, and every row is converted by itself, so the bytes are the same with any number of
 * threads. The calling thread works as the others do, and reports in between. */
#include "convert/convert.h"

#include "quant/encode.h"
#include "util/alloc.h"
#include "util/file.h"
#include "util/status.h"
#include "util/thread.h"

#include <stdio.h>

#define MAX_THREADS 256u

typedef struct worker {
    struct crew *crew;
    float *floats;
    uint8_t *source, *bytes;
    gsai_thread thread;
    bool started;
} worker;

typedef struct crew {
    gsai_conversion *c;
    worker *workers;
    uint32_t n_workers;

    gsai_mutex lock; /* around all below */
    uint32_t item;   /* the next piece */
    uint64_t row;
    uint64_t bytes_done;
    gsa_status failed;
    char failure[512];
} crew;

typedef struct piece {
    const gsai_convert_item *item;
    uint64_t row, n_rows;
} piece;

static bool next_piece(crew *w, piece *p)
{
    gsai_mutex_lock(&w->lock);
    const gsai_conversion *c = w->c;
    const bool found = !w->failed && w->item < c->n_items;
    if (found) {
        const gsai_convert_item *item = &c->items[w->item];
        const uint64_t left = item->rows - w->row;
        *p = (piece){item, w->row, left < item->rows_at_once ? left : item->rows_at_once};
        w->row += p->n_rows;
        if (w->row == item->rows) {
            w->item++;
            w->row = 0;
        }
    }
    gsai_mutex_unlock(&w->lock);
    return found;
}

static void keep_failure(crew *w, gsa_status status)
{
    gsai_mutex_lock(&w->lock);
    if (!w->failed) {
        w->failed = status;
        snprintf(w->failure, sizeof w->failure, "%s", gsa_error_text());
    }
    gsai_mutex_unlock(&w->lock);
}

static gsa_status convert_rows(const worker *k, const piece *p, const uint8_t *source)
{
    const gsai_convert_item *item = p->item;
    const uint64_t row_bytes = gsai_type_bytes(item->type, item->columns);
    gsai_type_to_float(item->from->type, source, p->n_rows * item->columns, k->floats);
    for (uint64_t i = 0; i < p->n_rows; i++) {
        const gsa_status status = gsai_type_from_float(
            item->type, k->floats + i * item->columns, item->columns, NULL, k->bytes + i * row_bytes);
        if (status) return gsai_fail_in(status, "tensor %s, row %llu", item->name, (unsigned long long)(p->row + i));
    }
    return GSA_OK;
}

static gsa_status convert_piece(worker *k, const piece *p)
{
    const gsai_convert_item *item = p->item;
    const gsai_tensor *from = item->from;
    const uint64_t first = p->row * item->columns, n = p->n_rows * item->columns;
    const uint64_t offset = gsai_type_bytes(from->type, first), size = gsai_type_bytes(from->type, n);
    const uint8_t *source = k->source;
    gsa_status status = GSA_OK;
    if (from->data) {
        source = from->data + offset;
    } else {
        status = gsai_tensor_read(from, offset, size, k->source);
    }
    const bool copy = from->type == item->type;
    if (!status && !copy) status = convert_rows(k, p, source);
    if (!status)
        status = gsai_gguf_write(k->crew->c->writer, item->index, gsai_type_bytes(item->type, first),
            copy ? source : k->bytes, gsai_type_bytes(item->type, n));
    if (from->is_mapped) gsai_file_pages_drop(source, size); /* or the whole source would pile up in memory */
    return status;
}

static bool work(worker *k, const gsai_convert_item **item)
{
    crew *w = k->crew;
    piece p;
    if (!next_piece(w, &p)) return false;
    const gsa_status status = convert_piece(k, &p);
    if (status) {
        keep_failure(w, status);
        return false;
    }
    gsai_mutex_lock(&w->lock);
    w->bytes_done += gsai_type_bytes(p.item->from->type, p.n_rows * p.item->columns);
    gsai_mutex_unlock(&w->lock);
    *item = p.item;
    return true;
}

static void *run_worker(void *user)
{
    const gsai_convert_item *item;
    while (work(user, &item)) continue;
    return NULL;
}

static void report(crew *w, const gsai_convert_item *item)
{
    const gsa_convert_params *p = w->c->params;
    if (!p->progress) return;
    gsai_mutex_lock(&w->lock);
    const gsa_convert_progress progress = {
        .what = "quantise", .tensor = item->name, .bytes_done = w->bytes_done, .bytes_total = w->c->source_bytes};
    gsai_mutex_unlock(&w->lock);
    if (p->progress(p->user, &progress)) return;
    gsai_fail(GSA_ERROR_CANCELLED, "convert: cancelled");
    keep_failure(w, GSA_ERROR_CANCELLED);
}

/* Buffers for as many workers as there is memory for, at least one. */
static gsa_status hire(crew *w)
{
    const gsai_conversion *c = w->c;
    uint32_t n = c->params->n_threads ? c->params->n_threads : gsai_n_processors();
    if (n > MAX_THREADS) n = MAX_THREADS;
    w->workers = gsai_alloc_array(&c->allocator, n, sizeof *w->workers);
    for (uint32_t i = 0; i < n && w->workers; i++) {
        worker *k = &w->workers[i];
        *k = (worker){.crew = w,
            .floats = gsai_alloc_array(&c->allocator, (size_t)c->max_floats, sizeof *k->floats),
            .source = gsai_alloc(&c->allocator, (size_t)c->max_source),
            .bytes = gsai_alloc(&c->allocator, (size_t)c->max_bytes)};
        w->n_workers++;
        if (k->floats && k->source && k->bytes) continue;
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "convert: no memory for the buffers of %u threads; give fewer", n);
    }
    return w->workers ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "convert: no memory for %u threads", n);
}

gsa_status gsai_convert_run(gsai_conversion *c)
{
    crew w = {.c = c};
    gsai_mutex_init(&w.lock);
    gsa_status status = hire(&w);
    if (!status) {
        c->result.n_threads = 1;
        for (uint32_t i = 1; i < w.n_workers; i++) { /* with fewer it takes longer, that is all */
            w.workers[i].started = gsai_thread_start(&w.workers[i].thread, run_worker, &w.workers[i]);
            c->result.n_threads += w.workers[i].started;
        }
        const gsai_convert_item *item;
        while (work(&w.workers[0], &item)) report(&w, item);
        for (uint32_t i = 1; i < w.n_workers; i++) {
            if (w.workers[i].started) gsai_thread_join(w.workers[i].thread);
        }
        if (w.failed) status = gsai_fail(w.failed, "%s", w.failure);
    }
    for (uint32_t i = 0; i < w.n_workers; i++) {
        gsai_free(&c->allocator, w.workers[i].floats);
        gsai_free(&c->allocator, w.workers[i].source);
        gsai_free(&c->allocator, w.workers[i].bytes);
    }
    gsai_free(&c->allocator, w.workers);
    gsai_mutex_destroy(&w.lock);
    return status;
}
