/* Target: bytes of a config.json. */
#include "fuzz.h"

#include "model/hf.h"

#include <string.h>

gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    (void)allocator; /* only the JSON parser takes memory, and not from here */
    const gsa_log log = fuzz_log();
    gsai_hf_config h;
    const gsa_status status = gsai_hf_parse_config("FILE", data, size, &log, &h);
    if (status != GSA_OK) return status;
    const gsai_config *c = &h.config;
    FUZZ_CHECK(gsai_config_check(c) == GSA_OK);
    FUZZ_CHECK(memchr(h.hidden_act, 0, sizeof h.hidden_act));
    FUZZ_CHECK(gsai_config_state_floats(c) < (uint64_t)1 << 48);
    for (int role = 0; role < GSAI_N_ROLES; role++) {
        uint64_t dims[2] = {0};
        const uint32_t n = gsai_role_shape(c, (gsai_role)role, dims);
        for (uint32_t i = 0; i < n; i++) FUZZ_CHECK(dims[i] >= 1 && dims[i] <= GSAI_MAX_VOCAB);
    }
    (void)gsai_config_hash(c);
    FUZZ_CHECK(gsai_hf_resolve_act("FILE", &h, true, &log) == GSA_OK);
    return gsai_hf_resolve_act("FILE", &h, false, &log);
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max_size, uint32_t seed)
{
    return fuzz_mutate_json(data, size, max_size, seed);
}
