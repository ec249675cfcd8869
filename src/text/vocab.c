#include "text/vocab.h"

#include "text/added.h"
#include "text/rewrite.h"
#include "util/status.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static uint64_t hash_text(const gsai_vocab *v, const char *text, size_t size)
{
    uint64_t h = mix(v->seed, size), x;
    for (; size >= 8; size -= 8, text += 8) {
        memcpy(&x, text, 8);
        h = mix(h, x);
    }
    x = 0;
    if (size) memcpy(&x, text, size);
    return mix(mix(h, x), v->seed);
}

static uint64_t hash_pair(const gsai_vocab *v, uint32_t left, uint32_t right)
{
    return mix(mix(v->seed, (uint64_t)left << 32 | right), v->seed);
}

/* Bytes of a text in a message; it may have no NUL behind it. */
static int shown(size_t size)
{
    return size < 200 ? (int)size : 200;
}

/* Slots for n entries at no more than half full. */
static uint32_t table_size(uint32_t n)
{
    uint32_t size = 16;
    while (size / 2 < n) size *= 2;
    return size;
}

void gsai_vocab_init(gsai_vocab *v, const gsa_allocator *allocator)
{
    *v = (gsai_vocab){.allocator = *allocator, .unk_id = -1, .bos = -1, .eos = -1};
    /* The address differs from run to run, so a file cannot be made to collide in the hash tables. */
    v->seed = mix(0x243f6a8885a308d3u, (uint64_t)(uintptr_t)v);
}

void gsai_vocab_finish(gsai_vocab *v)
{
    const gsa_allocator *a = &v->allocator;
    gsai_free(a, v->tokens);
    gsai_buffer_free(a, &v->text);
    gsai_free(a, v->by_text);
    gsai_free(a, v->merges);
    gsai_free(a, v->merged);
    gsai_free(a, v->priority);
    gsai_free(a, v->added);
    gsai_buffer_free(a, &v->added_text);
    gsai_added_index_free(v, &v->raw);
    gsai_added_index_free(v, &v->normalized);
    gsai_free(a, v->normalizer);
    gsai_free(a, v->before);
    gsai_free(a, v->after);
    gsai_free(a, v->decoder);
    *v = (gsai_vocab){0};
}

gsa_status gsai_vocab_reserve_merges(gsai_vocab *v, uint32_t n, bool with_priority)
{
    const gsa_allocator *a = &v->allocator;
    if (n > GSAI_MAX_MERGES)
        return gsai_fail(
            GSA_ERROR_UNSUPPORTED, "%u merges are more than this library takes, at most %u", n, GSAI_MAX_MERGES);
    gsai_free(a, v->merges);
    gsai_free(a, v->merged);
    const uint32_t slots = table_size(n);
    v->merges = gsai_alloc_array(a, slots, sizeof *v->merges);
    v->merged = gsai_alloc_array(a, n, sizeof *v->merged);
    if (with_priority) v->priority = gsai_alloc_array(a, n, sizeof *v->priority);
    if (!v->merges || !v->merged || (with_priority && !v->priority))
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for a vocabulary of %u merges", n);
    v->merge_mask = slots - 1;
    v->max_merges = n;
    for (uint32_t i = 0; i < slots; i++) v->merges[i].rank = UINT32_MAX;
    return GSA_OK;
}

gsa_status gsai_vocab_reserve(gsai_vocab *v, uint32_t n_tokens, size_t n_text, uint32_t n_merges, uint32_t n_added)
{
    const gsa_allocator *a = &v->allocator;
    if (n_tokens > GSAI_MAX_TOKENS || n_text > GSAI_MAX_TEXT)
        return gsai_fail(
            GSA_ERROR_UNSUPPORTED, "%u tokens with %zu bytes are more than this library takes", n_tokens, n_text);
    const uint32_t text_slots = table_size(n_tokens);
    v->tokens = gsai_alloc_array(a, n_tokens, sizeof *v->tokens);
    v->by_text = gsai_alloc_array(a, text_slots, sizeof *v->by_text);
    v->added = gsai_alloc_array(a, n_added, sizeof *v->added);
    if (!v->tokens || !v->by_text || !v->added || !gsai_buffer_reserve(a, &v->text, n_text + n_tokens))
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for a vocabulary of %u tokens", n_tokens);
    v->n_tokens = n_tokens;
    v->by_text_mask = text_slots - 1;
    v->max_added = n_added;
    return gsai_vocab_reserve_merges(v, n_merges, false);
}

