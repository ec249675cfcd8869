/* Chunks of one row, and one of a few: two dispatches over tiles of the state. The tiles follow from the model alone, because
 * the sums they cut the scores into are part of a result's bits; how many tiles a workgroup takes is free. */
#include "ops/op_util.h"
#include "ops/staged.h"

#include "ops/mixer.h"
#include "util/status.h"

/* Tiles are small enough for this many workgroups where the state of one session is that large. */
#define WANTED_GROUPS      160u
#define MIN_TILE           16u

/* gsai_op_gsa_whole_step: least rows of a tile, columns of a workgroup, most slots. */
#define WHOLE_STEP_TILE    8u
#define WHOLE_STEP_COLUMNS 16u
#define WHOLE_STEP_SLOTS   128u

/* Rows of hk per tile. */
static uint32_t k_tile(const gsai_config *c)
{
    uint32_t tile = MIN_TILE;

    while (tile < 128 && (c->K + tile - 1) / tile * c->G > WANTED_GROUPS) tile *= 2;
    return tile;
}

/* Columns of hv per tile: invocations side by side, so at most half a workgroup. */
static uint32_t v_tile(const gsai_config *c)
{
    uint32_t tile = MIN_TILE;

    while (tile < 64 && (c->V + tile - 1) / tile * c->G > WANTED_GROUPS) tile *= 2;
    return tile;
}

static uint32_t lanes(const gsai_config *c)
{
    uint32_t n = 8;

    while (n < GSA_MIXER_GROUP && n < c->M) n *= 2;
    return n;
}

/* Query heads whose slot weights a workgroup holds together. */
static uint32_t v_heads(const gsai_config *c)
{
    const uint32_t R = c->H / c->G, held = c->M < GSA_STEP_SLOTS ? GSA_STEP_SLOTS / c->M : 1;
    const uint32_t n = R < GSA_STEP_HEADS ? R : GSA_STEP_HEADS;

    return n < held ? n : held;
}

uint64_t gsai_gsa_step_floats(const gsai_config *c, uint32_t n_spans, uint32_t n_chunks)
{
    const uint32_t tile = k_tile(c), least = WHOLE_STEP_TILE;
    uint32_t tiles = (c->K + tile - 1) / tile;
    if (tiles < c->K / least) tiles = c->K / least;

    return 4ull * n_spans + n_chunks + (uint64_t)n_chunks * c->H * tiles * c->M;
}

/* As many tiles to a group as leave eight groups for every core. */
static uint32_t tiles_per_group(const gsa_device *dev, uint32_t tiles, uint64_t columns)
{
    const uint32_t cores = dev->caps.n_cores ? dev->caps.n_cores : 16;
    const uint64_t n = tiles * columns / (8ull * cores);

    return n < 1 ? 1 : n > tiles ? tiles : (uint32_t)n;
}

