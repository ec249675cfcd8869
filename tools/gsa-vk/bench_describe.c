/* What a model is, for the record: how much a token reads and multiplies, and a hash. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLED_TENSORS 16
#define SAMPLED_VALUES  1024

typedef struct tensor_sums {
    uint32_t n_vocab, D;
    uint64_t table_bytes; /* of an embedding-shaped tensor */
    uint64_t matrix_elements;
    struct {
        char name[16];
        uint64_t n_bytes;
    } types[8];
    uint64_t hash;
    char (*names)[64]; /* of all tensors; NULL once memory is out */
    size_t n_names;
} tensor_sums;

/* FNV-1a, 64 bits. */
static void mix(uint64_t *hash, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++) *hash = (*hash ^ p[i]) * 0x100000001b3ull;
}

static void keep_name(tensor_sums *s, const char *name)
{
    if (s->n_names % 256 == 0) {
        void *grown = realloc(s->names, (s->n_names + 256) * sizeof *s->names);
        if (!grown) return;
        s->names = grown;
    }
    snprintf(s->names[s->n_names++], sizeof *s->names, "%s", name);
}

static void on_tensor(void *user, const gsa_tensor_info *t)
{
    tensor_sums *s = user;
    mix(&s->hash, t->name, strlen(t->name) + 1);
    mix(&s->hash, t->type, strlen(t->type) + 1);
    mix(&s->hash, t->dims, t->n_dims * sizeof *t->dims);
    keep_name(s, t->name);
    if (t->n_dims == 2 && t->dims[0] == s->n_vocab && t->dims[1] == s->D)
        s->table_bytes = t->n_bytes;
    else if (t->n_dims == 2)
        s->matrix_elements += t->dims[0] * t->dims[1];
    for (size_t i = 0; i < APP_COUNT(s->types); i++) {
        if (s->types[i].name[0] && strcmp(s->types[i].name, t->type) != 0) continue;
        snprintf(s->types[i].name, sizeof s->types[i].name, "%s", t->type);
        s->types[i].n_bytes += t->n_bytes;
        return;
    }
}

typedef struct sample {
    uint64_t *hash;
    size_t left;
} sample;

static bool on_values(void *user, const float *values, size_t n)
{
    sample *s = user;
    if (n > s->left) n = s->left;
    mix(s->hash, values, n * sizeof *values);
    s->left -= n;
    return s->left > 0;
}

/* Cheap whatever the model's size: its tensors' names, types and shapes in order, and the first values of some of them,
 * evenly spread. Not the identity that state files carry, which reads everything. */
static int hash_values(const gsa_model_params *p, tensor_sums *s)
{
    const size_t n = s->n_names < SAMPLED_TENSORS ? s->n_names : SAMPLED_TENSORS;
    for (size_t i = 0; i < n; i++) {
        sample values = {&s->hash, SAMPLED_VALUES};
        const gsa_status status = gsa_tensor_read(p, s->names[i * s->n_names / n], on_values, &values);
        if (status != GSA_OK && status != GSA_ERROR_CANCELLED) return fail_library();
    }
    return 0;
}

/* What a token reads: all weights, but of an embedding table that is not the head only one row. */
int bench_describe(bench *b, const gsa_model_params *params)
{
    const gsa_model_info *m = &b->a->info;
    tensor_sums s = {.n_vocab = m->n_vocab, .D = m->D, .hash = 0xcbf29ce484222325ull};
    gsa_model_params p = *params;
    p.struct_size = sizeof p;
    p.path = p.synthetic ? NULL : b->a->model_path;
    if (gsa_model_inspect(&p, NULL, NULL, on_tensor, &s, NULL) != GSA_OK) return fail_library();
    const int rc = hash_values(&p, &s);
    free(s.names);
    size_t most = 0;
    for (size_t i = 1; i < APP_COUNT(s.types); i++)
        if (s.types[i].n_bytes > s.types[most].n_bytes) most = i;
    snprintf(b->weight_type, sizeof b->weight_type, "%s", s.types[most].name);
    b->read_bytes = m->weight_bytes - (m->tied || s.table_bytes > m->weight_bytes ? 0 : s.table_bytes);
    b->layer_parameters = s.matrix_elements;
    b->head_elements = (uint64_t)m->n_vocab * m->D;
    b->model_hash = s.hash;
    return rc;
}
