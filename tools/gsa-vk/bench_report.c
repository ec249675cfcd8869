#include "bench.h"

#include "format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the neighbours. */
static double quantile(const double *sorted, size_t n, double q)
{
    if (n == 0) return NAN;
    const double at = q * (double)(n - 1);
    const size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (sorted[high] - sorted[low]) * (at - (double)low);
}

bench_stats bench_stats_of(const bench_row *row)
{
    double v[BENCH_MAX_REPS], g[BENCH_MAX_REPS];
    memcpy(v, row->values, sizeof v);
    memcpy(g, row->gpu_values, sizeof g);
    qsort(v, row->n, sizeof *v, by_value);
    qsort(g, row->n_gpu, sizeof *g, by_value);
    return (bench_stats){
        quantile(v, row->n, 0.5), quantile(v, row->n, 0.05), quantile(v, row->n, 0.95), quantile(g, row->n_gpu, 0.5)};
}

static bool is_valid(const bench *b)
{
    return strcmp(bench_verdict(b), "pass") == 0;
}

const char *bench_model_name(const bench *b)
{
    if (b->options->synthetic) return b->options->synthetic;
    const char *path = b->a->model_path, *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static json_t *identity(const bench *b)
{
    const gsa_model_info *m = &b->a->info;
    json_t *synthetic = !b->options->synthetic ? json_null()
                                               : json_pack("{s:s, s:I}", "shape", b->options->synthetic, "seed",
                                                     (json_int_t)b->options->weight_seed);
    char hash[24];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)b->model_hash);
    json_t *model =
        json_pack("{s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "name",
            format_json_text(bench_model_name(b)), "description", format_json_text(m->description), "synthetic",
            synthetic, "hash", b->model_hash ? json_string(hash) : json_null(), "type", b->weight_type, "parameters",
            (json_int_t)m->n_parameters, "weight_bytes", (json_int_t)m->weight_bytes, "state_bytes",
            (json_int_t)m->state_bytes, "vocabulary", (int)m->n_vocab, "layers", (int)m->n_layers, "D", (int)m->D, "H",
            (int)m->H, "G", (int)m->G, "K", (int)m->K, "V", (int)m->V, "M", (int)m->M, "F", (int)m->F, "max_rows",
            (int)b->plan.max_rows);
    json_t *validity =
        json_pack("{s:s, s:i, s:i, s:o, s:o, s:o}", "verdict", bench_verdict(b), "checks", (int)b->n_checks, "failed",
            (int)b->n_failed, "max_error", b->n_checks ? format_json_real(b->max_error) : json_null(), "logit_error",
            format_json_real(b->logit_error), "logit_kl", format_json_real(b->logit_kl));
    gsa_device_memory memory;
    gsa_device_startup startup;
    gsa_device_memory_get(b->a->device, &memory);
    gsa_device_startup_get(b->a->device, &startup);
    json_t *memory_json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "weight_bytes",
        (json_int_t)b->plan.weight_bytes, "arena_bytes", (json_int_t)b->plan.arena_bytes, "scratch_bytes",
        (json_int_t)b->plan.scratch_bytes, "device_bytes", (json_int_t)memory.device_bytes, "host_visible_bytes",
        (json_int_t)memory.host_bytes, "host_visible_peak_bytes", (json_int_t)memory.host_peak_bytes,
        "process_peak_bytes_after_load", format_json_real(b->load_peak_bytes));
    json_t *startup_json = json_pack("{s:i, s:b, s:f, s:i, s:f}", "pipelines", (int)startup.n_pipelines,
        "pipeline_cache_fitted", startup.cache_fitted, "pipelines_ms", startup.pipelines_ms, "self_tests",
        (int)startup.n_self_tests, "self_test_ms", startup.self_test_ms);
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", "gsa-vk-bench", "schema_version",
        1, "program", json_pack("{s:s, s:s}", "version", program_version(), "commit", program_commit()), "model", model,
        "device", format_json_device(&b->device, b->a->device), "mask",
        b->a->mask ? format_json_text(b->a->mask) : json_null(), "validity", validity, "memory", memory_json, "startup",
        startup_json, "ceilings",
        json_pack("{s:o, s:n}", "read_bandwidth_bytes_per_second", format_json_real(b->bandwidth),
            "f16_matrix_flops_per_second"));
}

static int report_json(const bench *b)
{
    json_t *same = identity(b);
    int rc = 0;
    for (size_t i = 0; i < b->n_rows && rc == 0; i++) {
        const bench_row *r = &b->rows[i];
        const bench_stats s = bench_stats_of(r);
        json_t *line = json_pack("{s:s, s:o, s:s, s:I, s:I, s:i, s:o, s:o, s:o, s:i, s:o, s:o}", "measure", r->measure,
            "valid", json_boolean(is_valid(b)), "unit", r->unit, "tokens", (json_int_t)r->tokens, "context",
            (json_int_t)r->context, "batch", (int)(r->batch ? r->batch : 1), "median", format_json_real(s.median), "p5",
            format_json_real(s.p5), "p95", format_json_real(s.p95), "n", (int)r->n, "gpu_median",
            format_json_real(s.gpu_median), "fraction_of_read_bandwidth", format_json_real(r->fraction));
        json_object_update_missing(line, same);
        rc = format_json_print(line, 0);
    }
    json_decref(same);
    return rc;
}

static const char *number(double value, char *out, size_t size)
{
    if (!isfinite(value)) {
        snprintf(out, size, "-");
    } else {
        snprintf(out, size, fabs(value) >= 1000 ? "%.0f" : fabs(value) >= 100 ? "%.1f" : "%.3g", value);
    }
    return out;
}

