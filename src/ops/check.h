/* Inside of a gsai_check (see verify.h): shared by check.c and verify.c. */
#ifndef GSAI_CHECK_H
#define GSAI_CHECK_H

#include "ops/verify.h"

#define GSAI_CHECK_MAX_PLACES 64

typedef struct gsai_check_memory { /* header of a block of host memory */
    struct gsai_check_memory *next;
    uint64_t padding; /* keeps what follows aligned to 16 */
} gsai_check_memory;

typedef struct gsai_check_place_info {
    uint64_t offset, size;
    gsai_check_use use;
    gsai_rows rows; /* when T > 0: the cells an op may write */
    uint32_t T, width;
} gsai_check_place_info;

struct gsai_check {
    gsa_device *dev;
    const gsai_verify_set *set;
    const gsai_variant *variant;

    gsa_status status;
    bool skipped; /* the case needs more than this device can bind */
    bool failed;  /* wrong beyond any tolerance: a stray write, or a finding of the case's own */
    double error, gpu_us;

    gsai_buffer device, upload, readback;
    uint8_t *image; /* what the device starts from */
    uint64_t capacity, used;
    gsai_check_place_info places[GSAI_CHECK_MAX_PLACES];
    uint32_t n_places;
    gsai_recorder *r;
    gsai_check_memory *memory;
    uint64_t random;
};

/* An arena of capacity bytes (less where allocations are small) in memory of that kind. On failure, destroy what there
 * is. */
gsa_status gsai_check_create(gsai_check *c, gsa_device *dev, uint64_t capacity, gsai_memory_kind kind);
void gsai_check_destroy(gsai_check *c);
/* One case with one variant forced; c then tells error, failed, skipped and gpu_us. */
/* Was the last case answered rightly? */
bool gsai_check_passed(const gsai_check *c, const gsai_verify_case *k);
gsa_status gsai_check_run(gsai_check *c, const gsai_verify_set *set, const gsai_verify_case *k, const gsai_variant *v);
void gsai_check_untouched(gsai_check *c);

#endif
