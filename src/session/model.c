#include "session/model.h"

#include "model/state.h"
#include "util/file.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_SLOTS 8
#define MAX_SLOTS     65536

static gsa_status open_checkpoint(
    const gsa_model_params *params, const gsai_checkpoint_options *options, gsai_checkpoint **out)
{
    if (!!params->path + !!params->source + !!params->synthetic != 1)
        return gsai_fail(GSA_ERROR_ARGUMENT, "model params: give one of path, source and synthetic");
    if (params->path && gsai_is_directory(params->path)) return gsai_checkpoint_open_hf(params->path, options, out);
    if (!params->synthetic) return gsai_checkpoint_open_gguf(params->path, params->source, options, out);
    gsai_config config;
    gsai_type type = GSAI_F16;
    const gsa_status status = gsai_checkpoint_synthetic_preset(params->synthetic, &config);
    if (status != GSA_OK) return status;
    if (params->synthetic_type && !gsai_type_parse(params->synthetic_type, &type))
        return gsai_fail(GSA_ERROR_ARGUMENT,
            "synthetic type '%s' is not known: give f32, f16, bf16, q8_0, q4_0, q4_k or q6_k", params->synthetic_type);
    return gsai_checkpoint_open_synthetic(&config, type, params->synthetic_seed, options, out);
}

gsa_status gsai_checkpoint_open(
    const gsa_model_params *params, const gsa_allocator *a, const gsa_log *log, gsai_checkpoint **out)
{
    const gsai_checkpoint_options options = {*a, log};
    *out = NULL;
    const gsa_status status = open_checkpoint(params, &options, out);
    if (status == GSA_OK) (*out)->config.half_state = params->state_type == GSA_STATE_F16;
    return status;
}

void gsai_model_info_fill(const gsai_checkpoint *ck, gsa_model_info *info)
{
    static const char *const maps[] = {"swish", "relu", "t2r"}, *const acts[] = {"swish", "powlu"};
    const gsai_config *c = &ck->config;
    *info = (gsa_model_info){.n_vocab = c->n_vocab,
        .n_layers = c->n_layers,
        .D = c->D,
        .H = c->H,
        .G = c->G,
        .K = c->K,
        .V = c->V,
        .M = c->M,
        .F = c->F,
        .W = c->W,
        .context_length = c->context_length,
        .bos_id = c->bos_id,
        .eos_id = c->eos_id,
        .tied = c->tied,
        .norm_eps = c->norm_eps,
        .gate_normalizer = c->gate_normalizer,
        .n_state = gsai_config_state_floats(c),
        .state_bytes = gsai_kept_state_bytes(c),
        .state_type = c->half_state ? GSA_STATE_F16 : GSA_STATE_F32};
    snprintf(info->feature_map, sizeof info->feature_map, "%s", maps[c->feature_map]);
    snprintf(info->ffn_act, sizeof info->ffn_act, "%s", acts[c->ffn_act]);
    snprintf(info->description, sizeof info->description, "%s", ck->description ? ck->description : "");
    for (uint64_t i = 0; i < ck->n_tensors; i++) {
        info->n_parameters += gsai_tensor_elements(&ck->tensors[i]);
        info->weight_bytes += ck->tensors[i].n_bytes;
    }
}

static gsa_status show_progress(const gsa_model_params *params, double fraction, const char *what)
{
    if (!params->progress || params->progress(params->progress_user, fraction, what)) return GSA_OK;
    return gsai_fail(GSA_ERROR_CANCELLED, "loading was cancelled by the progress callback");
}

