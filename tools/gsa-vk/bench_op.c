/* The recurrence of one layer alone. */
#include "bench.h"

int bench_op(bench *b)
{
    const bench_options *o = b->options;
    for (size_t i = 0; i < o->op_tokens.n; i++) {
        bench_row *r = bench_new_row(b, "gsa", "us");
        const gsa_recurrence what = {sizeof what, (uint32_t)o->shape.at[0], (uint32_t)o->shape.at[1],
            (uint32_t)o->shape.at[2], (uint32_t)o->shape.at[3], (uint32_t)o->shape.at[4], (uint32_t)o->op_tokens.at[i]};
        r->tokens = what.T;
        report_progress((double)i / (double)o->op_tokens.n, "gsa alone");
        const int rc =
            bench_ok(gsa_device_recurrence_time(b->a->device, &what, r->values, (uint32_t)o->reps, &r->error));
        if (rc) return rc;
        r->n = o->reps;
    }
    return 0;
}
