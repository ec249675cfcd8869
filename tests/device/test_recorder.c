/* Recorder and plans: barriers where needed and only there, cuts, checks, copies, timestamps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/push.h"
#include "support/device.h"
#include "vk/recorder.h"

static gsa_device *dev;
static const gsai_pipeline *add;

#define N      1000u /* floats of a vector; not a multiple of the group */
#define VECTOR 4096u /* bytes from one vector to the next: a multiple of every offset alignment */

typedef struct rig {
    gsai_buffer device, host;
    gsai_recorder *r;
    gsai_plan plan;
} rig;

static gsai_range vector(const gsai_buffer *b, uint32_t i)
{
    return (gsai_range){b, (uint64_t)i * VECTOR, N * 4};
}

/* x += y, as the op does it */
static void record_add_beside(rig *g, uint32_t x, uint32_t y, bool beside)
{
    const struct gsa_elementwise_push push = {1, N, 0, N, 0, N, 0};
    gsai_call c = {.pipeline = add, .n_bind = 2, .push = &push, .push_bytes = sizeof push, .label = "add"};
    c.bind[0] = (gsai_binding){vector(&g->device, y), GSAI_READ};
    c.bind[1] = (gsai_binding){vector(&g->device, x), GSAI_READ_WRITE};
    c.groups[0] = (N + 127) / 128;
    c.bytes = 3 * N * 4;
    c.flops = N;
    c.beside = beside;
    gsai_recorder_call(g->r, &c);
}

static void record_add(rig *g, uint32_t x, uint32_t y)
{
    record_add_beside(g, x, y, false);
}

/* n vectors, vector i filled with i + 1 */
static void start(rig *g, uint32_t n, double max_segment_ns)
{
    memset(g, 0, sizeof *g);
    assert_int_equal(gsai_buffer_create(dev, (uint64_t)n * VECTOR, GSAI_MEMORY_DEVICE, &g->device), GSA_OK);
    assert_int_equal(gsai_buffer_create(dev, (uint64_t)n * VECTOR, GSAI_MEMORY_READBACK, &g->host), GSA_OK);
    gsai_upload *u;
    assert_int_equal(gsai_upload_create(dev, &u), GSA_OK);
    for (uint32_t v = 0; v < n; v++) {
        float x[N];
        for (uint32_t i = 0; i < N; i++) x[i] = (float)(v + 1);
        assert_int_equal(gsai_upload_write(u, vector(&g->device, v), 0, x, sizeof x), GSA_OK);
    }
    assert_int_equal(gsai_upload_finish(u), GSA_OK);
    gsai_upload_destroy(u);
    assert_int_equal(gsai_recorder_begin(dev, max_segment_ns, &g->r), GSA_OK);
}

static void finish(rig *g, uint32_t n)
{
    for (uint32_t v = 0; v < n; v++) gsai_recorder_copy(g->r, vector(&g->device, v), 0, vector(&g->host, v), 0, N * 4);
    gsai_recorder_to_host(g->r);
    const gsa_status status = gsai_recorder_finish(g->r, &g->plan);
    if (status != GSA_OK) print_error("%s\n", gsa_error_text());
    assert_int_equal(status, GSA_OK);
}

static void run(rig *g)
{
    gsai_ticket ticket;
    assert_int_equal(gsai_plan_submit(dev, &g->plan, &ticket), GSA_OK);
    assert_int_equal(gsai_queue_wait(dev, ticket, UINT64_MAX), GSA_OK);
    gsai_buffer_invalidate(dev, &g->host, 0, g->host.size);
}

static void stop(rig *g)
{
    gsai_plan_destroy(dev, &g->plan);
    gsai_buffer_destroy(dev, &g->device);
    gsai_buffer_destroy(dev, &g->host);
}

static void assert_vector(const rig *g, uint32_t v, float value)
{
    const float *x = (const float *)((const char *)g->host.mapped + (size_t)v * VECTOR);
    for (uint32_t i = 0; i < N; i++) {
        if (x[i] != value) fail_msg("vector %u element %u is %g, expected %g", v, i, (double)x[i], (double)value);
    }
}

static void recorder_dependent_adds_run_in_order(void **state)
{
    (void)state;
    rig g;
    start(&g, 3, 0);
    float a = 1, b = 2, c = 3;
    uint32_t n = 0;
    for (int i = 0; i < 8; i++) {
        record_add(&g, 0, 1), a += b, n++; /* a written, then read: RAW; b read, then written: WAR */
        record_add(&g, 1, 2), b += c, n++;
        record_add(&g, 2, 0), c += a, n++;
    }
    finish(&g, 3);
    assert_int_equal(g.plan.n_calls, n + 3);
    assert_true(g.plan.n_barriers >= n - 1);
    run(&g);
    assert_vector(&g, 0, a);
    assert_vector(&g, 1, b);
    assert_vector(&g, 2, c);
    stop(&g);
}

