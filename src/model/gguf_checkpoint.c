/* A GGUF file of architecture gsa as a checkpoint: config from its metadata, every tensor to its role by name. */
#include "model/gguf_config.h"
#include "model/gguf_keys.h"
#include "util/alloc.h"
#include "util/status.h"

#include <stdio.h>
#include <string.h>

typedef struct opened {
    gsai_source *source;
    gsai_gguf *gguf;
    bool *used; /* [n_tensors] a role took it */
} opened;

static gsa_status read_tensor(void *user, const gsai_tensor *t, uint64_t offset, uint64_t size, void *dst)
{
    (void)t; /* read_offset, which is in offset, is where the tensor lies in the file */
    return gsai_source_read(user, offset, size, dst);
}

static gsai_tensor view(const opened *o, const gsai_gguf_tensor *from)
{
    gsai_tensor t = {.name = from->name,
        .type = from->type,
        .n_dims = from->n_dims,
        .data = gsai_source_bytes(o->source, from->offset, from->n_bytes),
        .is_mapped = o->source->map.data != NULL,
        .n_bytes = from->n_bytes,
        .read_offset = from->offset,
        .read = read_tensor,
        .read_user = o->source,
        .file_type = from->type_name};
    memcpy(t.dims, from->dims, from->n_dims * sizeof *t.dims);
    return t;
}

/* Shapes are the config's, outermost first as everywhere in the library; a trailing run of ones does not matter to ggml
 * tools, so it does not here. */
static bool same_shape(const gsai_gguf_tensor *t, uint32_t n_dims, const uint64_t *dims)
{
    uint32_t extra = t->n_dims;
    while (extra > n_dims && t->dims[t->n_dims - extra] == 1) extra--;
    return extra == n_dims && memcmp(t->dims + (t->n_dims - extra), dims, n_dims * sizeof *dims) == 0;
}

static gsa_status take(gsai_checkpoint *c, gsai_role role, uint32_t layer)
{
    const opened *o = c->opened;
    const gsai_gguf *g = o->gguf;
    gsai_tensor *out = (gsai_tensor *)(uintptr_t)gsai_checkpoint_role(c, role, layer);
    uint64_t dims[2];
    char name[GSAI_GGUF_NAME_SIZE], expected[64], found[128];
    const uint32_t n_dims = gsai_role_shape(&c->config, role, dims);
    if (n_dims == 0) return GSA_OK;
    gsai_gguf_tensor_name(name, role, layer);
    gsai_shape_text(expected, sizeof expected, n_dims, dims);
    const gsai_gguf_tensor *t = gsai_gguf_find_tensor(g, name);
    if (!t)
        return gsai_fail(
            GSA_ERROR_FORMAT, "%s: tensor %s is missing, expected it with shape %s", g->name, name, expected);
    if (t->type >= GSAI_N_TYPES)
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "%s: tensor %s has type %s, supported are F32, F16, BF16, Q8_0, Q4_0, Q4_K and Q6_K", g->name, name,
            t->type_name);
    if (gsai_type_is_quantised(t->type) && !gsai_role_is_matrix(role))
        return gsai_fail(GSA_ERROR_UNSUPPORTED,
            "%s: tensor %s has type %s; norms, convolutions and feature maps must be F32, F16 or BF16", g->name, name,
            t->type_name);
    if (!same_shape(t, n_dims, dims)) {
        gsai_shape_text(found, sizeof found, t->n_dims, t->dims);
        return gsai_fail(GSA_ERROR_FORMAT, "%s: tensor %s has shape %s, the gsa.* keys make it %s (outermost first)",
            g->name, name, found, expected);
    }
    o->used[t - g->tensors] = true;
    *out = view(o, t);
    out->n_dims = n_dims;
    memcpy(out->dims, dims, n_dims * sizeof *dims);
    return GSA_OK;
}

/* All layers have a weight for the norm of the mixer's output, or none has. */
static bool has_g_norm(const gsai_gguf *g)
{
    char name[GSAI_GGUF_NAME_SIZE];
    gsai_gguf_tensor_name(name, GSAI_ROLE_G_NORM, 0);
    return gsai_gguf_find_tensor(g, name) != NULL;
}

static gsa_status refuse_leftovers(const opened *o)
{
    const gsai_gguf *g = o->gguf;
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        if (!o->used[i])
            return gsai_fail(GSA_ERROR_UNSUPPORTED,
                "%s: tensor %.150s: no part of a GSA model with these gsa.* keys uses it", g->name, g->tensors[i].name);
    }
    return GSA_OK;
}

