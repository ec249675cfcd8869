/* Reader of tokenizers in GGUF files. */
#include "text/tokenizer_gguf.h"

#include "text/rewrite.h"
#include "text/unicode.h"
#include "util/status.h"

#include <math.h>
#include <stdlib.h>

#define MAX_MERGED 256u /* bytes of a token that merges by score may make; keeps the search for its halves short */

static const char mark[] = "\xe2\x96\x81"; /* U+2581 */

const gsai_gguf_pre gsai_gguf_pres[] = {
    {"gpt-2", GSAI_SPLIT_GPT2, false},
    {"phi-2", GSAI_SPLIT_GPT2, false},
    {"mpt", GSAI_SPLIT_GPT2, false},
    {"olmo", GSAI_SPLIT_GPT2, false},
    {"jais", GSAI_SPLIT_GPT2, false},
    {"trillion", GSAI_SPLIT_GPT2, false},
    {"granite-docling", GSAI_SPLIT_GPT2, false},
    {"exaone4", GSAI_SPLIT_GPT2, false},
    {"mellum", GSAI_SPLIT_GPT2, false},
    {"modern-bert", GSAI_SPLIT_GPT2, false},
    {"gigachat", GSAI_SPLIT_GPT2, false},
    {"a.x-4.0", GSAI_SPLIT_GPT2, false},
    {"jina-es", GSAI_SPLIT_GPT2, false},
    {"jina-de", GSAI_SPLIT_GPT2, false},
    {"jina-v2-es", GSAI_SPLIT_GPT2, false},
    {"jina-v2-de", GSAI_SPLIT_GPT2, false},
    {"default", GSAI_SPLIT_GPT2, false}, /* the file's maker did not know; GPT-2's is the rule of such files' time */
    {"llama-bpe", GSAI_SPLIT_LLAMA3, true},
    {"llama3", GSAI_SPLIT_LLAMA3, true},
    {"llama-v3", GSAI_SPLIT_LLAMA3, true},
    {"falcon3", GSAI_SPLIT_LLAMA3, true},
    {"falcon-h1", GSAI_SPLIT_LLAMA3, true},
    {"pixtral", GSAI_SPLIT_LLAMA3, true},
    {"midm-2.0", GSAI_SPLIT_LLAMA3, true},
    {"lfm2", GSAI_SPLIT_LLAMA3, true},
    {"jina-v5-nano", GSAI_SPLIT_LLAMA3, true},
    {"dbrx", GSAI_SPLIT_LLAMA3, false},
    {"smaug-bpe", GSAI_SPLIT_LLAMA3, false},
    {"glm4", GSAI_SPLIT_LLAMA3, false},
    {"chatglm-bpe", GSAI_SPLIT_LLAMA3, false},
    {"qwen2", GSAI_SPLIT_QWEN2, false},
    {"deepseek-r1-qwen", GSAI_SPLIT_QWEN2, false},
    {"stablelm2", GSAI_SPLIT_QWEN2, false},
    {"hunyuan", GSAI_SPLIT_QWEN2, false},
    {"solar-open", GSAI_SPLIT_QWEN2, false},
    {"megrez", GSAI_SPLIT_QWEN2, false},
    {"kormo", GSAI_SPLIT_QWEN2, false},
    {"f2llmv2", GSAI_SPLIT_QWEN2, false},
    {"grok-2", GSAI_SPLIT_QWEN2, false},
    {"starcoder", GSAI_SPLIT_DIGITS, false},
    {"refact", GSAI_SPLIT_DIGITS, false},
    {"command-r", GSAI_SPLIT_DIGITS, false},
    {"smollm", GSAI_SPLIT_DIGITS, false},
    {"codeshell", GSAI_SPLIT_DIGITS, false},
    {"exaone", GSAI_SPLIT_DIGITS, false},
    {"minerva-7b", GSAI_SPLIT_DIGITS, false},
    {"mellum2", GSAI_SPLIT_DIGITS, false},
};
const uint32_t gsai_gguf_n_pres = sizeof gsai_gguf_pres / sizeof *gsai_gguf_pres;

