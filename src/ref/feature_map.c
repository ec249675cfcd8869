#include "ref/ref.h"

#include "ref/act.h"
#include "util/status.h"

#include <string.h>

/* x[K] <- max(0, W x) */
static void t2r_head(float *x, const float *w, size_t K)
{
    float y[GSAI_REF_MAX_T2R];

    for (size_t i = 0; i < K; i++, w += K) {
        double sum = 0;
        for (size_t j = 0; j < K; j++) sum += (double)w[j] * x[j];
        y[i] = sum > 0 ? (float)sum : 0;
    }
    memcpy(x, y, K * sizeof *x);
}

gsa_status gsai_ref_feature_map(
    float *x, size_t stride, size_t T, size_t n, size_t K, gsai_feature_map map, const float *t2r)
{
    if (map == GSAI_FEATURE_T2R && K > GSAI_REF_MAX_T2R)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "t2r feature map with key dimension %zu: the CPU does at most %d", K,
            GSAI_REF_MAX_T2R);

    for (size_t t = 0; t < T; t++, x += stride) {
        if (map == GSAI_FEATURE_SWISH)
            for (size_t i = 0; i < n * K; i++) x[i] = (float)gsai_ref_act_silu(x[i]);
        else if (map == GSAI_FEATURE_RELU)
            for (size_t i = 0; i < n * K; i++) x[i] = x[i] > 0 ? x[i] : 0;
        else
            for (size_t h = 0; h < n; h++) t2r_head(x + h * K, t2r, K);
    }
    return GSA_OK;
}
