#include "ops/matmul_cm.h"

#include "ops/op_util.h"
#include "util/status.h"

static const char *const plain_of_type[GSAI_N_TYPES] = {
    NULL, "matmul_cm_f16", "matmul_cm_bf16", "matmul_cm_q8_0", "matmul_cm_q4_0", "matmul_cm_q4_k", "matmul_cm_q6_k"};
static const char *const swiglu_of_type[GSAI_N_TYPES] = {NULL, "matmul_cm_swiglu_f16", "matmul_cm_swiglu_bf16",
    "matmul_cm_swiglu_q8_0", "matmul_cm_swiglu_q4_0", "matmul_cm_swiglu_q4_k", "matmul_cm_swiglu_q6_k"};

bool gsai_matmul_cm_has(const gsa_device *dev, const gsai_matrix *w)
{
    if (w->n_cols % 8 != 0) return false; /* rows of x are whole vectors */
    for (uint32_t i = 0; i < w->n_parts; i++) {
        const char *op = plain_of_type[w->parts[i].type];
        if (!op || !gsai_variant_pick(dev, op)) return false;
    }
    return true;
}

bool gsai_matmul_cm_has_swiglu(const gsa_device *dev, const gsai_matrix *w)
{
    if (w->n_parts != 1 || w->n_cols % 8 != 0) return false;
    const char *op = swiglu_of_type[w->parts[0].type];
    return op && gsai_variant_pick(dev, op);
}

/* Depths are multiples of 64, in which block types are taken apart. Times in microseconds on an H200; elsewhere their
 * ratios serve to choose. A row's bits are the same from all of them. Those of the deep tiles, whose steps have more bytes
 * on the way, are predictions. */
static const gsai_cm_tile gpu_tiles[] = {
    {128, 128, 64, 64, 64, 1.05f, 1.31f},
    {64, 128, 64, 64, 32, 0.76f, 0.74f},
    {64, 64, 64, 32, 32, 0.49f, 0.41f},
    {32, 64, 128, 32, 16, 0.37f, 0.33f},
    {64, 64, 128, 32, 32, 0.34f, 0.42f},
    {32, 64, 192, 32, 16, 0.29f, 0.34f},
};
/* CPU drivers compile every fragment's code one after the other. */
static const gsai_cm_tile cpu_tiles[] = {{32, 32, 64, 16, 16, 1, 1}};

/* Registers of an invocation: its sums, its fragments, and what it loads ahead for the next step. */
static uint32_t registers_of(const gsai_cm_choice *c)
{
    const gsai_cm_tile *t = &c->tile;
    const uint32_t subgroups = t->t / t->sub_t * (t->n / t->sub_n);
    const uint32_t sums = t->sub_t * t->sub_n, fragments = (t->sub_t + t->sub_n) * c->frag.k / 2;
    return (sums + fragments + (t->t + t->n) * t->depth / 2 / subgroups) / c->lanes;
}

/* By compilers' statistics: with more, kernels spill on Intel, and more than NVIDIA's largest tile has none was tried. */
enum { MOST_REGISTERS = 224, MOST_OF_FEW_REGISTERS = 76 };

/* Does the device take this tile? Its subgroups are made smaller until what they hold fits the registers. */
static bool fits(const gsa_device *dev, gsai_cm_choice *c, bool swiglu)
{
    const gsai_caps *caps = &dev->caps;
    const uint32_t columns = swiglu ? 2 * c->frag.n : c->frag.n;
    const uint32_t registers = caps->few_registers ? MOST_OF_FEW_REGISTERS : MOST_REGISTERS;
    gsai_cm_tile *t = &c->tile;

    while (registers_of(c) > registers && (t->sub_t > c->frag.m || t->sub_n > columns)) {
        if (t->sub_t > c->frag.m && (t->sub_t >= t->sub_n || t->sub_n <= columns)) {
            t->sub_t /= 2;
        } else {
            t->sub_n /= 2;
        }
    }
    c->group_size = t->t / t->sub_t * (t->n / t->sub_n) * c->lanes;
    const uint32_t shared = (t->t + t->n) * (t->depth / 8 + 1) * 16;
    const uint32_t staged = c->group_size / c->lanes * c->frag.m * c->frag.n * 4;
    return t->sub_t % c->frag.m == 0 && t->sub_n % columns == 0 && t->depth % c->frag.k == 0 &&
           c->group_size / c->lanes <= caps->max_subgroups && c->group_size <= caps->max_invocations &&
           c->group_size <= caps->max_group_size[0] && shared <= caps->max_shared_bytes && staged <= shared;
}

