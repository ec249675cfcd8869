/* Values of metadata, by key and as numbers. */
#include "gguf/gguf.h"
#include "util/half.h"
#include "util/status.h"

static const struct {
    const char *name;
    uint32_t bytes;
    bool is_integer, is_signed;
} kinds[GSAI_GGUF_N_KINDS] = {
    [GSAI_GGUF_U8] = {"u8", 1, true, false},
    [GSAI_GGUF_I8] = {"i8", 1, true, true},
    [GSAI_GGUF_U16] = {"u16", 2, true, false},
    [GSAI_GGUF_I16] = {"i16", 2, true, true},
    [GSAI_GGUF_U32] = {"u32", 4, true, false},
    [GSAI_GGUF_I32] = {"i32", 4, true, true},
    [GSAI_GGUF_F32] = {"f32", 4, false, false},
    [GSAI_GGUF_BOOL] = {"bool", 1, false, false},
    [GSAI_GGUF_STRING] = {"string", 0, false, false},
    [GSAI_GGUF_ARRAY] = {"array", 0, false, false},
    [GSAI_GGUF_U64] = {"u64", 8, true, false},
    [GSAI_GGUF_I64] = {"i64", 8, true, true},
    [GSAI_GGUF_F64] = {"f64", 8, false, false},
};

const char *gsai_gguf_kind_name(gsai_gguf_kind kind)
{
    return kind < GSAI_GGUF_N_KINDS ? kinds[kind].name : "?";
}

uint32_t gsai_gguf_kind_bytes(gsai_gguf_kind kind)
{
    return kind < GSAI_GGUF_N_KINDS ? kinds[kind].bytes : 0;
}

bool gsai_gguf_kind_is_signed(gsai_gguf_kind kind)
{
    return kind < GSAI_GGUF_N_KINDS && kinds[kind].is_signed;
}

uint64_t gsai_gguf_integer(const gsai_gguf_value *v)
{
    const uint32_t n = kinds[v->kind].bytes;
    uint64_t x = 0;
    for (uint32_t i = 0; i < n; i++) x |= (uint64_t)v->bytes[i] << 8 * i;
    if (kinds[v->kind].is_signed && n < 8 && x >> (8 * n - 1) & 1) x |= UINT64_MAX << 8 * n;
    return x;
}

double gsai_gguf_float(const gsai_gguf_value *v)
{
    uint64_t bits = 0;
    double x;
    for (uint32_t i = 0; i < kinds[v->kind].bytes; i++) bits |= (uint64_t)v->bytes[i] << 8 * i;
    if (v->kind == GSAI_GGUF_F32) return (double)gsai_bits_to_float((uint32_t)bits);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static gsa_status missing(const gsai_gguf *g, const char *key, bool required, const char *expected)
{
    if (!required) return GSA_OK;
    return gsai_fail(GSA_ERROR_FORMAT, "%s: key %s is missing, expected it as %s", g->name, key, expected);
}

static gsa_status wrong(const gsai_gguf *g, const char *key, const char *expected, const gsai_gguf_value *v)
{
    const bool array = v->kind == GSAI_GGUF_ARRAY;
    return gsai_fail(GSA_ERROR_FORMAT, "%s: key %s: expected %s, it is %s%s", g->name, key, expected,
        array ? "an array of " : "", gsai_gguf_kind_name(array ? v->item_kind : v->kind));
}

gsa_status gsai_gguf_get_u32(
    const gsai_gguf *g, const char *key, bool required, uint32_t min, uint32_t max, uint32_t *out)
{
    static const char expected[] = "an integer";
    const gsai_gguf_value *v = gsai_gguf_find(g, key);
    if (!v) return missing(g, key, required, expected);
    if (!kinds[v->kind].is_integer) return wrong(g, key, expected, v);
    const uint64_t x = gsai_gguf_integer(v);
    if (kinds[v->kind].is_signed && (int64_t)x < 0)
        return gsai_fail(
            GSA_ERROR_FORMAT, "%s: key %s: is %lld, expected %u..%u", g->name, key, (long long)(int64_t)x, min, max);
    if (x < min || x > max)
        return gsai_fail(
            GSA_ERROR_FORMAT, "%s: key %s: is %llu, expected %u..%u", g->name, key, (unsigned long long)x, min, max);
    *out = (uint32_t)x;
    return GSA_OK;
}

gsa_status gsai_gguf_get_f32(const gsai_gguf *g, const char *key, bool required, float *out)
{
    static const char expected[] = "a floating point number";
    const gsai_gguf_value *v = gsai_gguf_find(g, key);
    if (!v) return missing(g, key, required, expected);
    if (v->kind != GSAI_GGUF_F32 && v->kind != GSAI_GGUF_F64) return wrong(g, key, expected, v);
    const double x = gsai_gguf_float(v);
    if (!(x >= -3.4028234663852886e38 && x <= 3.4028234663852886e38))
        return gsai_fail(GSA_ERROR_FORMAT, "%s: key %s: is %g, expected a finite number of 32 bits", g->name, key, x);
    *out = (float)x;
    return GSA_OK;
}

gsa_status gsai_gguf_get_bool(const gsai_gguf *g, const char *key, bool required, bool *out)
{
    static const char expected[] = "a bool";
    const gsai_gguf_value *v = gsai_gguf_find(g, key);
    if (!v) return missing(g, key, required, expected);
    if (v->kind != GSAI_GGUF_BOOL) return wrong(g, key, expected, v);
    *out = v->bytes[0] != 0;
    return GSA_OK;
}

gsa_status gsai_gguf_get_text(const gsai_gguf *g, const char *key, bool required, gsai_text *out)
{
    static const char expected[] = "a string";
    const gsai_gguf_value *v = gsai_gguf_find(g, key);
    if (!v) return missing(g, key, required, expected);
    if (v->kind != GSAI_GGUF_STRING) return wrong(g, key, expected, v);
    *out = (gsai_text){(const char *)v->bytes, (size_t)v->n};
    return GSA_OK;
}

gsa_status gsai_gguf_get_array(
    const gsai_gguf *g, const char *key, bool required, gsai_gguf_kind items, gsai_gguf_value *out)
{
    char expected[32] = "an array of ";
    const gsai_gguf_value *v = gsai_gguf_find(g, key);
    strcat(expected, gsai_gguf_kind_name(items));
    if (!v) return missing(g, key, required, expected);
    if (v->kind != GSAI_GGUF_ARRAY || v->item_kind != items) return wrong(g, key, expected, v);
    *out = *v;
    return GSA_OK;
}
