/* What a guest's sentence tells, found by comparing it with the templates: for /facts of the demo. It understands what
 * the templates can say, and nothing else. */
#include "inn.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct found {
    const inn_kind *kind;
    char subject[INN_TEXT], value[INN_TEXT];
    int relation; /* -1 = none */
    bool is_me;
    size_t literal; /* bytes that are the template's own: the more, the surer */
} found;

static bool starts(const char *text, const char *with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (tolower((unsigned char)text[i]) != tolower((unsigned char)with[i])) return false;
    return true;
}

static bool same(const char *a, size_t n, const char *b)
{
    return strlen(b) == n && starts(a, b, n);
}

/* A name or thing: up to five words. */
static bool is_phrase(const char *s, size_t n)
{
    size_t words = 1;
    if (n == 0 || n >= INN_TEXT || s[0] == ' ' || s[n - 1] == ' ') return false;
    for (size_t i = 0; i < n; i++) {
        words += s[i] == ' ';
        if (strchr(".,:;!?", s[i])) return false;
    }
    return words <= 5;
}

static void set(char to[INN_TEXT], const char *s, size_t n)
{
    snprintf(to, INN_TEXT, "%.*s", (int)n, s);
}

/* Does a value look like one of its class? A name begins with a capital letter, a place with a preposition, and so on. */
static bool fits(inn_value value, const char *v)
{
    static const char *const where[] = {
        "in ", "under ", "behind ", "on ", "near ", "beside ", "above ", "below ", "at ", NULL};
    const size_t n = strlen(v);
    switch (value) {
    case INN_V_PLACE:
        for (size_t i = 0; where[i]; i++)
            if (starts(v, where[i], strlen(where[i]))) return true;
        return false;
    case INN_V_COINS:
        return n > 5 && strcmp(v + n - 5, "coins") == 0;
    case INN_V_TRADE:
    case INN_V_CLOTHES:
    case INN_V_THING:
        return starts(v, "a ", 2) || starts(v, "an ", 3);
    case INN_V_ROOM:
        return starts(v, "room ", 5);
    case INN_V_TOWN:
    case INN_V_PERSON:
    case INN_V_NAME:
        return isupper((unsigned char)v[0]) && strchr(v, ' ') == NULL;
    case INN_V_AGE:
        return isdigit((unsigned char)v[0]);
    default:
        return true;
    }
}

static bool fits_subject(inn_subject subject, const found *f)
{
    const bool thing = starts(f->subject, "the ", 4),
               name = isupper((unsigned char)f->subject[0]) && !strchr(f->subject, ' ');
    return subject == INN_OBJECT || subject == INN_BEAST ? thing : f->is_me || (name && subject != INN_ONLY_ME);
}

static bool match(const char *t, const char *s, found *f);

/* One of several words stands for a placeholder of verbs. */
static bool match_words(const char *const *words, const char *t, const char *s, found *f)
{
    for (; *words; words++) {
        const size_t n = strlen(*words);
        if (strncmp(s, *words, n) == 0 && match(t, s + n, f)) return true;
    }
    return false;
}

static bool match_alternatives(const char *t, const char *s, found *f)
{
    const char *rest = strchr(t, ']'), *part;
    size_t n;
    for (uint32_t i = 0; rest && (part = inn_alternative(t, i, &n)); i++) {
        char line[INN_WORDING];
        if (n > 0 && *part != '{' && !starts(s, part, 1)) continue;
        found next = *f;
        snprintf(line, sizeof line, "%.*s%s", (int)n, part, rest + 1);
        if (match(line, s, &next)) {
            *f = next;
            return true;
        }
    }
    return false;
}

static bool match_subject(char kind, const char *t, const char *s, found *f)
{
    static const char *const mine[] = {"I", "my", "me"};
    const char *me = mine[kind == 's' ? 0 : kind == 'o' ? 1 : 2];
    for (size_t n = strlen(s); n > 0; n--) {
        size_t name = n;
        if (kind == 'o' && same(s, n, me)) {
            name = 0;
        } else if (kind == 'o') {
            if (n < 3 || strncmp(s + n - 2, "'s", 2) != 0) continue;
            name = n - 2;
        } else if (same(s, n, me)) {
            name = 0;
        }
        if (name > 0 && !is_phrase(s, name)) continue;
        found next = *f;
        next.is_me = name == 0;
        if (f->subject[0] || f->is_me) { /* said twice in the template: the same both times */
            if (f->is_me != next.is_me || (name > 0 && !same(s, name, f->subject))) continue;
        } else {
            set(next.subject, s, name);
        }
        if (match(t, s + n, &next)) {
            *f = next;
            return true;
        }
    }
    return false;
}

static bool match_value(const char *t, const char *s, found *f)
{
    for (size_t n = 1; s[n - 1]; n++) {
        if (!is_phrase(s, n)) continue;
        found next = *f;
        set(next.value, s, n);
        if (match(t, s + n, &next)) {
            *f = next;
            return true;
        }
    }
    return false;
}

