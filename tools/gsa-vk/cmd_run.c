/* gsa-vk run: options of generation, and what goes in. The loop is in generate.c. */
#include "app.h"
#include "commands.h"
#include "data.h"
#include "generate.h"
#include "sampling.h"
#include "text.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct run_options {
    const char *prompt, *file, *tokens, *save, *load;
    bool no_bos;
    uint64_t n;
    sampling sampling;
    generate_options generate;
    trace_options trace;
} run_options;

static int check_options(const app *a, const run_options *o)
{
    const int n_prompts = (o->prompt != NULL) + (o->file != NULL) + (o->tokens != NULL);
    const int rc = app_need_model(a);
    if (rc != CLI_GO) return rc;
    if (n_prompts > 1) return cli_mistake(a->spec, "give one of -p, -f and --tokens");
    if (n_prompts == 0 && !o->load) return cli_mistake(a->spec, "no prompt: give -p TEXT, -f FILE or --tokens IDS");
    if (o->generate.ids && o->generate.stops.n) return cli_mistake(a->spec, "--stop needs text: leave out --ids");
    if (o->generate.ids && o->generate.echo) return cli_mistake(a->spec, "--echo needs text: leave out --ids");
    if (!o->trace.path && (o->trace.layers[0] || o->trace.heads[0]))
        return cli_mistake(a->spec, "--trace-layer and --trace-head choose what --trace FILE shows: give that too");
    for (size_t i = 0; i < o->generate.stops.n; i++)
        if (!*o->generate.stops.items[i]) return cli_mistake(a->spec, "--stop is empty");
    return CLI_GO;
}

/* The prompt's ids. A prompt that continues a saved state gets no start token. */
static int make_prompt(app *a, const run_options *o, ids *prompt)
{
    if (o->tokens) return ids_parse(prompt, o->tokens, strlen(o->tokens), "--tokens");
    if (!o->prompt && !o->file) return 0;
    bytes text = {0};
    int rc = o->file ? bytes_read(o->file, &text) : 0;
    if (rc == 0)
        rc = text_encode(a->tokenizer, o->file ? text.data : o->prompt, o->file ? text.n : strlen(o->prompt),
            !o->no_bos && !o->load, prompt);
    free(text.data);
    return rc;
}

/* Before the model is loaded: all that needs no weights. */
static int open_text(app *a, const run_options *o, ids *prompt)
{
    int rc = 0;
    const bool has_text = o->prompt || o->file;
    if (has_text || !o->generate.ids)
        rc = app_open_tokenizer(a, has_text ? "--tokens IDS --ids works without it" : "--ids works without it");
    if (rc == 0) rc = make_prompt(a, o, prompt);
    if (rc == 0 && prompt->n == 0 && !o->load) rc = fail("the prompt is empty: there is nothing to continue");
    return rc;
}

/* Once more from where the session began, now for what went on in its memory. */
static int draw_trace(app *a, const run_options *o, gsa_session *session, const ids *all)
{
    const gsa_status status = o->load ? gsa_session_load_wait(session, NULL, o->load) : gsa_session_reset(session);
    return status == GSA_OK ? trace_make(a, session, all, &o->trace) : fail_library();
}

static int run(app *a, run_options *o)
{
    ids prompt = {0}, all = {0};
    gsa_sampler *sampler = NULL;
    gsa_session *session = NULL;
    int rc = open_text(a, o, &prompt);
    if (rc == 0) rc = sampling_open(&o->sampling, &sampler);
    if (rc == 0) rc = app_load_model(a, &(gsa_model_params){.n_slots = 1});
    if (rc == 0)
        for (size_t i = 0; i < prompt.n && rc == 0; i++)
            if (prompt.data[i] < 0 || (uint32_t)prompt.data[i] >= a->info.n_vocab)
                rc = fail("prompt token %zu has id %d, but the model's vocabulary has ids 0 to %u%s", i,
                    (int)prompt.data[i], a->info.n_vocab - 1,
                    o->tokens ? "" : ": its tokenizer.json belongs to another model");
    if (rc == 0 && gsa_session_create(a->model, &session) != GSA_OK) rc = fail_library();
    if (rc == 0 && o->load &&
        gsa_session_load_wait(session, o->generate.keep_sampler ? NULL : sampler, o->load) != GSA_OK)
        rc = fail_library();
    if (rc == 0 && o->trace.path) rc = trace_check(a, &o->trace, prompt.n);
    if (o->trace.path) o->generate.all = &all;
    if (rc == 0) rc = generate(a, session, sampler, &prompt, &o->generate);
    if (rc == 0 && o->save && gsa_session_save_wait(session, sampler, o->save) != GSA_OK) rc = fail_library();
    if (rc == 0 && o->trace.path) rc = draw_trace(a, o, session, &all);
    gsa_session_destroy(session);
    gsa_sampler_destroy(sampler);
    ids_free(&prompt);
    ids_free(&all);
    return rc;
}

