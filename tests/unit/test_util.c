/* What everything else stands on: messages, memory, files, JSON. */
#include "support/counting_alloc.h"
#include "util/alloc.h"
#include "util/file.h"
#include "util/json.h"
#include "util/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void status_text_of_strangers_is_one_printable_line(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain \xc3\xa9 \xe2\x96\x81 \xf0\x9f\x98\x80 \xed\x9f\xbf \xf4\x8f\xbf\xbf \xe1\x80\x80 \xf1\x80\x80\x80",
            "plain \xc3\xa9 \xe2\x96\x81 \xf0\x9f\x98\x80 \xed\x9f\xbf \xf4\x8f\xbf\xbf \xe1\x80\x80 \xf1\x80\x80\x80"},
        {"a\nb\x1b[2J\x7f", "a?b?[2J?"},
        {"\xc2\x9b", "??"},             /* C1: a terminal's CSI */
        {"\xc2\xa0", "\xc2\xa0"},       /* the first behind it */
        {"\x80\xbf", "??"},             /* continuations alone */
        {"\xc0\x80 \xc1\xbf", "?? ??"}, /* overlong */
        {"\xe0\x9f\xbf", "???"},
        {"\xf0\x8f\xbf\xbf", "????"},
        {"\xed\xa0\x80", "???"},      /* surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* past U+10FFFF */
        {"\xf5\xff", "??"},
        {"\xe2\x96", "??"}, /* cut */
        {"\xe2(\xa1", "?(?"},
        {"\xe0\xa0\x80 \xf0\x90\x80\x80", "\xe0\xa0\x80 \xf0\x90\x80\x80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(gsai_fail(GSA_ERROR_FORMAT, "%s", cases[i][0]), GSA_ERROR_FORMAT);
        assert_string_equal(gsa_error_text(), cases[i][1]);
    }
}

static void status_text_cut_inside_a_character_stays_valid(void **state)
{
    (void)state;
    char text[2000] = "", where[1000] = "";
    for (int i = 0; i < 600; i++) strcat(text, "\xe2\x96\x81");
    for (int i = 0; i < 300; i++) strcat(where, "\xc3\xa9");
    for (int i = 0; i < 4; i++) { /* each shift cuts elsewhere */
        gsai_fail(GSA_ERROR_FORMAT, "%.*s%s", i, "xxxx", text);
        gsai_fail_in(GSA_ERROR_FORMAT, "%.*s%s", i, "xxxx", where);
        const unsigned char *p = (const unsigned char *)gsa_error_text();
        assert_true(strlen(gsa_error_text()) > 700);
        for (size_t size; *p; p += size) {
            size = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : 3;
            for (size_t k = 1; k < size; k++) assert_int_equal(p[k] & 0xc0, 0x80);
        }
    }
}

static char last_log[64];
static void keep_log(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    (void)level;
    snprintf(last_log, sizeof last_log, "%s", text);
}

static void log_lines_are_printable_and_filtered(void **state)
{
    (void)state;
    const gsa_log log = {.message = keep_log, .level = GSA_LOG_WARNING}, silent = {.level = GSA_LOG_DEBUG};
    gsai_log(&log, GSA_LOG_WARNING, "key %s", "a\n\x1b]0;b");
    assert_string_equal(last_log, "key a??]0;b");
    gsai_log(&log, GSA_LOG_INFO, "not wanted");
    gsai_log(&silent, GSA_LOG_ERROR, "nobody");
    gsai_log(NULL, GSA_LOG_ERROR, "nobody");
    assert_string_equal(last_log, "key a??]0;b");
}

static void status_names_are_there_for_all(void **state)
{
    (void)state;
    for (int s = GSA_NOT_READY; s >= GSA_ERROR_CANCELLED; s--) {
        assert_int_equal(strncmp(gsa_status_name((gsa_status)s), "GSA_", 4), 0);
        assert_string_not_equal(gsa_status_name((gsa_status)s), "GSA_ERROR_UNKNOWN");
    }
    assert_string_equal(gsa_status_name((gsa_status)-999), "GSA_ERROR_UNKNOWN");
}

