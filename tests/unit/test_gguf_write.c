#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gguf/write.h"
#include "support/counting_alloc.h"
#include "util/new_file.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/gsa-gguf-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    return 0;
}

static unsigned count_files(void)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static int remove_folder(void **state)
{
    (void)state;
    DIR *d = opendir(folder);
    char name[400];
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.') unlink(name);
    }
    closedir(d);
    return rmdir(folder);
}

static gsai_gguf_writer *new_writer(void)
{
    gsai_gguf_writer *w = NULL;
    assert_int_equal(gsai_gguf_writer_create(NULL, &w), GSA_OK);
    return w;
}

static size_t read_file(uint8_t *out, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    const size_t n = fread(out, 1, size, f);
    fclose(f);
    return n;
}

static const uint64_t three[] = {3}, two_by_32[] = {2, 32};

/* One value of each kind of call, two tensors; every byte of the file written down here by hand. */
static void gguf_write_gives_the_bytes_of_the_format(void **state)
{
    (void)state;
    static const uint8_t expected[] = "GGUF\3\0\0\0\2\0\0\0\0\0\0\0\11\0\0\0\0\0\0\0"
                                      "\1\0\0\0\0\0\0\0a\4\0\0\0\4\3\2\1"
                                      "\1\0\0\0\0\0\0\0b\6\0\0\0\0\0\200\277"
                                      "\1\0\0\0\0\0\0\0c\7\0\0\0\1"
                                      "\1\0\0\0\0\0\0\0d\10\0\0\0\3\0\0\0\0\0\0\0x\0y"
                                      "\1\0\0\0\0\0\0\0e\10\0\0\0\0\0\0\0\0\0\0\0"
                                      "\1\0\0\0\0\0\0\0f\11\0\0\0\10\0\0\0\2\0\0\0\0\0\0\0"
                                      "\2\0\0\0\0\0\0\0pq\0\0\0\0\0\0\0\0"
                                      "\1\0\0\0\0\0\0\0g\11\0\0\0\6\0\0\0\1\0\0\0\0\0\0\0\0\0\200\77"
                                      "\1\0\0\0\0\0\0\0h\11\0\0\0\5\0\0\0\1\0\0\0\0\0\0\0\376\377\377\377"
                                      "\1\0\0\0\0\0\0\0i\12\0\0\0\10\7\6\5\4\3\2\1"
                                      "\2\0\0\0\0\0\0\0t0\1\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                      "\2\0\0\0\0\0\0\0t1\2\0\0\0\40\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\2\0\0\0"
                                      "\40\0\0\0\0\0\0\0";
    const size_t header = sizeof expected - 1, start = (header + 31) / 32 * 32;
    gsai_gguf_writer *w = new_writer();
    gsai_gguf_put_u32(w, "a", 0x01020304);
    gsai_gguf_put_f32(w, "b", -1);
    gsai_gguf_put_bool(w, "c", true);
    gsai_gguf_put_text(w, "d", (gsai_text){"x\0y", 3});
    gsai_gguf_put_string(w, "e", "");
    gsai_gguf_put_texts(w, "f", (gsai_text[]){{"pq", 2}, {NULL, 0}}, 2);
    gsai_gguf_put_f32s(w, "g", (float[]){1}, 1);
    gsai_gguf_put_i32s(w, "h", (int32_t[]){-2}, 1);
    gsai_gguf_put_raw(w, "i", GSAI_GGUF_U64, "\10\7\6\5\4\3\2\1", 8);
    assert_int_equal(gsai_gguf_add_tensor(w, "t0", GSAI_F32, 1, three), 0);
    assert_int_equal(gsai_gguf_add_tensor(w, "t1", GSAI_Q4_0, 2, two_by_32), 1);
    assert_int_equal(gsai_gguf_begin(w, path), GSA_OK);
    assert_false(access(path, F_OK) == 0);
    uint8_t t1[36], file[1024];
    for (int i = 0; i < 36; i++) t1[i] = (uint8_t)(100 + i);
    assert_int_equal(gsai_gguf_write(w, 1, 20, t1 + 20, 16), GSA_OK);
    assert_int_equal(gsai_gguf_write(w, 0, 0, "abcdefghijkl", 12), GSA_OK);
    assert_int_equal(gsai_gguf_write(w, 1, 0, t1, 20), GSA_OK);
    assert_int_equal(gsai_gguf_finish(w), GSA_OK);
    gsai_gguf_writer_destroy(w);
    assert_int_equal(read_file(file, sizeof file), start + 32 + 64);
    assert_memory_equal(file, expected, header);
    for (size_t i = header; i < start; i++) assert_int_equal(file[i], 0);
    assert_memory_equal(file + start, "abcdefghijkl\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
    assert_memory_equal(file + start + 32, t1, 36);
    for (size_t i = 36; i < 64; i++) assert_int_equal(file[start + 32 + i], 0);
    assert_int_equal(count_files(), 1);
    struct stat st;
    const mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
}

typedef struct job {
    gsai_gguf_writer *w;
    int part;
} job;

#define ROWS 997

static void *write_part(void *user)
{
    const job *j = user;
    uint8_t row[34];
    for (int i = j->part; i < ROWS; i += 4) {
        for (int k = 0; k < 34; k++) row[k] = (uint8_t)(i * 7 + k);
        if (gsai_gguf_write(j->w, 0, (uint64_t)i * 34, row, 34)) return (void *)"failed";
    }
    return NULL;
}

static void gguf_write_takes_ranges_from_several_threads(void **state)
{
    (void)state;
    gsai_gguf_writer *w = new_writer();
    gsai_gguf_add_tensor(w, "t", GSAI_Q8_0, 2, (uint64_t[]){ROWS, 32});
    assert_int_equal(gsai_gguf_begin(w, path), GSA_OK);
    pthread_t threads[4];
    job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (job){w, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_part, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    assert_int_equal(gsai_gguf_finish(w), GSA_OK);
    gsai_gguf_writer_destroy(w);
    static uint8_t file[ROWS * 34 + 1000];
    const size_t n = read_file(file, sizeof file), start = n - (ROWS * 34 + 31) / 32 * 32;
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < 34; k++) assert_int_equal(file[start + (size_t)i * 34 + (size_t)k], (uint8_t)(i * 7 + k));
    }
}

