/* A step: items of sessions, turned into spans for the engine. */
#ifndef GSAI_STEP_H
#define GSAI_STEP_H

#include "session/session.h"

struct gsa_step {
    gsa_model *model;
    gsa_step_item *items; /* the caller's */
    gsai_span *spans;     /* [n_items] */
    uint32_t n_items;
    gsai_job *job;
};

gsa_status gsai_step_submit(gsa_model *m, gsa_step_item *items, uint32_t n_items, uint64_t budget_us, gsa_step **out);
gsa_status gsai_step_wait(gsa_step *s, uint64_t timeout_ns);
gsa_status gsai_step_collect(gsa_step *s);

#endif
