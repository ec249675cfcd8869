#include "ops/matmul_cm.h"

#include "ops/op_util.h"
#include "util/status.h"

#include <string.h>

#define OF_TYPES(NAME)                                                                                                 \
    {                                                                                                                  \
        NULL, NAME "_f16", NAME "_bf16", NAME "_q8_0", NAME "_q4_0", NAME "_q4_k", NAME "_q6_k"                        \
    }
#define FOR_TYPES(NAME)                                                                                                \
    {                                                                                                                  \
        NULL, NAME, NAME, NAME, NAME, NAME, NAME                                                                       \
    }
/* Of a kernel, without and with SwiGLU, for weights of a type. */
static const char *const ops[GSAI_N_CM_KERNELS][2][GSAI_N_TYPES] = {
    [GSAI_CM_MANY] = {OF_TYPES("matmul_cm"), OF_TYPES("matmul_cm_swiglu")},
    [GSAI_CM_FEW] = {OF_TYPES("matmul_few"), OF_TYPES("matmul_few_swiglu")},
    [GSAI_CM_PACKED] = {FOR_TYPES("matmul_packed"), FOR_TYPES("matmul_packed_swiglu")}, /* f16 by now */
    [GSAI_CM_PACKED_FEW] = {FOR_TYPES("matmul_packed_few"), FOR_TYPES("matmul_packed_few_swiglu")},
};

bool gsai_matmul_cm_has(const gsa_device *dev, const gsai_matrix *w)
{
    if (w->n_cols % 8 != 0) return false; /* rows of x are whole vectors */
    for (uint32_t i = 0; i < w->n_parts; i++) {
        const char *op = ops[GSAI_CM_MANY][false][w->parts[i].type];
        if (!op || !gsai_variant_pick(dev, op)) return false;
    }
    return true;
}

bool gsai_matmul_cm_has_swiglu(const gsa_device *dev, const gsai_matrix *w)
{
    if (w->n_parts != 1 || w->n_cols % 8 != 0) return false;
    const char *op = ops[GSAI_CM_MANY][true][w->parts[0].type];
    return op && gsai_variant_pick(dev, op);
}

/* Depths are multiples of 64, in which block types are taken apart. Times in microseconds, measured on an H200 with 4 to 128
 * tokens less 3.9 for a product's launch and end; elsewhere their ratios serve to choose. */
static const gsai_cm_tile gpu_tiles[] = {
    {128, 128, 64, 64, 64, 0, 0, 1.330f, 1.330f},
    {64, 128, 64, 64, 32, 0, 0, 0.964f, 0.934f},
    {64, 64, 64, 32, 32, 0, 0, 0.817f, 0.473f},
    {32, 64, 128, 32, 16, 0, 0, 0.434f, 0.416f},
    {64, 64, 128, 32, 32, 0, 0, 0.536f, 0.524f},
    {32, 64, 192, 32, 16, 0, 0, 0.373f, 0.364f},
};
/* Of matmul_few.comp: a step takes 0.3 to 0.6 microseconds, whatever is in it. */
static const gsai_cm_tile few_gpu_tiles[] = {
    {16, 16, 256, 16, 16, 8, 3, 0.126f, 0.145f},
    {16, 16, 256, 16, 16, 8, 4, 0.142f, 0.158f},
    {16, 16, 128, 16, 16, 4, 4, 0.181f, 0.116f},
    {16, 16, 128, 16, 16, 8, 4, 0.167f, 0.110f},
    {16, 32, 128, 16, 16, 8, 4, 0.209f, 0.240f},
    {16, 64, 128, 16, 16, 8, 3, 0.305f, 0.330f},
    {32, 16, 128, 16, 16, 8, 4, 0.202f, 0.221f},
    {32, 32, 128, 16, 16, 8, 3, 0.279f, 0.298f},
    {32, 32, 128, 16, 16, 8, 4, 0.267f, 0.288f},
    {32, 32, 128, 32, 16, 8, 4, 0.265f, 0.285f},
    {64, 16, 128, 16, 16, 8, 3, 0.263f, 0.278f},
    {64, 32, 64, 16, 16, 8, 4, 0.350f, 0.360f},
    {64, 32, 64, 16, 32, 16, 4, 0.414f, 0.430f},
    {64, 64, 64, 32, 16, 16, 4, 0.582f, 0.594f},
    {128, 16, 64, 16, 16, 8, 2, 0.430f, 0.426f},
    {128, 32, 64, 32, 16, 16, 4, 0.609f, 0.627f},
    {16, 16, 256, 16, 16, 8, 2, 0.150f, 0.165f},
    {16, 64, 128, 16, 16, 8, 2, 0.326f, 0.348f},
    {32, 32, 128, 16, 16, 8, 2, 0.293f, 0.315f},
    {64, 16, 128, 16, 16, 8, 2, 0.298f, 0.312f},
};
/* CPU drivers compile every fragment's code one after the other, and gain nothing by the other kernel. */
static const gsai_cm_tile cpu_tiles[] = {{32, 32, 64, 16, 16, 0, 0, 1, 1}};
static const gsai_cm_tile few_cpu_tiles[] = {{16, 16, 64, 8, 8, 4, 2, 1, 1}, {16, 16, 32, 8, 8, 4, 3, 2, 2}};

