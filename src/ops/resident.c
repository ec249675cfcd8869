#include "ops/resident.h"

#include "ops/mixer.h"
#include "ops/op_util.h"
#include "ops/staged.h"
#include "util/status.h"

#include "common/resident.h"

#include <string.h>

#define PRODUCTS   GSA_RESIDENT_PRODUCTS
#define LAST       (PRODUCTS - 1) /* the product whose x may come in windows */
#define LEAST_TILE 8u             /* of the key memory, see gsa_step.c */

static const char *const op_of_type[GSAI_N_TYPES] = {"resident_f32", "resident_f16", "resident_bf16", "resident_q8_0",
    "resident_q4_0", "resident_q4_k", "resident_q6_k"};

const gsai_variant *gsai_resident_variant(const gsa_device *dev, gsai_type type)
{
    return gsai_variant_pick(dev, op_of_type[type]);
}

/* --- what a product looks like --- */

typedef struct product {
    const gsai_matrix *w;
    gsai_staged_shape plain; /* how the plain pass sums it */
    bool is_normed, swiglu;
    uint32_t n_pairs, split_log, loads;
} product;

static uint32_t log2_of(uint32_t n)
{
    uint32_t log = 0;
    while (n >> (log + 1)) log++;
    return log;
}

static void products_of(const gsa_device *dev, const gsai_config *c, const gsai_resident_layer *l, product p[PRODUCTS])
{
    const product all[PRODUCTS] = {{.w = l->qkvf, .is_normed = true}, {.w = l->o, .is_normed = true},
        {.w = l->gate_up, .is_normed = true, .swiglu = true}, {.w = l->down}};
    for (uint32_t i = 0; i < PRODUCTS; i++) {
        const gsai_type type = all[i].w->parts[0].type;
        p[i] = all[i];
        p[i].n_pairs = p[i].w->n_rows / 2;
        p[i].plain = gsai_staged_choose(
            dev, type, p[i].swiglu ? p[i].n_pairs : p[i].w->n_rows, p[i].w->n_cols, p[i].swiglu, i == 0 ? c->K : 0);
        p[i].split_log = log2_of(p[i].plain.split);
        const uint32_t team = p[i].plain.lanes * p[i].plain.split;
        p[i].loads = (gsai_matrix_row_units(type, p[i].w->n_cols) + team - 1) / team;
    }
}

/* --- the phases of a layer --- */

typedef struct phase {
    uint32_t product, batch;
    uint32_t first_load, loads; /* of a lane in a row */
    uint32_t window;            /* GSA_RESIDENT_PART and others */
} phase;

/* The first load of window i. */
static uint32_t window_begin(const gsai_resident_shape *s, uint32_t i)
{
    const uint32_t steps = (s->loads[LAST] + s->window_step - 1) / s->window_step;
    const uint32_t begin = steps * i / s->windows * s->window_step;
    return begin < s->loads[LAST] ? begin : s->loads[LAST];
}

static phase phase_of(const gsai_resident_shape *s, uint32_t i)
{
    if (i < LAST || s->windows == 1) return (phase){.product = i, .loads = s->loads[i]};
    const uint32_t batch = (i - LAST) / s->windows, window = (i - LAST) % s->windows, first = window_begin(s, window);
    return (phase){.product = LAST,
        .batch = batch,
        .first_load = first,
        .loads = window_begin(s, window + 1) - first,
        .window = GSA_RESIDENT_PART | (window > 0 ? GSA_RESIDENT_GOES_ON : 0) |
                  (window + 1 < s->windows ? GSA_RESIDENT_MORE : 0)};
}

/* Units of a row that a phase begins with and has, and the same in vecs of x. */
typedef struct columns {
    uint32_t first_unit, units, first_vec, vecs;
} columns;

