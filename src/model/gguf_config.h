/* A GSA config as GGUF metadata, and its tensors' names: the one table that reader and converter share. FORMAT.md says
 * what each key means. */
#ifndef GSAI_GGUF_CONFIG_H
#define GSAI_GGUF_CONFIG_H

#include "gguf/gguf.h"
#include "gguf/write.h"
#include "model/checkpoint.h"

#define GSAI_GGUF_ARCHITECTURE "gsa" /* general.architecture */

/* All of *c but tied, which the tensors decide, and n_vocab's fit. FORMAT: a key is missing, has another kind or a value
 * outside what it can mean. UNSUPPORTED: another architecture or an unknown feature, by name. */
gsa_status gsai_gguf_config_read(const gsai_gguf *g, gsai_config *c);

/* general.architecture and all gsa.* keys. with_ids: bos and eos as tokenizer.ggml.*_token_id too, for a file without a
 * tokenizer, which otherwise brings them. */
void gsai_gguf_config_write(const gsai_config *c, bool with_ids, gsai_gguf_writer *w);

/* "blk.3.attn_q.weight"; layer is ignored for the first three roles. */
void gsai_gguf_tensor_name(char out[GSAI_GGUF_MAX_NAME], gsai_role role, uint32_t layer);

#endif
