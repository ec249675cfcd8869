/* The resident step: one dispatch whose workgroups wait for each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ops_check.h"

static const char *const ops[] = {"resident_keep", "resident_f32", "resident_f16", "resident_bf16", "resident_q8_0",
    "resident_q4_0", "resident_q4_k", "resident_q6_k", "resident_dots_q8_0", "resident_dots_q4_0"};

static void need(void)
{
    if (!gsai_variant_pick(dev, "resident_f32")) skip();
}

static void resident_one_group_agrees_with_reference(void **state)
{
    (void)state;
    need();
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) /* not all devices multiply integers */
        if (!strstr(ops[i], "dots") || gsai_variant_pick(dev, ops[i])) assert_op(ops[i]);
}

int main(void)
{
    /* Before the driver starts: as many threads as workgroups that must run at once. */
    setenv("LP_NUM_THREADS", "4", 0);
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resident_one_group_agrees_with_reference),
    };
    int n_failed = gsai_variants_init(dev, NULL);
    n_failed += cmocka_run_group_tests(tests, NULL, NULL);
    return test_device_close(dev, n_failed);
}
