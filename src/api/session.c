/* gsa/session.h: sessions and snapshots. Steps are in step.c. */
#include "gsa/session.h"

#include "model/state.h"
#include "ref/ref.h"
#include "session/session.h"
#include "util/file.h"

#include <string.h>

static gsa_status check_idle(const char *where, const gsa_session *s)
{
    if (!s) return gsai_fail(GSA_ERROR_ARGUMENT, "%s: session is NULL", where);
    if (s->in_step) return gsai_fail(GSA_ERROR_BUSY, "%s: the session is in a step that is not collected", where);
    return gsai_device_check(s->model->device);
}

/* A session with a slot whose state is undefined. */
static gsa_status session_new(gsa_model *m, gsa_session **out)
{
    const gsa_allocator *a = &m->device->allocator;
    gsa_session *s = gsai_alloc(a, sizeof *s);
    float *logits = gsai_alloc_array(a, m->info.n_vocab, sizeof *logits);
    gsa_status status = s && logits ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for a session");
    if (status == GSA_OK) {
        *s = (gsa_session){.model = m, .logits = logits};
        gsai_mutex_lock(&m->lock);
        status = gsai_model_take_slot(m, &s->slot);
        gsai_mutex_unlock(&m->lock);
    }
    if (status != GSA_OK) {
        gsai_free(a, s);
        gsai_free(a, logits);
        return status;
    }
    m->n_children++;
    *out = s;
    return GSA_OK;
}

static gsa_status copy_slot(gsa_model *m, uint32_t dst, uint32_t src)
{
    gsai_mutex_lock(&m->lock);
    const gsa_status status = m->engine->ops->slot_copy(m->engine, dst, src);
    gsai_mutex_unlock(&m->lock);
    return status;
}

static gsa_status zero_slot(gsa_session *s)
{
    gsa_model *m = s->model;
    gsai_mutex_lock(&m->lock);
    const gsa_status status = m->engine->ops->slot_zero(m->engine, s->slot);
    gsai_mutex_unlock(&m->lock);
    return status;
}

static void copy_rest(gsa_session *dst, const gsa_session *src)
{
    dst->position = src->position;
    dst->has_logits = src->has_logits;
    if (src->has_logits) memcpy(dst->logits, src->logits, src->model->info.n_vocab * sizeof(float));
}

gsa_status gsa_session_create(gsa_model *model, gsa_session **session)
{
    if (!model || !session) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_create: model or session is NULL");
    *session = NULL;
    gsa_session *s = NULL;
    gsa_status status = gsai_device_check(model->device);
    if (status == GSA_OK) status = session_new(model, &s);
    if (status == GSA_OK) status = zero_slot(s);
    if (status != GSA_OK) {
        gsa_session_destroy(s);
        return status;
    }
    *session = s;
    return GSA_OK;
}

void gsa_session_destroy(gsa_session *session)
{
    if (!session) return;
    gsa_model *m = session->model;
    if (session->in_step) {
        gsai_log(&m->device->log, GSA_LOG_ERROR,
            "gsa_session_destroy: a step with this session is not collected; the session is kept");
        return;
    }
    gsai_mutex_lock(&m->lock);
    gsai_model_give_slot(m, session->slot);
    gsai_mutex_unlock(&m->lock);
    gsai_free(&m->device->allocator, session->logits);
    gsai_free(&m->device->allocator, session);
    m->n_children--;
}

gsa_model *gsa_session_model(const gsa_session *session)
{
    return session->model;
}

uint64_t gsa_session_position(const gsa_session *session)
{
    return session->position;
}

const float *gsa_session_logits(const gsa_session *session)
{
    return session->has_logits ? session->logits : NULL;
}

gsa_status gsa_session_reset(gsa_session *session)
{
    gsa_status status = check_idle("gsa_session_reset", session);
    if (status == GSA_OK) status = zero_slot(session);
    if (status != GSA_OK) return status;
    session->position = 0;
    session->has_logits = false;
    return GSA_OK;
}

gsa_status gsa_session_fork(const gsa_session *session, gsa_session **fork)
{
    if (!fork) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_fork: fork is NULL");
    *fork = NULL;
    gsa_session *s = NULL;
    gsa_status status = check_idle("gsa_session_fork", session);
    if (status == GSA_OK) status = session_new(session->model, &s);
    if (status == GSA_OK) status = copy_slot(session->model, s->slot, session->slot);
    if (status != GSA_OK) {
        gsa_session_destroy(s);
        return status;
    }
    copy_rest(s, session);
    *fork = s;
    return GSA_OK;
}

