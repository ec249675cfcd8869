#include "ref/ref.h"

enum {
    BLOCK = 64,   /* tokens that share one conversion of a weight row */
    CHUNK = 1024, /* columns converted at a time, a multiple of LANES */
    LANES = 8,    /* independent sums: enough to hide the latency of an addition */
};

/* acc[c % LANES] += a[c] * b[c]. A product of two floats is exact in double, so each term is rounded once, in this
 * order, on every machine, with or without fused multiply-add. */
static void dot(double *restrict acc, const float *restrict a, const float *restrict b, size_t n)
{
    double sum[LANES];
    size_t c = 0;

    for (size_t j = 0; j < LANES; j++) sum[j] = acc[j];
    for (; c + LANES <= n; c += LANES)
        for (size_t j = 0; j < LANES; j++) sum[j] += (double)a[c + j] * (double)b[c + j];
    for (size_t j = 0; c + j < n; j++) sum[j] += (double)a[c + j] * (double)b[c + j];
    for (size_t j = 0; j < LANES; j++) acc[j] = sum[j];
}

static double total(const double *acc)
{
    return ((acc[0] + acc[4]) + (acc[1] + acc[5])) + ((acc[2] + acc[6]) + (acc[3] + acc[7]));
}

gsa_status gsai_ref_matmul(float *y, size_t y_stride, const float *x, size_t x_stride, const gsai_tensor *w, size_t T)
{
    const uint64_t N = gsai_tensor_rows(w), C = gsai_tensor_columns(w);
    float row[CHUNK];
    double acc[BLOCK][LANES];

    for (size_t t0 = 0; t0 < T; t0 += BLOCK) {
        const size_t n_tokens = T - t0 < BLOCK ? T - t0 : BLOCK;
        for (uint64_t n = 0; n < N; n++) {
            for (size_t t = 0; t < n_tokens; t++)
                for (size_t j = 0; j < LANES; j++) acc[t][j] = 0;
            for (uint64_t c = 0; c < C; c += CHUNK) {
                const uint64_t n_columns = C - c < CHUNK ? C - c : CHUNK;
                gsa_status status = gsai_tensor_read_floats(w, n * C + c, n_columns, row);
                if (status != GSA_OK) return status;
                for (size_t t = 0; t < n_tokens; t++) dot(acc[t], row, x + (t0 + t) * x_stride + c, n_columns);
            }
            for (size_t t = 0; t < n_tokens; t++) y[(t0 + t) * y_stride + n] = (float)total(acc[t]);
        }
    }
    return GSA_OK;
}
