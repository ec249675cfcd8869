/* Pieces of the Hugging Face folder reader. Only hf*.c and their tests include this. */
#ifndef GSAI_HF_H
#define GSAI_HF_H

#include "model/checkpoint.h"
#include "model/safetensors.h"

/* config.json, before the tensors had their say. */
typedef struct gsai_hf_config {
    gsai_config config;
    bool tied_stated;        /* the key tie_word_embeddings is there */
    bool elementwise_affine; /* g_norm has a weight, says the file */
    bool use_norm;
    char hidden_act[64];
} gsai_hf_config;

/* Text of a config.json to numbers. hidden_act is not judged yet: layouts A and B never read it. path is for messages.
 * FORMAT: not JSON, or a value outside what its key can mean. UNSUPPORTED: another model, or a feature of this one that
 * is not computed here. */
gsa_status gsai_hf_parse_config(
    const char *path, const uint8_t *text, uint64_t size, const gsa_log *log, gsai_hf_config *out);

/* config.ffn_act from hidden_act. ignored: the code of the file's time never read the key and always used swish. */
gsa_status gsai_hf_resolve_act(const char *path, gsai_hf_config *h, bool ignored, const gsa_log *log);

/* The weight files of a folder, opened, and their tensors found by name. */
typedef struct gsai_hf_files {
    gsa_allocator allocator;
    char *folder;
    gsai_safetensors *shards;
    uint32_t n_shards;
    gsai_tensor *tensors; /* of all shards, shard by shard */
    uint64_t n_tensors;
    uint32_t *shard_of; /* [n_tensors] */
    bool *used;         /* [n_tensors] a role took it */
    uint64_t *by_name;  /* [n_tensors] indices, sorted by name */
} gsai_hf_files;

/* model.safetensors, or what model.safetensors.index.json lists; statuses as gsai_checkpoint_open_hf. On failure
 * *files holds nothing. */
gsa_status gsai_hf_open_files(
    const char *folder, const gsa_allocator *allocator, const gsa_log *log, gsai_hf_files *files);
void gsai_hf_close_files(gsai_hf_files *files);

/* Index of a tensor, or -1. */
int64_t gsai_hf_find(const gsai_hf_files *files, const char *name);

#endif
