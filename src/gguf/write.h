/* Writing a GGUF file: all metadata, then all tensors' names and shapes, then their bytes in any order from any threads.
 * The file appears under its name only when it is whole. */
#ifndef GSAI_GGUF_WRITE_H
#define GSAI_GGUF_WRITE_H

#include "gguf/format.h"

typedef struct gsai_gguf_writer gsai_gguf_writer;

gsa_status gsai_gguf_writer_create(const gsa_allocator *allocator, gsai_gguf_writer **out);
/* Frees it; a file that was begun and not finished is removed. NULL is fine. */
void gsai_gguf_writer_destroy(gsai_gguf_writer *w);

/* Metadata, kept in the order of the calls. A failure (memory, a key given twice) is kept and returned by begin. */
void gsai_gguf_put_u32(gsai_gguf_writer *w, const char *key, uint32_t value);
void gsai_gguf_put_f32(gsai_gguf_writer *w, const char *key, float value);
void gsai_gguf_put_bool(gsai_gguf_writer *w, const char *key, bool value);
void gsai_gguf_put_text(gsai_gguf_writer *w, const char *key, gsai_text value);
void gsai_gguf_put_string(gsai_gguf_writer *w, const char *key, const char *value);
void gsai_gguf_put_texts(gsai_gguf_writer *w, const char *key, const gsai_text *values, uint64_t n);
void gsai_gguf_put_f32s(gsai_gguf_writer *w, const char *key, const float *values, uint64_t n);
void gsai_gguf_put_i32s(gsai_gguf_writer *w, const char *key, const int32_t *values, uint64_t n);
/* A value of any kind as its bytes stand in a file (after key and kind): for metadata taken over unchanged. */
void gsai_gguf_put_raw(gsai_gguf_writer *w, const char *key, gsai_gguf_kind kind, const void *value, uint64_t n_bytes);

/* The next tensor; dims outermost first, as everywhere here. Returns its index. Failures are kept likewise. */
uint32_t gsai_gguf_add_tensor(
    gsai_gguf_writer *w, const char *name, gsai_type type, uint32_t n_dims, const uint64_t *dims);

/* Opens a temporary file beside path, writes the header and sets the length. FILE, HOST_MEMORY, ARGUMENT. */
gsa_status gsai_gguf_begin(gsai_gguf_writer *w, const char *path);
/* Bytes [offset, offset + size) of a tensor. Any thread; different ranges at once. */
gsa_status gsai_gguf_write(gsai_gguf_writer *w, uint32_t tensor, uint64_t offset, const void *bytes, uint64_t size);
/* The path under which the file lies until finish, for reading back what was written; NULL when none is begun. */
const char *gsai_gguf_begun_path(const gsai_gguf_writer *w);
uint64_t gsai_gguf_file_bytes(const gsai_gguf_writer *w); /* of the whole file, once it is begun */
/* Flush, then rename to path. On failure the temporary file is removed and path is what it was. */
gsa_status gsai_gguf_finish(gsai_gguf_writer *w);

#endif
