/* What the new file says before its tensors' bytes. */
#include "convert/convert.h"

#include "model/gguf_config.h"
#include "text/tokenizer_gguf.h"
#include "util/status.h"

#include <stdio.h>
#include <string.h>

/* The type that most numbers have. */
static gsai_type most_of(const gsai_conversion *c)
{
    gsai_type best = GSAI_F32;
    for (int t = 0; t < GSAI_N_TYPES; t++) {
        if (c->result.types[t].n_elements > c->result.types[best].n_elements) best = (gsai_type)t;
    }
    return best;
}

/* Keys of a GGUF source as they are, but for what the new types change. */
static void take_over(const gsai_conversion *c, const gsai_gguf *g)
{
    gsai_gguf_writer *w = c->writer;
    for (uint64_t i = 0; i < g->n_pairs; i++) {
        const gsai_gguf_pair *p = &g->pairs[i];
        const bool ours = strcmp(p->key, GSAI_KEY_FILE_TYPE) == 0 || strcmp(p->key, GSAI_KEY_QUANT_VERSION) == 0 ||
                          strcmp(p->key, GSAI_KEY_ALIGNMENT) == 0 || strncmp(p->key, "split.", 6) == 0 ||
                          (c->params->name && strcmp(p->key, GSAI_KEY_NAME) == 0);
        if (!ours) gsai_gguf_put_raw(w, p->key, p->value.kind, p->value.raw, p->value.n_raw);
    }
    if (c->params->name) gsai_gguf_put_string(w, GSAI_KEY_NAME, c->params->name);
    gsai_gguf_put_u32(w, GSAI_KEY_FILE_TYPE, gsai_gguf_file_type(most_of(c)));
    gsai_gguf_put_u32(w, GSAI_KEY_QUANT_VERSION, GSAI_GGUF_QUANT_VERSION);
}

/* The tokenizer.json of a folder. False in *found when there is none. */
static gsa_status put_tokenizer(const gsai_conversion *c, bool *found)
{
    char path[4096];
    const gsai_config *config = &c->source->config;
    *found = false;
    if (!c->params->path || c->params->no_tokenizer) return GSA_OK;
    if (!gsai_path_join(path, sizeof path, c->params->path, "tokenizer.json"))
        return gsai_fail(GSA_ERROR_FILE, "%s: the path is too long", c->params->path);
    if (!gsai_file_exists(path)) {
        gsai_log(c->params->log, GSA_LOG_WARNING, "%s: no tokenizer.json, so the new file has no tokenizer",
            c->params->path);
        return GSA_OK;
    }
    gsai_file_map map;
    gsa_status status = gsai_file_map_open(path, &map);
    if (status) return status;
    const gsai_tokenizer_export e = {.name = path,
        .json = map.data,
        .json_size = (size_t)map.size,
        .n_vocab = config->n_vocab,
        .bos_id = config->bos_id,
        .eos_id = config->eos_id,
        .log = c->params->log};
    status = gsai_tokenizer_to_gguf(&e, &c->allocator, c->writer);
    gsai_file_map_close(&map);
    *found = true;
    return status;
}

/* The last part of a path, for general.name; NULL when it says nothing. */
static const char *last_part(const char *path, char *out, size_t size)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/') n--;
    size_t first = n;
    while (first > 0 && path[first - 1] != '/') first--;
    snprintf(out, size, "%.*s", (int)(n - first < 200 ? n - first : 200), path + first);
    return strcmp(out, "") == 0 || strcmp(out, ".") == 0 || strcmp(out, "..") == 0 ? NULL : out;
}

static gsa_status make_metadata(const gsai_conversion *c)
{
    char text[256];
    const char *name = c->params->name;
    if (!name && c->params->path) name = last_part(c->params->path, text, sizeof text);
    if (!name && c->params->synthetic) {
        snprintf(text, sizeof text, "%.20s, synthetic weights, seed %llu", c->params->synthetic,
            (unsigned long long)c->params->synthetic_seed);
        name = text;
    }
    const gsai_config *config = &c->source->config;
    gsai_gguf_config_write(config, name, most_of(c), c->writer);
    bool tokenizer = false;
    const gsa_status status = put_tokenizer(c, &tokenizer);
    if (status || tokenizer) return status;
    if (config->bos_id >= 0) gsai_gguf_put_u32(c->writer, GSAI_KEY_BOS, (uint32_t)config->bos_id);
    if (config->eos_id >= 0) gsai_gguf_put_u32(c->writer, GSAI_KEY_EOS, (uint32_t)config->eos_id);
    return GSA_OK;
}

gsa_status gsai_convert_header(gsai_conversion *c)
{
    const gsai_gguf *g = gsai_checkpoint_gguf(c->source);
    gsa_status status = gsai_gguf_writer_create(&c->allocator, &c->writer);
    if (status) return status;
    if (g) {
        take_over(c, g);
    } else if ((status = make_metadata(c))) {
        return status;
    }
    for (uint32_t i = 0; i < c->n_items; i++) {
        gsai_convert_item *item = &c->items[i];
        item->index = gsai_gguf_add_tensor(c->writer, item->name, item->type, item->n_dims, item->dims);
    }
    return gsai_gguf_begin(c->writer, c->params->output);
}
