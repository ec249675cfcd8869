/* Decode with and without the resident step: one row for each setting, with proof that the bits are the same.
 *
 *   measure_resident [-d DEVICE] [-m PATH | -s SHAPE] [-t TYPES] [-n TOKENS] [--mask LIST] [WORDS ...]
 *
 * WORDS are settings of gsa_device_params.resident without "always", e.g. depth=8,invocations=256. Without any, a list of
 * them is tried. For each type: the plain pass first, then the resident step with each of WORDS. Times are those of the
 * best of five runs of TOKENS greedy tokens from position 0, 64 a step. */
#include <gsa/gsa.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS   5
#define A_STEP 64
#define MOST   4096

static const char *const all_words[] = {"depth=16", "depth=8", "depth=12", "depth=20", "depth=4", "depth=6",
    "depth=32,invocations=256", "depth=16,invocations=256", "depth=24,invocations=256",
    "depth=8,invocations=256,cores=2", "depth=16,invocations=256,cores=2", "depth=8,invocations=1024",
    "depth=4,invocations=1024"};

typedef struct options {
    const char *device, *mask, *path, *shape;
    uint32_t n_tokens;
} options;

typedef struct outcome {
    int32_t tokens[MOST];
    uint32_t n;
    float *logits;
    uint32_t n_vocab;
    double gpu_ms, wall_ms;                      /* a token */
    char kernel[32], note[200], statistics[400]; /* the kernel's, as the driver tells them */
} outcome;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* What the library says about the resident step is the row's note; the last of the kernel's pipelines is the model's. */
static void take_note(void *user, gsa_log_level level, const char *text)
{
    outcome *out = user;
    const char *statistics = strstr(text, "resident_");
    if (level <= GSA_LOG_WARNING) fprintf(stderr, "%s\n", text);
    if (statistics && strstr(statistics, out->kernel) && strncmp(text, "statistics", 10) == 0)
        snprintf(out->statistics, sizeof out->statistics, "%s", statistics);
    else if (strncmp(text, "resident", 8) == 0 && out->note[0] == 0)
        snprintf(out->note, sizeof out->note, "%s", text);
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, gsa_error_text());
    return 1;
}

/* Tokens [0, n) after token 1, and how long they took. */
static int generate(gsa_model *model, outcome *out, uint32_t n, bool is_last)
{
    gsa_session *session = NULL;
    if (gsa_session_create(model, &session) != GSA_OK) return failed("session");
    int32_t token = 1;
    double gpu = 0;
    const double start = now_ms();
    for (out->n = 0; out->n < n;) {
        const uint32_t wanted = n - out->n < A_STEP ? n - out->n : A_STEP;
        gsa_step_item item = {.session = session,
            .tokens = &token,
            .n_tokens = 1,
            .want = GSA_WANT_TOKEN,
            .n_generate = wanted,
            .generated = out->tokens + out->n};
        gsa_step *step = NULL;
        if (gsa_step_submit(model, &item, 1, 0, &step) != GSA_OK || gsa_step_wait(step, UINT64_MAX) != GSA_OK)
            return failed("step");
        gpu += gsa_step_gpu_ns(step) * 1e-6;
        if (gsa_step_collect(step) != GSA_OK) return failed("step");
        out->n += item.n_generated;
        token = out->tokens[out->n - 1];
    }
    const double wall = (now_ms() - start) / n;
    if (out->wall_ms == 0 || wall < out->wall_ms) out->wall_ms = wall;
    if (out->gpu_ms == 0 || gpu / n < out->gpu_ms) out->gpu_ms = gpu / n;
    if (is_last) {
        if (gsa_session_eval_wait(session, &token, 1, NULL) != GSA_OK) return failed("logits");
        memcpy(out->logits, gsa_session_logits(session), out->n_vocab * sizeof *out->logits);
    }
    gsa_session_destroy(session);
    return 0;
}

