/* The ladder of every op: which kernel a device runs, and why not a better one. */
#include "ops/ops.h"

#include "util/alloc.h"
#include "util/status.h"

#include <string.h>

#define SG        (GSAI_CAP_SUBGROUP)
#define SGS       (GSAI_CAP_SUBGROUP | GSAI_CAP_SUBGROUP_SIZE)
#define CM        (GSAI_CAP_COOPMAT | GSAI_CAP_FLOAT16 | GSAI_CAP_STORAGE16 | GSAI_CAP_SUBGROUP | GSAI_CAP_MEMORY_MODEL)
#define RES       (SGS | GSAI_CAP_MEMORY_MODEL | GSAI_CAP_DEVICE_SCOPE | GSAI_CAP_BUFFER_ADDRESS)

#define H16       (GSAI_CAP_STORAGE16)

#define DOTS      (SGS | GSAI_CAP_INTEGER_DOT)

#define KV_WANTS  "workgroups of 512 invocations"
#define H16_WANTS "16-bit storage, for states of f16"
#define R16_WANTS "16-bit storage, conversions to f16 that round to nearest"
#define RES_WANTS "buffers by address, device scope of the memory model"
#define DOT_WANTS "subgroups of a known size, integer dot product"
#define CM_WANTS  "cooperative matrices of f16 with f32 sums"

