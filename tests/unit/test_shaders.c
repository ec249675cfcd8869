/* What the compiled kernels must contain whatever compiler made them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vk/shaders.h"

enum { OP_CONSTANT = 43, OP_ATOMIC_LOAD = 227, OP_ATOMIC_STORE = 228, SCOPE_DEVICE = 1 };

static uint32_t constant(const gsai_shader *s, uint32_t id)
{
    for (uint32_t at = 5; at < s->n_words; at += s->words[at] >> 16)
        if ((s->words[at] & 0xffff) == OP_CONSTANT && s->words[at + 2] == id) return s->words[at + 3];
    return UINT32_MAX;
}

/* Atomic accesses that all workgroups of the device see. */
static uint32_t count_accesses(const gsai_shader *s, uint32_t op)
{
    const uint32_t at_scope = op == OP_ATOMIC_LOAD ? 4 : 2;
    uint32_t n = 0;
    for (uint32_t at = 5; at < s->n_words; at += s->words[at] >> 16) {
        const uint32_t length = s->words[at] >> 16;
        assert_true(length > 0 && length <= s->n_words - at);
        if ((s->words[at] & 0xffff) == op && constant(s, s->words[at + at_scope]) == SCOPE_DEVICE) n++;
    }
    return n;
}

/* Workgroups of the resident step tell each other x, q k v g, partial scores and activations: with anything but atomic
 * accesses they may come from a core's own cache, which no CPU driver shows. */
static void shaders_resident_step_shares_its_rows_across_cores(void **state)
{
    (void)state;
    uint32_t n_kernels = 0;
    for (uint32_t i = 0; i < gsai_n_shaders; i++) {
        const gsai_shader *s = &gsai_shaders[i];
        if (strncmp(s->name, "resident_", 9) != 0 || strcmp(s->name, "resident_keep") == 0) continue;
        assert_true(
            count_accesses(s, OP_ATOMIC_LOAD) >= 4); /* x with a norm and without, the step's inputs, a residual */
        assert_true(count_accesses(s, OP_ATOMIC_STORE) >= 3); /* outputs, partial scores, what the step reads */
        n_kernels++;
    }
    if (n_kernels == 0) skip(); /* this build's compiler could not make them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaders_resident_step_shares_its_rows_across_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
