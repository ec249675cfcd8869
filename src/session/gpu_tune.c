/* Measuring kernel shapes on the weights of a model. */
#include "session/gpu_engine.h"

/* One token. The work table is left as it is, which is empty while a model is loaded, and rewritten by every step
 * afterwards: states are neither needed nor kept. */
static void record(void *user, gsai_recorder *r, uint32_t n_layers)
{
    const gsai_plan_key key = {.rows = GSAI_ROWS_ONE,
        .n_rows = 1,
        .n_spans = 1,
        .n_chunks = 1,
        .n_wanted = 1,
        .wanted_class = GSAI_ROWS_ONE,
        .choose = GSAI_CHOOSE_NOTHING,
        .repeat = 1,
        .chained = true};
    gsai_gpu_forward(user, &key, r, n_layers);
}

gsa_status gsai_gpu_tune(
    gsai_engine *base, uint64_t budget_ns, void (*result)(void *user, const gsai_tune_result *result), void *user)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    const gsai_tune_args args = {.record = record,
        .user = e,
        .n_layers = e->config->n_layers,
        .budget_ns = budget_ns,
        .result = result,
        .result_user = user};
    return gsai_tune_search(e->dev, &args);
}
