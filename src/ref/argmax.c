#include "ref/ref.h"

int32_t gsai_ref_argmax(const float *x, size_t n)
{
    size_t best = 0;

    while (best < n && x[best] != x[best]) best++; /* NaN */
    if (best == n) return n == 0 ? -1 : 0;
    for (size_t i = best + 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}
