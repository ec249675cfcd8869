#include "generate.h"

#include "eval.h"
#include "format.h"
#include "text.h"

#include <stdio.h>

#define AT_ONCE    16    /* tokens of one step */
#define AT_ONCE_US 30000 /* GPU time of one step */

typedef struct run_state {
    app *a;
    gsa_session *session;
    gsa_sampler *sampler;
    const generate_options *options;
    printer printer;
    ids made;
    int32_t end_id; /* -1 = nothing ends it */
    bool ended;     /* by the end token: it is not part of the text */
    double start_ms, prompt_ms, first_ms, decode_ms;
    size_t n_decoded; /* tokens evaluated one by one */
} run_state;

static int evaluate(run_state *r, const int32_t *tokens, size_t n, gsa_want want, bool show, eval_result *out)
{
    return eval_tokens(r->session, tokens, n, want, r->sampler, show, out) == GSA_OK ? 0 : fail_library();
}

/* The first token: after the prompt, or from the logits that came with a saved state. */
static int begin(run_state *r, const ids *prompt, int32_t *token)
{
    const generate_options *o = r->options;
    eval_result result = {.token = -1};
    *token = -1;
    r->start_ms = app_now_ms();
    if (prompt->n == 0) {
        const float *logits = gsa_session_logits(r->session);
        if (!logits) return fail("the state was saved where a text had ended: give a prompt to continue with");
        if (o->n == 0) return 0;
        if (gsa_sampler_sample(r->sampler, logits, r->a->info.n_vocab, token) != GSA_OK) return fail_library();
        gsa_sampler_accept(r->sampler, *token);
        return 0;
    }
    for (size_t i = 0; i < prompt->n; i++) gsa_sampler_accept(r->sampler, prompt->data[i]);
    const gsa_want want = o->n > 0 ? GSA_WANT_TOKEN : o->want_state ? GSA_WANT_LOGITS : GSA_WANT_NOTHING;
    const int rc = evaluate(r, prompt->data, prompt->n, want, true, &result);
    r->prompt_ms = app_now_ms() - r->start_ms;
    *token = result.token;
    return rc;
}

static int emit(run_state *r, int32_t token)
{
    const generate_options *o = r->options;
    if (!ids_push(&r->made, token)) return 1;
    if (!o->ids) return printer_push(&r->printer, token);
    if (r->a->json) return 0;
    printf("%s%d", r->made.n > 1 ? " " : "", (int)token);
    return fflush(stdout) == 0 ? 0 : report_stdout();
}

/* Tokens after token, several at a time: as many as a person does not notice to come together. Where the state is to be
 * kept, a stop text must not find it ahead. */
static int more(run_state *r, int32_t token, int32_t *made, uint32_t *n)
{
    const generate_options *o = r->options;
    const uint64_t left = o->n - r->made.n;
    const uint32_t most = o->want_state && o->stops.n > 0 ? 1 : left < AT_ONCE ? (uint32_t)left : AT_ONCE;
    const double start = app_now_ms();
    double gpu_ns;
    const int32_t *end = r->end_id >= 0 ? &r->end_id : NULL;
    if (eval_generate(r->session, token, most, r->sampler, end, AT_ONCE_US, made, n, &gpu_ns) != GSA_OK)
        return fail_library();
    r->decode_ms += app_now_ms() - start;
    r->n_decoded += *n;
    return 0;
}

static int decode(run_state *r, int32_t token)
{
    const generate_options *o = r->options;
    int32_t made[AT_ONCE];
    uint32_t n = 0, at = 0;
    int rc = 0;
    while (rc == 0 && token >= 0) {
        r->ended = token == r->end_id;
        if (r->ended) return 0;
        rc = emit(r, token);
        const bool last = r->made.n == o->n || r->printer.stopped || (at == n && interrupted());
        if (rc || (last && !o->want_state)) return rc;
        if (last) { /* the token belongs to the state, and its logits are where a continuation begins */
            if (gsa_session_eval_wait(r->session, &token, 1, NULL) != GSA_OK) rc = fail_library();
            return rc;
        }
        if (at == n) {
            at = 0;
            rc = more(r, token, made, &n);
        }
        if (rc == 0) token = made[at++];
    }
    return rc;
}

/* So that a continuation without a prompt begins with the space that its first token may stand for. */
static int skip_some_text(run_state *r)
{
    ids some = {0};
    int rc = text_encode(r->a->tokenizer, "a", 1, false, &some);
    if (rc == 0) rc = printer_skip(&r->printer, some.data, some.n);
    ids_free(&some);
    return rc;
}