typedef struct reader {
    gsai_vocab *v;
    const gsai_gguf *g;
    gsai_gguf_value tokens, types, scores, merges; /* bytes NULL: there is none */
    uint8_t *type_of;                              /* [n_tokens] */
    bool add_bos, add_eos, add_space;
    int32_t bos, eos, unk;
} reader;

static gsa_status no_memory(const reader *r)
{
    return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for its tokenizer", r->g->name);
}

/* Say which file, for what does not know it. */
static gsa_status named(const reader *r, gsa_status status)
{
    return status ? gsai_fail_in(status, "%s", r->g->name) : GSA_OK;
}

static bool text_is(gsai_text text, const char *what)
{
    return text.length == strlen(what) && memcmp(text.bytes, what, text.length) == 0;
}

static gsai_text item_text(const gsai_gguf_value *item)
{
    return (gsai_text){(const char *)item->bytes, (size_t)item->n};
}

/* Arrays beside the tokens have an entry for each of them. */
static gsa_status check_length(const reader *r, const char *key, const gsai_gguf_value *array)
{
    if (!array->bytes || array->n == r->tokens.n) return GSA_OK;
    return gsai_fail(GSA_ERROR_FORMAT, "%s: key %s: has %llu items, expected one for each of the %llu tokens",
        r->g->name, key, (unsigned long long)array->n, (unsigned long long)r->tokens.n);
}

/* Scores are f32, or i32 in files of some converters. */
static gsa_status find_scores(reader *r)
{
    static const char key[] = "tokenizer.ggml.scores";
    const gsai_gguf_value *found = gsai_gguf_find(r->g, key);
    const bool integers = found && found->kind == GSAI_GGUF_ARRAY && found->item_kind == GSAI_GGUF_I32;
    const gsa_status status =
        gsai_gguf_get_array(r->g, key, false, integers ? GSAI_GGUF_I32 : GSAI_GGUF_F32, &r->scores);
    return status ? status : check_length(r, key, &r->scores);
}

static gsa_status find_arrays(reader *r)
{
    static const char types[] = "tokenizer.ggml.token_type";
    gsa_status status = gsai_gguf_get_array(r->g, "tokenizer.ggml.tokens", true, GSAI_GGUF_STRING, &r->tokens);
    if (!status) status = gsai_gguf_get_array(r->g, types, false, GSAI_GGUF_I32, &r->types);
    if (!status) status = check_length(r, types, &r->types);
    if (!status) status = find_scores(r);
    if (!status) status = gsai_gguf_get_array(r->g, "tokenizer.ggml.merges", false, GSAI_GGUF_STRING, &r->merges);
    if (!status && r->tokens.n > GSAI_MAX_TOKENS)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: key tokenizer.ggml.tokens: has %llu items, at most %u are read",
            r->g->name, (unsigned long long)r->tokens.n, GSAI_MAX_TOKENS);
    if (!status && r->merges.n > GSAI_MAX_MERGES)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: key tokenizer.ggml.merges: has %llu items, at most %u are read",
            r->g->name, (unsigned long long)r->merges.n, GSAI_MAX_MERGES);
    return status;
}

