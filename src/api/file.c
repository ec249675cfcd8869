/* gsa/model.h: listing files of any architecture. */
#include "gguf/gguf.h"
#include "gsa/model.h"
#include "util/alloc.h"
#include "util/status.h"

#include <stdio.h>
#include <string.h>

static gsa_value to_public(const gsai_gguf_value *v)
{
    gsa_value out = {
        .n = v->n, .type = gsai_gguf_kind_name(v->kind), .raw = v->raw, .raw_kind = v->kind, .n_raw = v->n_raw};
    switch (v->kind) {
    case GSAI_GGUF_STRING:
        out.kind = GSA_VALUE_TEXT;
        out.text = (const char *)v->bytes;
        break;
    case GSAI_GGUF_ARRAY:
        out.kind = GSA_VALUE_ARRAY;
        out.type = gsai_gguf_kind_name(v->item_kind);
        break;
    case GSAI_GGUF_BOOL:
        out.kind = GSA_VALUE_BOOL;
        out.bool_value = v->bytes[0] != 0;
        break;
    case GSAI_GGUF_F32:
    case GSAI_GGUF_F64:
        out.kind = GSA_VALUE_FLOAT;
        out.float_value = gsai_gguf_float(v);
        break;
    default:
        out.uint_value = gsai_gguf_integer(v);
        out.int_value = (int64_t)out.uint_value;
        out.kind = gsai_gguf_kind_is_signed(v->kind) ? GSA_VALUE_INT : GSA_VALUE_UINT;
        break;
    }
    return out;
}

bool gsa_value_next(const gsa_value *array, gsa_value *item)
{
    if (!array || !item || array->kind != GSA_VALUE_ARRAY || !array->raw) return false;
    const gsai_gguf_value from = gsai_gguf_value_at((gsai_gguf_kind)array->raw_kind, array->raw);
    gsai_gguf_value at = {.raw = item->raw, .n_raw = item->n_raw};
    if (!gsai_gguf_next(&from, &at)) return false;
    *item = to_public(&at);
    return true;
}

static bool has_key(const gsai_gguf *g, const char *key)
{
    return gsai_gguf_find(g, key) != NULL;
}

static void fill_info(const gsai_gguf *g, gsa_file_info *info)
{
    *info = (gsa_file_info){.version = GSAI_GGUF_VERSION,
        .alignment = g->alignment,
        .n_tensors = g->n_tensors,
        .n_metadata = g->n_pairs,
        .file_bytes = g->file_size,
        .data_offset = g->data_offset,
        .has_tokenizer = has_key(g, "tokenizer.ggml.tokens") || has_key(g, "tokenizer.huggingface.json")};
    const gsai_gguf_value *v = gsai_gguf_find(g, "general.architecture");
    if (!v || v->kind != GSAI_GGUF_STRING) return;
    snprintf(
        info->architecture, sizeof info->architecture, "%.*s", (int)(v->n < 63 ? v->n : 63), (const char *)v->bytes);
    info->is_model = v->n == 3 && memcmp(v->bytes, "gsa", 3) == 0;
}

gsa_status gsa_file_inspect(const char *path, const gsa_source *source, gsa_file_info *info,
    gsa_metadata_callback metadata, gsa_tensor_callback tensor, void *user)
{
    if (!path == !source) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_file_inspect: give one of path and source");
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_source *s = NULL;
    gsai_gguf *g = NULL;
    gsa_status status = path ? gsai_source_open_path(path, &a, &s) : gsai_source_open_host(source, &a, &s);
    if (status == GSA_OK) status = gsai_gguf_open(s, &a, &g);
    if (status == GSA_OK && info) fill_info(g, info);
    for (uint64_t i = 0; status == GSA_OK && metadata && i < g->n_pairs; i++) {
        const gsa_value value = to_public(&g->pairs[i].value);
        metadata(user, g->pairs[i].key, &value);
    }
    for (uint64_t i = 0; status == GSA_OK && tensor && i < g->n_tensors; i++) {
        const gsai_gguf_tensor *t = &g->tensors[i];
        gsa_tensor_info ti = {.name = t->name, .type = t->type_name, .n_dims = t->n_dims, .n_bytes = t->n_bytes};
        memcpy(ti.dims, t->dims, sizeof ti.dims);
        tensor(user, &ti);
    }
    gsai_gguf_close(g);
    gsai_source_close(s);
    return status;
}