static int open_printer(run_state *r, const ids *prompt)
{
    const app *a = r->a;
    if (r->options->ids) return 0;
    int rc = printer_open(&r->printer, a->tokenizer, &r->options->stops, a->json);
    if (rc) return rc;
    if (prompt->n == 0) return skip_some_text(r);
    if (!r->options->echo) return printer_skip(&r->printer, prompt->data, prompt->n);
    r->printer.stops = NULL; /* they are for what is generated */
    for (size_t i = 0; i < prompt->n && rc == 0; i++) rc = printer_push(&r->printer, prompt->data[i]);
    r->printer.stops = &r->options->stops;
    return rc;
}

static double per_second(size_t n, double ms)
{
    return n > 0 && ms > 0 ? (double)n * 1e3 / ms : 0;
}

static const char *why_stopped(const run_state *r)
{
    if (r->ended) return "end";
    if (r->printer.stopped) return "stop";
    return r->made.n < r->options->n ? "interrupted" : "length";
}

static void print_stats(const run_state *r, size_t n_prompt)
{
    const app *a = r->a;
    gsa_device_info info;
    gsa_device_info_get(a->device, &info);
    fprintf(stderr,
        "[%s | prompt %zu tokens, %.1f tok/s | generated %zu, %.1f tok/s | first token %.1f ms | load %.2f s",
        info.name, n_prompt, per_second(n_prompt, r->prompt_ms), r->made.n, per_second(r->n_decoded, r->decode_ms),
        r->first_ms, a->load_ms * 1e-3);
    if (!r->options->is_greedy) fprintf(stderr, " | seed %llu", (unsigned long long)r->options->seed);
    fprintf(stderr, "%s]\n", interrupted() ? " | stopped by Ctrl-C" : "");
}

static int print_json(run_state *r, const ids *prompt)
{
    gsa_device_info info;
    gsa_device_info_get(r->a->device, &info);
    json_t *made = json_array(), *asked = json_array();
    for (size_t i = 0; i < r->made.n; i++) json_array_append_new(made, json_integer(r->made.data[i]));
    for (size_t i = 0; i < prompt->n; i++) json_array_append_new(asked, json_integer(prompt->data[i]));
    return format_json_print(
        json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "prompt_ids", asked, "ids", made, "text",
            r->options->ids ? json_null() : json_stringn(r->printer.all.data, r->printer.all.n), "stopped_by",
            why_stopped(r), "seed", r->options->is_greedy ? json_null() : json_integer((json_int_t)r->options->seed),
            "device", format_json_text(info.name), "position", (json_int_t)gsa_session_position(r->session),
            "prompt_tokens_per_second", format_json_real(per_second(prompt->n, r->prompt_ms)),
            "decode_tokens_per_second", format_json_real(per_second(r->n_decoded, r->decode_ms)), "first_token_ms",
            format_json_real(r->first_ms), "load_ms", format_json_real(r->a->load_ms)),
        0);
}

int generate(app *a, gsa_session *session, gsa_sampler *sampler, const ids *prompt, const generate_options *options)
{
    run_state r = {.a = a, .session = session, .sampler = sampler, .options = options, .end_id = -1};
    int32_t token = -1;
    if (!options->ids && !options->ignore_eos)
        r.end_id = a->info.eos_id >= 0 ? a->info.eos_id : gsa_tokenizer_eos(a->tokenizer);
    int rc = open_printer(&r, prompt);
    if (rc == 0) rc = begin(&r, prompt, &token);
    r.first_ms = app_now_ms() - r.start_ms;
    if (rc == 0 && options->n > 0) rc = decode(&r, token);
    if (rc == 0 && !options->ids) rc = printer_finish(&r.printer);
    if (!a->json && (r.made.n > 0 || options->echo)) printf("\n");
    if (rc == 0 && a->json) rc = print_json(&r, prompt);
    if (rc == 0 && !a->quiet) {
        fflush(stdout);
        print_stats(&r, prompt->n);
    }
    for (size_t i = 0; rc == 0 && options->all && i < prompt->n + r.made.n; i++)
        if (!ids_push(options->all, i < prompt->n ? prompt->data[i] : r.made.data[i - prompt->n])) rc = 1;
    printer_close(&r.printer);
    ids_free(&r.made);
    return rc;
}
