/* Target: bytes of a GGUF file: everything in it listed, and opened as a model when it says that it is one. */
#include "fuzz.h"

#include "fuzz_checkpoint.h"
#include "fuzz_source.h"
#include "gguf/gguf.h"

#include <string.h>

/* Walk a value to its end, arrays in arrays too. */
static void walk(const gsai_gguf *g, const gsai_gguf_value *v, int depth)
{
    FUZZ_CHECK(v->kind < GSAI_GGUF_N_KINDS && depth <= GSAI_GGUF_MAX_DEPTH + 1);
    FUZZ_CHECK(v->raw >= g->header && v->bytes >= v->raw && gsai_gguf_kind_name(v->kind)[0] != '?');
    if (v->kind == GSAI_GGUF_STRING) {
        FUZZ_CHECK(v->n_raw == v->n + 8);
        volatile uint8_t last = v->n ? v->bytes[v->n - 1] : 0;
        (void)last;
    } else if (v->kind == GSAI_GGUF_ARRAY) {
        gsai_gguf_value item = {0};
        uint64_t n = 0;
        for (; gsai_gguf_next(v, &item); n++) walk(g, &item, depth + 1);
        FUZZ_CHECK(n == v->n);
    } else if (v->kind == GSAI_GGUF_F32 || v->kind == GSAI_GGUF_F64) {
        (void)gsai_gguf_float(v);
    } else {
        (void)gsai_gguf_integer(v);
        (void)gsai_gguf_kind_is_signed(v->kind);
    }
}

static void use(gsai_source *s, const gsai_gguf *g)
{
    uint64_t sum = 0;
    bool has_key = false, has_tensor = false; /* by a name that the fuzzer may come to learn */
    FUZZ_CHECK(gsai_gguf_is(s));
    for (uint64_t i = 0; i < g->n_pairs; i++) {
        FUZZ_CHECK(gsai_gguf_find(g, g->pairs[i].key) == &g->pairs[i].value);
        walk(g, &g->pairs[i].value, 0);
        has_key |= strcmp(g->pairs[i].key, "no such key") == 0;
    }
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        const gsai_gguf_tensor *t = &g->tensors[i];
        FUZZ_CHECK(gsai_gguf_find_tensor(g, t->name) == t && t->type_name && t->n_dims >= 1 && t->n_dims <= 4);
        FUZZ_CHECK(t->n_bytes == 0 || (t->offset >= g->data_offset && t->offset <= g->file_size));
        FUZZ_CHECK(t->n_bytes == 0 || t->n_bytes <= g->file_size - t->offset);
        sum += t->n_bytes;
        has_tensor |= strcmp(t->name, "no such tensor") == 0;
        if (t->n_bytes) {
            uint8_t byte;
            FUZZ_CHECK(gsai_source_read(s, t->offset + t->n_bytes - 1, 1, &byte) == GSA_OK);
        }
    }
    FUZZ_CHECK(sum <= g->file_size);
    FUZZ_CHECK(has_key == (gsai_gguf_find(g, "no such key") != NULL));
    FUZZ_CHECK(has_tensor == (gsai_gguf_find_tensor(g, "no such tensor") != NULL));
}

/* The same through memory and through a callback. */
static gsa_status list(fuzz_bytes *bytes, bool callback, const gsa_allocator *allocator)
{
    const gsa_source host = fuzz_source(bytes, callback);
    gsai_source *s = NULL;
    gsa_status status = gsai_source_open_host(&host, allocator, &s);
    if (status) return status;
    gsai_gguf *g = NULL;
    status = gsai_gguf_open(s, allocator, &g);
    FUZZ_CHECK((status == GSA_OK) == (g != NULL));
    if (g) use(s, g);
    gsai_gguf_close(g);
    gsai_source_close(s);
    return status;
}

static gsa_status open_model(fuzz_bytes *bytes, bool callback, const gsa_allocator *allocator, uint64_t *hash)
{
    const gsa_source host = fuzz_source(bytes, callback);
    const gsa_log log = fuzz_log();
    const gsai_checkpoint_options options = {*allocator, &log};
    gsai_checkpoint *c = NULL;
    const gsa_status status = gsai_checkpoint_open_gguf(NULL, &host, &options, &c);
    FUZZ_CHECK((status == GSA_OK) == (c != NULL));
    *hash = 0;
    if (c) fuzz_use_checkpoint(c, hash);
    gsai_checkpoint_close(c);
    return status;
}

gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    fuzz_bytes bytes = {data, size};
    const gsa_status by_memory = list(&bytes, false, allocator), by_callback = list(&bytes, true, allocator);
    const bool memory = by_memory == GSA_ERROR_HOST_MEMORY || by_callback == GSA_ERROR_HOST_MEMORY;
    FUZZ_CHECK(by_memory == by_callback || memory);
    uint64_t hash[2];
    const gsa_status as_model = open_model(&bytes, true, allocator, &hash[1]),
                     in_memory = open_model(&bytes, false, allocator, &hash[0]);
    FUZZ_CHECK(as_model == in_memory || as_model == GSA_ERROR_HOST_MEMORY || in_memory == GSA_ERROR_HOST_MEMORY);
    FUZZ_CHECK(hash[0] == hash[1] || !hash[0] || !hash[1]);
    FUZZ_CHECK(in_memory != GSA_OK || by_memory == GSA_OK || memory);
    return memory ? GSA_ERROR_HOST_MEMORY : in_memory;
}
