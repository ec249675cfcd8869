#include "ops/op_util.h"

#include "ops/mixer.h"

void gsai_op_gate(gsai_recorder *r, const gsai_config *c, const gsai_qkvf *out, const gsai_qkvf *in, uint32_t T)
{
    const struct gsa_gate_push push = {
        .in_offset = in->rows.offset,
        .in_stride = in->rows.stride,
        .out_offset = out->rows.offset,
        .out_stride = out->rows.stride,
        .g = out->g,
        .s = out->s,
        .n = c->G * c->M,
        .n_rows = T,
        .normalizer = c->gate_normalizer,
    };

    if (T == 0 || !gsai_op_check_rows(r, "gate", "input", &in->rows, T, in->width) ||
        !gsai_op_check_rows(r, "gate", "output", &out->rows, T, out->width))
        return;
    const gsai_variant *v = gsai_op_variant(r, "gate");
    if (!v) return;
    gsai_call call = {.label = "gate", .pipeline = gsai_op_pipeline(r, v, NULL, 0, 0), .n_bind = 2};
    if (!call.pipeline) return;
    call.push = &push;
    call.push_bytes = sizeof push;
    call.bind[0] = GSAI_BIND(in->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(out->rows.range, GSAI_WRITE);
    call.groups[0] = (push.n + GSA_MIXER_GROUP - 1) / GSA_MIXER_GROUP;
    call.groups[1] = gsai_mixer_row_groups(T);
    call.groups[2] = 1;
    call.bytes = (uint64_t)T * push.n * 12;
    call.flops = (uint64_t)T * push.n * 50;
    gsai_recorder_call(r, &call);
}
