/* Makes small Hugging Face folders to open: a valid model that a test then bends. Needs jansson and cmocka. */
#ifndef GSA_TEST_HF_MAKER_H
#define GSA_TEST_HF_MAKER_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct hf_tensor {
    char name[128], dtype[12];
    int n_dims;
    uint64_t dims[6];
    uint8_t *data;
    size_t n_bytes;
} hf_tensor;

typedef struct hf_maker {
    char folder[64];
    json_t *config;
    hf_tensor tensors[96];
    int n_tensors;
} hf_maker;

static inline void hf_path(const hf_maker *m, const char *name, char path[160])
{
    snprintf(path, 160, "%s/%s", m->folder, name);
}

static inline void hf_write_bytes(const hf_maker *m, const char *name, const void *data, size_t size)
{
    char path[160];
    hf_path(m, name, path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void hf_write_text(const hf_maker *m, const char *name, const char *text)
{
    hf_write_bytes(m, name, text, strlen(text));
}

static inline void hf_delete(const hf_maker *m, const char *name)
{
    char path[160];
    hf_path(m, name, path);
    unlink(path);
}

static inline size_t hf_dtype_size(const char *dtype)
{
    return strstr(dtype, "64") ? 8 : strstr(dtype, "32") ? 4 : strstr(dtype, "16") ? 2 : 1;
}

static inline hf_tensor *hf_find(hf_maker *m, const char *name)
{
    for (int i = 0; i < m->n_tensors; i++) {
        if (strcmp(m->tensors[i].name, name) == 0) return &m->tensors[i];
    }
    fail_msg("no tensor %s", name);
    abort(); /* not reached; fail_msg is not declared so */
}

/* Shape and dtype as given; the data is a pattern that depends on the name. */
static inline void hf_reshape(hf_tensor *t, const char *dtype, int n_dims, const uint64_t *dims)
{
    size_t n = 1;
    uint32_t x = 2166136261u;
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
    t->n_dims = n_dims;
    for (int i = 0; i < n_dims; i++) n *= t->dims[i] = dims[i];
    t->n_bytes = n * hf_dtype_size(dtype);
    free(t->data);
    t->data = malloc(t->n_bytes + 1);
    for (const char *p = t->name; *p; p++) x = (x ^ (uint8_t)*p) * 16777619u;
    for (size_t i = 0; i < t->n_bytes; i++) {
        x = x * 1664525u + 1013904223u;
        t->data[i] = (uint8_t)(x >> 24) & 0x3f; /* no element becomes NaN or infinite */
    }
}

static inline void hf_add(
    hf_maker *m, const char *name, const char *dtype, int n_dims, uint64_t d0, uint64_t d1, uint64_t d2)
{
    hf_tensor *t = &m->tensors[m->n_tensors++];
    *t = (hf_tensor){0};
    snprintf(t->name, sizeof t->name, "%s", name);
    hf_reshape(t, dtype, n_dims, (uint64_t[]){d0, d1, d2});
}

static inline void hf_remove(hf_maker *m, const char *name)
{
    hf_tensor *t = hf_find(m, name);
    free(t->data);
    memmove(t, t + 1, (size_t)(&m->tensors[--m->n_tensors] - t) * sizeof *t);
}

static inline void hf_rename(hf_maker *m, const char *from, const char *to)
{
    hf_tensor *t = hf_find(m, from);
    snprintf(t->name, sizeof t->name, "%s", to);
}

static inline void hf_set(hf_maker *m, const char *key, const char *json)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    json_object_set_new(m->config, key, value);
}

static inline void hf_unset(hf_maker *m, const char *key)
{
    json_object_del(m->config, key);
}

/* Tensors [first, last) into a file. Header padded to 8 bytes with spaces. */
static inline void hf_write_weights(const hf_maker *m, const char *name, int first, int last)
{
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    size_t at = 0;
    for (int i = first; i < last; i++) {
        const hf_tensor *t = &m->tensors[i];
        json_t *shape = json_array();
        for (int d = 0; d < t->n_dims; d++) json_array_append_new(shape, json_integer((json_int_t)t->dims[d]));
        json_object_set_new(header, t->name,
            json_pack("{s:s,s:o,s:[I,I]}", "dtype", t->dtype, "shape", shape, "data_offsets", (json_int_t)at,
                (json_int_t)(at + t->n_bytes)));
        at += t->n_bytes;
    }
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    const size_t n = (strlen(text) + 7) / 8 * 8;
    uint8_t *bytes = malloc(8 + n + at);
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)n >> 8 * i);
    memset(bytes + 8, ' ', n);
    memcpy(bytes + 8, text, strlen(text));
    at = 8 + n;
    for (int i = first; i < last; i++) {
        memcpy(bytes + at, m->tensors[i].data, m->tensors[i].n_bytes);
        at += m->tensors[i].n_bytes;
    }
    hf_write_bytes(m, name, bytes, at);
    free(bytes);
    free(text);
}

