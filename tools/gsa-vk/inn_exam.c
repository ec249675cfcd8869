/* Tests of memory: a conversation that ends in questions, and bare pairs of ids. */
#include "inn.h"

#include <string.h>

void inn_exam_begin(inn *w, inn_exam *e, uint64_t seed, unsigned flags, size_t n_facts, size_t n_tokens)
{
    inn_begin(w, seed, flags, n_facts);
    *e = (inn_exam){.n_facts = n_facts < INN_MAX_FACTS ? n_facts : INN_MAX_FACTS, .n_tokens = n_tokens};
    e->n_changes = n_facts / 4 + (inn_below(&w->random, 4) < n_facts % 4);
}

bool inn_exam_next(inn *w, const inn_exam *e, size_t n_so_far, inn_turn *turn)
{
    inn_random *r = &w->random;
    size_t n_changed = 0;
    for (size_t i = 0; i < w->n_facts; i++) n_changed += w->facts[i].n_values - 1;
    const size_t to_tell = e->n_facts - w->n_facts;
    if ((to_tell > 0 || n_changed < e->n_changes) && inn_chance(r, .15)) {
        inn_talk(w, turn);
    } else if (to_tell > 0 && (n_changed >= e->n_changes || w->n_facts < 2 || inn_chance(r, .75))) {
        const size_t n = 1 + inn_below(r, 3);
        inn_tell(w, n < to_tell ? n : to_tell, turn);
    } else if (n_changed < e->n_changes) {
        inn_change(w, turn);
    } else if (n_so_far < e->n_tokens) {
        inn_talk(w, turn);
    } else {
        return false;
    }
    return true;
}

void inn_pairs(inn_random *r, int32_t first, uint32_t n_ids, size_t n, int32_t *out)
{
    const uint32_t half = n_ids / 2;
    int32_t *pairs = out, *again = out + 2 * n;
    for (size_t i = 0; i < n; i++) {
        bool is_used = true;
        while (is_used) {
            pairs[2 * i] = first + (int32_t)inn_below(r, half);
            is_used = false;
            for (size_t j = 0; j < i && !is_used; j++) is_used = pairs[2 * j] == pairs[2 * i];
        }
        pairs[2 * i + 1] = first + (int32_t)(half + inn_below(r, n_ids - half));
    }
    memcpy(again, pairs, 2 * n * sizeof *out);
    for (size_t i = n; i > 1; i--) {
        const size_t j = inn_below(r, (uint32_t)i);
        const int32_t key = again[2 * i - 2], value = again[2 * i - 1];
        again[2 * i - 2] = again[2 * j];
        again[2 * i - 1] = again[2 * j + 1];
        again[2 * j] = key;
        again[2 * j + 1] = value;
    }
}
