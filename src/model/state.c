#include "model/state.h"

#include "util/half.h"

#define HALF_MAX 65504.0f

/* Numbers of hk and hv of a layer. */
static uint64_t memory_of(const gsai_config *c)
{
    return gsai_config_layer_state(c, 0).conv_q;
}

gsai_layer_state gsai_kept_layer_state(const gsai_config *c)
{
    gsai_layer_state s = gsai_config_layer_state(c, 0);
    if (!c->half_state) return s;
    const uint64_t saved = memory_of(c) / 2;
    s.conv_q -= saved;
    s.conv_k -= saved;
    s.conv_v -= saved;
    s.n_floats -= saved;
    return s;
}

uint64_t gsai_kept_state_bytes(const gsai_config *c)
{
    return c->n_layers * gsai_kept_layer_state(c).n_floats * 4;
}

static uint16_t half_of(float x)
{
    return gsai_float_to_f16(x > HALF_MAX ? HALF_MAX : x < -HALF_MAX ? -HALF_MAX : x);
}

static uint8_t *put(uint8_t *p, uint32_t bits, uint32_t n_bytes)
{
    for (uint32_t i = 0; i < n_bytes; i++) *p++ = (uint8_t)(bits >> 8 * i);
    return p;
}

static uint32_t get(const uint8_t *p, uint32_t n_bytes)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < n_bytes; i++) bits |= (uint32_t)p[i] << 8 * i;
    return bits;
}

void gsai_state_keep(const gsai_config *c, const float *state, uint8_t *kept)
{
    const uint64_t n_half = c->half_state ? memory_of(c) : 0, n = gsai_config_layer_state(c, 0).n_floats;

    for (uint32_t layer = 0; layer < c->n_layers; layer++, state += n) {
        for (uint64_t i = 0; i < n_half; i++) kept = put(kept, half_of(state[i]), 2);
        if (n_half % 2) kept = put(kept, 0, 2);
        for (uint64_t i = n_half; i < n; i++) kept = put(kept, gsai_float_to_bits(state[i]), 4);
    }
}

void gsai_state_give(const gsai_config *c, const uint8_t *kept, float *state)
{
    const uint64_t n_half = c->half_state ? memory_of(c) : 0, n = gsai_config_layer_state(c, 0).n_floats;

    for (uint32_t layer = 0; layer < c->n_layers; layer++, state += n) {
        for (uint64_t i = 0; i < n_half; i++, kept += 2) state[i] = gsai_f16_to_float((uint16_t)get(kept, 2));
        kept += n_half % 2 * 2;
        for (uint64_t i = n_half; i < n; i++, kept += 4) state[i] = gsai_bits_to_float(get(kept, 4));
    }
}

void gsai_state_round(const gsai_config *c, float *state)
{
    const uint64_t n_half = c->half_state ? memory_of(c) : 0, n = gsai_config_layer_state(c, 0).n_floats;

    for (uint32_t layer = 0; layer < c->n_layers; layer++, state += n)
        for (uint64_t i = 0; i < n_half; i++) state[i] = gsai_f16_to_float(half_of(state[i]));
}
