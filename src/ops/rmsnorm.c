#include "ops/op_util.h"

#include "util/status.h"

/* How a row is shared; the order of its sum follows from this, so it depends on the device and the row's width only. */
typedef struct shape {
    uint32_t group, each, lanes, team; /* as in rmsnorm.comp */
} shape;

static shape row_shape(const gsa_device *dev, uint32_t D, bool subgroups)
{
    const uint32_t floats = subgroups && dev->caps.few_registers ? 32 : 64; /* that an invocation holds in registers */
    const uint32_t lanes = dev->caps.subgroup_size, at_most = dev->caps.max_invocations,
                   widest = subgroups && lanes * dev->caps.max_subgroups < at_most ? lanes * dev->caps.max_subgroups
                                                                                   : at_most;
    uint32_t wide = subgroups ? lanes : 128; /* invocations of a row */

    while (wide < 1024 && (uint64_t)wide * floats < D && wide * 2 <= widest &&
           wide * 2 <= dev->caps.max_group_size[0] && wide * 8 <= dev->caps.max_shared_bytes)
        wide *= 2;
    return (shape){wide < 128 ? 128 : wide, (D + 4 * wide - 1) / (4 * wide), lanes, subgroups ? wide / lanes : 1};
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
    const bool subgroups = (v->caps & GSAI_CAP_SUBGROUP_SIZE) != 0;
    const shape at = row_shape(gsai_recorder_device(r), a->D, subgroups);
    const uint32_t wide = at.lanes * at.team, rows = subgroups ? at.group / wide : 1; /* of a workgroup */
    const uint32_t spec[] = {at.group, at.each, at.lanes, at.team, a->D != 4 * wide * at.each};
    gsai_call call = {.label = "rmsnorm", .n_bind = 4};
    call.pipeline = gsai_op_pipeline(r, v, spec, subgroups ? 5 : 2, subgroups ? at.lanes : 0);
    if (!call.pipeline || !gsai_op_grid(r, (a->T + rows - 1) / rows, at.group, call.groups)) return;

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
