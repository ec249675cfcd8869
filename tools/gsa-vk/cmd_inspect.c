/* gsa-vk inspect: a model without a GPU. */
#include "app.h"
#include "commands.h"
#include "data.h"
#include "format.h"
#include "inspect_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_SPECIAL 12 /* printed; --json has all */

typedef struct tensor_list {
    json_t *json; /* NULL: print */
    bool print;
    uint32_t n;
} tensor_list;

static void on_tensor(void *user, const gsa_tensor_info *t)
{
    tensor_list *list = user;
    list->n++;
    if (list->json) {
        json_t *dims = json_array();
        for (uint32_t i = 0; i < t->n_dims; i++) json_array_append_new(dims, json_integer((json_int_t)t->dims[i]));
        json_array_append_new(list->json, json_pack("{s:o, s:s, s:o, s:I}", "name", format_json_text(t->name), "type",
                                              t->type, "shape", dims, "bytes", (json_int_t)t->n_bytes));
        return;
    }
    if (!list->print) return;
    char shape[100] = "";
    for (uint32_t i = 0, at = 0; i < t->n_dims && at < sizeof shape; i++)
        at +=
            (uint32_t)snprintf(shape + at, sizeof shape - at, "%s%llu", i ? " x " : "", (unsigned long long)t->dims[i]);
    if (list->n == 1) printf("tensors\n");
    printf("  %-46s %-5s %-20s %12s\n", t->name, t->type, shape, format_bytes(t->n_bytes).s);
}

static void print_model(const gsa_model_info *m)
{
    printf("model        %s\n", m->description);
    printf("parameters   %s (%llu)\n", format_count(m->n_parameters).s, (unsigned long long)m->n_parameters);
    printf("weights      %s as stored\n", format_bytes(m->weight_bytes).s);
    printf("layers       %u, hidden size %u, feed-forward %u (%s)\n", m->n_layers, m->D, m->F, m->ffn_act);
    printf("heads        %u query, %u key/value, key size %u, value size %u\n", m->H, m->G, m->K, m->V);
    printf("slots        %u, feature map %s, gate normalizer %g\n", m->M, m->feature_map, (double)m->gate_normalizer);
    if (m->W) {
        printf("convolution  %u taps\n", m->W);
    } else {
        printf("convolution  none\n");
    }
    printf("norm epsilon %g\n", (double)m->norm_eps);
    printf("vocabulary   %u%s, start token %d, end token %d\n", m->n_vocab, m->tied ? ", embeddings tied" : "",
        (int)m->bos_id, (int)m->eos_id);
    if (m->context_length) printf("context      %u trained; the state has no limit\n", m->context_length);
    printf("state        %s per session%s, however long the text\n", format_bytes(m->state_bytes).s,
        m->state_type == GSA_STATE_F16 ? " in f16" : "");
}

static json_t *model_json(const gsa_model_info *m)
{
    return json_pack(
        "{s:o, s:I, s:I, s:I, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:f, s:f, "
        "s:i, s:i, s:b}",
        "description", format_json_text(m->description), "parameters", (json_int_t)m->n_parameters, "weight_bytes",
        (json_int_t)m->weight_bytes, "state_bytes", (json_int_t)m->state_bytes, "state_type",
        m->state_type == GSA_STATE_F16 ? "f16" : "f32", "vocabulary", (int)m->n_vocab, "layers", (int)m->n_layers, "D",
        (int)m->D, "H", (int)m->H, "G", (int)m->G, "K", (int)m->K, "V", (int)m->V, "M", (int)m->M, "F", (int)m->F, "W",
        (int)m->W, "context_length", (int)m->context_length, "feature_map", m->feature_map, "ffn_act", m->ffn_act,
        "norm_eps", (double)m->norm_eps, "gate_normalizer", (double)m->gate_normalizer, "bos_id", (int)m->bos_id,
        "eos_id", (int)m->eos_id, "tied", m->tied);
}

static void print_plan(const gsa_memory_plan *p, const char *device)
{
    printf("memory plan  for %s, %u slots, passes of %u tokens\n", device, p->n_slots, p->max_rows);
    printf("  %-22s %12s  (%llu bytes)\n", "weights", format_bytes(p->weight_bytes).s,
        (unsigned long long)p->weight_bytes);
    if (p->prompt_weight_bytes)
        printf("  %-22s %12s  (%llu bytes)\n", "weights for prompts", format_bytes(p->prompt_weight_bytes).s,
            (unsigned long long)p->prompt_weight_bytes);
    printf("  %-22s %12s  (%llu bytes)\n", "state slots", format_bytes(p->arena_bytes).s,
        (unsigned long long)p->arena_bytes);
    printf("  %-22s %12s  (%llu bytes)\n", "activations", format_bytes(p->scratch_bytes).s,
        (unsigned long long)p->scratch_bytes);
    printf("  %-22s %12s  (%llu bytes)\n", "device memory, sum", format_bytes(p->device_bytes).s,
        (unsigned long long)p->device_bytes);
    printf("  %-22s %12s  (%llu bytes)\n", "host-visible memory", format_bytes(p->host_bytes).s,
        (unsigned long long)p->host_bytes);
    printf("  %-22s %12s  (%llu bytes)\n", "  more while loading", format_bytes(p->load_bytes).s,
        (unsigned long long)p->load_bytes);
}

