/* What the device does at best, in the same run. */
#include "bench.h"

#include <string.h>

#define MOST_BYTES     (1ull << 30)
#define MOST_CPU_BYTES (64ull << 20) /* of a CPU driver: seconds would go into what caches cannot hold anyway */

static void measure_rate(bench *b, const char *type)
{
    gsa_matrix_rate rate;
    bench_rate *r = b->rates;
    while (r < b->rates + b->n_rates && strcmp(r->type, type) != 0) r++;
    if (r == b->rates + APP_COUNT(b->rates) || gsa_device_matrix_rate(b->a->device, type, 0, &rate) != GSA_OK) return;
    if (r == b->rates + b->n_rates) {
        b->n_rates++;
        *r = (bench_rate){.type = type};
    }
    if (rate.flops_per_second > r->rate.flops_per_second) r->rate = rate;
}

/* A device that is throttled or shared shows in the difference of the two times. Weights in f32 are promised f32
 * arithmetic; the other types may be multiplied as f16, or by a kernel of their own that is faster. */
void bench_ceilings(bench *b)
{
    const uint64_t most = b->device.type == GSA_DEVICE_CPU ? MOST_CPU_BYTES : MOST_BYTES;
    const uint64_t bytes = b->has_model && b->read_bytes < most ? b->read_bytes : most;
    double rate = 0;
    if (b->is_reference) return;
    report_progress(0, "ceilings of the device");
    if (gsa_device_bandwidth(b->a->device, bytes, &rate) == GSA_OK && !(b->bandwidth > rate)) b->bandwidth = rate;
    if (strcmp(b->weight_type, "f32") != 0) measure_rate(b, "f16");
    if (b->weight_type[0]) measure_rate(b, b->weight_type);
}
