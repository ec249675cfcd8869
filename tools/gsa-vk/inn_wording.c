/* From the lines of the lists to sentences: alternatives, and which are kept from training. */
#include "inn.h"

#include <stdio.h>
#include <string.h>

/* FNV-1a of the letters, upper case or not. */
bool inn_is_held_out(const char *text)
{
    uint32_t h = 2166136261u;
    for (; *text; text++) h = (h ^ (uint32_t)(*text | 32)) * 16777619u;
    h ^= h >> 15;
    return h * 2654435769u >> 29 == 0;
}

const char *inn_alternative(const char *open, uint32_t i, size_t *n)
{
    const char *s = open + 1;
    for (;; s++) {
        *n = strcspn(s, "|]");
        if (i-- == 0) return s;
        s += *n;
        if (*s != '|') return NULL;
    }
}

/* Random alternatives; r NULL: the first of each. Longer texts are cut. */
static void expand(inn_random *r, const char *line, char out[INN_WORDING])
{
    size_t at = 0;
    while (*line) {
        const char *part = line;
        size_t n = strcspn(line, "[");
        line += n;
        if (n == 0) {
            uint32_t n_all = 0;
            while (inn_alternative(line, n_all, &n)) n_all++;
            part = inn_alternative(line, r ? inn_below(r, n_all) : 0, &n);
            line += strcspn(line, "]");
            line += *line == ']';
        }
        if (n > INN_WORDING - 1 - at) n = INN_WORDING - 1 - at;
        memcpy(out + at, part, n);
        at += n;
    }
    out[at] = 0;
}

void inn_first_wording(const char *line, char out[INN_WORDING])
{
    expand(NULL, line, out);
}

static uint32_t count(const char *const *lines)
{
    uint32_t n = 0;
    while (lines[n]) n++;
    return n;
}

static const char *any_line(inn *w, const char *const *lines)
{
    const uint32_t n = count(lines);
    for (;;) {
        const char *line = lines[inn_below(&w->random, n)];
        if (w->held_out || !inn_is_held_out(line)) return line;
    }
}

void inn_choose_wording(inn *w, const char *const *lines, char out[INN_WORDING])
{
    expand(&w->random, any_line(w, lines), out);
}

/* The line that a frame and a clause make; without a frame the clause itself. */
static void put_into(const char *frame, const char *clause, char out[INN_WORDING])
{
    const char *hole = frame ? strstr(frame, "{q}") : NULL;
    const size_t before = hole ? (size_t)(hole - frame) : 0, middle = strlen(clause),
                 after = hole ? strlen(hole + 3) : 0;
    out[0] = 0;
    if (before + middle + after >= INN_WORDING) return;
    if (hole) memcpy(out, frame, before);
    memcpy(out + before, clause, middle);
    if (hole) memcpy(out + before + middle, hole + 3, after);
    out[before + middle + after] = 0;
}

static void add(inn *w, const char *const *lines, double chance, char out[INN_WORDING])
{
    out[0] = 0;
    if (lines && inn_chance(&w->random, chance)) inn_choose_wording(w, lines, out);
}

void inn_choose_sentence(inn *w, const inn_parts *p, inn_sentence *out)
{
    const bool want_new = w->held_out && inn_chance(&w->random, w->new_lines);
    const uint32_t n = count(p->lines);
    char line[INN_WORDING], whole[3 * INN_WORDING];
    for (int tries = 0; tries < 200; tries++) {
        const char *frame = p->frames ? p->frames[inn_below(&w->random, count(p->frames))] : NULL;
        const char *clause = p->lines[inn_below(&w->random, n)];
        out->is_new = inn_is_held_out(clause) || (frame && inn_is_held_out(frame));
        if (out->is_new != want_new && (!w->held_out || tries < 100)) continue; /* a short list may have none */
        put_into(frame, clause, line);
        for (int k = 0; k < 40; k++) {
            add(w, p->openings, p->p_opening, out->opening);
            expand(&w->random, line, out->wording);
            add(w, p->endings, .12, out->ending);
            snprintf(whole, sizeof whole, "%s%s%s", out->opening, out->wording, out->ending);
            if (out->is_new || inn_is_held_out(whole) == w->held_out) return;
        }
    }
}
