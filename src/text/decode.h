/* Ids to text, one at a time. */
#ifndef GSAI_DECODE_H
#define GSAI_DECODE_H

#include "text/vocab.h"

/* Zeroed but for the first two fields is the start of a text. */
typedef struct gsai_decoder {
    const gsai_vocab *v;
    bool skip_special;
    bool started;        /* a token was decoded */
    uint32_t n_stripped; /* of the characters to strip; n_strip when a kept one came */
    gsai_buffer held;    /* bytes that later tokens may still change */
    gsai_buffer token, other;
} gsai_decoder;

/* Append what one more id makes certain to out. ARGUMENT (id out of range), HOST_MEMORY: decoder and out hold what they
 * held. */
gsa_status gsai_decoder_push(gsai_decoder *d, int32_t id, gsai_buffer *out);
/* Append the rest and start anew. HOST_MEMORY: as above. */
gsa_status gsai_decoder_finish(gsai_decoder *d, gsai_buffer *out);
void gsai_decoder_free(gsai_decoder *d);

#endif