static columns columns_of(const gsai_resident_shape *s, const phase *f, uint32_t n_cols)
{
    const uint32_t team = s->lanes << s->split_log[f->product], all = gsai_matrix_row_units(s->type, n_cols);
    const uint32_t unit_vecs = s->type == GSAI_F32                           ? 1
                               : s->type == GSAI_F16 || s->type == GSAI_BF16 ? 2
                               : s->type == GSAI_Q8_0                        ? 4
                                                                             : 8;
    const uint32_t begin = f->first_load * team, rest = all - begin, most = f->loads * team;
    columns c = {begin, most < rest ? most : rest, begin * unit_vecs, 0};
    c.vecs = c.units * unit_vecs;
    if (c.first_vec + c.vecs > n_cols / 4) c.vecs = n_cols / 4 - c.first_vec;
    return c;
}

/* --- who has which pairs --- */

/* Pairs [first, first + n) of group g when n_pairs are shared out evenly. */
static uint32_t share_begin(uint64_t n_pairs, uint32_t g, uint32_t n_groups)
{
    return (uint32_t)(n_pairs * g / n_groups);
}

/* Queries go out in whole tiles; the other rows fill groups up to the same number of pairs. */
static void share_step(
    const gsai_resident_shape *s, const gsai_config *c, uint32_t n_pairs, uint32_t *shares, uint32_t stride)
{
    const uint32_t n = s->n_groups, tiles = c->H * c->K / s->tile, n_q = c->H * c->K / 2;
    uint64_t low = 0, high = n_pairs; /* least level that holds all others */
    while (low < high) {
        const uint64_t level = (low + high) / 2;
        uint64_t room = 0;
        for (uint32_t g = 0; g < n; g++) {
            const uint64_t has = (share_begin(tiles, g + 1, n) - share_begin(tiles, g, n)) * (uint64_t)s->tile / 2;
            room += level > has ? level - has : 0;
        }
        if (room >= n_pairs - n_q) {
            high = level;
        } else {
            low = level + 1;
        }
    }
    uint32_t at = n_q;
    for (uint32_t g = 0; g < n; g++, shares += stride) {
        const uint32_t first = share_begin(tiles, g, n) * s->tile / 2, end = share_begin(tiles, g + 1, n) * s->tile / 2;
        const uint32_t room = low > end - first ? (uint32_t)low - (end - first) : 0, left = n_pairs - at;
        shares[0] = first;
        shares[1] = end - first;
        shares[2] = at;
        shares[3] = room < left ? room : left;
        at += shares[3];
    }
}

/* Of each group as many as most says, behind as many for each batch before. */
static void share_evenly(
    const gsai_resident_shape *s, uint32_t n_pairs, uint32_t batch, uint32_t most, uint32_t *shares, uint32_t stride)
{
    for (uint32_t g = 0; g < s->n_groups; g++, shares += stride) {
        const uint32_t first = share_begin(n_pairs, g, s->n_groups);
        const uint32_t n = share_begin(n_pairs, g + 1, s->n_groups) - first;
        const uint32_t before = batch * most < n ? batch * most : n;
        shares[0] = shares[1] = 0;
        shares[2] = first + before;
        shares[3] = n - before < most ? n - before : most;
    }
}

/* Pairs of a workgroup that its subgroups, or teams of them, take at a time. */
static uint32_t teams_of(const gsai_resident_shape *s, uint32_t i)
{
    return s->invocations / s->lanes >> s->split_log[i];
}

/* What each group has of a phase; shares of groups lie a stride apart. */
static void share_phase(const gsai_resident_shape *s, const gsai_config *c, const phase *f, uint32_t n_pairs,
    uint32_t *shares, uint32_t stride)
{
    const uint32_t most = f->window ? s->carried * teams_of(s, f->product) : n_pairs;
    if (f->product == 0)
        share_step(s, c, n_pairs, shares, stride);
    else
        share_evenly(s, n_pairs, f->batch, most, shares, stride);
}

/* --- the choice --- */

static gsa_status cannot(const char *why)
{
    return gsai_fail(GSA_ERROR_UNSUPPORTED, "resident step: %s", why);
}

