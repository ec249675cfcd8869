/* Layouts, buffers, heaps and uploads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "support/device.h"
#include "vk/recorder.h"

static gsa_device *dev;

/* --- layouts: no device --- */

static gsai_layout layout_of(uint64_t max_range, uint64_t max_allocation, uint32_t align)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_layout l;
    gsai_layout_init(&l, &a, max_range, max_allocation, align);
    return l;
}

static void layout_places_are_aligned_and_disjoint(void **state)
{
    (void)state;
    gsai_layout l = layout_of(1 << 20, 1 << 20, 16);
    gsai_place p[200];
    uint64_t asked = 0;
    for (uint32_t i = 0; i < 200; i++) {
        const uint64_t size = 1 + (uint64_t)i * 7919 % 60000;
        assert_int_equal(gsai_layout_place(&l, size, &p[i]), GSA_OK);
        assert_true(p[i].size >= size && p[i].size < size + 16 && p[i].size % 16 == 0);
        assert_int_equal(p[i].offset % 256, 0);
        assert_true(p[i].offset + p[i].size <= l.block_bytes[p[i].block]);
        for (uint32_t k = 0; k < i; k++) {
            assert_true(p[k].block != p[i].block || p[k].offset + p[k].size <= p[i].offset ||
                        p[i].offset + p[i].size <= p[k].offset);
        }
        asked += size;
    }
    for (uint32_t b = 0; b < l.n_blocks; b++) assert_true(l.block_bytes[b] <= 1 << 20);
    assert_true(gsai_layout_bytes(&l) >= asked && gsai_layout_bytes(&l) < asked + 200 * 512);
    gsai_layout_finish(&l);
}

static void layout_small_allocation_limit_gives_many_blocks(void **state)
{
    (void)state;
    gsai_layout l = layout_of(4096, 8192, 1024);
    gsai_place p;
    for (int i = 0; i < 9; i++) assert_int_equal(gsai_layout_place(&l, 4000, &p), GSA_OK);
    assert_int_equal(l.n_blocks, 5); /* two of 4000 bytes at a multiple of 1024 in each */
    assert_int_equal(gsai_layout_place(&l, 4096, &p), GSA_OK);
    assert_int_equal(gsai_layout_place(&l, 4097, &p), GSA_ERROR_LIMIT);
    assert_int_equal(gsai_layout_place(&l, UINT64_MAX, &p), GSA_ERROR_LIMIT);
    gsai_layout_finish(&l);
}

static void layout_odd_limit_is_rounded_down(void **state)
{
    (void)state;
    gsai_layout l = layout_of(UINT32_MAX, 1ull << 40, 16);
    gsai_place p;
    assert_int_equal(l.max_place, UINT32_MAX / 16 * 16);
    assert_int_equal(gsai_layout_place(&l, UINT32_MAX - 15, &p), GSA_OK);
    assert_true(p.size <= UINT32_MAX);
    assert_int_equal(gsai_layout_place(&l, UINT32_MAX, &p), GSA_ERROR_LIMIT);
    assert_int_equal(gsai_layout_place(&l, 0, &p), GSA_OK);
    assert_int_equal(p.size, 16);
    gsai_layout_finish(&l);
}

static void layout_big_place_has_a_block_of_its_own(void **state)
{
    (void)state;
    gsai_layout l = layout_of(1ull << 32, 1ull << 32, 16);
    gsai_place small, big, more;
    assert_int_equal(gsai_layout_place(&l, 100, &small), GSA_OK);
    assert_int_equal(gsai_layout_place(&l, 300ull << 20, &big), GSA_OK);
    assert_int_equal(gsai_layout_place(&l, 100, &more), GSA_OK);
    assert_int_equal(small.block, 0);
    assert_int_equal(big.block, 1);
    assert_int_equal(more.block, 0);
    assert_int_equal(l.block_bytes[1], 300ull << 20);
    gsai_layout_finish(&l);
}

/* --- buffers --- */

