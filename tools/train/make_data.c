/* Training data of the innkeeper's model: conversations as token ids, in rows of one length.
 *
 *   make_data text SEED MEGABYTES                          plain text for the tokenizer, to standard output
 *   make_data train TOKENIZER OUT SEED THREADS T:N ...     N shards of rows of T tokens, in this order
 *   make_data exam TOKENIZER OUT SEED ROWS T:FACTS ...     held-out words and wordings: rows with FACTS facts and about
 *                                                          T tokens before the questions; FACTS 0: pairs (MQAR)
 *   make_data seen ...                                     the same with the words and wordings of the training
 *   make_data new ...                                      as exam, all wordings of lines that are held out as a whole
 * TOKENIZER is a tokenizer.json. A shard is a file OUT/NAME.bin of little-endian 16-bit words, row after row; it appears
 * when it is complete. A word is id + 8192 * class: 0 padding, 1 the guest, 2 the keeper, and replies to questions: 3
 * about a fact that holds, 4 that was changed, 5 never told or taken back, 6 yes or no, 7 the values of pairs. Beside a
 * shard of an exam lies NAME.kinds: for each row a line with the kind of each question, '*' before those whose line is
 * held out as a whole. */
#include "gsa/tokenizer.h"
#include "inn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARD_TOKENS (1u << 22)
#define ID_START     1 /* <s> */
#define ID_END       2 /* </s> */
#define ID_KEEPER    3 /* <|keeper|> */

typedef struct row {
    uint16_t *words;
    size_t n, size;
} row;

static gsa_tokenizer *tokenizer;

static void die(const char *what)
{
    fprintf(stderr, "make_data: %s\n", what);
    exit(1);
}

static size_t encode(const char *text, int32_t ids[1024])
{
    size_t n = 0;
    if (gsa_tokenizer_encode(tokenizer, text, strlen(text), false, ids, 1024, &n) != GSA_OK) die(gsa_error_text());
    return n;
}

/* "text<|keeper|>reply</s>"; false when it does not fit any more. */
static bool put_turn(row *r, const inn_turn *t)
{
    int32_t guest[1024], keeper[1024];
    const size_t n_guest = encode(t->guest, guest), n_keeper = encode(t->keeper, keeper);
    if (r->n + n_guest + n_keeper + 2 > r->size) return false;
    const unsigned class = t->what != INN_ASK ? 2 : t->check ? 6 : !t->known ? 5 : t->changed ? 4 : 3;
    for (size_t i = 0; i < n_guest; i++) r->words[r->n++] = (uint16_t)(guest[i] | 1 << 13);
    r->words[r->n++] = ID_KEEPER | 1 << 13;
    for (size_t i = 0; i < n_keeper; i++) r->words[r->n++] = (uint16_t)((unsigned)keeper[i] | class << 13);
    r->words[r->n++] = (uint16_t)(ID_END | class << 13);
    return true;
}

static void start_row(row *r)
{
    memset(r->words, 0, r->size * sizeof *r->words);
    r->n = 0;
    r->words[r->n++] = ID_START | 1 << 13;
}

static void put_pairs(row *r, inn_random *random, size_t n)
{
    int32_t ids[4 * 256];
    inn_pairs(random, INN_PAIR_IDS, gsa_tokenizer_n_vocab(tokenizer) - INN_PAIR_IDS, n, ids);
    for (size_t i = 0; i < 4 * n && r->n < r->size; i++)
        r->words[r->n++] = (uint16_t)((unsigned)ids[i] | (i >= 2 * n && i % 2 ? 7u : 1u) << 13);
}

/* A row of training: how many facts, how they come and how often something is asked all vary. A quarter of the rows go
 * as an examination goes: facts, then small talk, then questions. */