int cmd_run(int argc, char **argv)
{
    app a = {0};
    run_options o = {.n = 128, .sampling = SAMPLING_INIT, .trace = {.layers = "", .heads = ""}};
    generate_options *g = &o.generate;
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_GROUP, .help = "prompt, one of"},
        {CLI_TEXT, 'p', "prompt", "TEXT", "a text", &o.prompt},
        {CLI_TEXT, 'f', "file", "FILE", "the text of a file; - is standard input", &o.file},
        {CLI_TEXT, 't', "tokens", "IDS", "token ids, e.g. 1,22557,1526", &o.tokens},
        {CLI_FLAG, 0, "no-bos", NULL, "put no start token before a text", &o.no_bos},
        {CLI_GROUP, .help = "generation"},
        {CLI_UINT, 'n', "n-predict", "N", "tokens to generate (128)", &o.n, 0, 1e9},
        SAMPLING_OPTIONS(&o.sampling),
        {CLI_TEXTS, 0, "stop", "TEXT", "end before this text; may be given several times", &g->stops},
        {CLI_FLAG, 0, "ignore-eos", NULL, "go on behind the end token", &g->ignore_eos},
        {CLI_GROUP, .help = "state files"},
        {CLI_TEXT, 0, "save", "FILE", "write the state when done", &o.save},
        {CLI_TEXT, 0, "load", "FILE",
            "continue from a state; a prompt may follow. Sampling\noptions are the saved ones unless some are given",
            &o.load},
        {CLI_GROUP, .help = "seeing the memory"},
        {CLI_TEXT, 0, "trace", "FILE",
            "draw which slots each token writes and reads (SVG);\nFILE.json: the numbers. Computed on the processor",
            &o.trace.path},
        {CLI_TEXT, 0, "trace-layer", "LIST", "only these layers, from 0", &o.trace.layers},
        {CLI_TEXT, 0, "trace-head", "LIST", "only these heads, from 0", &o.trace.heads},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
        {CLI_FLAG, 0, "ids", NULL,
            "print exactly N token ids, separated by spaces, and\nno text; the end token does not stop", &g->ids},
        {CLI_FLAG, 0, "echo", NULL, "print the prompt, too", &g->echo},
    };
    const cli_spec spec = {"run", "-m PATH (-p TEXT | -f FILE | --tokens IDS) [options]",
        "Generate from a prompt. Text appears as it comes; Ctrl-C stops after the current token. A line about speed "
        "goes\n"
        "to standard error (-q: none).",
        "  gsa-vk run -m path/to/model -p 'Once upon a time'\n"
        "  gsa-vk run -m path/to/model -f prompt.txt -n 256 --temp 0.7 --top-p 0.9 --seed 1\n"
        "  gsa-vk run -m path/to/model --tokens 1,22557 -n 64 --temp 0 --ids -d cpu\n"
        "  gsa-vk run -m path/to/model -f book.txt -n 0 --save book.state\n"
        "  gsa-vk run -m path/to/model --load book.state -p 'In short:'\n"
        "  gsa-vk run -m models/innkeeper.gguf -p 'The key is in the attic.' -n 0 --trace memory.svg --trace-layer 3\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = check_options(&a, &o);
    if (rc != CLI_GO) return rc;
    g->n = o.n;
    sampling_settle(&o.sampling);
    g->keep_sampler = o.sampling.is_given;
    g->want_state = o.save != NULL;
    g->seed = o.sampling.seed;
    g->is_greedy = o.sampling.temperature == 0;
    interrupt_catch();
    return app_close(&a, run(&a, &o));
}
