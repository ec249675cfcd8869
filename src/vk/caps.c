#include "vk/caps.h"

#include <string.h>

#include "util/alloc.h"
#include "util/status.h"

static const char *const names[GSAI_N_CAPS] = {"storage16", "storage8", "float16", "int8", "int16", "subgroup",
    "subgroup_clustered", "subgroup_size", "intdot", "intdot_fast", "coopmat", "coopmat2", "bfloat16", "memory_budget",
    "timestamps", "timeline", "memory_model", "device_scope", "buffer_address", "round16"};

const char *gsai_cap_name(uint32_t bit)
{
    for (uint32_t i = 0; i < GSAI_N_CAPS; i++) {
        if (bit == 1u << i) return names[i];
    }
    return "?";
}

bool gsai_caps_matrix_shape(const gsai_caps *c, gsai_coopmat_shape *out)
{
    bool found = false;

    if (!gsai_caps_has(c, GSAI_CAP_COOPMAT)) return false;
    if (c->subgroup_size_min != c->subgroup_size_max && !gsai_caps_has(c, GSAI_CAP_SUBGROUP_SIZE)) return false;
    for (uint32_t i = 0; i < c->n_coopmat; i++) {
        const gsai_coopmat_shape *s = &c->coopmat[i];
        if (s->a != GSAI_COMP_F16 || s->b != GSAI_COMP_F16 || s->c != GSAI_COMP_F32 || s->r != GSAI_COMP_F32 ||
            s->saturating || s->m > 16 || s->n > 16 || s->k > 32 || s->n % 4 || s->k % 8)
            continue;
        const uint32_t volume = s->m * s->n * s->k;
        if (found && volume <= out->m * out->n * out->k) continue;
        *out = *s;
        found = true;
    }
    return found;
}

const char *gsai_caps_mask_words(void)
{
    return "storage16, storage8, float16, int8, int16, subgroup, subgroup_clustered, subgroup_size, intdot, "
           "intdot_fast, coopmat, coopmat2, bfloat16, memory_budget, timestamps, timeline, memory_model, device_scope, "
           "buffer_address, round16; minimum; "
           "range=, alloc=, shared=, invocations=, push=, groups=, buffers=";
}

static void lower32(uint32_t *limit, uint64_t value)
{
    if (value < *limit) *limit = (uint32_t)value;
}

static void lower64(uint64_t *limit, uint64_t value)
{
    if (value < *limit) *limit = value;
}

/* The least that Vulkan 1.1 lets a device offer ("Required Limits" of the specification); offset_align stays, because a
 * coarser alignment is the weaker one there and the device's own must be kept. */
static void apply_minimum(gsai_caps *c)
{
    c->masked = GSAI_CAPS_ALL;
    lower32(&c->max_invocations, 128);
    lower32(&c->max_group_size[0], 128);
    lower32(&c->max_group_size[1], 128);
    lower32(&c->max_group_size[2], 64);
    for (int i = 0; i < 3; i++) lower32(&c->max_group_count[i], 65535);
    lower32(&c->max_shared_bytes, 16384);
    lower32(&c->max_push_bytes, 128);
    lower32(&c->max_storage_buffers, 4);
    lower64(&c->max_range_bytes, 1ull << 27);
    lower64(&c->max_allocation_bytes, 1ull << 30);
}

typedef struct limit_key {
    const char *key;
    uint64_t least; /* below this the library could not even upload a vector */
} limit_key;
static const limit_key keys[] = {
    {"range", 256}, {"alloc", 4096}, {"shared", 1}, {"invocations", 1}, {"push", 1}, {"groups", 1}, {"buffers", 1}};

