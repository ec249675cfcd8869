/* Passes recorded as plans, and kept. */
#include "session/gpu_engine.h"

#include "ops/matmul_cm.h"

#include <string.h>

static double unit_cost(const gsa_device *dev)
{
    return gsai_estimate_ns(dev, 1u << 30, 1ull << 33);
}

static gsai_table table_at(const gsai_gpu_engine *e, uint32_t base)
{
    return (gsai_table){e->scratch.work, base};
}

/* From how many rows on the products of prompts serve where they run on matrix units: all weights are then read once. Of
 * a chunk of few rows, which has a pass of its own, its length decides; single tokens of several sessions differ in the
 * last digits from those of a session alone, and two of them are still done as soon with what serves one. CPU drivers
 * compile those kernels for seconds and gain nothing by them. */
enum { CHUNK_LEAST = 2, BATCH_LEAST = 3, CPU_BATCH_LEAST = 4 };

static bool batched(const gsai_gpu_engine *e, const gsai_plan_key *key)
{
    const bool cpu = e->dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU, one = key->rows == GSAI_ROWS_ONE;
    const uint32_t least = !one ? CHUNK_LEAST : cpu ? CPU_BATCH_LEAST : BATCH_LEAST;

    if (key->rows == GSAI_ROWS_MANY || key->n_rows < least) return false;
    return !(one ? e->deterministic : cpu) && gsai_matmul_cm_has(e->dev, &e->weights.layers[0].qkvf);
}

/* The last few rows of a prompt are those of single tokens to the products. */
static gsai_row_class product_class(const gsai_gpu_engine *e, const gsai_plan_key *key)
{
    if (key->rows == GSAI_ROWS_FEW && key->n_rows <= e->most_staged) return GSAI_ROWS_FEW_SINGLE;
    if (!batched(e, key)) return (gsai_row_class)key->rows;
    return key->rows == GSAI_ROWS_ONE ? GSAI_ROWS_SESSIONS : GSAI_ROWS_MANY;
}

void gsai_gpu_forward(gsai_gpu_engine *e, const gsai_plan_key *key, gsai_recorder *r, uint32_t n_layers)
{
    const gsai_capacity *k = &e->k;
    const uint64_t stride = gsai_capacity_staging_stride(k);
    gsai_pass pass = {
        .work = {e->scratch.work, k->spans_at, k->chunks_at, key->n_spans, key->n_chunks, key->n_rows,
            (gsai_row_class)key->rows},
        .ids = table_at(e, k->ids_at),
        .wanted = table_at(e, k->wanted_at),
        .n_wanted = key->n_wanted,
        .product_class = product_class(e, key),
        .wanted_class =
            batched(e, key) && key->rows == GSAI_ROWS_ONE ? GSAI_ROWS_SESSIONS : (gsai_row_class)key->wanted_class,
        .choose = (gsai_choose)key->choose,
        .sample_params = table_at(e, k->sample_at),
        .copy_logits = key->copy_logits,
        .staging = {&e->staging, key->lane * stride, stride},
        .staging_bytes = (key->choose == GSAI_CHOOSE_SAMPLE || key->advance ? k->work_uints : k->sample_at) * 4ull,
        .repeat = key->repeat,
        .chained = key->chained,
        .advance = key->advance,
        .tokens_stride = k->tokens_stride,
        .readback = {&e->readback, key->lane * k->readback_bytes, k->readback_bytes},
        .logits_at = 0,
        .tokens_at = k->tokens_at,
        .states = e->states + (size_t)key->page * e->config->n_layers,
    };
    gsai_resident_args resident;
    if (key->resident) {
        resident = gsai_gpu_resident_args(e, key->page, &pass.work);
        pass.resident = &resident;
        pass.kept = key->chained || key->resident == GSAI_RESIDENT_GOES_ON;
        pass.spare = e->resident.spare;
        pass.given_up_at = k->given_up_at;
    }
    gsai_config config = *e->config;
    config.n_layers = n_layers;
    gsai_forward(r, &config, &e->weights, &e->scratch, &pass);
}

gsa_status gsai_gpu_record_pass(gsai_gpu_engine *e, const gsai_plan_key *key, gsai_plan *plan)
{
    gsai_recorder *r = NULL;
    const gsa_status status = gsai_recorder_begin(e->dev, 0, &r);
    if (status != GSA_OK) return status;
    gsai_gpu_forward(e, key, r, e->config->n_layers);
    return gsai_recorder_finish(r, plan);
}

static bool plan_in_flight(const gsai_gpu_engine *e, const gsai_cached_plan *p)
{
    for (uint32_t i = 0; i < GSAI_N_LANES; i++)
        if (e->lanes[i].busy && e->lanes[i].plan == p) return true;
    return false;
}

gsa_status gsai_gpu_plan_for(gsai_gpu_engine *e, const gsai_plan_key *key, const gsai_cached_plan **out)
{
    const double unit_ns = unit_cost(e->dev);
    gsai_cached_plan *oldest = NULL;
    for (uint32_t i = 0; i < GSAI_MAX_PLANS; i++) {
        gsai_cached_plan *p = &e->plans[i];
        if (p->used && memcmp(&p->key, key, sizeof *key) == 0) {
            /* Far from what the cost model says now: cut again. */
            if (unit_ns > 1.5 * p->unit_ns || unit_ns < p->unit_ns / 1.5) {
                oldest = p;
                break;
            }
            p->last_used = ++e->use_counter;
            *out = p;
            return GSA_OK;
        }
        if (!plan_in_flight(e, p) && (!oldest || !p->used || (oldest->used && p->last_used < oldest->last_used)))
            oldest = p;
    }
    gsai_plan_destroy(e->dev, &oldest->plan);
    oldest->used = false;
    const gsa_status status = gsai_gpu_record_pass(e, key, &oldest->plan);
    if (status != GSA_OK) return status;
    oldest->key = *key;
    oldest->unit_ns = unit_ns;
    oldest->last_used = ++e->use_counter;
    oldest->used = true;
    *out = oldest;
    return GSA_OK;
}
