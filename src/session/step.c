#include "session/step.h"

static gsa_status check_item(const gsa_model *m, const gsa_step_item *it, uint32_t i)
{
    if (!it->session || !it->tokens || it->n_tokens == 0)
        return gsai_fail(GSA_ERROR_ARGUMENT, "step item %u: a session and at least one token are needed", i);
    if (it->session->model != m)
        return gsai_fail(GSA_ERROR_ARGUMENT, "step item %u: its session belongs to another model", i);
    if (it->session->in_step)
        return gsai_fail(
            GSA_ERROR_BUSY, "step item %u: its session is in a step that is not collected, or twice in this one", i);
    if (it->want == GSA_WANT_ALL_LOGITS && !it->logits)
        return gsai_fail(GSA_ERROR_ARGUMENT, "step item %u wants all logits but gives no room for them", i);
    if (it->want < GSA_WANT_NOTHING || it->want > GSA_WANT_TOKEN)
        return gsai_fail(GSA_ERROR_ARGUMENT, "step item %u: want %d is not known", i, (int)it->want);
    if (it->n_generate > 1 && (it->want != GSA_WANT_TOKEN || !it->generated))
        return gsai_fail(GSA_ERROR_ARGUMENT,
            "step item %u generates %u tokens: it must want a token and give room for them", i, it->n_generate);
    if (it->n_stop > GSA_MAX_STOP_IDS || (it->n_stop && !it->stop_ids))
        return gsai_fail(
            GSA_ERROR_ARGUMENT, "step item %u has %u stop ids, 0 to %d can be given", i, it->n_stop, GSA_MAX_STOP_IDS);
    for (uint32_t t = 0; t < it->n_tokens; t++)
        if (it->tokens[t] < 0 || (uint32_t)it->tokens[t] >= m->info.n_vocab)
            return gsai_fail(GSA_ERROR_ARGUMENT, "token %u of step item %u is %d, but the vocabulary has ids 0 to %u",
                t, i, it->tokens[t], m->info.n_vocab - 1);
    return GSA_OK;
}

static void step_free(gsa_step *s)
{
    const gsa_allocator *a = &s->model->device->allocator;
    gsai_free(a, s->spans);
    gsai_free(a, s);
}

gsa_status gsai_step_submit(gsa_model *m, gsa_step_item *items, uint32_t n_items, uint64_t budget_us, gsa_step **out)
{
    const gsa_allocator *a = &m->device->allocator;
    gsa_status status = GSA_OK;
    uint32_t n_marked = 0; /* marking as we go finds a session given twice */
    for (; status == GSA_OK && n_marked < n_items; n_marked++) {
        status = check_item(m, &items[n_marked], n_marked);
        if (status != GSA_OK) break;
        items[n_marked].session->in_step = true;
    }
    gsa_step *s = NULL;
    if (status == GSA_OK) {
        s = gsai_alloc(a, sizeof *s);
        if (s) *s = (gsa_step){m, items, gsai_alloc_array(a, n_items, sizeof *s->spans), n_items, NULL};
        if (!s || !s->spans)
            status = gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for a step of %u items", n_items);
    }
    if (status == GSA_OK) {
        for (uint32_t i = 0; i < n_items; i++)
            s->spans[i] = (gsai_span){.slot = items[i].session->slot,
                .tokens = items[i].tokens,
                .n_tokens = items[i].n_tokens,
                .want = items[i].want,
                .sampler = items[i].sampler,
                .last_logits = items[i].session->logits,
                .all_logits = items[i].logits,
                .n_generate = items[i].n_generate > 1 ? items[i].n_generate : 1,
                .generated = items[i].generated,
                .stop_ids = items[i].stop_ids,
                .n_stop = items[i].n_stop};
        gsai_mutex_lock(&m->lock);
        status = m->engine->ops->submit(m->engine, s->spans, n_items, budget_us, &s->job);
        gsai_mutex_unlock(&m->lock);
    }
    if (status != GSA_OK) {
        for (uint32_t i = 0; i < n_marked; i++) items[i].session->in_step = false;
        if (s) step_free(s);
        return status;
    }
    for (uint32_t i = 0; i < n_items; i++) {
        items[i].n_done = s->spans[i].n_done;
        items[i].token = -1;
        items[i].n_generated = 0;
        if (items[i].n_done) items[i].session->has_logits = false;
    }
    *out = s;
    return GSA_OK;
}

gsa_status gsai_step_wait(gsa_step *s, uint64_t timeout_ns)
{
    return s->model->engine->ops->wait(s->model->engine, s->job, timeout_ns);
}

gsa_status gsai_step_collect(gsa_step *s)
{
    gsa_model *m = s->model;
    gsa_status status = gsai_step_wait(s, 0);
    if (status == GSA_NOT_READY) return status;
    gsai_mutex_lock(&m->lock);
    const gsa_status collected = m->engine->ops->collect(m->engine, s->job);
    gsai_mutex_unlock(&m->lock);
    if (status == GSA_OK) status = collected;
    for (uint32_t i = 0; i < s->n_items; i++) {
        gsa_session *session = s->items[i].session;
        const gsai_span *span = &s->spans[i];
        session->in_step = false;
        if (status != GSA_OK) continue;
        session->position += span->n_done + (span->n_generated > 1 ? span->n_generated - 1 : 0);
        s->items[i].token = span->token;
        s->items[i].n_generated = span->n_generated;
        session->has_logits =
            span->n_done == span->n_tokens && (span->want == GSA_WANT_LOGITS || span->want == GSA_WANT_ALL_LOGITS);
    }
    step_free(s);
    return status;
}
