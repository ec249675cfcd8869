/* config.json as transformers and flash-linear-attention write it. Every key is optional except model_type: writers
 * drop keys that have their default. */
#include "model/hf.h"

#include "util/alloc.h"
#include "util/json.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

#define MAX_CONFIG_BYTES (16u << 20)
#define MAX_VALUES       1000000u /* of JSON */
#define MAX_WARNINGS     16u

/* Reading stops at the first bad value: later calls leave their results alone. */
typedef struct reader {
    const char *path;
    const json_t *root;
    gsa_status status;
} reader;

static const char *kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static bool is_null(const reader *r, const char *key)
{
    const json_t *value = json_object_get(r->root, key);
    return !value || json_is_null(value);
}

/* Absent keeps *out. */
static void read_u32(reader *r, const char *key, uint32_t min, uint32_t max, uint32_t *out)
{
    const json_t *value = json_object_get(r->root, key);
    if (!value || r->status) return;
    if (!json_is_integer(value)) {
        r->status = gsai_fail(
            GSA_ERROR_FORMAT, "%s: %s is %s, expected an integer in %u..%u", r->path, key, kind(value), min, max);
        return;
    }
    const json_int_t x = json_integer_value(value);
    if (x < (json_int_t)min || x > (json_int_t)max)
        r->status =
            gsai_fail(GSA_ERROR_FORMAT, "%s: %s is %lld, expected %u..%u", r->path, key, (long long)x, min, max);
    else
        *out = (uint32_t)x;
}

/* As read_u32, and null keeps *out too. */
static void read_optional_u32(reader *r, const char *key, uint32_t min, uint32_t max, uint32_t *out)
{
    if (!is_null(r, key)) read_u32(r, key, min, max, out);
}

static void read_positive(reader *r, const char *key, double *out)
{
    const json_t *value = json_object_get(r->root, key);
    if (!value || r->status) return;
    const double x = json_number_value(value);
    if (!json_is_number(value))
        r->status = gsai_fail(GSA_ERROR_FORMAT, "%s: %s is %s, expected a positive number", r->path, key, kind(value));
    else if (!(x > 0) || !isfinite((float)x) || (float)x == 0)
        r->status = gsai_fail(GSA_ERROR_FORMAT, "%s: %s is %g, expected a positive number", r->path, key, x);
    else
        *out = x;
}

/* Null means false, as in the Python code. */
static void read_bool(reader *r, const char *key, bool *out)
{
    const json_t *value = json_object_get(r->root, key);
    if (!value || r->status) return;
    if (!json_is_boolean(value) && !json_is_null(value))
        r->status = gsai_fail(GSA_ERROR_FORMAT, "%s: %s is %s, expected true or false", r->path, key, kind(value));
    else
        *out = json_is_true(value);
}

/* An id, null, or (transformers allows it for eos) a list of ids, of which the first counts. An id outside the
 * vocabulary can never be met, so it is as good as none. */
static void read_id(reader *r, const gsa_log *log, const char *key, uint32_t n_vocab, int32_t *out)
{
    const json_t *value = json_object_get(r->root, key);
    if (r->status) return;
    if (json_is_array(value)) value = json_array_size(value) ? json_array_get(value, 0) : json_null();
    if (value && !json_is_integer(value) && !json_is_null(value)) {
        r->status = gsai_fail(
            GSA_ERROR_FORMAT, "%s: %s is %s, expected a token id, a list of them, or null", r->path, key, kind(value));
        return;
    }
    const json_int_t id = !value ? *out : json_is_integer(value) ? json_integer_value(value) : -1;
    const bool known = id >= 0 && id < (json_int_t)n_vocab;
    if (value && !known && id != -1)
        gsai_log(log, GSA_LOG_WARNING, "%s: %s is %lld, outside the vocabulary of %u: ignored", r->path, key,
            (long long)id, n_vocab);
    *out = known ? (int32_t)id : -1;
}

/* The text of a key that must be a string. Absent gives fallback. */
static const char *read_string(reader *r, const char *key, const char *fallback)
{
    const json_t *value = json_object_get(r->root, key);
    if (!value || r->status) return fallback;
    if (json_is_string(value)) return json_string_value(value);
    r->status = gsai_fail(GSA_ERROR_FORMAT, "%s: %s is %s, expected a string", r->path, key, kind(value));
    return fallback;
}

/* Known and without influence on what the network computes: transformers' own keys, and those of this model family
 * that its code never reads (use_output_gate, clamp_*, fuse_*, ...) or that only training reads. */
