/* A Hugging Face folder as a checkpoint: config, files, then every tensor to its role. Three layouts were published;
 * they differ in names and in one fused matrix, so the tensors say which it is:
 *   A  norms inside the modules (attn.norm, mlp.norm); mlp.gate_proj is [gate; up]
 *   B  attn_norm and mlp_norm beside the modules; mlp.gate_proj is [gate; up]
 *   C  as B with a separate up_proj; written since February 2025
 * All run as the code of today runs them, g_norm with its epsilon of 1e-5. */
#include "model/hf.h"

#include "util/alloc.h"
#include "util/status.h"

#include <stdio.h>
#include <string.h>

typedef struct binder {
    gsai_checkpoint *checkpoint;
    gsai_hf_files *files;
    gsai_hf_config hf;
    bool inner_norms, fused_gate;
} binder;

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

static bool any_ends_with(const gsai_hf_files *f, const char *end)
{
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        if (ends_with(f->tensors[i].name, end)) return true;
    }
    return false;
}

static const char *path_of(const gsai_hf_files *f, uint64_t tensor)
{
    return f->shards[f->shard_of[tensor]].path;
}

/* Take the tensor of this name for a role, if its type and shape are right. */
static gsa_status take(binder *b, const char *name, uint32_t n_dims, const uint64_t *dims, gsai_tensor *out)
{
    gsai_hf_files *f = b->files;
    const int64_t i = gsai_hf_find(f, name);
    char expected[128], found[128];
    gsai_shape_text(expected, sizeof expected, n_dims, dims);
    if (i < 0)
        return gsai_fail(
            GSA_ERROR_FORMAT, "%s: tensor %s is missing, expected it with shape %s", f->folder, name, expected);
    const gsai_tensor *t = &f->tensors[i];
    if (t->type >= GSAI_N_TYPES)
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: tensor %s has dtype %s, supported are F32, F16 and BF16",
            path_of(f, (uint64_t)i), name, t->file_type);
    if (t->n_dims != n_dims || memcmp(t->dims, dims, n_dims * sizeof *dims) != 0) {
        gsai_shape_text(found, sizeof found, t->n_dims, t->dims);
        return gsai_fail(GSA_ERROR_FORMAT, "%s: tensor %s has shape %s, config.json makes it %s",
            path_of(f, (uint64_t)i), name, found, expected);
    }
    f->used[i] = true;
    *out = *t;
    return GSA_OK;
}

static const char *layer_suffix(const binder *b, gsai_role role)
{
    switch (role) {
    case GSAI_ROLE_ATTN_NORM:
        return b->inner_norms ? "attn.norm" : "attn_norm";
    case GSAI_ROLE_Q:
        return "attn.q_proj";
    case GSAI_ROLE_K:
        return "attn.k_proj";
    case GSAI_ROLE_V:
        return "attn.v_proj";
    case GSAI_ROLE_F:
        return "attn.f_proj";
    case GSAI_ROLE_CONV_Q:
        return "attn.q_conv1d";
    case GSAI_ROLE_CONV_K:
        return "attn.k_conv1d";
    case GSAI_ROLE_CONV_V:
        return "attn.v_conv1d";
    case GSAI_ROLE_T2R:
        return "attn.feature_map.layer";
    case GSAI_ROLE_G_NORM:
        return "attn.g_norm";
    case GSAI_ROLE_O:
        return "attn.o_proj";
    case GSAI_ROLE_FFN_NORM:
        return b->inner_norms ? "mlp.norm" : "mlp_norm";
    case GSAI_ROLE_GATE:
        return "mlp.gate_proj";
    case GSAI_ROLE_UP:
        return "mlp.up_proj";
    case GSAI_ROLE_DOWN:
        return "mlp.down_proj";
    default:
        return "";
    }
}