/* The slot of a text, or the empty one where it belongs. */
static uint32_t *text_slot(const gsai_vocab *v, const char *text, size_t size)
{
    for (uint64_t i = hash_text(v, text, size);; i++) {
        uint32_t *slot = &v->by_text[i & v->by_text_mask];
        if (!*slot) return slot;
        const gsai_token *t = &v->tokens[*slot - 1];
        if (t->size == size && (!size || memcmp(v->text.data + t->offset, text, size) == 0)) return slot;
    }
}

int32_t gsai_vocab_find(const gsai_vocab *v, const char *text, size_t size)
{
    return v->n_tokens ? (int32_t)*text_slot(v, text, size) - 1 : -1;
}

int32_t gsai_vocab_find_model(const gsai_vocab *v, const char *text, size_t size)
{
    const int32_t id = gsai_vocab_find(v, text, size);
    return id >= 0 && v->tokens[id].flags & GSAI_TOKEN_MODEL ? id : -1;
}

gsa_status gsai_vocab_add_token(gsai_vocab *v, uint32_t id, const char *text, size_t size, bool in_model)
{
    if (id >= v->n_tokens || size >= v->text.capacity - v->text.size)
        return gsai_fail(GSA_ERROR_ARGUMENT, "token %u is outside of what was reserved", id);
    if (v->tokens[id].flags)
        return gsai_fail(GSA_ERROR_FORMAT, "the tokens \"%s\" and \"%.*s\" have the same id %u", gsai_vocab_text(v, id),
            shown(size), text, id);
    uint32_t *slot = text_slot(v, text, size);
    if (*slot)
        return gsai_fail(
            GSA_ERROR_FORMAT, "the token \"%.*s\" has the ids %u and %u", shown(size), text, *slot - 1, id);
    v->tokens[id] =
        (gsai_token){(uint32_t)v->text.size, (uint32_t)size, GSAI_TOKEN_EXISTS | (in_model ? GSAI_TOKEN_MODEL : 0)};
    gsai_buffer_put(&v->text, text, size);
    v->text.data[v->text.size++] = 0;
    *slot = id + 1;
    return GSA_OK;
}

static gsai_merge *merge_slot(const gsai_vocab *v, uint32_t left, uint32_t right)
{
    for (uint64_t i = hash_pair(v, left, right);; i++) {
        gsai_merge *m = &v->merges[i & v->merge_mask];
        if (m->rank == UINT32_MAX || (m->left == left && m->right == right)) return m;
    }
}

uint32_t gsai_vocab_find_merge(const gsai_vocab *v, uint32_t left, uint32_t right)
{
    return merge_slot(v, left, right)->rank;
}

gsa_status gsai_vocab_add_merge(gsai_vocab *v, const char *left, size_t n_left, const char *right, size_t n_right)
{
    const uint32_t rank = v->n_merges;
    if (rank >= v->max_merges) return gsai_fail(GSA_ERROR_ARGUMENT, "merge %u is outside of what was reserved", rank);
    const int32_t left_id = gsai_vocab_find_model(v, left, n_left), right_id = gsai_vocab_find_model(v, right, n_right);
    if (left_id < 0 || right_id < 0)
        return gsai_fail(GSA_ERROR_FORMAT, "merge %u names \"%.*s\", which is not in the vocabulary", rank,
            shown(left_id < 0 ? n_left : n_right), left_id < 0 ? left : right);
    char local[256], *joined = local;
    if (n_left + n_right > sizeof local && !(joined = gsai_alloc(&v->allocator, n_left + n_right)))
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for merge %u", rank);
    memcpy(joined, left, n_left);
    memcpy(joined + n_left, right, n_right);
    const int32_t id = gsai_vocab_find_model(v, joined, n_left + n_right);
    if (joined != local) gsai_free(&v->allocator, joined);
    if (id < 0)
        return gsai_fail(GSA_ERROR_FORMAT, "merge %u makes \"%.*s%.*s\", which is not in the vocabulary", rank,
            shown(n_left), left, shown(n_right), right);
    /* A pair named twice has its last rank. */
    *merge_slot(v, (uint32_t)left_id, (uint32_t)right_id) = (gsai_merge){(uint32_t)left_id, (uint32_t)right_id, rank};
    v->merged[rank] = (uint32_t)id;
    v->n_merges++;
    return GSA_OK;
}

