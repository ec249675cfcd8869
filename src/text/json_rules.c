/* Normalizer, pre-tokenizer, post-processor and decoder. A part is an object with a "type"; a Sequence holds several.
 * What is not listed here is refused, since it would change ids or text. */
#include "text/json_rules.h"

#include "text/rewrite.h"
#include "text/unicode.h"
#include "util/status.h"

#define MAX_DEPTH  8 /* of sequences in sequences */

#define NAMES(...) ((const char *const[]){"type", __VA_ARGS__, NULL})

static bool is_null(const json_t *part)
{
    return !part || json_is_null(part);
}

static gsa_status no_memory(const char *where)
{
    return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory", where);
}

static gsa_status get_type(const json_t *part, const char *where, const char **type)
{
    size_t size;
    if (!json_is_object(part))
        return gsai_fail(GSA_ERROR_FORMAT, "%s: expected an object, it is %s", where, gsai_json_kind(part));
    return gsai_json_string(part, where, "type", type, &size);
}

static gsa_status unknown_type(const char *where, const char *type)
{
    return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: the type \"%s\" is not supported", where, type);
}

/* Call item for each part of a sequence. */
typedef gsa_status (*part_reader)(gsai_vocab *v, const json_t *part, int depth);

static gsa_status read_sequence(
    gsai_vocab *v, const json_t *part, const char *where, const char *list, int depth, part_reader read)
{
    const json_t *items;
    gsa_status status = gsai_json_check(part, where, NAMES(list));
    if (status == GSA_OK) status = gsai_json_array(part, where, list, &items);
    if (status == GSA_OK && depth >= MAX_DEPTH)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: more than %d sequences in each other", where, MAX_DEPTH);
    for (size_t i = 0; status == GSA_OK && i < json_array_size(items); i++)
        status = read(v, json_array_get(items, i), depth + 1);
    return status;
}

/* A member that must be one character. */
static gsa_status read_char(const json_t *part, const char *where, const char *name, char out[5])
{
    const char *text;
    size_t size;
    const gsa_status status = gsai_json_string(part, where, name, &text, &size);
    if (status != GSA_OK) return status;
    if (!size || size != gsai_utf8_size(text[0]))
        return gsai_fail(GSA_ERROR_FORMAT, "%s.%s: expected one character, it is \"%s\"", where, name, text);
    memcpy(out, text, size + 1);
    return GSA_OK;
}

/* ---- normalizer ---- */

static gsa_status read_replace(gsai_vocab *v, const json_t *part, const char *where, gsai_rewrite **list, uint32_t *n)
{
    const char *from, *to;
    size_t n_from, n_to;
    gsa_status status = gsai_json_check(part, where, NAMES("pattern", "content"));
    if (status != GSA_OK) return status;
    const json_t *pattern = json_object_get(part, "pattern");
    if (json_object_get(pattern, "Regex"))
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: Replace with a regular expression is not supported", where);
    const json_t *plain = json_object_get(pattern, "String");
    if (!json_is_string(plain))
        return gsai_fail(
            GSA_ERROR_FORMAT, "%s: expected a String in Replace's pattern, it is %s", where, gsai_json_kind(plain));
    from = json_string_value(plain);
    n_from = json_string_length(plain);
    status = gsai_json_string(part, where, "content", &to, &n_to);
    if (status != GSA_OK) return status;
    if (!n_from) return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: Replace of an empty text is not supported", where);
    return gsai_rewrite_add(&v->allocator, where, list, n, from, n_from, to, n_to);
}

static gsa_status read_normalizer(gsai_vocab *v, const json_t *part, int depth)
{
    static const char where[] = "normalizer";
    const char *type, *text;
    size_t size;
    gsa_status status = get_type(part, where, &type);
    if (status != GSA_OK) return status;
    if (strcmp(type, "Sequence") == 0) return read_sequence(v, part, where, "normalizers", depth, read_normalizer);
    if (strcmp(type, "Replace") == 0) return read_replace(v, part, where, &v->normalizer, &v->n_normalizer);
    if (strcmp(type, "Prepend") != 0) return unknown_type(where, type);
    status = gsai_json_check(part, where, NAMES("prepend"));
    if (status == GSA_OK) status = gsai_json_string(part, where, "prepend", &text, &size);
    return status == GSA_OK
               ? gsai_rewrite_add(&v->allocator, where, &v->normalizer, &v->n_normalizer, "", 0, text, size)
               : status;
}

