/* The innkeeper's world: the same everywhere, held-out words and wordings stay out, replies follow from the facts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inn.h"

#include <stdio.h>
#include <string.h>

static void any_turn(inn *w, inn_turn *t)
{
    const uint32_t way = inn_below(&w->random, 10);
    if (way < 4 && w->n_facts < 40) {
        inn_tell(w, 1 + inn_below(&w->random, 3), t);
    } else if (way < 5) {
        inn_change(w, t);
    } else if (way < 6) {
        inn_talk(w, t);
    } else {
        inn_ask(w, INN_ANY, 0, t);
    }
}

static void inn_same_seed_gives_same_conversation(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 4; flags++) {
        inn a, b;
        inn_turn s, t;
        inn_begin(&a, 17, flags, 12);
        inn_begin(&b, 17, flags, 12);
        for (int i = 0; i < 200; i++) {
            any_turn(&a, &s);
            any_turn(&b, &t);
            assert_string_equal(s.guest, t.guest);
            assert_string_equal(s.keeper, t.keeper);
        }
        inn_begin(&b, 18, flags, 12);
        any_turn(&b, &t);
        inn_begin(&a, 17, flags, 12);
        any_turn(&a, &s);
        assert_string_not_equal(s.guest, t.guest);
    }
}

/* One conversation holds the frozen words: what a published score was made with must not change unseen. */
static void inn_conversation_is_frozen(void **state)
{
    (void)state;
    uint64_t hash = 14695981039346656037u;
    for (uint64_t seed = 0; seed < 50; seed++) {
        inn w;
        inn_exam e;
        inn_turn t;
        size_t n = 0;
        inn_exam_begin(&w, &e, seed, INN_HELD_OUT, 8, 300);
        while (inn_exam_next(&w, &e, n, &t)) n += strlen(t.guest) / 4 + 4;
        for (int i = 0; i < 8; i++) {
            inn_ask(&w, INN_ANY, 0, &t);
            for (const char *p = t.guest; *p; p++) hash = (hash ^ (unsigned char)*p) * 1099511628211u;
            for (const char *p = t.keeper; *p; p++) hash = (hash ^ (unsigned char)*p) * 1099511628211u;
        }
    }
    assert_int_equal(hash, 0xa7da7b23c6346444u);
}

static void collect(inn_words class, unsigned flags, char (*out)[INN_TEXT], size_t n)
{
    inn w;
    inn_begin(&w, 5 + class, flags, 1);
    for (size_t i = 0; i < n; i++) inn_word(&w, class, out[i]);
}

static void inn_held_out_words_are_never_trained(void **state)
{
    (void)state;
    static char train[4000][INN_TEXT], test[400][INN_TEXT];
    for (inn_words class = 0; class < INN_N_WORDS; class ++) {
        collect(class, class % 2 ? INN_NOISE : 0, train, 4000);
        collect(class, INN_HELD_OUT, test, 400);
        for (size_t i = 0; i < 4000; i++)
            for (size_t k = 0; k < 400; k++) assert_string_not_equal(train[i], test[k]);
    }
}

static const char *const *list_of(const inn_kind *k, int which)
{
    const char *const *const lists[] = {k->tell, k->change, k->retract, k->deny, k->ask, k->about, k->check};
    return lists[which];
}

static bool pattern_is_held_out(const inn_sentence *s)
{
    char whole[3 * INN_WORDING];
    snprintf(whole, sizeof whole, "%s%s%s", s->opening, s->wording, s->ending);
    return inn_is_held_out(whole);
}

/* What one split may take the other never does; one line in eight is new. */
static void inn_held_out_sentences_are_never_trained(void **state)
{
    (void)state;
    size_t n_new = 0, n_all = 0;
    inn train, test;
    inn_begin(&train, 3, INN_NOISE, 1);
    inn_begin(&test, 3, INN_HELD_OUT, 1);
    for (int i = 0; i < INN_N_KINDS * 7; i++) {
        const inn_kind *k = inn_kinds[i / 7];
        const int which = i % 7;
        const inn_parts parts = {which < 1   ? inn_tell_openings
                                 : which < 4 ? inn_change_openings
                                             : inn_ask_openings,
            which == 5 ? inn_ask_frames : NULL, list_of(k, which), which < 4 ? inn_tell_endings : inn_ask_endings, .4};
        for (int n = 0; n < 80; n++) {
            inn_sentence s;
            inn_choose_sentence(&train, &parts, &s);
            assert_false(s.is_new || pattern_is_held_out(&s));
            inn_choose_sentence(&test, &parts, &s);
            assert_true(s.is_new || pattern_is_held_out(&s));
            assert_true(s.wording[0] && !strpbrk(s.wording, "[|]"));
            n_new += s.is_new;
            n_all++;
        }
    }
    assert_in_range(1000 * n_new / n_all, 80, 150);
}

