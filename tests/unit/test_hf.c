#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/hf.h"
#include "support/counting_alloc.h"
#include "support/hf_maker.h"
#include "util/alloc.h"
#include "util/half.h"

#include <math.h>

/* The last warning. */
static char warning[512];

static void keep_warning(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    if (level == GSA_LOG_WARNING) snprintf(warning, sizeof warning, "%s", text);
}

static gsa_status open_folder(const char *folder, gsai_checkpoint **c)
{
    const gsa_log log = {.message = keep_warning, .level = GSA_LOG_DEBUG};
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL), .log = &log};
    warning[0] = 0;
    return gsai_checkpoint_open_hf(folder, &options, c);
}

static gsai_checkpoint *open_data(const char *model)
{
    char folder[1024];
    const char *data = getenv("GSA_TEST_DATA");
    gsai_checkpoint *c = NULL;
    snprintf(folder, sizeof folder, "%s/models/%s", data ? data : "tests/data", model);
    if (open_folder(folder, &c)) fail_msg("%s", gsa_error_text());
    return c;
}

static gsai_checkpoint *expect_ok(const hf_maker *m)
{
    gsai_checkpoint *c = NULL;
    if (open_folder(m->folder, &c)) fail_msg("%s", gsa_error_text());
    return c;
}

/* a and b: words of the message, or NULL. The folder is always in it. */
static void expect_fail(const hf_maker *m, gsa_status status, const char *a, const char *b)
{
    gsai_checkpoint *c = NULL;
    const gsa_status found = open_folder(m->folder, &c);
    if (found != status)
        fail_msg("%s instead of %s: %s", gsa_status_name(found), gsa_status_name(status), gsa_error_text());
    assert_null(c);
    const char *words[] = {a, b, m->folder};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (words[i] && !strstr(gsa_error_text(), words[i]))
            fail_msg("\"%s\" is not in \"%s\"", words[i], gsa_error_text());
    }
}

static const gsai_config plain = {.n_vocab = 320,
    .n_layers = 2,
    .D = 64,
    .H = 2,
    .G = 2,
    .K = 32,
    .V = 32,
    .M = 16,
    .F = 128,
    .context_length = 2048,
    .norm_eps = 1e-6f,
    .g_norm_eps = 1e-5f,
    .gate_normalizer = 8,
    .scale = 1,
    .bos_id = 1,
    .eos_id = 2};

static void check_data(const char *model, gsai_config expected, bool g_norm, const char *layout)
{
    gsai_checkpoint *c = open_data(model);
    const gsai_config *f = &c->config;
    assert_int_equal(gsai_config_hash(f), gsai_config_hash(&expected));
    assert_int_equal(f->K, expected.K);
    assert_int_equal(f->F, expected.F);
    assert_int_equal(f->context_length, expected.context_length);
    assert_int_equal(f->bos_id, expected.bos_id);
    assert_int_equal(f->eos_id, expected.eos_id);
    assert_non_null(strstr(c->description, layout));
    assert_string_equal(warning, "");
    for (uint32_t layer = 0; layer < f->n_layers; layer++) {
        for (int role = 0; role < GSAI_N_ROLES; role++) {
            uint64_t dims[2];
            const gsai_tensor *t = gsai_checkpoint_role(c, (gsai_role)role, layer);
            uint32_t n_dims = gsai_role_shape(f, (gsai_role)role, dims);
            if (role == GSAI_ROLE_G_NORM && !g_norm) n_dims = 0;
            if (role == GSAI_ROLE_HEAD && f->tied) {
                assert_ptr_equal(t->data, c->embed.data);
                continue;
            }
            assert_int_equal(t->n_dims, n_dims);
            if (n_dims == 0) continue;
            assert_memory_equal(t->dims, dims, n_dims * sizeof *dims);
            assert_int_equal(t->n_bytes, gsai_type_bytes(t->type, gsai_tensor_elements(t)));
            float first, last;
            assert_int_equal(gsai_tensor_read_floats(t, 0, 1, &first), GSA_OK);
            assert_int_equal(gsai_tensor_read_floats(t, gsai_tensor_elements(t) - 1, 1, &last), GSA_OK);
            assert_true(isfinite(first) && isfinite(last));
        }
    }
    gsai_checkpoint_close(c);
}

