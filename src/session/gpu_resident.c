/* The resident step in the engine: whether a pass takes it, the memory it needs, and the way back when its workgroups did
 * not all run at once. */
#include "ops/staged.h"
#include "session/gpu_engine.h"

#include "util/status.h"

#define MAX_SHAPE_GROUPS 65535u

/* What the memory of a resident step is laid out by; the same for the plan and the engine. */
typedef struct places {
    gsai_place spare, post, table; /* the table of the first page; others follow, one place each */
} places;

static uint32_t group_count(const gsa_device *dev)
{
    const gsai_resident_settings *w = &dev->resident;
    const uint32_t groups = w->groups ? w->groups : dev->caps.n_cores * (w->cores ? w->cores : 1);
    return groups < MAX_SHAPE_GROUPS ? groups : MAX_SHAPE_GROUPS;
}

static uint64_t table_bytes(const gsa_device *dev, const gsai_config *c)
{
    return gsai_resident_table_uints(GSAI_RESIDENT_MOST, group_count(dev), c) * 4;
}

static bool has_what_it_takes(const gsa_device *dev, const gsai_config *c)
{
    const uint32_t caps = GSAI_CAP_SUBGROUP | GSAI_CAP_SUBGROUP_SIZE | GSAI_CAP_MEMORY_MODEL | GSAI_CAP_DEVICE_SCOPE |
                          GSAI_CAP_BUFFER_ADDRESS;
    return !dev->is_cpu_reference && !c->half_state && gsai_caps_has(&dev->caps, caps) &&
           (dev->resident.groups || dev->caps.n_cores);
}

/* Wanted, and on a device that could. With "auto" it must prove itself faster, on a device that has its workgroups to
 * itself: a discrete GPU. */
static bool is_wanted(const gsa_device *dev, const gsai_config *c)
{
    if (dev->resident.use == GSAI_RESIDENT_AUTO)
        return has_what_it_takes(dev, c) && dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU &&
               gsai_device_tunes(dev) && gsai_caps_has(&dev->caps, GSAI_CAP_TIMESTAMPS);
    return has_what_it_takes(dev, c) && dev->resident.use == GSAI_RESIDENT_ALWAYS;
}

static gsa_status lay_out(
    const gsa_device *dev, const gsai_config *c, const gsai_capacity *k, gsai_layout *l, places *p, gsai_place *tables)
{
    gsa_status status = gsai_layout_place(l, k->state_bytes, &p->spare);
    if (status == GSA_OK)
        status = gsai_layout_place(l, gsai_resident_post_words(c, dev->caps.subgroup_size) * 4, &p->post);
    for (uint32_t i = 0; status == GSA_OK && i < k->n_pages; i++) {
        status = gsai_layout_place(l, table_bytes(dev, c), &p->table);
        if (tables) tables[i] = p->table;
    }
    return status;
}

uint64_t gsai_gpu_resident_bytes(const gsa_device *dev, const gsai_config *c, const gsai_capacity *k)
{
    gsai_layout layout;
    places p;
    if (!is_wanted(dev, c)) return 0;
    gsai_layout_init_for(&layout, dev);
    const gsa_status status = lay_out(dev, c, k, &layout, &p, NULL);
    const uint64_t bytes = gsai_layout_bytes(&layout);
    gsai_layout_finish(&layout);
    return status == GSA_OK ? bytes : 0;
}

static gsa_status make_memory(gsai_gpu_engine *e)
{
    gsai_gpu_resident *s = &e->resident;
    const gsa_allocator *a = &e->dev->allocator;
    gsai_layout layout;
    places p;
    gsai_layout_init_for(&layout, e->dev);
    gsai_place *tables = gsai_alloc_array(a, e->k.n_pages, sizeof *tables);
    s->tables = gsai_alloc_array(a, e->k.n_pages, sizeof *s->tables);
    gsa_status status = tables && s->tables ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    if (status == GSA_OK) status = lay_out(e->dev, e->config, &e->k, &layout, &p, tables);
    if (status == GSA_OK) status = gsai_heap_create(e->dev, &layout, GSAI_MEMORY_DEVICE, &s->heap);
    if (status == GSA_OK) {
        s->spare = gsai_heap_range(&s->heap, p.spare);
        s->post = gsai_heap_range(&s->heap, p.post);
        for (uint32_t i = 0; i < e->k.n_pages; i++) s->tables[i] = gsai_heap_range(&s->heap, tables[i]);
    }
    gsai_free(a, tables);
    gsai_layout_finish(&layout);
    return status;
}

