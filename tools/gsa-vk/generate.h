/* The generation loop: prompt, tokens one by one, text as it comes. */
#ifndef GENERATE_H
#define GENERATE_H

#include "app.h"
#include "data.h"

typedef struct generate_options {
    uint64_t n, seed;
    cli_texts stops;
    bool ids, echo, ignore_eos;
    bool is_greedy;
    bool keep_sampler; /* do not take the sampler of a loaded state */
    bool want_state;   /* the session will be saved: leave it ready to continue */
    ids *all;          /* not NULL: takes the prompt and what was generated */
} generate_options;

/* Evaluate the prompt (empty: the session holds logits), then generate and print. 0, or 1 after fail(). Ctrl-C ends it
 * early and is no failure. */
int generate(app *a, gsa_session *session, gsa_sampler *sampler, const ids *prompt, const generate_options *options);

#endif
