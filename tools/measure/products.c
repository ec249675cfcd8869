/* Products with few tokens on matrix units, every tile that the device takes: which is soonest at which number of tokens.
 *
 *   measure_products [-d DEVICE] [-t TYPES] [-T TOKENS] [-p PRODUCTS] [-n SHOWN] [-o FILE]
 *
 * TYPES as f16,q4_0; TOKENS as 4,8,16; PRODUCTS as ROWSxCOLUMNS with a letter behind: m maps, a added to, s SwiGLU (rows
 * count gates and ups). Without them f16, 4 to 128 and the four products of a 1.3b layer. Each is timed over so many matrices
 * that no cache holds them, a barrier between, best of several sweeps over all tiles; the SHOWN soonest are printed with
 * microseconds a product and GB/s of weights, and what the library would choose (*). FILE gets every row. */
#include "ops/matmul_cm.h"
#include "ops/op_util.h"
#include "ops/timing.h"
#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MATRIX_BYTES (320ull << 20) /* of all matrices of a product */
#define MOST_TOKENS  128
#define MOST_TILES   64
#define SWEEPS       5
#define WARM_UP_NS   100000000ull

typedef struct product {
    uint32_t n_rows, n_cols;
    char kind; /* 'p', 'm', 'a', 's' */
} product;

typedef struct row {
    const gsai_cm_tile *tile; /* NULL = the library's choice */
    gsai_plan plan;
    double ns;
} row;

typedef struct rig {
    gsa_device *dev;
    gsai_type type;
    product p;
    gsai_heap heap;
    gsai_place w[256], x, y;
    uint32_t n_w, n_shown;
    FILE *all;
} rig;

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, gsa_error_text());
    return 1;
}

static gsa_status place(rig *g)
{
    gsai_layout l;
    gsai_upload *up = NULL;
    const uint64_t bytes = g->p.n_rows * gsai_matrix_row_bytes(g->type, g->p.n_cols);
    gsa_status status = GSA_OK;

    gsai_layout_init_for(&l, g->dev);
    g->n_w = (uint32_t)(MATRIX_BYTES / bytes) + 1;
    if (g->n_w > 256) g->n_w = 256;
    if (g->dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) g->n_w = 1;
    for (uint32_t i = 0; i < g->n_w && status == GSA_OK; i++) status = gsai_layout_place(&l, bytes, &g->w[i]);
    if (status == GSA_OK) status = gsai_layout_place(&l, MOST_TOKENS * 2ull * g->p.n_cols, &g->x);
    if (status == GSA_OK) status = gsai_layout_place(&l, MOST_TOKENS * 4ull * g->p.n_rows, &g->y);
    if (status == GSA_OK) status = gsai_heap_create(g->dev, &l, GSAI_MEMORY_DEVICE, &g->heap);
    gsai_layout_finish(&l);
    if (status == GSA_OK) status = gsai_upload_create(g->dev, &up);
    for (uint32_t i = 0; i < g->n_w && status == GSA_OK; i++)
        status = gsai_timing_fill(up, gsai_heap_range(&g->heap, g->w[i]), i + 1);
    if (status == GSA_OK) status = gsai_timing_fill(up, gsai_heap_range(&g->heap, g->x), 1000);
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    return status;
}

static gsa_status record(const rig *g, uint32_t T, const gsai_cm_tile *tile, gsai_plan *plan)
{
    const product *p = &g->p;
    const bool swiglu = p->kind == 's';
    const gsai_maps maps = {.n_half = p->n_rows / 2 / 16 * 16};
    const uint32_t width = swiglu ? p->n_rows / 2 : p->n_rows;
    gsai_recorder *r = NULL;
    const gsa_status status = gsai_recorder_begin(g->dev, 0, &r);

    if (status != GSA_OK) return status;
    for (uint32_t i = 0; i < g->n_w; i++) {
        const gsai_matrix_part part = {g->type, 0, p->n_rows, gsai_heap_range(&g->heap, g->w[i])};
        gsai_matmul_cm(r, &(gsai_matmul_cm_args){.y = {gsai_heap_range(&g->heap, g->y), 0, width, swiglu},
                              .x = {gsai_heap_range(&g->heap, g->x), 0, p->n_cols, true},
                              .part = &part,
                              .n_cols = p->n_cols,
                              .T = T,
                              .n_rows = width,
                              .accumulate = p->kind == 'a',
                              .swiglu = swiglu,
                              .maps = p->kind == 'm' ? &maps : NULL,
                              .tile = tile,
                              .label = "product"});
    }
    return gsai_recorder_finish(r, plan);
}