static void assert_some_for_training(const char *const *lines)
{
    size_t n = 0;
    for (; *lines; lines++) n += !inn_is_held_out(*lines);
    assert_true(n > 0);
}

/* Lines are well formed, and the plain questions of the demo are among those that training has. */
static void inn_lines_are_well_formed(void **state)
{
    (void)state;
    const char *const *const others[] = {inn_asides, inn_remarks, inn_tell_openings, inn_change_openings,
        inn_ask_openings, inn_ask_frames, inn_tell_endings, inn_ask_endings};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_some_for_training(others[i]);
    for (size_t i = 0; i < inn_n_talks; i++) assert_some_for_training(inn_talks[i].guest);
    for (int i = 0; i < INN_N_KINDS; i++) {
        const inn_kind *k = inn_kinds[i];
        assert_false(inn_is_held_out(k->ask[0]));
        for (int which = 0; which < 7; which++) {
            const char *const *lines = list_of(k, which);
            assert_true(lines[0] && lines[1] && lines[2] && lines[3]);
            assert_some_for_training(lines);
            for (; *lines; lines++) {
                int depth = 0;
                for (const char *p = *lines; *p; p++) {
                    depth += (*p == '[') - (*p == ']');
                    assert_true(depth == 0 || depth == 1);
                    assert_true(*p != '|' || depth == 1);
                    if (*p == '{') assert_true(strchr("somvwrzihd", p[1]) && p[2] == '}');
                }
                assert_int_equal(depth, 0);
                const bool with_value = which < 3, with_other = which == 3 || which == 6;
                assert_int_equal(strstr(*lines, "{v}") != NULL, with_value);
                assert_int_equal(strstr(*lines, "{w}") != NULL, with_other);
                assert_int_equal(strstr(*lines, "{r}") != NULL, k->subject == INN_KIN);
                if (k->subject != INN_ONLY_ME)
                    assert_true(strstr(*lines, "{s}") || strstr(*lines, "{m}") || strstr(*lines, "{o}"));
            }
        }
    }
}

static void inn_replies_follow_the_newest_fact(void **state)
{
    (void)state;
    size_t n_changed = 0, n_unknown = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        inn w;
        inn_turn t;
        inn_begin(&w, seed, seed % 2 ? INN_HELD_OUT : 0, 8);
        while (w.n_facts < 8) inn_tell(&w, 1, &t);
        for (int i = 0; i < 6; i++) inn_change(&w, &t);
        for (size_t i = 0; i < w.n_facts; i++) {
            inn_ask(&w, INN_FACT, i, &t);
            const inn_fact *f = &w.facts[i];
            assert_int_equal(t.known, f->holds);
            assert_int_equal(t.changed, f->n_values > 1);
            assert_int_equal(strstr(t.keeper, f->value) != NULL && !strstr(t.keeper, "I don't know"), f->holds);
            n_changed += f->holds && t.changed;
            n_unknown += !f->holds;
        }
        inn_ask(&w, INN_UNKNOWN, 0, &t);
        assert_non_null(strstr(t.keeper, "I don't know"));
    }
    assert_true(n_changed > 500 && n_unknown > 100);
}

static void inn_texts_have_no_marks_and_no_gaps(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        inn w;
        inn_turn t;
        inn_begin(&w, seed, (unsigned)seed % 4, 20);
        for (int i = 0; i < 60; i++) {
            any_turn(&w, &t);
            assert_true(t.guest[0] && t.keeper[0] && t.guest[0] != ' ');
            assert_true(strlen(t.guest) < sizeof t.guest - 1 && strlen(t.keeper) < sizeof t.keeper - 1);
            assert_null(strpbrk(t.guest, "{}[]|"));
            assert_null(strpbrk(t.keeper, "{}[]|"));
            assert_null(strstr(t.guest, "  "));
        }
    }
}

