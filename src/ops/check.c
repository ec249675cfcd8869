/* The bench on which a kernel answers one question: an arena on the device filled from a host image, gaps and all, and
 * fetched whole afterwards, so that a stray write shows wherever it lands. */
#include "ops/check.h"

#include "util/half.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

enum { UNTOUCHED = 0xff, PAD_COLUMNS = 4, LEAD_FLOATS = 8 };
#define PAD_VALUE 1e30f /* finite, and ruinous if it counts */

static uint8_t *image_at(gsai_check *c, uint64_t offset)
{
    return c->image + offset;
}

static bool usable(const gsai_check *c)
{
    return c->status == GSA_OK && !c->skipped;
}

gsa_status gsai_check_create(gsai_check *c, gsa_device *dev, uint64_t capacity, gsai_memory_kind kind)
{
    memset(c, 0, sizeof *c);
    c->dev = dev;
    c->capacity = capacity;
    if (c->capacity > dev->caps.max_allocation_bytes) c->capacity = dev->caps.max_allocation_bytes / 16 * 16;
    c->image = gsai_alloc(&dev->allocator, c->capacity);
    if (!c->image) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for the kernels' known questions");

    gsa_status status = gsai_buffer_create(dev, c->capacity, kind, &c->device);
    if (status == GSA_OK) status = gsai_buffer_create(dev, c->capacity, GSAI_MEMORY_UPLOAD, &c->upload);
    if (status == GSA_OK) status = gsai_buffer_create(dev, c->capacity, GSAI_MEMORY_READBACK, &c->readback);
    return status;
}

static void forget_case(gsai_check *c)
{
    if (c->r) {
        gsai_plan plan;
        gsai_recorder_fail(c->r, GSA_ERROR_CANCELLED);
        gsai_recorder_finish(c->r, &plan);
        c->r = NULL;
    }
    while (c->memory) {
        gsai_check_memory *next = c->memory->next;
        gsai_free(&c->dev->allocator, c->memory);
        c->memory = next;
    }
}

void gsai_check_destroy(gsai_check *c)
{
    forget_case(c);
    gsai_buffer_destroy(c->dev, &c->device);
    gsai_buffer_destroy(c->dev, &c->upload);
    gsai_buffer_destroy(c->dev, &c->readback);
    gsai_free(&c->dev->allocator, c->image);
    c->image = NULL;
}

gsa_status gsai_check_run(gsai_check *c, const gsai_verify_set *set, const gsai_verify_case *k, const gsai_variant *v)
{
    forget_case(c);
    c->set = set;
    c->variant = v;
    c->status = GSA_OK;
    c->skipped = c->failed = false;
    c->error = c->gpu_us = 0;
    c->used = c->n_places = 0;
    c->random = 0x9E3779B97F4A7C15u;
    for (uint32_t i = 0; i < 12; i++) c->random = (c->random ^ k->n[i]) * 0xD1342543DE82EF95u + 1;
    memset(c->image, UNTOUCHED, c->capacity);
    set->run(c, k);
    forget_case(c);
    return c->status;
}

bool gsai_check_passed(const gsai_check *c, const gsai_verify_case *k)
{
    const char *broken = c->dev->break_kernel;
    return c->status == GSA_OK && !c->failed && c->error <= k->tolerance &&
           !(broken && strcmp(broken, c->variant->shader) == 0);
}

uint32_t gsai_check_arg(const gsai_check *c)
{
    return c->set->arg;
}

const char *gsai_check_op(const gsai_check *c)
{
    return c->set->op;
}

gsa_device *gsai_check_device(const gsai_check *c)
{
    return c->dev;
}

void gsai_check_status(gsai_check *c, gsa_status status)
{
    if (c->status == GSA_OK) c->status = status;
}

void gsai_check_fail(gsai_check *c)
{
    c->failed = true;
}

float *gsai_check_alloc(gsai_check *c, uint64_t n)
{
    if (!usable(c)) return NULL;
    gsai_check_memory *m = n < SIZE_MAX / 8 ? gsai_alloc(&c->dev->allocator, sizeof *m + n * 4) : NULL;
    if (!m) {
        gsai_check_status(c, gsai_fail(GSA_ERROR_HOST_MEMORY, "no host memory for a kernel's known question"));
        return NULL;
    }
    m->next = c->memory;
    c->memory = m;
    return (float *)(m + 1);
}

