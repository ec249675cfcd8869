/* Command lines from a table: options, help text and usage errors look the same in every command. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_MAX_TEXTS 16

typedef struct cli_texts { /* an option that may be given several times */
    const char *items[CLI_MAX_TEXTS];
    size_t n;
} cli_texts;

typedef enum cli_kind {
    CLI_GROUP, /* a heading of the help text */
    CLI_FLAG,  /* bool */
    CLI_COUNT, /* uint32_t, one more each time */
    CLI_TEXT,  /* const char * */
    CLI_TEXTS, /* cli_texts */
    CLI_UINT,  /* uint64_t from min to max */
    CLI_REAL   /* double from min to max */
} cli_kind;

typedef struct cli_option {
    cli_kind kind;
    char letter; /* 0 = none */
    const char *name;
    const char *arg;  /* what the value is called, NULL for flags */
    const char *help; /* lines are separated by \n */
    void *value;
    double min, max; /* max 0 = no upper limit */
} cli_option;

typedef struct cli_spec {
    const char *command;
    const char *usage; /* after "gsa-vk COMMAND " */
    const char *summary;
    const char *examples; /* whole lines */
    const cli_option *options;
    size_t n_options;
    size_t max_args; /* arguments that are no options */
} cli_spec;

typedef struct cli_args {
    char **items; /* into argv */
    size_t n;
} cli_args;

#define CLI_GO (-1)

/* Read argv[1..]. CLI_GO: go on; else the exit status: 0 after --help, 2 after a mistake, which was told on stderr.
 * argv is reordered: what is no option comes to its end. Numbers and texts keep their value when not given. */
int cli_parse(const cli_spec *spec, int argc, char **argv, cli_args *args);

/* Say what is wrong with the command line and where help is; returns 2. */
int cli_mistake(const cli_spec *spec, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
