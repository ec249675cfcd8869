/* Submissions, tickets, and what happens when a device is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "support/device.h"
#include "vk/recorder.h"

static gsa_device *dev;

static void queue_tickets_complete_in_order(void **state)
{
    (void)state;
    gsai_ticket t[100];
    for (int i = 0; i < 100; i++) {
        assert_int_equal(gsai_queue_submit(dev, NULL, 0, &t[i]), GSA_OK);
        if (i) assert_true(t[i] > t[i - 1]);
        if (i % 30 == 29) assert_int_equal(gsai_queue_wait(dev, t[i], UINT64_MAX), GSA_OK);
    }
    assert_int_equal(gsai_queue_wait(dev, t[99], UINT64_MAX), GSA_OK);
    for (int i = 0; i < 100; i++) assert_int_equal(gsai_queue_poll(dev, t[i]), GSA_OK);
    assert_int_equal(gsai_queue_poll(dev, 0), GSA_OK);
    assert_int_equal(gsai_queue_wait(dev, 0, 0), GSA_OK);
    assert_int_equal(gsai_queue_poll(dev, t[99] + 1), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_queue_wait_idle(dev), GSA_OK);
}

/* Stand-ins for functions of the driver. */
static VkResult VKAPI_PTR never_signalled(VkDevice d, VkFence f)
{
    (void)d, (void)f;
    return VK_NOT_READY;
}
static VkResult VKAPI_PTR always_timeout(VkDevice d, uint32_t n, const VkFence *f, VkBool32 all, uint64_t ns)
{
    (void)d, (void)n, (void)f, (void)all, (void)ns;
    return VK_TIMEOUT;
}
static VkResult VKAPI_PTR wait_lost(VkDevice d, uint32_t n, const VkFence *f, VkBool32 all, uint64_t ns)
{
    (void)d, (void)n, (void)f, (void)all, (void)ns;
    return VK_ERROR_DEVICE_LOST;
}
static PFN_vkQueueSubmit real_submit;
static int submits_left;
static VkResult submit_error;
static VkResult VKAPI_PTR submit_a_few(VkQueue q, uint32_t n, const VkSubmitInfo *info, VkFence f)
{
    if (submits_left-- == 0) return submit_error;
    return real_submit(q, n, info, f);
}

static void queue_full_is_busy_and_recovers(void **state)
{
    (void)state;
    const PFN_vkGetFenceStatus real = dev->vk.vkGetFenceStatus;
    gsai_ticket t = 0, last = 0;
    assert_int_equal(gsai_queue_wait_idle(dev), GSA_OK);
    for (int i = 0; i < 64; i++) assert_int_equal(gsai_queue_poll(dev, last), GSA_OK);
    dev->vk.vkGetFenceStatus = never_signalled;
    int n = 0;
    while (gsai_queue_submit(dev, NULL, 0, &t) == GSA_OK) {
        last = t;
        assert_true(++n <= GSAI_MAX_IN_FLIGHT);
    }
    assert_int_equal(gsai_queue_submit(dev, NULL, 0, &t), GSA_ERROR_BUSY);
    assert_int_equal(t, 0);
    assert_int_equal(gsai_queue_poll(dev, last), GSA_NOT_READY);
    dev->vk.vkGetFenceStatus = real;
    assert_int_equal(gsai_queue_wait(dev, last, UINT64_MAX), GSA_OK);
    assert_int_equal(gsai_queue_submit(dev, NULL, 0, &t), GSA_OK);
    assert_int_equal(gsai_queue_wait_idle(dev), GSA_OK);
}

