#include "model/gguf_config.h"

#include "util/status.h"

#include <stdio.h>
#include <string.h>

void gsai_gguf_tensor_name(char out[GSAI_GGUF_MAX_NAME], gsai_role role, uint32_t layer)
{
    if (role < GSAI_ROLE_ATTN_NORM)
        snprintf(out, GSAI_GGUF_MAX_NAME, "%s.weight", gsai_role_name(role));
    else
        snprintf(out, GSAI_GGUF_MAX_NAME, "blk.%u.%s.weight", layer, gsai_role_name(role));
}

static bool text_is(gsai_text text, const char *what)
{
    return text.length == strlen(what) && memcmp(text.bytes, what, text.length) == 0;
}

static gsa_status check_architecture(const gsai_gguf *g)
{
    gsai_text name;
    const gsa_status status = gsai_gguf_get_text(g, "general.architecture", true, &name);
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
        {"gsa.vocab_size", true, 1, GSAI_MAX_VOCAB, &c->n_vocab},
        {"gsa.context_length", false, 0, UINT32_MAX, &c->context_length},
        {"gsa.embedding_length", true, 1, GSAI_MAX_DIM, &c->D},
        {"gsa.block_count", true, 1, GSAI_MAX_LAYERS, &c->n_layers},
        {"gsa.feed_forward_length", true, 1, GSAI_MAX_DIM, &c->F},
        {"gsa.attention.head_count", true, 1, GSAI_MAX_DIM, &c->H},
        {"gsa.attention.head_count_kv", true, 1, GSAI_MAX_DIM, &c->G},
        {"gsa.attention.key_length", true, 1, GSAI_MAX_DIM, &c->K},
        {"gsa.attention.value_length", true, 1, GSAI_MAX_DIM, &c->V},
        {"gsa.slot.count", true, 1, GSAI_MAX_SLOTS, &c->M},
        {"gsa.shortconv.l_cache", false, 0, GSAI_MAX_TAPS, &c->W},
    };
    const struct {
        const char *key;
        bool required;
        float *out;
    } numbers[] = {
        {"gsa.attention.layer_norm_rms_epsilon", true, &c->norm_eps},
        {"gsa.attention.sub_norm_rms_epsilon", false, &c->g_norm_eps},
        {"gsa.slot.gate_normalizer", true, &c->gate_normalizer},
        {"gsa.slot.scale", false, &c->scale},
    };
    gsa_status status = check_architecture(g);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !status; i++)
        status = gsai_gguf_get_u32(g, sizes[i].key, sizes[i].required, sizes[i].min, sizes[i].max, sizes[i].out);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !status; i++)
        status = gsai_gguf_get_f32(g, numbers[i].key, numbers[i].required, numbers[i].out);
    int map = GSAI_FEATURE_SWISH, act = GSAI_FFN_SWISH;
    if (!status) status = get_choice(g, "gsa.slot.feature_map", true, feature_maps, 3, &map);
    if (!status) status = get_choice(g, "gsa.feed_forward_activation", false, activations, 2, &act);
    c->feature_map = (gsai_feature_map)map;
    c->ffn_act = (gsai_ffn_act)act;
    if (!status) status = get_id(g, "tokenizer.ggml.bos_token_id", c->n_vocab, &c->bos_id);
    if (!status) status = get_id(g, "tokenizer.ggml.eos_token_id", c->n_vocab, &c->eos_id);
    if (status) return status;
    status = gsai_config_check(c);
    return status ? gsai_fail_in(status, "%s", g->name) : GSA_OK;
}