gsa_status gsai_vocab_add_pair(gsai_vocab *v, uint32_t left, uint32_t right, uint32_t id, uint32_t priority)
{
    const uint32_t rank = v->n_merges;
    if (rank >= v->max_merges || !v->priority)
        return gsai_fail(GSA_ERROR_ARGUMENT, "merge %u is outside of what was reserved", rank);
    *merge_slot(v, left, right) = (gsai_merge){left, right, rank};
    v->merged[rank] = id;
    v->priority[rank] = priority;
    v->n_merges++;
    return GSA_OK;
}

gsa_status gsai_vocab_add_added(gsai_vocab *v, uint32_t id, unsigned added_flags, bool special)
{
    if (id >= v->n_tokens || v->n_added >= v->max_added)
        return gsai_fail(GSA_ERROR_ARGUMENT, "added token %u is outside of what was reserved", id);
    gsai_token *token = &v->tokens[id];
    if (token->flags & GSAI_TOKEN_ADDED)
        return gsai_fail(GSA_ERROR_FORMAT, "the token \"%s\" (id %u) is added twice", gsai_vocab_text(v, id), id);
    if (token->size == 0 || token->size > GSAI_MAX_ADDED_SIZE)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "added token %u has %u bytes; 1 to %d are supported", id, token->size,
            GSAI_MAX_ADDED_SIZE);
    token->flags |= GSAI_TOKEN_ADDED | (special ? GSAI_TOKEN_SPECIAL : 0);
    const uint32_t order = v->n_added + (special ? 0 : v->max_added); /* special ones come first */
    v->added[v->n_added++] = (gsai_added){.size = token->size, .id = id, .order = order, .flags = (uint8_t)added_flags};
    return GSA_OK;
}

static int compare_ids(const void *x, const void *y)
{
    const gsai_added *a = x, *b = y;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Texts to look for: as written, or as the normalizer turns them. */
static gsa_status set_added_texts(gsai_vocab *v)
{
    const gsa_allocator *a = &v->allocator;
    gsai_buffer other = {0};
    gsa_status status = GSA_OK;
    for (uint32_t i = 0; i < v->n_added && status == GSA_OK; i++) {
        gsai_added *t = &v->added[i];
        if (!(t->flags & GSAI_ADDED_NORMALIZED)) continue;
        gsai_buffer text = {0};
        if (!gsai_buffer_append(a, &text, gsai_vocab_text(v, t->id), t->size))
            status = gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for added tokens");
        else
            status = gsai_rewrite_apply(a, v->normalizer, v->n_normalizer, &text, &other, GSAI_MAX_ADDED_SIZE);
        if (status == GSA_ERROR_LIMIT || (status == GSA_OK && !text.size))
            status = gsai_fail(GSA_ERROR_UNSUPPORTED,
                "the normalizer makes added token %u empty or longer than %d bytes", t->id, GSAI_MAX_ADDED_SIZE);
        t->size = (uint32_t)text.size;
        if (status == GSA_OK && !gsai_buffer_append(a, &v->added_text, text.data, text.size))
            status = gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for added tokens");
        gsai_buffer_free(a, &text);
    }
    gsai_buffer_free(a, &other);
    if (status != GSA_OK) return status;
    const char *next = v->added_text.data; /* does not move any more */
    for (uint32_t i = 0; i < v->n_added; i++) {
        gsai_added *t = &v->added[i];
        t->text = gsai_vocab_text(v, t->id);
        if (!(t->flags & GSAI_ADDED_NORMALIZED)) continue;
        t->text = next;
        next += t->size;
        v->tokens[t->id].flags |= GSAI_TOKEN_REWRITTEN;
    }
    if (v->n_added) qsort(v->added, v->n_added, sizeof *v->added, compare_ids);
    return GSA_OK;
}

const char *gsai_vocab_decoded_text(const gsai_vocab *v, uint32_t id, size_t *size)
{
    const gsai_added key = {.id = id}, *added = NULL;
    if (v->tokens[id].flags & GSAI_TOKEN_REWRITTEN)
        added = bsearch(&key, v->added, v->n_added, sizeof key, compare_ids);
    *size = added ? added->size : v->tokens[id].size;
    return added ? added->text : gsai_vocab_text(v, id);
}

gsa_status gsai_vocab_seal(gsai_vocab *v)
{
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        const int n = snprintf(name, sizeof name, "<0x%02X>", b);
        v->byte_ids[b] = gsai_vocab_find_model(v, name, (size_t)n);
    }
    gsa_status status = set_added_texts(v);
    if (status == GSA_OK) status = gsai_added_index_build(v, 0, &v->raw);
    if (status == GSA_OK) status = gsai_added_index_build(v, GSAI_ADDED_NORMALIZED, &v->normalized);
    return status;
}
