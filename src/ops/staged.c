#include "ops/staged.h"

#include "ops/mixer.h"
#include "ops/op_util.h"
#include "ops/tune.h"

#include <string.h>

static const char *const product_of_type[GSAI_N_TYPES] = {"staged_matvec_f32", "staged_matvec_f16",
    "staged_matvec_bf16", "staged_matvec_q8_0", "staged_matvec_q4_0", "staged_matvec_q4_k", "staged_matvec_q6_k"};
static const char *const step_of_type[GSAI_N_TYPES] = {"staged_step_f32", "staged_step_f16", "staged_step_bf16",
    "staged_step_q8_0", "staged_step_q4_0", "staged_step_q4_k", "staged_step_q6_k"};
static const char *const dots_of_type[GSAI_N_TYPES] = {
    [GSAI_Q8_0] = "staged_dots_q8_0", [GSAI_Q4_0] = "staged_dots_q4_0"};
static const char *const dots_step_of_type[GSAI_N_TYPES] = {
    [GSAI_Q8_0] = "staged_dots_step_q8_0", [GSAI_Q4_0] = "staged_dots_step_q4_0"};
static const char *const plain_of_type[GSAI_N_TYPES] = {"norm_matvec_f32", "norm_matvec_f16", "norm_matvec_bf16",
    "norm_matvec_q8_0", "norm_matvec_q4_0", "norm_matvec_q4_k", "norm_matvec_q6_k"};

bool gsai_staged_serves(gsai_recorder *r, gsai_type type, uint32_t n_cols)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_variant *forced = gsai_recorder_forced(r);
    if (n_cols % 4 != 0) return false;
    if (forced && (strncmp(forced->op, "staged_", 7) == 0 || strcmp(forced->op, "gsa_step_mix") == 0 ||
                      strcmp(forced->op, "gsa_few_mix") == 0))
        return true;
    if (forced && strstr(forced->op, "matvec")) return false;
    return gsai_staged_chosen(dev, type, n_cols);
}

/* Bytes of shared memory that a row of x takes. */
static uint64_t x_bytes(const gsa_device *dev, gsai_type type, uint32_t n_cols, bool dots)
{
    const uint64_t x_vecs = n_cols / 4, units = gsai_matrix_row_units(type, n_cols);
    if (dots) return 4 * (6 * gsai_staged_runs(type) + gsai_staged_scales(dev, type)) * units;
    return 16 * (gsai_type_is_quantised(type) ? x_vecs * 5 / 4 + 68 : x_vecs + 1);
}

/* Rows of x that fit shared memory at once, beside sums and squares. */
static uint32_t most_rows(const gsa_device *dev, gsai_type type, uint32_t n_cols, bool dots)
{
    const uint64_t others = dots ? 4096 : 2048, most = dev->caps.max_shared_bytes;
    return most < others ? 0 : (uint32_t)((most - others) / x_bytes(dev, type, n_cols, dots));
}

uint32_t gsai_staged_runs(gsai_type type)
{
    return type == GSAI_Q8_0 ? 2 : 4;
}

uint32_t gsai_staged_scales(const gsa_device *dev, gsai_type type)
{
    const uint32_t runs = gsai_staged_runs(type);
    return 8 * runs <= dev->caps.subgroup_size ? 1 : runs;
}

bool gsai_staged_has_dots(const gsa_device *dev, gsai_type type)
{
    if (!dots_of_type[type] || !gsai_variant_pick(dev, dots_of_type[type]) ||
        !gsai_variant_pick(dev, dots_step_of_type[type]))
        return false;
    return gsai_caps_has(&dev->caps, GSAI_CAP_INTEGER_DOT_FAST) || !gsai_variant_pick(dev, product_of_type[type]);
}

bool gsai_staged_dots(const gsa_device *dev, gsai_type type, uint32_t n_cols)
{
    return gsai_staged_has_dots(dev, type) && most_rows(dev, type, n_cols, true) > 0;
}

/* Do products of floats serve a few rows of a chunk? */
static bool few_by_floats(const gsa_device *dev, gsai_type type)
{
    return gsai_variant_pick(dev, product_of_type[type]) && gsai_variant_pick(dev, step_of_type[type]);
}

