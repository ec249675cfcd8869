#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "convert/convert.h"
#include "support/counting_alloc.h"
#include "support/goldens.h"
#include "support/hf_maker.h"
#include "util/alloc.h"

#include <dirent.h>
#include <math.h>

static char folder[64], out[96], out2[96];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/gsa-convert-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(out, sizeof out, "%s/model.gguf", folder);
    snprintf(out2, sizeof out2, "%s/other.gguf", folder);
    return 0;
}

static unsigned count_files(void)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static int remove_folder(void **state)
{
    (void)state;
    DIR *d = opendir(folder);
    char name[400];
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.') unlink(name);
    }
    closedir(d);
    return rmdir(folder);
}

static gsa_convert_params params_of(const char *path, const char *type)
{
    return (gsa_convert_params){
        .struct_size = sizeof(gsa_convert_params), .path = path, .output = out, .type = type, .n_threads = 1};
}

static void convert_or_fail(const gsa_convert_params *p)
{
    if (gsa_convert(p, NULL) != GSA_OK) fail_msg("%s", gsa_error_text());
}

static uint8_t *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*n + 1);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void assert_same_files(const char *a, const char *b)
{
    size_t n, m;
    uint8_t *x = read_all(a, &n), *y = read_all(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static gsai_checkpoint *open_gguf(const char *path)
{
    const gsai_checkpoint_options options = {gsai_allocator_or_default(NULL), NULL};
    gsai_checkpoint *c;
    if (gsai_checkpoint_open_gguf(path, NULL, &options, &c) != GSA_OK) fail_msg("%s", gsa_error_text());
    return c;
}

static uint64_t hash_of(gsai_checkpoint *c)
{
    uint64_t hash;
    assert_int_equal(gsai_checkpoint_hash(c, &hash), GSA_OK);
    gsai_checkpoint_close(c);
    return hash;
}

static gsai_checkpoint *open_hf(const char *path)
{
    const gsai_checkpoint_options options = {gsai_allocator_or_default(NULL), NULL};
    gsai_checkpoint *c;
    if (gsai_checkpoint_open_hf(path, &options, &c) != GSA_OK) fail_msg("%s", gsa_error_text());
    return c;
}

/* The identity covers config and all weights' bytes, so equal identities mean equal logits. */
static void convert_without_a_type_keeps_the_identity_of_every_golden_model(void **state)
{
    (void)state;
    char models[512], path[600], text[700];
    assert_true(goldens_path(models, sizeof models, "models"));
    char **names = goldens_list(models, NULL);
    int n = 0;
    for (char **name = names; *name; name++) {
        snprintf(path, sizeof path, "%s/%s", models, *name);
        snprintf(text, sizeof text, "%s/golden.safetensors", path);
        if (access(text, R_OK) != 0) continue; /* one that is refused by name */
        const gsa_convert_params p = params_of(path, NULL);
        convert_or_fail(&p);
        assert_true(hash_of(open_hf(path)) == hash_of(open_gguf(out)));
        gsai_checkpoint *a = open_hf(path), *b = open_gguf(out);
        assert_int_equal(a->config.context_length, b->config.context_length);
        assert_int_equal(a->config.bos_id, b->config.bos_id);
        gsai_checkpoint_close(a);
        gsai_checkpoint_close(b);
        n++;
    }
    goldens_free_list(names);
    assert_true(n >= 6);
}

static void tiny_path(char path[600])
{
    assert_true(goldens_path(path, 600, "models/gsa-tiny"));
}

static void convert_gives_the_same_bytes_with_any_number_of_threads(void **state)
{
    (void)state;
    char path[600];
    tiny_path(path);
    gsa_convert_params p = params_of(path, "q4_0");
    convert_or_fail(&p);
    for (uint32_t n = 2; n <= 9; n += 7) {
        p.n_threads = n;
        p.output = out2;
        gsa_convert_result r;
        assert_int_equal(gsa_convert(&p, &r), GSA_OK);
        assert_int_equal(r.n_threads, n);
        assert_same_files(out, out2);
    }
}

typedef struct seen {
    char name[64][64], to[64][8], why[64][32];
    int n;
} seen;

static void see(void *user, const gsa_convert_tensor *t)
{
    seen *s = user;
    snprintf(s->name[s->n], 64, "%s", t->name);
    snprintf(s->to[s->n], 8, "%s", t->to);
    snprintf(s->why[s->n++], 32, "%s", t->why);
}

static int find(const seen *s, const char *name)
{
    for (int i = 0; i < s->n; i++) {
        if (strcmp(s->name[i], name) == 0) return i;
    }
    fail_msg("no tensor %s", name);
    return 0;
}

static void convert_chooses_types_by_role_override_and_fit(void **state)
{
    (void)state;
    char path[600];
    tiny_path(path);
    static const gsa_convert_override overrides[] = {
        {"blk.0.attn_slot_gate.weight", "q8_0"}, {"blk.?.attn_slot_gate*", "f16"}, {"*norm*", "bf16"}};
    seen s = {0};
    gsa_convert_params p = params_of(path, "q4_k");
    p.tensor = see;
    p.user = &s;
    p.overrides = overrides;
    p.n_overrides = 3;
    gsa_convert_result r;
    assert_int_equal(gsa_convert(&p, &r), GSA_OK);
    assert_string_equal(s.to[find(&s, "token_embd.weight")], "q8_0"); /* rows of 64: q6_k does not fit */
    assert_string_equal(s.to[find(&s, "blk.1.attn_q.weight")], "q4_0");
    assert_string_equal(s.why[find(&s, "blk.1.attn_q.weight")], "rows of 64");
    assert_string_equal(s.to[find(&s, "blk.0.attn_slot_gate.weight")], "q8_0");
    assert_string_equal(s.to[find(&s, "blk.1.attn_slot_gate.weight")], "f16");
    assert_string_equal(s.why[find(&s, "blk.1.attn_slot_gate.weight")], "override");
    assert_string_equal(s.to[find(&s, "blk.1.attn_norm.weight")], "bf16");
    uint32_t n = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < r.n_types; i++) {
        n += r.types[i].n_tensors;
        bytes += r.types[i].n_bytes;
        assert_true(i == 0 || r.types[i].n_bytes <= r.types[i - 1].n_bytes);
    }
    assert_int_equal(n, s.n);
    assert_int_equal(bytes, r.n_bytes);
    gsai_checkpoint *c = open_gguf(out);
    assert_int_equal(c->layers[1].f.type, GSAI_F16);
    assert_int_equal(c->layers[1].attn_norm.type, GSAI_BF16);
    assert_int_equal(c->embed.type, GSAI_Q8_0);
    gsai_checkpoint_close(c);
}

static void convert_patterns_match_as_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true},
        {"a*c", "abcb", false}, {"a?c", "abc", true}, {"a?c", "ac", false}, {"*a*b*", "xxaxxbxx", true},
        {"*ab", "aab", true}, {"*ab*", "aaxab", true}, {"**", "x", true}, {"a", "A", false}, {"[a]", "a", false},
        {"*?", "", false}, {"a*b*c*d", "abcbcbcd", true}, {"a*b*c*d", "abcbcbc", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(gsai_convert_matches(cases[i].pattern, cases[i].name), cases[i].matches);
}

