#include "golden_models.h"

#include "support/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int model_test_device_open(gsa_device **device)
{
    const gsa_device_params params = test_device_params();
    return model_test_device_open_with(&params, device);
}

int model_test_device_open_with(const gsa_device_params *params, gsa_device **device)
{
    const gsa_status status = gsa_device_create(params, device);
    if (status == GSA_OK) {
        gsa_device_info info;
        gsa_device_info_get(*device, &info);
        fprintf(stderr, "device: %s\n", info.name);
        return 0;
    }
    const bool absent = status == GSA_ERROR_NO_VULKAN || status == GSA_ERROR_NO_DEVICE;
    fprintf(stderr, "%s: %s\n", absent ? "skipped" : "failed", gsa_error_text());
    return absent ? 77 : 1;
}

int model_test_device_close(gsa_device *device, int n_failed)
{
    const uint32_t n_messages = gsa_device_validation_count(device);
    if (n_messages) fprintf(stderr, "failed: %u messages of the validation layer\n", n_messages);
    gsa_device_destroy(device);
    return n_failed + (n_messages ? 1 : 0);
}

golden_model golden_model_open(gsa_device *device, const char *name, uint32_t n_slots)
{
    golden_model m = {0};
    char file[4200];
    snprintf(m.name, sizeof m.name, "%s", name);
    assert_true(goldens_path(m.path, sizeof m.path, "models/%s", name));
    snprintf(file, sizeof file, "%s/golden.safetensors", m.path);
    m.goldens = goldens_load(file);
    assert_non_null(m.goldens);
    OK(gsa_model_load(device,
        &(gsa_model_params){.struct_size = sizeof(gsa_model_params), .path = m.path, .n_slots = n_slots}, &m.model));
    gsa_model_info_get(m.model, &m.info);
    return m;
}

void golden_model_close(golden_model *m)
{
    gsa_model_destroy(m->model);
    goldens_free(m->goldens);
    *m = (golden_model){0};
}

void for_each_golden_model(gsa_device *device, uint32_t n_slots, void (*check)(const golden_model *m))
{
    char folder[4096], path[4400];
    size_t n_models = 0;
    assert_true(goldens_path(folder, sizeof folder, "models"));
    char **names = goldens_list(folder, NULL);
    for (size_t i = 0; names[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        char **files = goldens_list(path, "golden.safetensors");
        const bool has_goldens = files[0] != NULL;
        goldens_free_list(files);
        if (!has_goldens) continue;
        golden_model m = golden_model_open(device, names[i], n_slots);
        check(&m);
        golden_model_close(&m);
        n_models++;
    }
    goldens_free_list(names);
    if (n_models == 0) fail_msg("%s holds no model with goldens", folder);
}

void for_each_golden_prompt(const golden_model *m, void (*check)(const golden_model *m, const golden_prompt *p))
{
    size_t n_prompts = 0;
    for (size_t i = 0; i < m->goldens->n; i++) {
        const golden_array *a = &m->goldens->arrays[i];
        const size_t length = strlen(a->name);
        golden_prompt p = {.T = (uint32_t)a->n};
        if (length < 5 || length >= sizeof p.name || strcmp(a->name + length - 4, ".ids") != 0) continue;
        memcpy(p.name, a->name, length - 4);
        assert_non_null(a->i);
        p.ids = malloc((a->n + 1) * sizeof *p.ids);
        assert_non_null(p.ids);
        for (size_t t = 0; t < a->n; t++) p.ids[t] = (int32_t)a->i[t];
        check(m, &p);
        free(p.ids);
        n_prompts++;
    }
    if (n_prompts == 0) fail_msg("%s: no prompt in its goldens", m->name);
}
