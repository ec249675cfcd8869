/* gsa/session.h: timelines of tokens. A session is a recurrent state of fixed size in a slot of its model's arena, a
 * position, and the logits of its last token when they were asked for. Fork, snapshot, restore are device copies.
 *
 * Kinds: "immediate" touches no device; "submits" queues work and returns; "polls" looks; "blocks" waits for the device
 * and is named _wait. State copies (create, reset, fork, snapshot, restore) submit; only a burst of more than 32 of them
 * waits for the oldest. On the CPU reference device submitting does the work, so it blocks there.
 * Threads: one at a time per session; sessions of one model may be used from different threads. */
#ifndef GSA_SESSION_H
#define GSA_SESSION_H

#include "gsa/model.h"
#include "gsa/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gsa_session gsa_session;
typedef struct gsa_snapshot gsa_snapshot;
typedef struct gsa_step gsa_step;

/* --- sessions --- */

/* Take a free slot with the state before the first token. Submits. OK; LIMIT: all n_slots are taken; HOST_MEMORY,
 * DEVICE_LOST: *session is NULL. */
GSA_API gsa_status gsa_session_create(gsa_model *model, gsa_session **session);
/* Give the slot back. NULL is fine. Collect or destroy its step first; otherwise the log says so and the session stays. */
GSA_API void gsa_session_destroy(gsa_session *session);

GSA_API gsa_model *gsa_session_model(const gsa_session *session);
GSA_API uint64_t gsa_session_position(const gsa_session *session); /* tokens evaluated so far. Immediate */
/* Logits [n_vocab] of the last evaluated token, or NULL when they were not asked for. Valid until the session's next
 * call. Immediate. */
GSA_API const float *gsa_session_logits(const gsa_session *session);

/* Back to the state before the first token. Submits. OK; BUSY: a step is not collected; DEVICE_LOST. */
GSA_API gsa_status gsa_session_reset(gsa_session *session);
/* A second session that continues from here with the same bits. Submits. Statuses as gsa_session_create, and BUSY. */
GSA_API gsa_status gsa_session_fork(const gsa_session *session, gsa_session **fork);

/* A frozen copy in a slot of its own; restore any number of times, into any session of the same model. Submits.
 * OK; BUSY, LIMIT, HOST_MEMORY, DEVICE_LOST; restore also MISMATCH: of another model. On failure nothing changed. */
GSA_API gsa_status gsa_session_snapshot(const gsa_session *session, gsa_snapshot **snapshot);
GSA_API gsa_status gsa_session_restore(gsa_session *session, const gsa_snapshot *snapshot);
GSA_API void gsa_snapshot_destroy(gsa_snapshot *snapshot);

/* Whole session as a state file v1 (FORMAT.md), with the sampler's state when given. The file is written to a temporary
 * name and renamed. Blocks. OK; BUSY, FILE, HOST_MEMORY, DEVICE_LOST. */
GSA_API gsa_status gsa_session_save_wait(const gsa_session *session, const gsa_sampler *sampler, const char *path);
/* Continue from a state file. sampler, when given, takes the saved sampler state if the file has one. Blocks.
 * A file of f16 states also goes into a model with states of f32, exactly; not the other way round.
 * OK; FILE; FORMAT (short, changed or not a state file); MISMATCH (saved by another model, or in f32 where states are f16);
 * BUSY, HOST_MEMORY, DEVICE_LOST. On failure session and sampler are untouched, except after DEVICE_LOST. */
GSA_API gsa_status gsa_session_load_wait(gsa_session *session, gsa_sampler *sampler, const char *path);
/* The same to and from memory. Two-call idiom: data NULL gives *size. LIMIT: capacity too small. */
GSA_API gsa_status gsa_session_serialize_wait(
    const gsa_session *session, const gsa_sampler *sampler, void *data, size_t capacity, size_t *size);
GSA_API gsa_status gsa_session_deserialize_wait(
    gsa_session *session, gsa_sampler *sampler, const void *data, size_t size);
/* The recurrent state as floats, layer by layer: hk [G][K][M], hv [G][M][V], conv_q [H*K][W], conv_k [G*K][W],
 * conv_v [G*V][W]. n_floats must be gsa_model_info.n_state. Blocks. OK; ARGUMENT, BUSY, HOST_MEMORY, DEVICE_LOST. */
GSA_API gsa_status gsa_session_state_wait(const gsa_session *session, float *state, size_t n_floats);

/* Which slots the next tokens would write and read. The session stays as it is. Computed by the CPU reference from the
 * session's state and the model's weights, wherever the session lives: the numbers are those of the device up to the
 * error that logits may have, and it takes the time that a processor takes.
 *   tokens   [n_tokens] ids below n_vocab
 *   write    [n_layers][n_tokens][n_kv_heads][n_slots], or NULL: the part of a slot that the token replaces, 0 to 1. What
 *            a slot held before is left with 1 - write
 *   read     [n_layers][n_tokens][n_heads][n_slots], or NULL: the part that each slot has in what the token reads, after
 *            its own writing; the slots of a head sum to 1
 * Room for both is the caller's. Blocks. OK; ARGUMENT (no tokens, a bad id), BUSY, HOST_MEMORY, DEVICE_LOST, and what
 * reading the weights may give (FILE). On failure what write and read hold means nothing. */
