#include "ops/matmul_cm.h"
#include "ops/matvec.h"
#include "ops/op_util.h"
#include "ops/staged.h"
#include "ops/tune.h"

#include "util/status.h"

#include <string.h>

enum {
    MAX_COLUMNS = GSAI_MATVEC_COLUMNS,
    TILE = 64, /* tokens and weight rows of a group of matmul.comp */
    TILE_THREADS = 128,
};

static const char *const matvec_of_type[GSAI_N_TYPES] = {
    "matvec_f32", "matvec_f16", "matvec_bf16", "matvec_q8_0", "matvec_q4_0", "matvec_q4_k", "matvec_q6_k"};
static const char *const matmul_of_type[GSAI_N_TYPES] = {
    "matmul_f32", "matmul_f16", "matmul_bf16", "matmul_q8_0", "matmul_q4_0", "matmul_q4_k", "matmul_q6_k"};

typedef struct matmul {
    gsai_recorder *r;
    gsai_rows y, x;
    const gsai_matrix_part *part;
    uint32_t n_cols, row_vecs;
    uint32_t accumulate;
    const char *label;
} matmul;

/* y[t0 .. t0 + n_tokens, part's rows first_row .. first_row + n_rows] by a pipeline with the given grid. */
static void record(const matmul *m, const gsai_pipeline *pipeline, uint64_t n_groups, uint32_t group_size,
    uint32_t rows_per_group, uint32_t first_token, uint32_t n_tokens, uint32_t first_row, uint32_t n_rows)
{
    const struct gsa_matmul_push push = {
        .n_tokens = n_tokens,
        .first_row = first_row,
        .n_rows = n_rows,
        .row_vecs = m->row_vecs,
        .x_vecs = (m->n_cols + 3) / 4,
        .x_offset = (uint32_t)((m->x.offset + (uint64_t)first_token * m->x.stride) / 4),
        .x_stride = m->x.stride / 4,
        .y_offset = (uint32_t)(m->y.offset + (uint64_t)first_token * m->y.stride + m->part->first_row + first_row),
        .y_stride = m->y.stride,
        .accumulate = m->accumulate,
        .rows_per_group = rows_per_group,
    };
    gsai_call call = {.pipeline = pipeline, .label = m->label, .n_bind = 3, .push = &push, .push_bytes = sizeof push};
    if (!gsai_op_grid(m->r, n_groups, group_size, call.groups)) return;
    call.bind[0] = GSAI_BIND(m->part->range, GSAI_READ);
    call.bind[1] = GSAI_BIND(m->x.range, GSAI_READ);
    call.bind[2] = GSAI_BIND(m->y.range, m->accumulate ? GSAI_READ_WRITE : GSAI_WRITE);
    call.bytes = (uint64_t)n_rows * m->row_vecs * 16 + (uint64_t)n_tokens * (m->n_cols + n_rows) * 4;
    call.flops = 2ull * n_tokens * n_rows * m->n_cols;
    gsai_recorder_call(m->r, &call);
}

gsai_matvec_shape gsai_matvec_choose(
    const gsa_device *dev, const gsai_variant *v, uint32_t n_rows, uint32_t row_vecs, uint32_t n_tokens)
{
    const gsai_caps *caps = &dev->caps;
    const uint32_t wave = (caps->n_cores ? caps->n_cores : 32) * 32;
    gsai_matvec_shape s = {.columns = 1, .rows = 1, .unroll = 1};

    while (s.columns < n_tokens) s.columns *= 2;
    if (!(v->caps & GSAI_CAP_SUBGROUP)) {
        s.group_size = 128;
        s.team = 32;
        s.rows_per_group = s.group_size / s.team;
        return s;
    }

    const uint32_t lanes = caps->subgroup_size;
    uint32_t subgroups = 4;
    while (subgroups > 1 && subgroups * lanes > caps->max_invocations) subgroups /= 2;
    s.group_size = subgroups * lanes;
    s.team = 1;
    if (gsai_caps_has(caps, GSAI_CAP_SUBGROUP_SIZE)) s.subgroup_size = lanes;
    /* Measured on an H200, where a wave is 32 subgroups for every core. Fewer rows than that: several subgroups share a
     * row, while two loads are left for each lane. Two waves, or several tokens: two rows a subgroup. Then as many loads
     * of 16 bytes in flight, up to four, as leave few of them idle at a row's end; from four tokens on registers are
     * needed for sums. */
    if (s.subgroup_size)
        while (s.team < subgroups && n_rows * s.team < wave && row_vecs >= 4 * lanes * s.team) s.team *= 2;
    if (n_rows / 2 >= wave || s.columns > 1) s.rows = 2;
    if (caps->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) s.rows = 4;
    if (caps->few_registers && s.columns >= 4) s.rows = 1;
    const uint32_t loads = (row_vecs + lanes * s.team - 1) / (lanes * s.team);
    const uint32_t most_loads = caps->few_registers ? 4 / s.columns / s.rows : 4;
    if (caps->device_type != VK_PHYSICAL_DEVICE_TYPE_CPU && s.columns < 4)
        while (s.unroll < most_loads && gsai_round_up(loads, s.unroll * 2) * 5 <= loads * 6ull) s.unroll *= 2;
    s.rows_per_group = subgroups / s.team * s.rows;
    return s;
}