static void convert_mistakes_are_told_and_leave_nothing(void **state)
{
    (void)state;
    char path[600];
    tiny_path(path);
    const gsa_convert_override no_match = {"blk.99.*", "f16"}, norm = {"output_norm*", "q8_0"}, no_type = {"*", "q3_k"};
    const struct {
        gsa_convert_override o;
        gsa_status status;
        const char *says;
    } cases[] = {{no_match, GSA_ERROR_ARGUMENT, "blk.99"}, {norm, GSA_ERROR_ARGUMENT, "output_norm.weight"},
        {no_type, GSA_ERROR_ARGUMENT, "q3_k"}, {{"*", NULL}, GSA_ERROR_ARGUMENT, "override 0"},
        {{NULL, "f16"}, GSA_ERROR_ARGUMENT, "override 0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gsa_convert_params p = params_of(path, "f16");
        p.overrides = &cases[i].o;
        p.n_overrides = 1;
        assert_int_equal(gsa_convert(&p, NULL), cases[i].status);
        assert_non_null(strstr(gsa_error_text(), cases[i].says));
    }
    gsa_convert_params p = params_of(path, "q5_k");
    assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_ARGUMENT);
    p = params_of(path, "f16");
    p.synthetic = "340m";
    assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_ARGUMENT);
    p = params_of(NULL, "f16");
    assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_ARGUMENT);
    p = params_of(path, "f16");
    p.output = NULL;
    assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_ARGUMENT);
    p = params_of(path, "f16");
    p.struct_size--;
    assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_ARGUMENT);
    assert_int_equal(gsa_convert(NULL, NULL), GSA_ERROR_ARGUMENT);
    p = params_of("/nonexistent", "f16");
    assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_FILE);
    p = params_of(path, "f16");
    p.output = "/nonexistent/x.gguf";
    assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_FILE);
    assert_int_equal(count_files(), 0);
}

