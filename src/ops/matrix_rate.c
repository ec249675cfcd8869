/* How fast this device multiplies matrices with the kernels that prompts take: the ceiling of prefill. */
#include "ops/timing.h"

#include "ops/op_util.h"
#include "util/status.h"

#include <stdio.h>

enum { N_RUNS = 7, LEAST = 256, MOST = 4096 };
#define LONG_NS 25e6 /* a product that takes this long is large enough */

typedef struct places {
    gsai_place w, x, y;
} places;

static gsa_status lay_out(gsai_layout *l, gsai_type type, uint64_t n, places *p)
{
    gsa_status status = gsai_layout_place(l, n * gsai_matrix_row_bytes(type, (uint32_t)n), &p->w);
    if (status == GSA_OK) status = gsai_layout_place(l, n * n * 4, &p->x);
    if (status == GSA_OK) status = gsai_layout_place(l, n * n * 4, &p->y);
    return status;
}

static gsa_status fill(gsa_device *dev, const gsai_heap *heap, const places *p)
{
    gsai_upload *up = NULL;
    gsa_status status = gsai_upload_create(dev, &up);

    if (status == GSA_OK) status = gsai_timing_fill(up, gsai_heap_range(heap, p->w), 1);
    if (status == GSA_OK) status = gsai_timing_fill(up, gsai_heap_range(heap, p->x), 2);
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    return status;
}

static const char *kernel_of(const gsa_device *dev, gsai_type type, bool half)
{
    char op[32];
    snprintf(op, sizeof op, "%s_%s", half ? "matmul_cm" : "matmul", gsai_type_name(type));
    const gsai_variant *v = gsai_variant_pick(dev, op);
    return v ? v->shader : "none";
}

/* One product n x n x n; the kernel's name is static text. */
static gsa_status measure(gsa_device *dev, gsai_type type, uint32_t n, double *ns, const char **kernel)
{
    gsai_layout layout;
    gsai_heap heap = {0};
    places p;
    gsai_recorder *r = NULL;
    gsai_plan plan = {0};
    double times[N_RUNS];

    gsai_layout_init_for(&layout, dev);
    gsa_status status = lay_out(&layout, type, n, &p);
    if (status == GSA_OK) status = gsai_heap_create(dev, &layout, GSAI_MEMORY_DEVICE, &heap);
    gsai_layout_finish(&layout);
    if (status == GSA_OK) status = fill(dev, &heap, &p);
    if (status == GSA_OK) status = gsai_recorder_begin(dev, 0, &r);
    if (status == GSA_OK) {
        gsai_matrix_part part = {type, 0, n, gsai_heap_range(&heap, p.w)};
        const gsai_matrix w = {n, n, 1, &part};
        const gsai_rows x = {gsai_heap_range(&heap, p.x), 0, n, false}, y = {gsai_heap_range(&heap, p.y), 0, n, false};
        const gsai_rows in = gsai_matmul_input(r, &w, GSAI_ROWS_MANY, x);
        *kernel = kernel_of(dev, type, in.half);
        gsai_op_matmul(r, y, in, &w, n, GSAI_ROWS_MANY, false, "matrix rate");
        status = gsai_recorder_finish(r, &plan);
    }
    if (status == GSA_OK) status = gsai_timing_run(dev, &plan, times, N_RUNS);
    if (status == GSA_OK) *ns = gsai_timing_median(times, N_RUNS);
    gsai_plan_destroy(dev, &plan);
    gsai_heap_destroy(dev, &heap);
    return status;
}

gsa_status gsai_ops_matrix_rate(gsa_device *dev, gsai_type type, uint32_t size, gsa_matrix_rate *out)
{
    uint32_t n = size ? size : LEAST;

    if (n % LEAST != 0 || n > 4 * MOST)
        return gsai_fail(
            GSA_ERROR_ARGUMENT, "matrix rate: size %u, expected 0 or a multiple of %d up to %d", n, LEAST, 4 * MOST);
    *out = (gsa_matrix_rate){0};
    for (;; n *= 2) {
        double ns = 0;
        const char *kernel = NULL;
        const gsa_status status = measure(dev, type, n, &ns, &kernel);
        if (status != GSA_OK && out->size > 0 && (status == GSA_ERROR_DEVICE_MEMORY || status == GSA_ERROR_LIMIT))
            return GSA_OK; /* the size before was the largest that fits */
        if (status != GSA_OK) return status;
        if (!(ns > 0)) return gsai_fail(GSA_ERROR_DRIVER, "matrix rate: the device reports no time for a product");
        *out = (gsa_matrix_rate){2.0 * n * n * n / (ns * 1e-9), n, kernel};
        if (size || n == MOST || 8 * ns > LONG_NS) return GSA_OK;
    }
}
