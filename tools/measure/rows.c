/* Single tokens of many sessions: both memories of a layer in two dispatches (gsa_rows_k, _v) and in one (gsa_rows_kv).
 *
 *   measure_rows [-d DEVICE] [-s SESSIONS] [-t THREADS] [-w WINDOWS] [-l LAYERS] [-k WIDTH] [-f HALF]
 *
 * SESSIONS as 32,128; THREADS and WINDOWS of the one dispatch as 256,512 and 8,16, all pairs are tried; WIDTH: K and V of
 * each of four heads (512); HALF 1: states of f16. As in a model the states are those of LAYERS layers (24), so that no
 * cache holds them, and each call waits for the one before. Printed: microseconds a layer, median and best of 15 runs, GB/s of
 * the state, and whether o of the last layer and the states of the first and last have the bits of the two dispatches. */
#include "model/state.h"
#include "ops/mixer.h"
#include "ops/timing.h"
#include "util/half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS        15
#define MOST_LAYERS 64

typedef struct rig {
    gsa_device *dev;
    gsai_config config;
    uint32_t n_sessions, n_layers;
    gsai_qkvf x; /* rows unset */
    gsai_heap heap;
    gsai_place state[MOST_LAYERS], rows, o, work, scratch;
    uint64_t state_bytes, want; /* of a layer; hash of what the two dispatches gave */
} rig;

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, gsa_error_text());
    return 1;
}

static gsa_status place(rig *g)
{
    const gsai_config *c = &g->config;
    const uint32_t n = g->n_sessions;
    gsai_layout l;
    gsa_status status = GSA_OK;

    g->x = (gsai_qkvf){.k = c->H * c->K, .v = (c->H + c->G) * c->K, .g = (c->H + c->G) * c->K + c->G * c->V};
    g->x.width = g->x.s = g->x.g + c->G * c->M; /* projections have no strengths */
    g->state_bytes = n * gsai_kept_state_bytes(c);
    gsai_layout_init_for(&l, g->dev);
    for (uint32_t i = 0; i < g->n_layers && status == GSA_OK; i++)
        status = gsai_layout_place(&l, g->state_bytes, &g->state[i]);
    if (status == GSA_OK) status = gsai_layout_place(&l, (uint64_t)n * g->x.width * 4, &g->rows);
    if (status == GSA_OK) status = gsai_layout_place(&l, (uint64_t)n * c->H * c->V * 4, &g->o);
    if (status == GSA_OK) status = gsai_layout_place(&l, 32ull * n, &g->work);
    if (status == GSA_OK) status = gsai_layout_place(&l, gsai_gsa_rows_floats(c, n, 1) * 4, &g->scratch);
    if (status == GSA_OK) status = gsai_heap_create(g->dev, &l, GSAI_MEMORY_DEVICE, &g->heap);
    gsai_layout_finish(&l);
    return status;
}

/* What the driver's compiler tells of a kernel, when it is first used. */
static void tell(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    (void)level;
    if (strncmp(text, "statistics of kernel gsa_rows", 29) == 0) printf("%s\n", text);
}

#define PIECE (1u << 18) /* values written at a time */

/* Like a running model's, from -1 to 1, down to the smallest of f16. */
static gsa_status fill_values(gsai_upload *up, gsai_range to, bool half, uint32_t seed)
{
    const uint32_t element = half ? 2 : 4;
    uint8_t *piece = malloc((size_t)PIECE * element);
    gsa_status status = piece ? GSA_OK : GSA_ERROR_HOST_MEMORY;

    for (uint32_t i = 0; piece && i < PIECE; i++) {
        seed = seed * 1664525u + 1013904223u;
        const float value = ldexpf((float)(int32_t)seed / 2147483648.0f, -(int)(seed >> 4 & 31u));
        const uint16_t half_value = gsai_float_to_f16(value);
        memcpy(piece + (size_t)i * element, half ? (const void *)&half_value : &value, element);
    }
    for (uint64_t at = 0; status == GSA_OK && at < to.size; at += (uint64_t)PIECE * element) {
        const uint64_t left = to.size - at, n = left < (uint64_t)PIECE * element ? left : (uint64_t)PIECE * element;
        status = gsai_upload_write(up, to, at, piece, n);
    }
    free(piece);
    return status;
}

