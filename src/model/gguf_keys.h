/* Metadata keys and tensor names of a GSA model in GGUF, for who reads and who writes them. What they mean is in
 * FORMAT.md. */
#ifndef GSAI_GGUF_KEYS_H
#define GSAI_GGUF_KEYS_H

#include "model/checkpoint.h"

#include <stdio.h>

#define GSAI_GGUF_ARCHITECTURE   "gsa"
#define GSAI_GGUF_QUANT_VERSION  2u

#define GSAI_KEY_ARCHITECTURE    "general.architecture"         /* string, GSAI_GGUF_ARCHITECTURE */
#define GSAI_KEY_NAME            "general.name"                 /* string, for people */
#define GSAI_KEY_QUANT_VERSION   "general.quantization_version" /* u32, 2: the block formats' layout */
#define GSAI_KEY_FILE_TYPE       "general.file_type" /* u32, gsai_gguf_file_type of most matrices; advisory */
#define GSAI_KEY_ALIGNMENT       "general.alignment" /* u32; absent = GSAI_GGUF_ALIGNMENT */

/* u32 unless said otherwise */
#define GSAI_KEY_N_VOCAB         "gsa.vocab_size"
#define GSAI_KEY_CONTEXT_LENGTH  "gsa.context_length" /* trained length, advisory; absent or 0 = unknown */
#define GSAI_KEY_D               "gsa.embedding_length"
#define GSAI_KEY_N_LAYERS        "gsa.block_count"
#define GSAI_KEY_F               "gsa.feed_forward_length"
#define GSAI_KEY_H               "gsa.attention.head_count"
#define GSAI_KEY_G               "gsa.attention.head_count_kv"          /* absent = head_count */
#define GSAI_KEY_K               "gsa.attention.key_length"             /* of a head */
#define GSAI_KEY_V               "gsa.attention.value_length"           /* of a head */
#define GSAI_KEY_NORM_EPS        "gsa.attention.layer_norm_rms_epsilon" /* f32 */
#define GSAI_KEY_G_NORM_EPS      "gsa.attention.sub_norm_epsilon"       /* f32; absent = 1e-5 */
#define GSAI_KEY_M               "gsa.slot.count"
#define GSAI_KEY_GATE_NORMALIZER "gsa.slot.gate_normalizer"    /* f32 */
#define GSAI_KEY_FEATURE_MAP     "gsa.slot.feature_map"        /* string: swish, relu, t2r */
#define GSAI_KEY_SCALE           "gsa.slot.scale"              /* f32; absent = 1 */
#define GSAI_KEY_W               "gsa.shortconv.l_cache"       /* taps; absent = no convolution */
#define GSAI_KEY_FFN_ACT         "gsa.feed_forward.activation" /* string: swish, powlu; absent = swish */

#define GSAI_KEY_BOS             "tokenizer.ggml.bos_token_id" /* absent = none; also without a tokenizer */
#define GSAI_KEY_EOS             "tokenizer.ggml.eos_token_id"

/* ggml's number of a file whose matrices are mostly of a type. */
static inline uint32_t gsai_gguf_file_type(gsai_type type)
{
    static const uint32_t ids[GSAI_N_TYPES] = {
        [GSAI_F32] = 0,
        [GSAI_F16] = 1,
        [GSAI_BF16] = 32,
        [GSAI_Q8_0] = 7,
        [GSAI_Q4_0] = 2,
        [GSAI_Q4_K] = 14, /* ggml's "small" mix; its mixes are not ours, so this is a hint for people */
        [GSAI_Q6_K] = 18,
    };
    return ids[type];
}

#define GSAI_GGUF_NAME_SIZE 48 /* "blk.1023.attn_feature_map.weight" */

static inline void gsai_gguf_tensor_name(char name[GSAI_GGUF_NAME_SIZE], gsai_role role, uint32_t layer)
{
    if (role < GSAI_ROLE_ATTN_NORM)
        snprintf(name, GSAI_GGUF_NAME_SIZE, "%s.weight", gsai_role_name(role));
    else
        snprintf(name, GSAI_GGUF_NAME_SIZE, "blk.%u.%s.weight", layer, gsai_role_name(role));
}

#endif
