/* Checkpoints without files: every weight is a function of seed, role, layer and index, computed when it is read. */
#include "model/checkpoint.h"

#include "util/alloc.h"
#include "util/half.h"
#include "util/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCK    1024u /* elements made at a time */
#define MAX_NAME 40u   /* "blk.1023.attn_feature_map.weight" */

/* An element is ((int32)hash >> shift) + bias, times scale: weights are uniform around 0 with shift and bias 0, norm
 * weights lie on a coarse grid around 1 that every type holds exactly. */
typedef struct source {
    uint64_t key;
    uint32_t shift;
    int32_t bias;
    float scale;
} source;

typedef struct generator {
    source *sources;
    char (*names)[MAX_NAME];
} generator;

static uint64_t mix64(uint64_t x)
{
    x = (x ^ x >> 30) * 0xd6e8feb86659fd93ull;
    x = (x ^ x >> 27) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 31;
}

/* Bits of the low 32-bit counter under two keys. Cheap, and only operations that vector units have. */
static inline uint32_t mix32(uint32_t x, uint32_t key0, uint32_t key1)
{
    x += key0;
    x = (x ^ x >> 16) * 0x9e3779b1u ^ key1;
    x = (x ^ x >> 15) * 0x85ebca6bu;
    return x ^ x >> 16;
}

/* Round to nearest even, for finite |f| < 65504, without branches so that the loop becomes vector code. */
static inline uint16_t to_f16(float f)
{
    const int32_t bits = (int32_t)gsai_float_to_bits(f), magnitude = bits & 0x7fffffff;
    const int32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112 << 23)) >> 13;
    const float shifted = gsai_bits_to_float((uint32_t)magnitude) + 0.5f; /* 2^-24 becomes its last bit */
    const int32_t small = (int32_t)gsai_float_to_bits(shifted) - 0x3f000000;
    const int32_t is_small = (magnitude - (113 << 23)) >> 31; /* all ones or zero */
    return (uint16_t)((small & is_small) | (normal & ~is_small) | (bits >> 16 & 0x8000));
}

static inline uint16_t to_bf16(float f)
{
    const uint32_t bits = gsai_float_to_bits(f);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/* Elements [first, first + n) of a source; the range does not cross a multiple of 2^32. */
static void make_floats(const source *s, uint64_t first, uint32_t n, float *out)
{
    const uint64_t keys = mix64(s->key + (first >> 32) * 0x9e3779b97f4a7c15ull);
    const uint32_t key0 = (uint32_t)keys, key1 = (uint32_t)(keys >> 32), base = (uint32_t)first, shift = s->shift;
    const int32_t bias = s->bias;
    const float scale = s->scale;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t h = (int32_t)mix32(base + i, key0, key1);
        out[i] = (float)((h >> shift) + bias) * scale;
    }
}

static gsa_status read_synthetic(void *user, const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst)
{
    const source *s = user;
    const uint64_t width = gsai_type_bytes(t->type, 1), end = offset + size;
    float floats[BLOCK];
    uint16_t halves[BLOCK];
    uint8_t *out = dst;
    while (offset < end) {
        const uint64_t first = offset / width, skip = offset % width;
        uint64_t n = (end + width - 1) / width - first;
        if (n > BLOCK - first % BLOCK) n = BLOCK - first % BLOCK; /* never across 2^32 elements */
        make_floats(s, first, (uint32_t)n, floats);
        const uint8_t *made = t->type == GSAI_F32 ? (const uint8_t *)floats : (const uint8_t *)halves;
        if (t->type == GSAI_F16) {
            for (uint32_t i = 0; i < n; i++) halves[i] = to_f16(floats[i]);
        } else if (t->type == GSAI_BF16) {
            for (uint32_t i = 0; i < n; i++) halves[i] = to_bf16(floats[i]);
        }
        uint64_t bytes = n * width - skip;
        if (bytes > end - offset) bytes = end - offset;
        memcpy(out, made + skip, (size_t)bytes);
        out += bytes;
        offset += bytes;
    }
    return GSA_OK;
}

/* Standard deviations that keep the residual stream near one: inputs of matrices are normed, so 1/sqrt(columns) gives
 * outputs near one, and what a layer adds back is divided by sqrt(2 * layers). */
static double deviation(const gsai_config *c, gsai_role role)
{
    const double in = 1 / sqrt(c->D), back = 1 / sqrt(2.0 * c->n_layers);
    switch (role) {
    case GSAI_ROLE_EMBED:
        return c->tied ? 2 * in : 1;
    case GSAI_ROLE_HEAD:
        return 2 * in;
    case GSAI_ROLE_CONV_Q:
    case GSAI_ROLE_CONV_K:
    case GSAI_ROLE_CONV_V:
        return 1.2 / sqrt(c->W);
    case GSAI_ROLE_T2R:
        return 1.4 / sqrt(c->K);
    case GSAI_ROLE_O:
        return back / sqrt((double)c->H * c->V);
    case GSAI_ROLE_DOWN:
        return 1.7 * back / sqrt(c->F); /* silu(gate) * up has an RMS near 0.6 */
    default:
        return in;
    }
}

static bool is_norm(gsai_role role)
{
    return role == GSAI_ROLE_OUT_NORM || role == GSAI_ROLE_ATTN_NORM || role == GSAI_ROLE_G_NORM ||
           role == GSAI_ROLE_FFN_NORM;
}

