/* Tokenizers in GGUF files: through the keys that other programs read, and through the whole tokenizer.json. */
#include "support/counting_alloc.h"
#include "support/gguf_maker.h"
#include "text/tokenizer_gguf.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/tokenizer_goldens.h"

/* ---- making files ---- */

typedef struct made {
    char path[64];
} made;

static gsai_gguf_writer *new_writer(void)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_gguf_writer *w;
    assert_int_equal(gsai_gguf_writer_create(&a, &w), GSA_OK);
    return w;
}

static void finish(gsai_gguf_writer *w, made *m)
{
    strcpy(m->path, "/tmp/gsa-gguf-XXXXXX");
    const int fd = mkstemp(m->path);
    assert_true(fd >= 0);
    close(fd);
    if (gsai_gguf_begin(w, m->path) != GSA_OK || gsai_gguf_finish(w) != GSA_OK) fail_msg("%s", gsa_error_text());
    gsai_gguf_writer_destroy(w);
}

static void remove_made(made *m)
{
    unlink(m->path);
}

static gsa_tokenizer *open_path(const char *path)
{
    gsa_tokenizer *t = NULL;
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .path = path};
    if (gsa_tokenizer_create(&params, &t) != GSA_OK) fail_msg("%s", gsa_error_text());
    return t;
}

static char *load(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *bytes = malloc(4u << 20);
    *size = fread(bytes, 1, 4u << 20, f);
    fclose(f);
    return bytes;
}

/* The tokenizer.json of a family as a GGUF file, less the keys that begin with drop. */
static void export_family(const char *family, const char *drop, made *m)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    char path[512];
    size_t size;
    tg_data_path(path, family, "tokenizer.json");
    char *json = load(path, &size);
    const gsai_tokenizer_export e = {.name = path, .json = json, .json_size = size, .bos_id = -1, .eos_id = -1};
    gsai_gguf_writer *w = new_writer();
    if (gsai_tokenizer_to_gguf(&e, &a, w) != GSA_OK) fail_msg("%s", gsa_error_text());
    finish(w, m);
    free(json);

    made whole = *m;
    gsai_source *source;
    gsai_gguf *g;
    assert_int_equal(gsai_source_open_path(whole.path, &a, &source), GSA_OK);
    if (gsai_gguf_open(source, &a, &g) != GSA_OK) fail_msg("%s", gsa_error_text());
    w = new_writer();
    for (uint64_t i = 0; i < g->n_pairs; i++) {
        const gsai_gguf_value *v = &g->pairs[i].value;
        if (strncmp(g->pairs[i].key, drop, strlen(drop)) != 0)
            gsai_gguf_put_raw(w, g->pairs[i].key, v->kind, v->raw, v->n_raw);
    }
    gsai_gguf_close(g);
    gsai_source_close(source);
    remove_made(&whole);
    finish(w, m);
}

static void check_export(const char *drop)
{
    for (int i = 0; i < 3; i++) {
        made m;
        export_family(tg_families[i], drop, &m);
        gsa_tokenizer *t = open_path(m.path);
        tg_check_family(t, tg_families[i]);
        gsa_tokenizer_destroy(t);
        remove_made(&m);
    }
}

static void tokenizer_gguf_ggml_keys_give_the_golden_ids_and_texts(void **state)
{
    (void)state;
    check_export("tokenizer.huggingface");
}

static void tokenizer_gguf_whole_json_gives_the_golden_ids_and_texts(void **state)
{
    (void)state;
    check_export("tokenizer.ggml");
}

/* ---- small files made by hand ---- */

#define G "tokenizer.ggml."

typedef struct key {
    const char *name, *words; /* kind and value, see gm_words */
} key;

#define MAX_KEYS 16

typedef struct keys {
    key list[MAX_KEYS];
    int n;
} keys;

/* Tokens 0 <unk>, 1 <s>, 2 </s>, 3.. single characters, then what the scores merge. _ stands for U+2581 in words of
 * small_llama, so that they stay readable. */
