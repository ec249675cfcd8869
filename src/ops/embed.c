#include "ops/op_util.h"

#include "util/status.h"

static const char *const op_of_type[GSAI_N_TYPES] = {
    "embed_f32", "embed_f16", "embed_bf16", "embed_q8_0", "embed_q4_0", "embed_q4_k", "embed_q6_k"};

/* The ids lie on the device, so each part of the matrix is asked for each token and answers for the rows it has. */
void gsai_op_embed(gsai_recorder *r, gsai_rows x, const gsai_matrix *embed, gsai_table ids, uint32_t T)
{
    if (T == 0 || !gsai_op_check_rows(r, "embed", "x", &x, T, embed->n_cols)) return;
    if (!gsai_op_check_words(r, "embed", "ids", &ids.range, ids.base, T)) return;

    for (uint32_t i = 0; i < embed->n_parts; i++) {
        const gsai_matrix_part *part = &embed->parts[i];
        if (!gsai_op_check_part(r, "embed", embed, part)) return;
        const gsai_variant *v = gsai_op_variant(r, op_of_type[part->type]);
        if (!v) return;
        gsai_call call = {.label = "embed", .n_bind = 3, .pipeline = gsai_op_pipeline(r, v, NULL, 0, 0)};
        if (!call.pipeline) return;

        const uint64_t row_bytes = gsai_matrix_row_bytes(part->type, embed->n_cols);
        const struct gsa_embed_push push = {
            .n_tokens = T,
            .width = embed->n_cols,
            .ids = ids.base,
            .first_row = part->first_row,
            .n_rows = part->n_rows,
            .row_words = (uint32_t)(row_bytes / 4),
            .x_offset = x.offset,
            .x_stride = x.stride,
        };
        if (!gsai_op_grid(r, ((embed->n_cols + 3ull) / 4 * T + 127) / 128, 128, call.groups)) return;
        call.push = &push;
        call.push_bytes = sizeof push;
        call.bind[0] = GSAI_BIND(part->range, GSAI_READ);
        call.bind[1] = GSAI_BIND(ids.range, GSAI_READ);
        call.bind[2] = GSAI_BIND(x.range, GSAI_WRITE);
        call.bytes = T * (row_bytes + embed->n_cols * 4ull);
        gsai_recorder_call(r, &call);
    }
}
