/* The phases of a layer in the resident step: its products, the last of which may be in windows of its columns. */
#ifndef GSAI_OPS_RESIDENT_PHASES_H
#define GSAI_OPS_RESIDENT_PHASES_H

#include "ops/resident.h"

#include "common/resident.h"

#define GSAI_RESIDENT_LAST       (GSA_RESIDENT_PRODUCTS - 1) /* the product whose x may come in windows */
#define GSAI_RESIDENT_HEAD       GSA_RESIDENT_PRODUCTS       /* as a product; phase n_phases */
#define GSAI_RESIDENT_LEAST_TILE 8u                          /* of the key memory, see gsa_step.c */

typedef struct gsai_resident_phase {
    uint32_t product, batch;
    uint32_t first_load, loads; /* of a lane in a row */
    uint32_t window;            /* GSA_RESIDENT_PART and others */
} gsai_resident_phase;

gsai_resident_phase gsai_resident_phase_of(const gsai_resident_shape *s, uint32_t i);
/* The first load of window i. */
uint32_t gsai_resident_window_begin(const gsai_resident_shape *s, uint32_t i);

/* Units of a row that a phase begins with and has, and the same in vecs of x. */
typedef struct gsai_resident_columns {
    uint32_t first_unit, units, first_vec, vecs;
} gsai_resident_columns;

gsai_resident_columns gsai_resident_columns_of(
    const gsai_resident_shape *s, const gsai_resident_phase *f, uint32_t n_cols);

/* Pairs of a workgroup that its subgroups, or teams of them, take at a time. */
uint32_t gsai_resident_teams(const gsai_resident_shape *s, uint32_t product);
/* What each group has of a phase; shares of groups lie a stride apart. */
void gsai_resident_share_phase(const gsai_resident_shape *s, const gsai_config *c, const gsai_resident_phase *f,
    uint32_t n_pairs, uint32_t *shares, uint32_t stride);

#endif