static const key llama_keys[] = {
    {"tokenizer.ggml.model", "d8 sllama"},
    {"tokenizer.ggml.tokens", "d9 d8 q14 s<unk> s<s> s</s> s<0xC3> s<0xA9> s_ sa sb sc sbc sab s_a s<user> sunused"},
    {"tokenizer.ggml.scores", "d9 d6 q14 d0 d0 d0 d0 d0 d0xc1200000 d0xc1200000 d0xc1200000 d0xc1200000 d0xbf800000 "
                              "d0xbf800000 d0xc0000000 d0 d0"},
    {"tokenizer.ggml.token_type", "d9 d5 q14 d2 d3 d3 d6 d6 d1 d1 d1 d1 d1 d1 d1 d4 d5"},
    {"tokenizer.ggml.bos_token_id", "d4 d1"},
    {"tokenizer.ggml.eos_token_id", "d4 d2"},
};

static const key gpt2_keys[] = {
    {"tokenizer.ggml.model", "d8 sgpt2"},
    {"tokenizer.ggml.pre", "d8 sgpt-2"},
    {"tokenizer.ggml.tokens", "d9 d8 q8 sa sb s1 s! sab x0200000000000000c4a0 s<end> sab1"},
    {"tokenizer.ggml.token_type", "d9 d5 q8 d1 d1 d1 d1 d1 d1 d3 d1"},
    {"tokenizer.ggml.merges", "d9 d8 q2 x0300000000000000612062 x040000000000000061622031"},
    {"tokenizer.ggml.eos_token_id", "d4 d6"},
};

static keys take_keys(const key *list, size_t n)
{
    keys k = {.n = (int)n};
    memcpy(k.list, list, n * sizeof *list);
    return k;
}

#define LLAMA take_keys(llama_keys, sizeof llama_keys / sizeof *llama_keys)
#define GPT2  take_keys(gpt2_keys, sizeof gpt2_keys / sizeof *gpt2_keys)

/* Set a key; without words leave it out. */
static void set_key(keys *k, const char *name, const char *words)
{
    int i = 0;
    while (i < k->n && strcmp(k->list[i].name, name) != 0) i++;
    if (!words) {
        assert_true(i < k->n);
        k->list[i] = k->list[--k->n];
        return;
    }
    assert_true(i < MAX_KEYS);
    k->list[i] = (key){name, words};
    if (i == k->n) k->n++;
}

/* The file, U+2581 for each _ in the words of the tokens. */
static gguf_maker make_file(const keys *k)
{
    gguf_maker m = {0};
    gm_header(&m, 0, (uint64_t)k->n);
    for (int i = 0; i < k->n; i++) {
        gm_string(&m, k->list[i].name);
        if (strcmp(k->list[i].name, "tokenizer.ggml.tokens") != 0 || !strchr(k->list[i].words, '_')) {
            gm_words(&m, k->list[i].words);
            continue;
        }
        char words[1000];
        snprintf(words, sizeof words, "%s", k->list[i].words);
        for (char *at = words, *word; (word = strtok(at, " ")); at = NULL) {
            char text[1000];
            size_t n = 0;
            if (*word != 's') {
                gm_words(&m, word);
                continue;
            }
            for (const char *p = word + 1; *p; p++) {
                if (*p == '_')
                    n += (size_t)sprintf(text + n, "\xe2\x96\x81");
                else
                    text[n++] = *p;
            }
            gm_string_n(&m, text, n);
        }
    }
    return m;
}

static gsa_status open_file(const gguf_maker *m, const gsa_allocator *a, gsa_tokenizer **t)
{
    const gsa_source source = {.name = "hand.gguf", .data = m->bytes, .size = m->n};
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .source = &source, .allocator = a};
    return gsa_tokenizer_create(&params, t);
}

static gsa_tokenizer *open_keys(const keys *k)
{
    gguf_maker m = make_file(k);
    gsa_tokenizer *t;
    if (open_file(&m, NULL, &t) != GSA_OK) fail_msg("%s", gsa_error_text());
    gm_free(&m);
    return t;
}

