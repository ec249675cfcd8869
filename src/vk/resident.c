/* The words of gsa_device_params.resident. */
#include <string.h>

#include "vk/device.h"

#define LARGEST 1000000000u

static bool is_word(const char *text, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(text, word, n) == 0;
}

static bool number(const char *text, size_t n, uint32_t *out)
{
    uint64_t x = 0;
    if (n == 0) return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        x = x * 10 + (uint64_t)(text[i] - '0');
        if (x > LARGEST) return false;
    }
    *out = (uint32_t)x;
    return true;
}

static bool take_word(const char *word, size_t n, gsai_resident_settings *s)
{
    const struct {
        const char *key;
        uint32_t *value;
    } keys[] = {{"groups=", &s->groups}, {"cores=", &s->cores}, {"invocations=", &s->invocations},
        {"depth=", &s->depth}, {"polls=", &s->polls}, {"leave=", &s->leave}, {"window=", &s->window},
        {"carry=", &s->carry}, {"apart=", &s->apart}};

    static const char *const uses[] = {
        [GSAI_RESIDENT_AUTO] = "auto", [GSAI_RESIDENT_NEVER] = "never", [GSAI_RESIDENT_ALWAYS] = "always"};
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        if (is_word(word, n, uses[i])) {
            s->use = (gsai_resident_use)i;
            return true;
        }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const size_t size = strlen(keys[i].key);
        if (n > size && memcmp(word, keys[i].key, size) == 0) return number(word + size, n - size, keys[i].value);
    }
    return false;
}

gsa_status gsai_resident_parse(const char *text, gsai_resident_use otherwise, gsai_resident_settings *out)
{
    *out = (gsai_resident_settings){.use = otherwise};
    for (const char *at = text ? text : ""; *at;) {
        const size_t n = strcspn(at, ",");
        if (!take_word(at, n, out))
            return gsai_fail(GSA_ERROR_ARGUMENT,
                "resident: '%.*s' is none of always, never, auto, groups=N, cores=N, invocations=N, depth=N, "
                "polls=N, leave=N, window=N, carry=N, apart=N",
                n > 64 ? 64 : (int)n, at);
        at += n + (at[n] != 0);
    }
    return GSA_OK;
}
