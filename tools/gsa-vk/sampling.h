/* The options that choose tokens, the same in every command that generates. */
#ifndef SAMPLING_H
#define SAMPLING_H

#include "cli.h"
#include "gsa/gsa.h"

typedef struct sampling {
    double temperature, top_p, min_p, repeat_penalty; /* negative = not given */
    uint64_t top_k, repeat_last_n, seed;              /* UINT64_MAX = not given */
    bool is_given;                                    /* any of them, once settled */
} sampling;

#define SAMPLING_INIT                                                                                                  \
    {                                                                                                                  \
        -1, -1, -1, -1, UINT64_MAX, UINT64_MAX, UINT64_MAX, false                                                      \
    }

#define SAMPLING_OPTIONS(s)                                                                                            \
    {CLI_REAL, 0, "temp", "X", "temperature; 0: always the likeliest token (0.8)", &(s)->temperature, 0, 1000},        \
        {CLI_UINT, 0, "top-k", "N", "draw from the N likeliest; 0: off (40)", &(s)->top_k, 0, 1e9},                    \
        {CLI_REAL, 0, "top-p", "X", "draw from the fewest that have this share; 1: off (0.95)", &(s)->top_p, 0, 1},    \
        {CLI_REAL, 0, "min-p", "X", "drop what is less likely than X times the likeliest (0)", &(s)->min_p, 0, 1},     \
        {CLI_REAL, 0, "repeat-penalty", "X", "make repeated tokens less likely; 1: off (1)", &(s)->repeat_penalty, 0,  \
            1000},                                                                                                     \
        {CLI_UINT, 0, "repeat-last-n", "N", "tokens that the penalty looks back (64)", &(s)->repeat_last_n, 1, 256},   \
    {                                                                                                                  \
        CLI_UINT, 's', "seed", "N", "of the random numbers; default: the clock", &(s)->seed, 0, 0                      \
    }

void sampling_settle(sampling *s);                           /* after parsing: what was not given gets its default */
int sampling_open(const sampling *s, gsa_sampler **sampler); /* 0, or 1 after fail() */

#endif
