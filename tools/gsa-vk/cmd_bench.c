/* gsa-vk bench: speed with proof. */
#include "bench.h"
#include "commands.h"
#include "data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Models whose logits are compared with the CPU reference without being asked: it takes about a second. */
#define SMALL_MODEL_BYTES (32u << 20)
#define MAX_BATCH         256
#define MAX_TOKENS        10000000

/* Sessions and snapshots that live at once. */
static uint32_t most_sessions(const bench_options *o)
{
    uint64_t most = 8;
    for (size_t i = 0; i < o->batch.n; i++)
        if (o->batch.at[i] + 2 > most) most = o->batch.at[i] + 2;
    for (size_t i = 0; i < o->n_prompts; i++)
        if (o->prompts[i].sessions + 2 > most) most = o->prompts[i].sessions + 2;
    return (uint32_t)most;
}

/* Of the process, pages of mapped files included. */
static double peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024 : NAN;
}

/* A start without any pipeline cache, and what it leaves as the cache of the next. */
static int start_cold(bench *b, const gsa_model_params *params)
{
    app *a = b->a;
    gsa_device_startup startup;
    size_t size = 0;
    a->no_cache = true;
    const int rc = app_load_model(a, params);
    if (rc) return rc;
    gsa_device_startup_get(a->device, &startup);
    b->cold_pipelines_ms = startup.pipelines_ms;
    b->cold_load_ms = a->load_ms;
    if (gsa_device_cache(a->device, NULL, 0, &size) != GSA_OK) return fail_library();
    a->cache = malloc(size + 1);
    if (!a->cache) return fail("out of memory for a pipeline cache of %zu bytes", size);
    if (gsa_device_cache(a->device, a->cache, size, &a->cache_size) != GSA_OK) return fail_library();
    gsa_model_destroy(a->model);
    gsa_device_destroy(a->device);
    a->model = NULL;
    a->device = NULL;
    return 0;
}

static int open_model(bench *b)
{
    const bench_options *o = b->options;
    const gsa_model_params params = {.synthetic = o->synthetic,
        .synthetic_type = o->type,
        .synthetic_seed = o->weight_seed,
        .n_slots = most_sessions(o),
        .max_rows = (uint32_t)o->max_rows};
    const char *slash = o->synthetic ? NULL : strrchr(b->a->model_path, '/');
    snprintf(b->name, sizeof b->name, "%s",
        o->synthetic        ? o->synthetic
        : slash && slash[1] ? slash + 1
                            : b->a->model_path);
    int rc = o->cold ? start_cold(b, &params) : 0;
    if (rc == 0) rc = app_load_model(b->a, &params);
    if (rc) return rc;
    b->has_model = true;
    b->load_peak_bytes = peak_bytes();
    gsa_model_plan_get(b->a->model, &b->plan);
    return bench_describe(b, &params);
}

static int open_op(bench *b)
{
    const uint64_t *n = b->options->shape.at;
    snprintf(b->name, sizeof b->name, "recurrence of H %llu G %llu K %llu V %llu M %llu", (unsigned long long)n[0],
        (unsigned long long)n[1], (unsigned long long)n[2], (unsigned long long)n[3], (unsigned long long)n[4]);
    return app_open_device(b->a);
}

/* The measurements say something is wrong: what, and the exit status. */
static int judge(const bench *b)
{
    char losing[256] = "";
    size_t used = 0;
    if (b->n_failed)
        return fail("the device gave wrong answers to %u of %u known questions: gsa-vk verify --failed shows which",
            b->n_failed, b->n_checks);
    if (strcmp(bench_verdict(b), "fail") == 0)
        return isnan(b->logit_error)
                   ? fail("the recurrence alone is off from the CPU reference")
                   : fail("the model's logits are off by %.1e from the CPU reference", b->logit_error);
    for (size_t i = 0; i < b->n_rows; i++) {
        const bench_row *r = &b->rows[i];
        if (strcmp(r->measure, "prompt_gain") == 0 && bench_stats_of(b, r).median < 1 && used + 8 < sizeof losing)
            used += (size_t)snprintf(
                losing + used, sizeof losing - used, "%s%llu", used ? ", " : "", (unsigned long long)r->tokens);
    }
    return used ? fail("prompts of these lengths take longer than their tokens one by one: %s", losing) : 0;
}