/* Each writer below breaks one rule; begin says so, nothing lies in the folder, and the failure stays. */
static void gguf_write_mistakes_are_refused_at_begin(void **state)
{
    (void)state;
    char long_name[80];
    memset(long_name, 'n', 64);
    long_name[64] = 0;
    for (int mistake = 0; mistake < 12; mistake++) {
        gsai_gguf_writer *w = new_writer();
        gsai_gguf_put_u32(w, "key", 1);
        gsai_gguf_add_tensor(w, "t", GSAI_F32, 1, three);
        switch (mistake) {
        case 0:
            gsai_gguf_put_f32(w, "key", 1);
            break;
        case 1:
            gsai_gguf_put_u32(w, "", 1);
            break;
        case 2:
            gsai_gguf_put_raw(w, "raw", GSAI_GGUF_N_KINDS, "", 0);
            break;
        case 3:
            gsai_gguf_add_tensor(w, "t", GSAI_F32, 1, three);
            break;
        case 4:
            gsai_gguf_add_tensor(w, "", GSAI_F32, 1, three);
            break;
        case 5:
            gsai_gguf_add_tensor(w, long_name, GSAI_F32, 1, three);
            break;
        case 6:
            gsai_gguf_add_tensor(w, "u", GSAI_Q8_0, 2, (uint64_t[]){32, 31});
            break;
        case 7:
            gsai_gguf_add_tensor(w, "u", GSAI_F32, 5, (uint64_t[]){1, 1, 1, 1, 1});
            break;
        case 8:
            gsai_gguf_add_tensor(w, "u", GSAI_F32, 2, (uint64_t[]){0, 3});
            break;
        case 9:
            gsai_gguf_add_tensor(w, "u", GSAI_F32, 3, (uint64_t[]){1ull << 40, 1ull << 40, 1});
            break;
        case 10:
            gsai_gguf_add_tensor(w, "u", GSAI_N_TYPES, 1, three);
            break;
        default:
            gsai_gguf_add_tensor(w, "u", GSAI_F32, 0, three);
            break;
        }
        assert_int_equal(gsai_gguf_begin(w, path), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsai_gguf_write(w, 0, 0, "abcd", 4), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsai_gguf_finish(w), GSA_ERROR_ARGUMENT);
        gsai_gguf_writer_destroy(w);
        assert_int_equal(count_files(), 0);
    }
    gsai_gguf_writer *w = new_writer(); /* 63 bytes are fine, and so is no tensor */
    gsai_gguf_add_tensor(w, long_name + 1, GSAI_F32, 1, three);
    assert_int_equal(gsai_gguf_begin(w, path), GSA_OK);
    gsai_gguf_writer_destroy(w);
    w = new_writer();
    assert_int_equal(gsai_gguf_begin(w, path), GSA_OK);
    assert_int_equal(gsai_gguf_finish(w), GSA_OK);
    gsai_gguf_writer_destroy(w);
    uint8_t file[64];
    assert_int_equal(read_file(file, sizeof file), 32);
}

