#include "model/weights.h"

#include "util/file.h"

#include <string.h>

/* Everything to upload, in order. A piece is a run of rows of one tensor that goes to one place; a part of a matrix or a
 * vector is one place filled by one or more pieces. Places are found first (arithmetic only), buffers made next. */
typedef struct piece {
    gsai_tensor rows;   /* view */
    uint32_t place;     /* index into places */
    uint64_t offset;    /* byte in the place */
    uint64_t row_bytes; /* in the place, padding included; 0 = a vector: convert to f32 without padding */
    const gsa_allocator *allocator;
} piece;

typedef struct copy { /* a part once more, in the order of fragments */
    uint32_t part, n_cols;
    bool in_pairs;
    gsai_place place;
} copy;

typedef struct planner {
    const gsai_checkpoint *ck;
    const gsai_packing *packing; /* or NULL */
    gsai_layout layout, packed_layout;
    uint64_t max_place;
    gsai_weights *w;
    gsai_place *places;
    uint32_t n_places, cap_places;
    piece *pieces;
    uint32_t n_pieces, cap_pieces;
    copy *copies;
    uint32_t n_copies, cap_copies;
    /* targets whose ranges are known once the heap exists: place i fills vector_of[i] or part_of[i] */
    gsai_vector **vector_of;
    uint32_t *part_of; /* index into w->parts, or UINT32_MAX */
    gsai_matrix **matrices;
    uint32_t n_matrices, cap_matrices;
    uint32_t n_parts, cap_parts;
} planner;

static bool grow(const gsa_allocator *a, void *array, uint32_t *capacity, uint32_t wanted, size_t size)
{
    if (wanted <= *capacity) return true;
    const uint32_t n = *capacity ? *capacity * 2 : 64;
    void *p = gsai_realloc_array(a, *(void **)array, n, size);
    if (!p) return false;
    *(void **)array = p;
    *capacity = n;
    return true;
}

static gsa_status add_place(planner *p, uint64_t size, gsai_vector *vector, uint32_t part)
{
    const gsa_allocator *a = &p->ck->allocator;
    uint32_t cap = p->cap_places, cap2 = p->cap_places;
    if (!grow(a, &p->places, &p->cap_places, p->n_places + 1, sizeof *p->places) ||
        !grow(a, &p->vector_of, &cap, p->n_places + 1, sizeof *p->vector_of) ||
        !grow(a, &p->part_of, &cap2, p->n_places + 1, sizeof *p->part_of))
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory while planning the upload");
    const gsa_status status = gsai_layout_place(&p->layout, size, &p->places[p->n_places]);
    if (status != GSA_OK) return status;
    p->vector_of[p->n_places] = vector;
    p->part_of[p->n_places] = part;
    p->n_places++;
    return GSA_OK;
}

static gsa_status add_piece(planner *p, const gsai_tensor *rows, uint64_t offset, uint64_t row_bytes)
{
    if (!grow(&p->ck->allocator, &p->pieces, &p->cap_pieces, p->n_pieces + 1, sizeof *p->pieces))
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory while planning the upload");
    p->pieces[p->n_pieces++] = (piece){*rows, p->n_places - 1, offset, row_bytes, &p->ck->allocator};
    return GSA_OK;
}

/* One place holding the concatenated tensors as f32. */
static gsa_status add_vector(planner *p, gsai_vector *target, const gsai_tensor *const *tensors, uint32_t n)
{
    uint64_t n_floats = 0;
    for (uint32_t i = 0; i < n; i++) n_floats += gsai_tensor_elements(tensors[i]);
    if (n_floats == 0) return GSA_OK;
    gsa_status status = add_place(p, n_floats * 4, target, UINT32_MAX);
    for (uint64_t i = 0, at = 0; status == GSA_OK && i < n; at += gsai_tensor_elements(tensors[i]) * 4, i++)
        if (gsai_tensor_present(tensors[i])) status = add_piece(p, tensors[i], at, 0);
    return status;
}

static gsa_status add_vector1(planner *p, gsai_vector *target, const gsai_tensor *t)
{
    return gsai_tensor_present(t) ? add_vector(p, target, &t, 1) : GSA_OK;
}

