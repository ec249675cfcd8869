/* Writer of tokenizers into GGUF files. */
#include "text/tokenizer_gguf.h"

#include "text/unicode.h"
#include "util/status.h"

#include <stdio.h>

#define NONE UINT32_MAX

static const char mark[] = "\xe2\x96\x81"; /* U+2581 */

typedef struct writer {
    const gsai_tokenizer_export *e;
    gsai_vocab v;
    gsai_gguf_writer *out;
    bool is_llama, add_space;
    const char *pre;
    uint32_t n;           /* tokens to write */
    uint32_t *first_rank; /* [n_tokens] of the merges that make a token; NONE: no merge does */
    gsai_text *texts;     /* [max of n and n_merges] */
    int32_t *types;       /* [n] */
    float *scores;        /* [n] */
    char *made;           /* texts that the tokenizer.json does not hold */
} writer;

static gsa_status no_memory(const writer *w)
{
    return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory to write it as GGUF", w->e->name);
}

static bool rewrites(const gsai_rewrite *r, const char *from, const char *to)
{
    return r->n_from == strlen(from) && r->n_to == strlen(to) && memcmp(r->from, from, r->n_from) == 0 &&
           memcmp(r->to, to, r->n_to) == 0;
}

/* A text of several characters in which a mark is not the first: merges of a pre-tokenizer that cuts before each mark
 * never make it, merges by score would. */
static bool crosses_marks(const writer *w)
{
    const size_t n_mark = sizeof mark - 1;
    for (uint32_t id = 0; id < w->v.n_tokens; id++) {
        const gsai_token *t = &w->v.tokens[id];
        if (w->first_rank[id] == NONE) continue;
        const char *text = gsai_vocab_text(&w->v, id);
        for (uint32_t i = 1; i + n_mark <= t->size; i++) {
            if (memcmp(text + i, mark, n_mark) == 0) return true;
        }
    }
    return false;
}

/* Does model "llama" say the same? NULL, or why not. */
static const char *fit_llama(writer *w)
{
    const gsai_vocab *v = &w->v;
    const gsai_rewrite *r = v->normalizer;
    const bool has_mark = v->mark[0] != 0;
    if (v->ignore_merges) return "ignore_merges without bytes as characters";
    if (v->decoding != GSAI_DECODE_PLAIN && v->decoding != GSAI_DECODE_MARK) return "its decoder";
    if (v->n_normalizer == 2 && rewrites(&r[0], "", mark) && rewrites(&r[1], " ", mark) && !has_mark) {
        w->add_space = true;
    } else if (v->n_normalizer == 0 && strcmp(v->mark, mark) == 0) {
        w->add_space = v->prefix != GSAI_PREFIX_NEVER;
    } else if (v->n_normalizer != 1 || !rewrites(&r[0], " ", mark) || has_mark) {
        return "its normalizer";
    }
    if (v->split == GSAI_SPLIT_MARK ? crosses_marks(w) : v->split != GSAI_SPLIT_NONE) return "its pre-tokenizer";
    return NULL;
}

static const char *fit_gpt2(writer *w)
{
    const gsai_vocab *v = &w->v;
    if (v->n_normalizer) return "its normalizer";
    if (v->decoding != GSAI_DECODE_BYTE_LEVEL) return "its decoder";
    if (v->prefix == GSAI_PREFIX_FIRST) return "its pre-tokenizer";
    w->add_space = v->prefix == GSAI_PREFIX_ALWAYS;
    for (uint32_t i = 0; i < gsai_gguf_n_pres && !w->pre; i++) {
        if (gsai_gguf_pres[i].split == v->split && gsai_gguf_pres[i].ignore_merges == v->ignore_merges)
            w->pre = gsai_gguf_pres[i].name;
    }
    return w->pre ? NULL : "its pre-tokenizer with its ignore_merges";
}

static bool is_byte(const gsai_vocab *v, uint32_t id)
{
    for (int b = 0; v->byte_fallback && b < 256; b++) {
        if (v->byte_ids[b] == (int32_t)id) return true;
    }
    return false;
}

