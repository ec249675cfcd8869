/* The CPU reference as an engine: submit does the work, wait has nothing to wait for. */
#include "session/engine.h"

#include "common/shared.h" /* of shaders/ */
#include "model/state.h"
#include "ref/ref.h"
#include "sample/sampler.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/status.h"
#include "vk/device.h"

#include <string.h>

typedef struct cpu_engine {
    gsai_engine base;
    gsa_allocator allocator;
    const gsai_checkpoint *checkpoint;
    uint64_t state_bytes; /* as kept */
    uint8_t *arena;       /* [n_slots][state_bytes] */
    float *working;       /* one state: a span runs on a copy, so that a failure leaves its slot alone */
} cpu_engine;

struct gsai_job {
    char unused;
};

static uint8_t *slot_state(const cpu_engine *e, uint32_t slot)
{
    return e->arena + slot * e->state_bytes;
}

static gsa_status choose(const cpu_engine *e, gsai_span *s, const float *logits)
{
    const size_t n = e->checkpoint->config.n_vocab;
    gsa_status status = GSA_OK;
    if (s->sampler) {
        status = gsa_sampler_sample(s->sampler, logits, n, &s->token);
        if (status == GSA_OK) gsa_sampler_accept(s->sampler, s->token);
    } else {
        s->token = gsai_ref_argmax(logits, n);
    }
    if (status != GSA_OK) return status;
    if (s->generated) s->generated[s->n_generated] = s->token;
    s->n_generated++;
    for (uint32_t i = 0; i < s->n_stop; i++) s->stopped = s->stopped || s->stop_ids[i] == s->token;
    return GSA_OK;
}

/* The last token done: choose the next one, and go on from it as long as the item wants and the budget lasts. */
static gsa_status generate(cpu_engine *e, gsai_span *s, float *logits, uint64_t deadline_ns)
{
    gsa_status status = choose(e, s, logits);
    while (status == GSA_OK && s->n_generated < s->n_generate && !s->stopped) {
        if (deadline_ns && gsai_clock_ns() >= deadline_ns) break;
        const gsai_ref_wants wants = {.logits = logits, .first_logits = 0};
        status = gsai_ref_forward(e->checkpoint, e->working, &s->token, 1, &wants, &e->allocator);
        gsai_state_round(&e->checkpoint->config, e->working);
        if (status == GSA_OK) status = choose(e, s, logits);
    }
    return status;
}

/* One chunk at a time while the budget lasts, so that the budget means the same as on a GPU. */
static gsa_status run_span(cpu_engine *e, gsai_span *s, uint64_t deadline_ns, bool first)
{
    const gsai_config *c = &e->checkpoint->config;
    const size_t n_vocab = c->n_vocab;
    float *token_logits = NULL; /* a token is wanted, logits are not: the engine brings its own row */
    if (s->want == GSA_WANT_TOKEN) {
        token_logits = gsai_alloc_array(&e->allocator, n_vocab, sizeof(float));
        if (!token_logits) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for %zu logits", n_vocab);
    }
    gsai_state_give(c, slot_state(e, s->slot), e->working);
    gsa_status status = GSA_OK;
    while (status == GSA_OK && s->n_done < s->n_tokens) {
        if (deadline_ns && !(first && s->n_done == 0) && gsai_clock_ns() >= deadline_ns) break;
        uint32_t n = s->n_tokens - s->n_done;
        if ((deadline_ns || c->half_state) && n > GSA_CHUNK) n = GSA_CHUNK;
        gsai_ref_wants wants = {.first_logits = n};
        if (s->want == GSA_WANT_ALL_LOGITS) {
            wants.logits = s->all_logits + s->n_done * n_vocab;
            wants.first_logits = 0;
        } else if (s->want != GSA_WANT_NOTHING && s->n_done + n == s->n_tokens) {
            wants.logits = token_logits ? token_logits : s->last_logits;
            wants.first_logits = n - 1;
        }
        status = gsai_ref_forward(e->checkpoint, e->working, s->tokens + s->n_done, n, &wants, &e->allocator);
        gsai_state_round(c, e->working);
        if (status == GSA_OK) s->n_done += n;
    }
    if (status == GSA_OK && s->n_done == s->n_tokens) {
        if (s->want == GSA_WANT_ALL_LOGITS)
            memcpy(s->last_logits, s->all_logits + (s->n_tokens - 1) * n_vocab, n_vocab * sizeof(float));
        if (token_logits) status = generate(e, s, token_logits, deadline_ns);
    }
    if (status == GSA_OK) gsai_state_keep(c, e->working, slot_state(e, s->slot));
    gsai_free(&e->allocator, token_logits);
    return status;
}