static void hf_every_published_kind_opens_with_its_config(void **state)
{
    (void)state;
    gsai_config c = plain;
    c.n_vocab = 1000;
    c.F = 256; /* from hidden_ratio: 170 rounded up to 256 */
    check_data("gsa-tiny", c, true, "layout C, 1 file)");
    c = plain;
    c.n_vocab = 640;
    c.n_layers = 3;
    c.D = 128;
    c.H = 4;
    c.M = 32;
    c.F = 192;
    c.tied = true;
    check_data("gsa-small-gqa", c, true, "layout C");
    c = plain;
    c.D = 96;
    c.H = c.G = 4;
    c.K = c.V = 24;
    c.M = 32;
    c.F = 176;
    c.gate_normalizer = 4;
    c.norm_eps = 1e-5f;
    c.feature_map = GSAI_FEATURE_T2R;
    check_data("gsa-t2r", c, true, "layout C");
    c = plain;
    c.K = 16;
    c.W = 4;
    c.feature_map = GSAI_FEATURE_RELU;
    check_data("gsa-relu-conv", c, true, "layout C");
    c = plain;
    c.n_vocab = 1000;
    c.n_layers = 3;
    c.D = 128;
    c.H = c.G = 4;
    c.M = 64;
    c.F = 256;
    check_data("gsa-bf16-sharded", c, true, "layout C, 3 files)");
    c = plain;
    c.n_vocab = 1000;
    c.M = 32;
    c.F = 176;
    check_data("gsa-old-2024-10", c, true, "layout A");
    c = plain;
    c.V = 48;
    c.M = 32;
    c.gate_normalizer = 1;
    c.ffn_act = GSAI_FFN_POWLU;
    check_data("gsa-misc", c, false, "layout C");
}

static void hf_data_files_hold_the_types_they_say(void **state)
{
    (void)state;
    gsai_checkpoint *c = open_data("gsa-bf16-sharded");
    assert_int_equal(c->layers[1].q.type, GSAI_BF16);
    assert_int_equal(c->layers[1].g_norm.type, GSAI_F32);
    assert_int_equal(c->n_tensors, 3 + 3 * 11);
    gsai_checkpoint_close(c);
    c = open_data("gsa-old-2024-10");
    assert_ptr_equal(c->layers[1].gate.data + c->layers[1].gate.n_bytes, c->layers[1].up.data);
    gsai_checkpoint_close(c);
    c = open_data("gsa-relu-conv");
    assert_int_equal(c->layers[0].conv_v.n_dims, 2);
    gsai_checkpoint_close(c);
}

static void hf_hybrid_and_attention_residuals_are_refused_by_name(void **state)
{
    (void)state;
    const char *data = getenv("GSA_TEST_DATA");
    char folder[1024];
    gsai_checkpoint *c;
    snprintf(folder, sizeof folder, "%s/models/gsa-hybrid", data ? data : "tests/data");
    assert_int_equal(open_folder(folder, &c), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "config.json: attn asks for hybrid layers"));
    snprintf(folder, sizeof folder, "%s/models/gsa-attnres", data ? data : "tests/data");
    assert_int_equal(open_folder(folder, &c), GSA_ERROR_UNSUPPORTED);
    assert_non_null(strstr(gsa_error_text(), "config.json: attnres_block_size"));
}

static void hf_small_model_opens(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    hf_write(&m);
    gsai_checkpoint *c = expect_ok(&m);
    assert_int_equal(c->n_tensors, 25);
    assert_string_equal(c->tensors[0].name, "model.embeddings.weight");
    assert_memory_equal(c->layers[1].f.data, hf_find(&m, "model.layers.1.attn.f_proj.weight")->data, 96);
    gsai_checkpoint_close(c);
    hf_end(&m);
}

static void hf_missing_tensor_is_refused_by_name(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    const int n = m.n_tensors;
    for (int i = 0; i < n; i++) {
        const hf_tensor kept = m.tensors[i];
        memmove(&m.tensors[i], &m.tensors[i + 1], (size_t)(n - 1 - i) * sizeof kept);
        m.n_tensors--;
        hf_write(&m);
        char expected[256];
        snprintf(expected, sizeof expected, "tensor %s is missing, expected it with shape [", kept.name);
        expect_fail(&m, GSA_ERROR_FORMAT, expected, NULL);
        memmove(&m.tensors[i + 1], &m.tensors[i], (size_t)(n - 1 - i) * sizeof kept);
        m.tensors[i] = kept;
        m.n_tensors++;
    }
    hf_end(&m);
}

