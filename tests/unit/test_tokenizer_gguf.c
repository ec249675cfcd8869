/* Tokenizers in GGUF files: through the keys that other programs read, and through the whole tokenizer.json. */
#include "support/counting_alloc.h"
#include "text/tokenizer_gguf.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/tokenizer_goldens.h"

/* ---- making files ---- */

typedef struct made {
    char path[64];
} made;

static gsai_gguf_writer *new_writer(void)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    gsai_gguf_writer *w;
    assert_int_equal(gsai_gguf_writer_create(&a, &w), GSA_OK);
    return w;
}

static void finish(gsai_gguf_writer *w, made *m)
{
    strcpy(m->path, "/tmp/gsa-gguf-XXXXXX");
    const int fd = mkstemp(m->path);
    assert_true(fd >= 0);
    close(fd);
    if (gsai_gguf_begin(w, m->path) != GSA_OK || gsai_gguf_finish(w) != GSA_OK) fail_msg("%s", gsa_error_text());
    gsai_gguf_writer_destroy(w);
}

static void remove_made(made *m)
{
    unlink(m->path);
}

static gsa_tokenizer *open_path(const char *path)
{
    gsa_tokenizer *t = NULL;
    const gsa_tokenizer_params params = {.struct_size = sizeof params, .path = path};
    if (gsa_tokenizer_create(&params, &t) != GSA_OK) fail_msg("%s", gsa_error_text());
    return t;
}

static char *load(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *bytes = malloc(4u << 20);
    *size = fread(bytes, 1, 4u << 20, f);
    fclose(f);
    return bytes;
}

/* The tokenizer.json of a family as a GGUF file, less the keys that begin with drop. */
static void export_family(const char *family, const char *drop, made *m)
{
    const gsa_allocator a = gsai_allocator_or_default(NULL);
    char path[512];
    size_t size;
    tg_data_path(path, family, "tokenizer.json");
    char *json = load(path, &size);
    const gsai_tokenizer_export e = {.name = path, .json = json, .json_size = size, .bos_id = -1, .eos_id = -1};
    gsai_gguf_writer *w = new_writer();
    if (gsai_tokenizer_to_gguf(&e, &a, w) != GSA_OK) fail_msg("%s", gsa_error_text());
    finish(w, m);
    free(json);

    made whole = *m;
    gsai_source *source;
    gsai_gguf *g;
    assert_int_equal(gsai_source_open_path(whole.path, &a, &source), GSA_OK);
    if (gsai_gguf_open(source, &a, &g) != GSA_OK) fail_msg("%s", gsa_error_text());
    w = new_writer();
    for (uint64_t i = 0; i < g->n_pairs; i++) {
        const gsai_gguf_value *v = &g->pairs[i].value;
        if (strncmp(g->pairs[i].key, drop, strlen(drop)) != 0)
            gsai_gguf_put_raw(w, g->pairs[i].key, v->kind, v->raw, v->n_raw);
    }
    gsai_gguf_close(g);
    gsai_source_close(source);
    remove_made(&whole);
    finish(w, m);
}

static void check_export(const char *drop)
{
    for (int i = 0; i < 3; i++) {
        made m;
        export_family(tg_families[i], drop, &m);
        gsa_tokenizer *t = open_path(m.path);
        tg_check_family(t, tg_families[i]);
        gsa_tokenizer_destroy(t);
        remove_made(&m);
    }
}

static void tokenizer_gguf_ggml_keys_give_the_golden_ids_and_texts(void **state)
{
    (void)state;
    check_export("tokenizer.huggingface");
}

static void tokenizer_gguf_whole_json_gives_the_golden_ids_and_texts(void **state)
{
    (void)state;
    check_export("tokenizer.ggml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_gguf_ggml_keys_give_the_golden_ids_and_texts),
        cmocka_unit_test(tokenizer_gguf_whole_json_gives_the_golden_ids_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
