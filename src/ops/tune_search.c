/* Searching shapes. GPUs slow their clocks while kernels are compiled, so a batch of shapes is compiled first, then the
 * device is kept busy until its clocks are up, then all of them are timed in turn, several times over. A product is timed
 * alone, over its matrices of all layers with a barrier between, so that weights come from memory as they do in use. */
#include "ops/tune.h"

#include "util/alloc.h"
#include "util/clock.h"
#include "util/status.h"

#include <string.h>

enum { MAX_PRODUCTS = 24, MAX_BATCH = 64, SWEEPS = 3, FEW_CALLS = 4, N_MOVES = 8 };
#define WARM_UP_NS   300000000ull /* where time is short, a third of what is left */
#define LONG_PASS_NS 10e6         /* what is longer is timed on fewer layers */
#define GAIN         0.015        /* of the product's time: less may be chance */

typedef struct product {
    gsai_tunable p;
    gsai_knobs first, best;
    uint32_t n_calls; /* in a pass */
    bool is_done;
} product;

typedef struct candidate {
    uint32_t of; /* product */
    gsai_knobs knobs;
    gsai_plan plan;
    double ns; /* 0 = not timed */
} candidate;

typedef struct tuner {
    gsa_device *dev;
    const gsai_tune_args *args;
    uint32_t n_layers;
    bool is_noting;
    product products[MAX_PRODUCTS];
    uint32_t n_products;
    const candidate *trying;
    candidate batch[MAX_BATCH];
    uint32_t n_batch;
    uint64_t end_ns;
} tuner;

static bool same_product(const gsai_tunable *a, const gsai_tunable *b)
{
    return a->variant == b->variant && a->n_out == b->n_out && a->n_cols == b->n_cols && a->per == b->per &&
           a->outputs == b->outputs;
}

bool gsai_tuner_ask(void *user, const gsai_tunable *p, gsai_knobs *knobs)
{
    tuner *t = user;
    for (uint32_t i = 0; i < t->n_products; i++) {
        product *known = &t->products[i];
        if (!same_product(&known->p, p)) continue;
        if (t->is_noting) known->n_calls++;
        *knobs = t->trying && t->trying->of == i ? t->trying->knobs : known->best;
        return true;
    }
    if (!t->is_noting || t->n_products == MAX_PRODUCTS || (!t->args->result && gsai_tune_find(t->dev, p))) return false;
    t->products[t->n_products++] = (product){.p = *p, .first = *knobs, .best = *knobs, .n_calls = 1};
    return true;
}

/* A pass, or what the filter leaves of it. */
static gsa_status record(tuner *t, const char *label, bool only, gsai_plan *plan)
{
    gsai_recorder *r = NULL;
    const gsa_status status = gsai_recorder_begin(t->dev, 0, &r);
    if (status != GSA_OK) return status;
    gsai_recorder_set_tuner(r, t);
    gsai_recorder_filter(r, label, only);
    t->args->record(t->args->user, r, t->n_layers);
    return gsai_recorder_finish(r, plan);
}

