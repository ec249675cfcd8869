#define _GNU_SOURCE
#include "util/thread.h"

#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

uint32_t gsai_n_processors(void)
{
#ifdef __linux__
    cpu_set_t set; /* what taskset and containers leave */
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return (uint32_t)CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}
