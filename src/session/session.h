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
    const float *state;
    uint64_t n_floats;
    const float *logits; /* NULL = none */
    uint32_t n_vocab;
    const gsa_sampler *sampler; /* NULL = none */
} gsai_saved;

/* State file v1, see FORMAT.md. Size of the whole file. */
size_t gsai_state_file_size(const gsai_saved *s);
void gsai_state_file_write(const gsai_saved *s, uint64_t model_hash, uint8_t *out);
/* Checks everything, then points into data (state and logits are little-endian floats, any alignment) and fills
 * sampler_out when given and present. */
typedef struct gsai_loaded {
    uint64_t position;
    const uint8_t *state, *logits; /* logits NULL = none */
    const uint8_t *sampler;        /* NULL = none */
} gsai_loaded;
gsa_status gsai_state_file_read(
    const uint8_t *data, size_t size, uint64_t model_hash, uint64_t n_floats, uint32_t n_vocab, gsai_loaded *out);
void gsai_state_file_sampler(const uint8_t *at, gsa_sampler *sampler);
void gsai_floats_from_le(float *out, const uint8_t *in, size_t n);

#endif
