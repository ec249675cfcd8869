/* A product with the norm before it and the activation after it: one call for single rows, three otherwise. */
#include "ops/matmul_cm.h"
#include "ops/matvec.h"
#include "ops/op_util.h"
#include "ops/staged.h"

static const char *const op_of_type[GSAI_N_TYPES] = {"norm_matvec_f32", "norm_matvec_f16", "norm_matvec_bf16",
    "norm_matvec_q8_0", "norm_matvec_q4_0", "norm_matvec_q4_k", "norm_matvec_q6_k"};

/* Gate and up must lie in one part; rows of x must be whole vectors. */
bool gsai_norm_matmul_fuses(gsai_recorder *r, const gsai_norm_matmul_args *a)
{
    const gsa_device *dev = gsai_recorder_device(r);

    if (!gsai_rows_are_single(a->rows) || a->pre_silu || a->w->n_cols % 4 != 0 || (a->swiglu && a->w->n_parts != 1))
        return false;
    for (uint32_t i = 0; i < a->w->n_parts; i++) {
        const gsai_type type = a->w->parts[i].type;
        if (!gsai_staged_serves(r, type, a->w->n_cols) && !gsai_variant_pick(dev, op_of_type[type])) return false;
    }
    return true;
}

/* Weight rows of a part for one call: with swiglu all of them. */
typedef struct slice {
    const gsai_matrix_part *part;
    uint32_t first, n;
} slice;

/* Some tokens. Shapes are those of the whole part. */
static void record(
    gsai_recorder *r, const gsai_norm_matmul_args *a, const slice *rows, uint32_t token, uint32_t n_tokens)
{
    const gsai_matrix_part *part = rows->part;
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_variant *v = gsai_op_variant(r, op_of_type[part->type]);
    if (!v) return;
    const uint32_t row_vecs = (uint32_t)(gsai_matrix_row_bytes(part->type, a->w->n_cols) / 16);
    const uint32_t n_out = a->swiglu ? part->n_rows / 2 : part->n_rows;
    const bool blocks = gsai_type_is_quantised(part->type);
    gsai_matvec_shape s = blocks ? gsai_block_matvec_choose(dev, v, n_out,
                                       gsai_matrix_row_units(part->type, a->w->n_cols), n_tokens, a->swiglu ? 2 : 1)
                                 : gsai_matvec_choose(dev, v, n_out, row_vecs, n_tokens);
    if (a->swiglu && !blocks && s.rows > 1) { /* an output has two weight rows already */
        s.rows_per_group /= s.rows;
        s.rows = 1;
    }
    gsai_matvec_tune(r, v, a->label, part, a->w->n_cols, a->swiglu ? 2 : 1, &s);
    const uint32_t spec[] = {s.group_size, s.columns, s.rows, s.unroll, s.team, a->swiglu};
    const uint32_t n_now = a->swiglu ? n_out : rows->n;
    const uint64_t row_bytes = row_vecs * 16ull;
    const struct gsa_norm_matvec_push push = {
        .n_tokens = n_tokens,
        .n_rows = n_now,
        .row_vecs = row_vecs,
        .x_vecs = a->w->n_cols / 4,
        .x_offset = (uint32_t)((a->x.offset + (uint64_t)token * a->x.stride) / 4),
        .x_stride = a->x.stride / 4,
        .y_offset = (uint32_t)(a->y.offset + (uint64_t)token * a->y.stride + part->first_row + rows->first),
        .y_stride = a->y.stride,
        .accumulate = a->accumulate,
        .rows_per_group = s.rows_per_group,
        .weighted = a->norm.size > 0,
        .width = a->w->n_cols,
        .up_rows = a->swiglu ? n_out : 0,
        .act = a->act == GSAI_FFN_POWLU ? GSA_ACT_POWLU : GSA_ACT_SWISH,
        .eps = a->eps,
    };
    gsai_call call = {.label = a->label, .n_bind = 4, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, v, spec, 6, s.subgroup_size);
    if (!call.pipeline ||
        !gsai_op_grid(r, ((uint64_t)n_now + s.rows_per_group - 1) / s.rows_per_group, s.group_size, call.groups))
        return;
    const gsai_range weights = {part->range.buffer, part->range.offset + rows->first * row_bytes, rows->n * row_bytes};
    call.bind[0] = GSAI_BIND(weights, GSAI_READ);
    call.bind[1] = GSAI_BIND(a->x.range, GSAI_READ);
    call.bind[2] = GSAI_BIND(a->y.range, a->accumulate ? GSAI_READ_WRITE : GSAI_WRITE);
    call.bind[3] = GSAI_BIND(a->norm.size > 0 ? a->norm : a->x.range, GSAI_READ);
    call.bytes = rows->n * row_bytes + (uint64_t)n_tokens * (a->w->n_cols + n_now) * 4;
    call.flops = 2ull * n_tokens * rows->n * a->w->n_cols;
    gsai_recorder_call(r, &call);
}

