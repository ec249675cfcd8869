#include "ops/op_util.h"

#include "ops/mixer.h"
#include "util/status.h"

#define MAX_T2R  GSA_T2R_FLOATS
#define MAX_TILE 8u /* heads of a workgroup of t2r.comp */

/* q and k of each row by W; true when recorded */
static bool record_t2r(
    gsai_recorder *r, const gsai_config *c, struct gsa_feature_map_push push, gsai_range x, gsai_vector t2r)
{
    const uint32_t heads = c->H + c->G;

    if (c->K > MAX_T2R) {
        gsai_recorder_fail(r,
            gsai_fail(GSA_ERROR_UNSUPPORTED, "feature map t2r with a key dimension of %lu: devices here do at most %u",
                (unsigned long)c->K, MAX_T2R));
        return false;
    }
    if (!gsai_op_check_words(r, "feature_map", "t2r weights", &t2r, 0, (uint64_t)c->K * c->K)) return false;

    const gsai_variant *v = gsai_op_variant(r, "t2r");
    if (!v) return false;
    uint32_t tile = MAX_T2R / c->K < MAX_TILE ? MAX_T2R / c->K : MAX_TILE;
    if (tile > heads) tile = heads;

    push.n_q = c->H;
    push.n_k = c->G;
    push.n_v = 0;
    push.K = c->K;
    gsai_call call = {.label = "t2r", .pipeline = gsai_op_pipeline(r, v, &tile, 1, 0), .n_bind = 2};
    if (!call.pipeline) return false;
    call.push = &push;
    call.push_bytes = sizeof push;
    call.bind[0] = GSAI_BIND(t2r, GSAI_READ);
    call.bind[1] = GSAI_BIND(x, GSAI_READ_WRITE);
    call.groups[0] = (heads + tile - 1) / tile;
    call.groups[1] = gsai_mixer_row_groups(push.n_rows);
    call.groups[2] = 1;
    call.bytes = (uint64_t)push.n_rows * (heads * c->K * 8ull + (heads + tile - 1) / tile * 4ull * c->K * c->K);
    call.flops = 2ull * push.n_rows * heads * c->K * c->K;
    gsai_recorder_call(r, &call);
    return true;
}

void gsai_op_feature_map(gsai_recorder *r, const gsai_config *c, const gsai_qkvf *x, gsai_vector t2r, uint32_t T)
{
    struct gsa_feature_map_push push = {
        .x_offset = x->rows.offset,
        .x_stride = x->rows.stride,
        .q = x->q,
        .k = x->k,
        .v = x->v,
        .n_q = c->H * c->K,
        .n_k = c->G * c->K,
        .n_v = c->G * c->V,
        .n_rows = T,
        .map = c->feature_map == GSAI_FEATURE_RELU ? GSA_MAP_RELU : GSA_MAP_SILU,
    };

    if (T == 0 || !gsai_op_check_rows(r, "feature_map", "x", &x->rows, T, x->width)) return;
    if (c->feature_map == GSAI_FEATURE_T2R) {
        if (!record_t2r(r, c, push, x->rows.range, t2r)) return;
        push.n_q = push.n_k = 0;
    }

    const gsai_variant *v = gsai_op_variant(r, "feature_map");
    if (!v) return;
    const uint32_t n = push.n_q + push.n_k + push.n_v;
    gsai_call call = {.label = "feature_map", .pipeline = gsai_op_pipeline(r, v, NULL, 0, 0), .n_bind = 1};
    if (!call.pipeline) return;
    call.push = &push;
    call.push_bytes = sizeof push;
    call.bind[0] = GSAI_BIND(x->rows.range, GSAI_READ_WRITE);
    call.groups[0] = (n + GSA_MIXER_GROUP - 1) / GSA_MIXER_GROUP;
    call.groups[1] = gsai_mixer_row_groups(T);
    call.groups[2] = 1;
    call.bytes = (uint64_t)T * n * 8;
    call.flops = (uint64_t)T * n * 20;
    gsai_recorder_call(r, &call);
}