static void alloc_sizes_that_wrap_are_refused(void **state)
{
    (void)state;
    counting_alloc counter = {.fail_at = -1};
    const gsa_allocator a = counting_allocator(&counter);
    assert_null(gsai_alloc_array(&a, SIZE_MAX / 8 + 1, 8));
    assert_null(gsai_realloc_array(&a, NULL, SIZE_MAX / 8 + 1, 8));
    assert_int_equal(counter.calls, 0);
    void *none = gsai_alloc_array(&a, 5, 0), *no_count = gsai_realloc_array(&a, NULL, 0, 8),
         *no_size = gsai_realloc_array(&a, NULL, 8, 0);
    assert_true(none && no_count && no_size);
    gsai_free(&a, none);
    gsai_free(&a, no_count);
    gsai_free(&a, no_size);
    gsai_free(&a, NULL);
    assert_int_equal(counter.alive, 0);
    counter.fail_at = counter.calls;
    assert_null(gsai_strdup(&a, "text"));
    uint64_t x = 7;
    assert_false(gsai_add_u64(UINT64_MAX, 1, &x));
    assert_false(gsai_mul_u64((uint64_t)1 << 32, (uint64_t)1 << 32, &x));
    assert_true(x == 7 && gsai_add_u64(UINT64_MAX, 0, &x) && gsai_mul_u64(UINT64_MAX, 0, &x) && x == 0);
}

static void alloc_half_an_allocator_is_none(void **state)
{
    (void)state;
    counting_alloc counter = {.fail_at = -1};
    const gsa_allocator whole = counting_allocator(&counter);
    for (int missing = 0; missing < 3; missing++) {
        gsa_allocator a = whole;
        if (missing == 0) a.alloc = NULL;
        if (missing == 1) a.realloc = NULL;
        if (missing == 2) a.free = NULL;
        a = gsai_allocator_or_default(&a);
        gsai_free(&a, gsai_realloc_array(&a, gsai_alloc(&a, 10), 20, 1));
    }
    assert_int_equal(counter.calls, 0);
    assert_ptr_equal(gsai_allocator_or_default(&whole).user, &counter);
}

static void file_pipe_or_folder_is_refused_at_once(void **state)
{
    (void)state;
    char folder[] = "/tmp/gsa-util-XXXXXX", path[64];
    gsai_file_map map;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(gsai_file_map_open(path, &map), GSA_ERROR_FILE); /* and does not wait for a writer */
    assert_non_null(strstr(gsa_error_text(), "not a regular file"));
    assert_int_equal(gsai_file_map_open(folder, &map), GSA_ERROR_FILE);
    assert_int_equal(gsai_file_map_open("/tmp/gsa-not-there", &map), GSA_ERROR_FILE);
    assert_false(gsai_file_exists(path) || gsai_file_exists(folder) || gsai_is_directory(path));
    assert_true(gsai_is_directory(folder));
    unlink(path);
    rmdir(folder);
}

static void file_too_large_to_map_is_refused(void **state)
{
    (void)state;
    char path[40];
    snprintf(path, sizeof path, "%s/gsa-util-XXXXXX", gsai_is_directory("/dev/shm") ? "/dev/shm" : "/tmp");
    const int fd = mkstemp(path);
    gsai_file_map map;
    assert_true(fd >= 0);
    for (int bits = 62; bits > 46; bits--) { /* as large as the file system lets a hole be */
        if (ftruncate(fd, (off_t)1 << bits) != 0) continue;
        assert_int_equal(gsai_file_map_open(path, &map), GSA_ERROR_FILE);
        assert_non_null(strstr(gsa_error_text(), "cannot map"));
        assert_null(map.data);
        break;
    }
    close(fd);
    unlink(path);
}

static void file_hints_outside_the_file_do_nothing(void **state)
{
    (void)state;
    char path[] = "/tmp/gsa-util-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && ftruncate(fd, 10000) == 0);
    close(fd);
    gsai_file_map map, empty = {0};
    assert_int_equal(gsai_file_map_open(path, &map), GSA_OK);
    gsai_file_map_will_need(&map, 5000, 100);
    gsai_file_map_will_need(&map, 5000, UINT64_MAX);
    gsai_file_map_will_need(&map, 10000, 1);
    gsai_file_map_will_need(&empty, 0, 1);
    gsai_file_pages_will_need(NULL, 1);
    gsai_file_pages_will_need(map.data, 0);
    gsai_file_pages_drop(NULL, 1);
    gsai_file_pages_drop(map.data + 1, 100); /* no whole page */
    gsai_file_pages_drop(map.data, map.size);
    assert_int_equal(map.data[9999], 0);
    gsai_file_map_close(&map);
    gsai_file_map_close(&map);
    unlink(path);
}

