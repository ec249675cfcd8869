/* GSA models in GGUF files: the same as from their Hugging Face folder, and refused when a key or tensor is wrong. */
#include "support/counting_alloc.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/gguf_model.h"

static gsai_checkpoint_options plain_options(void)
{
    return (gsai_checkpoint_options){.allocator = gsai_allocator_or_default(NULL)};
}

/* ---- the same model from folder and file ---- */

typedef struct pak {
    const uint8_t *bytes;
    bool fails;
} pak;

static bool read_pak(void *user, uint64_t offset, size_t size, void *dst)
{
    const pak *p = user;
    if (!p->fails) memcpy(dst, p->bytes + offset, size);
    return !p->fails;
}

static void check_same(const gsai_checkpoint *want, const gsai_checkpoint *c)
{
    uint64_t a = 1, b = 2;
    assert_int_equal(gsai_checkpoint_hash(want, &a), GSA_OK);
    assert_int_equal(gsai_checkpoint_hash(c, &b), GSA_OK);
    assert_int_equal(a, b);
    assert_int_equal(c->config.context_length, want->config.context_length);
    assert_int_equal(c->config.bos_id, want->config.bos_id);
    assert_int_equal(c->config.eos_id, want->config.eos_id);
    assert_int_equal(c->config.tied, want->config.tied);
    assert_true(c->n_tensors > 0 && c->description);
}

static void gguf_checkpoint_of_every_golden_model_has_the_same_identity(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "gsa-tiny", "gsa-small-gqa", "gsa-misc", "gsa-relu-conv", "gsa-t2r", "gsa-old-2024-10", "gsa-bf16-sharded"};
    const gsai_checkpoint_options o = plain_options();
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char folder[512];
        gsai_checkpoint *want, *c;
        snprintf(folder, sizeof folder, "%s/models/%s", getenv("GSA_TEST_DATA"), folders[i]);
        if (gsai_checkpoint_open_hf(folder, &o, &want) != GSA_OK) fail_msg("%s", gsa_error_text());
        gguf_maker file = gm_model(want, NULL);

        const gsa_source memory = {.data = file.bytes, .size = file.n};
        if (gsai_checkpoint_open_gguf(NULL, &memory, &o, &c) != GSA_OK) fail_msg("%s", gsa_error_text());
        assert_non_null(c->embed.data);
        check_same(want, c);
        gsai_checkpoint_close(c);

        pak p = {file.bytes, false};
        const gsa_source archive = {.size = file.n, .read = read_pak, .user = &p};
        if (gsai_checkpoint_open_gguf(NULL, &archive, &o, &c) != GSA_OK) fail_msg("%s", gsa_error_text());
        assert_null(c->embed.data);
        check_same(want, c);
        uint64_t hash;
        float x;
        p.fails = true;
        assert_int_equal(gsai_checkpoint_hash(c, &hash), GSA_ERROR_FILE);
        assert_int_equal(gsai_tensor_read_floats(&c->embed, 0, 1, &x), GSA_ERROR_FILE);
        gsai_checkpoint_close(c);

        char path[] = "/tmp/gsa-gguf-XXXXXX";
        const int fd = mkstemp(path);
        assert_int_equal(write(fd, file.bytes, file.n), file.n);
        close(fd);
        if (gsai_checkpoint_open_gguf(path, NULL, &o, &c) != GSA_OK) fail_msg("%s", gsa_error_text());
        unlink(path);
        check_same(want, c);
        gsai_checkpoint_close(c);
        gm_free(&file);
        gsai_checkpoint_close(want);
    }
}

/* ---- a small model to bend ---- */

