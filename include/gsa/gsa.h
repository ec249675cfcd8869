/* gsa/gsa.h: Gated Slot Attention language models on any Vulkan device. This header includes all others.
 *
 *     #include <gsa/gsa.h>
 *     #include <stdio.h>
 *     #define CHECK(call) do { if ((call) < 0) { fprintf(stderr, "%s\n", gsa_error_text()); return 1; } } while (0)
 *
 *     int main(int argc, char **argv) // a folder with config.json, *.safetensors and tokenizer.json
 *     {
 *         gsa_device *device; gsa_model *model; gsa_session *session; gsa_tokenizer *tokenizer; gsa_detokenizer *detokenizer;
 *         int32_t ids[64]; size_t n = 0; const char *text;
 *         CHECK(gsa_tokenizer_create(&(gsa_tokenizer_params){.struct_size = sizeof(gsa_tokenizer_params), .path = argv[1]}, &tokenizer));
 *         CHECK(gsa_detokenizer_create(tokenizer, true, &detokenizer));
 *         CHECK(gsa_device_create(NULL, &device));
 *         CHECK(gsa_model_load(device, &(gsa_model_params){.struct_size = sizeof(gsa_model_params), .path = argv[1]}, &model));
 *         CHECK(gsa_session_create(model, &session));
 *         CHECK(gsa_tokenizer_encode(tokenizer, "Once upon a time", 16, true, ids, 64, &n));
 *         for (int i = 0; i < 32; i++, n = 1) {
 *             gsa_step_item item = {.session = session, .tokens = ids, .n_tokens = (uint32_t)n, .want = GSA_WANT_TOKEN};
 *             gsa_step *step;
 *             CHECK(gsa_step_submit(model, &item, 1, 0, &step)); // budget 0: all of a short prompt goes into one step
 *             CHECK(gsa_step_wait(step, UINT64_MAX));
 *             CHECK(gsa_step_collect(step));
 *             ids[0] = item.token;
 *             CHECK(gsa_detokenizer_push(detokenizer, item.token, &text, NULL));
 *             fputs(text, stdout);
 *         }
 *         gsa_session_destroy(session); gsa_model_destroy(model); gsa_device_destroy(device);
 *         gsa_detokenizer_destroy(detokenizer); gsa_tokenizer_destroy(tokenizer);
 *     }
 *
 * (examples/01_hello.c is the same with room to breathe.)
 *
 * Objects
 *     device      a Vulkan device, or the CPU reference
 *     model       config and weights on a device; never changes after loading
 *     session     one timeline of tokens: a state of fixed size, however long the text
 *     snapshot    a frozen state of a session
 *     step        work for one or many sessions: submit, wait or poll, collect
 *     tokenizer, detokenizer, sampler   plain CPU objects that know no device
 *
 * Lifetimes. Destroy in this order; each destroyer accepts NULL:
 *     steps (gsa_step_collect frees them) -> sessions and snapshots -> models -> devices
 *     detokenizers -> tokenizers; samplers whenever no step uses them
 * A parent that still has children is not destroyed: the device's log says so, nothing is leaked or broken, and it can be
 * destroyed later. A snapshot may outlive its session. Parameter structs, and what they point to, are needed during the
 * call only; what must live longer says so where it is declared.
 *
 * Parameters. A struct begins with its own size; zero everywhere else is a sensible choice.
 *
 * Failures. Every call that can fail returns a gsa_status: negative is a failure, and gsa_error_text() says what, where
 * and what to do, in one line. Each function lists its statuses and what holds afterwards. The library never prints, exits
 * or reads the environment.
 *
 * Threads. Devices, models and tokenizers may be used from any thread; a session, sampler or detokenizer from one at a
 * time. What a function does to the device is in its comment: immediate, submits, polls, or blocks (named _wait). */
#ifndef GSA_GSA_H
#define GSA_GSA_H

#include "gsa/base.h"
#include "gsa/convert.h"
#include "gsa/device.h"
#include "gsa/model.h"
#include "gsa/sampler.h"
#include "gsa/session.h"
#include "gsa/tokenizer.h"

#endif
