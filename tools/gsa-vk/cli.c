#include "cli.h"

#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 27

int cli_mistake(const cli_spec *spec, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail("%s; see gsa-vk %s --help", text, spec->command);
    return 2;
}

static void print_option(const cli_option *o)
{
    char left[80];
    const char *help = o->help;
    if (o->kind == CLI_GROUP) {
        printf("\n%s:\n", o->help);
        return;
    }
    snprintf(left, sizeof left, "  %c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
        o->letter ? ", " : "  ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    printf("%-*s", HELP_COLUMN, left);
    if (strlen(left) >= HELP_COLUMN) printf("\n%*s", HELP_COLUMN, "");
    for (;;) {
        const char *end = strchr(help, '\n');
        printf("%.*s\n", end ? (int)(end - help) : (int)strlen(help), help);
        if (!end) break;
        help = end + 1;
        printf("%*s", HELP_COLUMN, "");
    }
}

static void print_help(const cli_spec *spec)
{
    printf("usage: gsa-vk %s %s\n\n%s\n", spec->command, spec->usage, spec->summary);
    if (spec->n_options && spec->options[0].kind != CLI_GROUP) printf("\noptions:\n");
    for (size_t i = 0; i < spec->n_options; i++) print_option(&spec->options[i]);
    printf("%-*s%s\n", HELP_COLUMN, "  -h, --help", "this text");
    if (spec->examples) printf("\nexamples:\n%s", spec->examples);
}

static bool parse_uint(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    if (*text < '0' || *text > '9') return false;
    *out = strtoull(text, &end, 10);
    return *end == 0 && errno == 0;
}

static bool parse_real(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && *out - *out == 0;
}

static int out_of_range(const cli_spec *spec, const cli_option *o, const char *text)
{
    if (o->max > 0) return cli_mistake(spec, "--%s is '%s', expected %g to %g", o->name, text, o->min, o->max);
    return cli_mistake(spec, "--%s is '%s', expected a number of at least %g", o->name, text, o->min);
}

static int take_value(const cli_spec *spec, const cli_option *o, const char *text)
{
    uint64_t u = 0;
    double r = 0;
    switch (o->kind) {
    case CLI_TEXT:
        *(const char **)o->value = text;
        return CLI_GO;
    case CLI_TEXTS: {
        cli_texts *t = o->value;
        if (t->n == CLI_MAX_TEXTS) return cli_mistake(spec, "--%s may be given %d times", o->name, CLI_MAX_TEXTS);
        t->items[t->n++] = text;
        return CLI_GO;
    }
    case CLI_UINT:
        if (!parse_uint(text, &u)) return cli_mistake(spec, "--%s is '%s', expected a whole number", o->name, text);
        if ((double)u < o->min || (o->max > 0 && (double)u > o->max)) return out_of_range(spec, o, text);
        *(uint64_t *)o->value = u;
        return CLI_GO;
    default:
        if (!parse_real(text, &r)) return cli_mistake(spec, "--%s is '%s', expected a number", o->name, text);
        if (r < o->min || (o->max > 0 && r > o->max)) return out_of_range(spec, o, text);
        *(double *)o->value = r;
        return CLI_GO;
    }
}

static const cli_option *find_name(const cli_spec *spec, const char *name, size_t length)
{
    for (size_t i = 0; i < spec->n_options; i++) {
        const cli_option *o = &spec->options[i];
        if (o->kind != CLI_GROUP && strlen(o->name) == length && memcmp(o->name, name, length) == 0) return o;
    }
    return NULL;
}

static const cli_option *find_letter(const cli_spec *spec, char letter)
{
    for (size_t i = 0; i < spec->n_options; i++)
        if (spec->options[i].kind != CLI_GROUP && spec->options[i].letter == letter) return &spec->options[i];
    return NULL;
}

static bool set_flag(const cli_option *o)
{
    if (o->kind == CLI_FLAG) {
        *(bool *)o->value = true;
    } else if (o->kind == CLI_COUNT) {
        ++*(uint32_t *)o->value;
    } else {
        return false;
    }
    return true;
}

static int take_long(const cli_spec *spec, const char *word, int *i, int argc, char **argv)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const cli_option *o = find_name(spec, name, length);
    if (!o) return cli_mistake(spec, "unknown option --%.*s", (int)length, name);
    if (!o->arg && equals) return cli_mistake(spec, "--%s takes no value", o->name);
    if (set_flag(o)) return CLI_GO;
    if (equals) return take_value(spec, o, equals + 1);
    if (*i + 1 >= argc) return cli_mistake(spec, "--%s needs %s", o->name, o->arg);
    return take_value(spec, o, argv[++*i]);
}

static int take_letters(const cli_spec *spec, const char *word, int *i, int argc, char **argv)
{
    for (const char *p = word + 1; *p; p++) {
        const cli_option *o = find_letter(spec, *p);
        if (!o) return cli_mistake(spec, "unknown option -%c", *p);
        if (set_flag(o)) continue;
        if (p[1]) return take_value(spec, o, p + 1);
        if (*i + 1 >= argc) return cli_mistake(spec, "-%c needs %s", *p, o->arg);
        return take_value(spec, o, argv[++*i]);
    }
    return CLI_GO;
}

int cli_parse(const cli_spec *spec, int argc, char **argv, cli_args *args)
{
    size_t n_args = 0; /* they are gathered at argv[1 ..] as they come: never ahead of what is being read */
    bool only_args = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        int rc = CLI_GO;
        if (only_args || word[0] != '-' || word[1] == 0) {
            argv[1 + n_args++] = argv[i];
        } else if (strcmp(word, "--") == 0) {
            only_args = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(spec);
            return 0;
        } else {
            rc = word[1] == '-' ? take_long(spec, word, &i, argc, argv) : take_letters(spec, word, &i, argc, argv);
        }
        if (rc != CLI_GO) return rc;
    }
    if (n_args > spec->max_args) return cli_mistake(spec, "unexpected argument '%.80s'", argv[1 + spec->max_args]);
    *args = (cli_args){argv + 1, n_args};
    return CLI_GO;
}
