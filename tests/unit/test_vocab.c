/* The vocabulary as its readers fill it: what no file can say, and what only a very large one could. */
#include "support/counting_alloc.h"
#include "text/added.h"
#include "text/decode.h"
#include "text/encode.h"
#include "text/unicode.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void init(gsai_vocab *v)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_vocab_init(v, &a);
}

static void vocab_more_than_the_caps_is_refused(void **state)
{
    (void)state;
    gsai_vocab v;
    init(&v);
    assert_int_equal(gsai_vocab_reserve(&v, GSAI_MAX_TOKENS + 1, 0, 0, 0), GSA_ERROR_UNSUPPORTED);
    assert_int_equal(gsai_vocab_reserve(&v, 1, GSAI_MAX_TEXT + 1, 0, 0), GSA_ERROR_UNSUPPORTED);
    assert_int_equal(gsai_vocab_reserve(&v, 1, 1, GSAI_MAX_MERGES + 1, 0), GSA_ERROR_UNSUPPORTED);
    gsai_vocab_finish(&v);
}

static void vocab_more_than_was_reserved_is_refused(void **state)
{
    (void)state;
    gsai_vocab v;
    init(&v);
    char big[200];
    memset(big, 'b', sizeof big);
    assert_int_equal(gsai_vocab_find(&v, "a", 1), -1); /* nothing reserved yet */
    assert_int_equal(gsai_vocab_reserve(&v, 2, 4, 1, 1), GSA_OK);
    assert_int_equal(gsai_vocab_add_token(&v, 2, "a", 1, true), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_vocab_add_token(&v, 0, big, sizeof big, true), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_vocab_add_token(&v, 0, "a", 1, true), GSA_OK);
    assert_int_equal(gsai_vocab_add_token(&v, 0, "b", 1, true), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_vocab_add_token(&v, 1, "a", 1, true), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_vocab_add_token(&v, 1, "aa", 2, true), GSA_OK);
    assert_int_equal(gsai_vocab_add_merge(&v, "a", 1, "b", 1), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_vocab_add_merge(&v, "b", 1, "a", 1), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_vocab_add_merge(&v, "aa", 2, "a", 1), GSA_ERROR_FORMAT);
    assert_int_equal(gsai_vocab_add_merge(&v, "a", 1, "a", 1), GSA_OK);
    assert_int_equal(gsai_vocab_add_merge(&v, "a", 1, "a", 1), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_vocab_add_pair(&v, 0, 0, 1, 0), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_vocab_reserve_merges(&v, 2, false), GSA_OK);
    v.n_merges = 0;
    assert_int_equal(gsai_vocab_add_pair(&v, 0, 0, 1, 0), GSA_ERROR_ARGUMENT); /* without priorities */
    assert_int_equal(gsai_vocab_add_added(&v, 2, 0, false), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_vocab_add_added(&v, 0, 0, false), GSA_OK);
    assert_int_equal(gsai_vocab_add_added(&v, 1, 0, false), GSA_ERROR_ARGUMENT);
    gsai_vocab_finish(&v);
}

static void vocab_added_tokens_of_more_than_16_mib_are_refused(void **state)
{
    (void)state;
    const uint32_t n = (1u << 24) / 1024 + 1;
    gsai_vocab v;
    init(&v);
    assert_int_equal(gsai_vocab_reserve(&v, n, (size_t)n * 1024, 0, n), GSA_OK);
    char text[1025];
    for (uint32_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%01024u", i);
        assert_int_equal(gsai_vocab_add_token(&v, i, text, 1024, false), GSA_OK);
        assert_int_equal(gsai_vocab_add_added(&v, i, 0, false), GSA_OK);
    }
    assert_int_equal(gsai_vocab_seal(&v), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "added tokens"));
    gsai_vocab_finish(&v);
}

/* Two added tokens that the normalizer makes equal: the special one is found, else the one that was added first. */
static void vocab_equal_added_texts_have_an_order(void **state)
{
    (void)state;
    for (int special = -1; special < 3; special++) {
        gsai_vocab v;
        init(&v);
        v.normalizer = gsai_alloc_array(&v.allocator, 2, sizeof *v.normalizer);
        v.n_normalizer = 2;
        v.normalizer[0] = (gsai_rewrite){"B", "A", 1, 1};
        v.normalizer[1] = (gsai_rewrite){"C", "A", 1, 1};
        assert_int_equal(gsai_vocab_reserve(&v, 3, 3, 0, 3), GSA_OK);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(gsai_vocab_add_token(&v, i, (const char[]){"ABC"[i], 0}, 1, false), GSA_OK);
            assert_int_equal(gsai_vocab_add_added(&v, i, GSAI_ADDED_NORMALIZED, (int)i == special), GSA_OK);
        }
        assert_int_equal(gsai_vocab_seal(&v), GSA_OK);
        gsai_ids ids = {0};
        assert_int_equal(gsai_encode(&v, "B", 1, false, &ids), GSA_OK);
        assert_int_equal(ids.size, 1);
        assert_int_equal(ids.data[0], special < 0 ? 0 : special);
        gsai_free(&v.allocator, ids.data);
        gsai_vocab_finish(&v);
    }
}

static void vocab_rewrites_grow_a_text_so_far_only(void **state)
{
    (void)state;
    assert_int_equal(gsai_rewrite_limit(0), 1024);
    assert_int_equal(gsai_rewrite_limit(100), 4224);
    assert_int_equal(gsai_rewrite_limit(SIZE_MAX), GSAI_MAX_TEXT);
}

