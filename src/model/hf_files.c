/* Which files hold the weights, and where each tensor is. */
#include "model/hf.h"

#include "util/alloc.h"
#include "util/json.h"
#include "util/status.h"

#include <stdlib.h>
#include <string.h>

#define PATH_SIZE       4096
#define MAX_SHARDS      1000u
#define MAX_INDEX_BYTES (64u << 20)
#define MAX_VALUES      4000000u /* of JSON */

static const char single_name[] = "model.safetensors", index_name[] = "model.safetensors.index.json";

static gsa_status no_memory(const char *folder)
{
    return gsai_fail(GSA_ERROR_HOST_MEMORY, "%s: no memory for the list of tensors", folder);
}

static gsa_status join(char path[PATH_SIZE], const char *folder, const char *name)
{
    if (gsai_path_join(path, PATH_SIZE, folder, name)) return GSA_OK;
    return gsai_fail(GSA_ERROR_FILE, "%.200s...: the path is too long", folder);
}

/* A shard is a plain name beside the index: anything else could read files the user did not point at. */
static gsa_status check_shard_name(const char *name)
{
    if (!*name || strpbrk(name, "/\\:") || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return gsai_fail(
            GSA_ERROR_FORMAT, "weight_map names \"%.150s\", expected the name of a file in the same folder", name);
    return GSA_OK;
}

static gsa_status open_shard(gsai_hf_files *f, const char *name)
{
    char path[PATH_SIZE];
    gsa_status status = join(path, f->folder, name);
    if (status) return status;
    gsai_safetensors *shards = gsai_realloc_array(&f->allocator, f->shards, f->n_shards + 1, sizeof *shards);
    if (!shards) return no_memory(f->folder);
    f->shards = shards;
    status = gsai_safetensors_open(path, &f->allocator, &shards[f->n_shards]);
    if (!status) f->n_shards++;
    return status;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of shards in order, each once, as pointers into the JSON. names has room for all entries of the map. */
static gsa_status list_shards(const json_t *weight_map, const char **names, uint32_t *n_names)
{
    const char *tensor;
    json_t *value;
    size_t n = 0, n_kept = 0;
    json_object_foreach((json_t *)(uintptr_t)weight_map, tensor, value)
    {
        if (!(names[n++] = json_string_value(value)))
            return gsai_fail(GSA_ERROR_FORMAT, "weight_map.%.150s is not a string", tensor);
    }
    if (n == 0) return gsai_fail(GSA_ERROR_FORMAT, "weight_map is empty");
    qsort(names, n, sizeof *names, compare_texts);
    for (size_t i = 0; i < n; i++) {
        if (n_kept > 0 && strcmp(names[n_kept - 1], names[i]) == 0) continue;
        const gsa_status status = check_shard_name(names[i]);
        if (status) return status;
        if (n_kept == MAX_SHARDS) return gsai_fail(GSA_ERROR_FORMAT, "weight_map names more than %u files", MAX_SHARDS);
        names[n_kept++] = names[i];
    }
    *n_names = (uint32_t)n_kept;
    return GSA_OK;
}

/* Position in f->by_name of the first name not below name. */
static uint64_t lower_bound(const gsai_hf_files *f, const char *name)
{
    uint64_t low = 0, high = f->n_tensors;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (strcmp(f->tensors[f->by_name[middle]].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t gsai_hf_find(const gsai_hf_files *f, const char *name)
{
    const uint64_t i = lower_bound(f, name);
    if (i == f->n_tensors || strcmp(f->tensors[f->by_name[i]].name, name) != 0) return -1;
    return (int64_t)f->by_name[i];
}

typedef struct named {
    const char *name;
    uint64_t index;
} named;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static gsa_status merge_shards(gsai_hf_files *f)
{
    for (uint32_t s = 0; s < f->n_shards; s++) f->n_tensors += f->shards[s].n_tensors;
    const size_t n = (size_t)f->n_tensors;
    f->tensors = gsai_alloc_array(&f->allocator, n, sizeof *f->tensors);
    f->shard_of = gsai_alloc_array(&f->allocator, n, sizeof *f->shard_of);
    f->used = gsai_alloc_array(&f->allocator, n, sizeof *f->used);
    f->by_name = gsai_alloc_array(&f->allocator, n, sizeof *f->by_name);
    named *order = gsai_alloc_array(&f->allocator, n, sizeof *order);
    gsa_status status = GSA_OK;
    if (!f->tensors || !f->shard_of || !f->used || !f->by_name || !order) {
        status = no_memory(f->folder);
        goto done;
    }
    uint64_t at = 0;
    for (uint32_t s = 0; s < f->n_shards; s++) {
        for (uint64_t i = 0; i < f->shards[s].n_tensors; i++, at++) {
            f->tensors[at] = f->shards[s].tensors[i];
            f->shard_of[at] = s;
            order[at] = (named){f->tensors[at].name, at};
        }
    }
    qsort(order, n, sizeof *order, by_name);
    for (size_t i = 0; i < n && !status; i++) {
        f->by_name[i] = order[i].index;
        if (i > 0 && strcmp(order[i - 1].name, order[i].name) == 0)
            status = gsai_fail(GSA_ERROR_FORMAT, "tensor %.150s: is in both %s and %s", order[i].name,
                f->shards[f->shard_of[order[i - 1].index]].path, f->shards[f->shard_of[order[i].index]].path);
    }
done:
    gsai_free(&f->allocator, order);
    return status;
}

static const char *file_name(const char *path)
{
    return strrchr(path, '/') + 1; /* always joined to a folder */
}

/* Every tensor is where the index says, and the index lists every tensor. */
static gsa_status check_index(gsai_hf_files *f, const json_t *weight_map)
{
    const char *tensor;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)weight_map, tensor, value)
    {
        const int64_t i = gsai_hf_find(f, tensor);
        const char *expected = json_string_value(value);
        if (i < 0)
            return gsai_fail(
                GSA_ERROR_FORMAT, "tensor %.150s: is not in %.150s, where the index says it is", tensor, expected);
        const char *found = file_name(f->shards[f->shard_of[i]].path);
        if (strcmp(found, expected) != 0)
            return gsai_fail(
                GSA_ERROR_FORMAT, "tensor %.150s: is in %.150s, but the index says %.150s", tensor, found, expected);
    }
    if (json_object_size(weight_map) == f->n_tensors) return GSA_OK;
    for (uint64_t i = 0; i < f->n_tensors; i++) {
        if (!json_object_get(weight_map, f->tensors[i].name))
            return gsai_fail(GSA_ERROR_FORMAT, "tensor %.150s: is in %.150s, but the index does not list it",
                f->tensors[i].name, file_name(f->shards[f->shard_of[i]].path));
    }
    return GSA_OK;
}

static gsa_status read_index(gsai_hf_files *f, const json_t *index)
{
    const json_t *weight_map = json_object_get(index, "weight_map");
    if (!json_is_object(weight_map)) return gsai_fail(GSA_ERROR_FORMAT, "weight_map is missing or not an object");
    const char **names = gsai_alloc_array(&f->allocator, json_object_size(weight_map), sizeof *names);
    if (!names) return no_memory(f->folder);
    uint32_t n_names = 0;
    gsa_status status = list_shards(weight_map, names, &n_names);
    for (uint32_t i = 0; i < n_names && !status; i++) status = open_shard(f, names[i]);
    gsai_free(&f->allocator, names);
    if (!status) status = merge_shards(f);
    if (!status) status = check_index(f, weight_map);
    return status;
}

static gsa_status open_index(gsai_hf_files *f, const char *path)
{
    gsai_file_map map;
    gsa_status status = gsai_file_map_open(path, &map);
    if (status) return status;
    json_t *index = NULL;
    if (map.size > MAX_INDEX_BYTES)
        status = gsai_fail(GSA_ERROR_FORMAT, "has %llu bytes, expected an index of at most %u",
            (unsigned long long)map.size, MAX_INDEX_BYTES);
    else if (!(status = gsai_json_parse(map.data, (size_t)map.size, MAX_VALUES, &index)))
        status = read_index(f, index);
    json_decref(index);
    gsai_file_map_close(&map);
    return status ? gsai_fail_in(status, "%s", path) : GSA_OK;
}

static gsa_status open_files(gsai_hf_files *f, const gsa_log *log)
{
    char single[PATH_SIZE], index[PATH_SIZE], pickle[PATH_SIZE];
    gsa_status status;
    if ((status = join(single, f->folder, single_name))) return status;
    if ((status = join(index, f->folder, index_name))) return status;
    if ((status = join(pickle, f->folder, "pytorch_model.bin"))) return status;
    if (gsai_file_exists(single)) {
        /* transformers prefers it too */
        if (gsai_file_exists(index)) gsai_log(log, GSA_LOG_WARNING, "%s: ignored, there is %s", index, single_name);
        status = open_shard(f, single_name);
        return status ? status : merge_shards(f);
    }
    if (gsai_file_exists(index)) return open_index(f, index);
    if (gsai_file_exists(pickle))
        return gsai_fail(GSA_ERROR_FILE,
            "%s: has pytorch_model.bin only, expected %s or %s; save the model as safetensors", f->folder, single_name,
            index_name);
    return gsai_fail(GSA_ERROR_FILE, "%s: has neither %s nor %s", f->folder, single_name, index_name);
}

gsa_status gsai_hf_open_files(
    const char *folder, const gsa_allocator *allocator, const gsa_log *log, gsai_hf_files *files)
{
    *files = (gsai_hf_files){.allocator = *allocator};
    files->folder = gsai_strdup(allocator, folder);
    const gsa_status status = files->folder ? open_files(files, log) : no_memory(folder);
    if (status) gsai_hf_close_files(files);
    return status;
}

void gsai_hf_close_files(gsai_hf_files *f)
{
    if (!f->allocator.free) return;
    for (uint32_t s = 0; s < f->n_shards; s++) gsai_safetensors_close(&f->shards[s]);
    gsai_free(&f->allocator, f->shards);
    gsai_free(&f->allocator, f->tensors);
    gsai_free(&f->allocator, f->shard_of);
    gsai_free(&f->allocator, f->used);
    gsai_free(&f->allocator, f->by_name);
    gsai_free(&f->allocator, f->folder);
    *f = (gsai_hf_files){0};
}
