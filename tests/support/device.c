#include "support/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPPED 77

static void print(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    fprintf(stderr, "[%s] %s\n", level == GSA_LOG_ERROR ? "error" : "warning", text);
}

gsa_device_params test_device_params(void)
{
    const char *validation = getenv("GSA_TEST_VALIDATION");
    gsa_device_params p = {.struct_size = sizeof p};
    p.select = getenv("GSA_TEST_DEVICE");
    p.mask = getenv("GSA_TEST_MASK");
    p.validation = validation && strcmp(validation, "1") == 0;
    p.tuning = GSA_TUNING_OFF; /* a second for each model; test_tuning asks for it */
    p.log = (gsa_log){print, NULL, GSA_LOG_WARNING};
    return p;
}

int test_device_open(gsa_device **dev)
{
    const gsa_device_params params = test_device_params();
    const gsa_status status = gsai_device_open(&params, dev);
    if (status == GSA_OK && !(*dev)->is_cpu_reference) {
        fprintf(stderr, "device: %s%s%s%s\n", (*dev)->caps.name, params.mask ? ", mask " : "",
            params.mask ? params.mask : "", params.validation ? ", with validation" : "");
        return 0;
    }
    const bool absent = status == GSA_OK || status == GSA_ERROR_NO_VULKAN || status == GSA_ERROR_NO_DEVICE;
    fprintf(stderr, "%s: %s\n", absent ? "skipped" : "failed",
        status == GSA_OK ? "no Vulkan device asked for" : gsa_error_text());
    if (*dev) gsai_device_close(*dev);
    *dev = NULL;
    return absent ? SKIPPED : 1;
}

int test_device_close(gsa_device *dev, int n_failed)
{
    const uint32_t n_messages = atomic_load(&dev->n_validation_messages);
    if (n_messages) fprintf(stderr, "failed: %u messages of the validation layer\n", n_messages);
    gsai_device_close(dev);
    return n_failed + (n_messages ? 1 : 0);
}