static void queue_wait_times_out(void **state)
{
    (void)state;
    const PFN_vkWaitForFences real = dev->vk.vkWaitForFences;
    gsai_ticket t;
    assert_int_equal(gsai_queue_submit(dev, NULL, 0, &t), GSA_OK);
    dev->vk.vkWaitForFences = always_timeout;
    assert_int_equal(gsai_queue_wait(dev, t, 250000000), GSA_NOT_READY);
    assert_int_equal(gsai_queue_wait(dev, t, 0), GSA_NOT_READY);
    dev->vk.vkWaitForFences = real;
    assert_int_equal(gsai_queue_wait(dev, t, UINT64_MAX), GSA_OK);
}

static void empty_plan(gsai_plan *plan)
{
    gsai_recorder *r;
    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    assert_int_equal(gsai_recorder_finish(r, plan), GSA_OK);
}

static void queue_submit_refused_half_way_leaves_nothing_in_flight(void **state)
{
    (void)state;
    gsai_plan p;
    empty_plan(&p);
    const VkCommandBuffer buffers[4] = {p.segments[0], p.segments[0], p.segments[0], p.segments[0]};
    real_submit = dev->vk.vkQueueSubmit;
    dev->vk.vkQueueSubmit = submit_a_few;
    submit_error = VK_ERROR_OUT_OF_HOST_MEMORY;
    for (int n = 0; n < 4; n++) {
        gsai_ticket t = 99;
        submits_left = n;
        assert_int_equal(gsai_queue_submit(dev, buffers, 4, &t), GSA_ERROR_HOST_MEMORY);
        assert_int_equal(t, 0);
    }
    dev->vk.vkQueueSubmit = real_submit;
    gsai_plan_destroy(dev, &p); /* the validation layer complains if one were still in use */
    assert_int_equal(gsai_device_check(dev), GSA_OK);
}

static int n_locks, n_unlocks;
static void lock(void *user)
{
    assert_ptr_equal(user, &n_locks);
    assert_int_equal(n_locks, n_unlocks);
    n_locks++;
}
static void unlock(void *user)
{
    (void)user;
    n_unlocks++;
    assert_int_equal(n_locks, n_unlocks);
}

static void queue_lock_is_held_around_each_submit(void **state)
{
    (void)state;
    gsai_plan p;
    gsai_ticket t;
    empty_plan(&p);
    dev->queue_lock = lock;
    dev->queue_unlock = unlock;
    dev->queue_user = &n_locks;
    const VkCommandBuffer buffers[3] = {p.segments[0], p.segments[0], p.segments[0]};
    assert_int_equal(gsai_queue_submit(dev, buffers, 3, &t), GSA_OK);
    assert_int_equal(gsai_queue_wait(dev, t, UINT64_MAX), GSA_OK);
    assert_int_equal(n_locks, 3);
    dev->queue_lock = dev->queue_unlock = NULL;
    gsai_plan_destroy(dev, &p);
}

static void *submit_many(void *user)
{
    uintptr_t *failures = user;
    for (int i = 0; i < 200; i++) {
        gsai_ticket t;
        gsa_status s = gsai_queue_submit(dev, NULL, 0, &t);
        if (s == GSA_OK) s = i % 2 ? gsai_queue_wait(dev, t, UINT64_MAX) : gsai_queue_poll(dev, t);
        if (s != GSA_OK && s != GSA_NOT_READY && s != GSA_ERROR_BUSY) ++*failures;
    }
    return NULL;
}

