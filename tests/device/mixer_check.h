/* Tests of the mixer's ops: the known questions of ops/verify_gsa.c, and longer case lists for their runners. */
#ifndef TEST_DEVICE_MIXER_CHECK_H
#define TEST_DEVICE_MIXER_CHECK_H

#include "ops_check.h"
#include "ops/verify_mixer.h"

static inline void assert_mixer_cases(const char *op, const gsai_verify_case *cases, uint32_t n_cases)
{
    for (uint32_t i = 0; i < gsai_n_verify_gsa; i++)
        if (strcmp(gsai_verify_gsa[i].op, op) == 0) {
            assert_set(op, gsai_verify_gsa[i].run, cases, n_cases, 0);
            return;
        }
    fail_msg("no known questions for %s", op);
}

/* Rows [first, first + n) of the only session of m, from the given state: a later piece of the same text. */
static inline gsai_check_mixer mixer_slice(
    const gsai_check_mixer *m, gsai_check_span *span, uint32_t first, uint32_t n, float *from_state)
{
    gsai_check_mixer slice = *m;

    *span = (gsai_check_span){m->spans[0].slot, 0, n};
    slice.x = m->x + (uint64_t)first * m->columns.width;
    slice.T = n;
    slice.n_spans = 1;
    slice.spans = span;
    slice.state = from_state;
    return slice;
}

#endif
