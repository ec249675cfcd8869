/* Making and ending the engine of a model on a Vulkan device, and telling beforehand what it takes. */
#include "session/gpu_engine.h"

#include "model/state.h"
#include "ops/matmul_cm.h"
#include "ops/staged.h"
#include "ops/verify.h"

#include <stdio.h>

static void gpu_destroy(gsai_engine *base)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    gsa_device *dev = e->dev;
    gsai_queue_wait_idle(dev);
    for (uint32_t i = 0; i < GSAI_MAX_PLANS; i++) gsai_plan_destroy(dev, &e->plans[i].plan);
    for (uint32_t i = 0; i < GSAI_MAX_RETIRED; i++) gsai_plan_destroy(dev, &e->retired[i].plan);
    gsai_buffer_destroy(dev, &e->staging);
    gsai_buffer_destroy(dev, &e->readback);
    gsai_buffer_destroy(dev, &e->transfer);
    gsai_gpu_resident_destroy(e);
    gsai_heap_destroy(dev, &e->arena_heap);
    gsai_heap_destroy(dev, &e->scratch_heap);
    gsai_weights_destroy(dev, &e->weights);
    gsai_free(&dev->allocator, e->states);
    gsai_free(&dev->allocator, e);
}

static const gsai_engine_ops gpu_ops = {gpu_destroy, gsai_gpu_submit, gsai_gpu_wait, gsai_gpu_collect, gsai_gpu_time_ns,
    gsai_gpu_profile, gsai_gpu_slot_zero, gsai_gpu_slot_copy, gsai_gpu_slot_read, gsai_gpu_slot_write, gsai_gpu_tune};

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

static gsa_status create_scratch(gsai_gpu_engine *e, const gsai_limits *limits)
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

static gsa_status create_arena(gsai_gpu_engine *e, const gsai_limits *limits)
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
            e->states[(size_t)page * c->n_layers + layer] = (gsai_state){
                gsai_heap_range(&e->arena_heap, places[layer * e->k.n_pages + page]), gsai_kept_layer_state(c)};
    gsai_free(a, places);
    gsai_layout_finish(&layout);
    return status;
}

#define TUNING_NS    1000000000ull
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

/* Also the passes of a prompt with the fewest rows and with the most, where these have kernels of their own. */
static gsa_status record_prompt(gsai_gpu_engine *e, uint32_t n_rows)
{
    const gsai_plan_key key = {.rows = GSAI_ROWS_MANY,
        .n_rows = n_rows,
        .n_spans = 1,
        .n_chunks = (n_rows + GSA_CHUNK - 1) / GSA_CHUNK,
        .n_wanted = 1,
        .wanted_class = GSAI_ROWS_MANY,
        .choose = GSAI_CHOOSE_ARGMAX,
        .copy_logits = true,
        .repeat = 1};
    gsai_plan plan = {0};
    const gsa_status status = gsai_gpu_record_pass(e, &key, &plan);
    gsai_plan_destroy(e->dev, &plan);
    return status;
}

/* Single tokens of several sessions: of as many as there may be, and of so few that other kernels serve. CPU drivers compile
 * for long, and take the kernels of single sessions. */
static gsa_status record_sessions(gsai_gpu_engine *e)
{
    enum { FEW = 32 };
    const uint32_t most = e->k.max_spans, few = most < FEW ? most : FEW;
    if (most < 2 || e->dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) return GSA_OK;
    for (uint32_t n = few;; n = most) {
        const gsai_plan_key key = {.rows = GSAI_ROWS_ONE,
            .n_rows = n,
            .n_spans = n,
            .n_chunks = n,
            .n_wanted = n,
            .wanted_class = GSAI_ROWS_ONE,
            .choose = GSAI_CHOOSE_ARGMAX,
            .repeat = 1};
        gsai_plan plan = {0};
        const gsa_status status = gsai_gpu_record_pass(e, &key, &plan);
        gsai_plan_destroy(e->dev, &plan);
        if (status != GSA_OK || n == most) return status;
    }
}

