/* What every kind of checkpoint shares: the table of roles, closing, identity. */
#include "model/checkpoint.h"

#include "util/alloc.h"
#include "util/hash.h"
#include "util/status.h"

#include <string.h>

static const struct {
    const char *name;
    size_t offset; /* in gsai_checkpoint, or from GSAI_ROLE_ATTN_NORM on in gsai_layer_tensors */
} roles[GSAI_N_ROLES] = {
    [GSAI_ROLE_EMBED] = {"token_embd", offsetof(gsai_checkpoint, embed)},
    [GSAI_ROLE_OUT_NORM] = {"output_norm", offsetof(gsai_checkpoint, out_norm)},
    [GSAI_ROLE_HEAD] = {"output", offsetof(gsai_checkpoint, head)},
    [GSAI_ROLE_ATTN_NORM] = {"attn_norm", offsetof(gsai_layer_tensors, attn_norm)},
    [GSAI_ROLE_Q] = {"attn_q", offsetof(gsai_layer_tensors, q)},
    [GSAI_ROLE_K] = {"attn_k", offsetof(gsai_layer_tensors, k)},
    [GSAI_ROLE_V] = {"attn_v", offsetof(gsai_layer_tensors, v)},
    [GSAI_ROLE_F] = {"attn_slot_gate", offsetof(gsai_layer_tensors, f)},
    [GSAI_ROLE_CONV_Q] = {"attn_conv_q", offsetof(gsai_layer_tensors, conv_q)},
    [GSAI_ROLE_CONV_K] = {"attn_conv_k", offsetof(gsai_layer_tensors, conv_k)},
    [GSAI_ROLE_CONV_V] = {"attn_conv_v", offsetof(gsai_layer_tensors, conv_v)},
    [GSAI_ROLE_T2R] = {"attn_feature_map", offsetof(gsai_layer_tensors, t2r)},
    [GSAI_ROLE_G_NORM] = {"attn_sub_norm", offsetof(gsai_layer_tensors, g_norm)},
    [GSAI_ROLE_O] = {"attn_output", offsetof(gsai_layer_tensors, o)},
    [GSAI_ROLE_FFN_NORM] = {"ffn_norm", offsetof(gsai_layer_tensors, ffn_norm)},
    [GSAI_ROLE_GATE] = {"ffn_gate", offsetof(gsai_layer_tensors, gate)},
    [GSAI_ROLE_UP] = {"ffn_up", offsetof(gsai_layer_tensors, up)},
    [GSAI_ROLE_DOWN] = {"ffn_down", offsetof(gsai_layer_tensors, down)},
};

static uint32_t shape1(uint64_t dims[2], uint64_t n)
{
    dims[0] = n;
    return 1;
}
static uint32_t shape2(uint64_t dims[2], uint64_t rows, uint64_t columns)
{
    dims[0] = rows;
    dims[1] = columns;
    return columns ? 2 : 0; /* a convolution that is not there has no taps */
}

uint32_t gsai_role_shape(const gsai_config *c, gsai_role role, uint64_t dims[2])
{
    const uint64_t D = c->D, HK = (uint64_t)c->H * c->K, GK = (uint64_t)c->G * c->K, GV = (uint64_t)c->G * c->V;
    const uint64_t GM = (uint64_t)c->G * c->M, HV = (uint64_t)c->H * c->V;
    switch (role) {
    case GSAI_ROLE_EMBED:
        return shape2(dims, c->n_vocab, D);
    case GSAI_ROLE_HEAD:
        return c->tied ? 0 : shape2(dims, c->n_vocab, D);
    case GSAI_ROLE_OUT_NORM:
    case GSAI_ROLE_ATTN_NORM:
    case GSAI_ROLE_FFN_NORM:
        return shape1(dims, D);
    case GSAI_ROLE_Q:
        return shape2(dims, HK, D);
    case GSAI_ROLE_K:
        return shape2(dims, GK, D);
    case GSAI_ROLE_V:
        return shape2(dims, GV, D);
    case GSAI_ROLE_F:
        return shape2(dims, GM, D);
    case GSAI_ROLE_CONV_Q:
        return shape2(dims, HK, c->W);
    case GSAI_ROLE_CONV_K:
        return shape2(dims, GK, c->W);
    case GSAI_ROLE_CONV_V:
        return shape2(dims, GV, c->W);
    case GSAI_ROLE_T2R:
        return c->feature_map == GSAI_FEATURE_T2R ? shape2(dims, c->K, c->K) : 0;
    case GSAI_ROLE_G_NORM:
        return shape1(dims, HV);
    case GSAI_ROLE_O:
        return shape2(dims, D, HV);
    case GSAI_ROLE_GATE:
    case GSAI_ROLE_UP:
        return shape2(dims, c->F, D);
    case GSAI_ROLE_DOWN:
        return shape2(dims, D, c->F);
    case GSAI_N_ROLES:
        break;
    }
    return 0;
}

