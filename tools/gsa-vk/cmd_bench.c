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

typedef struct tensor_sums {
    uint32_t n_vocab, D;
    uint64_t table_bytes; /* of an embedding-shaped tensor */
    struct {
        char name[16];
        uint64_t n_bytes;
    } types[8];
} tensor_sums;

static void on_tensor(void *user, const gsa_tensor_info *t)
{
    tensor_sums *s = user;
    if (t->n_dims == 2 && t->dims[0] == s->n_vocab && t->dims[1] == s->D) s->table_bytes = t->n_bytes;
    for (size_t i = 0; i < APP_COUNT(s->types); i++) {
        if (s->types[i].name[0] && strcmp(s->types[i].name, t->type) != 0) continue;
        snprintf(s->types[i].name, sizeof s->types[i].name, "%s", t->type);
        s->types[i].n_bytes += t->n_bytes;
        return;
    }
}

/* What a token reads: all weights, but of an embedding table that is not the head only one row. */
static int describe_weights(bench *b, const gsa_model_params *params)
{
    const gsa_model_info *m = &b->a->info;
    tensor_sums s = {.n_vocab = m->n_vocab, .D = m->D};
    gsa_model_params p = *params;
    p.struct_size = sizeof p;
    p.path = p.synthetic ? NULL : b->a->model_path;
    if (gsa_model_inspect(&p, NULL, NULL, on_tensor, &s, NULL) != GSA_OK) return fail_library();
    size_t most = 0;
    for (size_t i = 1; i < APP_COUNT(s.types); i++)
        if (s.types[i].n_bytes > s.types[most].n_bytes) most = i;
    snprintf(b->weight_type, sizeof b->weight_type, "%s", s.types[most].name);
    b->read_bytes = m->weight_bytes - (m->tied || s.table_bytes > m->weight_bytes ? 0 : s.table_bytes);
    return 0;
}

