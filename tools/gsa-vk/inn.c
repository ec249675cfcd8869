/* The course of a conversation in the innkeeper's world, one turn at a time. */
#include "inn.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct text { /* appends as far as there is room */
    char *s;
    size_t n, size;
} text;

static void put(text *t, const char *s)
{
    while (*s && t->n + 1 < t->size) t->s[t->n++] = *s++;
    t->s[t->n] = 0;
}

/* Who is spoken of, and by whom. */
typedef struct voice {
    const char *s, *o, *m;     /* "Tom", "Tom's", "Tom"; "I", "my", "me" */
    const char *z, *i, *h, *d; /* endings and verbs that go with it */
} voice;

static const voice voice_i = {"I", "my", "me", "", "am", "have", "do"};
static const voice voice_you = {"you", "your", "you", "", "are", "have", "do"};
static const voice voice_he = {"he", "his", "him", "s", "is", "has", "does"};
static const voice voice_she = {"she", "her", "her", "s", "is", "has", "does"};
static const voice voice_it = {"it", "its", "it", "s", "is", "has", "does"};

static voice voice_name(const char *name, char possessive[INN_TEXT])
{
    snprintf(possessive, INN_TEXT, "%.40s's", name);
    return (voice){name, possessive, name, "s", "is", "has", "does"};
}

static void put_template(text *t, const char *line, voice v, const inn_fact *f, const char *value, const char *other)
{
    for (; *line; line++) {
        if (line[0] != '{' || !line[1] || line[2] != '}') {
            put(t, (const char[]){*line, 0});
            continue;
        }
        switch (line[1]) {
        case 's':
            put(t, v.s);
            break;
        case 'o':
            put(t, v.o);
            break;
        case 'm':
            put(t, v.m);
            break;
        case 'z':
            put(t, v.z);
            break;
        case 'i':
            put(t, v.i);
            break;
        case 'h':
            put(t, v.h);
            break;
        case 'd':
            put(t, v.d);
            break;
        case 'r':
            put(t, inn_relations[f->relation]);
            break;
        case 'v':
            put(t, value);
            break;
        default:
            put(t, other);
            break;
        }
        line += 2;
    }
}

/* One of a NULL-terminated list. */
static const char *pick(inn_random *r, const char *const *lines)
{
    uint32_t n = 0;
    while (lines[n]) n++;
    return lines[inn_below(r, n)];
}

/* What people add without meaning anything, and how they misspell: a copy of a template. Only words that stand alone are
 * touched, and no word that turns the meaning. */
static const char *with_noise(inn *w, const char *line, char out[INN_WORDING])
{
    inn_random *r = &w->random;
    if (!w->noise || !inn_chance(r, .4)) return line;
    text t = {out, 0, INN_WORDING};
    for (bool first = true; *line; first = false) {
        char word[64];
        size_t n = strcspn(line, " ");
        snprintf(word, sizeof word, "%.*s", (int)(n < 60 ? n : 60), line);
        line += n + (line[n] == ' ');
        const bool plain =
            strspn(word, "abcdefghijklmnopqrstuvwxyz") == n && n > 3 && !strstr("never nobody longer more", word);
        const uint32_t way = inn_below(r, 100);
        if (!first) put(&t, " ");
        if (way < 4 && !first) {
            put(&t, pick(r, inn_fillers));
            put(&t, " ");
        } else if (way < 8 && plain) { /* two letters change places, or one is lost */
            const size_t i = 1 + inn_below(r, (uint32_t)n - 2);
            const char c = word[i];
            if (inn_chance(r, .5)) {
                word[i] = word[i + 1];
                word[i + 1] = c;
            } else {
                memmove(word + i, word + i + 1, n - i);
            }
        } else if (way < 16 && plain) { /* a word nobody knows */
            inn_word(w, INN_SECRET, word);
        }
        put(&t, word);
    }
    return out;
}

/* {1} to {7}: a word of that class, {n}: a number. */
static void put_words(inn *w, text *t, const char *line)
{
    for (; *line; line++) {
        char word[INN_TEXT] = {*line, 0};
        if (line[0] == '{' && line[1] && line[2] == '}') {
            if (line[1] == 'n') {
                snprintf(word, sizeof word, "%u", (unsigned)(2 + inn_below(&w->random, 98)));
            } else {
                inn_word(w, (inn_words)(line[1] - '0'), word);
            }
            line += 2;
        }
        put(t, word);
    }
}

