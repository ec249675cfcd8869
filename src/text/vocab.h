/* What a tokenizer knows, whatever file it came from: tokens, merges, and the rules around them. A reader fills it
 * (reserve, add..., seal) and it is immutable from then on. */
#ifndef GSAI_VOCAB_H
#define GSAI_VOCAB_H

#include "text/buffer.h"

#define GSAI_MAX_TOKENS     (1u << 24)
#define GSAI_MAX_MERGES     (1u << 24) /* a file of 256 MiB could name halves of tokens for 4 thousand million */
#define GSAI_MAX_TEXT       ((size_t)INT32_MAX) /* bytes of one text, also after the rules made it longer */
#define GSAI_MAX_EXTRA_IDS  256                 /* that a post-processor adds */
#define GSAI_MAX_ADDED_SIZE 1024                /* bytes of an added token */
#define GSAI_MAX_ADDED_SUM  (1u << 24)          /* bytes of all added tokens */
#define GSAI_MAX_REWRITES   16
#define GSAI_MAX_REWRITE    256 /* bytes of each text of a rewrite */

enum {
    GSAI_TOKEN_EXISTS = 1,
    GSAI_TOKEN_MODEL = 2,     /* the merges may make it */
    GSAI_TOKEN_ADDED = 4,     /* found in the text before anything else */
    GSAI_TOKEN_SPECIAL = 8,   /* left out of decoded text on request */
    GSAI_TOKEN_REWRITTEN = 16 /* an added token that is looked for, and decoded, as the normalizer writes it */
};

typedef struct gsai_token {
    uint32_t offset, size; /* in gsai_vocab.text, a NUL behind it */
    uint8_t flags;         /* without GSAI_TOKEN_EXISTS no token has this id */
} gsai_token;

/* Pairs of ids that become one; the lowest rank goes first. An open-addressing table. */
typedef struct gsai_merge {
    uint32_t left, right;
    uint32_t rank; /* UINT32_MAX = empty slot */
} gsai_merge;

/* How an added token matches. */
enum {
    GSAI_ADDED_SINGLE_WORD = 1, /* not inside a word */
    GSAI_ADDED_LSTRIP = 2,      /* takes the white space before it */
    GSAI_ADDED_RSTRIP = 4,      /* ... behind it */
    GSAI_ADDED_NORMALIZED = 8   /* its rewritten text is looked for in the rewritten text */
};

typedef struct gsai_added {
    const char *text; /* what to look for */
    uint32_t size;
    uint32_t id;
    uint32_t order; /* of two with the same text the lower is found */
    uint8_t flags;
} gsai_added;

/* A state of the search for added tokens: some start of them. The states one byte longer lie next to each other, in
 * order of that byte. State 0 is the empty start. */
typedef struct gsai_added_node {
    uint32_t first;      /* of n_children nodes */
    uint32_t shorter;    /* the longest other state that this one ends with */
    uint32_t ends;       /* the longest state that is a token and that this one ends with, or is; 0 = none */
    uint32_t token;      /* in gsai_added_index.tokens, when this one is a token */
    uint16_t n_children; /* 0 .. 256 */
    uint16_t depth;      /* bytes */
    uint8_t byte;        /* the last of them */
} gsai_added_node;

/* Added tokens as an automaton (Aho and Corasick, 1975). */
typedef struct gsai_added_index {
    gsai_added *tokens;
    gsai_added_node *nodes;
    uint32_t n_tokens;
    uint32_t root[256]; /* the state of a first byte; 0 = none */
} gsai_added_index;

/* One step of text rewriting: replace every from by to, or, when n_from is 0, put to before a non-empty text. */
typedef struct gsai_rewrite {
    char from[GSAI_MAX_REWRITE], to[GSAI_MAX_REWRITE];
    uint16_t n_from, n_to;
} gsai_rewrite;

typedef enum gsai_split {
    GSAI_SPLIT_NONE,
    GSAI_SPLIT_GPT2,
    GSAI_SPLIT_LLAMA3,
    GSAI_SPLIT_QWEN2,  /* Llama 3's with each digit alone */
    GSAI_SPLIT_DIGITS, /* each digit alone, then GPT-2's rule between them */
    GSAI_SPLIT_MARK    /* before each mark */
} gsai_split;

typedef enum gsai_prefix { GSAI_PREFIX_NEVER, GSAI_PREFIX_ALWAYS, GSAI_PREFIX_FIRST } gsai_prefix;

/* How tokens become text again. */
typedef enum gsai_decoding {
    GSAI_DECODE_SPACED, /* as they are, with spaces between */
    GSAI_DECODE_PLAIN,  /* rewrites, bytes, strip */
    GSAI_DECODE_MARK,   /* mark to space; the first token loses its marks when prefix is set */
    GSAI_DECODE_BYTE_LEVEL
} gsai_decoding;

/* How long the rewrites of a file may make a text of n bytes. Without a bound, a few steps which each write 256 letters
 * for one would take all memory. */
