/* Tables for people: text, Markdown, comma-separated values. */
#include "bench.h"

#include "format.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *number(double value, char *out, size_t size)
{
    if (!isfinite(value)) {
        snprintf(out, size, "-");
    } else {
        snprintf(out, size, fabs(value) >= 1000 ? "%.0f" : fabs(value) >= 100 ? "%.1f" : "%.3g", value);
    }
    return out;
}

static void share(double value, char *out, size_t size)
{
    if (isfinite(value))
        snprintf(out, size, "%.1f%%", value * 100);
    else
        snprintf(out, size, "-");
}

typedef struct cells {
    char at[32], median[24], min[24], max[24], spread[24], gpu[24], wall[24], of_read[24], of_matrix[24];
} cells;

static cells cells_of(const bench *b, const bench_row *r)
{
    cells c;
    const bench_stats s = bench_stats_of(b, r);
    c.at[0] = 0;
    if (r->batch && strcmp(r->measure, "prefill_batch") == 0) {
        snprintf(c.at, sizeof c.at, "%llu x %llu", (unsigned long long)r->batch, (unsigned long long)r->tokens);
    } else if (r->batch) {
        snprintf(c.at, sizeof c.at, "%llu sessions", (unsigned long long)r->batch);
    } else if (r->tokens && strcmp(r->measure, "decode") == 0) {
        snprintf(c.at, sizeof c.at, "context %llu", (unsigned long long)r->context);
    } else if (r->tokens && strncmp(r->measure, "matrix_rate", 11) == 0) {
        snprintf(c.at, sizeof c.at, "%llu^3", (unsigned long long)r->tokens);
    } else if (r->tokens) {
        snprintf(c.at, sizeof c.at, "%llu tokens", (unsigned long long)r->tokens);
    }
    number(s.median, c.median, sizeof c.median);
    number(s.min, c.min, sizeof c.min);
    number(s.max, c.max, sizeof c.max);
    share(r->n > 1 ? s.spread : NAN, c.spread, sizeof c.spread);
    number(s.gpu_median, c.gpu, sizeof c.gpu);
    share(strcmp(r->unit, "tok/s") == 0 ? s.median / s.gpu_median : s.gpu_median / s.median, c.wall, sizeof c.wall);
    share(s.of_read, c.of_read, sizeof c.of_read);
    share(s.of_matrix, c.of_matrix, sizeof c.of_matrix);
    return c;
}

static void print_proof(const bench *b)
{
    char error[24], kl[24];
    double op_error = NAN;
    for (size_t i = 0; i < b->n_rows; i++)
        if (isfinite(b->rows[i].error) && !(op_error >= b->rows[i].error)) op_error = b->rows[i].error;
    if (b->is_reference) {
        printf("valid: this is the CPU reference");
    } else if (b->n_checks == 0) {
        printf(bench_is_valid(b) ? "valid" : "INVALID: known answers were not asked for");
    } else {
        printf("%s: %u of %u known answers right", bench_is_valid(b) ? "valid" : "INVALID", b->n_checks - b->n_failed,
            b->n_checks);
    }
    if (isfinite(b->logit_error) || isinf(b->logit_error)) {
        snprintf(error, sizeof error, "%.1e", b->logit_error);
        snprintf(kl, sizeof kl, "%.1e", b->logit_kl);
        printf("; logits off by %s relative, KL %s, against the CPU reference", error, kl);
    }
    if (isfinite(op_error)) printf("; gsa alone off by %.1e relative, against the CPU reference", op_error);
    printf("\n");
}

static void print_ceilings(const bench *b, const char *bullet)
{
    if (!isfinite(b->bandwidth) && b->n_rates == 0) return;
    printf("%sceilings in this run:", bullet);
    if (isfinite(b->bandwidth)) printf(" read %.4g GB/s", b->bandwidth * 1e-9);
    for (size_t i = 0; i < b->n_rates; i++)
        printf("%s %s products %.4g TFLOP/s (%s)", i || isfinite(b->bandwidth) ? "," : "", b->rates[i].type,
            b->rates[i].rate.flops_per_second * 1e-12, b->rates[i].rate.kernel);
    printf("\n");
}

