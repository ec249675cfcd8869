/* What a device does at best, and how long one op takes alone: plans that are run a few times, warmed up. */
#ifndef GSAI_TIMING_H
#define GSAI_TIMING_H

#include "ops/ops.h"

/* Run a plan until the device's clocks have risen (a CPU driver: once), then n times: its times in nanoseconds, by the
 * device's clock where it has one, else by the host's, submit and wait included. */
gsa_status gsai_timing_run(gsa_device *dev, const gsai_plan *plan, double *ns, uint32_t n);

double gsai_timing_median(double *values, uint32_t n); /* sorts them */

/* Random bits of which every f16, bf16 and f32 in them is finite and of magnitude below 2, as numbers of block types
 * are anyway: rates of zeros are not to be believed. */
gsa_status gsai_timing_fill(gsai_upload *up, gsai_range range, uint64_t seed);

/* bandwidth.c: reads bytes (as many as fit half of the free memory) in one kernel each piece; median of a few runs. */
gsa_status gsai_ops_bandwidth(gsa_device *dev, uint64_t bytes, double *bytes_per_second);
/* matrix_rate.c: as gsa_device_matrix_rate. */
gsa_status gsai_ops_matrix_rate(gsa_device *dev, gsai_type type, uint32_t size, gsa_matrix_rate *out);
/* recurrence_time.c: as gsa_device_recurrence_time. */
gsa_status gsai_ops_recurrence_time(
    gsa_device *dev, const gsa_recurrence *what, double *us, uint32_t n_runs, double *error);

#endif