static gsa_status check_matrices(
    const gsa_device *dev, const gsai_config *c, const gsai_resident_layer *layers, bool same_bits, gsai_type type)
{
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const gsai_matrix *all[] = {layers[i].qkvf, layers[i].o, layers[i].gate_up, layers[i].down};
        for (uint32_t j = 0; j < PRODUCTS; j++) {
            if (all[j]->n_parts != 1 || all[j]->parts[0].type != type)
                return cannot("a layer's matrices are of several types or too large for one binding");
            if (all[j]->n_cols % 4 != 0 || all[j]->n_rows % 2 != 0) return cannot("odd rows or columns");
            if (gsai_range_address(all[j]->parts[0].range) % 16 != 0) return cannot("addresses are not in 16 bytes");
            if (same_bits && !gsai_staged_chosen(dev, type, all[j]->n_cols))
                return cannot("the plain pass of this device sums in another order");
        }
    }
    return GSA_OK;
}

static uint32_t shared_bytes(const gsai_resident_shape *s, const gsai_config *c)
{
    const uint32_t heads = c->H / c->G, slots = (c->M + 31) / 32 * 32;
    const uint64_t floats = 4ull * s->x_held + s->run_sums + 2ull * s->parts + s->squares + s->queries +
                            s->n_phases * (GSA_RESIDENT_STRIDE(s->n_phases) + GSA_RESIDENT_SHARE) +
                            (uint64_t)c->n_layers * GSA_RESIDENT_LAYER + 32 + 3 * slots +
                            heads * (slots + GSA_MIXER_GROUP / 4);
    return floats < UINT32_MAX / 4 ? (uint32_t)floats * 4 : UINT32_MAX;
}

static uint32_t at_a_time(uint32_t n, uint32_t invocations, uint32_t most)
{
    const uint32_t all = (n + invocations - 1) / invocations;
    return all < most ? all : most;
}

/* Room in shared memory: the most that any phase of any group needs. shares: room for one phase. */
static void find_room(gsai_resident_shape *s, const gsai_config *c, const product p[PRODUCTS], uint32_t *shares)
{
    const uint32_t R = c->H / c->G, runs = s->type == GSAI_Q8_0 ? 2 : 4;
    uint32_t widest[2] = {0, 0}; /* vecs of x, with a norm and without */
    s->x_held = (R * (c->K / s->tile) * c->M + R * c->K + c->K + c->M + 16) / 4 + R * GSA_MIXER_GROUP;
    s->memory_at = 0;
    s->run_sums = s->parts = s->queries = s->squares = 1;
    for (uint32_t i = 0; i < s->n_phases; i++) {
        const phase f = phase_of(s, i);
        const product *of = &p[f.product];
        const columns x = columns_of(s, &f, of->w->n_cols);
        const bool blocks = gsai_type_is_quantised(s->type);
        const uint32_t held = blocks ? x.units / 4 * (8 * runs + 2) : s->type == GSAI_F32 ? x.units : x.units * 2;
        const uint32_t squares = (x.vecs + s->lanes - 1) / s->lanes;
        if (held > s->x_held) s->x_held = held;
        if (i == 0) s->memory_at = held;
        if (of->is_normed && squares > s->squares) s->squares = squares;
        if (blocks && runs * x.units > s->run_sums) s->run_sums = runs * x.units;
        if (x.vecs > widest[!of->is_normed]) widest[!of->is_normed] = x.vecs;
        share_phase(s, c, &f, of->n_pairs, shares, GSA_RESIDENT_SHARE);
        for (uint32_t g = 0; g < s->n_groups; g++) {
            const uint32_t *share = shares + g * GSA_RESIDENT_SHARE;
            const uint32_t parts = (share[1] + share[3]) << of->split_log;
            if (parts > s->parts) s->parts = parts;
            if (2 * share[1] > s->queries) s->queries = 2 * share[1];
        }
    }
    if (s->memory_at + s->queries * (c->M / 4) > s->x_held) s->x_held = s->memory_at + s->queries * (c->M / 4);
    s->ahead[0] = at_a_time(widest[0], s->invocations, 2);
    s->ahead[1] = at_a_time(widest[1], s->invocations, 4);
}

/* Pairs of a subgroup whose sums go on from window to window at once: in registers. Those of types that are no blocks take
 * four each: with two pairs of 7b's f16 a token took 4.77 ms on an H200, with one 4.56; blocks 2.31 with two, 2.55 with one. */
