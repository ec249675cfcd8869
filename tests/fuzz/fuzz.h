/* What a fuzz target is: a function that takes one file of a stranger. It is built twice: with libFuzzer (fuzz_main.c),
 * which invents files, and as a plain program (replay.c), which reads those of corpus/. */
#ifndef GSA_FUZZ_H
#define GSA_FUZZ_H

#include "gsa/base.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Open data as what the target reads; if that works, use all of it. The status is that of opening, its text is in
 * gsa_error_text(). Everything is taken from the allocator and given back to it before the return. */
gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator);

/* A name that changes from run to run and must not stay in messages ("" = none). */
extern char fuzz_hidden[64];

/* Collects the log: one line each, printable, not endless. */
gsa_log fuzz_log(void);

/* A change to a file that keeps some of its structure. Returns the new size; 0 = nothing sensible, change bytes. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t max_size, uint32_t seed);
/* The same for a JSON text that is a part of a file. */
size_t fuzz_mutate_json(uint8_t *text, size_t size, size_t max_size, uint32_t seed);
/* libFuzzer's own change of bytes; in a plain program nothing changes. */
size_t fuzz_mutate_bytes(uint8_t *data, size_t size, size_t max_size);

static inline uint32_t fuzz_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* A promise of the library; a broken one is a finding. */
#define FUZZ_CHECK(x)                                                                                                  \
    do {                                                                                                               \
        if (!(x)) {                                                                                                    \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x);                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
