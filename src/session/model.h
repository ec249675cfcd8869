/* A loaded model: checkpoint, engine, and which state slots are taken. */
#ifndef GSAI_MODEL_H
#define GSAI_MODEL_H

#include "session/engine.h"
#include "vk/device.h"

struct gsa_model {
    gsa_device *device;
    gsai_checkpoint *checkpoint; /* kept: identity, and host copy of the weights for the CPU reference */
    gsai_engine *engine;
    gsai_mutex lock; /* around engine calls, slots and hash */
    bool *slot_taken;
    uint32_t n_slots;
    uint64_t hash; /* identity of state files; 0 until needed */
    gsa_memory_plan plan;
    gsa_model_info info;
    _Atomic uint32_t n_children; /* sessions and snapshots */
};

gsa_status gsai_checkpoint_open(
    const gsa_model_params *params, const gsa_allocator *a, const gsa_log *log, gsai_checkpoint **out);
void gsai_model_info_fill(const gsai_checkpoint *ck, gsa_model_info *info);
gsa_status gsai_model_load(gsa_device *device, const gsa_model_params *params, gsa_model **out);
void gsai_model_free(gsa_model *m); /* half-built is fine */

/* Under the lock. LIMIT when all are taken. */
gsa_status gsai_model_take_slot(gsa_model *m, uint32_t *slot);
void gsai_model_give_slot(gsa_model *m, uint32_t slot);
/* Under the lock, without children. */
gsa_status gsai_model_tune(gsa_model *m, double seconds, void (*row)(void *user, const gsa_tune_row *row), void *user);
gsa_status gsai_model_hash(gsa_model *m, uint64_t *hash);

#endif
