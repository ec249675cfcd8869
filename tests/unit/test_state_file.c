/* State file v1 is frozen: a file written by the first version must read the same for ever, and be written the same. */
#include "session/session.h"

#include "model/state.h"
#include "sample/sampler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HASH    0x0123456789abcdefull
#define FLOATS  5
#define VOCAB   3
#define N_BYTES (64 + FLOATS * 4 + VOCAB * 4 + 56 + 1024 + 8)

/* Of one layer: hk, hv and the inputs of q, k and v, one float each. */
static const gsai_config config = {.n_vocab = VOCAB, .n_layers = 1, .H = 1, .G = 1, .K = 1, .V = 1, .M = 1, .W = 1};
static const float state[FLOATS] = {0, 1.5f, -2, 3e-8f, 1e30f}, logits[VOCAB] = {-1, 0.25f, 7};
static uint8_t golden[N_BYTES];

static gsa_sampler *sampler_with_history(void)
{
    gsa_sampler *s = NULL;
    const gsa_sampler_params params = {.struct_size = sizeof params,
        .temperature = 0.75f,
        .top_k = 40,
        .top_p = 0.5f,
        .min_p = 0.125f,
        .repeat_penalty = 1.25f,
        .repeat_last_n = 16,
        .seed = 0xfedcba9876543210ull};
    assert_int_equal(gsa_sampler_create(&params, &s), GSA_OK);
    for (int32_t i = 0; i < 300; i++) gsa_sampler_accept(s, i * 7); /* more than are kept */
    s->n_drawn = 300;
    return s;
}

static gsai_saved saved_with(const gsa_sampler *s)
{
    return (gsai_saved){.position = 12345678901ull, .config = &config, .state = state, .logits = logits, .sampler = s};
}

static void state_file_v1_is_written_as_ever(void **unused)
{
    (void)unused;
    uint8_t out[N_BYTES];
    gsa_sampler *s = sampler_with_history();
    const gsai_saved saved = saved_with(s);
    assert_int_equal(gsai_state_file_size(&saved), N_BYTES);
    gsai_state_file_write(&saved, HASH, out);
    assert_memory_equal(out, golden, N_BYTES);
    gsa_sampler_destroy(s);
}

static void state_file_v1_is_read_as_ever(void **unused)
{
    (void)unused;
    gsai_loaded loaded;
    float x[FLOATS];
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH, &config, &loaded), GSA_OK);
    assert_true(loaded.position == 12345678901ull);
    gsai_state_give(&loaded.config, loaded.state, x);
    assert_memory_equal(x, state, sizeof state);
    gsai_floats_from_le(x, loaded.logits, VOCAB);
    assert_memory_equal(x, logits, sizeof logits);

    gsa_sampler *want = sampler_with_history(), *got = NULL;
    assert_int_equal(
        gsa_sampler_create(&(gsa_sampler_params){.struct_size = sizeof(gsa_sampler_params)}, &got), GSA_OK);
    gsai_state_file_sampler(loaded.sampler, got);
    assert_true(got->params.temperature == 0.75f && got->params.top_p == 0.5f && got->params.min_p == 0.125f);
    assert_true(got->params.repeat_penalty == 1.25f && got->params.top_k == 40 && got->params.repeat_last_n == 16);
    assert_true(got->params.seed == 0xfedcba9876543210ull && got->n_drawn == 300 && got->n_recent == want->n_recent);
    for (uint32_t i = 1; i <= GSAI_MAX_RECENT; i++)
        assert_int_equal(got->recent[(got->next_recent + GSAI_MAX_RECENT - i) % GSAI_MAX_RECENT],
            want->recent[(want->next_recent + GSAI_MAX_RECENT - i) % GSAI_MAX_RECENT]);
    gsa_sampler_destroy(want);
    gsa_sampler_destroy(got);
}

