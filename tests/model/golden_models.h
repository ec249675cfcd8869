/* Walking the golden checkpoints of $GSA_TEST_DATA/models through the public API. */
#ifndef GSA_TEST_GOLDEN_MODELS_H
#define GSA_TEST_GOLDEN_MODELS_H

#include "gsa/session.h"
#include "support/goldens.h"

typedef struct golden_model {
    char name[256], path[4096];
    gsa_model *model;
    gsa_model_info info;
    goldens *goldens;
} golden_model;

typedef struct golden_prompt {
    char name[64];
    int32_t *ids;
    uint32_t T;
} golden_prompt;

/* The device as the environment says (support/device.h), "cpu" included. Returns 0, 77 (skip) or 1, as main should. */
int model_test_device_open(gsa_device **device);
int model_test_device_open_with(const gsa_device_params *params, gsa_device **device);
/* n_failed and one more when the validation layer spoke. */
int model_test_device_close(gsa_device *device, int n_failed);

/* Load every model that has goldens on device and run check; fails when there is none. */
void for_each_golden_model(gsa_device *device, uint32_t n_slots, void (*check)(const golden_model *m));
/* One model by name. Close with golden_model_close. */
golden_model golden_model_open(gsa_device *device, const char *name, uint32_t n_slots);
void golden_model_close(golden_model *m);
void for_each_golden_prompt(const golden_model *m, void (*check)(const golden_model *m, const golden_prompt *p));

/* A call of the library that must succeed, or the test fails with its error text. */
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        const gsa_status ok_status = (call);                                                                           \
        if (ok_status != GSA_OK) fail_msg("%s: %s: %s", #call, gsa_status_name(ok_status), gsa_error_text());          \
    } while (0)

#endif
