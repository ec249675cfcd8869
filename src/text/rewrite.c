#include "text/rewrite.h"

#include "util/status.h"

/* Next place of what in text [n], or n. */
static size_t find(const char *text, size_t n, size_t from, const char *what, size_t n_what)
{
    while (n - from >= n_what) {
        const char *p = memchr(text + from, what[0], n - from - n_what + 1);
        if (!p) break;
        from = (size_t)(p - text);
        if (memcmp(p, what, n_what) == 0) return from;
        from++;
    }
    return n;
}

static bool append_step(
    const gsa_allocator *a, const gsai_rewrite *step, const gsai_buffer *text, gsai_buffer *out, size_t limit)
{
    if (step->n_from == 0) {
        if (!text->size) return true;
        return gsai_buffer_append(a, out, step->to, step->n_to) && gsai_buffer_append(a, out, text->data, text->size);
    }
    for (size_t i = 0; i < text->size && out->size <= limit;) {
        const size_t next = find(text->data, text->size, i, step->from, step->n_from);
        if (!gsai_buffer_append(a, out, text->data + i, next - i)) return false;
        if (next == text->size) break;
        if (!gsai_buffer_append(a, out, step->to, step->n_to)) return false;
        i = next + step->n_from;
    }
    return true;
}

gsa_status gsai_rewrite_apply(const gsa_allocator *a, const gsai_rewrite *steps, uint32_t n_steps, gsai_buffer *text,
    gsai_buffer *other, size_t limit)
{
    const size_t n_before = text->size;
    for (uint32_t i = 0; i < n_steps; i++) {
        other->size = 0;
        if (!append_step(a, &steps[i], text, other, limit))
            return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory to rewrite %zu bytes of text", text->size);
        const gsai_buffer swap = *text;
        *text = *other;
        *other = swap;
        if (text->size > limit)
            return gsai_fail(
                GSA_ERROR_LIMIT, "the tokenizer's rules make a text of %zu bytes longer than %zu", n_before, limit);
    }
    return GSA_OK;
}

gsa_status gsai_rewrite_add(const gsa_allocator *a, const char *where, gsai_rewrite **list, uint32_t *n,
    const char *from, size_t n_from, const char *to, size_t n_to)
{
    if (!*list) *list = gsai_alloc_array(a, GSAI_MAX_REWRITES, sizeof **list);
    if (!*list) return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory", where);
    if (*n == GSAI_MAX_REWRITES || n_from > GSAI_MAX_REWRITE || n_to > GSAI_MAX_REWRITE)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: more than %d steps, or a text of more than %d bytes", where,
            GSAI_MAX_REWRITES, GSAI_MAX_REWRITE);
    gsai_rewrite *r = &(*list)[(*n)++];
    memcpy(r->from, from, n_from);
    memcpy(r->to, to, n_to);
    r->n_from = (uint16_t)n_from;
    r->n_to = (uint16_t)n_to;
    return GSA_OK;
}
