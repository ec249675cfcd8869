/* gsa-vk bench --search: every shape of the products of a token's pass, timed on this model. For choosing defaults. */
#include "bench.h"

#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shapes {
    gsa_tune_row *rows;
    size_t n, capacity;
    bool no_memory;
} shapes;

static void on_row(void *user, const gsa_tune_row *row)
{
    shapes *s = user;
    if (s->n == s->capacity) {
        const size_t capacity = s->capacity ? 2 * s->capacity : 256;
        gsa_tune_row *rows = realloc(s->rows, capacity * sizeof *rows);
        if (!rows) {
            s->no_memory = true;
            return;
        }
        s->rows = rows;
        s->capacity = capacity;
    }
    s->rows[s->n++] = *row; /* its texts are static */
}

static bool same_product(const gsa_tune_row *a, const gsa_tune_row *b)
{
    return strcmp(a->label, b->label) == 0 && strcmp(a->kernel, b->kernel) == 0 && a->n_rows == b->n_rows &&
           a->n_cols == b->n_cols;
}

static int by_time(const void *a, const void *b)
{
    const double x = ((const gsa_tune_row *)a)->us, y = ((const gsa_tune_row *)b)->us;
    return (x > y) - (x < y);
}

static double rate(const gsa_tune_row *r)
{
    return (double)r->bytes / (r->us * 1e3);
}

static void print_product(const gsa_tune_row *rows, size_t n, double bandwidth)
{
    printf("\n%s: %u x %u, %s, %u in a pass\n", rows->label, rows->n_rows, rows->n_cols, rows->kernel, rows->n_calls);
    printf("  %6s %5s %6s %6s %10s %8s %7s\n", "group", "rows", "loads", "split", "us a call", "GB/s", "share");
    for (size_t i = 0; i < n; i++) {
        const gsa_tune_row *r = &rows[i];
        printf("  %6u %5u %6u %6u %10.2f %8.4g %6.1f%%%s%s\n", r->group_size, r->rows, r->unroll, r->split,
            r->us / r->n_calls, rate(r), 100e9 * rate(r) / bandwidth, r->is_default ? "  default" : "",
            r->changes_bits ? "  other bits" : "");
    }
}

static int print_json(const bench *b, const gsa_tune_row *r, double bandwidth)
{
    return format_json_print(
        json_pack("{s:s, s:i, s:s, s:s, s:o, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, "
                  "s:f, s:b, s:b}",
            "schema", "gsa-vk-shapes", "schema_version", 1, "device", b->device.name, "driver", b->device.driver,
            "model", format_json_text(b->name), "product", r->label, "kernel", r->kernel, "n_rows", (int)r->n_rows,
            "n_cols", (int)r->n_cols, "n_calls", (int)r->n_calls, "group", (int)r->group_size, "rows", (int)r->rows,
            "loads", (int)r->unroll, "split", (int)r->split, "us_per_call", r->us / r->n_calls, "gb_per_s", rate(r),
            "share", 1e9 * rate(r) / bandwidth, "is_default", (int)r->is_default, "changes_bits", (int)r->changes_bits),
        0);
}

int bench_search(bench *b)
{
    shapes s = {0};
    double bandwidth = 0;
    int rc = 0;
    if (gsa_device_bandwidth(b->a->device, 1ull << 30, &bandwidth) != GSA_OK ||
        gsa_model_tune(b->a->model, (double)b->options->search, on_row, &s) != GSA_OK)
        rc = fail_library();
    if (rc == 0 && s.no_memory) rc = fail("out of memory");
    if (rc == 0 && s.n == 0) rc = fail("this device tells no times of GPU calls: there is nothing to compare");
    if (rc == 0 && !b->a->json)
        printf("%s on %s, %s; reads %.4g GB/s\n", b->name, b->device.name, b->device.driver, bandwidth * 1e-9);
    for (size_t first = 0, n; first < s.n && rc == 0; first += n) {
        for (n = 1; first + n < s.n && same_product(&s.rows[first], &s.rows[first + n]);) n++;
        qsort(s.rows + first, n, sizeof *s.rows, by_time);
        if (!b->a->json) print_product(s.rows + first, n, bandwidth);
        for (size_t i = 0; i < n && rc == 0 && b->a->json; i++) rc = print_json(b, &s.rows[first + i], bandwidth);
    }
    free(s.rows);
    return rc;
}
