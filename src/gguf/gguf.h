/* Reading a GGUF v3 file of any architecture: everything before the tensors' bytes, checked in full. Hostile files are
 * refused; what is accepted never leads outside the file. */
#ifndef GSAI_GGUF_H
#define GSAI_GGUF_H

#include "gguf/format.h"
#include "util/source.h"

#define GSAI_GGUF_MAX_DIMS      4

/* Caps on what a file may claim; counts are also checked against the bytes that are really there. */
#define GSAI_GGUF_MAX_HEADER    (256u << 20) /* bytes before the tensors' data */
#define GSAI_GGUF_MAX_KEY       65535u       /* bytes, by the specification */
#define GSAI_GGUF_MAX_KEYS      (1u << 16)
#define GSAI_GGUF_MAX_TENSORS   (1u << 20)
#define GSAI_GGUF_MAX_DEPTH     4 /* of arrays in arrays */
#define GSAI_GGUF_MIN_ALIGNMENT 8u
#define GSAI_GGUF_MAX_ALIGNMENT (1u << 20)
#define GSAI_GGUF_MAX_DIM_SIZE  ((uint64_t)1 << 48)

/* A metadata value, or an item of an array. */
typedef struct gsai_gguf_value {
    gsai_gguf_kind kind;
    gsai_gguf_kind item_kind; /* of an array's items */
    uint64_t n;               /* bytes of a string; items of an array; else 1 */
    const uint8_t *bytes;     /* number: little-endian, unaligned; string: its bytes; array: its items one by one */
    const uint8_t *raw;       /* the value as it stands in the file, with lengths and kinds */
    uint64_t n_raw;
} gsai_gguf_value;

typedef struct gsai_gguf_pair {
    const char *key; /* ASCII, NUL-terminated */
    gsai_gguf_value value;
} gsai_gguf_pair;

typedef struct gsai_gguf_tensor {
    const char *name;      /* NUL-terminated, no control characters */
    const char *type_name; /* as ggml calls it: "F32", "Q4_K", "type 99" */
    gsai_type type;        /* GSAI_N_TYPES: one this library cannot use */
    uint32_t type_id;
    uint32_t n_dims;                   /* 1..4 */
    uint64_t dims[GSAI_GGUF_MAX_DIMS]; /* outermost first, unlike in the file */
    uint64_t n_bytes;                  /* 0 when the type's size is not known */
    uint64_t offset;                   /* of the first byte in the file */
} gsai_gguf_tensor;

typedef struct gsai_gguf_entry { /* of an index */
    const char *name;
    uint64_t index;
} gsai_gguf_entry;

typedef struct gsai_gguf {
    gsa_allocator allocator;
    const char *name;      /* of the source, for messages */
    gsai_gguf_pair *pairs; /* in the file's order */
    uint64_t n_pairs;
    gsai_gguf_tensor *tensors; /* in the file's order */
    uint64_t n_tensors;
    uint64_t data_offset, file_size;
    uint32_t alignment;
    uint8_t *header; /* a copy: the file may change under a mapping, what was checked may not */
    char *names;
    gsai_gguf_entry *by_key, *by_name; /* sorted */
} gsai_gguf;

/* Read and check the header of a file. The source must outlive it. FILE: cannot be read. FORMAT: breaks a rule; the text
 * names file, key or tensor, what was expected and found. UNSUPPORTED: another version or byte order, or past a cap.
 * HOST_MEMORY. On failure *out is NULL. */
gsa_status gsai_gguf_open(gsai_source *source, const gsa_allocator *allocator, gsai_gguf **out);
void gsai_gguf_close(gsai_gguf *g); /* NULL is fine */

/* Do the source's first bytes say GGUF? */
bool gsai_gguf_is(gsai_source *source);

const gsai_gguf_value *gsai_gguf_find(const gsai_gguf *g, const char *key);          /* NULL: none */
const gsai_gguf_tensor *gsai_gguf_find_tensor(const gsai_gguf *g, const char *name); /* NULL: none */

/* A value by key. When there is none: FORMAT if required, else OK and *out is untouched. FORMAT also for another kind, or
 * an integer outside [min, max]. Any integer kind serves for an integer, any float kind for a float. */
gsa_status gsai_gguf_get_u32(
    const gsai_gguf *g, const char *key, bool required, uint32_t min, uint32_t max, uint32_t *out);
gsa_status gsai_gguf_get_f32(const gsai_gguf *g, const char *key, bool required, float *out);
gsa_status gsai_gguf_get_bool(const gsai_gguf *g, const char *key, bool required, bool *out);
gsa_status gsai_gguf_get_text(const gsai_gguf *g, const char *key, bool required, gsai_text *out);
/* An array of items of a kind. */
gsa_status gsai_gguf_get_array(
    const gsai_gguf *g, const char *key, bool required, gsai_gguf_kind items, gsai_gguf_value *out);

/* "u8", "string", ...; "?" for others. */
const char *gsai_gguf_kind_name(gsai_gguf_kind kind);
/* Bytes of a number; 0 for strings and arrays. */
uint32_t gsai_gguf_kind_bytes(gsai_gguf_kind kind);
bool gsai_gguf_kind_is_signed(gsai_gguf_kind kind); /* integers with a sign */

/* A value as it stands in a file that was opened: p is its raw. */
gsai_gguf_value gsai_gguf_value_at(gsai_gguf_kind kind, const uint8_t *p);

/* Walk an array: zeroed before the first call, *item is each item in turn; false at the end. */
bool gsai_gguf_next(const gsai_gguf_value *array, gsai_gguf_value *item);

/* Numbers. Integers: any integer or bool kind, sign-extended to 64 bits. */
uint64_t gsai_gguf_integer(const gsai_gguf_value *v);
double gsai_gguf_float(const gsai_gguf_value *v);

#endif
