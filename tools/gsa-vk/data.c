#include "data.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int bytes_read(const char *path, bytes *out)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "rb");
    size_t capacity = 0;
    *out = (bytes){0};
    if (!f) return fail("%s: cannot open: %s", path, strerror(errno));
    for (;;) {
        if (out->n + 1 >= capacity) {
            capacity = capacity ? capacity * 2 : 65536;
            char *bigger = realloc(out->data, capacity);
            if (!bigger) break;
            out->data = bigger;
        }
        const size_t n = fread(out->data + out->n, 1, capacity - 1 - out->n, f);
        out->n += n;
        if (n == 0) break;
    }
    const bool whole = feof(f) && !ferror(f);
    const int error = errno;
    if (!is_stdin) fclose(f);
    if (whole) {
        out->data[out->n] = 0;
        return 0;
    }
    free(out->data);
    *out = (bytes){0};
    return fail("%s: cannot read: %s", is_stdin ? "standard input" : path, strerror(error));
}

int bytes_append(bytes *b, const char *text, size_t n)
{
    char *bigger = realloc(b->data, b->n + n + 1);
    if (!bigger) return fail("out of memory for %zu bytes of text", b->n + n);
    b->data = bigger;
    if (n) memcpy(b->data + b->n, text, n);
    b->n += n;
    b->data[b->n] = 0;
    return 0;
}

bool ids_push(ids *v, int32_t id)
{
    if (v->n == v->capacity) {
        const size_t capacity = v->capacity ? v->capacity * 2 : 256;
        int32_t *bigger = realloc(v->data, capacity * sizeof *bigger);
        if (!bigger) {
            fail("out of memory for %zu token ids", capacity);
            return false;
        }
        v->data = bigger;
        v->capacity = capacity;
    }
    v->data[v->n++] = id;
    return true;
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

int ids_parse(ids *v, const char *text, size_t n, const char *what)
{
    for (size_t i = 0; i < n;) {
        if (is_separator(text[i])) {
            i++;
            continue;
        }
        const size_t start = i;
        const bool negative = text[i] == '-';
        int64_t value = 0;
        i += negative;
        const size_t digits = i;
        for (; i < n && text[i] >= '0' && text[i] <= '9'; i++)
            if (value <= INT32_MAX) value = value * 10 + (text[i] - '0');
        if (i == digits || (i < n && !is_separator(text[i]))) {
            fail("%s: '%.*s' is no token id; give numbers separated by commas or spaces", what,
                (int)(n - start < 20 ? n - start : 20), text + start);
            return 2;
        }
        if (value > INT32_MAX)
            return fail(
                "%s: %.*s is out of range for a token id", what, (int)(i - start < 40 ? i - start : 40), text + start);
        if (!ids_push(v, (int32_t)(negative ? -value : value))) return 1;
    }
    return 0;
}

void ids_free(ids *v)
{
    free(v->data);
    *v = (ids){0};
}

int output_open(output *o, const char *path)
{
    struct stat st;
    *o = (output){.path = path};
    if (strcmp(path, "-") == 0) {
        o->file = stdout;
        return 0;
    }
    const bool exists = stat(path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode)) {
        o->file = fopen(path, "wb");
        return o->file ? 0 : fail("%s: cannot write: %s", path, strerror(errno));
    }
    if (exists && access(path, W_OK) != 0) return fail("%s: cannot write: %s", path, strerror(errno));
    const int n = snprintf(o->temporary, sizeof o->temporary, "%s.%ld.part", path, (long)getpid());
    const int fd =
        n > 0 && (size_t)n < sizeof o->temporary ? open(o->temporary, O_WRONLY | O_CREAT | O_EXCL, 0666) : -1;
    o->file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (o->file) return 0;
    const int error = errno;
    if (fd >= 0) close(fd);
    return fail("%s: cannot write: %s", path, strerror(error));
}

int output_write(output *o, const void *data, size_t size)
{
    if (fwrite(data, 1, size, o->file) == size) return 0;
    return fail("%s: cannot write: %s", o->path, strerror(errno));
}

int output_floats(output *out, float *values, size_t n)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    unsigned char *p = (unsigned char *)values;
    for (size_t i = 0; i < n; i++, p += 4) {
        const unsigned char b[4] = {p[3], p[2], p[1], p[0]};
        memcpy(p, b, 4);
    }
#endif
    return output_write(out, values, n * sizeof *values);
}

int output_finish(output *o, int rc)
{
    if (!o->file) return rc;
    const bool ok = o->file == stdout ? fflush(stdout) == 0 : fclose(o->file) == 0;
    o->file = NULL;
    if (!ok && rc == 0) rc = fail("%s: cannot write: %s", o->path, strerror(errno));
    if (!o->temporary[0]) return rc;
    if (rc == 0 && rename(o->temporary, o->path) != 0) rc = fail("%s: cannot write: %s", o->path, strerror(errno));
    if (rc != 0) remove(o->temporary);
    return rc;
}
