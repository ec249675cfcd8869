#include "recall.h"

#include "eval.h"
#include "inn.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define MOST_SESSIONS 64

typedef struct question {
    ids tokens;      /* the question, and the reply but for its last token */
    size_t n_prompt; /* of them before the reply */
    ids reply;       /* with the end token */
    inn_turn turn;
} question;

typedef struct talk { /* one conversation */
    inn world;
    inn_exam exam;
    ids context;
    gsa_session *session;
} talk;

static int encode(recall *r, const char *text, ids *out)
{
    return text_encode(r->a->tokenizer, text, strlen(text), false, out);
}

static int put_turn(recall *r, const inn_turn *t, ids *out)
{
    int rc = encode(r, t->guest, out);
    if (rc == 0 && !ids_push(out, r->keeper)) rc = 1;
    if (rc == 0) rc = encode(r, t->keeper, out);
    if (rc == 0 && !ids_push(out, r->end)) rc = 1;
    return rc;
}

static int make_context(recall *r, talk *t, uint64_t seed, uint32_t n_facts, uint32_t n_tokens)
{
    inn_turn turn;
    t->context.n = 0;
    inn_exam_begin(&t->world, &t->exam, seed, r->options->seen ? 0 : INN_HELD_OUT, n_facts, n_tokens);
    t->world.new_lines = r->options->new_lines;
    int rc = ids_push(&t->context, r->start) ? 0 : 1;
    while (rc == 0 && inn_exam_next(&t->world, &t->exam, t->context.n, &turn)) rc = put_turn(r, &turn, &t->context);
    return rc;
}

static int make_question(recall *r, talk *t, question *q)
{
    q->tokens.n = q->reply.n = 0;
    inn_ask(&t->world, INN_ANY, 0, &q->turn);
    int rc = encode(r, q->turn.guest, &q->tokens);
    if (rc == 0 && !ids_push(&q->tokens, r->keeper)) rc = 1;
    q->n_prompt = q->tokens.n;
    if (rc == 0) rc = encode(r, q->turn.keeper, &q->reply);
    for (size_t i = 0; i < q->reply.n && rc == 0; i++)
        if (!ids_push(&q->tokens, q->reply.data[i])) rc = 1;
    if (rc == 0 && !ids_push(&q->reply, r->end)) rc = 1;
    return rc;
}

/* All items to their ends, in as many steps as it takes. n_done counts up; logits are those of whole items. */
static int evaluate(recall *r, gsa_step_item *items, uint32_t n, const char *what)
{
    uint64_t left = 0, all = 0;
    for (uint32_t i = 0; i < n; i++) all += items[i].n_tokens;
    r->n_evaluated += all;
    for (left = all; left > 0;) {
        gsa_step_item part[MOST_SESSIONS];
        uint32_t of[MOST_SESSIONS], n_part = 0;
        for (uint32_t i = 0; i < n; i++)
            if (items[i].n_tokens > 0) {
                of[n_part] = i;
                part[n_part++] = items[i];
            }
        gsa_step *step = NULL;
        if (gsa_step_submit(r->a->model, part, n_part, EVAL_STEP_US, &step) != GSA_OK) return fail_library();
        gsa_status status = gsa_step_wait(step, UINT64_MAX);
        const gsa_status collected = gsa_step_collect(step);
        if (status == GSA_OK) status = collected;
        if (status != GSA_OK) return fail_library();
        for (uint32_t i = 0; i < n_part; i++) {
            gsa_step_item *item = &items[of[i]];
            item->tokens += part[i].n_done;
            item->n_tokens -= part[i].n_done;
            if (item->logits) item->logits += (size_t)part[i].n_done * r->a->info.n_vocab;
            left -= part[i].n_done;
        }
        if (what) report_progress((double)(all - left) / (double)all, what);
        if (interrupted()) return fail("stopped by Ctrl-C");
    }
    report_progress(0, NULL);
    return 0;
}

static int32_t likeliest(const float *logits, uint32_t n)
{
    uint32_t most = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[most]) most = i;
    return (int32_t)most;
}

static void count(recall_count *c, bool right)
{
    c->asked++;
    c->right += right;
}

static void count_question(recall_point *p, const inn_turn *t, bool right)
{
    count(t->check ? &p->check : !t->known ? &p->unknown : t->changed ? &p->changed : &p->known, right);
    count(&p->all, right);
    if (t->new_words) count(&p->new_words, right);
}