void gsai_op_gsa_step(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch, bool projections)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const uint32_t R = c->H / c->G, k_rows = k_tile(c), v_columns = v_tile(c);
    const uint32_t k_tiles = (c->K + k_rows - 1) / k_rows, v_tiles = (c->V + v_columns - 1) / v_columns;
    const uint64_t columns = (uint64_t)work->n_spans * c->G, moved = 2ull * gsai_state_element(c);
    struct gsa_step_push push = {
        .scale = c->scale,
        .n_spans = work->n_spans,
        .partial = 4 * work->n_spans + work->n_chunks,
        .k_tiles = k_tiles,
        .tiles = tiles_per_group(dev, k_tiles, columns),
        .normalizer = c->gate_normalizer,
        .map = c->feature_map == GSAI_FEATURE_RELU ? GSA_MAP_RELU : GSA_MAP_SILU,
    };
    gsai_mixer_push(&push, c, o, x, state, work);
    const uint32_t k_spec[] = {k_rows, lanes(c), R < GSA_STEP_HEADS ? R : GSA_STEP_HEADS, projections};
    const uint32_t v_spec[] = {v_columns, lanes(c), v_heads(c), c->M <= GSA_STEP_SLOTS, projections};

    const gsai_variant *k_step = gsai_op_variant(r, GSAI_STATE_OP(c, "gsa_step_k"));
    const gsai_variant *v_step = gsai_op_variant(r, GSAI_STATE_OP(c, "gsa_step_v"));
    if (!k_step || !v_step) return;

    gsai_call call = {.label = "gsa_step_k", .n_bind = 4, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, k_step, k_spec, 4, 0);
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.bind[3] = GSAI_BIND(scratch, GSAI_WRITE);
    call.groups[0] = (k_tiles + push.tiles - 1) / push.tiles;
    call.groups[1] = c->G;
    call.groups[2] = work->n_spans;
    call.bytes = (uint64_t)work->n_chunks * c->M * (c->G * moved * c->K + c->H * 4ull * k_tiles);
    call.flops = (uint64_t)work->n_chunks * c->G * c->K * c->M * (6 + 2 * R);
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);

    push.tiles = tiles_per_group(dev, v_tiles, columns);
    call.label = "gsa_step_v";
    call.pipeline = gsai_op_pipeline(r, v_step, v_spec, 5, 0);
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(scratch, GSAI_READ);
    call.bind[2] = GSAI_BIND(state->range, GSAI_READ_WRITE);
    call.bind[3] = GSAI_BIND(o.range, GSAI_WRITE);
    call.groups[0] = (v_tiles + push.tiles - 1) / push.tiles;
    call.bytes = (uint64_t)work->n_chunks * c->M * (c->G * moved * c->V + call.groups[0] * c->H * 4ull * k_tiles);
    call.flops = (uint64_t)work->n_chunks * c->M *
                 (c->G * (uint64_t)c->V * (6 + 2 * R) + call.groups[0] * c->H * (20ull + k_tiles));
    if (!call.pipeline) return;
    gsai_recorder_call(r, &call);
}

uint32_t gsai_gsa_step_tile(const gsa_device *dev, const gsai_config *c, const gsai_matrix *w, uint32_t few)
{
    const uint32_t R = c->H / c->G, n_q = c->H * c->K;
    uint32_t tile = 0;

    if (c->half_state || c->W != 0 || c->feature_map == GSAI_FEATURE_T2R || c->M % 4 != 0 || c->M > WHOLE_STEP_SLOTS ||
        c->V % 4 != 0 || c->K % 4 != 0 || R > GSA_STEP_HEADS || !gsai_variant_pick(dev, "gsa_step_mix"))
        return 0;
    for (uint32_t i = 0; i < w->n_parts; i++) {
        const gsai_matrix_part *part = &w->parts[i];
        if (part->first_row >= n_q) continue; /* no queries: any shape serves */
        const gsai_staged_shape s = few ? gsai_staged_choose_few(dev, part->type, part->n_rows, w->n_cols, c->K, few)
                                        : gsai_staged_choose(dev, part->type, part->n_rows, w->n_cols, false, c->K);
        if (tile == 0) tile = s.outputs;
        const uint32_t end = part->first_row + part->n_rows;
        if (s.outputs != tile || tile < WHOLE_STEP_TILE || c->K % tile != 0 || part->first_row % tile != 0 ||
            (end < n_q && end % tile != 0))
            return 0;
    }
    return tile;
}

/* One chunk of several rows, which gsa_few_mix takes? It holds much. */
static bool is_few(gsai_recorder *r, const gsai_step_args *a)
{
    const gsai_config *c = a->config;
    const uint32_t T = a->work->n_rows;

    if (gsai_recorder_device(r)->caps.few_registers && !gsai_recorder_forced(r)) return false;
    return a->work->rows == GSAI_ROWS_FEW && a->work->n_chunks == 1 && T <= GSA_FEW_ROWS &&
           c->H / c->G * T <= GSA_FEW_LINES && gsai_variant_pick(gsai_recorder_device(r), "gsa_few_mix");
}

