/* What a GSA model is, as numbers. Filled from config.json (hf.c), a preset (synthetic.c) or metadata of other formats;
 * immutable afterwards. Letters as in MODEL.md. */
#ifndef GSAI_CONFIG_H
#define GSAI_CONFIG_H

#include "gsa/base.h"

typedef enum gsai_feature_map { GSAI_FEATURE_SWISH, GSAI_FEATURE_RELU, GSAI_FEATURE_T2R } gsai_feature_map;
typedef enum gsai_ffn_act { GSAI_FFN_SWISH, GSAI_FFN_POWLU } gsai_ffn_act;

typedef struct gsai_config {
    uint32_t n_vocab;
    uint32_t n_layers;
    uint32_t D;              /* hidden size */
    uint32_t H;              /* query heads */
    uint32_t G;              /* kv heads; H is a multiple; query head h reads kv head h / (H / G) */
    uint32_t K;              /* key dim per head */
    uint32_t V;              /* value dim per head */
    uint32_t M;              /* slots */
    uint32_t F;              /* feed-forward size */
    uint32_t W;              /* taps of the short convolution; 0 = none */
    uint32_t context_length; /* trained length, advisory; 0 = unknown */
    float norm_eps;          /* attn_norm, ffn_norm, out_norm */
    float g_norm_eps;        /* 1e-5 whatever norm_eps says (MODEL.md) */
    float gate_normalizer;   /* g = logsigmoid(f) / gate_normalizer */
    float scale;             /* of q . hk; 1 in every published model */
    gsai_feature_map feature_map;
    gsai_ffn_act ffn_act;
    bool tied;              /* head shares the embedding's weights */
    int32_t bos_id, eos_id; /* -1 = none */
    bool half_state;        /* sessions keep hk and hv as f16: a choice of the caller's, no part of the model */
} gsai_config;

/* Caps on what a file may claim; they keep every product of two of these far from 2^64. */
#define GSAI_MAX_VOCAB  (1u << 24)
#define GSAI_MAX_LAYERS 1024u
#define GSAI_MAX_DIM    (1u << 20) /* D, F, H*K, G*V, G*M */
#define GSAI_MAX_SLOTS  4096u
#define GSAI_MAX_TAPS   64u

/* Zero-free, divisible, within the caps? FORMAT names the offending value with what was expected. */
gsa_status gsai_config_check(const gsai_config *c);

/* Where the parts of one layer's recurrent state lie, in floats from the start of the layer's block:
 *   hk [G][K][M]   hv [G][M][V]   conv_q [H*K][W]   conv_k [G*K][W]   conv_v [G*V][W]  (oldest input first)
 * All zeros is the state before the first token. */
typedef struct gsai_layer_state {
    uint64_t hk, hv, conv_q, conv_k, conv_v;
    uint64_t n_floats;
} gsai_layer_state;

gsai_layer_state gsai_config_layer_state(const gsai_config *c, uint32_t layer);
uint64_t gsai_config_state_floats(const gsai_config *c); /* all layers, one session */

/* Canonical bytes of the config, hashed into the model identity: same graph and shapes <=> same hash. */
uint64_t gsai_config_hash(const gsai_config *c);

#endif
