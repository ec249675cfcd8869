/* State file v1 is frozen: a file written by the first version must read the same for ever, and be written the same. */
#include "session/session.h"

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
    return (gsai_saved){.position = 12345678901ull,
        .state = state,
        .n_floats = FLOATS,
        .logits = logits,
        .n_vocab = VOCAB,
        .sampler = s};
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
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH, FLOATS, VOCAB, &loaded), GSA_OK);
    assert_true(loaded.position == 12345678901ull);
    gsai_floats_from_le(x, loaded.state, FLOATS);
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
    for (size_t n = 0; n < N_BYTES; n++) assert_true(gsai_state_file_read(golden, n, HASH, FLOATS, VOCAB, &loaded) < 0);
    for (size_t at = 0; at < N_BYTES; at++) {
        memcpy(bad, golden, N_BYTES);
        bad[at] ^= 1u << at % 8;
        assert_true(gsai_state_file_read(bad, N_BYTES, HASH, FLOATS, VOCAB, &loaded) < 0);
    }
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH + 1, FLOATS, VOCAB, &loaded), GSA_ERROR_MISMATCH);
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH, FLOATS + 1, VOCAB, &loaded), GSA_ERROR_MISMATCH);
    assert_int_equal(gsai_state_file_read(golden, N_BYTES, HASH, FLOATS, VOCAB + 1, &loaded), GSA_ERROR_MISMATCH);
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
    };
    return cmocka_run_group_tests_name("state_file", tests, NULL, NULL);
}
