/* What a call will cost, before it has run: only good enough to keep submissions below a watchdog's patience. */
#include "vk/recorder.h"

#define FIXED_NS 3000.0 /* launch and drain of one dependent call */

/* Deliberately on the slow side of each kind of device: too slow a guess cuts a plan finer than needed, too fast a guess
 * trips the watchdog. Measured plans correct it. */
double gsai_estimate_model_ns(const gsa_device *dev, uint64_t bytes, uint64_t flops)
{
    double bytes_per_ns, flops_per_ns;
    switch (dev->caps.device_type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        bytes_per_ns = 200;
        flops_per_ns = 2000;
        break;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        bytes_per_ns = 4;
        flops_per_ns = 4;
        break;
    default:
        bytes_per_ns = 20;
        flops_per_ns = 200;
        break;
    }
    return (double)bytes / bytes_per_ns + (double)flops / flops_per_ns + FIXED_NS;
}

double gsai_estimate_ns(const gsa_device *dev, uint64_t bytes, uint64_t flops)
{
    return gsai_estimate_model_ns(dev, bytes, flops) * (double)atomic_load(&dev->cost_permille) / 1000;
}

/* Slower than thought is believed at once, since the danger lies there; faster only little by little. */
void gsai_estimate_learn(gsa_device *dev, double model_ns, double measured_ns)
{
    if (!(model_ns > 0) || !(measured_ns > 0)) return;
    uint32_t old = atomic_load(&dev->cost_permille), wanted;
    do {
        const double ratio = measured_ns / model_ns * 1000;
        const double next = ratio > old ? (ratio + old) / 2 : old + (ratio - old) / 8;
        wanted = next < 20 ? 20 : next > 100000 ? 100000 : (uint32_t)next;
    } while (!atomic_compare_exchange_weak(&dev->cost_permille, &old, wanted));
}