static void make_row(row *r, uint64_t seed)
{
    inn_random random;
    inn_seed(&random, seed);
    start_row(r);
    if (r->size <= 1024 && inn_chance(&random, .03)) {
        const uint32_t most = r->size >= 1024 ? 128 : (uint32_t)r->size / 8;
        while (r->n < r->size) put_pairs(r, &random, 4 + inn_below(&random, most - 3));
        return;
    }
    const double low = r->size < 512 ? 1 : (double)r->size / 384, high = r->size >= 1600 ? 72 : (double)r->size / 22;
    double x = inn_below(&random, 1024) / 1024., n_facts = low;
    while (n_facts < high && x > 0) { /* about low * (high / low) ^ x */
        n_facts *= 1.1;
        x -= .0953 / (high > low ? (high / low > 8 ? 2.6 : 1.8) : 1);
    }
    const double chatter = (const double[]){0, .05, .2, .4}[inn_below(&random, 4)] * (r->size > 2048 ? 2 : 1);
    const double changes = (const double[]){0, .05, .12, .2}[inn_below(&random, 4)];
    const bool tell_first = inn_chance(&random, .5);
    inn w;
    inn_turn t;
    if (inn_chance(&random, .25)) {
        const size_t most = r->size / 44, n_tokens = inn_below(&random, (uint32_t)r->size * 3 / 4);
        inn_exam e;
        inn_exam_begin(&w, &e, random.state, INN_NOISE, n_facts < most ? (size_t)n_facts : most, n_tokens);
        while (inn_exam_next(&w, &e, r->n, &t))
            if (!put_turn(r, &t)) return;
        do inn_ask(&w, INN_ANY, 0, &t);
        while (put_turn(r, &t));
        return;
    }
    inn_begin(&w, random.state, INN_NOISE, (size_t)n_facts);
    do {
        const bool to_tell = w.n_facts < (size_t)n_facts;
        if (inn_chance(&random, chatter)) {
            inn_talk(&w, &t);
        } else if (to_tell && (tell_first || w.n_facts == 0 || inn_chance(&random, .45))) {
            if (inn_chance(&random, changes)) {
                inn_change(&w, &t);
            } else {
                const size_t n = 1 + inn_below(&random, 3), rest = (size_t)n_facts - w.n_facts;
                inn_tell(&w, n < rest ? n : rest, &t);
            }
        } else if (inn_chance(&random, changes)) {
            inn_change(&w, &t);
        } else {
            inn_ask(&w, INN_ANY, 0, &t);
        }
    } while (put_turn(r, &t));
}

typedef enum exam_split { SEEN, EXAM, NEW } exam_split;
static const char *const split_names[] = {"seen", "exam", "new"};

static void make_exam_row(row *r, uint64_t seed, exam_split split, size_t n_facts, size_t n_tokens, FILE *kinds)
{
    start_row(r);
    if (n_facts == 0) {
        inn_random random;
        inn_seed(&random, seed);
        put_pairs(r, &random, n_tokens / 4);
        return;
    }
    inn w;
    inn_exam e;
    inn_turn t;
    inn_exam_begin(&w, &e, seed, split == SEEN ? 0 : INN_HELD_OUT, n_facts, n_tokens);
    if (split == NEW) w.new_lines = 1;
    while (inn_exam_next(&w, &e, r->n, &t))
        if (!put_turn(r, &t)) return;
    for (;;) {
        inn_ask(&w, INN_ANY, 0, &t);
        if (!put_turn(r, &t)) return;
        fprintf(kinds, "%s%s ", t.new_words ? "*" : "", t.kind);
    }
}

static void write_shard(const char *folder, const char *name, const uint16_t *words, size_t n)
{
    char path[1024], temporary[1040];
    snprintf(path, sizeof path, "%s/%s.bin", folder, name);
    snprintf(temporary, sizeof temporary, "%s.part", path);
    FILE *f = fopen(temporary, "wb");
    if (!f || fwrite(words, sizeof *words, n, f) != n || fclose(f) != 0 || rename(temporary, path) != 0) die(path);
}

/* --- threads: each takes the next shard --- */

static struct {
    pthread_mutex_t lock;
    const char *folder;
    uint64_t seed;
    size_t lengths[4096], n_shards, next;
} job = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *work(void *unused)
{
    (void)unused;
    uint16_t *words = malloc(SHARD_TOKENS * sizeof *words);
    if (!words) die("out of memory");
    for (;;) {
        pthread_mutex_lock(&job.lock);
        const size_t i = job.next++;
        pthread_mutex_unlock(&job.lock);
        if (i >= job.n_shards) break;
        const size_t length = job.lengths[i];
        for (size_t at = 0; at + length <= SHARD_TOKENS; at += length) {
            row r = {words + at, 0, length};
            make_row(&r, job.seed + i * 1000003 + at * 7919);
        }
        char name[64];
        snprintf(name, sizeof name, "%05zu-%zu", i, length);
        write_shard(job.folder, name, words, SHARD_TOKENS / length * length);
    }
    free(words);
    return NULL;
}

