/* A GSA config from and to GGUF metadata. */
#ifndef GSAI_GGUF_CONFIG_H
#define GSAI_GGUF_CONFIG_H

#include "gguf/gguf.h"
#include "gguf/write.h"
#include "model/config.h"

/* All of *c but tied, which the tensors decide. FORMAT: a key is missing, has another kind or a value outside what it can
 * mean. UNSUPPORTED: another architecture or an unknown feature, by name. */
gsa_status gsai_gguf_config_read(const gsai_gguf *g, gsai_config *c);

/* The metadata to go before the tensors of a file of this config: names, sizes and numbers, no tokenizer. name may be
 * NULL; type is that of most matrices. */
void gsai_gguf_config_write(const gsai_config *c, const char *name, gsai_type type, gsai_gguf_writer *w);

#endif
