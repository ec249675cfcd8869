/* Measuring kernels and their shapes on the weights of a model. */
#include "session/gpu_engine.h"

#include "ops/matmul_cm.h"
#include "ops/timing.h"
#include "ops/verify.h"

/* One token. The work table is left as it is, which is empty while a model is loaded, and rewritten by every step
 * afterwards: states are neither needed nor kept. */
static void record(void *user, gsai_recorder *r, uint32_t n_layers)
{
    const gsai_plan_key key = {.rows = GSAI_ROWS_ONE,
        .n_rows = 1,
        .n_spans = 1,
        .n_chunks = 1,
        .n_wanted = 1,
        .wanted_class = GSAI_ROWS_ONE,
        .choose = GSAI_CHOOSE_NOTHING,
        .repeat = 1,
        .chained = true};
    gsai_gpu_forward(user, &key, r, n_layers);
}

gsa_status gsai_gpu_tune(
    gsai_engine *base, uint64_t budget_ns, void (*result)(void *user, const gsai_tune_result *result), void *user)
{
    gsai_gpu_engine *e = (gsai_gpu_engine *)base;
    const gsai_tune_args args = {.record = record,
        .user = e,
        .n_layers = e->config->n_layers,
        .budget_ns = budget_ns,
        .result = result,
        .result_user = user};
    return gsai_tune_search(e->dev, &args);
}

/* --- products of many tokens: tokens from rows, or packed --- */

enum { LEAST_TOKENS = 512, MOST_TOKENS = 2048, TIMES = 4 };
#define WEIGH_NS 300000000ull

typedef enum role { DOWN, GATE_UP, QKVF, O, N_ROLES } role;

typedef struct product {
    gsai_gpu_engine *e;
    const gsai_matrix *w;
    const gsai_matrix_part *part;
    role role;
} product;

/* The same product a few times, its tokens packed once: packing has a time of its own where kernels are chosen. What it
 * writes, the first pass overwrites. */
static void record_product(void *user, gsai_recorder *r)
{
    const product *p = user;
    const gsai_scratch *s = &p->e->scratch;
    const uint32_t T = p->e->k.max_rows < MOST_TOKENS ? p->e->k.max_rows : MOST_TOKENS;
    const bool swiglu = p->role == GATE_UP;
    bool has_packed_x = false;
    const gsai_matmul_cm_args args = {.y = swiglu            ? gsai_half_rows(s->act.range, p->w->n_rows / 2)
                                           : p->role == QKVF ? s->qkvf.rows
                                                             : s->x,
        .x = gsai_half_rows(p->role == DOWN ? s->act.range : s->h.range, p->w->n_cols),
        .part = p->part,
        .n_cols = p->w->n_cols,
        .T = T,
        .n_rows = swiglu ? p->part->n_rows / 2 : p->part->n_rows,
        .accumulate = p->role == DOWN || p->role == O,
        .swiglu = swiglu,
        .act = p->e->config->ffn_act,
        .has_packed_x = &has_packed_x,
        .label = "packed or not"};
    for (uint32_t i = 0; i < TIMES; i++) gsai_matmul_cm(r, &args);
}

/* Rates of zeros are not to be believed. */
static gsa_status fill_inputs(gsai_gpu_engine *e)
{
    gsai_upload *up = NULL;
    gsa_status status = gsai_upload_create(e->dev, &up);
    if (status == GSA_OK) status = gsai_timing_fill(up, e->scratch.h.range, 1);
    if (status == GSA_OK) status = gsai_timing_fill(up, e->scratch.act.range, 2);
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    return status;
}

/* Nothing is measured that is known or answers wrongly. */
static gsa_status weigh(product *p)
{
    gsa_device *dev = p->e->dev;
    const bool swiglu = p->role == GATE_UP;
    const gsai_variant *v[] = {NULL, NULL, gsai_variant_pick(dev, "matmul_pack_x")};
    uint32_t n_dropped = 0;
    if (!gsai_matmul_cm_has(dev, p->w) || (swiglu && !gsai_matmul_cm_has_swiglu(dev, p->w))) return GSA_OK;
    if (!gsai_matmul_cm_pair(dev, p->part->type, swiglu, &v[0], &v[1]) || gsai_tune_share(dev, v[0]) > 0) return GSA_OK;
    for (int i = 0; i < 3; i++) dev->variant_used[v[i] - gsai_variants] = 1;
    gsa_status status = gsai_ops_self_test_used(dev, &n_dropped);
    if (status == GSA_OK && n_dropped == 0) status = fill_inputs(p->e);
    if (status != GSA_OK || n_dropped > 0) return status;
    const gsai_tune_pair pair = {.product = {.variant = v[0],
                                     .label = "packed or not",
                                     .type = p->part->type,
                                     .n_out = swiglu ? p->part->n_rows / 2 : p->part->n_rows,
                                     .n_cols = p->w->n_cols,
                                     .per = swiglu ? 2 : 1,
                                     .lanes = dev->caps.subgroup_size},
        .other = v[1],
        .record = record_product,
        .user = p,
        .budget_ns = WEIGH_NS};
    return gsai_tune_weigh(dev, &pair);
}

gsa_status gsai_gpu_tune_prompts(gsai_gpu_engine *e)
{
    gsa_status status = GSA_OK;
    if (e->k.max_rows < LEAST_TOKENS) return GSA_OK;
    for (uint32_t layer = 0; layer < e->config->n_layers; layer++) {
        const gsai_layer_weights *w = &e->weights.layers[layer];
        const gsai_matrix *const matrices[N_ROLES] = {&w->down, &w->gate_up, &w->qkvf, &w->o};
        for (int i = 0; i < N_ROLES; i++)
            for (uint32_t part = 0; part < matrices[i]->n_parts && status == GSA_OK; part++)
                status = weigh(&(product){e, matrices[i], &matrices[i]->parts[part], (role)i});
    }
    return status;
}
