#include "ops/check.h"

#include <string.h>

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
        .passed = status == GSA_OK && !c->failed && c->error <= k->tolerance,
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
        if (run->check.dev->variant_off[i] != GSAI_VARIANT_USABLE || strcmp(v->op, set->op) != 0) continue;
        for (uint32_t k = 0; k < set->n_cases; k++) {
            const gsa_status status = ask(run, set, &set->cases[k], v);
            if (status != GSA_OK) return status;
        }
    }
    return GSA_OK;
}

/* Every set for which op is NULL or its own. */
static gsa_status each_set(
    verifier *run, const char *op, gsa_status (*fn)(struct verifier *run, const gsai_verify_set *set))
{
    const struct {
        const gsai_verify_set *sets;
        uint32_t n;
    } lists[] = {
        {gsai_verify_general, gsai_n_verify_general},
        {gsai_verify_half, gsai_n_verify_half},
        {gsai_verify_sampling, gsai_n_verify_sampling},
        {gsai_verify_gsa, gsai_n_verify_gsa},
    };

    for (uint32_t l = 0; l < sizeof lists / sizeof *lists; l++)
        for (uint32_t i = 0; i < lists[l].n; i++) {
            const gsai_verify_set *set = &lists[l].sets[i];
            if (op && strcmp(op, set->op) != 0) continue;
            const gsa_status status = fn(run, set);
            if (status != GSA_OK) return status;
        }
    return GSA_OK;
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
    gsa_status status = gsai_check_create(&run.check, dev);

    if (status == GSA_OK) status = each_set(&run, op, ask_set);
    return finish(&run, status, n_failed);
}

gsa_status gsai_ops_verify_set(gsa_device *dev, const gsai_verify_set *set,
    void (*row)(void *user, const gsa_verify_row *row), void *user, uint32_t *n_failed)
{
    verifier run = {.row = row, .user = user};
    gsa_status status = gsai_check_create(&run.check, dev);

    if (status == GSA_OK) status = ask_set(&run, set);
    return finish(&run, status, n_failed);
}

static gsa_status self_test_set(verifier *run, const gsai_verify_set *set)
{
    gsa_device *dev = run->check.dev;
    const gsai_variant *v;

    while (set->n_cases > 0 && (v = gsai_variant_pick(dev, set->op)) != NULL) {
        const uint32_t before = run->n_failed;
        const gsa_status status = ask(run, set, &set->cases[0], v);
        if (status != GSA_OK) return status;
        if (run->n_failed == before) return GSA_OK;
        dev->variant_off[v - gsai_variants] = GSAI_VARIANT_WRONG;
        gsai_log(&dev->log, GSA_LOG_WARNING, "kernel %s answers a known question wrongly on this device: not used",
            v->shader);
    }
    return GSA_OK;
}

gsa_status gsai_ops_self_test(gsa_device *dev)
{
    verifier run = {0};
    gsa_status status = gsai_check_create(&run.check, dev);

    if (status == GSA_OK) status = each_set(&run, NULL, self_test_set);
    return finish(&run, status, NULL);
}
