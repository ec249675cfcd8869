#include "sampling.h"

#include "report.h"

#include <time.h>

void sampling_settle(sampling *s)
{
    const uint64_t none = UINT64_MAX;
    s->is_given = s->temperature >= 0 || s->top_k != none || s->top_p >= 0 || s->min_p >= 0 || s->repeat_penalty >= 0 ||
                  s->seed != none;
    if (s->temperature < 0) s->temperature = 0.8;
    if (s->top_k == none) s->top_k = 40;
    if (s->top_p < 0) s->top_p = 0.95;
    if (s->min_p < 0) s->min_p = 0;
    if (s->repeat_penalty < 0) s->repeat_penalty = 1;
    if (s->repeat_last_n == none) s->repeat_last_n = 64;
    if (s->seed == none) s->seed = (uint64_t)time(NULL);
}

int sampling_open(const sampling *s, gsa_sampler **sampler)
{
    const gsa_sampler_params params = {.struct_size = sizeof params,
        .temperature = (float)s->temperature,
        .top_k = (uint32_t)s->top_k,
        .top_p = (float)s->top_p,
        .min_p = (float)s->min_p,
        .repeat_penalty = (float)s->repeat_penalty,
        .repeat_last_n = (uint32_t)s->repeat_last_n,
        .seed = s->seed};
    return gsa_sampler_create(&params, sampler) == GSA_OK ? 0 : fail_library();
}