static void hf_wrong_shape_is_refused_by_name(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    for (int i = 0; i < m.n_tensors; i++) {
        hf_tensor *t = &m.tensors[i];
        uint64_t dims[3] = {t->dims[0], t->dims[1], 1};
        for (int change = 0; change <= t->n_dims; change++) {
            uint64_t bent[3] = {dims[0], dims[1], 1};
            const int n_dims = change == t->n_dims ? t->n_dims + 1 : t->n_dims;
            if (change < t->n_dims)
                bent[change]++;
            else
                bent[t->n_dims] = 1;
            const int n_before = t->n_dims;
            hf_reshape(t, "F32", n_dims, bent);
            hf_write(&m);
            expect_fail(&m, GSA_ERROR_FORMAT, t->name, "config.json makes it [");
            hf_reshape(t, "F32", n_before, dims);
        }
    }
    hf_write(&m);
    gsai_checkpoint_close(expect_ok(&m));
    hf_end(&m);
}

static void hf_unusable_dtype_is_refused_by_name(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    static const char *const dtypes[] = {"F64", "I32", "I8", "F8_E4M3", "BOOL"};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        hf_reshape(hf_find(&m, "model.layers.1.attn.o_proj.weight"), dtypes[i], 2, (uint64_t[]){8, 8});
        hf_write(&m);
        expect_fail(&m, GSA_ERROR_UNSUPPORTED, "tensor model.layers.1.attn.o_proj.weight has dtype", dtypes[i]);
    }
    hf_reshape(hf_find(&m, "model.layers.1.attn.o_proj.weight"), "F16", 2, (uint64_t[]){8, 8});
    hf_write(&m);
    gsai_checkpoint *c = expect_ok(&m);
    assert_int_equal(c->layers[1].o.type, GSAI_F16);
    gsai_checkpoint_close(c);
    hf_end(&m);
}

static void hf_tensor_nothing_uses_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *word;
    } cases[] = {
        {"model.layers.0.attn.g_proj.weight", "output gate of code before 2024-09-20"},
        {"model.layers.0.attn.q_conv1d.weight", "use_short_conv false"},
        {"model.layers.0.attn.feature_map.layer.weight", "feature_map is not t2r"},
        {"model.layers.0.attn_res_proj.weight", "attention residuals"},
        {"model.res_norm.weight", "attention residuals"},
        {"model.layers.0.attn.q_proj.bias", "biases"},
        {"model.layers.2.attn.q_proj.weight", "no part of a GSA model"},
        {"model.layers.0.attn.extra.weight", "no part of a GSA model"},
        {"value_head.weight", "no part of a GSA model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hf_maker m;
        hf_begin(&m);
        hf_add(&m, cases[i].name, "F32", 2, 8, 8, 0);
        hf_write(&m);
        char expected[256];
        snprintf(expected, sizeof expected, "model.safetensors: tensor %s: ", cases[i].name);
        expect_fail(&m, GSA_ERROR_UNSUPPORTED, expected, cases[i].word);
        hf_end(&m);
    }
    hf_maker m;
    hf_begin(&m);
    hf_add(&m, "model.layers.0.attn.rotary.inv_freq", "F32", 1, 4, 0, 0);
    hf_write(&m);
    gsai_checkpoint *c = expect_ok(&m);
    assert_int_equal(c->n_tensors, 26);
    gsai_checkpoint_close(c);
    hf_end(&m);
}