static gsa_status take_layer_role(binder *b, gsai_role role, uint32_t layer, bool has_g_norm)
{
    const gsai_config *c = &b->checkpoint->config;
    gsai_layer_tensors *l = &b->checkpoint->layers[layer];
    gsai_tensor *out = (gsai_tensor *)(uintptr_t)gsai_checkpoint_role(b->checkpoint, role, layer);
    uint64_t dims[3];
    uint32_t n_dims = gsai_role_shape(c, role, dims);
    if (n_dims == 0 || (role == GSAI_ROLE_G_NORM && !has_g_norm)) return GSA_OK;
    if (role == GSAI_ROLE_UP && b->fused_gate) return GSA_OK;
    char name[96];
    snprintf(name, sizeof name, "model.layers.%u.%s.weight", layer, layer_suffix(b, role));
    if (role == GSAI_ROLE_GATE && b->fused_gate) {
        gsai_tensor both;
        dims[0] *= 2;
        const gsa_status status = take(b, name, n_dims, dims, &both);
        if (status) return gsai_fail_in(status, "no mlp.up_proj found, so gate and up must be one matrix");
        l->gate = gsai_tensor_view_rows(&both, 0, c->F);
        l->up = gsai_tensor_view_rows(&both, c->F, c->F);
        return GSA_OK;
    }
    const bool conv = role >= GSAI_ROLE_CONV_Q && role <= GSAI_ROLE_CONV_V;
    if (conv) { /* PyTorch's depthwise kernel: [channels, 1, taps] */
        dims[2] = dims[1];
        dims[1] = 1;
        n_dims = 3;
    }
    const gsa_status status = take(b, name, n_dims, dims, out);
    if (!status && conv) *out = gsai_tensor_view_rows(out, 0, dims[0]);
    return status;
}

/* The embedding, the last norm, the head. A tied model has no head in the file; a head that is there all the same must
 * equal the embedding, because versions of transformers disagree on which of the two then counts. */
static gsa_status take_outer(binder *b)
{
    static const char head[] = "lm_head.weight";
    gsai_checkpoint *c = b->checkpoint;
    gsai_hf_files *f = b->files;
    uint64_t dims[2];
    uint32_t n_dims = gsai_role_shape(&c->config, GSAI_ROLE_EMBED, dims);
    gsa_status status = take(b, "model.embeddings.weight", n_dims, dims, &c->embed);
    if (status) return status;
    const bool head_found = gsai_hf_find(f, head) >= 0;
    /* transformers drops keys that equal its own default, and its default is tied. */
    if (!head_found && !b->hf.tied_stated) c->config.tied = true;
    if (head_found || !c->config.tied) {
        if ((status = take(b, head, n_dims, dims, &c->head))) return status;
        if (c->config.tied &&
            (c->head.type != c->embed.type || memcmp(c->head.data, c->embed.data, c->embed.n_bytes) != 0))
            return gsai_fail(GSA_ERROR_UNSUPPORTED,
                "%s: tie_word_embeddings is true, but lm_head.weight differs from model.embeddings.weight; "
                "set it to false to use lm_head.weight, or remove that tensor",
                f->folder);
    }
    if (c->config.tied) c->head = c->embed;
    n_dims = gsai_role_shape(&c->config, GSAI_ROLE_OUT_NORM, dims);
    return take(b, "model.norm.weight", n_dims, dims, &c->out_norm);
}

/* Why a tensor that no role takes means a model we must not run. */
static const char *explain(const char *name)
{
    static const struct {
        const char *part, *why;
    } table[] = {
        {".g_proj.", "the output gate of code before 2024-09-20 is not supported"},
        {"_conv1d.", "config.json has use_short_conv false, so nothing would use it"},
        {".feature_map.", "config.json's feature_map is not t2r, so nothing would use it"},
        {"_res_proj.", "attention residuals are not supported"},
        {"_res_norm.", "attention residuals are not supported"},
        {".res_proj.", "attention residuals are not supported"},
        {".res_norm.", "attention residuals are not supported"},
        {".bias", "biases are not part of this model"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strstr(name, table[i].part)) return table[i].why;
    }
    return "no part of a GSA model of this config uses it";
}

static gsa_status refuse_leftovers(const gsai_hf_files *f)
{
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        const char *name = f->tensors[i].name;
        /* A table that rotary embeddings once saved; it is computed, never a weight. */
        if (f->used[i] || ends_with(name, ".inv_freq")) continue;
        return gsai_fail(GSA_ERROR_UNSUPPORTED, "%s: tensor %.150s: %s", path_of(f, i), name, explain(name));
    }
    return GSA_OK;
}

