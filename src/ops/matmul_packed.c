/* Products on matrix units whose operands lie in the order of fragments (matmul_pack.comp, matmul_packed.comp). */
#include "ops/matmul_cm.h"
#include "ops/op_util.h"
#include "util/status.h"

enum { STEP = 2, BLOCK = GSAI_CM_BLOCK }; /* fragments along the columns of a step, along the rows of a block */

static const char *const pack_of_type[GSAI_N_TYPES] = {NULL, "matmul_pack_f16", "matmul_pack_bf16", "matmul_pack_q8_0",
    "matmul_pack_q4_0", "matmul_pack_q4_k", "matmul_pack_q6_k"};

/* Times as in matmul_cm.c, by the same measurement on an H200: the products of a layer of 2048 columns in 676 us, where
 * rows through shared memory take 964. A step of more than two fragments, or subgroups of more, spill. */
static const gsai_cm_tile gpu_tile = {128, 128, 0, 64, 64, 0, 0, 1.27f, 0.92f};
/* CPU drivers: for those who ask for it. */
static const gsai_cm_tile cpu_tile = {64, 64, 0, 32, 32, 0, 0, 0.5f, 0.5f};

bool gsai_matmul_packed_choice(const gsa_device *dev, gsai_cm_choice *out)
{
    const gsai_caps *caps = &dev->caps;
    gsai_cm_choice c = {.kernel = GSAI_CM_PACKED, .lanes = caps->subgroup_size};

    c.tile = caps->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU ? cpu_tile : gpu_tile;
    const gsai_cm_tile *t = &c.tile;
    if (caps->few_registers || !gsai_caps_matrix_shape(caps, &c.frag) || !gsai_variant_pick(dev, "matmul_pack_x") ||
        !gsai_variant_pick(dev, "matmul_packed") || !gsai_variant_pick(dev, "matmul_packed_swiglu"))
        return false;
    const uint32_t subgroups = t->t / t->sub_t * (t->n / t->sub_n), most = BLOCK > subgroups ? BLOCK : subgroups;
    c.group_size = subgroups * c.lanes;
    *out = c;
    /* A lane has whole vectors of a fragment, a subgroup whole blocks. */
    return c.frag.m * c.frag.k / 8 % c.lanes == 0 && c.frag.n * c.frag.k / 8 % c.lanes == 0 && 64 % c.frag.k == 0 &&
           t->sub_t % (BLOCK * c.frag.m) == 0 && t->sub_n % (BLOCK * c.frag.n) == 0 && most <= caps->max_subgroups &&
           most * c.lanes <= caps->max_invocations && most * c.lanes <= caps->max_group_size[0];
}

/* For few tokens, up to so many. */
enum { N_WIDTHS = 4 };
static const uint32_t widths[N_WIDTHS] = {16, 32, 64, 128};
/* Without and with gates and ups. Times as in matmul_cm.c, of 6,400 and 11,264 rows. */
static const gsai_cm_tile few_tiles[2][N_WIDTHS] = {
    {{16, 64, 0, 16, 16, 0, 8, 0.331f, 0.331f}, {32, 32, 0, 16, 16, 0, 8, 0.3f, 0.181f},
        {64, 32, 0, 32, 16, 0, 8, 0.3f, 0.198f}, {64, 64, 0, 32, 32, 0, 5, 0.4f, 0.297f}},
    {{16, 64, 0, 16, 32, 0, 8, 0.4f, 0.234f}, {32, 64, 0, 16, 32, 0, 8, 0.4f, 0.248f},
        {64, 32, 0, 32, 32, 0, 6, 0.3f, 0.201f}, {64, 96, 0, 32, 32, 0, 4, 0.5f, 0.389f}},
};
/* In parts of the columns: of matrices whose fragments' rows are more than the cores, of others, and of gates and ups.
 * From a search of thousands on an H200, of 6,400, 2,048 and 11,264 rows. Where rows are few, more parts are on their way. */
enum { WIDE, NARROW, GATED, N_KINDS };
static const struct part_tile {
    uint32_t t, n, sub_t, sub_n, ahead, parts;
} part_tiles[N_KINDS][N_WIDTHS] = {
    [WIDE] = {{16, 16, 16, 16, 6, 4}, {32, 16, 32, 16, 4, 4}, {64, 32, 32, 32, 6, 2}, {64, 64, 32, 64, 4, 2}},
    [NARROW] = {{16, 16, 16, 16, 8, 8}, {32, 16, 16, 16, 8, 8}, {64, 16, 32, 16, 4, 8}, {64, 32, 32, 32, 5, 4}},
    [GATED] = {{16, 32, 16, 32, 4, 4}, {32, 32, 16, 32, 6, 2}, {64, 32, 32, 32, 4, 2}, {64, 96, 32, 32, 4, 1}},
};

/* CPU drivers compile every fragment's code one after the other, and have small ones. */
static gsai_cm_tile cpu_few_tile(const gsai_coopmat_shape *frag)
{
    return (gsai_cm_tile){2 * frag->m, 4 * frag->n, 0, 2 * frag->m, 2 * frag->n, 0, 2, 0.5f, 0.5f};
}

