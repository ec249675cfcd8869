/* Text rewriting by normalizers and decoders. */
#ifndef GSAI_REWRITE_H
#define GSAI_REWRITE_H

#include "text/vocab.h"

/* Apply steps [n_steps] to text in order. other is scratch; the two may be swapped. LIMIT: the text would grow past
 * limit bytes; HOST_MEMORY. On failure both buffers hold something and must still be freed. */
gsa_status gsai_rewrite_apply(const gsa_allocator *a, const gsai_rewrite *steps, uint32_t n_steps, gsai_buffer *text,
    gsai_buffer *other, size_t limit);

#endif