static gsai_gguf_writer *begun(void)
{
    gsai_gguf_writer *w = new_writer();
    gsai_gguf_add_tensor(w, "t", GSAI_F32, 1, three);
    assert_int_equal(gsai_gguf_begin(w, path), GSA_OK);
    return w;
}

static void gguf_write_misuse_of_a_begun_file_leaves_nothing(void **state)
{
    (void)state;
    gsai_gguf_writer *w = begun(); /* 13 bytes are more than it has */
    assert_int_equal(gsai_gguf_write(w, 0, 1, "abcdefghijkl", 12), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_gguf_write(w, 0, 0, "abcdefghijkl", 12), GSA_ERROR_ARGUMENT); /* it stays */
    assert_int_equal(gsai_gguf_finish(w), GSA_ERROR_ARGUMENT);
    assert_int_equal(count_files(), 0);
    gsai_gguf_writer_destroy(w);

    w = begun(); /* an offset that would wrap */
    assert_int_equal(gsai_gguf_write(w, 0, UINT64_MAX - 3, "abcd", 8), GSA_ERROR_ARGUMENT);
    gsai_gguf_writer_destroy(w);
    assert_int_equal(count_files(), 0);

    w = begun(); /* no such tensor */
    assert_int_equal(gsai_gguf_write(w, 1, 0, "abcd", 4), GSA_ERROR_ARGUMENT);
    gsai_gguf_writer_destroy(w);

    w = begun(); /* not all bytes */
    assert_int_equal(gsai_gguf_write(w, 0, 0, "abcdefghijk", 11), GSA_OK);
    assert_int_equal(gsai_gguf_finish(w), GSA_ERROR_ARGUMENT);
    assert_non_null(strstr(gsa_error_text(), "11 of 12"));
    gsai_gguf_writer_destroy(w);

    w = begun(); /* header after begin, begin twice */
    gsai_gguf_put_u32(w, "late", 1);
    assert_int_equal(gsai_gguf_finish(w), GSA_ERROR_ARGUMENT);
    gsai_gguf_writer_destroy(w);
    w = begun();
    assert_int_equal(gsai_gguf_begin(w, path), GSA_ERROR_ARGUMENT);
    gsai_gguf_writer_destroy(w);

    w = begun(); /* never finished */
    assert_int_equal(count_files(), 1);
    gsai_gguf_writer_destroy(w);
    assert_int_equal(count_files(), 0);
    gsai_gguf_writer_destroy(NULL);

    w = new_writer(); /* never begun */
    assert_int_equal(gsai_gguf_write(w, 0, 0, "", 0), GSA_ERROR_ARGUMENT);
    gsai_gguf_writer_destroy(w);
    w = new_writer();
    assert_int_equal(gsai_gguf_finish(w), GSA_ERROR_ARGUMENT);
    gsai_gguf_writer_destroy(w);
}

static void gguf_write_keeps_the_old_file_until_the_new_one_is_whole(void **state)
{
    (void)state;
    uint8_t file[256];
    FILE *f = fopen(path, "wb");
    fputs("old", f);
    fclose(f);
    gsai_gguf_writer *w = begun();
    assert_int_equal(read_file(file, sizeof file), 3);
    gsai_gguf_writer_destroy(w);
    assert_int_equal(read_file(file, sizeof file), 3);
    w = begun();
    assert_int_equal(gsai_gguf_write(w, 0, 0, "abcdefghijkl", 12), GSA_OK);
    assert_int_equal(gsai_gguf_finish(w), GSA_OK);
    assert_memory_equal(file, "old", 3);
    assert_true(read_file(file, sizeof file) > 12);
    assert_memory_equal(file, "GGUF", 4);
    assert_int_equal(gsai_gguf_finish(w), GSA_ERROR_ARGUMENT); /* once only; the file stays */
    gsai_gguf_writer_destroy(w);
    assert_int_equal(count_files(), 1);
}

