/* Reader of Hugging Face tokenizer.json. */
#include "text/json_rules.h"
#include "util/json.h"
#include "util/status.h"

#define MAX_VALUES 16000000u /* of JSON: some 2 million tokens with as many merges */

static gsa_status check_top(const json_t *root)
{
    static const char *const names[] = {"version", "truncation", "padding", "added_tokens", "normalizer",
        "pre_tokenizer", "post_processor", "decoder", "model", NULL};
    const gsa_status status = gsai_json_check(root, "tokenizer", names);
    if (status != GSA_OK) return status;
    const json_t *version = json_object_get(root, "version");
    if (version && (!json_is_string(version) || strcmp(json_string_value(version), "1.0") != 0))
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "tokenizer.version: only \"1.0\" is supported");
    return GSA_OK;
}

/* Settings that would change what merges do. */
static gsa_status read_model_settings(gsai_vocab *v, const json_t *model)
{
    static const char where[] = "model";
    static const char *const names[] = {"type", "dropout", "unk_token", "continuing_subword_prefix",
        "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges", NULL};
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if (!json_is_object(model))
        return gsai_fail(GSA_ERROR_FORMAT, "model: expected an object, it is %s", gsai_json_kind(model));
    const json_t *type = json_object_get(model, "type"); /* old files have none */
    if (type && !json_is_string(type))
        return gsai_fail(GSA_ERROR_FORMAT, "model.type: expected a string, it is %s", gsai_json_kind(type));
    if (type && strcmp(json_string_value(type), "BPE") != 0)
        return gsai_fail(
            GSA_ERROR_UNSUPPORTED, "model: the type \"%s\" is not supported, only BPE", json_string_value(type));
    gsa_status status = gsai_json_check(model, where, names);
    if (status != GSA_OK) return status;
    const json_t *dropout = json_object_get(model, "dropout");
    if (dropout && !json_is_null(dropout) && !(json_is_number(dropout) && json_number_value(dropout) == 0))
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "model.dropout: only null is supported");
    for (int i = 0; i < 2; i++) {
        const json_t *affix = json_object_get(model, affixes[i]);
        if (affix && !json_is_null(affix) && !(json_is_string(affix) && json_string_length(affix) == 0))
            return gsai_fail(GSA_ERROR_UNSUPPORTED, "model.%s: only null is supported", affixes[i]);
    }
    status = gsai_json_bool(model, where, "fuse_unk", &v->fuse_unk);
    if (status == GSA_OK) status = gsai_json_bool(model, where, "byte_fallback", &v->byte_fallback);
    if (status == GSA_OK) status = gsai_json_bool(model, where, "ignore_merges", &v->ignore_merges);
    return status;
}

typedef struct totals {
    uint64_t n_tokens, n_text; /* largest id + 1; bytes */
} totals;

static gsa_status count_token(totals *t, const char *text, size_t size, const json_t *id)
{
    if (!json_is_integer(id))
        return gsai_fail(
            GSA_ERROR_FORMAT, "the id of token \"%s\" should be an integer, it is %s", text, gsai_json_kind(id));
    const json_int_t number = json_integer_value(id);
    if (number < 0 || number >= (json_int_t)GSAI_MAX_TOKENS)
        return gsai_fail(GSA_ERROR_FORMAT, "the id of token \"%s\" is %lld, not in 0 .. %u", text, (long long)number,
            GSAI_MAX_TOKENS - 1);
    if ((uint64_t)number + 1 > t->n_tokens) t->n_tokens = (uint64_t)number + 1;
    t->n_text += size;
    return GSA_OK;
}

/* Look at all ids once, so that the vocabulary is allocated once and no larger than the file justifies. */
static gsa_status reserve(gsai_vocab *v, json_t *vocab, const json_t *added, const json_t *merges)
{
    totals t = {0};
    const char *key;
    json_t *value;
    json_object_foreach(vocab, key, value)
    {
        const gsa_status status = count_token(&t, key, strlen(key), value);
        if (status != GSA_OK) return status;
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *entry = json_array_get(added, i);
        const char *content;
        size_t size;
        gsa_status status = gsai_json_string(entry, "added_tokens", "content", &content, &size);
        if (status == GSA_OK) status = count_token(&t, content, size, json_object_get(entry, "id"));
        if (status != GSA_OK) return status;
    }
    const uint64_t n_named = json_object_size(vocab) + json_array_size(added);
    if (t.n_tokens > 2 * n_named + 65536)
        return gsai_fail(GSA_ERROR_FORMAT, "the file names %llu tokens, but its ids reach %llu",
            (unsigned long long)n_named, (unsigned long long)t.n_tokens - 1);
    return gsai_vocab_reserve(
        v, (uint32_t)t.n_tokens, (size_t)t.n_text, (uint32_t)json_array_size(merges), (uint32_t)json_array_size(added));
}

static gsa_status read_vocab(gsai_vocab *v, json_t *vocab)
{
    const char *key;
    json_t *value;
    json_object_foreach(vocab, key, value)
    {
        const gsa_status status = gsai_vocab_add_token(v, (uint32_t)json_integer_value(value), key, strlen(key), true);
        if (status != GSA_OK) return status;
    }
    return GSA_OK;
}

static gsa_status read_unk(gsai_vocab *v, const json_t *model)
{
    const json_t *unk = json_object_get(model, "unk_token");
    if (!unk || json_is_null(unk)) return GSA_OK;
    if (!json_is_string(unk))
        return gsai_fail(GSA_ERROR_FORMAT, "model.unk_token: expected a string, it is %s", gsai_json_kind(unk));
    v->unk_id = gsai_vocab_find_model(v, json_string_value(unk), json_string_length(unk));
    if (v->unk_id < 0)
        return gsai_fail(GSA_ERROR_FORMAT, "model.unk_token: \"%s\" is not in the vocabulary", json_string_value(unk));
    return GSA_OK;
}