static uint32_t carried_at_most(const gsa_device *dev, gsai_type type)
{
    if (dev->resident.carry) return dev->resident.carry;
    return gsai_type_is_quantised(type) ? 4 : 1;
}

/* Windows of x of the last product in shared memory, as few as can be; false: none that fit. */
static bool find_windows(
    const gsa_device *dev, gsai_resident_shape *s, const gsai_config *c, const product p[PRODUCTS], uint32_t *shares)
{
    const uint32_t loads = s->loads[LAST], teams = teams_of(s, LAST), pairs = p[LAST].n_pairs;
    const uint32_t n_pairs = (pairs + s->n_groups - 1) / s->n_groups, of_team = (n_pairs + teams - 1) / teams;
    const uint32_t carried = carried_at_most(dev, s->type);
    const uint32_t at_most = dev->resident.window ? dev->resident.window : loads;
    for (s->windows = 1; s->windows <= loads; s->windows++)
        for (uint32_t even = 0; even < 2; even++) {
            uint32_t widest = 0;
            s->window_step = even ? 1 : s->steps; /* whole chunks, if they fit */
            s->carried = s->windows == 1 || of_team < carried ? of_team : carried;
            s->batches = (of_team + s->carried - 1) / s->carried;
            if ((loads + s->window_step - 1) / s->window_step < s->windows) continue;
            s->n_phases = LAST + s->windows * s->batches;
            if (s->n_phases > GSA_RESIDENT_MOST) return false;
            for (uint32_t i = 0; i < s->windows; i++) {
                const uint32_t n = window_begin(s, i + 1) - window_begin(s, i);
                widest = n > widest ? n : widest;
            }
            find_room(s, c, p, shares);
            if (widest <= at_most && shared_bytes(s, c) <= dev->caps.max_shared_bytes) return true;
        }
    return false;
}

static gsa_status choose_groups(const gsa_device *dev, const gsai_variant *v, uint32_t groups, gsai_resident_shape *s)
{
    const gsai_caps *caps = &dev->caps;
    const gsai_resident_settings *w = &dev->resident;
    const bool cpu = caps->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU; /* compiles long, has few registers */
    const uint32_t lanes = caps->subgroup_size, at_most = caps->max_invocations / lanes;
    const uint32_t most = at_most < caps->max_subgroups ? at_most : caps->max_subgroups;
    uint32_t subgroups = (w->invocations ? w->invocations : cpu ? 128 : 512) / lanes;
    if (!v) return cannot("its kernel is masked, lacks a capability, or failed its question");
    s->lanes = lanes;
    while (subgroups > most && subgroups > 1) subgroups /= 2;
    s->invocations = subgroups * lanes;
    if (s->invocations < GSA_MIXER_GROUP) return cannot("workgroups are too small");
    s->n_groups = w->groups ? w->groups : caps->n_cores * (w->cores ? w->cores : 1);
    if (s->n_groups == 0) s->n_groups = groups;
    if (s->n_groups == 0) return cannot("the number of cores is not known here");
    if (s->n_groups > caps->max_group_count[0] || s->n_groups > 65535) return cannot("too many workgroups");
    /* In registers beside all else. Blocks are unpacked to more than they are, and wait for instructions, not memory. */
    const uint32_t depth = w->depth ? w->depth : cpu || gsai_type_is_quantised(s->type) ? 4 : 8;
    s->steps = depth < 4 ? 1 : depth > 64 ? 32 : depth / 2;
    /* A look takes up to a microsecond on a GPU; on a CPU a group may wait for its thread. */
    s->max_polls = w->polls ? w->polls : cpu ? 1u << 28 : 20000;
    return GSA_OK;
}

