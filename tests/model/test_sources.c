/* One model from its folder, and as a GGUF file from a path, from memory and through a callback: the same bits. */
#include "golden_models.h"
#include "model/checkpoint.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/gguf_model.h"

#define N_PROMPT 70

static gsa_device *device;
static gguf_maker file;
static char folder[512];

typedef struct pak {
    uint64_t n_bytes;
    int calls, fail_at; /* fail_at < 0: never */
} pak;

static bool read_pak(void *user, uint64_t offset, size_t size, void *dst)
{
    pak *p = user;
    assert_true(size > 0 && offset <= file.n && size <= file.n - offset);
    p->n_bytes += size;
    if (p->calls++ == p->fail_at) return false;
    memcpy(dst, file.bytes + offset, size);
    return true;
}

/* The state file after a prompt. */
static void run(gsa_model *model, uint8_t **state, size_t *n_state)
{
    gsa_model_info info;
    gsa_session *s;
    gsa_step *st;
    int32_t prompt[N_PROMPT];
    gsa_model_info_get(model, &info);
    for (int i = 0; i < N_PROMPT; i++) prompt[i] = (i * 37 + 5) % (int)info.n_vocab;
    gsa_step_item item = {.tokens = prompt, .n_tokens = N_PROMPT, .want = GSA_WANT_LOGITS};
    OK(gsa_session_create(model, &s));
    item.session = s;
    OK(gsa_step_submit(model, &item, 1, 0, &st));
    OK(gsa_step_wait(st, UINT64_MAX));
    OK(gsa_step_collect(st));
    OK(gsa_session_serialize_wait(s, NULL, NULL, 0, n_state));
    *state = malloc(*n_state);
    OK(gsa_session_serialize_wait(s, NULL, *state, *n_state, n_state));
    gsa_session_destroy(s);
}

static gsa_model *load(const gsa_model_params *from)
{
    gsa_model_params params = *from;
    gsa_model *model;
    params.struct_size = sizeof params;
    params.n_slots = 2;
    OK(gsa_model_load(device, &params, &model));
    return model;
}

static void check_same(const gsa_model_params *from)
{
    uint8_t *want, *found; /* position, state, logits and the identity of the weights */
    size_t n_want, n_found;
    const gsa_model_params straight = {.path = folder};
    gsa_model *a = load(&straight), *b = load(from);
    run(a, &want, &n_want);
    run(b, &found, &n_found);
    assert_int_equal(n_want, n_found);
    assert_memory_equal(want, found, n_want);
    free(want);
    free(found);
    gsa_model_destroy(a);
    gsa_model_destroy(b);
}

static void sources_path_of_a_gguf_file_gives_the_same_bits(void **state)
{
    (void)state;
    char path[] = "/tmp/gsa-gguf-XXXXXX";
    const int fd = mkstemp(path);
    assert_int_equal(write(fd, file.bytes, file.n), file.n);
    close(fd);
    check_same(&(gsa_model_params){.path = path});
    unlink(path);
}

static void sources_memory_gives_the_same_bits(void **state)
{
    (void)state;
    gguf_maker odd = {0}; /* tensors at odd addresses */
    gm_integer(&odd, 0, 1);
    gm_raw(&odd, file.bytes, file.n);
    const gsa_source source = {.data = odd.bytes + 1, .size = file.n};
    check_same(&(gsa_model_params){.source = &source});
    gm_free(&odd);
}

static void sources_callback_gives_the_same_bits(void **state)
{
    (void)state;
    pak p = {.fail_at = -1};
    const gsa_source source = {.name = "game.pak/model", .size = file.n, .read = read_pak, .user = &p};
    check_same(&(gsa_model_params){.source = &source});
    assert_true(p.n_bytes >= file.n);
}

static void sources_failing_callback_gives_file_and_leaves_nothing(void **state)
{
    (void)state;
    pak p = {.fail_at = -1};
    const gsa_source source = {.name = "game.pak/model", .size = file.n, .read = read_pak, .user = &p};
    const gsa_model_params params = {.struct_size = sizeof params, .source = &source, .n_slots = 1};
    gsa_model *model;
    OK(gsa_model_load(device, &params, &model));
    gsa_model_destroy(model);
    const int calls = p.calls;
    assert_true(calls > 0);
    for (int fail_at = 0; fail_at < calls; fail_at += 1 + calls / 8) {
        p = (pak){.fail_at = fail_at};
        assert_int_equal(gsa_model_load(device, &params, &model), GSA_ERROR_FILE);
        assert_null(model);
        assert_non_null(strstr(gsa_error_text(), "game.pak/model"));
    }
}

static void sources_contradictory_params_are_refused(void **state)
{
    (void)state;
    const gsa_source source = {.data = file.bytes, .size = file.n};
    gsa_model *model;
    gsa_model_params params = {.struct_size = sizeof params};
    assert_int_equal(gsa_model_load(device, &params, &model), GSA_ERROR_ARGUMENT);
    params.path = folder;
    params.source = &source;
    assert_int_equal(gsa_model_load(device, &params, &model), GSA_ERROR_ARGUMENT);
    params.path = NULL;
    params.synthetic = "340m";
    assert_int_equal(gsa_model_load(device, &params, &model), GSA_ERROR_ARGUMENT);
    const gsa_source cut = {.data = file.bytes, .size = file.n / 2};
    params.synthetic = NULL;
    params.source = &cut;
    assert_int_equal(gsa_model_load(device, &params, &model), GSA_ERROR_FORMAT);
    assert_null(model);
    params.source = NULL;
    params.path = "/nonexistent/model.gguf";
    assert_int_equal(gsa_model_load(device, &params, &model), GSA_ERROR_FILE);
}

