/* What a model writes into its slots and reads from them, token by token: a drawing (SVG) or the numbers (JSON). */
#ifndef TRACE_H
#define TRACE_H

#include "app.h"
#include "data.h"

#define TRACE_MOST_CELLS 1000000 /* of both maps together: a drawing of a few MB */

typedef struct trace_options {
    const char *path;           /* ends in .json for numbers; else a drawing */
    const char *layers, *heads; /* lists of numbers from 0; "" all */
} trace_options;

typedef struct trace {
    app *a; /* with model; tokenizer: NULL where texts are not known */
    const ids *tokens;
    ids layers, heads;   /* that are shown */
    float *write, *read; /* as gsa_session_trace_wait fills them */
} trace;

/* Values of slots [n_slots] of the map. layer and head are the model's own numbers. */
const float *trace_write(const trace *t, uint32_t layer, uint32_t head, size_t token);
const float *trace_read(const trace *t, uint32_t layer, uint32_t head, size_t token);
/* A token for people: printable UTF-8 without spaces at its ends, at most 63 bytes. */
void trace_token_text(const trace *t, size_t token, char out[64]);

/* Before anything is computed: are there such layers and heads, and are n_tokens not too many? 0, or 1 after fail(). */
int trace_check(app *a, const trace_options *options, size_t n_tokens);

/* The session stands where the first token begins; it is not changed. 0, or 1 after fail(). */
int trace_make(app *a, const gsa_session *session, const ids *tokens, const trace_options *options);

/* trace_svg.c */
int trace_draw(const trace *t, FILE *f);

#endif
