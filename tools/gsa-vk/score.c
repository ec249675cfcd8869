#include "score.h"

#include <math.h>

score_row score_row_of(const float *logits, size_t n)
{
    score_row row = {0, 0};
    double sum = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[row.best]) row.best = i;
    const float most = logits[row.best];
    for (size_t i = 0; i < n; i++) sum += (double)expf(logits[i] - most);
    row.log_sum = (double)most + log(sum);
    return row;
}

/* sum p (log p - log q), with log p = a - A and log q = b - B: the mean of a - b under p, less A - B. */
double score_kl(
    const float *reference, const score_row *of_reference, const float *model, const score_row *of_model, size_t n)
{
    const float most = reference[of_reference->best];
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)expf(reference[i] - most) * ((double)reference[i] - (double)model[i]);
    mean *= exp((double)most - of_reference->log_sum);
    return mean - (of_reference->log_sum - of_model->log_sum);
}

void score_add(score_mean *m, double value)
{
    m->n++;
    m->sum += value;
    m->squares += value * value;
    if (m->n == 1 || value > m->most) m->most = value;
}

double score_mean_of(const score_mean *m)
{
    return m->n ? m->sum / (double)m->n : NAN;
}

double score_error_of(const score_mean *m)
{
    if (m->n < 2) return NAN;
    const double n = (double)m->n, variance = (m->squares - m->sum * m->sum / n) / (n - 1);
    return sqrt((variance > 0 ? variance : 0) / n);
}
