/* How fast this device reads its memory: the ceiling that decoding is measured against. */
#include "ops/timing.h"

#include "ops/op_util.h"
#include "util/status.h"

enum { N_RUNS = 7, GROUP = 128, LOADS = 8, MAX_PIECES = 64 };
#define MIN_BYTES (1ull << 20)

/* One read of every piece; each call has a sink of its own, so that no call waits for another. */
static void record(
    gsai_recorder *r, const gsai_heap *heap, const gsai_place *pieces, uint32_t n_pieces, gsai_place sink)
{
    const gsai_variant *v = gsai_op_variant(r, "read");
    const gsai_pipeline *pipeline = v ? gsai_op_pipeline(r, v, NULL, 0, 0) : NULL;
    const uint64_t step = gsai_recorder_device(r)->caps.offset_align;

    for (uint32_t i = 0; i < n_pieces && pipeline; i++) {
        gsai_range to = gsai_heap_range(heap, sink);
        const struct gsa_read_push push = {(uint32_t)(pieces[i].size / 16), 0xA5A5A5A5u};
        gsai_call call = {.pipeline = pipeline, .label = "read", .n_bind = 2, .push = &push, .push_bytes = sizeof push};
        if (!gsai_op_grid(r, (push.n_vecs + GROUP * LOADS - 1) / (GROUP * LOADS), GROUP, call.groups)) return;
        to.offset += i * step;
        to.size = 16;
        call.bind[0] = GSAI_BIND(gsai_heap_range(heap, pieces[i]), GSAI_READ);
        call.bind[1] = GSAI_BIND(to, GSAI_WRITE);
        call.bytes = pieces[i].size;
        gsai_recorder_call(r, &call);
    }
}

/* Pages that were never written may all be one page of zeros: write first, then read a few times. */
static gsa_status measure(
    gsa_device *dev, const gsai_heap *heap, const gsai_place *pieces, uint32_t n_pieces, gsai_place sink, double *ns)
{
    gsai_recorder *r = NULL;
    gsai_plan plan = {0};
    gsai_upload *up = NULL;
    double times[N_RUNS];

    gsa_status status = gsai_upload_create(dev, &up);
    for (uint32_t i = 0; i < n_pieces && status == GSA_OK; i++)
        status = gsai_upload_fill_zero(up, gsai_heap_range(heap, pieces[i]));
    if (status == GSA_OK) status = gsai_upload_finish(up);
    gsai_upload_destroy(up);
    if (status == GSA_OK) status = gsai_recorder_begin(dev, 0, &r);
    if (status == GSA_OK) {
        record(r, heap, pieces, n_pieces, sink);
        status = gsai_recorder_finish(r, &plan);
    }
    if (status == GSA_OK) status = gsai_timing_run(dev, &plan, times, N_RUNS);
    if (status == GSA_OK) *ns = gsai_timing_median(times, N_RUNS);
    gsai_plan_destroy(dev, &plan);
    return status;
}

gsa_status gsai_ops_bandwidth(gsa_device *dev, uint64_t bytes, double *bytes_per_second)
{
    const gsai_caps *caps = &dev->caps;
    const uint64_t free_bytes = gsai_device_memory_free(dev) / 2;
    gsai_place pieces[MAX_PIECES], sink;
    uint32_t n_pieces = 0;
    uint64_t total = 0;
    gsai_layout layout;
    gsai_heap heap = {0};
    double ns = 0;

    if (bytes > free_bytes) bytes = free_bytes;
    if (bytes < MIN_BYTES) bytes = MIN_BYTES;
    gsai_layout_init(&layout, &dev->allocator, caps->max_range_bytes, caps->max_allocation_bytes, caps->offset_align);
    uint64_t piece = layout.max_place < GSAI_BLOCK_BYTES ? layout.max_place : GSAI_BLOCK_BYTES;
    if (bytes / MAX_PIECES > piece)
        piece = bytes / MAX_PIECES < layout.max_place ? bytes / MAX_PIECES : layout.max_place;
    piece = piece / 16 * 16;

    gsa_status status = gsai_layout_place(&layout, (uint64_t)caps->offset_align * MAX_PIECES, &sink);
    while (status == GSA_OK && total < bytes / 16 * 16 && n_pieces < MAX_PIECES) {
        const uint64_t left = bytes / 16 * 16 - total;
        status = gsai_layout_place(&layout, left < piece ? left : piece, &pieces[n_pieces]);
        if (status == GSA_OK) total += pieces[n_pieces++].size;
    }
    if (status == GSA_OK) status = gsai_heap_create(dev, &layout, GSAI_MEMORY_DEVICE, &heap);
    if (status == GSA_OK) status = measure(dev, &heap, pieces, n_pieces, sink, &ns);
    if (status == GSA_OK && !(ns > 0))
        status = gsai_fail(GSA_ERROR_DRIVER, "bandwidth: the device reports no time for a read");
    if (status == GSA_OK) *bytes_per_second = (double)total / (ns / 1e9);
    gsai_heap_destroy(dev, &heap);
    gsai_layout_finish(&layout);
    return status;
}