uint32_t gsai_check_random_u32(gsai_check *c)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(c->random >> 33) ^ (uint32_t)(c->random >> 17);
}

float *gsai_check_random(gsai_check *c, uint64_t n, float scale, bool wide)
{
    float *x = gsai_check_alloc(c, n);

    for (uint64_t i = 0; x && i < n; i++) {
        const double u = gsai_check_random_u32(c) / 4294967296.0;
        if (wide) {
            x[i] = (float)(scale * pow(10, -6 * u) * (gsai_check_random_u32(c) & 1 ? 1 : -1));
        } else {
            x[i] = (float)(scale * (2 * u - 1));
        }
    }
    return x;
}

static gsai_check_place_info *place(gsai_check *c, uint64_t size, gsai_check_use use)
{
    const gsai_caps *caps = &c->dev->caps;
    const uint64_t bytes = gsai_round_up(size, 16);

    if (!usable(c)) return NULL;
    const uint64_t offset = gsai_round_up(c->used + 16, caps->offset_align); /* a gap in front of each place */
    if (bytes > caps->max_range_bytes || offset + bytes + 16 > c->capacity || c->n_places == GSAI_CHECK_MAX_PLACES) {
        c->skipped = true; /* more than this device (or its mask) can bind */
        return NULL;
    }
    c->used = offset + bytes;
    gsai_check_place_info *p = &c->places[c->n_places++];
    *p = (gsai_check_place_info){.offset = offset, .size = bytes, .use = use};
    return p;
}

gsai_range gsai_check_place(gsai_check *c, const void *data, uint64_t size, gsai_check_use use)
{
    gsai_check_place_info *p = place(c, size, use);
    if (!p) return (gsai_range){0};

    if (data || use != GSAI_CHECK_OUT) memset(image_at(c, p->offset), 0, p->size);
    if (data) memcpy(image_at(c, p->offset), data, size);
    return (gsai_range){&c->device, p->offset, p->size};
}

gsai_rows gsai_check_rows(gsai_check *c, const float *data, uint32_t T, uint32_t width, gsai_check_use use)
{
    const uint32_t stride = (uint32_t)gsai_round_up(width, 4) + PAD_COLUMNS;
    gsai_check_place_info *p = place(c, (LEAD_FLOATS + (uint64_t)T * stride) * 4, use);
    if (!p) return (gsai_rows){0};

    float *image = (float *)image_at(c, p->offset);
    if (use != GSAI_CHECK_OUT)
        for (uint64_t i = 0; i < p->size / 4; i++) image[i] = PAD_VALUE;
    for (uint32_t t = 0; t < T && use != GSAI_CHECK_OUT; t++) {
        float *row = image + LEAD_FLOATS + (uint64_t)t * stride;
        if (data) memcpy(row, data + (uint64_t)t * width, width * 4ull);
        if (!data) memset(row, 0, width * 4ull);
    }
    p->rows = (gsai_rows){{&c->device, p->offset, p->size}, LEAD_FLOATS, stride};
    p->T = T;
    p->width = width;
    return p->rows;
}

gsai_table gsai_check_table(gsai_check *c, const uint32_t *words, uint32_t n)
{
    const uint32_t base = 5; /* any */
    gsai_check_place_info *p = place(c, (base + (uint64_t)n) * 4, GSAI_CHECK_IN);
    if (!p) return (gsai_table){0};

    memcpy(image_at(c, p->offset) + base * 4, words, n * 4ull);
    return (gsai_table){{&c->device, p->offset, p->size}, base};
}

static void encode(gsai_type type, void *dst, uint64_t i, float value)
{
    if (type == GSAI_F32) {
        ((float *)dst)[i] = value;
    } else {
        ((uint16_t *)dst)[i] = type == GSAI_F16 ? gsai_float_to_f16(value) : gsai_float_to_bf16(value);
    }
}

/* Any bits at all, but for scales that keep values in [-scale, scale]; every eighth of them is as small as f16 goes, so
 * that a device which takes those for zero shows. */
