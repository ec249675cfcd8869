#include "text/decode.h"

#include "text/rewrite.h"
#include "text/unicode.h"
#include "util/status.h"

static gsa_status no_memory(void)
{
    return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory to decode a token");
}

/* Give out text, less the characters to strip from the start. out has the room. */
static void emit(gsai_decoder *d, const char *text, size_t n, gsai_buffer *out)
{
    const gsai_vocab *v = d->v;
    const size_t n_strip = strlen(v->strip);
    for (; n && d->n_stripped < v->n_strip; text += n_strip, n -= n_strip) {
        if (n < n_strip || memcmp(text, v->strip, n_strip) != 0) {
            d->n_stripped = v->n_strip;
            break;
        }
        d->n_stripped++;
    }
    gsai_buffer_put(out, text, n);
}

/* A run of byte tokens ends: it is a text as a whole, or each of its bytes is lost. */
static void end_bytes(gsai_decoder *d, gsai_buffer *out)
{
    if (gsai_utf8_is_valid(d->held.data, d->held.size)) {
        emit(d, d->held.data, d->held.size, out);
    } else {
        for (size_t i = 0; i < d->held.size; i++) emit(d, GSAI_UTF8_REPLACEMENT, 3, out);
    }
    d->held.size = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The byte of a token "<0x41>"; -1 for others. The number may be written "+F", as `tokenizers` reads it. */
static int byte_token(const gsai_buffer *t)
{
    if (t->size != 6 || memcmp(t->data, "<0x", 3) != 0 || t->data[5] != '>') return -1;
    const int high = t->data[3] == '+' ? 0 : hex_digit(t->data[3]), low = hex_digit(t->data[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Characters back to bytes; a token with a character that stands for no byte is its own bytes. */
static void unmap_bytes(gsai_buffer *t)
{
    for (size_t i = 0; i < t->size; i += gsai_utf8_size(t->data[i])) {
        if (gsai_char_to_byte(gsai_utf8_get(t->data + i)) < 0) return;
    }
    size_t n = 0;
    for (size_t i = 0, size; i < t->size; i += size) {
        size = gsai_utf8_size(t->data[i]);
        t->data[n++] = (char)gsai_char_to_byte(gsai_utf8_get(t->data + i));
    }
    t->size = n;
}

/* Marks to spaces, or to nothing. */
static void unmark(gsai_buffer *t, const char *mark, bool drop)
{
    const size_t n_mark = strlen(mark);
    size_t n = 0;
    for (size_t i = 0; i < t->size;) {
        if (t->size - i >= n_mark && memcmp(t->data + i, mark, n_mark) == 0) {
            if (!drop) t->data[n++] = ' ';
            i += n_mark;
        } else {
            t->data[n++] = t->data[i++];
        }
    }
    t->size = n;
}

/* Characters that are whole leave; the start of one stays held. at_end: it never becomes whole. */
static void drain_utf8(gsai_decoder *d, bool at_end, gsai_buffer *out)
{
    size_t i = 0, size;
    for (; i < d->held.size; i += size) {
        const gsai_utf8 kind = gsai_utf8_next(d->held.data + i, d->held.size - i, &size);
        if (kind == GSAI_UTF8_INCOMPLETE && !at_end) break;
        if (kind == GSAI_UTF8_CHAR)
            emit(d, d->held.data + i, size, out);
        else
            emit(d, GSAI_UTF8_REPLACEMENT, 3, out);
    }
    memmove(d->held.data, d->held.data + i, d->held.size - i);
    d->held.size -= i;
}

gsa_status gsai_decoder_push(gsai_decoder *d, int32_t id, gsai_buffer *out)
{
    const gsai_vocab *v = d->v;
    const gsa_allocator *a = &v->allocator;
    if (id < 0 || (uint32_t)id >= v->n_tokens)
        return gsai_fail(GSA_ERROR_ARGUMENT, "token id %d is not below the vocabulary's size, %u", id, v->n_tokens);
    const unsigned flags = v->tokens[id].flags;
    if (!flags || (d->skip_special && flags & GSAI_TOKEN_SPECIAL)) return GSA_OK;
    size_t size;
    const char *text = gsai_vocab_decoded_text(v, (uint32_t)id, &size);
    gsai_buffer *t = &d->token;
    t->size = 0;
    if (!gsai_buffer_append(a, t, text, size)) return no_memory();
    gsa_status status = gsai_rewrite_apply(a, v->decoder, v->n_decoder, t, &d->other, gsai_rewrite_limit(size));
    if (status != GSA_OK) return status;
    /* All memory is taken here: each byte becomes three at most; a separator; a NUL that the caller may want. */
    if (!gsai_buffer_reserve(a, &d->held, t->size) || !gsai_buffer_reserve(a, out, 3 * (d->held.size + t->size) + 2))
        return no_memory();
    switch (v->decoding) {
    case GSAI_DECODE_SPACED:
        if (d->started) gsai_buffer_put(out, " ", 1);
        gsai_buffer_put(out, t->data, t->size);
        break;
    case GSAI_DECODE_PLAIN:;
        const int byte = v->decode_bytes ? byte_token(t) : -1;
        if (byte >= 0) {
            d->held.data[d->held.size++] = (char)byte;
        } else {
            if (d->held.size) end_bytes(d, out);
            emit(d, t->data, t->size, out);
        }
        break;
    case GSAI_DECODE_MARK:
        unmark(t, v->decode_mark, v->decode_drops_mark && !d->started);
        gsai_buffer_put(out, t->data, t->size);
        break;
    case GSAI_DECODE_BYTE_LEVEL:
        unmap_bytes(t);
        gsai_buffer_put(&d->held, t->data, t->size);
        if (d->held.size) drain_utf8(d, false, out);
        break;
    }
    d->started = true;
    return GSA_OK;
}

gsa_status gsai_decoder_finish(gsai_decoder *d, gsai_buffer *out)
{
    const gsai_vocab *v = d->v;
    if (d->held.size) {
        if (!gsai_buffer_reserve(&v->allocator, out, 3 * d->held.size + 1)) return no_memory();
        if (v->decoding == GSAI_DECODE_BYTE_LEVEL)
            drain_utf8(d, true, out);
        else
            end_bytes(d, out);
    }
    d->started = false;
    d->n_stripped = 0;
    return GSA_OK;
}

void gsai_decoder_free(gsai_decoder *d)
{
    const gsa_allocator *a = &d->v->allocator;
    gsai_buffer_free(a, &d->held);
    gsai_buffer_free(a, &d->token);
    gsai_buffer_free(a, &d->other);
}