/* A sentence from its start: a capital letter, an end. People are careless with both. */
static void finish_sentence(inn *w, text *t, size_t start)
{
    inn_random *r = &w->random;
    if (!inn_chance(r, .08)) t->s[start] = (char)toupper((unsigned char)t->s[start]);
    if (t->n > 0 && t->s[t->n - 1] == '?') {
        if (inn_chance(r, .08)) t->s[--t->n] = 0;
    } else if (inn_chance(r, .9)) {
        put(t, inn_chance(r, .1) ? "!" : ".");
    }
}

static void keeper_sentence(text *t)
{
    t->s[0] = (char)toupper((unsigned char)t->s[0]);
    put(t, ".");
}

/* What the keeper says is the same in training and tests. */
static void keeper_line(inn *w, inn_turn *turn, const char *const *lines)
{
    text t = {turn->keeper, 0, sizeof turn->keeper};
    put(&t, pick(&w->random, lines));
}

static inn_turn begin_turn(inn *w, inn_what what)
{
    w->n_turns++;
    return (inn_turn){.what = what};
}

/* --- facts --- */

static void thing_text(inn *w, inn_words noun_class, char out[INN_TEXT])
{
    char adjective[INN_TEXT], noun[INN_TEXT];
    inn_word(w, INN_ADJECTIVE, adjective);
    inn_word(w, noun_class, noun);
    if (noun_class == INN_THING && inn_chance(&w->random, .25)) {
        snprintf(out, INN_TEXT, "the %.24s", noun);
    } else {
        snprintf(out, INN_TEXT, "the %.20s %.20s", adjective, noun);
    }
}

static bool is_among(char (*list)[INN_TEXT], size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], s) == 0) return true;
    return false;
}

void inn_begin(inn *w, uint64_t seed, unsigned flags, size_t n_facts)
{
    *w = (inn){.held_out = flags & INN_HELD_OUT, .noise = flags & INN_NOISE, .new_lines = .125};
    inn_random *r = &w->random;
    inn_seed(r, seed);
    const size_t n_people = 1 + inn_below(r, (uint32_t)(2 + n_facts / 2)),
                 n_things = 1 + inn_below(r, (uint32_t)(2 + n_facts / 2)),
                 n_animals = 1 + inn_below(r, (uint32_t)(1 + n_facts / 8));
    for (size_t tries = 0; w->n_people < n_people && w->n_people < 32 && tries < 200; tries++) {
        inn_word(w, INN_NAME, w->people[w->n_people]);
        w->n_people += !is_among(w->people, w->n_people, w->people[w->n_people]);
    }
    for (size_t tries = 0; w->n_things < n_things && w->n_things < 64 && tries < 200; tries++) {
        thing_text(w, INN_THING, w->things[w->n_things]);
        w->n_things += !is_among(w->things, w->n_things, w->things[w->n_things]);
    }
    for (size_t tries = 0; w->n_animals < n_animals && w->n_animals < 16 && tries < 200; tries++) {
        thing_text(w, INN_ANIMAL, w->animals[w->n_animals]);
        w->n_animals += !is_among(w->animals, w->n_animals, w->animals[w->n_animals]);
    }
}

static void choose_subject(inn *w, const inn_kind *k, bool stranger, inn_fact *f)
{
    inn_random *r = &w->random;
    const char *s = "";
    f->is_me = k->subject == INN_ONLY_ME || (k->me && inn_chance(r, .2));
    f->relation = (uint8_t)inn_below(r, 16);
    switch (k->subject) {
    case INN_OBJECT:
        s = w->things[inn_below(r, (uint32_t)w->n_things)];
        break;
    case INN_BEAST:
        s = w->animals[inn_below(r, (uint32_t)w->n_animals)];
        break;
    default:
        s = w->people[inn_below(r, (uint32_t)w->n_people)];
        break;
    }
    snprintf(f->subject, INN_TEXT, "%s", f->is_me ? "" : s);
    if (!stranger || f->is_me) return;
    if (k->subject == INN_OBJECT || k->subject == INN_BEAST) {
        thing_text(w, k->subject == INN_OBJECT ? INN_THING : INN_ANIMAL, f->subject);
    } else {
        inn_word(w, INN_NAME, f->subject);
    }
}