static int run(bench *b)
{
    const bench_options *o = b->options;
    int rc = b->a->model_path || o->synthetic ? open_model(b) : open_op(b);
    if (rc) return rc;
    gsa_device_info_get(b->a->device, &b->device);
    b->is_reference = b->device.type == GSA_DEVICE_REFERENCE;
    if (o->profile) return bench_profile(b);
    if (o->search) return bench_search(b);
    rc = bench_measure(b);
    if (rc == 0 && b->has_model) rc = bench_verify(b);
    if (rc == 0 && b->has_model && (o->check || (b->a->info.weight_bytes <= SMALL_MODEL_BYTES && !o->no_verify)))
        rc = bench_check_model(b);
    if (rc == 0) rc = bench_report(b);
    return rc ? rc : judge(b);
}

static int take_list(
    const cli_spec *spec, const char *option, const char *text, uint64_t least, uint64_t most, bench_list *out)
{
    ids v = {0};
    int rc = ids_parse(&v, text, strlen(text), option);
    if (rc == 0 && (v.n == 0 || v.n > BENCH_MAX_LIST))
        rc = cli_mistake(spec, "%s: expected 1 to %d numbers", option, BENCH_MAX_LIST);
    for (size_t i = 0; i < v.n && rc == 0; i++) {
        if (v.data[i] < 0 || (uint64_t)v.data[i] < least || (uint64_t)v.data[i] > most)
            rc = cli_mistake(spec, "%s: %d is not between %llu and %llu", option, (int)v.data[i],
                (unsigned long long)least, (unsigned long long)most);
        else
            out->at[i] = (uint64_t)v.data[i];
    }
    out->n = v.n;
    ids_free(&v);
    return rc ? 2 : CLI_GO;
}

/* "8x512,2x100" */
static int take_prompts(const cli_spec *spec, const char *text, bench_options *o)
{
    for (const char *at = text;;) {
        unsigned long long sessions = 0, tokens = 0;
        int used = 0;
        if (o->n_prompts == BENCH_MAX_LIST)
            return cli_mistake(spec, "--prompts: expected at most %d of them", BENCH_MAX_LIST);
        if (sscanf(at, "%9llux%9llu%n", &sessions, &tokens, &used) != 2 || sessions < 1 || sessions > MAX_BATCH ||
            tokens < 1 || sessions * tokens > MAX_TOKENS || (at[used] && at[used] != ','))
            return cli_mistake(spec,
                "--prompts: \"%s\" is not SESSIONSxTOKENS,..., such as 8x512, of at most %d sessions and %d tokens in "
                "all",
                text, MAX_BATCH, MAX_TOKENS);
        o->prompts[o->n_prompts++] = (bench_prompts){sessions, tokens};
        if (!at[used]) return CLI_GO;
        at += used + 1;
    }
}

typedef struct lists { /* as they stand on the command line */
    const char *prefill, *context, *batch, *prompts, *lengths, *tokens, *shape;
} lists;

#define OR(given, otherwise) ((given) ? (given) : (otherwise))

