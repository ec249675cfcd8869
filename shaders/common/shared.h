/* Facts shared by C and GLSL: chunk sizes, work-table layout, push constants. Read by both compilers, so: only
 * preprocessor, uint/float members, no padding surprises (4-byte members only), at most 128 bytes each. */
#ifndef GSA_SHARED_H
#define GSA_SHARED_H

#ifdef GL_core_profile
#define GSA_PUSH(name) layout(push_constant) uniform name
#else
#include <stdint.h>
typedef uint32_t uint;
#endif

/* A prompt is cut into chunks of this many tokens, counted from the first token of a step; the bits of a token depend
 * on its chunk only. Row blocks inside a chunk carry exact decays (see gsa_chunk_*.comp). */
#define GSA_CHUNK              64u
#define GSA_BLOCK              16u

/* The work table of a pass: what changes from step to step while the recorded plan stays. An array of uints:
 *   span i  (one session's run of chunks): WORK_SPANS + 4 i  = slot, first chunk, number of chunks, 0
 *   chunk i                              : WORK_CHUNKS + 4 i = first row, number of rows, slot, span
 *   token ids [rows]                     : WORK_IDS
 *   rows whose logits are wanted         : WORK_WANTED
 * with the four bases given by the plan as push constants where a shader needs them. */
#define GSA_WORK_STRIDE        4u

/* Parameters of one sampled row, as uints (floats by their bits), GSA_SAMPLE_STRIDE apart. */
#define GSA_SAMPLE_TEMPERATURE 0u
#define GSA_SAMPLE_TOP_K       1u
#define GSA_SAMPLE_TOP_P       2u
#define GSA_SAMPLE_MIN_P       3u
#define GSA_SAMPLE_PENALTY     4u
#define GSA_SAMPLE_SEED_LO     5u
#define GSA_SAMPLE_SEED_HI     6u
#define GSA_SAMPLE_DRAW_LO     7u
#define GSA_SAMPLE_DRAW_HI     8u
#define GSA_SAMPLE_N_RECENT    9u
#define GSA_SAMPLE_RECENT      10u
#define GSA_SAMPLE_MAX_RECENT  256u
#define GSA_SAMPLE_WINDOW      266u /* recent tokens that count: the rest of the parameters serve generation */
#define GSA_SAMPLE_N_STOP      267u
#define GSA_SAMPLE_STOP        268u
#define GSA_SAMPLE_MAX_STOP    4u
#define GSA_SAMPLE_STRIDE      272u

#endif