/* A part takes rows of consecutive tensors as long as they have one type and fit one binding. */
static gsa_status add_matrix(planner *p, gsai_matrix *target, const gsai_tensor *const *tensors, uint32_t n)
{
    const gsa_allocator *a = &p->ck->allocator;
    if (!grow(a, &p->matrices, &p->cap_matrices, p->n_matrices + 1, sizeof *p->matrices))
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory while planning the upload");
    p->matrices[p->n_matrices++] = target;
    *target = (gsai_matrix){.n_cols = (uint32_t)gsai_tensor_columns(tensors[0])};

    uint32_t tensor = 0;
    uint64_t row = 0;
    while (tensor < n) {
        const gsai_type type = tensors[tensor]->type;
        const uint64_t row_bytes = gsai_matrix_row_bytes(type, target->n_cols), fit = p->max_place / row_bytes;
        if (fit == 0)
            return gsai_fail(GSA_ERROR_LIMIT,
                "%s: one row of %llu bytes passes the device's binding limit of %llu bytes", tensors[tensor]->name,
                (unsigned long long)row_bytes, (unsigned long long)p->max_place);
        uint64_t part_rows = 0; /* how many rows this part takes, over tensors */
        uint64_t r = row;
        for (uint32_t i = tensor; i < n && tensors[i]->type == type && part_rows < fit; i++, r = 0) {
            const uint64_t left = gsai_tensor_rows(tensors[i]) - r;
            if (i > tensor && left > fit - part_rows) break; /* keep a tensor whole where it can be */
            part_rows += left < fit - part_rows ? left : fit - part_rows;
        }
        if (!grow(a, &p->w->parts, &p->cap_parts, p->n_parts + 1, sizeof *p->w->parts))
            return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory while planning the upload");
        p->w->parts[p->n_parts] = (gsai_matrix_part){type, target->n_rows, (uint32_t)part_rows, {0}};
        gsa_status status = add_place(p, part_rows * row_bytes, NULL, p->n_parts++);
        uint64_t done = 0;
        while (status == GSA_OK && done < part_rows) {
            const uint64_t left = gsai_tensor_rows(tensors[tensor]) - row;
            const uint64_t take = left < part_rows - done ? left : part_rows - done;
            const gsai_tensor view = gsai_tensor_view_rows(tensors[tensor], row, take);
            status = add_piece(p, &view, done * row_bytes, row_bytes);
            done += take;
            row += take;
            if (row == gsai_tensor_rows(tensors[tensor])) {
                tensor++;
                row = 0;
            }
        }
        if (status != GSA_OK) return status;
        target->n_rows += (uint32_t)part_rows;
        target->n_parts++;
    }
    return GSA_OK;
}

/* Copies of the parts from first on, of those whose type has them and that fit one binding. */
static gsa_status add_copies(planner *p, uint32_t first, uint32_t n_cols, bool in_pairs)
{
    for (uint32_t i = first; p->packing && i < p->n_parts; i++) {
        const gsai_matrix_part *part = &p->w->parts[i];
        const uint64_t bytes = gsai_packed_bytes(p->packing, part->n_rows, n_cols, in_pairs);
        if (!gsai_packing_has(p->packing, part->type, n_cols) || bytes > p->packed_layout.max_place) continue;
        if (!grow(&p->ck->allocator, &p->copies, &p->cap_copies, p->n_copies + 1, sizeof *p->copies))
            return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory while planning the upload");
        copy *c = &p->copies[p->n_copies++];
        *c = (copy){.part = i, .n_cols = n_cols, .in_pairs = in_pairs};
        const gsa_status status = gsai_layout_place(&p->packed_layout, bytes, &c->place);
        if (status != GSA_OK) return status;
    }
    return GSA_OK;
}