static void print_heading(const bench *b, const char *bullet)
{
    const gsa_model_info *m = &b->a->info;
    printf("%sgsa-vk %s (%s)\n", bullet, program_version(), program_commit());
    if (b->has_model)
        printf("%s%s%s: %s parameters, %s, %s of weights, state %s%s\n", bullet,
            b->options->synthetic ? "synthetic " : "", b->name, format_count(m->n_parameters).s, b->weight_type,
            format_bytes(m->weight_bytes).s, format_bytes(m->state_bytes).s,
            m->state_type == GSA_STATE_F16 ? " in f16" : "");
    else
        printf("%s%s\n", bullet, b->name);
    printf("%s%s, %s%s%s\n", bullet, b->device.name, b->device.driver, b->a->mask ? ", mask " : "",
        b->a->mask ? b->a->mask : "");
    print_ceilings(b, bullet);
    printf("%s", bullet);
    print_proof(b);
}

static void report_table(const bench *b)
{
    print_heading(b, "");
    printf("\n%-15s %-14s %-7s %9s %9s %9s %7s %4s %9s %9s %8s %10s\n", "measure", "at", "unit", "median", "min", "max",
        "spread", "n", "by GPU", "GPU busy", "of read", "of matrix");
    for (size_t i = 0; i < b->n_rows; i++) {
        const bench_row *r = &b->rows[i];
        const cells c = cells_of(b, r);
        printf("%-15s %-14s %-7s %9s %9s %9s %7s %4zu %9s %9s %8s %10s%s\n", r->measure, c.at, r->unit, c.median, c.min,
            c.max, c.spread, r->n, c.gpu, c.wall, c.of_read, c.of_matrix, bench_is_valid(b) ? "" : "  INVALID");
    }
    printf(
        "\nspread: (max - min) / median. by GPU: the same by the device's clock; GPU busy: its share of the wall "
        "time.\n"
        "of read: bytes read (weights once a pass, states once a token) per second, as share of the read bandwidth;\n"
        "of matrix: products per second, as share of the faster matrix rate; both ceilings measured in this run.\n");
}

static void report_markdown(const bench *b)
{
    print_heading(b, "- ");
    printf(
        "\n| measure | at | unit | median | min | max | spread | n | by GPU | GPU busy | of read | of matrix | valid |"
        "\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n");
    for (size_t i = 0; i < b->n_rows; i++) {
        const bench_row *r = &b->rows[i];
        const cells c = cells_of(b, r);
        printf("| %s | %s | %s | %s | %s | %s | %s | %zu | %s | %s | %s | %s | %s |\n", r->measure, c.at, r->unit,
            c.median, c.min, c.max, c.spread, r->n, c.gpu, c.wall, c.of_read, c.of_matrix,
            bench_is_valid(b) ? "yes" : "INVALID");
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
    printf("model,type,device,driver,mask,valid,measure,tokens,context,batch,unit,median,min,max,p5,p95,n,gpu_median,"
           "fraction_of_read_bandwidth,fraction_of_matrix_rate\n");
    for (size_t i = 0; i < b->n_rows; i++) {
        const bench_row *r = &b->rows[i];
        const bench_stats s = bench_stats_of(b, r);
        csv_text(b->name);
        csv_text(b->weight_type);
        csv_text(b->device.name);
        csv_text(b->device.driver);
        csv_text(b->a->mask ? b->a->mask : "");
        printf("%s,%s,%llu,%llu,%llu,%s,", bench_is_valid(b) ? "yes" : "INVALID", r->measure,
            (unsigned long long)r->tokens, (unsigned long long)r->context,
            (unsigned long long)(r->batch ? r->batch : 1), r->unit);
        const double values[] = {s.median, s.min, s.max, s.p5, s.p95};
        for (size_t k = 0; k < APP_COUNT(values); k++) csv_number(values[k], ",");
        printf("%zu,", r->n);
        csv_number(s.gpu_median, ",");
        csv_number(s.of_read, ",");
        csv_number(s.of_matrix, "\n");
    }
}

int bench_report(const bench *b)
{
    const char *path = b->options->record;
    FILE *record = path ? fopen(path, "w") : NULL;
    if (path && !record) return fail("%s: %s", path, strerror(errno));
    if (record) {
        const int written = bench_report_json(b, record), closed = fclose(record);
        if (written) return written;
        if (closed) return fail("%s: %s", path, strerror(errno));
    }
    if (b->a->json) return bench_report_json(b, stdout);
    if (b->options->markdown) {
        report_markdown(b);
    } else if (b->options->csv) {
        report_csv(b);
    } else {
        report_table(b);
    }
    return 0;
}