/* This call, where a kernel may be forced. */
static bool with_dots(gsai_recorder *r, const gsai_staged_args *a)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_variant *forced = gsai_recorder_forced(r);
    if (forced && strncmp(forced->op, "staged_", 7) == 0) return strncmp(forced->op, "staged_dots", 11) == 0;
    if (a->few && few_by_floats(dev, a->part->type)) return false;
    return gsai_staged_dots(dev, a->part->type, a->n_cols);
}

bool gsai_staged_chosen(const gsa_device *dev, gsai_type type, uint32_t n_cols)
{
    if (n_cols % 4 != 0 || (!gsai_staged_dots(dev, type, n_cols) && !gsai_variant_pick(dev, product_of_type[type])))
        return false;
    return dev->caps.device_type != VK_PHYSICAL_DEVICE_TYPE_CPU || !gsai_variant_pick(dev, plain_of_type[type]);
}

/* Loads of a lane, one after the other, where every core has its share of n pairs of rows and 16 subgroups for them: what
 * the last teams of a round leave undone is time. */
static uint32_t loads_in_turn(uint32_t n, uint32_t cores, uint32_t units, uint32_t lanes, uint32_t split)
{
    const uint32_t pairs = (n + cores - 1) / cores, teams = 16 / split;
    return (pairs + teams - 1) / teams * ((units + lanes * split - 1) / (lanes * split));
}

/* Measured on an H200 with f16: as many subgroups as 32 for every core, two rows each where there are enough rows,
 * several subgroups to a row where there are not, and four to eight loads of 16 bytes in flight. */
gsai_staged_shape gsai_staged_choose(
    const gsa_device *dev, gsai_type type, uint32_t n_out, uint32_t n_cols, bool swiglu, uint32_t step_K)
{
    const gsai_caps *caps = &dev->caps;
    const uint32_t lanes = caps->subgroup_size, cores = caps->n_cores ? caps->n_cores : 32;
    const uint32_t wave = cores * 30, units = gsai_matrix_row_units(type, n_cols);
    const bool blocks = gsai_type_is_quantised(type);
    const uint32_t least = blocks ? 2 : 4;           /* units of a lane */
    const bool big = step_K || !caps->few_registers; /* invocations of smaller workgroups have more registers */
    gsai_staged_shape s = {
        .group_size = (blocks || units > 512) && big ? 512 : 256, .rows = 2, .split = 1, .unroll = 1, .lanes = lanes};

    while (s.group_size > caps->max_invocations || s.group_size / lanes > caps->max_subgroups) s.group_size /= 2;
    if (s.group_size < lanes) s.group_size = lanes;
    if (swiglu || (!step_K && n_out < wave && units <= (blocks ? 64 : 512))) s.rows = 1;
    while (s.split * 2 * lanes <= s.group_size && (uint64_t)n_out / s.rows * s.split < wave &&
           units >= 2 * least * lanes * s.split)
        s.split *= 2;
    const uint32_t wide = 16 * lanes; /* the resident step's workgroups */
    const bool can = wide <= caps->max_invocations && caps->max_subgroups >= 16 && s.split < 16;
    if (caps->n_cores && can && !swiglu && units >= 2 * least * lanes * s.split &&
        loads_in_turn(n_out / 2, cores, units, lanes, s.split * 2) * 10 <=
            loads_in_turn(n_out / 2, cores, units, lanes, s.split) * 9) {
        s.group_size = wide;
        s.split *= 2;
    }
    const uint32_t most_loads = caps->few_registers ? 2 : 4;
    if (step_K && caps->few_registers) { /* a row of the key memory in a register of each invocation */
        s.rows = 1;
        while (s.group_size / lanes / s.split > 16) s.group_size /= 2;
        while (s.group_size / lanes / s.split < 8 && s.group_size * 2 <= caps->max_invocations &&
               s.group_size * 2 / lanes <= caps->max_subgroups)
            s.group_size *= 2;
    }
    if (step_K) { /* tiles of eight rows of the key memory at least, of one head at most */
        while (s.split > 1 && s.group_size / lanes / s.split * s.rows < 8) s.split /= 2;
        while (s.group_size / lanes / s.split * s.rows > step_K && s.group_size > lanes * s.split) s.group_size /= 2;
    }
    const uint32_t loads = (units + lanes * s.split - 1) / (lanes * s.split);
    while (s.unroll < most_loads && s.unroll * 4 <= loads) s.unroll *= 2;
    s.outputs = s.group_size / lanes / s.split * s.rows;
    return s;
}

