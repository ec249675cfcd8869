/* States of sessions in the arena: zeroed, copied, read and written. */
#include "session/gpu_engine.h"

#include "model/state.h"

#include <string.h>

static gsai_range slot_range(const gsai_gpu_engine *e, uint32_t layer, uint32_t slot)
{
    const uint32_t page = slot / e->k.slots_per_page;
    gsai_range r = e->states[(size_t)page * e->config->n_layers + layer].range;
    r.offset += slot % e->k.slots_per_page * e->k.layer_state_bytes;
    r.size = e->k.layer_state_bytes;
    return r;
}

/* Submit a one-time plan without waiting for it; its memory is given back later. */
static gsa_status submit_once(gsai_gpu_engine *e, gsai_recorder *r, gsai_ticket *ticket)
{
    gsai_plan plan;
    gsa_status status = gsai_recorder_finish(r, &plan);
    if (status != GSA_OK) return status;
    /* Slots of the ring are reused in order; the one we come to is done but for bursts of copies, which then wait for
     * the oldest of them. */
    gsai_retired_plan *slot = &e->retired[e->next_retired];
    status = gsai_queue_wait(e->dev, slot->ticket, UINT64_MAX);
    if (status != GSA_OK) {
        gsai_plan_destroy(e->dev, &plan);
        return status;
    }
    gsai_plan_destroy(e->dev, &slot->plan);
    *slot = (gsai_retired_plan){0};
    status = gsai_plan_submit(e->dev, &plan, ticket);
    if (status != GSA_OK) {
        gsai_plan_destroy(e->dev, &plan);
        return status;
    }
    *slot = (gsai_retired_plan){plan, *ticket};
    e->next_retired = (e->next_retired + 1) % GSAI_MAX_RETIRED;
    return GSA_OK;
}

gsa_status gsai_gpu_slot_zero(gsai_engine *base, uint32_t slot)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    gsai_recorder *r = NULL;
    gsai_ticket ticket;
    const gsa_status status = gsai_recorder_begin(e->dev, 0, &r);
    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < e->config->n_layers; i++) gsai_recorder_fill_zero(r, slot_range(e, i, slot));
    return submit_once(e, r, &ticket);
}

gsa_status gsai_gpu_slot_copy(gsai_engine *base, uint32_t dst, uint32_t src)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    if (dst == src) return GSA_OK;
    gsai_recorder *r = NULL;
    gsai_ticket ticket;
    const gsa_status status = gsai_recorder_begin(e->dev, 0, &r);
    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < e->config->n_layers; i++)
        gsai_recorder_copy(r, slot_range(e, i, src), 0, slot_range(e, i, dst), 0, e->k.layer_state_bytes);
    return submit_once(e, r, &ticket);
}

gsa_status gsai_gpu_slot_take(gsai_gpu_engine *e, uint32_t slot, gsai_range states)
{
    const uint64_t bytes = e->k.layer_state_bytes;
    gsai_recorder *r = NULL;
    gsai_ticket ticket;
    const gsa_status status = gsai_recorder_begin(e->dev, 0, &r);
    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < e->config->n_layers; i++)
        gsai_recorder_copy(r, states, i * bytes, slot_range(e, i, slot), 0, bytes);
    return submit_once(e, r, &ticket);
}

static gsa_status read_kept(gsai_gpu_engine *e, uint32_t slot, uint8_t *kept)
{
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
        memcpy(kept + at, e->transfer.mapped, end - at);
    }
    return GSA_OK;
}

static gsa_status write_kept(gsai_gpu_engine *e, uint32_t slot, const uint8_t *kept)
{
    gsai_upload *up = NULL;
    gsa_status status = gsai_upload_create(e->dev, &up);
    for (uint32_t i = 0; status == GSA_OK && i < e->config->n_layers; i++) {
        const uint8_t *src = kept + i * e->k.layer_state_bytes;
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

/* Room for a state as kept, where that is not the floats themselves. */
static gsa_status kept_room(const gsai_gpu_engine *e, uint8_t **kept)
{
    *kept = gsai_alloc_array(&e->dev->allocator, e->k.state_bytes, 1);
    return *kept ? GSA_OK
                 : gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory for a state of %llu bytes",
                       (unsigned long long)e->k.state_bytes);
}

gsa_status gsai_gpu_slot_read(gsai_engine *base, uint32_t slot, float *state)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    if (!e->config->half_state) return read_kept(e, slot, (uint8_t *)state);
    uint8_t *kept;
    gsa_status status = kept_room(e, &kept);
    if (status == GSA_OK) status = read_kept(e, slot, kept);
    if (status == GSA_OK) gsai_state_give(e->config, kept, state);
    gsai_free(&e->dev->allocator, kept);
    return status;
}

gsa_status gsai_gpu_slot_write(gsai_engine *base, uint32_t slot, const float *state)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    if (!e->config->half_state) return write_kept(e, slot, (const uint8_t *)state);
    uint8_t *kept;
    gsa_status status = kept_room(e, &kept);
    if (status == GSA_OK) {
        gsai_state_keep(e->config, state, kept);
        status = write_kept(e, slot, kept);
    }
    gsai_free(&e->dev->allocator, kept);
    return status;
}
