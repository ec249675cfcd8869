#include "gguf/walk.h"

#include "gguf/types.h"
#include "util/alloc.h"
#include "util/status.h"

#include <stdio.h>
#include <string.h>

typedef unsigned long long ull; /* for %llu */

#define FIRST_LOAD ((uint64_t)64 << 10)

/* Have the next n bytes in memory. */
static gsa_status need(gsai_gguf_walk *w, uint64_t n)
{
    const uint64_t size = w->source->size;
    if (n > size - w->at)
        return gsai_fail(GSA_ERROR_FORMAT,
            "%llu bytes are expected at byte %llu, but only %llu are left (is it cut short?)", (ull)n, (ull)w->at,
            (ull)(size - w->at));
    if (n > GSAI_GGUF_MAX_HEADER - w->at)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "the header has more than %u bytes", GSAI_GGUF_MAX_HEADER);
    if (w->at + n <= w->loaded) return GSA_OK;
    uint64_t wanted = w->at + n > 2 * w->loaded ? w->at + n : 2 * w->loaded;
    if (wanted < FIRST_LOAD) wanted = FIRST_LOAD;
    if (wanted > size) wanted = size;
    if (wanted > GSAI_GGUF_MAX_HEADER) wanted = GSAI_GGUF_MAX_HEADER;
    uint8_t *bytes = gsai_realloc_array(w->allocator, w->bytes, (size_t)wanted, 1);
    if (!bytes) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for %llu bytes of header", (ull)wanted);
    w->bytes = bytes;
    const gsa_status status = gsai_source_read(w->source, w->loaded, wanted - w->loaded, bytes + w->loaded);
    if (!status) w->loaded = wanted;
    return status;
}

static gsa_status take_u32(gsai_gguf_walk *w, uint32_t *out)
{
    const gsa_status status = need(w, 4);
    if (status) return status;
    *out = gsai_gguf_u32_at(w->bytes + w->at);
    w->at += 4;
    return GSA_OK;
}

static gsa_status take_u64(gsai_gguf_walk *w, uint64_t *out)
{
    const gsa_status status = need(w, 8);
    if (status) return status;
    *out = gsai_gguf_u64_at(w->bytes + w->at);
    w->at += 8;
    return GSA_OK;
}

/* A key or a tensor's name: length and characters. *shown gets its start, for messages. */
static gsa_status take_name(gsai_gguf_walk *w, uint64_t max, bool ascii, char shown[160])
{
    uint64_t n;
    gsa_status status = take_u64(w, &n);
    if (status) return status;
    if (n == 0 || n > max) return gsai_fail(GSA_ERROR_FORMAT, "has %llu bytes, expected 1..%llu", (ull)n, (ull)max);
    if ((status = need(w, n))) return status;
    const uint8_t *p = w->bytes + w->at;
    for (uint64_t i = 0; i < n; i++) {
        if (p[i] < 0x20 || p[i] == 0x7f || (ascii && p[i] >= 0x80))
            return gsai_fail(GSA_ERROR_FORMAT, "byte %llu of it is 0x%02x, expected %s", (ull)i, p[i],
                ascii ? "printable ASCII" : "no control character");
    }
    snprintf(shown, 160, "%.*s", (int)(n < 150 ? n : 150), (const char *)p);
    w->at += n;
    w->n_name_bytes += n + 1;
    return GSA_OK;
}

static gsa_status take_kind(gsai_gguf_walk *w, gsai_gguf_kind *kind)
{
    uint32_t number;
    const gsa_status status = take_u32(w, &number);
    if (status) return status;
    if (number >= GSAI_GGUF_N_KINDS)
        return gsai_fail(GSA_ERROR_FORMAT, "value type %u, expected 0..%d", number, GSAI_GGUF_N_KINDS - 1);
    *kind = (gsai_gguf_kind)number;
    return GSA_OK;
}

/* The least bytes an item can take. */
static uint32_t min_bytes(gsai_gguf_kind kind)
{
    return kind == GSAI_GGUF_STRING ? 8 : kind == GSAI_GGUF_ARRAY ? 12 : gsai_gguf_kind_bytes(kind);
}

static gsa_status check_bools(const gsai_gguf_walk *w, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (w->bytes[w->at + i] > 1)
            return gsai_fail(GSA_ERROR_FORMAT, "a bool is %u, expected 0 or 1", w->bytes[w->at + i]);
    }
    return GSA_OK;
}

static gsa_status skip_values(gsai_gguf_walk *w, gsai_gguf_kind kind, uint64_t n, int depth)
{
    gsa_status status;
    const uint32_t item = min_bytes(kind);
    if (n > (w->source->size - w->at) / item)
        return gsai_fail(GSA_ERROR_FORMAT,
            "claims %llu values of type %s, but only %llu bytes are left (is it cut short?)", (ull)n,
            gsai_gguf_kind_name(kind), (ull)(w->source->size - w->at));
    if (kind != GSAI_GGUF_STRING && kind != GSAI_GGUF_ARRAY) {
        if ((status = need(w, n * item))) return status;
        if (kind == GSAI_GGUF_BOOL && (status = check_bools(w, n))) return status;
        w->at += n * item;
        return GSA_OK;
    }
    if (kind == GSAI_GGUF_ARRAY && depth == GSAI_GGUF_MAX_DEPTH)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "has more than %d arrays in each other", GSAI_GGUF_MAX_DEPTH);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t count;
        gsai_gguf_kind items = GSAI_GGUF_N_KINDS;
        if (kind == GSAI_GGUF_ARRAY && (status = take_kind(w, &items))) return status;
        if ((status = take_u64(w, &count))) return status;
        if (kind == GSAI_GGUF_ARRAY) {
            if ((status = skip_values(w, items, count, depth + 1))) return status;
        } else {
            if ((status = need(w, count))) return status;
            w->at += count;
        }
    }
    return GSA_OK;
}

