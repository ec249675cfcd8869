/* The forward pass, in the order of MODEL.md. */
#include "model/forward.h"

static void mixer(gsai_recorder *r, const gsai_config *c, const gsai_layer_weights *w, const gsai_scratch *s,
    const gsai_state *state, const gsai_pass *p)
{
    gsai_work with_type = p->work;
    with_type.half = gsai_matmul_input(r, &w->qkvf, p->work.rows, s->h).half;
    const gsai_work *work = &with_type;
    const uint32_t T = work->n_rows;
    const gsai_qkvf *projected = c->W ? &s->raw : &s->qkvf;
    const bool whole = gsai_gsa_takes_projections(r, c, work); /* gates and silu happen inside the op */
    const gsai_maps maps = {.n_half = c->H * c->K + c->G * (c->K + c->V),
        .n_relu = c->feature_map == GSAI_FEATURE_RELU ? (c->H + c->G) * c->K : 0};
    const gsai_norm_matmul_args qkvf = {.y = projected->rows,
        .x = s->x,
        .norm = w->attn_norm,
        .eps = c->norm_eps,
        .w = &w->qkvf,
        .T = T,
        .rows = p->product_class,
        .maps = whole && work->rows == GSAI_ROWS_MANY ? &maps : NULL,
        .h = s->h,
        .half = s->h.range,
        .label = "matmul qkvf"};
    const gsai_norm_matmul_args output = {.y = s->x,
        .x = s->o,
        .norm = w->g_norm,
        .eps = c->g_norm_eps,
        .w = &w->o,
        .T = T,
        .rows = p->product_class,
        .accumulate = true,
        .pre_silu = !whole,
        .h = s->o,
        .half = s->h.range,
        .label = "matmul o"};

    const gsai_step_args step = {c, &qkvf, &s->qkvf, s->o, state, work, s->gsa};
    if (gsai_rows_are_single(p->product_class) && gsai_op_gsa_whole_step(r, &step)) {
        gsai_op_norm_matmul(r, &output);
        return;
    }
    gsai_op_norm_matmul(r, &qkvf);
    if (c->W) gsai_op_conv1d(r, c, &s->qkvf, &s->raw, w->conv_taps, state, work);
    if (!whole) {
        gsai_op_feature_map(r, c, &s->qkvf, w->t2r, T);
        gsai_op_gate(r, c, &s->qkvf, projected, T);
    }
    gsai_op_gsa(r, c, s->o, &s->qkvf, state, work, s->gsa, whole);
    gsai_op_norm_matmul(r, &output);
}

static void feed_forward(
    gsai_recorder *r, const gsai_config *c, const gsai_layer_weights *w, const gsai_scratch *s, const gsai_pass *p)
{
    const uint32_t T = p->work.n_rows;
    gsai_norm_matmul_args gate_up = {.y = s->act,
        .x = s->x,
        .norm = w->ffn_norm,
        .eps = c->norm_eps,
        .w = &w->gate_up,
        .T = T,
        .rows = p->product_class,
        .swiglu = true,
        .act = c->ffn_act,
        .h = s->h,
        .half = s->h.range,
        .product = s->gate_up,
        .label = "matmul gate_up"};

    gate_up.y = gsai_swiglu_rows(r, &gate_up, &w->down);
    gsai_op_norm_matmul(r, &gate_up);
    gsai_op_matmul(r, s->x, gate_up.y, &w->down, T, p->product_class, true, "matmul down");
}

/* Rows of x, as a table tells them, one after another. */
static void gather(
    gsai_recorder *r, gsai_rows to, gsai_rows x, const gsai_table *rows, uint32_t n, const gsai_pass *p, uint32_t width)
{
    gsai_matrix_part part = {.type = GSAI_F32, .n_rows = p->work.n_rows, .range = x.range};
    gsai_op_embed(r, to, &(gsai_matrix){p->work.n_rows, width, 1, &part}, *rows, n);
}

/* The layers' dispatch has computed the one row's logits. */
static bool head_is_resident(const gsai_pass *p)
{
    return p->resident && p->resident->shape->head && p->n_wanted && p->wanted_class == GSAI_ROWS_ONE;
}

/* Logits of n wanted rows from the first on. Their class alone decides how they are computed, not which rows of the pass
 * they are. */
