/* Packing spans into passes: which tokens of which sessions go through the model together. No device.
 *
 * Rules: all chunks of a pass are of one class (one, few, many rows) and all slots of one arena page. A few-row chunk has a
 * pass of its own. A chunk is cut at multiples of GSA_CHUNK from the span's first token, whatever else is in the pass:
 * that is what makes the bits of a token independent of slicing and company. */
#ifndef GSAI_PACK_H
#define GSAI_PACK_H

#include "session/capacity.h"
#include "session/engine.h"

typedef struct gsai_pack_entry {
    uint32_t span; /* index into the spans */
    uint32_t first_token, n_tokens;
    uint32_t first_wanted, n_wanted;
    bool last; /* the span's last token is in here */
} gsai_pack_entry;

typedef struct gsai_pack {
    gsai_row_class rows;
    uint32_t page;
    uint32_t n_rows; /* filled up for many-row passes, see gsai_capacity */
    uint32_t n_chunks, n_wanted, n_entries;
    gsai_row_class wanted_class;
    gsai_choose choose;
    bool copy_logits;
    uint32_t generate; /* tokens that every session of the pass may generate in a row; at least 1 */
    bool advance;      /* they need gsai_op_advance */
    gsai_pack_entry entries[GSAI_MAX_SPANS];
} gsai_pack;

/* Next pass: tokens of spans beyond done[i], at most row_budget rows (at least one chunk). table [k->work_uints] is
 * filled. False when nothing is left. */
bool gsai_pack_next(const gsai_capacity *k, const gsai_span *spans, uint32_t n_spans, const uint32_t *done,
    uint32_t row_budget, uint32_t *table, gsai_pack *out);

#endif
