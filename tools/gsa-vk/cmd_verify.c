/* gsa-vk verify: every kernel variant the device can run against the CPU reference. */
#include "app.h"
#include "commands.h"
#include "format.h"

#include <stdio.h>

typedef struct verify_table {
    json_t *rows; /* NULL: print */
    uint32_t n;
    bool only_failed, has_header;
} verify_table;

static void on_row(void *user, const gsa_verify_row *r)
{
    verify_table *t = user;
    t->n++;
    if (t->rows) {
        json_array_append_new(
            t->rows, json_pack("{s:s, s:s, s:s, s:o, s:f, s:b, s:o}", "op", r->op, "variant", r->variant, "shape",
                         r->shape, "error", format_json_real(r->error), "tolerance", r->tolerance, "passed", r->passed,
                         "gpu_us", r->gpu_us > 0 ? format_json_real(r->gpu_us) : json_null()));
        return;
    }
    if (t->only_failed && r->passed) return;
    char time[32] = "-";
    if (r->gpu_us > 0) snprintf(time, sizeof time, "%.1f", r->gpu_us);
    if (!t->has_header)
        printf("%-6s %-14s %-26s %-46s %9s %9s %10s\n", "", "op", "variant", "shape", "error", "tolerance", "GPU us");
    t->has_header = true;
    printf("%-6s %-14s %-26s %-46s %9.2e %9.0e %10s\n", r->passed ? "ok" : "FAILED", r->op, r->variant, r->shape,
        r->error, r->tolerance, time);
    fflush(stdout);
}

int cmd_verify(int argc, char **argv)
{
    app a = {0};
    verify_table t = {0};
    const cli_option options[] = {
        {CLI_FLAG, 0, "failed", NULL, "print failed checks only", &t.only_failed},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"verify", "[-d N|TEXT] [options]",
        "Put known questions to every kernel variant the device can run and compare the answers with the CPU\n"
        "reference. error is |out - reference| / |reference|, largest of the outputs. Exit status 1 if any fails.",
        "  gsa-vk verify\n"
        "  gsa-vk verify -d 1 --failed\n"
        "  gsa-vk verify --mask minimum --json\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc != CLI_GO) return rc;
    rc = app_open_device(&a);
    if (rc) return app_close(&a, rc);
    gsa_device_info info;
    gsa_device_info_get(a.device, &info);
    if (a.json) t.rows = json_array();
    uint32_t n_failed = 0;
    const double start = app_now_ms();
    if (gsa_device_verify(a.device, on_row, &t, &n_failed) != GSA_OK) {
        rc = fail_library();
    } else if (a.json) {
        rc =
            format_json_print(json_pack("{s:o, s:i, s:i, s:b, s:O}", "device", format_json_device(&info, a.device),
                                  "checks", (int)t.n, "failed", (int)n_failed, "passed", n_failed == 0, "rows", t.rows),
                2);
    } else if (t.n == 0) {
        printf("%s: nothing to check: it is what kernels are compared with\n", info.name);
    } else {
        printf("%s: %u checks, %u failed, %.1f s\n", info.name, t.n, n_failed, (app_now_ms() - start) * 1e-3);
    }
    json_decref(t.rows);
    if (rc == 0 && n_failed > 0)
        rc = fail("%s: %u of %u checks failed; a newer driver may help, --mask hides what is wrong", info.name,
            n_failed, t.n);
    return app_close(&a, rc);
}