static void describe_source(source *s, const gsai_config *c, gsai_role role, uint64_t seed, uint32_t layer)
{
    s->key = mix64(mix64(mix64(seed) + (uint64_t)role + 1) + layer);
    if (is_norm(role)) { /* (2^14 - 2048 .. 2^14 + 2047) / 2^14 */
        s->shift = 20;
        s->bias = 1 << 14;
        s->scale = 1.0f / (1 << 14);
    } else { /* a uniform distribution over (-a, a) has the variance a^2 / 3 */
        s->scale = (float)(deviation(c, role) * sqrt(3.0) / 2147483648.0);
    }
}

gsa_status gsai_checkpoint_synthetic_preset(const char *preset, gsai_config *config)
{
    static const struct {
        const char *name;
        uint32_t n_layers, D, H, G, F;
    } presets[] = {{"340m", 24, 1024, 4, 4, 2816}, {"1.3b", 24, 2048, 4, 4, 5632}, {"2.7b", 32, 2560, 5, 5, 6912},
        {"7b", 32, 4096, 32, 8, 14336}};
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(preset, presets[i].name) != 0) continue;
        const uint32_t head = presets[i].D / presets[i].H;
        *config = (gsai_config){.n_vocab = 32000,
            .n_layers = presets[i].n_layers,
            .D = presets[i].D,
            .H = presets[i].H,
            .G = presets[i].G,
            .K = head,
            .V = head,
            .M = 64,
            .F = presets[i].F,
            .context_length = 2048,
            .norm_eps = 1e-6f,
            .g_norm_eps = 1e-5f,
            .gate_normalizer = 8,
            .scale = 1,
            .bos_id = 1,
            .eos_id = 2};
        return GSA_OK;
    }
    return gsai_fail(
        GSA_ERROR_ARGUMENT, "synthetic preset \"%.60s\" is unknown, expected 340m, 1.3b, 2.7b or 7b", preset);
}

static void close_synthetic(gsai_checkpoint *c)
{
    generator *g = c->opened;
    gsai_free(&c->allocator, g->sources);
    gsai_free(&c->allocator, g->names);
    gsai_free(&c->allocator, g);
}

static void add_role(gsai_checkpoint *c, gsai_role role, uint32_t layer, gsai_type type, uint64_t seed)
{
    uint64_t dims[2];
    const uint32_t n_dims = gsai_role_shape(&c->config, role, dims);
    if (n_dims == 0) return;
    generator *g = c->opened;
    source *s = &g->sources[c->n_tensors];
    char *name = g->names[c->n_tensors];
    describe_source(s, &c->config, role, seed, layer);
    if (role < GSAI_ROLE_ATTN_NORM)
        snprintf(name, MAX_NAME, "%s.weight", gsai_role_name(role));
    else
        snprintf(name, MAX_NAME, "blk.%u.%s.weight", layer, gsai_role_name(role));
    gsai_tensor *t = &c->tensors[c->n_tensors++];
    *t = (gsai_tensor){.name = name,
        .type = is_norm(role) ? GSAI_F32 : type,
        .n_dims = n_dims,
        .read = read_synthetic,
        .read_user = s};
    memcpy(t->dims, dims, n_dims * sizeof *dims);
    t->n_bytes = gsai_type_bytes(t->type, gsai_tensor_elements(t));
    *(gsai_tensor *)(uintptr_t)gsai_checkpoint_role(c, role, layer) = *t;
}

gsa_status gsai_checkpoint_open_synthetic(const gsai_config *config, gsai_type type, uint64_t seed,
    const gsai_checkpoint_options *options, gsai_checkpoint **out)
{
    const gsa_allocator *a = &options->allocator;
    *out = NULL;
    if (type >= GSAI_N_PLAIN_TYPES)
        return gsai_fail(GSA_ERROR_ARGUMENT, "synthetic model: type %d, expected f32, f16 or bf16", (int)type);
    gsa_status status = gsai_config_check(config);
    if (status) return gsai_fail_in(GSA_ERROR_ARGUMENT, "synthetic model");

    const size_t n_layers = config->n_layers;
    const size_t n = GSAI_ROLE_ATTN_NORM + n_layers * (GSAI_N_ROLES - GSAI_ROLE_ATTN_NORM);
    const char *format = "synthetic model (%u layers of %u, %s, seed %llu)";
    char text[128];
    snprintf(text, sizeof text, format, config->n_layers, config->D, gsai_type_name(type), (unsigned long long)seed);
    gsai_checkpoint *c = gsai_alloc(a, sizeof *c);
    generator *g = gsai_alloc(a, sizeof *g);
    if (!c || !g) {
        gsai_free(a, c);
        gsai_free(a, g);
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "synthetic model: no memory");
    }
    c->allocator = *a;
    c->config = *config;
    c->opened = g;
    c->close = close_synthetic;
    c->layers = gsai_alloc_array(a, n_layers, sizeof *c->layers);
    c->tensors = gsai_alloc_array(a, n, sizeof *c->tensors);
    c->description = gsai_strdup(a, text);
    g->sources = gsai_alloc_array(a, n, sizeof *g->sources);
    g->names = gsai_alloc_array(a, n, sizeof *g->names);
    if (!c->layers || !c->tensors || !c->description || !g->sources || !g->names) {
        gsai_checkpoint_close(c);
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "synthetic model: no memory for %zu tensors", n);
    }
    for (int role = 0; role < GSAI_ROLE_ATTN_NORM; role++) add_role(c, (gsai_role)role, 0, type, seed);
    for (uint32_t layer = 0; layer < config->n_layers; layer++) {
        for (int role = GSAI_ROLE_ATTN_NORM; role < GSAI_N_ROLES; role++)
            add_role(c, (gsai_role)role, layer, type, seed);
    }
    if (config->tied) c->head = c->embed;
    *out = c;
    return GSA_OK;
}