/* op, shader, capabilities, invocations, shared bytes, what it wants in words; best first within an op */
#define VARIANTS(X)                                                                                                    \
    X("embed_f32", "embed_f32", 0, 128, 0, "runs anywhere")                                                            \
    X("embed_f16", "embed_f16", 0, 128, 0, "runs anywhere")                                                            \
    X("embed_bf16", "embed_bf16", 0, 128, 0, "runs anywhere")                                                          \
    X("embed_q8_0", "embed_q8_0", 0, 128, 0, "runs anywhere")                                                          \
    X("embed_q4_0", "embed_q4_0", 0, 128, 0, "runs anywhere")                                                          \
    X("embed_q4_k", "embed_q4_k", 0, 128, 0, "runs anywhere")                                                          \
    X("embed_q6_k", "embed_q6_k", 0, 128, 0, "runs anywhere")                                                          \
    X("rmsnorm_half", "rmsnorm_half", 0, 128, 4096, "runs anywhere")                                                   \
    X("rmsnorm_pack", "rmsnorm_pack", CM, 512, 25856, CM_WANTS)                                                        \
    X("rmsnorm_place", "rmsnorm_place", CM, 128, 4096, CM_WANTS)                                                       \
    X("rmsnorm", "rmsnorm", 0, 128, 4096, "runs anywhere")                                                             \
    X("matvec_f32", "matvec_f32_sg", SG, 128, 0, "subgroup arithmetic")                                                \
    X("matvec_f32", "matvec_f32", 0, 128, 4096, "runs anywhere")                                                       \
    X("matvec_f16", "matvec_f16_sg", SG, 128, 0, "subgroup arithmetic")                                                \
    X("matvec_f16", "matvec_f16", 0, 128, 4096, "runs anywhere")                                                       \
    X("matvec_bf16", "matvec_bf16_sg", SG, 128, 0, "subgroup arithmetic")                                              \
    X("matvec_bf16", "matvec_bf16", 0, 128, 4096, "runs anywhere")                                                     \
    X("matvec_q8_0", "matvec_q8_0_sg", SG, 128, 0, "subgroup arithmetic")                                              \
    X("matvec_q8_0", "matvec_q8_0", 0, 128, 4096, "runs anywhere")                                                     \
    X("matvec_q4_0", "matvec_q4_0_sg", SG, 128, 0, "subgroup arithmetic")                                              \
    X("matvec_q4_0", "matvec_q4_0", 0, 128, 4096, "runs anywhere")                                                     \
    X("matvec_q4_k", "matvec_q4_k_sg", SG, 128, 0, "subgroup arithmetic")                                              \
    X("matvec_q4_k", "matvec_q4_k", 0, 128, 4096, "runs anywhere")                                                     \
    X("matvec_q6_k", "matvec_q6_k_sg", SG, 128, 0, "subgroup arithmetic")                                              \
    X("matvec_q6_k", "matvec_q6_k", 0, 128, 4096, "runs anywhere")                                                     \
    X("norm_matvec_f32", "norm_matvec_f32", SG, 128, 0, "subgroup arithmetic")                                         \
    X("norm_matvec_f16", "norm_matvec_f16", SG, 128, 0, "subgroup arithmetic")                                         \
    X("norm_matvec_bf16", "norm_matvec_bf16", SG, 128, 0, "subgroup arithmetic")                                       \
    X("norm_matvec_q8_0", "norm_matvec_q8_0", SG, 128, 0, "subgroup arithmetic")                                       \
    X("norm_matvec_q4_0", "norm_matvec_q4_0", SG, 128, 0, "subgroup arithmetic")                                       \
    X("norm_matvec_q4_k", "norm_matvec_q4_k", SG, 128, 0, "subgroup arithmetic")                                       \
    X("norm_matvec_q6_k", "norm_matvec_q6_k", SG, 128, 0, "subgroup arithmetic")                                       \
    X("staged_matvec_f32", "staged_matvec_f32", SGS, 128, 16384, "subgroups of a known size")                          \
    X("staged_matvec_f16", "staged_matvec_f16", SGS, 128, 16384, "subgroups of a known size")                          \
    X("staged_matvec_bf16", "staged_matvec_bf16", SGS, 128, 16384, "subgroups of a known size")                        \
    X("staged_matvec_q8_0", "staged_matvec_q8_0", SGS, 128, 16384, "subgroups of a known size")                        \
    X("staged_matvec_q4_0", "staged_matvec_q4_0", SGS, 128, 16384, "subgroups of a known size")                        \
    X("staged_matvec_q4_k", "staged_matvec_q4_k", SGS, 128, 16384, "subgroups of a known size")                        \
    X("staged_matvec_q6_k", "staged_matvec_q6_k", SGS, 128, 16384, "subgroups of a known size")                        \
    X("staged_dots_q8_0", "staged_dots_q8_0", DOTS, 128, 16384, DOT_WANTS)                                             \
    X("staged_dots_q4_0", "staged_dots_q4_0", DOTS, 128, 16384, DOT_WANTS)                                             \
    X("staged_dots_step_q8_0", "staged_dots_step_q8_0", DOTS, 128, 16384, DOT_WANTS)                                   \
    X("staged_dots_step_q4_0", "staged_dots_step_q4_0", DOTS, 128, 16384, DOT_WANTS)                                   \
    X("staged_step_f32", "staged_step_f32", SGS, 128, 16384, "subgroups of a known size, 7 buffers")                   \
    X("staged_step_f16", "staged_step_f16", SGS, 128, 16384, "subgroups of a known size, 7 buffers")                   \
    X("staged_step_bf16", "staged_step_bf16", SGS, 128, 16384, "subgroups of a known size, 7 buffers")                 \
    X("staged_step_q8_0", "staged_step_q8_0", SGS, 128, 16384, "subgroups of a known size, 7 buffers")                 \
    X("staged_step_q4_0", "staged_step_q4_0", SGS, 128, 16384, "subgroups of a known size, 7 buffers")                 \
    X("staged_step_q4_k", "staged_step_q4_k", SGS, 128, 16384, "subgroups of a known size, 7 buffers")                 \
    X("staged_step_q6_k", "staged_step_q6_k", SGS, 128, 16384, "subgroups of a known size, 7 buffers")                 \
    X("gsa_step_mix", "gsa_step_mix", SGS, 128, 16384, "subgroups of a known size, 5 buffers")                         \
    X("gsa_few_mix", "gsa_few_mix", SGS, 128, 30720, "subgroups of a known size, 5 buffers")                           \
    X("resident_f32", "resident_f32", RES, 128, 16384, RES_WANTS)                                                      \
    X("resident_f16", "resident_f16", RES, 128, 16384, RES_WANTS)                                                      \
    X("resident_bf16", "resident_bf16", RES, 128, 16384, RES_WANTS)                                                    \
    X("resident_q8_0", "resident_q8_0", RES, 128, 16384, RES_WANTS)                                                    \
    X("resident_q4_0", "resident_q4_0", RES, 128, 16384, RES_WANTS)                                                    \
    X("resident_q4_k", "resident_q4_k", RES, 128, 16384, RES_WANTS)                                                    \
    X("resident_q6_k", "resident_q6_k", RES, 128, 16384, RES_WANTS)                                                    \
    X("resident_dots_q8_0", "resident_dots_q8_0", RES | GSAI_CAP_INTEGER_DOT, 128, 16384, RES_WANTS)                   \
    X("resident_dots_q4_0", "resident_dots_q4_0", RES | GSAI_CAP_INTEGER_DOT, 128, 16384, RES_WANTS)                   \
    X("resident_keep", "resident_keep", RES, 128, 0, RES_WANTS)                                                        \
    X("matmul_f32", "matmul_f32", 0, 128, 10240, "runs anywhere")                                                      \
    X("matmul_f16", "matmul_f16", 0, 128, 10240, "runs anywhere")                                                      \
    X("matmul_bf16", "matmul_bf16", 0, 128, 10240, "runs anywhere")                                                    \
    X("matmul_q8_0", "matmul_q8_0", 0, 128, 10240, "runs anywhere")                                                    \
    X("matmul_q4_0", "matmul_q4_0", 0, 128, 10240, "runs anywhere")                                                    \
    X("matmul_q4_k", "matmul_q4_k", 0, 128, 10240, "runs anywhere")                                                    \
    X("matmul_q6_k", "matmul_q6_k", 0, 128, 10240, "runs anywhere")                                                    \
    X("matmul_cm_f16", "matmul_cm_f16", CM, 32, 16384, CM_WANTS)                                                       \
    X("matmul_cm_bf16", "matmul_cm_bf16", CM, 32, 16384, CM_WANTS)                                                     \
    X("matmul_cm_q8_0", "matmul_cm_q8_0", CM, 32, 16384, CM_WANTS)                                                     \
    X("matmul_cm_q4_0", "matmul_cm_q4_0", CM, 32, 16384, CM_WANTS)                                                     \
    X("matmul_cm_q4_k", "matmul_cm_q4_k", CM, 32, 16384, CM_WANTS)                                                     \
    X("matmul_cm_q6_k", "matmul_cm_q6_k", CM, 32, 16384, CM_WANTS)                                                     \
    X("matmul_cm_swiglu_f16", "matmul_cm_swiglu_f16", CM, 32, 16384, CM_WANTS)                                         \
    X("matmul_cm_swiglu_bf16", "matmul_cm_swiglu_bf16", CM, 32, 16384, CM_WANTS)                                       \
    X("matmul_cm_swiglu_q8_0", "matmul_cm_swiglu_q8_0", CM, 32, 16384, CM_WANTS)                                       \
    X("matmul_cm_swiglu_q4_0", "matmul_cm_swiglu_q4_0", CM, 32, 16384, CM_WANTS)                                       \
    X("matmul_cm_swiglu_q4_k", "matmul_cm_swiglu_q4_k", CM, 32, 16384, CM_WANTS)                                       \
    X("matmul_cm_swiglu_q6_k", "matmul_cm_swiglu_q6_k", CM, 32, 16384, CM_WANTS)                                       \
    X("matmul_pack_x", "matmul_pack_x", CM, 128, 9216, CM_WANTS)                                                       \
    X("matmul_pack_f16", "matmul_pack_f16", CM, 128, 9216, CM_WANTS)                                                   \
    X("matmul_pack_bf16", "matmul_pack_bf16", CM, 128, 9216, CM_WANTS)                                                 \
    X("matmul_pack_q8_0", "matmul_pack_q8_0", CM, 128, 9216, CM_WANTS)                                                 \
    X("matmul_pack_q4_0", "matmul_pack_q4_0", CM, 128, 9216, CM_WANTS)                                                 \
    X("matmul_pack_q4_k", "matmul_pack_q4_k", CM, 128, 9216, CM_WANTS)                                                 \
    X("matmul_pack_q6_k", "matmul_pack_q6_k", CM, 128, 9216, CM_WANTS)                                                 \
    X("matmul_packed", "matmul_packed", CM, 128, 4096, CM_WANTS)                                                       \
    X("matmul_packed_swiglu", "matmul_packed_swiglu", CM, 128, 4096, CM_WANTS)                                         \
    X("matmul_packed_few", "matmul_packed_few", CM, 128, 4096, CM_WANTS)                                               \
    X("matmul_packed_few_swiglu", "matmul_packed_few_swiglu", CM, 128, 4096, CM_WANTS)                                 \
    X("matmul_few_f16", "matmul_few_f16", CM, 32, 16384, CM_WANTS)                                                     \
    X("matmul_few_bf16", "matmul_few_bf16", CM, 32, 16384, CM_WANTS)                                                   \
    X("matmul_few_q8_0", "matmul_few_q8_0", CM, 32, 16384, CM_WANTS)                                                   \
    X("matmul_few_q4_0", "matmul_few_q4_0", CM, 32, 16384, CM_WANTS)                                                   \
    X("matmul_few_q4_k", "matmul_few_q4_k", CM, 32, 16384, CM_WANTS)                                                   \
    X("matmul_few_q6_k", "matmul_few_q6_k", CM, 32, 16384, CM_WANTS)                                                   \
    X("matmul_few_swiglu_f16", "matmul_few_swiglu_f16", CM, 32, 16384, CM_WANTS)                                       \
    X("matmul_few_swiglu_bf16", "matmul_few_swiglu_bf16", CM, 32, 16384, CM_WANTS)                                     \
    X("matmul_few_swiglu_q8_0", "matmul_few_swiglu_q8_0", CM, 32, 16384, CM_WANTS)                                     \
    X("matmul_few_swiglu_q4_0", "matmul_few_swiglu_q4_0", CM, 32, 16384, CM_WANTS)                                     \
    X("matmul_few_swiglu_q4_k", "matmul_few_swiglu_q4_k", CM, 32, 16384, CM_WANTS)                                     \
    X("matmul_few_swiglu_q6_k", "matmul_few_swiglu_q6_k", CM, 32, 16384, CM_WANTS)                                     \
    X("add", "add", 0, 128, 0, "runs anywhere")                                                                        \
    X("advance", "advance", 0, 128, 0, "runs anywhere")                                                                \
    X("silu", "silu", 0, 128, 0, "runs anywhere")                                                                      \
    X("swiglu_half", "swiglu_half", 0, 128, 0, "runs anywhere")                                                        \
    X("swiglu", "swiglu", 0, 128, 0, "runs anywhere")                                                                  \
    X("argmax", "argmax", 0, 128, 8192, "runs anywhere")                                                               \
    X("penalty", "penalty", 0, 128, 0, "runs anywhere")                                                                \
    X("sample", "sample", 0, 128, 8192, "runs anywhere")                                                               \
    X("conv1d_past", "conv1d_past", 0, 128, 0, "runs anywhere")                                                        \
    X("conv1d", "conv1d", 0, 128, 0, "runs anywhere")                                                                  \
    X("conv1d_state", "conv1d_state", 0, 128, 0, "runs anywhere")                                                      \
    X("feature_map", "feature_map", 0, 128, 0, "runs anywhere")                                                        \
    X("t2r", "t2r", 0, 128, 16384, "runs anywhere")                                                                    \
    X("gate", "gate", 0, 128, 0, "runs anywhere")                                                                      \
    X("gsa_step_k", "gsa_step_k", 0, 128, 9216, "runs anywhere")                                                       \
    X("gsa_step_v", "gsa_step_v", 0, 128, 15872, "runs anywhere")                                                      \
    X("gsa_rows_k", "gsa_rows_k", 0, 128, 9216, "runs anywhere")                                                       \
    X("gsa_rows_v", "gsa_rows_v", 0, 128, 10240, "runs anywhere")                                                      \
    X("gsa_rows_kv", "gsa_rows_kv", 0, 512, 24064, KV_WANTS)                                                           \
    X("gsa_step_k_half", "gsa_step_k_half", H16, 128, 9216, H16_WANTS)                                                 \
    X("gsa_step_v_half", "gsa_step_v_half", H16, 128, 15872, H16_WANTS)                                                \
    X("gsa_rows_k_half", "gsa_rows_k_half", H16, 128, 9216, H16_WANTS)                                                 \
    X("gsa_rows_v_half", "gsa_rows_v_half", H16, 128, 10240, H16_WANTS)                                                \
    X("gsa_rows_kv_half", "gsa_rows_kv_round16", H16 | GSAI_CAP_ROUND16, 512, 24064, R16_WANTS)                        \
    X("gsa_rows_kv_half", "gsa_rows_kv_half", H16, 512, 24064, H16_WANTS)                                              \
    X("gsa_chunk_gate", "gsa_chunk_gate", 0, 128, 512, "runs anywhere")                                                \
    X("gsa_chunk_scan", "gsa_chunk_scan", 0, 128, 16384, "runs anywhere")                                              \
    X("gsa_chunk_scan_half", "gsa_chunk_scan_half", H16, 128, 16384, H16_WANTS)                                        \
    X("gsa_chunk_read", "gsa_chunk_read", 0, 128, 14464, "runs anywhere")                                              \
    X("gsa_cm_prepare", "gsa_cm_prepare", CM, 128, 13376, CM_WANTS)                                                    \
    X("gsa_cm_chunks", "gsa_cm_chunks", CM, 128, 15360, CM_WANTS)                                                      \
    X("gsa_cm_chunks_half", "gsa_cm_chunks_half", CM, 128, 15360, CM_WANTS)                                            \
    X("gsa_cm_read", "gsa_cm_read", CM, 128, 22528, CM_WANTS)                                                          \
    X("read", "read", 0, 128, 0, "runs anywhere")

