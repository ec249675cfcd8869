/* The tokens of a file of any length, in constant memory: a text that is tokenized piece by piece, or written ids. */
#ifndef TOKEN_STREAM_H
#define TOKEN_STREAM_H

#include "data.h"
#include "gsa/gsa.h"

/* Texts up to this size are tokenized as one; longer ones in pieces that end with a line where they can. */
#define TOKEN_STREAM_PIECE (4u << 20)

typedef struct token_stream {
    const gsa_tokenizer *tokenizer; /* NULL: the file holds ids */
    const char *path;
    FILE *file;
    bytes piece; /* capacity TOKEN_STREAM_PIECE + 1 */
    ids tokens;  /* of the last piece */
    size_t at;
    uint64_t n_bytes, file_bytes; /* read so far; of the whole file, 0 = unknown */
    uint32_t n_pieces;
    bool ended;
} token_stream;

/* path "-" is standard input. tokenizer NULL: the file holds ids separated by commas or white space. Each 0, or 1 after
 * fail(). */
int token_stream_open(token_stream *s, const char *path, const gsa_tokenizer *tokenizer);
/* The next token; *id -1 at the end. */
int token_stream_next(token_stream *s, int32_t *id);
double token_stream_fraction(const token_stream *s); /* of the file that has been read, 0 when unknown */
void token_stream_close(token_stream *s);

#endif
