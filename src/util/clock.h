/* Monotonic time for budgets and measurements. */
#ifndef GSAI_CLOCK_H
#define GSAI_CLOCK_H

#include <stdint.h>

uint64_t gsai_clock_ns(void);

#endif