static void unicode_characters_of_every_size_are_written(void **state)
{
    (void)state;
    static const uint32_t points[] = {0x41, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        char text[4];
        size_t size;
        const size_t n = gsai_utf8_put(text, points[i]);
        assert_int_equal(n, i < 2 ? 1 : i < 4 ? 2 : i < 6 ? 3 : 4);
        assert_int_equal(gsai_utf8_next(text, n, &size), GSAI_UTF8_CHAR);
        assert_int_equal(size, n);
        assert_int_equal(gsai_utf8_get(text), points[i]);
    }
}

static void unicode_repair_without_memory_says_so(void **state)
{
    (void)state;
    char bad[100];
    memset(bad, '\xff', sizeof bad);
    bad[0] = 'a';
    long n = 0;
    for (bool ok = false; !ok; n++) {
        counting_alloc counter = {.fail_at = n};
        const gsa_allocator a = counting_allocator(&counter);
        gsai_buffer out = {0};
        ok = gsai_utf8_repair(&a, &out, bad, sizeof bad);
        if (ok) assert_int_equal(out.size, 1 + 3 * 99);
        gsai_buffer_free(&a, &out);
        assert_int_equal(counter.alive, 0);
    }
    assert_true(n > 3);
}

/* A queue that grows while it empties, a text that grows while its spaces become marks: at every length, so that each
 * list is once full where it is added to, and with every allocation failing in turn. */
static void encode_without_memory_says_so_wherever_it_is(void **state)
{
    (void)state;
    static const char *const tokens[] = {"a", "b", "ab", "abab", "aba"};
    char text[80];
    for (size_t n = 2; n < 70; n++) {
        bool ok = false;
        for (size_t k = 0; k < n; k++) text[k] = "ab"[k % 2];
        text[n] = ' ';
        for (long fail = -1; !ok || fail <= 0; fail++) {
            counting_alloc counter = {.fail_at = -1};
            const gsa_allocator a = counting_allocator(&counter);
            gsai_vocab v;
            gsai_vocab_init(&v, &a);
            memcpy(v.mark, "\xe2\x96\x81", 4);
            assert_int_equal(gsai_vocab_reserve(&v, 5, 11, 3, 0), GSA_OK);
            for (uint32_t i = 0; i < 5; i++)
                assert_int_equal(gsai_vocab_add_token(&v, i, tokens[i], strlen(tokens[i]), true), GSA_OK);
            assert_int_equal(gsai_vocab_add_merge(&v, "a", 1, "b", 1), GSA_OK);
            assert_int_equal(gsai_vocab_add_merge(&v, "ab", 2, "ab", 2), GSA_OK);
            assert_int_equal(gsai_vocab_add_merge(&v, "ab", 2, "a", 1), GSA_OK);
            assert_int_equal(gsai_vocab_seal(&v), GSA_OK);
            counter.fail_at = fail < 0 ? -1 : counter.calls + fail;
            gsai_ids ids = {0};
            const gsa_status status = gsai_encode(&v, text, n + 1, false, &ids);
            ok = status == GSA_OK;
            assert_true(ok || (status == GSA_ERROR_HOST_MEMORY && fail >= 0));
            gsai_free(&a, ids.data);
            gsai_vocab_finish(&v);
            assert_int_equal(counter.alive, 0);
        }
    }
}

/* The rest of a text into a buffer that never saw the start of it. */
static void decoder_finish_without_memory_keeps_what_it_held(void **state)
{
    (void)state;
    counting_alloc counter = {.fail_at = -1};
    const gsa_allocator a = counting_allocator(&counter);
    gsai_vocab v;
    gsai_vocab_init(&v, &a);
    v.decoding = GSAI_DECODE_PLAIN;
    gsai_decoder d = {.v = &v};
    assert_true(gsai_buffer_append(&a, &d.held, "\xc3", 1));
    gsai_buffer out = {0};
    counter.fail_at = counter.calls;
    assert_int_equal(gsai_decoder_finish(&d, &out), GSA_ERROR_HOST_MEMORY);
    assert_int_equal(d.held.size, 1);
    assert_int_equal(gsai_decoder_finish(&d, &out), GSA_OK);
    assert_memory_equal(out.data, GSAI_UTF8_REPLACEMENT, 3);
    gsai_buffer_free(&a, &out);
    gsai_decoder_free(&d);
    gsai_vocab_finish(&v);
    assert_int_equal(counter.alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocab_more_than_the_caps_is_refused),
        cmocka_unit_test(vocab_more_than_was_reserved_is_refused),
        cmocka_unit_test(vocab_added_tokens_of_more_than_16_mib_are_refused),
        cmocka_unit_test(vocab_equal_added_texts_have_an_order),
        cmocka_unit_test(vocab_rewrites_grow_a_text_so_far_only),
        cmocka_unit_test(unicode_characters_of_every_size_are_written),
        cmocka_unit_test(unicode_repair_without_memory_says_so),
        cmocka_unit_test(encode_without_memory_says_so_wherever_it_is),
        cmocka_unit_test(decoder_finish_without_memory_keeps_what_it_held),
    };
    return cmocka_run_group_tests_name("vocab", tests, NULL, NULL);
}