static void hf_short_conv_and_t2r_need_their_tensors(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    hf_set(&m, "use_short_conv", "true");
    hf_set(&m, "conv_size", "3");
    hf_set(&m, "feature_map", "\"t2r\"");
    hf_write(&m);
    expect_fail(&m, GSA_ERROR_FORMAT, "model.layers.0.attn.q_conv1d.weight is missing", "[8, 1, 3]");
    for (int layer = 0; layer < 2; layer++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.%d.attn.q_conv1d.weight", layer);
        hf_add(&m, name, "F32", 3, 8, 1, 3);
        snprintf(name, sizeof name, "model.layers.%d.attn.k_conv1d.weight", layer);
        hf_add(&m, name, "F32", 3, 4, 1, 3);
        snprintf(name, sizeof name, "model.layers.%d.attn.v_conv1d.weight", layer);
        hf_add(&m, name, "F32", 3, 4, 1, 3);
    }
    hf_write(&m);
    expect_fail(&m, GSA_ERROR_FORMAT, "model.layers.0.attn.feature_map.layer.weight is missing", "[4, 4]");
    hf_add(&m, "model.layers.0.attn.feature_map.layer.weight", "F32", 2, 4, 4, 0);
    hf_add(&m, "model.layers.1.attn.feature_map.layer.weight", "F32", 2, 4, 4, 0);
    hf_write(&m);
    gsai_checkpoint *c = expect_ok(&m);
    assert_int_equal(c->config.W, 3);
    assert_int_equal(c->layers[1].conv_q.n_dims, 2);
    assert_int_equal(c->layers[1].conv_q.dims[1], 3);
    assert_int_equal(c->layers[1].t2r.dims[0], 4);
    gsai_checkpoint_close(c);
    hf_set(&m, "conv_size", "4");
    hf_write(&m);
    expect_fail(&m, GSA_ERROR_FORMAT, "q_conv1d.weight has shape [8, 1, 3]", "makes it [8, 1, 4]");
    hf_end(&m);
}

static void hf_tied_head_is_the_embedding(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    hf_set(&m, "tie_word_embeddings", "true");
    hf_write(&m);
    expect_fail(
        &m, GSA_ERROR_UNSUPPORTED, "tie_word_embeddings is true, but lm_head.weight differs", "set it to false");
    hf_tensor *head = hf_find(&m, "lm_head.weight");
    memcpy(head->data, hf_find(&m, "model.embeddings.weight")->data, head->n_bytes);
    hf_write(&m);
    gsai_checkpoint *c = expect_ok(&m);
    uint64_t with_copy, without;
    assert_true(c->config.tied);
    assert_ptr_equal(c->head.data, c->embed.data);
    assert_int_equal(gsai_checkpoint_hash(c, &with_copy), GSA_OK);
    gsai_checkpoint_close(c);
    hf_remove(&m, "lm_head.weight");
    hf_write(&m);
    c = expect_ok(&m);
    assert_int_equal(gsai_checkpoint_hash(c, &without), GSA_OK);
    assert_int_equal(with_copy, without);
    gsai_checkpoint_close(c);
    hf_unset(&m, "tie_word_embeddings"); /* a writer dropped the key: the tensors say it */
    hf_write(&m);
    c = expect_ok(&m);
    assert_true(c->config.tied);
    gsai_checkpoint_close(c);
    hf_set(&m, "tie_word_embeddings", "false");
    hf_write(&m);
    expect_fail(&m, GSA_ERROR_FORMAT, "tensor lm_head.weight is missing", NULL);
    hf_end(&m);
}

static void remove_g_norm(hf_maker *m)
{
    hf_remove(m, "model.layers.0.attn.g_norm.weight");
    hf_remove(m, "model.layers.1.attn.g_norm.weight");
}

static void hf_output_norm_weight_is_in_all_layers_or_none(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    remove_g_norm(&m);
    hf_write(&m);
    gsai_checkpoint *c = expect_ok(&m);
    assert_false(gsai_tensor_present(&c->layers[0].g_norm));
    assert_non_null(strstr(warning, "elementwise_affine"));
    gsai_checkpoint_close(c);
    hf_set(&m, "elementwise_affine", "false");
    hf_set(&m, "expand_v", "1.5");
    static const char *const resized[] = {"v_proj", "o_proj"};
    for (int layer = 0; layer < 2; layer++) {
        for (int i = 0; i < 2; i++) {
            char name[96];
            snprintf(name, sizeof name, "model.layers.%d.attn.%s.weight", layer, resized[i]);
            hf_reshape(hf_find(&m, name), "F32", 2, i ? (uint64_t[]){8, 12} : (uint64_t[]){6, 8});
        }
    }
    hf_write(&m);
    c = expect_ok(&m);
    assert_int_equal(c->config.V, 6);
    assert_string_equal(warning, "");
    gsai_checkpoint_close(c);
    hf_add(&m, "model.layers.0.attn.g_norm.weight", "F32", 1, 8, 0, 0);
    hf_write(&m);
    expect_fail(&m, GSA_ERROR_FORMAT, "model.layers.0.attn.g_norm.weight has shape [8]", "makes it [12]");
    hf_end(&m);
}