static void show_wrong(const recall *r, const question *q, const float *logits)
{
    const uint32_t n_vocab = r->a->info.n_vocab;
    char text[512];
    int32_t got[256];
    size_t n = 0, n_got = q->reply.n < 256 ? q->reply.n : 256;
    for (size_t i = 0; i < n_got; i++) got[i] = likeliest(logits + (q->n_prompt - 1 + i) * n_vocab, n_vocab);
    if (gsa_tokenizer_decode(r->a->tokenizer, got, n_got, true, text, sizeof text, &n) != GSA_OK) n = 0;
    fprintf(stderr, "%s%s: %s\n  right: %s\n  given the right beginning, the model says:%.*s\n", q->turn.kind,
        q->turn.new_words ? ", new line" : "", q->turn.guest, q->turn.keeper, (int)(n < 500 ? n : 500), text);
}

/* The same question number of every conversation in one step: forks answer, so that no question sees another. */
static int ask_all(recall *r, talk *talks, question *questions, uint32_t n, recall_point *p)
{
    const uint32_t n_vocab = r->a->info.n_vocab;
    gsa_step_item items[MOST_SESSIONS] = {0};
    gsa_session *forks[MOST_SESSIONS] = {0};
    float *logits[MOST_SESSIONS] = {0};
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        rc = make_question(r, &talks[i], &questions[i]);
        if (rc == 0 && gsa_session_fork(talks[i].session, &forks[i]) != GSA_OK) rc = fail_library();
        if (rc == 0 && !(logits[i] = malloc(questions[i].tokens.n * n_vocab * sizeof(float))))
            rc = fail("out of memory for the logits of %zu tokens", questions[i].tokens.n);
        if (rc == 0)
            items[i] = (gsa_step_item){.session = forks[i],
                .tokens = questions[i].tokens.data,
                .n_tokens = (uint32_t)questions[i].tokens.n,
                .want = GSA_WANT_ALL_LOGITS,
                .logits = logits[i]};
    }
    if (rc == 0) rc = evaluate(r, items, n, NULL);
    for (uint32_t i = 0; i < n; i++) {
        const question *q = &questions[i];
        if (rc == 0) {
            bool right = true;
            for (size_t k = 0; k < q->reply.n && right; k++)
                right = likeliest(logits[i] + (q->n_prompt - 1 + k) * n_vocab, n_vocab) == q->reply.data[k];
            count_question(p, &q->turn, right);
            if (!right && r->a->verbose) show_wrong(r, q, logits[i]);
        }
        free(logits[i]);
        gsa_session_destroy(forks[i]);
    }
    return rc;
}

static int run_talks(recall *r, recall_point *p, talk *talks, question *questions, uint64_t first, uint32_t n)
{
    gsa_step_item items[MOST_SESSIONS] = {0};
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        const uint64_t seed = (r->options->seed * 1000003 + first + i) * 7919 + p->n_facts * 131071 + p->n_tokens;
        rc = make_context(r, &talks[i], seed, p->n_facts, p->n_tokens);
        if (rc == 0 && gsa_session_reset(talks[i].session) != GSA_OK) rc = fail_library();
        p->mean_tokens += (double)talks[i].context.n / (double)r->options->rows;
        items[i] = (gsa_step_item){.session = talks[i].session,
            .tokens = talks[i].context.data,
            .n_tokens = (uint32_t)talks[i].context.n,
            .want = GSA_WANT_NOTHING};
    }
    char what[96];
    snprintf(what, sizeof what, "%u facts, %u tokens", (unsigned)p->n_facts, (unsigned)p->n_tokens);
    if (rc == 0) rc = evaluate(r, items, n, what);
    for (uint64_t k = 0; k < r->options->questions && rc == 0; k++) rc = ask_all(r, talks, questions, n, p);
    return rc;
}