static gsa_status bind_tensors(binder *b, const char *config_path, const gsa_log *log)
{
    gsai_checkpoint *c = b->checkpoint;
    b->inner_norms = any_ends_with(b->files, ".attn.norm.weight");
    b->fused_gate = !any_ends_with(b->files, ".mlp.up_proj.weight");
    const bool has_g_norm = any_ends_with(b->files, ".attn.g_norm.weight");
    const bool old = b->inner_norms || b->fused_gate;
    gsa_status status = gsai_hf_resolve_act(config_path, &b->hf, old, log);
    if (status) return status;
    c->config = b->hf.config;
    if (!has_g_norm && old && !b->hf.use_norm)
        return gsai_fail(
            GSA_ERROR_UNSUPPORTED, "%s: use_norm false: a model without the output norm is not supported", config_path);
    if (!has_g_norm && b->hf.elementwise_affine)
        gsai_log(log, GSA_LOG_WARNING,
            "%s: elementwise_affine is true, but no attn.g_norm.weight is there: ones are used", config_path);
    if ((status = take_outer(b))) return status;
    c->layers = gsai_alloc_array(&c->allocator, c->config.n_layers, sizeof *c->layers);
    if (!c->layers)
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for %u layers", b->files->folder, c->config.n_layers);
    for (uint32_t layer = 0; layer < c->config.n_layers; layer++) {
        for (int role = GSAI_ROLE_ATTN_NORM; role < GSAI_N_ROLES; role++) {
            if ((status = take_layer_role(b, (gsai_role)role, layer, has_g_norm))) return status;
        }
    }
    return refuse_leftovers(b->files);
}

static gsa_status describe(binder *b)
{
    const char *layout = b->inner_norms ? "A" : b->fused_gate ? "B" : "C";
    const char *format = "Hugging Face folder %s (layout %s, %u file%s)";
    const gsai_hf_files *f = b->files;
    gsai_checkpoint *c = b->checkpoint;
    const int n = snprintf(NULL, 0, format, f->folder, layout, f->n_shards, f->n_shards == 1 ? "" : "s");
    c->description = gsai_alloc(&c->allocator, (size_t)n + 1);
    if (!c->description) return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for its description", f->folder);
    snprintf(c->description, (size_t)n + 1, format, f->folder, layout, f->n_shards, f->n_shards == 1 ? "" : "s");
    return GSA_OK;
}

static void close_hf(gsai_checkpoint *c)
{
    gsai_hf_files *files = c->opened;
    c->tensors = NULL; /* belongs to files */
    gsai_hf_close_files(files);
    gsai_free(&c->allocator, files);
}

static gsa_status read_config_file(const char *path, const gsa_log *log, gsai_hf_config *out)
{
    gsai_file_map map;
    gsa_status status = gsai_file_map_open(path, &map);
    if (status) return status;
    status = gsai_hf_parse_config(path, map.data, map.size, log, out);
    gsai_file_map_close(&map);
    return status;
}

gsa_status gsai_checkpoint_open_hf(const char *folder, const gsai_checkpoint_options *options, gsai_checkpoint **out)
{
    const gsa_allocator *a = &options->allocator;
    char config_path[4096];
    *out = NULL;
    if (!gsai_is_directory(folder))
        return gsai_fail(
            GSA_ERROR_FILE, "%s: not a folder, expected one with config.json and model.safetensors", folder);
    if (!gsai_path_join(config_path, sizeof config_path, folder, "config.json"))
        return gsai_fail(GSA_ERROR_FILE, "%.200s...: the path is too long", folder);
    binder b = {0};
    gsa_status status = read_config_file(config_path, options->log, &b.hf);
    if (status) return status;

    b.checkpoint = gsai_alloc(a, sizeof *b.checkpoint);
    b.files = gsai_alloc(a, sizeof *b.files);
    if (!b.checkpoint || !b.files) {
        gsai_free(a, b.checkpoint);
        gsai_free(a, b.files);
        return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for a checkpoint", folder);
    }
    gsai_checkpoint *c = b.checkpoint;
    c->allocator = *a;
    c->opened = b.files;
    c->close = close_hf;
    if ((status = gsai_hf_open_files(folder, a, options->log, b.files))) goto fail;
    if ((status = bind_tensors(&b, config_path, options->log))) goto fail;
    if ((status = describe(&b))) goto fail;
    c->tensors = b.files->tensors;
    c->n_tensors = b.files->n_tensors;
    *out = c;
    return GSA_OK;
fail:
    gsai_checkpoint_close(c);
    return status;
}
