/* gsa-vk perplexity: how well a model foretells a text, alone or against another model. */
#include "app.h"
#include "commands.h"
#include "format.h"
#include "score.h"
#include "token_stream.h"

#include <math.h>
#include <stdlib.h>

/* Rows evaluated at once: logits of two blocks per model are all that is held, one being scored while the device fills
 * the other. A multiple of 64 where the vocabulary allows: whole chunks. */
#define MOST_ROWS  256
#define MOST_BYTES (64u << 20)

typedef struct perplexity_options {
    const char *file, *tokens_file, *against;
    uint64_t context, limit;
    bool no_bos;
} perplexity_options;

typedef struct block {
    int32_t inputs[MOST_ROWS], targets[MOST_ROWS];
    size_t n;
    bool fresh; /* begins with the empty state */
} block;

typedef struct lane { /* one of the models */
    gsa_model *model;
    gsa_session *session;
    float *logits[2];
    gsa_step *step;
    gsa_step_item item;
    size_t n_done;
} lane;

typedef struct perplexity {
    app *a;
    const perplexity_options *options;
    token_stream stream;
    size_t n_vocab, n_rows;
    lane lanes[2]; /* the model, and the one it is compared with */
    size_t n_lanes;
    int32_t bos, last; /* -1 = none */
    uint64_t in_window, n_read;
    block blocks[2];
    score_mean nll, reference_nll, difference, kl;
    uint64_t n_same;
    double start_ms;
} perplexity;

static int next_token(perplexity *p, int32_t *id)
{
    *id = -1;
    if (p->options->limit && p->n_read == p->options->limit) return 0;
    const int rc = token_stream_next(&p->stream, id);
    if (rc || *id < 0) return rc;
    p->n_read++;
    if ((size_t)*id < p->n_vocab) return 0;
    return fail("token %llu of %s has id %d, but the model's vocabulary has ids 0 to %zu%s",
        (unsigned long long)p->n_read, p->stream.path, (int)*id, p->n_vocab - 1,
        p->stream.tokenizer ? ": the tokenizer belongs to another model" : "");
}

/* Inputs with the token that follows each. A window, and the whole text, begin with the start token, so that each token
 * of the text is foretold once; without a start token the first one is not. */
static int fill(perplexity *p, block *b)
{
    *b = (block){.fresh = p->in_window == 0};
    while (b->n < p->n_rows) {
        int32_t id;
        const int rc = next_token(p, &id);
        if (rc || id < 0) return rc;
        if (p->in_window++ == 0) p->last = p->bos;
        if (p->last >= 0) {
            b->inputs[b->n] = p->last;
            b->targets[b->n++] = id;
        }
        p->last = id;
        if (p->in_window != p->options->context) continue;
        p->in_window = 0;
        if (b->n > 0) return 0;
        b->fresh = true; /* windows of one token without a start token hold nothing to foretell */
    }
    return 0;
}

static int score(perplexity *p, const block *b, size_t which)
{
    for (size_t i = 0; i < b->n; i++) {
        const float *row = p->lanes[0].logits[which] + i * p->n_vocab;
        const score_row scored = score_row_of(row, p->n_vocab);
        const double nll = scored.log_sum - (double)row[b->targets[i]];
        if (!isfinite(nll))
            return fail("the model's logits are no numbers after %llu tokens", (unsigned long long)p->nll.n + 1);
        score_add(&p->nll, nll);
        if (p->n_lanes == 1) continue;
        const float *other = p->lanes[1].logits[which] + i * p->n_vocab;
        const score_row scored_other = score_row_of(other, p->n_vocab);
        const double other_nll = scored_other.log_sum - (double)other[b->targets[i]];
        score_add(&p->reference_nll, other_nll);
        score_add(&p->difference, nll - other_nll);
        score_add(&p->kl, score_kl(other, &scored_other, row, &scored, p->n_vocab));
        p->n_same += scored.best == scored_other.best;
    }
    return 0;
}

static gsa_status submit(perplexity *p, lane *l, const block *b, size_t which)
{
    if (l->n_done == 0 && b->fresh) {
        const gsa_status status = gsa_session_reset(l->session);
        if (status != GSA_OK) return status;
    }
    l->item = (gsa_step_item){.session = l->session,
        .tokens = b->inputs + l->n_done,
        .n_tokens = (uint32_t)(b->n - l->n_done),
        .want = GSA_WANT_ALL_LOGITS,
        .logits = l->logits[which] + l->n_done * p->n_vocab};
    return gsa_step_submit(l->model, &l->item, 1, 0, &l->step);
}

static gsa_status collect(lane *l)
{
    gsa_status status = gsa_step_wait(l->step, UINT64_MAX);
    const gsa_status collected = gsa_step_collect(l->step);
    l->step = NULL;
    l->n_done += l->item.n_done;
    return status != GSA_OK ? status : collected;
}