/* ids: separated by spaces */
static void assert_encodes(const gsa_tokenizer *t, const char *text, bool special, const char *ids)
{
    int32_t found[64];
    size_t n;
    char line[400] = "";
    assert_int_equal(gsa_tokenizer_encode(t, text, strlen(text), special, found, 64, &n), GSA_OK);
    for (size_t i = 0; i < n; i++) sprintf(line + strlen(line), "%s%d", i ? " " : "", (int)found[i]);
    if (strcmp(line, ids) != 0) fail_msg("\"%s\" gives %s, expected %s", text, line, ids);
}

static void assert_decodes(const gsa_tokenizer *t, const int32_t *ids, size_t n_ids, bool skip, const char *text)
{
    char found[200];
    size_t n;
    assert_int_equal(gsa_tokenizer_decode(t, ids, n_ids, skip, found, sizeof found - 1, &n), GSA_OK);
    found[n] = 0;
    assert_string_equal(found, text);
}

static void tokenizer_gguf_llama_merges_by_score(void **state)
{
    (void)state;
    keys k = LLAMA;
    gsa_tokenizer *t = open_keys(&k);
    assert_string_equal(gsa_tokenizer_kind(t), "SentencePiece BPE by scores");
    assert_int_equal(gsa_tokenizer_n_vocab(t), 14);
    assert_int_equal(gsa_tokenizer_bos(t), 1);
    assert_int_equal(gsa_tokenizer_eos(t), -1); /* it is known but not added */
    assert_encodes(t, "a", true, "1 11");
    assert_encodes(t, "a", false, "11");
    assert_encodes(t, "ab", false, "5 10");    /* ab has a better score than _a */
    assert_encodes(t, "abc", false, "5 10 8"); /* ab and bc are equal: the left one */
    assert_encodes(t, "cbc", false, "5 8 9");  /* and bc where ab is not */
    assert_encodes(t, "", true, "1");
    assert_encodes(t, "b\xc3\xa9", false, "5 7 3 4"); /* bytes */
    assert_encodes(t, "\xc3\xa8", false, "5 0");      /* a byte has no token: unknown */
    assert_encodes(t, "b<s>b", false, "5 7 1 5 7");
    assert_encodes(t, "b<user>b", false, "5 7 12 5 7");
    assert_encodes(t, "unused", false, "5 0"); /* never made; unknown characters in a row are one */
    assert_true(gsa_tokenizer_is_special(t, 1) && !gsa_tokenizer_is_special(t, 12));
    assert_decodes(t, (const int32_t[]){1, 11, 10, 5, 12, 3, 4}, 7, true, "aab <user>\xc3\xa9");
    assert_decodes(t, (const int32_t[]){1, 11}, 2, false, "<s> a");
    gsa_tokenizer_destroy(t);
}

static void tokenizer_gguf_settings_are_followed(void **state)
{
    (void)state;
    keys k = LLAMA;
    set_key(&k, "tokenizer.ggml.add_space_prefix", "d7 c0");
    set_key(&k, "tokenizer.ggml.add_bos_token", "d7 c0");
    set_key(&k, "tokenizer.ggml.add_eos_token", "d7 c1");
    gsa_tokenizer *t = open_keys(&k);
    assert_encodes(t, "a", true, "6 2");
    assert_encodes(t, " a", true, "11 2");
    assert_int_equal(gsa_tokenizer_bos(t), -1);
    assert_int_equal(gsa_tokenizer_eos(t), 2);
    assert_decodes(t, (const int32_t[]){11}, 1, false, " a");
    gsa_tokenizer_destroy(t);

    k = LLAMA; /* ids that files leave out have the place SentencePiece gives them */
    set_key(&k, "tokenizer.ggml.bos_token_id", NULL);
    set_key(&k, "tokenizer.ggml.unknown_token_id", "d4 d8");
    t = open_keys(&k);
    assert_encodes(t, "ax", true, "1 11 8");
    gsa_tokenizer_destroy(t);

    k = LLAMA; /* scores as integers; no types: all tokens are ordinary */
    set_key(&k, "tokenizer.ggml.scores", "d9 d5 q14 d0 d0 d0 d0 d0 d0 d0 d0 d0 d1 d2 d3 d0 d0");
    set_key(&k, "tokenizer.ggml.token_type", NULL);
    t = open_keys(&k);
    assert_encodes(t, "abc", false, "11 9");
    assert_encodes(t, "<s>", true, "1 5"); /* the start token is added, but none stands in the text */
    gsa_tokenizer_destroy(t);
}