static void apply_limit(gsai_caps *c, size_t key, uint64_t value)
{
    switch (key) {
    case 0:
        lower64(&c->max_range_bytes, value);
        break;
    case 1:
        lower64(&c->max_allocation_bytes, value);
        break;
    case 2:
        lower32(&c->max_shared_bytes, value);
        break;
    case 3:
        lower32(&c->max_invocations, value);
        for (int i = 0; i < 3; i++) lower32(&c->max_group_size[i], value);
        break;
    case 4:
        lower32(&c->max_push_bytes, value);
        break;
    case 5:
        for (int i = 0; i < 3; i++) lower32(&c->max_group_count[i], value);
        break;
    default:
        lower32(&c->max_storage_buffers, value);
        break;
    }
}

static bool parse_u64(const char *text, size_t n, uint64_t *out)
{
    uint64_t x = 0;
    if (n == 0) return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || x > (UINT64_MAX - 9) / 10) return false;
        x = x * 10 + (uint64_t)(text[i] - '0');
    }
    *out = x;
    return true;
}

static bool is_word(const char *text, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(text, word, n) == 0;
}

/* One word of the list. *known is false for what may be the name of a kernel variant. */
static gsa_status apply_word(gsai_caps *c, const char *word, size_t n, bool *known)
{
    const int shown = n > 64 ? 64 : (int)n;
    *known = true;
    if (is_word(word, n, "minimum")) {
        apply_minimum(c);
        return GSA_OK;
    }
    for (uint32_t i = 0; i < GSAI_N_CAPS; i++) {
        if (is_word(word, n, names[i])) {
            c->masked |= 1u << i;
            return GSA_OK;
        }
    }
    const char *equals = memchr(word, '=', n);
    if (!equals) {
        *known = false;
        return GSA_OK;
    }
    const size_t key_size = (size_t)(equals - word);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!is_word(word, key_size, keys[i].key)) continue;
        uint64_t value;
        if (!parse_u64(equals + 1, n - key_size - 1, &value) || value < keys[i].least) {
            return gsai_fail(GSA_ERROR_ARGUMENT, "mask: %.*s needs a whole number of at least %llu after the '='",
                shown, word, (unsigned long long)keys[i].least);
        }
        apply_limit(c, i, value);
        return GSA_OK;
    }
    return gsai_fail(GSA_ERROR_ARGUMENT, "mask: no limit is called \"%.*s\"; known words: %s",
        (int)(key_size > 64 ? 64 : key_size), word, gsai_caps_mask_words());
}

gsa_status gsai_caps_mask(gsai_caps *caps, const char *list, const gsa_allocator *a, char **others)
{
    *others = NULL;
    if (!list) return GSA_OK;
    gsai_caps masked = *caps;
    char *rest = gsai_alloc(a, strlen(list) + 1); /* holds any selection of the list's words */
    if (!rest) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for the mask");
    size_t n_rest = 0;
    const char *p = list;
    while (*p) {
        while (*p == ' ' || *p == '\t') p++;
        const char *end = p;
        while (*end && *end != ',') end++;
        size_t n = (size_t)(end - p);
        while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t')) n--;
        if (n == 0 && (*end || p != list)) {
            gsai_free(a, rest);
            return gsai_fail(
                GSA_ERROR_ARGUMENT, "mask: an empty word in \"%.100s\"; known words: %s", list, gsai_caps_mask_words());
        }
        bool known = true;
        const gsa_status status = n ? apply_word(&masked, p, n, &known) : GSA_OK;
        if (status != GSA_OK) {
            gsai_free(a, rest);
            return status;
        }
        if (!known) {
            if (n_rest) rest[n_rest++] = ',';
            memcpy(rest + n_rest, p, n);
            n_rest += n;
        }
        if (*end == ',' && !end[1]) { /* "a," */
            gsai_free(a, rest);
            return gsai_fail(GSA_ERROR_ARGUMENT, "mask: \"%.100s\" ends with a comma", list);
        }
        p = *end ? end + 1 : end;
    }
    if (masked.masked & GSAI_CAP_COOPMAT) masked.n_coopmat = 0;
    *caps = masked;
    if (n_rest) {
        *others = rest;
    } else {
        gsai_free(a, rest);
    }
    return GSA_OK;
}
