/* Examinations of memory: conversations of the innkeeper's world (inn.h) and bare pairs, many sessions in a step. */
#ifndef RECALL_H
#define RECALL_H

#include "app.h"
#include "data.h"

#define RECALL_MAX_POINTS 40

typedef struct recall_count {
    uint32_t right, asked;
} recall_count;

/* One point of the curves: n_facts facts in a conversation of n_tokens tokens; or n_facts pairs (MQAR). */
typedef struct recall_point {
    bool pairs;
    uint32_t n_facts, n_tokens;
    double mean_tokens; /* what the conversations had when the questions came; pairs: the same */
    recall_count known, changed, unknown, check; /* pairs: only known */
    recall_count all, new_words;                 /* of all: questions of lines that training never had */
} recall_point;

typedef struct recall_options {
    uint64_t seed, rows, questions, sessions;
    bool seen;        /* words and wordings of the training instead of held-out ones */
    double new_lines; /* chance that a sentence is of a line that training never had */
    ids facts, tokens, pairs;
} recall_options;

typedef struct recall {
    app *a; /* with model and tokenizer */
    const recall_options *options;
    int32_t start, end, keeper; /* ids */
    recall_point points[RECALL_MAX_POINTS];
    size_t n_points;
    double seconds;
    uint64_t n_evaluated; /* tokens */
} recall;

/* The whole replies a model would give are compared with the right ones. That every token of the right reply is the
 * likeliest one is the same as that greedy generation writes it, so the reply is given and one step answers a question.
 * 0, or 1 after fail(). */
int recall_run(recall *r);

/* Table or JSON to standard output; svg: a drawing of the curves into a file, or NULL. 0, or 1 after fail(). */
int recall_report(const recall *r, const char *svg);

#endif
