/* What the resident step (resident_step.comp) and its host share. The list of phases is an array of uints,
 * GSA_RESIDENT_STRIDE to a phase: one product of the pass, in order. Addresses take two uints, the lower first. Read by C
 * and GLSL. */
#ifndef GSA_RESIDENT_H
#define GSA_RESIDENT_H

#include "mixer.h"

#define GSA_RESIDENT_WEIGHTS    0u  /* address of row 0 */
#define GSA_RESIDENT_NORM       2u  /* of the norm's weights; 0: ones */
#define GSA_RESIDENT_X          4u  /* of the input's floats */
#define GSA_RESIDENT_Y          6u  /* of the output's */
#define GSA_RESIDENT_STATE      8u  /* of the layer's first slot; with STEP */
#define GSA_RESIDENT_KIND       10u /* GSA_RESIDENT_STORE .. */
#define GSA_RESIDENT_X_VECS     11u /* vectors of four floats of the input */
#define GSA_RESIDENT_ROW_VECS   12u /* 16-byte vectors from one weight row to the next */
#define GSA_RESIDENT_PAIR_ROWS  13u /* weight rows from one pair's first to the next's */
#define GSA_RESIDENT_SECOND_ROW 14u /* weight rows from a pair's first to its second */
#define GSA_RESIDENT_SPLIT      15u /* log2 of the subgroups that share a pair */
#define GSA_RESIDENT_LOADS      16u /* units of a lane in a row, at most */
#define GSA_RESIDENT_NORMED     17u
#define GSA_RESIDENT_EPS        18u
#define GSA_RESIDENT_SHARES     19u /* index of the pairs of each workgroup, GSA_RESIDENT_SHARE uints each */
#define GSA_RESIDENT_STRIDE     20u

#define GSA_RESIDENT_STORE      0u
#define GSA_RESIDENT_ADD        1u /* to what y holds */
#define GSA_RESIDENT_SWIGLU     2u /* one output of a pair: act(first) second */
#define GSA_RESIDENT_STEP       3u /* q k v f, then the GSA step */

/* Pairs of a workgroup: two runs; with STEP the first has the queries, in whole tiles. */
#define GSA_RESIDENT_SHARE      4u /* first pair and number of pairs of either run */

/* The counters of a submission: whether a wait was given up, then arrivals of each run, GSA_RESIDENT_LINE apart. */
#define GSA_RESIDENT_LINE       64u
#define GSA_RESIDENT_GIVEN_UP   0x80000000u

struct gsa_resident_push {
    uint n_phases;
    uint counter;   /* index of this run's arrivals */
    uint max_polls; /* of one wait */
    uint n_groups;  /* that must arrive */
    uint chunk;     /* the row's chunk in the work table */
    uint K, V, M;
    uint state_stride, hk, hv;
    uint k_row, v_row, f_row; /* weight rows and columns of y where k, v and f begin; queries are first */
    uint tile;                /* rows of the key memory behind a partial score */
    uint k_tiles;
    uint tiles;                  /* rows of the key memory that a task of the step writes */
    uint tasks, n_tasks;         /* of a kv head, of all */
    uint partial_lo, partial_hi; /* addresses */
    uint o_lo, o_hi;
    float scale, normalizer;
    uint map; /* GSA_MAP_* */
    uint act;   /* GSA_ACT_* */
    uint leave; /* for tests: the phase in which workgroup 0 leaves; 0: never */
};

struct gsa_resident_keep_push {
    uint layer;              /* uints of the list for a layer */
    uint chunk;              /* as above */
    uint n_vecs;             /* of a layer's state */
    uint spare_lo, spare_hi; /* address of the copy */
};

#endif