static gsa_status bind(gsai_checkpoint *c)
{
    const opened *o = c->opened;
    const gsai_gguf *g = o->gguf;
    char name[GSAI_GGUF_NAME_SIZE];
    gsai_gguf_tensor_name(name, GSAI_ROLE_HEAD, 0);
    c->config.tied = !gsai_gguf_find_tensor(g, name);
    gsa_status status = GSA_OK;
    for (int role = 0; role < GSAI_ROLE_ATTN_NORM && !status; role++) status = take(c, (gsai_role)role, 0);
    if (status) return status;
    if (c->config.tied) c->head = c->embed;
    c->layers = gsai_alloc_array(&c->allocator, c->config.n_layers, sizeof *c->layers);
    if (!c->layers) return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for %u layers", g->name, c->config.n_layers);
    const bool g_norm = has_g_norm(g);
    for (uint32_t layer = 0; layer < c->config.n_layers; layer++) {
        for (int role = GSAI_ROLE_ATTN_NORM; role < GSAI_N_ROLES; role++) {
            if (role == GSAI_ROLE_G_NORM && !g_norm) continue;
            if ((status = take(c, (gsai_role)role, layer))) return status;
        }
    }
    return refuse_leftovers(o);
}

static gsa_status refuse_parts(const gsai_gguf *g)
{
    uint32_t n = 1;
    const gsa_status status = gsai_gguf_get_u32(g, "split.count", false, 0, UINT32_MAX, &n);
    if (status || n <= 1) return status;
    return gsai_fail(GSA_ERROR_UNSUPPORTED,
        "%s: one of %u parts of a model; merge them into one file first (llama-gguf-split --merge)", g->name, n);
}

static gsa_status list_and_describe(gsai_checkpoint *c)
{
    const opened *o = c->opened;
    const gsai_gguf *g = o->gguf;
    const char *format = "GGUF file %s (version %u, %llu tensors)";
    const unsigned long long n_tensors = g->n_tensors;
    const int n = snprintf(NULL, 0, format, g->name, GSAI_GGUF_VERSION, n_tensors);
    c->description = gsai_alloc(&c->allocator, (size_t)n + 1);
    c->tensors = gsai_alloc_array(&c->allocator, (size_t)g->n_tensors, sizeof *c->tensors);
    if (!c->description || !c->tensors)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for %llu tensors", g->name, n_tensors);
    snprintf(c->description, (size_t)n + 1, format, g->name, GSAI_GGUF_VERSION, n_tensors);
    for (uint64_t i = 0; i < g->n_tensors; i++) c->tensors[i] = view(o, &g->tensors[i]);
    c->n_tensors = g->n_tensors;
    return GSA_OK;
}

static void close_gguf(gsai_checkpoint *c)
{
    opened *o = c->opened;
    gsai_free(&c->allocator, o->used);
    gsai_gguf_close(o->gguf);
    gsai_source_close(o->source);
    gsai_free(&c->allocator, o);
}

const gsai_gguf *gsai_checkpoint_gguf(const gsai_checkpoint *c)
{
    return c->close == close_gguf ? ((const opened *)c->opened)->gguf : NULL;
}

static gsa_status open_into(gsai_checkpoint *c)
{
    const gsa_allocator *a = &c->allocator;
    opened *o = c->opened;
    gsa_status status = gsai_gguf_open(o->source, a, &o->gguf);
    if (!status) status = gsai_gguf_config_read(o->gguf, &c->config);
    if (!status) status = refuse_parts(o->gguf);
    if (status) return status;
    o->used = gsai_alloc_array(a, (size_t)o->gguf->n_tensors, sizeof *o->used);
    if (!o->used)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for %llu tensors", o->gguf->name,
            (unsigned long long)o->gguf->n_tensors);
    status = bind(c);
    return status ? status : list_and_describe(c);
}

gsa_status gsai_checkpoint_open_gguf(
    const char *path, const gsa_source *host, const gsai_checkpoint_options *options, gsai_checkpoint **out)
{
    const gsa_allocator *a = &options->allocator;
    gsai_source *source;
    *out = NULL;
    gsa_status status = path ? gsai_source_open_path(path, a, &source) : gsai_source_open_host(host, a, &source);
    if (status) return status;
    gsai_checkpoint *c = gsai_alloc(a, sizeof *c);
    opened *o = gsai_alloc(a, sizeof *o);
    if (!c || !o) {
        status = gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for a checkpoint", source->name);
        gsai_free(a, c);
        gsai_free(a, o);
        gsai_source_close(source);
        return status;
    }
    o->source = source;
    c->allocator = *a;
    c->opened = o;
    c->close = close_gguf;
    if ((status = open_into(c))) {
        gsai_checkpoint_close(c);
        return status;
    }
    *out = c;
    return GSA_OK;
}