static void file_pages_dropped_come_back(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    char path[] = "/tmp/gsa-test-pages-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    uint8_t *data = malloc(SIZE);
    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++) data[i] = (uint8_t)(i * 2654435761u >> 11);
    assert_int_equal(write(fd, data, SIZE), SIZE);
    close(fd);
    gsai_file_map map;
    assert_int_equal(gsai_file_map_open(path, &map), GSA_OK);
    assert_memory_equal(map.data, data, SIZE);
    gsai_file_pages_will_need(map.data + 5000, 100000);
    gsai_file_pages_drop(map.data + 1, SIZE - 2);
    gsai_file_pages_drop(map.data + 100, 50); /* less than a page: nothing to drop */
    gsai_file_pages_drop(NULL, 0);
    gsai_file_pages_will_need(NULL, 0);
    assert_memory_equal(map.data, data, SIZE);
    gsai_file_map_close(&map);
    unlink(path);
    free(data);
}

static void file_replace_is_whole_or_not_at_all(void **state)
{
    (void)state;
    char folder[] = "/tmp/gsa-util-XXXXXX", path[64], longer[300];
    gsai_file_map map;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(gsai_file_replace(path, "one", 3), GSA_OK);
    assert_int_equal(gsai_file_replace(path, "", 0), GSA_OK);
    assert_int_equal(gsai_file_replace(path, "three", 5), GSA_OK);
    assert_int_equal(gsai_file_map_open(path, &map), GSA_OK);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "three", 5);
    gsai_file_map_close(&map);
    assert_int_equal(gsai_file_replace("/tmp/gsa-no-folder/x", "", 0), GSA_ERROR_FILE);
    assert_int_equal(gsai_file_replace(folder, "x", 1), GSA_ERROR_FILE); /* a folder stays one */
    assert_non_null(strstr(gsa_error_text(), "is a directory"));
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(gsai_file_replace(longer, "x", 1), GSA_ERROR_FILE);
    assert_non_null(strstr(gsa_error_text(), "too long"));
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* no temporary file stayed */
}

static void file_paths_join_with_one_slash(void **state)
{
    (void)state;
    char path[8];
    assert_true(gsai_path_join(path, sizeof path, "a", "b") && strcmp(path, "a/b") == 0);
    assert_true(gsai_path_join(path, sizeof path, "a/", "b") && strcmp(path, "a/b") == 0);
    assert_true(gsai_path_join(path, sizeof path, "", "b") && strcmp(path, "/b") == 0);
    assert_false(gsai_path_join(path, sizeof path, "abcd", "efg"));
}

static void json_values_are_counted_before_they_cost_memory(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t values;
    } cases[] = {{"{}", 5}, {"[1,2,3]", 7}, {"[[],{}]", 14}, {"[\"a,b[{\\\",[\",1]", 6}, {"{\"a\":{\"b\":[1,2]}}", 14}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *root;
        const char *text = cases[i].text;
        assert_int_equal(gsai_json_parse(text, strlen(text), cases[i].values, &root), GSA_OK);
        assert_non_null(root);
        json_decref(root);
        assert_int_equal(gsai_json_parse(text, strlen(text), cases[i].values - 1, &root), GSA_ERROR_FORMAT);
        assert_non_null(strstr(gsa_error_text(), "too many values"));
        assert_null(root);
    }
}

static void *no_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void json_without_memory_says_so(void **state)
{
    (void)state;
    json_t *root;
    json_set_alloc_funcs(no_malloc, free);
    const gsa_status status = gsai_json_parse("{}", 2, 100, &root);
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
    assert_null(root);
    assert_int_equal(gsai_json_parse(NULL, 0, 100, &root), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_json_parse("{\"a\":1,\"a\":2}", 13, 100, &root), GSA_ERROR_FORMAT);
    assert_non_null(strstr(gsa_error_text(), "duplicate"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_text_of_strangers_is_one_printable_line),
        cmocka_unit_test(status_text_cut_inside_a_character_stays_valid),
        cmocka_unit_test(log_lines_are_printable_and_filtered),
        cmocka_unit_test(status_names_are_there_for_all),
        cmocka_unit_test(alloc_sizes_that_wrap_are_refused),
        cmocka_unit_test(alloc_half_an_allocator_is_none),
        cmocka_unit_test(file_pipe_or_folder_is_refused_at_once),
        cmocka_unit_test(file_too_large_to_map_is_refused),
        cmocka_unit_test(file_hints_outside_the_file_do_nothing),
        cmocka_unit_test(file_pages_dropped_come_back),
        cmocka_unit_test(file_replace_is_whole_or_not_at_all),
        cmocka_unit_test(file_paths_join_with_one_slash),
        cmocka_unit_test(json_values_are_counted_before_they_cost_memory),
        cmocka_unit_test(json_without_memory_says_so),
    };
    return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
