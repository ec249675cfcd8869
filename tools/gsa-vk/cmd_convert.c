/* gsa-vk convert: a model's files into one GGUF file, with other number types if asked. */
#include "app.h"
#include "commands.h"
#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct convert_options {
    const char *out, *type, *synthetic, *name;
    cli_texts overrides;
    uint64_t seed, threads;
    bool no_check, no_tokenizer, tensors;
} convert_options;

typedef struct converting {
    double start_ms, quantise_ms; /* when it began; how long the weights took */
    double shown_ms;
    bool list;
    json_t *tensors; /* NULL: print */
    uint32_t n_listed;
} converting;

/* Rate and time left; the library reports every few milliseconds. */
static bool on_progress(void *user, const gsa_convert_progress *p)
{
    converting *c = user;
    const double now = app_now_ms(), seconds = (now - c->start_ms) / 1e3;
    const double fraction = p->bytes_total ? (double)p->bytes_done / (double)p->bytes_total : 1;
    char text[96];
    if (strcmp(p->what, "check") == 0) {
        if (c->quantise_ms == 0) c->quantise_ms = now - c->start_ms;
        snprintf(text, sizeof text, "checking %.40s", p->tensor);
    } else {
        const double rate = seconds > 0 ? (double)p->bytes_done / seconds : 0;
        const uint64_t left = rate > 0 ? (uint64_t)((double)(p->bytes_total - p->bytes_done) / rate + 0.5) : 0;
        snprintf(text, sizeof text, "%5.0f MB/s  %llu:%02llu left  %.34s", rate / 1e6, (unsigned long long)left / 60,
            (unsigned long long)left % 60, p->tensor);
        if (p->bytes_done == p->bytes_total) c->quantise_ms = now - c->start_ms;
    }
    if (now - c->shown_ms > 200 || fraction == 1) {
        report_progress(fraction, text);
        c->shown_ms = now;
    }
    return !interrupted();
}

static void on_tensor(void *user, const gsa_convert_tensor *t)
{
    converting *c = user;
    if (c->tensors) {
        json_t *dims = json_array();
        for (uint32_t i = 0; i < t->n_dims; i++) json_array_append_new(dims, json_integer((json_int_t)t->dims[i]));
        json_array_append_new(
            c->tensors, json_pack("{s:s, s:s, s:s, s:s, s:o, s:I}", "name", t->name, "from", t->from, "type", t->to,
                            "why", t->why, "shape", dims, "bytes", (json_int_t)t->n_bytes));
        return;
    }
    if (!c->list) return;
    char shape[64];
    snprintf(shape, sizeof shape, t->n_dims > 1 ? "%llu x %llu" : "%llu", (unsigned long long)t->dims[0],
        (unsigned long long)t->dims[1]);
    if (c->n_listed++ == 0) printf("%-34s %-16s %5s    %-5s %12s\n", "tensor", "shape", "from", "to", "size");
    printf("%-34s %-16s %5s -> %-5s %12s  %s\n", t->name, shape, t->from, t->to, format_bytes(t->n_bytes).s, t->why);
}

static double bits(uint64_t bytes, uint64_t n)
{
    return n ? 8.0 * (double)bytes / (double)n : 0;
}

static void print_result(const convert_options *o, const gsa_convert_result *r, const converting *c)
{
    const double seconds = (app_now_ms() - c->start_ms) / 1e3, work = c->quantise_ms / 1e3;
    if (c->n_listed) printf("\n");
    printf("%-6s %8s %12s %12s %12s %12s\n", "type", "tensors", "parameters", "size", "bits/weight", "error");
    for (uint32_t i = 0; i < r->n_types; i++) {
        const gsa_convert_type *t = &r->types[i];
        printf("%-6s %8u %12s %12s %12.3f ", t->type, t->n_tensors, format_count(t->n_elements).s,
            format_bytes(t->n_bytes).s, bits(t->n_bytes, t->n_elements));
        if (o->no_check) {
            printf("%12s\n", "-");
        } else {
            printf("%12.3g\n", t->error);
        }
    }
    printf("%-6s %8u %12s %12s %12.3f\n", "all", r->n_tensors, format_count(r->n_elements).s,
        format_bytes(r->n_bytes).s, bits(r->n_bytes, r->n_elements));
    printf("%s: %s from %s of weights, in %.1f s (%.0f MB/s) on %u thread%s%s\n", o->out, format_bytes(r->file_bytes).s,
        format_bytes(r->source_bytes).s, seconds, work > 0 ? (double)r->source_bytes / 1e6 / work : 0, r->n_threads,
        r->n_threads == 1 ? "" : "s", o->no_check ? "" : "; read back and compared");
}

static json_t *result_json(const convert_options *o, const gsa_convert_result *r, const converting *c)
{
    json_t *types = json_array();
    for (uint32_t i = 0; i < r->n_types; i++) {
        const gsa_convert_type *t = &r->types[i];
        json_array_append_new(
            types, json_pack("{s:s, s:i, s:I, s:I, s:o}", "type", t->type, "tensors", (int)t->n_tensors, "parameters",
                       (json_int_t)t->n_elements, "bytes", (json_int_t)t->n_bytes, "error",
                       o->no_check ? json_null() : format_json_real(t->error)));
    }
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:i, s:i, s:f, s:f, s:b, s:o, s:O}", "file", format_json_text(o->out),
        "file_bytes", (json_int_t)r->file_bytes, "source_bytes", (json_int_t)r->source_bytes, "weight_bytes",
        (json_int_t)r->n_bytes, "parameters", (json_int_t)r->n_elements, "n_tensors", (int)r->n_tensors, "threads",
        (int)r->n_threads, "seconds", (app_now_ms() - c->start_ms) / 1e3, "quantise_seconds", c->quantise_ms / 1e3,
        "checked", !o->no_check, "types", types, "tensors", c->tensors);
}