static void head(gsai_recorder *r, const gsai_config *c, const gsai_weights *w, const gsai_scratch *s,
    const gsai_pass *p, uint32_t first, uint32_t n)
{
    const gsai_table rows = {p->wanted.range, p->wanted.base + first};
    gsai_norm_matmul_args one = {.y = s->logits,
        .x = s->x,
        .norm = w->out_norm,
        .eps = c->norm_eps,
        .w = &w->head,
        .T = n,
        .rows = p->wanted_class,
        .label = "matmul head"};

    if (head_is_resident(p)) return;
    if (gsai_norm_matmul_fuses(r, &one)) {
        if (n < p->work.n_rows) { /* else all of them, in order */
            gather(r, s->wanted, s->x, &rows, n, p, c->D);
            one.x = s->wanted;
        }
        gsai_op_norm_matmul(r, &one);
        return;
    }
    const gsai_rows wanted = gsai_matmul_input(r, &w->head, p->wanted_class, s->wanted);
    gsai_op_rmsnorm(
        r, &(gsai_rmsnorm_args){
               .x = s->x, .y = wanted, .w = w->out_norm, .rows = &rows, .T = n, .D = c->D, .eps = c->norm_eps});
    gsai_op_matmul(r, s->logits, wanted, &w->head, n, p->wanted_class, false, "matmul head");
}

/* As many wanted rows at a time as one binding holds, their logits chosen from and copied out. */
static void logits(gsai_recorder *r, const gsai_config *c, const gsai_weights *w, const gsai_scratch *s,
    const gsai_pass *p, gsai_range tokens)
{
    for (uint32_t first = 0; first < p->n_wanted; first += s->max_wanted_at_once) {
        const uint32_t n = p->n_wanted - first < s->max_wanted_at_once ? p->n_wanted - first : s->max_wanted_at_once;
        head(r, c, w, s, p, first, n);
        if (p->copy_logits) {
            const uint64_t row_bytes = c->n_vocab * 4ull;
            for (uint32_t i = 0; i < n; i++)
                gsai_recorder_copy(r, s->logits.range, (s->logits.offset + (uint64_t)i * s->logits.stride) * 4,
                    p->readback, p->logits_at + (first + i) * row_bytes, row_bytes);
        }
        if (p->choose == GSAI_CHOOSE_ARGMAX) gsai_op_argmax(r, tokens, s->logits, n, c->n_vocab);
        if (p->choose == GSAI_CHOOSE_SAMPLE) {
            const gsai_table params = {p->sample_params.range, p->sample_params.base + first * GSA_SAMPLE_STRIDE};
            gsai_op_sample(r, tokens, s->logits, params, n, c->n_vocab);
        }
        if (p->choose != GSAI_CHOOSE_NOTHING && p->repeat == 1)
            gsai_recorder_copy(r, tokens, 0, p->readback, p->tokens_at + first * 4ull, n * 4ull);
    }
}

/* Nothing is told yet; that a wait was given up stays true for passes that go on from a kept state. */
static void begin_resident(gsai_recorder *r, const gsai_config *c, const gsai_pass *p)
{
    const uint64_t first = p->kept ? GSAI_RESIDENT_LINE_BYTES : 0;
    gsai_range post = p->resident->post;
    post.offset += first;
    post.size = GSAI_RESIDENT_LINE_BYTES - first + gsai_resident_set_words(c, p->resident->shape->lanes) * 4;
    gsai_recorder_fill_zero(r, post);
    if (!p->kept) gsai_op_resident_keep(r, p->resident, p->spare);
}

static void layers(gsai_recorder *r, const gsai_config *c, const gsai_weights *w, const gsai_scratch *s,
    const gsai_pass *p, uint32_t run)
{
    if (p->resident) {
        gsai_resident_args args = *p->resident;
        args.run = run;
        if (head_is_resident(p)) args.logits = s->logits;
        gsai_op_resident(r, &args);
        return;
    }
    for (uint32_t i = 0; i < c->n_layers; i++) {
        mixer(r, c, &w->layers[i], s, &p->states[i], p);
        feed_forward(r, c, &w->layers[i], s, p);
    }
}

void gsai_forward(
    gsai_recorder *r, const gsai_config *c, const gsai_weights *w, const gsai_scratch *s, const gsai_pass *p)
{
    const gsai_table chosen = {{s->tokens.buffer, s->tokens.offset, p->tokens_stride}, 0};
    gsai_table ids = p->chained ? chosen : p->ids;
    if (!p->chained) gsai_recorder_copy(r, p->staging, 0, s->work, 0, p->staging_bytes);
    if (p->resident) begin_resident(r, c, p);
    for (uint32_t run = 0; run < p->repeat; run++) {
        gsai_range tokens = chosen.range;
        tokens.offset += (p->repeat - 1 - run) * p->tokens_stride;
        gsai_op_embed(r, s->x, &w->embed, ids, p->work.n_rows);
        layers(r, c, w, s, p, run);
        logits(r, c, w, s, p, tokens);
        if (p->advance) gsai_op_advance(r, p->sample_params, p->work.chunks, tokens, p->n_wanted);
        ids = (gsai_table){tokens, 0};
    }
    if (p->repeat > 1) gsai_recorder_copy(r, s->tokens, 0, p->readback, p->tokens_at, p->repeat * p->tokens_stride);
    if (p->resident) gsai_recorder_copy(r, p->resident->post, 0, p->readback, p->given_up_at, 4);
    gsai_recorder_to_host(r);
}
