/* A GSA model as a GGUF file in memory, straight or bent in one place, without the library's writer. Needs cmocka. */
#ifndef GSA_TEST_GGUF_MODEL_H
#define GSA_TEST_GGUF_MODEL_H

#include "gguf/format.h"
#include "model/gguf_keys.h"
#include "support/gguf_maker.h"

#include <stdbool.h>

/* What a test bends before the file is made. */
typedef struct gm_bent {
    const char *drop_key;      /* a key that is left out */
    const char *key, *words;   /* a key whose kind and value are these words; "" as key adds only words */
    const char *drop_tensor;   /* by name */
    const char *rename, *name; /* a tensor with another name */
    const char *reshape;       /* a tensor with another shape, of as many bytes */
    uint32_t n_dims;
    uint64_t dims[4];   /* innermost first */
    const char *retype; /* a tensor with another type */
    uint32_t type;
    const char *extra; /* one more tensor */
} gm_bent;

typedef struct gm_model_parts {
    gguf_maker keys, tensors, data;
    uint64_t n_keys, n_tensors;
    const gm_bent *b;
} gm_model_parts;

static inline bool gm_wants_key(gm_model_parts *m, const char *key)
{
    if (m->b->drop_key && strcmp(m->b->drop_key, key) == 0) return false;
    if (m->b->key && strcmp(m->b->key, key) == 0) {
        gm_string(&m->keys, key);
        gm_words(&m->keys, m->b->words);
        m->n_keys++;
        return false;
    }
    m->n_keys++;
    return true;
}

static inline void gm_put_u32(gm_model_parts *m, const char *key, uint32_t value)
{
    if (gm_wants_key(m, key)) gm_u32(&m->keys, key, value);
}

static inline void gm_put_f32(gm_model_parts *m, const char *key, float value)
{
    if (gm_wants_key(m, key)) gm_f32(&m->keys, key, value);
}

static inline void gm_put_text(gm_model_parts *m, const char *key, const char *value)
{
    if (gm_wants_key(m, key)) gm_text(&m->keys, key, value);
}

static inline void gm_put_config(gm_model_parts *m, const gsai_config *c)
{
    static const char *const maps[] = {"swish", "relu", "t2r"}, *const acts[] = {"swish", "powlu"};
    gm_put_text(m, "general.architecture", "gsa");
    gm_put_u32(m, "gsa.vocab_size", c->n_vocab);
    gm_put_u32(m, "gsa.context_length", c->context_length);
    gm_put_u32(m, "gsa.embedding_length", c->D);
    gm_put_u32(m, "gsa.block_count", c->n_layers);
    gm_put_u32(m, "gsa.feed_forward_length", c->F);
    gm_put_text(m, "gsa.feed_forward.activation", acts[c->ffn_act]);
    gm_put_u32(m, "gsa.attention.head_count", c->H);
    gm_put_u32(m, "gsa.attention.head_count_kv", c->G);
    gm_put_u32(m, "gsa.attention.key_length", c->K);
    gm_put_u32(m, "gsa.attention.value_length", c->V);
    gm_put_f32(m, "gsa.attention.layer_norm_rms_epsilon", c->norm_eps);
    gm_put_f32(m, "gsa.attention.sub_norm_epsilon", c->g_norm_eps);
    gm_put_u32(m, "gsa.slot.count", c->M);
    gm_put_f32(m, "gsa.slot.gate_normalizer", c->gate_normalizer);
    gm_put_text(m, "gsa.slot.feature_map", maps[c->feature_map]);
    gm_put_f32(m, "gsa.slot.scale", c->scale);
    if (c->W) gm_put_u32(m, "gsa.shortconv.l_cache", c->W);
    if (c->bos_id >= 0) gm_put_u32(m, "tokenizer.ggml.bos_token_id", (uint32_t)c->bos_id);
    if (c->eos_id >= 0) gm_put_u32(m, "tokenizer.ggml.eos_token_id", (uint32_t)c->eos_id);
    if (m->b->key && !*m->b->key) {
        gm_words(&m->keys, m->b->words);
        m->n_keys++;
    }
}

static inline bool gm_is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static inline void gm_put_tensor(gm_model_parts *m, const char *name, const gsai_tensor *t)
{
    uint64_t dims[4];
    const gm_bent *b = m->b;
    if (gm_is(b->drop_tensor, name)) return;
    for (uint32_t i = 0; i < t->n_dims; i++) dims[i] = t->dims[t->n_dims - 1 - i];
    const bool reshaped = gm_is(b->reshape, name);
    gm_tensor(&m->tensors, gm_is(b->rename, name) ? b->name : name,
        gm_is(b->retype, name) ? b->type : gsai_gguf_type_id(t->type), reshaped ? b->n_dims : t->n_dims,
        reshaped ? b->dims : dims, m->data.n);
    uint8_t *bytes = malloc(t->n_bytes);
    assert_int_equal(gsai_tensor_read(t, 0, t->n_bytes, bytes), GSA_OK);
    gm_raw(&m->data, bytes, t->n_bytes);
    gm_pad(&m->data, 32);
    free(bytes);
    m->n_tensors++;
}

/* A checkpoint as a GGUF file. */
static inline gguf_maker gm_model(const gsai_checkpoint *c, const gm_bent *b)
{
    static const gm_bent straight;
    gm_model_parts m = {.b = b ? b : &straight};
    char name[GSAI_GGUF_NAME_SIZE];
    gm_put_config(&m, &c->config);
    for (uint32_t layer = 0; layer < c->config.n_layers; layer++) {
        for (int role = layer ? GSAI_ROLE_ATTN_NORM : 0; role < GSAI_N_ROLES; role++) {
            const gsai_tensor *t = gsai_checkpoint_role(c, (gsai_role)role, layer);
            if (!gsai_tensor_present(t) || (role == GSAI_ROLE_HEAD && c->config.tied)) continue;
            gsai_gguf_tensor_name(name, (gsai_role)role, layer);
            gm_put_tensor(&m, name, t);
        }
    }
    if (m.b->extra) {
        gm_tensor(&m.tensors, m.b->extra, 0, 1, (uint64_t[]){0}, 0);
        m.n_tensors++;
    }
    gguf_maker file = {0};
    gm_header(&file, m.n_tensors, m.n_keys);
    gm_raw(&file, m.keys.bytes, m.keys.n);
    gm_raw(&file, m.tensors.bytes, m.tensors.n);
    gm_pad(&file, 32);
    gm_raw(&file, m.data.bytes, m.data.n);
    gm_free(&m.keys);
    gm_free(&m.tensors);
    gm_free(&m.data);
    return file;
}

#endif