/* Record one pass of each kind, so that every pipeline exists before the first token; the plans are not kept. */
static gsa_status record_all(gsai_gpu_engine *e, const gsai_engine_params *params)
{
    gsa_status status = GSA_OK;
    for (uint32_t rows = 1; status == GSA_OK && rows <= GSAI_FEW_MAX + 1; rows++) {
        status = show_progress(
            params, UPLOAD_SHARE + (1 - UPLOAD_SHARE) * (rows - 1) / (GSAI_FEW_MAX + 2), "preparing kernels");
        if (status != GSA_OK) break;
        const gsai_row_class class = gsai_row_class_of(rows);
        const gsai_plan_key key = {.rows = class,
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
        status = gsai_gpu_record_pass(e, &key, &plan);
        gsai_plan_destroy(e->dev, &plan);
        if (status != GSA_OK || rows > 1 || !gsai_gpu_resident_usable(e)) continue;
        gsai_plan_key resident = key;
        resident.resident = GSAI_RESIDENT_KEEPS;
        status = gsai_gpu_record_pass(e, &resident, &plan);
        gsai_plan_destroy(e->dev, &plan);
    }
    if (status == GSA_OK) status = record_sessions(e);
    if (status == GSA_OK && e->speedup > 1) status = record_prompt(e, e->k.least_rows);
    return status == GSA_OK && e->weights.packed.n_blocks > 0 ? record_prompt(e, e->k.max_rows) : status;
}

/* Every pipeline exists and its kernel has answered a known question on this device before the first token. A kernel
 * that answers wrongly gives way to the next rung of its ladder, whose pipelines are then needed. */
static gsa_status prewarm(gsai_gpu_engine *e, const gsai_engine_params *params)
{
    for (;;) {
        uint32_t n_dropped = 0;
        gsa_status status = record_all(e, params);
        if (status == GSA_OK) status = show_progress(params, 0.99, "testing kernels");
        if (status == GSA_OK) status = gsai_ops_self_test_used(e->dev, &n_dropped);
        if (status != GSA_OK) return status;
        if (n_dropped == 0) break;
    }
    if (!gsai_device_tunes(e->dev)) return GSA_OK;
    const gsa_status status = gsai_gpu_tune(&e->base, TUNING_NS, NULL, NULL);
    return status == GSA_OK ? gsai_gpu_resident_weigh(e) : status;
}

static gsa_status check_cap(const gsai_engine_params *params, const gsa_memory_plan *plan)
{
    char prompts[64] = "";
    if (!params->max_device_bytes || plan->device_bytes <= params->max_device_bytes) return GSA_OK;
    if (plan->prompt_weight_bytes)
        snprintf(prompts, sizeof prompts, " + weights for prompts %llu", (unsigned long long)plan->prompt_weight_bytes);
    return gsai_fail(GSA_ERROR_DEVICE_MEMORY,
        "weights %llu%s + arena of %u slots %llu + scratch of %u rows %llu = %llu bytes on the device, the cap is "
        "%llu: %s",
        (unsigned long long)plan->weight_bytes, prompts, plan->n_slots, (unsigned long long)plan->arena_bytes,
        plan->max_rows, (unsigned long long)plan->scratch_bytes, (unsigned long long)plan->device_bytes,
        (unsigned long long)params->max_device_bytes,
        plan->weight_bytes >= params->max_device_bytes
            ? "the weights alone pass it, so take a smaller type or allow more"
        : plan->prompt_weight_bytes
            ? "leave prompt_weights off, take fewer slots, smaller max_rows or a smaller type, or allow more"
            : "take fewer slots, smaller max_rows or a smaller type, or allow more");
}

/* *packing: of the types that get a copy for prompts. */
static gsa_status plan_engine(
    const gsa_device *dev, const gsai_engine_params *params, gsa_memory_plan *plan, gsai_packing *packing);

/* What the kernels that passed their questions need: none that fails gets a copy of the weights. */
static gsa_status plan_of_right_kernels(
    gsa_device *dev, const gsai_engine_params *params, gsa_memory_plan *plan, gsai_packing *packing)
{
    uint32_t n_dropped = 0;
    gsa_status status = plan_engine(dev, params, plan, packing);
    if (status != GSA_OK || plan->prompt_weight_bytes == 0) return status;
    gsai_packing_use(dev, packing);
    status = gsai_ops_self_test_used(dev, &n_dropped);
    return status == GSA_OK && n_dropped > 0 ? plan_engine(dev, params, plan, packing) : status;
}

/* Rows of m's input that the kernels of single tokens take at once, at most most; 0: not one. fits: where all of them are in
 * shared memory. */
static uint32_t staged_rows(const gsa_device *dev, const gsai_matrix *m, bool fits, uint32_t most)
{
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const gsai_type type = m->parts[i].type;
        if (!gsai_staged_chosen(dev, type, m->n_cols)) return 0;
        const uint32_t n = gsai_staged_most(dev, type, m->n_cols);
        if (fits && n < most) most = n;
    }
    return most;
}

