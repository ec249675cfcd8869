#include "ref/ref.h"

#include <math.h>

void gsai_ref_gate(float *g, float *s, const float *f, size_t n, float normalizer)
{
    for (size_t i = 0; i < n; i++) {
        const double x = f[i];
        const double log_sigmoid = (x < 0 ? x : 0) - log1p(exp(-fabs(x)));
        const double decay = log_sigmoid / normalizer;

        g[i] = (float)decay;
        s[i] = (float)-expm1(decay); /* 1 - exp(g) loses its digits when almost nothing is forgotten */
    }
}
