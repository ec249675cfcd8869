#include "dialog_loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum line_end { LINE_READ, LINE_CTRL_C, LINE_OVER, LINE_BROKEN } line_end;

static bool is_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static void prompt(const char *text)
{
    if (!is_terminal()) return;
    fputs(text, stdout);
    fflush(stdout);
}

static line_end read_line(bytes *line)
{
    char *part = NULL;
    size_t capacity = 0;
    line_end end = LINE_READ;
    line->n = 0;
    prompt("> ");
    for (;;) {
        errno = 0;
        const ssize_t got = getline(&part, &capacity, stdin);
        if (got < 0) {
            end = interrupted() ? LINE_CTRL_C : ferror(stdin) ? LINE_BROKEN : line->n > 0 ? LINE_READ : LINE_OVER;
            clearerr(stdin);
            break;
        }
        size_t n = (size_t)got;
        if (n > 0 && part[n - 1] == '\n') n--;
        if (n > 0 && part[n - 1] == '\r') n--;
        const bool more = n > 0 && part[n - 1] == '\\';
        if (more) part[n - 1] = '\n';
        if (bytes_append(line, part, n) != 0) end = LINE_BROKEN;
        if (!more || end != LINE_READ) break;
        prompt("| ");
    }
    free(part);
    return end;
}

static void say(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static void print_help(const char *more)
{
    fputs("  /undo         take the last turn back\n"
          "  /reset        forget everything\n"
          "  /fork         a second timeline from here; /switch N goes to timeline N\n"
          "  /save FILE    write the state; /load FILE continues from one\n"
          "  /quit         end (as Ctrl-D)\n"
          "  //TEXT        say /TEXT; a backslash at the end of a line continues it\n"
          "  Ctrl-C stops an answer; what was said so far stays\n",
        stderr);
    if (more) fputs(more, stderr);
}

/* The rest of a line behind a command's word, or NULL when the line is another command. */
static const char *argument(const char *line, const char *word)
{
    const size_t n = strlen(word);
    if (strncmp(line, word, n) != 0 || (line[n] && line[n] != ' ' && line[n] != '\t')) return NULL;
    return line + n + strspn(line + n, " \t");
}

static void switch_branch(dialog *d, const char *arg)
{
    char text[60];
    char *end;
    const unsigned long branch = *arg >= '1' && *arg <= '9' ? strtoul(arg, &end, 10) : 0;
    if (branch == 0 || *end) {
        fail("/switch needs the number of a timeline, 1 to %zu", d->n_branches);
    } else if (dialog_switch(d, branch - 1) == 0) {
        snprintf(text, sizeof text, "timeline %lu of %zu", branch, d->n_branches);
        say(text);
    }
}

static void run_command(dialog *d, const char *line, const char *more_help)
{
    const char *arg;
    char text[100];
    if ((arg = argument(line, "help"))) {
        print_help(more_help);
    } else if ((arg = argument(line, "undo"))) {
        if (dialog_undo(d) == 0) say("taken back");
    } else if ((arg = argument(line, "reset"))) {
        if (dialog_reset(d) == 0) say("forgotten");
    } else if ((arg = argument(line, "fork"))) {
        if (dialog_fork(d) != 0) return;
        snprintf(text, sizeof text, "timeline %zu of %zu; /switch goes to another", d->at + 1, d->n_branches);
        say(text);
    } else if ((arg = argument(line, "switch"))) {
        switch_branch(d, arg);
    } else if ((arg = argument(line, "save")) || (arg = argument(line, "load"))) {
        const bool is_save = line[0] == 's';
        if (!*arg) {
            fail("/%.4s needs the name of a file", line);
        } else if ((is_save ? dialog_save(d, arg) : dialog_load(d, arg)) == 0) {
            snprintf(text, sizeof text, "%s, position %llu", is_save ? "saved" : "loaded",
                (unsigned long long)dialog_position(d));
            say(text);
        }
    } else {
        fail("unknown command '/%.40s': /help lists them, // says a text that begins with /", line);
    }
}

static int say_turn(dialog *d, const char *text, size_t n)
{
    const int rc = dialog_say(d, text, n);
    if (d->answer.begun || rc == 0) putchar('\n');
    if (fflush(stdout) != 0) return report_stdout();
    if (rc == 0) dialog_print_status(d);
    return 0;
}

int dialog_loop(dialog *d, dialog_command command, void *user, const char *help)
{
    bytes line = {0};
    int rc = 0;
    bool warned = false;
    while (rc == 0) {
        interrupt_clear();
        const line_end end = read_line(&line);
        if (end == LINE_CTRL_C) {
            prompt("\n");
            if (warned || !is_terminal()) break;
            say("/quit or Ctrl-D ends; Ctrl-C again, too");
            warned = true;
            continue;
        }
        if (end == LINE_BROKEN) rc = fail("cannot read standard input");
        if (end != LINE_READ) break;
        warned = false;
        const char *text = line.data;
        if (line.n == 0) continue;
        if (text[0] != '/' || text[1] == '/') {
            const size_t skip = text[0] == '/';
            rc = say_turn(d, text + skip, line.n - skip);
        } else if (argument(text + 1, "quit") || argument(text + 1, "exit")) {
            break;
        } else if (!command || !command(user, d, text + 1)) {
            run_command(d, text + 1, help);
        }
    }
    if (is_terminal()) prompt("\n");
    free(line.data);
    return rc;
}
