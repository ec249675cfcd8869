#include "ops/op_util.h"

void gsai_op_swiglu(gsai_recorder *r, gsai_rows y, gsai_rows x, uint32_t T, uint32_t F, gsai_ffn_act act)
{
    if (T == 0 || F == 0) return;
    if (!gsai_op_check_rows(r, "swiglu", "x", &x, T, 2 * F) || !gsai_op_check_rows(r, "swiglu", "y", &y, T, F)) return;
    const uint32_t code = act == GSAI_FFN_POWLU ? GSA_ACT_POWLU : GSA_ACT_SWISH;
    gsai_op_elementwise(r, y.half ? "swiglu_half" : "swiglu",
        (struct gsa_elementwise_push){T, F, x.offset, x.stride, y.offset, y.stride, code},
        GSAI_BIND(x.range, GSAI_READ), GSAI_BIND(y.range, GSAI_WRITE), 3, 12);
}
