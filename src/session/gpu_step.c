/* Steps on a Vulkan device: spans packed into passes, submitted, collected. */
#include "session/gpu_engine.h"

#include "sample/sampler.h"

#include <string.h>

struct gsai_job {
    gsai_span *spans;
    uint32_t n_spans, n_lanes;
    uint32_t lanes[GSAI_N_LANES];
};

static gsai_lane *free_lane(gsai_gpu_engine *e, uint32_t *index)
{
    for (*index = 0; *index < GSAI_N_LANES; (*index)++)
        if (!e->lanes[*index].busy) return &e->lanes[*index];
    return NULL;
}

static double pass_estimate_ns(const gsai_gpu_engine *e, uint32_t rows)
{
    const uint64_t weights = e->weights.heap.n_bytes;
    return gsai_estimate_ns(e->dev, weights, weights * rows / (rows > GSAI_FEW_MAX ? e->speedup : 1));
}

/* Rows of a pass that keep its largest product within one submission's cap, and the whole pass within the budget. */
static uint32_t row_budget(const gsai_gpu_engine *e, double budget_ns)
{
    const gsai_config *c = e->config;
    const uint64_t ffn = 2ull * c->F * c->D, qkvf = (uint64_t)e->k.qkvf_width * c->D, most = ffn > qkvf ? ffn : qkvf;
    uint32_t rows = e->k.max_rows;
    while (rows > GSA_CHUNK) {
        const double product = gsai_estimate_ns(e->dev, 0, 2 * rows * most / e->speedup);
        if (product <= e->dev->max_submit_us * 1e3 && (budget_ns == 0 || pass_estimate_ns(e, rows) <= budget_ns)) break;
        rows -= GSA_CHUNK;
    }
    return rows;
}

static gsa_status submit_pass(
    gsai_gpu_engine *e, gsai_lane *l, uint32_t lane_index, uint32_t repeat, bool chained, gsai_resident_pass resident)
{
    const gsai_pack *p = &l->pack;
    const gsai_plan_key key = {lane_index, p->rows, p->page, p->n_rows, p->n_entries, p->n_chunks, p->n_wanted,
        p->wanted_class, p->choose, p->copy_logits, repeat, chained, p->advance, resident};
    const gsai_cached_plan *plan = NULL;
    gsa_status status = gsai_gpu_plan_for(e, &key, &plan);
    if (status != GSA_OK) return status;
    const uint64_t stride = gsai_capacity_staging_stride(&e->k);
    gsai_buffer_flush(e->dev, &e->staging, lane_index * stride, stride);
    status = gsai_plan_submit(e->dev, &plan->plan, &l->ticket);
    if (status != GSA_OK) return status;
    l->plan = plan;
    l->busy = true;
    l->repeat = repeat;
    l->chained = chained;
    return GSA_OK;
}

/* Tokens to generate with the next pass: a power of two, so that few plans serve all lengths. */
static uint32_t repeat_of(uint32_t left, double estimate_ns, double budget_ns)
{
    uint32_t n = 1;
    while (n < GSAI_MAX_REPEAT && 2 * n <= left && (budget_ns <= 0 || 2 * n * estimate_ns <= budget_ns)) n *= 2;
    return n;
}

