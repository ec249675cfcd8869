/* The table of built-in shaders. Generated from shaders/meson.build by tools/embed_spirv.py, which reads the rest of a
 * row out of the SPIR-V itself. */
#ifndef GSAI_SHADERS_H
#define GSAI_SHADERS_H

#include <stdint.h>

typedef struct gsai_shader {
    const char *name; /* the variant's, e.g. "matvec_f16_sg" */
    const uint32_t *words;
    uint32_t n_words;
    uint32_t spirv_version; /* version word of the header, e.g. 0x10300 */
    uint32_t caps;          /* bits of gsai_cap its SPIR-V capabilities stand for */
    uint32_t n_bindings;    /* storage buffers at set 0, bindings 0..n-1 */
    uint32_t push_bytes;
    uint32_t group_size[3]; /* as written; overridden by: */
    int32_t group_spec[3];  /* constant_id of each dimension, -1 = fixed */
} gsai_shader;

extern const gsai_shader gsai_shaders[];
extern const uint32_t gsai_n_shaders;
/* Variants this build's compiler could not make, and the GLSL extension it lacks; ends with a NULL name. */
extern const struct gsai_shader_absent {
    const char *name, *reason;
} gsai_shaders_absent[];

const gsai_shader *gsai_shader_find(const char *name); /* NULL: no such variant, or absent */

#endif
