/* A session's state in its two forms. As floats, gsai_config_layer_state: what the reference computes with and callers see.
 * As kept: the bytes of an arena's slot and of a state file, little-endian. They differ with half_state only: hk and hv are
 * then f16, filled up to a multiple of four bytes with zeros; the inputs of the short convolution stay f32. */
#ifndef GSAI_STATE_H
#define GSAI_STATE_H

#include "model/config.h"

/* Of a layer as kept: hk and hv counted in elements of their type, all else in floats. */
gsai_layer_state gsai_kept_layer_state(const gsai_config *c);
uint64_t gsai_kept_state_bytes(const gsai_config *c); /* all layers, one session */

/* state [gsai_config_state_floats], kept [gsai_kept_state_bytes], any alignment. Keeping rounds as gsai_state_round does. */
void gsai_state_keep(const gsai_config *c, const float *state, uint8_t *kept);
void gsai_state_give(const gsai_config *c, const uint8_t *kept, float *state);

/* With half_state hk and hv become what f16 can hold: the nearest, ties to even, at most 65504. Done where a chunk ends. */
void gsai_state_round(const gsai_config *c, float *state);

#endif