gsa_status gsai_json_normalizer(gsai_vocab *v, const json_t *part)
{
    return is_null(part) ? GSA_OK : read_normalizer(v, part, 0);
}

/* ---- pre-tokenizer ---- */

static const char gpt2_rule[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char llama3_rule[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                                  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2_rule[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                                 " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* Settings that Metaspace has as a pre-tokenizer and as a decoder. */
static gsa_status read_metaspace(const json_t *part, const char *where, char mark[5], gsai_prefix *prefix, bool *split)
{
    gsa_status status =
        gsai_json_check(part, where, NAMES("replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"));
    if (status == GSA_OK) status = read_char(part, where, "replacement", mark);
    bool add = true;
    if (status == GSA_OK && !is_null(json_object_get(part, "add_prefix_space")))
        status = gsai_json_bool(part, where, "add_prefix_space", &add);
    *split = true;
    if (status == GSA_OK && !is_null(json_object_get(part, "split")))
        status = gsai_json_bool(part, where, "split", split);
    const char *scheme = "always";
    size_t size;
    if (status == GSA_OK && json_object_get(part, "prepend_scheme"))
        status = gsai_json_string(part, where, "prepend_scheme", &scheme, &size);
    if (status != GSA_OK) return status;
    if (strcmp(scheme, "never") == 0)
        *prefix = GSAI_PREFIX_NEVER;
    else if (strcmp(scheme, "always") == 0)
        *prefix = GSAI_PREFIX_ALWAYS;
    else if (strcmp(scheme, "first") == 0)
        *prefix = GSAI_PREFIX_FIRST;
    else
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: the prepend_scheme \"%s\" is not supported", where, scheme);
    /* Files from before prepend_scheme existed say only add_prefix_space. */
    const bool old = !json_object_get(part, "prepend_scheme");
    if (!add && old) *prefix = GSAI_PREFIX_NEVER;
    if (!add && *prefix != GSAI_PREFIX_NEVER)
        return gsai_fail(
            GSA_ERROR_FORMAT, "%s: add_prefix_space false contradicts prepend_scheme \"%s\"", where, scheme);
    return GSA_OK;
}

static gsa_status read_split(gsai_vocab *v, const json_t *part, const char *where)
{
    const char *rule, *behavior;
    size_t size;
    bool invert = false;
    gsa_status status = gsai_json_check(part, where, NAMES("pattern", "behavior", "invert"));
    if (status == GSA_OK) status = gsai_json_string(part, where, "behavior", &behavior, &size);
    if (status == GSA_OK) status = gsai_json_bool(part, where, "invert", &invert);
    if (status != GSA_OK) return status;
    const json_t *pattern = json_object_get(part, "pattern");
    if (json_object_get(pattern, "String"))
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: Split at a plain text is not supported", where);
    if (!json_is_object(pattern))
        return gsai_fail(GSA_ERROR_FORMAT, "%s.pattern: expected an object, it is %s", where, gsai_json_kind(pattern));
    if ((status = gsai_json_string(pattern, where, "Regex", &rule, &size)) != GSA_OK) return status;
    if (strcmp(behavior, "Isolated") != 0 || invert)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: Split with behavior \"%s\"%s is not supported", where, behavior,
            invert ? " and invert" : "");
    if (strcmp(rule, gpt2_rule) == 0)
        v->split = GSAI_SPLIT_GPT2;
    else if (strcmp(rule, llama3_rule) == 0)
        v->split = GSAI_SPLIT_LLAMA3;
    else if (strcmp(rule, qwen2_rule) == 0)
        v->split = GSAI_SPLIT_QWEN2;
    else
        return gsai_fail(
            GSA_ERROR_UNSUPPORTED, "%s: Split by the regular expression \"%s\" is not supported", where, rule);
    return GSA_OK;
}

/* Each digit alone; ByteLevel must follow. */
static gsa_status read_digits(gsai_vocab *v, const json_t *part, const char *where)
{
    bool individual = false;
    gsa_status status = gsai_json_check(part, where, NAMES("individual_digits"));
    if (status == GSA_OK) status = gsai_json_bool(part, where, "individual_digits", &individual);
    if (status == GSA_OK && !individual)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: Digits in groups is not supported", where);
    v->split = GSAI_SPLIT_DIGITS;
    return status;
}

static gsa_status read_byte_level(gsai_vocab *v, const json_t *part, const char *where)
{
    bool prefix, trim, regex = true;
    gsa_status status = gsai_json_check(part, where, NAMES("add_prefix_space", "trim_offsets", "use_regex"));
    if (status == GSA_OK) status = gsai_json_flag(part, where, "add_prefix_space", &prefix);
    if (status == GSA_OK) status = gsai_json_flag(part, where, "trim_offsets", &trim);
    if (status == GSA_OK) status = gsai_json_bool(part, where, "use_regex", &regex);
    if (status != GSA_OK) return status;
    /* Behind a Split both settings would act on each of its pieces; behind Digits the rule is known. */
    if (v->split == GSAI_SPLIT_DIGITS && !regex)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: Digits without GPT-2's rule behind it is not supported", where);
    if (v->split != GSAI_SPLIT_NONE && ((regex && v->split != GSAI_SPLIT_DIGITS) || prefix))
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: ByteLevel with %s after Split is not supported", where,
            regex ? "use_regex" : "add_prefix_space");
    if (regex && v->split == GSAI_SPLIT_NONE) v->split = GSAI_SPLIT_GPT2;
    v->byte_level = true;
    v->prefix = prefix ? GSAI_PREFIX_ALWAYS : GSAI_PREFIX_NEVER;
    memcpy(v->mark, " ", 2);
    return GSA_OK;
}