static gsa_status run(const rig *g, row *w)
{
    gsai_ticket ticket = 0;
    const uint64_t start = gsai_clock_ns();
    gsa_status status = gsai_plan_submit(g->dev, &w->plan, &ticket);
    double ns;

    if (status == GSA_OK) status = gsai_queue_wait(g->dev, ticket, UINT64_MAX);
    ns = (double)(gsai_clock_ns() - start);
    if (status == GSA_OK && gsai_caps_has(&g->dev->caps, GSAI_CAP_TIMESTAMPS))
        status = gsai_plan_gpu_time(g->dev, &w->plan, &ns);
    if (status == GSA_OK && (w->ns == 0 || ns < w->ns)) w->ns = ns;
    return status;
}

static int by_time(const void *a, const void *b)
{
    const double x = ((const row *)a)->ns, y = ((const row *)b)->ns;
    return (x > y) - (x < y);
}

static void print(FILE *to, const rig *g, uint32_t T, const row *w)
{
    const double us = w->ns * 1e-3 / g->n_w;
    const double bytes = (double)g->p.n_rows * (double)gsai_matrix_row_bytes(g->type, g->p.n_cols);

    fprintf(to, "%-5s %5ux%-5u%c %4u  ", gsai_type_name(g->type), g->p.n_rows, g->p.n_cols, g->p.kind, T);
    if (w->tile)
        fprintf(
            to, "%3u x %3u x %3u of %2ux%-2u", w->tile->t, w->tile->n, w->tile->depth, w->tile->sub_t, w->tile->sub_n);
    else
        fprintf(to, "%-24s", "* the library's choice");
    if (w->tile && w->tile->ahead)
        fprintf(to, " %2u subgroups %u ahead", w->tile->subgroups, w->tile->ahead);
    else
        fprintf(to, " %-20s", w->tile ? "many" : "");
    fprintf(to, " %8.2f us %6.0f GB/s\n", us, bytes / us * 1e-3);
}

static gsa_status measure(rig *g, uint32_t T)
{
    row rows[MOST_TILES] = {{0}};
    uint32_t n = 0;
    gsa_status status = record(g, T, NULL, &rows[n].plan);
    uint64_t start;

    if (status == GSA_OK) n++;
    for (int few = 0; few < 2; few++) {
        uint32_t n_tiles;
        const gsai_cm_tile *tiles = gsai_matmul_cm_tiles(g->dev, few, &n_tiles);
        for (uint32_t i = 0; i < n_tiles && n < MOST_TILES; i++) {
            if (!gsai_matmul_cm_fits(g->dev, &tiles[i], g->type, g->p.kind == 's') || tiles[i].t >= 2 * T + 15)
                continue;
            rows[n].tile = &tiles[i];
            if (record(g, T, &tiles[i], &rows[n].plan) == GSA_OK)
                n++;
            else
                failed("tile");
        }
    }
    start = gsai_clock_ns();
    for (uint32_t i = 0; status == GSA_OK && gsai_clock_ns() - start < WARM_UP_NS; i = (i + 1) % n)
        status = run(g, &rows[i]);
    for (uint32_t i = 0; i < n; i++) rows[i].ns = 0;
    for (uint32_t sweep = 0; sweep < SWEEPS; sweep++)
        for (uint32_t i = 0; i < n && status == GSA_OK; i++) status = run(g, &rows[i]);
    qsort(rows, n, sizeof *rows, by_time);
    for (uint32_t i = 0; i < n && status == GSA_OK; i++) {
        if (i < g->n_shown || !rows[i].tile) print(stdout, g, T, &rows[i]);
        if (g->all) print(g->all, g, T, &rows[i]);
    }
    fflush(stdout);
    for (uint32_t i = 0; i < n; i++) gsai_plan_destroy(g->dev, &rows[i].plan);
    return status;
}

