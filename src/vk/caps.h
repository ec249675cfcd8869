/* What a device can do, read once into a plain record, and what of it is hidden from the library on request. */
#ifndef GSAI_CAPS_H
#define GSAI_CAPS_H

#include "gsa/base.h"

/* One bit each; a variant of an op names the bits it needs. The names of --mask are the lower-case words. */
typedef enum gsai_cap {
    GSAI_CAP_STORAGE16 = 1 << 0, /* storage16: 16-bit values in storage buffers */
    GSAI_CAP_STORAGE8 = 1 << 1,  /* storage8 */
    GSAI_CAP_FLOAT16 = 1 << 2,   /* float16: f16 arithmetic */
    GSAI_CAP_INT8 = 1 << 3,      /* int8 arithmetic */
    GSAI_CAP_INT16 = 1 << 4,     /* int16 arithmetic */
    GSAI_CAP_SUBGROUP = 1 << 5,  /* subgroup: basic, vote, ballot, arithmetic, shuffle (relative too) in compute */
    GSAI_CAP_SUBGROUP_CLUSTERED = 1 << 6, /* subgroup_clustered */
    GSAI_CAP_SUBGROUP_SIZE = 1 << 7,      /* subgroup_size: full subgroups of a known size can be asked for */
    GSAI_CAP_INTEGER_DOT = 1 << 8,        /* intdot: packed 4x8 dot product, perhaps emulated */
    GSAI_CAP_INTEGER_DOT_FAST = 1 << 9,   /* intdot_fast: the signed one is an instruction of the hardware */
    GSAI_CAP_COOPMAT = 1 << 10,           /* coopmat: VK_KHR_cooperative_matrix */
    GSAI_CAP_COOPMAT2 = 1 << 11,          /* coopmat2: VK_NV_cooperative_matrix2, all of its features */
    GSAI_CAP_BFLOAT16 = 1 << 12,          /* bfloat16: conversions, and in coopmat where a shape says so */
    GSAI_CAP_MEMORY_BUDGET = 1 << 13,     /* memory_budget */
    GSAI_CAP_TIMESTAMPS = 1 << 14,        /* timestamps on the compute queue */
    GSAI_CAP_TIMELINE = 1 << 15,          /* timeline semaphores */
    GSAI_CAP_MEMORY_MODEL = 1 << 16,      /* memory_model: Vulkan memory model */
    GSAI_CAP_DEVICE_SCOPE = 1 << 17,      /* device_scope: its synchronization between workgroups */
    GSAI_CAP_BUFFER_ADDRESS = 1 << 18,    /* buffer_address: shaders reach buffers by address */
    GSAI_CAP_ROUND16 = 1 << 19 /* round16: conversions to f16 round to nearest and keep denormals where asked */
} gsai_cap;
#define GSAI_N_CAPS   20
#define GSAI_CAPS_ALL ((1u << GSAI_N_CAPS) - 1)

typedef enum gsai_component {
    GSAI_COMP_F16,
    GSAI_COMP_F32,
    GSAI_COMP_BF16,
    GSAI_COMP_S8,
    GSAI_COMP_U8,
    GSAI_COMP_S32,
    GSAI_COMP_U32,
    GSAI_COMP_OTHER
} gsai_component;

typedef struct gsai_coopmat_shape { /* C[m,n] (+)= A[m,k] B[k,n], subgroup scope */
    uint32_t m, n, k;
    gsai_component a, b, c, r;
    bool saturating;
} gsai_coopmat_shape;

#define GSAI_MAX_COOPMAT_SHAPES 64

typedef struct gsai_caps {
    /* identity */
    char name[256], driver_name[256], driver_info[256];
    uint32_t vendor_id, device_id, driver_id, driver_version, api_version;
    uint8_t device_uuid[16], driver_uuid[16], pipeline_uuid[16];
    int device_type; /* VkPhysicalDeviceType */
    /* bits */
    uint32_t present; /* what the device and driver offer */
    uint32_t masked;  /* hidden by the user */
    /* limits, after masking */
    uint32_t max_invocations, max_group_size[3], max_group_count[3];
    uint32_t max_shared_bytes, max_push_bytes, max_storage_buffers; /* per stage */
    uint64_t max_range_bytes;                                       /* maxStorageBufferRange */
    uint64_t max_allocation_bytes;                                  /* maxMemoryAllocationSize, maxBufferSize */
    uint32_t offset_align;                                          /* minStorageBufferOffsetAlignment, at least 16 */
    uint32_t subgroup_size, subgroup_size_min, subgroup_size_max;   /* what kernels ask for, and the range */
    bool subgroup_size_settable; /* else, with the capability, there is one size only */
    bool few_registers;          /* an invocation has about 100 of 32 bits, not 200 */
    uint32_t max_subgroups;      /* of a workgroup whose subgroup size is asked for */
    uint32_t n_cores;            /* SMs / compute units / execution units where a driver tells; 0 = unknown */
    double timestamp_period_ns;
    uint32_t timestamp_bits; /* of the compute queue; counters wrap at this width */
    uint32_t n_coopmat;
    gsai_coopmat_shape coopmat[GSAI_MAX_COOPMAT_SHAPES];
    /* memory */
    uint64_t device_heap_bytes, host_heap_bytes;
    uint32_t atom_bytes; /* nonCoherentAtomSize */
    bool unified;        /* device-local memory is host-visible as a whole (CPU drivers, integrated GPUs) */
} gsai_caps;

static inline bool gsai_caps_has(const gsai_caps *c, uint32_t bits)
{
    return (c->present & ~c->masked & bits) == bits;
}

const char *gsai_cap_name(uint32_t bit); /* one bit */

/* The shape in which the device multiplies f16 and sums in f32, the likeliest to be native first; false without one, or
 * when subgroups come in sizes that cannot be chosen. */
bool gsai_caps_matrix_shape(const gsai_caps *c, gsai_coopmat_shape *out);

/* Apply a mask such as "coopmat,float16", "minimum", "range=65536,alloc=1048576,shared=16384,invocations=128":
 *   a capability's name   hides it
 *   minimum               hides all, and lowers every limit to what Vulkan 1.1 requires
 *   key=value             lowers one limit (range, alloc, shared, invocations, push, groups, buffers); never raises it
 * Words that are neither are collected in *others (a comma list, NULL when there are none; freed with a by the caller):
 * the names of kernel variants, which the ops layer knows. list may be NULL.
 * ARGUMENT (a value that is no number or too small, an empty name, a key nobody knows) and HOST_MEMORY leave *caps as
 * it was and *others NULL. */
gsa_status gsai_caps_mask(gsai_caps *caps, const char *list, const gsa_allocator *a, char **others);

/* The words a mask may hold, for error texts: "storage16, storage8, ... minimum, range=N, ...". Static. */
const char *gsai_caps_mask_words(void);

#endif
