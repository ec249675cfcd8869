#include "ref/ref.h"

#include <math.h>

void gsai_ref_rmsnorm(float *y, const float *x, const float *w, size_t T, size_t D, float eps)
{
    for (size_t t = 0; t < T; t++, x += D, y += D) {
        double squares = 0;
        for (size_t d = 0; d < D; d++) squares += (double)x[d] * x[d];

        const double scale = 1 / sqrt(squares / (double)D + eps);
        for (size_t d = 0; d < D; d++) y[d] = (float)(x[d] * scale * (w ? w[d] : 1));
    }
}
