/* A model on a Vulkan device. All passes share one set of activations: the queue runs them in order, each plan begins
 * with a barrier against what went before. What the host writes and reads per pass lies in lanes, so several passes can
 * be in flight. */
#include "session/engine.h"

#include "ops/matmul_cm.h"
#include "ops/verify.h"
#include "sample/sampler.h"
#include "session/capacity.h"
#include "session/pack.h"

#include <string.h>

#define MAX_PLANS   32
#define MAX_RETIRED 32

/* All that a recorded pass depends on. What else changes from step to step lies in the work table. */
typedef struct plan_key {
    uint32_t lane, rows, page, n_rows, n_spans, n_chunks, n_wanted, wanted_class, choose, copy_logits;
    uint32_t repeat, chained, advance; /* generation; see gsai_pass */
} plan_key;

typedef struct cached_plan {
    plan_key key;
    gsai_plan plan;
    double unit_ns; /* cost model when recorded: submissions are cut by it */
    uint64_t last_used;
    bool used;
} cached_plan;

typedef struct lane {
    bool busy;
    gsai_ticket ticket;
    const cached_plan *plan;
    gsai_pack pack;
    uint32_t repeat; /* tokens of each entry in the read-back, when they are chosen */
} lane;

typedef struct retired_plan { /* a one-time plan (a state copy), perhaps still in flight */
    gsai_plan plan;
    gsai_ticket ticket;
} retired_plan;

typedef struct gpu_engine {
    gsai_engine base;
    gsa_device *dev;
    const gsai_checkpoint *checkpoint;
    const gsai_config *config;
    bool deterministic;
    gsai_capacity k;
    gsai_weights weights;
    gsai_heap scratch_heap, arena_heap;
    gsai_scratch scratch;
    gsai_state *states; /* [n_pages][n_layers] */
    uint32_t speedup;   /* of products of many rows, in the cost model */
    gsai_buffer staging, readback, transfer;
    lane lanes[GSAI_N_LANES];
    cached_plan plans[MAX_PLANS];
    uint64_t use_counter;
    retired_plan retired[MAX_RETIRED];
    uint32_t next_retired;
} gpu_engine;

struct gsai_job {
    gsai_span *spans;
    uint32_t n_spans, n_lanes;
    uint32_t lanes[GSAI_N_LANES];
};

static double unit_cost(const gsa_device *dev)
{
    return gsai_estimate_ns(dev, 1u << 30, 1ull << 33);
}

/* --- plans --- */

static gsai_table table_at(const gpu_engine *e, uint32_t base)
{
    return (gsai_table){e->scratch.work, base};
}

/* Single tokens of this many sessions take the products of prompts where they run on matrix units: all weights are then
 * read once. Their bits differ in the last digits from those of a session alone. */
#define BATCH_LEAST 4

static bool batched(const gpu_engine *e, const plan_key *key)
{
    return !e->deterministic && key->rows == GSAI_ROWS_ONE && key->n_rows >= BATCH_LEAST &&
           gsai_matmul_cm_has(e->dev, &e->weights.layers[0].qkvf);
}

static gsa_status record_pass(gpu_engine *e, const plan_key *key, gsai_plan *plan)
{
    const gsai_capacity *k = &e->k;
    const uint64_t stride = gsai_capacity_staging_stride(k);
    const gsai_pass pass = {
        .work = {e->scratch.work, k->spans_at, k->chunks_at, key->n_spans, key->n_chunks, key->n_rows,
            (gsai_row_class)key->rows},
        .ids = table_at(e, k->ids_at),
        .wanted = table_at(e, k->wanted_at),
        .n_wanted = key->n_wanted,
        .product_class = batched(e, key) ? GSAI_ROWS_MANY : (gsai_row_class)key->rows,
        .wanted_class = batched(e, key) ? GSAI_ROWS_MANY : (gsai_row_class)key->wanted_class,
        .choose = (gsai_choose)key->choose,
        .sample_params = table_at(e, k->sample_at),
        .copy_logits = key->copy_logits,
        .staging = {&e->staging, key->lane * stride, stride},
        .staging_bytes = (key->choose == GSAI_CHOOSE_SAMPLE || key->advance ? k->work_uints : k->sample_at) * 4ull,
        .repeat = key->repeat,
        .chained = key->chained,
        .advance = key->advance,
        .tokens_stride = k->tokens_stride,
        .readback = {&e->readback, key->lane * k->readback_bytes, k->readback_bytes},
        .logits_at = 0,
        .tokens_at = k->tokens_at,
        .states = e->states + (size_t)key->page * e->config->n_layers,
    };
    gsai_recorder *r = NULL;
    const gsa_status status = gsai_recorder_begin(e->dev, 0, &r);
    if (status != GSA_OK) return status;
    gsai_forward(r, e->config, &e->weights, &e->scratch, &pass);
    return gsai_recorder_finish(r, plan);
}

