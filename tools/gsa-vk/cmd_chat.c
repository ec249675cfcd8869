/* gsa-vk chat: a dialog on the terminal. The turns are in dialog.c, the keyboard in dialog_loop.c. */
#include "app.h"
#include "commands.h"
#include "dialog_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct chat_options {
    const char *form, *user, *answer, *before, *before_file, *load;
    uint64_t n, n_undo;
    dialog_options dialog;
} chat_options;

/* A prefix from the command line: \n and \t are a newline and a tab, \\ a backslash. Free it. */
static char *unescape(const char *text)
{
    char *out = malloc(strlen(text) + 1), *to = out;
    if (!out) return NULL;
    for (const char *p = text; *p; p++) {
        if (*p == '\\' && (p[1] == 'n' || p[1] == 't' || p[1] == '\\')) {
            p++;
            *to++ = *p == 'n' ? '\n' : *p == 't' ? '\t' : '\\';
        } else {
            *to++ = *p;
        }
    }
    *to = 0;
    return out;
}

static int converse(app *a, const chat_options *o, const dialog_options *options)
{
    dialog d = {0};
    gsa_device_info info;
    int rc = app_load_model(a, &(gsa_model_params){.n_slots = dialog_slots(options)});
    if (rc == 0) rc = dialog_open(&d, a, options);
    if (rc == 0 && o->load) rc = dialog_load(&d, o->load);
    if (rc == 0 && !a->quiet) {
        gsa_device_info_get(a->device, &info);
        fprintf(stderr, "[%s | load %.2f s | /help for help]\n", info.name, a->load_ms * 1e-3);
    }
    if (rc == 0) rc = dialog_loop(&d, NULL, NULL, NULL);
    dialog_close(&d);
    return rc;
}

static int run(app *a, const chat_options *o)
{
    dialog_options options = o->dialog;
    const bool plain = o->form && strcmp(o->form, "plain") == 0;
    char *user = unescape(o->user ? o->user : plain ? "" : "User: ");
    char *answer = unescape(o->answer ? o->answer : plain ? "" : "\nAssistant:");
    bytes before = {0};
    int rc = user && answer ? 0 : fail("out of memory");
    if (rc == 0 && o->before_file) rc = bytes_read(o->before_file, &before);
    options.before = o->before_file ? before.data : o->before;
    options.separator = plain ? "" : "\n";
    options.user_prefix = user;
    options.answer_prefix = answer;
    options.trim = !plain;
    options.n = o->n;
    options.n_undo = (uint32_t)o->n_undo;
    if (rc == 0) rc = app_open_tokenizer(a, NULL);
    if (rc == 0) rc = converse(a, o, &options);
    free(before.data);
    free(user);
    free(answer);
    return rc;
}

static int check_options(const app *a, const chat_options *o)
{
    const int rc = app_need_model(a);
    if (rc != CLI_GO) return rc;
    if (a->json) return cli_mistake(a->spec, "a dialog has no --json");
    if (o->form && strcmp(o->form, "plain") != 0 && strcmp(o->form, "dialog") != 0)
        return cli_mistake(a->spec, "--template is '%.40s', expected dialog or plain", o->form);
    if (o->before && o->before_file) return cli_mistake(a->spec, "give -p or -f, not both");
    for (size_t i = 0; i < o->dialog.stops.n; i++)
        if (!*o->dialog.stops.items[i]) return cli_mistake(a->spec, "--stop is empty");
    return CLI_GO;
}

int cmd_chat(int argc, char **argv)
{
    app a = {0};
    chat_options o = {.n = 256, .n_undo = 8, .dialog = {.sampling = SAMPLING_INIT}};
    dialog_options *d = &o.dialog;
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_GROUP, .help = "form of a turn"},
        {CLI_TEXT, 0, "template", "NAME",
            "dialog: turns with names before them (default), or\nplain: the model continues what was typed", &o.form},
        {CLI_TEXT, 0, "user", "TEXT", "before what you say ('User: '); \\n is a newline", &o.user},
        {CLI_TEXT, 0, "answer", "TEXT", "between that and the answer ('\\nAssistant:')", &o.answer},
        {CLI_TEXT, 'p', "prompt", "TEXT", "stands before the first turn", &o.before},
        {CLI_TEXT, 'f', "file", "FILE", "the same from a file", &o.before_file},
        {CLI_FLAG, 0, "no-bos", NULL, "put no start token before the first turn", &d->no_bos},
        {CLI_GROUP, .help = "generation"},
        {CLI_UINT, 'n', "n-predict", "N", "tokens of an answer at most (256)", &o.n, 1, 1e9},
        SAMPLING_OPTIONS(&d->sampling),
        {CLI_TEXTS, 0, "stop", "TEXT", "ends an answer, too; may be given several times", &d->stops},
        {CLI_FLAG, 0, "ignore-eos", NULL, "go on behind the end token", &d->ignore_eos},
        {CLI_GROUP, .help = "state"},
        {CLI_TEXT, 0, "load", "FILE", "continue from a state file", &o.load},
        {CLI_UINT, 0, "undo", "N", "turns that can be taken back (8)", &o.n_undo, 0, DIALOG_MAX_UNDO},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"chat", "-m PATH [options]",
        "Talk with a model: a line is a turn, the answer is streamed to standard output. Commands: /undo, /reset, "
        "/fork,\n"
        "/switch N, /save FILE, /load FILE, /help, /quit. Ctrl-C stops an answer and keeps what was said. Works in a "
        "pipe.",
        "  gsa-vk chat -m path/to/model\n"
        "  gsa-vk chat -m path/to/model --template plain --temp 0.7\n"
        "  gsa-vk chat -m path/to/model --user 'Q: ' --answer '\\nA:' -p 'A quiz about keys. '\n"
        "  printf 'Hello\\n/save talk.state\\n' | gsa-vk chat -m path/to/model -q\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = check_options(&a, &o);
    if (rc != CLI_GO) return rc;
    sampling_settle(&d->sampling);
    interrupt_catch();
    return app_close(&a, run(&a, &o));
}
