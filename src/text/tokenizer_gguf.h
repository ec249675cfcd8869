/* Tokenizers in GGUF files: read for files of any architecture, written from a tokenizer.json. FORMAT.md describes the
 * keys. */
#ifndef GSAI_TOKENIZER_GGUF_H
#define GSAI_TOKENIZER_GGUF_H

#include "gguf/gguf.h"
#include "gguf/write.h"
#include "text/vocab.h"

/* Kinds of tokens in tokenizer.ggml.token_type. */
enum {
    GSAI_GGUF_TOKEN_UNDEFINED,
    GSAI_GGUF_TOKEN_NORMAL,
    GSAI_GGUF_TOKEN_UNKNOWN,
    GSAI_GGUF_TOKEN_CONTROL,
    GSAI_GGUF_TOKEN_USER_DEFINED,
    GSAI_GGUF_TOKEN_UNUSED, /* never made of text */
    GSAI_GGUF_TOKEN_BYTE
};

/* How byte-level text is cut, by tokenizer.ggml.pre. */
typedef struct gsai_gguf_pre {
    const char *name;
    gsai_split split;
    bool ignore_merges; /* and the start token is added, unless the file says otherwise */
} gsai_gguf_pre;

/* In each group of names that mean the same the one to write comes first. */
extern const gsai_gguf_pre gsai_gguf_pres[];
extern const uint32_t gsai_gguf_n_pres;

/* Fill v from tokenizer.huggingface.json if it is there and known here, else from tokenizer.ggml.*. FORMAT: missing or
 * contradictory keys. UNSUPPORTED: another kind of tokenizer, by name. HOST_MEMORY. v must be finished in any case. */
gsa_status gsai_vocab_read_gguf(gsai_vocab *v, const gsai_gguf *g);
/* From tokenizer.ggml.* alone. */
gsa_status gsai_vocab_read_ggml(gsai_vocab *v, const gsai_gguf *g);

typedef struct gsai_tokenizer_export {
    const char *name; /* of the tokenizer.json, for messages */
    const void *json; /* its bytes */
    size_t json_size;
    uint32_t n_vocab; /* rows of the model: as many tokens are written, or all of the tokenizer's if those are more */
    int32_t bos_id, eos_id; /* the model's, when the tokenizer does not add any; -1 = none */
    const gsa_log *log;     /* NULL = silent; warned when only this library will understand the tokenizer */
} gsai_tokenizer_export;

/* Put tokenizer.huggingface.json, and the tokenizer.ggml.* keys that other readers know, where they can say the same.
 * Statuses of reading the tokenizer.json; what the writer cannot take shows in gsai_gguf_begin. */
gsa_status gsai_tokenizer_to_gguf(const gsai_tokenizer_export *e, const gsa_allocator *allocator, gsai_gguf_writer *w);

#endif