static void recorder_independent_adds_have_no_barrier(void **state)
{
    (void)state;
    rig g;
    start(&g, 8, 0);
    for (uint32_t i = 0; i < 4; i++) record_add(&g, i, 4); /* four writers, one shared reader */
    finish(&g, 8);
    if (!dev->profile) assert_int_equal(g.plan.n_barriers, 1); /* before the copies only */
    run(&g);
    for (uint32_t i = 0; i < 4; i++) assert_vector(&g, i, (float)(i + 1) + 5);
    stop(&g);
}

/* Only counted, not run: these two do touch the same places. */
static void recorder_calls_beside_each_other_have_no_barrier(void **state)
{
    (void)state;
    if (dev->profile || getenv("GSA_TEST_VALIDATION")) skip(); /* the layer sees the overlap and rightly complains */
    rig g;
    start(&g, 3, 0);
    record_add(&g, 0, 1);
    record_add_beside(&g, 0, 1, true);
    record_add(&g, 0, 2); /* waits for both */
    finish(&g, 3);
    assert_int_equal(g.plan.n_barriers, 2); /* and before the copies */
    stop(&g);
}

static void recorder_touching_ranges_do_not_conflict(void **state)
{
    (void)state;
    rig g;
    start(&g, 4, 0);
    record_add(&g, 0, 2);
    record_add(&g, 1, 3); /* next to the first, not over it */
    assert_int_equal(gsai_recorder_status(g.r), GSA_OK);
    finish(&g, 4);
    if (!dev->profile) assert_int_equal(g.plan.n_barriers, 1);
    run(&g);
    assert_vector(&g, 0, 4);
    assert_vector(&g, 1, 6);
    stop(&g);
}

static void recorder_copy_between_shaders_is_ordered(void **state)
{
    (void)state;
    rig g;
    start(&g, 4, 0);
    record_add(&g, 0, 1); /* v0 = 3 */
    record_add(&g, 0, 1); /* v0 = 5, after a shader barrier */
    gsai_recorder_copy(g.r, vector(&g.device, 0), 0, vector(&g.device, 2), 0, N * 4); /* v2 = 5 */
    record_add(&g, 3, 2);                                                             /* v3 = 9 */
    gsai_recorder_fill_zero(g.r, vector(&g.device, 2));                               /* v2 = 0 */
    record_add(&g, 2, 1);                                                             /* v2 = 2 */
    finish(&g, 4);
    run(&g);
    assert_vector(&g, 0, 5);
    assert_vector(&g, 1, 2);
    assert_vector(&g, 2, 2);
    assert_vector(&g, 3, 9);
    stop(&g);
}

static void recorder_tiny_cap_cuts_and_agrees(void **state)
{
    (void)state;
    rig whole, cut;
    start(&whole, 3, 1e15);
    start(&cut, 3, 1); /* one nanosecond: every call alone */
    for (int i = 0; i < 10; i++) {
        record_add(&whole, (uint32_t)i % 3, (uint32_t)(i + 1) % 3);
        record_add(&cut, (uint32_t)i % 3, (uint32_t)(i + 1) % 3);
    }
    finish(&whole, 3);
    finish(&cut, 3);
    assert_int_equal(whole.plan.n_segments, 1);
    assert_int_equal(cut.plan.n_segments, 13);
    assert_int_equal(cut.plan.n_barriers, whole.plan.n_barriers);
    run(&whole);
    run(&cut);
    for (size_t v = 0; v < 3; v++)
        assert_memory_equal((char *)whole.host.mapped + v * VECTOR, (char *)cut.host.mapped + v * VECTOR, N * 4);
    stop(&whole);
    stop(&cut);
}

static void recorder_cap_between_calls_cuts_before_the_one_that_passes_it(void **state)
{
    (void)state;
    const double one = gsai_estimate_ns(dev, 3 * N * 4, N);
    rig g;
    start(&g, 2, 2.5 * one);
    for (int i = 0; i < 6; i++) record_add(&g, 0, 1);
    assert_int_equal(gsai_recorder_finish(g.r, &g.plan), GSA_OK);
    assert_int_equal(g.plan.n_segments, 3);
    for (uint32_t i = 0; i < 3; i++) assert_true(g.plan.segment_estimate_ns[i] <= 2.5 * one);
    stop(&g);
}

