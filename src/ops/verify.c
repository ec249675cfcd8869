#include "ops/check.h"

#include <string.h>

#define CAPACITY (16u << 20)

typedef struct verifier {
    gsai_check check;
    void (*row)(void *user, const gsa_verify_row *row);
    void *user;
    uint32_t n_failed;
} verifier;

/* A lost device ends the run; any other failure of a case is a failed row, and the next case is asked. */
static gsa_status ask(verifier *run, const gsai_verify_set *set, const gsai_verify_case *k, const gsai_variant *v)
{
    gsai_check *c = &run->check;
    const gsa_status status = gsai_check_run(c, set, k, v);

    if (status == GSA_ERROR_DEVICE_LOST || status == GSA_ERROR_HOST_MEMORY) return status;
    if (c->skipped) return GSA_OK;
    const gsa_verify_row row = {
        .op = set->op,
        .variant = v->shader,
        .shape = k->shape,
        .error = c->error,
        .tolerance = k->tolerance,
        .passed = gsai_check_passed(c, k),
        .gpu_us = c->gpu_us,
    };
    if (!row.passed) run->n_failed++;
    if (status != GSA_OK)
        gsai_log(&c->dev->log, GSA_LOG_ERROR, "verify %s, %s: %s", v->shader, k->shape, gsa_error_text());
    if (run->row) run->row(run->user, &row);
    return GSA_OK;
}

static gsa_status ask_set(verifier *run, const gsai_verify_set *set)
{
    for (uint32_t i = 0; i < gsai_n_variants; i++) {
        const gsai_variant *v = &gsai_variants[i];
        const uint8_t off = run->check.dev->variant_off[i];
        if ((off != GSAI_VARIANT_USABLE && off != GSAI_VARIANT_WRONG) || strcmp(v->op, set->op) != 0) continue;
        for (uint32_t k = 0; k < set->n_cases; k++) {
            const gsa_status status = ask(run, set, &set->cases[k], v);
            if (status != GSA_OK) return status;
        }
    }
    return GSA_OK;
}

const gsai_verify_set *gsai_verify_set_at(uint32_t index)
{
    const struct {
        const gsai_verify_set *sets;
        uint32_t n;
    } lists[] = {
        {gsai_verify_general, gsai_n_verify_general},
        {gsai_verify_half, gsai_n_verify_half},
        {gsai_verify_sampling, gsai_n_verify_sampling},
        {gsai_verify_gsa, gsai_n_verify_gsa},
        {gsai_verify_resident, gsai_n_verify_resident},
    };

    for (uint32_t l = 0; l < sizeof lists / sizeof *lists; index -= lists[l++].n)
        if (index < lists[l].n) return &lists[l].sets[index];
    return NULL;
}

static gsa_status finish(verifier *run, gsa_status status, uint32_t *n_failed)
{
    gsai_check_destroy(&run->check);
    if (n_failed) *n_failed = run->n_failed;
    return status;
}

gsa_status gsai_ops_verify(
    gsa_device *dev, const char *op, void (*row)(void *user, const gsa_verify_row *row), void *user, uint32_t *n_failed)
{
    verifier run = {.row = row, .user = user};
    gsa_status status = gsai_check_create(&run.check, dev, CAPACITY, GSAI_MEMORY_DEVICE);

    const gsai_verify_set *set;
    for (uint32_t i = 0; status == GSA_OK && (set = gsai_verify_set_at(i)) != NULL; i++)
        if (!op || strcmp(op, set->op) == 0) status = ask_set(&run, set);
    return finish(&run, status, n_failed);
}

gsa_status gsai_ops_verify_set(gsa_device *dev, const gsai_verify_set *set,
    void (*row)(void *user, const gsa_verify_row *row), void *user, uint32_t *n_failed)
{
    verifier run = {.row = row, .user = user};
    gsa_status status = gsai_check_create(&run.check, dev, CAPACITY, GSAI_MEMORY_DEVICE);

    if (status == GSA_OK) status = ask_set(&run, set);
    return finish(&run, status, n_failed);
}
