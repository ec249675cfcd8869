#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The program has one stderr: its state is one, too. */
static struct {
    int level;
    bool progress_shown;
    double last_fraction;
} report;

static volatile sig_atomic_t stop_flag;

static void print_line(const char *prefix, const char *text)
{
    report_progress(0, NULL);
    fputs(prefix, stderr);
    for (const char *p = text; *p; p++) fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, stderr);
    fputc('\n', stderr);
}

int fail(const char *format, ...)
{
    char text[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fflush(stdout);
    print_line("gsa-vk: ", text);
    return 1;
}

int fail_library(void)
{
    return fail("%s", gsa_error_text());
}

void report_level(int level)
{
    report.level = level;
}

static void log_message(void *user, gsa_log_level level, const char *text)
{
    static const char *const prefixes[] = {"gsa-vk: error: ", "gsa-vk: warning: ", "gsa-vk: ", "gsa-vk: debug: "};
    (void)user;
    print_line(prefixes[level >= GSA_LOG_ERROR && level <= GSA_LOG_DEBUG ? level : GSA_LOG_DEBUG], text);
}

gsa_log report_log(void)
{
    const int level = report.level + 1;
    return (gsa_log){.message = log_message,
        .level = level < 0   ? GSA_LOG_ERROR
                 : level > 3 ? GSA_LOG_DEBUG
                             : (gsa_log_level)level};
}

void report_progress(double fraction, const char *what)
{
    if (!what) {
        if (report.progress_shown) fputs("\r\033[K", stderr);
        report.progress_shown = false;
        return;
    }
    if (report.level < 0 || !isatty(STDERR_FILENO)) return;
    const double moved = fraction - report.last_fraction;
    if (report.progress_shown && moved >= 0 && moved < 0.01 && fraction < 1) return;
    fprintf(stderr, "\r\033[K%3.0f%% %.60s", fraction * 100, what);
    fflush(stderr);
    report.progress_shown = true;
    report.last_fraction = fraction;
}

bool report_library_progress(void *user, double fraction, const char *what)
{
    (void)user;
    report_progress(fraction, what ? what : "");
    return !interrupted();
}

int report_stdout(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    return fail("cannot write the result to standard output: %s", errno ? strerror(errno) : "an earlier write failed");
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    stop_flag = 1;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void)
{
    return stop_flag != 0;
}

void interrupt_clear(void)
{
    stop_flag = 0;
    interrupt_catch();
}
