/* The cost model and what measured plans teach it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vk/device.h"
#include "vk/recorder.h"

#define MILLISECOND 1e6

static gsa_device dev;

static int begin(void **state)
{
    (void)state;
    dev.caps.device_type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    atomic_store(&dev.cost_permille, 1000);
    atomic_store(&dev.math_permille, 1000);
    return 0;
}

/* Plans of n_calls that move bytes and compute flops, each measured to take ns. */
static void teach(uint32_t times, uint32_t n_calls, uint64_t bytes, uint64_t flops, double ns)
{
    for (uint32_t i = 0; i < times; i++)
        gsai_estimate_learn(
            &dev, n_calls, 1, gsai_estimate_memory_ns(&dev, bytes), gsai_estimate_math_ns(&dev, flops), ns);
}

static void assert_near(double value, double wanted)
{
    assert_true(value > 0.8 * wanted && value < 1.25 * wanted);
}

static void estimate_follows_measured_memory_traffic(void **state)
{
    (void)state;
    teach(20, 1, 4000000000u, 1000, MILLISECOND);
    assert_near(gsai_estimate_ns(&dev, 4000000000u, 0), MILLISECOND);
    teach(20, 1, 4000000000u, 1000, 100 * MILLISECOND);
    assert_near(gsai_estimate_ns(&dev, 4000000000u, 0), 100 * MILLISECOND);
}

static void estimate_follows_measured_arithmetic(void **state)
{
    (void)state;
    teach(20, 1, 1000, 1000000000000u, 20 * MILLISECOND);
    assert_near(gsai_estimate_ns(&dev, 0, 1000000000000u), 20 * MILLISECOND);
    assert_int_equal(atomic_load(&dev.cost_permille), 1000);
}

static void estimate_separates_the_two(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) { /* tokens, then prompts, of a model of 2 GB */
        teach(4, 120, 2000000000u, 2000000000u, MILLISECOND);
        teach(4, 120, 2000000000u, 2000000000000u, 20 * MILLISECOND);
    }
    assert_near(gsai_estimate_ns(&dev, 2000000000u, 2000000000000u), 20 * MILLISECOND);
    assert_true(gsai_estimate_ns(&dev, 2000000000u, 0) < 1.5 * MILLISECOND);
}

/* Thousands of small plans, each of which takes many times what its bytes and flops would: launches are what they cost. */
static void estimate_short_plans_teach_nothing_of_rates(void **state)
{
    (void)state;
    teach(20, 120, 2000000000u, 2000000000u, MILLISECOND);
    teach(20, 120, 2000000000u, 2000000000000u, 20 * MILLISECOND);
    const double before = gsai_estimate_ns(&dev, 0, 1000000000u);
    teach(1000, 1, 1000, 200000, 0.05 * MILLISECOND);
    teach(1000, 100, 100000, 20000000, 2 * MILLISECOND);
    assert_true(gsai_estimate_ns(&dev, 0, 1000000000u) == before);
}

/* A device of 25,000 operations a ns, and 90 us for each submission: a plan that the first guess cuts to pieces must
 * not teach that it has to stay so. */
static void estimate_of_a_plan_in_pieces_does_not_keep_it_so(void **state)
{
    (void)state;
    const uint64_t flops = 640000000000u;
    const double cap = 8 * MILLISECOND;
    uint32_t n_segments = 0;
    for (int i = 0; i < 8; i++) {
        const double estimate = gsai_estimate_ns(&dev, 0, flops);
        n_segments = estimate / cap > 240 ? 240 : (uint32_t)(estimate / cap) + 1;
        gsai_estimate_learn(
            &dev, 240, n_segments, 0, gsai_estimate_math_ns(&dev, flops), (double)flops / 25000 + n_segments * 90000.0);
    }
    assert_true(n_segments <= 5);
}

static void estimate_one_odd_time_is_believed_by_half(void **state)
{
    (void)state;
    teach(30, 1, 2000000000u, 0, MILLISECOND);
    teach(1, 1, 2000000000u, 0, 9 * MILLISECOND);
    assert_near(gsai_estimate_ns(&dev, 2000000000u, 0), 5 * MILLISECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(estimate_follows_measured_memory_traffic, begin),
        cmocka_unit_test_setup(estimate_follows_measured_arithmetic, begin),
        cmocka_unit_test_setup(estimate_separates_the_two, begin),
        cmocka_unit_test_setup(estimate_short_plans_teach_nothing_of_rates, begin),
        cmocka_unit_test_setup(estimate_of_a_plan_in_pieces_does_not_keep_it_so, begin),
        cmocka_unit_test_setup(estimate_one_odd_time_is_believed_by_half, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