/* "PATTERN=TYPE" of each --override; the texts are the command line's, cut in two. */
static int read_overrides(const app *a, const cli_texts *texts, gsa_convert_override *out)
{
    for (size_t i = 0; i < texts->n; i++) {
        char *equals = strrchr((char *)(uintptr_t)texts->items[i], '=');
        if (!equals || equals == texts->items[i] || !equals[1])
            return cli_mistake(
                a->spec, "--override %.100s: expected PATTERN=TYPE, as in 'blk.*.ffn_down*=q6_k'", texts->items[i]);
        *equals = 0;
        out[i] = (gsa_convert_override){texts->items[i], equals + 1};
    }
    return CLI_GO;
}

static int run_convert(app *a, const convert_options *o, const gsa_convert_override *overrides)
{
    converting c = {.list = o->tensors, .tensors = a->json ? json_array() : NULL};
    const gsa_log log = report_log();
    const gsa_convert_params params = {.struct_size = sizeof params,
        .path = a->model_path,
        .synthetic = o->synthetic,
        .synthetic_seed = o->seed,
        .output = o->out,
        .type = o->type,
        .overrides = overrides,
        .n_overrides = o->overrides.n,
        .name = o->name,
        .no_tokenizer = o->no_tokenizer,
        .no_check = o->no_check,
        .n_threads = (uint32_t)o->threads,
        .progress = on_progress,
        .tensor = on_tensor,
        .user = &c,
        .log = &log};
    gsa_convert_result result;
    interrupt_catch();
    c.start_ms = app_now_ms();
    const gsa_status status = gsa_convert(&params, &result);
    report_progress(0, NULL);
    int rc = status == GSA_ERROR_CANCELLED ? fail("stopped; %s is as it was before", o->out)
             : status                      ? fail_library()
                                           : 0;
    if (rc == 0 && a->json) {
        rc = format_json_print(result_json(o, &result, &c), 2);
    } else if (rc == 0) {
        print_result(o, &result, &c);
    }
    json_decref(c.tensors);
    return rc;
}

int cmd_convert(int argc, char **argv)
{
    app a = {0};
    convert_options o = {0};
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_TEXT, 'o', "output", "FILE", "the new GGUF file; replaced when the new one is whole", &o.out},
        {CLI_TEXT, 't', "type", "TYPE",
            "f32, f16, bf16, q8_0, q6_k, q4_k or q4_0.\nDefault: every tensor keeps its type", &o.type},
        {CLI_TEXTS, 0, "override", "P=TYPE",
            "another type for tensors whose name matches P (* and ?);\nthe first that matches counts; repeatable",
            &o.overrides},
        {CLI_TEXT, 0, "name", "TEXT", "general.name of the new file; default: as the source says", &o.name},
        {CLI_FLAG, 0, "no-tokenizer", NULL, "leave out the folder's tokenizer.json", &o.no_tokenizer},
        {CLI_FLAG, 0, "no-check", NULL, "do not read the new file back and compare", &o.no_check},
        {CLI_UINT, 0, "threads", "N", "default: one for each processor", &o.threads, 1, 256},
        {CLI_TEXT, 0, "synthetic", "SHAPE", "instead of -m: random weights of 340m, 1.3b, 2.7b or 7b", &o.synthetic},
        {CLI_UINT, 0, "seed", "N", "of the random weights (0)", &o.seed, 0, 0},
        APP_OUTPUT_OPTIONS(&a),
        {CLI_FLAG, 0, "tensors", NULL, "list every tensor with its old and new type", &o.tensors},
    };
    const cli_spec spec = {"convert", "-m PATH -o FILE [options]",
        "Write a model as one GGUF file: config, tokenizer and weights. Norms and convolutions are stored as f32; "
        "with\n"
        "q4_k and q4_0 the embedding and the head get q6_k; where rows do not fit a type's blocks the next type that\n"
        "does is taken. The error column is relative to the weights, in the rows that were read back.",
        "  gsa-vk convert -m path/to/folder -o model.gguf --type q4_k\n"
        "  gsa-vk convert -m model-f16.gguf -o model.gguf -t q4_0 --override 'blk.*.attn_slot_gate*=q8_0'\n"
        "  gsa-vk convert --synthetic 1.3b -o /tmp/1.3b.gguf -t q8_0\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    gsa_convert_override overrides[CLI_MAX_TEXTS];
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO && !o.synthetic) rc = app_need_model(&a);
    if (rc == CLI_GO && o.synthetic && a.model_path) rc = cli_mistake(&spec, "give -m or --synthetic, not both");
    if (rc == CLI_GO && !o.out) rc = cli_mistake(&spec, "no output: give -o FILE");
    if (rc == CLI_GO) rc = read_overrides(&a, &o.overrides, overrides);
    if (rc != CLI_GO) return rc;
    return app_close(&a, run_convert(&a, &o, overrides));
}