static uint64_t shared_of(
    const gsa_device *dev, const gsai_staged_shape *s, const gsai_staged_args *a, uint32_t columns, bool dots)
{
    const uint64_t x_vecs = a->n_cols / 4, loads = s->rows * (a->swiglu ? 2u : 1u);
    return columns * x_bytes(dev, a->part->type, a->n_cols, dots) +
           4 * columns * (s->group_size / s->lanes * loads + (x_vecs + s->lanes - 1) / s->lanes + s->outputs);
}

uint32_t gsai_staged_most(const gsa_device *dev, gsai_type type, uint32_t n_cols)
{
    return most_rows(dev, type, n_cols, !few_by_floats(dev, type) && gsai_staged_dots(dev, type, n_cols));
}

/* Drivers may give all workgroups of a core together little more than the most that one may have: x that takes more than
 * half of it is better read where it lies, unless it has a norm. One token of 1.3b's `down` on an H200: 8.2 instead of 10.7
 * microseconds in q8_0. */
static bool is_staged(const gsa_device *dev, const gsai_staged_args *a, uint64_t shared)
{
    const uint64_t most = dev->caps.max_shared_bytes, half = most / 2 < 16384 ? 16384 : most / 2;
    return shared <= (a->is_normed ? most : half < most ? half : most);
}

/* For several rows of x: what changes no bit. Measured on an H200 with 1.3b. */
static void suit_several(
    const gsa_device *dev, const gsai_staged_args *a, uint32_t columns, bool dots, gsai_staged_shape *s)
{
    const gsai_caps *caps = &dev->caps;
    gsai_staged_shape wide = *s;

    if (a->step) return;
    if (caps->few_registers) {
        if (columns > 4) s->rows = 1;
        s->outputs = s->group_size / s->lanes / s->split * s->rows;
        return;
    }
    wide.group_size = 512;
    wide.rows = 1;
    if (!dots && !is_staged(dev, a, shared_of(dev, &wide, a, columns, false))) {
        wide.group_size = 256;
        wide.rows = 2;
        wide.unroll = 1;
    }
    if (wide.group_size > caps->max_invocations || wide.group_size / s->lanes > caps->max_subgroups ||
        wide.group_size < s->lanes * s->split)
        return;
    *s = wide;
    s->outputs = s->group_size / s->lanes / s->split * s->rows;
}

gsai_staged_shape gsai_staged_choose_few(
    const gsa_device *dev, gsai_type type, uint32_t n_out, uint32_t n_cols, uint32_t step_K, uint32_t n_tokens)
{
    const gsai_caps *caps = &dev->caps;
    const gsai_staged_shape one = gsai_staged_choose(dev, type, n_out, n_cols, false, step_K);
    gsai_staged_shape s = one;

    const bool of_256 = type == GSAI_Q4_K || type == GSAI_Q6_K; /* take more registers to take apart */
    s.rows = n_tokens <= 2 || (of_256 && s.lanes > 32) ? 4 : 2;
    s.split = 1;
    s.unroll = of_256 || (gsai_type_is_quantised(type) && n_tokens <= 2) ? 1 : 2;
    s.outputs = 32;
    s.group_size = s.outputs / s.rows * s.lanes;
    const bool fits = s.group_size <= caps->max_invocations && s.group_size / s.lanes <= caps->max_subgroups;
    return fits && !caps->few_registers && step_K % s.outputs == 0 ? s : one;
}

