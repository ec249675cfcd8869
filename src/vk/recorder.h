/* Recording calls into a plan. An op hands over one call; the recorder checks it, derives the barrier, cuts the plan
 * into submissions of bounded estimated time. Ops contain no vkCmd*. */
#ifndef GSAI_RECORDER_H
#define GSAI_RECORDER_H

#include "vk/hazard.h"
#include "vk/memory.h"
#include "vk/pipeline.h"
#include "vk/queue.h"

typedef struct gsai_binding {
    gsai_range range;
    gsai_access access;
} gsai_binding;

typedef struct gsai_call {
    const gsai_pipeline *pipeline;
    gsai_binding bind[GSAI_MAX_BINDINGS]; /* bindings 0..n-1 of the shader; all of them */
    uint32_t n_bind;
    const void *push;
    uint32_t push_bytes; /* exactly the shader's */
    uint32_t groups[3];  /* within caps.max_group_count; folding is the op's job. 0 in [1], [2] is 1 */
    bool by_address;   /* reads and writes memory that is not bound: ordered against all that comes before and after */
    const char *label; /* static text: op or op and role, e.g. "matmul qkvf" */
    uint64_t bytes;    /* moved, about */
    uint64_t flops;    /* about */
    bool beside;       /* binds the ranges of the call before it, but writes none of the places that one touches: no
                            barrier between them */
} gsai_call;

#define GSAI_QUERY_BLOCK 128 /* timestamps of one query pool */

/* A recorded list of submissions that can be submitted again and again, also while an earlier run of it is in flight:
 * it starts with a full barrier. */
typedef struct gsai_plan {
    VkCommandPool pool;
    VkCommandBuffer *segments;
    double *segment_estimate_ns;
    uint32_t n_segments;
    VkDescriptorPool *descriptor_pools;
    uint32_t n_descriptor_pools;
    VkQueryPool *query_pools; /* two timestamps a segment, or a pair a call with device->profile */
    uint32_t n_query_pools, n_queries;
    const char **labels; /* one per pair of timestamps when profiling */
    uint32_t n_labels;
    uint32_t n_calls;    /* shader calls, copies and fills */
    uint32_t n_barriers; /* between them */
    double estimate_ns;  /* with the device's correction at the time of recording */
    double memory_ns;    /* its parts without that: memory traffic */
    double math_ns;      /* and arithmetic; launches come to both */
} gsai_plan;

typedef struct gsai_recorder gsai_recorder;

/* Start a plan. A full barrier against everything submitted before is put first. max_segment_ns 0 = dev->max_submit_us. */
gsa_status gsai_recorder_begin(gsa_device *dev, double max_segment_ns, gsai_recorder **out);
/* Errors are sticky: after the first failure calls do nothing and finish returns it. A call that breaks a rule (number
 * of bindings, push size, range outside its buffer, misaligned or above caps.max_range_bytes, too many groups) is
 * ARGUMENT with a text that begins with its label. */
void gsai_recorder_call(gsai_recorder *r, const gsai_call *call);
/* src and dst must not overlap; offsets and size in bytes, multiples of 4. */
void gsai_recorder_copy(
    gsai_recorder *r, gsai_range src, uint64_t src_offset, gsai_range dst, uint64_t dst_offset, uint64_t size);
void gsai_recorder_fill_zero(gsai_recorder *r, gsai_range dst);
/* Make all writes so far visible to the host (after the ticket is done). Put before finish when the host reads. */
void gsai_recorder_to_host(gsai_recorder *r);
void gsai_recorder_fail(gsai_recorder *r, gsa_status status); /* the text is set already */
gsa_status gsai_recorder_status(const gsai_recorder *r);
gsa_device *gsai_recorder_device(const gsai_recorder *r);
/* A note of the ops layer: the variant that this recording is to use for its op, whatever the ladder says. NULL = none. */
void gsai_recorder_force(gsai_recorder *r, const void *variant);
const void *gsai_recorder_forced(const gsai_recorder *r);
/* Another note of the ops layer: who tries kernel shapes with this recording. NULL = nobody. */
void gsai_recorder_set_tuner(gsai_recorder *r, void *tuner);
void *gsai_recorder_tuner(const gsai_recorder *r);
/* From here on shader calls of that label are the only ones to be recorded (only), or are left out; copies and fills are
 * left out with only. label NULL: all are recorded again. */
void gsai_recorder_filter(gsai_recorder *r, const char *label, bool only);
/* Ends recording and frees r in any case; on failure *plan is zeroed. */
gsa_status gsai_recorder_finish(gsai_recorder *r, gsai_plan *plan);

gsa_status gsai_plan_submit(gsa_device *dev, const gsai_plan *plan, gsai_ticket *ticket);
/* After the ticket is done: GPU time of the plan's submissions, 0 without timestamps, and it teaches the device's cost
 * model. */
gsa_status gsai_plan_gpu_time(gsa_device *dev, const gsai_plan *plan, double *ns);
/* Profiling: for each call its label and time. */
typedef void (*gsai_plan_time_fn)(void *user, const char *label, double ns);
gsa_status gsai_plan_profile(gsa_device *dev, const gsai_plan *plan, gsai_plan_time_fn fn, void *user);
void gsai_plan_destroy(gsa_device *dev, gsai_plan *plan); /* not in flight; zeroed is fine */

/* Estimated GPU time of a call on this device: its launch, and bytes and flops over rates that measured submissions
 * correct. */
double gsai_estimate_ns(const gsa_device *dev, uint64_t bytes, uint64_t flops);
/* Its two parts without the correction, and how a measurement of a plan with such parts corrects them. */
double gsai_estimate_memory_ns(const gsa_device *dev, uint64_t bytes);
double gsai_estimate_math_ns(const gsa_device *dev, uint64_t flops);
void gsai_estimate_learn(gsa_device *dev, uint32_t n_calls, uint32_t n_segments, double guessed_memory_ns,
    double guessed_math_ns, double measured_ns);

#endif