static int32_t type_of(const writer *w, uint32_t id)
{
    const gsai_vocab *v = &w->v;
    const unsigned flags = id < v->n_tokens ? v->tokens[id].flags : 0;
    if (!(flags & GSAI_TOKEN_EXISTS)) return GSAI_GGUF_TOKEN_UNUSED;
    if (w->is_llama && v->unk_id == (int32_t)id) return GSAI_GGUF_TOKEN_UNKNOWN;
    if (flags & GSAI_TOKEN_ADDED)
        return flags & GSAI_TOKEN_SPECIAL ? GSAI_GGUF_TOKEN_CONTROL : GSAI_GGUF_TOKEN_USER_DEFINED;
    if (!w->is_llama) return GSAI_GGUF_TOKEN_NORMAL;
    if (v->tokens[id].size == 6 && is_byte(v, id)) return GSAI_GGUF_TOKEN_BYTE;
    const bool single = v->tokens[id].size && v->tokens[id].size == gsai_utf8_size(*gsai_vocab_text(v, id));
    /* By score it would be made of any two halves; no merge of the file makes it. */
    return single || w->first_rank[id] != NONE ? GSAI_GGUF_TOKEN_NORMAL : GSAI_GGUF_TOKEN_UNUSED;
}

#define MADE_SIZE 16 /* "[PAD16777215]" with its NUL, and room */

/* Names for rows of the model without a token; other readers want all of them, all different. */
static gsa_status name_gaps(writer *w)
{
    uint32_t n_gaps = 0;
    for (uint32_t id = 0; id < w->n; id++) n_gaps += id >= w->v.n_tokens || !w->v.tokens[id].flags;
    if (!(w->made = gsai_alloc_array(&w->v.allocator, n_gaps, MADE_SIZE))) return no_memory(w);
    char *next = w->made;
    for (uint32_t id = 0; id < w->n; id++) {
        if (id < w->v.n_tokens && w->v.tokens[id].flags) {
            w->texts[id] = (gsai_text){gsai_vocab_text(&w->v, id), w->v.tokens[id].size};
            continue;
        }
        int size = snprintf(next, MADE_SIZE, "[PAD%u]", id);
        if (gsai_vocab_find(&w->v, next, (size_t)size) >= 0) size = snprintf(next, MADE_SIZE, "[[%u]]", id);
        w->texts[id] = (gsai_text){next, (size_t)size};
        next += MADE_SIZE;
    }
    return GSA_OK;
}

static gsa_status put_tokens(writer *w)
{
    const gsa_status status = name_gaps(w);
    if (status) return status;
    for (uint32_t id = 0; id < w->n; id++) {
        w->types[id] = type_of(w, id);
        const bool made = w->types[id] == GSAI_GGUF_TOKEN_NORMAL && w->first_rank[id] != NONE;
        if (made)
            w->scores[id] = -(float)w->first_rank[id];
        else if (w->types[id] == GSAI_GGUF_TOKEN_NORMAL)
            w->scores[id] = -(float)w->v.n_merges;
    }
    gsai_gguf_put_texts(w->out, "tokenizer.ggml.tokens", w->texts, w->n);
    if (w->is_llama) gsai_gguf_put_f32s(w->out, "tokenizer.ggml.scores", w->scores, w->n);
    gsai_gguf_put_i32s(w->out, "tokenizer.ggml.token_type", w->types, w->n);
    return GSA_OK;
}

static gsa_status put_merges(writer *w)
{
    const gsai_vocab *v = &w->v;
    const gsa_allocator *a = &v->allocator;
    gsai_buffer text = {0};
    gsa_status status = GSA_OK;
    const gsai_merge **by_rank = gsai_alloc_array(a, v->n_merges, sizeof *by_rank);
    size_t n_text = 0;
    if (!by_rank) return no_memory(w);
    for (uint32_t i = 0; i <= v->merge_mask; i++) {
        const gsai_merge *m = &v->merges[i];
        if (m->rank == UINT32_MAX) continue;
        by_rank[m->rank] = m;
        n_text += v->tokens[m->left].size + v->tokens[m->right].size + 1;
    }
    if (!gsai_buffer_reserve(a, &text, n_text)) status = no_memory(w);
    uint32_t n = 0;
    for (uint32_t rank = 0; rank < v->n_merges && !status; rank++) {
        const gsai_merge *m = by_rank[rank];
        if (!m) continue; /* a pair that a later line names again */
        const size_t begin = text.size;
        gsai_buffer_put(&text, gsai_vocab_text(v, m->left), v->tokens[m->left].size);
        gsai_buffer_put(&text, " ", 1);
        gsai_buffer_put(&text, gsai_vocab_text(v, m->right), v->tokens[m->right].size);
        w->texts[n++] = (gsai_text){text.data + begin, text.size - begin};
    }
    if (!status) gsai_gguf_put_texts(w->out, "tokenizer.ggml.merges", w->texts, n);
    gsai_buffer_free(a, &text);
    gsai_free(a, by_rank);
    return status;
}

