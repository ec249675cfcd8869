#include "convert/convert.h"

#include "util/alloc.h"
#include "util/file.h"
#include "util/status.h"

#include <string.h>

static gsa_status open_source(gsai_conversion *c)
{
    const gsa_convert_params *p = c->params;
    const gsai_checkpoint_options options = {c->allocator, p->log};
    if (p->path && gsai_is_directory(p->path)) return gsai_checkpoint_open_hf(p->path, &options, &c->source);
    if (!p->synthetic) return gsai_checkpoint_open_gguf(p->path, p->source, &options, &c->source);
    gsai_config config;
    const gsa_status status = gsai_checkpoint_synthetic_preset(p->synthetic, &config);
    if (status) return status;
    return gsai_checkpoint_open_synthetic(&config, GSAI_F32, p->synthetic_seed, &options, &c->source);
}

/* By type so far; the caller wants the largest first and no gaps. */
static void sort_types(gsa_convert_result *r)
{
    gsa_convert_type sorted[GSA_CONVERT_MAX_TYPES] = {0};
    _Static_assert((int)GSAI_N_TYPES <= GSA_CONVERT_MAX_TYPES, "room for all types");
    for (int t = 0; t < GSAI_N_TYPES; t++) {
        if (!r->types[t].n_tensors) continue;
        uint32_t at = r->n_types++;
        for (; at > 0 && sorted[at - 1].n_bytes < r->types[t].n_bytes; at--) sorted[at] = sorted[at - 1];
        sorted[at] = r->types[t];
    }
    memcpy(r->types, sorted, sizeof sorted);
}

static gsa_status convert(gsai_conversion *c)
{
    gsa_status status = open_source(c);
    if (!status) status = gsai_convert_plan(c);
    if (!status) status = gsai_convert_header(c);
    if (!status) status = gsai_convert_run(c);
    if (!status && !c->params->no_check) status = gsai_convert_check(c);
    if (!status) c->result.file_bytes = gsai_gguf_file_bytes(c->writer);
    if (!status) status = gsai_gguf_finish(c->writer);
    return status;
}

gsa_status gsa_convert(const gsa_convert_params *params, gsa_convert_result *result)
{
    if (result) *result = (gsa_convert_result){0};
    if (!params || params->struct_size != sizeof *params)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_convert: struct_size is not sizeof(gsa_convert_params)");
    if (!!params->path + !!params->source + !!params->synthetic != 1)
        return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_convert: give one of path, source and synthetic");
    if (!params->output) return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_convert: output is NULL");
    for (size_t i = 0; i < params->n_overrides; i++) {
        if (!params->overrides || !params->overrides[i].pattern || !params->overrides[i].type)
            return gsai_fail(GSA_ERROR_ARGUMENT, "gsa_convert: override %zu has no pattern or no type", i);
    }
    gsai_conversion c = {.params = params, .allocator = gsai_allocator_or_default(params->allocator)};
    const gsa_status status = convert(&c);
    gsai_gguf_writer_destroy(c.writer);
    gsai_free(&c.allocator, c.items);
    gsai_checkpoint_close(c.source);
    if (status) return status;
    sort_types(&c.result);
    if (result) *result = c.result;
    return GSA_OK;
}
