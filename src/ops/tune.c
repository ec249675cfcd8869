/* Shapes that searches have found: rows in memory, and as notes of the pipeline cache. */
#include "ops/tune.h"

#include "util/status.h"

#include <stdio.h>
#include <string.h>

/* In the cache: [n] of these, native byte order (a cache never leaves its machine). */
typedef struct shape_note {
    uint64_t kernel;
    uint32_t n_out, n_cols, kind;
    uint32_t group_size, rows, unroll;
} shape_note;
_Static_assert(sizeof(shape_note) == 32, "shape_note has no padding");

static uint32_t kind_of(const gsai_tunable *p)
{
    return p->per | p->outputs << 8;
}

bool gsai_tune_same(const gsai_knobs *a, const gsai_knobs *b)
{
    return a->group_size == b->group_size && a->rows == b->rows && a->unroll == b->unroll && a->split == b->split;
}

static bool is_power_of_2(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

bool gsai_tune_fits(const gsa_device *dev, const gsai_tunable *p, const gsai_knobs *k)
{
    const gsai_caps *caps = &dev->caps;

    if (!is_power_of_2(k->group_size) || !is_power_of_2(k->rows) || !is_power_of_2(k->unroll) ||
        !is_power_of_2(k->split) || k->group_size > caps->max_invocations || k->group_size > caps->max_group_size[0] ||
        k->split > k->group_size / p->lanes || k->group_size % p->lanes != 0 ||
        k->group_size / p->lanes > caps->max_subgroups)
        return false;
    /* Loads in flight fill registers: 16 of 16 bytes are more than any device was seen to gain from. */
    if (k->rows * p->per > 4 || k->unroll > 8 || k->rows * p->per * k->unroll > 16) return false;
    return p->outputs == 0 || k->group_size / p->lanes / k->split * k->rows == p->outputs;
}

const gsai_tuned *gsai_tune_find(const gsa_device *dev, const gsai_tunable *p)
{
    const uint32_t n = atomic_load(&dev->n_tuned), kind = kind_of(p);
    uint64_t kernel = 0;

    for (uint32_t i = 0; i < n; i++) {
        const gsai_tuned *t = &dev->tuned[i];
        if (t->n_out != p->n_out || t->n_cols != p->n_cols || t->kind != kind) continue;
        if (kernel == 0) kernel = gsai_variant_hash(p->variant);
        if (t->kernel == kernel) return t;
    }
    return NULL;
}

void gsai_tune_apply(gsai_recorder *r, const gsai_tunable *p, gsai_knobs *knobs)
{
    const gsa_device *dev = gsai_recorder_device(r);
    void *tuner = gsai_recorder_tuner(r);

    if (gsai_recorder_forced(r) || (tuner && gsai_tuner_ask(tuner, p, knobs))) return;
    const gsai_tuned *t = gsai_tune_find(dev, p);
    if (!t) return;
    gsai_knobs known = t->knobs;
    known.split = knobs->split;
    if (gsai_tune_fits(dev, p, &known)) *knobs = known;
}

static void add(gsa_device *dev, const gsai_tuned *row, const char *kernel)
{
    const uint32_t n = atomic_load(&dev->n_tuned);
    if (n == GSAI_MAX_TUNED) return; /* the rest keep their defaults */
    gsai_tuned *t = &dev->tuned[n];
    *t = *row;
    snprintf(t->fact.name, sizeof t->fact.name, "%s %ux%u", kernel, t->n_out, t->n_cols);
    snprintf(t->fact.value, sizeof t->fact.value, "%u invocations, %u rows each, %u loads in flight (measured)",
        t->knobs.group_size, t->knobs.rows, t->knobs.unroll);
    atomic_store(&dev->n_tuned, n + 1);
}

void gsai_tune_read(gsa_device *dev)
{
    uint64_t hashes[GSAI_MAX_VARIANTS];
    size_t size;
    const char *notes = gsai_pipelines_notes(dev, GSAI_NOTE_SHAPES, &size);

    if (!notes || size < sizeof(shape_note)) return;
    for (uint32_t i = 0; i < gsai_n_variants; i++) hashes[i] = gsai_variant_hash(&gsai_variants[i]);
    for (; size >= sizeof(shape_note); notes += sizeof(shape_note), size -= sizeof(shape_note)) {
        shape_note n;
        memcpy(&n, notes, sizeof n);
        for (uint32_t i = 0; i < gsai_n_variants; i++) {
            if (n.kernel != hashes[i]) continue;
            const gsai_tuned row = {.kernel = n.kernel,
                .n_out = n.n_out,
                .n_cols = n.n_cols,
                .kind = n.kind,
                .knobs = {n.group_size, n.rows, n.unroll, 1}};
            add(dev, &row, gsai_variants[i].shader);
            break;
        }
    }
}

gsa_status gsai_tune_keep(gsa_device *dev, const gsai_tunable *p, const gsai_knobs *knobs)
{
    shape_note notes[GSAI_MAX_TUNED];
    const gsai_tuned row = {.kernel = gsai_variant_hash(p->variant),
        .n_out = p->n_out,
        .n_cols = p->n_cols,
        .kind = kind_of(p),
        .knobs = *knobs};

    add(dev, &row, p->variant->shader);
    const uint32_t n = atomic_load(&dev->n_tuned);
    for (uint32_t i = 0; i < n; i++) {
        const gsai_tuned *t = &dev->tuned[i];
        notes[i] =
            (shape_note){t->kernel, t->n_out, t->n_cols, t->kind, t->knobs.group_size, t->knobs.rows, t->knobs.unroll};
    }
    return gsai_pipelines_set_notes(dev, GSAI_NOTE_SHAPES, notes, n * sizeof *notes);
}

bool gsai_tune_fact(const gsa_device *dev, uint32_t index, const char **name, const char **value)
{
    if (index >= atomic_load(&dev->n_tuned)) return false;
    *name = dev->tuned[index].fact.name;
    *value = dev->tuned[index].fact.value;
    return true;
}