#define ROW(OP, SHADER, CAPS, INVOCATIONS, SHARED, WANTS) {OP, SHADER, CAPS, INVOCATIONS, SHARED, WANTS},
const gsai_variant gsai_variants[] = {VARIANTS(ROW)};
const uint32_t gsai_n_variants = sizeof gsai_variants / sizeof *gsai_variants;
_Static_assert(
    sizeof gsai_variants / sizeof *gsai_variants <= GSAI_MAX_VARIANTS, "gsa_device.variant_off is too small");

/* Text of a chosen variant, by what is wrong with the rung above it (USABLE: there is none). Spelled out beforehand, so
 * that the texts live as long as anybody wants. */
#define WHY6(SHADER, WANTS, TESTED)                                                                                    \
    {                                                                                                                  \
        SHADER ": best of its ladder (" WANTS ")" TESTED, SHADER ": the better one is not in this build" TESTED,       \
            SHADER ": the better one needs more than this device can" TESTED,                                          \
            SHADER ": the better one passes a limit" TESTED, SHADER ": the better one is masked" TESTED,               \
            SHADER ": the better one gave a wrong answer" TESTED                                                       \
    }
#define WHY(OP, SHADER, CAPS, INVOCATIONS, SHARED, WANTS)                                                              \
    {WHY6(SHADER, WANTS, ""), WHY6(SHADER, WANTS, "; self-test passed")},