static void gguf_write_what_the_file_system_refuses_is_told(void **state)
{
    (void)state;
    char other[128];
    gsai_gguf_writer *w = new_writer();
    snprintf(other, sizeof other, "%s/none/model.gguf", folder);
    assert_int_equal(gsai_gguf_begin(w, other), GSA_ERROR_FILE);
    assert_non_null(strstr(gsa_error_text(), other));
    gsai_gguf_writer_destroy(w);

    w = new_writer();
    assert_int_equal(gsai_gguf_begin(w, folder), GSA_ERROR_FILE);
    gsai_gguf_writer_destroy(w);

    w = begun(); /* the name is taken by a folder in the meantime */
    assert_int_equal(gsai_gguf_write(w, 0, 0, "abcdefghijkl", 12), GSA_OK);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(gsai_gguf_finish(w), GSA_ERROR_FILE);
    gsai_gguf_writer_destroy(w);
    assert_int_equal(count_files(), 1);
    assert_int_equal(rmdir(path), 0);

    /* A limit on file size stands in for a full disk. */
    struct rlimit old, small = {.rlim_cur = 4096};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    w = new_writer();
    gsai_gguf_add_tensor(w, "t", GSAI_F32, 1, (uint64_t[]){4096});
    const gsa_status status = gsai_gguf_begin(w, path);
    gsai_new_file f; /* and in the middle of a file whose length was not set */
    gsa_status late = gsai_new_file_begin(&f, path, NULL);
    static uint8_t many[8192];
    if (!late) late = gsai_new_file_write(&f, 0, many, sizeof many);
    gsai_new_file_abandon(&f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, GSA_ERROR_FILE);
    assert_int_equal(late, GSA_ERROR_FILE);
    gsai_gguf_writer_destroy(w);
    assert_int_equal(count_files(), 0);
}

/* Killed without a chance to clean up, the file's name must not exist. */
static void gguf_write_killed_in_the_middle_leaves_no_file_of_that_name(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        gsai_gguf_writer *w = begun();
        if (gsai_gguf_write(w, 0, 0, "abcdefghijkl", 12) || write(pipe_ends[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    char c;
    assert_int_equal(read(pipe_ends[0], &c, 1), 1);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_not_equal(access(path, F_OK), 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static gsa_status write_all(const gsa_allocator *a)
{
    static const gsai_text texts[] = {{"abc", 3}, {"de", 2}};
    char name[16];
    gsai_gguf_writer *w;
    gsa_status status = gsai_gguf_writer_create(a, &w);
    if (status) return status;
    for (int i = 0; i < 70; i++) {
        snprintf(name, sizeof name, "key%d", i);
        gsai_gguf_put_texts(w, name, texts, 2);
    }
    for (int i = 0; i < 70; i++) {
        snprintf(name, sizeof name, "t%d", i);
        gsai_gguf_add_tensor(w, name, GSAI_F32, 1, three);
    }
    status = gsai_gguf_begin(w, path);
    for (uint32_t i = 0; i < 70 && !status; i++) status = gsai_gguf_write(w, i, 0, "abcdefghijkl", 12);
    if (!status) status = gsai_gguf_finish(w);
    gsai_gguf_writer_destroy(w);
    return status;
}

static void gguf_write_every_failed_allocation_is_reported(void **state)
{
    (void)state;
    counting_alloc c = {.fail_at = -1};
    gsa_allocator a = counting_allocator(&c);
    assert_int_equal(write_all(&a), GSA_OK);
    assert_int_equal(c.alive, 0);
    unlink(path);
    const long calls = c.calls;
    assert_true(calls > 70);
    for (long i = 0; i < calls; i++) {
        c = (counting_alloc){.fail_at = i};
        assert_int_equal(write_all(&a), GSA_ERROR_HOST_MEMORY);
        assert_int_equal(c.alive, 0);
        assert_int_equal(count_files(), 0);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(gguf_write_gives_the_bytes_of_the_format),
        TEST(gguf_write_takes_ranges_from_several_threads),
        TEST(gguf_write_mistakes_are_refused_at_begin),
        TEST(gguf_write_misuse_of_a_begun_file_leaves_nothing),
        TEST(gguf_write_keeps_the_old_file_until_the_new_one_is_whole),
        TEST(gguf_write_what_the_file_system_refuses_is_told),
        TEST(gguf_write_killed_in_the_middle_leaves_no_file_of_that_name),
        TEST(gguf_write_every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