/* With more tokens the weights are not what counts. */
enum { MOST_OF_FEW = 128 };

const gsai_cm_tile *gsai_matmul_cm_tiles(const gsa_device *dev, bool few, uint32_t *n)
{
    const bool cpu = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;

    if (few) {
        *n = cpu ? sizeof few_cpu_tiles / sizeof *few_cpu_tiles : sizeof few_gpu_tiles / sizeof *few_gpu_tiles;
        return cpu ? few_cpu_tiles : few_gpu_tiles;
    }
    *n = cpu ? sizeof cpu_tiles / sizeof *cpu_tiles : sizeof gpu_tiles / sizeof *gpu_tiles;
    return cpu ? cpu_tiles : gpu_tiles;
}

static uint32_t multiplying(const gsai_cm_tile *t) /* subgroups */
{
    return t->t / t->sub_t * (t->n / t->sub_n);
}

static uint32_t subgroups_of(const gsai_cm_choice *c)
{
    return c->kernel == GSAI_CM_FEW ? c->tile.subgroups : multiplying(&c->tile);
}

/* Registers of an invocation: its sums, its fragments, and what it loads ahead. */
static uint32_t registers_of(const gsai_cm_choice *c)
{
    const gsai_cm_tile *t = &c->tile;
    const uint32_t ahead = t->ahead ? t->ahead : 1;
    const uint32_t sums = t->sub_t * t->sub_n, fragments = (t->sub_t + t->sub_n) * c->frag.k / 2;
    return (sums + fragments + ahead * (t->t + t->n) * t->depth / 2 / subgroups_of(c)) / c->lanes;
}

/* By compilers' statistics: with more, kernels spill on Intel, and more than NVIDIA's largest tile has none was tried. */
enum { MOST_REGISTERS = 224, MOST_OF_FEW_REGISTERS = 76 };

/* Does the device take this tile? Subgroups of matmul_cm.comp are made smaller until what they hold fits the registers. */
static bool fits(const gsa_device *dev, gsai_cm_choice *c, gsai_type type, bool swiglu)
{
    const gsai_caps *caps = &dev->caps;
    const bool few = c->kernel == GSAI_CM_FEW;
    const uint32_t block = gsai_type_is_quantised(type) ? 64 : 8; /* columns read together */
    const uint32_t columns = swiglu && !few ? 2 * c->frag.n : c->frag.n;
    const uint32_t most = caps->few_registers ? MOST_OF_FEW_REGISTERS : MOST_REGISTERS;
    gsai_cm_tile *t = &c->tile;

    while (!few && registers_of(c) > most && (t->sub_t > c->frag.m || t->sub_n > columns)) {
        if (t->sub_t > c->frag.m && (t->sub_t >= t->sub_n || t->sub_n <= columns)) {
            t->sub_t /= 2;
        } else {
            t->sub_n /= 2;
        }
    }
    const uint32_t subgroups = subgroups_of(c), step = (t->t + t->n) * (t->depth / 8 + 1) * 16;
    const uint32_t vectors = few ? 2 * step : step;
    const uint32_t sums = few ? t->t * t->n * 4 : subgroups * c->frag.m * c->frag.n * 4; /* on their way out */
    const uint32_t shared = vectors > sums ? vectors : sums;
    c->group_size = subgroups * c->lanes;
    if (few && caps->device_type != VK_PHYSICAL_DEVICE_TYPE_CPU && registers_of(c) > most) return false;
    return t->sub_t % c->frag.m == 0 && t->sub_n % columns == 0 && t->depth % c->frag.k == 0 && t->depth % block == 0 &&
           multiplying(t) <= subgroups && subgroups <= caps->max_subgroups && c->group_size <= caps->max_invocations &&
           c->group_size <= caps->max_group_size[0] && shared <= caps->max_shared_bytes && (few || sums <= vectors);
}