static int measure_product(rig *g, const char *tokens)
{
    char list[128];
    gsa_status status = place(g);

    snprintf(list, sizeof list, "%s", tokens);
    for (char *at = list; status == GSA_OK && *at;) {
        const unsigned long T = strtoul(at, &at, 10);
        if (*at == ',') at++;
        if (T == 0 || T > MOST_TOKENS) {
            fprintf(stderr, "tokens: 1 to %d\n", MOST_TOKENS);
            return 2;
        }
        status = measure(g, (uint32_t)T);
    }
    gsai_heap_destroy(g->dev, &g->heap);
    return status == GSA_OK ? 0 : failed("product");
}

static bool read_type(const char *name, gsai_type *out)
{
    for (gsai_type t = GSAI_F16; t < GSAI_N_TYPES; t++)
        if (strcmp(name, gsai_type_name(t)) == 0) return *out = t, true;
    return false;
}

int main(int argc, char **argv)
{
    const char *device = NULL, *tokens = "4,8,16,32,64,128", *file = NULL;
    char types[64] = "f16", products[256] = "6400x2048m,2048x2048a,11264x2048s,2048x5632a";
    rig g = {.n_shown = 4};
    int rc = 0;

    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "-d") == 0)
            device = value;
        else if (strcmp(argv[i], "-t") == 0)
            snprintf(types, sizeof types, "%s", value);
        else if (strcmp(argv[i], "-T") == 0)
            tokens = value;
        else if (strcmp(argv[i], "-p") == 0)
            snprintf(products, sizeof products, "%s", value);
        else if (strcmp(argv[i], "-n") == 0)
            g.n_shown = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "-o") == 0)
            file = value;
        else {
            fprintf(stderr,
                "usage: measure_products [-d DEVICE] [-t TYPES] [-T TOKENS] [-p PRODUCTS] [-n SHOWN] [-o FILE]\n");
            return 2;
        }
    }
    const gsa_device_params dp = {.struct_size = sizeof dp, .select = device, .self_test = GSA_SELF_TEST_OFF};
    if (gsa_device_create(&dp, &g.dev) != GSA_OK) return failed("device");
    if (file && !(g.all = fopen(file, "w"))) {
        perror(file);
        return 1;
    }
    char *of_types = types;
    for (char *type; rc == 0 && (type = strsep(&of_types, ",")) != NULL;) {
        char list[sizeof products], *of_list = list;
        if (!read_type(type, &g.type)) {
            fprintf(stderr, "unknown type %s\n", type);
            return 2;
        }
        snprintf(list, sizeof list, "%s", products);
        for (char *text; rc == 0 && (text = strsep(&of_list, ",")) != NULL;) {
            char *end;
            g.p.n_rows = (uint32_t)strtoul(text, &end, 10);
            g.p.n_cols = *end == 'x' ? (uint32_t)strtoul(end + 1, &end, 10) : 0;
            g.p.kind = *end ? *end : 'p';
            if (g.p.n_rows < 16 || g.p.n_rows % 2 || g.p.n_cols == 0 || g.p.n_cols % 256) {
                fprintf(stderr, "product %s: ROWSxCOLUMNS, columns a multiple of 256\n", text);
                return 2;
            }
            rc = measure_product(&g, tokens);
        }
    }
    if (g.all) fclose(g.all);
    gsa_device_destroy(g.dev);
    return rc;
}
