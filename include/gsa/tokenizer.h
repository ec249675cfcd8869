/* gsa/tokenizer.h: text to token ids and back, on the CPU. No device, no model: a tokenizer may be used alone.
 *
 * A tokenizer is read from a Hugging Face tokenizer.json whose model is BPE:
 *   - SentencePiece style, as Mistral's and Llama 2's: Prepend and Replace normalizers or a Metaspace pre-tokenizer,
 *     byte fallback, unknown token;
 *   - byte-level, with the split rule of GPT-2, Llama 3, Qwen 2, or GPT-2 with each digit alone (StarCoder);
 * or from a GGUF file of any architecture: its tokenizer.huggingface.json, or its tokenizer.ggml keys of model "llama"
 * or "gpt2" (FORMAT.md lists the known rules).
 * Anything that would change ids and is not known is refused by name. The ids and texts are those of the Python
 * package `tokenizers` 0.23, whose Unicode version is 16.0. The truncation and padding entries of a file are batching
 * wishes of its author and are ignored.
 *
 * Text is UTF-8. Where it is not, each maximal invalid subsequence (the longest start of a character that breaks off,
 * or else one byte) counts as one U+FFFD, as the Unicode standard recommends. NUL bytes are ordinary data. */
#ifndef GSA_TOKENIZER_H
#define GSA_TOKENIZER_H

#include "gsa/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable after creation: any number of threads may use one at once. Outlives its detokenizers. */
typedef struct gsa_tokenizer gsa_tokenizer;

/* Give exactly one of path, json and source. */
typedef struct gsa_tokenizer_params {
    size_t struct_size;             /* sizeof(gsa_tokenizer_params) */
    const char *path;               /* a tokenizer.json, a folder that holds one, or a GGUF file with a tokenizer */
    const void *json;               /* bytes of a tokenizer.json, not NUL-terminated */
    size_t json_size;               /* bytes; at most 128 MiB, as for a file */
    const gsa_source *source;       /* a file as path may name; not used any more after creation */
    const gsa_allocator *allocator; /* NULL = malloc; copied */
} gsa_tokenizer_params;

/* Read a tokenizer. Blocks while the file is read (about half a second for 128 thousand tokens).
 *   status     OK. ARGUMENT: not one of path, json and source. FILE: absent or unreadable. FORMAT: not a valid
 *              tokenizer.json. UNSUPPORTED: valid, but a part of it is not known here; the text names it. HOST_MEMORY.
 *              On failure *tokenizer is NULL and nothing is leaked
 *   threads    any */
GSA_API gsa_status gsa_tokenizer_create(const gsa_tokenizer_params *params, gsa_tokenizer **tokenizer);

/* Destroy. NULL is fine. Destroy its detokenizers first. */
GSA_API void gsa_tokenizer_destroy(gsa_tokenizer *tokenizer);

/* Text to ids. Immediate; time grows a little faster than the length of the text (n log n).
 *   text         [n_bytes] any bytes, at most 2^31 - 1; NULL when n_bytes is 0. The written form of a special token
 *                in the text, e.g. "<s>", becomes that token: do not let strangers write it
 *   add_special  put in what the file's post-processor adds, e.g. the start token
 *   ids          [capacity] out; NULL = only count. Written only when all fit
 *   n_ids        out: full number of ids, also when they do not fit
 *   status       OK. LIMIT: capacity is too small (*n_ids is set), or the rules of the file make the text longer
 *                than 2^31 - 1 bytes or 32 times its bytes + 1024 (*n_ids is 0). ARGUMENT, HOST_MEMORY: *n_ids is 0.
 *                The tokenizer never changes
 *   threads      any */
GSA_API gsa_status gsa_tokenizer_encode(const gsa_tokenizer *tokenizer, const char *text, size_t n_bytes,
    bool add_special, int32_t *ids, size_t capacity, size_t *n_ids);

