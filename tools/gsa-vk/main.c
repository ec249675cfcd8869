/* gsa-vk: Gated Slot Attention language models on any Vulkan device. This file finds the command. */
#include "commands.h"
#include "format.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *what;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"devices", "list the Vulkan devices, their limits, capabilities and kernels", cmd_devices},
    {"demo", "an innkeeper who remembers what you say; no model needed", cmd_demo},
    {"run", "generate text or token ids", cmd_run},
    {"chat", "talk with a model; undo, fork, save and load its state", cmd_chat},
    {"tokenize", "text to token ids", cmd_tokenize},
    {"detokenize", "token ids to text", cmd_detokenize},
    {"logits", "logits of a token sequence, to a file", cmd_logits},
    {"perplexity", "how well a model foretells a text", cmd_perplexity},
    {"eval", "recall: what a model remembers of a conversation, by number of facts and distance", cmd_eval},
    {"inspect", "what a model is: config, tensors, tokenizer, memory plan", cmd_inspect},
    {"convert", "a model as one GGUF file, its weights in other number types", cmd_convert},
    {"verify", "check every kernel of a device against the CPU reference", cmd_verify},
    {"bench", "measure speed, with proof that the results are right", cmd_bench},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void help(FILE *out)
{
    fprintf(out,
        "usage: gsa-vk COMMAND [options]\n\nGated Slot Attention language models on any Vulkan device.\n\ncommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++) fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].what);
    fprintf(out, "\n"
                 "  gsa-vk COMMAND --help   options and examples of a command\n"
                 "  gsa-vk --version        version of program and library\n\n"
                 "Results go to standard output, everything else to standard error.\n"
                 "Exit status: 0 success, 1 failure (one line says what, where, what to do), 2 wrong usage.\n"
                 "Environment: GSA_VK_CACHE_DIR, else XDG_CACHE_HOME, else HOME say where the pipeline cache lies.\n\n"
                 "examples:\n"
                 "  gsa-vk devices\n"
                 "  gsa-vk run -m path/to/model -p 'Once upon a time'\n"
                 "  gsa-vk run -m path/to/model --temp 0 -d cpu -p 'Once upon a time'\n");
}

static int version(void)
{
    const uint32_t v = gsa_version();
    printf("gsa-vk %s (commit %s), library %u.%u.%u\n", program_version(), program_commit(), v / 10000, v / 100 % 100,
        v % 100);
    return report_stdout();
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) {
        help(stderr);
        return 2;
    }
    const bool is_help = strcmp(word, "help") == 0;
    if (is_help && argc > 2) { /* gsa-vk help COMMAND */
        static char flag[] = "--help";
        word = argv[2];
        argv[1] = argv[2];
        argv[2] = flag;
    } else if (is_help || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        help(stdout);
        return report_stdout();
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) return version();
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(word, commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    fail("unknown %s '%.60s'; see gsa-vk --help", word[0] == '-' ? "option" : "command", word);
    return 2;
}
