/* Tests of ops: the known questions of ops/verify.h, put to every variant the device can run. */
#ifndef TEST_DEVICE_OPS_CHECK_H
#define TEST_DEVICE_OPS_CHECK_H

#include "ops/verify.h"
#include "support/device.h"

#include <stdio.h>

static gsa_device *dev;

static inline void count_row(void *user, const gsa_verify_row *row)
{
    ++*(uint32_t *)user;
    if (!row->passed)
        print_error("%s, %s: error %g, allowed %g\n", row->variant, row->shape, row->error, row->tolerance);
}

/* Cases that do not fit a device's limits are left out; only tiny masked limits may leave none. */
static inline void assert_asked(uint32_t n_rows)
{
    if (n_rows == 0 && dev->caps.max_range_bytes < (1u << 20)) skip();
    assert_true(n_rows > 0);
}

/* CPU drivers compile for wide vectors several times as long: those with matrix units, and subgroups of 16. */
static inline bool compiles_slowly(void)
{
    return dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU &&
           (gsai_variant_pick(dev, "matmul_cm_f16") || dev->caps.subgroup_size > 8);
}

/* All cases of an op that ship with the library. */
static inline void assert_op(const char *op)
{
    uint32_t n_rows = 0, n_failed = 0;

    assert_int_equal(gsai_ops_verify(dev, op, count_row, &n_rows, &n_failed), GSA_OK);
    assert_int_equal(n_failed, 0);
    assert_asked(n_rows);
}

/* A test's own cases. */
static inline void assert_set(const char *op, void (*run)(gsai_check *c, const gsai_verify_case *k),
    const gsai_verify_case *cases, uint32_t n_cases, uint32_t arg)
{
    const gsai_verify_set set = {op, run, cases, n_cases, arg};
    uint32_t n_rows = 0, n_failed = 0;

    assert_int_equal(gsai_ops_verify_set(dev, &set, count_row, &n_rows, &n_failed), GSA_OK);
    assert_int_equal(n_failed, 0);
    assert_asked(n_rows);
}

/* All cases of an op, or where kernels compile slowly the first ones of each set. */
static inline void assert_op_briefly(const char *op, uint32_t n_first)
{
    const gsai_verify_set *set;

    if (!compiles_slowly()) {
        assert_op(op);
        return;
    }
    for (uint32_t i = 0; (set = gsai_verify_set_at(i)) != NULL; i++)
        if (strcmp(set->op, op) == 0)
            assert_set(op, set->run, set->cases, set->n_cases < n_first ? set->n_cases : n_first, set->arg);
}

/* The set of the library that has this op: its runner serves longer case lists. */
static inline const gsai_verify_set *library_set(const char *op)
{
    for (uint32_t i = 0; i < gsai_n_verify_general; i++)
        if (strcmp(gsai_verify_general[i].op, op) == 0) return &gsai_verify_general[i];
    for (uint32_t i = 0; i < gsai_n_verify_half; i++)
        if (strcmp(gsai_verify_half[i].op, op) == 0) return &gsai_verify_half[i];
    for (uint32_t i = 0; i < gsai_n_verify_sampling; i++)
        if (strcmp(gsai_verify_sampling[i].op, op) == 0) return &gsai_verify_sampling[i];
    fail_msg("no known questions for %s", op);
    return NULL;
}

static inline void assert_more(const char *op, const gsai_verify_case *cases, uint32_t n_cases)
{
    const gsai_verify_set *set = library_set(op);

    assert_set(op, set->run, cases, n_cases, set->arg);
}

#define N_OF(ARRAY) ((uint32_t)(sizeof(ARRAY) / sizeof *(ARRAY)))

/* Drivers of wide subgroups are there for kernels that use subgroups: where one does a portable kernel's work, the latter is
 * left to the other drivers, which compile it sooner. */
static inline void leave_out_portable_kernels(void)
{
    for (uint32_t i = 0; i < gsai_n_variants; i++) {
        const gsai_variant *v = &gsai_variants[i], *first = gsai_variant_pick(dev, v->op);
        if (first && first != v && (first->caps & GSAI_CAP_SUBGROUP) && !(v->caps & GSAI_CAP_SUBGROUP))
            dev->variant_off[i] = GSAI_VARIANT_MASKED;
    }
}

/* main of a test file: TESTS is an array of struct CMUnitTest */
#define OPS_MAIN(TESTS)                                                                                                \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const int opened = test_device_open(&dev);                                                                     \
        if (opened != 0) return opened;                                                                                \
        if (gsai_variants_init(dev, dev->variant_mask) != GSA_OK) {                                                    \
            fprintf(stderr, "%s\n", gsa_error_text());                                                                 \
            return test_device_close(dev, 1);                                                                          \
        }                                                                                                              \
        if (compiles_slowly() && dev->caps.subgroup_size > 8) leave_out_portable_kernels();                            \
        return test_device_close(dev, cmocka_run_group_tests(TESTS, NULL, NULL));                                      \
    }

#endif
