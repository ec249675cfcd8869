/* A GSA config from GGUF metadata. */
#ifndef GSAI_GGUF_CONFIG_H
#define GSAI_GGUF_CONFIG_H

#include "gguf/gguf.h"
#include "model/config.h"

/* All of *c but tied, which the tensors decide. FORMAT: a key is missing, has another kind or a value outside what it can
 * mean. UNSUPPORTED: another architecture or an unknown feature, by name. */
gsa_status gsai_gguf_config_read(const gsai_gguf *g, gsai_config *c);

#endif