static int take_lists(const cli_spec *spec, bench_options *o, const lists *l)
{
    const char *prefill = OR(l->prefill, o->profile ? "2048"
                                         : o->all   ? "1,8,32,128,512,2048,8192,32768"
                                         : o->quick ? "128"
                                                    : "128,512,2048");
    const char *batch = OR(l->batch, o->all ? "1,4,8,32,128" : NULL),
               *prompts = OR(l->prompts, o->all ? "8x512" : NULL);
    int rc = take_list(spec, "--prefill", prefill, 1, MAX_TOKENS, &o->prefill);
    if (rc == CLI_GO)
        rc = take_list(spec, "--context", OR(l->context, o->all ? "2048,65536" : "0"), 0, MAX_TOKENS, &o->context);
    if (rc == CLI_GO && batch) rc = take_list(spec, "--batch", batch, 1, MAX_BATCH, &o->batch);
    if (rc == CLI_GO && prompts) rc = take_prompts(spec, prompts, o);
    if (rc == CLI_GO)
        rc = take_list(spec, "--lengths", OR(l->lengths, "2,3,4,6,8,9,12,16,24,32,48,64,96,128"), 2, BENCH_MAX_LENGTH,
            &o->lengths);
    if (rc == CLI_GO) rc = take_list(spec, "--tokens", OR(l->tokens, "1,2048,16384"), 1, 1 << 20, &o->op_tokens);
    if (rc == CLI_GO) rc = take_list(spec, "--shape", OR(l->shape, "4,4,512,512,64"), 1, 1 << 20, &o->shape);
    if (rc == CLI_GO && o->shape.n != 5) rc = cli_mistake(spec, "--shape: expected 5 numbers: H,G,K,V,M");
    return rc;
}

static int settle(app *a, bench_options *o, const lists *l)
{
    const bool model = a->model_path || o->synthetic;
    if (a->model_path && o->synthetic) return cli_mistake(a->spec, "give -m PATH or --synthetic SHAPE, not both");
    if (!model && !o->op) return cli_mistake(a->spec, "give -m PATH or --synthetic SHAPE, or --op gsa");
    if (o->op && strcmp(o->op, "gsa") != 0) return cli_mistake(a->spec, "--op: \"%s\" is unknown, expected gsa", o->op);
    if ((l->tokens || l->shape) && !o->op) return cli_mistake(a->spec, "--tokens and --shape are for --op");
    if (o->type && !o->synthetic) return cli_mistake(a->spec, "--type is for synthetic weights");
    if (o->markdown + o->csv + a->json > 1) return cli_mistake(a->spec, "give one of --json, --md and --csv");
    if ((o->profile || o->search) && (o->markdown || o->csv))
        return cli_mistake(a->spec, "--profile and --search have no --md and no --csv");
    if ((o->profile || o->search) && o->record)
        return cli_mistake(a->spec, "--profile and --search have no --record; --json prints them");
    if ((o->profile || o->search) && !model)
        return cli_mistake(a->spec, "--profile and --search are of a model: give -m PATH or --synthetic SHAPE");
    a->profile = o->profile;
    if (o->n == 0) o->n = o->quick ? 16 : 64;
    if (o->reps == 0) o->reps = o->quick ? 1 : 3;
    o->crossover = o->crossover || o->all;
    if (l->lengths && !o->crossover) return cli_mistake(a->spec, "--lengths is for --crossover");
    return take_lists(a->spec, o, l);
}