/* Either all "a b" or all ["a", "b"]. */
static gsa_status read_merges(gsai_vocab *v, const json_t *merges)
{
    const bool pairs = json_is_array(json_array_get(merges, 0));
    gsa_status status = GSA_OK;
    for (size_t i = 0; status == GSA_OK && i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        if (pairs) {
            const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
            if (json_array_size(merge) != 2 || !json_is_string(left) || !json_is_string(right))
                return gsai_fail(GSA_ERROR_FORMAT, "model.merges[%zu]: expected an array of two strings", i);
            status = gsai_vocab_add_merge(v, json_string_value(left), json_string_length(left),
                json_string_value(right), json_string_length(right));
            continue;
        }
        const char *text = json_string_value(merge), *space = text ? strchr(text, ' ') : NULL;
        if (text && strncmp(text, "#version", 8) == 0) continue;
        if (!space || strchr(space + 1, ' '))
            return gsai_fail(
                GSA_ERROR_FORMAT, "model.merges[%zu]: expected a string of two tokens with one space between", i);
        status = gsai_vocab_add_merge(v, text, (size_t)(space - text), space + 1, strlen(space + 1));
    }
    return status;
}

static gsa_status read_added_token(gsai_vocab *v, const json_t *entry, uint32_t *next_id)
{
    static const char where[] = "added_tokens";
    static const char *const names[] = {
        "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", NULL};
    bool single_word, lstrip, rstrip, normalized, special;
    const char *content;
    size_t size;
    uint32_t id;
    gsa_status status = gsai_json_check(entry, where, names);
    if (status == GSA_OK) status = gsai_json_string(entry, where, "content", &content, &size);
    if (status == GSA_OK) status = gsai_json_index(entry, where, "id", v->n_tokens, &id);
    if (status == GSA_OK) status = gsai_json_flag(entry, where, "single_word", &single_word);
    if (status == GSA_OK) status = gsai_json_flag(entry, where, "lstrip", &lstrip);
    if (status == GSA_OK) status = gsai_json_flag(entry, where, "rstrip", &rstrip);
    if (status == GSA_OK) status = gsai_json_flag(entry, where, "normalized", &normalized);
    if (status == GSA_OK) status = gsai_json_flag(entry, where, "special", &special);
    if (status != GSA_OK) return status;
    /* `tokenizers` gives added tokens the id that the model has for them, or the next free one. A file that says
     * otherwise was made for other ids than `tokenizers` would give. */
    const int32_t known = gsai_vocab_find(v, content, size);
    const uint32_t expected = known >= 0 ? (uint32_t)known : *next_id;
    if (id != expected)
        return gsai_fail(GSA_ERROR_FORMAT, "%s: \"%s\" has id %u, but %s %u", where, content, id,
            known >= 0 ? "in the vocabulary it has" : "the next free id is", expected);
    if (known < 0 && (status = gsai_vocab_add_token(v, id, content, size, false)) != GSA_OK) return status;
    if (id >= *next_id) *next_id = id + 1;
    const unsigned flags = (single_word ? GSAI_ADDED_SINGLE_WORD : 0) | (lstrip ? GSAI_ADDED_LSTRIP : 0) |
                           (rstrip ? GSAI_ADDED_RSTRIP : 0) | (normalized ? GSAI_ADDED_NORMALIZED : 0);
    return gsai_vocab_add_added(v, id, flags, special);
}

static gsa_status read_root(gsai_vocab *v, const json_t *root)
{
    gsa_status status = check_top(root);
    if (status != GSA_OK) return status;
    const json_t *model = json_object_get(root, "model"), *added = json_object_get(root, "added_tokens");
    if ((status = read_model_settings(v, model)) != GSA_OK) return status;
    json_t *vocab = json_object_get(model, "vocab");
    if (!json_is_object(vocab))
        return gsai_fail(GSA_ERROR_FORMAT, "model.vocab: expected an object, it is %s", gsai_json_kind(vocab));
    const json_t *merges;
    if ((status = gsai_json_array(model, "model", "merges", &merges)) != GSA_OK) return status;
    if (added && !json_is_array(added))
        return gsai_fail(GSA_ERROR_FORMAT, "added_tokens: expected an array, it is %s", gsai_json_kind(added));
    status = gsai_json_normalizer(v, json_object_get(root, "normalizer"));
    if (status == GSA_OK) status = gsai_json_pre_tokenizer(v, json_object_get(root, "pre_tokenizer"));
    if (status == GSA_OK) status = gsai_json_decoder(v, json_object_get(root, "decoder"));
    if (status == GSA_OK) status = reserve(v, vocab, added, merges);
    if (status == GSA_OK) status = read_vocab(v, vocab);
    if (status == GSA_OK) status = read_unk(v, model);
    if (status == GSA_OK) status = read_merges(v, merges);
    uint32_t next_id = (uint32_t)json_object_size(vocab);
    for (size_t i = 0; status == GSA_OK && i < json_array_size(added); i++)
        status = read_added_token(v, json_array_get(added, i), &next_id);
    if (status == GSA_OK) status = gsai_json_post_processor(v, json_object_get(root, "post_processor"));
    return status == GSA_OK ? gsai_vocab_seal(v) : status;
}

gsa_status gsai_vocab_read_json(gsai_vocab *v, const void *json, size_t size)
{
    json_t *root;
    gsa_status status = gsai_json_parse(json, size, MAX_VALUES, &root);
    if (status != GSA_OK) return status;
    status = read_root(v, root);
    json_decref(root);
    return status;
}
