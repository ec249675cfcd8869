/* Text on its way in and out: encoding, and a printer that holds back what may become a stop string. */
#ifndef TEXT_H
#define TEXT_H

#include "cli.h"
#include "data.h"
#include "gsa/gsa.h"

/* Append the ids of a text. 0, or 1 after fail(). */
int text_encode(const gsa_tokenizer *tokenizer, const char *text, size_t n, bool add_special, ids *out);

typedef struct printer {
    gsa_detokenizer *detokenizer;
    const cli_texts *stops;
    bool silent;                                         /* gather in all, print nothing */
    int (*sink)(void *user, const char *text, size_t n); /* takes what would be printed; NULL = standard output */
    void *sink_user;
    bool stopped; /* a stop string came; it and what follows are not printed */
    bytes held;   /* may be the beginning of a stop string */
    bytes all;    /* what was let out, when silent */
    uint32_t n_vocab;
} printer;

int printer_open(printer *p, const gsa_tokenizer *tokenizer, const cli_texts *stops, bool silent);
/* Tokens that come before what is printed: they decide about spaces and half characters. */
int printer_skip(printer *p, const int32_t *tokens, size_t n);
int printer_push(printer *p, int32_t token); /* 0, or 1 after fail() */
int printer_finish(printer *p);              /* what is still held back */
void printer_close(printer *p);

#endif
