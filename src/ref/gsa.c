#include "ref/ref.h"

#include "util/alloc.h"
#include "util/status.h"

#include <math.h>

/* In place: scores of the slots to weights that sum to one. */
static void softmax(double *p, size_t M)
{
    double largest = p[0], sum = 0;

    for (size_t m = 1; m < M; m++)
        if (p[m] > largest) largest = p[m];
    for (size_t m = 0; m < M; m++) sum += p[m] = exp(p[m] - largest);
    for (size_t m = 0; m < M; m++) p[m] /= sum;
}

/* One row of a state matrix: row <- decay * row + written, rounded to float as it is stored, so that a sequence gives
 * the same bits however it is split into calls. */
static void write_slots(float *restrict row, const double *restrict decay, const float *restrict s, double k, size_t M)
{
    for (size_t m = 0; m < M; m++) row[m] = (float)(decay[m] * row[m] + s[m] * k);
}

static void write_value(float *restrict row, double decay, double s, const float *restrict v, size_t V)
{
    for (size_t i = 0; i < V; i++) row[i] = (float)(decay * row[i] + s * v[i]);
}

static void add_scaled(double *restrict sum, double x, const float *restrict row, size_t n)
{
    for (size_t i = 0; i < n; i++) sum[i] += x * row[i];
}

gsa_status gsai_ref_gsa(const gsai_ref_gsa_args *a, const gsa_allocator *allocator)
{
    const size_t H = a->H, G = a->G, K = a->K, V = a->V, M = a->M, R = H / G; /* R query heads read one state */
    double *const scratch = gsai_alloc_array(allocator, M + R * (M + V), sizeof *scratch);
    double *const decay = scratch; /* [M] */
    double *const p = decay + M;   /* [R,M] */
    double *const o = p + R * M;   /* [R,V] */

    if (!scratch) return gsai_fail(GSA_ERROR_HOST_MEMORY, "no memory for the slots of one head (%zu)", M);

    for (size_t t = 0; t < a->T; t++) {
        for (size_t j = 0; j < G; j++) {
            const float *q = a->q + t * a->q_stride + j * R * K, *k = a->k + t * a->k_stride + j * K;
            const float *v = a->v + t * a->v_stride + j * V;
            const float *s = a->s + t * a->s_stride + j * M, *g = a->g + t * a->g_stride + j * M;
            float *hk = a->hk + j * K * M, *hv = a->hv + j * M * V;
            const size_t row = t * H + j * R; /* of the outputs: the first query head of this kv head */

            for (size_t m = 0; m < M; m++) decay[m] = exp(g[m]);
            for (size_t i = 0; i < R * (M + V); i++) p[i] = 0; /* and o */

            /* pass 1: write the key into the slots, then ask each slot how well the query fits */
            for (size_t i = 0; i < K; i++) {
                write_slots(hk + i * M, decay, s, k[i], M);
                for (size_t r = 0; r < R; r++) add_scaled(p + r * M, (double)a->scale * q[r * K + i], hk + i * M, M);
            }
            if (a->ok)
                for (size_t i = 0; i < R * M; i++) a->ok[row * M + i] = (float)p[i];
            for (size_t r = 0; r < R; r++) softmax(p + r * M, M);

            /* pass 2: write the value into the slots, then read the mixture of slots */
            for (size_t m = 0; m < M; m++) {
                write_value(hv + m * V, decay[m], s[m], v, V);
                for (size_t r = 0; r < R; r++) add_scaled(o + r * V, p[r * M + m], hv + m * V, V);
            }
            for (size_t i = 0; i < R * V; i++) a->o[row * V + i] = (float)o[i];
        }
    }
    gsai_free(allocator, scratch);
    return GSA_OK;
}
