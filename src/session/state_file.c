/* State file v1: FORMAT.md is its definition. Integers and floats are little-endian whatever the host. */
#include "session/session.h"

#include "model/state.h"
#include "sample/sampler.h"
#include "util/hash.h"

#include <string.h>

#define MAGIC         "GSASTATE"
#define VERSION       1u
#define HEADER_BYTES  64u
#define TYPE_F32      0u
#define TYPE_F16      1u
#define SAMPLER_BYTES (56u + 4 * GSAI_MAX_RECENT)

static uint8_t *put32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) *p++ = (uint8_t)(x >> 8 * i);
    return p;
}
static uint8_t *put64(uint8_t *p, uint64_t x)
{
    return put32(put32(p, (uint32_t)x), (uint32_t)(x >> 32));
}
static uint8_t *put_floats(uint8_t *p, const float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], 4);
        p = put32(p, bits);
    }
    return p;
}
static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

void gsai_floats_from_le(float *out, const uint8_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = get32(in + 4 * i);
        memcpy(&out[i], &bits, 4);
    }
}

size_t gsai_state_file_size(const gsai_saved *s)
{
    return HEADER_BYTES + (size_t)gsai_kept_state_bytes(s->config) + (s->logits ? s->config->n_vocab * 4ull : 0) +
           (s->sampler ? SAMPLER_BYTES : 0) + 8;
}

static uint8_t *put_sampler(uint8_t *p, const gsa_sampler *s)
{
    const gsa_sampler_params *q = &s->params;
    p = put_floats(p, (const float[]){q->temperature, q->top_p, q->min_p, q->repeat_penalty}, 4);
    p = put32(put32(p, q->top_k), q->repeat_last_n);
    p = put64(put64(p, q->seed), s->n_drawn);
    p = put32(put32(p, s->n_recent), 0);
    p = put64(p, 0);
    for (uint32_t i = 0; i < GSAI_MAX_RECENT; i++) { /* newest first */
        const uint32_t at = (s->next_recent + 2 * GSAI_MAX_RECENT - 1 - i) % GSAI_MAX_RECENT;
        p = put32(p, i < s->n_recent ? (uint32_t)s->recent[at] : 0);
    }
    return p;
}

void gsai_state_file_sampler(const uint8_t *p, gsa_sampler *s)
{
    float f[4];
    gsai_floats_from_le(f, p, 4);
    s->params.temperature = f[0];
    s->params.top_p = f[1];
    s->params.min_p = f[2];
    s->params.repeat_penalty = f[3];
    s->params.top_k = get32(p + 16);
    s->params.repeat_last_n = get32(p + 20);
    s->params.seed = get64(p + 24);
    s->n_drawn = get64(p + 32);
    s->n_recent = get32(p + 40);
    for (uint32_t i = 0; i < s->n_recent; i++) s->recent[s->n_recent - 1 - i] = (int32_t)get32(p + 56 + 4 * i);
    s->next_recent = s->n_recent % GSAI_MAX_RECENT;
}

/* What gsa_sampler_create would refuse must not come in through a file. */
static gsa_status check_sampler(const uint8_t *p)
{
    static const struct {
        const char *name;
        float max;
    } numbers[4] = {{"temperature", 3e38f}, {"top_p", 1}, {"min_p", 1}, {"repeat_penalty", 3e38f}};
    float f[4];
    gsai_floats_from_le(f, p, 4);
    for (int i = 0; i < 4; i++)
        if (!(f[i] >= 0 && f[i] <= numbers[i].max))
            return gsai_fail(GSA_ERROR_FORMAT, "state file: the sampler's %s is %g, expected 0 to %g", numbers[i].name,
                (double)f[i], (double)numbers[i].max);
    const uint32_t last_n = get32(p + 20), n_recent = get32(p + 40);
    if (last_n < 1 || last_n > GSAI_MAX_RECENT || n_recent > GSAI_MAX_RECENT)
        return gsai_fail(GSA_ERROR_FORMAT,
            "state file: the sampler looks at %u of %u recent tokens, expected 1 to %d of at most %d", last_n, n_recent,
            GSAI_MAX_RECENT, GSAI_MAX_RECENT);
    bool zeros = get32(p + 44) == 0 && get64(p + 48) == 0;
    for (uint32_t i = n_recent; i < GSAI_MAX_RECENT; i++) zeros = zeros && get32(p + 56 + 4 * i) == 0;
    return zeros ? GSA_OK
                 : gsai_fail(GSA_ERROR_FORMAT, "state file: unused bytes of the sampler are set, expected zeros");
}

