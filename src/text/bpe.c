#include "text/bpe.h"

#include "text/unicode.h"
#include "util/status.h"

#define NONE UINT32_MAX

void gsai_bpe_free(const gsa_allocator *a, gsai_bpe *b)
{
    gsai_free(a, b->symbols);
    gsai_free(a, b->heap);
    *b = (gsai_bpe){0};
}

/* Make room for n elements of an array that doubles. */
static bool grow(const gsa_allocator *a, void **data, size_t *capacity, size_t n, size_t size)
{
    if (n <= *capacity) return true;
    const size_t wanted = n + n / 2 + 16;
    void *p = gsai_realloc_array(a, *data, wanted, size);
    if (!p) return false;
    *data = p;
    *capacity = wanted;
    return true;
}

static gsa_status no_memory(size_t n)
{
    return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory to encode %zu symbols", n);
}

gsa_status gsai_ids_append(const gsa_allocator *a, gsai_ids *ids, const int32_t *more, size_t n)
{
    void *data = ids->data;
    if (!grow(a, &data, &ids->capacity, ids->size + n, sizeof *ids->data)) return no_memory(ids->size + n);
    ids->data = data;
    if (n) memcpy(ids->data + ids->size, more, n * sizeof *more);
    ids->size += n;
    return GSA_OK;
}

static void add_symbol(gsai_bpe *b, int32_t id)
{
    const uint32_t i = (uint32_t)b->n_symbols++;
    b->symbols[i] = (gsai_symbol){(uint32_t)id, i ? i - 1 : NONE, NONE};
    if (i) b->symbols[i - 1].next = i;
}

/* The tokens of the single characters. Unknown ones wait until a known one comes, so that a run can be one token; byte
 * tokens do not end the wait, which is how `tokenizers` does it. */
static void split_chars(const gsai_vocab *v, gsai_bpe *b, const char *piece, size_t n)
{
    bool unknown = false;
    b->n_symbols = 0;
    for (size_t i = 0, size; i < n; i += size) {
        size = gsai_utf8_size(piece[i]);
        const int32_t id = gsai_vocab_find_model(v, piece + i, size);
        if (id >= 0) {
            if (unknown) add_symbol(b, v->unk_id);
            unknown = false;
            add_symbol(b, id);
            continue;
        }
        bool bytes = v->byte_fallback;
        for (size_t k = 0; bytes && k < size; k++) bytes = v->byte_ids[(uint8_t)piece[i + k]] >= 0;
        if (bytes) {
            for (size_t k = 0; k < size; k++) add_symbol(b, v->byte_ids[(uint8_t)piece[i + k]]);
        } else if (v->unk_id >= 0) {
            if (unknown && !v->fuse_unk) add_symbol(b, v->unk_id);
            unknown = true;
        }
    }
    if (unknown) add_symbol(b, v->unk_id);
}

static void sift_down(gsai_candidate *heap, size_t n, size_t i)
{
    const gsai_candidate moved = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1].key < heap[child].key) child++;
        if (heap[child].key >= moved.key) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

/* Queue the merge of the symbols at left and right, if they merge. False without memory. */
static bool push(const gsai_vocab *v, gsai_bpe *b, uint32_t left, uint32_t right)
{
    const uint32_t rank = gsai_vocab_find_merge(v, b->symbols[left].id, b->symbols[right].id);
    if (rank == NONE) return true;
    void *heap = b->heap;
    if (!grow(&v->allocator, &heap, &b->max_heap, b->n_heap + 1, sizeof *b->heap)) return false;
    b->heap = heap;
    const uint64_t key = (uint64_t)(v->priority ? v->priority[rank] : rank) << 32 | left;
    size_t i = b->n_heap++;
    for (; i && b->heap[(i - 1) / 2].key > key; i = (i - 1) / 2) b->heap[i] = b->heap[(i - 1) / 2];
    b->heap[i] = (gsai_candidate){key, v->merged[rank]};
    return true;
}

static gsai_candidate pop(gsai_bpe *b)
{
    const gsai_candidate top = b->heap[0];
    b->heap[0] = b->heap[--b->n_heap];
    if (b->n_heap) sift_down(b->heap, b->n_heap, 0);
    return top;
}

static bool merge_all(const gsai_vocab *v, gsai_bpe *b)
{
    b->n_heap = 0;
    for (uint32_t i = 1; i < b->n_symbols; i++) {
        if (!push(v, b, i - 1, i)) return false;
    }
    while (b->n_heap) {
        const gsai_candidate top = pop(b);
        const uint32_t left = (uint32_t)top.key, id = top.id;
        gsai_symbol *l = &b->symbols[left];
        if (l->id == NONE || l->next == NONE) continue;
        gsai_symbol *r = &b->symbols[l->next];
        /* The pair may have changed since it was queued; what counts is that it still makes the same token. */
        const uint32_t rank = gsai_vocab_find_merge(v, l->id, r->id);
        if (rank == NONE || v->merged[rank] != id) continue;
        l->id = id;
        l->next = r->next;
        r->id = NONE;
        if (l->next != NONE) b->symbols[l->next].prev = left;
        if (l->prev != NONE && !push(v, b, l->prev, left)) return false;
        if (l->next != NONE && !push(v, b, left, l->next)) return false;
    }
    return true;
}

gsa_status gsai_bpe_encode(const gsai_vocab *v, gsai_bpe *b, const char *piece, size_t n, gsai_ids *ids)
{
    if (v->ignore_merges) {
        const int32_t id = gsai_vocab_find_model(v, piece, n);
        if (id >= 0) return gsai_ids_append(&v->allocator, ids, &id, 1);
    }
    void *symbols = b->symbols; /* a symbol is at least a byte; + 1: an unknown one may wait past byte tokens */
    if (!grow(&v->allocator, &symbols, &b->max_symbols, n + 1, sizeof *b->symbols)) return no_memory(n);
    b->symbols = symbols;
    split_chars(v, b, piece, n);
    if (!merge_all(v, b)) return no_memory(n);
    if (!b->n_symbols) return GSA_OK;
    for (uint32_t i = 0; i != NONE; i = b->symbols[i].next) {
        const int32_t id = (int32_t)b->symbols[i].id;
        const gsa_status status = gsai_ids_append(&v->allocator, ids, &id, 1);
        if (status != GSA_OK) return status;
    }
    return GSA_OK;
}
