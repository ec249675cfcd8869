#include "support/goldens.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void *must(void *memory)
{
    if (memory) return memory;
    fputs("goldens: out of memory\n", stderr);
    abort();
}

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long length = -1;

    if (file && fseek(file, 0, SEEK_END) == 0) length = ftell(file);
    if (length >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        data = must(malloc((size_t)length + 1));
        *size = (size_t)length;
        if (fread(data, 1, *size, file) != *size) {
            free(data);
            data = NULL;
        }
    }
    if (file) fclose(file);
    if (!data) fprintf(stderr, "goldens: %s: cannot be read\n", path);
    return data;
}

static float bits_to_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float half_to_float(uint16_t h)
{
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const float sign = h >> 15 ? -1.0f : 1.0f;

    if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexpf((float)(1024 + mantissa), exponent - 25) : ldexpf((float)mantissa, -24));
}

static size_t type_size(const char *type)
{
    static const struct {
        const char *name;
        size_t size;
    } types[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"U8", 1}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i].name) == 0) return types[i].size;
    return 0;
}

static void convert(golden_array *a, const char *type, const uint8_t *data)
{
    const bool integer = type[0] == 'I' || type[0] == 'U';
    const size_t size = type_size(type);

    if (integer)
        a->i = must(calloc(a->n + 1, sizeof *a->i));
    else
        a->f = must(calloc(a->n + 1, sizeof *a->f));
    for (size_t j = 0; j < a->n; j++, data += size) {
        uint16_t h;
        int32_t i32;
        double d;
        if (strcmp(type, "F32") == 0) {
            memcpy(&a->f[j], data, size);
        } else if (strcmp(type, "I64") == 0) {
            memcpy(&a->i[j], data, size);
        } else if (strcmp(type, "I32") == 0) {
            memcpy(&i32, data, size);
            a->i[j] = i32;
        } else if (strcmp(type, "U8") == 0) {
            a->i[j] = *data;
        } else if (strcmp(type, "F64") == 0) {
            memcpy(&d, data, size);
            a->f[j] = (float)d;
        } else {
            memcpy(&h, data, size);
            a->f[j] = type[0] == 'B' ? bits_to_float((uint32_t)h << 16) : half_to_float(h);
        }
    }
}

/* One entry of the header; data is what follows the header. */
static bool load_array(golden_array *a, const char *name, json_t *entry, const uint8_t *data, size_t size)
{
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    json_t *shape = json_object_get(entry, "shape"), *range = json_object_get(entry, "data_offsets");
    const json_int_t first = json_integer_value(json_array_get(range, 0));
    const json_int_t end = json_integer_value(json_array_get(range, 1));
    const size_t element = type ? type_size(type) : 0;

    if (!element || json_array_size(range) != 2 || json_array_size(shape) > 8 || first < 0 || end < first ||
        (uint64_t)end > size)
        return false;
    a->name = name;
    a->n = (size_t)(end - first) / element;
    a->n_dims = json_array_size(shape);
    size_t product = 1;
    for (size_t i = 0; i < a->n_dims; i++) {
        a->dims[i] = (size_t)json_integer_value(json_array_get(shape, i));
        if (a->dims[i] != 0 && product > SIZE_MAX / 8 / a->dims[i]) return false;
        product *= a->dims[i];
    }
    if (product * element != (size_t)(end - first)) return false;
    convert(a, type, data + first);
    return true;
}

goldens *goldens_load(const char *path)
{
    size_t size = 0, header_size;
    uint8_t *data = read_whole(path, &size);
    goldens *g = must(calloc(1, sizeof *g));
    uint64_t length = 0;
    const char *name;
    json_t *entry;

    if (!data) goto fail;
    if (size >= 8) memcpy(&length, data, 8);
    if (length == 0 || length > size - 8) {
        fprintf(stderr, "goldens: %s: not a safetensors file\n", path);
        goto fail;
    }
    header_size = (size_t)length;
    json_error_t error;
    g->header = json_loadb((const char *)data + 8, header_size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object((json_t *)g->header)) {
        fprintf(stderr, "goldens: %s: %s\n", path, g->header ? "header is not an object" : error.text);
        goto fail;
    }
    g->arrays = must(calloc(json_object_size(g->header) + 1, sizeof *g->arrays));
    json_object_foreach((json_t *)g->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) continue;
        if (!load_array(&g->arrays[g->n], name, entry, data + 8 + header_size, size - 8 - header_size)) {
            fprintf(stderr, "goldens: %s: %s: bad type, shape or range\n", path, name);
            goto fail;
        }
        g->n++;
    }
    free(data);
    return g;

fail:
    free(data);
    goldens_free(g);
    return NULL;
}

void goldens_free(goldens *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->n; i++) {
        free(g->arrays[i].f);
        free(g->arrays[i].i);
    }
    free(g->arrays);
    json_decref(g->header);
    free(g);
}

const golden_array *goldens_find(const goldens *g, const char *name, ...)
{
    char wanted[256];
    va_list args;

    va_start(args, name);
    vsnprintf(wanted, sizeof wanted, name, args);
    va_end(args);
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->arrays[i].name, wanted) == 0) return &g->arrays[i];
    return NULL;
}

const char *goldens_metadata(const goldens *g, const char *key)
{
    return json_string_value(json_object_get(json_object_get(g->header, "__metadata__"), key));
}

double goldens_error(const float *a, const float *b, size_t n)
{
    double difference = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    if (difference == 0) return 0;
    return isnan(difference) ? INFINITY : sqrt(difference / size);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool wanted_entry(const char *folder, const char *name, const char *suffix)
{
    if (name[0] == '.') return false;
    if (suffix) {
        const size_t n = strlen(name), m = strlen(suffix);
        return n >= m && strcmp(name + n - m, suffix) == 0;
    }
    char path[4096];
    struct stat info;
    const int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length < (int)sizeof path && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char **goldens_list(const char *folder, const char *suffix)
{
    char **names = must(calloc(1, sizeof *names));
    size_t n = 0;
    DIR *dir = opendir(folder);

    if (!dir) {
        fprintf(stderr, "goldens: %s: no such folder\n", folder);
        return names;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!wanted_entry(folder, entry->d_name, suffix)) continue;
        names = must(realloc(names, (n + 2) * sizeof *names));
        names[n++] = must(strdup(entry->d_name));
        names[n] = NULL;
    }
    closedir(dir);
    qsort(names, n, sizeof *names, compare_names);
    return names;
}

void goldens_free_list(char **names)
{
    for (size_t i = 0; names && names[i]; i++) free(names[i]);
    free(names);
}

bool goldens_path(char *out, size_t size, const char *name, ...)
{
    const char *root = getenv("GSA_TEST_DATA");
    va_list args;

    if (!root) {
        fputs("goldens: GSA_TEST_DATA is not set; run the tests with meson test, or set it to tests/data\n", stderr);
        return false;
    }
    int used = snprintf(out, size, "%s/", root);
    if (used >= 0 && (size_t)used < size) {
        va_start(args, name);
        const int more = vsnprintf(out + used, size - (size_t)used, name, args);
        va_end(args);
        if (more >= 0 && (size_t)more < size - (size_t)used) return true;
    }
    fputs("goldens: path too long\n", stderr);
    return false;
}
