#include "ops/op_util.h"

void gsai_op_add(gsai_recorder *r, gsai_rows x, gsai_rows y, uint32_t T, uint32_t D)
{
    if (T == 0 || D == 0) return;
    if (!gsai_op_check_rows(r, "add", "x", &x, T, D) || !gsai_op_check_rows(r, "add", "y", &y, T, D)) return;
    gsai_op_elementwise(r, "add", (struct gsa_elementwise_push){T, D, x.offset, x.stride, y.offset, y.stride, 0},
        GSAI_BIND(y.range, GSAI_READ), GSAI_BIND(x.range, GSAI_READ_WRITE), 3, 1);
}