static void tokenizer_gguf_byte_level_files_are_read(void **state)
{
    (void)state;
    keys k = GPT2;
    gsa_tokenizer *t = open_keys(&k);
    assert_string_equal(gsa_tokenizer_kind(t), "byte-level BPE, split as GPT-2");
    assert_encodes(t, "ab!<end>a b", true, "4 3 6 0 5 1");
    assert_encodes(t, "ab1", true, "4 2"); /* letters and numbers are cut before merging */
    assert_int_equal(gsa_tokenizer_bos(t), -1);
    assert_true(gsa_tokenizer_is_special(t, 6));
    assert_decodes(t, (const int32_t[]){0, 5, 4, 6}, 4, false, "a ab<end>");
    gsa_tokenizer_destroy(t);

    set_key(&k, "tokenizer.ggml.add_space_prefix", "d7 c1");
    t = open_keys(&k);
    assert_encodes(t, "b", true, "5 1");
    gsa_tokenizer_destroy(t);

    /* Rules that come with a start token and whole words, when the file names the token. */
    k = GPT2;
    set_key(&k, "tokenizer.ggml.pre", "d8 sllama-bpe");
    t = open_keys(&k);
    assert_encodes(t, "b", true, "1");
    gsa_tokenizer_destroy(t);
    set_key(&k, "tokenizer.ggml.bos_token_id", "d4 d6");
    t = open_keys(&k);
    assert_encodes(t, "b", true, "6 1");
    gsa_tokenizer_destroy(t);
    set_key(&k, "tokenizer.ggml.add_bos_token", "d7 c0");
    t = open_keys(&k);
    assert_encodes(t, "b", true, "1");
    gsa_tokenizer_destroy(t);

    for (uint32_t i = 0; i < gsai_gguf_n_pres; i++) {
        char words[64];
        snprintf(words, sizeof words, "d8 s%s", gsai_gguf_pres[i].name);
        set_key(&k, "tokenizer.ggml.pre", words);
        t = open_keys(&k);
        assert_encodes(t, "ab", false, "4");
        gsa_tokenizer_destroy(t);
    }
    set_key(&k, "tokenizer.ggml.pre", NULL); /* old files */
    t = open_keys(&k);
    assert_string_equal(gsa_tokenizer_kind(t), "byte-level BPE, split as GPT-2");
    gsa_tokenizer_destroy(t);
}

static void tokenizer_gguf_rules_cut_digits_as_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *pre, *ids, *ids_12;
    } cases[] = {
        {"d8 sgpt-2", "0 1 3", "5"},
        {"d8 sllama-bpe", "0 1 1 2", "5"},
        {"d8 sqwen2", "0 1 1 2", "2 6"},
        {"d8 sstarcoder", "0 4 2", "2 6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        keys k = GPT2; /* a, space, 1, space and 1, two spaces, 12, 2 */
        set_key(&k, G "tokens",
            "d9 d8 q7 sa x0200000000000000c4a0 s1 x0300000000000000c4a031 x0400000000000000c4a0c4a0 s12 s2");
        set_key(
            &k, G "merges", "d9 d8 q3 x0400000000000000c4a02031 x0500000000000000c4a020c4a0 x0300000000000000312032");
        set_key(&k, G "token_type", NULL);
        set_key(&k, G "pre", cases[i].pre);
        gsa_tokenizer *t = open_keys(&k);
        assert_encodes(t, "a  1", false, cases[i].ids);
        assert_encodes(t, "12", false, cases[i].ids_12);
        gsa_tokenizer_destroy(t);
    }
}

