/* gsa/device.h: the calls that put a device's kernels to the test. */
#include "gsa/device.h"

#include "ops/bandwidth.h"
#include "ops/verify.h"

gsa_status gsa_device_verify(
    gsa_device *device, void (*row)(void *user, const gsa_verify_row *row), void *user, uint32_t *n_failed)
{
    if (!device || !n_failed) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_verify: device or n_failed is NULL");
    *n_failed = 0;
    if (device->is_cpu_reference) return GSA_OK; /* it is what kernels are compared with */

    const gsa_status status = gsai_device_check(device);
    return status != GSA_OK ? status : gsai_ops_verify(device, NULL, row, user, n_failed);
}

gsa_status gsa_device_bandwidth(gsa_device *device, uint64_t bytes, double *bytes_per_second)
{
    if (!device || !bytes_per_second)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_bandwidth: device or bytes_per_second is NULL");
    *bytes_per_second = 0;
    if (device->is_cpu_reference)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "gsa_device_bandwidth: the CPU reference runs no kernels");

    const gsa_status status = gsai_device_check(device);
    return status != GSA_OK ? status : gsai_ops_bandwidth(device, bytes, bytes_per_second);
}
