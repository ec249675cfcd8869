#define _GNU_SOURCE
#include "util/new_file.h"

#include "util/alloc.h"
#include "util/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void forget(gsai_new_file *f)
{
    if (f->path) gsai_free(&f->allocator, f->path);
    if (f->temporary) gsai_free(&f->allocator, f->temporary);
    *f = (gsai_new_file){0};
}

/* A name of its own, taken with O_EXCL. Not mkostemp, whose private mode only umask() could widen: that is the whole
 * process's, and other threads create files meanwhile. Returns errno. */
static int create_beside(gsai_new_file *f, size_t size)
{
    enum { MOST_TRIES = 100 };
    for (unsigned i = 0; i < MOST_TRIES; i++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const unsigned mixed = ((unsigned)now.tv_nsec ^ (unsigned)getpid() * 2654435761u) + i * 40503u;
        snprintf(f->temporary, size, "%s.%06x", f->path, mixed & 0xffffffu);
        f->fd = open(f->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0) return 0;
        if (errno != EEXIST) return errno;
    }
    return EEXIST;
}

gsa_status gsai_new_file_begin(gsai_new_file *f, const char *path, const gsa_allocator *allocator)
{
    *f = (gsai_new_file){.allocator = gsai_allocator_or_default(allocator), .fd = -1};
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        *f = (gsai_new_file){0};
        return gsai_fail(GSA_ERROR_FILE, "%.500s: cannot create: it is a directory", path);
    }
    const size_t size = strlen(path) + sizeof ".XXXXXX";
    f->path = gsai_strdup(&f->allocator, path);
    f->temporary = gsai_alloc(&f->allocator, size);
    if (!f->path || !f->temporary) {
        forget(f);
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "%.500s: no memory for its name", path);
    }
    const int error = create_beside(f, size);
    if (error) {
        forget(f);
        return gsai_fail(GSA_ERROR_FILE, "%.500s: cannot create a file beside it: %s", path, strerror(error));
    }
    f->open = true;
    return GSA_OK;
}

gsa_status gsai_new_file_reserve(const gsai_new_file *f, uint64_t size)
{
    int error = 0;
    if (size > INT64_MAX)
        error = EFBIG;
    else if (ftruncate(f->fd, (off_t)size) != 0)
        error = errno;
#ifdef __linux__
    /* Not posix_fallocate, which writes every block where the file system cannot set space aside. */
    else if (size > 0 && fallocate(f->fd, 0, 0, (off_t)size) != 0 &&
             (errno == ENOSPC || errno == EFBIG || errno == EDQUOT))
        error = errno;
#endif
    if (!error) return GSA_OK;
    return gsai_fail(
        GSA_ERROR_FILE, "%s: cannot reserve %llu bytes: %s", f->path, (unsigned long long)size, strerror(error));
}

gsa_status gsai_new_file_write(const gsai_new_file *f, uint64_t offset, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size > 0) {
        const ssize_t n = pwrite(f->fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return gsai_fail(GSA_ERROR_FILE, "%s: cannot write %zu bytes at offset %llu: %s", f->path, size,
                (unsigned long long)offset, n < 0 ? strerror(errno) : "nothing was written");
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return GSA_OK;
}

/* The rename itself must reach the disk, too. Not every file system can; the file is whole either way. */
static void flush_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof folder) return;
    snprintf(folder, sizeof folder, "%.*s", (int)n, path);
    const int fd = open(!slash ? "." : n ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

gsa_status gsai_new_file_commit(gsai_new_file *f)
{
    int error = 0;
    if (fsync(f->fd) != 0) error = errno;
    if (close(f->fd) != 0 && !error) error = errno;
    f->open = false;
    if (!error && rename(f->temporary, f->path) != 0) error = errno;
    gsa_status status = GSA_OK;
    if (error) {
        unlink(f->temporary);
        status = gsai_fail(GSA_ERROR_FILE, "%s: cannot replace: %s", f->path, strerror(error));
    } else {
        flush_folder(f->path);
    }
    forget(f);
    return status;
}

void gsai_new_file_abandon(gsai_new_file *f)
{
    if (f->open) {
        close(f->fd);
        unlink(f->temporary);
    }
    if (f->path) forget(f);
}
