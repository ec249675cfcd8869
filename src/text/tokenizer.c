/* The public tokenizer: argument checks and files; the work is in encode.c, decode.c and the readers. */
#include "gsa/tokenizer.h"

#include "text/decode.h"
#include "text/encode.h"
#include "text/tokenizer_gguf.h"
#include "util/source.h"
#include "util/status.h"

#define MAX_FILE ((uint64_t)128 << 20)

struct gsa_tokenizer {
    gsai_vocab vocab;
};

struct gsa_detokenizer {
    gsai_decoder decoder;
    gsai_buffer piece;
};

static gsa_status read_json(gsai_vocab *v, const void *json, uint64_t size)
{
    if (size > MAX_FILE)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%llu bytes are too many for a tokenizer.json; at most %llu are read",
            (unsigned long long)size, (unsigned long long)MAX_FILE);
    return gsai_vocab_read_json(v, size ? json : "", (size_t)size);
}

static gsa_status read_json_named(gsai_vocab *v, const gsai_source *s, const void *json)
{
    const gsa_status status = read_json(v, json, s->size);
    return status == GSA_OK ? status : gsai_fail_in(status, "%s", s->name);
}

static gsa_status read_json_source(gsai_vocab *v, gsai_source *s)
{
    const gsa_allocator *a = &v->allocator;
    if (s->data || !s->size || s->size > MAX_FILE) return read_json_named(v, s, s->data);
    void *json = gsai_alloc(a, (size_t)s->size);
    if (!json)
        return gsai_fail(
            GSA_ERROR_HOST_MEMORY, "%s: no memory for its %llu bytes", s->name, (unsigned long long)s->size);
    gsa_status status = gsai_source_read(s, 0, s->size, json);
    if (status == GSA_OK) status = read_json_named(v, s, json);
    gsai_free(a, json);
    return status;
}

static gsa_status read_source(gsai_vocab *v, gsai_source *s)
{
    if (!gsai_gguf_is(s)) return read_json_source(v, s);
    gsai_gguf *g;
    gsa_status status = gsai_gguf_open(s, &v->allocator, &g);
    if (status != GSA_OK) return status;
    status = gsai_vocab_read_gguf(v, g);
    gsai_gguf_close(g);
    return status;
}

static gsa_status open_path(const char *path, const gsa_allocator *a, gsai_source **out)
{
    char joined[4096];
    if (gsai_is_directory(path)) {
        if (!gsai_path_join(joined, sizeof joined, path, "tokenizer.json"))
            return gsai_fail(GSA_ERROR_FILE, "%.200s...: the path is too long", path);
        path = joined;
    }
    return gsai_source_open_path(path, a, out);
}

static gsa_status read_file(gsai_vocab *v, const gsa_tokenizer_params *params)
{
    gsai_source *source = NULL;
    gsa_status status = params->path ? open_path(params->path, &v->allocator, &source)
                                     : gsai_source_open_host(params->source, &v->allocator, &source);
    if (status != GSA_OK) return status;
    status = read_source(v, source);
    gsai_source_close(source);
    return status;
}

gsa_status gsa_tokenizer_create(const gsa_tokenizer_params *params, gsa_tokenizer **tokenizer)
{
    if (!tokenizer) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_tokenizer_create: tokenizer is NULL");
    *tokenizer = NULL;
    if (!params || params->struct_size != sizeof *params)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_tokenizer_create: struct_size is not sizeof(gsa_tokenizer_params)");
    if (!!params->path + !!params->json + !!params->source != 1)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_tokenizer_create: give one of path, json and source");
    const gsa_allocator a = gsai_allocator_or_default(params->allocator);
    gsa_tokenizer *t = gsai_alloc(&a, sizeof *t);
    if (!t) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for a tokenizer");
    gsai_vocab_init(&t->vocab, &a);
    const gsa_status status =
        params->json ? read_json(&t->vocab, params->json, params->json_size) : read_file(&t->vocab, params);
    if (status != GSA_OK) {
        gsa_tokenizer_destroy(t);
        return status;
    }
    *tokenizer = t;
    return GSA_OK;
}

void gsa_tokenizer_destroy(gsa_tokenizer *tokenizer)
{
    if (!tokenizer) return;
    const gsa_allocator a = tokenizer->vocab.allocator;
    gsai_vocab_finish(&tokenizer->vocab);
    gsai_free(&a, tokenizer);
}

gsa_status gsa_tokenizer_encode(const gsa_tokenizer *tokenizer, const char *text, size_t n_bytes, bool add_special,
    int32_t *ids, size_t capacity, size_t *n_ids)
{
    if (n_ids) *n_ids = 0;
    if (!tokenizer || !n_ids || (!text && n_bytes))
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_tokenizer_encode: tokenizer, n_ids or text is NULL");
    if (n_bytes > GSAI_MAX_TEXT)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_tokenizer_encode: %zu bytes of text are more than %zu; split it",
            n_bytes, GSAI_MAX_TEXT);
    gsai_ids all = {0};
    gsa_status status = gsai_encode(&tokenizer->vocab, text, n_bytes, add_special, &all);
    if (status == GSA_OK) {
        *n_ids = all.size;
        if (ids && all.size > capacity)
            status = gsai_fail(
                GSA_ERROR_LIMIT, "gsa_tokenizer_encode: room for %zu ids, %zu are needed", capacity, all.size);
        else if (ids && all.size)
            memcpy(ids, all.data, all.size * sizeof *ids);
    }
    gsai_free(&tokenizer->vocab.allocator, all.data);
    return status;
}