gsa_status gsai_model_load(gsa_device *device, const gsa_model_params *params, gsa_model **out)
{
    const gsa_allocator *a = &device->allocator;
    gsa_model *m = gsai_alloc(a, sizeof *m);
    if (!m) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    m->device = device;
    device->n_children++;
    gsai_mutex_init(&m->lock);
    m->n_slots = params->n_slots ? params->n_slots : DEFAULT_SLOTS;
    gsa_status status = m->n_slots <= MAX_SLOTS ? GSA_OK
                                                : gsai_fail(GSA_ERROR_ARGUMENT,
                                                      "model params: n_slots is %u, at most %d", m->n_slots, MAX_SLOTS);
    if (status == GSA_OK && !(m->slot_taken = gsai_alloc_array(a, m->n_slots, sizeof *m->slot_taken)))
        status = gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    if (status == GSA_OK) status = show_progress(params, 0, "reading the model's description");
    if (status == GSA_OK) status = gsai_checkpoint_open(params, a, &device->log, &m->checkpoint);
    if (status == GSA_OK) {
        const gsai_engine_params ep = {m->checkpoint, m->n_slots, params->max_rows, params->deterministic != 0,
            params->prompt_weights, params->max_device_bytes, params->progress, params->progress_user};
        gsai_model_info_fill(m->checkpoint, &m->info);
        status = gsai_engine_plan(device, &ep, &m->plan);
        if (status == GSA_OK)
            status = device->is_cpu_reference ? gsai_engine_cpu_create(device, &ep, &m->engine)
                                              : gsai_engine_gpu_create(device, &ep, &m->engine);
    }
    if (status == GSA_OK) status = show_progress(params, 1, "ready");
    if (status != GSA_OK) {
        gsai_model_free(m);
        return status;
    }
    *out = m;
    return GSA_OK;
}

void gsai_model_free(gsa_model *m)
{
    gsa_device *device = m->device;
    if (m->engine) m->engine->ops->destroy(m->engine);
    gsai_checkpoint_close(m->checkpoint);
    gsai_free(&device->allocator, m->slot_taken);
    gsai_mutex_destroy(&m->lock);
    gsai_free(&device->allocator, m);
    device->n_children--;
}

gsa_status gsai_model_take_slot(gsa_model *m, uint32_t *slot)
{
    for (uint32_t i = 0; i < m->n_slots; i++) {
        if (m->slot_taken[i]) continue;
        m->slot_taken[i] = true;
        *slot = i;
        return GSA_OK;
    }
    return gsai_fail(GSA_ERROR_LIMIT,
        "all %u state slots are taken: destroy a session or snapshot, or load with more slots", m->n_slots);
}

void gsai_model_give_slot(gsa_model *m, uint32_t slot)
{
    m->slot_taken[slot] = false;
}

gsa_status gsai_model_hash(gsa_model *m, uint64_t *hash)
{
    gsa_status status = GSA_OK;
    if (m->hash == 0) status = gsai_checkpoint_hash(m->checkpoint, &m->hash);
    *hash = m->hash;
    return status;
}

typedef struct tune_rows {
    void (*row)(void *user, const gsa_tune_row *row);
    void *user;
} tune_rows;

static void show_shape(void *user, const gsai_tune_result *r)
{
    const tune_rows *rows = user;
    const gsai_tunable *p = r->product;
    const gsa_tune_row row = {.label = p->label,
        .kernel = p->variant->shader,
        .n_rows = p->n_out * p->per,
        .n_cols = p->n_cols,
        .n_calls = r->n_calls,
        .group_size = r->knobs.group_size,
        .rows = r->knobs.rows,
        .unroll = r->knobs.unroll,
        .split = r->knobs.split,
        .us = r->ns * 1e-3,
        .bytes = r->bytes,
        .is_default = r->is_default,
        .changes_bits = r->changes_bits};
    rows->row(rows->user, &row);
}

gsa_status gsai_model_tune(gsa_model *m, double seconds, void (*row)(void *user, const gsa_tune_row *row), void *user)
{
    tune_rows rows = {row, user};
    if (!m->engine->ops->tune)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "gsa_model_tune: %s has no kernel shapes", m->device->caps.name);
    return m->engine->ops->tune(m->engine, (uint64_t)(seconds * 1e9), show_shape, &rows);
}