int cmd_bench(int argc, char **argv)
{
    app a = {0};
    bench_options o = {.weight_seed = 1};
    lists l = {0};
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_TEXT, 0, "synthetic", "SHAPE", "random weights: 340m, 1.3b, 2.7b or 7b", &o.synthetic},
        {CLI_TEXT, 0, "type", "TYPE", "of synthetic weights: f32, f16 (default), bf16,\nq8_0, q4_0, q4_k, q6_k",
            &o.type},
        {CLI_UINT, 0, "weight-seed", "N", "of synthetic weights (1)", &o.weight_seed, 0, 0},
        {CLI_GROUP, .help = "what to measure"},
        {CLI_TEXT, 0, "prefill", "LIST", "prompt lengths (128,512,2048)", &l.prefill},
        {CLI_TEXT, 0, "context", "LIST", "tokens before decoding begins (0); they are a prompt of\nrandom ids",
            &l.context},
        {CLI_TEXT, 0, "batch", "LIST", "also decode with so many sessions at a time (none)", &l.batch},
        {CLI_TEXT, 0, "prompts", "LIST", "also so many prompts of so many tokens at a time, such\nas 8x512 (none)",
            &l.prompts},
        {CLI_FLAG, 0, "crossover", NULL,
            "also prompts of 2 to 128 tokens against the same tokens\none by one; exit status 1 if any is slower",
            &o.crossover},
        {CLI_TEXT, 0, "lengths", "LIST", "of --crossover (2,3,4,6,8,9,12,16,24,32,48,64,96,128)", &l.lengths},
        {CLI_TEXT, 0, "op", "gsa",
            "the recurrence of a layer alone, compared with the CPU\nreference; without a model, "
            "only that",
            &o.op},
        {CLI_TEXT, 0, "tokens", "LIST", "of --op (1,2048,16384)", &l.tokens},
        {CLI_TEXT, 0, "shape", "H,G,K,V,M", "of --op (4,4,512,512,64)", &l.shape},
        {CLI_UINT, 'n', "n-predict", "N", "tokens to decode in one repeat (64)", &o.n, 1, 1e6},
        {CLI_UINT, 0, "reps", "N", "repeats of each measurement, after those that warm up\n(3)", &o.reps, 1,
            BENCH_MAX_REPS},
        {CLI_UINT, 0, "max-rows", "N", "tokens of a pass at most; default: by the device", &o.max_rows, 1, 1e6},
        {CLI_FLAG, 0, "all", NULL,
            "prompts of 1 to 32768 tokens and 8 of 512, contexts 2048\nand 65536, batches of 1 to 128, --crossover",
            &o.all},
        {CLI_FLAG, 0, "quick", NULL, "128 tokens of prefill, 16 of decode, one repeat", &o.quick},
        {CLI_FLAG, 0, "check", NULL,
            "compare logits with the CPU reference, however large the\nmodel; small ones are always compared",
            &o.check},
        {CLI_FLAG, 0, "cold", NULL, "start twice: without a pipeline cache, then with the one\nthat leaves", &o.cold},
        {CLI_FLAG, 0, "profile", NULL,
            "instead of all that: GPU time of each call of a decode\nstep, of prompts of --prefill tokens (2048), and "
            "of steps\nof --batch sessions",
            &o.profile},
        {CLI_UINT, 0, "search", "SECONDS",
            "instead of all that: time every shape of the products of\na token's pass, so long in all", &o.search, 1,
            3600},
        {CLI_FLAG, 0, "no-verify", NULL, "ask no known questions: rows are then INVALID", &o.no_verify},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
        {CLI_FLAG, 0, "md", NULL, "a Markdown table", &o.markdown},
        {CLI_FLAG, 0, "csv", NULL, "comma-separated values", &o.csv},
        {CLI_TEXT, 0, "record", "FILE", "also write what --json prints to a file", &o.record},
    };
    const cli_spec spec = {"bench", "(-m PATH | --synthetic SHAPE | --op gsa) [options]",
        "Measure prefill, decode, first token, state copies and loading, and in the same run what the device does at\n"
        "best: its read bandwidth and the rate of its matrix products. Then check the device's kernels: rows without "
        "a\n"
        "pass are marked INVALID. --json: one object per measurement. Models: see also tools/bench.sh.",
        "  gsa-vk bench -m path/to/model\n"
        "  gsa-vk bench --synthetic 1.3b --type f16 --all --json > 1.3b.jsonl\n"
        "  gsa-vk bench --synthetic 1.3b --profile --prefill 512\n"
        "  gsa-vk bench --synthetic 1.3b --type q4_0 --search 60\n"
        "  gsa-vk bench --op gsa --tokens 1,2048,16384 --shape 4,4,512,512,64\n"
        "  gsa-vk bench --synthetic 340m --context 0,4096 --prefill 512 --reps 10 --md\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = settle(&a, &o, &l);
    if (rc != CLI_GO) return rc;
    bench *b = calloc(1, sizeof *b);
    if (!b) return fail("out of memory");
    *b = (bench){.a = &a,
        .options = &o,
        .logit_error = NAN,
        .logit_kl = NAN,
        .verify_ms = NAN,
        .bandwidth = NAN,
        .cold_pipelines_ms = NAN,
        .cold_load_ms = NAN,
        .load_peak_bytes = NAN};
    interrupt_catch();
    rc = app_close(&a, run(b));
    free(b);
    return rc;
}