gsa_status gsa_session_snapshot(const gsa_session *session, gsa_snapshot **snapshot)
{
    if (!snapshot) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_snapshot: snapshot is NULL");
    *snapshot = NULL;
    gsa_status status = check_idle("gsa_session_snapshot", session);
    if (status != GSA_OK) return status;
    gsa_model *m = session->model;
    const gsa_allocator *a = &m->device->allocator;
    const size_t logits_bytes = m->info.n_vocab * sizeof(float);
    gsa_snapshot *s = gsai_alloc(a, sizeof *s);
    float *logits = session->has_logits ? gsai_alloc(a, logits_bytes) : NULL;
    if (!s || (session->has_logits && !logits)) {
        status = gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for a snapshot");
    } else {
        *s = (gsa_snapshot){m, 0, session->position, logits};
        if (logits) memcpy(logits, session->logits, logits_bytes);
        gsai_mutex_lock(&m->lock);
        status = gsai_model_take_slot(m, &s->slot);
        if (status == GSA_OK) {
            status = m->engine->ops->slot_copy(m->engine, s->slot, session->slot);
            if (status != GSA_OK) gsai_model_give_slot(m, s->slot);
        }
        gsai_mutex_unlock(&m->lock);
    }
    if (status != GSA_OK) {
        gsai_free(a, s);
        gsai_free(a, logits);
        return status;
    }
    m->n_children++;
    *snapshot = s;
    return GSA_OK;
}

gsa_status gsa_session_restore(gsa_session *session, const gsa_snapshot *snapshot)
{
    gsa_status status = check_idle("gsa_session_restore", session);
    if (status != GSA_OK) return status;
    if (!snapshot) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_restore: snapshot is NULL");
    if (snapshot->model != session->model)
        return gsai_fail(GSA_ERROR_MISMATCH,
            "gsa_session_restore: the snapshot is of another model; load it into a session of its own model");
    status = copy_slot(session->model, session->slot, snapshot->slot);
    if (status != GSA_OK) return status;
    session->position = snapshot->position;
    session->has_logits = snapshot->logits != NULL;
    if (snapshot->logits) memcpy(session->logits, snapshot->logits, session->model->info.n_vocab * sizeof(float));
    return GSA_OK;
}

void gsa_snapshot_destroy(gsa_snapshot *snapshot)
{
    if (!snapshot) return;
    gsa_model *m = snapshot->model;
    gsai_mutex_lock(&m->lock);
    gsai_model_give_slot(m, snapshot->slot);
    gsai_mutex_unlock(&m->lock);
    gsai_free(&m->device->allocator, snapshot->logits);
    gsai_free(&m->device->allocator, snapshot);
    m->n_children--;
}

gsa_status gsa_session_state_wait(const gsa_session *session, float *state, size_t n_floats)
{
    gsa_status status = check_idle("gsa_session_state_wait", session);
    if (status != GSA_OK) return status;
    gsa_model *m = session->model;
    if (!state || n_floats != m->info.n_state)
        return gsai_fail(GSA_ERROR_ARGUMENT,
            "gsa_session_state_wait: the state has %llu floats, room for %zu was given",
            (unsigned long long)m->info.n_state, state ? n_floats : 0);
    gsai_mutex_lock(&m->lock);
    status = m->engine->ops->slot_read(m->engine, session->slot, state);
    gsai_mutex_unlock(&m->lock);
    return status;
}

gsa_status gsa_session_trace_wait(
    const gsa_session *session, const int32_t *tokens, size_t n_tokens, float *write, float *read)
{
    gsa_status status = check_idle("gsa_session_trace_wait", session);
    if (status != GSA_OK) return status;
    gsa_model *m = session->model;
    if (!tokens || n_tokens == 0)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_trace_wait: at least one token is needed");
    for (size_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= m->info.n_vocab)
            return gsai_fail(GSA_ERROR_ARGUMENT,
                "gsa_session_trace_wait: token %zu is %d, but the vocabulary has ids 0 to %u", i, tokens[i],
                m->info.n_vocab - 1);
    const gsa_allocator *a = &m->device->allocator;
    const gsai_ref_wants wants = {.write = write, .read = read};
    float *state = gsai_alloc_array(a, m->info.n_state, sizeof *state);
    if (!state)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for a state of %llu bytes",
            (unsigned long long)m->info.n_state * 4);
    gsai_mutex_lock(&m->lock);
    status = m->engine->ops->slot_read(m->engine, session->slot, state);
    gsai_mutex_unlock(&m->lock);
    if (status == GSA_OK) status = gsai_ref_forward(m->checkpoint, state, tokens, n_tokens, &wants, a);
    gsai_free(a, state);
    return status;
}

