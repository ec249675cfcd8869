/* Target: bytes of a tokenizer.json, and texts and ids that are parts of it. */
#include "fuzz.h"

#include "fuzz_text.h"
#include "text/tokenizer_gguf.h"

/* What convert does with it. */
static void export_gguf(const gsa_tokenizer *t, const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    const gsa_log log = fuzz_log();
    const gsai_tokenizer_export e = {.name = "FILE",
        .json = data,
        .json_size = size,
        .n_vocab = gsa_tokenizer_n_vocab(t) + 3,
        .bos_id = -1,
        .log = &log};
    gsai_gguf_writer *w = NULL;
    gsa_status status = gsai_gguf_writer_create(allocator, &w);
    if (status == GSA_OK) status = gsai_tokenizer_to_gguf(&e, allocator, w);
    FUZZ_CHECK(status == GSA_OK || status == GSA_ERROR_HOST_MEMORY);
    gsai_gguf_writer_destroy(w);
}

gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    const gsa_tokenizer_params params = {.struct_size = sizeof params,
        .json = data ? (const void *)data : "",
        .json_size = size,
        .allocator = allocator};
    gsa_tokenizer *t = NULL;
    const gsa_status status = gsa_tokenizer_create(&params, &t);
    FUZZ_CHECK((status == GSA_OK) == (t != NULL));
    if (t) {
        fuzz_use_tokenizer(t, data, size, allocator);
        export_gguf(t, data, size, allocator);
    }
    gsa_tokenizer_destroy(t);
    return status;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max_size, uint32_t seed)
{
    return fuzz_mutate_json(data, size, max_size, seed);
}
