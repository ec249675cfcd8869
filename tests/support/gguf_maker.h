/* Makes GGUF files in memory, right and wrong ones, without the library's writer. */
#ifndef GSA_TEST_GGUF_MAKER_H
#define GSA_TEST_GGUF_MAKER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct gguf_maker {
    uint8_t *bytes;
    size_t n, capacity;
} gguf_maker;

static inline void gm_free(gguf_maker *m)
{
    free(m->bytes);
    *m = (gguf_maker){0};
}

static inline void gm_raw(gguf_maker *m, const void *bytes, size_t n)
{
    if (m->n + n > m->capacity) {
        m->capacity = 2 * (m->n + n) + 64;
        m->bytes = realloc(m->bytes, m->capacity);
    }
    if (n) memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static inline void gm_integer(gguf_maker *m, uint64_t x, unsigned n_bytes)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++) bytes[i] = (uint8_t)(x >> 8 * i);
    gm_raw(m, bytes, n_bytes);
}

static inline void gm_float(gguf_maker *m, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    gm_integer(m, bits, 4);
}

static inline void gm_string_n(gguf_maker *m, const char *text, size_t n)
{
    gm_integer(m, n, 8);
    gm_raw(m, text, n);
}

static inline void gm_string(gguf_maker *m, const char *text)
{
    gm_string_n(m, text, strlen(text));
}

static inline void gm_zeros(gguf_maker *m, size_t n)
{
    for (; n > 0; n--) gm_integer(m, 0, 1);
}

static inline void gm_pad(gguf_maker *m, size_t alignment)
{
    while (m->n % alignment) gm_integer(m, 0, 1);
}

static inline void gm_header(gguf_maker *m, uint64_t n_tensors, uint64_t n_pairs)
{
    gm_raw(m, "GGUF\3\0\0\0", 8);
    gm_integer(m, n_tensors, 8);
    gm_integer(m, n_pairs, 8);
}

static inline void gm_u32(gguf_maker *m, const char *key, uint32_t value)
{
    gm_string(m, key);
    gm_integer(m, 4, 4);
    gm_integer(m, value, 4);
}

static inline void gm_f32(gguf_maker *m, const char *key, float value)
{
    gm_string(m, key);
    gm_integer(m, 6, 4);
    gm_float(m, value);
}

static inline void gm_bool(gguf_maker *m, const char *key, int value)
{
    gm_string(m, key);
    gm_integer(m, 7, 4);
    gm_integer(m, (uint64_t)value, 1);
}

static inline void gm_text(gguf_maker *m, const char *key, const char *value)
{
    gm_string(m, key);
    gm_integer(m, 8, 4);
    gm_string(m, value);
}

/* An array follows: n items of a kind. */
static inline void gm_array(gguf_maker *m, const char *key, uint32_t kind, uint64_t n)
{
    gm_string(m, key);
    gm_integer(m, 9, 4);
    gm_integer(m, kind, 4);
    gm_integer(m, n, 8);
}

static inline void gm_tensor(
    gguf_maker *m, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *innermost_first, uint64_t offset)
{
    gm_string(m, name);
    gm_integer(m, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++) gm_integer(m, innermost_first[i], 8);
    gm_integer(m, type, 4);
    gm_integer(m, offset, 8);
}

/* A file in one line of words:
 *   G         magic and version 3          V7     magic and version 7
 *   c1 h1 d1 q1   numbers of 1, 2, 4, 8 bytes, decimal or 0x...
 *   sabc      string: length and bytes     rabc   bytes      xff00   bytes in hexadecimal
 *   z9        zero bytes                   p32    zero bytes up to a multiple */
static inline void gm_words(gguf_maker *m, const char *words)
{
    while (*words) {
        const size_t n = strcspn(words, " ");
        const char *rest = words + 1;
        const uint64_t number = strtoull(rest, NULL, 0);
        switch (*words) {
        case 'G':
            gm_raw(m, "GGUF\3\0\0\0", 8);
            break;
        case 'V':
            gm_raw(m, "GGUF", 4);
            gm_integer(m, number, 4);
            break;
        case 'c':
            gm_integer(m, number, 1);
            break;
        case 'h':
            gm_integer(m, number, 2);
            break;
        case 'd':
            gm_integer(m, number, 4);
            break;
        case 'q':
            gm_integer(m, number, 8);
            break;
        case 's':
            gm_string_n(m, rest, n - 1);
            break;
        case 'r':
            gm_raw(m, rest, n - 1);
            break;
        case 'x':
            for (size_t i = 0; i + 2 < n + 1 && i + 1 < n; i += 2) {
                const char digits[3] = {rest[i], rest[i + 1], 0};
                gm_integer(m, strtoul(digits, NULL, 16), 1);
            }
            break;
        case 'z':
            gm_zeros(m, (size_t)number);
            break;
        case 'p':
            gm_pad(m, (size_t)number);
            break;
        default:
            abort();
        }
        words += n;
        words += strspn(words, " ");
    }
}

#endif
