/* The keyboard's side of a dialog: lines, commands, Ctrl-C; plain in a pipe. */
#ifndef DIALOG_LOOP_H
#define DIALOG_LOOP_H

#include "dialog.h"

/* A command of the caller's own, asked before the built-in ones; line is without the slash and ends with NUL. Returns
 * true when it was one. */
typedef bool (*dialog_command)(void *user, dialog *d, const char *line);

/* Lines of standard input until its end or /quit: "/..." is a command, "//..." says "/...", a backslash at the end goes on
 * in the next line, anything else is said. command may be NULL; help: further lines of /help, or NULL. A failed turn or
 * command is reported and the loop goes on; 1 only when input or output break. */
int dialog_loop(dialog *d, dialog_command command, void *user, const char *help);

#endif
