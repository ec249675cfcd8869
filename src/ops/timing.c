#include "ops/timing.h"

#include "util/clock.h"

#include <stdlib.h>

/* A GPU's clocks rise by steps when it was idle before: an H200 was seen at half its speed for a while. */
#define WARM_UP_NS 600e6

static gsa_status run_once(gsa_device *dev, const gsai_plan *plan, double *ns)
{
    gsai_ticket ticket = 0;
    const uint64_t start = gsai_clock_ns();

    gsa_status status = gsai_plan_submit(dev, plan, &ticket);
    if (status == GSA_OK) status = gsai_queue_wait(dev, ticket, UINT64_MAX);
    *ns = (double)(gsai_clock_ns() - start);
    if (status == GSA_OK && gsai_caps_has(&dev->caps, GSAI_CAP_TIMESTAMPS)) status = gsai_plan_gpu_time(dev, plan, ns);
    return status;
}

gsa_status gsai_timing_run(gsa_device *dev, const gsai_plan *plan, double *ns, uint32_t n)
{
    const bool is_cpu = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    const uint64_t start = gsai_clock_ns();
    gsa_status status = GSA_OK;
    double ignored;

    do {
        status = run_once(dev, plan, &ignored);
    } while (status == GSA_OK && !is_cpu && (double)(gsai_clock_ns() - start) < WARM_UP_NS);
    for (uint32_t i = 0; i < n && status == GSA_OK; i++) status = run_once(dev, plan, &ns[i]);
    return status;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double gsai_timing_median(double *values, uint32_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

gsa_status gsai_timing_fill(gsai_upload *up, gsai_range range, uint64_t seed)
{
    const uint64_t most = gsai_upload_max(up);
    uint64_t x = seed * 2 + 1;

    for (uint64_t at = 0; at < range.size; at += most) {
        const uint64_t size = range.size - at < most ? range.size - at : most;
        void *to;
        const gsa_status status = gsai_upload_map(up, range, at, size, &to);
        if (status != GSA_OK) return status;
        uint32_t *words = to;
        for (uint64_t i = 0; i < size / 4; i++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull;
            words[i] = (uint32_t)(x >> 32) & 0xbfffbfffu; /* the exponent's highest bit of each half */
        }
    }
    return GSA_OK;
}