static double time_of(const gsa_device *dev, const gsai_cm_tile *t, uint32_t T, uint32_t n_rows)
{
    const uint64_t cores = dev->caps.n_cores ? dev->caps.n_cores : 32;
    const uint64_t groups = ((T + t->t - 1ull) / t->t) * ((n_rows + t->n - 1ull) / t->n);
    const uint64_t turns = (groups + cores - 1) / cores;

    return turns <= 1 ? t->alone : (double)turns * t->each;
}

/* n_rows counts gates and ups. *time: as time_of. */
static bool choose(const gsa_device *dev, uint32_t T, uint32_t n_rows, bool swiglu, gsai_cm_choice *out, double *time)
{
    const bool cpu = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    const gsai_cm_tile *tiles = cpu ? cpu_tiles : gpu_tiles;
    const uint32_t n_tiles = cpu ? sizeof cpu_tiles / sizeof *cpu_tiles : sizeof gpu_tiles / sizeof *gpu_tiles;
    double best = 0;

    for (uint32_t i = 0; i < n_tiles; i++) {
        gsai_cm_choice c = {.tile = tiles[i], .lanes = dev->caps.subgroup_size};
        if (!gsai_caps_matrix_shape(&dev->caps, &c.frag) || !fits(dev, &c, swiglu)) continue;
        const double of_tile = time_of(dev, &c.tile, T, n_rows);
        if (best > 0 && of_tile >= best) continue;
        best = of_tile;
        *out = c;
    }
    *time = best;
    return best > 0;
}

/* Weight rows that fill whole turns of the cores, when a smaller tile does the rest sooner than a turn of its own; else
 * all. Counts gates and ups. */
static uint32_t whole_turns(const gsa_device *dev, const gsai_cm_choice *c, uint32_t T, uint32_t n_rows, bool swiglu)
{
    const uint64_t cores = dev->caps.n_cores ? dev->caps.n_cores : 32, tiles_t = (T + c->tile.t - 1ull) / c->tile.t;
    const uint64_t turns = (tiles_t * ((n_rows + c->tile.n - 1ull) / c->tile.n) + cores - 1) / cores;
    const uint64_t rows = (turns - 1) * cores / tiles_t * c->tile.n;
    gsai_cm_choice rest;
    double time;

    if (rows == 0 || rows >= n_rows || !choose(dev, T, n_rows - (uint32_t)rows, swiglu, &rest, &time)) return n_rows;
    const double all = time_of(dev, &c->tile, T, n_rows);
    return time_of(dev, &c->tile, T, (uint32_t)rows) + time < 0.96 * all ? (uint32_t)rows : n_rows;
}

/* Tokens first .. first + T - 1 with one pipeline. */
static void record(gsai_recorder *r, const gsai_matmul_cm_args *a, const gsai_variant *v, const gsai_cm_choice *c,
    uint32_t first, uint32_t T, bool beside)
{
    const gsai_cm_tile *t = &c->tile;
    const uint32_t tile_n = a->swiglu ? t->n / 2 : t->n,
                   row_vecs = (uint32_t)(gsai_matrix_row_bytes(a->part->type, a->n_cols) / 16);
    const struct gsa_matmul_cm_push push = {
        .n_tokens = T,
        .first_row = a->first_row,
        .n_rows = a->n_rows,
        .row_vecs = row_vecs,
        .x_vecs = a->n_cols / 8,
        .x_offset = (uint32_t)((a->x.offset + (uint64_t)first * a->x.stride) / 8),
        .x_stride = a->x.stride / 8,
        .y_offset = (uint32_t)(a->y.offset + (uint64_t)first * a->y.stride + a->part->first_row + a->first_row),
        .y_stride = a->y.stride,
        .up_rows = a->swiglu ? a->part->n_rows / 2 : 0,
        .act = a->act == GSAI_FFN_POWLU ? GSA_ACT_POWLU : GSA_ACT_SWISH,
        .column = a->part->first_row + a->first_row,
        .half_columns = a->maps ? a->maps->n_half : 0,
        .relu_columns = a->maps ? a->maps->n_relu : 0,
    };
    /* Fragments are stored whole where tiles and, with maps, the kinds of columns end between them. */
    const bool edges =
        T % t->t != 0 || a->n_rows % tile_n != 0 || (push.y_offset | push.y_stride) % 8 != 0 ||
        (a->maps && (push.column % 8 || (push.half_columns | push.relu_columns | push.column) % c->frag.n));
    const uint32_t spec[] = {c->group_size, t->t, t->n, t->depth, t->sub_t, t->sub_n, c->frag.m, c->frag.n, c->frag.k,
        1, edges, a->accumulate, a->maps != NULL};
    const bool sized = gsai_caps_has(&gsai_recorder_device(r)->caps, GSAI_CAP_SUBGROUP_SIZE);
    gsai_call call = {.label = a->label, .n_bind = 3, .push = &push, .push_bytes = sizeof push, .beside = beside};
    call.pipeline = gsai_op_pipeline(r, v, spec, 13, sized ? c->lanes : 0);
    const uint64_t n_groups = ((T + t->t - 1ull) / t->t) * ((a->n_rows + tile_n - 1ull) / tile_n);
    if (!call.pipeline || !gsai_op_grid(r, n_groups, c->group_size, call.groups)) return;
    call.bind[0] = GSAI_BIND(a->part->range, GSAI_READ);
    call.bind[1] = GSAI_BIND(a->x.range, GSAI_READ);
    call.bind[2] = GSAI_BIND(a->y.range, a->accumulate ? GSAI_READ_WRITE : GSAI_WRITE);
    const uint64_t n_rows = a->swiglu ? 2ull * a->n_rows : a->n_rows;
    call.bytes = n_rows * row_vecs * 16 + (uint64_t)T * (a->n_cols * 2 + a->n_rows * (a->swiglu ? 2ull : 4ull));
    call.flops = 2 * T * n_rows * a->n_cols / GSAI_MATRIX_SPEEDUP;
    gsai_recorder_call(r, &call);
}

