/* What a driver's compiler makes of the main kernels, as the library would create them for a model's shapes: one line on
 * standard output for each pipeline. Run by tools/compile-stats.sh; no GPU is needed, for nothing is computed.
 *
 *   kernel_stats DEVICE MASK SHAPE TYPE     MASK: as gsa_device_params.mask, "" = none; SHAPE: 340m, 1.3b, .. */
#include <stdio.h>

#include "model/checkpoint.h"
#include "ops/ops.h"
#include "session/engine.h"

static void print(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    fprintf(level <= GSA_LOG_WARNING ? stderr : stdout, "%s\n", text);
}

#define N_SESSIONS 32

static gsa_status run(gsai_engine *engine, uint32_t n_sessions, uint32_t n_tokens)
{
    static const int32_t tokens[2048];
    gsai_span spans[N_SESSIONS];
    gsai_job *job = NULL;

    for (uint32_t i = 0; i < n_sessions; i++)
        spans[i] =
            (gsai_span){.slot = i, .tokens = tokens, .n_tokens = n_tokens, .want = GSA_WANT_NOTHING, .n_generate = 1};
    gsa_status status = engine->ops->submit(engine, spans, n_sessions, 0, &job);
    if (status == GSA_OK) status = engine->ops->wait(engine, job, UINT64_MAX);
    if (status == GSA_OK) status = engine->ops->collect(engine, job);
    return status;
}

/* Loading records short passes only, and tiles differ with the length of a prompt and the number of sessions. */
static gsa_status run_passes(gsai_engine *engine)
{
    static const uint32_t lengths[] = {128, 512, 2048};
    gsa_status status = run(engine, N_SESSIONS, 1);

    for (size_t i = 0; status == GSA_OK && i < sizeof lengths / sizeof *lengths; i++)
        status = run(engine, 1, lengths[i]);
    return status;
}

/* The model's first layer and its head: every layer has the same kernels. */
static gsa_status load(gsa_device *dev, const char *shape, const char *type_name)
{
    const gsai_checkpoint_options options = {dev->allocator, &dev->log};
    gsai_config config;
    gsai_type type;
    gsai_checkpoint *checkpoint = NULL;
    gsai_engine *engine = NULL;
    gsa_status status = gsai_checkpoint_synthetic_preset(shape, &config);

    if (status != GSA_OK) return status;
    if (!gsai_type_parse(type_name, &type)) return gsai_fail(GSA_ERROR_ARGUMENT, "no weight type %s", type_name);
    config.n_layers = 1;
    status = gsai_checkpoint_open_synthetic(&config, type, 1, &options, &checkpoint);
    const gsai_engine_params params = {
        .checkpoint = checkpoint, .n_slots = N_SESSIONS, .prompt_weights = GSA_PROMPT_WEIGHTS_ON};
    if (status == GSA_OK) status = gsai_engine_gpu_create(dev, &params, &engine);
    if (status == GSA_OK) status = run_passes(engine);
    if (engine) engine->ops->destroy(engine);
    if (checkpoint) gsai_checkpoint_close(checkpoint);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: kernel_stats DEVICE MASK SHAPE TYPE\n");
        return 2;
    }
    gsa_device *dev = NULL;
    const gsa_device_params params = {.struct_size = sizeof params,
        .select = argv[1],
        .mask = argv[2],
        .self_test = GSA_SELF_TEST_OFF,
        .tuning = GSA_TUNING_OFF,
        .kernel_statistics = true,
        .log = {print, NULL, GSA_LOG_INFO}};
    gsa_status status = gsa_device_create(&params, &dev);
    if (status == GSA_OK) status = load(dev, argv[3], argv[4]);
    if (status != GSA_OK) fprintf(stderr, "kernel_stats: %s\n", gsa_error_text());
    gsa_device_destroy(dev);
    return status == GSA_OK ? 0 : 1;
}