/* Normed rows go straight into the order in which the product will want them, when it will; where some of its kernels
 * want them as they come, both ways. The product is of gates and ups with gated only. */
static void choose_order(gsai_recorder *r, const gsai_norm_matmul_args *a, bool gated, gsai_rows *h)
{
    bool reads[2] = {false, false}, has_packed_x = false;

    if (!gsai_rmsnorm_packs(gsai_recorder_device(r), h, a->T, a->w->n_cols)) return;
    for (uint32_t i = 0; i < a->w->n_parts && gsai_recorder_status(r) == GSA_OK; i++)
        gsai_matmul_cm_reads(r,
            &(gsai_matmul_cm_args){.x = *h,
                .part = &a->w->parts[i],
                .n_cols = a->w->n_cols,
                .T = a->T,
                .n_rows = a->w->parts[i].n_rows / (gated ? 2 : 1),
                .swiglu = gated,
                .in_parts = a->rows == GSAI_ROWS_SESSIONS,
                .has_packed_x = &has_packed_x,
                .label = a->label},
            reads);
    h->in_room = reads[true];
    h->only_in_room = reads[true] && !reads[false];
}

gsai_rows gsai_swiglu_rows(gsai_recorder *r, const gsai_norm_matmul_args *a, const gsai_matrix *w)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const uint32_t width = a->w->n_rows / 2;
    gsai_rows y = gsai_matmul_input(r, w, a->rows, a->y);
    gsai_matmul_cm_args product = {.x = gsai_half_rows(a->half, a->w->n_cols),
        .part = a->w->parts,
        .n_cols = a->w->n_cols,
        .T = a->T,
        .n_rows = width,
        .swiglu = true,
        .in_parts = true};

    if (a->rows != GSAI_ROWS_SESSIONS || !y.half || a->half.size == 0 || !gsai_matmul_cm_has_swiglu(dev, a->w) ||
        !gsai_matmul_cm_leaves_packed(r, &product))
        return y;
    for (uint32_t i = 0; i < w->n_parts; i++) {
        product = (gsai_matmul_cm_args){
            .x = y, .part = &w->parts[i], .n_cols = width, .T = a->T, .n_rows = w->parts[i].n_rows, .in_parts = true};
        if (!gsai_matmul_cm_in_parts(r, &product)) return y;
    }
    y.in_room = y.only_in_room = true;
    return y;
}

