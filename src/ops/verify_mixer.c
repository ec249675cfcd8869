#include "ops/verify_mixer.h"

#include "model/state.h"
#include "ops/mixer.h"
#include "ref/ref.h"
#include "util/half.h"
#include "util/status.h"

#include <math.h>
#include <string.h>

static bool is_class(uint32_t rows, gsai_row_class class, bool singly)
{
    return singly ? class == GSAI_ROWS_ONE : gsai_row_class_of(rows) == class;
}

gsai_check_works gsai_check_cut(gsai_check *c, const gsai_check_span *spans, uint32_t n_spans, bool singly)
{
    static const gsai_row_class order[] = {GSAI_ROWS_MANY, GSAI_ROWS_FEW, GSAI_ROWS_ONE};
    const uint32_t step = singly ? 1 : GSA_CHUNK;
    gsai_check_works works = {0};
    uint32_t max_words = 0, n_words = 5; /* a base that is not zero */

    for (uint32_t i = 0; i < n_spans; i++) max_words += 4 + 4 * (spans[i].n_rows / step + 1);
    max_words = n_words + 3 * (max_words + 8);
    uint32_t *words = (uint32_t *)gsai_check_alloc(c, max_words);
    if (!words) return works;

    for (uint32_t o = 0; o < 3; o++) {
        gsai_work w = {.rows = order[o], .spans = n_words};

        /* spans that have chunks of this class, then their chunks */
        for (uint32_t i = 0; i < n_spans; i++) {
            uint32_t n_here = 0;
            for (uint32_t t = 0; t < spans[i].n_rows; t += step) {
                const uint32_t left = spans[i].n_rows - t, rows = left < step ? left : step;
                n_here += is_class(rows, w.rows, singly);
            }
            if (n_here == 0) continue;
            memcpy(words + n_words, (uint32_t[]){spans[i].slot, w.n_chunks, n_here, 0}, 16);
            n_words += 4;
            w.n_chunks += n_here;
            w.n_spans++;
        }
        if (w.n_spans == 0) continue;
        memcpy(words + n_words, (uint32_t[]){0, w.n_chunks++, 0, 0}, 16);
        n_words += 4;
        w.chunks = n_words;
        for (uint32_t i = 0, span = 0; i < n_spans; i++) {
            bool any = false;
            for (uint32_t t = 0; t < spans[i].n_rows; t += step) {
                const uint32_t left = spans[i].n_rows - t, rows = left < step ? left : step;
                if (!is_class(rows, w.rows, singly)) continue;
                memcpy(words + n_words, (uint32_t[]){spans[i].first_row + t, rows, spans[i].slot, span}, 16);
                n_words += 4;
                w.n_rows += rows;
                any = true;
            }
            span += any;
        }
        memcpy(words + n_words, (uint32_t[]){0, 0, 0, w.n_spans++}, 16);
        n_words += 4;
        works.work[works.n++] = w;
    }

    const gsai_table table = gsai_check_table(c, words, n_words);
    for (uint32_t i = 0; i < works.n; i++) {
        works.work[i].range = table.range;
        works.work[i].spans += table.base;
        works.work[i].chunks += table.base;
    }
    return works;
}

static float make_gate(gsai_check *c, gsai_check_gates gates, float random)
{
    const float usual = -log1pf(expf(-3 * random)) / 8;

    switch (gates) {
    case GSAI_GATES_MIXED:
        return gsai_check_random_u32(c) % 4 == 0 ? -50 : usual;
    case GSAI_GATES_KEEP:
        return -1e-6f * (1 + random / 2);
    case GSAI_GATES_FORGET:
        return -60 + 40 * random;
    default:
        return usual;
    }
}

/* States of all slots become what the device can hold. */
static void round_states(const gsai_check_mixer *m, float *state)
{
    for (uint32_t slot = 0; slot < m->n_slots; slot++) gsai_state_round(&m->config, state + slot * m->at.n_floats);
}

static bool ends_in_half(const char *op)
{
    const size_t n = strlen(op);
    return n > 5 && strcmp(op + n - 5, "_half") == 0;
}

