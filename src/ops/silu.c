#include "ops/op_util.h"

void gsai_op_silu(gsai_recorder *r, gsai_rows y, gsai_rows x, uint32_t T, uint32_t D)
{
    if (T == 0 || D == 0) return;
    if (!gsai_op_check_rows(r, "silu", "x", &x, T, D) || !gsai_op_check_rows(r, "silu", "y", &y, T, D)) return;
    gsai_op_elementwise(r, "silu", (struct gsa_elementwise_push){T, D, x.offset, x.stride, y.offset, y.stride, 0},
        GSAI_BIND(x.range, GSAI_READ), GSAI_BIND(y.range, GSAI_WRITE), 2, 10);
}
