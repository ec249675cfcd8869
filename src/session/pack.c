#include "session/pack.h"

#include "sample/sampler.h"

#include <string.h>

static uint32_t next_chunk_rows(const gsai_capacity *k, const gsai_span *s, uint32_t done)
{
    const uint32_t left = s->n_tokens - done;
    if (left <= k->singles) return 1;
    return left < GSA_CHUNK ? left : GSA_CHUNK;
}

static bool is_greedy(const gsa_sampler *s)
{
    if (!s) return true;
    const float penalty = s->params.repeat_penalty;
    return s->params.temperature == 0 && (penalty == 0 || penalty == 1);
}

static void fill_sample_params(uint32_t *p, const gsai_span *span)
{
    const gsa_sampler *s = span->want == GSA_WANT_TOKEN ? span->sampler : NULL;
    memset(p, 0, GSA_SAMPLE_STRIDE * sizeof *p);
    const float one = 1;
    memcpy(&p[GSA_SAMPLE_PENALTY], &one, sizeof one);
    p[GSA_SAMPLE_N_STOP] = span->n_stop;
    for (uint32_t i = 0; i < span->n_stop; i++) p[GSA_SAMPLE_STOP + i] = (uint32_t)span->stop_ids[i];
    if (!s) return;
    const gsa_sampler_params *q = &s->params;
    memcpy(&p[GSA_SAMPLE_TEMPERATURE], &q->temperature, 4);
    p[GSA_SAMPLE_TOP_K] = q->top_k;
    memcpy(&p[GSA_SAMPLE_TOP_P], &q->top_p, 4);
    memcpy(&p[GSA_SAMPLE_MIN_P], &q->min_p, 4);
    if (q->repeat_penalty != 0) memcpy(&p[GSA_SAMPLE_PENALTY], &q->repeat_penalty, 4);
    p[GSA_SAMPLE_SEED_LO] = (uint32_t)q->seed;
    p[GSA_SAMPLE_SEED_HI] = (uint32_t)(q->seed >> 32);
    p[GSA_SAMPLE_DRAW_LO] = (uint32_t)s->n_drawn;
    p[GSA_SAMPLE_DRAW_HI] = (uint32_t)(s->n_drawn >> 32);
    const uint32_t n = q->repeat_last_n < s->n_recent ? q->repeat_last_n : s->n_recent;
    p[GSA_SAMPLE_N_RECENT] = n;
    p[GSA_SAMPLE_WINDOW] = q->repeat_last_n;
    for (uint32_t i = 0; i < n; i++)
        p[GSA_SAMPLE_RECENT + i] = (uint32_t)s->recent[(s->next_recent + GSAI_MAX_RECENT - 1 - i) % GSAI_MAX_RECENT];
}

/* Tokens of a span that may join the pass now: whole chunks of the pass's class within the room left. */
static uint32_t take(const gsai_capacity *k, const gsai_span *s, uint32_t done, gsai_row_class rows, uint32_t rows_left,
    uint32_t chunks_left, uint32_t wanted_left)
{
    uint32_t n = 0;
    while (done + n < s->n_tokens && chunks_left > 0) {
        const uint32_t chunk = next_chunk_rows(k, s, done + n);
        if (gsai_row_class_of(chunk) != rows || chunk > rows_left - n) break;
        if (s->want == GSA_WANT_ALL_LOGITS && n + chunk > wanted_left) break;
        if (s->want != GSA_WANT_NOTHING && done + n + chunk == s->n_tokens && wanted_left == 0) break;
        n += chunk;
        chunks_left--;
        if (rows != GSAI_ROWS_MANY) break;
    }
    return n;
}