static bool plan_in_flight(const gpu_engine *e, const cached_plan *p)
{
    for (uint32_t i = 0; i < GSAI_N_LANES; i++)
        if (e->lanes[i].busy && e->lanes[i].plan == p) return true;
    return false;
}

static gsa_status plan_for(gpu_engine *e, const plan_key *key, const cached_plan **out)
{
    const double unit_ns = unit_cost(e->dev);
    cached_plan *oldest = NULL;
    for (uint32_t i = 0; i < MAX_PLANS; i++) {
        cached_plan *p = &e->plans[i];
        if (p->used && memcmp(&p->key, key, sizeof *key) == 0) {
            /* Far from what the cost model says now: cut again. */
            if (unit_ns > 2 * p->unit_ns || unit_ns < p->unit_ns / 4) {
                oldest = p;
                break;
            }
            p->last_used = ++e->use_counter;
            *out = p;
            return GSA_OK;
        }
        if (!plan_in_flight(e, p) && (!oldest || !p->used || (oldest->used && p->last_used < oldest->last_used)))
            oldest = p;
    }
    gsai_plan_destroy(e->dev, &oldest->plan);
    oldest->used = false;
    const gsa_status status = record_pass(e, key, &oldest->plan);
    if (status != GSA_OK) return status;
    oldest->key = *key;
    oldest->unit_ns = unit_ns;
    oldest->last_used = ++e->use_counter;
    oldest->used = true;
    *out = oldest;
    return GSA_OK;
}

/* --- steps --- */

static lane *free_lane(gpu_engine *e, uint32_t *index)
{
    for (*index = 0; *index < GSAI_N_LANES; (*index)++)
        if (!e->lanes[*index].busy) return &e->lanes[*index];
    return NULL;
}

static double pass_estimate_ns(const gpu_engine *e, uint32_t rows)
{
    const uint64_t weights = e->weights.heap.n_bytes;
    return gsai_estimate_ns(e->dev, weights, weights * rows / (rows > GSAI_FEW_MAX ? e->speedup : 1));
}

/* Rows of a pass that keep its largest product within one submission's cap, and the whole pass within the budget. */
static uint32_t row_budget(const gpu_engine *e, double budget_ns)
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

static gsa_status submit_pass(gpu_engine *e, lane *l, uint32_t lane_index, uint32_t repeat, bool chained)
{
    const gsai_pack *p = &l->pack;
    const plan_key key = {lane_index, p->rows, p->page, p->n_rows, p->n_entries, p->n_chunks, p->n_wanted,
        p->wanted_class, p->choose, p->copy_logits, repeat, chained, p->advance};
    const cached_plan *plan = NULL;
    gsa_status status = plan_for(e, &key, &plan);
    if (status != GSA_OK) return status;
    const uint64_t stride = gsai_capacity_staging_stride(&e->k);
    gsai_buffer_flush(e->dev, &e->staging, lane_index * stride, stride);
    status = gsai_plan_submit(e->dev, &plan->plan, &l->ticket);
    if (status != GSA_OK) return status;
    l->plan = plan;
    l->busy = true;
    l->repeat = repeat;
    return GSA_OK;
}

/* Tokens to generate with the next pass: a power of two, so that few plans serve all lengths. */
static uint32_t repeat_of(uint32_t left, double estimate_ns, double budget_ns)
{
    uint32_t n = 1;
    while (n < GSAI_MAX_REPEAT && 2 * n <= left && (budget_ns <= 0 || 2 * n * estimate_ns <= budget_ns)) n *= 2;
    return n;
}

