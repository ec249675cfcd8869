#include "gguf/types.h"

#define OTHER GSAI_N_TYPES

static const gsai_gguf_type types[] = {
    [0] = {"F32", 1, 4, GSAI_F32},
    [1] = {"F16", 1, 2, GSAI_F16},
    [2] = {"Q4_0", 32, 18, GSAI_Q4_0},
    [3] = {"Q4_1", 32, 20, OTHER},
    [4] = {"Q4_2", 0, 0, OTHER}, /* gone since May 2023 */
    [5] = {"Q4_3", 0, 0, OTHER},
    [6] = {"Q5_0", 32, 22, OTHER},
    [7] = {"Q5_1", 32, 24, OTHER},
    [8] = {"Q8_0", 32, 34, GSAI_Q8_0},
    [9] = {"Q8_1", 32, 36, OTHER},
    [10] = {"Q2_K", 256, 84, OTHER},
    [11] = {"Q3_K", 256, 110, OTHER},
    [12] = {"Q4_K", 256, 144, GSAI_Q4_K},
    [13] = {"Q5_K", 256, 176, OTHER},
    [14] = {"Q6_K", 256, 210, GSAI_Q6_K},
    [15] = {"Q8_K", 256, 292, OTHER},
    [16] = {"IQ2_XXS", 256, 66, OTHER},
    [17] = {"IQ2_XS", 256, 74, OTHER},
    [18] = {"IQ3_XXS", 256, 98, OTHER},
    [19] = {"IQ1_S", 256, 50, OTHER},
    [20] = {"IQ4_NL", 32, 18, OTHER},
    [21] = {"IQ3_S", 256, 110, OTHER},
    [22] = {"IQ2_S", 256, 82, OTHER},
    [23] = {"IQ4_XS", 256, 136, OTHER},
    [24] = {"I8", 1, 1, OTHER},
    [25] = {"I16", 1, 2, OTHER},
    [26] = {"I32", 1, 4, OTHER},
    [27] = {"I64", 1, 8, OTHER},
    [28] = {"F64", 1, 8, OTHER},
    [29] = {"IQ1_M", 256, 56, OTHER},
    [30] = {"BF16", 1, 2, GSAI_BF16},
    [31] = {"Q4_0_4_4", 32, 18, OTHER}, /* 31 to 33 and 36 to 38: Q4_0 and IQ4_NL with rows interleaved, gone again */
    [32] = {"Q4_0_4_8", 32, 18, OTHER},
    [33] = {"Q4_0_8_8", 32, 18, OTHER},
    [34] = {"TQ1_0", 256, 54, OTHER},
    [35] = {"TQ2_0", 256, 66, OTHER},
    [36] = {"IQ4_NL_4_4", 32, 18, OTHER},
    [37] = {"IQ4_NL_4_8", 32, 18, OTHER},
    [38] = {"IQ4_NL_8_8", 32, 18, OTHER},
    [39] = {"MXFP4", 32, 17, OTHER},
    [40] = {"NVFP4", 64, 36, OTHER},
    [41] = {"Q1_0", 128, 18, OTHER},
};

const gsai_gguf_type *gsai_gguf_type_lookup(uint32_t id)
{
    return id < sizeof types / sizeof *types ? &types[id] : NULL;
}
