/* UTF-8 and the character classes of the split rules (Unicode 16.0). */
#ifndef GSAI_UNICODE_H
#define GSAI_UNICODE_H

#include "text/buffer.h"

enum {
    GSAI_CHAR_LETTER = 1, /* \p{L} */
    GSAI_CHAR_NUMBER = 2, /* \p{N} */
    GSAI_CHAR_SPACE = 4,  /* \s */
    GSAI_CHAR_WORD = 8    /* \w */
};

/* Sorted; each entry is first code point << 4 | classes, and holds until the next entry. */
extern const uint32_t gsai_char_class_table[];
extern const uint32_t gsai_char_class_count;

/* Classes of a code point. */
unsigned gsai_char_class(uint32_t c);

typedef enum gsai_utf8 {
    GSAI_UTF8_CHAR,      /* a character */
    GSAI_UTF8_INVALID,   /* a maximal invalid subsequence */
    GSAI_UTF8_INCOMPLETE /* all of the n bytes are the start of a character */
} gsai_utf8;

/* Look at the start of p [n], n > 0. *size: bytes of the character or of the invalid subsequence. */
gsai_utf8 gsai_utf8_next(const char *p, size_t n, size_t *size);

bool gsai_utf8_is_valid(const char *p, size_t n);

/* Append p [n] with a U+FFFD for each maximal invalid subsequence. False when the allocator refuses. */
bool gsai_utf8_repair(const gsa_allocator *a, gsai_buffer *out, const char *p, size_t n);

/* Number of bytes of the character with this first byte; valid text only. */
static inline size_t gsai_utf8_size(char first)
{
    const unsigned char b = (unsigned char)first;
    return b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

/* Code point at p; valid text only. */
uint32_t gsai_utf8_get(const char *p);

/* Write a code point; returns its number of bytes. */
size_t gsai_utf8_put(char *out, uint32_t c);

#define GSAI_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Byte-level vocabularies write each byte as a visible character: the printable ones of Latin-1 as themselves, the
 * others in order from U+0100 on. */
static inline uint32_t gsai_byte_to_char(uint8_t b)
{
    if (b <= 0x20) return 0x100u + b;
    if (b >= 0x7f && b <= 0xa0) return 0x121u + (b - 0x7fu);
    return b == 0xad ? 0x143u : b;
}

/* The byte that a character stands for; -1 for other characters. */
static inline int gsai_char_to_byte(uint32_t c)
{
    if (c >= 0x100)
        return c <= 0x120 ? (int)(c - 0x100) : c <= 0x142 ? (int)(c - 0x121 + 0x7f) : c == 0x143 ? 0xad : -1;
    return gsai_byte_to_char((uint8_t)c) == c ? (int)c : -1;
}

#endif
