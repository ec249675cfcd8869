/* The device that tests run on. GSA_TEST_DEVICE selects it (as gsa_device_params.select), GSA_TEST_MASK hides
 * capabilities, GSA_TEST_VALIDATION=1 asks for the validation layer with synchronization checks. */
#ifndef TEST_SUPPORT_DEVICE_H
#define TEST_SUPPORT_DEVICE_H

#include "vk/device.h"

/* Parameters as the environment says; the log goes to stderr, warnings and errors only. */
gsa_device_params test_device_params(void);

/* Open the device, or say why there is none and return 77 (what main should return: "skipped") or 1. On success 0.
 * Variants are not looked at: tests of ops follow with gsai_variants_init(*dev, (*dev)->variant_mask). */
int test_device_open(gsa_device **dev);

/* Close it. n_failed is what the test groups returned; one more when the validation layer had anything to say. */
int test_device_close(gsa_device *dev, int n_failed);

#endif
