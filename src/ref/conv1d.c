#include "ref/ref.h"

#include "ref/act.h"

#include <string.h>

void gsai_ref_conv1d(float *x, size_t stride, const float *w, float *state, size_t T, size_t N, size_t W)
{
    for (size_t t = 0; t < T; t++, x += stride) {
        for (size_t n = 0; n < N; n++) {
            const float *taps = w + n * W;
            float *last = state + n * W; /* the last W inputs of this channel */
            double sum = 0;

            memmove(last, last + 1, (W - 1) * sizeof *last);
            last[W - 1] = x[n];
            for (size_t j = 0; j < W; j++) sum += (double)taps[j] * last[j];
            x[n] = (float)gsai_ref_act_silu(sum);
        }
    }
}
