#include "dialog.h"

#include "eval.h"
#include "format.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static dialog_branch *current(dialog *d)
{
    return &d->branches[d->at];
}

static void bytes_free(bytes *b)
{
    free(b->data);
    *b = (bytes){0};
}

static int bytes_copy(bytes *to, const bytes *from)
{
    to->n = 0;
    return bytes_append(to, from->data ? from->data : "", from->n);
}

/* --- ways back --- */

static void past_free(dialog_past *p)
{
    gsa_snapshot_destroy(p->snapshot);
    bytes_free(&p->pending);
    *p = (dialog_past){0};
}

static void past_remove(dialog *d, size_t i)
{
    past_free(&d->past[i]);
    memmove(&d->past[i], &d->past[i + 1], (d->n_past - i - 1) * sizeof d->past[0]);
    d->past[--d->n_past] = (dialog_past){0};
}

/* The oldest point makes room. */
static int remember(dialog *d)
{
    const dialog_branch *b = current(d);
    if (d->options.n_undo == 0) return 0;
    if (d->n_past == d->options.n_undo) past_remove(d, 0);
    dialog_past p = {.n_turns = b->n_turns, .branch = d->at};
    int rc = bytes_copy(&p.pending, &b->pending);
    if (rc == 0 && gsa_session_snapshot(b->session, &p.snapshot) != GSA_OK) rc = fail_library();
    if (rc) {
        past_free(&p);
    } else {
        d->past[d->n_past++] = p;
    }
    return rc;
}

static int go_back(dialog *d, size_t i)
{
    dialog_past *p = &d->past[i];
    dialog_branch *b = current(d);
    if (gsa_session_restore(b->session, p->snapshot) != GSA_OK) return fail_library();
    const int rc = bytes_copy(&b->pending, &p->pending);
    b->n_turns = p->n_turns;
    past_remove(d, i);
    return rc;
}

int dialog_undo(dialog *d)
{
    for (size_t i = d->n_past; i-- > 0;)
        if (d->past[i].branch == d->at) return go_back(d, i);
    return fail("nothing to undo");
}

static int begin(dialog *d, dialog_branch *b)
{
    b->n_turns = 0;
    b->pending.n = 0;
    return bytes_append(
        &b->pending, d->options.before ? d->options.before : "", d->options.before ? strlen(d->options.before) : 0);
}

int dialog_reset(dialog *d)
{
    int rc = remember(d);
    if (rc == 0 && gsa_session_reset(current(d)->session) != GSA_OK) rc = fail_library();
    if (rc == 0) rc = begin(d, current(d));
    if (rc == 0) gsa_sampler_reset(d->sampler);
    return rc;
}

int dialog_fork(dialog *d)
{
    if (d->n_branches == DIALOG_MAX_BRANCHES) return fail("there are %d branches already", DIALOG_MAX_BRANCHES);
    const dialog_branch *from = current(d);
    dialog_branch *to = &d->branches[d->n_branches];
    int rc = bytes_copy(&to->pending, &from->pending);
    if (rc == 0 && gsa_session_fork(from->session, &to->session) != GSA_OK) rc = fail_library();
    if (rc) return rc;
    to->n_turns = from->n_turns;
    d->at = d->n_branches++;
    return 0;
}

int dialog_switch(dialog *d, size_t branch)
{
    if (branch >= d->n_branches) return fail("there is no branch %zu: give 1 to %zu", branch + 1, d->n_branches);
    d->at = branch;
    return 0;
}

/* --- turns --- */

static int add_text(dialog *d, const char *text, size_t n, ids *out)
{
    const gsa_tokenizer *t = d->a->tokenizer;
    const int32_t bos = gsa_tokenizer_bos(t);
    const size_t first = out->n;
    int rc = 0;
    if (gsa_session_position(current(d)->session) == 0 && bos >= 0 && !d->options.no_bos && !ids_push(out, bos)) rc = 1;
    if (rc == 0) rc = text_encode(t, text, n, false, out);
    for (size_t i = first; i < out->n && rc == 0; i++)
        if ((uint32_t)out->data[i] >= d->a->info.n_vocab)
            rc = fail("the text has token %d, but the model's vocabulary has ids 0 to %u: the tokenizer belongs to "
                      "another model",
                (int)out->data[i], d->a->info.n_vocab - 1);
    return rc;
}