/* The same for this call; 0 when it is not to be done so. */
static uint32_t whole_step_tile(gsai_recorder *r, const gsai_step_args *a)
{
    const gsai_matrix *w = a->qkvf->w;
    const bool ones = a->work->rows == GSAI_ROWS_ONE && a->work->n_chunks == a->work->n_rows;

    if (!ones && !is_few(r, a)) return 0;
    for (uint32_t i = 0; i < w->n_parts; i++)
        if (!gsai_staged_serves(r, w->parts[i].type, w->n_cols)) return 0;
    return gsai_gsa_step_tile(gsai_recorder_device(r), a->config, w, ones ? 0 : a->work->n_rows);
}

bool gsai_op_gsa_whole_step(gsai_recorder *r, const gsai_step_args *a)
{
    const gsai_config *c = a->config;
    const gsai_norm_matmul_args *p = a->qkvf;
    const uint32_t tile = whole_step_tile(r, a), R = c->H / c->G;
    if (tile == 0 || a->work->n_rows == 0) return false;
    if (!gsai_op_check_rows(r, "gsa", "x", &a->x->rows, a->work->n_rows, a->x->width) ||
        !gsai_op_check_rows(r, "gsa", "o", &a->o, a->work->n_rows, c->H * c->V) ||
        !gsai_op_check_rows(r, "gsa", "residual stream", &p->x, a->work->n_rows, p->w->n_cols) ||
        !gsai_mixer_check_work(r, "gsa", a->state, a->work) ||
        !gsai_op_check_words(
            r, "gsa", "scratch", &a->scratch, 0, (uint64_t)a->work->n_rows * c->H * (c->K / tile) * c->M))
        return true;

    const bool few = a->work->rows == GSAI_ROWS_FEW;
    const gsai_staged_step step = {c, a->state, a->work, a->scratch, tile, few};
    for (uint32_t i = 0; i < p->w->n_parts; i++) {
        const gsai_matrix_part *part = &p->w->parts[i];
        gsai_staged_record(r, &(gsai_staged_args){.y = a->x->rows,
                                  .x = p->x,
                                  .norm = p->norm,
                                  .eps = p->eps,
                                  .part = part,
                                  .n_cols = p->w->n_cols,
                                  .n_rows = part->n_rows,
                                  .T = p->T,
                                  .few = few,
                                  .is_normed = true,
                                  .step = &step,
                                  .label = p->label});
    }

    const uint32_t v_tiles = (c->V + WHOLE_STEP_COLUMNS - 1) / WHOLE_STEP_COLUMNS;
    struct gsa_step_push push = {
        .k_tiles = c->K / tile,
        .tiles = (c->K + v_tiles - 1) / v_tiles,
    };
    gsai_mixer_push(&push, c, a->o, a->x, a->state, a->work);
    const gsai_variant *v = gsai_op_variant(r, few ? "gsa_few_mix" : "gsa_step_mix");
    if (!v) return true;
    const uint32_t subgroup = gsai_recorder_device(r)->caps.subgroup_size;
    const uint32_t one_spec[] = {R, (c->M + 31) / 32}, few_spec[] = {R, a->work->n_rows, c->M, c->K, subgroup};
    gsai_call call = {.label = v->op, .n_bind = 5, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, v, few ? few_spec : one_spec, few ? 5 : 2, subgroup);
    call.bind[0] = GSAI_BIND(a->x->rows.range, GSAI_READ);
    call.bind[1] = GSAI_BIND(a->work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(a->state->range, GSAI_READ_WRITE);
    call.bind[3] = GSAI_BIND(a->scratch, GSAI_READ);
    call.bind[4] = GSAI_BIND(a->o.range, GSAI_WRITE);
    call.groups[0] = v_tiles;
    call.groups[1] = c->G;
    call.groups[2] = a->work->n_chunks;
    call.bytes = (uint64_t)a->work->n_chunks * c->G * c->M * 8ull * (c->K + c->V);
    call.flops = (uint64_t)a->work->n_rows * c->G * c->M * (c->K * 4ull + c->V * (4ull + 2 * R));
    if (call.pipeline) gsai_recorder_call(r, &call);
    return true;
}
