/* The resident step: its list of phases, its post, its calls. */
#include "ops/mixer.h"
#include "ops/op_util.h"
#include "ops/resident_phases.h"

#include <string.h>

#define PRODUCTS GSA_RESIDENT_PRODUCTS
#define LAST     GSAI_RESIDENT_LAST

static const char *const op_of_type[GSAI_N_TYPES] = {"resident_f32", "resident_f16", "resident_bf16", "resident_q8_0",
    "resident_q4_0", "resident_q4_k", "resident_q6_k"};

static const char *op_of(const gsai_resident_shape *s)
{
    if (!s->dots) return op_of_type[s->type];
    return s->type == GSAI_Q8_0 ? "resident_dots_q8_0" : "resident_dots_q4_0";
}

const gsai_variant *gsai_resident_variant(const gsa_device *dev, const gsai_resident_shape *s)
{
    return gsai_variant_pick(dev, op_of(s));
}

/* --- the list of phases --- */

uint32_t gsai_resident_told(const gsai_resident_shape *s)
{
    return s->n_phases + s->head;
}

uint64_t gsai_resident_table_uints(uint32_t n_told, uint32_t n_groups, const gsai_config *c)
{
    return n_told * (GSA_RESIDENT_STRIDE(n_told) + (uint64_t)n_groups * GSA_RESIDENT_SHARE) +
           (c->n_layers + 1ull) * GSA_RESIDENT_LAYER;
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
    p.o = p.partial + c->H * (c->K / GSAI_RESIDENT_LEAST_TILE) * c->M;
    p.mixed = p.o + GSA_RESIDENT_ROW_WORDS(c->H * c->V, lanes);
    p.act = p.mixed + GSA_RESIDENT_ROW_WORDS(c->D, lanes);
    p.x = p.act + GSA_RESIDENT_ROW_WORDS(c->F, lanes);
    p.words = p.x + GSA_RESIDENT_ROW_WORDS(c->D, lanes);
    return p;
}

static void fill_phases(
    const gsai_resident_shape *s, const gsai_config *c, const gsai_matrix *const *w, uint32_t *table)
{
    static const uint32_t kinds[PRODUCTS + 1] = {
        GSA_RESIDENT_STEP, GSA_RESIDENT_ADD, GSA_RESIDENT_SWIGLU, GSA_RESIDENT_ADD, GSA_RESIDENT_LOGITS};
    const post_places p = places_of(c, s->lanes);
    const uint32_t layer_before = p.x - p.words; /* wraps around, as the sum with the layer's place does */
    const uint32_t x[PRODUCTS + 1] = {layer_before, p.o, p.mixed, p.act, layer_before};
    const uint32_t y[PRODUCTS + 1] = {p.qkvf, p.mixed, p.act, p.x};
    for (uint32_t n = 0; n < gsai_resident_told(s); n++, table += GSA_RESIDENT_STRIDE(s->n_phases)) {
        const gsai_resident_phase f = gsai_resident_phase_of(s, n);
        const uint32_t i = f.product, n_cols = w[i]->n_cols;
        const gsai_resident_columns has = gsai_resident_columns_of(s, &f, n_cols);
        const float eps = i == 1 ? c->g_norm_eps : c->norm_eps;
        table[GSA_RESIDENT_KIND] = kinds[i];
        table[GSA_RESIDENT_X] = x[i] + 4 * has.first_vec; /* windows begin with a run of lanes */
        table[GSA_RESIDENT_Y] = y[i];
        table[GSA_RESIDENT_BEFORE] =
            i == 1 || i == GSAI_RESIDENT_HEAD ? layer_before : p.mixed; /* the head's is read, not used */
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

void gsai_resident_table_fill(const gsai_resident_shape *s, const gsai_config *c, const gsai_resident_layer *layers,
    const gsai_resident_head *head, uint32_t *table)
{
    const gsai_matrix *matrices[PRODUCTS + 1] = {
        layers[0].qkvf, layers[0].o, layers[0].gate_up, layers[0].down, head ? head->w : NULL};
    const uint32_t n_told = gsai_resident_told(s);
    fill_phases(s, c, matrices, table);
    table += n_told * GSA_RESIDENT_STRIDE(s->n_phases);
    for (uint32_t i = 0; i < n_told; i++) {
        const gsai_resident_phase f = gsai_resident_phase_of(s, i);
        gsai_resident_share_phase(
            s, c, &f, matrices[f.product]->n_rows / 2, table + i * GSA_RESIDENT_SHARE, n_told * GSA_RESIDENT_SHARE);
    }
    table += s->n_groups * n_told * GSA_RESIDENT_SHARE;
    for (uint32_t l = 0; l < c->n_layers; l++, table += GSA_RESIDENT_LAYER) {
        const gsai_vector norms[PRODUCTS] = {layers[l].attn_norm, layers[l].g_norm, layers[l].ffn_norm, {0}};
        const gsai_matrix *w[PRODUCTS] = {layers[l].qkvf, layers[l].o, layers[l].gate_up, layers[l].down};
        for (uint32_t i = 0; i < PRODUCTS; i++) {
            put_address(table + GSA_RESIDENT_WEIGHTS + 2 * i, gsai_range_address(w[i]->parts[0].range));
            put_address(table + GSA_RESIDENT_NORM + 2 * i, norms[i].size ? gsai_range_address(norms[i]) : 0);
        }
        put_address(table + GSA_RESIDENT_STATE, gsai_range_address(layers[l].state));
    }
    memset(table, 0, GSA_RESIDENT_LAYER * sizeof *table);
    if (!s->head) return;
    put_address(table + GSA_RESIDENT_WEIGHTS + 2 * LAST, gsai_range_address(head->w->parts[0].range));
    put_address(table + GSA_RESIDENT_NORM + 2 * LAST, head->norm.size ? gsai_range_address(head->norm) : 0);
    put_address(table + GSA_RESIDENT_STATE, gsai_range_address(layers[0].state)); /* any that may be read */
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
    const uint64_t logits = a->logits.range.size ? gsai_range_address(a->logits.range) + 4ull * a->logits.offset : 0;
    const uint32_t set = (uint32_t)gsai_resident_set_words(c, s->lanes), odd = a->run % 2;
    const post_places places = places_of(c, s->lanes);
    const uint64_t post = gsai_range_address(a->post) + 4ull * (GSA_RESIDENT_LINE + (odd ? set : 0));
    const gsai_variant *v = gsai_op_variant(r, op_of(s));
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
        .logits_lo = (uint32_t)logits,
        .logits_hi = (uint32_t)(logits >> 32),
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
        s->windows > 1 ? s->carried : 1, s->memory_at, s->head};
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
    const uint32_t n = gsai_resident_told(a->shape);
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