/* The sessions' slots lie in the opposite order. */
static gsa_status fill(const rig *g)
{
    gsai_upload *up = NULL;
    gsa_status status = gsai_upload_create(g->dev, &up);

    for (uint32_t i = 0; i < g->n_layers && status == GSA_OK; i++)
        status = fill_values(up, gsai_heap_range(&g->heap, g->state[i]), g->config.half_state, i + 1);
    if (status == GSA_OK) status = fill_values(up, gsai_heap_range(&g->heap, g->rows), false, 1000);
    for (uint32_t i = 0; i < g->n_sessions && status == GSA_OK; i++) {
        const uint32_t n = g->n_sessions, slot = n - 1 - i;
        const uint32_t span[] = {slot, i, 1, 0}, chunk[] = {i, 1, slot, i};
        status = gsai_upload_write(up, gsai_heap_range(&g->heap, g->work), 16ull * i, span, sizeof span);
        if (status == GSA_OK)
            status = gsai_upload_write(up, gsai_heap_range(&g->heap, g->work), 16ull * (n + i), chunk, sizeof chunk);
    }
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    return status;
}

/* form NULL: two dispatches */
static gsa_status record(const rig *g, const gsai_rows_form *form, gsai_plan *plan)
{
    const gsai_config *c = &g->config;
    const uint32_t n = g->n_sessions;
    const gsai_rows o = {gsai_heap_range(&g->heap, g->o), 0, c->H * c->V, false};
    const gsai_work work = {gsai_heap_range(&g->heap, g->work), 0, n * GSA_WORK_STRIDE, n, n, n, GSAI_ROWS_ONE, true};
    gsai_qkvf x = g->x;
    gsai_recorder *r = NULL;
    const gsa_status status = gsai_recorder_begin(g->dev, 0, &r);

    if (status != GSA_OK) return status;
    x.rows = (gsai_rows){gsai_heap_range(&g->heap, g->rows), 0, x.width, false};
    for (uint32_t i = 0; i < g->n_layers; i++) {
        const gsai_state state = {gsai_heap_range(&g->heap, g->state[i]), gsai_kept_layer_state(c)};
        if (form)
            gsai_op_gsa_rows_kv(r, c, o, &x, &state, &work, true, form);
        else
            gsai_op_gsa_rows(r, c, o, &x, &state, &work, gsai_heap_range(&g->heap, g->scratch), true);
    }
    return gsai_recorder_finish(r, plan);
}