static int measure(const options *o, const char *type, const char *resident, outcome *out)
{
    gsa_device *device = NULL;
    gsa_model *model = NULL;
    gsa_model_info info;
    memset(out, 0, sizeof *out);
    snprintf(out->kernel, sizeof out->kernel, "%s(", type);
    const gsa_device_params dp = {.struct_size = sizeof dp,
        .select = o->device,
        .mask = o->mask,
        .self_test = GSA_SELF_TEST_ON,
        .tuning = strcmp(resident, "never") == 0 ? GSA_TUNING_DEFAULT : GSA_TUNING_OFF,
        .log = {take_note, out, GSA_LOG_INFO},
        .kernel_statistics = true,
        .resident = resident};
    const gsa_model_params mp = {.struct_size = sizeof mp,
        .path = o->path,
        .synthetic = o->path ? NULL : o->shape,
        .synthetic_type = o->path ? NULL : type,
        .n_slots = 2};
    if (gsa_device_create(&dp, &device) != GSA_OK) return failed("device");
    if (gsa_model_load(device, &mp, &model) != GSA_OK) return failed("model");
    gsa_model_info_get(model, &info);
    out->n_vocab = info.n_vocab;
    out->logits = malloc(info.n_vocab * sizeof *out->logits);
    int rc = out->logits ? 0 : 1;
    for (int i = 0; rc == 0 && i <= RUNS; i++) { /* the first warms up */
        if (i == 1) out->gpu_ms = out->wall_ms = 0;
        rc = generate(model, out, o->n_tokens, i == RUNS);
    }
    gsa_model_destroy(model);
    gsa_device_destroy(device);
    return rc;
}

static int measure_type(const options *o, const char *type, char **words, int n_words)
{
    static outcome plain, other;
    int rc = measure(o, type, "never", &plain);
    if (rc) return rc;
    printf("| %s | plain | %.4f | %.4f | %.0f | |\n", type, plain.gpu_ms, plain.wall_ms, 1e3 / plain.wall_ms);
    for (int i = 0; i < n_words; i++) {
        char text[200];
        snprintf(text, sizeof text, "always,%s", words[i]);
        rc = measure(o, type, text, &other);
        if (rc) return rc;
        const bool same = other.n == plain.n &&
                          memcmp(other.tokens, plain.tokens, plain.n * sizeof *plain.tokens) == 0 &&
                          memcmp(other.logits, plain.logits, plain.n_vocab * sizeof *plain.logits) == 0;
        printf("| %s | %s | %.4f | %.4f | %.0f | %s; %s; %s |\n", type, words[i], other.gpu_ms, other.wall_ms,
            1e3 / other.wall_ms, same ? "same bits" : "OTHER BITS", other.note, other.statistics);
        fflush(stdout);
        free(other.logits);
    }
    free(plain.logits);
    return 0;
}

int main(int argc, char **argv)
{
    options o = {.shape = "1.3b", .n_tokens = 128};
    char types[64] = "f16,q8_0,q4_0";
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        const char *name = argv[at], *value = argv[at + 1];
        if (strcmp(name, "-d") == 0)
            o.device = value;
        else if (strcmp(name, "-m") == 0)
            o.path = value;
        else if (strcmp(name, "-s") == 0)
            o.shape = value;
        else if (strcmp(name, "-t") == 0)
            snprintf(types, sizeof types, "%s", value);
        else if (strcmp(name, "-n") == 0)
            o.n_tokens = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(name, "--mask") == 0)
            o.mask = value;
        else
            break;
    }
    if ((at < argc && argv[at][0] == '-') || o.n_tokens == 0 || o.n_tokens > MOST) {
        fprintf(stderr, "usage: measure_resident [-d DEVICE] [-m PATH | -s SHAPE] [-t TYPES] [-n TOKENS] [--mask LIST] "
                        "[WORDS ...]\n");
        return 2;
    }
    char **words = at < argc ? argv + at : (char **)(uintptr_t)all_words;
    const int n_words = at < argc ? argc - at : (int)(sizeof all_words / sizeof *all_words);
    printf("| type | resident | GPU ms a token | wall ms | tok/s | |\n| --- | --- | --- | --- | --- | --- |\n");
    char *rest = NULL; /* drivers use strtok, too */
    for (const char *type = strtok_r(types, ",", &rest); type; type = strtok_r(NULL, ",", &rest))
        if (measure_type(&o, type, words, n_words)) return 1;
    return 0;
}