/* For so many tokens: packed operands where they are at hand and sooner done. Known questions ask for one or the other. */
static bool choose_either(const gsa_device *dev, const gsai_matmul_cm_args *a, uint32_t T, const gsai_cm_choice *packed,
    bool is_asked_for, gsai_cm_choice *out)
{
    const uint32_t n_rows = a->swiglu ? 2 * a->n_rows : a->n_rows;
    double time;
    const bool found = choose(dev, T, n_rows, a->swiglu, out, &time);
    if (!packed) return found;
    const double of_packed = time_of(dev, &packed->tile, T, n_rows) + gsai_matmul_packed_x_time(dev, a);
    if (!found || is_asked_for || of_packed < time) *out = *packed;
    return true;
}

void gsai_matmul_cm(gsai_recorder *r, const gsai_matmul_cm_args *a)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_variant *v = gsai_op_variant(r, (a->swiglu ? swiglu_of_type : plain_of_type)[a->part->type]);
    const gsai_variant *forced = gsai_recorder_forced(r);
    const uint32_t each = a->swiglu ? 2 : 1; /* weight rows of an output */
    bool has_packed_x = false;
    gsai_cm_choice c, packed;
    double time;
    if (!v) return;
    gsai_matmul_cm_args run = *a;
    if (!run.has_packed_x) run.has_packed_x = &has_packed_x;
    const bool packs =
        v != forced && gsai_matmul_packed_choice(dev, &packed) && gsai_matmul_packed_serves(dev, &packed, a);

    /* Whole tiles of tokens first: they need no care at their edges. */
    for (uint32_t first = 0; first < a->T && gsai_recorder_status(r) == GSA_OK;) {
        const uint32_t left = a->T - first;
        const bool may_pack = packs && first % packed.tile.sub_t == 0;
        run.first_row = a->first_row;
        run.n_rows = a->n_rows;
        if (!choose_either(dev, &run, left, may_pack ? &packed : NULL, forced != NULL, &c)) {
            gsai_recorder_fail(
                r, gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: no tile of kernel %s fits this device", a->label, v->shader));
            return;
        }
        const uint32_t n = left >= c.tile.t ? left / c.tile.t * c.tile.t : left;
        run.n_rows = whole_turns(dev, &c, n, each * a->n_rows, a->swiglu) / each;
        if (c.is_packed) {
            gsai_matmul_packed(r, &run, &c, first, n);
        } else {
            record(r, &run, v, &c, first, n, false);
        }
        if (run.n_rows < a->n_rows) {
            run.first_row += run.n_rows;
            run.n_rows = a->n_rows - run.n_rows;
            choose(dev, n, each * run.n_rows, a->swiglu, &c, &time);
            record(r, &run, v, &c, first, n, true);
        }
        first += n;
    }
}