/* Ids to text. Immediate. Ids without a token (gaps in the vocabulary) give nothing.
 *   ids           [n_ids] each in 0 .. gsa_tokenizer_n_vocab() - 1; NULL when n_ids is 0
 *   skip_special  leave out special tokens (all of them; the Python package keeps those that its normalizer changes)
 *   text          [capacity] out: valid UTF-8, no NUL at the end; NULL = only count. Written only when all fits.
 *                 Bytes that do not form a character become U+FFFD
 *   n_bytes       out: full number of bytes, also when they do not fit
 *   status        OK. LIMIT: capacity is too small (*n_bytes is set), or the rules of the file make the text of a token
 *                 longer than 32 times its bytes + 1024 (*n_bytes is 0). ARGUMENT: an id is out of range; HOST_MEMORY:
 *                 *n_bytes is 0. The tokenizer never changes
 *   threads       any */
GSA_API gsa_status gsa_tokenizer_decode(const gsa_tokenizer *tokenizer, const int32_t *ids, size_t n_ids,
    bool skip_special, char *text, size_t capacity, size_t *n_bytes);

/* What kind it is, for people: "BPE with byte fallback", "byte-level BPE, split as GPT-2", ... Static text. */
GSA_API const char *gsa_tokenizer_kind(const gsa_tokenizer *tokenizer);

/* Largest id + 1. Models often have a few rows more. Immediate; any thread; as are all below. */
GSA_API uint32_t gsa_tokenizer_n_vocab(const gsa_tokenizer *tokenizer);

/* The first id that the post-processor puts before a text; -1 when it puts none. */
GSA_API int32_t gsa_tokenizer_bos(const gsa_tokenizer *tokenizer);

/* The first id that the post-processor puts after a text; -1 when it puts none. Most files do not say which token ends
 * a text: ask the model's config then. */
GSA_API int32_t gsa_tokenizer_eos(const gsa_tokenizer *tokenizer);

/* A token as the file writes it (marks for spaces and bytes included), NUL-terminated, valid as long as the tokenizer.
 * n_bytes may be NULL. NULL (and *n_bytes 0) when id is out of range or has no token. */
GSA_API const char *gsa_tokenizer_token_text(const gsa_tokenizer *tokenizer, int32_t id, size_t *n_bytes);

/* The id of a token as the file writes it, e.g. "</s>"; -1 when there is none. */
GSA_API int32_t gsa_tokenizer_token_id(const gsa_tokenizer *tokenizer, const char *text, size_t n_bytes);

/* True for tokens that skip_special leaves out; false for others and for ids out of range. */
GSA_API bool gsa_tokenizer_is_special(const gsa_tokenizer *tokenizer, int32_t id);

/* Decoder for live output: ids come one by one, text leaves as soon as later ids cannot change it. The pieces one after
 * another are exactly what gsa_tokenizer_decode() gives for all ids. One thread at a time. */
typedef struct gsa_detokenizer gsa_detokenizer;

/* OK; ARGUMENT, HOST_MEMORY: *detokenizer is NULL. Uses the tokenizer's allocator. */
GSA_API gsa_status gsa_detokenizer_create(
    const gsa_tokenizer *tokenizer, bool skip_special, gsa_detokenizer **detokenizer);

/* Take one id and give the text that is now certain. Immediate.
 *   piece      out: valid UTF-8, NUL-terminated, until the next call on this detokenizer. Often "" (a character's
 *              bytes are not complete)
 *   n_bytes    out: bytes of piece; may be NULL
 *   status     OK. ARGUMENT (id out of range), LIMIT (as gsa_tokenizer_decode), HOST_MEMORY: piece is "", the detokenizer
 *              is unchanged */
GSA_API gsa_status gsa_detokenizer_push(gsa_detokenizer *detokenizer, int32_t id, const char **piece, size_t *n_bytes);

/* Give what is still held back and start anew, as after creation. Outputs and statuses as above. */
GSA_API gsa_status gsa_detokenizer_finish(gsa_detokenizer *detokenizer, const char **piece, size_t *n_bytes);

/* Destroy. NULL is fine. */
GSA_API void gsa_detokenizer_destroy(gsa_detokenizer *detokenizer);

#ifdef __cplusplus
}
#endif

#endif