static bool choice_of(const gsa_device *dev, const gsai_cm_tile *tile, gsai_type type, bool swiglu, gsai_cm_choice *out)
{
    *out = (gsai_cm_choice){
        .kernel = tile->ahead ? GSAI_CM_FEW : GSAI_CM_MANY, .tile = *tile, .lanes = dev->caps.subgroup_size};
    return gsai_caps_matrix_shape(&dev->caps, &out->frag) && fits(dev, out, type, swiglu);
}

bool gsai_matmul_cm_fits(const gsa_device *dev, const gsai_cm_tile *tile, gsai_type type, bool swiglu)
{
    gsai_cm_choice c;
    return choice_of(dev, tile, type, swiglu, &c);
}

/* Which kernels may serve a product. */
typedef struct ladder {
    const gsa_device *dev;
    gsai_type type;
    bool swiglu, many, few, packed, packed_few;
    bool asks_packed; /* for one of these two, however long that takes */
} ladder;

/* Blocks are turned into f16 on the way, unless that was done before: in the products of 2,048 tokens on an H200 it took
 * this much (q4_k and q6_k were not measured). Few tokens wait for memory meanwhile. */
static const float with_turning[GSAI_N_TYPES] = {1, 1, 1, 1.13f, 1.08f, 1.08f, 1.08f};

static double time_of(const ladder *l, const gsai_cm_choice *c, uint32_t T, uint32_t n_rows)
{
    const gsai_cm_tile *t = &c->tile;
    const uint64_t cores = l->dev->caps.n_cores ? l->dev->caps.n_cores : 32;
    const uint64_t groups = ((T + t->t - 1ull) / t->t) * ((n_rows + t->n - 1ull) / t->n);
    const uint64_t turns = (groups + cores - 1) / cores;
    const double time = turns <= 1 ? t->alone : (double)turns * t->each;

    return c->kernel == GSAI_CM_MANY ? time * with_turning[l->type] : time;
}

/* n_rows counts gates and ups. *time: as time_of. */
static bool choose(const ladder *l, uint32_t T, uint32_t n_rows, gsai_cm_choice *out, double *time)
{
    double best = 0;

    for (int few = 0; few < 2; few++) {
        uint32_t n_tiles;
        const gsai_cm_tile *tiles = gsai_matmul_cm_tiles(l->dev, few, &n_tiles);
        if (few ? !l->few || (l->many && T > MOST_OF_FEW) : !l->many) continue;
        for (uint32_t i = 0; i < n_tiles; i++) {
            gsai_cm_choice c;
            if (!choice_of(l->dev, &tiles[i], l->type, l->swiglu, &c)) continue;
            const double of_tile = time_of(l, &c, T, n_rows);
            if (best > 0 && of_tile >= best) continue;
            best = of_tile;
            *out = c;
        }
    }
    *time = best;
    return best > 0;
}

/* Weight rows that fill whole turns of the cores, when a smaller tile does the rest sooner than a turn of its own; else
 * all. Counts gates and ups. */