static gsa_status gpu_submit(gsai_engine *base, gsai_span *spans, uint32_t n_spans, uint64_t budget_us, gsai_job **out)
{
    gpu_engine *e = (gpu_engine *)base;
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
        lane *l = free_lane(e, &index);
        if (!l) break;
        uint32_t *table = (uint32_t *)((char *)e->staging.mapped + index * gsai_capacity_staging_stride(&e->k));
        if (!gsai_pack_next(&e->k, spans, n_spans, done, row_budget(e, budget_us ? left_ns : 0), table, &l->pack))
            break;
        const double estimate = pass_estimate_ns(e, l->pack.n_rows);
        if (budget_us && job->n_lanes > 0 && estimate > left_ns) break;
        uint32_t left = l->pack.generate, n = repeat_of(left, estimate, left_ns);
        status = submit_pass(e, l, index, n, false);
        if (status != GSA_OK) break;
        for (uint32_t i = 0; i < l->pack.n_entries; i++) done[l->pack.entries[i].span] += l->pack.entries[i].n_tokens;
        job->lanes[job->n_lanes++] = index;
        left_ns -= n * estimate;
        for (left -= n; left > 0 && !(budget_us && left_ns < estimate); left -= n) { /* more tokens of the same rows */
            const lane *before = l;
            l = free_lane(e, &index);
            if (!l) break;
            l->pack = before->pack;
            n = repeat_of(left, estimate, left_ns);
            status = submit_pass(e, l, index, n, true);
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

static gsa_status gpu_wait(gsai_engine *base, gsai_job *job, uint64_t timeout_ns)
{
    gpu_engine *e = (gpu_engine *)base;
    const gsai_ticket ticket = e->lanes[job->lanes[job->n_lanes - 1]].ticket; /* passes run in order */
    return timeout_ns ? gsai_queue_wait(e->dev, ticket, timeout_ns) : gsai_queue_poll(e->dev, ticket);
}

static double gpu_gpu_ns(gsai_engine *base, gsai_job *job)
{
    gpu_engine *e = (gpu_engine *)base;
    double sum = 0;
    for (uint32_t i = 0; i < job->n_lanes; i++) {
        double ns = 0;
        if (gsai_plan_gpu_time(e->dev, &e->lanes[job->lanes[i]].plan->plan, &ns) == GSA_OK) sum += ns;
    }
    return sum;
}

static void gpu_profile(
    gsai_engine *base, gsai_job *job, void (*call)(void *user, const char *label, double ns), void *user)
{
    gpu_engine *e = (gpu_engine *)base;
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

static void deliver(const gpu_engine *e, const lane *l, uint32_t lane_index, gsai_span *spans)
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

static gsa_status gpu_collect(gsai_engine *base, gsai_job *job)
{
    gpu_engine *e = (gpu_engine *)base;
    const gsa_status status = gsai_device_check(e->dev);
    for (uint32_t i = 0; i < job->n_lanes; i++) {
        const uint32_t index = job->lanes[i];
        lane *l = &e->lanes[index];
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

/* --- slots --- */

static gsai_range slot_range(const gpu_engine *e, uint32_t layer, uint32_t slot)
{
    const uint32_t page = slot / e->k.slots_per_page;
    gsai_range r = e->states[(size_t)page * e->config->n_layers + layer].range;
    r.offset += slot % e->k.slots_per_page * e->k.layer_state_bytes;
    r.size = e->k.layer_state_bytes;
    return r;
}

/* Submit a one-time plan without waiting for it; its memory is given back later. */
static gsa_status submit_once(gpu_engine *e, gsai_recorder *r, gsai_ticket *ticket)
{
    gsai_plan plan;
    gsa_status status = gsai_recorder_finish(r, &plan);
    if (status != GSA_OK) return status;
    /* Slots of the ring are reused in order; the one we come to is done but for bursts of copies, which then wait for
     * the oldest of them. */
    retired_plan *slot = &e->retired[e->next_retired];
    status = gsai_queue_wait(e->dev, slot->ticket, UINT64_MAX);
    if (status != GSA_OK) {
        gsai_plan_destroy(e->dev, &plan);
        return status;
    }
    gsai_plan_destroy(e->dev, &slot->plan);
    *slot = (retired_plan){0};
    status = gsai_plan_submit(e->dev, &plan, ticket);
    if (status != GSA_OK) {
        gsai_plan_destroy(e->dev, &plan);
        return status;
    }
    *slot = (retired_plan){plan, *ticket};
    e->next_retired = (e->next_retired + 1) % MAX_RETIRED;
    return GSA_OK;
}

static gsa_status gpu_slot_zero(gsai_engine *base, uint32_t slot)
{
    gpu_engine *e = (gpu_engine *)base;
    gsai_recorder *r = NULL;
    gsai_ticket ticket;
    const gsa_status status = gsai_recorder_begin(e->dev, 0, &r);
    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < e->config->n_layers; i++) gsai_recorder_fill_zero(r, slot_range(e, i, slot));
    return submit_once(e, r, &ticket);
}

static gsa_status gpu_slot_copy(gsai_engine *base, uint32_t dst, uint32_t src)
{
    gpu_engine *e = (gpu_engine *)base;
    if (dst == src) return GSA_OK;
    gsai_recorder *r = NULL;
    gsai_ticket ticket;
    const gsa_status status = gsai_recorder_begin(e->dev, 0, &r);
    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < e->config->n_layers; i++)
        gsai_recorder_copy(r, slot_range(e, i, src), 0, slot_range(e, i, dst), 0, e->k.layer_state_bytes);
    return submit_once(e, r, &ticket);
}

static gsa_status gpu_slot_read(gsai_engine *base, uint32_t slot, float *state)
{
    gpu_engine *e = (gpu_engine *)base;
    const uint64_t piece = e->transfer.size, layer_bytes = e->k.layer_state_bytes;
    const gsai_range to = {&e->transfer, 0, piece};
    for (uint64_t at = 0; at < e->k.state_bytes; at += piece) {
        const uint64_t end = at + piece < e->k.state_bytes ? at + piece : e->k.state_bytes;
        gsai_recorder *r = NULL;
        gsa_status status = gsai_recorder_begin(e->dev, 0, &r);
        if (status != GSA_OK) return status;
        for (uint64_t p = at; p < end;) { /* a piece may cover parts of several layers */
            const uint64_t layer = p / layer_bytes, within = p % layer_bytes;
            const uint64_t n = layer_bytes - within < end - p ? layer_bytes - within : end - p;
            gsai_recorder_copy(r, slot_range(e, (uint32_t)layer, slot), within, to, p - at, n);
            p += n;
        }
        gsai_recorder_to_host(r);
        gsai_ticket ticket;
        status = submit_once(e, r, &ticket);
        if (status == GSA_OK) status = gsai_queue_wait(e->dev, ticket, UINT64_MAX);
        if (status != GSA_OK) return status;
        gsai_buffer_invalidate(e->dev, &e->transfer, 0, piece);
        memcpy((char *)state + at, e->transfer.mapped, end - at);
    }
    return GSA_OK;
}

static gsa_status gpu_slot_write(gsai_engine *base, uint32_t slot, const float *state)
{
    gpu_engine *e = (gpu_engine *)base;
    gsai_upload *up = NULL;
    gsa_status status = gsai_upload_create(e->dev, &up);
    for (uint32_t i = 0; status == GSA_OK && i < e->config->n_layers; i++) {
        const char *src = (const char *)state + i * e->k.layer_state_bytes;
        for (uint64_t at = 0; status == GSA_OK && at < e->k.layer_state_bytes; at += GSAI_UPLOAD_PIECE) {
            const uint64_t left = e->k.layer_state_bytes - at, n = left < GSAI_UPLOAD_PIECE ? left : GSAI_UPLOAD_PIECE;
            void *dst = NULL;
            status = gsai_upload_map(up, slot_range(e, i, slot), at, n, &dst);
            if (status == GSA_OK) memcpy(dst, src + at, n);
        }
    }
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    return status;
}

/* --- life --- */

static void gpu_destroy(gsai_engine *base)
{
    gpu_engine *e = (gpu_engine *)base;
    gsa_device *dev = e->dev;
    gsai_queue_wait_idle(dev);
    for (uint32_t i = 0; i < MAX_PLANS; i++) gsai_plan_destroy(dev, &e->plans[i].plan);
    for (uint32_t i = 0; i < MAX_RETIRED; i++) gsai_plan_destroy(dev, &e->retired[i].plan);
    gsai_buffer_destroy(dev, &e->staging);
    gsai_buffer_destroy(dev, &e->readback);
    gsai_buffer_destroy(dev, &e->transfer);
    gsai_heap_destroy(dev, &e->arena_heap);
    gsai_heap_destroy(dev, &e->scratch_heap);
    gsai_weights_destroy(dev, &e->weights);
    gsai_free(&dev->allocator, e->states);
    gsai_free(&dev->allocator, e);
}

static const gsai_engine_ops gpu_ops = {gpu_destroy, gpu_submit, gpu_wait, gpu_collect, gpu_gpu_ns, gpu_profile,
    gpu_slot_zero, gpu_slot_copy, gpu_slot_read, gpu_slot_write};

static gsai_rows rows_of(const gsai_heap *heap, gsai_place place, uint64_t columns)
{
    return (gsai_rows){gsai_heap_range(heap, place), 0, (uint32_t)gsai_round_up(columns, 4)};
}

static gsai_qkvf qkvf_of(const gsai_config *c, const gsai_capacity *k, gsai_rows rows)
{
    gsai_qkvf q = {.rows = rows, .q = 0, .width = k->qkvf_width};
    q.k = q.q + c->H * c->K;
    q.v = q.k + c->G * c->K;
    q.g = q.v + c->G * c->V;
    q.s = q.g + c->G * c->M;
    return q;
}

static gsa_status zero_heap(const gsai_heap *heap, gsai_upload *up)
{
    gsa_status status = GSA_OK;
    for (uint32_t i = 0; status == GSA_OK && i < heap->n_blocks; i++)
        status = gsai_upload_fill_zero(up, (gsai_range){&heap->blocks[i], 0, heap->blocks[i].size});
    return status;
}

static gsa_status create_scratch(gpu_engine *e, const gsai_limits *limits)
{
    const gsai_config *c = e->config;
    const gsai_capacity *k = &e->k;
    gsai_layout layout;
    gsai_places p;
    gsai_layout_init(&layout, &e->dev->allocator, limits->max_range, limits->max_allocation, limits->align);
    gsa_status status = gsai_capacity_scratch(c, k, &layout, &p);
    if (status == GSA_OK) status = gsai_heap_create(e->dev, &layout, GSAI_MEMORY_DEVICE, &e->scratch_heap);
    gsai_layout_finish(&layout);
    if (status != GSA_OK) return status;

    const gsai_heap *h = &e->scratch_heap;
    e->scratch = (gsai_scratch){
        .x = rows_of(h, p.x, c->D),
        .h = rows_of(h, p.h, c->D),
        .qkvf = qkvf_of(c, k, rows_of(h, p.qkvf, k->qkvf_stride)),
        .raw = qkvf_of(c, k, rows_of(h, p.raw, k->qkvf_stride)),
        .o = rows_of(h, p.o, (uint64_t)c->H * c->V),
        .gate_up = rows_of(h, p.gate_up, 2ull * c->F),
        .act = rows_of(h, p.act, c->F),
        .logits = rows_of(h, p.logits, c->n_vocab),
        .wanted = rows_of(h, p.wanted, c->D),
        .tokens = gsai_heap_range(h, p.tokens),
        .gsa = gsai_heap_range(h, p.gsa),
        .work = gsai_heap_range(h, p.work),
        .max_wanted_at_once = k->wanted_at_once,
    };
    return GSA_OK;
}

static gsa_status create_arena(gpu_engine *e, const gsai_limits *limits)
{
    const gsai_config *c = e->config;
    const gsa_allocator *a = &e->dev->allocator;
    const size_t n = (size_t)c->n_layers * e->k.n_pages;
    gsai_layout layout;
    gsai_layout_init(&layout, a, limits->max_range, limits->max_allocation, limits->align);
    gsai_place *places = gsai_alloc_array(a, n, sizeof *places);
    e->states = gsai_alloc_array(a, n, sizeof *e->states);
    gsa_status status = places && e->states ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    if (status == GSA_OK) status = gsai_capacity_arena(c, &e->k, &layout, places);
    if (status == GSA_OK) status = gsai_heap_create(e->dev, &layout, GSAI_MEMORY_DEVICE, &e->arena_heap);
    for (uint32_t page = 0; status == GSA_OK && page < e->k.n_pages; page++)
        for (uint32_t layer = 0; layer < c->n_layers; layer++)
            e->states[(size_t)page * c->n_layers + layer] =
                (gsai_state){gsai_heap_range(&e->arena_heap, places[layer * e->k.n_pages + page]),
                    gsai_config_layer_state(c, layer)};
    gsai_free(a, places);
    gsai_layout_finish(&layout);
    return status;
}

#define UPLOAD_SHARE 0.9 /* of loading, for progress */

static gsa_status show_progress(const gsai_engine_params *params, double fraction, const char *what)
{
    if (!params->progress || params->progress(params->progress_user, fraction, what)) return GSA_OK;
    return gsai_fail(GSA_ERROR_CANCELLED, "loading was cancelled by the progress callback");
}

static bool upload_progress(void *user, double fraction, const char *what)
{
    return show_progress(user, UPLOAD_SHARE * fraction, what) == GSA_OK;
}

/* Record one pass of each kind, so that every pipeline exists before the first token; the plans are not kept. */
static gsa_status record_all(gpu_engine *e, const gsai_engine_params *params)
{
    gsa_status status = GSA_OK;
    for (uint32_t rows = 1; status == GSA_OK && rows <= GSAI_FEW_MAX + 1; rows++) {
        status = show_progress(
            params, UPLOAD_SHARE + (1 - UPLOAD_SHARE) * (rows - 1) / (GSAI_FEW_MAX + 2), "preparing kernels");
        if (status != GSA_OK) break;
        const gsai_row_class class = gsai_row_class_of(rows);
        const plan_key key = {.rows = class,
            .n_rows = class == GSAI_ROWS_MANY ? GSA_CHUNK : rows,
            .n_spans = 1,
            .n_chunks = 1,
            .n_wanted = 1,
            .wanted_class = class == GSAI_ROWS_MANY ? GSAI_ROWS_MANY : GSAI_ROWS_ONE,
            .choose = rows % 2 ? GSAI_CHOOSE_ARGMAX : GSAI_CHOOSE_SAMPLE,
            .copy_logits = true,
            .repeat = 1,
            .advance = rows == 2};
        gsai_plan plan = {0};
        status = record_pass(e, &key, &plan);
        gsai_plan_destroy(e->dev, &plan);
    }
    return status;
}

/* Every pipeline exists and its kernel has answered a known question on this device before the first token. A kernel
 * that answers wrongly gives way to the next rung of its ladder, whose pipelines are then needed. */
static gsa_status prewarm(gpu_engine *e, const gsai_engine_params *params)
{
    for (;;) {
        uint32_t n_dropped = 0;
        gsa_status status = record_all(e, params);
        if (status == GSA_OK) status = show_progress(params, 0.99, "testing kernels");
        if (status == GSA_OK) status = gsai_ops_self_test_used(e->dev, &n_dropped);
        if (status != GSA_OK || n_dropped == 0) return status;
    }
}

static gsa_status check_cap(gsa_device *dev, const gsai_engine_params *params)
{
    gsa_memory_plan plan;
    const gsa_status status = gsai_engine_plan(dev, params, &plan);
    if (status != GSA_OK) return status;
    if (params->max_device_bytes && plan.device_bytes > params->max_device_bytes)
        return gsai_fail(GSA_ERROR_DEVICE_MEMORY,
            "weights %llu + arena of %u slots %llu + scratch of %u rows %llu = %llu bytes on the device, the cap is "
            "%llu: %s",
            (unsigned long long)plan.weight_bytes, plan.n_slots, (unsigned long long)plan.arena_bytes, plan.max_rows,
            (unsigned long long)plan.scratch_bytes, (unsigned long long)plan.device_bytes,
            (unsigned long long)params->max_device_bytes,
            plan.weight_bytes >= params->max_device_bytes
                ? "the weights alone pass it, so take a smaller type or allow more"
                : "take fewer slots, smaller max_rows or a smaller type, or allow more");
    return GSA_OK;
}

gsa_status gsai_engine_gpu_create(gsa_device *dev, const gsai_engine_params *params, gsai_engine **out)
{
    *out = NULL;
    gsa_status status = check_cap(dev, params);
    if (status != GSA_OK) return status;
    gpu_engine *e = gsai_alloc(&dev->allocator, sizeof *e);
    if (!e) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    e->base.ops = &gpu_ops;
    e->dev = dev;
    e->checkpoint = params->checkpoint;
    e->config = &params->checkpoint->config;
    e->deterministic = params->deterministic;
    const gsai_limits limits = gsai_limits_of(dev);
    gsai_upload *up = NULL;
    status = gsai_capacity_of(e->config, &limits, params->n_slots, params->max_rows, &e->k);
    if (status == GSA_OK)
        status = gsai_weights_create(dev, params->checkpoint, upload_progress, (void *)(uintptr_t)params, &e->weights);
    if (status == GSA_OK) e->speedup = gsai_matmul_cm_has(dev, &e->weights.layers[0].gate_up) ? GSAI_MATRIX_SPEEDUP : 1;
    if (status == GSA_OK) status = create_scratch(e, &limits);
    if (status == GSA_OK) status = create_arena(e, &limits);
    if (status == GSA_OK)
        status = gsai_buffer_create(
            dev, GSAI_N_LANES * gsai_capacity_staging_stride(&e->k), GSAI_MEMORY_UPLOAD, &e->staging);
    if (status == GSA_OK)
        status = gsai_buffer_create(dev, GSAI_N_LANES * e->k.readback_bytes, GSAI_MEMORY_READBACK, &e->readback);
    if (status == GSA_OK)
        status = gsai_buffer_create(dev, gsai_capacity_transfer_bytes(&e->k), GSAI_MEMORY_READBACK, &e->transfer);
    if (status == GSA_OK) status = gsai_upload_create(dev, &up);
    if (status == GSA_OK) status = zero_heap(&e->scratch_heap, up);
    if (status == GSA_OK) status = zero_heap(&e->arena_heap, up);
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    if (status == GSA_OK) status = prewarm(e, params);
    if (status != GSA_OK) {
        gpu_destroy(&e->base);
        return status;
    }
    *out = &e->base;
    return GSA_OK;
}

gsa_status gsai_engine_plan(const gsa_device *dev, const gsai_engine_params *params, gsa_memory_plan *plan)
{
    *plan = (gsa_memory_plan){0};
    const gsai_checkpoint *ck = params->checkpoint;
    const gsai_config *c = &ck->config;
    const gsa_allocator *a = &ck->allocator;
    if (dev && dev->is_cpu_reference) {
        plan->n_slots = params->n_slots;
        plan->host_bytes = (params->n_slots + 1ull) * gsai_config_state_floats(c) * 4;
        return GSA_OK;
    }
    const gsai_limits limits = gsai_limits_of(dev);
    gsai_capacity k;
    gsa_status status = gsai_capacity_of(c, &limits, params->n_slots, params->max_rows, &k);
    if (status == GSA_OK)
        status = gsai_weights_plan(ck, limits.max_range, limits.max_allocation, limits.align, &plan->weight_bytes);
    if (status != GSA_OK) return status;

    gsai_layout layout;
    gsai_places places;
    gsai_layout_init(&layout, a, limits.max_range, limits.max_allocation, limits.align);
    status = gsai_capacity_scratch(c, &k, &layout, &places);
    plan->scratch_bytes = gsai_layout_bytes(&layout);
    gsai_layout_finish(&layout);
    if (status != GSA_OK) return status;

    gsai_layout_init(&layout, a, limits.max_range, limits.max_allocation, limits.align);
    gsai_place *arena = gsai_alloc_array(a, (size_t)c->n_layers * k.n_pages, sizeof *arena);
    status =
        arena ? gsai_capacity_arena(c, &k, &layout, arena) : gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    plan->arena_bytes = gsai_layout_bytes(&layout);
    gsai_free(a, arena);
    gsai_layout_finish(&layout);

    plan->host_bytes = gsai_capacity_host_bytes(&k);
    plan->load_bytes = gsai_upload_staging_bytes(limits.max_allocation);
    plan->device_bytes = plan->weight_bytes + plan->arena_bytes + plan->scratch_bytes;
    plan->n_slots = k.n_slots;
    plan->max_rows = k.max_rows;
    return status;
}
