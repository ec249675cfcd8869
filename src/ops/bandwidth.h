/* Read bandwidth of a device. */
#ifndef GSAI_BANDWIDTH_H
#define GSAI_BANDWIDTH_H

#include "vk/device.h"

/* Reads bytes (as many as fit half of the free memory) in one kernel each piece; median of a few runs. */
gsa_status gsai_ops_bandwidth(gsa_device *dev, uint64_t bytes, double *bytes_per_second);

#endif
