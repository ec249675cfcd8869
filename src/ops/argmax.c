#include "ops/op_util.h"

void gsai_op_argmax(gsai_recorder *r, gsai_range tokens, gsai_rows logits, uint32_t n_rows, uint32_t n_vocab)
{
    if (n_rows == 0) return;
    if (!gsai_op_check_rows(r, "argmax", "logits", &logits, n_rows, n_vocab)) return;
    if (!gsai_op_check_words(r, "argmax", "tokens", &tokens, 0, n_rows)) return;

    const gsai_variant *v = gsai_op_variant(r, "argmax");
    if (!v) return;
    const uint32_t group = gsai_op_row_group(gsai_recorder_device(r), n_vocab, 8);
    gsai_call call = {.label = "argmax", .n_bind = 2, .pipeline = gsai_op_pipeline(r, v, &group, 1, 0)};
    if (!call.pipeline || !gsai_op_grid(r, n_rows, group, call.groups)) return;
    const struct gsa_pick_push push = {n_rows, n_vocab, logits.offset, logits.stride, 0};
    call.push = &push;
    call.push_bytes = sizeof push;
    call.bind[0] = GSAI_BIND(logits.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(tokens, GSAI_WRITE);
    call.bytes = (uint64_t)n_rows * n_vocab * 4;
    call.flops = (uint64_t)n_rows * n_vocab;
    gsai_recorder_call(r, &call);
}
