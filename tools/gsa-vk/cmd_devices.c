/* gsa-vk devices: what is here, and what the library makes of it. */
#include "app.h"
#include "commands.h"
#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The order of gsa_device_create: discrete, integrated, virtual, other, CPU driver; more memory first. */
static int rank(gsa_device_type type)
{
    switch (type) {
    case GSA_DEVICE_DISCRETE:
        return 0;
    case GSA_DEVICE_INTEGRATED:
        return 1;
    case GSA_DEVICE_VIRTUAL:
        return 2;
    case GSA_DEVICE_OTHER:
        return 3;
    default:
        return 4;
    }
}

static const gsa_device_info *best_of(const gsa_device_info *infos, uint32_t n)
{
    const gsa_device_info *best = NULL;
    for (uint32_t i = 0; i < n; i++) {
        const gsa_device_info *d = &infos[i];
        if (!d->usable) continue;
        if (!best || rank(d->type) < rank(best->type) ||
            (rank(d->type) == rank(best->type) && d->memory_bytes > best->memory_bytes))
            best = d;
    }
    return best;
}

static void print_facts(const gsa_device *device, gsa_device_fact kind, const char *title)
{
    const char *name, *value;
    for (uint32_t i = 0; gsa_device_fact_get(device, kind, i, &name, &value); i++) {
        if (i == 0) printf("  %s\n", title);
        printf("    %-22s %s\n", name, value);
    }
}

static void print_device(const gsa_device_info *d, bool is_best, const gsa_device *device)
{
    if (d->type == GSA_DEVICE_REFERENCE) {
        printf("cpu: %s\n  plain C on one core, slow and obvious: what kernels are compared with\n", d->name);
    } else {
        printf("%u: %s%s\n", d->index, d->name,
            is_best     ? " (best)"
            : d->usable ? ""
                        : " (unusable: no compute queue, or older than Vulkan 1.1)");
    }
    if (d->type != GSA_DEVICE_REFERENCE && !device) { /* the facts begin with these */
        printf("  %-24s %s\n", "type", format_device_type(d->type));
        printf("  %-24s %s\n", "driver", d->driver);
        printf("  %-24s %s\n", "memory", format_bytes(d->memory_bytes).s);
        printf("  %-24s %s\n", "Vulkan", format_version(d->api_version).s);
        printf("  %-24s %04x:%04x\n", "vendor:device", d->vendor_id, d->device_id);
    }
    if (!device) return;
    print_facts(device, GSA_FACT_LIMIT, "limits");
    print_facts(device, GSA_FACT_CAPABILITY, "capabilities");
    print_facts(device, GSA_FACT_VARIANT, "kernels");
    print_facts(device, GSA_FACT_SHAPE, "shapes");
}

/* One device with all that is known about it, as a block or as a JSON member. */
static int show_opened(app *a, bool is_best, json_t *list)
{
    gsa_device_info info;
    const int rc = app_open_device(a);
    if (rc) return rc;
    gsa_device_info_get(a->device, &info);
    if (list) {
        json_array_append_new(list, format_json_device(&info, a->device));
    } else {
        print_device(&info, is_best, a->device);
    }
    cache_write(a);
    gsa_device_destroy(a->device);
    a->device = NULL;
    free(a->cache);
    a->cache = NULL;
    a->cache_size = 0;
    return 0;
}

static int show_all(app *a, const gsa_device_info *infos, uint32_t n, bool details, json_t *list)
{
    const gsa_device_info *best = best_of(infos, n);
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        const gsa_device_info *d = &infos[i];
        if (!list && i > 0) printf("\n");
        if (details && d->usable) {
            char index[16];
            snprintf(index, sizeof index, "%u", d->index);
            a->select = index;
            rc = show_opened(a, d == best, list);
        } else if (list) {
            json_array_append_new(list, format_json_device(d, NULL));
        } else {
            print_device(d, d == best, NULL);
        }
    }
    return rc;
}

static int list_devices(app *a, bool details, json_t *root)
{
    const gsa_device_params params = app_device_params(a);
    gsa_device_info infos[32];
    uint32_t n = APP_COUNT(infos);
    if (gsa_device_list(&params, infos, &n) != GSA_OK)
        return fail("%s; -d cpu runs on the CPU reference", gsa_error_text());
    if (n == 0) return fail("no Vulkan device: install a driver; -d cpu runs on the CPU reference");
    if (n > APP_COUNT(infos)) n = APP_COUNT(infos);
    const gsa_device_info *best = best_of(infos, n);
    if (root) {
        json_t *list = json_array();
        json_object_set_new(root, "best", best ? json_integer(best->index) : json_null());
        json_object_set_new(root, "devices", list);
        return show_all(a, infos, n, details, list);
    }
    if (best) {
        printf(
            "best device: %u: %s, %s, %s\n\n", best->index, best->name, format_device_type(best->type), best->driver);
    } else {
        printf("best device: none of these can be used; -d cpu runs on the CPU reference\n\n");
    }
    const int rc = show_all(a, infos, n, details, NULL);
    if (rc == 0 && best && !details)
        printf("\nLimits, capabilities and kernels: gsa-vk devices -d %u, or --all.\n", best->index);
    return rc;
}

int cmd_devices(int argc, char **argv)
{
    app a = {0};
    bool all = false;
    const cli_option options[] = {
        {CLI_FLAG, 'a', "all", NULL, "limits, capabilities and kernels of all devices", &all},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"devices", "[-d N|TEXT|cpu] [--all] [options]",
        "List the Vulkan devices of this machine; the first line names the one taken by default.\n"
        "With -d: that device's limits, capabilities, and the kernel chosen for each operation and why.",
        "  gsa-vk devices\n"
        "  gsa-vk devices -d 0\n"
        "  gsa-vk devices -d llvmpipe --mask minimum\n"
        "  gsa-vk devices --all --json\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc != CLI_GO) return rc;
    json_t *root = a.json ? json_object() : NULL;
    if ((a.select || a.mask) && !all) { /* a mask shows on a device, so it is opened */
        json_t *list = root ? json_array() : NULL;
        if (root) json_object_set_new(root, "devices", list);
        rc = show_opened(&a, false, list);
    } else {
        rc = list_devices(&a, all, root);
    }
    if (root && rc == 0) {
        rc = format_json_print(root, 2);
    } else {
        json_decref(root);
    }
    return app_close(&a, rc);
}
