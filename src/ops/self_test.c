/* The self-test at first use: drivers miscompile kernels now and then, so each kernel that is to be used answers one
 * known question before anybody relies on it. Verdicts are kept with the pipeline cache, by what the kernel is. */
#include "ops/check.h"

#include "util/clock.h"
#include "util/hash.h"

#include <string.h>

#define CAPACITY (4u << 20) /* the first cases are small */

/* In the cache: [n] of these, native byte order (a cache never leaves its machine). */
typedef struct verdict_note {
    uint64_t kernel; /* hash of name and code */
    uint64_t verdict;
} verdict_note;

/* Workgroups that wait for each other are not trusted on any device before they have shown that they can. */
static bool is_daring(const gsai_variant *v)
{
    return strncmp(v->op, "resident_", 9) == 0;
}

uint64_t gsai_variant_hash(const gsai_variant *v)
{
    const gsai_shader *s = gsai_shader_find(v->shader);
    gsai_hash h;

    gsai_hash_init(&h);
    gsai_hash_update(&h, v->op, strlen(v->op) + 1);
    gsai_hash_update(&h, v->shader, strlen(v->shader) + 1);
    if (s) gsai_hash_update(&h, s->words, s->n_words * sizeof *s->words);
    return gsai_hash_final(&h);
}

/* What a verdict is of: with the resident step, the number of workgroups and the like, too. */
static uint64_t verdict_hash(const gsa_device *dev, const gsai_variant *v)
{
    const uint64_t kernel = gsai_variant_hash(v);
    gsai_hash h;
    if (!is_daring(v)) return kernel;
    gsai_hash_init(&h);
    gsai_hash_update(&h, &kernel, sizeof kernel);
    gsai_hash_update(&h, &dev->resident, sizeof dev->resident);
    return gsai_hash_final(&h);
}

gsa_status gsai_ops_verdicts_read(gsa_device *dev)
{
    size_t size;
    const char *notes = gsai_pipelines_notes(dev, GSAI_NOTE_VERDICTS, &size);

    for (uint32_t i = 0; notes && i < gsai_n_variants && size >= sizeof(verdict_note); i++) {
        const uint64_t kernel = verdict_hash(dev, &gsai_variants[i]);
        for (size_t at = 0; at + sizeof(verdict_note) <= size; at += sizeof(verdict_note)) {
            verdict_note n;
            memcpy(&n, notes + at, sizeof n);
            if (n.kernel != kernel || (n.verdict != GSAI_VERDICT_RIGHT && n.verdict != GSAI_VERDICT_WRONG)) continue;
            dev->variant_verdict[i] = (uint8_t)n.verdict;
            if (n.verdict == GSAI_VERDICT_WRONG && dev->variant_off[i] == GSAI_VARIANT_USABLE)
                dev->variant_off[i] = GSAI_VARIANT_WRONG;
        }
    }
    return GSA_OK;
}

static gsa_status write_verdicts(gsa_device *dev)
{
    verdict_note notes[GSAI_MAX_VARIANTS];
    uint32_t n = 0;

    for (uint32_t i = 0; i < gsai_n_variants; i++)
        if (dev->variant_verdict[i] != GSAI_VERDICT_NONE)
            notes[n++] = (verdict_note){verdict_hash(dev, &gsai_variants[i]), dev->variant_verdict[i]};
    return gsai_pipelines_set_notes(dev, GSAI_NOTE_VERDICTS, notes, n * sizeof *notes);
}

static const gsai_verify_set *set_of(const gsai_variant *v)
{
    const gsai_verify_set *set;

    for (uint32_t i = 0; (set = gsai_verify_set_at(i)) != NULL; i++)
        if (set->n_cases > 0 && strcmp(set->op, v->op) == 0) return set;
    return NULL;
}

