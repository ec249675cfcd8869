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
 * weights lie on a coarse grid around 1 that every type holds exactly. Block types are made as blocks, see below. */
typedef struct source {
    uint64_t key;
    uint32_t shift;
    int32_t bias;
    float scale;
    uint16_t d[4][2]; /* a block's scale: one of these, with its dmin; f16 */
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

/* Block types: words of hash bits, put into the fields of a block. Numbers are uniform; scales vary, so that reading
 * them wrongly shows; signs of scales (q4_k: minima) keep the mean at zero. */
typedef struct block_words {
    uint32_t words; /* hash words a block takes */
    uint32_t bytes; /* of the block, filled from the first words */
} block_words;

static block_words words_of(gsai_type type)
{
    switch (type) {
    case GSAI_Q8_0:
        return (block_words){9, 32};
    case GSAI_Q4_0:
        return (block_words){5, 16};
    case GSAI_Q4_K:
        return (block_words){35, 128};
    default: /* q6_k: numbers, then 16 scales */
        return (block_words){53, 208};
    }
}
#define MAX_BLOCK_WORDS 64u

/* Standard deviation of a block's elements for d = 1: numbers times what d is multiplied with. */
static double block_deviation(gsai_type type)
{
    switch (type) {
    case GSAI_Q8_0: /* -127 .. 127 */
        return sqrt((255.0 * 255 - 1) / 12);
    case GSAI_Q4_0: /* -8 .. 7, of either sign */
        return sqrt((16.0 * 16 - 1) / 12 + 0.25);
    case GSAI_Q4_K: /* (n - 7.5) scale, scale 32 .. 63 */
        return sqrt((16.0 * 16 - 1) / 12 * ((32.0 * 32 - 1) / 12 + 47.5 * 47.5));
    default: /* (n - 32) scale, scale +-32 .. +-63 */
        return sqrt(((64.0 * 64 - 1) / 12 + 0.25) * ((32.0 * 32 - 1) / 12 + 47.5 * 47.5));
    }
}

/* The four scales have 3/4 to 5/4 of the deviation, and its mean square. */
static void describe_blocks(source *s, gsai_type type, double deviation)
{
    static const double steps[4] = {0.75, 0.9, 1.05, 1.25};
    const double d =
        deviation / block_deviation(type) / sqrt((0.75 * 0.75 + 0.9 * 0.9 + 1.05 * 1.05 + 1.25 * 1.25) / 4);
    for (int i = 0; i < 4; i++) {
        s->d[i][0] = gsai_float_to_f16((float)(d * steps[i]));
        s->d[i][1] = gsai_float_to_f16(7.5f * gsai_f16_to_float(s->d[i][0]));
    }
}

static void finish_q8_0(uint8_t *block, uint32_t dice, const source *s)
{
    for (int i = 0; i < 32; i++)
        if (block[2 + i] == 0x80) block[2 + i] = 0;
    const uint16_t d = s->d[dice & 3][0];
    memcpy(block, &d, 2);
}

static void finish_q4_0(uint8_t *block, uint32_t dice, const source *s)
{
    const uint16_t d = s->d[dice & 3][0] | (uint16_t)((dice & 4) << 13);
    memcpy(block, &d, 2);
}

/* Scales 32 + 5 random bits; a minimum is its scale, or one beside it. */
static void finish_q4_k(uint8_t *block, const uint32_t dice[3], const source *s)
{
    uint8_t scales[8], minima[8], *packed = block + 4;
    for (uint32_t j = 0; j < 8; j++) {
        scales[j] = (uint8_t)(32 + (dice[j / 4] >> 8 * (j % 4) & 31));
        minima[j] = scales[j] ^ (dice[j / 4] >> (8 * (j % 4) + 5) & 1);
    }
    for (uint32_t j = 0; j < 4; j++) {
        packed[j] = (uint8_t)(scales[j] | (scales[j + 4] >> 4) << 6);
        packed[j + 4] = (uint8_t)(minima[j] | (minima[j + 4] >> 4) << 6);
        packed[j + 8] = (uint8_t)((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
    }
    memcpy(block, s->d[dice[2] & 3], 4);
}

static void finish_q6_k(uint8_t *block, uint32_t dice, const source *s)
{
    for (int i = 192; i < 208; i++) {
        const int scale = 32 + (block[i] & 31);
        block[i] = (uint8_t)(block[i] & 32 ? -scale : scale);
    }
    memcpy(block + 208, s->d[dice & 3], 2);
}

/* Blocks first .. first + n - 1; the range does not cross a multiple of 2^26. */
static void make_blocks(const source *s, gsai_type type, uint64_t first, uint32_t n, uint8_t *out)
{
    const uint64_t keys = mix64(s->key + (first >> 26) * 0x9e3779b97f4a7c15ull);
    const uint32_t key0 = (uint32_t)keys, key1 = (uint32_t)(keys >> 32), bytes = gsai_type_block_bytes(type);
    const block_words w = words_of(type);
    for (uint32_t i = 0; i < n; i++, out += bytes) {
        const uint32_t base = (uint32_t)(first + i) * MAX_BLOCK_WORDS;
        uint32_t words[MAX_BLOCK_WORDS];
        for (uint32_t k = 0; k < w.words; k++) words[k] = mix32(base + k, key0, key1);
        const uint32_t *dice = words + w.bytes / 4;
        memcpy(type == GSAI_Q6_K ? out : out + bytes - w.bytes, words, w.bytes);
        switch (type) {
        case GSAI_Q8_0:
            finish_q8_0(out, *dice, s);
            break;
        case GSAI_Q4_0:
            finish_q4_0(out, *dice, s);
            break;
        case GSAI_Q4_K:
            finish_q4_k(out, dice, s);
            break;
        default:
            finish_q6_k(out, *dice, s);
            break;
        }
    }
}

static gsa_status read_blocks(const source *s, gsai_type type, uint64_t offset, uint64_t size, uint8_t *out)
{
    const uint64_t width = gsai_type_block_bytes(type), end = offset + size;
    uint8_t blocks[16 * GSAI_MAX_BLOCK_BYTES];
    while (offset < end) {
        const uint64_t first = offset / width, skip = offset % width;
        uint64_t n = (end + width - 1) / width - first;
        if (n > 16 - first % 16) n = 16 - first % 16;
        make_blocks(s, type, first, (uint32_t)n, blocks);
        uint64_t bytes = n * width - skip;
        if (bytes > end - offset) bytes = end - offset;
        memcpy(out, blocks + skip, (size_t)bytes);
        out += bytes;
        offset += bytes;
    }
    return GSA_OK;
}

static gsa_status read_synthetic(void *user, const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst)
{
    const source *s = user;
    if (gsai_type_is_quantised(t->type)) return read_blocks(s, t->type, offset, size, dst);
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

/* Block types keep vectors and small weights in f32, give embedding and head the better type, and leave matrices whose
 * rows are no whole blocks to a type whose blocks fit. */
static gsai_type type_of(gsai_role role, gsai_type type, uint64_t columns)
{
    if (is_norm(role)) return GSAI_F32;
    if (!gsai_type_is_quantised(type)) return type;
    if (role == GSAI_ROLE_CONV_Q || role == GSAI_ROLE_CONV_K || role == GSAI_ROLE_CONV_V || role == GSAI_ROLE_T2R)
        return GSAI_F32;
    if ((role == GSAI_ROLE_EMBED || role == GSAI_ROLE_HEAD) && type != GSAI_Q8_0) type = GSAI_Q6_K;
    if (columns % gsai_type_block(type) != 0) type = type == GSAI_Q4_K ? GSAI_Q4_0 : GSAI_Q8_0;
    return columns % gsai_type_block(type) != 0 ? GSAI_F16 : type;
}

static void describe_source(
    source *s, const gsai_config *c, gsai_role role, gsai_type type, uint64_t seed, uint32_t layer)
{
    s->key = mix64(mix64(mix64(seed) + (uint64_t)role + 1) + layer);
    if (is_norm(role)) { /* (2^14 - 2048 .. 2^14 + 2047) / 2^14 */
        s->shift = 20;
        s->bias = 1 << 14;
        s->scale = 1.0f / (1 << 14);
    } else { /* a uniform distribution over (-a, a) has the variance a^2 / 3 */
        s->scale = (float)(deviation(c, role) * sqrt(3.0) / 2147483648.0);
        if (gsai_type_is_quantised(type)) describe_blocks(s, type, deviation(c, role));
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
    type = type_of(role, type, dims[n_dims - 1]);
    describe_source(s, &c->config, role, type, seed, layer);
    if (role < GSAI_ROLE_ATTN_NORM)
        snprintf(name, MAX_NAME, "%s.weight", gsai_role_name(role));
    else
        snprintf(name, MAX_NAME, "blk.%u.%s.weight", layer, gsai_role_name(role));
    gsai_tensor *t = &c->tensors[c->n_tensors++];
    *t = (gsai_tensor){.name = name, .type = type, .n_dims = n_dims, .read = read_synthetic, .read_user = s};
    memcpy(t->dims, dims, n_dims * sizeof *dims);
    t->n_bytes = gsai_type_bytes(t->type, gsai_tensor_elements(t));
    *(gsai_tensor *)(uintptr_t)gsai_checkpoint_role(c, role, layer) = *t;
}

gsa_status gsai_checkpoint_open_synthetic(const gsai_config *config, gsai_type type, uint64_t seed,
    const gsai_checkpoint_options *options, gsai_checkpoint **out)
{
    const gsa_allocator *a = &options->allocator;
    *out = NULL;
    if (type >= GSAI_N_TYPES) return gsai_fail(GSA_ERROR_ARGUMENT, "synthetic model: type %d is none", (int)type);
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