static gsa_status upload_tables(
    gsai_gpu_engine *e, gsai_resident_layer *layers, const gsai_resident_head *head, gsai_upload *up)
{
    const gsai_gpu_resident *s = &e->resident;
    const gsai_config *c = e->config;
    const uint64_t n = gsai_resident_table_uints(gsai_resident_told(&s->shape), s->shape.n_groups, c);
    uint32_t *list = gsai_alloc_array(&e->dev->allocator, n, sizeof *list);
    gsa_status status = list ? GSA_OK : gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    for (uint32_t page = 0; status == GSA_OK && page < e->k.n_pages; page++) {
        for (uint32_t i = 0; i < c->n_layers; i++) layers[i].state = e->states[(size_t)page * c->n_layers + i].range;
        gsai_resident_table_fill(&s->shape, c, layers, head, list);
        status = gsai_upload_write(up, s->tables[page], 0, list, n * sizeof *list);
    }
    gsai_free(&e->dev->allocator, list);
    return status;
}

gsa_status gsai_gpu_resident_create(gsai_gpu_engine *e, gsai_upload *up)
{
    gsai_gpu_resident *s = &e->resident;
    const gsai_config *c = e->config;
    const bool asked_for = e->dev->resident.use == GSAI_RESIDENT_ALWAYS;
    if (!asked_for && !is_wanted(e->dev, c)) return GSA_OK;
    gsai_resident_layer *layers = gsai_alloc_array(&e->dev->allocator, c->n_layers, sizeof *layers);
    if (!layers) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const gsai_layer_weights *w = &e->weights.layers[i];
        layers[i] =
            (gsai_resident_layer){w->attn_norm, w->g_norm, w->ffn_norm, &w->qkvf, &w->o, &w->gate_up, &w->down, {0}};
    }
    const gsai_resident_head head = {e->weights.out_norm, &e->weights.head};
    gsa_status status = is_wanted(e->dev, c) ? make_memory(e) : GSA_OK;
    if (status == GSA_OK || status == GSA_ERROR_LIMIT) {
        if (status == GSA_OK)
            status = gsai_resident_choose(e->dev, c, layers, &head, 0, GSAI_RESIDENT_PLAIN_BITS, &s->shape);
        s->is_there = status == GSA_OK && is_wanted(e->dev, c);
        if (status == GSA_ERROR_UNSUPPORTED || status == GSA_ERROR_LIMIT) {
            gsai_log(
                &e->dev->log, asked_for ? GSA_LOG_WARNING : GSA_LOG_INFO, "%s: call by call instead", gsa_error_text());
            status = GSA_OK;
        }
    }
    if (status == GSA_OK && s->is_there) status = upload_tables(e, layers, &head, up);
    if (status == GSA_OK && s->is_there)
        gsai_log(&e->dev->log, GSA_LOG_INFO,
            "resident step: %u groups of %u invocations, %u units of 16 bytes in turn, %u rows a tile, "
            "%u windows, %u batches, the head %s",
            s->shape.n_groups, s->shape.invocations, 2 * s->shape.steps, s->shape.tile, s->shape.windows,
            s->shape.batches, s->shape.head ? "with them" : "apart");
    gsai_free(&e->dev->allocator, layers);
    return status;
}

enum { WEIGH_TOKENS = 8, WEIGH_ROUNDS = 4 };
#define WEIGH_GAIN 0.02 /* less may be chance */