static bool match(const char *t, const char *s, found *f)
{
    static const char *const endings[] = {"s", "", NULL}, *const is[] = {"is", "am", NULL},
                             *const has[] = {"has", "have", NULL}, *const does[] = {"does", "do", NULL};
    const size_t literal = f->literal;
    for (; *t && *t != '[' && (t[0] != '{' || t[2] != '}'); t++, s++, f->literal++)
        if (tolower((unsigned char)*t) != tolower((unsigned char)*s)) goto no;
    if (!*t) {
        if (!*s && fits(f->kind->value, f->value) && fits_subject(f->kind->subject, f) && (f->kind->me || !f->is_me))
            return true;
        goto no;
    }
    bool yes = false;
    if (*t == '[') {
        yes = match_alternatives(t, s, f);
        if (yes) return true;
        goto no;
    }
    switch (t[1]) {
    case 's':
    case 'o':
    case 'm':
        yes = match_subject(t[1], t + 3, s, f);
        break;
    case 'v':
        yes = match_value(t + 3, s, f);
        break;
    case 'z':
        yes = match_words(endings, t + 3, s, f);
        break;
    case 'i':
        yes = match_words(is, t + 3, s, f);
        break;
    case 'h':
        yes = match_words(has, t + 3, s, f);
        break;
    case 'd':
        yes = match_words(does, t + 3, s, f);
        break;
    case 'r':
        for (int i = 0; inn_relations[i] && !yes; i++) {
            const size_t n = strlen(inn_relations[i]);
            f->relation = i;
            yes = starts(s, inn_relations[i], n) && match(t + 3, s + n, f);
        }
        break;
    default:
        break;
    }
    if (yes) return true;
no:
    f->literal = literal;
    return false;
}

static void parse_sentence(const char *sentence, inn_fact *best, size_t *best_literal)
{
    for (uint8_t kind = 0; kind < INN_N_KINDS; kind++) {
        const inn_kind *k = inn_kinds[kind];
        const char *const *lists[] = {k->tell, k->change};
        for (size_t l = 0; l < 2; l++)
            for (size_t i = 0; lists[l][i]; i++) {
                const char *t = lists[l][i];
                found f = {.kind = k, .relation = -1};
                if (k->subject == INN_ONLY_ME) f.is_me = true;
                if (!match(t, sentence, &f) || f.literal <= *best_literal) continue;
                *best_literal = f.literal;
                *best = (inn_fact){.kind = kind, .is_me = f.is_me, .holds = true};
                best->relation = (uint8_t)(f.relation < 0 ? 0 : f.relation);
                memcpy(best->subject, f.subject, sizeof f.subject);
                if (starts(best->subject, "the ", 4)) best->subject[0] = 't';
                memcpy(best->value, f.value, sizeof f.value);
            }
    }
}

/* Behind the longest wording of a line that a text begins with; NULL: it begins with none. */
static const char *after_line(const char *line, const char *text)
{
    const size_t n = strcspn(line, "[");
    const char *open = line + n, *rest = strchr(open, ']'), *part, *best = NULL;
    size_t n_part;
    if (strlen(text) < n || !starts(text, line, n)) return NULL;
    if (!*open) return text + n;
    for (uint32_t i = 0; rest && (part = inn_alternative(open, i, &n_part)); i++) {
        if (strlen(text + n) < n_part || !starts(text + n, part, n_part)) continue;
        const char *end = after_line(rest + 1, text + n + n_part);
        if (end && (!best || end > best)) best = end;
    }
    return best;
}

/* Behind what stands before a statement: "By the way, ", "No, wait: ". */
static const char *after_opening(const char *text)
{
    const char *const *openings[] = {inn_tell_openings, inn_change_openings}, *best = text;
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; openings[l][i]; i++) {
            const char *end = after_line(openings[l][i], text);
            if (end && *end && end > best) best = end;
        }
    return best;
}

/* Without what stands behind a statement: ", I think". */
static void cut_ending(char *text)
{
    for (char *at = text; *at; at++)
        for (size_t i = 0; inn_tell_endings[i]; i++) {
            const char *end = after_line(inn_tell_endings[i], at);
            if (!end || *end) continue;
            *at = 0;
            return;
        }
}

static bool parse_part(const char *part, size_t n, inn_fact *out)
{
    char text[256], speaker[INN_TEXT] = "";
    size_t literal = 0;
    while (n > 0 && strchr(" .!", part[n - 1])) n--;
    while (n > 0 && *part == ' ') {
        part++;
        n--;
    }
    if (n == 0 || n >= sizeof text) return false;
    snprintf(text, sizeof text, "%.*s", (int)n, part);
    cut_ending(text);
    const char *statement = after_opening(text), *says = strstr(statement, " says: ");
    if (says && says > statement && says - statement < INN_TEXT) {
        snprintf(speaker, sizeof speaker, "%.*s", (int)(says - statement), statement);
        statement = says + strlen(" says: ");
    }
    parse_sentence(statement, out, &literal);
    if (literal > 0 && speaker[0] && out->is_me) {
        out->is_me = false;
        memcpy(out->subject, speaker, sizeof speaker);
    }
    return literal > 0;
}

size_t inn_parse(const char *text, inn_fact *out, size_t max)
{
    size_t n_facts = 0;
    while (*text && n_facts < max) {
        size_t n = strcspn(text, ".!?");
        const bool question = text[n] == '?';
        const char *joint = strstr(text, " and ");
        if (!question && parse_part(text, n, &out[n_facts])) {
            n_facts++;
        } else if (!question && joint && joint < text + n) {
            n_facts += parse_part(text, (size_t)(joint - text), &out[n_facts]);
            if (n_facts < max) n_facts += parse_part(joint + 5, n - (size_t)(joint + 5 - text), &out[n_facts]);
        }
        text += n + (text[n] != 0);
    }
    return n_facts;
}

void inn_question_text(const inn_fact *f, char out[256])
{
    inn w;
    inn_turn turn;
    inn_begin(&w, 1, 0, 1);
    w.facts[0] = *f;
    w.n_facts = 1;
    inn_ask_plainly(&w, &turn);
    snprintf(out, 256, "%.255s", turn.guest);
}
