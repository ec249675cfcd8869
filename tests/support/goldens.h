/* Reading golden values: *.safetensors files as named float or integer arrays. Plain C and jansson, nothing of the
 * library, so that a fault in the library's own reader cannot hide in the tests. Functions that can fail say why on
 * stderr. */
#ifndef GSA_TEST_GOLDENS_H
#define GSA_TEST_GOLDENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct golden_array {
    const char *name;
    size_t n_dims, dims[8]; /* outermost first */
    size_t n;               /* elements */
    float *f;               /* F32, F16, BF16, F64 (rounded); otherwise NULL */
    int64_t *i;             /* I64, I32, U8; otherwise NULL */
} golden_array;

typedef struct goldens {
    golden_array *arrays;
    size_t n;
    void *header; /* parsed JSON */
} goldens;

/* NULL when the file cannot be read as safetensors. */
goldens *goldens_load(const char *path);
void goldens_free(goldens *g); /* NULL is fine */

/* The array of this name (a printf format), or NULL. */
const golden_array *goldens_find(const goldens *g, const char *name, ...) __attribute__((format(printf, 2, 3)));

/* A string of the file's metadata, or NULL. */
const char *goldens_metadata(const goldens *g, const char *key);

/* |a - b| / |b| with Euclidean norms over the whole array; infinite when a has a NaN or b is zero and a is not. */
double goldens_error(const float *a, const float *b, size_t n);

/* Sorted names in folder that end in suffix; NULL: all subfolders. NULL-terminated, also when there are none or the
 * folder does not exist. Free with goldens_free_list. */
char **goldens_list(const char *folder, const char *suffix);
void goldens_free_list(char **names);

/* "<environment GSA_TEST_DATA>/" followed by the formatted name. False (and a line on stderr) when GSA_TEST_DATA is not
 * set or the path is too long. */
bool goldens_path(char *out, size_t size, const char *name, ...) __attribute__((format(printf, 3, 4)));

#endif
