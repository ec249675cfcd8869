/* Target: bytes of a state file, loaded into a session of a tiny model on the CPU reference. */
#include "fuzz.h"

#include "gsa/session.h"
#include "session/session.h"
#include "util/alloc.h"
#include "util/hash.h"

#include <string.h>

#define IDENTITY 0x0123456789abcdefull /* the model's, so that files can be made without it */

static const gsai_config config = {.n_vocab = 5,
    .n_layers = 1,
    .D = 4,
    .H = 2,
    .G = 1,
    .K = 2,
    .V = 2,
    .M = 2,
    .F = 4,
    .W = 2,
    .norm_eps = 1e-6f,
    .g_norm_eps = 1e-5f,
    .gate_normalizer = 8,
    .scale = 1,
    .tied = true,
    .bos_id = 1,
    .eos_id = 2};

static gsa_device *device;
static gsa_model *model;

/* A model without files, made once; only what a session does goes through the target's allocator. */
static void make_model(void)
{
    const gsa_device_params params = {.struct_size = sizeof params, .select = "cpu"};
    if (model) return;
    FUZZ_CHECK(gsa_device_create(&params, &device) == GSA_OK);
    const gsai_checkpoint_options options = {device->allocator, NULL};
    model = gsai_alloc(&device->allocator, sizeof *model);
    FUZZ_CHECK(model);
    *model = (gsa_model){.device = device, .n_slots = 2, .hash = IDENTITY};
    gsai_mutex_init(&model->lock);
    model->slot_taken = gsai_alloc_array(&device->allocator, 2, sizeof *model->slot_taken);
    FUZZ_CHECK(model->slot_taken);
    FUZZ_CHECK(gsai_checkpoint_open_synthetic(&config, GSAI_F32, 1, &options, &model->checkpoint) == GSA_OK);
    const gsai_engine_params engine = {.checkpoint = model->checkpoint, .n_slots = 2};
    gsai_model_info_fill(model->checkpoint, &model->info);
    FUZZ_CHECK(gsai_engine_cpu_create(device, &engine, &model->engine) == GSA_OK);
}

/* A file of this model's type of state that was taken must give back the same file. */
static void check_saved(const gsa_session *s, const gsa_sampler *sampler, const uint8_t *data, size_t size)
{
    const bool has_sampler = data[52] || data[53];
    size_t n = 0;
    uint8_t *again = malloc(size);
    FUZZ_CHECK(again);
    const gsa_status status = gsa_session_serialize_wait(s, has_sampler ? sampler : NULL, again, size, &n);
    FUZZ_CHECK(n == size);
    FUZZ_CHECK(status == GSA_ERROR_HOST_MEMORY || (status == GSA_OK && memcmp(again, data, size) == 0));
    free(again);
}

static void go_on(gsa_session *s, gsa_sampler *sampler)
{
    const float *logits = gsa_session_logits(s);
    int32_t token = 0;
    if (logits && gsa_sampler_sample(sampler, logits, config.n_vocab, &token) == GSA_OK)
        FUZZ_CHECK(token >= 0 && token < (int32_t)config.n_vocab);
    gsa_step_item item = {.session = s, .tokens = &token, .n_tokens = 1, .want = GSA_WANT_TOKEN, .sampler = sampler};
    gsa_step *step = NULL;
    if (gsa_step_submit(model, &item, 1, 0, &step) != GSA_OK) return;
    FUZZ_CHECK(gsa_step_collect(step) == GSA_OK);
    FUZZ_CHECK(item.token >= 0 && item.token < (int32_t)config.n_vocab);
}

gsa_status fuzz_file(const uint8_t *data, size_t size, const gsa_allocator *allocator)
{
    make_model();
    const gsa_allocator own = device->allocator;
    gsa_session *s = NULL;
    gsa_sampler *sampler = NULL;
    FUZZ_CHECK(gsa_session_create(model, &s) == GSA_OK);
    FUZZ_CHECK(
        gsa_sampler_create(&(gsa_sampler_params){.struct_size = sizeof(gsa_sampler_params)}, &sampler) == GSA_OK);
    device->allocator = *allocator;
    const gsa_status status = gsa_session_deserialize_wait(s, sampler, size ? data : (const uint8_t *)"", size);
    if (status == GSA_OK) {
        if (data[40] == 0) check_saved(s, sampler, data, size);
        go_on(s, sampler);
    } else {
        FUZZ_CHECK(gsa_session_position(s) == 0 && !gsa_session_logits(s));
    }
    device->allocator = own;
    gsa_sampler_destroy(sampler);
    gsa_session_destroy(s);
    return status;
}

/* Any change of bytes, and then the checksum put right; now and then also size, identity and numbers of the header. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t max_size, uint32_t seed)
{
    size = fuzz_mutate_bytes(data, size, max_size);
    if (size < 72) return size;
    if (fuzz_random(&seed) % 2) memcpy(data, "GSASTATE\1\0\0\0\100\0\0\0", 16);
    if (fuzz_random(&seed) % 2) {
        for (int i = 0; i < 8; i++) data[16 + i] = (uint8_t)(IDENTITY >> 8 * i);
        memset(data + 36, 0, 8);
        data[32] = (uint8_t)gsai_config_state_floats(&config);
        memset(data + 33, 0, 3);
    }
    const uint64_t hash = gsai_hash64(data, size - 8);
    for (int i = 0; i < 8; i++) data[size - 8 + i] = (uint8_t)(hash >> 8 * i);
    return size;
}
