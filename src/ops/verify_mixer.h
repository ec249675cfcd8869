/* Questions for the mixer's ops: sessions with rows and states, cut into chunks as a pass cuts them, and the answers of
 * the CPU reference. */
#ifndef GSAI_VERIFY_MIXER_H
#define GSAI_VERIFY_MIXER_H

#include "ops/verify.h"

/* Rows [first_row, first_row + n_rows) of the pass belong to one session, whose state lies in slot. */
typedef struct gsai_check_span {
    uint32_t slot, first_row, n_rows;
} gsai_check_span;

#define GSAI_CHECK_MAX_WORKS 3

/* The calls of a pass, in order; together they serve all rows. */
typedef struct gsai_check_works {
    gsai_work work[GSAI_CHECK_MAX_WORKS];
    uint32_t n;
} gsai_check_works;

/* Spans in chunks of GSA_CHUNK rows, what is left over as a shorter chunk; each class of chunks is a work of its own,
 * long chunks first. singly: every row is a chunk. Each work also has an idle span and an idle chunk. */
gsai_check_works gsai_check_cut(gsai_check *c, const gsai_check_span *spans, uint32_t n_spans, bool singly);

typedef enum gsai_check_gates {
    GSAI_GATES_USUAL,  /* log-sigmoid over 8 */
    GSAI_GATES_MIXED,  /* some forget everything: -50 */
    GSAI_GATES_KEEP,   /* -1e-6 */
    GSAI_GATES_FORGET, /* -20 to -100 */
    GSAI_N_GATES
} gsai_check_gates;

/* A pass as host memory: x [T][width] = [q | k | v | g | s], tightly packed; state [n_slots][at.n_floats], as floats whatever
 * the device keeps. */
typedef struct gsai_check_mixer {
    gsai_config config; /* with states of f16 where the asked kernel is for these */
    gsai_layer_state at;
    gsai_qkvf columns; /* rows unset */
    uint32_t T, n_slots, n_spans;
    gsai_check_span *spans;
    float *x, *state;
    bool projections; /* x holds q k v f as projected: the op makes maps, gates and silu(o) itself */
    const float
        *mapped; /* with projections on matrix units: [T][width], q k v with their maps, which the op takes as f16 */
} gsai_check_mixer;

/* n_sessions sessions in scattered slots of a few more, session i with T - i * less rows (at least 1). False when host memory is out. */
bool gsai_check_mixer_make(gsai_check *c, const gsai_config *config, uint32_t n_sessions, uint32_t T, uint32_t less,
    gsai_check_gates gates, gsai_check_mixer *out);

/* The reference's outputs o [T][H V] and states after, allocated; NULL after a failure. */
float *gsai_check_mixer_reference(gsai_check *c, const gsai_check_mixer *m, float **state);

/* Place everything, run the pass, compare with want (any part of it may be NULL). What came back is stored tightly into
 * got_o [T][H V] and got_state, if given. */
void gsai_check_mixer_run(gsai_check *c, const gsai_check_mixer *m, bool singly, const float *want_o,
    const float *want_state, float *got_o, float *got_state);

#endif
