#include "util/json.h"

#include "util/status.h"

/* Commas and brackets outside of strings. Where this loses its way, the text is not JSON. */
static uint64_t count_values(const char *text, size_t size)
{
    uint64_t n = 1;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else
            n += c == ',' ? 1 : c == '{' || c == '[' ? 4 : 0;
    }
    return n;
}

gsa_status gsai_json_parse(const void *text, size_t size, uint64_t max_values, json_t **root)
{
    json_error_t error;
    *root = NULL;
    if (size && count_values(text, size) > max_values)
        return gsai_fail(GSA_ERROR_FORMAT,
            "has too many values, expected at most %llu, of which a list or object counts 4",
            (unsigned long long)max_values);
    *root = json_loadb(size ? text : "", size, JSON_REJECT_DUPLICATES, &error);
    if (*root) return GSA_OK;
    /* Out of memory, jansson gives a code, or nothing. */
    if (!error.text[0] || json_error_code(&error) == json_error_out_of_memory)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for %zu bytes of JSON", size);
    return gsai_fail(GSA_ERROR_FORMAT, "not valid JSON: %s (line %d, column %d)", error.text, error.line, error.column);
}