typedef struct bad_key {
    bool gpt2;
    const char *name, *words;
    gsa_status status;
    const char *says;
} bad_key;

#define F GSA_ERROR_FORMAT
#define U GSA_ERROR_UNSUPPORTED

static void tokenizer_gguf_bad_files_are_refused_by_name(void **state)
{
    (void)state;
    static char long_token[600];
    snprintf(long_token, sizeof long_token,
        "d9 d8 q14 s<unk> s<s> s</s> s<0xC3> s<0xA9> s%0300d sa sb sc sab sbc s_a s<u> su", 0);
    const bad_key cases[] = {
        {false, G "model", NULL, F, "has no tokenizer"},
        {false, G "model", "d8 snone", F, "has no tokenizer"},
        {false, G "model", "d8 sbert", U, "a tokenizer of kind \"bert\" is not supported, only llama and gpt2"},
        {false, G "model", "d4 d1", F, "key tokenizer.ggml.model: expected a string, it is u32"},
        {false, G "tokens", NULL, F, "key tokenizer.ggml.tokens is missing"},
        {false, G "tokens", "d9 d4 q1 d1", F, "expected an array of string, it is an array of u32"},
        {false, G "tokens", "d9 d8 q2 sa sb", F, "has 14 items, expected one for each of the 2 tokens"},
        {false, G "tokens", "d9 d8 q14 s<unk> s<s> s</s> s<0xC3> s<0xA9> s_ sa sb sc sab sbc s_a s<u> sa", F,
            "the token \"a\" has the ids 6 and 13"},
        {false, G "tokens",
            "d9 d8 q14 s<unk> s<s> s</s> s<0xC3> s<0xA9> x0100000000000000ff sa sb sc sab sbc sx s<u> sy", F,
            "token 5 is not valid UTF-8"},
        {false, G "tokens", long_token, U, "token 5 has 300 bytes, at most 256"},
        {false, G "scores", NULL, F, "key tokenizer.ggml.scores is missing"},
        {false, G "scores", "d9 d6 q1 d0", F, "key tokenizer.ggml.scores: has 1 items"},
        {false, G "scores", "d9 d12 q1 q0", F, "expected an array of f32, it is an array of f64"},
        {false, G "scores", "d9 d6 q14 d0 d0 d0 d0 d0 d0 d0xffc00000 d0 d0 d0 d0 d0 d0 d0", F, "token 6 has no number"},
        {false, G "token_type", "d9 d5 q14 d7 d3 d3 d6 d6 d1 d1 d1 d1 d1 d1 d1 d4 d5", F, "token 0 has type 7"},
        {false, G "token_type", "d9 d5 q14 d0xffffffff d3 d3 d6 d6 d1 d1 d1 d1 d1 d1 d1 d4 d5", F, "has type -1"},
        {false, G "token_type", "d9 d5 q1 d1", F, "key tokenizer.ggml.token_type: has 1 items"},
        {false, G "bos_token_id", "d4 d14", F, "key tokenizer.ggml.bos_token_id: is 14, expected 0..13"},
        {false, G "eos_token_id", "d5 d0xffffffff", F, "key tokenizer.ggml.eos_token_id: is -1"},
        {false, G "add_space_prefix", "d4 d1", F, "expected a bool, it is u32"},
        {false, G "add_sep_token", "d7 c1", U, "key tokenizer.ggml.add_sep_token: true is not supported"},
        {false, G "remove_extra_whitespaces", "d7 c1", U, "remove_extra_whitespaces: true is not supported"},
        {true, G "merges", NULL, F, "key tokenizer.ggml.merges is missing"},
        {true, G "merges", "d9 d8 q1 sab", F, "merge 0 should be two tokens with one space between"},
        {true, G "merges", "d9 d8 q1 x02000000000000006120", F, "merge 0 should be two tokens"},
        {true, G "merges", "d9 d8 q1 x02000000000000002061", F, "merge 0 should be two tokens"},
        {true, G "merges", "d9 d8 q1 x05000000000000006120622031", F, "merge 0 should be two tokens"},
        {true, G "merges", "d9 d8 q1 q0", F, "merge 0 should be two tokens"},
        {true, G "merges", "d9 d8 q1 x0300000000000000612063", F, "merge 0 names \"c\""},
        {true, G "merges", "d9 d8 q1 x0300000000000000622061", F, "merge 0 makes \"ba\""},
        {true, G "pre", "d8 sgpt-4o", U, "key tokenizer.ggml.pre: the rule \"gpt-4o\" to cut text is not supported"},
        {true, G "pre", "d4 d1", F, "key tokenizer.ggml.pre: expected a string"},
        {true, G "add_bos_token", "d7 c1", F, "add_bos_token is true, but tokenizer.ggml.bos_token_id is missing"},
        {true, "tokenizer.huggingface.json", "d8 s{", F, "key tokenizer.huggingface.json: not valid JSON"},
        {true, "tokenizer.huggingface.json", "d4 d1", F, "expected a string, it is u32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        keys k = cases[i].gpt2 ? GPT2 : LLAMA;
        set_key(&k, cases[i].name, cases[i].words);
        gguf_maker m = make_file(&k);
        counting_alloc count = {.fail_at = -1};
        const gsa_allocator a = counting_allocator(&count);
        gsa_tokenizer *t = (gsa_tokenizer *)&k;
        const gsa_status status = open_file(&m, &a, &t);
        if (status != cases[i].status || t || !strstr(gsa_error_text(), cases[i].says) ||
            strncmp(gsa_error_text(), "hand.gguf: ", 11) != 0 || strstr(gsa_error_text() + 11, "hand.gguf"))
            fail_msg("%s = %s: %s \"%s\", expected %s \"%s\"", cases[i].name,
                cases[i].words ? cases[i].words : "(none)", gsa_status_name(status), gsa_error_text(),
                gsa_status_name(cases[i].status), cases[i].says);
        assert_int_equal(count.alive, 0);
        gm_free(&m);
    }
}

static void tokenizer_gguf_json_that_is_not_known_here_is_passed_over(void **state)
{
    (void)state;
    keys k = GPT2;
    set_key(&k, "tokenizer.huggingface.json", "d8 s{\"model\":{\"type\":\"Unigram\"}}");
    gsa_tokenizer *t = open_keys(&k);
    assert_encodes(t, "ab!", true, "4 3");
    gsa_tokenizer_destroy(t);
    gguf_maker m = {0};
    gm_header(&m, 0, 1);
    gm_text(&m, "tokenizer.huggingface.json", "{\"model\":{\"type\":\"Unigram\"}}");
    assert_int_equal(open_file(&m, NULL, &t), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "Unigram"));
    gm_free(&m);
}

