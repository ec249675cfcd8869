/* Text to ids: added tokens, normalizer, pre-tokenizer, merges, post-processor. */
#ifndef GSAI_ENCODE_H
#define GSAI_ENCODE_H

#include "text/bpe.h"

/* Append the ids of text [n] to ids, which the caller frees in any case. n at most GSAI_MAX_TEXT.
 * LIMIT, HOST_MEMORY: ids may hold a part. */
gsa_status gsai_encode(const gsai_vocab *v, const char *text, size_t n, bool add_special, gsai_ids *ids);

#endif
