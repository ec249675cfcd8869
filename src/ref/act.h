/* Activation functions in double, shared by the reference ops. */
#ifndef GSAI_REF_ACT_H
#define GSAI_REF_ACT_H

#include <math.h>

static inline double gsai_ref_act_silu(double x)
{
    return x / (1 + exp(-x));
}

/* x^(3 / (sqrt(x) + 1)) instead of x in front of the sigmoid where x is positive */
static inline double gsai_ref_act_powlu(double x)
{
    return x > 0 ? pow(x, 3 / (sqrt(x) + 1)) / (1 + exp(-x)) : gsai_ref_act_silu(x);
}

#endif