static void inn_exam_holds_its_facts_and_its_length(void **state)
{
    (void)state;
    for (size_t n_facts = 1; n_facts <= 64; n_facts *= 2) {
        inn w;
        inn_exam e;
        inn_turn t;
        size_t n = 0, n_changed = 0;
        inn_exam_begin(&w, &e, 9, INN_HELD_OUT, n_facts, 2000);
        while (inn_exam_next(&w, &e, n, &t)) n += 20;
        for (size_t i = 0; i < w.n_facts; i++) n_changed += w.facts[i].n_values - 1;
        assert_int_equal(w.n_facts, n_facts);
        assert_true(n >= 2000 && n_changed >= n_facts / 4);
    }
}

static void inn_pairs_repeat_each_key_with_its_value(void **state)
{
    (void)state;
    int32_t ids[4 * 64];
    inn_random r;
    inn_seed(&r, 4);
    inn_pairs(&r, 300, 700, 64, ids);
    for (size_t i = 0; i < 64; i++) {
        size_t n = 0;
        for (size_t k = 0; k < 64; k++) {
            if (ids[128 + 2 * k] != ids[2 * i]) continue;
            n++;
            assert_int_equal(ids[128 + 2 * k + 1], ids[2 * i + 1]);
        }
        assert_int_equal(n, 1);
        assert_in_range(ids[2 * i], 300, 649);
        assert_in_range(ids[2 * i + 1], 650, 999);
    }
}

static void inn_parse_finds_what_was_told(void **state)
{
    (void)state;
    inn_fact f[8];
    char question[256];
    assert_int_equal(
        inn_parse(
            "My name is Mara. The red key is under the barrel. Tom owes me four coins and Anna is a baker.", f, 8),
        4);
    static const char *const want[] = {
        "What is my name?", "Where is the red key?", "How much does Tom owe me?", "What is Anna's trade?"};
    for (size_t i = 0; i < 4; i++) {
        inn_question_text(&f[i], question);
        assert_string_equal(question, want[i]);
    }
    assert_int_equal(inn_parse("No, wait: the red key is in the attic now!", f, 8), 1);
    assert_string_equal(f[0].subject, "the red key");
    assert_string_equal(f[0].value, "in the attic");
    assert_int_equal(inn_parse("Where is the red key? It rained all day. Good evening!", f, 8), 0);
    assert_int_equal(inn_parse("", f, 8), 0);
    assert_int_equal(inn_parse("My name is Mara. My name is Tom.", f, 1), 1);
    size_t n_right = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        inn w;
        inn_turn t;
        inn_begin(&w, seed, 0, 1);
        inn_tell(&w, 1, &t);
        n_right += inn_parse(t.guest, f, 8) >= 1 && f[0].kind == w.facts[0].kind && f[0].is_me == w.facts[0].is_me &&
                   strcmp(f[0].value, w.facts[0].value) == 0 && strcmp(f[0].subject, w.facts[0].subject) == 0;
    }
    assert_true(n_right >= 270);
}

static void inn_parse_survives_any_text(void **state)
{
    (void)state;
    inn_random r;
    inn_seed(&r, 1);
    static const char *const bits[] = {" and ", "I", " is ", "'s", ". ", "the ", "{s}", "?", "  ", "\xff",
        "says: ", "room 7", "a ", "My name is ",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\t", "!", ","};
    for (int i = 0; i < 1000; i++) {
        char text[1200] = "";
        inn_fact f[8];
        char question[256];
        for (uint32_t k = inn_below(&r, 12); k > 0; k--)
            strncat(text, bits[inn_below(&r, sizeof bits / sizeof *bits)], sizeof text - strlen(text) - 1);
        const size_t n = inn_parse(text, f, 8);
        assert_true(n <= 8);
        for (size_t k = 0; k < n; k++) inn_question_text(&f[k], question);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inn_same_seed_gives_same_conversation),
        cmocka_unit_test(inn_conversation_is_frozen),
        cmocka_unit_test(inn_held_out_words_are_never_trained),
        cmocka_unit_test(inn_held_out_sentences_are_never_trained),
        cmocka_unit_test(inn_lines_are_well_formed),
        cmocka_unit_test(inn_replies_follow_the_newest_fact),
        cmocka_unit_test(inn_texts_have_no_marks_and_no_gaps),
        cmocka_unit_test(inn_exam_holds_its_facts_and_its_length),
        cmocka_unit_test(inn_pairs_repeat_each_key_with_its_value),
        cmocka_unit_test(inn_parse_finds_what_was_told),
        cmocka_unit_test(inn_parse_survives_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
