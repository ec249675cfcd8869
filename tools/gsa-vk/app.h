/* What the commands share: the common options, and opening device, model and tokenizer as those say. */
#ifndef APP_H
#define APP_H

#include "cli.h"
#include "gsa/gsa.h"
#include "report.h"

typedef struct app {
    const cli_spec *spec;
    /* options */
    const char *model_path, *select, *mask, *resident, *prompt_weights, *state;
    bool json, quiet, no_cache, validation, profile;
    uint32_t verbose;
    /* objects */
    gsa_device *device;
    gsa_model *model;
    gsa_tokenizer *tokenizer;
    gsa_model_info info; /* of model */
    double device_ms, load_ms;
    /* pipeline cache of the last run */
    char cache_path[1024]; /* "" = none */
    void *cache;
    size_t cache_size;
} app;

#define APP_MODEL_OPTION(a, what)                                                                                      \
    {                                                                                                                  \
        CLI_TEXT, 'm', "model", "PATH", what, &(a)->model_path                                                         \
    }
#define APP_MODEL_HELP "GGUF file, or Hugging Face folder: config.json,\n*.safetensors, tokenizer.json"
#define APP_DEVICE_OPTIONS(a)                                                                                          \
    {CLI_GROUP, .help = "device"},                                                                                     \
        {CLI_TEXT, 'd', "device", "N|TEXT|cpu",                                                                        \
            "index, part of a name, or cpu: the CPU reference.\nDefault: the best device", &(a)->select},              \
        {CLI_TEXT, 0, "mask", "LIST",                                                                                  \
            "capabilities to hide, e.g. coopmat,float16, or minimum:\nwhat Vulkan 1.1 promises", &(a)->mask},          \
        {CLI_TEXT, 0, "resident", "WORDS",                                                                             \
            "single tokens in one dispatch whose workgroups wait for\neach other: auto (the default: where that is "   \
            "measured to\nbe faster), always, never;\nalways,KEY=N,... to measure (gsa/device.h)",                     \
            &(a)->resident},                                                                                           \
        {CLI_TEXT, 0, "prompt-weights", "WORD",                                                                        \
            "a second copy of weights, as f16 in the order of matrix\nunits, for prompts and steps of several "        \
            "sessions: auto\n(the default: where all fits half the device's memory;\nof q8_0, q4_0, q4_k, q6_k only "  \
            "where it takes an eighth\nat most), on, off",                                                             \
            &(a)->prompt_weights},                                                                                     \
        {CLI_TEXT, 0, "state", "TYPE",                                                                                 \
            "how sessions keep their memory: f32 (the default), or f16:\nhalf the bytes, rounded after every chunk",   \
            &(a)->state},                                                                                              \
        {CLI_FLAG, 0, "no-cache", NULL,                                                                                \
            "neither read nor write the pipeline cache in\n$GSA_VK_CACHE_DIR, $XDG_CACHE_HOME or ~/.cache",            \
            &(a)->no_cache},                                                                                           \
    {                                                                                                                  \
        CLI_FLAG, 0, "validation", NULL,                                                                               \
            "run under the Khronos validation layer; its messages\nmake the command fail", &(a)->validation            \
    }
#define APP_OUTPUT_OPTIONS(a)                                                                                          \
    {CLI_GROUP, .help = "output"}, {CLI_FLAG, 0, "json", NULL, "results as JSON", &(a)->json},                         \
        {CLI_COUNT, 'v', "verbose", NULL, "say more on stderr; -vv: everything", &(a)->verbose},                       \
    {                                                                                                                  \
        CLI_FLAG, 'q', "quiet", NULL, "errors only on stderr", &(a)->quiet                                             \
    }

#define APP_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* cli_parse, then what follows from the common options. */
int app_parse(app *a, const cli_spec *spec, int argc, char **argv, cli_args *args);

/* Each returns 0, or the exit status after saying what is wrong. */
int app_open_device(app *a);
int app_load_model(
    app *a, const gsa_model_params *more); /* more: NULL, or what path does not say; opens the device too */
/* Beside the model, or the file itself. hint: what else to do when there is none, or NULL. */
int app_open_tokenizer(app *a, const char *hint);

/* CLI_GO, or the mistake of a command that needs -m. */
int app_need_model(const app *a);

gsa_prompt_weights app_prompt_weights(const app *a);
gsa_state_type app_state_type(const app *a);
/* gsa_device_params from the options. */
gsa_device_params app_device_params(const app *a);

/* Close everything, write the pipeline cache, flush stdout. Returns rc, or 1 when rc is 0 and something is wrong. */
int app_close(app *a, int rc);

/* cache.c */
void cache_read(app *a);
void cache_write(app *a);

/* Milliseconds of a monotonic clock. */
double app_now_ms(void);

#endif