void gsai_state_file_write(const gsai_saved *s, uint64_t model_hash, uint8_t *out)
{
    const uint32_t n_vocab = s->config->n_vocab;
    const uint64_t bytes = gsai_kept_state_bytes(s->config);
    const bool half = s->config->half_state;
    uint8_t *p = out;
    memcpy(p, MAGIC, 8);
    p = put32(put32(p + 8, VERSION), HEADER_BYTES);
    p = put64(put64(p, model_hash), s->position);
    p = put64(p, gsai_config_state_floats(s->config));
    p = put32(put32(p, half ? TYPE_F16 : TYPE_F32), n_vocab);
    p = put32(put32(p, s->logits ? n_vocab : 0), s->sampler ? SAMPLER_BYTES : 0);
    p = put64(p, half ? bytes : 0);
    gsai_state_keep(s->config, s->state, p);
    p += bytes;
    if (s->logits) p = put_floats(p, s->logits, n_vocab);
    if (s->sampler) p = put_sampler(p, s->sampler);
    put64(p, gsai_hash64(out, (size_t)(p - out)));
}

gsa_status gsai_state_file_read(
    const uint8_t *data, size_t size, uint64_t model_hash, const gsai_config *config, gsai_loaded *out)
{
    if (size < HEADER_BYTES + 8 || memcmp(data, MAGIC, 8) != 0)
        return gsai_fail(GSA_ERROR_FORMAT, "not a state file: it does not begin with " MAGIC " and a whole header");
    if (get32(data + 8) != VERSION || get32(data + 12) != HEADER_BYTES)
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "state file version %u with a header of %u bytes: this library reads version %u", get32(data + 8),
            get32(data + 12), VERSION);
    const uint64_t floats = get64(data + 32), n_floats = gsai_config_state_floats(config),
                   half_bytes = get64(data + 56);
    const uint32_t type = get32(data + 40), vocab = get32(data + 44), n_logits = get32(data + 48),
                   sampler_bytes = get32(data + 52);
    if (floats > UINT64_MAX / 8)
        return gsai_fail(GSA_ERROR_FORMAT, "state file lies: its header asks for %llu floats, there are %zu bytes",
            (unsigned long long)floats, size);
    const uint64_t state_bytes = type == TYPE_F16 ? half_bytes : floats * 4;
    const uint64_t expected = HEADER_BYTES + state_bytes + n_logits * 4ull + sampler_bytes + 8;
    if (expected != size)
        return gsai_fail(GSA_ERROR_FORMAT, "state file is cut or lies: its header asks for %llu bytes, there are %zu",
            (unsigned long long)expected, size);
    if (gsai_hash64(data, size - 8) != get64(data + size - 8))
        return gsai_fail(GSA_ERROR_FORMAT, "state file was changed after it was written: the checksum differs");
    if (get64(data + 16) != model_hash)
        return gsai_fail(GSA_ERROR_MISMATCH,
            "state file of another model (identity %016llx, this model has %016llx): load it with the model that saved "
            "it",
            (unsigned long long)get64(data + 16), (unsigned long long)model_hash);
    if (floats != n_floats || vocab != config->n_vocab)
        return gsai_fail(GSA_ERROR_MISMATCH,
            "state file of another shape: %llu floats and %u tokens, this model has %llu and %u",
            (unsigned long long)floats, vocab, (unsigned long long)n_floats, config->n_vocab);
    *out = (gsai_loaded){.position = get64(data + 24), .config = *config, .state = data + HEADER_BYTES};
    out->config.half_state = type == TYPE_F16;
    if (type > TYPE_F16 || (n_logits != 0 && n_logits != vocab) ||
        (sampler_bytes != 0 && sampler_bytes != SAMPLER_BYTES) ||
        half_bytes != (type == TYPE_F16 ? gsai_kept_state_bytes(&out->config) : 0))
        return gsai_fail(GSA_ERROR_FORMAT,
            "state file header holds unknown values (state type %u, %u logits, %u sampler bytes, reserved %llu)", type,
            n_logits, sampler_bytes, (unsigned long long)half_bytes);
    if (config->half_state && type == TYPE_F32)
        return gsai_fail(GSA_ERROR_MISMATCH,
            "state file of f32, which this model's states of f16 would round: load it with states of f32");
    if (out->position > INT64_MAX)
        return gsai_fail(GSA_ERROR_FORMAT, "state file holds an impossible position, %llu, expected below 2^63",
            (unsigned long long)out->position);
    if (n_logits) out->logits = out->state + state_bytes;
    if (sampler_bytes) out->sampler = out->state + state_bytes + n_logits * 4ull;
    return out->sampler ? check_sampler(out->sampler) : GSA_OK;
}