static void tokenizer_gguf_truncation_and_failing_memory_do_no_harm(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        keys k = kind ? GPT2 : LLAMA;
        gguf_maker m = make_file(&k);
        gsa_tokenizer *t;
        for (size_t n = 4; n < m.n; n++) {
            gguf_maker cut = {0};
            gm_raw(&cut, m.bytes, n);
            assert_int_equal(open_file(&cut, NULL, &t), GSA_ERROR_FORMAT);
            gm_free(&cut);
        }
        for (long n = 0;; n++) {
            counting_alloc count = {.fail_at = n};
            const gsa_allocator a = counting_allocator(&count);
            const gsa_status status = open_file(&m, &a, &t);
            gsa_tokenizer_destroy(t);
            assert_int_equal(count.alive, 0);
            if (status == GSA_OK) {
                assert_true(n > 15);
                break;
            }
            assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
        }
        gm_free(&m);
    }
}

/* ---- what is written ---- */

static gsa_status export_json(const char *json, uint32_t n_vocab, const gsa_log *log, const gsa_allocator *a, made *m)
{
    const gsai_tokenizer_export e = {.name = "t.json",
        .json = json,
        .json_size = strlen(json),
        .n_vocab = n_vocab,
        .bos_id = 5,
        .eos_id = 6,
        .log = log};
    gsai_gguf_writer *w = new_writer();
    const gsa_status status = gsai_tokenizer_to_gguf(&e, a, w);
    if (status == GSA_OK && m)
        finish(w, m);
    else
        gsai_gguf_writer_destroy(w);
    return status;
}

