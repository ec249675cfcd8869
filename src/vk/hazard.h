/* What was read and written since the last barrier, so that a barrier is put only where two accesses conflict. */
#ifndef GSAI_HAZARD_H
#define GSAI_HAZARD_H

#include "vk/memory.h"

typedef enum gsai_access { GSAI_READ = 1, GSAI_WRITE = 2, GSAI_READ_WRITE = 3 } gsai_access;

#define GSAI_MAX_HAZARDS 96

typedef struct gsai_hazards {
    struct gsai_hazard {
        VkBuffer buffer;
        uint64_t begin, end;
        gsai_access access;
    } list[GSAI_MAX_HAZARDS];
    uint32_t n;
    VkPipelineStageFlags stages; /* of the commands since the last barrier */
    bool by_address;             /* one of them reached memory that is not in the list: anything conflicts with it */
} gsai_hazards;

/* True when an access of this kind must wait for an earlier one (two reads never must), or when the list is too full
 * to remember GSAI_MAX_BINDINGS more. */
bool gsai_hazards_conflict(const gsai_hazards *h, gsai_range range, gsai_access access);
void gsai_hazards_add(gsai_hazards *h, gsai_range range, gsai_access access, VkPipelineStageFlags stage);
void gsai_hazards_clear(gsai_hazards *h);

/* A memory barrier for all buffers: what the src stages wrote is visible to the dst stages (compute, transfer, host).
 * Global because drivers flush whole caches anyway, and a list of buffers only costs time to walk. */
void gsai_cmd_barrier(const gsa_device *dev, VkCommandBuffer cmd, VkPipelineStageFlags src, VkPipelineStageFlags dst);

#endif