/* Today's names to those of layout B (fused gate) or A (norms inside too). */
static void make_old(hf_maker *m, bool inner_norms)
{
    for (int layer = 0; layer < 2; layer++) {
        char from[96], to[96];
        snprintf(from, sizeof from, "model.layers.%d.mlp.up_proj.weight", layer);
        hf_remove(m, from);
        snprintf(from, sizeof from, "model.layers.%d.mlp.gate_proj.weight", layer);
        hf_reshape(hf_find(m, from), "F32", 2, (uint64_t[]){12, 8});
        if (!inner_norms) continue;
        snprintf(from, sizeof from, "model.layers.%d.attn_norm.weight", layer);
        snprintf(to, sizeof to, "model.layers.%d.attn.norm.weight", layer);
        hf_rename(m, from, to);
        snprintf(from, sizeof from, "model.layers.%d.mlp_norm.weight", layer);
        snprintf(to, sizeof to, "model.layers.%d.mlp.norm.weight", layer);
        hf_rename(m, from, to);
    }
}

static void hf_old_layouts_are_told_by_their_tensors(void **state)
{
    (void)state;
    for (int inner = 0; inner < 2; inner++) {
        hf_maker m;
        hf_begin(&m);
        make_old(&m, inner);
        hf_set(&m, "norm_first", inner ? "true" : "false");
        hf_set(&m, "hidden_act", "\"gelu\""); /* the code of that time never read it */
        hf_write(&m);
        gsai_checkpoint *c = expect_ok(&m);
        assert_non_null(strstr(c->description, inner ? "layout A" : "layout B"));
        assert_non_null(strstr(warning, "hidden_act \"gelu\" is ignored"));
        assert_int_equal(c->config.ffn_act, GSAI_FFN_SWISH);
        const uint8_t *both = hf_find(&m, "model.layers.1.mlp.gate_proj.weight")->data;
        assert_memory_equal(c->layers[1].gate.data, both, 6 * 8 * 4);
        assert_memory_equal(c->layers[1].up.data, both + 6 * 8 * 4, 6 * 8 * 4);
        assert_memory_equal(c->layers[1].ffn_norm.data,
            hf_find(&m, inner ? "model.layers.1.mlp.norm.weight" : "model.layers.1.mlp_norm.weight")->data, 32);
        gsai_checkpoint_close(c);
        hf_reshape(hf_find(&m, "model.layers.1.mlp.gate_proj.weight"), "F32", 2, (uint64_t[]){6, 8});
        hf_write(&m);
        expect_fail(
            &m, GSA_ERROR_FORMAT, "model.layers.1.mlp.gate_proj.weight has shape [6, 8]", "no mlp.up_proj found");
        hf_end(&m);
    }
    hf_maker m;
    hf_begin(&m);
    make_old(&m, true);
    remove_g_norm(&m);
    hf_set(&m, "use_norm", "false");
    hf_write(&m);
    expect_fail(&m, GSA_ERROR_UNSUPPORTED, "use_norm false", NULL);
    hf_end(&m);
    hf_begin(&m);
    hf_set(&m, "hidden_act", "\"gelu\"");
    hf_write(&m);
    expect_fail(&m, GSA_ERROR_UNSUPPORTED, "hidden_act is \"gelu\", supported are swish and powlu", NULL);
    hf_end(&m);
}

static void hf_absent_files_are_named(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    expect_fail(&m, GSA_ERROR_FILE, "config.json", "cannot open");
    hf_write_json(&m, "config.json", m.config);
    expect_fail(&m, GSA_ERROR_FILE, "has neither model.safetensors nor model.safetensors.index.json", NULL);
    hf_write_text(&m, "pytorch_model.bin", "x");
    expect_fail(&m, GSA_ERROR_FILE, "has pytorch_model.bin only", "save the model as safetensors");
    gsai_checkpoint *c;
    assert_int_equal(open_folder("/nonexistent/model", &c), GSA_ERROR_FILE);
    assert_non_null(strstr(gsa_error_text(), "/nonexistent/model: not a folder"));
    char path[160];
    hf_path(&m, "config.json", path);
    assert_int_equal(open_folder(path, &c), GSA_ERROR_FILE);
    hf_write_text(&m, "config.json", "");
    expect_fail(&m, GSA_ERROR_FORMAT, "config.json: not valid JSON", NULL);
    hf_end(&m);
}