static gsai_gguf *open_made(const made *m, gsai_source **source)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_gguf *g;
    assert_int_equal(gsai_source_open_path(m->path, &a, source), GSA_OK);
    if (gsai_gguf_open(*source, &a, &g) != GSA_OK) fail_msg("%s", gsa_error_text());
    return g;
}

/* Mistral's kind in small: id 3 is a gap, "zz" has no merge, "ab" two. */
static const char small_json[] =
    "{\"version\":\"1.0\",\"added_tokens\":["
    "{\"id\":0,\"content\":\"<unk>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":11,\"content\":\"<add>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":false}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}]},"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},"
    "\"content\":\" \"},"
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,"
    "\"vocab\":{\"<unk>\":0,\"<s>\":1,\"<0x41>\":2,\"a\":4,\"b\":5,\"z\":6,\"ab\":7,\"abz\":8,\"zz\":9,\"\\u2581\":10,"
    "\"bz\":12},"
    "\"merges\":[[\"b\",\"z\"],[\"a\",\"b\"],[\"ab\",\"z\"],[\"a\",\"bz\"]]}}";

static void tokenizer_gguf_written_keys_say_what_other_readers_need(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    made m;
    gsai_source *source;
    if (export_json(small_json, 15, NULL, &a, &m) != GSA_OK) fail_msg("%s", gsa_error_text());
    gsai_gguf *g = open_made(&m, &source);
    static const char *const texts[] = {"<unk>", "<s>", "<0x41>", "[PAD3]", "a", "b", "z", "ab", "abz", "zz",
        "\xe2\x96\x81", "<add>", "bz", "[PAD13]", "[PAD14]"};
    static const int types[] = {2, 1, 6, 5, 1, 1, 1, 1, 1, 5, 1, 4, 1, 5, 5};
    static const float scores[] = {0, 0, 0, 0, -4, -4, -4, -1, -2, 0, -4, 0, 0, 0, 0};
    gsai_gguf_value tokens, kinds, numbers, token = {0}, kind = {0}, number = {0};
    gsai_text text;
    uint32_t id;
    bool on = false;
    assert_int_equal(gsai_gguf_get_text(g, "tokenizer.ggml.model", true, &text), GSA_OK);
    assert_memory_equal(text.bytes, "llama", 5);
    assert_int_equal(gsai_gguf_get_array(g, "tokenizer.ggml.tokens", true, GSAI_GGUF_STRING, &tokens), GSA_OK);
    assert_int_equal(gsai_gguf_get_array(g, "tokenizer.ggml.token_type", true, GSAI_GGUF_I32, &kinds), GSA_OK);
    assert_int_equal(gsai_gguf_get_array(g, "tokenizer.ggml.scores", true, GSAI_GGUF_F32, &numbers), GSA_OK);
    assert_int_equal(tokens.n, 15);
    for (int i = 0; i < 15; i++) {
        assert_true(
            gsai_gguf_next(&tokens, &token) && gsai_gguf_next(&kinds, &kind) && gsai_gguf_next(&numbers, &number));
        assert_int_equal(token.n, strlen(texts[i]));
        assert_memory_equal(token.bytes, texts[i], token.n);
        if (i != 1) assert_int_equal(gsai_gguf_integer(&kind), types[i]);
        if (i != 1 && i != 12) assert_true(gsai_gguf_float(&number) == (double)scores[i]);
    }
    assert_int_equal(gsai_gguf_get_u32(g, "tokenizer.ggml.bos_token_id", true, 5, 5, &id), GSA_OK);
    assert_int_equal(gsai_gguf_get_u32(g, "tokenizer.ggml.eos_token_id", true, 6, 6, &id), GSA_OK);
    assert_int_equal(gsai_gguf_get_u32(g, "tokenizer.ggml.unknown_token_id", true, 0, 0, &id), GSA_OK);
    assert_int_equal(gsai_gguf_get_bool(g, "tokenizer.ggml.add_space_prefix", true, &on), GSA_OK);
    assert_true(on);
    assert_int_equal(gsai_gguf_get_bool(g, "tokenizer.ggml.add_bos_token", true, &on), GSA_OK);
    assert_false(on);
    assert_int_equal(gsai_gguf_get_text(g, "tokenizer.huggingface.json", true, &text), GSA_OK);
    assert_int_equal(text.length, strlen(small_json));
    assert_memory_equal(text.bytes, small_json, text.length);
    gsai_gguf_close(g);
    gsai_source_close(source);
    remove_made(&m);
}

