/* gsa/model.h */
#include "gsa/model.h"

#include "session/model.h"

static gsa_status check_params(const char *where, const gsa_model_params *p)
{
    if (!p) return gsai_fail(GSA_ERROR_ARGUMENT, "%s: params is NULL", where);
    if (p->struct_size != sizeof *p)
        return gsai_fail(
            GSA_ERROR_ARGUMENT, "%s: struct_size is %zu, this library expects %zu", where, p->struct_size, sizeof *p);
    if ((unsigned)p->prompt_weights > GSA_PROMPT_WEIGHTS_OFF)
        return gsai_fail(GSA_ERROR_ARGUMENT, "%s: prompt_weights is %d, expected 0 to %d", where,
            (int)p->prompt_weights, GSA_PROMPT_WEIGHTS_OFF);
    if ((unsigned)p->state_type > GSA_STATE_F16)
        return gsai_fail(
            GSA_ERROR_ARGUMENT, "%s: state_type is %d, expected 0 to %d", where, (int)p->state_type, GSA_STATE_F16);
    return GSA_OK;
}

gsa_status gsa_model_load(gsa_device *device, const gsa_model_params *params, gsa_model **model)
{
    if (!device || !model) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_model_load: device or model is NULL");
    *model = NULL;
    gsa_status status = check_params("gsa_model_load", params);
    if (status == GSA_OK) status = gsai_device_check(device);
    return status == GSA_OK ? gsai_model_load(device, params, model) : status;
}

void gsa_model_destroy(gsa_model *model)
{
    if (!model) return;
    const uint32_t n = model->n_children;
    if (n > 0) {
        gsai_log(&model->device->log, GSA_LOG_ERROR,
            "gsa_model_destroy: %u sessions or snapshots are alive; the model is kept", n);
        return;
    }
    gsai_model_free(model);
}

void gsa_model_info_get(const gsa_model *model, gsa_model_info *info)
{
    *info = model->info;
}

gsa_device *gsa_model_device(const gsa_model *model)
{
    return model->device;
}

gsa_status gsa_model_identity_wait(gsa_model *model, uint64_t *hash)
{
    if (!model || !hash) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_model_identity_wait: model or hash is NULL");
    gsai_mutex_lock(&model->lock);
    const gsa_status status = gsai_model_hash(model, hash);
    gsai_mutex_unlock(&model->lock);
    return status;
}

gsa_status gsa_model_tune(
    gsa_model *model, double seconds, void (*row)(void *user, const gsa_tune_row *row), void *user)
{
    if (!model || !row) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_model_tune: model or row is NULL");
    if (!(seconds > 0) || seconds > 1e6)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_model_tune: %g seconds, expected more than 0, at most 1e6", seconds);
    gsai_mutex_lock(&model->lock);
    const uint32_t n = model->n_children;
    const gsa_status status =
        n > 0 ? gsai_fail(GSA_ERROR_BUSY, "gsa_model_tune: %u sessions or snapshots are alive; destroy them first", n)
              : gsai_model_tune(model, seconds, row, user);
    gsai_mutex_unlock(&model->lock);
    return status;
}

void gsa_model_plan_get(const gsa_model *model, gsa_memory_plan *plan)
{
    *plan = model->plan;
}

gsa_status gsa_model_inspect(const gsa_model_params *params, const gsa_device *device, gsa_model_info *info,
    void (*tensor)(void *user, const gsa_tensor_info *t), void *user, gsa_memory_plan *plan)
{
    gsa_status status = check_params("gsa_model_inspect", params);
    if (status != GSA_OK) return status;
    const gsa_allocator a = gsai_allocator_or_default(device ? &device->allocator : NULL);
    gsai_checkpoint *ck = NULL;
    status = gsai_checkpoint_open(params, &a, device ? &device->log : NULL, &ck);
    if (status != GSA_OK) return status;
    if (info) gsai_model_info_fill(ck, info);
    for (uint64_t i = 0; tensor && i < ck->n_tensors; i++) {
        const gsai_tensor *t = &ck->tensors[i];
        gsa_tensor_info ti = {
            .name = t->name, .type = gsai_type_name(t->type), .n_dims = t->n_dims, .n_bytes = t->n_bytes};
        for (uint32_t d = 0; d < t->n_dims; d++) ti.dims[d] = t->dims[d];
        tensor(user, &ti);
    }
    if (plan) {
        const gsai_engine_params ep = {.checkpoint = ck,
            .n_slots = params->n_slots ? params->n_slots : 8,
            .max_rows = params->max_rows,
            .prompt_weights = params->prompt_weights,
            .max_device_bytes = params->max_device_bytes};
        status = gsai_engine_plan(device, &ep, plan);
    }
    gsai_checkpoint_close(ck);
    return status;
}