gsa_status gsa_tokenizer_decode(const gsa_tokenizer *tokenizer, const int32_t *ids, size_t n_ids, bool skip_special,
    char *text, size_t capacity, size_t *n_bytes)
{
    if (n_bytes) *n_bytes = 0;
    if (!tokenizer || !n_bytes || (!ids && n_ids))
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_tokenizer_decode: tokenizer, n_bytes or ids is NULL");
    gsai_decoder d = {&tokenizer->vocab, skip_special};
    gsai_buffer out = {0};
    gsa_status status = GSA_OK;
    for (size_t i = 0; i < n_ids && status == GSA_OK; i++) status = gsai_decoder_push(&d, ids[i], &out);
    if (status == GSA_OK) status = gsai_decoder_finish(&d, &out);
    if (status == GSA_OK) {
        *n_bytes = out.size;
        if (text && out.size > capacity)
            status = gsai_fail(
                GSA_ERROR_LIMIT, "gsa_tokenizer_decode: room for %zu bytes, %zu are needed", capacity, out.size);
        else if (text && out.size)
            memcpy(text, out.data, out.size);
    }
    gsai_decoder_free(&d);
    gsai_buffer_free(&tokenizer->vocab.allocator, &out);
    return status;
}

const char *gsa_tokenizer_kind(const gsa_tokenizer *tokenizer)
{
    const gsai_vocab *v = &tokenizer->vocab;
    if (v->priority) return "SentencePiece BPE by scores";
    if (!v->byte_level) return v->byte_fallback ? "BPE with byte fallback" : "BPE";
    switch (v->split) {
    case GSAI_SPLIT_GPT2:
        return "byte-level BPE, split as GPT-2";
    case GSAI_SPLIT_LLAMA3:
        return "byte-level BPE, split as Llama 3";
    case GSAI_SPLIT_QWEN2:
        return "byte-level BPE, split as Qwen 2";
    case GSAI_SPLIT_DIGITS:
        return "byte-level BPE, split as GPT-2 with digits alone";
    default:
        return "byte-level BPE";
    }
}

uint32_t gsa_tokenizer_n_vocab(const gsa_tokenizer *tokenizer)
{
    return tokenizer->vocab.n_tokens;
}

int32_t gsa_tokenizer_bos(const gsa_tokenizer *tokenizer)
{
    return tokenizer->vocab.bos;
}

int32_t gsa_tokenizer_eos(const gsa_tokenizer *tokenizer)
{
    return tokenizer->vocab.eos;
}

const char *gsa_tokenizer_token_text(const gsa_tokenizer *tokenizer, int32_t id, size_t *n_bytes)
{
    const gsai_vocab *v = &tokenizer->vocab;
    const bool exists = id >= 0 && (uint32_t)id < v->n_tokens && v->tokens[id].flags;
    if (n_bytes) *n_bytes = exists ? v->tokens[id].size : 0;
    return exists ? gsai_vocab_text(v, (uint32_t)id) : NULL;
}

int32_t gsa_tokenizer_token_id(const gsa_tokenizer *tokenizer, const char *text, size_t n_bytes)
{
    return text ? gsai_vocab_find(&tokenizer->vocab, text, n_bytes) : -1;
}

bool gsa_tokenizer_is_special(const gsa_tokenizer *tokenizer, int32_t id)
{
    const gsai_vocab *v = &tokenizer->vocab;
    return id >= 0 && (uint32_t)id < v->n_tokens && v->tokens[id].flags & GSAI_TOKEN_SPECIAL;
}

gsa_status gsa_detokenizer_create(const gsa_tokenizer *tokenizer, bool skip_special, gsa_detokenizer **detokenizer)
{
    if (detokenizer) *detokenizer = NULL;
    if (!tokenizer || !detokenizer) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_detokenizer_create: an argument is NULL");
    gsa_detokenizer *d = gsai_alloc(&tokenizer->vocab.allocator, sizeof *d);
    if (!d) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for a detokenizer");
    d->decoder = (gsai_decoder){&tokenizer->vocab, skip_special};
    *detokenizer = d;
    return GSA_OK;
}

/* Hand out what was appended to an empty piece. */
static gsa_status give_piece(gsa_detokenizer *d, gsa_status status, const char **piece, size_t *n_bytes)
{
    *piece = "";
    if (n_bytes) *n_bytes = 0;
    if (status != GSA_OK || !d->piece.size) return status;
    d->piece.data[d->piece.size] = 0;
    *piece = d->piece.data;
    if (n_bytes) *n_bytes = d->piece.size;
    return GSA_OK;
}

gsa_status gsa_detokenizer_push(gsa_detokenizer *detokenizer, int32_t id, const char **piece, size_t *n_bytes)
{
    if (!detokenizer || !piece)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_detokenizer_push: detokenizer or piece is NULL");
    detokenizer->piece.size = 0;
    return give_piece(detokenizer, gsai_decoder_push(&detokenizer->decoder, id, &detokenizer->piece), piece, n_bytes);
}

gsa_status gsa_detokenizer_finish(gsa_detokenizer *detokenizer, const char **piece, size_t *n_bytes)
{
    if (!detokenizer || !piece)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_detokenizer_finish: detokenizer or piece is NULL");
    detokenizer->piece.size = 0;
    return give_piece(detokenizer, gsai_decoder_finish(&detokenizer->decoder, &detokenizer->piece), piece, n_bytes);
}

void gsa_detokenizer_destroy(gsa_detokenizer *detokenizer)
{
    if (!detokenizer) return;
    const gsa_allocator a = detokenizer->decoder.v->allocator;
    gsai_decoder_free(&detokenizer->decoder);
    gsai_buffer_free(&a, &detokenizer->piece);
    gsai_free(&a, detokenizer);
}