static inline size_t gsai_rewrite_limit(size_t n)
{
    return n < (GSAI_MAX_TEXT - 1024) / 32 ? 32 * n + 1024 : GSAI_MAX_TEXT;
}

typedef struct gsai_vocab {
    gsa_allocator allocator;
    uint64_t seed; /* of the hash tables */

    gsai_token *tokens; /* [n_tokens] by id */
    uint32_t n_tokens;
    gsai_buffer text;
    uint32_t *by_text; /* ids + 1 by hash of the text; 0 = empty */
    uint32_t by_text_mask;

    gsai_merge *merges;
    uint32_t merge_mask;
    uint32_t *merged;   /* [n_merges] the new id by rank */
    uint32_t *priority; /* [n_merges] by rank, the least goes first, of equals the leftmost; NULL = the rank itself */
    uint32_t n_merges, max_merges;

    int32_t unk_id; /* -1 = characters without a token vanish */
    bool fuse_unk;  /* a run of unknown characters is one token */
    bool byte_fallback;
    bool ignore_merges;    /* a piece that is a token is that token */
    int32_t byte_ids[256]; /* tokens "<0x00>" ...; -1 = none */

    gsai_added *added; /* [n_added] by id */
    uint32_t n_added, max_added;
    gsai_buffer added_text;
    gsai_added_index raw, normalized;

    gsai_rewrite *normalizer; /* [n_normalizer] */
    uint32_t n_normalizer;
    gsai_split split;
    bool byte_level;
    gsai_prefix prefix; /* when a text that does not start with the mark gets one */
    char mark[5];       /* stands for a space; " " in byte-level vocabularies */

    int32_t *before, *after; /* ids that the post-processor adds */
    uint32_t n_before, n_after;
    int32_t bos, eos;

    gsai_decoding decoding;
    gsai_rewrite *decoder; /* [n_decoder] */
    uint32_t n_decoder;
    bool decode_bytes;      /* runs of "<0x..>" are UTF-8 */
    bool decode_drops_mark; /* GSAI_DECODE_MARK: the first token loses its marks */
    char decode_mark[5];
    char strip[5]; /* character dropped from the start of the text, n_strip times at most */
    uint32_t n_strip;
} gsai_vocab;

/* Empty, in the caller's memory; finish also takes a half-built one. */
void gsai_vocab_init(gsai_vocab *v, const gsa_allocator *allocator);
void gsai_vocab_finish(gsai_vocab *v);

/* Filling, in this order. Statuses: FORMAT for contradictions (the text names them), HOST_MEMORY.
 * n_tokens: largest id + 1; n_text: bytes of all texts. */
gsa_status gsai_vocab_reserve(gsai_vocab *v, uint32_t n_tokens, size_t n_text, uint32_t n_merges, uint32_t n_added);
gsa_status gsai_vocab_add_token(gsai_vocab *v, uint32_t id, const char *text, size_t size, bool in_model);
/* The next merge in rank: two tokens whose joined text is a token. */
gsa_status gsai_vocab_add_merge(gsai_vocab *v, const char *left, size_t n_left, const char *right, size_t n_right);
/* Room for n merges in place of what was reserved; none may be there yet. with_priority: add_pair follows, not
 * add_merge. */
gsa_status gsai_vocab_reserve_merges(gsai_vocab *v, uint32_t n, bool with_priority);
/* The next merge by ids, with its priority. Merges whose priority is the same may come in any order. */
gsa_status gsai_vocab_add_pair(gsai_vocab *v, uint32_t left, uint32_t right, uint32_t id, uint32_t priority);
/* Make a token an added one. */
gsa_status gsai_vocab_add_added(gsai_vocab *v, uint32_t id, unsigned added_flags, bool special);
/* Build what is derived. The normalizer must be set. UNSUPPORTED: added tokens that become nothing, or too long. */
gsa_status gsai_vocab_seal(gsai_vocab *v);

/* -1 when there is none. */
int32_t gsai_vocab_find(const gsai_vocab *v, const char *text, size_t size);
int32_t gsai_vocab_find_model(const gsai_vocab *v, const char *text, size_t size);
/* The rank of a pair; UINT32_MAX when it does not merge. */
uint32_t gsai_vocab_find_merge(const gsai_vocab *v, uint32_t left, uint32_t right);

/* The text that a token stands for when it is decoded. */
const char *gsai_vocab_decoded_text(const gsai_vocab *v, uint32_t id, size_t *size);

/* A token as its file writes it. */
static inline const char *gsai_vocab_text(const gsai_vocab *v, uint32_t id)
{
    return v->text.data + v->tokens[id].offset;
}

/* Fill v from tokenizer.json bytes. FORMAT, UNSUPPORTED, HOST_MEMORY; v must be finished in any case. */
gsa_status gsai_vocab_read_json(gsai_vocab *v, const void *json, size_t size);

#endif
