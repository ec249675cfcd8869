/* An innkeeper's world: endless conversations about who sleeps where, who owes what and where things lie, with what the
 * innkeeper should say. One generator for training data and for tests, so that both have the same distribution; it
 * knows no model and no tokenizer. Everything follows from the seed: the same calls give the same bytes anywhere.
 *
 * A conversation is a sequence of turns: the guest says something, the keeper replies. What the keeper says to a
 * question follows from the facts alone (the newest wins), so a reply can be compared byte by byte.
 *
 * Held out: one word in eight, by a hash of the word, is kept from training, and so are sentences before their words are
 * put in. Lists hold lines with alternatives. One line in eight (by its hash) is kept from training altogether; a
 * sentence of another line is kept from it when the hash of the whole pattern (opening, wording, ending) says so, one in
 * eight again. With INN_HELD_OUT every open-class word (names, things, places, trades, ...) and every sentence that tells,
 * changes or asks something is a held-out one, and lines are equally likely: one in eight is of a line that training
 * never had in any wording.
 */
#ifndef INN_H
#define INN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INN_MAX_FACTS 96
#define INN_TEXT      48
#define INN_WORDING   256
#define INN_KEEPER    "<|keeper|>" /* the token between what the guest says and the reply; </s> ends a turn */
#define INN_PAIR_IDS  300          /* the first id that is used in pairs: behind special tokens and single bytes */

typedef struct inn_random {
    uint64_t state;
} inn_random;
void inn_seed(inn_random *r, uint64_t seed);
uint32_t inn_below(inn_random *r, uint32_t n); /* 0 .. n - 1; n at least 1 */
bool inn_chance(inn_random *r, double p);

typedef enum inn_what {
    INN_TELL,   /* new facts */
    INN_CHANGE, /* a newer value, or the fact is taken back, or something else is denied */
    INN_TALK,   /* small talk, asides that mention known names, questions that are none of an innkeeper's business */
    INN_ASK     /* a question with one right reply */
} inn_what;

typedef struct inn_turn {
    inn_what what;
    char guest[768], keeper[256]; /* without spaces at their ends */
    const char *kind;             /* INN_ASK: what the question is about, "place", "debt", ... */
    bool known;                   /* the fact was told and holds */
    bool changed;                 /* its value is not the first one, or was taken back */
    bool check;                   /* a yes-or-no question */
    bool new_words;               /* the question's line is a held-out one, not only its wording */
    uint32_t told;                /* number of the turn that last set the fact; meaningful when told at all */
    bool was_told;
} inn_turn;

typedef struct inn_fact {
    uint8_t kind, relation;
    bool is_me, holds;
    char subject[INN_TEXT], value[INN_TEXT], old[INN_TEXT];
    uint32_t n_values, turn;
} inn_fact;

typedef struct inn {
    inn_random random;
    bool held_out, noise;
    double new_lines; /* held_out: chance that a sentence is of a held-out line; 1/8 at first */
    uint32_t n_turns; /* made so far */
    size_t n_facts;
    inn_fact facts[INN_MAX_FACTS];
    size_t n_people, n_things, n_animals; /* those that this conversation is about */
    char people[32][INN_TEXT], things[64][INN_TEXT], animals[16][INN_TEXT];
} inn;

/* n_facts: how many facts the conversation will hold, for a cast of a fitting size. */
#define INN_HELD_OUT 1u
#define INN_NOISE    2u /* for training: slips of the pen, needless words, more words that are made up */
void inn_begin(inn *w, uint64_t seed, unsigned flags, size_t n_facts);

/* Each makes one turn. */
void inn_tell(inn *w, size_t n, inn_turn *turn); /* n new facts, at most 4, in one turn */
void inn_change(inn *w, inn_turn *turn);         /* becomes inn_talk while there are no facts */
void inn_talk(inn *w, inn_turn *turn);

typedef enum inn_question {
    INN_ANY,     /* a mixture */
    INN_KNOWN,   /* about a fact that holds */
    INN_UNKNOWN, /* about something never told, or taken back */
    INN_CHECK,   /* yes or no */
    INN_FACT     /* about the fact of number i */
} inn_question;
void inn_ask(inn *w, inn_question what, size_t i, inn_turn *turn);

/* About the first fact, in the first wording. */
void inn_ask_plainly(inn *w, inn_turn *turn);

/* The facts that a text tells in the wordings that the templates know, at most max. Pronouns are not followed. */
size_t inn_parse(const char *text, inn_fact *out, size_t max);
/* "Where is the red key?" */
void inn_question_text(const inn_fact *f, char out[256]);

