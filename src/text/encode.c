#include "text/encode.h"

#include "text/added.h"
#include "text/pretokenize.h"
#include "text/rewrite.h"
#include "text/unicode.h"
#include "util/status.h"

typedef struct encoder {
    const gsai_vocab *v;
    gsai_ids *ids;
    gsai_buffer repaired, normalized, marked, piece, other;
    gsai_bpe bpe;
} encoder;

static gsa_status no_memory(size_t n)
{
    return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory to encode %zu bytes of text", n);
}

/* A piece that no merge crosses. */
static gsa_status encode_piece(encoder *e, const char *text, size_t n)
{
    const gsai_vocab *v = e->v;
    if (!v->byte_level) return gsai_bpe_encode(v, &e->bpe, text, n, e->ids);
    e->piece.size = 0;
    if (!gsai_buffer_reserve(&v->allocator, &e->piece, 2 * n)) return no_memory(n);
    for (size_t i = 0; i < n; i++)
        e->piece.size += gsai_utf8_put(e->piece.data + e->piece.size, gsai_byte_to_char((uint8_t)text[i]));
    return gsai_bpe_encode(v, &e->bpe, e->piece.data, e->piece.size, e->ids);
}

/* Normalized text without added tokens. */
static gsa_status encode_plain(encoder *e, const char *text, size_t n, bool is_first)
{
    const gsai_vocab *v = e->v;
    const gsa_allocator *a = &v->allocator;
    const size_t n_mark = strlen(v->mark);
    const bool replace = n_mark && strcmp(v->mark, " ") != 0;
    const bool may_prefix = v->prefix == GSAI_PREFIX_ALWAYS || (v->prefix == GSAI_PREFIX_FIRST && is_first);
    const bool starts = n >= n_mark && memcmp(text, v->mark, n_mark) == 0;
    const bool prefix = may_prefix && !starts && !(replace && text[0] == ' ');
    if (replace || prefix) {
        e->marked.size = 0;
        if (prefix && !gsai_buffer_append(a, &e->marked, v->mark, n_mark)) return no_memory(n);
        for (size_t i = 0, next; i < n; i = next + 1) {
            const char *space = replace ? memchr(text + i, ' ', n - i) : NULL;
            next = space ? (size_t)(space - text) : n;
            if (!gsai_buffer_append(a, &e->marked, text + i, next - i)) return no_memory(n);
            if (space && !gsai_buffer_append(a, &e->marked, v->mark, n_mark)) return no_memory(n);
        }
        text = e->marked.data;
        n = e->marked.size;
    }
    if (n > GSAI_MAX_TEXT)
        return gsai_fail(
            GSA_ERROR_LIMIT, "the tokenizer's rules make the text longer than %zu bytes; split it", GSAI_MAX_TEXT);
    for (size_t i = 0, end; i < n; i = end) {
        end = gsai_split_next(v->split, v->mark, text, i, n);
        const gsa_status status = encode_piece(e, text + i, end - i);
        if (status != GSA_OK) return status;
    }
    return GSA_OK;
}

/* Text as the caller wrote it between added tokens that are looked for there. */
static gsa_status encode_raw(encoder *e, const char *text, size_t n, bool is_first)
{
    const gsai_vocab *v = e->v;
    gsa_status status = GSA_OK;
    if (v->n_normalizer) {
        e->normalized.size = 0;
        if (!gsai_buffer_append(&v->allocator, &e->normalized, text, n)) return no_memory(n);
        status = gsai_rewrite_apply(
            &v->allocator, v->normalizer, v->n_normalizer, &e->normalized, &e->other, gsai_rewrite_limit(n));
        text = e->normalized.data;
        n = e->normalized.size;
    }
    gsai_added_scan scan = {v, &v->normalized, text, n};
    for (gsai_piece p; status == GSA_OK && gsai_added_next(&scan, &p);) {
        if (p.id >= 0)
            status = gsai_ids_append(&v->allocator, e->ids, &p.id, 1);
        else
            status = encode_plain(e, text + p.begin, p.end - p.begin, is_first && p.begin == 0);
    }
    return status;
}

gsa_status gsai_encode(const gsai_vocab *v, const char *text, size_t n, bool add_special, gsai_ids *ids)
{
    encoder e = {.v = v, .ids = ids};
    const gsa_allocator *a = &v->allocator;
    gsa_status status = GSA_OK;
    if (n && !gsai_utf8_is_valid(text, n)) {
        if (!gsai_utf8_repair(a, &e.repaired, text, n)) status = no_memory(n);
        text = e.repaired.data;
        n = e.repaired.size;
    }
    if (status == GSA_OK && add_special) status = gsai_ids_append(a, ids, v->before, v->n_before);
    gsai_added_scan scan = {v, &v->raw, text, n};
    for (gsai_piece p; status == GSA_OK && gsai_added_next(&scan, &p);) {
        if (p.id >= 0)
            status = gsai_ids_append(a, ids, &p.id, 1);
        else
            status = encode_raw(&e, text + p.begin, p.end - p.begin, p.begin == 0);
    }
    if (status == GSA_OK && add_special) status = gsai_ids_append(a, ids, v->after, v->n_after);
    gsai_buffer_free(a, &e.repaired);
    gsai_buffer_free(a, &e.normalized);
    gsai_buffer_free(a, &e.marked);
    gsai_buffer_free(a, &e.piece);
    gsai_buffer_free(a, &e.other);
    gsai_bpe_free(a, &e.bpe);
    return status;
}