static gsa_status read_types(reader *r)
{
    r->type_of = gsai_alloc_array(&r->v->allocator, (size_t)r->tokens.n, 1);
    if (!r->type_of) return no_memory(r);
    if (!r->types.bytes) {
        memset(r->type_of, GSAI_GGUF_TOKEN_NORMAL, (size_t)r->tokens.n);
        return GSA_OK;
    }
    gsai_gguf_value item = {0};
    for (uint64_t i = 0; gsai_gguf_next(&r->types, &item); i++) {
        const int64_t type = (int64_t)gsai_gguf_integer(&item);
        if (type < GSAI_GGUF_TOKEN_UNDEFINED || type > GSAI_GGUF_TOKEN_BYTE)
            return gsai_fail(GSA_ERROR_FORMAT,
                "%s: key tokenizer.ggml.token_type: token %llu has type %lld, expected 0..%d", r->g->name,
                (unsigned long long)i, (long long)type, GSAI_GGUF_TOKEN_BYTE);
        r->type_of[i] = (uint8_t)type;
    }
    return GSA_OK;
}

static bool is_added(uint8_t type)
{
    return type == GSAI_GGUF_TOKEN_CONTROL || type == GSAI_GGUF_TOKEN_USER_DEFINED || type == GSAI_GGUF_TOKEN_UNKNOWN;
}

/* All tokens; an empty one is a gap in the vocabulary. */
static gsa_status read_tokens(reader *r)
{
    gsai_vocab *v = r->v;
    gsai_gguf_value item = {0};
    uint64_t n_text = 0;
    uint32_t n_added = 0, id = 0;
    for (; gsai_gguf_next(&r->tokens, &item); id++) {
        n_text += item.n;
        n_added += item.n && is_added(r->type_of[id]);
    }
    if (n_text > GSAI_MAX_TEXT)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: the tokens have %llu bytes, at most %zu are read", r->g->name,
            (unsigned long long)n_text, GSAI_MAX_TEXT);
    gsa_status status = named(r, gsai_vocab_reserve(v, id, (size_t)n_text, 0, n_added));
    item = (gsai_gguf_value){0};
    for (id = 0; !status && gsai_gguf_next(&r->tokens, &item); id++) {
        const gsai_text text = item_text(&item);
        if (!text.length) continue;
        if (!gsai_utf8_is_valid(text.bytes, text.length))
            return gsai_fail(
                GSA_ERROR_FORMAT, "%s: key tokenizer.ggml.tokens: token %u is not valid UTF-8", r->g->name, id);
        status =
            named(r, gsai_vocab_add_token(v, id, text.bytes, text.length, r->type_of[id] != GSAI_GGUF_TOKEN_UNUSED));
        if (!status && is_added(r->type_of[id]))
            status = named(r, gsai_vocab_add_added(v, id, 0, r->type_of[id] != GSAI_GGUF_TOKEN_USER_DEFINED));
    }
    return status;
}

/* ---- merges by score, as SentencePiece and "llama" files have them ---- */

typedef struct scored {
    float score;
    uint32_t id;
} scored;

