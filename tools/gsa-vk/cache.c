/* The pipeline cache between runs. The library checks that the bytes fit its version, the device and the driver, so a
 * wrong or broken file costs time only. Any failure here is silent unless -v: the cache is a convenience. */
#include "app.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CACHE_BYTES (256u << 20)

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void note(const app *a, const char *what, const char *path)
{
    if (a->verbose && !a->quiet) fprintf(stderr, "gsa-vk: pipeline cache: %s %s\n", what, path);
}

static uint64_t mix(uint64_t hash, const char *text)
{
    for (const char *p = text ? text : ""; *p; p++) hash = (hash ^ (unsigned char)*p) * 0x100000001b3ull;
    return (hash ^ 0xff) * 0x100000001b3ull;
}

/* Which device a selection means is known only once drivers are loaded, and then the cache must be there already. So the
 * file is named by all that decides about the device, and by mask and resident step, which decide about its pipelines. */
static bool find_path(app *a)
{
    const char *dir = env("GSA_VK_CACHE_DIR"), *below = "";
    if (!dir) {
        dir = env("XDG_CACHE_HOME");
        below = "/gsa-vk";
    }
    if (!dir) {
        dir = env("HOME");
        below = "/.cache/gsa-vk";
    }
    if (!dir) return false;
    const char *decides[] = {a->select, a->mask, a->resident, env("VK_DRIVER_FILES"), env("VK_ICD_FILENAMES"),
        env("LP_NATIVE_VECTOR_WIDTH")};
    uint64_t hash = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < APP_COUNT(decides); i++) hash = mix(hash, decides[i]);
    char label[32] = "best";
    if (a->select && *a->select) snprintf(label, sizeof label, "%s", a->select);
    for (char *p = label; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'))) *p = '-';
    const uint32_t version = gsa_version();
    const int n = snprintf(a->cache_path, sizeof a->cache_path, "%s%s/pipelines-%u.%u.%u-%s-%08x", dir, below,
        version / 10000, version / 100 % 100, version % 100, label, (unsigned)(hash ^ hash >> 32));
    if (n > 0 && (size_t)n < sizeof a->cache_path) return true;
    a->cache_path[0] = 0;
    return false;
}

void cache_read(app *a)
{
    if (a->no_cache || (a->select && strcmp(a->select, "cpu") == 0) || !find_path(a)) return;
    FILE *f = fopen(a->cache_path, "rb");
    if (!f) {
        note(a, errno == ENOENT ? "none yet at" : "cannot read", a->cache_path);
        return;
    }
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= (off_t)MAX_CACHE_BYTES) {
        const size_t size = (size_t)st.st_size;
        a->cache = malloc(size);
        if (a->cache && fread(a->cache, 1, size, f) == size) {
            a->cache_size = size;
            note(a, "read from", a->cache_path);
        }
    }
    fclose(f);
}

static void make_folders(const char *file)
{
    char path[1024];
    snprintf(path, sizeof path, "%s", file);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
}

static bool write_whole(const char *path, const void *data, size_t size)
{
    char temporary[1100];
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f) {
        if (fd >= 0) close(fd);
        return false;
    }
    bool ok = fwrite(data, 1, size, f) == size;
    ok = fclose(f) == 0 && ok;
    ok = ok && rename(temporary, path) == 0;
    if (!ok) remove(temporary);
    return ok;
}

void cache_write(app *a)
{
    size_t size = 0;
    if (!a->cache_path[0] || gsa_device_cache(a->device, NULL, 0, &size) != GSA_OK || size == 0 ||
        size > MAX_CACHE_BYTES)
        return;
    void *data = malloc(size);
    if (data && gsa_device_cache(a->device, data, size, &size) == GSA_OK &&
        (size != a->cache_size || memcmp(data, a->cache, size) != 0)) {
        make_folders(a->cache_path);
        note(a, write_whole(a->cache_path, data, size) ? "written to" : "cannot write", a->cache_path);
    }
    free(data);
}
