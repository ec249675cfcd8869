#include "ref/ref.h"

#include "util/status.h"

gsa_status gsai_ref_embed(float *x, const gsai_tensor *embed, const int32_t *ids, size_t T)
{
    const uint64_t n_vocab = gsai_tensor_rows(embed), D = gsai_tensor_columns(embed);

    for (size_t t = 0; t < T; t++)
        if (ids[t] < 0 || (uint64_t)ids[t] >= n_vocab)
            return gsai_fail(GSA_ERROR_ARGUMENT, "token %zu of %zu has id %ld: ids of this model are 0 to %llu", t, T,
                (long)ids[t], (unsigned long long)n_vocab - 1);

    for (size_t t = 0; t < T; t++) {
        gsa_status status = gsai_tensor_read_floats(embed, (uint64_t)ids[t] * D, D, x + t * D);
        if (status != GSA_OK) return status;
    }
    return GSA_OK;
}
