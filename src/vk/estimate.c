/* What a call will cost, before it has run: only good enough to keep submissions below a watchdog's patience. */
#include "vk/recorder.h"

#define FIXED_NS 3000.0 /* launch and drain of one dependent call */

typedef struct rates {
    double bytes, flops; /* per ns */
} rates;

/* Deliberately on the slow side of each kind of device: too slow a guess cuts a plan finer than needed, too fast a guess
 * trips the watchdog. Measured plans correct it, memory traffic and arithmetic each by itself: a device that is near the
 * guess in one may be tens of times faster in the other. */
static rates rates_of(const gsa_device *dev)
{
    switch (dev->caps.device_type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return (rates){200, 2000};
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return (rates){4, 4};
    default:
        return (rates){20, 200};
    }
}

double gsai_estimate_math_ns(const gsa_device *dev, uint64_t flops)
{
    return (double)flops / rates_of(dev).flops;
}

double gsai_estimate_model_ns(const gsa_device *dev, uint64_t bytes, uint64_t flops)
{
    return (double)bytes / rates_of(dev).bytes + gsai_estimate_math_ns(dev, flops) + FIXED_NS;
}

double gsai_estimate_ns(const gsa_device *dev, uint64_t bytes, uint64_t flops)
{
    const double memory = ((double)bytes / rates_of(dev).bytes + FIXED_NS) * (double)atomic_load(&dev->cost_permille);
    return (memory + gsai_estimate_math_ns(dev, flops) * (double)atomic_load(&dev->math_permille)) / 1000;
}

/* What a plan took is laid to whichever of the two is thought to dominate it. Both directions are believed by half: one
 * odd measurement must neither cut every plan to pieces nor lift the bound. */
void gsai_estimate_learn(gsa_device *dev, double model_ns, double math_ns, double measured_ns)
{
    const double memory_ns = model_ns - math_ns;
    if (!(model_ns > 0) || !(measured_ns > 0) || !(memory_ns >= 0) || !(math_ns >= 0)) return;
    const double memory = memory_ns * (double)atomic_load(&dev->cost_permille) / 1000;
    const double math = math_ns * (double)atomic_load(&dev->math_permille) / 1000;
    _Atomic uint32_t *permille = math > memory ? &dev->math_permille : &dev->cost_permille;
    /* The lesser part is taken off, but never more than half. */
    const double rest = math > memory ? memory : math,
                 left = measured_ns > 2 * rest ? measured_ns - rest : measured_ns / 2;
    const double ratio = left / (math > memory ? math_ns : memory_ns) * 1000;

    uint32_t old = atomic_load(permille), wanted;
    do {
        const double next = (ratio + old) / 2;
        wanted = next < 20 ? 20 : next > 100000 ? 100000 : (uint32_t)next;
    } while (!atomic_compare_exchange_weak(permille, &old, wanted));
}