static int make_turn(dialog *d, const char *text, size_t n, ids *out)
{
    const dialog_options *o = &d->options;
    const dialog_branch *b = current(d);
    bytes all = {0};
    int rc = bytes_append(&all, b->pending.data ? b->pending.data : "", b->pending.n);
    if (rc == 0 && b->n_turns > 0) rc = bytes_append(&all, o->separator, strlen(o->separator));
    if (rc == 0) rc = bytes_append(&all, o->user_prefix, strlen(o->user_prefix));
    if (rc == 0) rc = bytes_append(&all, text, n);
    if (rc == 0) rc = bytes_append(&all, o->answer_prefix, strlen(o->answer_prefix));
    if (rc == 0) rc = add_text(d, all.data, all.n, out);
    free(all.data);
    if (rc == 0 && out->n == 0) rc = fail("nothing was said");
    return rc;
}

static int take_answer(void *user, const char *text, size_t n)
{
    dialog *d = user;
    const int rc = bytes_append(&d->answer.text, text, n);
    while (d->options.trim && !d->answer.begun && n > 0 && isspace((unsigned char)*text)) {
        text++;
        n--;
    }
    if (n == 0) return rc;
    d->answer.begun = true;
    fwrite(text, 1, n, stdout);
    return fflush(stdout) == 0 ? rc : report_stdout();
}

typedef struct turn {
    printer printer;
    gsa_snapshot *mark; /* the state before the token in which a stop string may have begun */
    size_t mark_at;     /* bytes of the answer then */
    int32_t end_id;
} turn;

static int drop_mark(turn *t)
{
    gsa_snapshot_destroy(t->mark);
    t->mark = NULL;
    return 0;
}

/* The state holds all but this token. */
static int take_token(dialog *d, turn *t, int32_t token)
{
    const size_t before = d->answer.text.n;
    const bool held = t->printer.held.n > 0;
    const int rc = printer_push(&t->printer, token);
    d->answer.n_tokens++;
    if (rc || t->printer.stopped) return rc;
    if (t->printer.held.n == 0) return drop_mark(t);
    if (held) return 0;
    drop_mark(t);
    t->mark_at = before;
    return gsa_session_snapshot(current(d)->session, &t->mark) == GSA_OK ? 0 : fail_library();
}

/* After a stop string: to before the token it began in; what that token said before the string is left for the next
 * turn. */
static int wind_back(dialog *d, turn *t, size_t before)
{
    dialog_branch *b = current(d);
    const size_t from = t->mark ? t->mark_at : before;
    if (t->mark && gsa_session_restore(b->session, t->mark) != GSA_OK) return fail_library();
    return bytes_append(&b->pending, d->answer.text.data + from, d->answer.text.n - from);
}

static int decode(dialog *d, turn *t, int32_t token)
{
    dialog_answer *answer = &d->answer;
    gsa_session *session = current(d)->session;
    for (;;) {
        eval_result result;
        const size_t before = answer->text.n;
        if (token == t->end_id) {
            answer->stopped_by = DIALOG_STOPPED_END;
            return 0;
        }
        int rc = take_token(d, t, token);
        if (rc) return rc;
        if (t->printer.stopped) {
            answer->stopped_by = DIALOG_STOPPED_TEXT;
            return wind_back(d, t, before);
        }
        const double start = app_now_ms();
        bool last = answer->n_tokens == d->options.n || interrupted();
        if (!last) {
            if (eval_tokens(session, &token, 1, GSA_WANT_TOKEN, d->sampler, false, &result) != GSA_OK)
                return fail_library();
            last = result.n_done == 0; /* Ctrl-C just now */
        }
        if (last) { /* this token still belongs to the state */
            answer->stopped_by = interrupted() ? DIALOG_STOPPED_CTRL_C : DIALOG_STOPPED_LENGTH;
            interrupt_clear();
            return eval_tokens(session, &token, 1, GSA_WANT_NOTHING, NULL, false, &result) == GSA_OK ? 0
                                                                                                     : fail_library();
        }
        token = result.token;
        answer->decode_ms += app_now_ms() - start;
        answer->n_decoded++;
    }
}