static const char *const why[][2][GSAI_N_VARIANT_OFF] = {VARIANTS(WHY)};

static gsai_variant_off judge(const gsai_caps *caps, const gsai_variant *v)
{
    const gsai_shader *shader = gsai_shader_find(v->shader);
    gsai_coopmat_shape shape;
    if (!shader) return GSAI_VARIANT_NOT_BUILT;
    if (!gsai_caps_has(caps, v->caps)) return GSAI_VARIANT_NO_CAP;
    if ((v->caps & GSAI_CAP_COOPMAT) && !gsai_caps_matrix_shape(caps, &shape)) return GSAI_VARIANT_NO_CAP;
    if (v->min_invocations > caps->max_invocations || v->min_shared_bytes > caps->max_shared_bytes ||
        shader->n_bindings > caps->max_storage_buffers || shader->push_bytes > caps->max_push_bytes)
        return GSAI_VARIANT_LIMIT;
    return GSAI_VARIANT_USABLE;
}

/* Mark every row of that name; false when there is none. */
static bool mask(gsa_device *dev, const char *name, size_t length)
{
    bool found = false;

    for (uint32_t i = 0; i < gsai_n_variants; i++) {
        const char *shader = gsai_variants[i].shader;
        if (strlen(shader) != length || memcmp(shader, name, length) != 0) continue;
        found = true;
        if (dev->variant_off[i] == GSAI_VARIANT_USABLE) dev->variant_off[i] = GSAI_VARIANT_MASKED;
    }
    return found;
}

