/* Which tensor gets which type. */
#include "convert/convert.h"

#include "util/alloc.h"
#include "util/status.h"

#include <stdio.h>
#include <string.h>

#define PIECE (128u << 10) /* elements that a thread takes at a time, about */

bool gsai_convert_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL; /* behind the last *, and where in name it is tried to end */
    for (;;) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
        } else if (*name && (*pattern == '?' || *pattern == *name)) {
            pattern++;
            name++;
        } else if (!*name && !*pattern) {
            return true;
        } else if (star && *retry) {
            pattern = star;
            name = ++retry;
        } else {
            return false;
        }
    }
}

/* What stands in for a type whose blocks do not fit. */
static gsai_type next_best(gsai_type type)
{
    switch (type) {
    case GSAI_Q4_K:
        return GSAI_Q4_0;
    case GSAI_Q6_K:
        return GSAI_Q8_0;
    default:
        return GSAI_F16;
    }
}

static gsai_type fitting(gsai_type type, uint64_t columns)
{
    while (columns % gsai_type_block(type) != 0) type = next_best(type);
    return type;
}

/* base is GSAI_N_TYPES when every tensor keeps its type. */
static gsai_type choose(const gsai_convert_item *item, gsai_type base)
{
    if (base == GSAI_N_TYPES) return item->from->type;
    if (!gsai_role_is_matrix(item->role)) return GSAI_F32;
    const bool outer = item->role == GSAI_ROLE_EMBED || item->role == GSAI_ROLE_HEAD;
    return outer && (base == GSAI_Q4_0 || base == GSAI_Q4_K) ? fitting(GSAI_Q6_K, item->columns) : base;
}

static gsa_status parse_type(const char *name, const char *where, gsai_type *type)
{
    if (name && gsai_type_parse(name, type)) return GSA_OK;
    return gsai_fail(GSA_ERROR_ARGUMENT, "%s: type '%.40s' is not known: give f32, f16, bf16, q8_0, q6_k, q4_k or q4_0",
        where, name ? name : "(NULL)");
}

typedef struct misfit { /* tensors that could not have a type */
    uint32_t n;
    const gsai_convert_item *first;
} misfit;

static gsa_status set_type(
    const gsai_conversion *c, gsai_convert_item *item, gsai_type base, bool *used, misfit misfits[GSAI_N_TYPES])
{
    gsai_type wanted = choose(item, base);
    for (size_t i = 0; i < c->params->n_overrides; i++) {
        const gsa_convert_override *o = &c->params->overrides[i];
        if (!gsai_convert_matches(o->pattern, item->name)) continue;
        used[i] = true;
        const gsa_status status = parse_type(o->type, o->pattern, &wanted);
        if (status) return status;
        if (gsai_type_is_quantised(wanted) && !gsai_role_is_matrix(item->role))
            return gsai_fail(GSA_ERROR_ARGUMENT,
                "override %.60s=%s: %s must be f32, f16 or bf16, only matrices have blocks", o->pattern, o->type,
                item->name);
        snprintf(item->why, sizeof item->why, "override");
        break;
    }
    item->type = fitting(wanted, item->columns);
    if (item->type == wanted) return GSA_OK;
    snprintf(item->why, sizeof item->why, "rows of %llu", (unsigned long long)item->columns);
    gsai_log(c->params->log, GSA_LOG_INFO, "%s: rows of %llu do not fit %s, %s instead", item->name,
        (unsigned long long)item->columns, gsai_type_name(wanted), gsai_type_name(item->type));
    misfits[wanted].first = misfits[wanted].n++ ? misfits[wanted].first : item;
    return GSA_OK;
}

static void tell_misfits(const gsai_conversion *c, const misfit misfits[GSAI_N_TYPES])
{
    for (int t = 0; t < GSAI_N_TYPES; t++) {
        const misfit *m = &misfits[t];
        if (m->n)
            gsai_log(c->params->log, GSA_LOG_WARNING,
                "%u tensors have rows that are not whole blocks of %s and get another type (%s, rows of %llu: %s)",
                m->n, gsai_type_name((gsai_type)t), m->first->name, (unsigned long long)m->first->columns,
                gsai_type_name(m->first->type));
    }
}

