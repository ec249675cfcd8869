/* Where the bytes of a file come from: a mapped path, a host's memory, or a host's callback. */
#ifndef GSAI_SOURCE_H
#define GSAI_SOURCE_H

#include "util/file.h"
#include "util/thread.h"

typedef struct gsai_source {
    gsa_allocator allocator;
    char *name;          /* for messages: the path, or what the host calls it */
    const uint8_t *data; /* all bytes; NULL: only through gsai_source_read, or size is 0 */
    uint64_t size;
    gsai_file_map map;
    gsa_source host;
    gsai_mutex lock; /* one call of host.read at a time */
} gsai_source;

/* Map a file. FILE, HOST_MEMORY: *out is NULL. */
gsa_status gsai_source_open_path(const char *path, const gsa_allocator *allocator, gsai_source **out);
/* Use a host's. The memory or callback must outlive the source. ARGUMENT (data and read), HOST_MEMORY: *out is NULL. */
gsa_status gsai_source_open_host(const gsa_source *host, const gsa_allocator *allocator, gsai_source **out);
void gsai_source_close(gsai_source *s); /* NULL is fine */

/* Copy bytes [offset, offset + size) to dst. FILE: they are not all in the file, or the callback failed. Any thread. */
gsa_status gsai_source_read(gsai_source *s, uint64_t offset, uint64_t size, void *dst);
/* The same bytes in place; NULL when they are not in memory or not all in the file. */
const uint8_t *gsai_source_bytes(const gsai_source *s, uint64_t offset, uint64_t size);
/* Hint that they will be read soon. */
void gsai_source_will_need(const gsai_source *s, uint64_t offset, uint64_t size);

#endif