typedef struct cells {
    char at[32], median[24], p5[24], p95[24], gpu[24], fraction[24];
} cells;

static cells cells_of(const bench_row *r)
{
    cells c;
    const bench_stats s = bench_stats_of(r);
    c.at[0] = 0;
    if (r->batch) {
        snprintf(c.at, sizeof c.at, "%llu sessions", (unsigned long long)r->batch);
    } else if (r->tokens && strcmp(r->measure, "decode") == 0) {
        snprintf(c.at, sizeof c.at, "context %llu", (unsigned long long)r->context);
    } else if (r->tokens) {
        snprintf(c.at, sizeof c.at, "%llu tokens", (unsigned long long)r->tokens);
    }
    number(s.median, c.median, sizeof c.median);
    number(s.p5, c.p5, sizeof c.p5);
    number(s.p95, c.p95, sizeof c.p95);
    number(s.gpu_median, c.gpu, sizeof c.gpu);
    snprintf(c.fraction, sizeof c.fraction, "-");
    if (isfinite(r->fraction)) snprintf(c.fraction, sizeof c.fraction, "%.1f%%", r->fraction * 100);
    return c;
}

static void print_proof(const bench *b)
{
    char error[24], kl[24];
    if (b->is_reference) {
        printf("valid: this is the CPU reference");
    } else if (b->n_checks == 0) {
        printf("INVALID: known answers were not asked for");
    } else {
        printf("%s: %u of %u known answers right", is_valid(b) ? "valid" : "INVALID", b->n_checks - b->n_failed,
            b->n_checks);
    }
    if (isfinite(b->logit_error) || isinf(b->logit_error)) {
        snprintf(error, sizeof error, "%.1e", b->logit_error);
        snprintf(kl, sizeof kl, "%.1e", b->logit_kl);
        printf("; logits off by %s relative, KL %s, against the CPU reference", error, kl);
    }
    printf("\n");
}

static void print_heading(const bench *b, const char *bullet)
{
    const gsa_model_info *m = &b->a->info;
    printf("%sgsa-vk %s (%s)\n", bullet, program_version(), program_commit());
    printf("%s%s%s: %s parameters, %s, %s of weights, state %s\n", bullet, b->options->synthetic ? "synthetic " : "",
        bench_model_name(b), format_count(m->n_parameters).s, b->weight_type, format_bytes(m->weight_bytes).s,
        format_bytes(m->state_bytes).s);
    printf("%s%s, %s%s%s\n", bullet, b->device.name, b->device.driver, b->a->mask ? ", mask " : "",
        b->a->mask ? b->a->mask : "");
    printf("%s", bullet);
    print_proof(b);
}

static void report_table(const bench *b)
{
    print_heading(b, "");
    printf("\n%-15s %-14s %-6s %11s %11s %11s %4s %11s %9s\n", "measure", "at", "unit", "median", "p5", "p95", "n",
        "by GPU", "of read");
    for (size_t i = 0; i < b->n_rows; i++) {
        const bench_row *r = &b->rows[i];
        const cells c = cells_of(r);
        printf("%-15s %-14s %-6s %11s %11s %11s %4zu %11s %9s%s\n", r->measure, c.at, r->unit, c.median, c.p5, c.p95,
            r->n, c.gpu, c.fraction, is_valid(b) ? "" : "  INVALID");
    }
    printf(
        "\nby GPU: the same by the device's clock. of read: weight bytes per second, as share of the read bandwidth\n"
        "measured in this run.\n");
}

static void report_markdown(const bench *b)
{
    print_heading(b, "- ");
    printf("\n| measure | at | unit | median | p5 | p95 | n | by GPU | of read | valid "
           "|\n|---|---|---|--:|--:|--:|--:|--:|--:|---|\n");
    for (size_t i = 0; i < b->n_rows; i++) {
        const bench_row *r = &b->rows[i];
        const cells c = cells_of(r);
        printf("| %s | %s | %s | %s | %s | %s | %zu | %s | %s | %s |\n", r->measure, c.at, r->unit, c.median, c.p5,
            c.p95, r->n, c.gpu, c.fraction, is_valid(b) ? "yes" : "INVALID");
    }
}

static void csv_text(const char *text)
{
    putchar('"');
    for (const char *p = text; *p; p++) {
        if (*p == '"') putchar('"');
        putchar(*p);
    }
    printf("\",");
}

static void csv_number(double value, const char *end)
{
    if (isfinite(value)) printf("%.9g", value);
    printf("%s", end);
}

static void report_csv(const bench *b)
{
    printf("model,type,device,driver,mask,valid,measure,tokens,context,unit,median,p5,p95,n,gpu_median,fraction_of_"
           "read_bandwidth\n");
    for (size_t i = 0; i < b->n_rows; i++) {
        const bench_row *r = &b->rows[i];
        const bench_stats s = bench_stats_of(r);
        csv_text(bench_model_name(b));
        csv_text(b->weight_type);
        csv_text(b->device.name);
        csv_text(b->device.driver);
        csv_text(b->a->mask ? b->a->mask : "");
        printf("%s,%s,%llu,%llu,%s,", is_valid(b) ? "yes" : "INVALID", r->measure, (unsigned long long)r->tokens,
            (unsigned long long)r->context, r->unit);
        csv_number(s.median, ",");
        csv_number(s.p5, ",");
        csv_number(s.p95, ",");
        printf("%zu,", r->n);
        csv_number(s.gpu_median, ",");
        csv_number(r->fraction, "\n");
    }
}

int bench_report(const bench *b)
{
    if (b->a->json) return report_json(b);
    if (b->options->markdown) {
        report_markdown(b);
    } else if (b->options->csv) {
        report_csv(b);
    } else {
        report_table(b);
    }
    return 0;
}
