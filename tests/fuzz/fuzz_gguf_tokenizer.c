/* Target: bytes of a GGUF file with a tokenizer, of whatever model. */
#include "fuzz.h"

#include "fuzz_source.h"
#include "fuzz_text.h"

gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    fuzz_bytes bytes = {data, size};
    gsa_status status[2];
    for (int callback = 1; callback >= 0; callback--) {
        const gsa_source source = fuzz_source(&bytes, callback);
        const gsa_tokenizer_params params = {.struct_size = sizeof params, .source = &source, .allocator = allocator};
        gsa_tokenizer *t = NULL;
        status[callback] = gsa_tokenizer_create(&params, &t);
        FUZZ_CHECK((status[callback] == GSA_OK) == (t != NULL));
        if (t && !callback) fuzz_use_tokenizer(t, data, size, allocator);
        gsa_tokenizer_destroy(t);
    }
    FUZZ_CHECK(status[0] == status[1] || status[0] == GSA_ERROR_HOST_MEMORY || status[1] == GSA_ERROR_HOST_MEMORY);
    return status[0] == GSA_OK ? status[1] : status[0];
}