static const char *const harmless[] = {
    /* GSA */
    "clamp_max",
    "clamp_min",
    "conv_bias",
    "fuse_cross_entropy",
    "fuse_linear_cross_entropy",
    "fuse_norm",
    "fuse_swiglu",
    "initializer_range",
    "norm_first",
    "share_conv_kernel",
    "use_l2warp",
    "use_output_gate",
    /* transformers, 4 and 5 */
    "add_cross_attention",
    "architectures",
    "attn_implementation",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "custom_pipelines",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
    /* read below */
    "attn",
    "attnres_block_size",
    "bos_token_id",
    "conv_size",
    "elementwise_affine",
    "eos_token_id",
    "exapnd_k",
    "exapnd_v",
    "expand_k",
    "expand_v",
    "feature_map",
    "gate_logit_normalizer",
    "hidden_act",
    "hidden_ratio",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "model_type",
    "norm_eps",
    "num_heads",
    "num_hidden_layers",
    "num_kv_heads",
    "num_slots",
    "quantization_config",
    "tie_word_embeddings",
    "use_norm",
    "use_short_conv",
    "vocab_size",
};

static void warn_unknown_keys(const reader *r, const gsa_log *log)
{
    size_t n_unknown = 0;
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)r->root, key, value)
    {
        bool known = key[0] == '_'; /* private to transformers: _name_or_path, _attn_implementation, ... */
        for (size_t i = 0; i < sizeof harmless / sizeof *harmless && !known; i++) known = !strcmp(key, harmless[i]);
        if (known) continue;
        if (n_unknown++ < MAX_WARNINGS)
            gsai_log(log, GSA_LOG_WARNING, "%s: unknown key %.100s is ignored", r->path, key);
    }
    if (n_unknown > MAX_WARNINGS)
        gsai_log(log, GSA_LOG_WARNING, "%s: %zu more unknown keys are ignored", r->path, n_unknown - MAX_WARNINGS);
}

/* The first thing looked at. */
static void refuse_other_graphs(reader *r)
{
    if (is_null(r, "model_type")) {
        r->status = gsai_fail(GSA_ERROR_FORMAT, "%s: model_type is missing, expected \"gsa\"", r->path);
        return;
    }
    const char *type = read_string(r, "model_type", "");
    const json_t *attn = json_object_get(r->root, "attn");
    if (r->status) return;
    if (strcmp(type, "gsa") != 0)
        r->status =
            gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: model_type is \"%.60s\", only \"gsa\" is supported", r->path, type);
    else if (!is_null(r, "attn") && !(json_is_array(attn) && json_array_size(attn) == 0))
        r->status = gsai_fail(GSA_ERROR_UNSUPPORTED,
            "%s: attn asks for hybrid layers with softmax attention, which are not supported; use a model with attn "
            "null",
            r->path);
    else if (!is_null(r, "attnres_block_size"))
        r->status = gsai_fail(GSA_ERROR_UNSUPPORTED,
            "%s: attnres_block_size asks for attention residuals, which are not supported; use a model without",
            r->path);
    else if (!is_null(r, "quantization_config"))
        r->status = gsai_fail(GSA_ERROR_UNSUPPORTED,
            "%s: quantization_config: quantised Hugging Face files are not supported; use the float weights", r->path);
}

/* Per-head size as the Python code has it: int(hidden * expand) // heads. The constructor's argument is misspelt
 * ("exapnd"); saved files have the right spelling, which wins when both are there. */
static void read_head_size(reader *r, const char *typo, const char *key, uint32_t hidden, uint32_t heads, uint32_t *out)
{
    double expand = 1;
    read_positive(r, typo, &expand);
    read_positive(r, key, &expand);
    if (r->status) return;
    const double width = (double)hidden * expand;
    if (!(width <= GSAI_MAX_DIM) || (uint32_t)width / heads == 0)
        r->status = gsai_fail(GSA_ERROR_FORMAT,
            "%s: %s %g with hidden_size %u and num_heads %u gives heads of %g / %u, expected 1..%u / %u", r->path, key,
            expand, hidden, heads, width, heads, GSAI_MAX_DIM, heads);
    else
        *out = (uint32_t)width / heads;
}

static void read_feed_forward_size(reader *r, uint32_t hidden, uint32_t *out)
{
    double ratio = 4;
    if (!is_null(r, "hidden_ratio")) read_positive(r, "hidden_ratio", &ratio);
    if (!is_null(r, "intermediate_size")) {
        read_u32(r, "intermediate_size", 1, GSAI_MAX_DIM, out);
        return;
    }
    if (r->status) return;
    const double size = (double)hidden * ratio * 2 / 3;
    if (!(size <= GSAI_MAX_DIM - 256))
        r->status =
            gsai_fail(GSA_ERROR_FORMAT, "%s: hidden_ratio %g makes the feed-forward size %g, expected at most %u",
                r->path, ratio, size, GSAI_MAX_DIM);
    else
        *out = (uint32_t)gsai_round_up((uint64_t)size, 256);
}

static void read_feature_map(reader *r, gsai_feature_map *out)
{
    const char *name = read_string(r, "feature_map", "swish");
    if (r->status) return;
    if (strcmp(name, "swish") == 0)
        *out = GSAI_FEATURE_SWISH;
    else if (strcmp(name, "relu") == 0)
        *out = GSAI_FEATURE_RELU;
    else if (strcmp(name, "t2r") == 0)
        *out = GSAI_FEATURE_T2R;
    else
        r->status = gsai_fail(
            GSA_ERROR_UNSUPPORTED, "%s: feature_map is \"%.60s\", supported are swish, relu and t2r", r->path, name);
}