static gsa_status read_pre_tokenizer(gsai_vocab *v, const json_t *part, int depth)
{
    static const char where[] = "pre_tokenizer";
    const char *type;
    gsa_status status = get_type(part, where, &type);
    if (status != GSA_OK) return status;
    if (strcmp(type, "Sequence") == 0) return read_sequence(v, part, where, "pretokenizers", depth, read_pre_tokenizer);
    const bool first = v->split == GSAI_SPLIT_NONE && !v->byte_level && !v->mark[0];
    if (strcmp(type, "ByteLevel") == 0 && !v->byte_level &&
        (first || (v->split != GSAI_SPLIT_NONE && v->split != GSAI_SPLIT_MARK)))
        return read_byte_level(v, part, where);
    if (strcmp(type, "Split") == 0 && first) return read_split(v, part, where);
    if (strcmp(type, "Digits") == 0 && first) return read_digits(v, part, where);
    if (strcmp(type, "Metaspace") == 0 && first) {
        bool split;
        status = read_metaspace(part, where, v->mark, &v->prefix, &split);
        if (status == GSA_OK && split) v->split = GSAI_SPLIT_MARK;
        return status;
    }
    return first ? unknown_type(where, type)
                 : gsai_fail(GSA_ERROR_UNSUPPORTED,
                       "%s: a Sequence other than Split and ByteLevel is not supported (\"%s\")", where, type);
}

gsa_status gsai_json_pre_tokenizer(gsai_vocab *v, const json_t *part)
{
    if (is_null(part)) return GSA_OK;
    const gsa_status status = read_pre_tokenizer(v, part, 0);
    if (status != GSA_OK) return status;
    if (v->split == GSAI_SPLIT_DIGITS && !v->byte_level)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "pre_tokenizer: Digits without ByteLevel behind it is not supported");
    /* "first" asks for the place in the text as it was before normalization, which is not followed through rewrites. */
    if (v->prefix == GSAI_PREFIX_FIRST && v->n_normalizer)
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "pre_tokenizer: prepend_scheme \"first\" together with a normalizer is not supported");
    return GSA_OK;
}