/* One block through all models; the host scores the block before meanwhile. */
static int evaluate(perplexity *p, const block *b, size_t which, const block *before)
{
    bool more = true;
    for (size_t i = 0; i < p->n_lanes; i++) p->lanes[i].n_done = 0;
    while (more) {
        gsa_status status = GSA_OK;
        int rc = 0;
        for (size_t i = 0; i < p->n_lanes && status == GSA_OK; i++)
            if (p->lanes[i].n_done < b->n) status = submit(p, &p->lanes[i], b, which);
        if (before && status == GSA_OK) rc = score(p, before, !which);
        before = NULL;
        more = false;
        for (size_t i = 0; i < p->n_lanes; i++) {
            if (!p->lanes[i].step) continue;
            const gsa_status collected = collect(&p->lanes[i]);
            if (status == GSA_OK) status = collected;
            more = more || p->lanes[i].n_done < b->n;
        }
        if (status != GSA_OK) return fail_library();
        if (rc) return rc;
    }
    return 0;
}

static void show_progress(const perplexity *p)
{
    char what[60];
    const double seconds = (app_now_ms() - p->start_ms) * 1e-3;
    double fraction = token_stream_fraction(&p->stream);
    if (p->options->limit) fraction = fmax(fraction, (double)p->n_read / (double)p->options->limit);
    snprintf(what, sizeof what, "%llu tokens, perplexity %.4g, %.0f tok/s", (unsigned long long)p->nll.n,
        exp(score_mean_of(&p->nll)), (double)p->nll.n / seconds);
    report_progress(fraction, what);
}

static int run_text(perplexity *p)
{
    const block *before = NULL;
    size_t which = 0;
    int rc = fill(p, &p->blocks[0]);
    while (rc == 0 && p->blocks[which].n > 0) {
        if (interrupted())
            return fail("stopped by Ctrl-C after %llu tokens, perplexity so far %.6g", (unsigned long long)p->nll.n,
                exp(score_mean_of(&p->nll)));
        rc = evaluate(p, &p->blocks[which], which, before);
        before = &p->blocks[which];
        which = !which;
        if (rc == 0) rc = fill(p, &p->blocks[which]);
        show_progress(p);
    }
    if (rc == 0 && before) rc = score(p, before, !which);
    report_progress(0, NULL);
    if (rc == 0 && p->nll.n == 0) rc = fail("%s: there is no token to foretell", p->stream.path);
    return rc;
}

static int open_lane(perplexity *p, lane *l, gsa_model *model)
{
    l->model = model;
    if (gsa_session_create(model, &l->session) != GSA_OK) return fail_library();
    for (int i = 0; i < 2; i++)
        if (!(l->logits[i] = malloc(p->n_rows * p->n_vocab * sizeof(float))))
            return fail("out of memory for logits of %zu tokens", p->n_rows);
    return 0;
}

static int open_reference(perplexity *p, gsa_model **model)
{
    const gsa_model_params params = {
        .struct_size = sizeof params, .path = p->options->against, .n_slots = 1, .progress = report_library_progress};
    gsa_model_info info;
    const gsa_status status = gsa_model_load(p->a->device, &params, model);
    report_progress(0, NULL);
    if (status != GSA_OK) return fail_library();
    gsa_model_info_get(*model, &info);
    if (info.n_vocab != p->n_vocab)
        return fail("%s has %u tokens, %s has %zu: only models of one vocabulary can be compared", p->options->against,
            info.n_vocab, p->a->model_path, p->n_vocab);
    p->n_lanes = 2;
    return open_lane(p, &p->lanes[1], *model);
}

static double bits_per_byte(const perplexity *p)
{
    const uint64_t n_bytes = p->stream.n_bytes - p->stream.piece.n;
    const bool whole = p->stream.ended && p->stream.at == p->stream.tokens.n;
    return p->stream.tokenizer && whole ? p->nll.sum / log(2) / (double)n_bytes : NAN;
}

static int print_json(const perplexity *p, double seconds)
{
    gsa_device_info device;
    gsa_device_info_get(p->a->device, &device);
    json_t *against = json_null();
    if (p->n_lanes == 2)
        against = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model", format_json_text(p->options->against),
            "mean_nll", format_json_real(score_mean_of(&p->reference_nll)), "perplexity",
            format_json_real(exp(score_mean_of(&p->reference_nll))), "nll_difference_standard_error",
            format_json_real(score_error_of(&p->difference)), "mean_kl", format_json_real(score_mean_of(&p->kl)),
            "max_kl", format_json_real(p->kl.most), "same_first_choice",
            format_json_real((double)p->n_same / (double)p->nll.n));
    json_t *context = p->options->context ? json_integer((json_int_t)p->options->context) : json_null();
    return format_json_print(
        json_pack("{s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model",
            format_json_text(p->a->model_path), "device", format_json_text(device.name), "context", context, "tokens",
            (json_int_t)p->nll.n, "text_bytes", (json_int_t)(p->stream.tokenizer ? p->stream.n_bytes : 0), "mean_nll",
            format_json_real(score_mean_of(&p->nll)), "standard_error", format_json_real(score_error_of(&p->nll)),
            "perplexity", format_json_real(exp(score_mean_of(&p->nll))), "bits_per_byte",
            format_json_real(bits_per_byte(p)), "against", against, "seconds", format_json_real(seconds),
            "tokens_per_second", format_json_real((double)p->nll.n / seconds)),
        2);
}

