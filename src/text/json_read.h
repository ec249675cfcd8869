/* Members of a parsed JSON object, with errors that say where. where names the part of the file, e.g. "model". */
#ifndef GSAI_JSON_READ_H
#define GSAI_JSON_READ_H

#include "gsa/base.h"

#include <jansson.h>

/* "an object", "a string" ..., "missing" for NULL. */
const char *gsai_json_kind(const json_t *value);

/* FORMAT unless object is one; UNSUPPORTED when it has a member that is not null and not in names (up to NULL). */
gsa_status gsai_json_check(const json_t *object, const char *where, const char *const *names);

/* FORMAT when the member is of another type or, where no default is given, missing. */
gsa_status gsai_json_string(const json_t *object, const char *where, const char *name, const char **text, size_t *size);
gsa_status gsai_json_array(const json_t *object, const char *where, const char *name, const json_t **array);
gsa_status gsai_json_bool(
    const json_t *object, const char *where, const char *name, bool *value); /* missing keeps *value */
gsa_status gsai_json_flag(
    const json_t *object, const char *where, const char *name, bool *value); /* missing is an error */
/* An integer in [0, limit). */
gsa_status gsai_json_index(const json_t *object, const char *where, const char *name, uint32_t limit, uint32_t *value);

#endif
