#include "text.h"

#include "report.h"

#include <stdlib.h>
#include <string.h>

int text_encode(const gsa_tokenizer *tokenizer, const char *text, size_t n, bool add_special, ids *out)
{
    size_t n_ids = 0;
    if (gsa_tokenizer_encode(tokenizer, text, n, add_special, NULL, 0, &n_ids) != GSA_OK) return fail_library();
    int32_t *bigger = realloc(out->data, (out->n + n_ids + 1) * sizeof *bigger);
    if (!bigger) return fail("out of memory for %zu token ids", n_ids);
    out->data = bigger;
    out->capacity = out->n + n_ids + 1;
    if (gsa_tokenizer_encode(tokenizer, text, n, add_special, out->data + out->n, n_ids, &n_ids) != GSA_OK)
        return fail_library();
    out->n += n_ids;
    return 0;
}

static int let_out(printer *p, size_t n)
{
    int rc = 0;
    if (n == 0) return 0;
    if (p->silent) {
        rc = bytes_append(&p->all, p->held.data, n);
    } else if (p->sink) {
        rc = p->sink(p->sink_user, p->held.data, n);
    } else {
        fwrite(p->held.data, 1, n, stdout);
        if (fflush(stdout) != 0) rc = report_stdout();
    }
    memmove(p->held.data, p->held.data + n, p->held.n - n);
    p->held.n -= n;
    return rc;
}

/* Where the first stop string begins, or how many bytes can be let out because no stop string begins in them. */
static size_t free_bytes(printer *p)
{
    const bytes *h = &p->held;
    for (size_t at = 0; at < h->n; at++) {
        bool may_begin = false;
        for (size_t i = 0; p->stops && i < p->stops->n; i++) {
            const size_t length = strlen(p->stops->items[i]), left = h->n - at;
            if (memcmp(h->data + at, p->stops->items[i], length < left ? length : left) != 0) continue;
            if (length <= left) {
                p->stopped = true;
                return at;
            }
            may_begin = true;
        }
        if (may_begin) return at;
    }
    return h->n;
}

static int take(printer *p, const char *piece, size_t n)
{
    if (p->stopped || n == 0) return 0;
    const int rc = bytes_append(&p->held, piece, n);
    return rc ? rc : let_out(p, free_bytes(p));
}

int printer_open(printer *p, const gsa_tokenizer *tokenizer, const cli_texts *stops, bool silent)
{
    *p = (printer){.stops = stops, .silent = silent, .n_vocab = gsa_tokenizer_n_vocab(tokenizer)};
    if (silent && bytes_append(&p->all, "", 0) != 0) return 1;
    return gsa_detokenizer_create(tokenizer, true, &p->detokenizer) == GSA_OK ? 0 : fail_library();
}

int printer_skip(printer *p, const int32_t *tokens, size_t n)
{
    const char *piece;
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)tokens[i] < p->n_vocab && gsa_detokenizer_push(p->detokenizer, tokens[i], &piece, NULL) != GSA_OK)
            return fail_library();
    return 0;
}

int printer_push(printer *p, int32_t token)
{
    const char *piece;
    size_t n = 0;
    if ((uint32_t)token >= p->n_vocab) return 0; /* a row of the model that no text leads to */
    if (gsa_detokenizer_push(p->detokenizer, token, &piece, &n) != GSA_OK) return fail_library();
    return take(p, piece, n);
}

int printer_finish(printer *p)
{
    const char *piece;
    size_t n = 0;
    if (gsa_detokenizer_finish(p->detokenizer, &piece, &n) != GSA_OK) return fail_library();
    const int rc = take(p, piece, n);
    return rc || p->stopped ? rc : let_out(p, p->held.n);
}

void printer_close(printer *p)
{
    gsa_detokenizer_destroy(p->detokenizer);
    free(p->held.data);
    free(p->all.data);
    *p = (printer){0};
}