bool gsai_pack_next(const gsai_capacity *k, const gsai_span *spans, uint32_t n_spans, const uint32_t *done,
    uint32_t row_budget, uint32_t *table, gsai_pack *out)
{
    uint32_t first = 0;
    while (first < n_spans && done[first] >= spans[first].n_tokens) first++;
    if (first == n_spans) return false;

    *out = (gsai_pack){.rows = gsai_row_class_of(next_chunk_rows(k, &spans[first], done[first])),
        .page = spans[first].slot / k->slots_per_page,
        .generate = UINT32_MAX};
    const bool all_logits = spans[first].want == GSA_WANT_ALL_LOGITS;
    out->wanted_class = all_logits ? out->rows : GSAI_ROWS_ONE;
    uint32_t max_rows = out->rows == GSAI_ROWS_MANY  ? k->max_rows
                        : out->rows == GSAI_ROWS_FEW ? GSAI_FEW_MAX
                                                     : k->max_spans;
    if (out->rows == GSAI_ROWS_MANY && row_budget < max_rows)
        max_rows = row_budget < GSA_CHUNK ? GSA_CHUNK : row_budget;
    const uint32_t max_entries = out->rows == GSAI_ROWS_FEW ? 1 : k->max_spans;

    uint32_t row = 0;
    bool choosing = false, drawing = false;
    memset(table + k->ids_at, 0, k->max_rows * sizeof *table); /* rows of padding embed token 0 */
    for (uint32_t i = first; i < n_spans && out->n_entries < max_entries; i++) {
        const gsai_span *s = &spans[i];
        if (done[i] >= s->n_tokens || s->slot / k->slots_per_page != out->page ||
            (s->want == GSA_WANT_ALL_LOGITS) != all_logits)
            continue;
        const uint32_t n = take(
            k, s, done[i], out->rows, max_rows - row, k->max_chunks - out->n_chunks, k->max_wanted - out->n_wanted);
        if (n == 0) continue;

        gsai_pack_entry *e = &out->entries[out->n_entries];
        *e = (gsai_pack_entry){i, done[i], n, out->n_wanted, 0, done[i] + n == s->n_tokens};
        const uint32_t slot = s->slot % k->slots_per_page;
        uint32_t *span = table + k->spans_at + GSA_WORK_STRIDE * out->n_entries;
        span[0] = slot;
        span[1] = out->n_chunks;
        span[3] = 0;
        for (uint32_t t = 0; t < n; t += GSA_CHUNK) {
            uint32_t *chunk = table + k->chunks_at + GSA_WORK_STRIDE * out->n_chunks++;
            chunk[0] = row + t;
            chunk[1] = n - t < GSA_CHUNK ? n - t : GSA_CHUNK;
            chunk[2] = slot;
            chunk[3] = out->n_entries;
        }
        span[2] = out->n_chunks - span[1];
        memcpy(table + k->ids_at + row, s->tokens + done[i], n * sizeof *table);

        uint32_t first_wanted_row = row + n; /* none */
        if (all_logits)
            first_wanted_row = row;
        else if (e->last && s->want != GSA_WANT_NOTHING)
            first_wanted_row = row + n - 1;
        for (uint32_t t = first_wanted_row; t < row + n; t++) {
            fill_sample_params(table + k->sample_at + out->n_wanted * GSA_SAMPLE_STRIDE, s);
            table[k->wanted_at + out->n_wanted++] = t;
            e->n_wanted++;
        }
        if (e->n_wanted && s->want != GSA_WANT_TOKEN) out->copy_logits = true;
        if (e->n_wanted && s->want == GSA_WANT_TOKEN) {
            choosing = true;
            drawing = drawing || !is_greedy(s->sampler);
        }
        if (out->generate > s->n_generate) out->generate = s->n_generate;
        if (s->n_stop > 0 || !is_greedy(s->sampler)) out->advance = true;
        row += n;
        out->n_entries++;
    }
    out->choose = !choosing ? GSAI_CHOOSE_NOTHING : drawing ? GSAI_CHOOSE_SAMPLE : GSAI_CHOOSE_ARGMAX;
    if (out->rows != GSAI_ROWS_ONE || out->n_wanted != out->n_entries || out->copy_logits ||
        out->n_wanted > k->wanted_at_once || out->generate == 0)
        out->generate = 1;
    out->advance = out->advance && out->generate > 1;
    out->n_rows = row;
    if (out->rows == GSAI_ROWS_MANY)
        out->n_rows = row <= k->least_rows ? k->least_rows : (uint32_t)gsai_round_up(row, k->row_step);
    return true;
}
