#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/hf.h"

#include <stdio.h>
#include <string.h>

/* The last warning. */
static char warning[512];

static void keep_warning(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    if (level == GSA_LOG_WARNING) snprintf(warning, sizeof warning, "%s", text);
}

static gsa_status parse(const char *text, gsai_hf_config *h)
{
    const gsa_log log = {.message = keep_warning, .level = GSA_LOG_WARNING};
    warning[0] = 0;
    return gsai_hf_parse_config("C.json", (const uint8_t *)text, strlen(text), &log, h);
}

static void hf_config_defaults_are_those_of_the_original(void **state)
{
    (void)state;
    gsai_hf_config h;
    assert_int_equal(parse("{\"model_type\":\"gsa\"}", &h), GSA_OK);
    const gsai_config expected = {.n_vocab = 32000,
        .n_layers = 24,
        .D = 2048,
        .H = 4,
        .G = 4,
        .K = 512,
        .V = 512,
        .M = 64,
        .F = 5632,
        .context_length = 2048,
        .norm_eps = 1e-6f,
        .g_norm_eps = 1e-5f,
        .gate_normalizer = 8,
        .scale = 1,
        .bos_id = 1,
        .eos_id = 2};
    assert_int_equal(gsai_config_hash(&h.config), gsai_config_hash(&expected));
    assert_int_equal(h.config.bos_id, 1);
    assert_int_equal(h.config.eos_id, 2);
    assert_int_equal(h.config.context_length, 2048);
    assert_false(h.tied_stated);
    assert_true(h.elementwise_affine);
    assert_string_equal(h.hidden_act, "swish");
    assert_string_equal(warning, "");
}

static void hf_config_sizes_follow_the_python_rules(void **state)
{
    (void)state;
    gsai_hf_config h;
#define OK(body) assert_int_equal(parse("{\"model_type\":\"gsa\"," body "}", &h), GSA_OK)
    OK("\"expand_k\":0.5");
    assert_int_equal(h.config.K, 256);
    OK("\"exapnd_k\":0.5");
    assert_int_equal(h.config.K, 256);
    OK("\"exapnd_k\":0.5,\"expand_k\":0.25");
    assert_int_equal(h.config.K, 128);
    OK("\"expand_k\":0.25,\"exapnd_k\":0.5,\"exapnd_v\":2");
    assert_int_equal(h.config.K, 128);
    assert_int_equal(h.config.V, 1024);
    OK("\"hidden_size\":100,\"num_heads\":2,\"expand_v\":1.5");
    assert_int_equal(h.config.V, 75);
    OK("\"hidden_size\":64,\"hidden_ratio\":null,\"intermediate_size\":null");
    assert_int_equal(h.config.F, 256);
    OK("\"hidden_size\":2560,\"hidden_ratio\":4");
    assert_int_equal(h.config.F, 6912);
    OK("\"hidden_size\":96,\"hidden_ratio\":8"); /* 512 exactly: not rounded up further */
    assert_int_equal(h.config.F, 512);
    OK("\"hidden_ratio\":8,\"intermediate_size\":100");
    assert_int_equal(h.config.F, 100);
    OK("\"num_slots\":null,\"expand_k\":0.5");
    assert_int_equal(h.config.M, 256);
    OK("\"num_kv_heads\":null");
    assert_int_equal(h.config.G, 4);
    OK("\"num_kv_heads\":2");
    assert_int_equal(h.config.G, 2);
    OK("\"conv_size\":3");
    assert_int_equal(h.config.W, 0);
    OK("\"conv_size\":3,\"use_short_conv\":true");
    assert_int_equal(h.config.W, 3);
    OK("\"use_short_conv\":true");
    assert_int_equal(h.config.W, 4);
    OK("\"use_short_conv\":null,\"tie_word_embeddings\":null");
    assert_int_equal(h.config.W, 0);
    OK("\"eos_token_id\":[7,8],\"bos_token_id\":null");
    assert_int_equal(h.config.eos_id, 7);
    assert_int_equal(h.config.bos_id, -1);
    assert_string_equal(warning, "");
    OK("\"eos_token_id\":[],\"bos_token_id\":-1");
    assert_int_equal(h.config.eos_id, -1);
    assert_string_equal(warning, "");
    OK("\"eos_token_id\":99999999999");
    assert_int_equal(h.config.eos_id, -1);
    assert_non_null(strstr(warning, "eos_token_id is 99999999999"));
    OK("\"vocab_size\":2");
    assert_int_equal(h.config.eos_id, -1);
    OK("\"attn\":[],\"attnres_block_size\":null,\"quantization_config\":null");
    OK("\"gate_logit_normalizer\":0.5,\"norm_eps\":1e-5");
    assert_true(h.config.gate_normalizer == 0.5f && h.config.norm_eps == 1e-5f && h.config.g_norm_eps == 1e-5f);
}

