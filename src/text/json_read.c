#include "text/json_read.h"

#include "util/status.h"

#include <string.h>

const char *gsai_json_kind(const json_t *value)
{
    if (!value) return "missing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static gsa_status wrong(const char *where, const char *name, const char *expected, const json_t *found)
{
    return gsai_fail(GSA_ERROR_FORMAT, "%s.%s: expected %s, it is %s", where, name, expected, gsai_json_kind(found));
}

gsa_status gsai_json_check(const json_t *object, const char *where, const char *const *names)
{
    if (!json_is_object(object))
        return gsai_fail(GSA_ERROR_FORMAT, "%s: expected an object, it is %s", where, gsai_json_kind(object));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const char *const *name = names;
        while (*name && strcmp(*name, key) != 0) name++;
        if (!*name && !json_is_null(value))
            return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: the setting \"%s\" is not known to this library", where, key);
    }
    return GSA_OK;
}

gsa_status gsai_json_string(const json_t *object, const char *where, const char *name, const char **text, size_t *size)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) return wrong(where, name, "a string", value);
    *text = json_string_value(value);
    *size = json_string_length(value);
    return GSA_OK;
}

gsa_status gsai_json_array(const json_t *object, const char *where, const char *name, const json_t **array)
{
    *array = json_object_get(object, name);
    return json_is_array(*array) ? GSA_OK : wrong(where, name, "an array", *array);
}

gsa_status gsai_json_bool(const json_t *object, const char *where, const char *name, bool *out)
{
    const json_t *value = json_object_get(object, name);
    if (!value) return GSA_OK;
    if (!json_is_boolean(value)) return wrong(where, name, "true or false", value);
    *out = json_is_true(value);
    return GSA_OK;
}

gsa_status gsai_json_flag(const json_t *object, const char *where, const char *name, bool *out)
{
    if (!json_object_get(object, name)) return wrong(where, name, "true or false", NULL);
    return gsai_json_bool(object, where, name, out);
}

gsa_status gsai_json_index(const json_t *object, const char *where, const char *name, uint32_t limit, uint32_t *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value)) return wrong(where, name, "an integer", value);
    const json_int_t number = json_integer_value(value);
    if (number < 0 || number >= (json_int_t)limit)
        return gsai_fail(GSA_ERROR_FORMAT, "%s.%s: %lld is not in 0 .. %u", where, name, (long long)number, limit - 1);
    *out = (uint32_t)number;
    return GSA_OK;
}
