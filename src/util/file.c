#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "util/file.h"

#include "util/new_file.h"
#include "util/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

gsa_status gsai_file_map_open(const char *path, gsai_file_map *map)
{
    *map = (gsai_file_map){0};
    /* Not to wait for a writer when the path is a pipe that somebody packed beside the model. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return gsai_fail(GSA_ERROR_FILE, "%s: cannot open: %s", path, strerror(errno));
    struct stat st;
    gsa_status status = GSA_OK;
    if (fstat(fd, &st) != 0) {
        status = gsai_fail(GSA_ERROR_FILE, "%s: cannot stat: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        status = gsai_fail(GSA_ERROR_FILE, "%s: not a regular file", path);
    } else if ((uint64_t)(size_t)st.st_size != (uint64_t)st.st_size) {
        status = gsai_fail(
            GSA_ERROR_FILE, "%s: %lld bytes do not fit this machine's address space", path, (long long)st.st_size);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            status = gsai_fail(
                GSA_ERROR_FILE, "%s: cannot map %lld bytes: %s", path, (long long)st.st_size, strerror(errno));
        else
            *map = (gsai_file_map){p, (uint64_t)st.st_size};
    }
    close(fd);
    return status;
}

void gsai_file_map_close(gsai_file_map *map)
{
    if (map->data) munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    *map = (gsai_file_map){0};
}

static uintptr_t page_size(void)
{
    const long n = sysconf(_SC_PAGESIZE);
    return n > 0 ? (uintptr_t)n : 4096;
}

void gsai_file_pages_will_need(const void *bytes, uint64_t size)
{
    const uintptr_t at = (uintptr_t)bytes, first = at - at % page_size();
    if (bytes && size) madvise((void *)first, (size_t)(at - first + size), MADV_WILLNEED);
}

void gsai_file_pages_drop(const void *bytes, uint64_t size)
{
    const uintptr_t page = page_size(), at = (uintptr_t)bytes, first = (at + page - 1) / page * page;
    const uintptr_t end = (at + (uintptr_t)size) / page * page;
    if (bytes && end > first) madvise((void *)first, (size_t)(end - first), MADV_DONTNEED);
}

void gsai_file_map_will_need(const gsai_file_map *map, uint64_t offset, uint64_t size)
{
    if (!map->data || offset >= map->size) return;
    if (size > map->size - offset) size = map->size - offset;
    gsai_file_pages_will_need(map->data + offset, size);
}

bool gsai_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool gsai_is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

gsa_status gsai_file_replace(const char *path, const void *data, size_t size)
{
    gsai_new_file f;
    gsa_status status = gsai_new_file_begin(&f, path, NULL);
    if (status) return status;
    status = gsai_new_file_write(&f, 0, data, size);
    if (!status) return gsai_new_file_commit(&f);
    gsai_new_file_abandon(&f);
    return status;
}

bool gsai_path_join(char *out, size_t out_size, const char *dir, const char *name)
{
    const size_t n = strlen(dir);
    const char *slash = n && dir[n - 1] == '/' ? "" : "/";
    return snprintf(out, out_size, "%s%s%s", dir, slash, name) < (int)out_size;
}
