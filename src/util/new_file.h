/* A file in the making: written under a temporary name beside its own, which it gets when it is whole. */
#ifndef GSAI_NEW_FILE_H
#define GSAI_NEW_FILE_H

#include "gsa/base.h"

typedef struct gsai_new_file {
    bool open;
    int fd;
    char *path, *temporary; /* owned */
    gsa_allocator allocator;
} gsai_new_file;

/* Creates "PATH.XXXXXX" with hexadecimal digits for the X. FILE: no such folder, not writable, path is a directory;
 * HOST_MEMORY. On failure *f is zeroed. */
gsa_status gsai_new_file_begin(gsai_new_file *f, const char *path, const gsa_allocator *allocator);
/* Set the length, and the space aside where the file system can: FILE then says that the disk is full. */
gsa_status gsai_new_file_reserve(const gsai_new_file *f, uint64_t size);
/* Any threads at once, different ranges. FILE. */
gsa_status gsai_new_file_write(const gsai_new_file *f, uint64_t offset, const void *data, size_t size);
/* Flush to disk, rename. On failure the temporary file is removed and path is what it was; *f is zeroed either way. */
gsa_status gsai_new_file_commit(gsai_new_file *f);
/* Remove it. Nothing to do after begin failed, commit, or on a zeroed struct. */
void gsai_new_file_abandon(gsai_new_file *f);

#endif
