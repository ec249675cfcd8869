#include "model/gguf_config.h"

#include "model/gguf_keys.h"
#include "util/status.h"

#include <stdio.h>
#include <string.h>

static bool text_is(gsai_text text, const char *what)
{
    return text.length == strlen(what) && memcmp(text.bytes, what, text.length) == 0;
}

static gsa_status check_architecture(const gsai_gguf *g)
{
    gsai_text name;
    const gsa_status status = gsai_gguf_get_text(g, GSAI_KEY_ARCHITECTURE, true, &name);
    if (status || text_is(name, GSAI_GGUF_ARCHITECTURE)) return status;
    return gsai_fail(GSA_ERROR_UNSUPPORTED,
        "%s: a model of architecture \"%.*s\"; this library runs \"" GSAI_GGUF_ARCHITECTURE
        "\" (inspect, tokenize and detokenize work with any GGUF file)",
        g->name, (int)(name.length < 60 ? name.length : 60), name.bytes);
}

/* The position of a string among names; FORMAT for others. A missing key leaves *out. */
static gsa_status get_choice(
    const gsai_gguf *g, const char *key, bool required, const char *const *names, int n_names, int *out)
{
    gsai_text text = {NULL, 0};
    const gsa_status status = gsai_gguf_get_text(g, key, required, &text);
    if (status || !text.bytes) return status;
    for (int i = 0; i < n_names; i++) {
        if (!text_is(text, names[i])) continue;
        *out = i;
        return GSA_OK;
    }
    char list[100] = "";
    for (int i = 0; i < n_names; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: key %s: \"%.*s\" is not supported, only %s", g->name, key,
        (int)(text.length < 60 ? text.length : 60), text.bytes, list);
}

static gsa_status get_id(const gsai_gguf *g, const char *key, uint32_t n_vocab, int32_t *out)
{
    uint32_t id = UINT32_MAX;
    const gsa_status status = gsai_gguf_get_u32(g, key, false, 0, n_vocab - 1, &id);
    if (!status && id != UINT32_MAX) *out = (int32_t)id;
    return status;
}

static const char *const feature_maps[] = {"swish", "relu", "t2r"}; /* in the order of the enums */
static const char *const activations[] = {"swish", "powlu"};

gsa_status gsai_gguf_config_read(const gsai_gguf *g, gsai_config *c)
{
    *c = (gsai_config){.g_norm_eps = 1e-5f, .scale = 1, .bos_id = -1, .eos_id = -1};
    const struct {
        const char *key;
        bool required;
        uint32_t min, max;
        uint32_t *out;
    } sizes[] = {
        {GSAI_KEY_N_VOCAB, true, 1, GSAI_MAX_VOCAB, &c->n_vocab},
        {GSAI_KEY_CONTEXT_LENGTH, false, 0, UINT32_MAX, &c->context_length},
        {GSAI_KEY_D, true, 1, GSAI_MAX_DIM, &c->D},
        {GSAI_KEY_N_LAYERS, true, 1, GSAI_MAX_LAYERS, &c->n_layers},
        {GSAI_KEY_F, true, 1, GSAI_MAX_DIM, &c->F},
        {GSAI_KEY_H, true, 1, GSAI_MAX_DIM, &c->H},
        {GSAI_KEY_G, false, 1, GSAI_MAX_DIM, &c->G},
        {GSAI_KEY_K, true, 1, GSAI_MAX_DIM, &c->K},
        {GSAI_KEY_V, true, 1, GSAI_MAX_DIM, &c->V},
        {GSAI_KEY_M, true, 1, GSAI_MAX_SLOTS, &c->M},
        {GSAI_KEY_W, false, 0, GSAI_MAX_TAPS, &c->W},
    };
    const struct {
        const char *key;
        bool required;
        float *out;
    } numbers[] = {
        {GSAI_KEY_NORM_EPS, true, &c->norm_eps},
        {GSAI_KEY_G_NORM_EPS, false, &c->g_norm_eps},
        {GSAI_KEY_GATE_NORMALIZER, true, &c->gate_normalizer},
        {GSAI_KEY_SCALE, false, &c->scale},
    };
    gsa_status status = check_architecture(g);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !status; i++)
        status = gsai_gguf_get_u32(g, sizes[i].key, sizes[i].required, sizes[i].min, sizes[i].max, sizes[i].out);
    if (!c->G) c->G = c->H;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !status; i++)
        status = gsai_gguf_get_f32(g, numbers[i].key, numbers[i].required, numbers[i].out);
    int map = GSAI_FEATURE_SWISH, act = GSAI_FFN_SWISH;
    if (!status) status = get_choice(g, GSAI_KEY_FEATURE_MAP, true, feature_maps, 3, &map);
    if (!status) status = get_choice(g, GSAI_KEY_FFN_ACT, false, activations, 2, &act);
    c->feature_map = (gsai_feature_map)map;
    c->ffn_act = (gsai_ffn_act)act;
    if (!status) status = get_id(g, GSAI_KEY_BOS, c->n_vocab, &c->bos_id);
    if (!status) status = get_id(g, GSAI_KEY_EOS, c->n_vocab, &c->eos_id);
    if (status) return status;
    status = gsai_config_check(c);
    return status ? gsai_fail_in(status, "%s", g->name) : GSA_OK;
}

void gsai_gguf_config_write(const gsai_config *c, const char *name, gsai_type type, gsai_gguf_writer *w)
{
    gsai_gguf_put_string(w, GSAI_KEY_ARCHITECTURE, GSAI_GGUF_ARCHITECTURE);
    if (name) gsai_gguf_put_string(w, GSAI_KEY_NAME, name);
    gsai_gguf_put_u32(w, GSAI_KEY_FILE_TYPE, gsai_gguf_file_type(type));
    gsai_gguf_put_u32(w, GSAI_KEY_QUANT_VERSION, GSAI_GGUF_QUANT_VERSION);
    gsai_gguf_put_u32(w, GSAI_KEY_N_VOCAB, c->n_vocab);
    if (c->context_length) gsai_gguf_put_u32(w, GSAI_KEY_CONTEXT_LENGTH, c->context_length);
    gsai_gguf_put_u32(w, GSAI_KEY_D, c->D);
    gsai_gguf_put_u32(w, GSAI_KEY_N_LAYERS, c->n_layers);
    gsai_gguf_put_u32(w, GSAI_KEY_F, c->F);
    if (c->ffn_act != GSAI_FFN_SWISH) gsai_gguf_put_string(w, GSAI_KEY_FFN_ACT, activations[c->ffn_act]);
    gsai_gguf_put_u32(w, GSAI_KEY_H, c->H);
    gsai_gguf_put_u32(w, GSAI_KEY_G, c->G);
    gsai_gguf_put_u32(w, GSAI_KEY_K, c->K);
    gsai_gguf_put_u32(w, GSAI_KEY_V, c->V);
    gsai_gguf_put_f32(w, GSAI_KEY_NORM_EPS, c->norm_eps);
    gsai_gguf_put_f32(w, GSAI_KEY_G_NORM_EPS, c->g_norm_eps);
    gsai_gguf_put_u32(w, GSAI_KEY_M, c->M);
    gsai_gguf_put_f32(w, GSAI_KEY_GATE_NORMALIZER, c->gate_normalizer);
    gsai_gguf_put_string(w, GSAI_KEY_FEATURE_MAP, feature_maps[c->feature_map]);
    gsai_gguf_put_f32(w, GSAI_KEY_SCALE, c->scale);
    if (c->W) gsai_gguf_put_u32(w, GSAI_KEY_W, c->W);
}
