/* What a call will cost, before it has run: only good enough to keep submissions below a watchdog's patience. */
#include "vk/recorder.h"

#define FIXED_NS   3000.0   /* launch and drain of one dependent call */
#define SEGMENT_NS 200000.0 /* from one submission to the next; 600,000 on one virtual machine */
#define SHORT_NS   100000.0

typedef struct rates {
    double bytes, flops; /* per ns */
} rates;

/* Deliberately on the slow side of each kind of device: too slow a guess cuts a plan finer than needed, too fast a guess
 * trips the watchdog. Measured plans correct it, memory traffic and arithmetic each by itself: a device that is near the
 * guess in one may be tens of times faster in the other. */
static rates rates_of(const gsa_device *dev)
{
    const double cores = dev->caps.n_cores; /* 0 = unknown */
    switch (dev->caps.device_type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return (rates){cores > 50 ? 4 * cores : 200, cores > 20 ? 100 * cores : 2000};
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

double gsai_estimate_memory_ns(const gsa_device *dev, uint64_t bytes)
{
    return (double)bytes / rates_of(dev).bytes;
}

double gsai_estimate_ns(const gsa_device *dev, uint64_t bytes, uint64_t flops)
{
    return FIXED_NS + (gsai_estimate_memory_ns(dev, bytes) * (double)atomic_load(&dev->cost_permille) +
                          gsai_estimate_math_ns(dev, flops) * (double)atomic_load(&dev->math_permille)) /
                          1000;
}

/* What a plan took is laid to whichever of the two is thought to dominate it. Both directions are believed by half: one
 * odd measurement must neither cut every plan to pieces nor lift the bound. Plans that are short, or that launches are
 * thought to dominate, teach nothing of rates; nor does what a plan takes because it is cut to pieces, for that would keep
 * it so. */
void gsai_estimate_learn(gsa_device *dev, uint32_t n_calls, uint32_t n_segments, double guessed_memory_ns,
    double guessed_math_ns, double measured_ns)
{
    const double memory = guessed_memory_ns * (double)atomic_load(&dev->cost_permille) / 1000;
    const double math = guessed_math_ns * (double)atomic_load(&dev->math_permille) / 1000;
    const double fixed = FIXED_NS * n_calls + SEGMENT_NS * (n_segments > 1 ? n_segments - 1 : 0);
    const bool is_math = math > memory;
    if (!(measured_ns > SHORT_NS) || !((is_math ? math : memory) > fixed)) return;
    _Atomic uint32_t *permille = is_math ? &dev->math_permille : &dev->cost_permille;
    /* The lesser parts are taken off, but never more than half. */
    const double rest = fixed + (is_math ? memory : math),
                 left = measured_ns > 2 * rest ? measured_ns - rest : measured_ns / 2;
    const double ratio = left / (is_math ? guessed_math_ns : guessed_memory_ns) * 1000;

    uint32_t old = atomic_load(permille), wanted;
    do {
        const double next = (ratio + old) / 2;
        wanted = next < 5 ? 5 : next > 100000 ? 100000 : (uint32_t)next;
    } while (!atomic_compare_exchange_weak(permille, &old, wanted));
}
