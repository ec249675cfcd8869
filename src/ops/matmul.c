#include "ops/op_util.h"

#include "util/status.h"

#define MAX_COLUMNS GSAI_FEW_MAX /* tokens of one matvec call */

static const char *const matvec_of_type[GSAI_N_TYPES] = {"matvec_f32", "matvec_f16", "matvec_bf16"};
static const char *const matmul_of_type[GSAI_N_TYPES] = {"matmul_f32", "matmul_f16", "matmul_bf16"};

uint64_t gsai_matrix_row_bytes(gsai_type type, uint32_t n_cols)
{
    return gsai_round_up(gsai_type_bytes(type, n_cols), 16);
}

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

typedef struct matvec_shape {
    uint32_t columns, rows, unroll, lanes; /* constants of matvec.comp */
    uint32_t group_size, rows_per_group, subgroup_size;
} matvec_shape;

/* None of these choices but lanes changes bits. */
static matvec_shape choose_matvec(
    const gsa_device *dev, const gsai_variant *v, uint32_t n_tokens, uint32_t n_rows, uint32_t row_vecs)
{
    const gsai_caps *caps = &dev->caps;
    matvec_shape s = {.columns = 1, .rows = 1, .unroll = 1, .lanes = 32, .group_size = 128};

    while (s.columns < n_tokens) s.columns *= 2;
    if (!(v->caps & GSAI_CAP_SUBGROUP)) {
        s.rows_per_group = s.group_size / s.lanes;
        return s;
    }

    s.lanes = caps->subgroup_size;
    if (gsai_caps_has(caps, GSAI_CAP_SUBGROUP_SIZE)) s.subgroup_size = s.lanes;
    /* Four subgroups a group; as many rows each as leave 32 subgroups for every core, so that enough loads are in
     * flight; then as many loads a lane as its share of a row has, eight at most. */
    uint32_t teams = 4;
    while (teams > 1 && teams * s.lanes > caps->max_invocations) teams /= 2;
    s.group_size = teams * s.lanes;
    if (caps->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) {
        s.rows = 2;
    } else {
        const uint32_t wanted = (caps->n_cores ? caps->n_cores : 32) * 32;
        while (s.rows < 4 && n_rows / (s.rows * 2) >= wanted) s.rows *= 2;
        while (s.unroll * s.rows < 8 && s.unroll * s.lanes < row_vecs) s.unroll *= 2;
        if (s.columns == 8 && s.rows * s.unroll > 4) s.unroll = 4 / s.rows; /* registers */
    }
    s.rows_per_group = teams * s.rows;
    return s;
}

static void matvec(const matmul *m, uint32_t T, uint32_t first_row, uint32_t n_rows)
{
    gsa_device *dev = gsai_recorder_device(m->r);
    const gsai_variant *v = gsai_op_variant(m->r, matvec_of_type[m->part->type]);
    if (!v) return;

    for (uint32_t t = 0; t < T; t += MAX_COLUMNS) {
        const uint32_t n_tokens = T - t < MAX_COLUMNS ? T - t : MAX_COLUMNS;
        const matvec_shape s = choose_matvec(dev, v, n_tokens, n_rows, m->row_vecs);
        const uint32_t spec[] = {s.group_size, s.columns, s.rows, s.unroll, s.lanes};
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

    const uint32_t threads = v->min_invocations, tile = threads == 256 ? 128 : 64;
    const uint64_t tiles_t = (T + tile - 1ull) / tile, tiles_n = (n_rows + tile - 1ull) / tile;
    record(m, pipeline, tiles_t * tiles_n, threads, 0, 0, T, first_row, n_rows);
}

/* Weight rows of one call: as many as the cap on a submission allows, for a call cannot be cut afterwards. */
static uint32_t rows_at_once(const matmul *m, uint32_t T)
{
    const gsa_device *dev = gsai_recorder_device(m->r);
    const uint32_t n_rows = m->part->n_rows;
    const double cap = dev->max_submit_us * 1e3;
    const double estimate = gsai_estimate_ns(dev, (uint64_t)n_rows * m->row_vecs * 16, 2ull * T * n_rows * m->n_cols);
    if (!(cap > 0) || estimate <= cap) return n_rows;

    const double share = n_rows * (cap / estimate);
    return share < 128 ? 128 : (uint32_t)share / 128 * 128;
}

void gsai_op_matmul(gsai_recorder *r, gsai_rows y, gsai_rows x, const gsai_matrix *w, uint32_t T, gsai_row_class rows,
    bool accumulate, const char *label)
{
    if (T == 0) return;
    if (!gsai_op_check_rows(r, label, "x", &x, T, w->n_cols) || !gsai_op_check_rows(r, label, "y", &y, T, w->n_rows))
        return;

    for (uint32_t i = 0; i < w->n_parts && gsai_recorder_status(r) == GSA_OK; i++) {
        const gsai_matrix_part *part = &w->parts[i];
        const uint64_t row_bytes = gsai_matrix_row_bytes(part->type, w->n_cols);
        const matmul m = {r, y, x, part, w->n_cols, (uint32_t)(row_bytes / 16), accumulate, label};

        if (part->n_rows > w->n_rows || part->first_row > w->n_rows - part->n_rows) {
            gsai_recorder_fail(r, gsai_fail(GSA_ERROR_ARGUMENT, "%s: a part lies outside its matrix", label));
            return;
        }
        if (!gsai_op_check_words(r, label, "matrix part", &part->range, 0, part->n_rows * (row_bytes / 4))) return;

        const uint32_t step = rows_at_once(&m, T);
        for (uint32_t n = 0; n < part->n_rows; n += step) {
            const uint32_t n_rows = part->n_rows - n < step ? part->n_rows - n : step;
            if (rows == GSAI_ROWS_MANY) {
                tiled(&m, T, n, n_rows);
            } else {
                matvec(&m, T, n, n_rows);
            }
        }
    }
}