static void state_file_every_cut_and_changed_byte_is_refused(void **unused)
{
    (void)unused;
    gsai_loaded loaded;
    uint8_t bad[N_BYTES];
    for (size_t n = 0; n < N_BYTES; n++) assert_true(gsai_state_file_read(golden, n, HASH, &config, &loaded) < 0);
    for (size_t at = 0; at < N_BYTES; at++) {
        memcpy(bad, golden, N_BYTES);
        bad[at] ^= 1u << at % 8;
        assert_true(gsai_state_file_read(bad, N_BYTES, HASH, &config, &loaded) < 0);
    }
    gsai_config more_layers = config, more_tokens = config;
    more_layers.n_layers++;
    more_tokens.n_vocab++;
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH + 1, &config, &loaded), GSA_ERROR_MISMATCH);
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH, &more_layers, &loaded), GSA_ERROR_MISMATCH);
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH, &more_tokens, &loaded), GSA_ERROR_MISMATCH);
}

/* Two layers of G 1 K 1 V 2 M 1: three f16, two bytes of zeros, and four floats of the convolution for each. */
static void state_file_of_f16_is_as_format_md_says(void **unused)
{
    (void)unused;
    const gsai_config half = {
        .n_vocab = VOCAB, .n_layers = 2, .H = 1, .G = 1, .K = 1, .V = 2, .M = 1, .W = 1, .half_state = true};
    gsai_config full = half;
    full.half_state = false;
    static const float from[14] = {1, 2049, 1e9f, 0.1f, 0.2f, 0.3f, 0.4f, -1e-7f, 6.1035e-5f, -0.33325195f, 1, 2, 3, 4};
    static const float want[14] = {
        1, 2048, 65504, 0.1f, 0.2f, 0.3f, 0.4f, -1.1920929e-7f, 6.1035156e-5f, -0.33325195f, 1, 2, 3, 4};
    static const uint16_t halves[8] = {0x3c00, 0x6800, 0x7bff, 0, 0x8002, 0x0400, 0xb555, 0};
    const gsai_saved saved = {.position = 7, .config = &half, .state = from};
    uint8_t file[64 + 48 + 8];
    float got[14];
    gsai_loaded loaded;
    assert_int_equal(gsai_state_file_size(&saved), sizeof file);
    gsai_state_file_write(&saved, HASH, file);
    assert_int_equal(file[40], 1);  /* the type */
    assert_int_equal(file[32], 14); /* numbers */
    assert_int_equal(file[56], 48); /* bytes they take */
    for (int i = 0; i < 8; i++) {
        const uint8_t *at = file + 64 + i / 4 * 24 + i % 4 * 2;
        assert_int_equal(at[0] | at[1] << 8, halves[i]);
    }

    /* Into states of f16 and of f32; not from f32 into f16. */
    assert_int_equal(gsai_state_file_read(file, sizeof file, HASH, &half, &loaded), GSA_OK);
    gsai_state_give(&loaded.config, loaded.state, got);
    for (int i = 0; i < 14; i++) assert_true(got[i] == want[i]);
    assert_int_equal(gsai_state_file_read(file, sizeof file, HASH, &full, &loaded), GSA_OK);
    assert_true(loaded.config.half_state);
    gsai_config as_golden = config;
    as_golden.half_state = true;
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH, &as_golden, &loaded), GSA_ERROR_MISMATCH);
    assert_non_null(strstr(gsa_error_text(), "f16"));
    for (size_t n = 0; n < sizeof file; n++) assert_true(gsai_state_file_read(file, n, HASH, &half, &loaded) < 0);
}

int main(void)
{
    const char *data = getenv("GSA_TEST_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/state_v1.bin", data ? data : ".");
    FILE *f = fopen(path, "rb");
    if (!f || fread(golden, 1, N_BYTES, f) != N_BYTES || fgetc(f) != EOF) {
        fprintf(stderr, "%s: not there, or not of %d bytes\n", path, N_BYTES);
        return 1;
    }
    fclose(f);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_file_v1_is_written_as_ever),
        cmocka_unit_test(state_file_v1_is_read_as_ever),
        cmocka_unit_test(state_file_every_cut_and_changed_byte_is_refused),
        cmocka_unit_test(state_file_of_f16_is_as_format_md_says),
    };
    return cmocka_run_group_tests_name("state_file", tests, NULL, NULL);
}