/* ---- decoder ---- */

/* Steps of a decoder in the one order that is supported. */
enum { STEP_NONE, STEP_REPLACE, STEP_BYTES, STEP_FUSE, STEP_STRIP, STEP_WHOLE };

static gsa_status read_strip(gsai_vocab *v, const json_t *part, const char *where)
{
    uint32_t stop = 0;
    gsa_status status = gsai_json_check(part, where, NAMES("content", "start", "stop"));
    if (status == GSA_OK) status = read_char(part, where, "content", v->strip);
    if (status == GSA_OK) status = gsai_json_index(part, where, "start", 1u << 16, &v->n_strip);
    if (status == GSA_OK) status = gsai_json_index(part, where, "stop", 1u << 16, &stop);
    if (status == GSA_OK && stop)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: Strip from the end of the text is not supported", where);
    return status;
}

/* Read one step, which must be later than *last. */
static gsa_status read_step(gsai_vocab *v, const json_t *part, const char *type, const char *where, int *last)
{
    static const char *const types[] = {NULL, "Replace", "ByteFallback", "Fuse", "Strip"};
    int step = STEP_REPLACE;
    while (step < STEP_WHOLE && strcmp(type, types[step]) != 0) step++;
    const bool whole = strcmp(type, "ByteLevel") == 0 || strcmp(type, "Metaspace") == 0;
    if (step == STEP_WHOLE && !whole) return unknown_type(where, type);
    if ((whole && *last != STEP_NONE) || step < *last || (step == *last && step != STEP_REPLACE) ||
        (step == STEP_STRIP && *last != STEP_FUSE))
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "%s: \"%s\" at this place of a Sequence is not supported; the order is Replace, ByteFallback, Fuse, Strip",
            where, type);
    *last = step;
    v->decoding = GSAI_DECODE_PLAIN;
    bool split;
    gsai_prefix prefix = GSAI_PREFIX_NEVER;
    switch (step) {
    case STEP_REPLACE:
        return read_replace(v, part, where, &v->decoder, &v->n_decoder);
    case STEP_BYTES:
        v->decode_bytes = true;
        return gsai_json_check(part, where, (const char *const[]){"type", NULL});
    case STEP_FUSE:
        return gsai_json_check(part, where, (const char *const[]){"type", NULL});
    case STEP_STRIP:
        return read_strip(v, part, where);
    default:
        break;
    }
    if (strcmp(type, "ByteLevel") == 0) {
        v->decoding = GSAI_DECODE_BYTE_LEVEL;
        return gsai_json_check(part, where, NAMES("add_prefix_space", "trim_offsets", "use_regex"));
    }
    v->decoding = GSAI_DECODE_MARK;
    const gsa_status status = read_metaspace(part, where, v->decode_mark, &prefix, &split);
    v->decode_drops_mark = prefix != GSAI_PREFIX_NEVER;
    return status;
}

gsa_status gsai_json_decoder(gsai_vocab *v, const json_t *part)
{
    static const char where[] = "decoder";
    if (is_null(part)) return GSA_OK;
    const char *type;
    int last = STEP_NONE;
    gsa_status status = get_type(part, where, &type);
    if (status != GSA_OK) return status;
    if (strcmp(type, "Sequence") != 0) return read_step(v, part, type, where, &last);
    const json_t *items;
    v->decoding = GSAI_DECODE_PLAIN;
    status = gsai_json_check(part, where, NAMES("decoders"));
    if (status == GSA_OK) status = gsai_json_array(part, where, "decoders", &items);
    for (size_t i = 0; status == GSA_OK && i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        status = get_type(item, where, &type);
        if (status == GSA_OK) status = read_step(v, item, type, where, &last);
    }
    return status;
}

/* ---- post-processor ---- */

