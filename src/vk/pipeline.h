/* Compute pipelines from the built-in SPIR-V table, keyed by shader and specialization, created once. */
#ifndef GSAI_PIPELINE_H
#define GSAI_PIPELINE_H

#include "vk/device.h"
#include "vk/shaders.h"

#define GSAI_MAX_SPEC     24
#define GSAI_MAX_BINDINGS 8 /* Vulkan 1.1 guarantees 4 per stage: each op has a variant that keeps to it */
#define GSAI_PUSH_BYTES   128

typedef struct gsai_pipeline {
    const gsai_shader *shader;
    uint32_t n_spec, spec[GSAI_MAX_SPEC]; /* constant_id 0..n-1 */
    uint32_t subgroup_size;               /* 0 = the driver's choice */
    uint32_t group_size[3];               /* with the specialization applied */
    VkPipeline handle;
    VkPipelineLayout layout;
    VkDescriptorSetLayout set_layout;
} gsai_pipeline;

/* Find or create. Pointers stay valid until the device is destroyed. Thread-safe; creating one makes others wait.
 * subgroup_size is the size the shader must run at, with full subgroups where the group's width allows; 0 = any.
 * UNSUPPORTED: the shader needs a capability, a group size, a push size or a subgroup size this device (as masked) does
 * not have; the text names it. ARGUMENT: shader NULL, too many constants. DRIVER: the driver refuses the shader. */
gsa_status gsai_pipeline_get(gsa_device *dev, const gsai_shader *shader, const uint32_t *spec, uint32_t n_spec,
    uint32_t subgroup_size, const gsai_pipeline **out);

/* With kernel_statistics: one line of the log for each executable of a pipeline that was just made. */
void gsai_pipeline_log_statistics(gsa_device *dev, const gsai_pipeline *pipeline);

gsa_status gsai_pipelines_create(gsa_device *dev, const void *cache, size_t cache_size); /* a bad cache is a miss */
void gsai_pipelines_destroy(gsa_device *dev);
uint32_t gsai_pipelines_count(gsa_device *dev);
/* Whether the cache given to gsai_pipelines_create fitted this library, device and driver. */
bool gsai_pipelines_cache_hit(const gsa_device *dev);
/* Bytes of the layers above that travel with the cache, for the same library, device and driver only. What was in the
 * cache that fitted, or was set last; valid until the next set of that kind. */
typedef enum gsai_note_kind { GSAI_NOTE_VERDICTS, GSAI_NOTE_SHAPES, GSAI_N_NOTE_KINDS } gsai_note_kind;
const void *gsai_pipelines_notes(const gsa_device *dev, gsai_note_kind kind, size_t *size);
gsa_status gsai_pipelines_set_notes(gsa_device *dev, gsai_note_kind kind, const void *notes, size_t size); /* copied */
/* Cache for the next run: our header (magic, version, vendor, device, driver, UUID, hash), notes by
 * kind, the driver's blob.
 * out NULL: *size is what is needed now. LIMIT: capacity is less than that. */
gsa_status gsai_pipelines_cache(gsa_device *dev, void *out, size_t capacity, size_t *size);

#endif