bool gsai_check_mixer_make(gsai_check *c, const gsai_config *config, uint32_t n_sessions, uint32_t T, uint32_t less,
    gsai_check_gates gates, gsai_check_mixer *out)
{
    gsai_check_mixer m = {.config = *config, .at = gsai_config_layer_state(config, 0), .n_spans = n_sessions};
    const uint32_t H = config->H, G = config->G, K = config->K, V = config->V, M = config->M;

    m.config.half_state = ends_in_half(gsai_check_op(c));
    m.n_slots = n_sessions + 2;
    m.columns = (gsai_qkvf){.q = 0, .k = H * K, .v = (H + G) * K, .g = (H + G) * K + G * V};
    m.columns.s = m.columns.g + G * M;
    m.columns.width = m.columns.s + G * M;
    m.spans = (gsai_check_span *)gsai_check_alloc(c, 3ull * n_sessions);
    if (!m.spans) return false;
    for (uint32_t i = 0; i < n_sessions; i++) {
        const uint32_t rows = T > i * less ? T - i * less : 1;
        m.spans[i] = (gsai_check_span){(i * 2 + 1) % (n_sessions | 1), m.T, rows};
        m.T += rows;
    }

    m.x = gsai_check_random(c, (uint64_t)m.T * m.columns.width, 1, false);
    m.state = gsai_check_random(c, m.n_slots * m.at.n_floats, 1, false);
    if (!m.x || !m.state) return false;
    round_states(&m, m.state);
    for (uint32_t t = 0; t < m.T; t++) {
        float *row = m.x + (uint64_t)t * m.columns.width;
        for (uint32_t i = 0; i < H * K; i++) row[i] *= 3 / sqrtf((float)K);
        for (uint32_t i = 0; i < G * M; i++) {
            row[m.columns.g + i] = make_gate(c, gates, row[m.columns.g + i]);
            row[m.columns.s + i] = -expm1f(row[m.columns.g + i]);
        }
    }
    *out = m;
    return true;
}

/* Rows first .. first + n of a session, one chunk. */
static gsa_status reference_chunk(
    gsai_check *c, const gsai_check_mixer *m, uint32_t first, uint32_t n, float *slot, float *o)
{
    const gsai_config *f = &m->config;
    const gsai_qkvf *at = &m->columns;
    const uint64_t width = at->width;
    const gsa_allocator allocator = gsai_check_device(c)->allocator;
    const float *x = m->x + first * width;
    const gsai_ref_gsa_args args = {
        .q = x + at->q,
        .k = x + at->k,
        .v = x + at->v,
        .s = x + at->s,
        .g = x + at->g,
        .q_stride = width,
        .k_stride = width,
        .v_stride = width,
        .s_stride = width,
        .g_stride = width,
        .hk = slot + m->at.hk,
        .hv = slot + m->at.hv,
        .o = o + (uint64_t)first * f->H * f->V,
        .T = n,
        .H = f->H,
        .G = f->G,
        .K = f->K,
        .V = f->V,
        .M = f->M,
        .scale = f->scale,
    };
    const gsa_status status = gsai_ref_gsa(&args, &allocator);
    gsai_state_round(f, slot);
    return status;
}

float *gsai_check_mixer_reference(gsai_check *c, const gsai_check_mixer *m, float **state)
{
    const uint32_t step = strncmp(gsai_check_op(c), "gsa_step_", 9) == 0 ? 1 : GSA_CHUNK; /* asked row by row */
    float *o = gsai_check_alloc(c, (uint64_t)m->T * m->config.H * m->config.V);
    float *after = gsai_check_alloc(c, m->n_slots * m->at.n_floats);

    if (!o || !after) return NULL;
    memcpy(after, m->state, m->n_slots * m->at.n_floats * sizeof *after);
    for (uint32_t i = 0; i < m->n_spans; i++) {
        const gsai_check_span *s = &m->spans[i];
        for (uint32_t t = 0; t < s->n_rows; t += step) {
            const uint32_t n = s->n_rows - t < step ? s->n_rows - t : step;
            const gsa_status status = reference_chunk(c, m, s->first_row + t, n, after + s->slot * m->at.n_floats, o);
            if (status != GSA_OK) {
                gsai_check_status(c, status);
                return NULL;
            }
        }
    }
    *state = after;
    return o;
}

/* The slots of the sessions against the reference, part by part; the others must be as they were. */
static void compare_states(gsai_check *c, const gsai_check_mixer *m, const float *got, const float *want)
{
    const gsai_config *f = &m->config;
    const uint64_t n_hk = (uint64_t)f->G * f->K * f->M, n_hv = (uint64_t)f->G * f->M * f->V;

    for (uint32_t slot = 0; slot < m->n_slots; slot++) {
        const uint64_t from = slot * m->at.n_floats;
        bool used = false;
        for (uint32_t i = 0; i < m->n_spans; i++) used |= m->spans[i].slot == slot;
        if (used) {
            gsai_check_compare(c, got + from + m->at.hk, want + from + m->at.hk, n_hk);
            gsai_check_compare(c, got + from + m->at.hv, want + from + m->at.hv, n_hv);
        } else if (memcmp(got + from, m->state + from, m->at.n_floats * sizeof *got) != 0) {
            gsai_check_fail(c);
        }
    }
}