/* Also with a packed copy. */
static gsa_status add_product(
    planner *p, gsai_matrix *target, const gsai_tensor *const *tensors, uint32_t n, bool wants_pairs)
{
    const uint32_t first = p->n_parts;
    const gsa_status status = add_matrix(p, target, tensors, n);
    if (status != GSA_OK) return status;
    return add_copies(p, first, target->n_cols, wants_pairs && target->n_parts == 1);
}

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const gsa_status try_status = (call);                                                                          \
        if (try_status != GSA_OK) return try_status;                                                                   \
    } while (0)

static gsa_status plan_layer(planner *p, const gsai_layer_tensors *t, gsai_layer_weights *w)
{
    TRY(add_vector1(p, &w->attn_norm, &t->attn_norm));
    /* Gates and ups meet in their product where down takes its input as f16. */
    const bool pairs = t->down.type != GSAI_F32;
    TRY(add_product(p, &w->qkvf, (const gsai_tensor *const[]){&t->q, &t->k, &t->v, &t->f}, 4, false));
    TRY(add_vector(p, &w->conv_taps, (const gsai_tensor *const[]){&t->conv_q, &t->conv_k, &t->conv_v}, 3));
    TRY(add_vector1(p, &w->t2r, &t->t2r));
    TRY(add_vector1(p, &w->g_norm, &t->g_norm));
    TRY(add_product(p, &w->o, (const gsai_tensor *const[]){&t->o}, 1, false));
    TRY(add_vector1(p, &w->ffn_norm, &t->ffn_norm));
    TRY(add_product(p, &w->gate_up, (const gsai_tensor *const[]){&t->gate, &t->up}, 2, pairs));
    TRY(add_product(p, &w->down, (const gsai_tensor *const[]){&t->down}, 1, false));
    return GSA_OK;
}

static gsa_status plan(planner *p, const gsai_checkpoint *ck, const gsai_packing *packing, gsai_weights *w,
    uint64_t max_range, uint64_t max_allocation, uint32_t align)
{
    *p = (planner){.ck = ck, .packing = packing, .w = w};
    *w = (gsai_weights){.allocator = ck->allocator};
    gsai_layout_init(&p->layout, &w->allocator, max_range, max_allocation, align);
    gsai_layout_init(&p->packed_layout, &w->allocator, max_range, max_allocation, align);
    p->max_place = p->layout.max_place;
    w->layers = gsai_alloc_array(&w->allocator, ck->config.n_layers, sizeof *w->layers);
    if (!w->layers) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory while planning the upload");
    TRY(add_matrix(p, &w->embed, (const gsai_tensor *const[]){&ck->embed}, 1));
    for (uint32_t i = 0; i < ck->config.n_layers; i++) TRY(plan_layer(p, &ck->layers[i], &w->layers[i]));
    TRY(add_vector1(p, &w->out_norm, &ck->out_norm));
    if (!ck->config.tied) TRY(add_matrix(p, &w->head, (const gsai_tensor *const[]){&ck->head}, 1));
    return GSA_OK;
}

static void planner_finish(planner *p)
{
    const gsa_allocator *a = &p->ck->allocator;
    gsai_layout_finish(&p->layout);
    gsai_layout_finish(&p->packed_layout);
    gsai_free(a, p->copies);
    gsai_free(a, p->places);
    gsai_free(a, p->pieces);
    gsai_free(a, p->vector_of);
    gsai_free(a, p->part_of);
    gsai_free(a, p->matrices);
}

#define BOUNCE_BYTES (256u << 10) /* rows that come through a callback are repacked from here */

