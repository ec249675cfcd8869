/* Shapes of block_matvec.comp. */
#include "ops/matvec.h"

gsai_matvec_shape gsai_block_matvec_choose(const gsa_device *dev, const gsai_variant *v, uint32_t n_rows,
    uint32_t row_units, uint32_t n_tokens, uint32_t rows_each)
{
    const gsai_caps *caps = &dev->caps;
    const uint32_t wave = (caps->n_cores ? caps->n_cores : 32) * 32;
    gsai_matvec_shape s = {.columns = 1, .rows = 1, .unroll = 1, .group_size = 128, .team = 32};

    while (s.columns < n_tokens) s.columns *= 2;
    s.rows_per_group = s.group_size / s.team;
    if (!(v->caps & GSAI_CAP_SUBGROUP)) return s;

    const uint32_t lanes = caps->subgroup_size;
    uint32_t subgroups = 4;
    while (subgroups > 1 && subgroups * lanes > caps->max_invocations) subgroups /= 2;
    s.group_size = subgroups * lanes;
    s.team = 1;
    if (gsai_caps_has(caps, GSAI_CAP_SUBGROUP_SIZE)) s.subgroup_size = lanes;
    /* Reading a unit's x costs more than reading the unit, so x should serve several weight rows (on an H200 two to four)
     * as far as there are rows for the whole device; with eight tokens the registers are needed for their sums. Where
     * subgroups are few, several share a row and each has more loads in flight. */
    if (s.subgroup_size)
        while (s.team < subgroups && n_rows * s.team < wave / 2 && row_units >= 4 * lanes * s.team) s.team *= 2;
    if (caps->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU) {
        s.rows = n_rows >= 4 * subgroups ? 4 : 1; /* most loads are of x */
    } else {
        const uint32_t weight_rows = n_rows * rows_each;
        const uint32_t wanted = weight_rows >= 2 * wave && s.columns < 8 ? 4 : weight_rows >= wave / 4 ? 2 : 1;
        const uint32_t most = !caps->few_registers ? 4 : s.columns == 1 ? 2 : 1;
        while (s.rows * rows_each < wanted && s.rows < most) s.rows *= 2;
        if (!caps->few_registers && n_rows / s.rows * s.team <= wave / 2 && row_units >= 2 * lanes * s.team &&
            s.columns < 4)
            s.unroll = 2;
    }
    s.rows_per_group = subgroups / s.team * s.rows;
    return s;
}
