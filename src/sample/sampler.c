/* The sampling rules of gsa/sampler.h on the CPU, by thresholds instead of sorting, as the GPU does them. */
#include "sample/sampler.h"

#include "util/alloc.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

#define DEFAULT_LAST_N 64

static gsa_status check_params(const gsa_sampler_params *p)
{
    if (p->struct_size != sizeof *p)
        return gsai_fail(GSA_ERROR_ARGUMENT, "sampler params: struct_size is %zu, this library expects %zu",
            p->struct_size, sizeof *p);
    if (!(p->temperature >= 0) || isinf(p->temperature))
        return gsai_fail(GSA_ERROR_ARGUMENT, "sampler params: temperature is %g, give 0 (greedy) or a positive number",
            (double)p->temperature);
    if (!(p->top_p >= 0 && p->top_p <= 1))
        return gsai_fail(GSA_ERROR_ARGUMENT, "sampler params: top_p is %g, give 0 to 1", (double)p->top_p);
    if (!(p->min_p >= 0 && p->min_p <= 1))
        return gsai_fail(GSA_ERROR_ARGUMENT, "sampler params: min_p is %g, give 0 to 1", (double)p->min_p);
    if (!(p->repeat_penalty >= 0) || isinf(p->repeat_penalty))
        return gsai_fail(GSA_ERROR_ARGUMENT, "sampler params: repeat_penalty is %g, give 0 (off) or a positive number",
            (double)p->repeat_penalty);
    if (p->repeat_last_n > GSAI_MAX_RECENT)
        return gsai_fail(GSA_ERROR_ARGUMENT, "sampler params: repeat_last_n is %lu, at most %d are kept",
            (unsigned long)p->repeat_last_n, GSAI_MAX_RECENT);
    return GSA_OK;
}

gsa_status gsa_sampler_create(const gsa_sampler_params *params, gsa_sampler **sampler)
{
    if (!sampler) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_sampler_create: sampler is NULL");
    *sampler = NULL;
    if (!params) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_sampler_create: params is NULL");

    const gsa_status status = check_params(params);
    if (status != GSA_OK) return status;

    const gsa_allocator allocator = gsai_allocator_or_default(params->allocator);
    gsa_sampler *s = gsai_alloc(&allocator, sizeof *s);
    if (!s) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for a sampler");

    s->allocator = allocator;
    s->params = *params;
    s->params.allocator = NULL; /* the caller's need not outlive this call */
    if (s->params.repeat_last_n == 0) s->params.repeat_last_n = DEFAULT_LAST_N;
    *sampler = s;
    return GSA_OK;
}

void gsa_sampler_destroy(gsa_sampler *sampler)
{
    if (!sampler) return;

    const gsa_allocator allocator = sampler->allocator;
    gsai_free(&allocator, sampler->weights);
    gsai_free(&allocator, sampler);
}

void gsa_sampler_accept(gsa_sampler *sampler, int32_t token)
{
    sampler->recent[sampler->next_recent] = token;
    sampler->next_recent = (sampler->next_recent + 1) % GSAI_MAX_RECENT;
    if (sampler->n_recent < GSAI_MAX_RECENT) sampler->n_recent++;
}

void gsa_sampler_reset(gsa_sampler *sampler)
{
    sampler->n_drawn = 0;
    sampler->n_recent = 0;
    sampler->next_recent = 0;
}

static gsa_status grow_scratch(gsa_sampler *s, size_t n)
{
    if (n <= s->n_scratch) return GSA_OK;

    double *weights = gsai_alloc_array(&s->allocator, n, sizeof *s->weights + sizeof *s->logits);
    if (!weights) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory to sample from %zu logits", n);
    gsai_free(&s->allocator, s->weights);
    s->weights = weights;
    s->logits = (float *)(weights + n);
    s->n_scratch = n;
    return GSA_OK;
}