/* Pairs: <s>, the pairs, then keys and values in another order; each value counts. */
static int run_pairs(recall *r, recall_point *p, talk *talks, uint64_t first, uint32_t n)
{
    const uint32_t n_vocab = r->a->info.n_vocab, n_pairs = p->n_facts;
    const uint32_t n_ids = gsa_tokenizer_n_vocab(r->a->tokenizer) - INN_PAIR_IDS;
    int32_t *sequence = malloc((4 * (size_t)n_pairs + 1) * sizeof *sequence);
    float *logits = malloc(2 * (size_t)n_pairs * n_vocab * sizeof *logits);
    int rc = sequence && logits ? 0 : fail("out of memory for %u pairs", (unsigned)n_pairs);
    for (uint32_t i = 0; i < n && rc == 0; i++) { /* one after another: the logits of a whole sequence are wanted */
        inn_random random;
        inn_seed(&random, (r->options->seed * 1000003 + first + i) * 104729 + n_pairs);
        sequence[0] = r->start;
        inn_pairs(&random, INN_PAIR_IDS, n_ids, n_pairs, sequence + 1);
        const int32_t *asked = sequence + 1 + 2 * n_pairs;
        gsa_step_item items[2] = {
            {.session = talks[i].session, .tokens = sequence, .n_tokens = 1 + 2 * n_pairs, .want = GSA_WANT_NOTHING},
            {.session = talks[i].session,
                .tokens = asked,
                .n_tokens = 2 * n_pairs,
                .want = GSA_WANT_ALL_LOGITS,
                .logits = logits}};
        if (gsa_session_reset(talks[i].session) != GSA_OK) rc = fail_library();
        if (rc == 0) rc = evaluate(r, &items[0], 1, NULL);
        if (rc == 0) rc = evaluate(r, &items[1], 1, NULL);
        for (uint32_t k = 0; k < n_pairs && rc == 0; k++) {
            const bool right = likeliest(logits + (size_t)2 * k * n_vocab, n_vocab) == asked[2 * k + 1];
            count(&p->known, right);
            count(&p->all, right);
        }
        p->mean_tokens += (2. * n_pairs + 1) / (double)r->options->rows;
    }
    free(sequence);
    free(logits);
    return rc;
}

static int32_t special_id(const recall *r, const char *token)
{
    return gsa_tokenizer_token_id(r->a->tokenizer, token, strlen(token));
}

static int add_point(recall *r, bool pairs, int32_t n_facts, int32_t n_tokens)
{
    for (size_t i = 0; i < r->n_points; i++)
        if (r->points[i].pairs == pairs && r->points[i].n_facts == (uint32_t)n_facts &&
            r->points[i].n_tokens == (uint32_t)n_tokens)
            return 0;
    if (r->n_points == RECALL_MAX_POINTS) return fail("more than %d points: ask for fewer at once", RECALL_MAX_POINTS);
    r->points[r->n_points++] =
        (recall_point){.pairs = pairs, .n_facts = (uint32_t)n_facts, .n_tokens = (uint32_t)n_tokens};
    return 0;
}

static int plan_points(recall *r)
{
    const recall_options *o = r->options;
    int rc = 0;
    for (size_t i = 0; i < o->facts.n && rc == 0; i++)
        rc = add_point(r, false, o->facts.data[i], o->tokens.n ? o->tokens.data[0] : 1024);
    for (size_t i = 0; i < o->tokens.n && rc == 0; i++) {
        int32_t facts = o->facts.n ? o->facts.data[o->facts.n - 1] : 16;
        rc = add_point(r, false, facts < 16 ? facts : 16, o->tokens.data[i]);
    }
    for (size_t i = 0; i < o->pairs.n && rc == 0; i++) rc = add_point(r, true, o->pairs.data[i], 4 * o->pairs.data[i]);
    return rc;
}

int recall_run(recall *r)
{
    const recall_options *o = r->options;
    r->start = special_id(r, "<s>");
    r->end = special_id(r, "</s>");
    r->keeper = special_id(r, INN_KEEPER);
    if (r->start < 0 || r->end < 0 || r->keeper < 0)
        return fail(
            "%s: its tokenizer has no %s: this is a test for the innkeeper's model", r->a->model_path, INN_KEEPER);
    const uint32_t n_sessions = (uint32_t)o->sessions;
    talk *talks = calloc(n_sessions, sizeof *talks);
    question *questions = calloc(n_sessions, sizeof *questions);
    int rc = talks && questions ? plan_points(r) : fail("out of memory");
    for (uint32_t i = 0; i < n_sessions && rc == 0; i++)
        if (gsa_session_create(r->a->model, &talks[i].session) != GSA_OK) rc = fail_library();
    const double begin = app_now_ms();
    for (size_t k = 0; k < r->n_points && rc == 0; k++) {
        recall_point *p = &r->points[k];
        for (uint64_t at = 0; at < o->rows && rc == 0; at += n_sessions) {
            const uint32_t n = (uint32_t)(o->rows - at < n_sessions ? o->rows - at : n_sessions);
            rc = p->pairs ? run_pairs(r, p, talks, at, n) : run_talks(r, p, talks, questions, at, n);
        }
    }
    r->seconds = (app_now_ms() - begin) / 1000;
    for (uint32_t i = 0; talks && questions && i < n_sessions; i++) {
        gsa_session_destroy(talks[i].session);
        ids_free(&talks[i].context);
        ids_free(&questions[i].tokens);
        ids_free(&questions[i].reply);
    }
    free(talks);
    free(questions);
    return rc;
}