static int answer_turn(dialog *d, const ids *prompt)
{
    turn t = {.end_id = -1};
    dialog_branch *b = current(d);
    eval_result result = {.token = -1};
    if (!d->options.ignore_eos)
        t.end_id = d->a->info.eos_id >= 0 ? d->a->info.eos_id : gsa_tokenizer_eos(d->a->tokenizer);
    int rc = printer_open(&t.printer, d->a->tokenizer, &d->stops, false);
    t.printer.sink = take_answer;
    t.printer.sink_user = d;
    if (rc == 0) rc = printer_skip(&t.printer, prompt->data, prompt->n);
    for (size_t i = 0; i < prompt->n; i++) gsa_sampler_accept(d->sampler, prompt->data[i]);
    const double start = app_now_ms();
    if (rc == 0 &&
        eval_tokens(b->session, prompt->data, prompt->n, GSA_WANT_TOKEN, d->sampler, true, &result) != GSA_OK)
        rc = fail_library();
    d->answer.prompt_ms = d->answer.first_ms = app_now_ms() - start;
    if (rc == 0 && result.n_done < prompt->n) {
        d->answer.stopped_by = DIALOG_STOPPED_NOTHING;
    } else if (rc == 0) {
        b->pending.n = 0;
        b->n_turns++;
        rc = decode(d, &t, result.token);
        if (rc == 0 && !t.printer.stopped) rc = printer_finish(&t.printer);
    }
    drop_mark(&t);
    printer_close(&t.printer);
    return rc;
}

int dialog_say(dialog *d, const char *text, size_t n)
{
    ids prompt = {0};
    dialog_past here = {.n_turns = current(d)->n_turns, .branch = d->at};
    bytes kept = d->answer.text;
    kept.n = 0;
    d->answer = (dialog_answer){.text = kept, .stopped_by = DIALOG_STOPPED_LENGTH};
    interrupt_clear();
    const double start = app_now_ms();
    int rc = make_turn(d, text, n, &prompt);
    if (rc == 0) rc = bytes_copy(&here.pending, &current(d)->pending);
    if (rc == 0 && gsa_session_snapshot(current(d)->session, &here.snapshot) != GSA_OK) rc = fail_library();
    if (rc == 0) {
        d->answer.n_prompt = prompt.n;
        rc = answer_turn(d, &prompt);
        if (rc || d->answer.stopped_by == DIALOG_STOPPED_NOTHING) { /* as if nothing had been said */
            dialog_branch *b = current(d);
            if (gsa_session_restore(b->session, here.snapshot) != GSA_OK && rc == 0) rc = fail_library();
            b->n_turns = here.n_turns;
            const int copied = bytes_copy(&b->pending, &here.pending);
            if (rc == 0) rc = copied;
        } else if (d->options.n_undo > 0) {
            if (d->n_past == d->options.n_undo) past_remove(d, 0);
            d->past[d->n_past++] = here;
            here = (dialog_past){0};
        }
    }
    if (rc == 0 && d->answer.stopped_by != DIALOG_STOPPED_NOTHING && d->options.heard)
        d->options.heard(d->options.heard_user, text, n);
    d->answer.turn_ms = app_now_ms() - start;
    past_free(&here);
    ids_free(&prompt);
    interrupt_clear();
    return rc;
}

/* --- files --- */

