/* What the resident step (resident_step.comp) and its host share. The list is an array of uints that tells the phases of a
 * layer, one product of the pass each or the last one's part, n_phases of them: what is the same in all layers [n_phases]
 * [GSA_RESIDENT_STRIDE(n_phases)]; a workgroup's pairs [n_groups][n_phases][GSA_RESIDENT_SHARE]; addresses, which take two
 * uints, the lower first [n_layers][GSA_RESIDENT_LAYER]. Read by C and GLSL. With the head it is one phase more, and
 * addresses are of one layer more, whose last product it is.
 *
 * Where x of the last product does not fit shared memory it comes in windows, runs of its columns, one phase each: sums go
 * on from window to window. As only so many can, there may be several rounds of all windows, each for a batch of pairs. */
#ifndef GSA_RESIDENT_H
#define GSA_RESIDENT_H

#include "mixer.h"

#define GSA_RESIDENT_PRODUCTS   4u  /* q k v f with the GSA step, o, gate and up, down */
#define GSA_RESIDENT_MOST       32u /* phases */

/* Of a phase. */
#define GSA_RESIDENT_KIND       0u  /* GSA_RESIDENT_ADD .. */
#define GSA_RESIDENT_X          1u  /* place of the input in a layer of the post; of the first phase it is the layer before */
#define GSA_RESIDENT_Y          2u  /* of the output */
#define GSA_RESIDENT_BEFORE     3u  /* with ADD: of what it is added to, in the layer before for o */
#define GSA_RESIDENT_X_VECS     4u  /* vectors of four floats of the input */
#define GSA_RESIDENT_ROW_VECS   5u  /* 16-byte vectors from one weight row to the next */
#define GSA_RESIDENT_PAIR_ROWS  6u  /* weight rows from one pair's first to the next's */
#define GSA_RESIDENT_SECOND_ROW 7u  /* weight rows from a pair's first to its second */
#define GSA_RESIDENT_SPLIT      8u  /* log2 of the subgroups that share a pair */
#define GSA_RESIDENT_LOADS      9u  /* units of a lane in a row, at most */
#define GSA_RESIDENT_NORMED     10u
#define GSA_RESIDENT_EPS        11u
#define GSA_RESIDENT_WHOLE      12u /* fields where no product has windows */
#define GSA_RESIDENT_WINDOW     12u /* GSA_RESIDENT_PART and others; 0: all columns */
#define GSA_RESIDENT_FIRST_UNIT 13u /* of a row, of the window; X, X_VECS and LOADS are the window's */
#define GSA_RESIDENT_UNITS      14u /* of a row */
#define GSA_RESIDENT_STRIDE(N_PHASES) ((N_PHASES) > GSA_RESIDENT_PRODUCTS ? 15u : GSA_RESIDENT_WHOLE)

/* Of a layer: addresses of each product's weights, of its norm's (0: ones), and of the first slot of states. */
#define GSA_RESIDENT_WEIGHTS    0u
#define GSA_RESIDENT_NORM       8u
#define GSA_RESIDENT_STATE      16u
#define GSA_RESIDENT_LAYER      18u

#define GSA_RESIDENT_ADD        0u /* to what x was */
#define GSA_RESIDENT_SWIGLU     1u /* one output of a pair: act(first) second */
#define GSA_RESIDENT_STEP       2u /* q k v f, then the GSA step */
#define GSA_RESIDENT_LOGITS     3u /* to the pass's logits */

#define GSA_RESIDENT_PART       1u /* of the columns only */
#define GSA_RESIDENT_GOES_ON    2u /* from the sums of the phase before */
#define GSA_RESIDENT_MORE       4u /* in the phase behind */

/* A workgroup's pairs in a phase: first pair and number of pairs of two runs; of q k v f the first has the queries, in
 * whole tiles. */
#define GSA_RESIDENT_SHARE      4u

/* What workgroups tell each other, the post: word 0 is not 0 once a wait was given up; from GSA_RESIDENT_LINE on two
 * sets of values, n_layers * layer_words words each. A run takes one and empties the other for the next run. A word
 * that is 0 has not been written; else its complement is a float. Rows that are inputs of products lie so that lanes
 * of a subgroup, LANES of them, which take four floats each, meet neighbouring words (GSA_RESIDENT_ROW_WORDS of them);
 * q k v g and partial scores lie in order. */
#define GSA_RESIDENT_LINE       64u
#define GSA_RESIDENT_ROW_WORDS(N, LANES) (((N) + 4u * (LANES)-1u) / (4u * (LANES)) * (4u * (LANES)))

struct gsa_resident_push {
    uint max_polls; /* of one wait */
    uint n_groups;
    uint chunk;     /* the row's chunk in the work table */
    uint post_lo, post_hi; /* address of the run's set */
    uint other;        /* word where the next run's begins */
    uint layer_words;  /* of a set */
    uint partial, o;   /* places of partial scores and of what the step reads, in a layer */
    uint x_lo, x_hi;   /* address of the pass's x */
    uint state_stride, hk, hv;
    float scale, normalizer;
    uint leave; /* for tests: the phase in which workgroup 0 leaves; 0: never */
    uint logits_lo, logits_hi; /* with the head: address of its outputs; 0: x is wanted instead */
};

struct gsa_resident_keep_push {
    uint first;              /* uint of the list where the first layer's address of states is */
    uint chunk;              /* as above */
    uint n_vecs;             /* of a layer's state */
    uint spare_lo, spare_hi; /* address of the copy */
};

#endif
