#include "ref/ref.h"

#include "ref/act.h"

void gsai_ref_swiglu(float *y, const float *gate_up, size_t T, size_t F, gsai_ffn_act act)
{
    for (size_t t = 0; t < T; t++) {
        const float *gate = gate_up + t * 2 * F, *up = gate + F;
        for (size_t i = 0; i < F; i++) {
            const double x = act == GSAI_FFN_POWLU ? gsai_ref_act_powlu(gate[i]) : gsai_ref_act_silu(gate[i]);
            y[t * F + i] = (float)(x * up[i]);
        }
    }
}