void gsai_matvec_tune(gsai_recorder *r, const gsai_variant *v, const char *label, const gsai_matrix_part *part,
    uint32_t n_cols, uint32_t per, gsai_matvec_shape *s)
{
    if (!s->subgroup_size || s->columns > 1) return;
    const gsai_tunable product = {.variant = v,
        .label = label,
        .type = part->type,
        .n_out = part->n_rows / per,
        .n_cols = n_cols,
        .per = per,
        .lanes = s->subgroup_size};
    gsai_knobs k = {s->group_size, s->rows, s->unroll, s->team};
    gsai_tune_apply(r, &product, &k);
    s->group_size = k.group_size;
    s->rows = k.rows;
    s->unroll = k.unroll;
    s->team = k.split;
    s->rows_per_group = s->group_size / s->subgroup_size / s->team * s->rows;
}

static void matvec(const matmul *m, uint32_t T, uint32_t first_row, uint32_t n_rows)
{
    gsa_device *dev = gsai_recorder_device(m->r);
    const gsai_variant *v = gsai_op_variant(m->r, matvec_of_type[m->part->type]);
    if (!v) return;

    for (uint32_t t = 0; t < T; t += MAX_COLUMNS) {
        const uint32_t n_tokens = T - t < MAX_COLUMNS ? T - t : MAX_COLUMNS;
        gsai_matvec_shape s = gsai_type_is_quantised(m->part->type)
                                  ? gsai_block_matvec_choose(dev, v, m->part->n_rows,
                                        gsai_matrix_row_units(m->part->type, m->n_cols), n_tokens, 1)
                                  : gsai_matvec_choose(dev, v, m->part->n_rows, m->row_vecs, n_tokens);
        gsai_matvec_tune(m->r, v, m->label, m->part, m->n_cols, 1, &s);
        const uint32_t spec[] = {s.group_size, s.columns, s.rows, s.unroll, s.team};
        const gsai_pipeline *pipeline = gsai_op_pipeline(m->r, v, spec, 5, s.subgroup_size);
        if (!pipeline) return;
        const uint64_t n_groups = ((uint64_t)n_rows + s.rows_per_group - 1) / s.rows_per_group;
        record(m, pipeline, n_groups, s.group_size, s.rows_per_group, t, n_tokens, first_row, n_rows);
    }
}

static void tiled(const matmul *m, uint32_t T, uint32_t first_row, uint32_t n_rows)
{
    const gsai_variant *v = gsai_op_variant(m->r, matmul_of_type[m->part->type]);
    if (!v) return;
    const gsai_pipeline *pipeline = gsai_op_pipeline(m->r, v, NULL, 0, 0);
    if (!pipeline) return;

    const uint64_t tiles_t = (T + TILE - 1ull) / TILE, tiles_n = (n_rows + TILE - 1ull) / TILE;
    record(m, pipeline, tiles_t * tiles_n, TILE_THREADS, 0, 0, T, first_row, n_rows);
}

gsai_rows gsai_half_rows(gsai_range range, uint32_t width)
{
    const uint64_t half = gsai_round_up(range.offset + range.size / 2, GSAI_BUFFER_UNIT),
                   end = range.offset + range.size;
    gsai_rows rows = {range, 0, (uint32_t)gsai_round_up(width, 8), true};
    if (width % 8 == 0 && half < end) rows.room = (gsai_range){range.buffer, half, end - half};
    return rows;
}