/* Rows as a product with maps leaves them: q k v as f16 in the first half of their place, f as it is. */
static float *with_maps(gsai_check *c, const gsai_check_mixer *m)
{
    const uint64_t width = m->columns.width;
    float *x = gsai_check_alloc(c, m->T * width);

    for (uint32_t t = 0; x && t < m->T; t++) {
        float *row = x + t * width;
        memcpy(row, m->x + t * width, width * sizeof *row);
        for (uint32_t i = 0; i < m->columns.g; i++) {
            const uint16_t half = gsai_float_to_f16(m->mapped[t * width + i]);
            memcpy((uint8_t *)row + 2 * i, &half, sizeof half);
        }
    }
    return x;
}

/* The states as the device keeps them, all slots. */
static uint8_t *kept_states(gsai_check *c, const gsai_check_mixer *m)
{
    const uint64_t bytes = gsai_kept_state_bytes(&m->config);
    uint8_t *kept = (uint8_t *)gsai_check_alloc(c, m->n_slots * bytes / 4);

    for (uint32_t slot = 0; kept && slot < m->n_slots; slot++)
        gsai_state_keep(&m->config, m->state + slot * m->at.n_floats, kept + slot * bytes);
    return kept;
}

static float *given_states(gsai_check *c, const gsai_check_mixer *m, const uint8_t *kept)
{
    const uint64_t bytes = gsai_kept_state_bytes(&m->config);
    float *state = gsai_check_alloc(c, m->n_slots * m->at.n_floats);

    for (uint32_t slot = 0; state && kept && slot < m->n_slots; slot++)
        gsai_state_give(&m->config, kept + slot * bytes, state + slot * m->at.n_floats);
    return state;
}

void gsai_check_mixer_run(gsai_check *c, const gsai_check_mixer *m, bool singly, const float *want_o,
    const float *want_state, float *got_o, float *got_state)
{
    const gsai_config *f = &m->config;
    const uint64_t n_state = m->n_slots * m->at.n_floats;
    const uint32_t width = f->H * f->V;
    gsai_qkvf x = m->columns;

    const float *rows = m->mapped ? with_maps(c, m) : m->x;
    if (!rows) return;
    x.rows = gsai_check_rows(c, rows, m->T, x.width, GSAI_CHECK_IN);
    const gsai_rows o = gsai_check_rows(c, NULL, m->T, width, GSAI_CHECK_OUT);
    const uint8_t *kept = kept_states(c, m);
    if (!kept) return;
    const gsai_state state = {
        gsai_check_place(c, kept, m->n_slots * gsai_kept_state_bytes(f), GSAI_CHECK_INOUT), gsai_kept_layer_state(f)};
    gsai_check_works works = gsai_check_cut(c, m->spans, m->n_spans, singly);
    for (uint32_t i = 0; i < works.n; i++) works.work[i].half = strncmp(gsai_check_op(c), "gsa_cm_", 7) == 0;
    gsai_range scratch[GSAI_CHECK_MAX_WORKS] = {0};
    for (uint32_t i = 0; i < works.n; i++) /* no more than is needed: a write beyond it is found */
        scratch[i] = gsai_check_place(c, NULL, gsai_gsa_work_floats(f, &works.work[i]) * 4, GSAI_CHECK_OUT);

    gsai_recorder *r = gsai_check_begin(c);
    if (!r) return;
    for (uint32_t i = 0; i < works.n; i++) gsai_op_gsa(r, f, o, &x, &state, &works.work[i], scratch[i], m->projections);
    if (gsai_check_end(c) != GSA_OK) return;

    const float *data = gsai_check_data(c, o.range);
    const float *after = given_states(c, m, gsai_check_data(c, state.range));
    if (!data || !after) return;
    if (want_o) gsai_check_compare_rows(c, o, want_o, m->T, width);
    if (want_state) compare_states(c, m, after, want_state);
    if (got_o)
        for (uint32_t t = 0; t < m->T; t++)
            memcpy(got_o + (uint64_t)t * width, data + o.offset + (uint64_t)t * o.stride, width * sizeof *got_o);
    if (got_state) memcpy(got_state, after, n_state * sizeof *got_state);
}