static inn_fact *find_fact(inn *w, const inn_fact *f)
{
    const inn_kind *k = inn_kinds[f->kind];
    for (size_t i = 0; i < w->n_facts; i++) {
        inn_fact *g = &w->facts[i];
        if (g->kind == f->kind && g->is_me == f->is_me && strcmp(g->subject, f->subject) == 0 &&
            (k->subject != INN_KIN || g->relation == f->relation))
            return g;
    }
    return NULL;
}

/* A question or a fact that nothing was said about. */
static inn_fact new_fact(inn *w, double stranger)
{
    inn_fact f = {0};
    for (int tries = 0; tries < 400; tries++) {
        f.kind = (uint8_t)inn_below(&w->random, INN_N_KINDS);
        if (inn_kinds[f.kind]->subject == INN_ONLY_ME && inn_chance(&w->random, .5)) continue;
        choose_subject(w, inn_kinds[f.kind], tries > 100 || inn_chance(&w->random, stranger), &f);
        if (!find_fact(w, &f)) break;
    }
    return f;
}

static void new_value(inn *w, const inn_fact *f, char out[INN_TEXT])
{
    for (int tries = 0; tries < 50; tries++) {
        inn_value_text(w, inn_kinds[f->kind]->value, out);
        if (strcmp(out, f->value) != 0 && strcmp(out, f->subject) != 0) return;
    }
}

static voice subject_voice(const inn_fact *f, const voice *me, char possessive[INN_TEXT])
{
    return f->is_me ? *me : voice_name(f->subject, possessive);
}

/* --- turns --- */

/* One sentence with its opening and its ending, which stands before a question mark. is_new: may be NULL. */
static void say(inn *w, text *t, const inn_parts *parts, voice v, const inn_fact *f, const char *value,
    const char *other, bool *is_new)
{
    inn_sentence sentence;
    char noisy[INN_WORDING];
    inn_choose_sentence(w, parts, &sentence);
    put(t, sentence.opening);
    put_template(t, with_noise(w, sentence.wording, noisy), v, f, value, other);
    const bool question = t->n > 0 && t->s[t->n - 1] == '?' && sentence.ending[0];
    if (question) t->s[--t->n] = 0;
    put(t, sentence.ending);
    if (question) put(t, "?");
    if (is_new) *is_new = sentence.is_new;
}

static voice pronoun(const inn_fact *f)
{
    const inn_subject s = inn_kinds[f->kind]->subject;
    if (s == INN_OBJECT || s == INN_BEAST) return voice_it;
    return f->subject[0] & 1 ? voice_he : voice_she;
}

/* The next fact is about the same one, if something is left to say. */
static bool same_subject(inn *w, const inn_fact *last, inn_fact *f)
{
    const inn_subject s = inn_kinds[last->kind]->subject;
    for (int tries = 0; tries < 20; tries++) {
        *f = (inn_fact){.kind = (uint8_t)inn_below(&w->random, INN_N_KINDS)};
        memcpy(f->subject, last->subject, sizeof f->subject);
        if (inn_kinds[f->kind]->subject == s && !find_fact(w, f)) return true;
    }
    return false;
}

