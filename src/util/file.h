/* Read-only file access by mapping, and whole-file writes that are all or nothing. */
#ifndef GSAI_FILE_H
#define GSAI_FILE_H

#include "gsa/base.h"

typedef struct gsai_file_map {
    const uint8_t *data; /* NULL when size is 0 */
    uint64_t size;
} gsai_file_map;

/* Map path read-only. FILE: absent, a directory, unreadable; the text says which. On failure *map is zeroed. */
gsa_status gsai_file_map_open(const char *path, gsai_file_map *map);
void gsai_file_map_close(gsai_file_map *map);
/* Hint that [offset, offset+size) will be read soon. */
void gsai_file_map_will_need(const gsai_file_map *map, uint64_t offset, uint64_t size);
/* The same for bytes of a map, and that they are not needed any more: whole pages leave this process's memory (not the
 * system's cache) and are read again when touched. Only for bytes of a gsai_file_map: other memory would lose them. */
void gsai_file_pages_will_need(const void *bytes, uint64_t size);
void gsai_file_pages_drop(const void *bytes, uint64_t size);

bool gsai_file_exists(const char *path); /* a readable regular file */
bool gsai_is_directory(const char *path);

/* Write data to a temporary name beside path, flush, rename. FILE on any failure; path is then untouched. */
gsa_status gsai_file_replace(const char *path, const void *data, size_t size);

/* "dir/name" into a fixed buffer; false when it does not fit. */
bool gsai_path_join(char *out, size_t out_size, const char *dir, const char *name);

#endif