GSA_API gsa_status gsa_session_trace_wait(
    const gsa_session *session, const int32_t *tokens, size_t n_tokens, float *write, float *read);

/* --- steps: the one execution primitive --- */

typedef enum gsa_want {
    GSA_WANT_NOTHING = 0,    /* only the state moves on */
    GSA_WANT_LOGITS = 1,     /* logits of the item's last token; then gsa_session_logits */
    GSA_WANT_ALL_LOGITS = 2, /* logits of every token into item.logits; the last ones also as above */
    GSA_WANT_TOKEN = 3       /* a token chosen on the device after the item's last token; no logits come back */
} gsa_want;

#define GSA_MAX_STOP_IDS 4

typedef struct gsa_step_item {
    gsa_session *session;  /* each session at most once in a step */
    const int32_t *tokens; /* [n_tokens] ids below n_vocab; copied before return */
    uint32_t n_tokens;     /* at least 1 */
    gsa_want want;
    gsa_sampler
        *sampler;    /* GSA_WANT_TOKEN: rules and seed, advanced when collected; NULL = greedy. Must outlive the step */
    float *logits;   /* GSA_WANT_ALL_LOGITS: room for [n_tokens, n_vocab]; rows [0, n_done) are filled when collected */
    uint32_t n_done; /* out, at submit: tokens queued; call again with the rest */
    int32_t token;   /* out, when collected: the (last) chosen token, or -1 while n_done < n_tokens */
    /* GSA_WANT_TOKEN, several tokens in a row: each chosen token is fed back on the device, without the host between
     * them; the last one is chosen, but not yet evaluated. All zero: one token. */
    uint32_t n_generate;     /* tokens to choose at most */
    int32_t *generated;      /* room for [n_generate] when above 1; filled when collected; must outlive the step */
    const int32_t *stop_ids; /* [n_stop]: the token after which to choose no more; must outlive the step */
    uint32_t n_stop;         /* at most GSA_MAX_STOP_IDS */
    uint32_t n_generated;    /* out, when collected: tokens in generated, a stop id included */
} gsa_step_item;

/* Queue work for one or many sessions of one model. Submits; never blocks.
 *   items      [n_items] read and written (n_done); the array must stay valid until the step is collected or destroyed
 *   budget_us  GPU time to queue at most, estimated from measured submissions; 0 = as much as fits one step. At least
 *              one chunk (64 tokens or the rest) of the first item is always queued; others may get n_done = 0
 *   step       out: the work; collect or destroy it
 * Slicing: tokens are evaluated in chunks of 64 counted from the first token of the item; continuing with the rest
 * after n_done gives the same bits as a step that took all at once. What an item wants besides the state is delivered
 * when its last token is done.
 * Generation: an item that begins with one token (the last one chosen) gets up to n_generate more, fewer when the budget,
 * the step's room (64) or another item of the step that asks for fewer ends it earlier: call again with the last one. An
 * item that begins with a longer prompt gets one. The tokens are those of as many steps with one token each.
 * OK; ARGUMENT (bad id, session twice, other model: nothing queued), BUSY (too many steps in flight, or a session's
 * step is not collected), HOST_MEMORY, DEVICE_LOST: *step is NULL, sessions unchanged. */
GSA_API gsa_status gsa_step_submit(
    gsa_model *model, gsa_step_item *items, uint32_t n_items, uint64_t budget_us, gsa_step **step);
GSA_API gsa_status gsa_step_poll(gsa_step *step);                      /* OK = done, NOT_READY, DEVICE_LOST. Polls */
GSA_API gsa_status gsa_step_wait(gsa_step *step, uint64_t timeout_us); /* the same after waiting. Blocks */
/* Hand out results: positions move by n_done, logits and tokens are filled in. OK; NOT_READY: nothing happened, call
 * again; DEVICE_LOST: the step is freed, its sessions can only be destroyed. After OK the step is freed too. */
GSA_API gsa_status gsa_step_collect(gsa_step *step);
/* GPU time of a done step in nanoseconds, 0 when unknown. */
GSA_API double gsa_step_gpu_ns(gsa_step *step);
/* With gsa_device_params.profile: each GPU call of a done step in order, its label ("matmul qkvf") and time. Immediate. */
GSA_API void gsa_step_profile(gsa_step *step, void (*call)(void *user, const char *label, double ns), void *user);

/* All n_tokens in as many steps as needed. logits: NULL, or room for [n_tokens, n_vocab] with all_logits, else the last
 * token's come through gsa_session_logits. On failure the session stands after the last whole step. Blocks. */
GSA_API gsa_status gsa_session_eval_wait(
    gsa_session *session, const int32_t *tokens, size_t n_tokens, float *all_logits);

#ifdef __cplusplus
}
#endif

#endif
