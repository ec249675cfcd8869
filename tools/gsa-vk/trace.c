#include "trace.h"

#include "format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const float *trace_write(const trace *t, uint32_t layer, uint32_t head, size_t token)
{
    const gsa_model_info *i = &t->a->info;
    const size_t kv_head = head / (i->H / i->G); /* query heads of a group write and read the same slots */
    return t->write + ((layer * t->tokens->n + token) * i->G + kv_head) * i->M;
}

const float *trace_read(const trace *t, uint32_t layer, uint32_t head, size_t token)
{
    const gsa_model_info *i = &t->a->info;
    return t->read + ((layer * t->tokens->n + token) * i->H + head) * i->M;
}

void trace_token_text(const trace *t, size_t token, char out[64])
{
    const int32_t id = t->tokens->data[token];
    char text[256];
    size_t n = 0;
    if (!t->a->tokenizer || (uint32_t)id >= gsa_tokenizer_n_vocab(t->a->tokenizer) ||
        gsa_tokenizer_decode(t->a->tokenizer, &id, 1, false, text, sizeof text, &n) != GSA_OK || n == 0) {
        snprintf(out, 64, "%d", (int)id);
        return;
    }
    size_t begin = 0, at = 0;
    while (begin < n && text[begin] == ' ') begin++;
    while (n > begin && text[n - 1] == ' ') n--;
    if (begin == n) begin = n - 1; /* a space is shown as one */
    if (n - begin > 60)
        for (n = begin + 60; n > begin && (text[n] & 0xC0) == 0x80;) n--; /* not within a character */
    for (size_t i = begin; i < n && at < 63; i++)
        out[at++] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '.' : text[i];
    out[at] = 0;
}

/* The numbers of a list, or all below n. */
static int choose(ids *out, const char *list, const char *option, uint32_t n)
{
    int rc = list[0] ? ids_parse(out, list, strlen(list), option) : 0;
    for (uint32_t i = 0; rc == 0 && !list[0] && i < n; i++)
        if (!ids_push(out, (int32_t)i)) rc = 1;
    for (size_t i = 0; rc == 0 && i < out->n; i++)
        if (out->data[i] < 0 || (uint32_t)out->data[i] >= n)
            rc = fail("%s: %d is not from 0 to %u", option, (int)out->data[i], (unsigned)n - 1);
    return rc;
}

static int check_size(const trace *t, size_t n_tokens)
{
    const double cells = 2. * (double)t->layers.n * (double)t->heads.n * t->a->info.M * (double)n_tokens;
    if (cells <= TRACE_MOST_CELLS) return 0;
    return fail(
        "a trace of %zu layers, %zu heads, %u slots and %zu tokens has %.0f cells, at most %d are written: choose "
        "with --trace-layer and --trace-head, or take a shorter text",
        t->layers.n, t->heads.n, (unsigned)t->a->info.M, n_tokens, cells, TRACE_MOST_CELLS);
}

static void put_list(FILE *f, const char *name, const ids *list)
{
    fprintf(f, "\"%s\":[", name);
    for (size_t i = 0; i < list->n; i++) fprintf(f, "%s%d", i ? "," : "", (int)list->data[i]);
    fprintf(f, "],\n");
}

static void put_text(FILE *f, const char *text)
{
    json_t *j = format_json_text(text);
    char *s = json_dumps(j, JSON_ENCODE_ANY);
    fputs(s ? s : "null", f);
    free(s);
    json_decref(j);
}

static void put_map(FILE *f, const trace *t, const float *(*map)(const trace *, uint32_t, uint32_t, size_t))
{
    for (size_t l = 0; l < t->layers.n; l++) {
        fprintf(f, "%s[", l ? ",\n" : "");
        for (size_t h = 0; h < t->heads.n; h++) {
            fprintf(f, "%s[", h ? ",\n" : "");
            for (size_t i = 0; i < t->tokens->n; i++) {
                const float *v = map(t, (uint32_t)t->layers.data[l], (uint32_t)t->heads.data[h], i);
                for (uint32_t m = 0; m < t->a->info.M; m++)
                    fprintf(f, "%s%.6g", m ? "," : i ? ",\n[" : "[", isfinite(v[m]) ? v[m] : -1.);
                fputc(']', f);
            }
            fputc(']', f);
        }
        fputc(']', f);
    }
}

/* Numbers that are not finite are -1. */
static int put_json(const trace *t, FILE *f)
{
    fprintf(f, "{\"schema\":\"gsa-vk trace\",\"version\":1,\"model\":");
    put_text(f, t->a->model_path);
    fprintf(f, ",\"slots\":%u,\n", (unsigned)t->a->info.M);
    put_list(f, "layers", &t->layers);
    put_list(f, "heads", &t->heads);
    put_list(f, "ids", t->tokens);
    fprintf(f, "\"texts\":[");
    for (size_t i = 0; i < t->tokens->n; i++) {
        char text[64];
        trace_token_text(t, i, text);
        if (i) fputc(',', f);
        put_text(f, text);
    }
    fprintf(f, "],\n\"write\":[");
    put_map(f, t, trace_write);
    fprintf(f, "],\n\"read\":[");
    put_map(f, t, trace_read);
    fprintf(f, "]}\n");
    return 0;
}

static int write_out(const trace *t, const char *path)
{
    output out;
    const size_t n = strlen(path);
    if (output_open(&out, path) != 0) return 1;
    int rc = n > 5 && strcmp(path + n - 5, ".json") == 0 ? put_json(t, out.file) : trace_draw(t, out.file);
    if (rc == 0 && ferror(out.file)) rc = fail("cannot write %s", path);
    return output_finish(&out, rc);
}

static int choose_all(trace *t, const trace_options *options, size_t n_tokens)
{
    int rc = choose(&t->layers, options->layers, "--trace-layer", t->a->info.n_layers);
    if (rc == 0) rc = choose(&t->heads, options->heads, "--trace-head", t->a->info.H);
    return rc ? rc : check_size(t, n_tokens);
}

int trace_check(app *a, const trace_options *options, size_t n_tokens)
{
    trace t = {.a = a};
    const int rc = choose_all(&t, options, n_tokens);
    ids_free(&t.layers);
    ids_free(&t.heads);
    return rc;
}

int trace_make(app *a, const gsa_session *session, const ids *tokens, const trace_options *options)
{
    trace t = {.a = a, .tokens = tokens};
    const gsa_model_info *i = &a->info;
    int rc = choose_all(&t, options, tokens->n);
    if (rc == 0) {
        const size_t n = (size_t)i->n_layers * tokens->n * i->M;
        t.write = malloc(n * i->G * sizeof(float));
        t.read = malloc(n * i->H * sizeof(float));
        if (!t.write || !t.read) rc = fail("out of memory for the trace of %zu tokens", tokens->n);
    }
    if (rc == 0 && gsa_session_trace_wait(session, tokens->data, tokens->n, t.write, t.read) != GSA_OK)
        rc = fail_library();
    if (rc == 0) rc = write_out(&t, options->path);
    free(t.write);
    free(t.read);
    ids_free(&t.layers);
    ids_free(&t.heads);
    return rc;
}