/* Text that waits for the next turn goes into the state first: a file knows nothing else. */
int dialog_save(dialog *d, const char *path)
{
    dialog_branch *b = current(d);
    ids v = {0};
    eval_result result;
    int rc = b->pending.n > 0 ? add_text(d, b->pending.data, b->pending.n, &v) : 0;
    if (rc == 0 && v.n > 0 &&
        eval_tokens(b->session, v.data, v.n, GSA_WANT_LOGITS, d->sampler, true, &result) != GSA_OK)
        rc = fail_library();
    if (rc == 0 && v.n > 0 && result.n_done == v.n) b->pending.n = 0;
    if (rc == 0 && v.n > 0 && result.n_done < v.n) rc = fail("stopped by Ctrl-C: nothing was saved");
    ids_free(&v);
    if (rc == 0 && gsa_session_save_wait(b->session, d->sampler, path) != GSA_OK) rc = fail_library();
    return rc;
}

int dialog_load(dialog *d, const char *path)
{
    dialog_branch *b = current(d);
    int rc = remember(d);
    if (rc) return rc;
    if (gsa_session_load_wait(b->session, d->options.sampling.is_given ? NULL : d->sampler, path) != GSA_OK) {
        rc = fail_library();
        if (d->options.n_undo > 0) past_remove(d, d->n_past - 1);
        return rc;
    }
    b->pending.n = 0;
    b->n_turns = gsa_session_position(b->session) > 0;
    return 0;
}

/* --- life --- */

uint32_t dialog_slots(const dialog_options *o)
{
    return DIALOG_MAX_BRANCHES + o->n_undo + 2; /* where a turn began; where a stop string may begin */
}

int dialog_open(dialog *d, app *a, const dialog_options *options)
{
    *d = (dialog){.a = a, .options = *options, .stops = options->stops, .n_branches = 1};
    if (d->options.n_undo > DIALOG_MAX_UNDO) d->options.n_undo = DIALOG_MAX_UNDO;
    const size_t blank = strspn(options->user_prefix, " \t\r\n");
    if (options->user_prefix[blank] && d->stops.n < CLI_MAX_TEXTS) {
        snprintf(d->stop, sizeof d->stop, "%s%s", options->separator, options->user_prefix);
        for (size_t n = strlen(d->stop); n > 0 && isspace((unsigned char)d->stop[n - 1]); n--) d->stop[n - 1] = 0;
        d->stops.items[d->stops.n++] = d->stop;
    }
    int rc = sampling_open(&options->sampling, &d->sampler);
    if (rc == 0 && gsa_session_create(a->model, &d->branches[0].session) != GSA_OK) rc = fail_library();
    if (rc == 0) rc = begin(d, &d->branches[0]);
    if (rc) dialog_close(d);
    return rc;
}

void dialog_close(dialog *d)
{
    while (d->n_past > 0) past_remove(d, d->n_past - 1);
    for (size_t i = 0; i < DIALOG_MAX_BRANCHES; i++) {
        gsa_session_destroy(d->branches[i].session);
        bytes_free(&d->branches[i].pending);
    }
    gsa_sampler_destroy(d->sampler);
    bytes_free(&d->answer.text);
    *d = (dialog){0};
}

uint64_t dialog_position(const dialog *d)
{
    return gsa_session_position(d->branches[d->at].session);
}

void dialog_print_status(const dialog *d)
{
    static const char *const why[] = {" | length", "", "", " | stopped by Ctrl-C", " | taken back after Ctrl-C"};
    const dialog_answer *r = &d->answer;
    char rate[32] = "", branch[32] = "";
    if (d->a->quiet) return;
    if (r->n_decoded > 0 && r->decode_ms > 0)
        snprintf(rate, sizeof rate, ", %.1f tok/s", (double)r->n_decoded * 1e3 / r->decode_ms);
    if (d->n_branches > 1) snprintf(branch, sizeof branch, " | branch %zu", d->at + 1);
    fflush(stdout);
    fprintf(stderr, "[%zu tokens%s | first token %.0f ms, turn %.2f s | position %llu | state %s%s%s]\n", r->n_tokens,
        rate, r->first_ms, r->turn_ms * 1e-3, (unsigned long long)dialog_position(d),
        format_bytes(d->a->info.state_bytes).s, branch, why[r->stopped_by]);
}