typedef struct watch {
    int calls, stop_at; /* the call that cancels, from 0; negative: none */
    bool spoil;         /* overwrite the end of the unfinished file before it is checked */
    uint64_t last_done;
    char phase[16];
} watch;

static void spoil(void)
{
    DIR *d = opendir(folder);
    char name[400];
    for (struct dirent *e; (e = readdir(d));) {
        if (!strstr(e->d_name, ".gguf.")) continue;
        snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
        FILE *f = fopen(name, "r+b");
        fseek(f, -4096, SEEK_END);
        for (int i = 0; i < 4096; i++) fputc(0x3c, f);
        fclose(f);
    }
    closedir(d);
}

static bool on_progress(void *user, const gsa_convert_progress *p)
{
    watch *w = user;
    assert_true(p->bytes_done <= p->bytes_total);
    if (strcmp(w->phase, p->what) != 0) {
        snprintf(w->phase, sizeof w->phase, "%s", p->what);
        w->last_done = 0;
    }
    assert_true(p->bytes_done >= w->last_done);
    w->last_done = p->bytes_done;
    if (w->spoil && p->bytes_done == p->bytes_total && strcmp(p->what, "quantise") == 0) spoil();
    return w->calls++ != w->stop_at;
}

static void convert_cancelled_anywhere_leaves_the_old_file(void **state)
{
    (void)state;
    char path[600];
    uint8_t text[4];
    tiny_path(path);
    FILE *f = fopen(out, "wb");
    fputs("old", f);
    fclose(f);
    watch w = {.stop_at = -1};
    gsa_convert_params p = params_of(path, "q8_0");
    p.progress = on_progress;
    p.user = &w;
    p.output = out2;
    convert_or_fail(&p);
    assert_string_equal(w.phase, "check");
    unlink(out2);
    p.output = out;
    const int calls = w.calls;
    assert_true(calls > 20);
    for (int i = 0; i < calls; i++) {
        w = (watch){.stop_at = i};
        p.n_threads = i % 2 ? 3 : 1;
        const gsa_status status = gsa_convert(&p, NULL);
        if (status == GSA_OK) { /* other threads did so much that there were fewer calls */
            assert_true(i % 2 == 1);
            f = fopen(out, "wb");
            fputs("old", f);
            fclose(f);
            continue;
        }
        assert_int_equal(status, GSA_ERROR_CANCELLED);
        assert_int_equal(count_files(), 1);
        f = fopen(out, "rb");
        assert_int_equal(fread(text, 1, 4, f), 3);
        fclose(f);
    }
}

static void convert_check_finds_a_spoilt_file(void **state)
{
    (void)state;
    char path[600];
    tiny_path(path);
    static const char *const types[] = {"f32", "f16", "bf16", "q8_0", "q4_0"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        watch w = {.stop_at = -1, .spoil = true};
        gsa_convert_params p = params_of(path, types[i]);
        p.progress = on_progress;
        p.user = &w;
        assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_MISMATCH);
        assert_non_null(strstr(gsa_error_text(), "tensor blk.1."));
        assert_int_equal(count_files(), 0);
    }
}

static void convert_numbers_that_do_not_fit_are_named(void **state)
{
    (void)state;
    static const struct {
        float value;
        const char *type, *says;
    } cases[] = {{NAN, "q8_0", "NaN"}, {INFINITY, "bf16", "infinite"}, {70000, "f16", "70000"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hf_maker m;
        hf_begin(&m);
        memcpy(hf_find(&m, "model.layers.1.attn.q_proj.weight")->data + 4 * (8 * 5 + 3), &cases[i].value, 4);
        hf_write(&m);
        gsa_convert_params p = params_of(m.folder, cases[i].type); /* rows of 8 are stored as f16 when q8_0 is asked */
        assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_UNSUPPORTED);
        assert_non_null(strstr(gsa_error_text(), "tensor blk.1.attn_q.weight, row 5: element 3"));
        assert_non_null(strstr(gsa_error_text(), cases[i].says));
        assert_int_equal(count_files(), 0);
        p.type = NULL; /* copied as it is */
        convert_or_fail(&p);
        unlink(out);
        hf_end(&m);
    }
}