static void hf_truncated_weights_are_refused(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    hf_write(&m);
    char path[160];
    hf_path(&m, "model.safetensors", path);
    FILE *f = fopen(path, "rb");
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    fclose(f);
    for (long n = size - 1; n >= 0; n -= 1 + n / 37) {
        assert_int_equal(truncate(path, n), 0);
        expect_fail(&m, GSA_ERROR_FORMAT, "model.safetensors: ", NULL);
    }
    hf_end(&m);
}

static void hf_shards_open_as_the_single_file(void **state)
{
    (void)state;
    hf_maker m;
    uint64_t single, sharded;
    hf_begin(&m);
    hf_write(&m);
    gsai_checkpoint *c = expect_ok(&m);
    assert_int_equal(gsai_checkpoint_hash(c, &single), GSA_OK);
    gsai_checkpoint_close(c);
    json_t *map = hf_write_shards(&m);
    hf_write_index(&m, map);
    c = expect_ok(&m);
    assert_non_null(strstr(warning, "index.json: ignored"));
    gsai_checkpoint_close(c);
    hf_delete(&m, "model.safetensors");
    c = expect_ok(&m);
    assert_non_null(strstr(c->description, "2 files"));
    assert_int_equal(c->n_tensors, 25);
    assert_int_equal(gsai_checkpoint_hash(c, &sharded), GSA_OK);
    assert_int_equal(single, sharded);
    gsai_checkpoint_close(c);
    json_decref(map);
    hf_end(&m);
}

static void hf_bad_index_is_refused(void **state)
{
    (void)state;
    static const char first[] = "model.embeddings.weight", last[] = "lm_head.weight";
    static const char index_file[] = "model.safetensors.index.json";
    hf_maker m;
    hf_begin(&m);
    json_t *map = hf_write_shards(&m);
#define BEND(key, value, status, word)                                                                                 \
    do {                                                                                                               \
        json_t *bent = json_copy(map);                                                                                 \
        json_object_set_new(bent, key, value);                                                                         \
        hf_write_index(&m, bent);                                                                                      \
        json_decref(bent);                                                                                             \
        expect_fail(&m, status, index_file, word);                                                                     \
    } while (0)
    BEND(first, json_string("../model-a.safetensors"), GSA_ERROR_FORMAT, "weight_map names \"../model-a.safetensors\"");
    BEND(first, json_string("/etc/passwd"), GSA_ERROR_FORMAT, "\"/etc/passwd\"");
    BEND(first, json_string(".."), GSA_ERROR_FORMAT, "\"..\"");
    BEND(first, json_string("a\\b"), GSA_ERROR_FORMAT, "in the same folder");
    BEND(first, json_string(""), GSA_ERROR_FORMAT, "in the same folder");
    BEND(first, json_integer(1), GSA_ERROR_FORMAT, "weight_map.model.embeddings.weight is not a string");
    BEND(first, json_string("model-c.safetensors"), GSA_ERROR_FILE, "model-c.safetensors: cannot open");
    BEND(first, json_string("model-b.safetensors"), GSA_ERROR_FORMAT,
        "tensor model.embeddings.weight: is in model-a.safetensors, but the index says model-b.safetensors");
    BEND("model.absent.weight", json_string("model-b.safetensors"), GSA_ERROR_FORMAT,
        "tensor model.absent.weight: is not in model-b.safetensors");
    json_t *less = json_copy(map);
    json_object_del(less, last);
    hf_write_index(&m, less);
    json_decref(less);
    expect_fail(&m, GSA_ERROR_FORMAT, index_file,
        "tensor lm_head.weight: is in model-b.safetensors, but the index does not list it");
    hf_write_index(&m, map);
    hf_write_weights(&m, "model-b.safetensors", m.n_tensors / 2 - 1, m.n_tensors);
    expect_fail(&m, GSA_ERROR_FORMAT, index_file, ".weight: is in both ");
    hf_write_text(&m, "model-b.safetensors", "not a safetensors file");
    expect_fail(&m, GSA_ERROR_FORMAT, index_file, "model-b.safetensors: header claims");
    hf_delete(&m, "model-b.safetensors");
    expect_fail(&m, GSA_ERROR_FILE, index_file, "model-b.safetensors: cannot open");
    hf_write_text(&m, index_file, "");
    expect_fail(&m, GSA_ERROR_FORMAT, index_file, "not valid JSON");
    hf_write_text(&m, index_file, "{\"weight_map\":{}}");
    expect_fail(&m, GSA_ERROR_FORMAT, index_file, "weight_map is empty");
    hf_write_text(&m, index_file, "{\"weight_map\":[]}");
    expect_fail(&m, GSA_ERROR_FORMAT, index_file, "weight_map is missing");
    hf_write_text(&m, index_file, "[]");
    expect_fail(&m, GSA_ERROR_FORMAT, index_file, "weight_map is missing");
    json_decref(map);
    hf_end(&m);
}

