/* The shape of the resident step for a model on a device: workgroups, room in shared memory, windows. */
#include "ops/mixer.h"
#include "ops/resident_phases.h"
#include "ops/staged.h"
#include "util/status.h"

#define PRODUCTS GSA_RESIDENT_PRODUCTS
#define LAST     GSAI_RESIDENT_LAST
#define HEAD     GSAI_RESIDENT_HEAD

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

/* The head's is the last; all zero without one. */
static void products_of(const gsa_device *dev, const gsai_config *c, const gsai_resident_layer *l,
    const gsai_resident_head *head, product p[PRODUCTS + 1])
{
    const product all[PRODUCTS + 1] = {{.w = l->qkvf, .is_normed = true}, {.w = l->o, .is_normed = true},
        {.w = l->gate_up, .is_normed = true, .swiglu = true}, {.w = l->down},
        {.w = head ? head->w : NULL, .is_normed = true}};
    p[HEAD] = (product){0};
    for (uint32_t i = 0; i <= PRODUCTS && all[i].w; i++) {
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

/* --- the choice --- */

static gsa_status cannot(const char *why)
{
    return gsai_fail(GSA_ERROR_UNSUPPORTED, "resident step: %s", why);
}

static gsa_status check_matrices(const gsa_device *dev, const gsai_config *c, const gsai_resident_layer *layers,
    gsai_resident_bits bits, gsai_resident_shape *s)
{
    s->dots = bits == GSAI_RESIDENT_DOTS ||
              (bits == GSAI_RESIDENT_PLAIN_BITS && gsai_staged_dots(dev, s->type, layers[0].qkvf->n_cols));
    s->scales = gsai_staged_scales(dev, s->type);
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const gsai_matrix *all[] = {layers[i].qkvf, layers[i].o, layers[i].gate_up, layers[i].down};
        for (uint32_t j = 0; j < PRODUCTS; j++) {
            if (all[j]->n_parts != 1 || all[j]->parts[0].type != s->type)
                return cannot("a layer's matrices are of several types or too large for one binding");
            if (all[j]->n_cols % 4 != 0 || all[j]->n_rows % 2 != 0) return cannot("odd rows or columns");
            if (gsai_range_address(all[j]->parts[0].range) % 16 != 0) return cannot("addresses are not in 16 bytes");
            if (bits == GSAI_RESIDENT_PLAIN_BITS && (!gsai_staged_chosen(dev, s->type, all[j]->n_cols) ||
                                                        gsai_staged_dots(dev, s->type, all[j]->n_cols) != s->dots))
                return cannot("the plain pass of this device sums in another order");
        }
    }
    return GSA_OK;
}

/* A head that can be multiplied as the layers' matrices are, and is in the plain pass. */
static bool head_is_alike(const gsa_device *dev, const gsai_matrix *w, const gsai_resident_shape *s)
{
    return w->n_parts == 1 && w->parts[0].type == s->type && w->n_cols % 4 == 0 && w->n_rows % 2 == 0 &&
           gsai_range_address(w->parts[0].range) % 16 == 0 && gsai_staged_chosen(dev, s->type, w->n_cols) &&
           gsai_staged_dots(dev, s->type, w->n_cols) == s->dots;
}

/* What the plain pass sums that way a workgroup of the shape can, too. */
static bool splits_fit(const gsai_resident_shape *s, const product *p)
{
    return p->plain.lanes == s->lanes && 1u << p->split_log == p->plain.split &&
           s->invocations / s->lanes % p->plain.split == 0;
}

static uint32_t shared_bytes(const gsai_resident_shape *s, const gsai_config *c)
{
    const uint64_t sums =
        s->dots ? 2ull * s->run_sums + s->run_sums / gsai_staged_runs(s->type) * s->scales : s->run_sums;
    const uint64_t floats = 4ull * s->x_held + sums + 2ull * s->parts + s->squares + s->queries +
                            gsai_resident_told(s) * (GSA_RESIDENT_STRIDE(s->n_phases) + GSA_RESIDENT_SHARE) +
                            ((uint64_t)c->n_layers + s->head) * GSA_RESIDENT_LAYER + 32;
    return floats < UINT32_MAX / 4 ? (uint32_t)floats * 4 : UINT32_MAX;
}

static uint32_t at_a_time(uint32_t n, uint32_t invocations, uint32_t most)
{
    const uint32_t all = (n + invocations - 1) / invocations;
    return all < most ? all : most;
}

/* Room in shared memory: the most that any phase of any group needs. shares: room for one phase. */
static void find_room(gsai_resident_shape *s, const gsai_config *c, const product p[PRODUCTS + 1], uint32_t *shares)
{
    const uint32_t R = c->H / c->G, runs = gsai_staged_runs(s->type);
    uint32_t widest[2] = {0, 0};                  /* vecs of x, with a norm and without */
    const uint32_t slots = (c->M + 31) / 32 * 32; /* the step's inputs, then what common/step_mix.glsl asks for */
    s->x_held = (R * (c->K / s->tile) * c->M + R * c->K + c->K + c->M + 16) / 4 + R * GSA_MIXER_GROUP +
                ((3 + R) * slots + R * GSA_MIXER_GROUP / 4) / 4;
    s->memory_at = 0;
    s->run_sums = s->parts = s->queries = s->squares = 1;
    for (uint32_t i = 0; i < gsai_resident_told(s); i++) {
        const gsai_resident_phase f = gsai_resident_phase_of(s, i);
        const product *of = &p[f.product];
        const gsai_resident_columns x = gsai_resident_columns_of(s, &f, of->w->n_cols);
        const bool blocks = gsai_type_is_quantised(s->type);
        const uint32_t held = s->dots               ? x.units * runs
                              : blocks              ? x.units / 4 * (8 * runs + 2)
                              : s->type == GSAI_F32 ? x.units
                                                    : x.units * 2;
        const uint32_t squares = (x.vecs + s->lanes - 1) / s->lanes;
        if (held > s->x_held) s->x_held = held;
        if (i == 0) s->memory_at = held;
        if (of->is_normed && squares > s->squares) s->squares = squares;
        if (blocks && runs * x.units > s->run_sums) s->run_sums = runs * x.units;
        if (x.vecs > widest[!of->is_normed]) widest[!of->is_normed] = x.vecs;
        gsai_resident_share_phase(s, c, &f, of->n_pairs, shares, GSA_RESIDENT_SHARE);
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

/* Windows of x of the last product in shared memory, as few as can be, and with several the head, too, if there is one;
 * false: none that fit. Where x fits, the head cost more in all layers than it gained when that was measured: 1.3b's f16 on an
 * H200 1.031 ms a token for 0.976, with fewer weights on their way than now. */
static bool find_windows(const gsa_device *dev, gsai_resident_shape *s, const gsai_config *c,
    const product p[PRODUCTS + 1], uint32_t *shares)
{
    const uint32_t loads = s->loads[LAST], teams = gsai_resident_teams(s, LAST), pairs = p[LAST].n_pairs;
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
            s->head = s->windows > 1 && p[HEAD].w;
            if (gsai_resident_told(s) > GSA_RESIDENT_MOST) return false;
            for (uint32_t i = 0; i < s->windows; i++) {
                const uint32_t n = gsai_resident_window_begin(s, i + 1) - gsai_resident_window_begin(s, i);
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
    const gsai_resident_head *head, uint32_t groups, gsai_resident_bits bits, gsai_resident_shape *out)
{
    gsai_resident_shape s = {.type = layers[0].qkvf->parts[0].type};
    product p[PRODUCTS + 1];

    if (c->half_state) return cannot("states of f16");
    gsa_status status = check_matrices(dev, c, layers, bits, &s);
    if (status == GSA_OK) status = choose_groups(dev, gsai_resident_variant(dev, &s), groups, &s);
    if (status != GSA_OK) return status;
    s.tile = gsai_gsa_step_tile(dev, c, layers[0].qkvf, 0);
    if (s.tile < GSAI_RESIDENT_LEAST_TILE || s.tile % 2 != 0)
        return cannot("the model's shape, convolution or feature map");
    const bool alike = head && !dev->resident.apart && head_is_alike(dev, head->w, &s);
    products_of(dev, c, &layers[0], alike ? head : NULL, p);
    for (uint32_t i = 0; i < PRODUCTS; i++)
        if (!splits_fit(&s, &p[i])) return cannot("the plain pass splits rows in a way that does not fit a workgroup");
    if (!splits_fit(&s, &p[HEAD])) p[HEAD].w = NULL;
    for (uint32_t i = 0; i <= PRODUCTS; i++) {
        s.split_log[i] = p[i].split_log;
        s.loads[i] = p[i].loads;
    }
    uint32_t *shares = gsai_alloc_array(&dev->allocator, s.n_groups, GSA_RESIDENT_SHARE * sizeof *shares);
    if (!shares) return gsai_fail(GSA_ERROR_HOST_MEMORY, "out of host memory");
    bool fits = find_windows(dev, &s, c, p, shares);
    /* With windows fewer loads are better: 7b's f16 on an H200 took 4.55 ms a token with 8, 4.39 with 4. */
    if (fits && s.windows > 1 && !dev->resident.depth && s.steps > 2) {
        s.steps = 2;
        fits = find_windows(dev, &s, c, p, shares);
    }
    gsai_free(&dev->allocator, shares);
    if (!fits)
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "resident step: more shared memory is needed than the device's %u bytes", dev->caps.max_shared_bytes);
    *out = s;
    return GSA_OK;
}
