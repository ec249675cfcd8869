#include "fuzz_text.h"

#include "fuzz.h"

#include <string.h>

#define MAX_IDS 20000

/* The allocator may fail, and the rules of a file may make a text too long; nothing else can go wrong. */
static bool ok(gsa_status status)
{
    FUZZ_CHECK(status == GSA_OK || status == GSA_ERROR_HOST_MEMORY || status == GSA_ERROR_LIMIT);
    return status == GSA_OK;
}

static bool is_utf8(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        const unsigned char c = (unsigned char)text[i];
        const size_t more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (c >= 0x80 && (c < 0xc2 || c > 0xf4)) return false;
        if (more > n - i - 1) return false;
        for (size_t k = 1; k <= more; k++)
            if (((unsigned char)text[i + k] & 0xc0) != 0x80) return false;
        i += more + 1;
    }
    return true;
}

static void decode(const gsa_tokenizer *t, const int32_t *ids, size_t n_ids, bool skip_special)
{
    size_t n = 0, n2 = 0;
    if (!ok(gsa_tokenizer_decode(t, ids, n_ids, skip_special, NULL, 0, &n))) return;
    char *text = malloc(n + 1);
    FUZZ_CHECK(text);
    if (ok(gsa_tokenizer_decode(t, ids, n_ids, skip_special, text, n, &n2))) {
        FUZZ_CHECK(n2 == n && is_utf8(text, n));
        /* token by token gives the same text */
        gsa_detokenizer *d = NULL;
        size_t at = 0, n_piece = 0;
        const char *piece;
        bool whole = ok(gsa_detokenizer_create(t, skip_special, &d));
        for (size_t i = 0; whole && i < n_ids; i++) {
            whole = ok(gsa_detokenizer_push(d, ids[i], &piece, &n_piece));
            FUZZ_CHECK(!whole || (n_piece <= n - at && memcmp(text + at, piece, n_piece) == 0 && !piece[n_piece]));
            if (whole) at += n_piece;
        }
        if (whole && ok(gsa_detokenizer_finish(d, &piece, &n_piece)))
            FUZZ_CHECK(n_piece == n - at && memcmp(text + at, piece, n_piece) == 0);
        gsa_detokenizer_destroy(d);
    }
    free(text);
}

static void encode(const gsa_tokenizer *t, const char *text, size_t n, bool add_special)
{
    static int32_t ids[MAX_IDS];
    const uint32_t n_vocab = gsa_tokenizer_n_vocab(t);
    size_t n_ids = 0, n_again = 0;
    if (!ok(gsa_tokenizer_encode(t, text, n, add_special, NULL, 0, &n_ids)) || n_ids > MAX_IDS) return;
    if (!ok(gsa_tokenizer_encode(t, text, n, add_special, ids, MAX_IDS, &n_again))) return;
    FUZZ_CHECK(n_ids == n_again);
    for (size_t i = 0; i < n_ids; i++) {
        FUZZ_CHECK(ids[i] >= 0 && (uint32_t)ids[i] < n_vocab);
        FUZZ_CHECK(gsa_tokenizer_token_text(t, ids[i], NULL));
    }
    decode(t, ids, n_ids, true);
    decode(t, ids, n_ids, false);
}

void fuzz_use_tokenizer(const gsa_tokenizer *t, const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    (void)allocator;
    static const char sample[] =
        "Hello  world's 1234567 caf\xc3\xa9 \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x98\x80\r\n\n\t "
        "<s></s> \xff\xc3\xe2\x82 \xef\xbf\xbd_a ab 'la 'vx 'rx 're 've 'll 'Re we're w'rx w've w'vx w'll w'lx";
    const char *text = (const char *)data;
    const size_t part = size < 300 ? size : 300;
    encode(t, sample, sizeof sample, true); /* and the NUL */
    encode(t, NULL, 0, true);
    encode(t, text, part, false);
    encode(t, text + (size - part), part, true);
    encode(t, text + (size - part) / 2, part, false);

    const uint32_t n_vocab = gsa_tokenizer_n_vocab(t);
    int32_t ids[64];
    size_t n = 0;
    for (; n < 64 && n < n_vocab; n++) ids[n] = (int32_t)((n * 7919u + size) % n_vocab);
    decode(t, ids, n, false);
    for (n = 0; n < 64 && n < size && n_vocab; n++) ids[n] = (int32_t)(data[size - 1 - n] % n_vocab);
    decode(t, ids, n_vocab ? n : 0, true);
    for (uint32_t i = 0; i < n_vocab && i < 512; i++) {
        size_t n_text;
        const char *name = gsa_tokenizer_token_text(t, (int32_t)i, &n_text);
        if (name) FUZZ_CHECK(!name[n_text] && gsa_tokenizer_token_id(t, name, n_text) == (int32_t)i);
        (void)gsa_tokenizer_is_special(t, (int32_t)i);
    }
    FUZZ_CHECK(strlen(gsa_tokenizer_kind(t)) > 2);
    const int32_t bos = gsa_tokenizer_bos(t), eos = gsa_tokenizer_eos(t);
    FUZZ_CHECK(bos >= -1 && bos < (int32_t)n_vocab && eos >= -1 && eos < (int32_t)n_vocab);
    FUZZ_CHECK(!gsa_tokenizer_token_text(t, -1, NULL) && !gsa_tokenizer_token_text(t, (int32_t)n_vocab, NULL));
}
