#include "ops/matmul_cm.h"
#include "ops/op_util.h"

#include "util/status.h"

#include <string.h>

/* Invocations of a row: they hold it in registers, 64 floats each at most where the device has room for that. */
static uint32_t row_group(const gsa_device *dev, uint32_t D)
{
    uint32_t size = 128;

    while (size < 1024 && size * 64 < D && size * 2 <= dev->caps.max_invocations &&
           size * 2 <= dev->caps.max_group_size[0] && size * 8 <= dev->caps.max_shared_bytes)
        size *= 2;
    return size;
}

static uint32_t runs_of(uint32_t D, uint32_t group)
{
    return (D + 4 * group - 1) / (4 * group);
}

/* Of rmsnorm_pack.comp: rows that as many invocations as rmsnorm's sum up, columns of a run. */
enum { PACK_ROWS = 4, PACK_RUN = 512 };

typedef struct pack_shape {
    gsai_cm_choice product;
    gsai_packing packing;
    uint32_t group, threads;
} pack_shape;

static bool pack_shape_of(const gsa_device *dev, const gsai_rows *y, uint32_t T, uint32_t D, pack_shape *out)
{
    const gsai_caps *caps = &dev->caps;
    const gsai_coopmat_shape *frag = &out->product.frag;
    const gsai_packing *p = &out->packing;
    if (!y->half || D % 8 != 0 || !gsai_variant_pick(dev, "rmsnorm_pack") ||
        !gsai_matmul_packed_choice(dev, &out->product) || !gsai_packing_of(dev, &out->packing) ||
        y->room.offset % caps->offset_align != 0 ||
        y->room.size < gsai_round_up(T, p->tokens) * gsai_round_up(D, p->columns) * 2)
        return false;
    const uint32_t group = row_group(dev, D), threads = group * (frag->m / PACK_ROWS), lanes = out->product.lanes;
    const uint32_t fan = group >= 512 ? 32 : 16; /* of reduce.glsl */
    const uint32_t shared = frag->m * ((group + fan) * 4 + (PACK_RUN / 8 + 1) * 16);
    out->group = group;
    out->threads = threads;
    return frag->m % PACK_ROWS == 0 && frag->m * (PACK_RUN / 8) % threads == 0 && threads % (PACK_RUN / 8) == 0 &&
           threads % lanes == 0 && threads / lanes <= caps->max_subgroups && threads <= caps->max_invocations &&
           threads <= caps->max_group_size[0] && shared <= caps->max_shared_bytes;
}

bool gsai_rmsnorm_packs(const gsa_device *dev, const gsai_rows *y, uint32_t T, uint32_t D)
{
    pack_shape s;
    return pack_shape_of(dev, y, T, D, &s);
}

/* Few rows leave cores idle: then a workgroup has one (rmsnorm_place.comp). */
enum { MOST_PLACED = 256, MOST_NUMBERS = 2048 /* which f16 holds, one by one */ };

static bool places(gsai_recorder *r, const gsai_rmsnorm_args *a, const gsai_coopmat_shape *frag)
{
    const gsai_variant *forced = gsai_recorder_forced(r);
    const bool asked = forced && strcmp(forced->op, "rmsnorm_place") == 0,
               asked_other = forced && strcmp(forced->op, "rmsnorm_pack") == 0;
    return frag->m * frag->k <= MOST_NUMBERS && !asked_other && (asked || a->T <= MOST_PLACED) &&
           gsai_variant_pick(gsai_recorder_device(r), "rmsnorm_place");
}

/* y's rows into its room, and as they come unless nobody reads that. */
static void rmsnorm_pack(gsai_recorder *r, const gsai_rmsnorm_args *a)
{
    const gsa_device *dev = gsai_recorder_device(r);
    pack_shape s;
    if (a->add || a->rows || !pack_shape_of(dev, &a->y, a->T, a->D, &s)) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_UNSUPPORTED, "rmsnorm: these rows cannot be put in order"));
        return;
    }
    const gsai_coopmat_shape *frag = &s.product.frag;
    const bool place = places(r, a, frag), both = !a->y.only_in_room;
    const gsai_variant *v = gsai_op_variant(r, place ? "rmsnorm_place" : "rmsnorm_pack");
    if (!v) return;
    const uint64_t n_blocks = gsai_round_up(a->T, s.packing.tokens) / s.packing.tokens,
                   columns = gsai_round_up(a->D, s.packing.columns);
    const struct gsa_rmsnorm_pack_push push = {
        .n_rows = a->T,
        .width = a->D,
        .eps = a->eps,
        .flags = (a->w.size ? GSA_NORM_WEIGHT : 0) | (a->pre_silu ? GSA_NORM_SILU : 0) | (both ? GSA_NORM_BOTH : 0),
        .x_offset = a->x.offset,
        .x_stride = a->x.stride,
        .y_offset = a->y.offset / 8,
        .y_stride = a->y.stride / 8,
        .n_blocks = (uint32_t)n_blocks,
        .n_frags = (uint32_t)(columns / frag->k),
    };
    const uint32_t runs = runs_of(a->D, s.group);
    const uint32_t spec_pack[] = {s.threads, s.group, runs, frag->m, frag->k, s.product.lanes},
                   spec_place[] = {s.group, runs, frag->m, frag->k, push.flags};
    const bool sized = gsai_caps_has(&dev->caps, GSAI_CAP_SUBGROUP_SIZE);
    gsai_call call = {.label = "rmsnorm, packed", .n_bind = 4, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, v, place ? spec_place : spec_pack,
        place ? sizeof spec_place / sizeof *spec_place : sizeof spec_pack / sizeof *spec_pack,
        sized ? s.product.lanes : 0);
    if (!call.pipeline || !gsai_op_grid(r, n_blocks * (place ? s.packing.tokens : GSAI_CM_BLOCK),
                              place ? s.group : s.threads, call.groups))
        return;

    const gsai_range room = {a->y.room.buffer, a->y.room.offset, n_blocks * s.packing.tokens * columns * 2};
    gsai_range rows = a->y.range; /* of which room may be a part */
    rows.size = (a->y.offset + (a->T - 1ull) * a->y.stride + a->D) * 2;
    /* absent buffers are stood in for by room */
    call.bind[0] = GSAI_BIND(a->x.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(a->w.size ? a->w : room, a->w.size ? GSAI_READ : GSAI_WRITE);
    call.bind[2] = GSAI_BIND(both ? rows : room, GSAI_WRITE);
    call.bind[3] = GSAI_BIND(room, GSAI_WRITE);
    call.bytes = (uint64_t)a->T * a->D * (both ? 8 : 6) + a->D * 4ull;
    call.flops = (uint64_t)a->T * a->D * 4;
    gsai_recorder_call(r, &call);
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
    if (a->y.in_room) {
        rmsnorm_pack(r, a);
        return;
    }

    const gsai_variant *v = gsai_op_variant(r, a->y.half ? "rmsnorm_half" : "rmsnorm");
    if (!v) return;
    const uint32_t group = row_group(gsai_recorder_device(r), a->D);
    const uint32_t spec[] = {group, runs_of(a->D, group)};
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
