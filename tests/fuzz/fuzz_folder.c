/* Target: a whole Hugging Face folder. The input is its files one after the other, each after a line "@@NAME"; which
 * names count is fixed below, so that nothing is written elsewhere. */
#define _GNU_SOURCE
#include "fuzz.h"

#include "fuzz_checkpoint.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = {"config.json", "model.safetensors.index.json", "model.safetensors", "a.safetensors",
    "b.safetensors", "pytorch_model.bin"};

#define N_NAMES (sizeof names / sizeof *names)

typedef struct part {
    size_t begin, end; /* of its bytes, or both 0 */
} part;

/* Where the files are. The last of two with one name counts. */
static void split(const uint8_t *data, size_t size, part parts[N_NAMES])
{
    part *open = NULL;
    memset(parts, 0, N_NAMES * sizeof *parts);
    for (size_t i = 0; i + 2 < size; i++) {
        if (data[i] != '@' || data[i + 1] != '@' || (i > 0 && data[i - 1] != '\n')) continue;
        for (size_t k = 0; k < N_NAMES; k++) {
            const size_t n = strlen(names[k]);
            if (size - i - 2 <= n || memcmp(data + i + 2, names[k], n) != 0 || data[i + 2 + n] != '\n') continue;
            if (open) open->end = i > open->begin ? i - 1 : open->begin; /* without the end of the line before */
            open = &parts[k];
            open->begin = i + 3 + n;
            open->end = size;
        }
    }
}

static void remove_folder(void)
{
    char path[128];
    for (size_t k = 0; k < N_NAMES; k++) {
        snprintf(path, sizeof path, "%s/%s", fuzz_hidden, names[k]);
        unlink(path);
    }
    rmdir(fuzz_hidden);
}

static void write_files(const uint8_t *data, const part parts[N_NAMES])
{
    if (!fuzz_hidden[0]) {
        struct stat st;
        const char *base = stat("/dev/shm", &st) == 0 && S_ISDIR(st.st_mode) ? "/dev/shm" : "/tmp";
        snprintf(fuzz_hidden, sizeof fuzz_hidden, "%s/gsa-fuzz-XXXXXX", base);
        FUZZ_CHECK(mkdtemp(fuzz_hidden));
        atexit(remove_folder);
    }
    for (size_t k = 0; k < N_NAMES; k++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", fuzz_hidden, names[k]);
        unlink(path);
        if (!parts[k].begin) continue;
        const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        const size_t n = parts[k].end - parts[k].begin;
        FUZZ_CHECK(fd >= 0 && write(fd, data + parts[k].begin, n) == (ssize_t)n);
        close(fd);
    }
}

gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    const gsa_log log = fuzz_log();
    const gsai_checkpoint_options options = {*allocator, &log};
    part parts[N_NAMES];
    split(data, size, parts);
    write_files(data, parts);
    gsai_checkpoint *c = NULL;
    const gsa_status status = gsai_checkpoint_open_hf(fuzz_hidden, &options, &c);
    FUZZ_CHECK((status == GSA_OK) == (c != NULL));
    uint64_t hash;
    if (c) fuzz_use_checkpoint(c, &hash);
    gsai_checkpoint_close(c);
    return status;
}

/* Change the JSON of one of the files. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t max_size, uint32_t seed)
{
    part parts[N_NAMES];
    split(data, size, parts);
    const size_t k = fuzz_random(&seed) % N_NAMES;
    size_t begin = parts[k].begin, n = parts[k].end - begin;
    if (!begin || max_size < size) return 0;
    const bool header = strstr(names[k], ".safetensors") && !strstr(names[k], "index");
    if (header) { /* behind the length, which must be small to be believed */
        if (n < 10 || data[begin + 2] || data[begin + 3]) return 0;
        const size_t claimed = data[begin] | (size_t)data[begin + 1] << 8;
        if (claimed > n - 8) return 0;
        begin += 8;
        n = claimed;
    }
    const size_t n_tail = size - begin - n;
    uint8_t *tail = malloc(n_tail + 1);
    if (!tail) return 0;
    memcpy(tail, data + begin + n, n_tail);
    const size_t made = fuzz_mutate_json(data + begin, n, max_size - begin - n_tail, seed);
    if (made) memcpy(data + begin + made, tail, n_tail);
    if (made && header) {
        data[begin - 8] = (uint8_t)made;
        data[begin - 7] = (uint8_t)(made >> 8);
    }
    free(tail);
    return made ? begin + made + n_tail : 0;
}