gsa_status gsai_gpu_submit(gsai_engine *base, gsai_span *spans, uint32_t n_spans, uint64_t budget_us, gsai_job **out)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    *out = NULL;
    gsa_status status = gsai_device_check(e->dev);
    if (status != GSA_OK) return status;
    gsai_job *job = gsai_alloc(&e->dev->allocator, sizeof *job);
    uint32_t *done = gsai_alloc_array(&e->dev->allocator, n_spans, sizeof *done);
    if (!job || !done) {
        status = gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
        goto end;
    }
    *job = (gsai_job){.spans = spans, .n_spans = n_spans};
    double left_ns = (double)budget_us * 1e3;
    for (;;) {
        uint32_t index;
        gsai_lane *l = free_lane(e, &index);
        if (!l) break;
        uint32_t *table = (uint32_t *)((char *)e->staging.mapped + index * gsai_capacity_staging_stride(&e->k));
        if (!gsai_pack_next(&e->k, spans, n_spans, done, row_budget(e, budget_us ? left_ns : 0), table, &l->pack))
            break;
        const double estimate = pass_estimate_ns(e, l->pack.n_rows);
        if (budget_us && job->n_lanes > 0 && estimate > left_ns) break;
        uint32_t left = l->pack.generate, n = repeat_of(left, estimate, left_ns);
        const gsai_resident_pass resident = gsai_gpu_resident_takes(e, &l->pack, job, n_spans);
        status = submit_pass(e, l, index, n, false, resident);
        if (status != GSA_OK) break;
        if (resident == GSAI_RESIDENT_KEEPS) {
            e->resident.job = job;
            e->resident.slot = spans[l->pack.entries[0].span].slot;
        }
        for (uint32_t i = 0; i < l->pack.n_entries; i++) done[l->pack.entries[i].span] += l->pack.entries[i].n_tokens;
        job->lanes[job->n_lanes++] = index;
        left_ns -= n * estimate;
        for (left -= n; left > 0 && !(budget_us && left_ns < estimate); left -= n) { /* more tokens of the same rows */
            const gsai_lane *before = l;
            l = free_lane(e, &index);
            if (!l) break;
            l->pack = before->pack;
            n = repeat_of(left, estimate, left_ns);
            status = submit_pass(e, l, index, n, true, resident);
            if (status != GSA_OK) break;
            job->lanes[job->n_lanes++] = index;
            left_ns -= n * estimate;
        }
        if (status != GSA_OK || (budget_us && left_ns <= 0)) break;
    }
    if (job->n_lanes == 0 && status == GSA_OK)
        status = gsai_fail(GSA_ERROR_BUSY, "%d passes are in flight already: collect a step first", GSAI_N_LANES);
    if (job->n_lanes > 0) status = GSA_OK; /* what is queued is queued; the failure comes back with the rest */
    for (uint32_t i = 0; status == GSA_OK && i < n_spans; i++) {
        spans[i].n_done = done[i];
        spans[i].token = -1;
        spans[i].n_generated = 0;
        spans[i].stopped = false;
    }
end:
    gsai_free(&e->dev->allocator, done);
    if (status != GSA_OK)
        gsai_free(&e->dev->allocator, job);
    else
        *out = job;
    return status;
}

gsa_status gsai_gpu_wait(gsai_engine *base, gsai_job *job, uint64_t timeout_ns)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    const gsai_ticket ticket = e->lanes[job->lanes[job->n_lanes - 1]].ticket; /* passes run in order */
    return timeout_ns ? gsai_queue_wait(e->dev, ticket, timeout_ns) : gsai_queue_poll(e->dev, ticket);
}

double gsai_gpu_time_ns(gsai_engine *base, gsai_job *job)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    double sum = 0;
    for (uint32_t i = 0; i < job->n_lanes; i++) {
        double ns = 0;
        if (gsai_plan_gpu_time(e->dev, &e->lanes[job->lanes[i]].plan->plan, &ns) == GSA_OK) sum += ns;
    }
    return sum;
}

void gsai_gpu_profile(
    gsai_engine *base, gsai_job *job, void (*call)(void *user, const char *label, double ns), void *user)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    for (uint32_t i = 0; i < job->n_lanes; i++)
        gsai_plan_profile(e->dev, &e->lanes[job->lanes[i]].plan->plan, call, user);
}

static void take_token(gsai_span *s, int32_t token)
{
    if (s->stopped) return;
    s->token = token;
    if (s->generated) s->generated[s->n_generated] = token;
    s->n_generated++;
    for (uint32_t i = 0; i < s->n_stop; i++) s->stopped = s->stopped || s->stop_ids[i] == token;
    if (!s->sampler) return;
    s->sampler->n_drawn++;
    gsa_sampler_accept(s->sampler, token);
}

