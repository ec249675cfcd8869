/* Numbers and names for people and for JSON. */
#ifndef FORMAT_H
#define FORMAT_H

#include "gsa/gsa.h"

#include <jansson.h>

typedef struct text32 {
    char s[32];
} text32;

text32 format_bytes(uint64_t bytes); /* "1.50 GiB" */
text32 format_count(uint64_t n);     /* "1.38 B", "270 k" */
text32 format_version(uint32_t vulkan_api_version);
const char *format_device_type(gsa_device_type type);

/* A string for JSON whatever its bytes are. */
json_t *format_json_text(const char *text);
json_t *format_json_real(double value); /* null when not finite */
/* Print on one line and free; indent 0 = compact. 0, or 1 after fail(). */
int format_json_print(json_t *value, int indent);

/* A device as JSON members; facts (limits, capabilities, variants) when device is not NULL. */
json_t *format_json_device(const gsa_device_info *info, const gsa_device *device);

const char *program_version(void); /* "0.1.0" */
const char *program_commit(void);  /* "unknown" when built outside a repository */

#endif