static void add_item(gsai_conversion *c, gsai_role role, uint32_t layer)
{
    const gsai_tensor *from = gsai_checkpoint_role(c->source, role, layer);
    if (!gsai_tensor_present(from) || (role == GSAI_ROLE_HEAD && c->source->config.tied)) return;
    gsai_convert_item *item = &c->items[c->n_items++];
    *item = (gsai_convert_item){.role = role, .layer = layer, .from = from};
    gsai_gguf_tensor_name(item->name, role, layer);
    item->n_dims = gsai_role_shape(&c->source->config, role, item->dims);
    item->rows = item->n_dims == 2 ? item->dims[0] : 1;
    item->columns = item->dims[item->n_dims - 1];
}

static void size_item(gsai_conversion *c, gsai_convert_item *item)
{
    const uint64_t n = item->rows * item->columns;
    item->n_bytes = gsai_type_bytes(item->type, n);
    item->rows_at_once = item->columns < PIECE ? PIECE / item->columns : 1;
    if (item->rows_at_once > item->rows) item->rows_at_once = item->rows;
    const uint64_t piece = item->rows_at_once * item->columns;
    const uint64_t source = gsai_type_bytes(item->from->type, piece), bytes = gsai_type_bytes(item->type, piece);
    if (piece > c->max_floats) c->max_floats = piece;
    if (source > c->max_source) c->max_source = source;
    if (bytes > c->max_bytes) c->max_bytes = bytes;
    c->source_bytes += item->from->n_bytes;
    c->result.n_elements += n;
    c->result.n_bytes += item->n_bytes;
    gsa_convert_type *t = &c->result.types[item->type]; /* sorted at the end */
    t->type = gsai_type_name(item->type);
    t->n_tensors++;
    t->n_elements += n;
    t->n_bytes += item->n_bytes;
}

static void tell(const gsai_conversion *c)
{
    for (uint32_t i = 0; i < c->n_items && c->params->tensor; i++) {
        const gsai_convert_item *item = &c->items[i];
        const gsa_convert_tensor t = {.name = item->name,
            .from = gsai_type_name(item->from->type),
            .to = gsai_type_name(item->type),
            .why = item->why,
            .n_dims = item->n_dims,
            .dims = {item->dims[0], item->n_dims > 1 ? item->dims[1] : 0},
            .n_bytes = item->n_bytes};
        c->params->tensor(c->params->user, &t);
    }
}

gsa_status gsai_convert_plan(gsai_conversion *c)
{
    const gsa_convert_params *p = c->params;
    const uint32_t n_layers = c->source->config.n_layers, most = GSAI_ROLE_ATTN_NORM + n_layers * GSAI_N_ROLES;
    gsai_type base = GSAI_N_TYPES;
    misfit misfits[GSAI_N_TYPES] = {0};
    gsa_status status = p->type ? parse_type(p->type, "convert", &base) : GSA_OK;
    if (status) return status;
    bool *used = gsai_alloc_array(&c->allocator, p->n_overrides, sizeof *used);
    c->items = gsai_alloc_array(&c->allocator, most, sizeof *c->items);
    if (!used || !c->items) status = gsai_fail(GSA_ERROR_HOST_MEMORY, "convert: no memory for %u tensors", most);
    for (int role = 0; role < GSAI_ROLE_ATTN_NORM && !status; role++) add_item(c, (gsai_role)role, 0);
    for (uint32_t layer = 0; layer < n_layers && !status; layer++) {
        for (int role = GSAI_ROLE_ATTN_NORM; role < GSAI_N_ROLES; role++) add_item(c, (gsai_role)role, layer);
    }
    for (uint32_t i = 0; i < c->n_items && !status; i++) {
        status = set_type(c, &c->items[i], base, used, misfits);
        if (!status) size_item(c, &c->items[i]);
    }
    for (size_t i = 0; i < p->n_overrides && !status; i++) {
        if (!used[i])
            status = gsai_fail(GSA_ERROR_ARGUMENT,
                "override %.60s=%.20s matches no tensor, or only such that an earlier one matches; names are as "
                "blk.0.attn_q.weight",
                p->overrides[i].pattern, p->overrides[i].type);
    }
    gsai_free(&c->allocator, used);
    if (status) return status;
    tell_misfits(c, misfits);
    c->result.n_tensors = c->n_items;
    c->result.source_bytes = c->source_bytes;
    tell(c);
    return GSA_OK;
}
