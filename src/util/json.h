/* Texts of strangers into jansson's tree. */
#ifndef GSAI_JSON_H
#define GSAI_JSON_H

#include "gsa/base.h"

#include <jansson.h>

/* Parse text [size] (NULL when size is 0); release *root with json_decref. Duplicate keys and NUL are refused.
 * max_values bounds the memory, which an object of two bytes costs many times over: it counts values, four for a list or
 * an object. FORMAT: not JSON, or more values. HOST_MEMORY. *root is NULL then. */
gsa_status gsai_json_parse(const void *text, size_t size, uint64_t max_values, json_t **root);

#endif