static int train(int argc, char **argv) /* OUT SEED THREADS T:N ... */
{
    job.folder = argv[0];
    job.seed = strtoull(argv[1], NULL, 10);
    const size_t n_threads = strtoul(argv[2], NULL, 10);
    for (int i = 3; i < argc; i++) {
        size_t length = 0, n = 0;
        if (sscanf(argv[i], "%zu:%zu", &length, &n) != 2 || length < 64 || length > SHARD_TOKENS) die("T:N expected");
        while (n-- > 0 && job.n_shards < 4096) job.lengths[job.n_shards++] = length;
    }
    pthread_t threads[256];
    for (size_t i = 0; i < n_threads && i < 256; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0) die("cannot start a thread");
    for (size_t i = 0; i < n_threads && i < 256; i++) pthread_join(threads[i], NULL);
    return 0;
}

static int exam(exam_split split, int argc, char **argv) /* OUT SEED ROWS T:FACTS ... */
{
    const uint64_t seed = strtoull(argv[1], NULL, 10);
    const size_t n_rows = strtoul(argv[2], NULL, 10);
    for (int i = 3; i < argc; i++) {
        size_t length = 0, n_facts = 0;
        if (sscanf(argv[i], "%zu:%zu", &length, &n_facts) != 2 || length < 16) die("T:FACTS expected");
        const size_t size = n_facts ? length + 24 * n_facts + 256 : length + 64;
        uint16_t *words = calloc(n_rows * size, sizeof *words);
        if (!words) die("out of memory");
        char name[64], path[1024];
        snprintf(name, sizeof name, "%s-%zu-%zu-%zu", split_names[split], length, n_facts, size);
        snprintf(path, sizeof path, "%s/%s.kinds", argv[0], name);
        FILE *kinds = fopen(path, "w");
        if (!kinds) die(path);
        for (size_t k = 0; k < n_rows; k++) {
            row r = {words + k * size, 0, size};
            make_exam_row(&r, seed + k * 7919 + (uint64_t)i * 1000003, split, n_facts, length, kinds);
            fputc('\n', kinds);
        }
        if (fclose(kinds) != 0) die(path);
        write_shard(argv[0], name, words, n_rows * size);
        free(words);
    }
    return 0;
}

static int text(char **argv) /* SEED MEGABYTES */
{
    uint64_t seed = strtoull(argv[0], NULL, 10);
    for (size_t left = strtoul(argv[1], NULL, 10) << 20; left > 0;) {
        inn w;
        inn_turn t;
        inn_begin(&w, seed++, 0, 16);
        for (int i = 0; i < 60 && left > 0; i++) {
            if (i < 10) {
                inn_tell(&w, 2, &t);
            } else if (i % 4 == 0) {
                inn_change(&w, &t);
            } else if (i % 4 == 1) {
                inn_talk(&w, &t);
            } else {
                inn_ask(&w, INN_ANY, 0, &t);
            }
            const size_t n = (size_t)printf("%s\n%s\n", t.guest, t.keeper);
            left -= n < left ? n : left;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "text") == 0 && argc == 4) return text(argv + 2);
    int split = SEEN;
    while (split <= NEW && strcmp(what, split_names[split]) != 0) split++;
    const bool to_train = strcmp(what, "train") == 0;
    if (argc < 7 || (!to_train && split > NEW))
        die("usage: text SEED MEGABYTES | train TOKENIZER OUT SEED THREADS T:N ... | exam|seen|new TOKENIZER OUT SEED "
            "ROWS T:FACTS ...");
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .path = argv[2]};
    if (gsa_tokenizer_create(&params, &tokenizer) != GSA_OK) die(gsa_error_text());
    const int rc = to_train ? train(argc - 3, argv + 3) : exam((exam_split)split, argc - 3, argv + 3);
    gsa_tokenizer_destroy(tokenizer);
    return rc;
}