static json_t *plan_json(const gsa_memory_plan *p, const char *device)
{
    return json_pack("{s:o, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "device", format_json_text(device), "slots",
        (int)p->n_slots, "max_rows", (int)p->max_rows, "weight_bytes", (json_int_t)p->weight_bytes,
        "prompt_weight_bytes", (json_int_t)p->prompt_weight_bytes, "arena_bytes", (json_int_t)p->arena_bytes,
        "scratch_bytes", (json_int_t)p->scratch_bytes, "device_bytes", (json_int_t)p->device_bytes, "host_bytes",
        (json_int_t)p->host_bytes, "load_bytes", (json_int_t)p->load_bytes);
}

/* A model in one file. */
static bool is_file(const app *a)
{
    struct stat st;
    return a->model_path && stat(a->model_path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool has_tokenizer(const app *a)
{
    char path[4200];
    struct stat st;
    gsa_file_info info;
    if (!a->model_path) return false;
    if (is_file(a))
        return gsa_file_inspect(a->model_path, NULL, &info, NULL, NULL, NULL) == GSA_OK && info.has_tokenizer;
    const int n = snprintf(path, sizeof path, "%s/tokenizer.json", a->model_path);
    return n > 0 && (size_t)n < sizeof path && stat(path, &st) == 0;
}

/* A tokenizer that is there but cannot be read is a failure; one that is not there is a fact. */
static int show_tokenizer(app *a, const gsa_model_info *info, json_t *root)
{
    if (!has_tokenizer(a)) {
        if (root) {
            json_object_set_new(root, "tokenizer", json_null());
        } else {
            printf("tokenizer    none beside the model\n");
        }
        return 0;
    }
    const int rc = app_open_tokenizer(a, NULL);
    if (rc) return rc;
    const gsa_tokenizer *t = a->tokenizer;
    const uint32_t n = gsa_tokenizer_n_vocab(t);
    json_t *special = json_array();
    for (uint32_t i = 0; i < n; i++)
        if (gsa_tokenizer_is_special(t, (int32_t)i))
            json_array_append_new(special, json_pack("{s:i, s:o}", "id", (int)i, "text",
                                               format_json_text(gsa_tokenizer_token_text(t, (int32_t)i, NULL))));
    const size_t n_special = json_array_size(special);
    const int bos = gsa_tokenizer_bos(t), eos = gsa_tokenizer_eos(t);
    if (root) {
        json_object_set_new(root, "tokenizer",
            json_pack("{s:s, s:i, s:i, s:o, s:i, s:i, s:b}", "kind", gsa_tokenizer_kind(t), "vocabulary", (int)n,
                "special", (int)n_special, "special_tokens", special, "bos_id", bos, "eos_id", eos, "fits",
                n <= info->n_vocab));
        return 0;
    }
    printf("tokenizer    %s, %u ids, %zu special; puts %s%s before and %s%s behind a text\n", gsa_tokenizer_kind(t), n,
        n_special, bos >= 0 ? "token " : "nothing", bos >= 0 ? gsa_tokenizer_token_text(t, bos, NULL) : "",
        eos >= 0 ? "token " : "nothing", eos >= 0 ? gsa_tokenizer_token_text(t, eos, NULL) : "");
    for (size_t i = 0; i < n_special && i < MOST_SPECIAL; i++) {
        const json_t *token = json_array_get(special, i);
        printf("%s%lld %s%s", i ? ", " : "  special    ", (long long)json_integer_value(json_object_get(token, "id")),
            json_string_value(json_object_get(token, "text")),
            i + 1 < n_special && i + 1 == MOST_SPECIAL ? ", ..." : "");
    }
    if (n_special) printf("\n");
    json_decref(special);
    if (n > info->n_vocab)
        printf(
            "             WARNING: more ids than the model has (%u): it may belong to another model\n", info->n_vocab);
    return 0;
}

static int show(app *a, const gsa_model_params *params, bool no_tensors, json_t *root)
{
    gsa_model_info info;
    gsa_memory_plan plan;
    const char *device = "common limits";
    gsa_device_info device_info;
    int rc = a->select ? app_open_device(a) : 0;
    if (rc) return rc;
    if (a->device) {
        gsa_device_info_get(a->device, &device_info);
        device = device_info.name;
    }
    gsa_file_info file = {.is_model = true};
    if (is_file(a) && gsa_file_inspect(a->model_path, NULL, &file, NULL, NULL, NULL) != GSA_OK) return fail_library();
    if (!file.is_model) return inspect_file(a->model_path, no_tensors, root);
    if (gsa_model_inspect(params, a->device, &info, NULL, NULL, &plan) != GSA_OK) return fail_library();
    if (root) {
        json_object_set_new(root, "model", model_json(&info));
    } else {
        print_model(&info);
    }
    rc = show_tokenizer(a, &info, root);
    if (rc == 0 && is_file(a)) rc = inspect_metadata(a->model_path, root);
    if (rc) return rc;
    tensor_list list = {.json = root && !no_tensors ? json_array() : NULL, .print = !root && !no_tensors};
    if (root) {
        json_object_set_new(root, "memory_plan", plan_json(&plan, device));
        if (list.json) json_object_set_new(root, "tensors", list.json);
    } else {
        print_plan(&plan, device);
    }
    if (no_tensors) return 0;
    return gsa_model_inspect(params, a->device, NULL, on_tensor, &list, NULL) == GSA_OK ? 0 : fail_library();
}

typedef struct dump {
    output out;
    int rc;
} dump;

static bool on_values(void *user, const float *values, size_t n)
{
    dump *d = user;
    float copy[4096];
    for (; n > 0 && d->rc == 0; values += 4096) {
        const size_t some = n < 4096 ? n : 4096;
        memcpy(copy, values, some * sizeof *copy);
        d->rc = output_floats(&d->out, copy, some);
        n -= some;
    }
    return d->rc == 0;
}

/* The numbers of one tensor to a file. */
static int dump_tensor(const gsa_model_params *params, const char *name, const char *path)
{
    dump d = {0};
    int rc = output_open(&d.out, path);
    if (rc) return rc;
    if (gsa_tensor_read(params, name, on_values, &d) != GSA_OK && d.rc == 0) d.rc = fail_library();
    return output_finish(&d.out, d.rc);
}

int cmd_inspect(int argc, char **argv)
{
    app a = {0};
    bool no_tensors = false;
    const char *synthetic = NULL, *type = NULL, *tensor = NULL, *out = NULL;
    uint64_t slots = 0, max_rows = 0;
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_TEXT, 0, "synthetic", "SHAPE", "instead of -m: 340m, 1.3b, 2.7b or 7b", &synthetic},
        {CLI_TEXT, 0, "type", "TYPE", "of synthetic weights: f32, f16 (default), bf16,\nq8_0, q4_0, q4_k, q6_k", &type},
        {CLI_UINT, 0, "slots", "N", "sessions and snapshots to plan for (8)", &slots, 1, 65536},
        {CLI_UINT, 0, "max-rows", "N", "tokens of a pass at most; default: by the device", &max_rows, 1, 1e6},
        {CLI_FLAG, 0, "no-tensors", NULL, "leave out the tensor table", &no_tensors},
        {CLI_TEXT, 0, "tensor", "NAME", "only write the numbers of this tensor to -o", &tensor},
        {CLI_TEXT, 'o', "output", "FILE", "raw little-endian f32, last dimension contiguous", &out},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"inspect", "-m PATH [options]",
        "Show a model's config, tokenizer, memory plan and tensors. Needs no GPU; with -d the plan is for that "
        "device's\n"
        "limits. Of a GGUF file with another architecture: its metadata and tensors.",
        "  gsa-vk inspect -m path/to/model\n"
        "  gsa-vk inspect -m path/to/model -d 0 --slots 64 --no-tensors\n"
        "  gsa-vk inspect --synthetic 7b --json\n"
        "  gsa-vk inspect -m model.gguf --tensor blk.0.attn_q.weight -o q.f32\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = synthetic ? CLI_GO : app_need_model(&a);
    if (rc == CLI_GO && synthetic && a.model_path) rc = cli_mistake(&spec, "give -m or --synthetic, not both");
    if (rc == CLI_GO && !tensor != !out) rc = cli_mistake(&spec, "--tensor and -o go together");
    if (rc != CLI_GO) return rc;
    json_t *root = a.json ? json_object() : NULL;
    const gsa_model_params params = {.struct_size = sizeof params,
        .path = a.model_path,
        .synthetic = synthetic,
        .synthetic_type = type,
        .n_slots = (uint32_t)slots,
        .max_rows = (uint32_t)max_rows,
        .prompt_weights = app_prompt_weights(&a),
        .state_type = app_state_type(&a)};
    rc = tensor ? dump_tensor(&params, tensor, out) : show(&a, &params, no_tensors, root);
    if (root && rc == 0 && !tensor) {
        rc = format_json_print(root, 2);
    } else {
        json_decref(root);
    }
    return app_close(&a, rc);
}