/* ---- listing ---- */

typedef struct listing {
    uint32_t n_keys, n_tensors;
    uint64_t D, n_bytes;
    bool architecture_seen;
} listing;

static void on_key(void *user, const char *key, const gsa_value *v)
{
    listing *l = user;
    l->n_keys++;
    if (strcmp(key, "gsa.embedding_length") == 0) {
        assert_int_equal(v->kind, GSA_VALUE_UINT);
        assert_string_equal(v->type, "u32");
        l->D = v->uint_value;
    }
    if (strcmp(key, "general.architecture") == 0)
        l->architecture_seen = v->kind == GSA_VALUE_TEXT && v->n == 3 && memcmp(v->text, "gsa", 3) == 0;
}

static void on_tensor(void *user, const gsa_tensor_info *t)
{
    listing *l = user;
    l->n_tensors++;
    l->n_bytes += t->n_bytes;
}

static void sources_file_is_listed_and_inspected(void **state)
{
    (void)state;
    const gsa_source source = {.data = file.bytes, .size = file.n};
    listing l = {0};
    gsa_file_info info;
    OK(gsa_file_inspect(NULL, &source, &info, on_key, on_tensor, &l));
    assert_string_equal(info.architecture, "gsa");
    assert_true(info.is_model);
    assert_false(info.has_tokenizer);
    assert_int_equal(info.n_metadata, l.n_keys);
    assert_int_equal(info.n_tensors, l.n_tensors);
    assert_int_equal(info.file_bytes, file.n);
    assert_true(l.architecture_seen);
    const gsa_model_params params = {.struct_size = sizeof params, .source = &source};
    gsa_model_info model;
    OK(gsa_model_inspect(&params, NULL, &model, NULL, NULL, NULL));
    assert_int_equal(model.D, l.D);
    assert_int_equal(model.weight_bytes, l.n_bytes);
    assert_int_equal(gsa_file_inspect(NULL, NULL, &info, NULL, NULL, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_file_inspect(folder, &source, &info, NULL, NULL, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_file_inspect(folder, NULL, &info, NULL, NULL, NULL), GSA_ERROR_FILE);
}

/* Every kind of value, and arrays in arrays. */
static void on_value(void *user, const char *key, const gsa_value *v)
{
    gsa_value item = {0}, inner = {0};
    ++*(int *)user;
    assert_false(v->kind != GSA_VALUE_ARRAY && gsa_value_next(v, &item));
    switch (key[0]) {
    case 'a':
        assert_int_equal(v->kind, GSA_VALUE_INT);
        assert_int_equal(v->int_value, -2);
        break;
    case 'b':
        assert_int_equal(v->kind, GSA_VALUE_FLOAT);
        assert_true(v->float_value == 0.5);
        break;
    case 'c':
        assert_int_equal(v->kind, GSA_VALUE_BOOL);
        assert_true(v->bool_value);
        break;
    case 'd':
        assert_int_equal(v->kind, GSA_VALUE_ARRAY);
        assert_string_equal(v->type, "string");
        assert_true(gsa_value_next(v, &item) && item.n == 1 && item.text[0] == 'x');
        assert_true(gsa_value_next(v, &item) && item.n == 0);
        assert_false(gsa_value_next(v, &item));
        break;
    default:
        assert_string_equal(v->type, "array");
        assert_true(gsa_value_next(v, &item));
        assert_true(gsa_value_next(&item, &inner) && inner.uint_value == 7);
        assert_true(gsa_value_next(&item, &inner) && inner.uint_value == 8);
        assert_false(gsa_value_next(&item, &inner));
        assert_true(gsa_value_next(v, &item));
        inner = (gsa_value){0};
        assert_false(gsa_value_next(&item, &inner));
        assert_false(gsa_value_next(v, &item));
    }
}

static void sources_values_of_any_file_can_be_walked(void **state)
{
    (void)state;
    gguf_maker m = {0};
    int n = 0;
    gm_words(&m, "G q0 q5 sa d1 c254 sb d6 d0x3f000000 sc d7 c1 sd d9 d8 q2 sx q0 se d9 d9 q2 d2 q2 h7 h8 d0 q0");
    const gsa_source source = {.data = m.bytes, .size = m.n};
    gsa_file_info info;
    OK(gsa_file_inspect(NULL, &source, &info, on_value, NULL, &n));
    assert_int_equal(n, 5);
    assert_string_equal(info.architecture, "");
    assert_false(info.is_model);
    gm_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_path_of_a_gguf_file_gives_the_same_bits),
        cmocka_unit_test(sources_memory_gives_the_same_bits),
        cmocka_unit_test(sources_callback_gives_the_same_bits),
        cmocka_unit_test(sources_failing_callback_gives_file_and_leaves_nothing),
        cmocka_unit_test(sources_contradictory_params_are_refused),
        cmocka_unit_test(sources_file_is_listed_and_inspected),
        cmocka_unit_test(sources_values_of_any_file_can_be_walked),
    };
    const int rc = model_test_device_open(&device);
    if (rc) return rc;
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    gsai_checkpoint *c;
    snprintf(folder, sizeof folder, "%s/models/gsa-relu-conv", getenv("GSA_TEST_DATA"));
    if (gsai_checkpoint_open_hf(folder, &options, &c) != GSA_OK) return 1;
    file = gm_model(c, NULL);
    gsai_checkpoint_close(c);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gm_free(&file);
    return model_test_device_close(device, failed);
}