/* A lost device and a lack of memory are nobody's verdict. */
static gsa_status ask(gsai_check *c, uint32_t i, uint32_t *n_dropped)
{
    gsa_device *dev = c->dev;
    const gsai_variant *v = &gsai_variants[i];
    const gsai_verify_set *set = set_of(v);

    if (!set) return GSA_OK;
    const gsa_status status = gsai_check_run(c, set, &set->cases[0], v);
    if (status == GSA_ERROR_DEVICE_LOST || status == GSA_ERROR_HOST_MEMORY || status == GSA_ERROR_DEVICE_MEMORY)
        return status;
    if (c->skipped) return GSA_OK;
    atomic_fetch_add(&dev->n_self_tests, 1);
    if (gsai_check_passed(c, &set->cases[0])) {
        dev->variant_verdict[i] = GSAI_VERDICT_RIGHT;
        return GSA_OK;
    }
    gsai_log(&dev->log, GSA_LOG_WARNING,
        "kernel %s answers a known question wrongly on %s (error %g, allowed %g): the next one is used", v->shader,
        dev->caps.name, c->error, set->cases[0].tolerance);
    dev->variant_verdict[i] = GSAI_VERDICT_WRONG;
    dev->variant_off[i] = GSAI_VARIANT_WRONG;
    ++*n_dropped;
    return GSA_OK;
}

static bool is_wanted(const gsa_device *dev, uint32_t i, bool only_used, bool only_daring)
{
    if (only_daring && !is_daring(&gsai_variants[i])) return false;
    if (dev->variant_verdict[i] != GSAI_VERDICT_NONE || dev->variant_off[i] != GSAI_VARIANT_USABLE) return false;
    return only_used ? dev->variant_used[i] : gsai_variant_pick(dev, gsai_variants[i].op) == &gsai_variants[i];
}

/* In the table's order, which is the order in which ops build upon each other. */
static gsa_status ask_all(gsa_device *dev, bool only_used, bool only_daring, uint32_t *n_dropped)
{
    gsai_check c = {0};
    gsa_status status = GSA_OK;
    uint32_t n_asked = 0;
    const uint64_t start = gsai_clock_ns();

    for (uint32_t i = 0; status == GSA_OK && i < gsai_n_variants; i++) {
        if (!is_wanted(dev, i, only_used, only_daring)) continue;
        if (n_asked++ == 0) status = gsai_check_create(&c, dev, CAPACITY, GSAI_MEMORY_UPLOAD);
        if (status == GSA_OK) status = ask(&c, i, n_dropped);
    }
    if (n_asked == 0) return GSA_OK;
    gsai_check_destroy(&c);
    const uint64_t took = gsai_clock_ns() - start;
    atomic_fetch_add(&dev->self_test_ns, took);
    gsai_log(&dev->log, GSA_LOG_INFO, "self-test of %u kernels: %.1f ms", n_asked, (double)took * 1e-6);
    if (status == GSA_OK) status = write_verdicts(dev);
    return status;
}

gsa_status gsai_ops_self_test_used(gsa_device *dev, uint32_t *n_dropped)
{
    const bool is_slow = dev->caps.device_type == VK_PHYSICAL_DEVICE_TYPE_CPU;

    *n_dropped = 0;
    const bool only_daring =
        dev->self_test == GSA_SELF_TEST_OFF || (dev->self_test == GSA_SELF_TEST_DEFAULT && is_slow);
    gsai_mutex_lock(&dev->self_test_mutex);
    const gsa_status status = ask_all(dev, true, only_daring, n_dropped);
    gsai_mutex_unlock(&dev->self_test_mutex);
    return status;
}

gsa_status gsai_ops_self_test(gsa_device *dev)
{
    uint32_t n_dropped = 0;
    gsa_status status = GSA_OK;

    gsai_mutex_lock(&dev->self_test_mutex);
    do {
        n_dropped = 0;
        status = ask_all(dev, false, false, &n_dropped);
    } while (status == GSA_OK && n_dropped > 0);
    gsai_mutex_unlock(&dev->self_test_mutex);
    return status;
}