static gsai_checkpoint *small_model(gsai_type type, bool tied)
{
    const gsai_config config = {.n_vocab = 20,
        .n_layers = 2,
        .D = 32,
        .H = 2,
        .G = 1,
        .K = 16,
        .V = 16,
        .M = 4,
        .F = 32,
        .norm_eps = 1e-6f,
        .g_norm_eps = 1e-5f,
        .gate_normalizer = 8,
        .scale = 1,
        .tied = tied,
        .bos_id = 1,
        .eos_id = 2};
    const gsai_checkpoint_options o = plain_options();
    gsai_checkpoint *c;
    if (gsai_checkpoint_open_synthetic(&config, type, 5, &o, &c) != GSA_OK) fail_msg("%s", gsa_error_text());
    return c;
}

static gsa_status open_bent(const gsai_checkpoint *c, const gm_bent *b, gsai_config *config)
{
    counting_alloc count = {.fail_at = -1};
    const gsai_checkpoint_options o = {.allocator = counting_allocator(&count)};
    gguf_maker file = gm_model(c, b);
    const gsa_source memory = {.name = "bent.gguf", .data = file.bytes, .size = file.n};
    gsai_checkpoint *opened = NULL;
    const gsa_status status = gsai_checkpoint_open_gguf(NULL, &memory, &o, &opened);
    assert_true((status == GSA_OK) == (opened != NULL));
    if (opened && config) *config = opened->config;
    gsai_checkpoint_close(opened);
    assert_int_equal(count.alive, 0);
    gm_free(&file);
    return status;
}

typedef struct bad_model {
    gm_bent b;
    gsa_status status;
    const char *says;
} bad_model;

#define F GSA_ERROR_FORMAT
#define U GSA_ERROR_UNSUPPORTED