gsa_status gsa_session_serialize_wait(
    const gsa_session *session, const gsa_sampler *sampler, void *data, size_t capacity, size_t *size)
{
    gsa_status status = check_idle("gsa_session_serialize_wait", session);
    if (status != GSA_OK) return status;
    if (!size) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_serialize_wait: size is NULL");
    gsa_model *m = session->model;
    const gsa_allocator *a = &m->device->allocator;
    gsai_saved saved = {
        session->position, &m->checkpoint->config, NULL, session->has_logits ? session->logits : NULL, sampler};
    *size = gsai_state_file_size(&saved);
    if (!data) return GSA_OK;
    if (capacity < *size)
        return gsai_fail(GSA_ERROR_LIMIT,
            "gsa_session_serialize_wait: the state takes %zu bytes, room for %zu was given", *size, capacity);

    float *state = gsai_alloc_array(a, m->info.n_state, sizeof *state);
    if (!state)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for a state of %llu bytes",
            (unsigned long long)m->info.n_state * 4);
    uint64_t hash = 0;
    gsai_mutex_lock(&m->lock);
    status = m->engine->ops->slot_read(m->engine, session->slot, state);
    if (status == GSA_OK) status = gsai_model_hash(m, &hash);
    gsai_mutex_unlock(&m->lock);
    saved.state = state;
    if (status == GSA_OK) gsai_state_file_write(&saved, hash, data);
    gsai_free(a, state);
    return status;
}

gsa_status gsa_session_deserialize_wait(gsa_session *session, gsa_sampler *sampler, const void *data, size_t size)
{
    gsa_status status = check_idle("gsa_session_deserialize_wait", session);
    if (status != GSA_OK) return status;
    if (!data) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_deserialize_wait: data is NULL");
    gsa_model *m = session->model;
    const gsa_allocator *a = &m->device->allocator;
    float *state = gsai_alloc_array(a, m->info.n_state, sizeof *state);
    if (!state)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for a state of %llu bytes",
            (unsigned long long)m->info.n_state * 4);
    gsai_loaded loaded;
    uint64_t hash = 0;
    gsai_mutex_lock(&m->lock);
    status = gsai_model_hash(m, &hash);
    if (status == GSA_OK) status = gsai_state_file_read(data, size, hash, &m->checkpoint->config, &loaded);
    if (status == GSA_OK) {
        gsai_state_give(&loaded.config, loaded.state, state);
        status = m->engine->ops->slot_write(m->engine, session->slot, state);
    }
    gsai_mutex_unlock(&m->lock);
    gsai_free(a, state);
    if (status != GSA_OK) return status;
    session->position = loaded.position;
    session->has_logits = loaded.logits != NULL;
    if (loaded.logits) gsai_floats_from_le(session->logits, loaded.logits, m->info.n_vocab);
    if (sampler && loaded.sampler) gsai_state_file_sampler(loaded.sampler, sampler);
    return GSA_OK;
}

gsa_status gsa_session_save_wait(const gsa_session *session, const gsa_sampler *sampler, const char *path)
{
    if (!path) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_save_wait: path is NULL");
    size_t size = 0;
    gsa_status status = gsa_session_serialize_wait(session, sampler, NULL, 0, &size);
    if (status != GSA_OK) return status;
    const gsa_allocator *a = &session->model->device->allocator;
    void *data = gsai_alloc(a, size);
    if (!data) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for a state file of %zu bytes", size);
    status = gsa_session_serialize_wait(session, sampler, data, size, &size);
    if (status == GSA_OK) status = gsai_file_replace(path, data, size);
    gsai_free(a, data);
    return status;
}

gsa_status gsa_session_load_wait(gsa_session *session, gsa_sampler *sampler, const char *path)
{
    if (!path) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_load_wait: path is NULL");
    gsai_file_map map;
    gsa_status status = gsai_file_map_open(path, &map);
    if (status != GSA_OK) return status;
    status = gsa_session_deserialize_wait(session, sampler, map.data ? (const void *)map.data : "", (size_t)map.size);
    if (status == GSA_ERROR_FORMAT || status == GSA_ERROR_MISMATCH || status == GSA_ERROR_UNSUPPORTED)
        gsai_fail_in(status, "%s", path);
    gsai_file_map_close(&map);
    return status;
}