/* Rule 1. Each value is made from the original logit, so a token that occurs twice is not punished twice. */
static void penalise(const gsa_sampler *s, float *out, const float *logits, size_t n)
{
    const uint32_t last_n = s->params.repeat_last_n < s->n_recent ? s->params.repeat_last_n : s->n_recent;
    const float penalty = s->params.repeat_penalty;

    memcpy(out, logits, n * sizeof *out);
    for (uint32_t i = 1; i <= last_n; i++) {
        const int32_t token = s->recent[(s->next_recent + GSAI_MAX_RECENT - i) % GSAI_MAX_RECENT];
        if (token < 0 || (size_t)token >= n) continue;
        out[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
    }
}

static size_t largest(const float *logits, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* The largest key such that the elements of this key or above reach target, in count (weights NULL) or in weight;
 * a key below all elements when they do not. One byte of the key at a time, from the top. */
static uint32_t threshold(const float *logits, const double *weights, size_t n, double target)
{
    uint32_t key = 0;
    double above = 0; /* what lies over the range that key's known bytes leave open */

    for (int shift = 24; shift >= 0; shift -= 8) {
        double bins[256] = {0};
        for (size_t i = 0; i < n; i++) {
            const uint32_t k = gsai_sampler_key(logits[i]);
            if ((uint64_t)(k ^ key) >> (shift + 8) == 0) bins[k >> shift & 255] += weights ? weights[i] : 1;
        }

        uint32_t bin = 255;
        while (bin > 0 && above + bins[bin] < target) above += bins[bin--];
        key |= bin << shift;
    }
    return key;
}

/* Rules 2 to 5: s->weights becomes the kept tokens' probabilities times an unknown constant, zero for the others;
 * returns their sum. The largest logit has weight 1 whatever it is, so infinities do no harm. */
static double weigh(gsa_sampler *s, const float *logits, size_t n)
{
    const gsa_sampler_params *p = &s->params;
    const double top = logits[largest(logits, n)];
    uint32_t least = p->top_k > 0 && p->top_k < n ? threshold(logits, NULL, n, p->top_k) : 0;
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double w = 0;
        if (gsai_sampler_key(logits[i]) >= least) w = logits[i] == top ? 1 : exp((logits[i] - top) / p->temperature);
        sum += s->weights[i] = w;
    }
    if (p->top_p > 0 && p->top_p < 1) least = threshold(logits, s->weights, n, p->top_p * sum);

    sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (s->weights[i] < p->min_p || gsai_sampler_key(logits[i]) < least) s->weights[i] = 0;
        sum += s->weights[i];
    }
    return sum;
}

/* Rule 6. Zero weights never make the running sum pass u. */
static size_t draw(const double *weights, size_t n, double u_times_sum)
{
    size_t last = 0;
    double running = 0;

    for (size_t i = 0; i < n; i++) {
        running += weights[i];
        if (running > u_times_sum) return i;
        if (weights[i] > 0) last = i;
    }
    return last;
}

gsa_status gsa_sampler_sample(gsa_sampler *sampler, const float *logits, size_t n, int32_t *token)
{
    if (!sampler || !logits || !token)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_sampler_sample: sampler, logits or token is NULL");
    if (n == 0 || n > INT32_MAX)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_sampler_sample: n is %zu, give 1 to 2^31 - 1 logits", n);
    for (size_t i = 0; i < n; i++)
        if (isnan(logits[i])) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_sampler_sample: logit %zu is NaN", i);

    const gsa_sampler_params *p = &sampler->params;
    const bool greedy = p->temperature == 0;
    const bool penalty = p->repeat_penalty > 0 && p->repeat_penalty != 1 && sampler->n_recent > 0;
    if (!greedy || penalty) {
        const gsa_status status = grow_scratch(sampler, n);
        if (status != GSA_OK) return status;
    }
    if (penalty) {
        penalise(sampler, sampler->logits, logits, n);
        logits = sampler->logits;
    }

    if (greedy) {
        *token = (int32_t)largest(logits, n);
    } else {
        const double sum = weigh(sampler, logits, n);
        const double u = gsai_sampler_uniform(sampler->params.seed, sampler->n_drawn);
        *token = (int32_t)draw(sampler->weights, n, u * sum);
    }
    sampler->n_drawn++;
    return GSA_OK;
}
