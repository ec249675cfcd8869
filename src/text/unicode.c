#include "text/unicode.h"

unsigned gsai_char_class(uint32_t c)
{
    if (c < 0x80) {
        const uint32_t letter = (c | 0x20) - 'a' < 26;
        if (letter) return GSAI_CHAR_LETTER | GSAI_CHAR_WORD;
        if (c - '0' < 10) return GSAI_CHAR_NUMBER | GSAI_CHAR_WORD;
        if (c == ' ' || c - '\t' < 5) return GSAI_CHAR_SPACE;
        return c == '_' ? GSAI_CHAR_WORD : 0;
    }
    uint32_t lo = 0, hi = gsai_char_class_count; /* table[lo] starts at or before c, table[hi] after it */
    while (hi - lo > 1) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (gsai_char_class_table[mid] >> 4 <= c)
            lo = mid;
        else
            hi = mid;
    }
    return gsai_char_class_table[lo] & 15;
}

gsai_utf8 gsai_utf8_next(const char *p, size_t n, size_t *size)
{
    const uint8_t *b = (const uint8_t *)p;
    *size = 1;
    if (b[0] < 0x80) return GSAI_UTF8_CHAR;
    if (b[0] < 0xc2 || b[0] > 0xf4) return GSAI_UTF8_INVALID;
    const size_t want = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    /* The second byte's range also shuts out overlong forms, surrogates and code points past U+10FFFF. */
    uint8_t low = 0x80, high = 0xbf;
    if (b[0] == 0xe0) low = 0xa0;
    if (b[0] == 0xed) high = 0x9f;
    if (b[0] == 0xf0) low = 0x90;
    if (b[0] == 0xf4) high = 0x8f;
    for (; *size < want; ++*size) {
        if (*size == n) return GSAI_UTF8_INCOMPLETE;
        if (b[*size] < low || b[*size] > high) return GSAI_UTF8_INVALID;
        low = 0x80;
        high = 0xbf;
    }
    return GSAI_UTF8_CHAR;
}

bool gsai_utf8_is_valid(const char *p, size_t n)
{
    size_t size;
    for (size_t i = 0; i < n; i += size) {
        if (gsai_utf8_next(p + i, n - i, &size) != GSAI_UTF8_CHAR) return false;
    }
    return true;
}

bool gsai_utf8_repair(const gsa_allocator *a, gsai_buffer *out, const char *p, size_t n)
{
    size_t size, start = 0;
    for (size_t i = 0; i < n; i += size) {
        if (gsai_utf8_next(p + i, n - i, &size) == GSAI_UTF8_CHAR) continue;
        if (!gsai_buffer_append(a, out, p + start, i - start)) return false;
        if (!gsai_buffer_append(a, out, GSAI_UTF8_REPLACEMENT, 3)) return false;
        start = i + size;
    }
    return gsai_buffer_append(a, out, p + start, n - start);
}

uint32_t gsai_utf8_get(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    if (b[0] < 0x80) return b[0];
    if (b[0] < 0xe0) return (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
    if (b[0] < 0xf0) return (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
    return (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
}

size_t gsai_utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> size & 0xff) | c);
    return size;
}
