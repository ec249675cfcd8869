/* Showing a GGUF file of any architecture. */
#ifndef INSPECT_FILE_H
#define INSPECT_FILE_H

#include "gsa/gsa.h"

#include <jansson.h>

/* Facts, metadata and (unless no_tensors) tensors, to standard output or as members of root. 0, or 1 after fail(). */
int inspect_file(const char *path, bool no_tensors, json_t *root);

/* Only its metadata. */
int inspect_metadata(const char *path, json_t *root);

#endif