static uint32_t whole_turns(const ladder *l, const gsai_cm_choice *c, uint32_t T, uint32_t n_rows)
{
    const uint64_t cores = l->dev->caps.n_cores ? l->dev->caps.n_cores : 32;
    const uint64_t tiles_t = (T + c->tile.t - 1ull) / c->tile.t;
    const uint64_t turns = (tiles_t * ((n_rows + c->tile.n - 1ull) / c->tile.n) + cores - 1) / cores;
    const uint64_t rows = (turns - 1) * cores / tiles_t * c->tile.n;
    gsai_cm_choice rest;
    double time;

    if (c->tile.ahead || rows == 0 || rows >= n_rows || !choose(l, T, n_rows - (uint32_t)rows, &rest, &time))
        return n_rows;
    const double all = time_of(l, c, T, n_rows);
    return time_of(l, c, T, (uint32_t)rows) + time < 0.96 * all ? (uint32_t)rows : n_rows;
}

static bool is_packed(const gsai_cm_choice *c)
{
    return c->kernel == GSAI_CM_PACKED || c->kernel == GSAI_CM_PACKED_FEW;
}

static uint32_t blocks_of(uint32_t n_rows, uint32_t block)
{
    return (n_rows + block - 1) / block;
}

/* Tokens first .. first + T - 1 with one pipeline. Of packed operands first is in whole blocks, and so is a->first_row. */
static void record(
    gsai_recorder *r, const gsai_matmul_cm_args *a, const gsai_cm_choice *c, uint32_t first, uint32_t T, bool beside)
{
    const gsai_cm_tile *t = &c->tile;
    const bool packed = is_packed(c), packs_y = a->y.only_in_room;
    const gsai_variant *v = gsai_op_variant(r, ops[c->kernel][a->swiglu][a->part->type]);
    if (!v) return;
    if (packs_y && c->kernel != GSAI_CM_PACKED_FEW) {
        gsai_recorder_fail(
            r, gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: this kernel leaves no rows in the order of fragments", a->label));
        return;
    }
    const gsai_range x = packed ? gsai_matmul_packed_x(r, a, c) : a->x.range;
    const uint32_t each = a->swiglu ? 2 : 1, tile_n = t->n / each;
    const uint32_t block_t = GSAI_CM_BLOCK * c->frag.m, block_n = GSAI_CM_BLOCK * c->frag.n / each;
    const uint32_t columns = packed ? gsai_matmul_packed_columns(c, a->n_cols) : 0;
    const uint32_t row_bytes = packed ? columns * 2 : (uint32_t)gsai_matrix_row_bytes(a->part->type, a->n_cols);
    const struct gsa_matmul_cm_push push = {
        .n_tokens = T,
        .first_row = a->first_row,
        .n_rows = a->n_rows,
        .row_vecs = row_bytes / 16,
        .x_vecs = a->n_cols / 8,
        .x_offset = (uint32_t)((a->x.offset + (uint64_t)first * a->x.stride) / 8),
        .x_stride = a->x.stride / 8,
        .x_block = first / block_t,
        .x_blocks = blocks_of(a->T, block_t),
        .w_block = a->first_row / block_n,
        .w_blocks = blocks_of(a->part->n_rows / each, block_n),
        .y_offset =
            packs_y ? 0 : (uint32_t)(a->y.offset + (uint64_t)first * a->y.stride + a->part->first_row + a->first_row),
        .y_stride = a->y.stride,
        .up_rows = a->swiglu ? a->part->n_rows / 2 : 0,
        .act = a->act == GSAI_FFN_POWLU ? GSA_ACT_POWLU : GSA_ACT_SWISH,
        .column = a->part->first_row + a->first_row,
        .half_columns = a->maps ? a->maps->n_half : 0,
        .relu_columns = a->maps ? a->maps->n_relu : 0,
        .n_rounds = c->parts ? (columns / c->frag.k / c->parts - 1) / t->ahead : 0,
        .y_frags = packs_y ? a->n_rows / c->frag.n : 0,
    };
    /* Fragments are stored whole where tiles and, with maps, the kinds of columns end between them; few tokens never. */
    const bool edges =
        t->ahead > 0 || T % t->t != 0 || a->n_rows % tile_n != 0 || (push.y_offset | push.y_stride) % 8 != 0 ||
        (a->maps && (push.column % 8 || (push.half_columns | push.relu_columns | push.column) % c->frag.n));
    const uint32_t spec[] = {c->group_size, t->t, t->n, c->parts ? c->parts : t->depth, t->sub_t, t->sub_n, c->frag.m,
        c->frag.n, c->frag.k, t->ahead ? t->ahead : 1, edges, a->accumulate, a->maps != NULL, columns, packs_y};
    const bool sized = gsai_caps_has(&gsai_recorder_device(r)->caps, GSAI_CAP_SUBGROUP_SIZE);
    gsai_call call = {.label = a->label, .n_bind = 3, .push = &push, .push_bytes = sizeof push, .beside = beside};
    call.pipeline = gsai_op_pipeline(r, v, spec, sizeof spec / sizeof *spec, sized ? c->lanes : 0);
    const uint64_t n_groups = ((T + t->t - 1ull) / t->t) * ((a->n_rows + tile_n - 1ull) / tile_n);
    if (!call.pipeline || !gsai_op_grid(r, n_groups, c->group_size, call.groups)) return;
    call.bind[0] = GSAI_BIND(packed ? a->part->packed : a->part->range, GSAI_READ);
    call.bind[1] = GSAI_BIND(x, GSAI_READ);
    call.bind[2] = GSAI_BIND(packs_y ? a->y.room : a->y.range, a->accumulate ? GSAI_READ_WRITE : GSAI_WRITE);
    const uint64_t n_rows = (uint64_t)each * a->n_rows;
    call.bytes = n_rows * row_bytes + (uint64_t)T * (a->n_cols * 2 + a->n_rows * (a->swiglu ? 2ull : 4ull));
    call.flops = 2 * T * n_rows * a->n_cols / GSAI_MATRIX_SPEEDUP;
    gsai_recorder_call(r, &call);
}

/* For so many tokens: packed operands where they are at hand and sooner done. Known questions ask for one or the other. */
static bool choose_for(const gsai_matmul_cm_args *a, const ladder *l, uint32_t T, bool may_pack, gsai_cm_choice *out)
{
    const uint32_t n_rows = (a->swiglu ? 2 : 1) * a->n_rows;
    double best;
    if (a->tile) return choice_of(l->dev, a->tile, l->type, l->swiglu, out);
    if (a->in_parts) return gsai_matmul_packed_few_choice(l->dev, a, T, out);
    bool found = choose(l, T, n_rows, out, &best) && !(may_pack && l->asks_packed);
    for (int few = 0; may_pack && few < 2; few++) {
        gsai_cm_choice c;
        if (few ? !l->packed_few || !gsai_matmul_packed_few_choice(l->dev, a, T, &c)
                : !l->packed || !gsai_matmul_packed_choice(l->dev, &c))
            continue;
        if (few && T > MOST_OF_FEW && !l->asks_packed) continue;
        const double time = time_of(l, &c, T, n_rows) + gsai_matmul_packed_x_time(l->dev, a);
        if (found && time >= best) continue;
        best = time;
        found = true;
        *out = c;
    }
    return found;
}

static ladder ladder_for(gsai_recorder *r, const gsai_matmul_cm_args *a)
{
    const gsa_device *dev = gsai_recorder_device(r);
    const gsai_variant *forced = gsai_recorder_forced(r);
    const char *const op[2] = {ops[GSAI_CM_MANY][a->swiglu][a->part->type], ops[GSAI_CM_FEW][a->swiglu][a->part->type]};
    const bool is_cpu = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    ladder l = {.dev = dev, .type = a->part->type, .swiglu = a->swiglu};

    if (forced && (strcmp(forced->op, op[0]) == 0 || strcmp(forced->op, op[1]) == 0)) {
        l.few = strcmp(forced->op, op[1]) == 0;
        l.many = !l.few;
        return l;
    }
    l.many = gsai_variant_pick(dev, op[0]) != NULL;
    l.few = !is_cpu && gsai_variant_pick(dev, op[1]) != NULL;
    const bool asks_few = forced && strncmp(forced->op, "matmul_packed_few", 17) == 0;
    l.asks_packed = forced && strncmp(forced->op, "matmul_pack", 11) == 0;
    l.packed = !asks_few;
    l.packed_few = asks_few || (!l.asks_packed && (!is_cpu || a->in_parts));
    if (a->x.only_in_room) l.many = l.few = false;
    return l;
}

static bool packed_serves(const ladder *l, const gsai_matmul_cm_args *a, gsai_cm_choice *packed)
{
    return (l->packed || l->packed_few) && gsai_matmul_packed_choice(l->dev, packed) &&
           gsai_matmul_packed_serves(l->dev, packed, a);
}

static bool few_serves(gsai_recorder *r, const gsai_matmul_cm_args *a, gsai_cm_choice *c)
{
    const ladder l = ladder_for(r, a);
    return a->in_parts && !a->tile && l.packed_few && packed_serves(&l, a, c) &&
           gsai_matmul_packed_few_choice(l.dev, a, a->T, c);
}

bool gsai_matmul_cm_in_parts(gsai_recorder *r, const gsai_matmul_cm_args *a)
{
    gsai_cm_choice c;
    return few_serves(r, a, &c);
}

bool gsai_matmul_cm_leaves_packed(gsai_recorder *r, const gsai_matmul_cm_args *a)
{
    gsai_cm_choice c;
    return few_serves(r, a, &c) && c.frag.n == c.frag.k && a->n_rows % gsai_matmul_packed_columns(&c, 1) == 0;
}

/* One call of those that make up a product; with reads it is only noted. */
static void take(gsai_recorder *r, const gsai_matmul_cm_args *a, const gsai_cm_choice *c, uint32_t first, uint32_t T,
    bool beside, bool *reads)
{
    const bool packed_x = is_packed(c);

    if (!reads) {
        record(r, a, c, first, T, beside);
        return;
    }
    reads[packed_x] = true;
    *a->has_packed_x = *a->has_packed_x || packed_x;
}

static void product(gsai_recorder *r, const gsai_matmul_cm_args *a, bool *reads)
{
    const ladder l = ladder_for(r, a);
    const uint32_t each = a->swiglu ? 2 : 1; /* weight rows of an output */
    bool has_packed_x = false;
    gsai_cm_choice c, packed;
    double time;
    gsai_matmul_cm_args run = *a;
    if (!run.has_packed_x) run.has_packed_x = &has_packed_x;
    if (a->x.in_room) *run.has_packed_x = true;
    const bool packs = packed_serves(&l, a, &packed);
    run.in_parts = gsai_matmul_cm_in_parts(r, a);

    /* Whole tiles of tokens first: they need no care at their edges. */
    for (uint32_t first = 0; first < a->T && gsai_recorder_status(r) == GSA_OK;) {
        const uint32_t left = a->T - first;
        const bool may_pack = packs && first % packed.tile.sub_t == 0;
        run.first_row = a->first_row;
        run.n_rows = a->n_rows;
        if (!choose_for(&run, &l, left, may_pack, &c)) {
            gsai_recorder_fail(r, gsai_fail(GSA_ERROR_UNSUPPORTED,
                                      "%s: no tile of a kernel for matrix units fits this device", a->label));
            return;
        }
        const uint32_t n = left >= c.tile.t && !c.tile.ahead ? left / c.tile.t * c.tile.t : left;
        run.n_rows = a->tile || run.in_parts ? a->n_rows : whole_turns(&l, &c, n, each * a->n_rows) / each;
        take(r, &run, &c, first, n, false, reads);
        if (run.n_rows < a->n_rows) {
            run.first_row += run.n_rows;
            run.n_rows = a->n_rows - run.n_rows;
            choose(&l, n, each * run.n_rows, &c, &time);
            take(r, &run, &c, first, n, true, reads);
        }
        first += n;
    }
}

void gsai_matmul_cm(gsai_recorder *r, const gsai_matmul_cm_args *a)
{
    product(r, a, NULL);
}

void gsai_matmul_cm_reads(gsai_recorder *r, const gsai_matmul_cm_args *a, bool reads[2])
{
    product(r, a, reads);
}
