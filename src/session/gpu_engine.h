/* The engine of a model on a Vulkan device. All passes share one set of activations: the queue runs them in order, each
 * plan begins with a barrier against what went before. What the host writes and reads per pass lies in lanes, so several
 * passes can be in flight. Only gpu_*.c include this. */
#ifndef GSAI_GPU_ENGINE_H
#define GSAI_GPU_ENGINE_H

#include "session/capacity.h"
#include "session/engine.h"
#include "session/pack.h"

#define GSAI_MAX_PLANS   32
#define GSAI_MAX_RETIRED 32

/* All that a recorded pass depends on. What else changes from step to step lies in the work table. */
typedef struct gsai_plan_key {
    uint32_t lane, rows, page, n_rows, n_spans, n_chunks, n_wanted, wanted_class, choose, copy_logits;
    uint32_t repeat, chained, advance; /* generation; see gsai_pass */
    uint32_t resident;                 /* gsai_resident_pass */
} gsai_plan_key;

typedef enum gsai_resident_pass {
    GSAI_NOT_RESIDENT,
    GSAI_RESIDENT_KEEPS,  /* the state, first */
    GSAI_RESIDENT_GOES_ON /* an earlier pass of the job has kept it */
} gsai_resident_pass;

typedef struct gsai_cached_plan {
    gsai_plan_key key;
    gsai_plan plan;
    double unit_ns; /* cost model when recorded: submissions are cut by it */
    uint64_t last_used;
    bool used;
} gsai_cached_plan;

typedef struct gsai_lane {
    bool busy;
    gsai_ticket ticket;
    const gsai_cached_plan *plan;
    gsai_pack pack;
    uint32_t repeat; /* tokens of each entry in the read-back, when they are chosen */
    bool chained;
} gsai_lane;

/* The resident step of a model: one job at a time, whose session's state is kept beside while it runs. */
typedef struct gsai_gpu_resident {
    bool is_there; /* memory and list are; whether the kernel may still be used, the device's variants tell */
    gsai_resident_shape shape;
    gsai_heap heap;
    gsai_range spare; /* [n_layers] states */
    gsai_range post;
    gsai_range *tables;  /* [n_pages] */
    const gsai_job *job; /* that runs it, or NULL */
    uint32_t slot;       /* of that job's session */
} gsai_gpu_resident;

typedef struct gsai_retired_plan { /* a one-time plan (a state copy), perhaps still in flight */
    gsai_plan plan;
    gsai_ticket ticket;
} gsai_retired_plan;

typedef struct gsai_gpu_engine {
    gsai_engine base;
    gsa_device *dev;
    const gsai_checkpoint *checkpoint;
    const gsai_config *config;
    bool deterministic;
    gsai_capacity k;
    gsai_weights weights;
    gsai_heap scratch_heap, arena_heap;
    gsai_scratch scratch;
    gsai_state *states;   /* [n_pages][n_layers] */
    uint32_t speedup;     /* of products of many rows, in the cost model */
    uint32_t most_staged; /* chunks of at most so many rows take the kernels of single tokens */
    gsai_buffer staging, readback, transfer;
    gsai_lane lanes[GSAI_N_LANES];
    gsai_cached_plan plans[GSAI_MAX_PLANS];
    uint64_t use_counter;
    gsai_retired_plan retired[GSAI_MAX_RETIRED];
    uint32_t next_retired;
    gsai_gpu_resident resident;
} gsai_gpu_engine;

/* gpu_resident.c. Bytes of device memory that a model's resident step takes, 0 where it is not wanted. */
uint64_t gsai_gpu_resident_bytes(const gsa_device *dev, const gsai_config *c, const gsai_capacity *k);
gsa_status gsai_gpu_resident_create(gsai_gpu_engine *e, gsai_upload *up); /* after weights, scratch and arena */
/* With "auto": is it faster than call by call? Before the first session; slot 0 is zero again afterwards. */
gsa_status gsai_gpu_resident_weigh(gsai_gpu_engine *e);
void gsai_gpu_resident_destroy(gsai_gpu_engine *e);
bool gsai_gpu_resident_usable(const gsai_gpu_engine *e);
/* How the job's next pass is taken. Passes of the session that follow in the job must be resident, too, so it is the
 * span's last one or the job has no other span. */
gsai_resident_pass gsai_gpu_resident_takes(
    const gsai_gpu_engine *e, const gsai_pack *pack, const gsai_job *job, uint32_t n_spans);
gsai_resident_args gsai_gpu_resident_args(gsai_gpu_engine *e, uint32_t page, const gsai_work *work);
/* A wait was given up: the state as it was before the job, and no resident step on this device from now on. */
gsa_status gsai_gpu_resident_undo(gsai_gpu_engine *e);

/* gpu_plan.c: passes recorded, and kept for the next of their kind. */
gsa_status gsai_gpu_record_pass(gsai_gpu_engine *e, const gsai_plan_key *key, gsai_plan *plan);
/* The same into a recorder, of the first n_layers layers. */
void gsai_gpu_forward(gsai_gpu_engine *e, const gsai_plan_key *key, gsai_recorder *r, uint32_t n_layers);
gsa_status gsai_gpu_plan_for(gsai_gpu_engine *e, const gsai_plan_key *key, const gsai_cached_plan **out);

/* gpu_tune.c: shapes of the products of a single token, measured on this model. result as in ops/tune.h. */
gsa_status gsai_gpu_tune(
    gsai_engine *base, uint64_t budget_ns, void (*result)(void *user, const gsai_tune_result *result), void *user);

/* gpu_step.c: jobs, as in gsai_engine_ops. */
gsa_status gsai_gpu_submit(gsai_engine *base, gsai_span *spans, uint32_t n_spans, uint64_t budget_us, gsai_job **out);
gsa_status gsai_gpu_wait(gsai_engine *base, gsai_job *job, uint64_t timeout_ns);
gsa_status gsai_gpu_collect(gsai_engine *base, gsai_job *job);
double gsai_gpu_time_ns(gsai_engine *base, gsai_job *job);
void gsai_gpu_profile(
    gsai_engine *base, gsai_job *job, void (*call)(void *user, const char *label, double ns), void *user);

/* gpu_slot.c: states, as in gsai_engine_ops. */
gsa_status gsai_gpu_slot_zero(gsai_engine *base, uint32_t slot);
gsa_status gsai_gpu_slot_copy(gsai_engine *base, uint32_t dst, uint32_t src);
gsa_status gsai_gpu_slot_read(gsai_engine *base, uint32_t slot, float *state);
gsa_status gsai_gpu_slot_write(gsai_engine *base, uint32_t slot, const float *state);
/* From n_layers states one after another. */
gsa_status gsai_gpu_slot_take(gsai_gpu_engine *e, uint32_t slot, gsai_range states);

#endif