static void tell_one(inn *w, text *t, inn_turn *turn, const inn_fact *last, bool join)
{
    inn_random *r = &w->random;
    char possessive[INN_TEXT];
    inn_fact f;
    const bool again = last && !last->is_me && inn_kinds[last->kind]->subject <= INN_BEAST && inn_chance(r, .4) &&
                       same_subject(w, last, &f);
    if (!again) f = new_fact(w, .1);
    new_value(w, &f, f.value);
    f.holds = true;
    f.n_values = 1;
    f.turn = w->n_turns;
    const inn_kind *k = inn_kinds[f.kind];
    voice v = subject_voice(&f, &voice_i, possessive);
    if (again && inn_chance(r, .7)) v = pronoun(&f);
    const size_t start = t->n;
    bool join_or_speech = join;
    if (!join && !again && k->me && !f.is_me && k->subject == INN_PERSON && inn_chance(r, .12)) {
        put(t, f.subject);
        put(t, inn_chance(r, .5) ? " says: " : " told me: ");
        v = voice_i;
        join_or_speech = true;
    }
    const inn_parts parts = {join_or_speech ? NULL : inn_tell_openings, NULL, k->tell, inn_tell_endings, .6};
    say(w, t, &parts, v, &f, f.value, "", NULL);
    if (k->subject == INN_ONLY_ME) {
        snprintf(turn->keeper, sizeof turn->keeper, "Welcome, %s.", f.value);
    }
    if (!join) t->s[start] = (char)toupper((unsigned char)t->s[start]);
    if (w->n_facts < INN_MAX_FACTS) w->facts[w->n_facts++] = f;
}

void inn_tell(inn *w, size_t n, inn_turn *turn)
{
    *turn = begin_turn(w, INN_TELL);
    keeper_line(w, turn, inn_notes);
    text t = {turn->guest, 0, sizeof turn->guest};
    size_t start = 0;
    const size_t room = INN_MAX_FACTS - w->n_facts, most = n < 4 ? n : 4;
    for (size_t i = 0; i < most && i < room; i++) {
        const bool join = i == 1 && inn_chance(&w->random, .4);
        if (join) {
            put(&t, " and ");
        } else if (i > 0) {
            finish_sentence(w, &t, start);
            put(&t, " ");
            start = t.n;
        }
        tell_one(w, &t, turn, i > 0 ? &w->facts[w->n_facts - 1] : NULL, join);
    }
    finish_sentence(w, &t, start);
}

void inn_change(inn *w, inn_turn *turn)
{
    if (w->n_facts == 0) {
        inn_talk(w, turn);
        return;
    }
    inn_random *r = &w->random;
    *turn = begin_turn(w, INN_CHANGE);
    text t = {turn->guest, 0, sizeof turn->guest};
    inn_fact *f = &w->facts[inn_below(r, (uint32_t)w->n_facts)];
    const inn_kind *k = inn_kinds[f->kind];
    char possessive[INN_TEXT], value[INN_TEXT];
    const voice v = subject_voice(f, &voice_i, possessive);
    new_value(w, f, value);
    const uint32_t way = inn_below(r, 100);
    keeper_line(w, turn, way < 85 ? inn_change_notes : inn_notes);
    inn_parts parts = {inn_change_openings, NULL, k->change, inn_tell_endings, .3};
    if (way >= 85 && f->holds) { /* something else is denied: nothing changes */
        parts.lines = k->deny;
        say(w, &t, &parts, v, f, f->value, value, NULL);
    } else if (way >= 70 && f->holds) { /* taken back */
        parts.lines = k->retract;
        say(w, &t, &parts, v, f, f->value, "", NULL);
        f->holds = false;
        f->n_values++;
        f->turn = w->n_turns;
    } else {
        if (inn_chance(r, .5)) {
            parts.lines = k->tell;
            parts.p_opening = 1;
        }
        say(w, &t, &parts, v, f, value, "", NULL);
        memcpy(f->value, value, sizeof f->value);
        f->holds = true;
        f->n_values++;
        f->turn = w->n_turns;
    }
    finish_sentence(w, &t, 0);
}

void inn_talk(inn *w, inn_turn *turn)
{
    inn_random *r = &w->random;
    *turn = begin_turn(w, INN_TALK);
    text t = {turn->guest, 0, sizeof turn->guest};
    const uint32_t way = inn_below(r, 100);
    char wording[INN_WORDING];
    keeper_line(w, turn, inn_notes);
    if (way < 35) {
        const inn_talk_lines *l = &inn_talks[inn_below(r, (uint32_t)inn_n_talks)];
        inn_choose_wording(w, l->guest, wording);
        put_words(w, &t, wording);
        keeper_line(w, turn, l->keeper);
    } else if (way < 55) { /* names that something is known about, and nothing new */
        char possessive[INN_TEXT];
        const char *s = inn_chance(r, .5) ? w->people[inn_below(r, (uint32_t)w->n_people)]
                                          : w->things[inn_below(r, (uint32_t)w->n_things)];
        inn_choose_wording(w, inn_asides, wording);
        put_template(&t, wording, voice_name(s, possessive), NULL, "", "");
    } else {
        const uint32_t n = 1 + inn_below(r, 3);
        for (uint32_t i = 0; i < n; i++) {
            const size_t start = t.n;
            inn_choose_wording(w, inn_remarks, wording);
            put_words(w, &t, wording);
            if (i + 1 < n) finish_sentence(w, &t, start);
            if (i + 1 < n) put(&t, " ");
        }
    }
    const char *last = strrchr(turn->guest, '.');
    finish_sentence(w, &t, last && last[1] == ' ' ? (size_t)(last + 2 - turn->guest) : 0);
}