static void buffer_kinds_are_mapped_as_promised(void **state)
{
    (void)state;
    gsai_buffer d, u, r;
    assert_int_equal(gsai_buffer_create(dev, 1001, GSAI_MEMORY_DEVICE, &d), GSA_OK);
    assert_int_equal(gsai_buffer_create(dev, 1001, GSAI_MEMORY_UPLOAD, &u), GSA_OK);
    assert_int_equal(gsai_buffer_create(dev, 1001, GSAI_MEMORY_READBACK, &r), GSA_OK);
    assert_int_equal(d.size, 1008);
    assert_true(d.allocated >= d.size && !d.is_host && u.is_host && r.is_host);
    assert_null(d.mapped);
    assert_non_null(u.mapped);
    assert_true(u.coherent);
    assert_non_null(r.mapped);
    memset(u.mapped, 1, u.size);
    memset(r.mapped, 1, r.size);
    r.coherent = false; /* take the paths of memory that is not */
    gsai_buffer_flush(dev, &r, 5, 100);
    gsai_buffer_invalidate(dev, &r, 500, 508);
    gsai_buffer_invalidate(dev, &r, 0, r.size);
    gsai_buffer_destroy(dev, &d);
    gsai_buffer_destroy(dev, &u);
    gsai_buffer_destroy(dev, &r);
    gsai_buffer_destroy(dev, &r); /* zeroed by the first */
}

static void buffer_above_the_allocation_limit_is_rejected(void **state)
{
    (void)state;
    gsai_buffer b;
    assert_int_equal(
        gsai_buffer_create(dev, dev->caps.max_allocation_bytes + 1, GSAI_MEMORY_DEVICE, &b), GSA_ERROR_DEVICE_MEMORY);
    assert_null(b.buffer);
    assert_int_equal(gsai_buffer_create(dev, UINT64_MAX, GSAI_MEMORY_DEVICE, &b), GSA_ERROR_DEVICE_MEMORY);
    assert_int_equal(gsai_buffer_create(dev, 0, GSAI_MEMORY_DEVICE, &b), GSA_ERROR_ARGUMENT);
}

