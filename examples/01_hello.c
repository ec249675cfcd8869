/* hello FOLDER [PROMPT]: load a Hugging Face folder on the best device and continue a text by 32 tokens. Choosing the
 * device: GSA_DEVICE in the environment, e.g. cpu. */
#include <gsa/gsa.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *prompt = argc > 2 ? argv[2] : "Once upon a time";
    gsa_tokenizer *tokenizer = NULL;
    gsa_detokenizer *detokenizer = NULL;
    gsa_device *device = NULL;
    gsa_model *model = NULL;
    gsa_session *session = NULL;
    int32_t tokens[256];
    size_t n = 0;
    const char *text;
    gsa_status status;
    if (argc < 2) return fprintf(stderr, "usage: %s FOLDER [PROMPT]\n", argv[0]), 2;

    const gsa_tokenizer_params tokenizer_params = {.struct_size = sizeof tokenizer_params, .path = argv[1]};
    const gsa_device_params device_params = {.struct_size = sizeof device_params, .select = getenv("GSA_DEVICE")};
    const gsa_model_params model_params = {.struct_size = sizeof model_params, .path = argv[1], .n_slots = 1};
    if ((status = gsa_tokenizer_create(&tokenizer_params, &tokenizer)) != GSA_OK) goto end;
    if ((status = gsa_detokenizer_create(tokenizer, true, &detokenizer)) != GSA_OK) goto end;
    if ((status = gsa_device_create(&device_params, &device)) != GSA_OK) goto end;
    if ((status = gsa_model_load(device, &model_params, &model)) != GSA_OK) goto end;
    if ((status = gsa_session_create(model, &session)) != GSA_OK) goto end;
    if ((status = gsa_tokenizer_encode(tokenizer, prompt, strlen(prompt), true, tokens, 256, &n)) != GSA_OK) goto end;

    /* The prompt goes in as one step, then each chosen token. The detokenizer sees the prompt, too: it decides
     * whether the first new token begins with a space. */
    printf("%s", prompt);
    for (size_t i = 0; i < n; i++)
        if ((status = gsa_detokenizer_push(detokenizer, tokens[i], &text, NULL)) != GSA_OK) goto end;
    for (int i = 0; i < 32; i++) {
        gsa_step_item item = {.session = session, .tokens = tokens, .n_tokens = (uint32_t)n, .want = GSA_WANT_TOKEN};
        gsa_step *step;
        if ((status = gsa_step_submit(model, &item, 1, 0, &step)) != GSA_OK) goto end;
        if ((status = gsa_step_wait(step, UINT64_MAX)) != GSA_OK) goto end;
        if ((status = gsa_step_collect(step)) != GSA_OK) goto end;
        if ((status = gsa_detokenizer_push(detokenizer, item.token, &text, NULL)) != GSA_OK) goto end;
        fputs(text, stdout);
        tokens[0] = item.token;
        n = 1;
    }
    if ((status = gsa_detokenizer_finish(detokenizer, &text, NULL)) == GSA_OK) puts(text);

end:
    if (status != GSA_OK) fprintf(stderr, "%s: %s\n", gsa_status_name(status), gsa_error_text());
    gsa_session_destroy(session);
    gsa_model_destroy(model);
    gsa_device_destroy(device);
    gsa_detokenizer_destroy(detokenizer);
    gsa_tokenizer_destroy(tokenizer);
    return status == GSA_OK ? 0 : 1;
}
