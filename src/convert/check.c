/* The new file read back by the ordinary reader before it gets its name: config, types, shapes, and some rows of every
 * tensor against the source. */
#include "convert/convert.h"

#include "util/alloc.h"
#include "util/file.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

#define ROWS 8 /* of each tensor */

typedef struct sums {
    double error, signal; /* squares */
} sums;

static gsa_status check_config(const gsai_config *a, const gsai_config *b)
{
    if (gsai_config_hash(a) == gsai_config_hash(b)) return GSA_OK;
    return gsai_fail(GSA_ERROR_MISMATCH, "check of the new file: its config differs from the source's");
}

/* Rounding to a plain type errs by half a step; blocks by much less than these in any but the most unlikely rows. */
static double bound(gsai_type type, double x)
{
    switch (type) {
    case GSAI_F16:
        return 0x1p-11 * fabs(x) + 0x1p-25;
    case GSAI_BF16:
        return 0x1p-8 * fabs(x) + 0x1p-133;
    default:
        return 0;
    }
}

static double block_bound(gsai_type type)
{
    return type == GSAI_Q8_0 || type == GSAI_Q6_K ? 0.1 : 0.5;
}

static gsa_status check_row(const gsai_convert_item *item, uint64_t row, const float *x, const float *y, sums *s)
{
    double error = 0, signal = 0;
    const bool copy = item->type == item->from->type, blocks = gsai_type_is_quantised(item->type) && !copy;
    for (uint64_t i = 0; i < item->columns; i++) {
        const double e = copy ? 0 : fabs((double)x[i] - (double)y[i]);
        const bool good = copy ? memcmp(&x[i], &y[i], sizeof *x) == 0 : blocks || e <= bound(item->type, (double)x[i]);
        error += e * e;
        signal += isfinite(x[i]) ? (double)x[i] * (double)x[i] : 0;
        if (!good)
            return gsai_fail(GSA_ERROR_MISMATCH,
                "check of the new file: tensor %s, row %llu, element %llu: %g became %g in %s", item->name,
                (unsigned long long)row, (unsigned long long)i, (double)x[i], (double)y[i], gsai_type_name(item->type));
    }
    s->error += error;
    s->signal += signal;
    /* Half of the smallest step of a float16 scale is lost whatever the encoder does. */
    const double floor = sqrt((double)item->columns) * 0x1p-24;
    if (blocks && !(sqrt(error) <= block_bound(item->type) * sqrt(signal) + floor))
        return gsai_fail(GSA_ERROR_MISMATCH,
            "check of the new file: tensor %s, row %llu: %s is off by %.3g of the row's size", item->name,
            (unsigned long long)row, gsai_type_name(item->type), sqrt(error / signal));
    return GSA_OK;
}

static gsa_status check_item(const gsai_convert_item *item, const gsai_tensor *found, float *x, float *y, sums *s)
{
    if (found->type != item->type || found->n_dims != item->n_dims ||
        memcmp(found->dims, item->dims, item->n_dims * sizeof *item->dims) != 0 || found->n_bytes != item->n_bytes)
        return gsai_fail(
            GSA_ERROR_MISMATCH, "check of the new file: tensor %s: another type or shape than was written", item->name);
    const uint64_t n = item->rows < ROWS ? item->rows : ROWS;
    for (uint64_t i = 0; i < n; i++) { /* first, last, and evenly between */
        const uint64_t row = n > 1 ? i * (item->rows - 1) / (n - 1) : 0;
        gsa_status status = gsai_tensor_read_floats(item->from, row * item->columns, item->columns, x);
        if (!status) status = gsai_tensor_read_floats(found, row * item->columns, item->columns, y);
        if (!status) status = check_row(item, row, x, y, s);
        if (status) return status;
    }
    if (item->from->is_mapped) gsai_file_pages_drop(item->from->data, item->from->n_bytes);
    if (found->is_mapped) gsai_file_pages_drop(found->data, found->n_bytes);
    return GSA_OK;
}

static gsa_status check_all(gsai_conversion *c, const gsai_checkpoint *found, float *x, float *y)
{
    const gsa_convert_params *p = c->params;
    sums s[GSAI_N_TYPES] = {0};
    gsa_status status = check_config(&c->source->config, &found->config);
    uint64_t done = 0;
    for (uint32_t i = 0; i < c->n_items && !status; i++) {
        const gsai_convert_item *item = &c->items[i];
        status = check_item(item, gsai_checkpoint_role(found, item->role, item->layer), x, y, &s[item->type]);
        done += item->from->n_bytes;
        const gsa_convert_progress progress = {
            .what = "check", .tensor = item->name, .bytes_done = done, .bytes_total = c->source_bytes};
        if (!status && p->progress && !p->progress(p->user, &progress))
            status = gsai_fail(GSA_ERROR_CANCELLED, "convert: cancelled");
    }
    for (int t = 0; t < GSAI_N_TYPES; t++)
        c->result.types[t].error = s[t].signal > 0 ? sqrt(s[t].error / s[t].signal) : 0;
    return status;
}

gsa_status gsai_convert_check(gsai_conversion *c)
{
    const gsai_checkpoint_options options = {c->allocator, NULL};
    gsai_checkpoint *found = NULL;
    uint64_t columns = 1;
    for (uint32_t i = 0; i < c->n_items; i++) columns = c->items[i].columns > columns ? c->items[i].columns : columns;
    float *rows = gsai_alloc_array(&c->allocator, 2 * (size_t)columns, sizeof *rows);
    if (!rows) return gsai_fail(GSA_ERROR_HOST_MEMORY, "convert: no memory for two rows");
    gsa_status status = gsai_checkpoint_open_gguf(gsai_gguf_begun_path(c->writer), NULL, &options, &found);
    if (status) {
        gsai_fail_in(status, "check of the new file");
    } else {
        status = check_all(c, found, rows, rows + columns);
    }
    gsai_checkpoint_close(found);
    gsai_free(&c->allocator, rows);
    return status;
}