static int allocations_left;
static PFN_vkAllocateMemory real_allocate;
static VkResult VKAPI_PTR allocate_a_few(
    VkDevice d, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *a, VkDeviceMemory *out)
{
    if (allocations_left-- <= 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return real_allocate(d, info, a, out);
}

static void heap_out_of_device_memory_frees_what_it_had(void **state)
{
    (void)state;
    gsai_layout l = layout_of(4096, 4096, 16);
    gsai_place p;
    for (int i = 0; i < 5; i++) assert_int_equal(gsai_layout_place(&l, 4096, &p), GSA_OK);
    real_allocate = dev->vk.vkAllocateMemory;
    dev->vk.vkAllocateMemory = allocate_a_few;
    gsai_heap h;
    for (int n = 0; n < 5; n++) {
        allocations_left = n;
        assert_int_equal(gsai_heap_create(dev, &l, GSAI_MEMORY_DEVICE, &h), GSA_ERROR_DEVICE_MEMORY);
        assert_null(h.blocks);
        assert_non_null(strstr(gsa_error_text(), "free"));
    }
    allocations_left = 5;
    assert_int_equal(gsai_heap_create(dev, &l, GSAI_MEMORY_DEVICE, &h), GSA_OK);
    assert_int_equal(h.n_blocks, 5);
    assert_int_equal(h.n_bytes, 5 * 4096);
    dev->vk.vkAllocateMemory = real_allocate;
    gsai_heap_destroy(dev, &h);
    gsai_layout_finish(&l);
}

static void memory_free_is_at_most_the_heap(void **state)
{
    (void)state;
    const uint64_t n = gsai_device_memory_free(dev);
    assert_true(n > 0 && n <= dev->caps.device_heap_bytes);
}

/* --- uploads --- */

static void read_back(const gsai_buffer *from, void *out)
{
    gsai_buffer host;
    gsai_recorder *r;
    gsai_plan plan;
    gsai_ticket ticket;
    assert_int_equal(gsai_buffer_create(dev, from->size, GSAI_MEMORY_READBACK, &host), GSA_OK);
    assert_int_equal(gsai_recorder_begin(dev, 0, &r), GSA_OK);
    gsai_recorder_copy(r, (gsai_range){from, 0, from->size}, 0, (gsai_range){&host, 0, host.size}, 0, from->size);
    gsai_recorder_to_host(r);
    assert_int_equal(gsai_recorder_finish(r, &plan), GSA_OK);
    assert_int_equal(gsai_plan_submit(dev, &plan, &ticket), GSA_OK);
    assert_int_equal(gsai_queue_wait(dev, ticket, UINT64_MAX), GSA_OK);
    gsai_buffer_invalidate(dev, &host, 0, host.size);
    memcpy(out, host.mapped, (size_t)from->size);
    gsai_plan_destroy(dev, &plan);
    gsai_buffer_destroy(dev, &host);
}

static void check_upload(uint64_t max_allocation, uint64_t size)
{
    const uint64_t was = dev->caps.max_allocation_bytes;
    uint8_t *data = malloc(size), *back = malloc(size);
    gsai_buffer b;
    gsai_upload *u;
    for (uint64_t i = 0; i < size; i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
    assert_int_equal(gsai_buffer_create(dev, size, GSAI_MEMORY_DEVICE, &b), GSA_OK);
    if (max_allocation) dev->caps.max_allocation_bytes = max_allocation;
    assert_int_equal(gsai_upload_create(dev, &u), GSA_OK);
    const gsai_range all = {&b, 0, b.size};
    assert_int_equal(gsai_upload_fill_zero(u, all), GSA_OK);
    for (uint64_t at = 0; at < size;) { /* many odd pieces, over the zeros */
        const uint64_t n = size - at < 1 + at % 5003 ? size - at : 1 + at % 5003;
        assert_int_equal(gsai_upload_write(u, all, at, data + at, n), GSA_OK);
        at += n;
    }
    assert_int_equal(gsai_upload_write(u, all, 0, data, size), GSA_OK); /* and once more in one go */
    assert_int_equal(gsai_upload_finish(u), GSA_OK);
    assert_int_equal(gsai_upload_write(u, all, 0, data, 1), GSA_OK); /* it may be used again */
    gsai_upload_destroy(u);                                          /* unfinished: what was open is dropped */
    dev->caps.max_allocation_bytes = was;
    read_back(&b, back);
    assert_memory_equal(data, back, size);
    gsai_buffer_destroy(dev, &b);
    free(data);
    free(back);
}

static void upload_of_many_pieces_arrives(void **state)
{
    (void)state;
    check_upload(0, 200000);
    check_upload(4096, 40000);
}

static void upload_bigger_than_the_ring_arrives(void **state)
{
    (void)state;
    check_upload(1 << 20, (3 << 20) + 48);
}

static gsa_status fill_numbers(const gsai_chore *work)
{
    uint32_t *to = work->dst;
    if (work->what) return gsai_fail(GSA_ERROR_FILE, "%s", (const char *)work->what);
    for (uint64_t i = 0; i < work->n; i++) to[i] = (uint32_t)(work->first + i) * 2654435761u;
    return GSA_OK;
}

/* Many times around the ring, filled by others. */
static void upload_filled_by_workers_arrives(void **state)
{
    (void)state;
    const uint64_t was = dev->caps.max_allocation_bytes, n = 1 << 20;
    gsai_buffer b;
    uint32_t *back = malloc(n * 4);
    assert_int_equal(gsai_buffer_create(dev, n * 4, GSAI_MEMORY_DEVICE, &b), GSA_OK);
    const gsai_range all = {&b, 0, b.size};
    for (uint32_t threads = 0; threads <= 4; threads += 4) {
        gsai_upload *u;
        dev->caps.max_allocation_bytes = 64 << 10;
        assert_int_equal(gsai_upload_create(dev, &u), GSA_OK);
        assert_int_equal(gsai_upload_fill(u, all, 0, 16, (gsai_chore){fill_numbers}), GSA_ERROR_ARGUMENT);
        assert_int_equal(gsai_upload_start_workers(u, threads), GSA_OK);
        assert_int_equal(gsai_upload_fill_zero(u, all), GSA_OK);
        for (uint64_t at = 0; at < n;) {
            const uint64_t m = n - at < 1 + at % 3001 ? n - at : 1 + at % 3001;
            assert_int_equal(
                gsai_upload_fill(u, all, at * 4, m * 4, (gsai_chore){.run = fill_numbers, .first = at, .n = m}),
                GSA_OK);
            at += m;
        }
        assert_int_equal(gsai_upload_finish(u), GSA_OK);
        gsai_upload_destroy(u);
        dev->caps.max_allocation_bytes = was;
        read_back(&b, back);
        for (uint64_t i = 0; i < n; i++) assert_int_equal(back[i], (uint32_t)i * 2654435761u);
    }
    gsai_buffer_destroy(dev, &b);
    free(back);
}

static void upload_failing_worker_fails_the_upload(void **state)
{
    (void)state;
    gsai_buffer b;
    gsai_upload *u;
    gsa_status status = GSA_OK;
    assert_int_equal(gsai_buffer_create(dev, 1 << 20, GSAI_MEMORY_DEVICE, &b), GSA_OK);
    assert_int_equal(gsai_upload_create(dev, &u), GSA_OK);
    assert_int_equal(gsai_upload_start_workers(u, 2), GSA_OK);
    for (uint64_t i = 0; i < 64 && status == GSA_OK; i++) {
        const gsai_chore work = {.run = fill_numbers, .what = i == 5 ? "the file is gone" : NULL, .n = 4096};
        status = gsai_upload_fill(u, (gsai_range){&b, 0, b.size}, i * 16384, 16384, work);
    }
    if (status == GSA_OK) status = gsai_upload_finish(u);
    assert_int_equal(status, GSA_ERROR_FILE);
    assert_string_equal(gsa_error_text(), "the file is gone");
    gsai_upload_destroy(u);
    gsai_buffer_destroy(dev, &b);
}

static void upload_later_write_wins(void **state)
{
    (void)state;
    gsai_buffer b;
    gsai_upload *u;
    uint32_t one[64], two[64], back[64];
    for (int i = 0; i < 64; i++) one[i] = 1, two[i] = 2;
    assert_int_equal(gsai_buffer_create(dev, sizeof one, GSAI_MEMORY_DEVICE, &b), GSA_OK);
    assert_int_equal(gsai_upload_create(dev, &u), GSA_OK);
    const gsai_range all = {&b, 0, b.size};
    assert_int_equal(gsai_upload_write(u, all, 0, one, sizeof one), GSA_OK);
    assert_int_equal(gsai_upload_write(u, all, 64, two, 64), GSA_OK);
    assert_int_equal(gsai_upload_fill_zero(u, (gsai_range){&b, 128, 64}), GSA_OK);
    assert_int_equal(gsai_upload_finish(u), GSA_OK);
    gsai_upload_destroy(u);
    read_back(&b, back);
    for (int i = 0; i < 64; i++) assert_int_equal(back[i], i < 16 ? 1 : i < 32 ? 2 : i < 48 ? 0 : 1);
    gsai_buffer_destroy(dev, &b);
}

static void upload_outside_its_range_is_rejected(void **state)
{
    (void)state;
    gsai_buffer b;
    gsai_upload *u;
    void *p;
    assert_int_equal(gsai_buffer_create(dev, 4096, GSAI_MEMORY_DEVICE, &b), GSA_OK);
    assert_int_equal(gsai_upload_create(dev, &u), GSA_OK);
    assert_int_equal(gsai_upload_map(u, (gsai_range){&b, 1024, 1024}, 1000, 25, &p), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_upload_map(u, (gsai_range){&b, 0, 4096}, UINT64_MAX, 2, &p), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_upload_map(u, (gsai_range){&b, 4096, 1024}, 0, 16, &p), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_upload_map(u, (gsai_range){&b, 0, 4096}, 0, 0, &p), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_upload_map(u, (gsai_range){NULL, 0, 4096}, 0, 4, &p), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsai_upload_map(u, (gsai_range){&b, 1024, 1024}, 1000, 24, &p), GSA_OK);
    memset(p, 0, 24);
    assert_int_equal(gsai_upload_finish(u), GSA_OK);
    gsai_upload_destroy(u);
    gsai_upload_destroy(NULL);
    gsai_buffer_destroy(dev, &b);
}

static void upload_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    real_allocate = dev->vk.vkAllocateMemory;
    dev->vk.vkAllocateMemory = allocate_a_few;
    gsai_upload *u;
    for (int n = 0; n < 2; n++) {
        allocations_left = n;
        assert_int_equal(gsai_upload_create(dev, &u), GSA_ERROR_DEVICE_MEMORY);
        assert_null(u);
    }
    dev->vk.vkAllocateMemory = real_allocate;
}

int main(void)
{
    const int absent = test_device_open(&dev);
    if (absent) return absent;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_places_are_aligned_and_disjoint),
        cmocka_unit_test(layout_small_allocation_limit_gives_many_blocks),
        cmocka_unit_test(layout_odd_limit_is_rounded_down),
        cmocka_unit_test(layout_big_place_has_a_block_of_its_own),
        cmocka_unit_test(buffer_kinds_are_mapped_as_promised),
        cmocka_unit_test(buffer_above_the_allocation_limit_is_rejected),
        cmocka_unit_test(heap_out_of_device_memory_frees_what_it_had),
        cmocka_unit_test(memory_free_is_at_most_the_heap),
        cmocka_unit_test(upload_of_many_pieces_arrives),
        cmocka_unit_test(upload_bigger_than_the_ring_arrives),
        cmocka_unit_test(upload_filled_by_workers_arrives),
        cmocka_unit_test(upload_failing_worker_fails_the_upload),
        cmocka_unit_test(upload_later_write_wins),
        cmocka_unit_test(upload_outside_its_range_is_rejected),
        cmocka_unit_test(upload_out_of_memory_leaves_nothing),
    };
    return test_device_close(dev, cmocka_run_group_tests(tests, NULL, NULL));
}
