#include "util/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 768

static _Thread_local char error_text[TEXT_SIZE];

/* Bytes of the character that p begins with; 0 when it is not UTF-8 or is one that terminals obey: C0, DEL, C1. */
static size_t printable_size(const unsigned char *p)
{
    if (p[0] < 0x80) return p[0] >= 0x20 && p[0] != 0x7f;
    if (p[0] < 0xc2 || p[0] > 0xf4 || (p[0] == 0xc2 && p[1] < 0xa0)) return 0;
    const size_t size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80) return 0; /* also the end of the text */
    return size;
}

/* Names from hostile files end up in messages: keep them on one line, printable and UTF-8, also where they were cut. */
static void make_printable(char *text)
{
    while (*text) {
        const size_t size = printable_size((const unsigned char *)text);
        if (size == 0) *text = '?';
        text += size ? size : 1;
    }
}

gsa_status gsai_fail(gsa_status status, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_printable(text);
    memcpy(error_text, text, sizeof text);
    return status;
}

gsa_status gsai_fail_in(gsa_status status, const char *format, ...)
{
    char where[256], text[TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(where, sizeof where, format, args);
    va_end(args);
    make_printable(where);
    memcpy(text, error_text, sizeof text);
    const size_t n = strlen(where);
    snprintf(error_text, sizeof error_text, "%s: %.*s", where, (int)(sizeof error_text - n - 3), text);
    make_printable(error_text);
    return status;
}

void gsai_log(const gsa_log *log, gsa_log_level level, const char *format, ...)
{
    if (!log || !log->message || level > log->level) return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_printable(text);
    log->message(log->user, level, text);
}

const char *gsa_error_text(void)
{
    return error_text;
}

uint32_t gsa_version(void)
{
    return GSA_VERSION_MAJOR * 10000 + GSA_VERSION_MINOR * 100 + GSA_VERSION_PATCH;
}

const char *gsa_status_name(gsa_status status)
{
    switch (status) {
    case GSA_OK:
        return "GSA_OK";
    case GSA_NOT_READY:
        return "GSA_NOT_READY";
    case GSA_ERROR_ARGUMENT:
        return "GSA_ERROR_ARGUMENT";
    case GSA_ERROR_HOST_MEMORY:
        return "GSA_ERROR_HOST_MEMORY";
    case GSA_ERROR_DEVICE_MEMORY:
        return "GSA_ERROR_DEVICE_MEMORY";
    case GSA_ERROR_NO_VULKAN:
        return "GSA_ERROR_NO_VULKAN";
    case GSA_ERROR_NO_DEVICE:
        return "GSA_ERROR_NO_DEVICE";
    case GSA_ERROR_DRIVER:
        return "GSA_ERROR_DRIVER";
    case GSA_ERROR_DEVICE_LOST:
        return "GSA_ERROR_DEVICE_LOST";
    case GSA_ERROR_FILE:
        return "GSA_ERROR_FILE";
    case GSA_ERROR_FORMAT:
        return "GSA_ERROR_FORMAT";
    case GSA_ERROR_UNSUPPORTED:
        return "GSA_ERROR_UNSUPPORTED";
    case GSA_ERROR_MISMATCH:
        return "GSA_ERROR_MISMATCH";
    case GSA_ERROR_BUSY:
        return "GSA_ERROR_BUSY";
    case GSA_ERROR_LIMIT:
        return "GSA_ERROR_LIMIT";
    case GSA_ERROR_CANCELLED:
        return "GSA_ERROR_CANCELLED";
    }
    return "GSA_ERROR_UNKNOWN";
}