static int best_first(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Call add_pair for each cut of a token into two tokens, or only count. */
static gsa_status cut_token(reader *r, uint32_t id, uint32_t priority, uint32_t *n)
{
    gsai_vocab *v = r->v;
    const char *text = gsai_vocab_text(v, id);
    const uint32_t size = v->tokens[id].size;
    for (size_t i = gsai_utf8_size(text[0]); i < size; i += gsai_utf8_size(text[i])) {
        const int32_t left = gsai_vocab_find_model(v, text, i);
        if (left < 0) continue;
        const int32_t right = gsai_vocab_find_model(v, text + i, size - i);
        if (right < 0) continue;
        if (n) {
            ++*n;
        } else {
            const gsa_status status = named(r, gsai_vocab_add_pair(v, (uint32_t)left, (uint32_t)right, id, priority));
            if (status) return status;
        }
    }
    return GSA_OK;
}

/* Tokens that merging may make, best score first. */
static gsa_status list_scored(reader *r, scored **list, uint32_t *n)
{
    gsai_vocab *v = r->v;
    gsai_gguf_value item = {0};
    *list = gsai_alloc_array(&v->allocator, v->n_tokens, sizeof **list);
    if (!*list) return no_memory(r);
    for (uint32_t id = 0; gsai_gguf_next(&r->scores, &item); id++) {
        const double score =
            item.kind == GSAI_GGUF_I32 ? (double)(int64_t)gsai_gguf_integer(&item) : gsai_gguf_float(&item);
        const uint8_t type = r->type_of[id];
        if (isnan(score))
            return gsai_fail(
                GSA_ERROR_FORMAT, "%s: key tokenizer.ggml.scores: token %u has no number as its score", r->g->name, id);
        if (!v->tokens[id].size || (type != GSAI_GGUF_TOKEN_NORMAL && type != GSAI_GGUF_TOKEN_UNDEFINED)) continue;
        if (v->tokens[id].size > MAX_MERGED)
            return gsai_fail(GSA_ERROR_UNSUPPORTED,
                "%s: token %u has %u bytes, at most %u are supported in a token that is "
                "made by score",
                r->g->name, id, v->tokens[id].size, MAX_MERGED);
        (*list)[(*n)++] = (scored){(float)score, id};
    }
    qsort(*list, *n, sizeof **list, best_first);
    return GSA_OK;
}

static gsa_status read_scores(reader *r)
{
    scored *list = NULL;
    uint32_t n = 0, n_merges = 0, priority = 0;
    gsa_status status = list_scored(r, &list, &n);
    for (uint32_t i = 0; i < n && !status; i++) status = cut_token(r, list[i].id, 0, &n_merges);
    if (!status) status = named(r, gsai_vocab_reserve_merges(r->v, n_merges, true));
    for (uint32_t i = 0; i < n && !status; i++) {
        if (i && list[i].score != list[i - 1].score) priority++;
        status = cut_token(r, list[i].id, priority, NULL);
    }
    gsai_free(&r->v->allocator, list);
    return status;
}

/* ---- merges in a list ---- */

static gsa_status read_merges(reader *r)
{
    gsai_gguf_value item = {0};
    gsa_status status = named(r, gsai_vocab_reserve_merges(r->v, (uint32_t)r->merges.n, false));
    for (uint64_t i = 0; !status && gsai_gguf_next(&r->merges, &item); i++) {
        const gsai_text text = item_text(&item);
        const char *end = text.bytes + text.length, *space = memchr(text.bytes, ' ', text.length);
        if (!space || space == text.bytes || space + 1 == end || memchr(space + 1, ' ', (size_t)(end - space - 1)))
            return gsai_fail(GSA_ERROR_FORMAT,
                "%s: key tokenizer.ggml.merges: merge %llu should be two tokens with one space between", r->g->name,
                (unsigned long long)i);
        status = named(r,
            gsai_vocab_add_merge(r->v, text.bytes, (size_t)(space - text.bytes), space + 1, (size_t)(end - space - 1)));
    }
    return status;
}

/* ---- settings ---- */

static gsa_status get_id(const reader *r, const char *key, int32_t *out)
{
    uint32_t id = UINT32_MAX;
    const uint32_t n = (uint32_t)r->tokens.n;
    const gsa_status status = gsai_gguf_get_u32(r->g, key, false, 0, n ? n - 1 : 0, &id);
    if (!status && id != UINT32_MAX && n) *out = (int32_t)id;
    return status;
}

/* An id that files of a kind may leave out. */
static void default_id(const reader *r, int32_t id, uint8_t type, int32_t *out)
{
    if (*out < 0 && (uint64_t)id < r->tokens.n && r->type_of[id] == type) *out = id;
}

static gsa_status read_settings(reader *r)
{
    static const char *const unknown[] = {"tokenizer.ggml.add_sep_token", "tokenizer.ggml.remove_extra_whitespaces"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        bool on = false;
        const gsa_status status = gsai_gguf_get_bool(r->g, unknown[i], false, &on);
        if (status) return status;
        if (on) return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: key %s: true is not supported", r->g->name, unknown[i]);
    }
    r->bos = r->eos = r->unk = -1;
    gsa_status status = get_id(r, "tokenizer.ggml.bos_token_id", &r->bos);
    if (!status) status = get_id(r, "tokenizer.ggml.eos_token_id", &r->eos);
    if (!status) status = get_id(r, "tokenizer.ggml.unknown_token_id", &r->unk);
    if (!status) status = gsai_gguf_get_bool(r->g, "tokenizer.ggml.add_bos_token", false, &r->add_bos);
    if (!status) status = gsai_gguf_get_bool(r->g, "tokenizer.ggml.add_eos_token", false, &r->add_eos);
    if (!status) status = gsai_gguf_get_bool(r->g, "tokenizer.ggml.add_space_prefix", false, &r->add_space);
    return status;
}

static gsa_status check_exists(const reader *r, const char *key, int32_t id)
{
    if (r->v->tokens[id].flags & GSAI_TOKEN_EXISTS) return GSA_OK;
    return gsai_fail(GSA_ERROR_FORMAT, "%s: key %s: token %d is empty", r->g->name, key, id);
}

/* The ids that are put around a text. */
static gsa_status set_around(reader *r)
{
    gsai_vocab *v = r->v;
    const struct {
        const char *key, *id_key;
        bool on;
        int32_t id;
        int32_t **list, *first;
        uint32_t *n;
    } sides[] = {
        {"tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id", r->add_bos, r->bos, &v->before, &v->bos,
            &v->n_before},
        {"tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id", r->add_eos, r->eos, &v->after, &v->eos,
            &v->n_after},
    };
    for (int i = 0; i < 2; i++) {
        if (!sides[i].on) continue;
        if (sides[i].id < 0) {
            if (!gsai_gguf_find(r->g, sides[i].key)) continue; /* only a default wanted it */
            return gsai_fail(
                GSA_ERROR_FORMAT, "%s: key %s is true, but %s is missing", r->g->name, sides[i].key, sides[i].id_key);
        }
        const gsa_status status = check_exists(r, sides[i].id_key, sides[i].id);
        if (status) return status;
        if (!(*sides[i].list = gsai_alloc_array(&v->allocator, 1, sizeof **sides[i].list))) return no_memory(r);
        **sides[i].list = *sides[i].first = sides[i].id;
        *sides[i].n = 1;
    }
    return GSA_OK;
}

static gsa_status read_llama(reader *r)
{
    static const char where[] = "tokenizer.ggml";
    gsai_vocab *v = r->v;
    const gsa_allocator *a = &v->allocator;
    const size_t n_mark = sizeof mark - 1;
    r->add_bos = r->add_space = true;
    gsa_status status = read_settings(r);
    if (status) return status;
    if (!r->scores.bytes)
        return gsai_fail(
            GSA_ERROR_FORMAT, "%s: key tokenizer.ggml.scores is missing, expected it as an array of f32", r->g->name);
    default_id(r, 0, GSAI_GGUF_TOKEN_UNKNOWN, &r->unk);
    default_id(r, 1, GSAI_GGUF_TOKEN_CONTROL, &r->bos);
    default_id(r, 2, GSAI_GGUF_TOKEN_CONTROL, &r->eos);
    v->unk_id = r->unk;
    v->fuse_unk = true;
    v->byte_fallback = true;
    if (r->add_space)
        status = named(r, gsai_rewrite_add(a, where, &v->normalizer, &v->n_normalizer, "", 0, mark, n_mark));
    if (!status) status = named(r, gsai_rewrite_add(a, where, &v->normalizer, &v->n_normalizer, " ", 1, mark, n_mark));
    if (!status) status = named(r, gsai_rewrite_add(a, where, &v->decoder, &v->n_decoder, mark, n_mark, " ", 1));
    if (!status) status = read_tokens(r);
    if (!status && v->unk_id >= 0) status = check_exists(r, "tokenizer.ggml.unknown_token_id", v->unk_id);
    if (!status) status = read_scores(r);
    v->decoding = GSAI_DECODE_PLAIN;
    v->decode_bytes = true;
    memcpy(v->strip, " ", 2);
    v->n_strip = r->add_space ? 1 : 0;
    return status;
}

static const gsai_gguf_pre *find_pre(gsai_text name)
{
    for (uint32_t i = 0; i < gsai_gguf_n_pres; i++) {
        if (text_is(name, gsai_gguf_pres[i].name)) return &gsai_gguf_pres[i];
    }
    return NULL;
}

static gsa_status read_gpt2(reader *r)
{
    gsai_vocab *v = r->v;
    gsai_text name = {"default", 7};
    gsa_status status = gsai_gguf_get_text(r->g, "tokenizer.ggml.pre", false, &name);
    if (status) return status;
    const gsai_gguf_pre *pre = find_pre(name);
    if (!pre)
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "%s: key tokenizer.ggml.pre: the rule \"%.*s\" to cut text is not supported", r->g->name,
            (int)(name.length < 60 ? name.length : 60), name.bytes);
    r->add_bos = pre->ignore_merges;
    if ((status = read_settings(r))) return status;
    v->split = pre->split;
    v->ignore_merges = pre->ignore_merges;
    v->byte_level = true;
    v->prefix = r->add_space ? GSAI_PREFIX_ALWAYS : GSAI_PREFIX_NEVER;
    memcpy(v->mark, " ", 2);
    v->decoding = GSAI_DECODE_BYTE_LEVEL;
    if (!r->merges.bytes)
        return gsai_fail(GSA_ERROR_FORMAT,
            "%s: key tokenizer.ggml.merges is missing, expected it as an array of string", r->g->name);
    status = read_tokens(r);
    return status ? status : read_merges(r);
}

