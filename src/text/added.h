/* Finding added tokens in text. */
#ifndef GSAI_ADDED_H
#define GSAI_ADDED_H

#include "text/vocab.h"

/* Index those of v->added whose GSAI_ADDED_NORMALIZED flag equals kind. UNSUPPORTED: too many bytes; HOST_MEMORY.
 * Also a half-built index must be freed. */
gsa_status gsai_added_index_build(const gsai_vocab *v, unsigned kind, gsai_added_index *index);
void gsai_added_index_free(const gsai_vocab *v, gsai_added_index *index);

/* A piece of the text: [begin, end), and the added token it is, or -1. */
typedef struct gsai_piece {
    size_t begin, end;
    int32_t id;
} gsai_piece;

/* Cuts valid UTF-8 at added tokens: at each place from left to right the longest one. Begin with the first four fields
 * set and the others zero. */
typedef struct gsai_added_scan {
    const gsai_vocab *vocab;
    const gsai_added_index *index;
    const char *text;
    size_t n;
    size_t search;                 /* where the next match may start */
    size_t done;                   /* what lies before is given out */
    size_t spaces_from, spaces_to; /* the run of white space looked at last, so that none is looked at often */
    gsai_piece held;               /* a token whose text before it was given out first */
    bool holds;
} gsai_added_scan;

/* The next piece; false at the end. Pieces of text are not empty. */
bool gsai_added_next(gsai_added_scan *s, gsai_piece *piece);

#endif
