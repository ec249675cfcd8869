/* The split rules are regular expressions in the files; here each is a scanner written by hand, whose branches follow
 * the alternatives of the expression in order. */
#include "text/pretokenize.h"

#include "text/unicode.h"

typedef struct text_view {
    const char *data;
    size_t n;
} text_view;

#define LETTER GSAI_CHAR_LETTER
#define NUMBER GSAI_CHAR_NUMBER
#define SPACE  GSAI_CHAR_SPACE

/* Classes of the character at i; at the end all of them, so that nothing matches a negated class there. */
static unsigned class_at(text_view t, size_t i)
{
    return i < t.n ? gsai_char_class(gsai_utf8_get(t.data + i)) : LETTER | NUMBER | SPACE;
}

static size_t after(text_view t, size_t i)
{
    return i + gsai_utf8_size(t.data[i]);
}

/* The end of the run of characters of a class. */
static size_t skip(text_view t, size_t i, unsigned class)
{
    while (i < t.n && class_at(t, i) & class) i = after(t, i);
    return i;
}

/* The end of the run of characters that are no letters, numbers or white space. */
static size_t skip_other(text_view t, size_t i)
{
    while (!(class_at(t, i) & (LETTER | NUMBER | SPACE))) i = after(t, i);
    return i;
}

static bool is_newline(char c)
{
    return c == '\r' || c == '\n';
}

/* Length of 's 't 're 've 'm 'll 'd at i, or 0. Case is folded as Unicode does it, which makes U+017F an s. */
static size_t contraction(text_view t, size_t i, bool any_case)
{
    if (t.data[i] != '\'' || t.n - i < 2) return 0;
    const char fold = any_case ? 0x20 : 0;
    const char a = t.data[i + 1] | fold, b = t.n - i > 2 ? t.data[i + 2] | fold : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return any_case && t.n - i > 2 && memcmp(t.data + i + 1, "\xc5\xbf", 2) == 0 ? 3 : 0;
}

/* \s+(?!\S)|\s+ : white space up to the end of the text; else all but the last, which belongs to what follows. */
static size_t spaces(text_view t, size_t i)
{
    size_t last = i, end = i;
    while (end < t.n && class_at(t, end) & SPACE) {
        last = end;
        end = after(t, end);
    }
    return end == t.n || last == i ? end : last;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t next_gpt2(text_view t, size_t i)
{
    const size_t short_form = contraction(t, i, false);
    if (short_form) return i + short_form;
    const size_t word = i + (t.data[i] == ' ');
    if (word < t.n) {
        const unsigned class = class_at(t, word);
        if (class & LETTER) return skip(t, word, LETTER);
        if (class & NUMBER) return skip(t, word, NUMBER);
        if (!(class & SPACE)) return skip_other(t, word);
    }
    return spaces(t, i);
}

/* Two rules one after the other: \p{N} alone, then GPT-2's in what is between. So for white space a digit is an end of
 * text, and a digit takes no space before it. */
static size_t next_digits(text_view t, size_t i)
{
    const unsigned class = class_at(t, i);
    if (class & NUMBER) return after(t, i);
    if (class & SPACE) {
        const size_t end = skip(t, i, SPACE);
        if (end < t.n && class_at(t, end) & NUMBER) return end;
    }
    return next_gpt2(t, i);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max_digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|
 * \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t next_llama3(text_view t, size_t i, int max_digits)
{
    const size_t short_form = contraction(t, i, true);
    if (short_form) return i + short_form;
    const unsigned class = class_at(t, i);
    if (class & LETTER) return skip(t, i, LETTER);
    if (class & NUMBER) {
        for (int k = 0; k < max_digits && i < t.n && class_at(t, i) & NUMBER; k++) i = after(t, i);
        return i;
    }
    const size_t second = after(t, i);
    if (!is_newline(t.data[i]) && second < t.n && class_at(t, second) & LETTER) return skip(t, second, LETTER);
    size_t end = skip_other(t, i + (t.data[i] == ' '));
    if (end > i + (t.data[i] == ' ')) {
        while (end < t.n && is_newline(t.data[end])) end++;
        return end;
    }
    size_t line_end = i;
    for (end = i; end < t.n && class_at(t, end) & SPACE; end = after(t, end)) {
        if (is_newline(t.data[end])) line_end = end + 1;
    }
    return line_end > i ? line_end : spaces(t, i);
}

static size_t next_mark(text_view t, size_t i, const char *mark)
{
    const size_t n_mark = strlen(mark);
    for (i = after(t, i); i < t.n; i = after(t, i)) {
        if (t.n - i >= n_mark && memcmp(t.data + i, mark, n_mark) == 0) break;
    }
    return i;
}

size_t gsai_split_next(gsai_split split, const char *mark, const char *text, size_t from, size_t n)
{
    const text_view t = {text, n};
    switch (split) {
    case GSAI_SPLIT_NONE:
        break;
    case GSAI_SPLIT_GPT2:
        return next_gpt2(t, from);
    case GSAI_SPLIT_LLAMA3:
        return next_llama3(t, from, 3);
    case GSAI_SPLIT_QWEN2:
        return next_llama3(t, from, 1);
    case GSAI_SPLIT_DIGITS:
        return next_digits(t, from);
    case GSAI_SPLIT_MARK:
        return next_mark(t, from, mark);
    }
    return n;
}
