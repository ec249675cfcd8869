/* Known questions for kernels. A case places inputs, records the op with one variant forced, and compares what comes
 * back with the CPU reference. The same cases serve gsa_device_verify, the self-test at first use and the device tests.
 *
 * A case, in order (nothing breaks after a failure, but pointers are NULL then, and begin's answer tells):
 *     float *x = gsai_check_random(c, n, 1, false);              host memory, freed after the case
 *     gsai_rows rx = gsai_check_rows(c, x, T, D, GSAI_CHECK_IN); placed on the device
 *     gsai_rows ry = gsai_check_rows(c, NULL, T, D, GSAI_CHECK_OUT);
 *     gsai_recorder *r = gsai_check_begin(c);
 *     if (!r) return;                                            the device cannot bind this much, or a failure
 *     gsai_op_silu(r, ry, rx, T, D);
 *     if (gsai_check_end(c) != GSA_OK) return;
 *     gsai_check_compare_rows(c, ry, want, T, D);
 * What is not written as output must come back as it was, and so must the gaps between places. */
#ifndef GSAI_VERIFY_H
#define GSAI_VERIFY_H

#include "ops/ops.h"

typedef struct gsai_check gsai_check;

typedef struct gsai_verify_case {
    const char *shape; /* for people: "T 1 N 64 C 96" */
    double tolerance;  /* of ||out - ref|| / ||ref||, largest of the outputs; 0 for ids */
    uint32_t n[12];    /* the op's own meaning */
} gsai_verify_case;

/* The cases of one op: each is put to every variant of that op. Small and quick ones first: the first is the self-test. */
typedef struct gsai_verify_set {
    const char *op; /* gsai_variant.op */
    void (*run)(gsai_check *c, const gsai_verify_case *k);
    const gsai_verify_case *cases;
    uint32_t n_cases;
    uint32_t arg; /* the op's own meaning, e.g. gsai_type; see gsai_check_arg */
} gsai_verify_set;

extern const gsai_verify_set gsai_verify_general[]; /* verify_cases.c */
extern const uint32_t gsai_n_verify_general;
extern const gsai_verify_set gsai_verify_sampling[]; /* verify_sample.c */
extern const uint32_t gsai_n_verify_sampling;
extern const gsai_verify_set gsai_verify_half[]; /* verify_half.c */
extern const uint32_t gsai_n_verify_half;
extern const gsai_verify_set gsai_verify_gsa[]; /* verify_gsa.c */
extern const uint32_t gsai_n_verify_gsa;
extern const gsai_verify_set gsai_verify_resident[]; /* verify_resident.c */
extern const uint32_t gsai_n_verify_resident;

/* How a place is filled and what may happen to it. */
typedef enum gsai_check_use {
    GSAI_CHECK_IN,    /* comes back unchanged */
    GSAI_CHECK_INOUT, /* filled, then written */
    GSAI_CHECK_OUT    /* all bits set (NaN) until written */
} gsai_check_use;

uint32_t gsai_check_arg(const gsai_check *c);
const char *gsai_check_op(const gsai_check *c);
gsa_device *gsai_check_device(const gsai_check *c);

/* Host memory of n floats (or words), zeroed, freed after the case. */
float *gsai_check_alloc(gsai_check *c, uint64_t n);
/* n values: uniform in [-scale, scale], or, wide, of random sign and magnitude scale * 10^-6 .. scale. Repeatable: they
 * depend on the case and the order of calls. */
float *gsai_check_random(gsai_check *c, uint64_t n, float scale, bool wide);
uint32_t gsai_check_random_u32(gsai_check *c);

/* Places on the device. data NULL: zeros, or all bits set with GSAI_CHECK_OUT. */
gsai_range gsai_check_place(gsai_check *c, const void *data, uint64_t size, gsai_check_use use);
/* data [T, width] contiguous; the device gets a stride and an offset that are not the width, padding columns finite. */
gsai_rows gsai_check_rows(gsai_check *c, const float *data, uint32_t T, uint32_t width, gsai_check_use use);
gsai_table gsai_check_table(gsai_check *c, const uint32_t *words, uint32_t n);
/* A weight matrix of random values, rounded to type, in parts no larger than max_part_rows and the device's range limit;
 * *tensor is the same for the reference. */
gsai_matrix gsai_check_matrix(gsai_check *c, gsai_type type, uint32_t n_rows, uint32_t n_cols, uint32_t max_part_rows,
    float scale, gsai_tensor *tensor);

/* Everything is placed: upload, and record from here on; NULL: return from the case. After end, more may be placed and
 * begun again: the device then starts from the placed contents once more. */
gsai_recorder *gsai_check_begin(gsai_check *c);
gsa_status gsai_check_end(gsai_check *c); /* submit, wait, fetch */

/* What came back; NULL after a failure. */
const void *gsai_check_data(gsai_check *c, gsai_range range);
void gsai_check_compare(gsai_check *c, const float *got, const float *want, uint64_t n);
void gsai_check_compare_rows(gsai_check *c, gsai_rows rows, const float *want, uint32_t T, uint32_t width);
void gsai_check_compare_ids(gsai_check *c, gsai_range tokens, const int32_t *want, uint32_t n);
/* A finding of the case's own, e.g. "rows differ in bits": fails the case whatever its tolerance. */
void gsai_check_fail(gsai_check *c);
void gsai_check_status(gsai_check *c, gsa_status status); /* a reference function failed */

/* All sets against every usable variant, or those of one op (NULL = all). row may be NULL. */
gsa_status gsai_ops_verify(gsa_device *dev, const char *op, void (*row)(void *user, const gsa_verify_row *row),
    void *user, uint32_t *n_failed);
/* One set; what the device tests use for longer case lists of their own. */
gsa_status gsai_ops_verify_set(gsa_device *dev, const gsai_verify_set *set,
    void (*row)(void *user, const gsa_verify_row *row), void *user, uint32_t *n_failed);
/* All sets, one after another; NULL behind the last. */
const gsai_verify_set *gsai_verify_set_at(uint32_t index);

/* The self-test (self_test.c): the first case of each op, put to variants that have no verdict yet. A wrong one is marked
 * (GSAI_VARIANT_WRONG), so that its ladder's next rung is chosen, and the log says so. Verdicts go into the device's
 * cache. Takes no device-local memory that is not host-visible. Threads: any; one at a time, others wait.
 * used: as gsa_device_params.self_test says; those that recordings have chosen so far. *n_dropped: how many were marked; record anew and ask again then. */
gsa_status gsai_ops_self_test_used(gsa_device *dev, uint32_t *n_dropped);
/* What every ladder chose, until all of that is right. */
gsa_status gsai_ops_self_test(gsa_device *dev);
/* Take over the verdicts of the cache that the device was opened with. */
gsa_status gsai_ops_verdicts_read(gsa_device *dev);

#endif