static struct gsa_staged_step_push step_push(const gsai_staged_args *a, const struct gsa_staged_push *p, uint32_t token)
{
    const gsai_staged_step *s = a->step;
    const gsai_config *c = s->config;
    return (struct gsa_staged_step_push){
        .n_tokens = p->n_tokens,
        .first_row = p->first_row,
        .n_rows = p->n_rows,
        .row_vecs = p->row_vecs,
        .x_vecs = p->x_vecs,
        .x_offset = p->x_offset,
        .x_stride = p->x_stride,
        .y_offset = p->y_offset,
        .y_stride = p->y_stride,
        .weighted = p->weighted,
        .width = p->width,
        .eps = p->eps,
        .part_row = a->part->first_row + a->first_row,
        .k_row = c->H * c->K,
        .v_row = (c->H + c->G) * c->K,
        .f_row = (c->H + c->G) * c->K + c->G * c->V,
        .K = c->K,
        .M = c->M,
        .R = c->H / c->G,
        .n_heads = c->H,
        .state_stride = (uint32_t)s->state->at.n_floats,
        .hk = (uint32_t)s->state->at.hk,
        .chunks = s->work->chunks + token * GSA_WORK_STRIDE,
        .token = token,
        .scale = c->scale,
        .normalizer = c->gate_normalizer,
        .map = c->feature_map == GSAI_FEATURE_RELU ? GSA_MAP_RELU : GSA_MAP_SILU,
    };
}

/* Of a part's rows for so many rows of x. */
static gsai_staged_shape default_shape(const gsa_device *dev, const gsai_staged_args *a, uint32_t columns, bool dots)
{
    const gsai_matrix_part *part = a->part;
    const uint32_t n_out = a->swiglu ? part->n_rows / 2 : part->n_rows, K = a->step ? a->step->config->K : 0;
    if (a->step && a->step->one_chunk) return gsai_staged_choose_few(dev, part->type, n_out, a->n_cols, K, a->T);
    gsai_staged_shape s = gsai_staged_choose(dev, part->type, n_out, a->n_cols, a->swiglu, K);
    if (columns > 1) suit_several(dev, a, columns, dots, &s);
    return s;
}

/* That, or for one token what a search has found. */
static gsai_staged_shape choose(
    gsai_recorder *r, const gsai_staged_args *a, const gsai_variant *v, uint32_t columns, bool dots)
{
    const gsai_matrix_part *part = a->part;
    gsai_staged_shape s = default_shape(gsai_recorder_device(r), a, columns, dots);
    if (columns > 1 || (a->step && a->step->one_chunk)) return s;
    const gsai_tunable product = {.variant = v,
        .label = a->label,
        .type = part->type,
        .n_out = a->swiglu ? part->n_rows / 2 : part->n_rows,
        .n_cols = a->n_cols,
        .per = a->swiglu ? 2 : 1,
        .outputs = a->step ? s.outputs : 0,
        .lanes = s.lanes};
    gsai_knobs k = {s.group_size, s.rows, s.unroll, s.split};
    gsai_tune_apply(r, &product, &k);
    s.group_size = k.group_size;
    s.rows = k.rows;
    s.unroll = k.unroll;
    s.split = k.split;
    s.outputs = s.group_size / s.lanes / s.split * s.rows;
    return s;
}