static void hf_allocation_failure_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    json_t *map = hf_write_shards(&m);
    hf_write_index(&m, map);
    json_decref(map);
    for (long n = 0;; n++) {
        counting_alloc counter = {.fail_at = n};
        const gsai_checkpoint_options options = {.allocator = counting_allocator(&counter)};
        gsai_checkpoint *c;
        gsa_status status = gsai_checkpoint_open_hf(m.folder, &options, &c);
        uint64_t hash;
        if (!status) {
            status = gsai_checkpoint_hash(c, &hash);
            gsai_checkpoint_close(c);
        } else {
            assert_null(c);
        }
        assert_int_equal(counter.alive, 0);
        if (!status) {
            assert_int_equal(n, counter.calls);
            assert_true(n > 15);
            break;
        }
        assert_int_equal(status, GSA_ERROR_HOST_MEMORY);
    }
    gsai_checkpoint_close(NULL);
    hf_end(&m);
}

static void hf_model_identity_is_fixed(void **state)
{
    (void)state;
    gsai_checkpoint *c = open_data("gsa-tiny");
    uint64_t hash = 0;
    assert_int_equal(gsai_checkpoint_hash(c, &hash), GSA_OK);
    assert_int_equal(hash, 0xaa452b87cdd39477ull); /* state files hold it: never changes */
    gsai_checkpoint_close(c);
}

static void hf_hash_sees_every_weight(void **state)
{
    (void)state;
    hf_maker m;
    uint64_t hash, bent;
    hf_begin(&m);
    hf_write(&m);
    gsai_checkpoint *c = expect_ok(&m);
    assert_int_equal(gsai_checkpoint_hash(c, &hash), GSA_OK);
    gsai_checkpoint_close(c);
    for (int i = 0; i < m.n_tensors; i++) {
        m.tensors[i].data[m.tensors[i].n_bytes - 1] ^= 1;
        hf_write(&m);
        c = expect_ok(&m);
        assert_int_equal(gsai_checkpoint_hash(c, &bent), GSA_OK);
        assert_int_not_equal(hash, bent);
        gsai_checkpoint_close(c);
        m.tensors[i].data[m.tensors[i].n_bytes - 1] ^= 1;
    }
    hf_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hf_every_published_kind_opens_with_its_config),
        cmocka_unit_test(hf_data_files_hold_the_types_they_say),
        cmocka_unit_test(hf_hybrid_and_attention_residuals_are_refused_by_name),
        cmocka_unit_test(hf_small_model_opens),
        cmocka_unit_test(hf_missing_tensor_is_refused_by_name),
        cmocka_unit_test(hf_wrong_shape_is_refused_by_name),
        cmocka_unit_test(hf_unusable_dtype_is_refused_by_name),
        cmocka_unit_test(hf_tensor_nothing_uses_is_refused_by_name),
        cmocka_unit_test(hf_short_conv_and_t2r_need_their_tensors),
        cmocka_unit_test(hf_tied_head_is_the_embedding),
        cmocka_unit_test(hf_output_norm_weight_is_in_all_layers_or_none),
        cmocka_unit_test(hf_old_layouts_are_told_by_their_tensors),
        cmocka_unit_test(hf_absent_files_are_named),
        cmocka_unit_test(hf_truncated_weights_are_refused),
        cmocka_unit_test(hf_shards_open_as_the_single_file),
        cmocka_unit_test(hf_bad_index_is_refused),
        cmocka_unit_test(hf_allocation_failure_is_reported_and_leaks_nothing),
        cmocka_unit_test(hf_model_identity_is_fixed),
        cmocka_unit_test(hf_hash_sees_every_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
