/* What the ops of the mixer share: checks of the work table and the state, sizes that follow from the model alone. */
#ifndef GSAI_OPS_MIXER_H
#define GSAI_OPS_MIXER_H

#include "ops/ops.h"

#include "common/mixer.h"

/* Most rows a chunk of this class has. */
static inline uint32_t gsai_mixer_chunk_rows(gsai_row_class rows)
{
    return rows == GSAI_ROWS_ONE ? 1 : rows == GSAI_ROWS_FEW ? GSAI_FEW_MAX : GSA_CHUNK;
}

/* Name of the form of an op that serves the model's type of state, and bytes of an element of hk and hv. */
#define GSAI_STATE_OP(c, op) ((c)->half_state ? op "_half" : op)
static inline uint32_t gsai_state_element(const gsai_config *c)
{
    return c->half_state ? 2 : 4;
}

/* Tables inside the work range, at least one slot inside the state's, no more spans and chunks than a dispatch has
 * groups. False after failing the recorder. */
bool gsai_mixer_check_work(gsai_recorder *r, const char *op, const gsai_state *state, const gsai_work *work);

/* The members that all kernels of the recurrence begin their push constants with. push: any of the structs that begin with
 * GSA_MIXER_PUSH. */
void gsai_mixer_push(
    void *push, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state, const gsai_work *work);

/* Rows per group are as many as keep the grid's y within what every device has. */
static inline uint32_t gsai_mixer_row_groups(uint32_t T)
{
    return T < 65535 ? T : 65535;
}

/* Rows of the key memory that a workgroup of the q k v f product reads in the step of single rows (staged.h), or in that of
 * so many rows of one chunk; 0 when a part or the shape does not fit. */
uint32_t gsai_gsa_step_tile(const gsa_device *dev, const gsai_config *c, const gsai_matrix *qkvf, uint32_t few);

/* The two forms of the op. Scratch floats for n_chunks chunks; the caller of the op has checked everything. */
uint64_t gsai_gsa_step_floats(const gsai_config *c, uint32_t n_spans, uint32_t n_chunks);
uint64_t gsai_gsa_chunk_floats(const gsai_config *c, uint32_t n_chunks, uint32_t chunk_rows);
/* What this call needs, idle chunks counted. */
uint64_t gsai_gsa_work_floats(const gsai_config *c, const gsai_work *work);
void gsai_op_gsa_step(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch, bool projections);
/* Without passing over the state more than once; no floats where the model's shapes do not suit. */
uint64_t gsai_gsa_rows_floats(const gsai_config *c, uint32_t n_chunks, uint32_t chunk_rows);
bool gsai_gsa_rows_has(gsai_recorder *r, const gsai_config *c, const gsai_work *work);
void gsai_op_gsa_rows(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch, bool projections);
/* The same bits of single tokens in one dispatch, where the shapes suit, the device has the registers and there are sessions
 * enough for its cores. */
typedef struct gsai_rows_form {
    uint32_t threads,
        window; /* invocations of a workgroup; vectors of the state on their way in each. Never change a bit */
} gsai_rows_form;
bool gsai_gsa_rows_kv_fits(const gsa_device *dev, const gsai_config *c, const gsai_rows_form *f);
bool gsai_gsa_rows_kv_has(gsai_recorder *r, const gsai_config *c, const gsai_work *work, gsai_rows_form *f);
void gsai_op_gsa_rows_kv(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x,
    const gsai_state *state, const gsai_work *work, bool projections, const gsai_rows_form *f);
/* On matrix units; no floats where the model's shapes do not suit them. mapped: x as gsai_op_norm_matmul leaves it with
 * maps. */
uint64_t gsai_gsa_chunk_cm_floats(const gsai_config *c, uint32_t n_chunks);
bool gsai_gsa_chunk_cm_has(gsai_recorder *r, const gsai_config *c, const gsai_work *work);
void gsai_op_gsa_chunk_cm(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x,
    const gsai_state *state, const gsai_work *work, gsai_range scratch, bool mapped);
void gsai_op_gsa_chunk(gsai_recorder *r, const gsai_config *c, gsai_rows o, const gsai_qkvf *x, const gsai_state *state,
    const gsai_work *work, gsai_range scratch);

#endif
