#include "app.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

double app_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static const char *const prompt_words[] = {"auto", "on", "off"}; /* in the order of gsa_prompt_weights */
static const char *const state_words[] = {"f32", "f16"};         /* of gsa_state_type */

/* Which of the words; the first when nothing was said, n when none. */
static size_t word_of(const char *said, const char *const *words, size_t n)
{
    size_t i = 0;
    while (said && i < n && strcmp(said, words[i]) != 0) i++;
    return i;
}

gsa_prompt_weights app_prompt_weights(const app *a)
{
    return (gsa_prompt_weights)word_of(a->prompt_weights, prompt_words, APP_COUNT(prompt_words));
}

gsa_state_type app_state_type(const app *a)
{
    return (gsa_state_type)word_of(a->state, state_words, APP_COUNT(state_words));
}

int app_parse(app *a, const cli_spec *spec, int argc, char **argv, cli_args *args)
{
    a->spec = spec;
    const int rc = cli_parse(spec, argc, argv, args);
    if (rc != CLI_GO) return rc;
    if (word_of(a->prompt_weights, prompt_words, APP_COUNT(prompt_words)) == APP_COUNT(prompt_words))
        return cli_mistake(spec, "--prompt-weights '%s': give auto, on or off", a->prompt_weights);
    if (word_of(a->state, state_words, APP_COUNT(state_words)) == APP_COUNT(state_words))
        return cli_mistake(spec, "--state '%s': give f32 or f16", a->state);
    report_level(a->quiet ? -1 : a->verbose > 2 ? 2 : (int)a->verbose);
    return CLI_GO;
}

int app_need_model(const app *a)
{
    return a->model_path ? CLI_GO : cli_mistake(a->spec, "no model: give -m PATH");
}

gsa_device_params app_device_params(const app *a)
{
    return (gsa_device_params){.struct_size = sizeof(gsa_device_params),
        .select = a->select,
        .mask = a->mask,
        .resident = a->resident,
        .cache = a->cache,
        .cache_size = a->cache_size,
        .profile = a->profile,
        .validation = a->validation,
        .log = report_log()};
}

int app_open_device(app *a)
{
    if (a->device) return 0;
    const double start = app_now_ms();
    cache_read(a);
    const gsa_device_params params = app_device_params(a);
    const gsa_status status = gsa_device_create(&params, &a->device);
    a->device_ms = app_now_ms() - start;
    if (status == GSA_OK) return 0;
    const bool hint =
        (status == GSA_ERROR_NO_VULKAN || status == GSA_ERROR_NO_DEVICE) && !strstr(gsa_error_text(), "cpu");
    return fail("%s%s", gsa_error_text(), hint ? "; -d cpu runs on the CPU reference" : "");
}

int app_load_model(app *a, const gsa_model_params *more)
{
    gsa_model_params params = more ? *more : (gsa_model_params){0};
    params.struct_size = sizeof params;
    if (!params.synthetic) params.path = a->model_path;
    params.prompt_weights = app_prompt_weights(a);
    params.state_type = app_state_type(a);
    params.progress = report_library_progress;
    int rc = app_open_device(a);
    if (rc) return rc;
    const double start = app_now_ms();
    const gsa_status status = gsa_model_load(a->device, &params, &a->model);
    a->load_ms = app_now_ms() - start;
    report_progress(0, NULL);
    if (status != GSA_OK) return fail_library();
    gsa_model_info_get(a->model, &a->info);
    return 0;
}

int app_open_tokenizer(app *a, const char *hint)
{
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .path = a->model_path};
    if (gsa_tokenizer_create(&params, &a->tokenizer) == GSA_OK) return 0;
    return hint ? fail("%s; %s", gsa_error_text(), hint) : fail_library();
}

int app_close(app *a, int rc)
{
    report_progress(0, NULL);
    gsa_tokenizer_destroy(a->tokenizer);
    gsa_model_destroy(a->model);
    if (a->device) {
        const uint32_t n = gsa_device_validation_count(a->device);
        cache_write(a);
        gsa_device_destroy(a->device);
        if (n > 0 && rc == 0) rc = fail("the validation layer had %u messages", n);
    }
    free(a->cache);
    const int written = report_stdout();
    return rc ? rc : written;
}
