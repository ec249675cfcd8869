/* Target: bytes of a safetensors file. */
#include "fuzz.h"

#include "model/safetensors.h"

#include <string.h>

static void use(const gsai_safetensors *s, const uint8_t *data, size_t size)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < s->n_tensors; i++) {
        const gsai_tensor *t = &s->tensors[i];
        const uint64_t n = gsai_tensor_elements(t);
        FUZZ_CHECK(t->data >= data && t->n_bytes <= size && (size_t)(t->data - data) <= size - t->n_bytes);
        FUZZ_CHECK(t->n_dims >= 1 && t->n_dims <= GSAI_MAX_DIMS && strlen(t->name) < size && t->file_type);
        sum += t->n_bytes;
        if (n && t->type < GSAI_N_TYPES) {
            float x;
            FUZZ_CHECK(gsai_type_bytes(t->type, n) == t->n_bytes);
            FUZZ_CHECK(gsai_tensor_read_floats(t, 0, 1, &x) == GSA_OK);
            FUZZ_CHECK(gsai_tensor_read_floats(t, n - 1, 1, &x) == GSA_OK);
        }
    }
    FUZZ_CHECK(sum <= size);
}

gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    gsai_safetensors s;
    const gsa_status status = gsai_safetensors_parse("FILE", data, size, allocator, &s);
    if (status == GSA_OK) use(&s, data, size);
    FUZZ_CHECK((status == GSA_OK) == (s.tensors != NULL));
    gsai_safetensors_close(&s);
    return status;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max_size, uint32_t seed)
{
    uint64_t n = 0;
    if (size < 10 || max_size < size) return 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | data[i];
    if (n > size - 8) n = size - 8;
    /* The data moves behind the new header, whose length is told as it is. */
    const size_t n_tail = size - 8 - (size_t)n;
    uint8_t *tail = malloc(n_tail + 1);
    if (!tail) return 0;
    memcpy(tail, data + 8 + n, n_tail);
    const size_t header = fuzz_mutate_json(data + 8, (size_t)n, max_size - 8 - n_tail, seed);
    if (header) {
        for (int i = 0; i < 8; i++) data[i] = (uint8_t)((uint64_t)header >> 8 * i);
        memcpy(data + 8 + header, tail, n_tail);
    }
    free(tail);
    return header ? 8 + header + n_tail : 0;
}
