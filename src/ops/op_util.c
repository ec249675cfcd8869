#include "ops/op_util.h"

#include "util/status.h"

#include <string.h>

const gsai_variant *gsai_op_variant(gsai_recorder *r, const char *op)
{
    if (gsai_recorder_status(r) != GSA_OK) return NULL;

    const gsai_variant *forced = gsai_recorder_forced(r);
    if (forced && strcmp(forced->op, op) == 0) return forced;

    const gsai_variant *v = gsai_variant_pick(gsai_recorder_device(r), op);
    if (!v)
        gsai_recorder_fail(r,
            gsai_fail(GSA_ERROR_UNSUPPORTED, "no kernel for %s is left on this device: all are masked or wrong", op));
    return v;
}

const gsai_pipeline *gsai_op_pipeline(
    gsai_recorder *r, const gsai_variant *v, const uint32_t *spec, uint32_t n_spec, uint32_t subgroup_size)
{
    const gsai_shader *shader = gsai_shader_find(v->shader);
    if (!shader) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_UNSUPPORTED, "kernel %s is not in this build", v->shader));
        return NULL;
    }
    const gsai_pipeline *pipeline = NULL;
    const gsa_status status =
        gsai_pipeline_get(gsai_recorder_device(r), shader, spec, n_spec, subgroup_size, &pipeline);
    if (status == GSA_OK) {
        if (!gsai_recorder_forced(r)) gsai_recorder_device(r)->variant_used[v - gsai_variants] = 1;
        return pipeline;
    }
    gsai_recorder_fail(r, gsai_fail_in(status, "kernel %s", v->shader));
    return NULL;
}

bool gsai_op_grid(gsai_recorder *r, uint64_t n_groups, uint32_t group_size, uint32_t groups[3])
{
    const gsai_caps *caps = &gsai_recorder_device(r)->caps;
    const uint64_t max_x = caps->max_group_count[0], max_y = caps->max_group_count[1];
    const uint64_t y = (n_groups + max_x - 1) / max_x;

    if (y > max_y || (n_groups + y) * group_size > UINT32_MAX) {
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_LIMIT, "a kernel call of %llu groups of %lu is more than one dispatch holds",
                   (unsigned long long)n_groups, (unsigned long)group_size));
        return false;
    }
    groups[0] = y ? (uint32_t)((n_groups + y - 1) / y) : 0;
    groups[1] = (uint32_t)y;
    groups[2] = 1;
    return true;
}

bool gsai_op_check_rows(
    gsai_recorder *r, const char *op, const char *what, const gsai_rows *rows, uint32_t T, uint32_t width)
{
    const uint32_t step = rows->half ? 8 : 4, bytes = rows->half ? 2 : 4;
    const uint64_t end = T == 0 ? 0 : rows->offset + (T - 1) * (uint64_t)rows->stride + gsai_round_up(width, step);

    if (rows->offset % step == 0 && rows->stride % step == 0 && (T <= 1 || rows->stride >= width) &&
        end <= rows->range.size / bytes)
        return true;
    gsai_recorder_fail(r, gsai_fail(GSA_ERROR_ARGUMENT,
                              "%s: %s of %lu x %lu at offset %lu, stride %lu does not fit a range of %llu bytes, or is "
                              "not in fours (eights for f16)",
                              op, what, (unsigned long)T, (unsigned long)width, (unsigned long)rows->offset,
                              (unsigned long)rows->stride, (unsigned long long)rows->range.size));
    return false;
}

bool gsai_op_check_words(
    gsai_recorder *r, const char *op, const char *what, const gsai_range *range, uint64_t base, uint64_t n)
{
    if (base + n <= range->size / 4) return true;
    gsai_recorder_fail(
        r, gsai_fail(GSA_ERROR_ARGUMENT, "%s: %s of %llu words at word %llu leaves its range of %llu bytes", op, what,
               (unsigned long long)n, (unsigned long long)base, (unsigned long long)range->size));
    return false;
}

bool gsai_op_check_part(gsai_recorder *r, const char *op, const gsai_matrix *w, const gsai_matrix_part *part)
{
    const uint32_t block = gsai_type_block(part->type);

    if (part->n_rows > w->n_rows || part->first_row > w->n_rows - part->n_rows) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_ARGUMENT, "%s: a part lies outside its matrix", op));
        return false;
    }
    if (block == 0 || w->n_cols == 0 || w->n_cols % block != 0) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_ARGUMENT, "%s: %lu columns are not whole blocks of %lu of type %s",
                                  op, (unsigned long)w->n_cols, (unsigned long)block, gsai_type_name(part->type)));
        return false;
    }
    return gsai_op_check_words(
        r, op, "matrix part", &part->range, 0, part->n_rows * (gsai_matrix_row_bytes(part->type, w->n_cols) / 4));
}

uint32_t gsai_op_row_group(const gsa_device *dev, uint32_t n, uint32_t shared_each)
{
    /* Eight subgroups of 128, as Adreno has them, leave too few registers for each. */
    const uint32_t most = dev->caps.subgroup_size_max >= 128 ? 512 : 1024;
    uint32_t size = 128;

    if (dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) return size; /* its invocations run one after the other */
    while (size < most && size * 8 <= n && size * 2 <= dev->caps.max_invocations &&
           size * 2 <= dev->caps.max_group_size[0] && size * 2 * shared_each <= dev->caps.max_shared_bytes)
        size *= 2;
    return size;
}

void gsai_op_elementwise(gsai_recorder *r, const char *op, struct gsa_elementwise_push push, gsai_binding first,
    gsai_binding second, uint64_t floats_each, uint64_t flops_each)
{
    const gsai_variant *v = gsai_op_variant(r, op);
    if (!v) return;

    const uint64_t n = (uint64_t)push.n_rows * push.width;
    gsai_call call = {.label = op, .n_bind = 2, .pipeline = gsai_op_pipeline(r, v, NULL, 0, 0)};
    if (!call.pipeline || !gsai_op_grid(r, (n + 127) / 128, 128, call.groups)) return;
    call.push = &push;
    call.push_bytes = sizeof push;
    call.bind[0] = first;
    call.bind[1] = second;
    call.bytes = n * floats_each * 4;
    call.flops = n * flops_each;
    gsai_recorder_call(r, &call);
}