gsa_status gsai_resident_choose(const gsa_device *dev, const gsai_config *c, const gsai_resident_layer *layers,
    uint32_t groups, bool same_bits, gsai_resident_shape *out)
{
    const gsai_type type = layers[0].qkvf->parts[0].type;
    gsai_resident_shape s = {.type = type};
    product p[PRODUCTS];

    if (c->half_state) return cannot("states of f16");
    gsa_status status = check_matrices(dev, c, layers, same_bits, type);
    if (status == GSA_OK) status = choose_groups(dev, gsai_resident_variant(dev, type), groups, &s);
    if (status != GSA_OK) return status;
    s.tile = gsai_gsa_step_tile(dev, c, layers[0].qkvf);
    if (s.tile < LEAST_TILE || s.tile % 2 != 0) return cannot("the model's shape, convolution or feature map");
    products_of(dev, c, &layers[0], p);
    const uint32_t subgroups = s.invocations / s.lanes;
    for (uint32_t i = 0; i < PRODUCTS; i++)
        if (p[i].plain.lanes != s.lanes || 1u << p[i].split_log != p[i].plain.split || subgroups % p[i].plain.split)
            return cannot("the plain pass splits rows in a way that does not fit a workgroup");
    for (uint32_t i = 0; i < PRODUCTS; i++) {
        s.split_log[i] = p[i].split_log;
        s.loads[i] = p[i].loads;
    }
    uint32_t *shares = gsai_alloc_array(&dev->allocator, s.n_groups, GSA_RESIDENT_SHARE * sizeof *shares);
    if (!shares) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    const bool fits = find_windows(dev, &s, c, p, shares);
    gsai_free(&dev->allocator, shares);
    if (!fits)
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "resident step: more shared memory is needed than the device's %u bytes", dev->caps.max_shared_bytes);
    *out = s;
    return GSA_OK;
}

/* --- the list of phases --- */

uint64_t gsai_resident_table_uints(uint32_t n_phases, uint32_t n_groups, const gsai_config *c)
{
    return n_phases * (GSA_RESIDENT_STRIDE(n_phases) + (uint64_t)n_groups * GSA_RESIDENT_SHARE) +
           (uint64_t)c->n_layers * GSA_RESIDENT_LAYER;
}

static void put_address(uint32_t *to, uint64_t address)
{
    to[0] = (uint32_t)address;
    to[1] = (uint32_t)(address >> 32);
}

/* Where the values of a layer lie in a set of the post, in words; partial scores by the smallest tiles there are. */
typedef struct post_places {
    uint32_t qkvf, partial, o, mixed, act, x, words;
} post_places;

static post_places places_of(const gsai_config *c, uint32_t lanes)
{
    post_places p = {0};
    p.partial = c->H * c->K + c->G * (c->K + c->V + c->M);
    p.o = p.partial + c->H * (c->K / LEAST_TILE) * c->M;
    p.mixed = p.o + GSA_RESIDENT_ROW_WORDS(c->H * c->V, lanes);
    p.act = p.mixed + GSA_RESIDENT_ROW_WORDS(c->D, lanes);
    p.x = p.act + GSA_RESIDENT_ROW_WORDS(c->F, lanes);
    p.words = p.x + GSA_RESIDENT_ROW_WORDS(c->D, lanes);
    return p;
}

