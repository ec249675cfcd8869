/* A model's weights as bounds-checked views, bound to their roles. No GPU. One opener per file format fills the same
 * struct; whoever consumes it (upload, CPU reference, inspect, convert) never sees a format. */
#ifndef GSAI_CHECKPOINT_H
#define GSAI_CHECKPOINT_H

#include "gguf/gguf.h"
#include "model/config.h"
#include "model/tensor.h"

/* What a tensor does in the model, in the order in which weights are hashed, listed and uploaded. */
typedef enum gsai_role {
    GSAI_ROLE_EMBED,
    GSAI_ROLE_OUT_NORM,
    GSAI_ROLE_HEAD,
    GSAI_ROLE_ATTN_NORM, /* the first one that every layer has */
    GSAI_ROLE_Q,
    GSAI_ROLE_K,
    GSAI_ROLE_V,
    GSAI_ROLE_F,
    GSAI_ROLE_CONV_Q,
    GSAI_ROLE_CONV_K,
    GSAI_ROLE_CONV_V,
    GSAI_ROLE_T2R,
    GSAI_ROLE_G_NORM,
    GSAI_ROLE_O,
    GSAI_ROLE_FFN_NORM,
    GSAI_ROLE_GATE,
    GSAI_ROLE_UP,
    GSAI_ROLE_DOWN,
    GSAI_N_ROLES
} gsai_role;

/* Shape the config gives a role; 1 or 2 dims written, or 0 when this config has no such tensor (convolutions, t2r, the
 * head of a tied model). The g_norm weight may be absent all the same. */
uint32_t gsai_role_shape(const gsai_config *c, gsai_role role, uint64_t dims[2]);
/* A matrix that products (or the embedding) read, in any type? All else is read by kernels of its own: plain floats only. */
bool gsai_role_is_matrix(gsai_role role);
/* The role's name without layer and suffix: "attn_q", "ffn_norm", "token_embd", ... as in FORMAT.md. */
const char *gsai_role_name(gsai_role role);

typedef struct gsai_layer_tensors {
    gsai_tensor attn_norm;              /* [D] */
    gsai_tensor q, k, v, f;             /* [H*K,D] [G*K,D] [G*V,D] [G*M,D] */
    gsai_tensor conv_q, conv_k, conv_v; /* [H*K,W] [G*K,W] [G*V,W]; absent when W = 0 */
    gsai_tensor t2r;                    /* [K,K]; only with GSAI_FEATURE_T2R */
    gsai_tensor g_norm;                 /* [H*V]; absent: no elementwise weight */
    gsai_tensor o;                      /* [D,H*V] */
    gsai_tensor ffn_norm;               /* [D] */
    gsai_tensor gate, up;               /* [F,D] each */
    gsai_tensor down;                   /* [D,F] */
} gsai_layer_tensors;

typedef struct gsai_checkpoint {
    gsa_allocator allocator;
    gsai_config config;
    gsai_tensor embed;          /* [n_vocab,D] */
    gsai_tensor out_norm;       /* [D] */
    gsai_tensor head;           /* [n_vocab,D]; the same bytes as embed when tied */
    gsai_layer_tensors *layers; /* [n_layers] */
    char *description;          /* for people: "Hugging Face folder DIR (layout C, 3 files)" */

    gsai_tensor *tensors; /* every tensor of the file(s), for inspect; names and maps belong to opened */
    uint64_t n_tensors;
    void *opened;                            /* what the opener keeps alive: maps, names */
    void (*close)(struct gsai_checkpoint *); /* releases opened */
} gsai_checkpoint;

typedef struct gsai_checkpoint_options {
    gsa_allocator allocator; /* all callbacks set */
    const gsa_log *log;
} gsai_checkpoint_options;

/* Folder with config.json and model.safetensors, or shards with model.safetensors.index.json.
 * FILE: something is absent or unreadable. FORMAT: a file breaks its rules, or a tensor is missing or has the wrong
 * shape. UNSUPPORTED: a config value or a tensor means a model this library does not compute; the text names it.
 * Nothing is kept on failure. Config keys nobody knows are warned about in the log. */
gsa_status gsai_checkpoint_open_hf(const char *folder, const gsai_checkpoint_options *options, gsai_checkpoint **out);

/* GGUF file of architecture gsa: at path, or with path NULL at host, whose memory or callback must live as long as the
 * checkpoint. Statuses as above; UNSUPPORTED also for other architectures and for parts of split files. */
gsa_status gsai_checkpoint_open_gguf(
    const char *path, const gsa_source *host, const gsai_checkpoint_options *options, gsai_checkpoint **out);

/* The file's header, until the checkpoint is closed; NULL when it came from something else. */
const gsai_gguf *gsai_checkpoint_gguf(const gsai_checkpoint *c);

/* Random weights of a preset's shape ("340m", "1.3b", "2.7b", "7b") or a custom config, generated while they are read:
 * the value of an element depends on seed, tensor role, layer and index only, so any read order, from any threads,
 * gives the same model. Scales are chosen so that activations stay of order one through all layers. Norm weights are
 * f32. */
gsa_status gsai_checkpoint_synthetic_preset(const char *preset, gsai_config *config);
gsa_status gsai_checkpoint_open_synthetic(const gsai_config *config, gsai_type type, uint64_t seed,
    const gsai_checkpoint_options *options, gsai_checkpoint **out);

void gsai_checkpoint_close(gsai_checkpoint *c); /* NULL and half-built are fine */

/* Where c keeps a role's tensor; layer is ignored for the first three roles. */
const gsai_tensor *gsai_checkpoint_role(const gsai_checkpoint *c, gsai_role role, uint32_t layer);

/* Hash of the config and all weights' bytes in role order: the model identity of state files. Reads everything once.
 * The same weights give the same hash whatever file format, sharding or tensor names they came in. */
gsa_status gsai_checkpoint_hash(const gsai_checkpoint *c, uint64_t *hash);

#endif
