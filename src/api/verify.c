/* gsa/device.h: the calls that put a device's kernels to the test. */
#include "gsa/device.h"

#include "ops/timing.h"
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

static gsa_status check_runs_kernels(const gsa_device *device, const char *call)
{
    if (device->is_cpu_reference)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: the CPU reference runs no kernels", call);
    return gsai_device_check(device);
}

gsa_status gsa_device_bandwidth(gsa_device *device, uint64_t bytes, double *bytes_per_second)
{
    if (!device || !bytes_per_second)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_bandwidth: device or bytes_per_second is NULL");
    *bytes_per_second = 0;
    const gsa_status status = check_runs_kernels(device, "gsa_device_bandwidth");
    return status != GSA_OK ? status : gsai_ops_bandwidth(device, bytes, bytes_per_second);
}

gsa_status gsa_device_matrix_rate(gsa_device *device, const char *type, uint32_t size, gsa_matrix_rate *rate)
{
    gsai_type parsed;

    if (!device || !type || !rate)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_matrix_rate: device, type or rate is NULL");
    *rate = (gsa_matrix_rate){0};
    if (!gsai_type_parse(type, &parsed))
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_matrix_rate: type \"%.20s\" is unknown", type);
    const gsa_status status = check_runs_kernels(device, "gsa_device_matrix_rate");
    return status != GSA_OK ? status : gsai_ops_matrix_rate(device, parsed, size, rate);
}

gsa_status gsa_device_recurrence_time(
    gsa_device *device, const gsa_recurrence *what, double *us, uint32_t n_runs, double *error)
{
    if (!device || !what || !us || !error)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_device_recurrence_time: a pointer is NULL");
    if (what->struct_size != sizeof *what || n_runs < 1 || n_runs > 1000)
        return gsai_fail(GSA_ERROR_ARGUMENT,
            "gsa_device_recurrence_time: struct_size %zu and n_runs %u, expected %zu and 1 to 1000", what->struct_size,
            n_runs, sizeof *what);
    for (uint32_t i = 0; i < n_runs; i++) us[i] = 0;
    *error = 0;
    const gsa_status status = check_runs_kernels(device, "gsa_device_recurrence_time");
    return status != GSA_OK ? status : gsai_ops_recurrence_time(device, what, us, n_runs, error);
}