static void in_steps(gsai_recorder *r, const gsai_norm_matmul_args *a)
{
    const gsa_device *dev = gsai_recorder_device(r);
    gsai_rows h = a->h;
    bool has_packed_x = false;

    if (a->half.size > 0 && gsai_rows_are_many(a->rows) && gsai_matmul_cm_has(dev, a->w))
        h = gsai_half_rows(a->half, a->w->n_cols);
    const bool gated = h.half && a->swiglu && a->y.half && gsai_matmul_cm_has_swiglu(dev, a->w);
    choose_order(r, a, gated, &h);
    gsai_op_rmsnorm(
        r, &(gsai_rmsnorm_args){
               .x = a->x, .y = h, .w = a->norm, .T = a->T, .D = a->w->n_cols, .eps = a->eps, .pre_silu = a->pre_silu});
    if (gated) {
        if (!gsai_op_check_rows(r, a->label, "y", &a->y, a->T, a->w->n_rows / 2)) return;
        gsai_matmul_cm(r, &(gsai_matmul_cm_args){.y = a->y,
                              .x = h,
                              .part = a->w->parts,
                              .n_cols = a->w->n_cols,
                              .T = a->T,
                              .n_rows = a->w->n_rows / 2,
                              .swiglu = true,
                              .in_parts = a->rows == GSAI_ROWS_SESSIONS,
                              .act = a->act,
                              .label = a->label});
        return;
    }
    if (h.half && a->maps) {
        if (!gsai_op_check_rows(r, a->label, "y", &a->y, a->T, a->w->n_rows)) return;
        for (uint32_t i = 0; i < a->w->n_parts && gsai_op_check_part(r, a->label, a->w, &a->w->parts[i]); i++)
            gsai_matmul_cm(r, &(gsai_matmul_cm_args){.y = a->y,
                                  .x = h,
                                  .part = &a->w->parts[i],
                                  .n_cols = a->w->n_cols,
                                  .T = a->T,
                                  .n_rows = a->w->parts[i].n_rows,
                                  .maps = a->maps,
                                  .has_packed_x = &has_packed_x,
                                  .label = a->label});
        return;
    }
    gsai_op_matmul(r, a->swiglu ? a->product : a->y, h, a->w, a->T, a->rows, a->accumulate, a->label);
    if (a->swiglu) gsai_op_swiglu(r, a->y, a->product, a->T, a->w->n_rows / 2, a->act);
}

static void record_slice(gsai_recorder *r, const gsai_norm_matmul_args *a, const slice *rows)
{
    if (gsai_staged_serves(r, rows->part->type, a->w->n_cols)) {
        gsai_staged_record(r, &(gsai_staged_args){.y = a->y,
                                  .x = a->x,
                                  .norm = a->norm,
                                  .eps = a->eps,
                                  .part = rows->part,
                                  .n_cols = a->w->n_cols,
                                  .first_row = rows->first,
                                  .n_rows = rows->n,
                                  .T = a->T,
                                  .few = a->rows == GSAI_ROWS_FEW_SINGLE,
                                  .is_normed = true,
                                  .accumulate = a->accumulate,
                                  .swiglu = a->swiglu,
                                  .act = a->act,
                                  .label = a->label});
        return;
    }
    for (uint32_t t = 0; t < a->T; t += GSAI_MATVEC_COLUMNS)
        record(r, a, rows, t, a->T - t < GSAI_MATVEC_COLUMNS ? a->T - t : GSAI_MATVEC_COLUMNS);
}

void gsai_op_norm_matmul(gsai_recorder *r, const gsai_norm_matmul_args *a)
{
    if (a->T == 0) return;
    if (!gsai_norm_matmul_fuses(r, a)) {
        in_steps(r, a);
        return;
    }
    if (!gsai_op_check_rows(r, a->label, "x", &a->x, a->T, a->w->n_cols) ||
        !gsai_op_check_rows(r, a->label, "y", &a->y, a->T, a->swiglu ? a->w->n_rows / 2 : a->w->n_rows) ||
        (a->norm.size > 0 && !gsai_op_check_words(r, a->label, "norm", &a->norm, 0, a->w->n_cols)))
        return;
    for (uint32_t i = 0; i < a->w->n_parts && gsai_recorder_status(r) == GSA_OK; i++) {
        const gsai_matrix_part *part = &a->w->parts[i];
        if (!gsai_op_check_part(r, a->label, a->w, part)) return;
        const uint32_t n_tokens = a->T < GSAI_MATVEC_COLUMNS ? a->T : GSAI_MATVEC_COLUMNS;
        const uint32_t step =
            a->swiglu ? part->n_rows
                      : gsai_matmul_rows_at_once(gsai_recorder_device(r), part, a->w->n_cols, n_tokens, false);
        for (uint32_t n = 0; n < part->n_rows; n += step)
            record_slice(r, a, &(slice){part, n, part->n_rows - n < step ? part->n_rows - n : step});
    }
}
