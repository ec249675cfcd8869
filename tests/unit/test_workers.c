/* Worker threads: all is done once, failures cross threads with their text, destroying drops what waits. */
#include "util/workers.h"

#include "support/counting_alloc.h"
#include "util/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define N 1000

static _Atomic int done[N];
static _Atomic bool hold;

static gsa_status mark(const gsai_chore *work)
{
    for (uint64_t i = work->first; i < work->first + work->n; i++) atomic_fetch_add(&done[i], 1);
    return GSA_OK;
}

static gsa_status mark_or_fail(const gsai_chore *work)
{
    if (work->first == 300) return gsai_fail(GSA_ERROR_FILE, "piece %d is broken", 300);
    return mark(work);
}

static gsa_status mark_when_let(const gsai_chore *work)
{
    while (atomic_load(&hold)) nanosleep(&(struct timespec){0, 100000}, NULL);
    return mark(work);
}

static void clear(void)
{
    for (int i = 0; i < N; i++) atomic_store(&done[i], 0);
}

static void run(uint32_t threads)
{
    counting_alloc c = {.fail_at = -1};
    const gsa_allocator a = counting_allocator(&c);
    gsai_workers *w = NULL;
    clear();
    assert_int_equal(gsai_workers_create(&a, threads, &w), GSA_OK);
    for (uint32_t i = 0; i < N; i += 10) {
        const gsai_chore work = {.run = mark, .first = i, .n = 10, .group = i / 10 % GSAI_WORK_GROUPS};
        gsai_workers_add(w, &work);
        if (i == 500) {
            assert_int_equal(gsai_workers_wait(w, 2), GSA_OK);
            assert_true(gsai_workers_is_done(w, 2));
            for (uint32_t k = 0; k <= i; k += 10) assert_true(k / 10 % GSAI_WORK_GROUPS != 2 || done[k] == 1);
        }
    }
    for (uint32_t g = 0; g < GSAI_WORK_GROUPS; g++) assert_int_equal(gsai_workers_wait(w, g), GSA_OK);
    for (int i = 0; i < N; i++) assert_int_equal(done[i], 1);
    gsai_workers_destroy(w);
    assert_int_equal(c.alive, 0);
}

static void workers_do_everything_once(void **state)
{
    (void)state;
    run(0);
    run(1);
    run(8);
}

static void workers_hand_over_the_first_failure_with_its_text(void **state)
{
    (void)state;
    for (uint32_t threads = 0; threads <= 4; threads += 4) {
        const gsa_allocator a = gsai_allocator_or_default(NULL);
        gsai_workers *w = NULL;
        clear();
        assert_int_equal(gsai_workers_create(&a, threads, &w), GSA_OK);
        for (uint32_t i = 0; i < N; i += 10) {
            const gsai_chore work = {.run = mark_or_fail, .first = i, .n = 10};
            gsai_workers_add(w, &work);
        }
        gsai_fail(GSA_ERROR_LIMIT, "another failure of this thread");
        assert_int_equal(gsai_workers_wait(w, 0), GSA_ERROR_FILE);
        assert_string_equal(gsa_error_text(), "piece 300 is broken");
        assert_int_equal(gsai_workers_wait(w, 1), GSA_ERROR_FILE); /* it stays so */
        assert_int_equal(done[300], 0);
        if (threads == 0) assert_int_equal(done[N - 1], 0); /* dropped */
        gsai_workers_destroy(w);
    }
}

static void workers_destroyed_early_drop_what_waits(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_workers *w = NULL;
    clear();
    atomic_store(&hold, true);
    assert_int_equal(gsai_workers_create(&a, 1, &w), GSA_OK);
    for (uint32_t i = 0; i < 60; i++) {
        const gsai_chore work = {.run = mark_when_let, .first = i, .n = 1};
        gsai_workers_add(w, &work);
    }
    assert_false(gsai_workers_is_done(w, 0));
    atomic_store(&hold, false);
    gsai_workers_destroy(w);
    int n = 0;
    for (int i = 0; i < N; i++) n += done[i];
    assert_in_range(n, 0, 60);
    gsai_workers_destroy(NULL);
}

static void workers_without_memory_are_not_made(void **state)
{
    (void)state;
    counting_alloc c = {.fail_at = 0};
    const gsa_allocator a = counting_allocator(&c);
    gsai_workers *w = (gsai_workers *)1;
    assert_int_equal(gsai_workers_create(&a, 2, &w), GSA_ERROR_HOST_MEMORY);
    assert_null(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_do_everything_once),
        cmocka_unit_test(workers_hand_over_the_first_failure_with_its_text),
        cmocka_unit_test(workers_destroyed_early_drop_what_waits),
        cmocka_unit_test(workers_without_memory_are_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