static int report(const perplexity *p)
{
    const double seconds = (app_now_ms() - p->start_ms) * 1e-3, mean = score_mean_of(&p->nll);
    if (p->a->json) return print_json(p, seconds);
    printf("tokens         %llu scored, ", (unsigned long long)p->nll.n);
    if (p->options->context) {
        printf("in windows of %llu\n", (unsigned long long)p->options->context);
    } else {
        printf("in one pass\n");
    }
    printf("mean NLL       %.6f nats a token, standard error %.6f\n", mean, score_error_of(&p->nll));
    printf("perplexity     %.6g\n", exp(mean));
    if (isfinite(bits_per_byte(p))) printf("bits per byte  %.6f\n", bits_per_byte(p));
    if (p->n_lanes == 2) {
        printf("against        %s: NLL %.6f, perplexity %.6g\n", p->options->against, score_mean_of(&p->reference_nll),
            exp(score_mean_of(&p->reference_nll)));
        printf("NLL difference %+.6f, standard error %.6f\n", score_mean_of(&p->difference),
            score_error_of(&p->difference));
        printf("KL divergence  %.3e nats a token, largest %.3e\n", score_mean_of(&p->kl), p->kl.most);
        printf("first choice   the same for %.3f %% of the tokens\n", 100 * (double)p->n_same / (double)p->nll.n);
    }
    printf("speed          %.1f tok/s, %.2f s\n", (double)p->nll.n / seconds, seconds);
    return 0;
}

static int run(app *a, const perplexity_options *o)
{
    perplexity *p = calloc(1, sizeof *p);
    gsa_model *reference = NULL;
    if (!p) return fail("out of memory");
    *p = (perplexity){.a = a, .options = o, .bos = -1, .last = -1, .n_lanes = 1};
    int rc = o->file ? app_open_tokenizer(a, "--tokens-file works without it") : 0;
    if (rc == 0) rc = token_stream_open(&p->stream, o->file ? o->file : o->tokens_file, a->tokenizer);
    if (rc == 0) rc = app_load_model(a, &(gsa_model_params){.n_slots = 1});
    if (rc == 0) {
        if (o->file && !o->no_bos) p->bos = gsa_tokenizer_bos(a->tokenizer);
        p->n_vocab = a->info.n_vocab;
        p->n_rows = MOST_BYTES / sizeof(float) / p->n_vocab;
        if (p->n_rows > MOST_ROWS) p->n_rows = MOST_ROWS;
        if (p->n_rows > 64) p->n_rows = p->n_rows / 64 * 64;
        if (p->n_rows == 0) p->n_rows = 1;
        rc = open_lane(p, &p->lanes[0], a->model);
    }
    if (rc == 0 && o->against) rc = open_reference(p, &reference);
    p->start_ms = app_now_ms();
    if (rc == 0) rc = run_text(p);
    if (rc == 0) rc = report(p);
    for (size_t i = 0; i < 2; i++) {
        gsa_session_destroy(p->lanes[i].session);
        for (int k = 0; k < 2; k++) free(p->lanes[i].logits[k]);
    }
    gsa_model_destroy(reference);
    token_stream_close(&p->stream);
    free(p);
    return rc;
}

int cmd_perplexity(int argc, char **argv)
{
    app a = {0};
    perplexity_options o = {0};
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, APP_MODEL_HELP),
        {CLI_TEXT, 'f', "file", "FILE", "a text of any length; - is standard input", &o.file},
        {CLI_TEXT, 0, "tokens-file", "FILE", "instead: a file of token ids", &o.tokens_file},
        {CLI_UINT, 0, "context", "N", "forget everything after every N tokens; default: one\npass with the whole past",
            &o.context, 2, 1e9},
        {CLI_TEXT, 0, "against", "PATH",
            "also compare with this model (same vocabulary, same\ndevice): KL(PATH || model) and first choices",
            &o.against},
        {CLI_UINT, 'n', "limit", "N", "stop after N tokens of the file", &o.limit, 1, 0},
        {CLI_FLAG, 0, "no-bos", NULL, "put no start token before the text and its windows", &o.no_bos},
        APP_DEVICE_OPTIONS(&a),
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"perplexity", "-m PATH (-f FILE | --tokens-file FILE) [options]",
        "Mean negative log likelihood (nats a token), perplexity = exp of it, and bits per byte of a text. Sums are in "
        "64\n"
        "bits; memory does not grow with the text. Texts above 4 MiB are tokenized in pieces that end with a line.",
        "  gsa-vk perplexity -m path/to/model -f text.txt\n"
        "  gsa-vk perplexity -m path/to/model -f text.txt --context 512\n"
        "  gsa-vk perplexity -m path/to/q4_k -f text.txt --against path/to/f16 --json\n",
        options, APP_COUNT(options), 0};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = app_need_model(&a);
    if (rc == CLI_GO && !o.file == !o.tokens_file) rc = cli_mistake(&spec, "give -f FILE or --tokens-file FILE");
    if (rc != CLI_GO) return rc;
    interrupt_catch();
    return app_close(&a, run(&a, &o));
}
