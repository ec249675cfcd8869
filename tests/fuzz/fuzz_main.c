/* libFuzzer's entry points. */
#include "fuzz.h"

#include "support/counting_alloc.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* One input in eight also sees an allocator that fails once; which call does is decided by the bytes, so that a finding
 * can be repeated. */
static long failing_call(const uint8_t *data, size_t size)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < size; i++) h = (h ^ data[i]) * 16777619u;
    h ^= h >> 15;
    return h % 8 ? -1 : (long)(h >> 3 & 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    counting_alloc counter = {.fail_at = failing_call(data, size)};
    const gsa_allocator a = counting_allocator(&counter);
    fuzz_file(data, size, &a);
    FUZZ_CHECK(counter.alive == 0);
    return 0;
}

size_t fuzz_mutate_bytes(uint8_t *data, size_t size, size_t max_size)
{
    return LLVMFuzzerMutate(data, size, max_size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    uint32_t state = seed * 2654435761u;
    if (fuzz_random(&state) % 3 != 0) {
        const size_t n = fuzz_mutate(data, size, max_size, state);
        if (n) return n;
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