static void recorder_plan_resubmitted_while_in_flight_runs_each_time(void **state)
{
    (void)state;
    rig g;
    start(&g, 2, 0);
    record_add(&g, 0, 1);
    finish(&g, 2);
    gsai_ticket last = 0;
    for (int i = 0; i < 20; i++) assert_int_equal(gsai_plan_submit(dev, &g.plan, &last), GSA_OK);
    assert_int_equal(gsai_queue_wait(dev, last, UINT64_MAX), GSA_OK);
    gsai_buffer_invalidate(dev, &g.host, 0, g.host.size);
    assert_vector(&g, 0, 41);
    stop(&g);
}

static void recorder_many_calls_grow_its_pools(void **state)
{
    (void)state;
    rig g;
    start(&g, 2, 0);
    for (int i = 0; i < 300; i++) record_add(&g, 0, 1);
    finish(&g, 2);
    assert_true(g.plan.n_descriptor_pools >= 300 / 64);
    run(&g);
    assert_vector(&g, 0, 601);
    stop(&g);
}

static void recorder_empty_plan_completes(void **state)
{
    (void)state;
    rig g = {0};
    assert_int_equal(gsai_recorder_begin(dev, 0, &g.r), GSA_OK);
    assert_int_equal(gsai_recorder_finish(g.r, &g.plan), GSA_OK);
    gsai_ticket ticket;
    assert_int_equal(gsai_plan_submit(dev, &g.plan, &ticket), GSA_OK);
    assert_int_equal(gsai_queue_wait(dev, ticket, UINT64_MAX), GSA_OK);
    double ns;
    assert_int_equal(gsai_plan_gpu_time(dev, &g.plan, &ns), GSA_OK);
    gsai_plan_destroy(dev, &g.plan);
}

static void recorder_plan_tells_its_gpu_time(void **state)
{
    (void)state;
    rig g;
    start(&g, 2, 0);
    for (int i = 0; i < 50; i++) record_add(&g, 0, 1);
    finish(&g, 2);
    run(&g);
    double ns = -1;
    assert_int_equal(gsai_plan_gpu_time(dev, &g.plan, &ns), GSA_OK);
    if (gsai_caps_has(&dev->caps, GSAI_CAP_TIMESTAMPS))
        assert_true(ns > 0 && ns < 60e9);
    else
        assert_true(ns == 0);
    stop(&g);
}

static void count_time(void *user, const char *label, double ns)
{
    uint32_t *n = user;
    assert_true(ns >= 0);
    assert_true(strcmp(label, "add") == 0 || strcmp(label, "copy") == 0);
    ++*n;
}

static void recorder_profile_times_each_call(void **state)
{
    (void)state;
    rig g;
    const bool was = dev->profile;
    dev->profile = true;
    start(&g, 8, 0);
    for (uint32_t i = 0; i < 7; i++) record_add(&g, i, 7);
    finish(&g, 8);
    run(&g);
    uint32_t n = 0;
    assert_int_equal(gsai_plan_profile(dev, &g.plan, count_time, &n), GSA_OK);
    assert_int_equal(n, gsai_caps_has(&dev->caps, GSAI_CAP_TIMESTAMPS) ? 15 : 0);
    stop(&g);
    dev->profile = was;
}

static void VKAPI_PTR no_barrier(VkCommandBuffer b, VkPipelineStageFlags src, VkPipelineStageFlags dst,
    VkDependencyFlags flags, uint32_t n, const VkMemoryBarrier *m, uint32_t n_b, const VkBufferMemoryBarrier *bm,
    uint32_t n_i, const VkImageMemoryBarrier *im)
{
    (void)b, (void)src, (void)dst, (void)flags, (void)n, (void)m, (void)n_b, (void)bm, (void)n_i, (void)im;
}

/* Silence of the validation layer proves something only if it speaks when a barrier is missing. */
static void recorder_missing_barrier_is_seen_by_validation(void **state)
{
    (void)state;
    if (!dev->messenger) skip();
    const PFN_vkCmdPipelineBarrier real = dev->vk.vkCmdPipelineBarrier;
    const gsa_log log = dev->log;
    rig g;
    start(&g, 3, 0);
    dev->vk.vkCmdPipelineBarrier = no_barrier;
    dev->log.message = NULL;
    gsai_recorder_copy(g.r, vector(&g.device, 0), 0, vector(&g.device, 1), 0, N * 4);
    gsai_recorder_copy(g.r, vector(&g.device, 1), 0, vector(&g.device, 2), 0, N * 4);
    finish(&g, 3);
    run(&g);
    assert_true(atomic_exchange(&dev->n_validation_messages, 0) > 0);
    dev->vk.vkCmdPipelineBarrier = real;
    dev->log = log;
    stop(&g);
}

