/* gsa-vk tokenize, detokenize: no device, no weights. */
#include "app.h"
#include "commands.h"
#include "data.h"
#include "format.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int print_ids(const app *a, const ids *v)
{
    if (!a->json) {
        for (size_t i = 0; i < v->n; i++) printf("%s%d", i ? " " : "", (int)v->data[i]);
        printf("\n");
        return 0;
    }
    json_t *list = json_array(), *tokens = json_array();
    for (size_t i = 0; i < v->n; i++) {
        size_t n = 0;
        const char *token = gsa_tokenizer_token_text(a->tokenizer, v->data[i], &n);
        json_array_append_new(list, json_integer(v->data[i]));
        json_array_append_new(tokens, token ? json_stringn(token, n) : json_null());
    }
    return format_json_print(json_pack("{s:o, s:o}", "ids", list, "tokens", tokens), 0);
}

int cmd_tokenize(int argc, char **argv)
{
    app a = {0};
    bool no_bos = false;
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, "a folder with tokenizer.json, such a file, or any\nGGUF file with a tokenizer"),
        {CLI_FLAG, 0, "no-bos", NULL, "add no special tokens; default: as the tokenizer's own\npost-processing does",
            &no_bos},
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"tokenize", "-m PATH [TEXT] [options]",
        "Print the token ids of a text on one line. Without TEXT: of standard input, byte by byte as it comes.\n"
        "With --json also the tokens.",
        "  gsa-vk tokenize -m path/to/model 'Hello world'\n"
        "  gsa-vk tokenize -m path/to/tokenizer.json --no-bos < book.txt\n",
        options, APP_COUNT(options), 1};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = app_need_model(&a);
    if (rc != CLI_GO) return rc;
    bytes text = {0};
    ids v = {0};
    rc = app_open_tokenizer(&a, NULL);
    if (rc == 0 && args.n == 0) rc = bytes_read("-", &text);
    if (rc == 0) {
        const char *data = args.n ? args.items[0] : text.data;
        rc = text_encode(a.tokenizer, data, args.n ? strlen(data) : text.n, !no_bos, &v);
    }
    if (rc == 0) rc = print_ids(&a, &v);
    free(text.data);
    ids_free(&v);
    return app_close(&a, rc);
}

static int print_text(const app *a, const ids *v, bool skip_special)
{
    size_t n = 0;
    gsa_status status = gsa_tokenizer_decode(a->tokenizer, v->data, v->n, skip_special, NULL, 0, &n);
    if (status != GSA_OK) return fail_library();
    char *text = malloc(n + 1);
    if (!text) return fail("out of memory for %zu bytes of text", n);
    status = gsa_tokenizer_decode(a->tokenizer, v->data, v->n, skip_special, text, n, &n);
    int rc = 0;
    if (status != GSA_OK) {
        rc = fail_library();
    } else if (a->json) {
        rc = format_json_print(json_pack("{s:o}", "text", json_stringn(text, n)), 0);
    } else {
        fwrite(text, 1, n, stdout);
        if (isatty(STDOUT_FILENO)) printf("\n");
    }
    free(text);
    return rc;
}

int cmd_detokenize(int argc, char **argv)
{
    app a = {0};
    bool skip_special = false;
    const cli_option options[] = {
        APP_MODEL_OPTION(&a, "a folder with tokenizer.json, such a file, or any\nGGUF file with a tokenizer"),
        {CLI_FLAG, 0, "skip-special", NULL, "leave out special tokens", &skip_special},
        APP_OUTPUT_OPTIONS(&a),
    };
    const cli_spec spec = {"detokenize", "-m PATH [ID...] [options]",
        "Print the text of token ids: of the arguments or else of standard input, separated by spaces, commas or\n"
        "newlines. Nothing is added to the text (but a newline when standard output is a terminal).",
        "  gsa-vk detokenize -m path/to/model 1 22557 1526\n"
        "  gsa-vk tokenize -m DIR 'Hello' | gsa-vk detokenize -m DIR --skip-special\n",
        options, APP_COUNT(options), SIZE_MAX};
    cli_args args;
    int rc = app_parse(&a, &spec, argc, argv, &args);
    if (rc == CLI_GO) rc = app_need_model(&a);
    if (rc != CLI_GO) return rc;
    ids v = {0};
    rc = 0;
    for (size_t i = 0; i < args.n && rc == 0; i++)
        rc = ids_parse(&v, args.items[i], strlen(args.items[i]), "arguments");
    if (rc == 0) rc = app_open_tokenizer(&a, NULL);
    if (rc == 0 && args.n == 0) {
        bytes text;
        rc = bytes_read("-", &text);
        if (rc == 0) {
            rc = ids_parse(&v, text.data, text.n, "standard input") ? 1 : 0;
            free(text.data);
        }
    }
    if (rc == 0) rc = print_text(&a, &v, skip_special);
    ids_free(&v);
    return app_close(&a, rc);
}