static void gguf_checkpoint_bad_models_are_refused_by_name(void **state)
{
    (void)state;
    static const bad_model cases[] = {
        {{.drop_key = "general.architecture"}, F, "key general.architecture is missing, expected it as a string"},
        {{.key = "general.architecture", .words = "d8 sllama"}, U, "\"llama\"; this library runs \"gsa\""},
        {{.key = "general.architecture", .words = "d4 d1"}, F, "general.architecture: expected a string, it is u32"},
        {{.drop_key = "gsa.vocab_size"}, F, "key gsa.vocab_size is missing, expected it as an integer"},
        {{.drop_key = "gsa.embedding_length"}, F, "key gsa.embedding_length is missing"},
        {{.drop_key = "gsa.block_count"}, F, "key gsa.block_count is missing"},
        {{.drop_key = "gsa.feed_forward_length"}, F, "key gsa.feed_forward_length is missing"},
        {{.drop_key = "gsa.attention.head_count"}, F, "key gsa.attention.head_count is missing"},
        {{.drop_key = "gsa.attention.key_length"}, F, "key gsa.attention.key_length is missing"},
        {{.drop_key = "gsa.attention.value_length"}, F, "key gsa.attention.value_length is missing"},
        {{.drop_key = "gsa.attention.layer_norm_rms_epsilon"}, F, "expected it as a floating point number"},
        {{.drop_key = "gsa.slot.count"}, F, "key gsa.slot.count is missing"},
        {{.drop_key = "gsa.slot.gate_normalizer"}, F, "key gsa.slot.gate_normalizer is missing"},
        {{.drop_key = "gsa.slot.feature_map"}, F, "key gsa.slot.feature_map is missing"},
        {{.key = "gsa.vocab_size", .words = "d4 d0"}, F, "key gsa.vocab_size: is 0, expected 1..16777216"},
        {{.key = "gsa.vocab_size", .words = "d10 q0x10000000000"}, F, "gsa.vocab_size: is 1099511627776"},
        {{.key = "gsa.block_count", .words = "d4 d5000"}, F, "gsa.block_count: is 5000, expected 1..1024"},
        {{.key = "gsa.block_count", .words = "d4 d3"}, F, "tensor blk.2.attn_norm.weight is missing"},
        {{.key = "gsa.block_count", .words = "d4 d1"}, U, "tensor blk.1.attn_norm.weight: no part of a GSA model"},
        {{.key = "gsa.attention.head_count", .words = "d5 d0xffffffff"}, F, "is -1, expected 1..1048576"},
        {{.key = "gsa.attention.head_count_kv", .words = "d4 d3"}, F, "not a multiple"},
        {{.key = "gsa.attention.key_length", .words = "d4 d1048576"}, F, "heads * key size"},
        {{.key = "gsa.attention.layer_norm_rms_epsilon", .words = "d6 d0"}, F, "norm epsilon is 0"},
        {{.key = "gsa.attention.layer_norm_rms_epsilon", .words = "d6 d0x7fc00000"}, F, "finite"},
        {{.key = "gsa.attention.layer_norm_rms_epsilon", .words = "d4 d1"}, F, "expected a floating point number"},
        {{.key = "gsa.slot.feature_map", .words = "d8 selu"}, U, "\"elu\" is not supported, only swish, relu, t2r"},
        {{.key = "gsa.slot.feature_map", .words = "d8 st2r"}, F, "blk.0.attn_feature_map.weight is missing"},
        {{.key = "gsa.feed_forward.activation", .words = "d8 sgelu"}, U, "only swish, powlu"},
        {{.key = "", .words = "sgsa.shortconv.l_cache d4 d4"}, F, "tensor blk.0.attn_conv_q.weight is missing"},
        {{.key = "", .words = "sgsa.shortconv.l_cache d4 d65"}, F, "expected 0..64"},
        {{.key = "", .words = "ssplit.count d2 h3"}, U, "one of 3 parts"},
        {{.key = "tokenizer.ggml.bos_token_id", .words = "d4 d20"}, F, "is 20, expected 0..19"},
        {{.drop_tensor = "token_embd.weight"}, F,
            "tensor token_embd.weight is missing, expected it with shape [20, 32]"},
        {{.drop_tensor = "output_norm.weight"}, F, "tensor output_norm.weight is missing"},
        {{.drop_tensor = "blk.1.ffn_down.weight"}, F, "tensor blk.1.ffn_down.weight is missing"},
        {{.drop_tensor = "blk.1.attn_sub_norm.weight"}, F, "tensor blk.1.attn_sub_norm.weight is missing"},
        {{.drop_tensor = "blk.0.attn_sub_norm.weight"}, U, "tensor blk.1.attn_sub_norm.weight: no part"},
        {{.rename = "blk.0.attn_q.weight", .name = "blk.0.attn_qkv.weight"}, F, "blk.0.attn_q.weight is missing"},
        {{.extra = "blk.0.attn_q.bias"}, U, "tensor blk.0.attn_q.bias: no part of a GSA model"},
        {{.reshape = "blk.0.attn_k.weight", .n_dims = 2, .dims = {16, 32}}, F,
            "has shape [32, 16], the gsa.* keys make it [16, 32]"},
        {{.reshape = "blk.0.attn_k.weight", .n_dims = 1, .dims = {512}}, F, "has shape [512]"},
        {{.reshape = "blk.0.attn_norm.weight", .n_dims = 2, .dims = {1, 32}}, F, "has shape [32, 1]"},
        {{.retype = "blk.0.attn_q.weight", .type = 6}, U, "tensor blk.0.attn_q.weight has type Q5_0, supported are"},
        {{.retype = "blk.0.attn_q.weight", .type = 99}, U, "has type type 99"},
        {{.retype = "blk.0.attn_norm.weight", .type = 8}, U, "norms, convolutions and feature maps must be"},
    };
    gsai_checkpoint *c = small_model(GSAI_F32, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gsa_status status = open_bent(c, &cases[i].b, NULL);
        if (status != cases[i].status || !strstr(gsa_error_text(), cases[i].says) ||
            strncmp(gsa_error_text(), "bent.gguf: ", 11) != 0 || strstr(gsa_error_text() + 11, "bent.gguf"))
            fail_msg("case %zu: %s \"%s\", expected %s \"%s\"", i, gsa_status_name(status), gsa_error_text(),
                gsa_status_name(cases[i].status), cases[i].says);
    }
    gsai_checkpoint_close(c);
}