/* Sessions and snapshots that live at once. */
static uint32_t most_sessions(const bench_options *o)
{
    uint64_t most = 8;
    for (size_t i = 0; i < o->n_batch; i++)
        if (o->batch[i] + 2 > most) most = o->batch[i] + 2;
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

static int run(app *a, const bench_options *o)
{
    bench *b = calloc(1, sizeof *b);
    if (!b) return fail("out of memory");
    *b = (bench){.a = a,
        .options = o,
        .logit_error = NAN,
        .logit_kl = NAN,
        .bandwidth = NAN,
        .cold_pipelines_ms = NAN,
        .cold_load_ms = NAN,
        .load_peak_bytes = NAN};
    const gsa_model_params params = {.synthetic = o->synthetic,
        .synthetic_type = o->type,
        .synthetic_seed = o->weight_seed,
        .n_slots = most_sessions(o),
        .max_rows = (uint32_t)o->max_rows};
    int rc = o->cold ? start_cold(b, &params) : 0;
    if (rc == 0) rc = app_load_model(a, &params);
    if (rc == 0) {
        b->load_peak_bytes = peak_bytes();
        gsa_device_info_get(a->device, &b->device);
        gsa_model_plan_get(a->model, &b->plan);
        b->is_reference = b->device.type == GSA_DEVICE_REFERENCE;
        rc = describe_weights(b, &params);
    }
    if (rc == 0 && (o->profile || o->search)) {
        rc = o->profile ? bench_profile(b) : bench_search(b);
        free(b);
        return rc;
    }
    if (rc == 0 && !o->synthetic && gsa_model_identity_wait(a->model, &b->model_hash) != GSA_OK) rc = fail_library();
    if (rc == 0) rc = bench_measure(b);
    if (rc == 0) rc = bench_verify(b);
    if (rc == 0 && (o->check || (a->info.weight_bytes <= SMALL_MODEL_BYTES && !o->no_verify)))
        rc = bench_check_model(b);
    if (rc == 0) rc = bench_report(b);
    if (rc == 0 && strcmp(bench_verdict(b), "fail") == 0) {
        rc = b->n_failed
                 ? fail("the device gave wrong answers to %u of %u known questions: gsa-vk verify --failed shows which",
                       b->n_failed, b->n_checks)
                 : fail("the model's logits are off by %.1e from the CPU reference", b->logit_error);
    }
    free(b);
    return rc;
}

static int take_list(
    const cli_spec *spec, const char *option, const char *text, uint64_t most, uint64_t *out, size_t *n)
{
    ids v = {0};
    int rc = ids_parse(&v, text, strlen(text), option);
    if (rc == 0 && (v.n == 0 || v.n > BENCH_MAX_LENGTHS))
        rc = cli_mistake(spec, "%s: expected 1 to %d numbers", option, BENCH_MAX_LENGTHS);
    for (size_t i = 0; i < v.n && rc == 0; i++) {
        if (v.data[i] < 1 || (uint64_t)v.data[i] > most)
            rc =
                cli_mistake(spec, "%s: %d is not between 1 and %llu", option, (int)v.data[i], (unsigned long long)most);
        out[i] = (uint64_t)v.data[i];
    }
    *n = v.n;
    ids_free(&v);
    return rc ? 2 : CLI_GO;
}

static int settle(app *a, bench_options *o, const char *lengths, const char *batches)
{
    if (!a->model_path == !o->synthetic) return cli_mistake(a->spec, "give -m PATH or --synthetic SHAPE");
    if (o->type && !o->synthetic) return cli_mistake(a->spec, "--type is for synthetic weights");
    if (o->markdown + o->csv + a->json > 1) return cli_mistake(a->spec, "give one of --json, --md and --csv");
    if ((o->profile || o->search) && (o->markdown || o->csv))
        return cli_mistake(a->spec, "--profile and --search have no --md and no --csv");
    a->profile = o->profile;
    if (o->n == 0) o->n = o->quick ? 16 : 64;
    if (o->reps == 0) o->reps = o->quick ? 1 : 3;
    int rc = take_list(a->spec, "--prefill",
        lengths    ? lengths
        : o->quick ? "128"
                   : "128,512,2048",
        10000000, o->prefill, &o->n_prefill);
    if (rc == CLI_GO && batches) rc = take_list(a->spec, "--batch", batches, MAX_BATCH, o->batch, &o->n_batch);
    return rc;
}

int cmd_bench(int argc, char **argv)
{
    app a = {0};
    bench_options o = {.weight_seed = 1};
    const char *lengths = NULL, *batches = NULL;
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_TEXT, 0, "synthetic", "SHAPE", "random weights: 340m, 1.3b, 2.7b or 7b", &o.synthetic},
        {CLI_TEXT, 0, "type", "TYPE", "of synthetic weights: f32, f16 (default), bf16,\nq8_0, q4_0, q4_k, q6_k",
            &o.type},
        {CLI_UINT, 0, "weight-seed", "N", "of synthetic weights (1)", &o.weight_seed, 0, 0},
        {CLI_GROUP, .help = "what to measure"},
        {CLI_TEXT, 0, "prefill", "LIST", "prompt lengths (128,512,2048)", &lengths},
        {CLI_UINT, 0, "context", "N", "tokens before decoding begins (0)", &o.context, 0, 1e8},
        {CLI_TEXT, 0, "batch", "LIST", "also decode with so many sessions at a time (none)", &batches},
        {CLI_UINT, 'n', "n-predict", "N", "tokens to decode in one repeat (64)", &o.n, 1, 1e6},
        {CLI_UINT, 0, "reps", "N", "repeats of each measurement, after one that warms up (3)", &o.reps, 1,
            BENCH_MAX_REPS},
        {CLI_UINT, 0, "max-rows", "N", "tokens of a pass at most; default: by the device", &o.max_rows, 1, 1e6},
        {CLI_FLAG, 0, "quick", NULL, "128 tokens of prefill, 16 of decode, one repeat", &o.quick},
        {CLI_FLAG, 0, "check", NULL,
            "compare logits with the CPU reference, however large the\nmodel; small ones are always compared",
            &o.check},
        {CLI_FLAG, 0, "cold", NULL, "start twice: without a pipeline cache, then with the one\nthat leaves", &o.cold},
        {CLI_FLAG, 0, "profile", NULL,
            "instead of all that: GPU time of each call of a decode\nstep and of a prefill of the first length",
            &o.profile},
        {CLI_UINT, 0, "search", "SECONDS",
            "instead of all that: time every shape of the products of\na token's pass, so long in all", &o.search, 1,
            3600},
        {CLI_FLAG, 0, "no-verify", NULL, "ask no known questions: rows are then INVALID", &o.no_verify},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
        {CLI_FLAG, 0, "md", NULL, "a Markdown table", &o.markdown},
        {CLI_FLAG, 0, "csv", NULL, "comma-separated values", &o.csv},
    };
    const cli_spec spec = {"bench", "(-m PATH | --synthetic SHAPE) [options]",
        "Measure prefill, decode, first token, state copies and loading, and the device's read bandwidth in the same "
        "run;\n"
        "then check the device's kernels. Rows without a pass are marked INVALID. --json: one object per measurement.",
        "  gsa-vk bench -m path/to/model\n"
        "  gsa-vk bench --synthetic 1.3b --type f16 --json > 1.3b.jsonl\n"
        "  gsa-vk bench --synthetic 1.3b --profile --prefill 512\n"
        "  gsa-vk bench --synthetic 1.3b --type q4_0 --search 60\n"
        "  gsa-vk bench --synthetic 340m --context 4096 --prefill 512 --reps 10 --md\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = settle(&a, &o, lengths, batches);
    if (rc != CLI_GO) return rc;
    interrupt_catch();
    return app_close(&a, run(&a, &o));
}
