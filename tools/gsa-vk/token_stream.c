#include "token_stream.h"

#include "report.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int token_stream_open(token_stream *s, const char *path, const gsa_tokenizer *tokenizer)
{
    struct stat st;
    *s = (token_stream){.tokenizer = tokenizer, .path = path};
    s->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!s->file) return fail("%s: cannot open: %s", path, strerror(errno));
    if (fstat(fileno(s->file), &st) == 0 && S_ISREG(st.st_mode)) s->file_bytes = (uint64_t)st.st_size;
    s->piece.data = malloc(TOKEN_STREAM_PIECE + 1);
    return s->piece.data ? 0 : fail("out of memory for a piece of %u bytes of text", TOKEN_STREAM_PIECE);
}

/* How much of a full buffer is taken now; the rest waits for what follows it. */
static size_t cut(const token_stream *s)
{
    const char *data = s->piece.data;
    const size_t n = s->piece.n;
    for (size_t i = n; i > 0; i--)
        if (data[i - 1] == '\n' || (!s->tokenizer && data[i - 1] == ' ')) return i;
    size_t end = n; /* one long line: at least no character is cut */
    while (end > 0 && n - end < 4 && ((unsigned char)data[end - 1] & 0xc0) == 0x80) end--;
    return end > 0 && (unsigned char)data[end - 1] >= 0xc0 ? end - 1 : n;
}

static int read_piece(token_stream *s)
{
    bytes *p = &s->piece;
    const size_t room = TOKEN_STREAM_PIECE - p->n, n = fread(p->data + p->n, 1, room, s->file);
    if (ferror(s->file)) return fail("%s: cannot read: %s", s->path, strerror(errno));
    p->n += n;
    s->n_bytes += n;
    s->ended = n < room;
    if (!s->ended) { /* full by chance at the end of the file? */
        const int c = getc(s->file);
        s->ended = c == EOF;
        if (c != EOF) ungetc(c, s->file);
    }
    const size_t take = s->ended ? p->n : cut(s);
    s->tokens.n = s->at = 0;
    int rc = 0;
    if (take > 0 && s->tokenizer) rc = text_encode(s->tokenizer, p->data, take, false, &s->tokens);
    if (take > 0 && !s->tokenizer) rc = ids_parse(&s->tokens, p->data, take, s->path) ? 1 : 0;
    memmove(p->data, p->data + take, p->n - take);
    p->n -= take;
    s->n_pieces += take > 0;
    return rc;
}

int token_stream_next(token_stream *s, int32_t *id)
{
    *id = -1;
    while (s->at == s->tokens.n) {
        if (s->ended) return 0;
        const int rc = read_piece(s);
        if (rc) return rc;
    }
    *id = s->tokens.data[s->at++];
    if (*id < 0) return fail("%s: %d is no token id", s->path, (int)*id);
    return 0;
}

double token_stream_fraction(const token_stream *s)
{
    if (s->file_bytes == 0 || s->tokens.n == 0) return 0;
    const double left = (double)(s->tokens.n - s->at) / (double)s->tokens.n;
    const double size = (double)s->file_bytes, piece = size < TOKEN_STREAM_PIECE ? size : TOKEN_STREAM_PIECE;
    const double fraction = ((double)s->n_bytes - (double)s->piece.n - left * piece) / size;
    return fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
}

void token_stream_close(token_stream *s)
{
    if (s->file && s->file != stdin) fclose(s->file);
    free(s->piece.data);
    ids_free(&s->tokens);
    *s = (token_stream){0};
}