static gsa_status read_config(reader *r, const gsa_log *log, gsai_hf_config *out)
{
    gsai_config *c = &out->config;
    *out = (gsai_hf_config){.elementwise_affine = true, .use_norm = true};
    *c = (gsai_config){.n_vocab = 32000,
        .n_layers = 24,
        .D = 2048,
        .H = 4,
        .M = 64,
        .context_length = 2048,
        .g_norm_eps = 1e-5f,
        .scale = 1,
        .bos_id = 1,
        .eos_id = 2};
    refuse_other_graphs(r);
    read_u32(r, "vocab_size", 1, GSAI_MAX_VOCAB, &c->n_vocab);
    read_u32(r, "num_hidden_layers", 1, GSAI_MAX_LAYERS, &c->n_layers);
    read_u32(r, "hidden_size", 1, GSAI_MAX_DIM, &c->D);
    read_u32(r, "num_heads", 1, GSAI_MAX_DIM, &c->H);
    c->G = c->H;
    read_optional_u32(r, "num_kv_heads", 1, GSAI_MAX_DIM, &c->G);
    read_head_size(r, "exapnd_k", "expand_k", c->D, c->H, &c->K);
    read_head_size(r, "exapnd_v", "expand_v", c->D, c->H, &c->V);
    read_optional_u32(r, "num_slots", 1, GSAI_MAX_SLOTS, &c->M);
    if (json_is_null(json_object_get(r->root, "num_slots"))) c->M = c->K;
    read_feed_forward_size(r, c->D, &c->F);
    read_optional_u32(r, "max_position_embeddings", 0, INT32_MAX, &c->context_length);

    bool short_conv = false;
    uint32_t taps = 4;
    read_bool(r, "use_short_conv", &short_conv);
    if (short_conv) read_u32(r, "conv_size", 1, GSAI_MAX_TAPS, &taps);
    c->W = short_conv ? taps : 0;

    double eps = 1e-6, normalizer = 8;
    read_positive(r, "norm_eps", &eps);
    read_positive(r, "gate_logit_normalizer", &normalizer);
    c->norm_eps = (float)eps;
    c->gate_normalizer = (float)normalizer;
    read_feature_map(r, &c->feature_map);
    read_bool(r, "elementwise_affine", &out->elementwise_affine);
    read_bool(r, "use_norm", &out->use_norm);
    read_bool(r, "tie_word_embeddings", &c->tied);
    out->tied_stated = json_object_get(r->root, "tie_word_embeddings") != NULL;
    read_id(r, log, "bos_token_id", c->n_vocab, &c->bos_id);
    read_id(r, log, "eos_token_id", c->n_vocab, &c->eos_id);

    const char *act = read_string(r, "hidden_act", "swish");
    if (r->status) return r->status;
    strncpy(out->hidden_act, act, sizeof out->hidden_act - 1);
    const gsa_status status = gsai_config_check(c);
    if (status) return gsai_fail_in(status, "%s", r->path);
    warn_unknown_keys(r, log);
    return GSA_OK;
}

gsa_status gsai_hf_parse_config(
    const char *path, const uint8_t *text, uint64_t size, const gsa_log *log, gsai_hf_config *out)
{
    if (size > MAX_CONFIG_BYTES)
        return gsai_fail(GSA_ERROR_FORMAT, "%s: has %llu bytes, expected a config of at most %u", path,
            (unsigned long long)size, MAX_CONFIG_BYTES);
    json_t *root;
    gsa_status status = gsai_json_parse(text, (size_t)size, MAX_VALUES, &root);
    if (status) return gsai_fail_in(status, "%s", path);
    if (json_is_object(root)) {
        reader r = {.path = path, .root = root};
        status = read_config(&r, log, out);
    } else {
        status = gsai_fail(GSA_ERROR_FORMAT, "%s: is %s, expected an object", path, kind(root));
    }
    json_decref(root);
    return status;
}

gsa_status gsai_hf_resolve_act(const char *path, gsai_hf_config *h, bool ignored, const gsa_log *log)
{
    h->config.ffn_act = GSAI_FFN_SWISH;
    if (strcmp(h->hidden_act, "swish") == 0) return GSA_OK;
    if (ignored) {
        gsai_log(log, GSA_LOG_WARNING, "%s: hidden_act \"%.60s\" is ignored: models of this layout always used swish",
            path, h->hidden_act);
        return GSA_OK;
    }
    if (strcmp(h->hidden_act, "powlu") != 0)
        return gsai_fail(
            GSA_ERROR_UNSUPPORTED, "%s: hidden_act is \"%.60s\", supported are swish and powlu", path, h->hidden_act);
    h->config.ffn_act = GSAI_FFN_POWLU;
    return GSA_OK;
}