typedef void (*spoil)(gsai_call *c);
static void too_few_bindings(gsai_call *c)
{
    c->n_bind = 1;
}
static void wrong_push(gsai_call *c)
{
    c->push_bytes -= 4;
}
static void past_the_end(gsai_call *c)
{
    c->bind[0].range.size = c->bind[0].range.buffer->size - c->bind[0].range.offset + 4;
}
static void misaligned(gsai_call *c)
{
    c->bind[0].range.offset += 4;
}
static void no_buffer(gsai_call *c)
{
    c->bind[1].range.buffer = NULL;
}
static void half_word(gsai_call *c)
{
    c->bind[1].range.size -= 2;
}
static void no_groups(gsai_call *c)
{
    c->groups[0] = 0;
}
static void too_many_groups(gsai_call *c)
{
    c->groups[1] = dev->caps.max_group_count[1] + 1;
}
static void no_access(gsai_call *c)
{
    c->bind[0].access = 0;
}

static void recorder_call_that_breaks_a_rule_is_named(void **state)
{
    (void)state;
    const spoil ways[] = {too_few_bindings, wrong_push, past_the_end, misaligned, no_buffer, half_word, no_groups,
        too_many_groups, no_access};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        rig g;
        start(&g, 2, 0);
        const struct gsa_elementwise_push push = {1, N, 0, N, 0, N, 0};
        gsai_call c = {
            .pipeline = add, .n_bind = 2, .push = &push, .push_bytes = sizeof push, .label = "add of a test"};
        c.bind[0] = (gsai_binding){vector(&g.device, 0), GSAI_READ};
        c.bind[1] = (gsai_binding){vector(&g.device, 1), GSAI_READ_WRITE};
        c.groups[0] = 8;
        ways[i](&c);
        gsai_recorder_call(g.r, &c);
        gsai_fail(GSA_ERROR_FILE, "a later failure of somebody else");
        record_add(&g, 0, 1); /* does nothing */
        assert_int_equal(gsai_recorder_finish(g.r, &g.plan), GSA_ERROR_ARGUMENT);
        assert_non_null(strstr(gsa_error_text(), "add of a test"));
        assert_null(g.plan.pool);
        stop(&g);
    }
}

static void recorder_copy_onto_itself_is_rejected(void **state)
{
    (void)state;
    rig g;
    start(&g, 2, 0);
    gsai_recorder_copy(g.r, vector(&g.device, 0), 0, vector(&g.device, 0), 16, 64);
    assert_int_equal(gsai_recorder_finish(g.r, &g.plan), GSA_ERROR_ARGUMENT);
    stop(&g);
    start(&g, 2, 0);
    gsai_recorder_copy(g.r, vector(&g.device, 0), N * 4 - 8, vector(&g.device, 1), 0, 16);
    assert_int_equal(gsai_recorder_finish(g.r, &g.plan), GSA_ERROR_ARGUMENT);
    stop(&g);
}

int main(void)
{
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    if (gsai_pipeline_get(dev, gsai_shader_find("add"), NULL, 0, 0, &add) != GSA_OK) {
        fprintf(stderr, "%s\n", gsa_error_text());
        gsai_device_close(dev);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorder_dependent_adds_run_in_order),
        cmocka_unit_test(recorder_independent_adds_have_no_barrier),
        cmocka_unit_test(recorder_calls_beside_each_other_have_no_barrier),
        cmocka_unit_test(recorder_touching_ranges_do_not_conflict),
        cmocka_unit_test(recorder_copy_between_shaders_is_ordered),
        cmocka_unit_test(recorder_tiny_cap_cuts_and_agrees),
        cmocka_unit_test(recorder_cap_between_calls_cuts_before_the_one_that_passes_it),
        cmocka_unit_test(recorder_plan_resubmitted_while_in_flight_runs_each_time),
        cmocka_unit_test(recorder_many_calls_grow_its_pools),
        cmocka_unit_test(recorder_empty_plan_completes),
        cmocka_unit_test(recorder_plan_tells_its_gpu_time),
        cmocka_unit_test(recorder_profile_times_each_call),
        cmocka_unit_test(recorder_missing_barrier_is_seen_by_validation),
        cmocka_unit_test(recorder_call_that_breaks_a_rule_is_named),
        cmocka_unit_test(recorder_copy_onto_itself_is_rejected),
    };
    return test_device_close(dev, cmocka_run_group_tests(tests, NULL, NULL));
}