gsai_rows gsai_matmul_input(gsai_recorder *r, const gsai_matrix *w, gsai_row_class rows, gsai_rows x)
{
    if (!gsai_rows_are_many(rows) || !gsai_matmul_cm_has(gsai_recorder_device(r), w)) return x;
    return gsai_half_rows(x.range, w->n_cols);
}

uint32_t gsai_matmul_rows_at_once(
    const gsa_device *dev, const gsai_matrix_part *part, uint32_t n_cols, uint32_t T, bool half)
{
    const uint32_t n_rows = part->n_rows;
    const double cap = dev->max_submit_us * 1e3;
    const uint64_t flops = 2ull * T * n_rows * n_cols / (half ? GSAI_MATRIX_SPEEDUP : 1);
    const double estimate = gsai_estimate_ns(dev, n_rows * gsai_matrix_row_bytes(part->type, n_cols), flops);
    if (!(cap > 0) || estimate <= cap) return n_rows;

    const double share = n_rows * (cap / estimate);
    return share < 128 ? 128 : (uint32_t)share / 128 * 128;
}

/* CPU drivers load from memory for one lane after the other. Eight tokens by four weight rows at a time need fewer loads
 * than tiles, which go through shared memory, and are not filled up to 64 tokens. */
static bool by_vectors(gsai_recorder *r, gsai_type type)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_variant *forced = gsai_recorder_forced(r), *v = gsai_variant_pick(dev, matvec_of_type[type]);
    return dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU && v && (v->caps & GSAI_CAP_SUBGROUP) &&
           !(forced && strcmp(forced->op, matmul_of_type[type]) == 0);
}

void gsai_op_matmul(gsai_recorder *r, gsai_rows y, gsai_rows x, const gsai_matrix *w, uint32_t T, gsai_row_class rows,
    bool accumulate, const char *label)
{
    if (T == 0) return;
    if (!gsai_op_check_rows(r, label, "x", &x, T, w->n_cols) || !gsai_op_check_rows(r, label, "y", &y, T, w->n_rows))
        return;

    bool has_packed_x = false;
    for (uint32_t i = 0; i < w->n_parts && gsai_recorder_status(r) == GSA_OK; i++) {
        const gsai_matrix_part *part = &w->parts[i];
        const uint64_t row_bytes = gsai_matrix_row_bytes(part->type, w->n_cols);
        const matmul m = {r, y, x, part, w->n_cols, (uint32_t)(row_bytes / 16), accumulate, label};

        if (!gsai_op_check_part(r, label, w, part)) return;

        const bool tiles = gsai_rows_are_many(rows) && !by_vectors(r, part->type);
        const uint32_t step = gsai_matmul_rows_at_once(
            gsai_recorder_device(r), part, w->n_cols, x.half || tiles || T < MAX_COLUMNS ? T : MAX_COLUMNS, x.half);
        for (uint32_t n = 0; n < part->n_rows; n += step) {
            const uint32_t n_rows = part->n_rows - n < step ? part->n_rows - n : step;
            if (x.half) {
                gsai_matmul_cm(r, &(gsai_matmul_cm_args){.y = y,
                                      .x = x,
                                      .part = part,
                                      .n_cols = w->n_cols,
                                      .T = T,
                                      .first_row = n,
                                      .n_rows = n_rows,
                                      .accumulate = accumulate,
                                      .in_parts = rows == GSAI_ROWS_SESSIONS,
                                      .has_packed_x = &has_packed_x,
                                      .label = label});
            } else if (tiles) {
                tiled(&m, T, n, n_rows);
            } else if (gsai_rows_are_single(rows) && gsai_staged_serves(r, part->type, w->n_cols)) {
                gsai_staged_record(r, &(gsai_staged_args){.y = y,
                                          .x = x,
                                          .part = part,
                                          .n_cols = w->n_cols,
                                          .first_row = n,
                                          .n_rows = n_rows,
                                          .T = T,
                                          .few = rows == GSAI_ROWS_FEW_SINGLE,
                                          .accumulate = accumulate,
                                          .label = label});
            } else {
                matvec(&m, T, n, n_rows);
            }
        }
    }
}
