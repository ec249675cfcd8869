#include "session/capacity.h"

#include "model/state.h"
#include "util/status.h"

#define TRANSFER_BYTES (16ull << 20)

/* Tokens of a pass. Long ones spread what a dispatch costs before and after its work over more of them, by a few parts in
 * a hundred from 2,048 on; they take memory for activations. */
static uint32_t pass_rows_of(const gsai_caps *c)
{
    if (c->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) return 128;
    if (c->unified || c->device_heap_bytes >> 30 < 16) return 512;
    return c->device_heap_bytes >> 30 < 40 ? 2048 : 4096;
}

gsai_limits gsai_limits_of(const gsa_device *dev)
{
    if (!dev || dev->is_cpu_reference) return (gsai_limits){UINT32_MAX, UINT32_MAX, 256, 512, false};
    const gsai_caps *c = &dev->caps;
    return (gsai_limits){c->max_range_bytes, c->max_allocation_bytes, c->offset_align, pass_rows_of(c),
        c->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU};
}

static uint32_t stride_of(uint64_t columns)
{
    return (uint32_t)gsai_round_up(columns, 4);
}

/* Rows that products on matrix units take as f16: as many again have room beside them in another order, filled up to
 * whole steps of columns. */
static uint64_t product_stride_of(uint64_t columns)
{
    return gsai_round_up(columns, 32);
}

static gsa_status too_large(const char *what, uint64_t bytes, uint64_t max)
{
    return gsai_fail(GSA_ERROR_LIMIT, "%s takes %llu bytes, but this device binds at most %llu at once", what,
        (unsigned long long)bytes, (unsigned long long)max);
}

static uint64_t gsa_scratch_bytes(const gsai_config *c, uint32_t max_rows, uint32_t max_chunks, uint32_t max_spans)
{
    const uint64_t many = gsai_gsa_scratch_floats(c, max_chunks, max_rows);
    const uint64_t one = gsai_gsa_scratch_floats(c, max_spans, max_spans);
    return (many > one ? many : one) * 4;
}

gsa_status gsai_capacity_of(
    const gsai_config *c, const gsai_limits *limits, uint32_t n_slots, uint32_t max_rows, gsai_capacity *out)
{
    const uint64_t max = limits->max_range < limits->max_allocation ? limits->max_range : limits->max_allocation;
    gsai_capacity k = {.n_slots = n_slots ? n_slots : 8};

    k.layer_state_bytes = gsai_kept_layer_state(c).n_floats * 4;
    k.state_bytes = gsai_kept_state_bytes(c);
    if (k.layer_state_bytes > max) return too_large("the state of one layer", k.layer_state_bytes, max);
    const uint64_t per_page = max / k.layer_state_bytes;
    k.slots_per_page = per_page < k.n_slots ? (uint32_t)per_page : k.n_slots;
    k.n_pages = (k.n_slots + k.slots_per_page - 1) / k.slots_per_page;

    /* Rows of a pass: the widest activation and the mixer's scratch must fit one binding. */
    const uint64_t width = (uint64_t)c->H * c->K + (uint64_t)c->G * (c->K + c->V + 2ull * c->M);
    k.qkvf_width = (uint32_t)width;
    k.qkvf_stride = stride_of(width);
    uint64_t widest = k.qkvf_stride;
    if (2ull * c->F > widest) widest = stride_of(2ull * c->F);
    if ((uint64_t)c->H * c->V > widest) widest = stride_of((uint64_t)c->H * c->V);
    if (c->D > widest) widest = stride_of(c->D);
    widest = product_stride_of(widest);
    uint64_t rows = max_rows ? max_rows : limits->pass_rows;
    if (rows > 4096) rows = 4096;
    rows = gsai_round_up(rows, GSA_CHUNK);
    if (rows > max / 4 / widest) rows = max / 4 / widest / GSA_CHUNK * GSA_CHUNK;
    if (rows == 0) return too_large("a chunk of activations", widest * 4 * GSA_CHUNK, max);
    k.max_rows = (uint32_t)rows;
    k.row_step = limits->cpu_driver ? GSAI_FEW_MAX : GSA_CHUNK;
    k.least_rows = limits->cpu_driver ? GSAI_FEW_MAX : GSA_CHUNK / 2;
    k.max_spans = k.n_slots < GSAI_MAX_SPANS ? k.n_slots : GSAI_MAX_SPANS;
    if (k.max_spans > k.max_rows) k.max_spans = k.max_rows;
    for (;;) {
        k.max_chunks = k.max_rows / GSA_CHUNK > k.max_spans ? k.max_rows / GSA_CHUNK : k.max_spans;
        const uint64_t bytes = gsa_scratch_bytes(c, k.max_rows, k.max_chunks, k.max_spans);
        if (bytes <= max) break;
        if (k.max_spans > 1)
            k.max_spans = (k.max_spans + 1) / 2;
        else if (k.max_rows > GSA_CHUNK)
            k.max_rows -= GSA_CHUNK;
        else
            return too_large("the mixer's scratch for one chunk", bytes, max);
    }

    k.max_wanted = GSA_CHUNK > k.max_spans ? GSA_CHUNK : k.max_spans;
    const uint64_t logits_fit = max / 4 / stride_of(c->n_vocab);
    if (logits_fit == 0) return too_large("one row of logits", c->n_vocab * 4ull, max);
    k.wanted_at_once = logits_fit < k.max_wanted ? (uint32_t)logits_fit : k.max_wanted;

    k.spans_at = 0;
    k.chunks_at = k.spans_at + GSA_WORK_STRIDE * k.max_spans;
    k.ids_at = k.chunks_at + GSA_WORK_STRIDE * k.max_chunks;
    k.wanted_at = k.ids_at + k.max_rows;
    k.sample_at = k.wanted_at + k.max_wanted;
    k.work_uints = k.sample_at + k.max_wanted * GSA_SAMPLE_STRIDE;
    if (k.work_uints * 4ull > max) return too_large("the work table", k.work_uints * 4ull, max);

    k.tokens_at = k.max_wanted * 4ull * c->n_vocab;
    k.tokens_stride = gsai_round_up(k.max_wanted * 4ull, limits->align < 256 ? 256 : limits->align);
    k.given_up_at = k.tokens_at + GSAI_MAX_REPEAT * k.tokens_stride;
    k.readback_bytes = k.given_up_at + 256;
    if (k.readback_bytes > limits->max_allocation)
        return too_large("the read-back of logits", k.readback_bytes, limits->max_allocation);
    *out = k;
    return GSA_OK;
}