static void fill_phases(
    const gsai_resident_shape *s, const gsai_config *c, const gsai_resident_layer *layer, uint32_t *table)
{
    static const uint32_t kinds[PRODUCTS] = {
        GSA_RESIDENT_STEP, GSA_RESIDENT_ADD, GSA_RESIDENT_SWIGLU, GSA_RESIDENT_ADD};
    const gsai_matrix *w[PRODUCTS] = {layer->qkvf, layer->o, layer->gate_up, layer->down};
    const post_places p = places_of(c, s->lanes);
    const uint32_t layer_before = p.x - p.words; /* wraps around, as the sum with the layer's place does */
    const uint32_t x[PRODUCTS] = {layer_before, p.o, p.mixed, p.act}, y[PRODUCTS] = {p.qkvf, p.mixed, p.act, p.x};
    for (uint32_t n = 0; n < s->n_phases; n++, table += GSA_RESIDENT_STRIDE(s->n_phases)) {
        const phase f = phase_of(s, n);
        const uint32_t i = f.product, n_cols = w[i]->n_cols;
        const columns has = columns_of(s, &f, n_cols);
        const float eps = i == 1 ? c->g_norm_eps : c->norm_eps;
        table[GSA_RESIDENT_KIND] = kinds[i];
        table[GSA_RESIDENT_X] = x[i] + 4 * has.first_vec; /* windows begin with a run of lanes */
        table[GSA_RESIDENT_Y] = y[i];
        table[GSA_RESIDENT_BEFORE] = i == 1 ? layer_before : p.mixed;
        table[GSA_RESIDENT_X_VECS] = has.vecs;
        table[GSA_RESIDENT_ROW_VECS] = (uint32_t)(gsai_matrix_row_bytes(s->type, n_cols) / 16);
        table[GSA_RESIDENT_PAIR_ROWS] = i == 2 ? 1 : 2;
        table[GSA_RESIDENT_SECOND_ROW] = i == 2 ? w[i]->n_rows / 2 : 1;
        table[GSA_RESIDENT_SPLIT] = s->split_log[i];
        table[GSA_RESIDENT_LOADS] = f.loads;
        table[GSA_RESIDENT_NORMED] = i != LAST;
        memcpy(&table[GSA_RESIDENT_EPS], &eps, sizeof eps);
        if (s->n_phases == PRODUCTS) continue;
        table[GSA_RESIDENT_WINDOW] = f.window;
        table[GSA_RESIDENT_FIRST_UNIT] = has.first_unit;
        table[GSA_RESIDENT_UNITS] = gsai_matrix_row_units(s->type, n_cols);
    }
}

void gsai_resident_table_fill(
    const gsai_resident_shape *s, const gsai_config *c, const gsai_resident_layer *layers, uint32_t *table)
{
    const gsai_matrix *matrices[PRODUCTS] = {layers[0].qkvf, layers[0].o, layers[0].gate_up, layers[0].down};
    fill_phases(s, c, layers, table);
    table += s->n_phases * GSA_RESIDENT_STRIDE(s->n_phases);
    for (uint32_t i = 0; i < s->n_phases; i++) {
        const phase f = phase_of(s, i);
        share_phase(s, c, &f, matrices[f.product]->n_rows / 2, table + i * GSA_RESIDENT_SHARE,
            s->n_phases * GSA_RESIDENT_SHARE);
    }
    table += s->n_groups * s->n_phases * GSA_RESIDENT_SHARE;
    for (uint32_t l = 0; l < c->n_layers; l++, table += GSA_RESIDENT_LAYER) {
        const gsai_vector norms[PRODUCTS] = {layers[l].attn_norm, layers[l].g_norm, layers[l].ffn_norm, {0}};
        const gsai_matrix *w[PRODUCTS] = {layers[l].qkvf, layers[l].o, layers[l].gate_up, layers[l].down};
        for (uint32_t i = 0; i < PRODUCTS; i++) {
            put_address(table + GSA_RESIDENT_WEIGHTS + 2 * i, gsai_range_address(w[i]->parts[0].range));
            put_address(table + GSA_RESIDENT_NORM + 2 * i, norms[i].size ? gsai_range_address(norms[i]) : 0);
        }
        put_address(table + GSA_RESIDENT_STATE, gsai_range_address(layers[l].state));
    }
}

_Static_assert(GSAI_RESIDENT_PRODUCTS == GSA_RESIDENT_PRODUCTS, "products of a layer");
_Static_assert(GSAI_RESIDENT_MOST == GSA_RESIDENT_MOST, "phases of a layer");
_Static_assert(GSAI_RESIDENT_LINE_BYTES == 4 * GSA_RESIDENT_LINE, "where the post's first set begins");

uint64_t gsai_resident_set_words(const gsai_config *c, uint32_t lanes)
{
    return (uint64_t)c->n_layers * places_of(c, lanes).words;
}

uint64_t gsai_resident_post_words(const gsai_config *c, uint32_t lanes)
{
    return GSA_RESIDENT_LINE + 2 * gsai_resident_set_words(c, lanes);
}

/* --- the calls --- */

