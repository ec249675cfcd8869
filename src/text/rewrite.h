/* Text rewriting by normalizers and decoders. */
#ifndef GSAI_REWRITE_H
#define GSAI_REWRITE_H

#include "text/vocab.h"

/* Apply steps [n_steps] to text in order. other is scratch; the two may be swapped. LIMIT: the text would grow past
 * limit bytes; HOST_MEMORY. On failure both buffers hold something and must still be freed. */
gsa_status gsai_rewrite_apply(const gsa_allocator *a, const gsai_rewrite *steps, uint32_t n_steps, gsai_buffer *text,
    gsai_buffer *other, size_t limit);

/* Append a step to a list of at most GSAI_MAX_REWRITES. where is for messages. UNSUPPORTED: too many or too long;
 * HOST_MEMORY. */
gsa_status gsai_rewrite_add(const gsa_allocator *a, const char *where, gsai_rewrite **list, uint32_t *n,
    const char *from, size_t n_from, const char *to, size_t n_to);

#endif