static inline void hf_write_json(const hf_maker *m, const char *name, const json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(2));
    hf_write_text(m, name, text);
    free(text);
}

static inline void hf_write(const hf_maker *m)
{
    hf_write_json(m, "config.json", m->config);
    hf_write_weights(m, "model.safetensors", 0, m->n_tensors);
}

/* Two shards and the weight_map that describes them (the caller's to bend and release). */
static inline json_t *hf_write_shards(const hf_maker *m)
{
    const int half = m->n_tensors / 2;
    json_t *map = json_object();
    for (int i = 0; i < m->n_tensors; i++)
        json_object_set_new(
            map, m->tensors[i].name, json_string(i < half ? "model-a.safetensors" : "model-b.safetensors"));
    hf_write_json(m, "config.json", m->config);
    hf_write_weights(m, "model-a.safetensors", 0, half);
    hf_write_weights(m, "model-b.safetensors", half, m->n_tensors);
    return map;
}

static inline void hf_write_index(const hf_maker *m, json_t *map)
{
    json_t *index = json_pack("{s:O}", "weight_map", map);
    hf_write_json(m, "model.safetensors.index.json", index);
    json_decref(index);
}

/* Two layers of today's layout: D 8, H 2, G 1, K 4, V 4, M 3, F 6, 10 tokens. */
static inline void hf_begin(hf_maker *m)
{
    *m = (hf_maker){0};
    strcpy(m->folder, "/tmp/gsa-hf-XXXXXX");
    assert_non_null(mkdtemp(m->folder));
    m->config = json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:b}", "model_type", "gsa", "vocab_size", 10, "hidden_size",
        8, "num_hidden_layers", 2, "num_heads", 2, "num_kv_heads", 1, "num_slots", 3, "intermediate_size", 6,
        "tie_word_embeddings", 0);
    assert_non_null(m->config);
    hf_add(m, "model.embeddings.weight", "F32", 2, 10, 8, 0);
    for (int layer = 0; layer < 2; layer++) {
        static const struct {
            const char *suffix;
            int n_dims;
            uint64_t d0, d1;
        } parts[] = {{"attn_norm", 1, 8, 0}, {"attn.q_proj", 2, 8, 8}, {"attn.k_proj", 2, 4, 8},
            {"attn.v_proj", 2, 4, 8}, {"attn.f_proj", 2, 3, 8}, {"attn.g_norm", 1, 8, 0}, {"attn.o_proj", 2, 8, 8},
            {"mlp_norm", 1, 8, 0}, {"mlp.gate_proj", 2, 6, 8}, {"mlp.up_proj", 2, 6, 8}, {"mlp.down_proj", 2, 8, 6}};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            char name[128];
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, parts[i].suffix);
            hf_add(m, name, "F32", parts[i].n_dims, parts[i].d0, parts[i].d1, 0);
        }
    }
    hf_add(m, "model.norm.weight", "F32", 1, 8, 0, 0);
    hf_add(m, "lm_head.weight", "F32", 2, 10, 8, 0);
}

static inline void hf_end(hf_maker *m)
{
    static const char *const names[] = {"config.json", "model.safetensors", "model.safetensors.index.json",
        "model-a.safetensors", "model-b.safetensors", "pytorch_model.bin"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) hf_delete(m, names[i]);
    rmdir(m->folder);
    for (int i = 0; i < m->n_tensors; i++) free(m->tensors[i].data);
    json_decref(m->config);
}

#endif
