/* gsa/session.h: steps. */
#include "session/step.h"

gsa_status gsa_step_submit(
    gsa_model *model, gsa_step_item *items, uint32_t n_items, uint64_t budget_us, gsa_step **step)
{
    if (!step) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_step_submit: step is NULL");
    *step = NULL;
    if (!model || !items || n_items == 0)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_step_submit: a model and at least one item are needed");
    const gsa_status status = gsai_device_check(model->device);
    return status == GSA_OK ? gsai_step_submit(model, items, n_items, budget_us, step) : status;
}

gsa_status gsa_step_poll(gsa_step *step)
{
    if (!step) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_step_poll: step is NULL");
    return gsai_step_wait(step, 0);
}

gsa_status gsa_step_wait(gsa_step *step, uint64_t timeout_us)
{
    if (!step) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_step_wait: step is NULL");
    return gsai_step_wait(step, timeout_us > UINT64_MAX / 1000 ? UINT64_MAX : timeout_us * 1000);
}

gsa_status gsa_step_collect(gsa_step *step)
{
    if (!step) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_step_collect: step is NULL");
    return gsai_step_collect(step);
}

double gsa_step_gpu_ns(gsa_step *step)
{
    return step->model->engine->ops->gpu_ns(step->model->engine, step->job);
}

void gsa_step_profile(gsa_step *step, void (*call)(void *user, const char *label, double ns), void *user)
{
    if (step && call) step->model->engine->ops->profile(step->model->engine, step->job, call, user);
}

/* One step at a time: a step holds several passes already, which keeps the device busy while the host
 * prepares the next. */
gsa_status gsa_session_eval_wait(gsa_session *session, const int32_t *tokens, size_t n_tokens, float *all_logits)
{
    if (!session || (!tokens && n_tokens))
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_session_eval_wait: session or tokens is NULL");
    const size_t n_vocab = session->model->info.n_vocab;
    for (size_t at = 0; at < n_tokens;) {
        const size_t left = n_tokens - at;
        gsa_step_item item = {.session = session,
            .tokens = tokens + at,
            .n_tokens = left < (1u << 30) ? (uint32_t)left : 1u << 30,
            .want = all_logits ? GSA_WANT_ALL_LOGITS : GSA_WANT_LOGITS,
            .logits = all_logits ? all_logits + at * n_vocab : NULL};
        gsa_step *step = NULL;
        gsa_status status = gsa_step_submit(session->model, &item, 1, 0, &step);
        if (status == GSA_OK) status = gsa_step_wait(step, UINT64_MAX);
        const gsa_status collected = step ? gsa_step_collect(step) : status;
        if (status == GSA_OK) status = collected;
        if (status != GSA_OK) return status;
        at += item.n_done;
    }
    return GSA_OK;
}
