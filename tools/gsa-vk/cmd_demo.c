/* gsa-vk demo: the bundled model plays an innkeeper who remembers what he is told, in a memory of fixed size. */
#include "app.h"
#include "commands.h"
#include "data.h"
#include "dialog_loop.h"
#include "format.h"
#include "inn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char scene[] = "Good evening!\n"
                            "My name is Mara. The red key is under the barrel.\n"
                            "Tom owes me four coins and Anna is a baker.\n"
                            "It rained all the way from Harrow. The soup smells of onions.\n"
                            "Where is the red key?\n"
                            "The red key is in the attic now.\n"
                            "How much does Tom owe me?\n"
                            "Where is the red key?\n"
                            "Where does Tom come from?\n"
                            "What is my name?\n";

typedef struct told { /* a fact that was recognised */
    inn_fact fact;
    uint64_t position; /* of the dialog when it had been said */
    size_t branch;
} told;

typedef struct demo {
    app *a;
    dialog dialog;
    told facts[INN_MAX_FACTS];
    size_t n_facts;
    bool asking; /* /facts is talking */
} demo;

static void on_heard(void *user, const char *text, size_t n)
{
    demo *m = user;
    char line[1024];
    inn_fact facts[8];
    if (m->asking || n >= sizeof line) return;
    snprintf(line, sizeof line, "%.*s", (int)n, text);
    const size_t n_facts = inn_parse(line, facts, 8);
    for (size_t i = 0; i < n_facts; i++) {
        if (m->n_facts == INN_MAX_FACTS) memmove(m->facts, m->facts + 1, --m->n_facts * sizeof m->facts[0]);
        m->facts[m->n_facts++] =
            (told){.fact = facts[i], .position = dialog_position(&m->dialog), .branch = m->dialog.at};
    }
}

/* One turn as it would look on a terminal where it was typed. */
static int play_line(demo *m, const char *line, size_t n)
{
    printf("> %.*s\n", (int)n, line);
    fflush(stdout);
    const int rc = dialog_say(&m->dialog, line, n);
    putchar('\n');
    if (rc == 0) dialog_print_status(&m->dialog);
    return rc ? rc : report_stdout();
}

static int play(demo *m, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        const size_t n = end ? (size_t)(end - line) : size - at;
        at += n + 1;
        if (n == 0 || *line == '#') continue;
        const int rc = play_line(m, line, n);
        if (rc) return rc;
        if (interrupted()) return 0;
    }
    return 0;
}

static bool is_same(const inn_fact *a, const inn_fact *b)
{
    return a->kind == b->kind && a->is_me == b->is_me && strcmp(a->subject, b->subject) == 0 &&
           (inn_kinds[a->kind]->subject != INN_KIN || a->relation == b->relation);
}

/* Ask about everything that was recognised; each question is taken back, so that asking leaves no trace. */
static void ask_facts(demo *m)
{
    size_t n_asked = 0;
    const uint64_t now = dialog_position(&m->dialog);
    m->asking = true;
    for (size_t i = 0; i < m->n_facts && !interrupted(); i++) {
        char question[256];
        bool again = m->facts[i].position > now; /* was taken back */
        for (size_t k = i + 1; k < m->n_facts && !again; k++) again = is_same(&m->facts[i].fact, &m->facts[k].fact);
        if (again) continue;
        inn_question_text(&m->facts[i].fact, question);
        n_asked++;
        if (play_line(m, question, strlen(question)) != 0 || dialog_undo(&m->dialog) != 0) break;
    }
    m->asking = false;
    if (n_asked == 0)
        fprintf(stderr, "nothing was recognised yet. Say, for example: The red key is under the barrel.\n");
}

static bool on_command(void *user, dialog *d, const char *line)
{
    (void)d;
    if (strcmp(line, "facts") != 0) return false;
    ask_facts(user);
    return true;
}

