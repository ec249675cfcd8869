/* gsa/model.h: a tensor's numbers. */
#include "gsa/model.h"
#include "session/model.h"

#include <string.h>

#define AT_ONCE 4096u

static gsa_status read_tensor(
    const gsai_checkpoint *ck, const char *name, bool (*sink)(void *user, const float *values, size_t n), void *user)
{
    float values[AT_ONCE];
    const gsai_tensor *t = NULL;
    for (uint64_t i = 0; i < ck->n_tensors && !t; i++) t = strcmp(ck->tensors[i].name, name) ? NULL : &ck->tensors[i];
    if (!t)
        return gsai_fail(GSA_ERROR_ARGUMENT, "%s: no tensor %.150s; gsa-vk inspect lists them", ck->description, name);
    const uint64_t n = gsai_tensor_elements(t);
    for (uint64_t i = 0; i < n; i += AT_ONCE) {
        const uint64_t some = n - i < AT_ONCE ? n - i : AT_ONCE;
        const gsa_status status = gsai_tensor_read_floats(t, i, some, values);
        if (status) return status;
        if (!sink(user, values, (size_t)some)) return gsai_fail(GSA_ERROR_CANCELLED, "tensor %.150s: stopped", name);
    }
    return GSA_OK;
}

gsa_status gsa_tensor_read(const gsa_model_params *params, const char *name,
    bool (*sink)(void *user, const float *values, size_t n), void *user)
{
    if (!params || params->struct_size != sizeof *params || !name || !sink)
        return gsai_fail(GSA_ERROR_ARGUMENT,
            "gsa_tensor_read: name or sink is NULL, or struct_size is not sizeof(gsa_model_params)");
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_checkpoint *ck = NULL;
    gsa_status status = gsai_checkpoint_open(params, &a, NULL, &ck);
    if (status) return status;
    status = read_tensor(ck, name, sink, user);
    gsai_checkpoint_close(ck);
    return status;
}