bool gsai_role_is_matrix(gsai_role role)
{
    switch (role) {
    case GSAI_ROLE_EMBED:
    case GSAI_ROLE_HEAD:
    case GSAI_ROLE_Q:
    case GSAI_ROLE_K:
    case GSAI_ROLE_V:
    case GSAI_ROLE_F:
    case GSAI_ROLE_O:
    case GSAI_ROLE_GATE:
    case GSAI_ROLE_UP:
    case GSAI_ROLE_DOWN:
        return true;
    default:
        return false;
    }
}

const char *gsai_role_name(gsai_role role)
{
    return roles[role].name;
}

const gsai_tensor *gsai_checkpoint_role(const gsai_checkpoint *c, gsai_role role, uint32_t layer)
{
    const void *base = role < GSAI_ROLE_ATTN_NORM ? (const void *)c : (const void *)&c->layers[layer];
    return (const gsai_tensor *)((const char *)base + roles[role].offset);
}

void gsai_checkpoint_close(gsai_checkpoint *c)
{
    if (!c) return;
    const gsa_allocator a = c->allocator;
    if (c->close) c->close(c);
    gsai_free(&a, c->layers);
    gsai_free(&a, c->tensors);
    gsai_free(&a, c->description);
    gsai_free(&a, c);
}

static void hash_u64(gsai_hash *h, uint64_t x, unsigned n_bytes)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < n_bytes; i++) bytes[i] = (uint8_t)(x >> 8 * i);
    gsai_hash_update(h, bytes, n_bytes);
}

#define HASH_BLOCK (256u << 10)

static gsa_status hash_tensor(gsai_hash *h, const gsai_tensor *t, uint8_t *block)
{
    hash_u64(h, gsai_tensor_present(t) ? (uint64_t)t->type + 1 : 0, 4);
    hash_u64(h, t->n_bytes, 8);
    if (t->data) {
        gsai_hash_update(h, t->data, (size_t)t->n_bytes);
        return GSA_OK;
    }
    for (uint64_t i = 0; i < t->n_bytes; i += HASH_BLOCK) {
        const uint64_t n = t->n_bytes - i < HASH_BLOCK ? t->n_bytes - i : HASH_BLOCK;
        const gsa_status status = gsai_tensor_read(t, i, n, block);
        if (status) return status;
        gsai_hash_update(h, block, (size_t)n);
    }
    return GSA_OK;
}

gsa_status gsai_checkpoint_hash(const gsai_checkpoint *c, uint64_t *hash)
{
    static const char tag[16] = "gsa model v1";
    static const gsai_tensor absent;
    uint8_t *block = gsai_alloc(&c->allocator, HASH_BLOCK);
    if (!block) return gsai_fail(GSA_ERROR_HOST_MEMORY, "model hash: no memory for %u bytes", HASH_BLOCK);
    gsai_hash h;
    gsai_hash_init(&h);
    gsai_hash_update(&h, tag, sizeof tag);
    hash_u64(&h, gsai_config_hash(&c->config), 8);
    gsa_status status = GSA_OK;
    for (int role = 0; role < GSAI_ROLE_ATTN_NORM && !status; role++) {
        /* A tied head is the embedding again: its bytes are there already, and the config says that it is tied. */
        const bool skip = role == GSAI_ROLE_HEAD && c->config.tied;
        status = hash_tensor(&h, skip ? &absent : gsai_checkpoint_role(c, (gsai_role)role, 0), block);
    }
    for (uint32_t layer = 0; layer < c->config.n_layers && !status; layer++) {
        for (int role = GSAI_ROLE_ATTN_NORM; role < GSAI_N_ROLES && !status; role++)
            status = hash_tensor(&h, gsai_checkpoint_role(c, (gsai_role)role, layer), block);
    }
    gsai_free(&c->allocator, block);
    if (!status) *hash = gsai_hash_final(&h);
    return status;
}