gsa_status gsai_variants_init(gsa_device *dev, const char *masked_names)
{
    for (uint32_t i = 0; i < gsai_n_variants; i++) dev->variant_off[i] = (uint8_t)judge(&dev->caps, &gsai_variants[i]);

    for (const char *at = masked_names; at && *at;) {
        const size_t length = strcspn(at, ", ");
        if (length > 0 && !mask(dev, at, length))
            return gsai_fail(GSA_ERROR_ARGUMENT,
                "mask: '%.*s' is neither a capability nor a kernel variant of this build (see gsa-vk devices)",
                (int)length, at);
        at += length + (at[length] != 0);
    }
    return GSA_OK;
}

const gsai_variant *gsai_variant_pick(const gsa_device *dev, const char *op)
{
    for (uint32_t i = 0; i < gsai_n_variants; i++)
        if (dev->variant_off[i] == GSAI_VARIANT_USABLE && strcmp(gsai_variants[i].op, op) == 0)
            return &gsai_variants[i];
    return NULL;
}

bool gsai_variant_fact(const gsa_device *dev, uint32_t index, const char **name, const char **value)
{
    for (uint32_t first = 0; first < gsai_n_variants; first++) {
        const char *op = gsai_variants[first].op;
        if (first > 0 && strcmp(gsai_variants[first - 1].op, op) == 0) continue; /* rungs of an op lie together */
        if (index-- > 0) continue;

        uint32_t i = first;
        while (
            i < gsai_n_variants && strcmp(gsai_variants[i].op, op) == 0 && dev->variant_off[i] != GSAI_VARIANT_USABLE)
            i++;
        *name = op;
        *value = i == gsai_n_variants || strcmp(gsai_variants[i].op, op) != 0
                     ? "none: all are masked or wrong"
                     : why[i][dev->variant_verdict[i] == GSAI_VERDICT_RIGHT][i > first ? dev->variant_off[i - 1] : 0];
        return true;
    }
    return false;
}
