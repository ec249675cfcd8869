#include "util/source.h"

#include "util/alloc.h"
#include "util/status.h"

#include <string.h>

static gsa_status make(const char *name, const gsa_allocator *a, gsai_source **out)
{
    gsai_source *s = *out = gsai_alloc(a, sizeof *s);
    if (s) {
        s->allocator = *a;
        gsai_mutex_init(&s->lock);
        if ((s->name = gsai_strdup(a, name))) return GSA_OK;
    }
    gsai_source_close(s);
    *out = NULL;
    return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory to open it", name);
}

gsa_status gsai_source_open_path(const char *path, const gsa_allocator *allocator, gsai_source **out)
{
    gsa_status status = make(path, allocator, out);
    if (status) return status;
    gsai_source *s = *out;
    if ((status = gsai_file_map_open(path, &s->map))) {
        gsai_source_close(s);
        *out = NULL;
        return status;
    }
    s->data = s->map.data;
    s->size = s->map.size;
    return GSA_OK;
}

gsa_status gsai_source_open_host(const gsa_source *host, const gsa_allocator *allocator, gsai_source **out)
{
    const char *name = host->name ? host->name : host->read ? "read callback" : "memory block";
    *out = NULL;
    if (host->data && host->read) return gsai_fail(GSA_ERROR_ARGUMENT, "%s: give data or read, not both", name);
    if (host->size && !host->data && !host->read)
        return gsai_fail(GSA_ERROR_ARGUMENT, "%s: has %llu bytes, but neither data nor read gives them", name,
            (unsigned long long)host->size);
    if (host->data && host->size > SIZE_MAX)
        return gsai_fail(GSA_ERROR_ARGUMENT, "%s: %llu bytes of memory are more than this system can address", name,
            (unsigned long long)host->size);
    const gsa_status status = make(name, allocator, out);
    if (status) return status;
    gsai_source *s = *out;
    s->host = *host;
    s->host.name = NULL; /* ours is the copy */
    s->data = host->size ? host->data : NULL;
    s->size = host->size;
    return GSA_OK;
}

void gsai_source_close(gsai_source *s)
{
    if (!s) return;
    const gsa_allocator a = s->allocator;
    gsai_file_map_close(&s->map);
    gsai_mutex_destroy(&s->lock);
    gsai_free(&a, s->name);
    gsai_free(&a, s);
}

static bool is_inside(const gsai_source *s, uint64_t offset, uint64_t size)
{
    return offset <= s->size && size <= s->size - offset;
}

gsa_status gsai_source_read(gsai_source *s, uint64_t offset, uint64_t size, void *dst)
{
    typedef unsigned long long ull;
    if (!is_inside(s, offset, size) || size > SIZE_MAX)
        return gsai_fail(GSA_ERROR_FILE, "%s: bytes %llu..+%llu are outside its %llu bytes (is it cut short?)", s->name,
            (ull)offset, (ull)size, (ull)s->size);
    if (size == 0) return GSA_OK;
    if (s->data) {
        memcpy(dst, s->data + offset, (size_t)size);
        return GSA_OK;
    }
    gsai_mutex_lock(&s->lock);
    const bool ok = s->host.read(s->host.user, offset, (size_t)size, dst);
    gsai_mutex_unlock(&s->lock);
    return ok ? GSA_OK
              : gsai_fail(GSA_ERROR_FILE, "%s: the read callback failed for bytes %llu..+%llu", s->name, (ull)offset,
                    (ull)size);
}

const uint8_t *gsai_source_bytes(const gsai_source *s, uint64_t offset, uint64_t size)
{
    return s->data && is_inside(s, offset, size) ? s->data + offset : NULL;
}

void gsai_source_will_need(const gsai_source *s, uint64_t offset, uint64_t size)
{
    if (is_inside(s, offset, size)) gsai_file_map_will_need(&s->map, offset, size);
}