/* n_rows rows of a piece from row0 into dst, in the layout of kernels, or a vector as floats. */
static gsa_status repack(const piece *pc, uint64_t row0, uint64_t n_rows, uint8_t *dst)
{
    const uint64_t n_cols = gsai_tensor_columns(&pc->rows), bytes = gsai_type_bytes(pc->rows.type, n_cols);
    if (pc->row_bytes == 0) return gsai_tensor_read_floats(&pc->rows, row0 * n_cols, n_rows * n_cols, (float *)dst);
    if (!gsai_type_is_quantised(pc->rows.type) && bytes == pc->row_bytes)
        return gsai_tensor_read(&pc->rows, row0 * bytes, n_rows * bytes, dst);
    if (pc->rows.data) {
        gsai_matrix_repack(pc->rows.type, (uint32_t)n_cols, n_rows, pc->rows.data + row0 * bytes, dst);
        return GSA_OK;
    }
    const uint64_t step = bytes < BOUNCE_BYTES ? BOUNCE_BYTES / bytes : 1;
    uint8_t *rows = gsai_alloc(pc->allocator, (size_t)(step * bytes));
    gsa_status status = rows ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for rows to upload");
    for (uint64_t i = 0; status == GSA_OK && i < n_rows; i += step) {
        const uint64_t n = n_rows - i < step ? n_rows - i : step;
        status = gsai_tensor_read(&pc->rows, (row0 + i) * bytes, n * bytes, rows);
        if (status == GSA_OK) gsai_matrix_repack(pc->rows.type, (uint32_t)n_cols, n, rows, dst + i * pc->row_bytes);
    }
    gsai_free(pc->allocator, rows);
    return status;
}

/* Work for one thread: some rows of a piece. */
static gsa_status fill(const gsai_chore *work)
{
    const piece *pc = work->what;
    const gsa_status status = repack(pc, work->first, work->n, work->dst);
    if (pc->rows.is_mapped) {
        const uint64_t bytes = gsai_type_bytes(pc->rows.type, gsai_tensor_columns(&pc->rows));
        gsai_file_pages_drop(pc->rows.data + work->first * bytes, work->n * bytes);
    }
    return status;
}

#define FILL_BYTES  (2ull << 20)  /* one piece of work: several threads share a piece of staging */
#define AHEAD_BYTES (64ull << 20) /* that the system is asked to read ahead of the work */
#define MAX_THREADS 6

typedef struct cursor { /* a walk over all rows of all pieces, some rows at a time */
    uint32_t piece;
    uint64_t row;
    uint64_t n_bytes; /* passed, in places */
} cursor;

/* The next rows; NULL behind the last. */
static const piece *next_rows(const planner *p, cursor *c, uint64_t *row, uint64_t *n)
{
    if (c->piece == p->n_pieces) return NULL;
    const piece *pc = &p->pieces[c->piece];
    const uint64_t n_rows = gsai_tensor_rows(&pc->rows);
    const uint64_t row_bytes = pc->row_bytes ? pc->row_bytes : gsai_tensor_columns(&pc->rows) * 4;
    const uint64_t step = row_bytes < FILL_BYTES ? FILL_BYTES / row_bytes : 1;
    *row = c->row;
    *n = n_rows - c->row < step ? n_rows - c->row : step;
    c->row += *n;
    c->n_bytes += *n * row_bytes;
    if (c->row == n_rows) {
        c->piece++;
        c->row = 0;
    }
    return pc;
}

static void read_ahead(const planner *p, cursor *ahead, uint64_t end)
{
    const piece *pc;
    uint64_t row, n;
    while (ahead->n_bytes < end && (pc = next_rows(p, ahead, &row, &n)) != NULL) {
        const uint64_t bytes = gsai_type_bytes(pc->rows.type, gsai_tensor_columns(&pc->rows));
        if (pc->rows.is_mapped) gsai_file_pages_will_need(pc->rows.data + row * bytes, n * bytes);
    }
}

static gsa_status upload(planner *p, gsa_device *dev, gsa_progress progress, void *progress_user)
{
    gsai_upload *up = NULL;
    gsa_status status = gsai_upload_create(dev, &up);
    const double total = (double)gsai_layout_bytes(&p->layout);
    cursor at = {0}, ahead = {0};
    const piece *pc;
    uint64_t row, n;
    if (status == GSA_OK) status = gsai_upload_start_workers(up, MAX_THREADS);
    while (status == GSA_OK && (pc = next_rows(p, &at, &row, &n)) != NULL) {
        const uint64_t row_bytes = pc->row_bytes ? pc->row_bytes : gsai_tensor_columns(&pc->rows) * 4;
        read_ahead(p, &ahead, at.n_bytes + AHEAD_BYTES);
        if (progress && !progress(progress_user, (double)(at.n_bytes - n * row_bytes) / total, "uploading weights"))
            status = gsai_fail(GSA_ERROR_CANCELLED, "loading was cancelled by the progress callback");
        const gsai_range range = gsai_heap_range(&p->w->heap, p->places[pc->place]);
        if (status == GSA_OK)
            status = gsai_upload_fill(up, range, pc->offset + row * row_bytes, n * row_bytes,
                (gsai_chore){.run = fill, .what = pc, .first = row, .n = n});
    }
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    return status;
}