gsa_status gsai_capacity_scratch(const gsai_config *c, const gsai_capacity *k, gsai_layout *l, gsai_places *out)
{
    const uint64_t rows = k->max_rows;
    const struct {
        gsai_place *place;
        uint64_t floats;
    } wanted[] = {
        {&out->x, rows * stride_of(c->D)},
        {&out->h, rows * product_stride_of(c->D > (uint64_t)c->H * c->V ? c->D : (uint64_t)c->H * c->V)},
        {&out->qkvf, rows * k->qkvf_stride},
        {&out->raw, c->W ? rows * k->qkvf_stride : 4},
        {&out->o, rows * stride_of((uint64_t)c->H * c->V)},
        {&out->gate_up, rows * stride_of(2ull * c->F)},
        {&out->act, rows * product_stride_of(c->F)},
        {&out->logits, (uint64_t)k->wanted_at_once * stride_of(c->n_vocab)},
        {&out->wanted, (uint64_t)k->wanted_at_once * stride_of(c->D)},
        {&out->tokens, GSAI_MAX_REPEAT * k->tokens_stride / 4},
        {&out->gsa, gsa_scratch_bytes(c, k->max_rows, k->max_chunks, k->max_spans) / 4},
        {&out->work, k->work_uints},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const gsa_status status = gsai_layout_place(l, wanted[i].floats * 4, wanted[i].place);
        if (status != GSA_OK) return status;
    }
    return GSA_OK;
}

uint32_t gsai_capacity_page_slots(const gsai_capacity *k, uint32_t page)
{
    const uint32_t first = page * k->slots_per_page, left = k->n_slots - first;
    return left < k->slots_per_page ? left : k->slots_per_page;
}

gsa_status gsai_capacity_arena(const gsai_config *c, const gsai_capacity *k, gsai_layout *l, gsai_place *arena)
{
    for (uint32_t layer = 0; layer < c->n_layers; layer++) {
        for (uint32_t page = 0; page < k->n_pages; page++) {
            const gsa_status status = gsai_layout_place(
                l, gsai_capacity_page_slots(k, page) * k->layer_state_bytes, &arena[layer * k->n_pages + page]);
            if (status != GSA_OK) return status;
        }
    }
    return GSA_OK;
}

uint64_t gsai_capacity_staging_stride(const gsai_capacity *k)
{
    return gsai_round_up(k->work_uints * 4ull, 256);
}

uint64_t gsai_capacity_transfer_bytes(const gsai_capacity *k)
{
    return k->state_bytes < TRANSFER_BYTES ? k->state_bytes : TRANSFER_BYTES;
}

uint64_t gsai_capacity_host_bytes(const gsai_capacity *k)
{
    return gsai_round_up(GSAI_N_LANES * gsai_capacity_staging_stride(k), GSAI_BUFFER_UNIT) +
           gsai_round_up(GSAI_N_LANES * k->readback_bytes, GSAI_BUFFER_UNIT) +
           gsai_round_up(gsai_capacity_transfer_bytes(k), GSAI_BUFFER_UNIT);
}
