#include "ops/op_util.h"

#include "util/status.h"

/* Invocations of a row: they hold it in registers, 64 floats each at most where the device has room for that. */
static uint32_t row_group(const gsa_device *dev, uint32_t D)
{
    uint32_t size = 128;

    while (size < 1024 && size * 64 < D && size * 2 <= dev->caps.max_invocations &&
           size * 2 <= dev->caps.max_group_size[0] && size * 8 <= dev->caps.max_shared_bytes)
        size *= 2;
    return size;
}

void gsai_op_rmsnorm(gsai_recorder *r, const gsai_rmsnorm_args *a)
{
    if (a->T == 0) return;
    if (a->add && a->rows) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_ARGUMENT, "rmsnorm: add and rows exclude each other"));
        return;
    }
    /* with rows, which rows of x are read is known on the device only */
    if (!gsai_op_check_rows(r, "rmsnorm", "x", &a->x, a->rows ? 1 : a->T, a->D)) return;
    if (!gsai_op_check_rows(r, "rmsnorm", "y", &a->y, a->T, a->D)) return;
    if (a->add && !gsai_op_check_rows(r, "rmsnorm", "add", a->add, a->T, a->D)) return;
    if (a->rows && !gsai_op_check_words(r, "rmsnorm", "rows", &a->rows->range, a->rows->base, a->T)) return;
    if (a->w.size && !gsai_op_check_words(r, "rmsnorm", "w", &a->w, 0, a->D)) return;

    const gsai_variant *v = gsai_op_variant(r, a->y.half ? "rmsnorm_half" : "rmsnorm");
    if (!v) return;
    const uint32_t group = row_group(gsai_recorder_device(r), a->D);
    const uint32_t spec[] = {group, (a->D + 4 * group - 1) / (4 * group)};
    gsai_call call = {.label = "rmsnorm", .n_bind = 4, .pipeline = gsai_op_pipeline(r, v, spec, 2, 0)};
    if (!call.pipeline || !gsai_op_grid(r, a->T, group, call.groups)) return;

    const struct gsa_rmsnorm_push push = {
        .n_rows = a->T,
        .width = a->D,
        .eps = a->eps,
        .flags = (a->w.size ? GSA_NORM_WEIGHT : 0) | (a->pre_silu ? GSA_NORM_SILU : 0) | (a->add ? GSA_NORM_ADD : 0) |
                 (a->rows ? GSA_NORM_ROWS : 0),
        .x_offset = a->x.offset,
        .x_stride = a->x.stride,
        .y_offset = a->y.offset,
        .y_stride = a->y.stride,
        .extra_offset = a->add    ? a->add->offset
                        : a->rows ? a->rows->base
                                  : 0,
        .extra_stride = a->add ? a->add->stride : 0,
    };
    call.push = &push;
    call.push_bytes = sizeof push;
    /* absent buffers are stood in for by y, which the shader then leaves alone under those names */
    call.bind[0] = GSAI_BIND(a->x.range, a->add ? GSAI_READ_WRITE : GSAI_READ);
    call.bind[1] = GSAI_BIND(a->w.size ? a->w : a->y.range, a->w.size ? GSAI_READ : GSAI_WRITE);
    call.bind[2] = a->add    ? GSAI_BIND(a->add->range, GSAI_READ)
                   : a->rows ? GSAI_BIND(a->rows->range, GSAI_READ)
                             : GSAI_BIND(a->y.range, GSAI_WRITE);
    call.bind[3] = GSAI_BIND(a->y.range, GSAI_WRITE);
    call.bytes = (uint64_t)a->T * a->D * (a->add ? 16 : 8) + a->D * 4ull;
    call.flops = (uint64_t)a->T * a->D * 4;
    gsai_recorder_call(r, &call);
}
