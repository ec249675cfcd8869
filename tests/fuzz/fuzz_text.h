/* Using a tokenizer that came out of a stranger's file. */
#ifndef GSA_FUZZ_TEXT_H
#define GSA_FUZZ_TEXT_H

#include "gsa/tokenizer.h"

/* Encode parts of data and other texts, decode what came out and other ids, by all ways that must agree. */
void fuzz_use_tokenizer(const gsa_tokenizer *t, const uint8_t *data, size_t size, const gsa_allocator *allocator);

#endif