/* The copies are made on the device, of what has been uploaded. */
static gsa_status make_copies(const planner *p, gsa_device *dev)
{
    gsai_recorder *r = NULL;
    gsai_plan plan = {0};
    gsai_ticket ticket = 0;
    if (p->n_copies == 0) return GSA_OK;
    gsa_status status = gsai_recorder_begin(dev, 0, &r);
    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < p->n_copies; i++) gsai_op_pack(r, &p->w->parts[p->copies[i].part], p->copies[i].n_cols);
    status = gsai_recorder_finish(r, &plan);
    if (status == GSA_OK) status = gsai_plan_submit(dev, &plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(dev, ticket, UINT64_MAX);
    gsai_plan_destroy(dev, &plan);
    return status;
}

gsa_status gsai_weights_plan(const gsai_checkpoint *ck, uint64_t max_range, uint64_t max_allocation, uint32_t align,
    const gsai_packing *packing, uint64_t *n_bytes, uint64_t *n_packed_bytes)
{
    planner p;
    gsai_weights w;
    const gsa_status status = plan(&p, ck, packing, &w, max_range, max_allocation, align);
    *n_bytes = gsai_layout_bytes(&p.layout);
    *n_packed_bytes = gsai_layout_bytes(&p.packed_layout);
    planner_finish(&p);
    gsai_weights_destroy(NULL, &w);
    return status;
}

gsa_status gsai_weights_create(gsa_device *dev, const gsai_checkpoint *ck, const gsai_packing *packing,
    gsa_progress progress, void *progress_user, gsai_weights *w)
{
    planner p;
    const gsai_caps *caps = &dev->caps;
    gsa_status status = plan(&p, ck, packing, w, caps->max_range_bytes, caps->max_allocation_bytes, caps->offset_align);
    if (status == GSA_OK) status = gsai_heap_create(dev, &p.layout, GSAI_MEMORY_DEVICE, &w->heap);
    if (status == GSA_OK && p.n_copies > 0)
        status = gsai_heap_create(dev, &p.packed_layout, GSAI_MEMORY_DEVICE, &w->packed);
    if (status == GSA_OK) {
        for (uint32_t i = 0; i < p.n_places; i++) {
            const gsai_range range = gsai_heap_range(&w->heap, p.places[i]);
            if (p.vector_of[i])
                *p.vector_of[i] = range;
            else
                w->parts[p.part_of[i]].range = range;
        }
        for (uint32_t i = 0; i < p.n_copies; i++) {
            w->parts[p.copies[i].part].packed = gsai_heap_range(&w->packed, p.copies[i].place);
            w->parts[p.copies[i].part].in_pairs = p.copies[i].in_pairs;
        }
        gsai_matrix_part *part = w->parts;
        for (uint32_t i = 0; i < p.n_matrices; part += p.matrices[i]->n_parts, i++) p.matrices[i]->parts = part;
        if (ck->config.tied) w->head = w->embed;
        status = upload(&p, dev, progress, progress_user);
        if (status == GSA_OK) status = make_copies(&p, dev);
    }
    planner_finish(&p);
    if (status != GSA_OK) gsai_weights_destroy(dev, w);
    return status;
}

void gsai_weights_destroy(gsa_device *dev, gsai_weights *w)
{
    if (!w->allocator.free) return;
    if (dev) gsai_heap_destroy(dev, &w->heap);
    if (dev) gsai_heap_destroy(dev, &w->packed);
    gsai_free(&w->allocator, w->layers);
    gsai_free(&w->allocator, w->parts);
    *w = (gsai_weights){0};
}