/* How the last few tokens of a prompt are taken, before matrix units pay: of halves from three rows on, of blocks, which are
 * fewer bytes, from five. Where the kernels of single tokens keep x in shared memory, all at once by those; else one by
 * one. Not by what was measured: it decides about bits. */
static void choose_few(gsai_gpu_engine *e)
{
    const gsai_layer_weights *w = &e->weights.layers[0];
    const bool blocks = gsai_type_is_quantised(w->gate_up.parts[0].type), matrices = e->speedup > 1;
    uint32_t most = blocks ? 4 : matrices ? 2 : 3;

    most = staged_rows(e->dev, &w->qkvf, true, most);
    most = staged_rows(e->dev, &w->o, true, most);
    most = staged_rows(e->dev, &w->gate_up, true, most);
    most = staged_rows(e->dev, &w->down, false, most);
    if (most >= 2)
        e->most_staged = most;
    else
        e->k.singles = blocks || !matrices ? 2 : 1;
}

gsa_status gsai_engine_gpu_create(gsa_device *dev, const gsai_engine_params *params, gsai_engine **out)
{
    gsa_memory_plan plan;
    gsai_packing packing;
    *out = NULL;
    gsa_status status = plan_of_right_kernels(dev, params, &plan, &packing);
    if (status == GSA_OK) status = check_cap(params, &plan);
    if (status != GSA_OK) return status;
    gsai_gpu_engine *e = gsai_alloc(&dev->allocator, sizeof *e);
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
        status = gsai_weights_create(dev, params->checkpoint, plan.prompt_weight_bytes > 0 ? &packing : NULL,
            upload_progress, (void *)(uintptr_t)params, &e->weights);
    if (status == GSA_OK) {
        e->speedup = gsai_matmul_cm_has(dev, &e->weights.layers[0].gate_up) ? GSAI_MATRIX_SPEEDUP : 1;
        if (!limits.cpu_driver) choose_few(e);
    }
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
    if (status == GSA_OK) status = gsai_gpu_resident_create(e, up);
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

static uint32_t types_of_layers(const gsai_checkpoint *ck)
{
    uint32_t types = 0;
    for (uint32_t i = 0; i < ck->config.n_layers; i++) {
        const gsai_layer_tensors *t = &ck->layers[i];
        const gsai_tensor *const matrices[] = {&t->q, &t->k, &t->v, &t->f, &t->o, &t->gate, &t->up, &t->down};
        for (size_t m = 0; m < sizeof matrices / sizeof *matrices; m++) types |= 1u << matrices[m]->type;
    }
    return types;
}

/* Bytes that second copies of the layers' matrices take, of these types. */
static gsa_status copies_of(
    const gsai_engine_params *params, const gsai_limits *limits, const gsai_packing *p, uint32_t types, uint64_t *bytes)
{
    gsai_packing packing = *p;
    uint64_t weights;
    packing.types = types;
    return gsai_weights_plan(
        params->checkpoint, limits->max_range, limits->max_allocation, limits->align, &packing, &weights, bytes);
}

/* With second copies for prompts: what is planned, plus what they take. Where nobody asked, block types get one only where
 * it is small: who takes them wants to save memory. */
static gsa_status plan_copies(const gsa_device *dev, const gsai_engine_params *params, const gsai_limits *limits,
    gsa_memory_plan *plan, gsai_packing *packing)
{
    static const uint32_t plain = (1u << GSAI_N_PLAIN_TYPES) - 1, choices[] = {UINT32_MAX, plain, ~plain};
    const bool is_asked = params->prompt_weights == GSA_PROMPT_WEIGHTS_ON;
    gsai_packing p;
    if (!dev || params->prompt_weights == GSA_PROMPT_WEIGHTS_OFF || (!is_asked && limits->cpu_driver)) return GSA_OK;
    if (!gsai_packing_of(dev, &p)) return GSA_OK;
    p.types &= types_of_layers(params->checkpoint);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const uint32_t types = p.types & choices[i];
        const uint64_t memory = dev->caps.device_heap_bytes;
        uint64_t bytes, of_blocks;
        gsa_status status = copies_of(params, limits, &p, types, &bytes);
        if (status == GSA_OK) status = copies_of(params, limits, &p, types & ~plain, &of_blocks);
        if (status != GSA_OK) return status;
        const uint64_t sum = plan->device_bytes + bytes;
        const bool fits = sum <= memory / 2 && of_blocks <= memory / 8 &&
                          (params->max_device_bytes == 0 || sum <= params->max_device_bytes);
        if (!is_asked && !fits) continue;
        plan->prompt_weight_bytes = bytes;
        plan->device_bytes = sum;
        *packing = p;
        packing->types = types;
        break;
    }
    return GSA_OK;
}

