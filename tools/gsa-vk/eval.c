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
        gsa_status status = gsa_step_submit(gsa_session_model(session), &item, 1, 0, &step);
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
