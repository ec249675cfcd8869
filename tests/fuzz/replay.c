/* Runs a fuzz target over files and folders of files: replay_TARGET [--messages] PATH...
 *   good-*       must open
 *   bad-*        must be refused, with a line of text that names what is wrong
 *   others       may do either
 * Each file is also read with an allocator that fails, at each call in turn, and by a JSON parser without memory;
 * nothing may be lost then, and the status must be HOST_MEMORY. (jansson is not asked to survive a failure in the middle
 * of a text: an assertion in it ends the process then.) --messages prints status and text of each file
 * instead, in the form of messages.txt. */
#define _GNU_SOURCE
#include "fuzz.h"

#include "support/counting_alloc.h"

#include <dirent.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FAILURES 400 /* allocations that are made to fail, per file */

static bool messages_only;
static int n_files, n_failed;
static counting_alloc json_counter = {.fail_at = -1};

static void *json_malloc(size_t size)
{
    return counting_malloc(&json_counter, size);
}
static void json_free(void *memory)
{
    counting_free(&json_counter, memory);
}

size_t fuzz_mutate_bytes(uint8_t *data, size_t size, size_t max_size)
{
    (void)data;
    (void)max_size;
    return size;
}

/* The text of the last failure with the name hidden that differs from run to run. */
static const char *text(void)
{
    static char out[1024];
    const char *in = gsa_error_text(), *at;
    size_t n = 0;
    while (*fuzz_hidden && (at = strstr(in, fuzz_hidden)) && n + 8 < sizeof out) {
        n += (size_t)snprintf(out + n, sizeof out - n, "%.*sFOLDER", (int)(at - in), in);
        in = at + strlen(fuzz_hidden);
    }
    snprintf(out + n, sizeof out - n, "%s", in);
    return out;
}

static void complain(const char *name, const char *what)
{
    n_failed++;
    fprintf(stderr, "%s: %s: %s\n", name, what, text());
}

static gsa_status run(const uint8_t *data, size_t size, long fail_at, long *n_calls, bool *leaked)
{
    counting_alloc counter = {.fail_at = fail_at};
    const gsa_allocator a = counting_allocator(&counter);
    const gsa_status status = fuzz_file(data, size, &a);
    *n_calls = counter.calls;
    *leaked = counter.alive != 0 || json_counter.alive != 0;
    return status;
}

/* Fail one allocation after the other, until a run has fewer. */
static void sweep(const char *name, const uint8_t *data, size_t size, gsa_status usual)
{
    for (long n = -1; n < MAX_FAILURES; n++) {
        long calls;
        bool leaked;
        json_counter = (counting_alloc){.fail_at = n < 0 ? 0 : -1};
        const gsa_status status = run(data, size, n, &calls, &leaked);
        if (leaked) complain(name, "memory was lost after a failed allocation");
        /* Opening may be over when the failure comes. */
        if (status != GSA_ERROR_HOST_MEMORY && status != usual) complain(name, "a failed allocation was not told");
        if (leaked || (n >= 0 && calls <= n)) return;
    }
}

static void replay(const char *path, const char *name)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        complain(path, "cannot be read");
        return;
    }
    const long size = ftell(f);
    rewind(f);
    uint8_t *data = malloc((size_t)size + !size); /* exactly as large as the file: reads past its end are seen */
    FUZZ_CHECK(size >= 0 && data && fread(data, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
    n_files++;
    long calls;
    bool leaked;
    const gsa_status status = run(data, (size_t)size, -1, &calls, &leaked);
    if (messages_only) {
        printf("%s\t%s\t%s\n", name, gsa_status_name(status), status ? text() : "");
    } else {
        if (leaked) complain(name, "memory was lost");
        if (strncmp(name, "good-", 5) == 0 && status != GSA_OK) complain(name, "should open");
        if (strncmp(name, "bad-", 4) == 0 && (status == GSA_OK || !*gsa_error_text()))
            complain(name, "should be refused with a reason");
        sweep(name, data, (size_t)size, status);
    }
    free(data);
}

static int not_hidden(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    json_set_alloc_funcs(json_malloc, json_free);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        struct dirent **entries;
        if (strcmp(argv[i], "--messages") == 0) {
            messages_only = true;
        } else if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            const int n = scandir(argv[i], &entries, not_hidden, alphasort);
            for (int k = 0; k < n; k++) {
                char path[4096];
                snprintf(path, sizeof path, "%s/%s", argv[i], entries[k]->d_name);
                replay(path, entries[k]->d_name);
                free(entries[k]);
            }
            if (n >= 0) free(entries);
        } else {
            const char *slash = strrchr(argv[i], '/');
            replay(argv[i], slash ? slash + 1 : argv[i]);
        }
    }
    if (!messages_only) printf("%d files, %d findings\n", n_files, n_failed);
    return n_files == 0 || n_failed ? 1 : 0;
}
