/* The op around the two forms of the recurrence: checks, scratch, the choice by class of rows. */
#include "ops/op_util.h"

#include "ops/mixer.h"
#include "util/alloc.h"
#include "util/status.h"

#include <string.h>

static bool table_fits(const gsai_work *work, uint32_t base, uint32_t n)
{
    return base + (uint64_t)n * GSA_WORK_STRIDE <= work->range.size / 4;
}

bool gsai_mixer_check_work(gsai_recorder *r, const char *op, const gsai_state *state, const gsai_work *work)
{
    const uint32_t *max_groups = gsai_recorder_device(r)->caps.max_group_count;

    if (!table_fits(work, work->spans, work->n_spans) || !table_fits(work, work->chunks, work->n_chunks)) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_ARGUMENT, "%s: %lu spans and %lu chunks leave the work table", op,
                                  (unsigned long)work->n_spans, (unsigned long)work->n_chunks));
        return false;
    }
    if (state->range.size / 4 < state->at.n_floats) {
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_ARGUMENT, "%s: a state range of %llu bytes holds no slot of %llu floats", op,
                   (unsigned long long)state->range.size, (unsigned long long)state->at.n_floats));
        return false;
    }
    if (work->n_spans > max_groups[1] || work->n_spans > max_groups[2] || work->n_chunks > max_groups[1] ||
        work->n_chunks > max_groups[2]) {
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_LIMIT, "%s: %lu spans and %lu chunks are more than one dispatch holds", op,
                   (unsigned long)work->n_spans, (unsigned long)work->n_chunks));
        return false;
    }
    return true;
}

void gsai_mixer_push(
    void *push, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state, const gsai_work *work)
{
    const struct {
        GSA_MIXER_PUSH;
    } first = {
        .R = c->H / c->G,
        .G = c->G,
        .K = c->K,
        .V = c->V,
        .M = c->M,
        .x_offset = x->rows.offset,
        .x_stride = x->rows.stride,
        .q = x->q,
        .k = x->k,
        .v = x->v,
        .g = x->g,
        .s = x->s,
        .o_offset = o.offset,
        .o_stride = o.stride,
        .state_stride = (uint32_t)state->at.n_floats * (4 / gsai_state_element(c)),
        .hk = (uint32_t)state->at.hk,
        .hv = (uint32_t)state->at.hv,
        .spans = work->spans,
        .chunks = work->chunks,
    };
    memcpy(push, &first, sizeof first);
}

uint64_t gsai_gsa_work_floats(const gsai_config *c, const gsai_work *work)
{
    const uint32_t chunk_rows = gsai_mixer_chunk_rows(work->rows);
    const uint64_t usual = work->rows == GSAI_ROWS_ONE ? gsai_gsa_step_floats(c, work->n_spans, work->n_chunks)
                                                       : gsai_gsa_chunk_floats(c, work->n_chunks, chunk_rows);
    const uint64_t rows = work->rows == GSAI_ROWS_MANY ? 0 : gsai_gsa_rows_floats(c, work->n_chunks, chunk_rows);
    return rows > usual ? rows : usual;
}

static uint64_t most_chunks(uint64_t n_chunks, uint32_t n_rows, uint32_t least_rows)
{
    const uint64_t n = n_rows / least_rows;

    return n < n_chunks ? n : n_chunks;
}

/* Enough for any call of at most n_chunks chunks and n_rows rows, none of them empty, whatever its class. As many chunks
 * as rows can only be chunks of one row; the step of a chunk of a few takes what a step of as many chunks would. */
uint64_t gsai_gsa_scratch_floats(const gsai_config *c, uint32_t n_chunks, uint32_t n_rows)
{
    const uint32_t ones = (uint32_t)most_chunks(n_chunks > GSA_FEW_ROWS ? n_chunks : GSA_FEW_ROWS, n_rows, 1);
    const uint64_t step = gsai_gsa_step_floats(c, ones, ones), rows_one = gsai_gsa_rows_floats(c, ones, 1);
    const uint64_t one = rows_one > step ? rows_one : step;
    if (n_rows <= n_chunks) return one;

    const uint32_t fews = (uint32_t)most_chunks(n_chunks, n_rows, 2);
    const uint32_t manys = (uint32_t)most_chunks(n_chunks, n_rows, GSAI_FEW_MAX + 1);
    const uint64_t rows_few = gsai_gsa_rows_floats(c, fews, GSAI_FEW_MAX),
                   chunk_few = gsai_gsa_chunk_floats(c, fews, GSAI_FEW_MAX),
                   many = gsai_gsa_chunk_floats(c, manys, GSA_CHUNK);
    const uint64_t few = rows_few > chunk_few ? rows_few : chunk_few, chunked = few > many ? few : many;
    return chunked > one ? chunked : one;
}

bool gsai_gsa_takes_projections(gsai_recorder *r, const gsai_config *c, const gsai_work *work)
{
    if (c->W != 0 || c->feature_map == GSAI_FEATURE_T2R) return false;
    return work->rows == GSAI_ROWS_ONE || gsai_gsa_rows_has(r, c, work) || gsai_gsa_chunk_cm_has(r, c, work);
}

void gsai_op_gsa(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch, bool projections)
{
    if (work->n_rows == 0 || work->n_spans == 0) return;
    if (!gsai_op_check_rows(r, "gsa", "x", &x->rows, work->n_rows, x->width) ||
        !gsai_op_check_rows(r, "gsa", "o", &o, work->n_rows, c->H * c->V) ||
        !gsai_mixer_check_work(r, "gsa", state, work))
        return;

    const uint64_t need = gsai_gsa_work_floats(c, work);
    if (need > UINT32_MAX || need * 4 > scratch.size) {
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_ARGUMENT, "gsa: %lu chunks need %llu bytes of scratch, there are %llu",
                   (unsigned long)work->n_chunks, (unsigned long long)need * 4, (unsigned long long)scratch.size));
        return;
    }
    gsai_rows_form form;
    if (gsai_gsa_rows_has(r, c, work)) {
        if (gsai_gsa_rows_kv_has(r, c, work, &form))
            gsai_op_gsa_rows_kv(r, c, o, x, state, work, projections, &form);
        else
            gsai_op_gsa_rows(r, c, o, x, state, work, scratch, projections);
    } else if (work->rows == GSAI_ROWS_ONE) {
        gsai_op_gsa_step(r, c, o, x, state, work, scratch, projections);
    } else if (gsai_gsa_chunk_cm_has(r, c, work)) {
        gsai_op_gsa_chunk_cm(r, c, o, x, state, work, scratch, projections);
    } else {
        gsai_op_gsa_chunk(r, c, o, x, state, work, scratch);
    }
}
