/* How large passes, tables and arenas are on a device for a model: arithmetic only, shared by the engine and the plan. */
#ifndef GSAI_CAPACITY_H
#define GSAI_CAPACITY_H

#include "model/forward.h"

#define GSAI_N_LANES    4   /* passes in flight */
#define GSAI_MAX_SPANS  256 /* sessions of one pass */
#define GSAI_MAX_REPEAT 16  /* tokens that a pass generates for each session at most */

typedef struct gsai_limits { /* of the device, or common ones for a plan without a device */
    uint64_t max_range, max_allocation;
    uint32_t align;
    uint32_t pass_rows; /* unless asked for others */
    bool cpu_driver;
} gsai_limits;

gsai_limits gsai_limits_of(const gsa_device *dev); /* NULL = common limits */

typedef struct gsai_capacity {
    uint32_t n_slots, slots_per_page, n_pages;
    uint32_t max_rows;  /* of a pass of many-row chunks, a multiple of GSA_CHUNK */
    uint32_t max_spans; /* of a pass, also the rows of a pass of single tokens */
    uint32_t max_chunks;
    uint32_t max_wanted; /* rows of a pass whose logits can be wanted */
    uint32_t wanted_at_once;
    uint32_t row_step;   /* rows of a pass of many-row chunks are filled up to a multiple of it; */
    uint32_t least_rows; /* or to this, where they are no more */
    uint32_t singles;    /* when no more tokens of a prompt are left they take a pass each */
    uint32_t qkvf_width, qkvf_stride;
    /* work table, in uints */
    uint32_t spans_at, chunks_at, ids_at, wanted_at, sample_at, work_uints;
    uint64_t layer_state_bytes, state_bytes;
    /* read-back of a lane, in bytes */
    uint64_t tokens_at, tokens_stride, given_up_at, readback_bytes;
} gsai_capacity;

/* LIMIT names what does not fit one binding of the device. */
gsa_status gsai_capacity_of(
    const gsai_config *c, const gsai_limits *limits, uint32_t n_slots, uint32_t max_rows, gsai_capacity *out);

/* Places of all buffers, in one walk for the plan and the engine alike. */
typedef struct gsai_places {
    gsai_place x, h, qkvf, raw, o, gate_up, act, logits, wanted, tokens, gsa, work;
} gsai_places;
gsa_status gsai_capacity_scratch(const gsai_config *c, const gsai_capacity *k, gsai_layout *l, gsai_places *out);
/* arena [n_layers * n_pages] */
gsa_status gsai_capacity_arena(const gsai_config *c, const gsai_capacity *k, gsai_layout *l, gsai_place *arena);
uint32_t gsai_capacity_page_slots(const gsai_capacity *k, uint32_t page);
uint64_t gsai_capacity_host_bytes(const gsai_capacity *k);     /* staging, read-back and transfer buffers */
uint64_t gsai_capacity_staging_stride(const gsai_capacity *k); /* of a lane */
uint64_t gsai_capacity_transfer_bytes(const gsai_capacity *k);

#endif