static void gguf_checkpoint_optional_keys_have_defaults(void **state)
{
    (void)state;
    gsai_checkpoint *c = small_model(GSAI_F32, false);
    gsai_config config;
    assert_int_equal(open_bent(c, &(gm_bent){.drop_key = "gsa.attention.sub_norm_epsilon"}, &config), GSA_OK);
    assert_true(config.g_norm_eps == 1e-5f);
    assert_int_equal(open_bent(c, &(gm_bent){.drop_key = "gsa.slot.scale"}, &config), GSA_OK);
    assert_true(config.scale == 1);
    assert_int_equal(open_bent(c, &(gm_bent){.drop_key = "gsa.feed_forward.activation"}, &config), GSA_OK);
    assert_int_equal(config.ffn_act, GSAI_FFN_SWISH);
    assert_int_equal(open_bent(c, &(gm_bent){.drop_key = "tokenizer.ggml.bos_token_id"}, &config), GSA_OK);
    assert_int_equal(config.bos_id, -1);
    assert_int_equal(config.eos_id, 2);
    assert_int_equal(open_bent(c, &(gm_bent){.drop_key = "gsa.context_length"}, &config), GSA_OK);
    assert_int_equal(config.context_length, 0);
    assert_int_equal(open_bent(c, &(gm_bent){.drop_tensor = "output.weight"}, &config), GSA_OK);
    assert_true(config.tied);
    /* head_count_kv is head_count then: the k matrix is too small for it */
    assert_int_equal(open_bent(c, &(gm_bent){.drop_key = "gsa.attention.head_count_kv"}, &config), GSA_ERROR_FORMAT);
    /* trailing dims of one, as some writers leave them */
    const gm_bent ones = {.reshape = "blk.0.attn_norm.weight", .n_dims = 2, .dims = {32, 1}};
    if (open_bent(c, &ones, &config) != GSA_OK) fail_msg("%s", gsa_error_text());
    gsai_checkpoint_close(c);
}

static void gguf_checkpoint_without_memory_leaves_nothing(void **state)
{
    (void)state;
    gsai_checkpoint *c = small_model(GSAI_F16, true);
    gguf_maker file = gm_model(c, NULL);
    const gsa_source memory = {.data = file.bytes, .size = file.n};
    for (long n = 0;; n++) {
        counting_alloc count = {.fail_at = n};
        const gsai_checkpoint_options o = {.allocator = counting_allocator(&count)};
        gsai_checkpoint *opened;
        const gsa_status status = gsai_checkpoint_open_gguf(NULL, &memory, &o, &opened);
        gsai_checkpoint_close(opened);
        assert_int_equal(count.alive, 0);
        if (status == GSA_OK) {
            assert_true(n > 10);
            break;
        }
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
        assert_null(opened);
    }
    gm_free(&file);
    gsai_checkpoint_close(c);
}

static void gguf_checkpoint_truncation_anywhere_is_refused(void **state)
{
    (void)state;
    gsai_checkpoint *c = small_model(GSAI_F16, true);
    gguf_maker file = gm_model(c, NULL);
    const gsai_checkpoint_options o = plain_options();
    for (size_t n = 0; n < file.n; n += n < 4000 ? 1 : 97) {
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, file.bytes, n);
        const gsa_source memory = {.data = n ? copy : NULL, .size = n};
        gsai_checkpoint *opened;
        assert_int_equal(gsai_checkpoint_open_gguf(NULL, &memory, &o, &opened), GSA_ERROR_FORMAT);
        assert_null(opened);
        free(copy);
    }
    gm_free(&file);
    gsai_checkpoint_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_checkpoint_of_every_golden_model_has_the_same_identity),
        cmocka_unit_test(gguf_checkpoint_bad_models_are_refused_by_name),
        cmocka_unit_test(gguf_checkpoint_optional_keys_have_defaults),
        cmocka_unit_test(gguf_checkpoint_without_memory_leaves_nothing),
        cmocka_unit_test(gguf_checkpoint_truncation_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
