#include "ops/op_util.h"

/* What a row asks for lies on the device, so the penalty is always recorded and the cost is that of all rules. */
void gsai_op_sample(
    gsai_recorder *r, gsai_range tokens, gsai_rows logits, gsai_table params, uint32_t n_rows, uint32_t n_vocab)
{
    const uint32_t passes = 36; /* over the logits: largest, 16 for top_k, 17 for top_p, 2 to draw */

    if (n_rows == 0) return;
    if (!gsai_op_check_rows(r, "sample", "logits", &logits, n_rows, n_vocab)) return;
    if (!gsai_op_check_words(r, "sample", "tokens", &tokens, 0, n_rows)) return;
    if (!gsai_op_check_words(r, "sample", "params", &params.range, params.base, (uint64_t)n_rows * GSA_SAMPLE_STRIDE))
        return;

    const gsai_variant *v = gsai_op_variant(r, "penalty");
    if (!v) return;
    const struct gsa_pick_push push = {n_rows, n_vocab, logits.offset, logits.stride, params.base};
    gsai_call call = {.label = "penalty", .n_bind = 2, .pipeline = gsai_op_pipeline(r, v, NULL, 0, 0)};
    if (!call.pipeline || !gsai_op_grid(r, n_rows, 128, call.groups)) return;
    call.push = &push;
    call.push_bytes = sizeof push;
    call.bind[0] = GSAI_BIND(params.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(logits.range, GSAI_READ_WRITE);
    call.bytes = (uint64_t)n_rows * GSA_SAMPLE_STRIDE * 4;
    gsai_recorder_call(r, &call);

    v = gsai_op_variant(r, "sample");
    if (!v) return;
    const uint32_t group = gsai_op_row_group(gsai_recorder_device(r), n_vocab, 48);
    call = (gsai_call){.label = "sample", .n_bind = 3, .pipeline = gsai_op_pipeline(r, v, &group, 1, 0)};
    if (!call.pipeline || !gsai_op_grid(r, n_rows, group, call.groups)) return;
    call.push = &push;
    call.push_bytes = sizeof push;
    call.bind[0] = GSAI_BIND(logits.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(params.range, GSAI_READ);
    call.bind[2] = GSAI_BIND(tokens, GSAI_WRITE);
    call.bytes = (uint64_t)n_rows * n_vocab * 4 * passes;
    call.flops = (uint64_t)n_rows * n_vocab * passes * 8;
    gsai_recorder_call(r, &call);
}

void gsai_op_advance(gsai_recorder *r, gsai_table params, uint32_t chunks, gsai_range tokens, uint32_t n_rows)
{
    if (n_rows == 0) return;
    if (!gsai_op_check_words(r, "advance", "tokens", &tokens, 0, n_rows) ||
        !gsai_op_check_words(r, "advance", "chunks", &params.range, chunks, (uint64_t)n_rows * GSA_WORK_STRIDE) ||
        !gsai_op_check_words(r, "advance", "params", &params.range, params.base, (uint64_t)n_rows * GSA_SAMPLE_STRIDE))
        return;
    const gsai_variant *v = gsai_op_variant(r, "advance");
    if (!v) return;
    gsai_call call = {.label = "advance", .n_bind = 2, .pipeline = gsai_op_pipeline(r, v, NULL, 0, 0)};
    if (!call.pipeline || !gsai_op_grid(r, n_rows, 128, call.groups)) return;
    const struct gsa_advance_push push = {n_rows, params.base, chunks};
    call.push = &push;
    call.push_bytes = sizeof push;
    call.bind[0] = GSAI_BIND(params.range, GSAI_READ_WRITE);
    call.bind[1] = GSAI_BIND(tokens, GSAI_READ);
    call.bytes = (uint64_t)n_rows * GSA_SAMPLE_STRIDE * 8;
    gsai_recorder_call(r, &call);
}
