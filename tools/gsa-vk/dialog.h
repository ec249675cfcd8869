/* Talking with a model: turns, and the ways back that a state of fixed size makes cheap. No terminal in here but for the
 * answer, which is streamed to standard output; dialog_loop adds the keyboard.
 *
 * A turn is the text   separator (not before the first) + user prefix + what was said + answer prefix
 * and the answer goes on until the end token, a stop string, the limit, or Ctrl-C. The state then holds exactly the text
 * up to there: when a stop string ends an answer, it is wound back to before the token in which the string began. */
#ifndef DIALOG_H
#define DIALOG_H

#include "app.h"
#include "data.h"
#include "sampling.h"
#include "text.h"

#define DIALOG_MAX_BRANCHES 4
#define DIALOG_MAX_UNDO     16

typedef struct dialog_options {
    const char *before; /* text that stands before the first turn; NULL = none */
    const char *separator, *user_prefix, *answer_prefix;
    cli_texts stops; /* besides separator + user prefix, which ends an answer when it is not blank */
    uint64_t n;      /* tokens of an answer at most */
    uint32_t n_undo; /* turns that can be taken back; 0 = none */
    bool trim;       /* leave out blanks before an answer */
    bool no_bos, ignore_eos;
    sampling sampling; /* settled */
    /* After each turn that was answered, with what was said; NULL = not wanted. */
    void (*heard)(void *user, const char *text, size_t n);
    void *heard_user;
} dialog_options;

#define DIALOG_STOPPED_LENGTH  0
#define DIALOG_STOPPED_END     1 /* end token */
#define DIALOG_STOPPED_TEXT    2 /* stop string */
#define DIALOG_STOPPED_CTRL_C  3
#define DIALOG_STOPPED_NOTHING 4 /* Ctrl-C before the answer began: the turn was taken back */

typedef struct dialog_answer { /* of the last turn */
    bytes text;                /* leading blanks included, printed or not */
    bool begun;                /* something was printed */
    size_t n_prompt, n_tokens, n_decoded;
    double prompt_ms, first_ms, decode_ms, turn_ms; /* turn: from the guest's last word to the end of the reply */
    int stopped_by;
} dialog_answer;

typedef struct dialog_branch {
    gsa_session *session;
    bytes pending; /* text that belongs to the timeline but is not in the state yet: it goes before the next turn */
    uint64_t n_turns;
} dialog_branch;

typedef struct dialog_past { /* a point to go back to */
    gsa_snapshot *snapshot;
    bytes pending;
    uint64_t n_turns;
    size_t branch;
} dialog_past;

typedef struct dialog {
    app *a; /* with model and tokenizer */
    dialog_options options;
    char stop[256]; /* of the template; "" = none */
    cli_texts stops;
    gsa_sampler *sampler;
    dialog_branch branches[DIALOG_MAX_BRANCHES];
    size_t n_branches, at;
    dialog_past past[DIALOG_MAX_UNDO];
    size_t n_past;
    dialog_answer answer;
} dialog;

/* State slots that a model needs for a dialog. */
uint32_t dialog_slots(const dialog_options *o);

/* The model and the tokenizer of a are open; strings of options must stay. Each 0, or 1 after fail(); then the dialog is
 * as it was, unless said otherwise. */
int dialog_open(dialog *d, app *a, const dialog_options *options);
void dialog_close(dialog *d); /* before the model is closed; a zeroed dialog is fine */

/* One turn; the answer is printed as it comes, without a newline at the end. Ctrl-C ends it and is cleared. After a
 * failure the dialog is as before the turn. */
int dialog_say(dialog *d, const char *text, size_t n);

int dialog_undo(dialog *d);  /* to before the last turn, load or reset of this branch */
int dialog_reset(dialog *d); /* as at the beginning */
int dialog_fork(dialog *d);  /* a second timeline from here; it becomes the current one */
int dialog_switch(dialog *d, size_t branch);
int dialog_save(dialog *d, const char *path); /* state file, with the sampler */
int dialog_load(dialog *d, const char *path);
uint64_t dialog_position(const dialog *d); /* tokens in the state */

/* "[12 tokens, 55.0 tok/s | ...]" on stderr, unless quiet. */
void dialog_print_status(const dialog *d);

#endif