static gsa_status run(tuner *t, const gsai_plan *plan, double *ns)
{
    gsai_ticket ticket = 0;
    gsa_status status = gsai_plan_submit(t->dev, plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(t->dev, ticket, UINT64_MAX);
    if (status == GSA_OK) status = gsai_plan_gpu_time(t->dev, plan, ns);
    return status;
}

/* A product of few matrices would be timed on weights that the cache holds: it is timed within the whole pass. */
static bool is_alone(const product *p)
{
    return p->n_calls >= FEW_CALLS;
}

static void clear_batch(tuner *t)
{
    for (uint32_t i = 0; i < t->n_batch; i++) gsai_plan_destroy(t->dev, &t->batch[i].plan);
    t->n_batch = 0;
}

/* Compiles a shape and records its plan. A kernel that the driver does not take in this shape is no failure. */
static gsa_status add(tuner *t, uint32_t of, const gsai_knobs *knobs)
{
    const product *p = &t->products[of];
    if (t->n_batch == MAX_BATCH) return GSA_OK;
    for (uint32_t i = 0; i < t->n_batch; i++)
        if (t->batch[i].of == of && gsai_tune_same(&t->batch[i].knobs, knobs)) return GSA_OK;
    candidate *c = &t->batch[t->n_batch];
    *c = (candidate){.of = of, .knobs = *knobs};
    t->trying = c;
    const gsa_status status = record(t, is_alone(p) ? p->p.label : NULL, true, &c->plan);
    t->trying = NULL;
    if (status == GSA_OK) t->n_batch++;
    return status == GSA_ERROR_DRIVER || status == GSA_ERROR_UNSUPPORTED ? GSA_OK : status;
}

static bool is_late(const tuner *t)
{
    return gsai_clock_ns() >= t->end_ns;
}

static gsa_status warm_up(tuner *t)
{
    const uint64_t now = gsai_clock_ns(), left = now < t->end_ns ? t->end_ns - now : 0;
    const uint64_t until = now + (left / 3 < WARM_UP_NS ? left / 3 : WARM_UP_NS);
    gsa_status status = GSA_OK;
    double ns;
    for (uint32_t i = 0; status == GSA_OK && t->n_batch > 0 && gsai_clock_ns() < until; i = (i + 1) % t->n_batch)
        status = run(t, &t->batch[i].plan, &ns);
    return status;
}

static gsa_status time_batch(tuner *t)
{
    gsa_status status = warm_up(t);
    for (uint32_t sweep = 0; sweep < SWEEPS; sweep++)
        for (uint32_t i = 0; status == GSA_OK && i < t->n_batch && (t->args->result || !is_late(t)); i++) {
            candidate *c = &t->batch[i];
            double ns;
            status = run(t, &c->plan, &ns);
            if (status == GSA_OK && ns > 0 && (c->ns == 0 || ns < c->ns)) c->ns = ns;
        }
    return status;
}

/* Neighbours of the best so far, the likeliest to win first; false when there is no such number. */
static bool move(const product *p, uint32_t number, gsai_knobs *k)
{
    static const int8_t moves[N_MOVES][3] = {/* group, rows, unroll: by powers of two */
        {1, 0, 0}, {0, 0, 1}, {-1, 0, 0}, {0, 1, 0}, {0, -1, 0}, {0, 0, -1}, {1, -1, 0}, {-1, 1, 0}};
    uint32_t *const knob[] = {&k->group_size, &k->rows, &k->unroll};

    *k = p->best;
    for (int i = 0; i < 3; i++) *knob[i] = moves[number][i] < 0 ? *knob[i] / 2 : *knob[i] << moves[number][i];
    return k->rows > 0 && k->unroll > 0;
}

/* One batch: every product's best so far and as many of its neighbours as half of the time left allows. */
static gsa_status round_of(tuner *t, bool *improved)
{
    gsa_status status = GSA_OK;
    const uint64_t now = gsai_clock_ns(), compile_end = now + (t->end_ns - now) / 2;

    *improved = false;
    for (uint32_t i = 0; status == GSA_OK && i < t->n_products; i++)
        if (!t->products[i].is_done) status = add(t, i, &t->products[i].best);
    const uint32_t n_best = t->n_batch;
    for (uint32_t m = 0; m < N_MOVES; m++)
        for (uint32_t i = 0; status == GSA_OK && i < t->n_products && gsai_clock_ns() < compile_end; i++) {
            gsai_knobs k;
            if (!t->products[i].is_done && move(&t->products[i], m, &k) &&
                gsai_tune_fits(t->dev, &t->products[i].p, &k))
                status = add(t, i, &k);
        }
    if (status == GSA_OK) status = time_batch(t);
    for (uint32_t b = 0; status == GSA_OK && b < n_best; b++) {
        product *p = &t->products[t->batch[b].of];
        double best = t->batch[b].ns * (1 - GAIN);
        p->is_done = true;
        for (uint32_t i = n_best; i < t->n_batch; i++) {
            const candidate *c = &t->batch[i];
            if (c->of != t->batch[b].of || c->ns <= 0 || c->ns >= best) continue;
            best = c->ns;
            p->best = c->knobs;
            p->is_done = false;
            *improved = true;
        }
    }
    clear_batch(t);
    return status;
}

static gsa_status search(tuner *t)
{
    gsa_status status = GSA_OK;
    bool improved = true;
    while (status == GSA_OK && improved && gsai_clock_ns() + t->args->budget_ns / 3 < t->end_ns)
        status = round_of(t, &improved);
    for (uint32_t i = 0; status == GSA_OK && i < t->n_products; i++)
        status = gsai_tune_keep(t->dev, &t->products[i].p, &t->products[i].best);
    return status;
}

/* --- all shapes, for people --- */

static void tell(const tuner *t, const candidate *c, double others_ns)
{
    const product *p = &t->products[c->of];
    const gsai_tune_result result = {.product = &p->p,
        .n_calls = p->n_calls,
        .bytes = p->n_calls * (uint64_t)p->p.n_out * p->p.per * gsai_matrix_row_bytes(p->p.type, p->p.n_cols),
        .knobs = c->knobs,
        .ns = c->ns - others_ns,
        .is_default = gsai_tune_same(&c->knobs, &p->first),
        .changes_bits = c->knobs.split != p->first.split};
    if (c->ns > others_ns) t->args->result(t->args->result_user, &result);
}

static gsa_status tell_batch(tuner *t, double others_ns)
{
    const gsa_status status = time_batch(t);
    for (uint32_t i = 0; status == GSA_OK && i < t->n_batch; i++) tell(t, &t->batch[i], others_ns);
    clear_batch(t);
    return status;
}

/* What a pass takes without the product. */
static gsa_status time_others(tuner *t, const product *p, double *ns)
{
    gsai_plan plan = {0};
    *ns = 0;
    if (is_alone(p)) return GSA_OK;
    gsa_status status = record(t, p->p.label, false, &plan);
    for (uint32_t i = 0; status == GSA_OK && i < 2 * SWEEPS; i++) {
        double took = 0;
        status = run(t, &plan, &took);
        if (*ns == 0 || took < *ns) *ns = took;
    }
    gsai_plan_destroy(t->dev, &plan);
    return status;
}

static gsa_status explore(tuner *t, uint32_t of)
{
    const product *p = &t->products[of];
    double others_ns = 0;
    gsa_status status = add(t, of, &p->first);
    if (status == GSA_OK) status = warm_up(t);
    if (status == GSA_OK) status = time_others(t, p, &others_ns);
    for (uint32_t split = 1; split <= 8; split *= 2)
        for (uint32_t group = 64; group <= 1024; group *= 2)
            for (uint32_t rows = 1; rows <= 4; rows *= 2)
                for (uint32_t unroll = 1; status == GSA_OK && unroll <= 8; unroll *= 2) {
                    const gsai_knobs k = {group, rows, unroll, split};
                    if (!gsai_tune_fits(t->dev, &p->p, &k) || gsai_tune_same(&k, &p->first)) continue;
                    if (t->n_batch > 1 && is_late(t)) continue; /* one besides the default in any case */
                    status = add(t, of, &k);
                    if (status == GSA_OK && t->n_batch == MAX_BATCH) status = tell_batch(t, others_ns);
                }
    return status == GSA_OK ? tell_batch(t, others_ns) : status;
}

static gsa_status explore_all(tuner *t)
{
    gsa_status status = GSA_OK;
    for (uint32_t i = 0; status == GSA_OK && i < t->n_products; i++) {
        t->end_ns = gsai_clock_ns() + t->args->budget_ns / t->n_products;
        status = explore(t, i);
    }
    return status;
}

/* Which products a pass has, and on how many layers they are timed. */
static gsa_status prepare(tuner *t)
{
    gsai_plan plan = {0};
    double ns = 0;

    t->n_layers = t->args->n_layers;
    t->is_noting = true;
    gsa_status status = record(t, NULL, false, &plan);
    t->is_noting = false;
    if (status == GSA_OK && t->n_products > 0) status = run(t, &plan, &ns);
    gsai_plan_destroy(t->dev, &plan);
    if (status == GSA_OK && !t->args->result && ns > LONG_PASS_NS && t->n_layers > FEW_CALLS) {
        const double n = t->n_layers * (LONG_PASS_NS / ns);
        t->n_layers = n > FEW_CALLS ? (uint32_t)n : FEW_CALLS;
    }
    return status;
}

gsa_status gsai_tune_search(gsa_device *dev, const gsai_tune_args *args)
{
    if (!gsai_caps_has(&dev->caps, GSAI_CAP_TIMESTAMPS)) return GSA_OK;
    tuner *t = gsai_alloc(&dev->allocator, sizeof *t);
    if (!t) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory to search kernel shapes");
    gsai_mutex_lock(&dev->tuned_mutex);
    const uint64_t start = gsai_clock_ns();
    t->dev = dev;
    t->args = args;
    t->end_ns = start + args->budget_ns;
    gsa_status status = prepare(t);
    if (status == GSA_OK && t->n_products > 0) {
        status = args->result ? explore_all(t) : search(t);
        clear_batch(t);
        const uint64_t took = gsai_clock_ns() - start;
        atomic_fetch_add(&dev->tuning_ns, took);
        gsai_log(&dev->log, GSA_LOG_INFO, "search over the shapes of %u products: %.1f ms", t->n_products,
            (double)took * 1e-6);
    }
    gsai_mutex_unlock(&dev->tuned_mutex);
    gsai_free(&dev->allocator, t);
    return status;
}
