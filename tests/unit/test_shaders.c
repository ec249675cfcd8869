/* What the compiled kernels must contain whatever compiler made them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vk/shaders.h"

enum { OP_LOAD = 61, OP_STORE = 62, MAKE_AVAILABLE = 0x8, MAKE_VISIBLE = 0x10, NON_PRIVATE = 0x20 };

/* Loads and stores whose memory operands have all bits of mask. */
static uint32_t count_accesses(const gsai_shader *s, uint32_t op, uint32_t mask)
{
    const uint32_t at_operands = op == OP_LOAD ? 4 : 3;
    uint32_t n = 0;
    for (uint32_t at = 5; at < s->n_words; at += s->words[at] >> 16) {
        const uint32_t length = s->words[at] >> 16;
        assert_true(length > 0 && length <= s->n_words - at);
        if ((s->words[at] & 0xffff) == op && length > at_operands && (s->words[at + at_operands] & mask) == mask) n++;
    }
    return n;
}

/* Workgroups of the resident step tell each other x, q k v g, partial scores and activations. Compilers drop the qualifier
 * devicecoherent where it stands on a block that is reached by address: such loads may come from a core's own cache. */
static void shaders_resident_step_shares_its_rows_across_cores(void **state)
{
    (void)state;
    uint32_t n_kernels = 0;
    for (uint32_t i = 0; i < gsai_n_shaders; i++) {
        const gsai_shader *s = &gsai_shaders[i];
        if (strncmp(s->name, "resident_", 9) != 0 || strcmp(s->name, "resident_keep") == 0) continue;
        assert_true(count_accesses(s, OP_LOAD, MAKE_VISIBLE | NON_PRIVATE) >= 8);
        assert_true(count_accesses(s, OP_STORE, MAKE_AVAILABLE | NON_PRIVATE) >= 4);
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