static void deliver(const gsai_gpu_engine *e, const gsai_lane *l, uint32_t lane_index, gsai_span *spans)
{
    const size_t n_vocab = e->config->n_vocab;
    const char *back = (const char *)e->readback.mapped + lane_index * e->k.readback_bytes;
    const float *rows = (const float *)back;
    for (uint32_t i = 0; i < l->pack.n_entries; i++) {
        const gsai_pack_entry *en = &l->pack.entries[i];
        gsai_span *s = &spans[en->span];
        if (en->n_wanted == 0) continue;
        if (s->want == GSA_WANT_ALL_LOGITS)
            memcpy(s->all_logits + en->first_token * n_vocab, rows + en->first_wanted * n_vocab,
                en->n_wanted * n_vocab * sizeof(float));
        if (!en->last) continue;
        const uint32_t row = en->first_wanted + en->n_wanted - 1;
        if (s->want != GSA_WANT_TOKEN) {
            memcpy(s->last_logits, rows + row * n_vocab, n_vocab * sizeof(float));
            continue;
        }
        for (uint32_t n = l->repeat; n-- > 0;) { /* the first of them lies last */
            int32_t token;
            memcpy(&token, back + e->k.tokens_at + n * e->k.tokens_stride + row * sizeof token, sizeof token);
            take_token(s, token);
        }
    }
}

static bool gave_up(const gsai_gpu_engine *e, uint32_t lane_index)
{
    const uint64_t at = lane_index * e->k.readback_bytes + e->k.given_up_at;
    uint32_t word;
    if (e->lanes[lane_index].plan->key.resident == GSAI_NOT_RESIDENT) return false;
    gsai_buffer_invalidate(e->dev, &e->readback, at, sizeof word);
    memcpy(&word, (const char *)e->readback.mapped + at, sizeof word);
    return word != 0;
}

/* A resident pass of the job did not get through: its passes once more, call by call, from the state before them. Their
 * work tables still lie in the lanes. Of a job of one span that is all from the first resident one on. */
static gsa_status repeat_plainly(gsai_gpu_engine *e, const gsai_job *job)
{
    gsa_status status = gsai_gpu_resident_undo(e);
    bool again = false;
    for (uint32_t i = 0; status == GSA_OK && i < job->n_lanes; i++) {
        gsai_lane *l = &e->lanes[job->lanes[i]];
        const bool resident = l->plan->key.resident != GSAI_NOT_RESIDENT;
        again = resident || (again && job->n_spans == 1);
        if (!again) continue;
        status = submit_pass(e, l, job->lanes[i], l->repeat, l->chained, GSAI_NOT_RESIDENT);
        if (status == GSA_OK) status = gsai_queue_wait(e->dev, l->ticket, UINT64_MAX);
    }
    return status;
}

gsa_status gsai_gpu_collect(gsai_engine *base, gsai_job *job)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    gsa_status status = gsai_device_check(e->dev);
    bool given_up = false;
    for (uint32_t i = 0; status == GSA_OK && e->resident.job == job && i < job->n_lanes; i++)
        given_up = given_up || gave_up(e, job->lanes[i]);
    if (given_up) status = repeat_plainly(e, job);
    if (e->resident.job == job) e->resident.job = NULL;
    for (uint32_t i = 0; i < job->n_lanes; i++) {
        const uint32_t index = job->lanes[i];
        gsai_lane *l = &e->lanes[index];
        if (status == GSA_OK) {
            double ns;
            gsai_plan_gpu_time(e->dev, &l->plan->plan, &ns); /* teaches the cost model */
            gsai_buffer_invalidate(e->dev, &e->readback, index * e->k.readback_bytes, e->k.readback_bytes);
            deliver(e, l, index, job->spans);
        }
        l->busy = false;
    }
    gsai_free(&e->dev->allocator, job);
    return status;
}
