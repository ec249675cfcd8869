/* Where a file's bytes come from: path, memory, callback. */
#include "support/counting_alloc.h"
#include "util/alloc.h"
#include "util/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char content[] = "0123456789abcdef";

typedef struct archive {
    bool fails;
    int calls, busy, overlaps;
} archive;

static bool read_archive(void *user, uint64_t offset, size_t size, void *dst)
{
    archive *a = user;
    a->calls++;
    if (__atomic_add_fetch(&a->busy, 1, __ATOMIC_SEQ_CST) != 1) a->overlaps++;
    if (offset + size > strlen(content) || size == 0) a->fails = true;
    if (!a->fails) memcpy(dst, content + offset, size);
    usleep(100);
    __atomic_sub_fetch(&a->busy, 1, __ATOMIC_SEQ_CST);
    return !a->fails;
}

static void check_reads(gsai_source *s)
{
    char text[17] = "";
    assert_int_equal(s->size, 16);
    assert_int_equal(gsai_source_read(s, 0, 16, text), GSA_OK);
    assert_string_equal(text, content);
    assert_int_equal(gsai_source_read(s, 10, 3, text), GSA_OK);
    assert_memory_equal(text, "abc", 3);
    assert_int_equal(gsai_source_read(s, 16, 0, text), GSA_OK);
    static const uint64_t outside[][2] = {
        {0, 17}, {16, 1}, {17, 0}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        memcpy(text, "keep", 5);
        assert_int_equal(gsai_source_read(s, outside[i][0], outside[i][1], text), GSA_ERROR_FILE);
        assert_string_equal(text, "keep");
        assert_non_null(strstr(gsa_error_text(), s->name));
        assert_null(gsai_source_bytes(s, outside[i][0], outside[i][1]));
        gsai_source_will_need(s, outside[i][0], outside[i][1]);
    }
    gsai_source_will_need(s, 3, 13);
}

static void source_path_gives_the_files_bytes(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    char path[] = "/tmp/gsa-source-XXXXXX";
    const int fd = mkstemp(path);
    assert_int_equal(write(fd, content, 16), 16);
    close(fd);
    gsai_source *s;
    assert_int_equal(gsai_source_open_path(path, &a, &s), GSA_OK);
    check_reads(s);
    assert_memory_equal(gsai_source_bytes(s, 4, 12), content + 4, 12);
    gsai_source_close(s);
    unlink(path);
    assert_int_equal(gsai_source_open_path(path, &a, &s), GSA_ERROR_FILE);
    assert_null(s);
    assert_int_equal(gsai_source_open_path("/tmp", &a, &s), GSA_ERROR_FILE);
    assert_null(s);
    gsai_source_close(NULL);
}

static void source_memory_gives_its_bytes_in_place(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_source *s;
    const gsa_source host = {.name = "pak:model", .data = content, .size = 16};
    assert_int_equal(gsai_source_open_host(&host, &a, &s), GSA_OK);
    assert_string_equal(s->name, "pak:model");
    check_reads(s);
    assert_ptr_equal(gsai_source_bytes(s, 4, 12), content + 4);
    gsai_source_close(s);
    const gsa_source empty = {0};
    char c;
    assert_int_equal(gsai_source_open_host(&empty, &a, &s), GSA_OK);
    assert_int_equal(gsai_source_read(s, 0, 0, &c), GSA_OK);
    assert_int_equal(gsai_source_read(s, 0, 1, &c), GSA_ERROR_FILE);
    gsai_source_close(s);
}

static void source_callback_is_asked_for_what_is_inside_only(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    archive pak = {0};
    const gsa_source host = {.size = 16, .read = read_archive, .user = &pak};
    gsai_source *s;
    assert_int_equal(gsai_source_open_host(&host, &a, &s), GSA_OK);
    check_reads(s);
    assert_int_equal(pak.calls, 2);
    assert_false(pak.fails);
    assert_null(gsai_source_bytes(s, 0, 1));
    pak.fails = true;
    char c;
    assert_int_equal(gsai_source_read(s, 0, 1, &c), GSA_ERROR_FILE);
    assert_non_null(strstr(gsa_error_text(), "read callback"));
    gsai_source_close(s);
}

static void *read_often(void *source)
{
    char c;
    for (int i = 0; i < 50; i++) assert_int_equal(gsai_source_read(source, 3, 1, &c), GSA_OK);
    return NULL;
}

static void source_callback_never_runs_on_two_threads_at_once(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    archive pak = {0};
    const gsa_source host = {.size = 16, .read = read_archive, .user = &pak};
    gsai_source *s;
    pthread_t threads[4];
    assert_int_equal(gsai_source_open_host(&host, &a, &s), GSA_OK);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, read_often, s), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(pak.calls, 200);
    assert_int_equal(pak.overlaps, 0);
    gsai_source_close(s);
}

static void source_contradictions_are_refused(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_source *s;
    const gsa_source both = {.data = content, .size = 16, .read = read_archive}, neither = {.size = 1};
    assert_int_equal(gsai_source_open_host(&both, &a, &s), GSA_ERROR_ARGUMENT);
    assert_null(s);
    assert_int_equal(gsai_source_open_host(&neither, &a, &s), GSA_ERROR_ARGUMENT);
    assert_null(s);
}

static void source_without_memory_leaves_nothing(void **state)
{
    (void)state;
    const gsa_source host = {.data = content, .size = 16};
    for (long fail_at = 0;; fail_at++) {
        counting_alloc c = {.fail_at = fail_at};
        const gsa_allocator a = counting_allocator(&c);
        gsai_source *s;
        const gsa_status status = gsai_source_open_host(&host, &a, &s);
        if (status == GSA_OK) gsai_source_close(s);
        assert_int_equal(c.alive, 0);
        if (status == GSA_OK) break;
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
        assert_null(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_path_gives_the_files_bytes),
        cmocka_unit_test(source_memory_gives_its_bytes_in_place),
        cmocka_unit_test(source_callback_is_asked_for_what_is_inside_only),
        cmocka_unit_test(source_callback_never_runs_on_two_threads_at_once),
        cmocka_unit_test(source_contradictions_are_refused),
        cmocka_unit_test(source_without_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