static void take_few_tile(const gsa_device *dev, const gsai_matmul_cm_args *a, uint32_t T, gsai_cm_choice *c)
{
    const uint32_t cores = dev->caps.n_cores ? dev->caps.n_cores : 32;
    const int kind = a->swiglu ? GATED : a->part->n_rows / c->frag.n > cores ? WIDE : NARROW;
    int width = 0;

    while (width < N_WIDTHS - 1 && T > widths[width]) width++;
    const struct part_tile *p = &part_tiles[kind][width];
    c->tile = a->in_parts ? (gsai_cm_tile){p->t, p->n, 0, p->sub_t, p->sub_n, 0, p->ahead, 0, 0}
                          : few_tiles[a->swiglu][width];
    c->parts = a->in_parts ? p->parts : 1;
    if (dev->caps.device_type != VK_PHYSICAL_DEVICE_TYPE_CPU) return;
    c->tile = cpu_few_tile(&c->frag);
    if (a->in_parts) c->parts = 2;
}

/* Registers of an invocation by compilers' statistics: its sums, what it multiplies, and what is on its way. */
enum { MOST_FEW_REGISTERS = 216 };

static uint32_t few_registers(const gsai_cm_choice *c)
{
    const gsai_cm_tile *t = &c->tile;
    return (t->sub_t * t->sub_n + (t->ahead + 1) * (t->sub_t + t->sub_n) * c->frag.k / 2) / c->lanes;
}

bool gsai_matmul_packed_few_choice(const gsa_device *dev, const gsai_matmul_cm_args *a, uint32_t T, gsai_cm_choice *out)
{
    const gsai_caps *caps = &dev->caps;
    gsai_cm_choice c;

    if (!gsai_matmul_packed_choice(dev, &c) ||
        !gsai_variant_pick(dev, a->swiglu ? "matmul_packed_few_swiglu" : "matmul_packed_few"))
        return false;
    take_few_tile(dev, a, T, &c);
    gsai_cm_tile *t = &c.tile;
    c.kernel = GSAI_CM_PACKED_FEW;
    while (gsai_matmul_packed_columns(&c, a->n_cols) / c.frag.k % c.parts != 0) c.parts /= 2;
    while (few_registers(&c) > MOST_FEW_REGISTERS && t->ahead > 1) t->ahead--;
    const uint32_t subgroups = t->t / t->sub_t * (t->n / t->sub_n) * c.parts;
    const uint32_t sums = (c.parts > 1 ? c.parts / 2 : 1) * t->t * t->n * 4, halves = t->t * t->n;
    c.group_size = subgroups * c.lanes;
    *out = c;
    return t->sub_t % c.frag.m == 0 && t->sub_n % (c.frag.n * (a->swiglu ? 2 : 1)) == 0 &&
           subgroups <= caps->max_subgroups && c.group_size <= caps->max_invocations &&
           c.group_size <= caps->max_group_size[0] && sums + halves <= caps->max_shared_bytes;
}

bool gsai_packing_of(const gsa_device *dev, gsai_packing *out)
{
    gsai_cm_choice c;

    if (dev->is_cpu_reference || !gsai_matmul_packed_choice(dev, &c)) return false;
    *out = (gsai_packing){BLOCK * c.frag.m, BLOCK * c.frag.n, STEP * c.frag.k, 0};
    for (int type = 0; type < GSAI_N_TYPES; type++)
        if (pack_of_type[type] && gsai_variant_pick(dev, pack_of_type[type])) out->types |= 1u << type;
    return true;
}

static void use(gsa_device *dev, const char *op)
{
    const gsai_variant *v = gsai_variant_pick(dev, op);
    if (v) dev->variant_used[v - gsai_variants] = 1;
}

void gsai_packing_use(gsa_device *dev, const gsai_packing *p)
{
    use(dev, "matmul_pack_x");
    use(dev, "matmul_packed");
    use(dev, "matmul_packed_swiglu");
    use(dev, "matmul_packed_few");
    use(dev, "matmul_packed_few_swiglu");
    for (int type = 0; type < GSAI_N_TYPES; type++)
        if (p->types >> type & 1) use(dev, pack_of_type[type]);
}

bool gsai_packing_has(const gsai_packing *p, gsai_type type, uint32_t n_cols)
{
    return (p->types >> type & 1) && n_cols % 8 == 0;
}

uint64_t gsai_packed_bytes(const gsai_packing *p, uint32_t n_rows, uint32_t n_cols, bool in_pairs)
{
    const uint32_t each = in_pairs ? 2 : 1;
    return each * gsai_round_up(n_rows / each, p->rows / each) * gsai_round_up(n_cols, p->columns) * 2;
}

uint32_t gsai_matmul_packed_columns(const gsai_cm_choice *c, uint32_t n_cols)
{
    return (uint32_t)gsai_round_up(n_cols, STEP * c->frag.k);
}