void gsai_op_resident(gsai_recorder *r, const gsai_resident_args *a)
{
    const gsai_resident_shape *s = a->shape;
    const gsai_config *c = a->config;
    const uint64_t x = gsai_range_address(a->x.range) + 4ull * a->x.offset;
    const uint32_t set = (uint32_t)gsai_resident_set_words(c, s->lanes), odd = a->run % 2;
    const post_places places = places_of(c, s->lanes);
    const uint64_t post = gsai_range_address(a->post) + 4ull * (GSA_RESIDENT_LINE + (odd ? set : 0));
    const gsai_variant *v = gsai_op_variant(r, op_of_type[s->type]);
    if (!v || !gsai_op_check_words(r, "resident", "work", &a->work->range, a->work->chunks, GSA_WORK_STRIDE)) return;
    const struct gsa_resident_push push = {
        .max_polls = s->max_polls,
        .n_groups = s->n_groups,
        .chunk = a->work->chunks,
        .post_lo = (uint32_t)post,
        .post_hi = (uint32_t)(post >> 32),
        .other = GSA_RESIDENT_LINE + (odd ? 0 : set),
        .layer_words = places.words,
        .partial = places.partial,
        .o = places.o,
        .x_lo = (uint32_t)x,
        .x_hi = (uint32_t)(x >> 32),
        .state_stride = (uint32_t)a->state.n_floats,
        .hk = (uint32_t)a->state.hk,
        .hv = (uint32_t)a->state.hv,
        .scale = c->scale,
        .normalizer = c->gate_normalizer,
        .leave = gsai_recorder_forced(r) ? 0 : gsai_recorder_device(r)->resident.leave, /* never in a known question */
    };
    const uint32_t map = c->feature_map == GSAI_FEATURE_RELU ? GSA_MAP_RELU : GSA_MAP_SILU;
    const uint32_t act = c->ffn_act == GSAI_FFN_POWLU ? GSA_ACT_POWLU : GSA_ACT_SWISH;
    const uint32_t spec[] = {s->invocations, s->lanes, s->steps, c->H / c->G, c->G, c->K, c->V, c->M, s->tile, map, act,
        s->x_held, s->run_sums, s->parts, s->queries, s->squares, s->ahead[0], s->ahead[1], c->n_layers, s->n_phases,
        s->windows > 1 ? s->carried : 1, s->memory_at};
    gsai_call call = {
        .label = "resident step", .n_bind = 3, .push = &push, .push_bytes = sizeof push, .by_address = true};
    call.pipeline = gsai_op_pipeline(r, v, spec, sizeof spec / sizeof *spec, s->lanes);
    call.bind[0] = GSAI_BIND(a->table, GSAI_READ);
    call.bind[1] = GSAI_BIND(a->work->range, GSAI_READ);
    call.bind[2] = GSAI_BIND(a->post, GSAI_READ_WRITE);
    call.groups[0] = s->n_groups;
    call.bytes = a->bytes;
    if (call.pipeline) gsai_recorder_call(r, &call);
}

void gsai_op_resident_keep(gsai_recorder *r, const gsai_resident_args *a, gsai_range spare)
{
    const uint64_t to = gsai_range_address(spare), vecs = a->state.n_floats / 4;
    const gsai_variant *v = gsai_op_variant(r, "resident_keep");
    if (!v) return;
    const uint32_t n = a->shape->n_phases;
    const uint32_t first = n * (GSA_RESIDENT_STRIDE(n) + a->shape->n_groups * GSA_RESIDENT_SHARE) + GSA_RESIDENT_STATE;
    const struct gsa_resident_keep_push push = {
        first, a->work->chunks, (uint32_t)vecs, (uint32_t)to, (uint32_t)(to >> 32)};
    gsai_call call = {
        .label = "resident keep", .n_bind = 2, .push = &push, .push_bytes = sizeof push, .by_address = true};
    call.pipeline = gsai_op_pipeline(r, v, NULL, 0, 0);
    call.bind[0] = GSAI_BIND(a->table, GSAI_READ);
    call.bind[1] = GSAI_BIND(a->work->range, GSAI_READ);
    call.groups[0] = (uint32_t)((vecs + 1023) / 1024);
    call.groups[1] = a->config->n_layers;
    call.bytes = 2 * 16 * vecs * a->config->n_layers;
    if (call.pipeline) gsai_recorder_call(r, &call);
}
