/* What goes to stderr: failures (one line each), the library's log, progress on a terminal. */
#ifndef REPORT_H
#define REPORT_H

#include "gsa/base.h"

/* "gsa-vk: text", one line whatever the text holds; returns 1, the exit status of failures. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* fail() with the text of the library's last failure. */
int fail_library(void);

/* 0 warnings, 1 what is going on, 2 everything; -1 errors only, no progress. */
void report_level(int level);
gsa_log report_log(void);

/* A line that replaces itself, on a terminal only. NULL takes it away. */
void report_progress(double fraction, const char *what);
/* For the library's long calls: shows progress, cancels after Ctrl-C. */
bool report_library_progress(void *user, double fraction, const char *what);

/* Flush what was printed. 0, or 1 after fail() when it could not be written. */
int report_stdout(void);

/* From here on Ctrl-C sets a flag instead of ending the program; a second one ends it. */
void interrupt_catch(void);
bool interrupted(void);
void interrupt_clear(void); /* it has been acted upon; catch the next one */

#endif