/* Tokens of slot 0, as a session takes them. */
static gsa_status time_tokens(gsai_gpu_engine *e, bool resident, double *least_ns)
{
    const int32_t token = 0;
    int32_t generated[WEIGH_TOKENS];
    gsai_span span = {
        .tokens = &token, .n_tokens = 1, .want = GSA_WANT_TOKEN, .n_generate = WEIGH_TOKENS, .generated = generated};
    gsai_job *job = NULL;
    e->resident.is_there = resident;
    gsa_status status = gsai_gpu_submit(&e->base, &span, 1, 0, &job);
    if (status != GSA_OK) return status;
    status = gsai_gpu_wait(&e->base, job, UINT64_MAX);
    const double ns = gsai_gpu_time_ns(&e->base, job);
    const gsa_status collected = gsai_gpu_collect(&e->base, job);
    if (*least_ns == 0 || ns < *least_ns) *least_ns = ns;
    return status == GSA_OK ? collected : status;
}

gsa_status gsai_gpu_resident_weigh(gsai_gpu_engine *e)
{
    double plain = 0, resident = 0;
    gsa_status status = GSA_OK;
    if (e->dev->resident.use != GSAI_RESIDENT_AUTO || !gsai_gpu_resident_usable(e)) return GSA_OK;
    for (uint32_t i = 0; status == GSA_OK && i < WEIGH_ROUNDS; i++) {
        status = time_tokens(e, false, &plain);
        if (status == GSA_OK) status = time_tokens(e, true, &resident);
    }
    e->resident.is_there = resident < plain * (1 - WEIGH_GAIN);
    gsai_log(&e->dev->log, GSA_LOG_INFO, "resident step: %.3f ms a token, call by call %.3f: %s",
        resident / WEIGH_TOKENS * 1e-6, plain / WEIGH_TOKENS * 1e-6, e->resident.is_there ? "used" : "not used");
    if (status == GSA_OK) status = gsai_gpu_slot_zero(&e->base, 0);
    return status;
}

void gsai_gpu_resident_destroy(gsai_gpu_engine *e)
{
    gsai_heap_destroy(e->dev, &e->resident.heap);
    gsai_free(&e->dev->allocator, e->resident.tables);
}

bool gsai_gpu_resident_usable(const gsai_gpu_engine *e)
{
    const gsai_resident_shape *shape = &e->resident.shape;
    if (!e->resident.is_there || (shape->dots && !gsai_staged_has_dots(e->dev, shape->type))) return false;
    return gsai_resident_variant(e->dev, shape) && gsai_variant_pick(e->dev, "resident_keep");
}

gsai_resident_pass gsai_gpu_resident_takes(
    const gsai_gpu_engine *e, const gsai_pack *pack, const gsai_job *job, uint32_t n_spans)
{
    if (pack->rows != GSAI_ROWS_ONE || pack->n_rows != 1 || !gsai_gpu_resident_usable(e)) return GSAI_NOT_RESIDENT;
    if (n_spans > 1 && !pack->entries[0].last) return GSAI_NOT_RESIDENT;
    if (!e->resident.job) return GSAI_RESIDENT_KEEPS;
    return e->resident.job == job && n_spans == 1 ? GSAI_RESIDENT_GOES_ON : GSAI_NOT_RESIDENT;
}

gsai_resident_args gsai_gpu_resident_args(gsai_gpu_engine *e, uint32_t page, const gsai_work *work)
{
    gsai_gpu_resident *s = &e->resident;
    return (gsai_resident_args){.shape = &s->shape,
        .config = e->config,
        .x = e->scratch.x,
        .table = s->tables[page],
        .post = s->post,
        .state = e->states[0].at,
        .work = work,
        .bytes = e->weights.heap.n_bytes + e->k.state_bytes};
}

gsa_status gsai_gpu_resident_undo(gsai_gpu_engine *e)
{
    const gsai_variant *v = gsai_resident_variant(e->dev, &e->resident.shape);
    gsai_log(&e->dev->log, GSA_LOG_WARNING,
        "resident step: %u workgroups did not all run at once on %s; call by call from now on",
        e->resident.shape.n_groups, e->dev->caps.name);
    if (v) e->dev->variant_off[v - gsai_variants] = GSAI_VARIANT_WRONG;
    return gsai_gpu_slot_take(e, e->resident.slot, e->resident.spare);
}