static bool read_from(void *user, uint64_t offset, size_t size, void *dst)
{
    memcpy(dst, (const uint8_t *)user + offset, size);
    return true;
}

static void convert_from_gguf_by_path_memory_and_callback_is_the_same(void **state)
{
    (void)state;
    char path[600];
    tiny_path(path);
    gsa_convert_params p = params_of(path, "f16");
    convert_or_fail(&p);
    size_t n, m;
    uint8_t *file = read_all(out, &n);
    gsa_convert_params q = params_of(out, "q4_0");
    q.output = out2;
    convert_or_fail(&q);
    uint8_t *want = read_all(out2, &m);
    const gsa_source memory = {.data = file, .size = n}, callback = {.size = n, .read = read_from, .user = file};
    for (int i = 0; i < 2; i++) {
        q.path = NULL;
        q.source = i ? &callback : &memory;
        q.n_threads = 1 + (uint32_t)i;
        convert_or_fail(&q);
        size_t k;
        uint8_t *got = read_all(out2, &k);
        assert_int_equal(k, m);
        assert_memory_equal(got, want, m);
        free(got);
    }
    /* A second time with the same types: the same file. */
    q = params_of(out2, NULL);
    convert_or_fail(&q);
    assert_same_files(out, out2);
    /* Onto itself. */
    q = params_of(out, "q8_0");
    convert_or_fail(&q);
    gsai_checkpoint *c = open_gguf(out);
    assert_int_equal(c->layers[0].q.type, GSAI_Q8_0);
    gsai_checkpoint_close(c);
    free(file);
    free(want);
}

static void convert_names_the_file_as_asked(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    hf_write(&m);
    gsa_convert_params p = params_of(m.folder, "f32");
    for (int i = 0; i < 3; i++) {
        p.name = i ? "A name" : NULL;
        if (i == 2) {
            p.path = out2;
            p.name = "Another";
        }
        convert_or_fail(&p);
        gsai_checkpoint *c = open_gguf(out);
        gsai_text text;
        assert_int_equal(gsai_gguf_get_text(gsai_checkpoint_gguf(c), GSAI_KEY_NAME, true, &text), GSA_OK);
        const char *want = i == 2 ? "Another" : i ? "A name" : strrchr(m.folder, '/') + 1;
        assert_int_equal(text.length, strlen(want));
        assert_memory_equal(text.bytes, want, text.length);
        gsai_checkpoint_close(c);
        assert_int_equal(rename(out, out2), 0);
    }
    hf_end(&m);
}

static void convert_every_failed_allocation_is_reported(void **state)
{
    (void)state;
    hf_maker m;
    hf_begin(&m);
    hf_write(&m);
    counting_alloc c = {.fail_at = -1};
    const gsa_allocator a = counting_allocator(&c);
    gsa_convert_params p = params_of(m.folder, "f16");
    p.allocator = &a;
    convert_or_fail(&p);
    assert_int_equal(c.alive, 0);
    unlink(out);
    const long calls = c.calls;
    for (long i = 0; i < calls; i++) {
        c = (counting_alloc){.fail_at = i};
        assert_int_equal(gsa_convert(&p, NULL), GSA_ERROR_HOST_MEMORY);
        assert_int_equal(c.alive, 0);
        assert_int_equal(count_files(), 0);
    }
    hf_end(&m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(convert_without_a_type_keeps_the_identity_of_every_golden_model),
        TEST(convert_gives_the_same_bytes_with_any_number_of_threads),
        TEST(convert_chooses_types_by_role_override_and_fit),
        cmocka_unit_test(convert_patterns_match_as_they_say),
        TEST(convert_mistakes_are_told_and_leave_nothing),
        TEST(convert_cancelled_anywhere_leaves_the_old_file),
        TEST(convert_check_finds_a_spoilt_file),
        TEST(convert_numbers_that_do_not_fit_are_named),
        TEST(convert_from_gguf_by_path_memory_and_callback_is_the_same),
        TEST(convert_names_the_file_as_asked),
        TEST(convert_every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
