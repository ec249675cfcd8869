/* Using a checkpoint that came out of strangers' files. */
#ifndef GSA_FUZZ_CHECKPOINT_H
#define GSA_FUZZ_CHECKPOINT_H

#include "fuzz.h"
#include "model/checkpoint.h"

#include <string.h>

/* Every role has the shape that the config gives it, and can be read to its end. *hash is the model's identity, or 0
 * without memory. */
static inline void fuzz_use_checkpoint(const gsai_checkpoint *c, uint64_t *hash)
{
    const gsai_config *g = &c->config;
    FUZZ_CHECK(gsai_config_check(g) == GSA_OK && c->description);
    for (uint32_t layer = 0; layer < g->n_layers; layer++) {
        for (int role = 0; role < GSAI_N_ROLES; role++) {
            const gsai_tensor *t = gsai_checkpoint_role(c, (gsai_role)role, layer);
            uint64_t dims[2];
            const uint32_t n_dims = gsai_role_shape(g, (gsai_role)role, dims);
            float x[2];
            if (role == GSAI_ROLE_G_NORM && !gsai_tensor_present(t)) continue;
            if (n_dims == 0) continue;
            const uint64_t n = gsai_tensor_elements(t);
            FUZZ_CHECK(t->n_dims == n_dims && memcmp(t->dims, dims, n_dims * sizeof *dims) == 0);
            FUZZ_CHECK(gsai_tensor_read_floats(t, n - 1, 1, x) == GSA_OK);
            FUZZ_CHECK(gsai_tensor_read_floats(t, n / 2, n > 1 ? 2 - n % 2 : 1, x) == GSA_OK);
            FUZZ_CHECK(gsai_tensor_read_floats(t, n, 1, x) == GSA_ERROR_ARGUMENT);
        }
    }
    const gsa_status status = gsai_checkpoint_hash(c, hash);
    FUZZ_CHECK(status == GSA_OK || status == GSA_ERROR_HOST_MEMORY);
    if (status) *hash = 0;
}

#endif
