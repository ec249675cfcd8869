/* Inside of sessions, snapshots and steps. */
#ifndef GSAI_SESSION_H
#define GSAI_SESSION_H

#include "session/model.h"

struct gsa_session {
    gsa_model *model;
    uint32_t slot;
    uint64_t position;
    float *logits; /* [n_vocab] */
    bool has_logits;
    bool in_step; /* a step with this session is not collected */
};

struct gsa_snapshot {
    gsa_model *model;
    uint32_t slot;
    uint64_t position;
    float *logits; /* [n_vocab], NULL when the session had none */
};

/* What a state file holds besides the model identity. */
typedef struct gsai_saved {
    uint64_t position;
    const gsai_config *config;
    const float *state;         /* [gsai_config_state_floats], as the config's type of state can hold it */
    const float *logits;        /* [n_vocab], NULL = none */
    const gsa_sampler *sampler; /* NULL = none */
} gsai_saved;

/* State file v1, see FORMAT.md. Size of the whole file. */
size_t gsai_state_file_size(const gsai_saved *s);
void gsai_state_file_write(const gsai_saved *s, uint64_t model_hash, uint8_t *out);
/* Checks everything, then points into data: little-endian, any alignment. */
typedef struct gsai_loaded {
    uint64_t position;
    gsai_config config;     /* the model's, with the file's type of state */
    const uint8_t *state;   /* as kept with that config: gsai_state_give */
    const uint8_t *logits;  /* floats; NULL = none */
    const uint8_t *sampler; /* NULL = none */
} gsai_loaded;
gsa_status gsai_state_file_read(
    const uint8_t *data, size_t size, uint64_t model_hash, const gsai_config *config, gsai_loaded *out);
void gsai_state_file_sampler(const uint8_t *at, gsa_sampler *sampler);
void gsai_floats_from_le(float *out, const uint8_t *in, size_t n);

#endif
