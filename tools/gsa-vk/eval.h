/* Steps of one session, waited for. */
#ifndef EVAL_H
#define EVAL_H

#include "gsa/gsa.h"

/* Of a step where Ctrl-C and progress are to be looked at in between; where steps end changes no bit. */
#define EVAL_STEP_US 300000

typedef struct eval_result {
    size_t n_done;
    int32_t token; /* GSA_WANT_TOKEN: chosen after the last token; else -1 */
    double gpu_ns; /* 0 = unknown */
} eval_result;

/* Evaluate tokens in as many steps as it takes; want holds for the last one. Between steps Ctrl-C is looked at: then
 * n_done is less than n. show: progress on a terminal. */
gsa_status eval_tokens(gsa_session *session, const int32_t *tokens, size_t n, gsa_want want, gsa_sampler *sampler,
    bool show, eval_result *out);

/* Up to n tokens after the given one, in one step, each the input of the next; *n_made of them, the last one not yet
 * evaluated. budget_us as in gsa_step_submit. gpu_ns: 0 = unknown. */
gsa_status eval_generate(gsa_session *session, int32_t token, uint32_t n, gsa_sampler *sampler, const int32_t *stop_id,
    uint64_t budget_us, int32_t *made, uint32_t *n_made, double *gpu_ns);

#endif
