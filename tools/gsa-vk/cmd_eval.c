/* gsa-vk eval: what a model can do. So far: recall. */
#include "commands.h"
#include "format.h"
#include "inn.h"
#include "recall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(app *a, const recall_options *o, const char *svg)
{
    recall *r = calloc(1, sizeof *r);
    if (!r) return fail("out of memory");
    *r = (recall){.a = a, .options = o};
    int rc = app_load_model(a, &(gsa_model_params){.n_slots = 2 * (uint32_t)o->sessions});
    if (rc == 0) rc = app_open_tokenizer(a, NULL);
    if (rc == 0) rc = recall_run(r);
    if (rc == 0) rc = recall_report(r, svg);
    if (rc == 0 && !a->quiet)
        fprintf(stderr, "[%llu tokens in %.1f s, seed %llu]\n", (unsigned long long)r->n_evaluated, r->seconds,
            (unsigned long long)o->seed);
    free(r);
    return rc;
}

static int read_list(const cli_spec *spec, const char *option, const char *text, uint32_t most, ids *out)
{
    if (text[0] == 0) return CLI_GO;
    int rc = ids_parse(out, text, strlen(text), option);
    for (size_t i = 0; i < out->n && rc == 0; i++)
        if (out->data[i] < 1 || (uint32_t)out->data[i] > most)
            rc = cli_mistake(spec, "%s: %d is not from 1 to %u", option, (int)out->data[i], (unsigned)most);
    return rc == 0 ? CLI_GO : rc;
}

int cmd_eval(int argc, char **argv)
{
    app a = {0};
    recall_options o = {.seed = 1, .rows = 32, .questions = 8, .sessions = 16, .new_lines = .125};
    const char *facts = "1,2,4,8,16,32,48,64", *tokens = "1024,2048,4096,8192", *pairs = "16,32,64,128", *svg = NULL;
    bool quick = false;
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_GROUP, .help = "questions"},
        {CLI_TEXT, 0, "facts", "LIST", "facts in a conversation (1,2,4,8,16,32,48,64);\n'' none", &facts},
        {CLI_TEXT, 0, "tokens", "LIST",
            "lengths of conversations (1024,2048,4096,8192): the\nfirst for all numbers of facts, all for 16", &tokens},
        {CLI_TEXT, 0, "pairs", "LIST", "pairs of associative recall (16,32,64,128); '' none", &pairs},
        {CLI_UINT, 0, "rows", "N", "conversations for each point (32)", &o.rows, 1, 1e6},
        {CLI_UINT, 0, "questions", "N", "questions in each (8)", &o.questions, 1, 1e6},
        {CLI_UINT, 's', "seed", "N", "of the conversations (1)", &o.seed, 0, 9e15},
        {CLI_FLAG, 0, "seen", NULL, "words and wordings of the training, not held-out ones", &o.seen},
        {CLI_REAL, 0, "new-lines", "X",
            "share of sentences of a form that training never had, not\nonly in a new wording (0.125)", &o.new_lines, 0,
            1},
        {CLI_FLAG, 0, "quick", NULL, "a few points of a few conversations", &quick},
        {CLI_UINT, 0, "sessions", "N", "conversations at a time (16)", &o.sessions, 1, 64},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
        {CLI_TEXT, 0, "svg", "FILE", "draw the curves", &svg},
    };
    const cli_spec spec = {"eval", "recall [-m PATH] [options]",
        "What a model remembers: conversations in the innkeeper's world with words and wordings that training\n"
        "never saw, then questions about what holds, what was changed and what was never told. Only a whole reply\n"
        "that is right counts. -v shows the wrong ones. The same seed makes the same conversations anywhere.",
        "  gsa-vk eval recall -m models/innkeeper.gguf --quick\n"
        "  gsa-vk eval recall -m models/innkeeper.gguf --facts 16 --tokens 1024 --pairs '' --rows 100 -v\n"
        "  gsa-vk eval recall -m models/innkeeper.gguf --json --svg recall.svg > recall.json\n",
        options, APP_COUNT(options), 1};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = app_need_model(&a);
    if (rc == CLI_GO && args.n == 0) rc = cli_mistake(&spec, "eval what? So far: gsa-vk eval recall");
    if (rc == CLI_GO && strcmp(args.items[0], "recall") != 0)
        rc = cli_mistake(&spec, "'%.40s' is not known: gsa-vk eval recall", args.items[0]);
    if (rc == CLI_GO && quick) {
        facts = "1,8,16";
        tokens = "512";
        pairs = "16";
        o.rows = o.rows < 8 ? o.rows : 8;
    }
    if (rc == CLI_GO) rc = read_list(&spec, "--facts", facts, INN_MAX_FACTS, &o.facts);
    if (rc == CLI_GO) rc = read_list(&spec, "--tokens", tokens, 1u << 20, &o.tokens);
    if (rc == CLI_GO) rc = read_list(&spec, "--pairs", pairs, 512, &o.pairs);
    if (rc == CLI_GO) {
        interrupt_catch();
        rc = app_close(&a, run(&a, &o, svg));
    }
    ids_free(&o.facts);
    ids_free(&o.tokens);
    ids_free(&o.pairs);
    return rc;
}