typedef struct image {
    gsai_range rows, to;
    uint32_t offset, stride, n_cols; /* of the rows, in 16-byte vectors but for the columns */
    uint32_t n_rows, half_rows, n_blocks;
    uint32_t frag_rows;
    const char *op, *label;
} image;

static void pack(gsai_recorder *r, const gsai_cm_choice *c, const image *m)
{
    const gsai_variant *v = gsai_op_variant(r, m->op);
    const uint32_t group_size = BLOCK * c->lanes;
    const uint64_t columns = gsai_matmul_packed_columns(c, m->n_cols);
    const struct gsa_matmul_pack_push push = {.src_offset = m->offset,
        .row_vecs = m->stride,
        .col_vecs = m->n_cols / 8,
        .n_rows = m->n_rows,
        .half_rows = m->half_rows,
        .n_blocks = m->n_blocks,
        .n_frags = (uint32_t)(columns / c->frag.k)};
    const uint32_t spec[] = {group_size, m->frag_rows, c->frag.k};
    const bool sized = gsai_caps_has(&gsai_recorder_device(r)->caps, GSAI_CAP_SUBGROUP_SIZE);
    gsai_call call = {.label = m->label, .n_bind = 2, .push = &push, .push_bytes = sizeof push};
    if (!v) return;
    call.pipeline = gsai_op_pipeline(r, v, spec, 3, sized ? c->lanes : 0);
    if (!call.pipeline || !gsai_op_grid(r, m->n_blocks * ((columns + 63) / 64), group_size, call.groups)) return;
    call.bind[0] = GSAI_BIND(m->rows, GSAI_READ);
    call.bind[1] = GSAI_BIND(m->to, GSAI_WRITE);
    call.bytes = 2 * m->n_blocks * BLOCK * m->frag_rows * columns * 2;
    gsai_recorder_call(r, &call);
}

void gsai_op_pack(gsai_recorder *r, const gsai_matrix_part *part, uint32_t n_cols)
{
    const gsa_device *dev = gsai_recorder_device(r);
    gsai_cm_choice c;
    gsai_packing p;
    if (!gsai_matmul_packed_choice(dev, &c) || !gsai_packing_of(dev, &p) || !gsai_packing_has(&p, part->type, n_cols)) {
        gsai_recorder_fail(r, gsai_fail(GSA_ERROR_UNSUPPORTED, "pack: this device has no products of packed rows"));
        return;
    }
    const uint32_t block = BLOCK * c.frag.n, each = part->in_pairs ? 2 : 1;
    const image m = {.rows = part->range,
        .to = part->packed,
        .stride = (uint32_t)(gsai_matrix_row_bytes(part->type, n_cols) / 16),
        .n_cols = n_cols,
        .n_rows = part->n_rows,
        .half_rows = part->in_pairs ? part->n_rows / 2 : 0,
        .n_blocks = (part->n_rows / each + block / each - 1) / (block / each),
        .frag_rows = c.frag.n,
        .op = pack_of_type[part->type],
        .label = "pack weights"};
    pack(r, &c, &m);
}

static uint64_t room_for(const gsai_cm_choice *c, const gsai_matmul_cm_args *a)
{
    return gsai_round_up(a->T, BLOCK * c->frag.m) * gsai_matmul_packed_columns(c, a->n_cols) * 2;
}

bool gsai_matmul_packed_serves(const gsa_device *dev, const gsai_cm_choice *c, const gsai_matmul_cm_args *a)
{
    const uint32_t each = a->swiglu ? 2 : 1;
    return a->part->packed.size > 0 && a->part->in_pairs == a->swiglu &&
           each * a->first_row % (BLOCK * c->frag.n) == 0 && a->x.room.size >= room_for(c, a) &&
           a->x.room.offset % dev->caps.offset_align == 0;
}

/* On the H200 of the other times: a launch and what waits for it, then 3 TB/s. */
double gsai_matmul_packed_x_time(const gsa_device *dev, const gsai_matmul_cm_args *a)
{
    if (*a->has_packed_x || dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) return 0;
    return (3 + 4.0 * a->T * a->n_cols / 3e6) * 64 / a->n_cols;
}

gsai_range gsai_matmul_packed_x(gsai_recorder *r, const gsai_matmul_cm_args *a, const gsai_cm_choice *c)
{
    const uint32_t block = BLOCK * c->frag.m;
    const image m = {.rows = a->x.range,
        .to = {a->x.room.buffer, a->x.room.offset, room_for(c, a)},
        .offset = a->x.offset / 8,
        .stride = a->x.stride / 8,
        .n_cols = a->n_cols,
        .n_rows = a->T,
        .n_blocks = (a->T + block - 1) / block,
        .frag_rows = c->frag.m,
        .op = "matmul_pack_x",
        .label = "pack tokens"};
    if (!*a->has_packed_x) pack(r, c, &m);
    *a->has_packed_x = true;
    return m.to;
}
