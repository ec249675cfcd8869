/* Shapes of products, chosen by measuring: how many invocations, weight rows and loads in flight a kernel takes is tried on
 * the device, on the model's own weights, and remembered with the pipeline cache.
 *
 * Bits: a search may come out differently each time, so it tries only what leaves bits alone: group_size, rows and unroll.
 * split, the order of sums, stays as the deterministic rule of each kernel has it. */
#ifndef GSAI_OPS_TUNE_H
#define GSAI_OPS_TUNE_H

#include "ops/ops.h"

/* A product that is about to be recorded. */
typedef struct gsai_tunable {
    const gsai_variant *variant;
    const char *label;
    gsai_type type;
    uint32_t n_out, n_cols;
    uint32_t per;     /* weight rows behind an output */
    uint32_t outputs; /* of a workgroup, where bits depend on them; 0 = free */
    uint32_t lanes;   /* of a subgroup */
} gsai_tunable;

/* The shape to use: knobs holds the default and is replaced by what is known to be better. For one token; recordings with
 * a forced variant keep the default. */
void gsai_tune_apply(gsai_recorder *r, const gsai_tunable *p, gsai_knobs *knobs);

/* Would the kernel run with that shape on this device? */
bool gsai_tune_fits(const gsa_device *dev, const gsai_tunable *p, const gsai_knobs *knobs);
bool gsai_tune_same(const gsai_knobs *a, const gsai_knobs *b);

/* A measured shape, for gsai_tune_search's result. */
typedef struct gsai_tune_result {
    const gsai_tunable *product;
    uint32_t n_calls; /* of the product in a pass */
    uint64_t bytes;   /* of its weights in a pass */
    gsai_knobs knobs;
    double ns; /* of the product in a pass */
    bool is_default;
    bool changes_bits; /* against the default: never chosen by a search at first use */
} gsai_tune_result;

typedef struct gsai_tune_args {
    /* Records one pass of n_layers layers as in use; it may run any number of times. */
    void (*record)(void *user, gsai_recorder *r, uint32_t n_layers);
    void *user;
    uint32_t n_layers;
    uint64_t budget_ns; /* wall time; passed by one kernel's compilation at most */
    /* NULL: a few shapes around each default, and the best are kept. Else all shapes, each told, and none is kept. */
    void (*result)(void *user, const gsai_tune_result *result);
    void *result_user;
} gsai_tune_args;

/* Search shapes for the products that a pass asks for and that are not known. Without timestamps, or when all are known,
 * nothing happens. Blocks. One search of a device at a time: others wait. */
gsa_status gsai_tune_search(gsa_device *dev, const gsai_tune_args *args);

void gsai_tune_read(gsa_device *dev); /* rows that came with the cache; those of other kernels are passed over */
bool gsai_tune_fact(const gsa_device *dev, uint32_t index, const char **name, const char **value);

/* tune_search.c asks tune.c; not for ops. */
const gsai_tuned *gsai_tune_find(const gsa_device *dev, const gsai_tunable *p);
gsa_status gsai_tune_keep(gsa_device *dev, const gsai_tunable *p, const gsai_knobs *knobs); /* tuned_mutex is held */
/* During a search: the shape that is being tried for p, and p is noted. False: nothing to say about it. */
bool gsai_tuner_ask(void *tuner, const gsai_tunable *p, gsai_knobs *knobs);

#endif