static void record(gsai_recorder *r, const gsai_staged_args *a, uint32_t token, uint32_t n_tokens, bool dots)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_matrix_part *part = a->part;
    const char *const *product = dots ? dots_of_type : product_of_type;
    const char *const *step = dots ? dots_step_of_type : step_of_type;
    const gsai_variant *v = gsai_op_variant(r, a->step ? step[part->type] : product[part->type]);
    if (!v) return;
    const uint32_t row_vecs = (uint32_t)(gsai_matrix_row_bytes(part->type, a->n_cols) / 16);
    const uint32_t n_out = a->swiglu ? a->n_rows / 2 : a->n_rows;
    const uint32_t columns = n_tokens <= 4 ? n_tokens : GSAI_FEW_MAX;
    const gsai_staged_shape s = choose(r, a, v, columns, dots);
    const uint32_t x_vecs = a->n_cols / 4, unroll = columns >= 4 ? 1 : s.unroll;
    const bool staged = dots || is_staged(dev, a, shared_of(dev, &s, a, columns, false));
    const uint32_t spec[] = {s.group_size, columns, s.rows, unroll, s.split, a->swiglu, s.lanes, a->is_normed, staged,
        x_vecs, a->step && a->step->one_chunk};
    const struct gsa_staged_push push = {
        .n_tokens = n_tokens,
        .first_row = a->first_row,
        .n_rows = n_out,
        .row_vecs = row_vecs,
        .x_vecs = x_vecs,
        .x_offset = (uint32_t)((a->x.offset + (uint64_t)token * a->x.stride) / 4),
        .x_stride = a->x.stride / 4,
        .y_offset = (uint32_t)(a->y.offset + (uint64_t)token * a->y.stride + part->first_row + a->first_row),
        .y_stride = a->y.stride,
        .accumulate = a->accumulate,
        .weighted = a->is_normed && a->norm.size > 0,
        .width = a->n_cols,
        .up_rows = a->swiglu ? n_out : 0,
        .act = a->act == GSAI_FFN_POWLU ? GSA_ACT_POWLU : GSA_ACT_SWISH,
        .eps = a->eps,
    };
    gsai_call call = {.label = a->label, .n_bind = 4, .push = &push, .push_bytes = sizeof push};
    call.pipeline = gsai_op_pipeline(r, v, spec, a->step ? 11 : 10, s.lanes);
    if (!call.pipeline || !gsai_op_grid(r, ((uint64_t)n_out + s.outputs - 1) / s.outputs, s.group_size, call.groups))
        return;
    call.bind[0] = GSAI_BIND(part->range, GSAI_READ);
    call.bind[1] = GSAI_BIND(a->x.range, GSAI_READ);
    call.bind[2] = GSAI_BIND(a->y.range, a->accumulate ? GSAI_READ_WRITE : GSAI_WRITE);
    call.bind[3] = GSAI_BIND(a->norm.size > 0 ? a->norm : a->x.range, GSAI_READ);
    call.bytes = (uint64_t)a->n_rows * row_vecs * 16 + (uint64_t)n_tokens * (a->n_cols + n_out) * 4;
    call.flops = 2ull * n_tokens * a->n_rows * a->n_cols;
    struct gsa_staged_step_push with_step;
    if (a->step) {
        const gsai_config *c = a->step->config;
        with_step = step_push(a, &push, token);
        call.push = &with_step;
        call.push_bytes = sizeof with_step;
        call.n_bind = 7;
        call.bind[4] = GSAI_BIND(a->step->state->range, GSAI_READ);
        call.bind[5] = GSAI_BIND(a->step->work->range, GSAI_READ);
        call.bind[6] = GSAI_BIND(a->step->scratch, GSAI_WRITE);
        call.bytes += (uint64_t)n_tokens * c->H * c->K * c->M * 4;
    }
    gsai_recorder_call(r, &call);
}

/* Rows of x at once, for which there is code: x of floats that does not fit shared memory is read where it lies, in fixed
 * point it must fit. A chunk's step is one call, of no more rows than do (gsai_staged_most). */
static uint32_t rows_at_once(const gsa_device *dev, const gsai_staged_args *a, bool dots)
{
    uint32_t n = a->T <= 4 ? a->T : GSAI_FEW_MAX;
    if (a->step && a->step->one_chunk) return n;
    /* Sums of eight rows in each invocation leave no registers, by compilers' statistics: on Intel with eight lanes, nor where
     * blocks meet the step, whose workgroups are of one size. */
    const bool blocks = gsai_type_is_quantised(a->part->type);
    if (n > 4 && dev->caps.few_registers && (dev->caps.subgroup_size <= 8 || (a->step && blocks))) n = 4;
    if (!dots) return n;
    for (; n > 1; n = n == 3 ? 2 : n / 2) {
        const gsai_staged_shape s = default_shape(dev, a, n, true);
        if (shared_of(dev, &s, a, n, true) <= dev->caps.max_shared_bytes) break;
    }
    return n;
}

void gsai_staged_record(gsai_recorder *r, const gsai_staged_args *a)
{
    const bool dots = with_dots(r, a);
    const uint32_t step = rows_at_once(gsai_recorder_device(r), a, dots);
    for (uint32_t t = 0; t < a->T && gsai_recorder_status(r) == GSA_OK; t += step)
        record(r, a, t, a->T - t < step ? a->T - t : step, dots);
}