static void queue_many_threads_submit_and_wait(void **state)
{
    (void)state;
    pthread_t threads[4];
    uintptr_t failures[4] = {0};
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, submit_many, &failures[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(failures[i], 0);
    assert_int_equal(gsai_queue_wait_idle(dev), GSA_OK);
}

static void device_lost_in_submit_is_sticky_everywhere(void **state)
{
    (void)state;
    gsai_plan p;
    empty_plan(&p);
    real_submit = dev->vk.vkQueueSubmit;
    dev->vk.vkQueueSubmit = submit_a_few;
    submits_left = 0;
    submit_error = VK_ERROR_DEVICE_LOST;
    const gsa_log log = dev->log;
    dev->log.message = NULL;
    gsai_ticket t;
    assert_int_equal(gsai_plan_submit(dev, &p, &t), GSA_ERROR_DEVICE_LOST);
    dev->vk.vkQueueSubmit = real_submit;
    assert_int_equal(gsai_device_check(dev), GSA_ERROR_DEVICE_LOST);
    assert_int_equal(gsai_plan_submit(dev, &p, &t), GSA_ERROR_DEVICE_LOST);
    assert_int_equal(gsai_queue_poll(dev, 1), GSA_ERROR_DEVICE_LOST);
    assert_int_equal(gsai_queue_wait_idle(dev), GSA_ERROR_DEVICE_LOST);
    gsai_recorder *r;
    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_ERROR_DEVICE_LOST);
    gsai_buffer b;
    assert_int_equal(gsai_buffer_create(dev, 64, GSAI_MEMORY_DEVICE, &b), GSA_ERROR_DEVICE_LOST);
    gsai_upload *u;
    assert_int_equal(gsai_upload_create(dev, &u), GSA_ERROR_DEVICE_LOST);
    const gsai_pipeline *k;
    assert_int_equal(gsai_pipeline_get(dev, gsai_shader_find("add"), NULL, 0, 0, &k), GSA_ERROR_DEVICE_LOST);
    size_t size;
    assert_int_equal(gsai_pipelines_cache(dev, NULL, 0, &size), GSA_ERROR_DEVICE_LOST);
    double ns;
    assert_int_equal(gsai_plan_gpu_time(dev, &p, &ns), GSA_ERROR_DEVICE_LOST);
    gsai_plan_destroy(dev, &p);
    atomic_store(&dev->lost, false); /* it was only pretended */
    dev->log = log;
}

static void *lose_soon(void *user)
{
    (void)user;
    const struct timespec pause = {0, 150000000};
    nanosleep(&pause, NULL);
    atomic_store(&dev->lost, true);
    return NULL;
}

static void device_lost_elsewhere_ends_a_wait(void **state)
{
    (void)state;
    const PFN_vkWaitForFences real = dev->vk.vkWaitForFences;
    const gsa_log log = dev->log;
    dev->log.message = NULL;
    gsai_ticket t;
    pthread_t thread;
    assert_int_equal(gsai_queue_submit(dev, NULL, 0, &t), GSA_OK);
    dev->vk.vkWaitForFences = always_timeout; /* a driver that never wakes us */
    pthread_create(&thread, NULL, lose_soon, NULL);
    assert_int_equal(gsai_queue_wait(dev, t, UINT64_MAX), GSA_ERROR_DEVICE_LOST);
    pthread_join(thread, NULL);
    atomic_store(&dev->lost, false);
    dev->vk.vkWaitForFences = wait_lost;
    assert_int_equal(gsai_queue_wait(dev, t, UINT64_MAX), GSA_ERROR_DEVICE_LOST);
    assert_int_equal(gsai_device_check(dev), GSA_ERROR_DEVICE_LOST);
    atomic_store(&dev->lost, false);
    dev->vk.vkWaitForFences = real;
    dev->log = log;
    assert_int_equal(gsai_queue_wait(dev, t, UINT64_MAX), GSA_OK);
}

int main(void)
{
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_tickets_complete_in_order),
        cmocka_unit_test(queue_full_is_busy_and_recovers),
        cmocka_unit_test(queue_wait_times_out),
        cmocka_unit_test(queue_submit_refused_half_way_leaves_nothing_in_flight),
        cmocka_unit_test(queue_lock_is_held_around_each_submit),
        cmocka_unit_test(queue_many_threads_submit_and_wait),
        cmocka_unit_test(device_lost_in_submit_is_sticky_everywhere),
        cmocka_unit_test(device_lost_elsewhere_ends_a_wait),
    };
    return test_device_close(dev, cmocka_run_group_tests(tests, NULL, NULL));
}
