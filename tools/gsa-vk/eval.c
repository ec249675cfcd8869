#include "eval.h"

#include "report.h"

gsa_status eval_tokens(gsa_session *session, const int32_t *tokens, size_t n, gsa_want want, gsa_sampler *sampler,
    bool show, eval_result *out)
{
    *out = (eval_result){.token = -1};
    while (out->n_done < n && !interrupted()) {
        const size_t left = n - out->n_done, most = 1u << 30;
        gsa_step_item item = {.session = session,
            .tokens = tokens + out->n_done,
            .n_tokens = (uint32_t)(left < most ? left : most),
            .want = left <= most ? want : GSA_WANT_NOTHING,
            .sampler = sampler};
        gsa_step *step = NULL;
        gsa_status status = gsa_step_submit(gsa_session_model(session), &item, 1, EVAL_STEP_US, &step);
        if (status != GSA_OK) return status;
        status = gsa_step_wait(step, UINT64_MAX);
        if (status == GSA_OK) out->gpu_ns += gsa_step_gpu_ns(step);
        const gsa_status collected = gsa_step_collect(step);
        if (status == GSA_OK) status = collected;
        if (status != GSA_OK) return status;
        out->n_done += item.n_done;
        out->token = item.token;
        if (show && out->n_done < n) report_progress((double)out->n_done / (double)n, "reading the prompt");
    }
    if (show) report_progress(0, NULL);
    return GSA_OK;
}

gsa_status eval_generate(gsa_session *session, int32_t token, uint32_t n, gsa_sampler *sampler, const int32_t *stop_id,
    uint64_t budget_us, int32_t *made, uint32_t *n_made, double *gpu_ns)
{
    gsa_step_item item = {.session = session,
        .tokens = &token,
        .n_tokens = 1,
        .want = GSA_WANT_TOKEN,
        .sampler = sampler,
        .n_generate = n,
        .generated = made,
        .stop_ids = stop_id,
        .n_stop = stop_id ? 1 : 0};
    gsa_step *step = NULL;
    *n_made = 0;
    *gpu_ns = 0;
    gsa_status status = gsa_step_submit(gsa_session_model(session), &item, 1, budget_us, &step);
    if (status != GSA_OK) return status;
    status = gsa_step_wait(step, UINT64_MAX);
    if (status == GSA_OK) *gpu_ns = gsa_step_gpu_ns(step);
    const gsa_status collected = gsa_step_collect(step);
    *n_made = item.n_generated;
    if (n == 1) made[0] = item.token;
    return status == GSA_OK ? collected : status;
}
