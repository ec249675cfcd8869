#include "ref/ref.h"

#include "ref/act.h"

void gsai_ref_silu(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = (float)gsai_ref_act_silu(x[i]);
}