static void random_blocks(gsai_check *c, gsai_type type, uint8_t *data, uint64_t n_bytes, float scale)
{
    static const struct {
        uint32_t d, dmin; /* byte of each f16 in a block; the same when there is one */
        float largest;    /* of what d is multiplied with */
    } of[GSAI_N_TYPES] = {
        [GSAI_Q8_0] = {0, 0, 128},
        [GSAI_Q4_0] = {0, 0, 8},
        [GSAI_Q4_K] = {0, 2, 63 * 15},
        [GSAI_Q6_K] = {208, 208, 128 * 32},
    };
    const uint32_t block = gsai_type_block_bytes(type);

    for (uint64_t i = 0; i < n_bytes; i++) data[i] = (uint8_t)(gsai_check_random_u32(c) >> 8);
    for (uint64_t at = 0; at < n_bytes; at += block) {
        const uint32_t dice = gsai_check_random_u32(c);
        const float part = (1 + (float)(dice & 0xff)) / 256 * (dice & 0x100 ? 1.0f : -1.0f);
        const uint16_t d = gsai_float_to_f16(dice & 0xe00 ? part * scale / of[type].largest : part * 6e-5f);
        const uint16_t dmin = gsai_float_to_f16(gsai_f16_to_float(d) * (dice & 0x1000 ? 9.0f : 5.0f));
        memcpy(data + at + of[type].dmin, &dmin, 2);
        memcpy(data + at + of[type].d, &d, 2);
    }
}

gsai_matrix gsai_check_matrix(gsai_check *c, gsai_type type, uint32_t n_rows, uint32_t n_cols, uint32_t max_part_rows,
    float scale, gsai_tensor *tensor)
{
    const uint64_t row_bytes = gsai_matrix_row_bytes(type, n_cols), packed = gsai_type_bytes(type, n_cols);
    uint64_t part_rows = c->dev->caps.max_range_bytes / row_bytes;

    memset(tensor, 0, sizeof *tensor);
    if (part_rows == 0) c->skipped = true;
    if (max_part_rows > 0 && part_rows > max_part_rows) part_rows = max_part_rows;
    if (part_rows > n_rows) part_rows = n_rows;
    const uint32_t n_parts = part_rows ? (uint32_t)((n_rows + part_rows - 1) / part_rows) : 0;

    if (n_cols % gsai_type_block(type) != 0) c->skipped = true;
    const bool blocks = gsai_type_is_quantised(type);
    const float *values = blocks ? NULL : gsai_check_random(c, (uint64_t)n_rows * n_cols, scale, false);
    uint8_t *data = (uint8_t *)gsai_check_alloc(c, ((uint64_t)n_rows * packed + 3) / 4);
    gsai_matrix_part *parts = (gsai_matrix_part *)gsai_check_alloc(c, n_parts * sizeof *parts / 4);
    if (!data || !parts) return (gsai_matrix){0};
    for (uint64_t i = 0; values && i < (uint64_t)n_rows * n_cols; i++) encode(type, data, i, values[i]);
    if (blocks) random_blocks(c, type, data, n_rows * packed, scale);

    for (uint32_t i = 0; i < n_parts; i++) {
        const uint32_t first = (uint32_t)(i * part_rows);
        const uint32_t n = n_rows - first < part_rows ? n_rows - first : (uint32_t)part_rows;
        gsai_check_place_info *p = place(c, n * row_bytes, GSAI_CHECK_IN);
        if (!p) return (gsai_matrix){0};
        gsai_matrix_repack(type, n_cols, n, data + first * packed, image_at(c, p->offset));
        parts[i] = (gsai_matrix_part){type, first, n, {&c->device, p->offset, p->size}};
    }
    *tensor = (gsai_tensor){.name = "known question",
        .type = type,
        .n_dims = 2,
        .dims = {n_rows, n_cols},
        .data = data,
        .n_bytes = n_rows * packed};
    return (gsai_matrix){n_rows, n_cols, n_parts, parts};
}