/* An examination: n_facts are told, about one in four is changed, small talk between and behind until the conversation
 * is n_tokens long; then the caller asks. */
typedef struct inn_exam {
    size_t n_facts, n_changes, n_tokens;
} inn_exam;
void inn_exam_begin(inn *w, inn_exam *e, uint64_t seed, unsigned flags, size_t n_facts, size_t n_tokens);
/* The next turn, when the conversation has n_so_far tokens; false: it is time to ask. */
bool inn_exam_next(inn *w, const inn_exam *e, size_t n_so_far, inn_turn *turn);

/* Multi-query associative recall (MQAR, arXiv 2312.04927) with the ids first .. first + n_ids - 1 in place of words: n
 * pairs of a key and a value, then the same pairs in another order. A key is never a value and is there once. out: 4 n
 * ids. n at most n_ids / 4. */
void inn_pairs(inn_random *r, int32_t first, uint32_t n_ids, size_t n, int32_t *out);

/* --- for the generator's own files --- */

typedef enum inn_words {
    INN_NAME,
    INN_THING,
    INN_ADJECTIVE,
    INN_PLACE,
    INN_TRADE,
    INN_DRINK,
    INN_TOWN,
    INN_ANIMAL,
    INN_SECRET,
    INN_N_WORDS
} inn_words;

typedef enum inn_subject { INN_PERSON, INN_OBJECT, INN_BEAST, INN_KIN, INN_ONLY_ME } inn_subject;
typedef enum inn_value {
    INN_V_PLACE,
    INN_V_COINS,
    INN_V_TRADE,
    INN_V_ROOM,
    INN_V_DRINK,
    INN_V_TOWN,
    INN_V_PERSON,
    INN_V_NAME,
    INN_V_DAY,
    INN_V_SECRET,
    INN_V_CLOTHES,
    INN_V_THING,
    INN_V_AGE
} inn_value;

/* Lines: [a|b|c] is one of these; {s} subject, {o} its possessive, {m} as an object (me), {v} value, {w} another value,
 * {r} relation; verbs of a person: {z} the ending s, {i} is, {h} has, {d} does. */
typedef struct inn_kind {
    const char *name;
    inn_subject subject;
    inn_value value;
    bool me; /* the guest may be the subject */
    const char *tell[88], *change[40], *retract[24], *deny[20], *ask[76];
    const char *about[24]; /* clauses for inn_ask_frames: "where {s} is" */
    const char *check[28];
    const char *answer, *unknown;
} inn_kind;

#define INN_N_KINDS 16
extern const inn_kind *const inn_kinds[INN_N_KINDS];

typedef struct inn_talk_lines {
    const char *guest[8], *keeper[4];
} inn_talk_lines;
extern const inn_talk_lines inn_talks[];
extern const size_t inn_n_talks;
/* Asides about a known {s}, remarks with words of a class {1}.. , openings of statements, corrections and questions. */
extern const char *const inn_asides[],
    *const inn_remarks[], *const inn_tell_openings[],
                              *const inn_ask_frames[], *const inn_change_openings[],
                                                           *const inn_ask_openings[],
                                                               *const inn_notes[], *const inn_change_notes[],
                                                                                       *const inn_relations[],
                                                                                           *const inn_tell_endings[],
                                                                                               *const inn_ask_endings[],
                                                                                                   *const inn_fillers[];

/* A word of a class; made-up ones among them. */
void inn_word(inn *w, inn_words class, char out[INN_TEXT]);
void inn_value_text(inn *w, inn_value value, char out[INN_TEXT]);

/* Of a word, a line or a wording: is it kept from training? */
bool inn_is_held_out(const char *text);
/* One wording of a NULL-terminated list; training takes no held-out lines. */
void inn_choose_wording(inn *w, const char *const *lines, char out[INN_WORDING]);

typedef struct inn_parts { /* what a sentence is made of; NULL: none */
    const char *const *openings, *const *frames, *const *lines, *const *endings;
    double p_opening;
} inn_parts;

typedef struct inn_sentence {
    char opening[INN_WORDING], wording[INN_WORDING], ending[INN_WORDING];
    bool is_new; /* of a held-out line */
} inn_sentence;

/* A sentence that the split allows. */
void inn_choose_sentence(inn *w, const inn_parts *p, inn_sentence *out);
/* The first of all alternatives. */
void inn_first_wording(const char *line, char out[INN_WORDING]);
/* Alternative i of the ones that open at '['; *n: its length. NULL: there are fewer. */
const char *inn_alternative(const char *open, uint32_t i, size_t *n);

#endif
