/* The op around the two forms of the recurrence: checks, push constants, the choice by class of rows. */
#include "ops/op_util.h"

#include "ops/mixer.h"
#include "util/alloc.h"
#include "util/status.h"

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

struct gsa_mixer_push gsai_mixer_push(
    const gsai_config *c, const gsai_rows *o, const gsai_qkvf *x, const gsai_state *state, const gsai_work *work)
{
    return (struct gsa_mixer_push){
        .x_offset = x->rows.offset,
        .x_stride = x->rows.stride,
        .q = x->q,
        .k = x->k,
        .v = x->v,
        .g = x->g,
        .s = x->s,
        .o_offset = o->offset,
        .o_stride = o->stride,
        .state_stride = (uint32_t)state->at.n_floats,
        .hk = (uint32_t)state->at.hk,
        .hv = (uint32_t)state->at.hv,
        .spans = work->spans,
        .chunks = work->chunks,
        .n_spans = work->n_spans,
        .chunk_rows = gsai_mixer_chunk_rows(work->rows),
        .scale = c->scale,
    };
}

uint64_t gsai_gsa_work_floats(const gsai_config *c, const gsai_work *work)
{
    if (work->rows == GSAI_ROWS_ONE) return gsai_gsa_step_floats(c, work->n_spans, work->n_chunks);
    return gsai_gsa_chunk_floats(c, work->n_chunks, gsai_mixer_chunk_rows(work->rows));
}

/* n_rows tells the class: chunks of one row, of a few (so no more than 8 rows a chunk), or of more; no chunk is
 * empty. */
uint64_t gsai_gsa_scratch_floats(const gsai_config *c, uint32_t n_chunks, uint32_t n_rows)
{
    if (n_chunks == 0 || n_rows == 0) return 0;
    if (n_rows <= n_chunks) return gsai_gsa_step_floats(c, n_chunks, n_chunks);
    return gsai_gsa_chunk_floats(c, n_chunks, n_rows <= (uint64_t)n_chunks * GSAI_FEW_MAX ? GSAI_FEW_MAX : GSA_CHUNK);
}

void gsai_op_gsa(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch)
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
    if (work->rows == GSAI_ROWS_ONE) {
        gsai_op_gsa_step(r, c, o, x, state, work, scratch);
    } else {
        gsai_op_gsa_chunk(r, c, o, x, state, work, scratch);
    }
}