static gsa_status cpu_submit(gsai_engine *base, gsai_span *spans, uint32_t n_spans, uint64_t budget_us, gsai_job **job)
{
    cpu_engine *e = (cpu_engine *)base;
    const uint64_t deadline_ns = budget_us ? gsai_clock_ns() + budget_us * 1000 : 0;
    *job = gsai_alloc(&e->allocator, sizeof **job);
    if (!*job) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    gsa_status status;
    for (uint32_t i = 0; i < n_spans; i++) {
        spans[i].n_done = 0;
        spans[i].token = -1;
        spans[i].n_generated = 0;
        spans[i].stopped = false;
    }
    for (uint32_t i = 0; i < n_spans; i++) {
        status = run_span(e, &spans[i], deadline_ns, i == 0);
        if (status == GSA_OK) continue;
        spans[i].n_done = 0;
        /* What earlier spans did stands, so this one counts as not taken; it fails by itself when it comes first. */
        if (i > 0) return GSA_OK;
        gsai_free(&e->allocator, *job);
        *job = NULL;
        return status;
    }
    return GSA_OK;
}

static gsa_status cpu_wait(gsai_engine *base, gsai_job *job, uint64_t timeout_ns)
{
    (void)base;
    (void)job;
    (void)timeout_ns;
    return GSA_OK;
}

static gsa_status cpu_collect(gsai_engine *base, gsai_job *job)
{
    gsai_free(&((cpu_engine *)base)->allocator, job);
    return GSA_OK;
}

static double cpu_gpu_ns(gsai_engine *base, gsai_job *job)
{
    (void)base;
    (void)job;
    return 0;
}

static void cpu_profile(
    gsai_engine *base, gsai_job *job, void (*call)(void *user, const char *label, double ns), void *user)
{
    (void)base;
    (void)job;
    (void)call;
    (void)user;
}

static gsa_status cpu_slot_zero(gsai_engine *base, uint32_t slot)
{
    cpu_engine *e = (cpu_engine *)base;
    memset(slot_state(e, slot), 0, e->state_bytes);
    return GSA_OK;
}

static gsa_status cpu_slot_copy(gsai_engine *base, uint32_t dst, uint32_t src)
{
    cpu_engine *e = (cpu_engine *)base;
    if (dst != src) memcpy(slot_state(e, dst), slot_state(e, src), e->state_bytes);
    return GSA_OK;
}

static gsa_status cpu_slot_read(gsai_engine *base, uint32_t slot, float *state)
{
    const cpu_engine *e = (cpu_engine *)base;
    gsai_state_give(&e->checkpoint->config, slot_state(e, slot), state);
    return GSA_OK;
}

static gsa_status cpu_slot_write(gsai_engine *base, uint32_t slot, const float *state)
{
    const cpu_engine *e = (cpu_engine *)base;
    gsai_state_keep(&e->checkpoint->config, state, slot_state(e, slot));
    return GSA_OK;
}

static void cpu_destroy(gsai_engine *base)
{
    cpu_engine *e = (cpu_engine *)base;
    const gsa_allocator a = e->allocator;
    gsai_free(&a, e->arena);
    gsai_free(&a, e->working);
    gsai_free(&a, e);
}

static const gsai_engine_ops cpu_ops = {cpu_destroy, cpu_submit, cpu_wait, cpu_collect, cpu_gpu_ns, cpu_profile,
    cpu_slot_zero, cpu_slot_copy, cpu_slot_read, cpu_slot_write};

gsa_status gsai_engine_cpu_create(gsa_device *dev, const gsai_engine_params *params, gsai_engine **out)
{
    *out = NULL;
    cpu_engine *e = gsai_alloc(&dev->allocator, sizeof *e);
    if (!e) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    e->base.ops = &cpu_ops;
    e->allocator = dev->allocator;
    e->checkpoint = params->checkpoint;
    e->state_bytes = gsai_kept_state_bytes(&params->checkpoint->config);
    e->arena = gsai_alloc_array(&e->allocator, params->n_slots, e->state_bytes);
    e->working = gsai_alloc_array(&e->allocator, gsai_config_state_floats(&params->checkpoint->config), sizeof(float));
    if (!e->arena || !e->working) {
        cpu_destroy(&e->base);
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for %u states of %llu bytes", params->n_slots,
            (unsigned long long)e->state_bytes);
    }
    *out = &e->base;
    return GSA_OK;
}