static void put_id(writer *w, const char *key, int32_t id)
{
    if (id >= 0 && (uint32_t)id < w->n) gsai_gguf_put_u32(w->out, key, (uint32_t)id);
}

static void put_ids(writer *w)
{
    const gsai_vocab *v = &w->v;
    put_id(w, "tokenizer.ggml.bos_token_id", v->n_before ? v->before[0] : w->e->bos_id);
    put_id(w, "tokenizer.ggml.eos_token_id", v->n_after ? v->after[0] : w->e->eos_id);
    if (v->unk_id >= 0) put_id(w, "tokenizer.ggml.unknown_token_id", v->unk_id);
}

static gsa_status alloc_tables(writer *w)
{
    const gsai_vocab *v = &w->v;
    const gsa_allocator *a = &v->allocator;
    w->n = w->e->n_vocab > v->n_tokens ? w->e->n_vocab : v->n_tokens;
    w->first_rank = gsai_alloc_array(a, w->n, sizeof *w->first_rank);
    w->texts = gsai_alloc_array(a, w->n > v->n_merges ? w->n : v->n_merges, sizeof *w->texts);
    w->types = gsai_alloc_array(a, w->n, sizeof *w->types);
    w->scores = gsai_alloc_array(a, w->n, sizeof *w->scores);
    if (!w->first_rank || !w->texts || !w->types || !w->scores) return no_memory(w);
    for (uint32_t id = 0; id < w->n; id++) w->first_rank[id] = NONE;
    for (uint32_t rank = v->n_merges; rank-- > 0;) w->first_rank[v->merged[rank]] = rank;
    return GSA_OK;
}

static gsa_status put_ggml(writer *w)
{
    const gsai_vocab *v = &w->v;
    w->is_llama = !v->byte_level;
    gsai_gguf_put_string(w->out, "tokenizer.ggml.model", w->is_llama ? "llama" : "gpt2");
    gsai_gguf_put_string(w->out, "tokenizer.ggml.pre", w->is_llama ? "default" : w->pre);
    gsa_status status = put_tokens(w);
    if (!status && !w->is_llama) status = put_merges(w);
    put_ids(w);
    gsai_gguf_put_bool(w->out, "tokenizer.ggml.add_bos_token", v->n_before > 0);
    gsai_gguf_put_bool(w->out, "tokenizer.ggml.add_eos_token", v->n_after > 0);
    gsai_gguf_put_bool(w->out, "tokenizer.ggml.add_space_prefix", w->add_space);
    return status;
}

static gsa_status put_all(writer *w)
{
    gsai_vocab *v = &w->v;
    gsa_status status = gsai_vocab_read_json(v, w->e->json_size ? w->e->json : "", w->e->json_size);
    if (status) return gsai_fail_in(status, "%s", w->e->name);
    if ((status = alloc_tables(w))) return status;
    const char *why = v->byte_level ? fit_gpt2(w) : fit_llama(w);
    if (!why) {
        status = put_ggml(w);
    } else {
        gsai_log(w->e->log, GSA_LOG_WARNING,
            "%s: only gsa-vk will understand this tokenizer in the GGUF file; the keys other programs read cannot say "
            "%s",
            w->e->name, why);
        put_ids(w);
    }
    gsai_gguf_put_text(w->out, "tokenizer.huggingface.json", (gsai_text){w->e->json, w->e->json_size});
    return status;
}

gsa_status gsai_tokenizer_to_gguf(const gsai_tokenizer_export *e, const gsa_allocator *allocator, gsai_gguf_writer *out)
{
    writer w = {.e = e, .out = out};
    gsai_vocab_init(&w.v, allocator);
    const gsa_status status = put_all(&w);
    gsai_free(allocator, w.first_rank);
    gsai_free(allocator, w.texts);
    gsai_free(allocator, w.types);
    gsai_free(allocator, w.scores);
    gsai_free(allocator, w.made);
    gsai_vocab_finish(&w.v);
    return status;
}
