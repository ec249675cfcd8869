/* Files and lists: whole inputs, token ids, outputs that are whole or not there. */
#ifndef DATA_H
#define DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct bytes {
    char *data; /* NUL behind the end */
    size_t n;
} bytes;

/* All of a file, or of standard input for "-". 0, or 1 after fail(). Free data. */
int bytes_read(const char *path, bytes *out);

/* 0, or 1 after fail(). */
int bytes_append(bytes *b, const char *text, size_t n);

typedef struct ids {
    int32_t *data;
    size_t n, capacity;
} ids;

bool ids_push(ids *v, int32_t id); /* false after fail(): out of memory */
/* Append the numbers of a text, separated by commas or white space. 0; 1 or 2 after saying what is wrong: 2 for what is
 * no number. what names the text. */
int ids_parse(ids *v, const char *text, size_t n, const char *what);
void ids_free(ids *v);

/* An output file. It is written under a temporary name and renamed by output_finish, so that path holds all or what it
 * held before; "-" and what is no regular file are written as they are. */
typedef struct output {
    FILE *file;
    const char *path;
    char temporary[4200]; /* "" = written as it is */
} output;
int output_open(output *o, const char *path);
int output_write(output *o, const void *data, size_t size);
int output_floats(output *o, float *values, size_t n); /* little-endian; values may be changed */
int output_finish(output *o, int rc); /* rc not 0: take back what was written. Returns rc, or 1 after fail() */

#endif
