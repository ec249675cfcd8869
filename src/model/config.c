#include "model/config.h"

#include "util/half.h"
#include "util/hash.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

static gsa_status check_range(const char *name, uint64_t value, uint64_t max)
{
    if (value >= 1 && value <= max) return GSA_OK;
    return gsai_fail(
        GSA_ERROR_FORMAT, "%s is %llu, expected 1..%llu", name, (unsigned long long)value, (unsigned long long)max);
}

static gsa_status check_positive(const char *name, float value)
{
    if (isfinite(value) && value > 0) return GSA_OK;
    return gsai_fail(GSA_ERROR_FORMAT, "%s is %g, expected a positive number", name, (double)value);
}

static gsa_status check_id(const char *name, int32_t id, uint32_t n_vocab)
{
    if (id == -1 || (id >= 0 && (uint32_t)id < n_vocab)) return GSA_OK;
    return gsai_fail(
        GSA_ERROR_FORMAT, "%s is %d, expected an id below the vocabulary size %u, or -1 for none", name, id, n_vocab);
}

gsa_status gsai_config_check(const gsai_config *c)
{
    const struct {
        const char *name;
        uint64_t value, max;
    } sizes[] = {
        {"vocabulary size", c->n_vocab, GSAI_MAX_VOCAB},
        {"number of layers", c->n_layers, GSAI_MAX_LAYERS},
        {"hidden size D", c->D, GSAI_MAX_DIM},
        {"number of query heads H", c->H, GSAI_MAX_DIM},
        {"number of kv heads G", c->G, GSAI_MAX_DIM},
        {"key size K", c->K, GSAI_MAX_DIM},
        {"value size V", c->V, GSAI_MAX_DIM},
        {"number of slots M", c->M, GSAI_MAX_SLOTS},
        {"feed-forward size F", c->F, GSAI_MAX_DIM},
        /* Both factors are checked above, so these products cannot wrap. */
        {"heads * key size", (uint64_t)c->H * c->K, GSAI_MAX_DIM},
        {"heads * value size", (uint64_t)c->H * c->V, GSAI_MAX_DIM},
        {"kv heads * slots", (uint64_t)c->G * c->M, GSAI_MAX_DIM},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const gsa_status status = check_range(sizes[i].name, sizes[i].value, sizes[i].max);
        if (status) return status;
    }
    if (c->H % c->G != 0)
        return gsai_fail(
            GSA_ERROR_FORMAT, "number of query heads %u is not a multiple of the number of kv heads %u", c->H, c->G);
    if (c->W > GSAI_MAX_TAPS)
        return gsai_fail(GSA_ERROR_FORMAT, "short convolution has %u taps, expected at most %u", c->W, GSAI_MAX_TAPS);
    gsa_status status;
    if ((status = check_positive("norm epsilon", c->norm_eps))) return status;
    if ((status = check_positive("output norm epsilon", c->g_norm_eps))) return status;
    if ((status = check_positive("gate normalizer", c->gate_normalizer))) return status;
    if ((status = check_positive("scale", c->scale))) return status;
    if ((unsigned)c->feature_map > GSAI_FEATURE_T2R)
        return gsai_fail(GSA_ERROR_FORMAT, "feature map is %d, expected 0..%d", (int)c->feature_map, GSAI_FEATURE_T2R);
    if ((unsigned)c->ffn_act > GSAI_FFN_POWLU)
        return gsai_fail(GSA_ERROR_FORMAT, "activation is %d, expected 0..%d", (int)c->ffn_act, GSAI_FFN_POWLU);
    if ((status = check_id("bos id", c->bos_id, c->n_vocab))) return status;
    return check_id("eos id", c->eos_id, c->n_vocab);
}

gsai_layer_state gsai_config_layer_state(const gsai_config *c, uint32_t layer)
{
    (void)layer; /* every layer is a GSA layer */
    gsai_layer_state s = {0};
    s.hv = s.hk + (uint64_t)c->G * c->K * c->M;
    s.conv_q = s.hv + (uint64_t)c->G * c->M * c->V;
    s.conv_k = s.conv_q + (uint64_t)c->H * c->K * c->W;
    s.conv_v = s.conv_k + (uint64_t)c->G * c->K * c->W;
    s.n_floats = s.conv_v + (uint64_t)c->G * c->V * c->W;
    return s;
}

uint64_t gsai_config_state_floats(const gsai_config *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->n_layers; i++) n += gsai_config_layer_state(c, i).n_floats;
    return n;
}

uint64_t gsai_config_hash(const gsai_config *c)
{
    /* 16-byte tag, then little-endian u32 each; floats as their bits. Lengths and ids that change no weight and no
     * number (context_length, bos_id, eos_id) stay out. FORMAT.md fixes this list. */
    static const char tag[16] = "gsa config v1";
    const uint32_t fields[] = {c->n_vocab, c->n_layers, c->D, c->H, c->G, c->K, c->V, c->M, c->F, c->W,
        gsai_float_to_bits(c->norm_eps), gsai_float_to_bits(c->g_norm_eps), gsai_float_to_bits(c->gate_normalizer),
        gsai_float_to_bits(c->scale), (uint32_t)c->feature_map, (uint32_t)c->ffn_act, c->tied ? 1 : 0};
    uint8_t bytes[sizeof tag + sizeof fields];
    memcpy(bytes, tag, sizeof tag);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        for (unsigned b = 0; b < 4; b++) bytes[sizeof tag + 4 * i + b] = (uint8_t)(fields[i] >> 8 * b);
    }
    return gsai_hash64(bytes, sizeof bytes);
}