static void count_warning(void *user, gsa_log_level level, const char *text)
{
    assert_int_equal(level, GSA_LOG_WARNING);
    assert_non_null(strstr(text, "only gsa-vk will understand"));
    ++*(int *)user;
}

static void tokenizer_gguf_rules_without_a_name_are_written_whole_and_warned_about(void **state)
{
    (void)state;
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    int n_warnings = 0;
    const gsa_log log = {count_warning, &n_warnings, GSA_LOG_DEBUG};
    char json[2048];
    made m;
    /* "Prepend" of something else */
    snprintf(json, sizeof json, "%s", small_json);
    memcpy(strstr(json, "\"prepend\":\"\\u2581\""), "\"prepend\":\"\\u2582\"", 18);
    assert_int_equal(export_json(json, 0, &log, &a, &m), GSA_OK);
    assert_int_equal(n_warnings, 1);
    gsai_source *source;
    gsai_gguf *g = open_made(&m, &source);
    assert_null(gsai_gguf_find(g, "tokenizer.ggml.model"));
    assert_non_null(gsai_gguf_find(g, "tokenizer.huggingface.json"));
    gsai_gguf_close(g);
    gsai_source_close(source);
    gsa_tokenizer *t = open_path(m.path);
    assert_int_equal(gsa_tokenizer_n_vocab(t), 13);
    gsa_tokenizer_destroy(t);
    remove_made(&m);
    assert_int_equal(export_json("{}", 0, &log, &a, NULL), GSA_ERROR_FORMAT);
    assert_non_null(strstr(gsa_error_text(), "t.json"));
}

static void tokenizer_gguf_export_without_memory_leaves_nothing(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        counting_alloc count = {.fail_at = n};
        const gsa_allocator a = counting_allocator(&count);
        const gsa_status status = export_json(small_json, 15, NULL, &a, NULL);
        assert_int_equal(count.alive, 0);
        if (status == GSA_OK) {
            assert_true(n > 15);
            break;
        }
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_gguf_ggml_keys_give_the_golden_ids_and_texts),
        cmocka_unit_test(tokenizer_gguf_whole_json_gives_the_golden_ids_and_texts),
        cmocka_unit_test(tokenizer_gguf_llama_merges_by_score),
        cmocka_unit_test(tokenizer_gguf_settings_are_followed),
        cmocka_unit_test(tokenizer_gguf_byte_level_files_are_read),
        cmocka_unit_test(tokenizer_gguf_rules_cut_digits_as_they_say),
        cmocka_unit_test(tokenizer_gguf_bad_files_are_refused_by_name),
        cmocka_unit_test(tokenizer_gguf_json_that_is_not_known_here_is_passed_over),
        cmocka_unit_test(tokenizer_gguf_truncation_and_failing_memory_do_no_harm),
        cmocka_unit_test(tokenizer_gguf_written_keys_say_what_other_readers_need),
        cmocka_unit_test(tokenizer_gguf_rules_without_a_name_are_written_whole_and_warned_about),
        cmocka_unit_test(tokenizer_gguf_export_without_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
