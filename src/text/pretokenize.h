/* Cutting text into the pieces that merges never cross. */
#ifndef GSAI_PRETOKENIZE_H
#define GSAI_PRETOKENIZE_H

#include "text/vocab.h"

/* The end of the piece that starts at text + from, from < n. Valid UTF-8. What lies before from does not matter; the
 * end of the text does. All pieces together take time linear in n. */
size_t gsai_split_next(gsai_split split, const char *mark, const char *text, size_t from, size_t n);

#endif
