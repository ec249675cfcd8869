#include "inspect_file.h"

#include "format.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

#define MOST_ITEMS 6  /* of an array, shown */
#define MOST_TEXT  60 /* bytes of a text, shown */

typedef struct listing {
    json_t *metadata, *tensors; /* NULL: print */
    bool began;
} listing;

/* A text for a terminal: cut, and without what a terminal would obey. */
static void print_text(const char *text, uint64_t n)
{
    const size_t shown = n < MOST_TEXT ? (size_t)n : MOST_TEXT;
    char copy[MOST_TEXT + 1];
    for (size_t i = 0; i < shown; i++) copy[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
    size_t end = shown;
    if (n > MOST_TEXT) /* not inside a character */
        while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80) end--;
    copy[end] = 0;
    json_t *repaired = format_json_text(copy);
    printf("\"%s\"", json_string_value(repaired));
    json_decref(repaired);
    if (n > MOST_TEXT) printf("... (%llu bytes)", (unsigned long long)n);
}

static void print_value(const gsa_value *v)
{
    switch (v->kind) {
    case GSA_VALUE_UINT:
        printf("%llu", (unsigned long long)v->uint_value);
        break;
    case GSA_VALUE_INT:
        printf("%lld", (long long)v->int_value);
        break;
    case GSA_VALUE_FLOAT:
        printf("%g", v->float_value);
        break;
    case GSA_VALUE_BOOL:
        printf("%s", v->bool_value ? "true" : "false");
        break;
    case GSA_VALUE_TEXT:
        print_text(v->text, v->n);
        break;
    case GSA_VALUE_ARRAY: {
        gsa_value item = {0};
        int n = 0;
        printf("%llu x %s [", (unsigned long long)v->n, v->type);
        for (; n < MOST_ITEMS && gsa_value_next(v, &item); n++) {
            if (n) printf(", ");
            print_value(&item);
        }
        printf("%s]", v->n > MOST_ITEMS ? ", ..." : "");
        break;
    }
    }
}

/* Arrays of a tokenizer have a hundred thousand items: JSON gets all numbers and texts of short ones, else the count. */
#define MOST_JSON_ITEMS 64

static json_t *json_value(const gsa_value *v)
{
    switch (v->kind) {
    case GSA_VALUE_UINT:
        return json_integer((json_int_t)v->uint_value);
    case GSA_VALUE_INT:
        return json_integer((json_int_t)v->int_value);
    case GSA_VALUE_FLOAT:
        return format_json_real(v->float_value);
    case GSA_VALUE_BOOL:
        return json_boolean(v->bool_value);
    case GSA_VALUE_TEXT: {
        json_t *text = json_stringn(v->text, (size_t)v->n); /* NULL: not UTF-8 */
        return text ? text : json_pack("{s:I}", "bytes", (json_int_t)v->n);
    }
    case GSA_VALUE_ARRAY:
        break;
    }
    if (v->n > MOST_JSON_ITEMS) return json_pack("{s:s, s:I}", "array_of", v->type, "items", (json_int_t)v->n);
    json_t *list = json_array();
    gsa_value item = {0};
    while (gsa_value_next(v, &item)) json_array_append_new(list, json_value(&item));
    return list;
}

static void on_metadata(void *user, const char *key, const gsa_value *value)
{
    listing *l = user;
    if (l->metadata) {
        json_object_set_new(l->metadata, key, json_value(value));
        return;
    }
    if (!l->began) printf("metadata\n");
    l->began = true;
    printf("  %-46s ", key);
    print_value(value);
    printf("\n");
}

static void on_tensor(void *user, const gsa_tensor_info *t)
{
    listing *l = user;
    if (l->tensors) {
        json_t *dims = json_array();
        for (uint32_t i = 0; i < t->n_dims; i++) json_array_append_new(dims, json_integer((json_int_t)t->dims[i]));
        json_array_append_new(l->tensors, json_pack("{s:o, s:s, s:o, s:I}", "name", format_json_text(t->name), "type",
                                              t->type, "shape", dims, "bytes", (json_int_t)t->n_bytes));
        return;
    }
    if (!l->began) printf("tensors\n");
    l->began = true;
    char shape[100] = "";
    for (uint32_t i = 0, at = 0; i < t->n_dims && at < sizeof shape; i++)
        at +=
            (uint32_t)snprintf(shape + at, sizeof shape - at, "%s%llu", i ? " x " : "", (unsigned long long)t->dims[i]);
    printf("  %-46s %-5s %-20s %12s\n", t->name, t->type, shape, format_bytes(t->n_bytes).s);
}

int inspect_metadata(const char *path, json_t *root)
{
    listing l = {.metadata = root ? json_object() : NULL};
    if (root) json_object_set_new(root, "metadata", l.metadata);
    return gsa_file_inspect(path, NULL, NULL, on_metadata, NULL, &l) == GSA_OK ? 0 : fail_library();
}

int inspect_file(const char *path, bool no_tensors, json_t *root)
{
    gsa_file_info info;
    if (gsa_file_inspect(path, NULL, &info, NULL, NULL, NULL) != GSA_OK) return fail_library();
    if (root) {
        json_object_set_new(root, "file",
            json_pack("{s:s, s:i, s:o, s:I, s:I, s:I, s:i, s:I, s:b, s:b}", "format", "GGUF", "version",
                (int)info.version, "architecture", format_json_text(info.architecture), "bytes",
                (json_int_t)info.file_bytes, "tensors", (json_int_t)info.n_tensors, "keys", (json_int_t)info.n_metadata,
                "alignment", (int)info.alignment, "data_offset", (json_int_t)info.data_offset, "tokenizer",
                info.has_tokenizer, "runs_here", info.is_model));
    } else {
        printf("file         GGUF version %u, %s, architecture %s%s\n", info.version, format_bytes(info.file_bytes).s,
            info.architecture[0] ? info.architecture : "not given",
            info.is_model ? "" : " (cannot be run here; tokenize and detokenize may work)");
        printf("contents     %llu metadata keys, %llu tensors from byte %llu on, aligned to %u\n",
            (unsigned long long)info.n_metadata, (unsigned long long)info.n_tensors,
            (unsigned long long)info.data_offset, info.alignment);
    }
    const int rc = inspect_metadata(path, root);
    if (rc || no_tensors) return rc;
    listing l = {.tensors = root ? json_array() : NULL};
    if (root) json_object_set_new(root, "tensors", l.tensors);
    return gsa_file_inspect(path, NULL, NULL, NULL, on_tensor, &l) == GSA_OK ? 0 : fail_library();
}
