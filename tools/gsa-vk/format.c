#include "format.h"

#include "report.h"
#include "version.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

text32 format_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    text32 t;
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1024 && unit < 4; unit++) value /= 1024;
    snprintf(t.s, sizeof t.s, unit ? "%.2f %s" : "%.0f %s", value, units[unit]);
    return t;
}

text32 format_count(uint64_t n)
{
    text32 t;
    if (n >= 1000000000) {
        snprintf(t.s, sizeof t.s, "%.2f B", (double)n * 1e-9);
    } else if (n >= 1000000) {
        snprintf(t.s, sizeof t.s, "%.2f M", (double)n * 1e-6);
    } else if (n >= 10000) {
        snprintf(t.s, sizeof t.s, "%.0f k", (double)n * 1e-3);
    } else {
        snprintf(t.s, sizeof t.s, "%u", (unsigned)n);
    }
    return t;
}

text32 format_version(uint32_t v)
{
    text32 t;
    snprintf(t.s, sizeof t.s, "%u.%u.%u", v >> 22 & 0x7f, v >> 12 & 0x3ff, v & 0xfff);
    return t;
}

const char *format_device_type(gsa_device_type type)
{
    static const char *const names[] = {
        "other", "integrated GPU", "discrete GPU", "virtual GPU", "CPU driver", "CPU reference"};
    return type >= 0 && (size_t)type < sizeof names / sizeof names[0] ? names[type] : "other";
}

json_t *format_json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value) return value;
    char plain[1024];
    snprintf(plain, sizeof plain, "%s", text);
    for (char *p = plain; *p; p++)
        if ((unsigned char)*p >= 0x80) *p = '?';
    return json_string(plain);
}

json_t *format_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

int format_json_print(json_t *value, int indent)
{
    if (!value) return fail("out of memory for the JSON text");
    const int rc = json_dumpf(value, stdout, JSON_REAL_PRECISION(9) | (indent ? JSON_INDENT(indent) : 0));
    json_decref(value);
    putchar('\n');
    return rc == 0 ? 0 : fail("cannot write the result to standard output");
}

static json_t *facts(const gsa_device *device, gsa_device_fact kind)
{
    json_t *out = json_object();
    const char *name, *value;
    for (uint32_t i = 0; gsa_device_fact_get(device, kind, i, &name, &value); i++) {
        json_t *old = json_object_get(out, name);
        if (!old) {
            json_object_set_new(out, name, format_json_text(value));
            continue;
        }
        if (!json_is_array(old)) { /* the same name again, e.g. several matrix shapes */
            json_object_set_new(out, name, json_pack("[O]", old));
            old = json_object_get(out, name);
        }
        json_array_append_new(old, format_json_text(value));
    }
    return out;
}

json_t *format_json_device(const gsa_device_info *info, const gsa_device *device)
{
    json_t *out = json_object();
    const bool reference = info->type == GSA_DEVICE_REFERENCE;
    json_object_set_new(out, "index", reference ? json_null() : json_integer(info->index));
    json_object_set_new(out, "name", format_json_text(info->name));
    json_object_set_new(out, "type", json_string(format_device_type(info->type)));
    json_object_set_new(out, "driver", format_json_text(info->driver));
    json_object_set_new(out, "vendor_id", json_integer(info->vendor_id));
    json_object_set_new(out, "device_id", json_integer(info->device_id));
    json_object_set_new(out, "api_version", json_string(format_version(info->api_version).s));
    json_object_set_new(out, "memory_bytes", json_integer((json_int_t)info->memory_bytes));
    json_object_set_new(out, "usable", json_boolean(info->usable));
    if (device) {
        json_object_set_new(out, "limits", facts(device, GSA_FACT_LIMIT));
        json_object_set_new(out, "capabilities", facts(device, GSA_FACT_CAPABILITY));
        json_object_set_new(out, "variants", facts(device, GSA_FACT_VARIANT));
        json_object_set_new(out, "shapes", facts(device, GSA_FACT_SHAPE));
    }
    return out;
}

const char *program_version(void)
{
    return PROGRAM_VERSION;
}

const char *program_commit(void)
{
    return PROGRAM_COMMIT;
}