static void hf_config_unknown_key_is_warned_about(void **state)
{
    (void)state;
    gsai_hf_config h;
    OK("\"use_moe\":true");
    assert_non_null(strstr(warning, "C.json: unknown key use_moe"));
    OK("\"_attn_implementation_autoset\":true,\"use_output_gate\":true,\"clamp_min\":1,\"temperature\":1.0");
    assert_string_equal(warning, "");
}

static void hf_config_bad_value_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        gsa_status status;
        const char *word;
    } cases[] = {
        {"", GSA_ERROR_FORMAT, "not valid JSON"},
        {"{", GSA_ERROR_FORMAT, "not valid JSON"},
        {"[]", GSA_ERROR_FORMAT, "is a list, expected an object"},
        {"{\"model_type\":\"gsa\",\"model_type\":\"gsa\"}", GSA_ERROR_FORMAT, "duplicate"},
        {"{}", GSA_ERROR_FORMAT, "model_type is missing"},
        {"{\"model_type\":7}", GSA_ERROR_FORMAT, "model_type is an integer"},
        {"{\"model_type\":\"llama\"}", GSA_ERROR_UNSUPPORTED, "model_type is \"llama\""},
#define C(body) "{\"model_type\":\"gsa\"," body "}"
        {C("\"vocab_size\":0"), GSA_ERROR_FORMAT, "vocab_size is 0, expected 1..16777216"},
        {C("\"vocab_size\":-5"), GSA_ERROR_FORMAT, "vocab_size is -5"},
        {C("\"vocab_size\":null"), GSA_ERROR_FORMAT, "vocab_size is null, expected an integer"},
        {C("\"vocab_size\":320.0"), GSA_ERROR_FORMAT, "vocab_size is a fraction"},
        {C("\"vocab_size\":\"320\""), GSA_ERROR_FORMAT, "vocab_size is a string"},
        {C("\"vocab_size\":NaN"), GSA_ERROR_FORMAT, "not valid JSON"},
        {C("\"vocab_size\":99999999999999999999"), GSA_ERROR_FORMAT, "not valid JSON"},
        {C("\"hidden_size\":9223372036854775807"), GSA_ERROR_FORMAT, "hidden_size is 9223372036854775807"},
        {C("\"hidden_size\":4294967297"), GSA_ERROR_FORMAT, "hidden_size is 4294967297"},
        {C("\"num_hidden_layers\":0"), GSA_ERROR_FORMAT, "num_hidden_layers is 0"},
        {C("\"num_hidden_layers\":100000"), GSA_ERROR_FORMAT, "num_hidden_layers is 100000"},
        {C("\"num_heads\":0"), GSA_ERROR_FORMAT, "num_heads is 0"},
        {C("\"num_heads\":4096"), GSA_ERROR_FORMAT, "expand_k 1 with hidden_size 2048 and num_heads 4096"},
        {C("\"num_kv_heads\":3"), GSA_ERROR_FORMAT, "not a multiple of the number of kv heads 3"},
        {C("\"num_kv_heads\":0"), GSA_ERROR_FORMAT, "num_kv_heads is 0"},
        {C("\"num_slots\":0"), GSA_ERROR_FORMAT, "num_slots is 0"},
        {C("\"num_slots\":5000"), GSA_ERROR_FORMAT, "num_slots is 5000"},
        {C("\"expand_k\":0"), GSA_ERROR_FORMAT, "expand_k is 0"},
        {C("\"expand_k\":null"), GSA_ERROR_FORMAT, "expand_k is null"},
        {C("\"exapnd_k\":-1"), GSA_ERROR_FORMAT, "exapnd_k is -1"},
        {C("\"expand_v\":1e30"), GSA_ERROR_FORMAT, "expand_v 1e+30"},
        {C("\"expand_v\":1e300"), GSA_ERROR_FORMAT, "expand_v is 1e+300"},
        {C("\"expand_v\":0.0001"), GSA_ERROR_FORMAT, "expand_v 0.0001"},
        {C("\"intermediate_size\":0"), GSA_ERROR_FORMAT, "intermediate_size is 0"},
        {C("\"intermediate_size\":1.5"), GSA_ERROR_FORMAT, "intermediate_size is a fraction"},
        {C("\"hidden_ratio\":1e9"), GSA_ERROR_FORMAT, "hidden_ratio 1e+09"},
        {C("\"hidden_ratio\":-1"), GSA_ERROR_FORMAT, "hidden_ratio is -1"},
        {C("\"hidden_ratio\":1e-9"), GSA_ERROR_FORMAT, "F is 0"},
        {C("\"use_short_conv\":1"), GSA_ERROR_FORMAT, "use_short_conv is an integer, expected true or false"},
        {C("\"use_short_conv\":true,\"conv_size\":0"), GSA_ERROR_FORMAT, "conv_size is 0"},
        {C("\"use_short_conv\":true,\"conv_size\":65"), GSA_ERROR_FORMAT, "conv_size is 65"},
        {C("\"norm_eps\":0"), GSA_ERROR_FORMAT, "norm_eps is 0"},
        {C("\"norm_eps\":\"1e-6\""), GSA_ERROR_FORMAT, "norm_eps is a string"},
        {C("\"norm_eps\":1e-60"), GSA_ERROR_FORMAT, "norm_eps is 1e-60"},
        {C("\"gate_logit_normalizer\":0"), GSA_ERROR_FORMAT, "gate_logit_normalizer is 0"},
        {C("\"gate_logit_normalizer\":-8"), GSA_ERROR_FORMAT, "gate_logit_normalizer is -8"},
        {C("\"max_position_embeddings\":-1"), GSA_ERROR_FORMAT, "max_position_embeddings is -1"},
        {C("\"feature_map\":\"elu\""), GSA_ERROR_UNSUPPORTED, "feature_map is \"elu\""},
        {C("\"feature_map\":null"), GSA_ERROR_FORMAT, "feature_map is null"},
        {C("\"hidden_act\":3"), GSA_ERROR_FORMAT, "hidden_act is an integer"},
        {C("\"tie_word_embeddings\":\"yes\""), GSA_ERROR_FORMAT, "tie_word_embeddings is a string"},
        {C("\"eos_token_id\":\"</s>\""), GSA_ERROR_FORMAT, "eos_token_id is a string"},
        {C("\"eos_token_id\":[\"x\"]"), GSA_ERROR_FORMAT, "eos_token_id is a string"},
        {C("\"attn\":{\"layers\":[1]}"), GSA_ERROR_UNSUPPORTED, "attn asks"},
        {C("\"attn\":[{\"layers\":[1]}]"), GSA_ERROR_UNSUPPORTED, "attn asks"},
        {C("\"attnres_block_size\":1"), GSA_ERROR_UNSUPPORTED, "attnres_block_size"},
        {C("\"quantization_config\":{\"bits\":4}"), GSA_ERROR_UNSUPPORTED, "quantization_config"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gsai_hf_config h;
        const gsa_status status = parse(cases[i].text, &h);
        if (status != cases[i].status || strncmp(gsa_error_text(), "C.json: ", 8) != 0 ||
            !strstr(gsa_error_text(), cases[i].word))
            fail_msg("%s: %s \"%s\"", cases[i].text, gsa_status_name(status), gsa_error_text());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hf_config_defaults_are_those_of_the_original),
        cmocka_unit_test(hf_config_sizes_follow_the_python_rules),
        cmocka_unit_test(hf_config_unknown_key_is_warned_about),
        cmocka_unit_test(hf_config_bad_value_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