static gsa_status plan_engine(
    const gsa_device *dev, const gsai_engine_params *params, gsa_memory_plan *plan, gsai_packing *packing)
{
    *plan = (gsa_memory_plan){0};
    *packing = (gsai_packing){0};
    const gsai_checkpoint *ck = params->checkpoint;
    const gsai_config *c = &ck->config;
    const gsa_allocator *a = &ck->allocator;
    if (dev && dev->is_cpu_reference) {
        plan->n_slots = params->n_slots;
        plan->host_bytes = params->n_slots * gsai_kept_state_bytes(c) + gsai_config_state_floats(c) * 4;
        return GSA_OK;
    }
    if (dev && c->half_state && !gsai_caps_has(&dev->caps, GSAI_CAP_STORAGE16))
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "states of f16 need 16-bit storage (storage16), which %s lacks or hides: keep them in f32", dev->caps.name);
    const gsai_limits limits = gsai_limits_of(dev);
    gsai_capacity k;
    gsa_status status = gsai_capacity_of(c, &limits, params->n_slots, params->max_rows, &k);
    if (status == GSA_OK)
        status = gsai_weights_plan(ck, limits.max_range, limits.max_allocation, limits.align, NULL, &plan->weight_bytes,
            &plan->prompt_weight_bytes);
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
    plan->arena_bytes = gsai_layout_bytes(&layout) + (dev ? gsai_gpu_resident_bytes(dev, c, &k) : 0);
    gsai_free(a, arena);
    gsai_layout_finish(&layout);

    plan->host_bytes = gsai_capacity_host_bytes(&k);
    plan->load_bytes = gsai_upload_staging_bytes(limits.max_allocation);
    plan->device_bytes = plan->weight_bytes + plan->arena_bytes + plan->scratch_bytes;
    plan->n_slots = k.n_slots;
    plan->max_rows = k.max_rows;
    return status == GSA_OK ? plan_copies(dev, params, &limits, plan, packing) : status;
}

gsa_status gsai_engine_plan(const gsa_device *dev, const gsai_engine_params *params, gsa_memory_plan *plan)
{
    gsai_packing packing;
    return plan_engine(dev, params, plan, &packing);
}
