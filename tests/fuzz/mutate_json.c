/* Changes to JSON texts that leave them JSON: a value is replaced, copied elsewhere, removed, renamed. Bytes alone
 * rarely get past the parser. */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>

#define MAX_NODES 2048

/* A place in the tree: a member of an object (key set) or of an array. */
typedef struct place {
    json_t *parent, *value;
    const char *key;
    size_t index;
} place;

typedef struct places {
    place all[MAX_NODES];
    size_t n;
} places;

static void collect(places *p, json_t *value, int depth)
{
    const char *key;
    json_t *child;
    size_t i;
    if (depth > 16) return;
    json_object_foreach(value, key, child)
    {
        if (p->n == MAX_NODES) return;
        p->all[p->n++] = (place){value, child, key, 0};
        collect(p, child, depth + 1);
    }
    json_array_foreach(value, i, child)
    {
        if (p->n == MAX_NODES) return;
        p->all[p->n++] = (place){value, child, NULL, i};
        collect(p, child, depth + 1);
    }
}

static json_t *odd_value(uint32_t *seed)
{
    static const char *const values[] = {"null", "true", "false", "0", "1", "-1", "2", "3", "4", "255", "256", "65535",
        "65536", "2147483647", "2147483648", "4294967295", "4294967296", "9007199254740993", "9223372036854775807",
        "-9223372036854775808", "281474976710656", "281474976710657", "16777215", "16777216", "1048576", "1048577",
        "0.5", "-0.0", "1e-300", "1e300", "1e38", "3.5e38", "1.0", "\"\"", "\"a\"", "\" \"", "\"\\n\"", "\"\\u00e9\"",
        "\"\\u2581\"", "\"\\ud83d\\ude00\"", "\"\\u009b\"", "\"..\"", "\"a/b\"", "[]", "{}", "[[]]", "[0]", "[\"a\"]",
        "{\"a\":0}", "[null]", "[1,1]", "[0,0]"};
    return json_loads(values[fuzz_random(seed) % (sizeof values / sizeof *values)], JSON_DECODE_ANY, NULL);
}

/* A string with some of its bytes changed, if it is still one. */
static json_t *odd_string(const json_t *old, uint32_t *seed)
{
    uint8_t text[600];
    size_t n = json_string_length(old);
    if (n > 512) n = 512;
    memcpy(text, json_string_value(old), n);
    if (fuzz_random(seed) % 4 == 0 && n) { /* longer */
        const size_t times = 1 + fuzz_random(seed) % 8;
        for (size_t i = 0; i < times && 2 * n <= sizeof text; i++, n *= 2) memcpy(text + n, text, n);
    } else {
        n = fuzz_mutate_bytes(text, n, sizeof text);
    }
    return json_stringn((const char *)text, n);
}

static json_t *odd_number(const json_t *old, uint32_t *seed)
{
    const json_int_t x = json_integer_value(old);
    switch (fuzz_random(seed) % 6) {
    case 0:
        return json_integer(x < INT64_MAX ? x + 1 : x);
    case 1:
        return json_integer(x > INT64_MIN ? x - 1 : x);
    case 2:
        return json_integer(x > INT64_MAX / 2 || x < INT64_MIN / 2 ? 0 : x * 2);
    case 3:
        return json_integer(x / 2);
    case 4:
        return json_real((double)x);
    default:
        return json_integer((json_int_t)((uint64_t)x ^ (uint64_t)1 << fuzz_random(seed) % 64));
    }
}

static void set(const place *p, json_t *value)
{
    if (!value) return;
    if (p->key)
        json_object_set_new(p->parent, p->key, value);
    else
        json_array_set_new(p->parent, p->index, value);
}

static void change(json_t *root, uint32_t *seed)
{
    static places all; /* large, and one thread */
    all.n = 0;
    collect(&all, root, 0);
    if (!all.n) return;
    const place *p = &all.all[fuzz_random(seed) % all.n], *other = &all.all[fuzz_random(seed) % all.n];
    switch (fuzz_random(seed) % 8) {
    case 0:
        set(p, odd_value(seed));
        break;
    case 1:
        if (p->key)
            json_object_del(p->parent, p->key);
        else
            json_array_remove(p->parent, p->index);
        break;
    case 2: /* a copy of another value, which may hold this one */
        set(p, json_deep_copy(other->value));
        break;
    case 3:
        if (json_is_array(p->value))
            json_array_append_new(p->value, other->key ? json_string(other->key) : json_deep_copy(other->value));
        else if (json_is_object(p->value))
            json_object_set_new(p->value, other->key ? other->key : "a", json_deep_copy(other->value));
        break;
    case 4: /* rename */
        if (p->key) {
            char key[64];
            size_t n = strlen(p->key);
            if (n > 40) n = 40;
            memcpy(key, p->key, n);
            n = other->key && fuzz_random(seed) % 2 ? (size_t)snprintf(key, sizeof key, "%s", other->key)
                                                    : fuzz_mutate_bytes((uint8_t *)key, n, sizeof key - 1);
            if (n >= sizeof key) n = sizeof key - 1;
            key[n] = 0;
            json_object_set(p->parent, key, p->value);
        }
        break;
    case 5:
        if (!p->key) json_array_insert(p->parent, p->index, p->value);
        break;
    default:
        if (json_is_string(p->value))
            set(p, odd_string(p->value, seed));
        else if (json_is_integer(p->value))
            set(p, odd_number(p->value, seed));
        else if (json_is_boolean(p->value))
            set(p, json_boolean(!json_is_true(p->value)));
        else
            set(p, odd_value(seed));
    }
}

size_t fuzz_mutate_json(uint8_t *text, size_t size, size_t max_size, uint32_t seed)
{
    json_t *root = json_loadb((const char *)text, size, JSON_DECODE_ANY, NULL);
    if (!root) return 0;
    const uint32_t n = 1 + fuzz_random(&seed) % 3;
    for (uint32_t i = 0; i < n; i++) change(root, &seed);
    size_t made = json_dumpb(root, (char *)text, max_size, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(root);
    if (made > max_size) made = 0; /* it did not fit; what was written of it counts as a change of bytes */
    return made;
}