gsa_status gsai_vocab_read_ggml(gsai_vocab *v, const gsai_gguf *g)
{
    reader r = {.v = v, .g = g};
    gsai_text model = {NULL, 0};
    gsa_status status = gsai_gguf_get_text(g, "tokenizer.ggml.model", false, &model);
    if (status) return status;
    if (!model.bytes || text_is(model, "none") || text_is(model, "no_vocab"))
        return gsai_fail(GSA_ERROR_FORMAT, "%s: has no tokenizer (key tokenizer.ggml.model)", g->name);
    const bool is_llama = text_is(model, "llama");
    if (!is_llama && !text_is(model, "gpt2"))
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "%s: key tokenizer.ggml.model: a tokenizer of kind \"%.*s\" is not supported, only llama and gpt2", g->name,
            (int)(model.length < 60 ? model.length : 60), model.bytes);
    status = find_arrays(&r);
    if (!status) status = read_types(&r);
    if (!status) status = is_llama ? read_llama(&r) : read_gpt2(&r);
    if (!status) status = set_around(&r);
    if (!status) status = named(&r, gsai_vocab_seal(v));
    gsai_free(&v->allocator, r.type_of);
    return status;
}

gsa_status gsai_vocab_read_gguf(gsai_vocab *v, const gsai_gguf *g)
{
    static const char key[] = "tokenizer.huggingface.json";
    gsai_text json = {NULL, 0};
    gsa_status status = gsai_gguf_get_text(g, key, false, &json);
    if (status) return status;
    if (!json.bytes) return gsai_vocab_read_ggml(v, g);
    status = gsai_vocab_read_json(v, json.bytes, json.length);
    if (status != GSA_ERROR_UNSUPPORTED || !gsai_gguf_find(g, "tokenizer.ggml.model"))
        return status ? gsai_fail_in(status, "%s: key %s", g->name, key) : GSA_OK;
    /* The same tokenizer as other programs see it. */
    const gsa_allocator a = v->allocator;
    gsai_vocab_finish(v);
    gsai_vocab_init(v, &a);
    return gsai_vocab_read_ggml(v, g);
}
