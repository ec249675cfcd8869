#include "ops/op_util.h"

#include "ops/mixer.h"
#include "util/status.h"

#define ROWS_AT_ONCE 8u /* of a chunk by one invocation */

void gsai_op_conv1d(gsai_recorder *r, const gsai_config *c, const gsai_qkvf *out, const gsai_qkvf *in, gsai_vector taps,
    const gsai_state *state, const gsai_work *work)
{
    const uint32_t W = c->W;
    const struct gsa_conv1d_push push = {
        .in_offset = in->rows.offset,
        .in_stride = in->rows.stride,
        .out_offset = out->rows.offset,
        .out_stride = out->rows.stride,
        .q = in->q,
        .k = in->k,
        .v = in->v,
        .n_q = c->H * c->K,
        .n_k = c->G * c->K,
        .n_v = c->G * c->V,
        .state_stride = (uint32_t)state->at.n_floats,
        .state_q = (uint32_t)state->at.conv_q,
        .state_k = (uint32_t)state->at.conv_k,
        .state_v = (uint32_t)state->at.conv_v,
        .spans = work->spans,
        .chunks = work->chunks,
    };
    const uint32_t channels = push.n_q + push.n_k + push.n_v,
                   tiles = (channels + GSA_MIXER_GROUP - 1) / GSA_MIXER_GROUP;

    if (work->n_rows == 0) return;
    if (in->q != out->q || in->k != out->k || in->v != out->v) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_ARGUMENT, "conv1d: input and output have different columns"));
        return;
    }
    if (W == 0 || W > GSAI_MAX_TAPS) {
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_ARGUMENT, "conv1d: %lu taps, expected 1 to %u", (unsigned long)W, GSAI_MAX_TAPS));
        return;
    }
    if (!gsai_op_check_rows(r, "conv1d", "input", &in->rows, work->n_rows, in->width) ||
        !gsai_op_check_rows(r, "conv1d", "output", &out->rows, work->n_rows, out->width) ||
        !gsai_op_check_words(r, "conv1d", "taps", &taps, 0, (uint64_t)channels * W) ||
        !gsai_mixer_check_work(r, "conv1d", state, work))
        return;

    const gsai_variant *past = gsai_op_variant(r, "conv1d_past"), *now = gsai_op_variant(r, "conv1d");
    const gsai_variant *next = gsai_op_variant(r, "conv1d_state");
    if (!past || !now || !next) return;
    gsai_call call = {.push = &push, .push_bytes = sizeof push};

    if (W > 1) {
        call.label = "conv1d_past";
        call.pipeline = gsai_op_pipeline(r, past, &W, 1, 0);
        call.n_bind = 4;
        call.bind[0] = GSAI_BIND(taps, GSAI_READ);
        call.bind[1] = GSAI_BIND(state->range, GSAI_READ);
        call.bind[2] = GSAI_BIND(work->range, GSAI_READ);
        call.bind[3] = GSAI_BIND(out->rows.range, GSAI_WRITE);
        call.groups[0] = tiles;
        call.groups[1] = W - 1;
        call.groups[2] = work->n_spans;
        call.bytes = (uint64_t)work->n_spans * channels * W * 8;
        call.flops = (uint64_t)work->n_spans * channels * W * W;
        if (!call.pipeline) return;
        gsai_recorder_call(r, &call);
    }

    const uint32_t chunk_rows = gsai_mixer_chunk_rows(work->rows);
    const uint32_t spec[] = {W, chunk_rows < ROWS_AT_ONCE ? chunk_rows : ROWS_AT_ONCE};
    call.label = "conv1d";
    call.pipeline = gsai_op_pipeline(r, now, spec, 2, 0);
    call.n_bind = 4;
    call.bind[0] = GSAI_BIND(in->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(taps, GSAI_READ);
    call.bind[2] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[3] = GSAI_BIND(out->rows.range, GSAI_READ_WRITE);
    call.groups[0] = tiles;
    call.groups[1] = chunk_rows / spec[1];
    call.groups[2] = work->n_chunks;
    call.bytes = (uint64_t)work->n_rows * channels * 8;
    call.flops = (uint64_t)work->n_rows * channels * (2 * W + 20);
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);

    call.label = "conv1d_state";
    call.pipeline = gsai_op_pipeline(r, next, &W, 1, 0);
    call.n_bind = 3;
    call.bind[0] = GSAI_BIND(in->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.groups[0] = tiles;
    call.groups[1] = work->n_spans;
    call.groups[2] = 1;
    call.bytes = (uint64_t)work->n_spans * channels * W * 8;
    call.flops = 0;
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);
}
