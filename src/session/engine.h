/* An engine runs one model on one device: state slots, and jobs made of spans. The GPU engine and the CPU reference
 * have the same face; sessions above do not know which one they use. An engine has no lock of its own: the model's
 * lock is held around every call but wait. */
#ifndef GSAI_ENGINE_H
#define GSAI_ENGINE_H

#include "gsa/session.h"
#include "model/checkpoint.h"
#include "ops/tune.h"

/* Tokens of one slot, as one step item asks for them. */
typedef struct gsai_span {
    uint32_t slot;
    const int32_t *tokens; /* checked ids; read during submit only */
    uint32_t n_tokens;
    gsa_want want;
    gsa_sampler *sampler;
    uint32_t n_done;    /* out of submit */
    float *last_logits; /* [n_vocab], filled by collect for LOGITS and ALL_LOGITS once the last token is done */
    float *all_logits;  /* [n_tokens, n_vocab] for ALL_LOGITS, rows [0, n_done) filled by collect */
    int32_t token;      /* out of collect for TOKEN once the last token is done: the last chosen one; else -1 */
    /* TOKEN: up to n_generate tokens in a row, each the input of the next, ended after a stop id */
    uint32_t n_generate;     /* at least 1 */
    int32_t *generated;      /* [n_generate], or NULL with n_generate 1 */
    const int32_t *stop_ids; /* [n_stop], read during submit and collect */
    uint32_t n_stop;
    uint32_t n_generated; /* out of collect */
    bool stopped;         /* by a stop id, out of collect */
} gsai_span;

typedef struct gsai_engine gsai_engine;
typedef struct gsai_job gsai_job;

typedef struct gsai_engine_ops {
    void (*destroy)(gsai_engine *e);
    /* Queue what fits: at least one chunk of the first span. *job is NULL on failure, nothing is queued then. */
    gsa_status (*submit)(gsai_engine *e, gsai_span *spans, uint32_t n_spans, uint64_t budget_us, gsai_job **job);
    gsa_status (*wait)(gsai_engine *e, gsai_job *job, uint64_t timeout_ns); /* 0 polls */
    /* After wait said OK: copy results into the spans given to submit; frees the job, also on failure. */
    gsa_status (*collect)(gsai_engine *e, gsai_job *job);
    double (*gpu_ns)(gsai_engine *e, gsai_job *job);
    void (*profile)(gsai_engine *e, gsai_job *job, void (*call)(void *user, const char *label, double ns), void *user);
    gsa_status (*slot_zero)(gsai_engine *e, uint32_t slot);
    gsa_status (*slot_copy)(gsai_engine *e, uint32_t dst, uint32_t src);
    gsa_status (*slot_read)(gsai_engine *e, uint32_t slot, float *state);        /* blocks */
    gsa_status (*slot_write)(gsai_engine *e, uint32_t slot, const float *state); /* blocks */
    /* Times all shapes of a token's products, none kept; blocks. NULL: the engine has none. */
    gsa_status (*tune)(
        gsai_engine *e, uint64_t budget_ns, void (*result)(void *user, const gsai_tune_result *result), void *user);
} gsai_engine_ops;

struct gsai_engine {
    const gsai_engine_ops *ops;
};

typedef struct gsai_engine_params {
    const gsai_checkpoint *checkpoint; /* outlives the engine */
    uint32_t n_slots, max_rows;        /* max_rows 0 = choose */
    bool deterministic;                /* company in a pass never changes bits */
    gsa_prompt_weights prompt_weights;
    uint64_t max_device_bytes; /* 0 = no cap */
    gsa_progress progress;
    void *progress_user;
} gsai_engine_params;

gsa_status gsai_engine_cpu_create(gsa_device *dev, const gsai_engine_params *params, gsai_engine **out);
gsa_status gsai_engine_gpu_create(gsa_device *dev, const gsai_engine_params *params, gsai_engine **out);

/* What gsai_engine_*_create would take on this device; arithmetic only. dev NULL = common limits. */
gsa_status gsai_engine_plan(const gsa_device *dev, const gsai_engine_params *params, gsa_memory_plan *plan);

#endif