/* A fact that holds, of any age; NULL when there is none. */
static inn_fact *choose_known(inn *w)
{
    uint32_t n = 0;
    for (size_t i = 0; i < w->n_facts; i++) n += w->facts[i].holds;
    if (n == 0) return NULL;
    uint32_t k = inn_below(&w->random, n);
    for (size_t i = 0; i < w->n_facts; i++)
        if (w->facts[i].holds && k-- == 0) return &w->facts[i];
    return NULL;
}

static inn_fact *choose_taken_back(inn *w)
{
    for (size_t i = 0; i < w->n_facts; i++)
        if (!w->facts[i].holds) return &w->facts[i];
    return NULL;
}

void inn_ask(inn *w, inn_question what, size_t i, inn_turn *turn)
{
    inn_random *r = &w->random;
    *turn = begin_turn(w, INN_ASK);
    if (what == INN_ANY) {
        const uint32_t way = inn_below(r, 100);
        what = way < 66 ? INN_KNOWN : way < 86 ? INN_UNKNOWN : INN_CHECK;
    }
    inn_fact other = {0}, *f = NULL;
    const bool check = what == INN_CHECK;
    if (what == INN_FACT && i < w->n_facts) f = &w->facts[i];
    if (what == INN_KNOWN || (check && inn_chance(r, .85))) f = choose_known(w);
    if (what == INN_UNKNOWN && inn_chance(r, .3)) f = choose_taken_back(w);
    if (!f) {
        other = new_fact(w, .3);
        f = &other;
    }
    const inn_kind *k = inn_kinds[f->kind];
    char possessive[INN_TEXT], value[INN_TEXT];
    const voice asked = subject_voice(f, &voice_i, possessive), told = subject_voice(f, &voice_you, possessive);
    const bool yes = check && f->holds && inn_chance(r, .5);
    if (yes) {
        memcpy(value, f->value, sizeof value);
    } else {
        new_value(w, f, value);
    }
    text t = {turn->guest, 0, sizeof turn->guest};
    inn_parts parts = {inn_ask_openings, NULL, check ? k->check : k->ask, inn_ask_endings, .4};
    if (!check && inn_chance(r, .35)) {
        parts.frames = inn_ask_frames;
        parts.lines = k->about;
    }
    say(w, &t, &parts, asked, f, f->value, value, &turn->new_words);
    finish_sentence(w, &t, 0);

    text reply = {turn->keeper, 0, sizeof turn->keeper};
    if (check && f->holds) put(&reply, yes ? "yes, " : "no, ");
    put_template(&reply, f->holds ? k->answer : k->unknown, told, f, f->value, "");
    keeper_sentence(&reply);
    turn->kind = k->name;
    turn->known = f->holds;
    turn->check = check;
    turn->changed = f->n_values > 1;
    turn->was_told = f != &other;
    turn->told = f->turn;
}

void inn_ask_plainly(inn *w, inn_turn *turn)
{
    *turn = begin_turn(w, INN_ASK);
    char possessive[INN_TEXT];
    const inn_fact *f = &w->facts[0];
    text t = {turn->guest, 0, sizeof turn->guest};
    char wording[INN_WORDING];
    inn_first_wording(inn_kinds[f->kind]->ask[0], wording);
    put_template(&t, wording, subject_voice(f, &voice_i, possessive), f, f->value, "");
    turn->guest[0] = (char)toupper((unsigned char)turn->guest[0]);
}
