/* gsa-vk logits: what the model says about every next token, as raw numbers. */
#include "app.h"
#include "commands.h"
#include "data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Logits that are held at once; a multiple of 64 tokens keeps the chunks, and so the bits, of one long call. */
#define MOST_BYTES (256u << 20)

typedef struct logits_options {
    const char *tokens, *tokens_file, *out;
    bool last, fast;
    uint64_t slice;
} logits_options;

static int read_tokens(const logits_options *o, ids *v)
{
    if (o->tokens) return ids_parse(v, o->tokens, strlen(o->tokens), "--tokens");
    bytes text;
    int rc = bytes_read(o->tokens_file, &text);
    if (rc) return rc;
    rc = ids_parse(v, text.data, text.n, o->tokens_file) ? 1 : 0;
    free(text.data);
    return rc;
}

static size_t slice_of(const logits_options *o, size_t n_tokens, size_t n_vocab)
{
    size_t slice = o->slice ? (size_t)o->slice : n_tokens;
    const size_t fit = MOST_BYTES / 4 / n_vocab / 64 * 64;
    if (!o->last && slice > fit && fit > 0 && n_tokens > fit) slice = o->slice ? slice : fit;
    return slice < n_tokens ? slice : n_tokens;
}

static int evaluate(app *a, const logits_options *o, gsa_session *session, const ids *v, output *out)
{
    const size_t n_vocab = a->info.n_vocab, slice = slice_of(o, v->n, n_vocab);
    float *logits = o->last ? NULL : malloc(slice * n_vocab * sizeof *logits);
    int rc = o->last || logits ? 0 : fail("out of memory for the logits of %zu tokens: give a smaller --slice", slice);
    for (size_t at = 0; at < v->n && rc == 0; at += slice) {
        const size_t n = v->n - at < slice ? v->n - at : slice;
        report_progress((double)at / (double)v->n, "evaluating");
        if (interrupted()) {
            rc = fail("stopped by Ctrl-C");
        } else if (gsa_session_eval_wait(session, v->data + at, n, logits) != GSA_OK) {
            rc = fail_library();
        } else if (!o->last) {
            rc = output_floats(out, logits, n * n_vocab);
        }
    }
    report_progress(0, NULL);
    if (rc == 0 && o->last) {
        logits = malloc(n_vocab * sizeof *logits);
        if (!logits) return fail("out of memory for %zu logits", n_vocab);
        memcpy(logits, gsa_session_logits(session), n_vocab * sizeof *logits);
        rc = output_floats(out, logits, n_vocab);
    }
    free(logits);
    return rc;
}

static int run(app *a, const logits_options *o)
{
    ids v = {0};
    output out = {0};
    gsa_session *session = NULL;
    char mask[512];
    int rc = read_tokens(o, &v);
    if (!o->fast) { /* numbers to compare with are worth more here than speed */
        snprintf(mask, sizeof mask, "%s%scoopmat", a->mask ? a->mask : "", a->mask && *a->mask ? "," : "");
        a->mask = mask;
    }
    if (rc == 0 && v.n == 0) rc = fail("no tokens: there is nothing to evaluate");
    if (rc == 0) rc = output_open(&out, o->out);
    if (rc == 0) rc = app_load_model(a, &(gsa_model_params){.n_slots = 1});
    if (rc == 0 && gsa_session_create(a->model, &session) != GSA_OK) rc = fail_library();
    if (rc == 0) rc = evaluate(a, o, session, &v, &out);
    rc = output_finish(&out, rc);
    gsa_session_destroy(session);
    ids_free(&v);
    return rc;
}

int cmd_logits(int argc, char **argv)
{
    app a = {0};
    logits_options o = {0};
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_TEXT, 't', "tokens", "IDS", "token ids, e.g. 1,22557,1526", &o.tokens},
        {CLI_TEXT, 0, "tokens-file", "FILE", "a file of token ids; - is standard input", &o.tokens_file},
        {CLI_TEXT, 'o', "output", "FILE", "where the logits go; - is standard output", &o.out},
        {CLI_FLAG, 0, "last", NULL, "the last token's logits only: [1, V]", &o.last},
        {CLI_UINT, 0, "slice", "N", "evaluate N tokens per call; default: all at once", &o.slice, 1, 1e9},
        {CLI_FLAG, 0, "fast", NULL, "multiply in f16 where run would: within 5e-3 rather than 1e-4", &o.fast},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"logits", "-m PATH (--tokens IDS | --tokens-file FILE) -o FILE [options]",
        "Evaluate tokens and write the logits after each of them: raw little-endian 32-bit floats [T, V], T tokens by "
        "V\n"
        "vocabulary entries. The file appears when it is complete.",
        "  gsa-vk logits -m path/to/model --tokens 1,22557,1526 -o logits.f32\n"
        "  gsa-vk logits -m path/to/model --tokens-file ids.txt --slice 64 --last -o - | od -f\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = app_need_model(&a);
    if (rc == CLI_GO && !o.tokens == !o.tokens_file) rc = cli_mistake(&spec, "give --tokens IDS or --tokens-file FILE");
    if (rc == CLI_GO && !o.out) rc = cli_mistake(&spec, "no output: give -o FILE");
    if (rc == CLI_GO && a.json) rc = cli_mistake(&spec, "logits are raw numbers: there is no --json of them");
    if (rc != CLI_GO) return rc;
    interrupt_catch();
    return app_close(&a, run(&a, &o));
}
