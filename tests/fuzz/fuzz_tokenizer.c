/* Target: bytes of a tokenizer.json, and texts and ids that are parts of it. */
#include "fuzz.h"

#include "fuzz_text.h"
#include "text/vocab.h"

gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    const gsa_tokenizer_params params = {.struct_size = sizeof params,
        .json = data ? (const void *)data : "",
        .json_size = size,
        .allocator = allocator};
    gsa_tokenizer *t = NULL;
    const gsa_status status = gsa_tokenizer_create(&params, &t);
    FUZZ_CHECK((status == GSA_OK) == (t != NULL));
    if (t) fuzz_use_tokenizer(t, data, size, allocator);
    gsa_tokenizer_destroy(t);
    return status;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max_size, uint32_t seed)
{
    return fuzz_mutate_json(data, size, max_size, seed);
}