static const char *find_model(void)
{
    if (access(MODEL_INSTALLED, R_OK) == 0) return MODEL_INSTALLED;
    return MODEL_SOURCE;
}

static void introduce(demo *m)
{
    gsa_device_info device;
    gsa_device_info_get(m->a->device, &device);
    if (m->a->quiet) return;
    fprintf(stderr,
        "[%s | load %.2f s | %s parameters, %s of memory per conversation, however long]\n"
        "An innkeeper who remembers. Tell him who is who, what is where and who owes what; change it; ask.\n"
        "/facts asks about everything he was told, /help lists the rest.\n\n",
        device.name, m->a->load_ms * 1e-3, format_count(m->a->info.n_parameters).s,
        format_bytes(m->a->info.state_bytes).s);
}

static int run(app *a, const char *script, bool no_scene, uint64_t n)
{
    demo *m = calloc(1, sizeof *m);
    bytes text = {0};
    if (!m) return fail("out of memory");
    m->a = a;
    dialog_options options = {.separator = "</s>",
        .user_prefix = "",
        .answer_prefix = INN_KEEPER,
        .n = n,
        .n_undo = 8,
        .trim = true,
        .sampling = SAMPLING_INIT,
        .heard = on_heard,
        .heard_user = m};
    options.sampling.temperature = 0; /* what he remembers is no matter of chance */
    sampling_settle(&options.sampling);
    int rc = script ? bytes_read(script, &text) : 0;
    if (rc == 0) rc = app_load_model(a, &(gsa_model_params){.n_slots = dialog_slots(&options)});
    if (rc == 0) rc = app_open_tokenizer(a, NULL);
    if (rc == 0 && gsa_tokenizer_token_id(a->tokenizer, INN_KEEPER, strlen(INN_KEEPER)) < 0)
        rc = fail("%s: its tokenizer has no %s: the demo needs the innkeeper's model", a->model_path, INN_KEEPER);
    if (rc == 0) rc = dialog_open(&m->dialog, a, &options);
    if (rc == 0) introduce(m);
    if (rc == 0 && script) {
        rc = play(m, text.data, text.n);
    } else if (rc == 0) {
        if (!no_scene) rc = play(m, scene, sizeof scene - 1);
        if (rc == 0 && !a->quiet && isatty(0))
            fprintf(stderr, "\nNow you. What was said above holds; /reset forgets it.\n");
        if (rc == 0)
            rc = dialog_loop(&m->dialog, on_command, m, "  /facts        ask about everything that was told\n");
    }
    dialog_close(&m->dialog);
    free(text.data);
    free(m);
    return rc;
}

int cmd_demo(int argc, char **argv)
{
    app a = {0};
    const char *script = NULL;
    bool no_scene = false;
    uint64_t n = 48;
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, "instead of the bundled one"),
        {CLI_TEXT, 0, "script", "FILE", "play the lines of a file (- standard input) and end", &script},
        {CLI_FLAG, 0, "no-scene", NULL, "begin without the little scene", &no_scene},
        {CLI_UINT, 'n', "n-predict", "N", "tokens of a reply at most (48)", &n, 1, 1e6},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"demo", "[options]",
        "A small model in a text world: tell the innkeeper things in plain sentences, change them, ask. He keeps them "
        "in\n"
        "a memory of fixed size. First a little scene is played, then it is your turn. Commands: /facts, /undo, "
        "/fork,\n"
        "/switch N, /save FILE, /load FILE, /reset, /help, /quit. Works in a pipe.",
        "  gsa-vk demo\n"
        "  gsa-vk demo -d cpu --no-scene\n"
        "  printf 'My name is Mara.\\nWhat is my name?\\n' | gsa-vk demo --script - -q\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO && a.json) rc = cli_mistake(&spec, "a dialog has no --json");
    if (rc != CLI_GO) return rc;
    if (!a.model_path) a.model_path = find_model();
    interrupt_catch();
    return app_close(&a, run(&a, script, no_scene, n));
}