static gsa_status add_id(gsai_vocab *v, int32_t **ids, uint32_t *n, uint32_t id)
{
    if (!(v->tokens[id].flags & GSAI_TOKEN_EXISTS))
        return gsai_fail(GSA_ERROR_FORMAT, "post_processor: id %u is not in the vocabulary", id);
    if (v->n_before + v->n_after >= GSAI_MAX_EXTRA_IDS)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "post_processor: adds more than %d ids", GSAI_MAX_EXTRA_IDS);
    int32_t *grown = gsai_realloc_array(&v->allocator, *ids, (size_t)*n + 1, sizeof *grown);
    if (!grown) return no_memory("post_processor");
    *ids = grown;
    grown[(*n)++] = (int32_t)id;
    return GSA_OK;
}

/* The ids of a special token that the template names. */
static gsa_status add_special(gsai_vocab *v, const json_t *names, const json_t *item, bool before)
{
    static const char where[] = "post_processor.special_tokens";
    const char *name;
    size_t size;
    const json_t *ids;
    gsa_status status = gsai_json_string(item, "post_processor.single", "id", &name, &size);
    if (status != GSA_OK) return status;
    const json_t *special = json_object_get(names, name);
    if (!special) return gsai_fail(GSA_ERROR_FORMAT, "%s: \"%s\" is used but not described", where, name);
    status = gsai_json_array(special, where, "ids", &ids);
    for (size_t i = 0; status == GSA_OK && i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        const json_int_t number = json_is_integer(id) ? json_integer_value(id) : -1;
        if (number < 0 || number >= (json_int_t)v->n_tokens)
            return gsai_fail(GSA_ERROR_FORMAT, "%s: \"%s\" has an id that is not in the vocabulary", where, name);
        status = before ? add_id(v, &v->before, &v->n_before, (uint32_t)number)
                        : add_id(v, &v->after, &v->n_after, (uint32_t)number);
    }
    return status;
}

#define MAX_TEMPLATE 64

static gsa_status read_template(gsai_vocab *v, const json_t *part, const char *where)
{
    const json_t *single;
    gsa_status status = gsai_json_check(part, where, NAMES("single", "pair", "special_tokens"));
    if (status == GSA_OK) status = gsai_json_array(part, where, "single", &single);
    if (status != GSA_OK) return status;
    if (json_array_size(single) > MAX_TEMPLATE)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s.single: more than %d parts", where, MAX_TEMPLATE);
    bool text_seen = false;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i), *sequence = json_object_get(item, "Sequence"),
                     *special = json_object_get(item, "SpecialToken");
        if (special) {
            status = add_special(v, json_object_get(part, "special_tokens"), special, !text_seen);
            if (status != GSA_OK) return status;
            continue;
        }
        const char *id = json_string_value(json_object_get(sequence, "id"));
        if (!id || strcmp(id, "A") != 0)
            return gsai_fail(GSA_ERROR_FORMAT, "%s.single[%zu]: expected a SpecialToken or the Sequence A", where, i);
        if (text_seen) return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s.single: the text comes twice", where);
        text_seen = true;
    }
    if (!text_seen) return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s.single: the text does not come", where);
    v->bos = v->n_before ? v->before[0] : -1;
    v->eos = v->n_after ? v->after[0] : -1;
    return GSA_OK;
}

static gsa_status read_post_processor(gsai_vocab *v, const json_t *part, int depth)
{
    static const char where[] = "post_processor";
    const char *type;
    const gsa_status status = get_type(part, where, &type);
    if (status != GSA_OK) return status;
    if (strcmp(type, "Sequence") == 0) return read_sequence(v, part, where, "processors", depth, read_post_processor);
    if (strcmp(type, "ByteLevel") == 0) return GSA_OK; /* moves offsets only */
    if (strcmp(type, "TemplateProcessing") != 0) return unknown_type(where, type);
    if (v->n_before || v->n_after)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: two templates in a Sequence are not supported", where);
    return read_template(v, part, where);
}

gsa_status gsai_json_post_processor(gsai_vocab *v, const json_t *part)
{
    return is_null(part) ? GSA_OK : read_post_processor(v, part, 0);
}