static gsa_status walk_pair(gsai_gguf_walk *w, uint64_t i)
{
    char key[160];
    gsai_gguf_kind kind = GSAI_GGUF_N_KINDS;
    gsa_status status = take_name(w, GSAI_GGUF_MAX_KEY, true, key);
    if (status) return gsai_fail_in(status, "key of metadata %llu", (ull)i);
    status = take_kind(w, &kind);
    if (!status) status = skip_values(w, kind, 1, 0);
    return status ? gsai_fail_in(status, "key %s", key) : GSA_OK;
}

static gsa_status walk_tensor(gsai_gguf_walk *w, uint64_t i)
{
    char name[160];
    uint32_t n_dims, type;
    uint64_t ignored;
    gsa_status status = take_name(w, GSAI_GGUF_MAX_NAME - 1, false, name);
    if (status) return gsai_fail_in(status, "name of tensor %llu", (ull)i);
    status = take_u32(w, &n_dims);
    if (!status && n_dims > GSAI_GGUF_MAX_DIMS)
        status = gsai_fail(GSA_ERROR_FORMAT, "has %u dimensions, expected at most %d", n_dims, GSAI_GGUF_MAX_DIMS);
    for (uint32_t d = 0; d < n_dims && !status; d++) status = take_u64(w, &ignored);
    if (!status) status = take_u32(w, &type);
    if (!status) status = take_u64(w, &ignored);
    if (!status && !gsai_gguf_type_lookup(type)) w->n_name_bytes += GSAI_GGUF_TYPE_NAME;
    return status ? gsai_fail_in(status, "tensor %s", name) : GSA_OK;
}

/* What the first bytes say when they do not say GGUF version 3. */
static gsa_status check_start(gsai_gguf_walk *w)
{
    static const struct {
        char magic[5];
        const char *what;
    } others[] = {
        {"ggml", "a file of 2023 from before GGUF"},
        {"lmgg", "a file of 2023 from before GGUF"},
        {"fmgg", "a file of 2023 from before GGUF"},
        {"tjgg", "a file of 2023 from before GGUF"},
        {"FUGG", "a GGUF file with its magic in the wrong byte order"},
        {"PK\3\4", "a zip archive, perhaps a PyTorch checkpoint"},
    };
    gsa_status status = need(w, 8);
    if (status) return status;
    const uint32_t magic = gsai_gguf_u32_at(w->bytes), version = gsai_gguf_u32_at(w->bytes + 4);
    if (magic != GSAI_GGUF_MAGIC) {
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            if (memcmp(w->bytes, others[i].magic, 4) == 0)
                return gsai_fail(GSA_ERROR_FORMAT, "is %s, expected a GGUF file", others[i].what);
        }
        return gsai_fail(GSA_ERROR_FORMAT,
            "begins with bytes %02x %02x %02x %02x, expected \"GGUF\": not a GGUF file (a Hugging Face model is given "
            "as its "
            "folder)",
            w->bytes[0], w->bytes[1], w->bytes[2], w->bytes[3]);
    }
    w->at = 8;
    if (version == GSAI_GGUF_VERSION) return GSA_OK;
    if (version == GSAI_GGUF_VERSION << 24)
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "is a big-endian GGUF file; convert it with gguf_convert_endian.py of the Python package gguf");
    return gsai_fail(GSA_ERROR_UNSUPPORTED,
        "is GGUF version %u, this library reads version %u; write it anew with a %s tool", version, GSAI_GGUF_VERSION,
        version < GSAI_GGUF_VERSION ? "newer" : "matching");
}

static gsa_status check_count(const gsai_gguf_walk *w, const char *what, uint64_t n, uint64_t max, uint64_t least_bytes)
{
    const uint64_t left = w->source->size - w->at;
    if (n > left / least_bytes)
        return gsai_fail(GSA_ERROR_FORMAT, "claims %llu %s, but only %llu bytes are left (is it cut short?)", (ull)n,
            what, (ull)left);
    if (n > max)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "claims %llu %s, at most %llu are read", (ull)n, what, (ull)max);
    return GSA_OK;
}

gsa_status gsai_gguf_walk_header(gsai_gguf_walk *w)
{
    gsa_status status = check_start(w);
    if (!status) status = take_u64(w, &w->n_tensors);
    if (!status) status = take_u64(w, &w->n_pairs);
    /* length, one byte, kind, one byte; length, one byte, no dims, type, offset */
    if (!status) status = check_count(w, "metadata keys", w->n_pairs, GSAI_GGUF_MAX_KEYS, 8 + 1 + 4 + 1);
    if (!status) status = check_count(w, "tensors", w->n_tensors, GSAI_GGUF_MAX_TENSORS, 8 + 1 + 4 + 4 + 8);
    for (uint64_t i = 0; i < w->n_pairs && !status; i++) status = walk_pair(w, i);
    for (uint64_t i = 0; i < w->n_tensors && !status; i++) status = walk_tensor(w, i);
    return status;
}
