/* The parts of a tokenizer.json around its model. */
#ifndef GSAI_JSON_RULES_H
#define GSAI_JSON_RULES_H

#include "text/json_read.h"
#include "text/vocab.h"

/* Each takes the part (NULL or null when the file has none) and sets its fields of v. FORMAT, UNSUPPORTED,
 * HOST_MEMORY. */
gsa_status gsai_json_normalizer(gsai_vocab *v, const json_t *part);
gsa_status gsai_json_pre_tokenizer(gsai_vocab *v, const json_t *part);
gsa_status gsai_json_decoder(gsai_vocab *v, const json_t *part);
/* Its ids must be tokens of v already. */
gsa_status gsai_json_post_processor(gsai_vocab *v, const json_t *part);

#endif