/* One plan of its own: between device arena and host. */
static gsa_status transfer(gsai_check *c, const gsai_buffer *from, const gsai_buffer *to, bool to_host)
{
    const uint64_t size = c->used + 16; /* the gap behind the last place too */
    gsai_recorder *r = NULL;
    gsai_plan plan = {0};
    gsai_ticket ticket = 0;

    gsa_status status = gsai_recorder_begin(c->dev, 0, &r);
    if (status != GSA_OK) return status;
    gsai_recorder_copy(r, (gsai_range){from, 0, size}, 0, (gsai_range){to, 0, size}, 0, size);
    if (to_host) gsai_recorder_to_host(r);
    status = gsai_recorder_finish(r, &plan);
    if (status == GSA_OK) status = gsai_plan_submit(c->dev, &plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(c->dev, ticket, UINT64_MAX);
    gsai_plan_destroy(c->dev, &plan);
    return status;
}

gsai_recorder *gsai_check_begin(gsai_check *c)
{
    if (!usable(c) || c->r) return NULL;
    memcpy(c->upload.mapped, c->image, c->used + 16);
    gsai_buffer_flush(c->dev, &c->upload, 0, c->used + 16);
    gsai_check_status(c, transfer(c, &c->upload, &c->device, false));
    if (usable(c)) gsai_check_status(c, gsai_recorder_begin(c->dev, 0, &c->r));
    if (!usable(c)) return NULL;
    gsai_recorder_force(c->r, c->variant);
    return c->r;
}

gsa_status gsai_check_end(gsai_check *c)
{
    gsai_plan plan = {0};
    gsai_ticket ticket = 0;
    double ns = 0;

    if (!usable(c) || !c->r) return c->status != GSA_OK ? c->status : GSA_ERROR_LIMIT;
    gsa_status status = gsai_recorder_finish(c->r, &plan);
    c->r = NULL;
    if (status == GSA_OK) status = gsai_plan_submit(c->dev, &plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(c->dev, ticket, UINT64_MAX);
    if (status == GSA_OK && gsai_caps_has(&c->dev->caps, GSAI_CAP_TIMESTAMPS) &&
        gsai_plan_gpu_time(c->dev, &plan, &ns) == GSA_OK)
        c->gpu_us += ns / 1e3;
    gsai_plan_destroy(c->dev, &plan);
    if (status == GSA_OK) status = transfer(c, &c->device, &c->readback, true);
    gsai_check_status(c, status);
    if (status != GSA_OK) return status;
    gsai_buffer_invalidate(c->dev, &c->readback, 0, c->used + 16);
    gsai_check_untouched(c);
    return GSA_OK;
}

const void *gsai_check_data(gsai_check *c, gsai_range range)
{
    return usable(c) && range.buffer ? (const uint8_t *)c->readback.mapped + range.offset : NULL;
}

/* Everything but the cells an op may write must be as it was. */
void gsai_check_untouched(gsai_check *c)
{
    const uint8_t *now = c->readback.mapped;
    uint64_t at = 0;

    for (uint32_t i = 0; i < c->n_places; i++) {
        const gsai_check_place_info *p = &c->places[i];
        if (memcmp(now + at, c->image + at, p->offset - at) != 0) c->failed = true;
        at = p->offset;
        if (p->use != GSAI_CHECK_IN && p->T == 0) at += p->size;
        for (uint32_t t = 0; p->use != GSAI_CHECK_IN && t < p->T; t++) {
            const uint64_t row = p->offset + (p->rows.offset + (uint64_t)t * p->rows.stride) * 4;
            if (memcmp(now + at, c->image + at, row - at) != 0) c->failed = true;
            at = row + p->width * 4ull;
        }
    }
    if (memcmp(now + at, c->image + at, c->used + 16 - at) != 0) c->failed = true;
}

static void note_error(gsai_check *c, double squares, double of)
{
    const double error = of > 0 ? sqrt(squares / of) : sqrt(squares);

    if (!(error <= c->error)) c->error = error == error ? error : INFINITY;
}

void gsai_check_compare(gsai_check *c, const float *got, const float *want, uint64_t n)
{
    double squares = 0, of = 0;

    if (!usable(c)) return;
    for (uint64_t i = 0; i < n; i++) {
        const double d = (double)got[i] - want[i];
        squares += d * d;
        of += (double)want[i] * want[i];
    }
    note_error(c, squares, of);
}

void gsai_check_compare_rows(gsai_check *c, gsai_rows rows, const float *want, uint32_t T, uint32_t width)
{
    const float *got = gsai_check_data(c, rows.range);
    double squares = 0, of = 0;

    if (!got) return;
    for (uint32_t t = 0; t < T; t++)
        for (uint32_t i = 0; i < width; i++) {
            const double w = want[(uint64_t)t * width + i];
            const double d = got[rows.offset + (uint64_t)t * rows.stride + i] - w;
            squares += d * d;
            of += w * w;
        }
    note_error(c, squares, of);
}

void gsai_check_compare_ids(gsai_check *c, gsai_range tokens, const int32_t *want, uint32_t n)
{
    const int32_t *got = gsai_check_data(c, tokens);

    for (uint32_t i = 0; got && i < n; i++)
        if (got[i] != want[i]) c->error += 1;
}