static gsa_status hash(const rig *g, gsai_place from, uint64_t bytes, uint64_t *h)
{
    gsai_buffer host = {0};
    gsai_recorder *r = NULL;
    gsai_plan plan = {0};
    gsai_ticket ticket = 0;
    gsa_status status = gsai_buffer_create(g->dev, bytes, GSAI_MEMORY_READBACK, &host);

    if (status == GSA_OK) status = gsai_recorder_begin(g->dev, 0, &r);
    if (status == GSA_OK) {
        gsai_recorder_copy(r, gsai_heap_range(&g->heap, from), 0, (gsai_range){&host, 0, host.size}, 0, bytes);
        gsai_recorder_to_host(r);
        status = gsai_recorder_finish(r, &plan);
    }
    if (status == GSA_OK) status = gsai_plan_submit(g->dev, &plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(g->dev, ticket, UINT64_MAX);
    if (status == GSA_OK) {
        const uint64_t *words = host.mapped;
        gsai_buffer_invalidate(g->dev, &host, 0, bytes);
        for (uint64_t i = 0; i < bytes / 8; i++) *h = (*h ^ words[i]) * 0x9e3779b97f4a7c15ull + (*h >> 29);
    }
    gsai_plan_destroy(g->dev, &plan);
    gsai_buffer_destroy(g->dev, &host);
    return status;
}

/* Once from the beginning for the bits, then for the time. */
static gsa_status measure(rig *g, const gsai_rows_form *form)
{
    const uint64_t o_bytes = (uint64_t)g->n_sessions * g->config.H * g->config.V * 4;
    gsai_plan plan = {0};
    gsai_ticket ticket = 0;
    double ns[RUNS];
    uint64_t h = 1;
    gsa_status status = fill(g);

    if (status == GSA_OK) status = record(g, form, &plan);
    if (status == GSA_OK) status = gsai_plan_submit(g->dev, &plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(g->dev, ticket, UINT64_MAX);
    if (status == GSA_OK) status = hash(g, g->o, o_bytes, &h);
    if (status == GSA_OK) status = hash(g, g->state[0], g->state_bytes, &h);
    if (status == GSA_OK) status = hash(g, g->state[g->n_layers - 1], g->state_bytes, &h);
    if (status == GSA_OK) status = gsai_timing_run(g->dev, &plan, ns, RUNS);
    gsai_plan_destroy(g->dev, &plan);
    if (status != GSA_OK) return status;

    const double median = gsai_timing_median(ns, RUNS) * 1e-3 / g->n_layers, best = ns[0] * 1e-3 / g->n_layers;
    if (!form) g->want = h;
    if (form)
        printf("%4u sessions  one, %4u threads, window %2u", g->n_sessions, form->threads, form->window);
    else
        printf("%4u sessions  two                        ", g->n_sessions);
    printf("  %8.2f us, best %8.2f  %6.0f GB/s%s\n", median, best, 2e-3 * (double)g->state_bytes / median,
        !form          ? ""
        : h == g->want ? "  same bits"
                       : "  OTHER BITS");
    fflush(stdout);
    return GSA_OK;
}

static gsa_status measure_sessions(rig *g, const char *threads, const char *windows)
{
    gsa_status status = place(g);

    if (status == GSA_OK) status = measure(g, NULL);
    for (const char *t = threads; status == GSA_OK && *t; t += *t == ',') {
        gsai_rows_form form = {.threads = (uint32_t)strtoul(t, (char **)&t, 10)};
        for (const char *w = windows; status == GSA_OK && *w; w += *w == ',') {
            form.window = (uint32_t)strtoul(w, (char **)&w, 10);
            if (gsai_gsa_rows_kv_fits(g->dev, &g->config, &form)) status = measure(g, &form);
        }
    }
    gsai_heap_destroy(g->dev, &g->heap);
    return status;
}

int main(int argc, char **argv)
{
    const char *device = NULL, *sessions = "1,2,8,32,64,128", *threads = "256,512,1024", *windows = "4,8,12,16";
    rig g = {.n_layers = 24,
        .config = {.n_vocab = 1,
            .n_layers = 1,
            .D = 1,
            .H = 4,
            .G = 4,
            .K = 512,
            .V = 512,
            .M = 64,
            .F = 1,
            .norm_eps = 1,
            .g_norm_eps = 1,
            .gate_normalizer = 8,
            .scale = 1,
            .bos_id = -1,
            .eos_id = -1}};

    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "-d") == 0)
            device = value;
        else if (strcmp(argv[i], "-s") == 0)
            sessions = value;
        else if (strcmp(argv[i], "-t") == 0)
            threads = value;
        else if (strcmp(argv[i], "-w") == 0)
            windows = value;
        else if (strcmp(argv[i], "-l") == 0)
            g.n_layers = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "-k") == 0)
            g.config.K = g.config.V = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "-f") == 0)
            g.config.half_state = strcmp(value, "1") == 0;
        else {
            fprintf(stderr, "usage: measure_rows [-d DEVICE] [-s SESSIONS] [-t THREADS] [-w WINDOWS] [-l LAYERS] "
                            "[-k WIDTH] [-f HALF]\n");
            return 2;
        }
    }
    if (g.n_layers < 1 || g.n_layers > MOST_LAYERS || g.config.K < 64 || g.config.K % 64) {
        fprintf(stderr, "1 to %d layers, a width in 64s\n", MOST_LAYERS);
        return 2;
    }
    const gsa_device_params dp = {.struct_size = sizeof dp,
        .select = device,
        .self_test = GSA_SELF_TEST_OFF,
        .log = {tell, NULL, GSA_LOG_INFO},
        .kernel_statistics = true};
    if (gsa_device_create(&dp, &g.dev) != GSA_OK) return failed("device");
    gsa_status status = GSA_OK;
    for (const char *s = sessions; status == GSA_OK && *s; s += *s == ',') {
        g.n_sessions = (uint32_t)strtoul(s, (char **)&s, 10);
        if (g.n_sessions > 0) status = measure_sessions(&g, threads, windows);
    }
    const int rc = status == GSA_OK ? 0 : failed("rows");
    gsa_device_destroy(g.dev);
    return rc;
}
