#include "vk/caps_read.h"

#include <stdio.h>
#include <string.h>

#include "vk/loader.h"

/* A feature struct: which bits want it (0 = always), since which version it is core, else which extension brings it. */
typedef struct feature_struct {
    uint32_t caps;
    uint32_t core_since; /* 0 = never */
    const char *extension;
    size_t offset;
    VkStructureType type;
} feature_struct;

#define AT(member) offsetof(gsai_features, member)
static const feature_struct structs[] = {
    {GSAI_CAP_STORAGE16, VK_API_VERSION_1_1, NULL, AT(storage16),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES},
    {GSAI_CAP_STORAGE8, VK_API_VERSION_1_2, "VK_KHR_8bit_storage", AT(storage8),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES},
    {GSAI_CAP_FLOAT16 | GSAI_CAP_INT8, VK_API_VERSION_1_2, "VK_KHR_shader_float16_int8", AT(float16_int8),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES},
    {GSAI_CAP_SUBGROUP_SIZE, VK_API_VERSION_1_3, "VK_EXT_subgroup_size_control", AT(subgroup_size),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES},
    {GSAI_CAP_INTEGER_DOT, VK_API_VERSION_1_3, "VK_KHR_shader_integer_dot_product", AT(integer_dot),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES},
    {GSAI_CAP_TIMELINE, VK_API_VERSION_1_2, "VK_KHR_timeline_semaphore", AT(timeline),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES},
    {GSAI_CAP_MEMORY_MODEL, VK_API_VERSION_1_2, "VK_KHR_vulkan_memory_model", AT(memory_model),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES},
    {GSAI_CAP_BUFFER_ADDRESS, VK_API_VERSION_1_2, "VK_KHR_buffer_device_address", AT(address),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES},
    {0, VK_API_VERSION_1_3, "VK_KHR_maintenance4", AT(maintenance4),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES},
#ifdef VK_KHR_cooperative_matrix
    {GSAI_CAP_COOPMAT, 0, "VK_KHR_cooperative_matrix", AT(coopmat),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR},
#endif
#ifdef VK_NV_cooperative_matrix2
    {GSAI_CAP_COOPMAT2, 0, "VK_NV_cooperative_matrix2", AT(coopmat2),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV},
#endif
#ifdef VK_KHR_shader_bfloat16
    {GSAI_CAP_BFLOAT16, 0, "VK_KHR_shader_bfloat16", AT(bfloat16),
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR},
#endif
};
#define N_STRUCTS (sizeof structs / sizeof structs[0])

/* A device may be newer than the version the instance asked for; only what was asked for is core. */
static uint32_t core_version(uint32_t device_version)
{
    return device_version < VK_API_VERSION_1_3 ? device_version : VK_API_VERSION_1_3;
}

static VkBaseOutStructure *struct_at(gsai_features *f, const feature_struct *s)
{
    return (VkBaseOutStructure *)(void *)((char *)f + s->offset);
}

static bool is_core(const feature_struct *s, uint32_t version)
{
    return s->core_since && core_version(version) >= s->core_since;
}

static void link_struct(gsai_features *f, const feature_struct *s)
{
    VkBaseOutStructure *b = struct_at(f, s);
    b->sType = s->type;
    b->pNext = f->base.pNext;
    f->base.pNext = b;
}

/* Ask for every feature this build knows and the device may be asked about. */
static void query(
    gsa_device *dev, VkPhysicalDevice physical, uint32_t version, const gsai_extensions *ext, gsai_features *f)
{
    memset(f, 0, sizeof *f);
    f->base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    for (size_t i = 0; i < N_STRUCTS; i++) {
        if (is_core(&structs[i], version) || (structs[i].extension && gsai_extensions_have(ext, structs[i].extension)))
            link_struct(f, &structs[i]);
    }
    dev->vki.vkGetPhysicalDeviceFeatures2(physical, &f->base);
}

static uint32_t bits_of_features(const gsai_features *f)
{
    uint32_t bits = 0;
    if (f->storage16.storageBuffer16BitAccess) bits |= GSAI_CAP_STORAGE16;
    if (f->storage8.storageBuffer8BitAccess) bits |= GSAI_CAP_STORAGE8;
    if (f->float16_int8.shaderFloat16) bits |= GSAI_CAP_FLOAT16;
    if (f->float16_int8.shaderInt8) bits |= GSAI_CAP_INT8;
    if (f->base.features.shaderInt16) bits |= GSAI_CAP_INT16;
    if (f->subgroup_size.subgroupSizeControl) bits |= GSAI_CAP_SUBGROUP_SIZE;
    if (f->integer_dot.shaderIntegerDotProduct) bits |= GSAI_CAP_INTEGER_DOT;
    if (f->timeline.timelineSemaphore) bits |= GSAI_CAP_TIMELINE;
    if (f->memory_model.vulkanMemoryModel) bits |= GSAI_CAP_MEMORY_MODEL;
    if (f->memory_model.vulkanMemoryModel && f->memory_model.vulkanMemoryModelDeviceScope)
        bits |= GSAI_CAP_DEVICE_SCOPE;
    if (f->address.bufferDeviceAddress) bits |= GSAI_CAP_BUFFER_ADDRESS;
#ifdef VK_KHR_cooperative_matrix
    if (f->coopmat.cooperativeMatrix) bits |= GSAI_CAP_COOPMAT;
#endif
#ifdef VK_NV_cooperative_matrix2
    const VkPhysicalDeviceCooperativeMatrix2FeaturesNV *c = &f->coopmat2;
    if (c->cooperativeMatrixWorkgroupScope && c->cooperativeMatrixFlexibleDimensions &&
        c->cooperativeMatrixReductions && c->cooperativeMatrixConversions && c->cooperativeMatrixPerElementOperations &&
        c->cooperativeMatrixTensorAddressing && c->cooperativeMatrixBlockLoads)
        bits |= GSAI_CAP_COOPMAT2;
#endif
#ifdef VK_KHR_shader_bfloat16
    if (f->bfloat16.shaderBFloat16Type) bits |= GSAI_CAP_BFLOAT16;
#endif
    return bits;
}

void gsai_features_chain(
    gsa_device *dev, VkPhysicalDevice physical, const gsai_extensions *ext, const gsai_caps *caps, gsai_features *f)
{
    const uint32_t wanted = caps->present & ~caps->masked;
    query(dev, physical, caps->api_version, ext, f);
    const VkBool32 int16 = (wanted & GSAI_CAP_INT16) != 0;
    memset(&f->base.features, 0, sizeof f->base.features);
    f->base.features.shaderInt16 = int16;
    f->base.pNext = NULL;

    f->storage16.storagePushConstant16 = f->storage16.storageInputOutput16 = VK_FALSE;
    f->storage8.storagePushConstant8 = VK_FALSE;
    f->memory_model.vulkanMemoryModelAvailabilityVisibilityChains = VK_FALSE;
    if (!(wanted & GSAI_CAP_DEVICE_SCOPE)) f->memory_model.vulkanMemoryModelDeviceScope = VK_FALSE;
    f->address.bufferDeviceAddressCaptureReplay = f->address.bufferDeviceAddressMultiDevice = VK_FALSE;
    if (!(wanted & GSAI_CAP_FLOAT16)) f->float16_int8.shaderFloat16 = VK_FALSE;
    if (!(wanted & GSAI_CAP_INT8)) f->float16_int8.shaderInt8 = VK_FALSE;
#ifdef VK_KHR_cooperative_matrix
    f->coopmat.cooperativeMatrixRobustBufferAccess = VK_FALSE;
#endif
    for (size_t i = 0; i < N_STRUCTS; i++) {
        const feature_struct *s = &structs[i];
        const bool has_extension = s->extension && gsai_extensions_have(ext, s->extension);
        const bool core = is_core(s, caps->api_version);
        if ((s->caps && !(wanted & s->caps)) || (!core && !has_extension)) continue;
        link_struct(f, s);
        if (!core) f->extensions[f->n_extensions++] = s->extension;
    }
    if (wanted & GSAI_CAP_MEMORY_BUDGET) f->extensions[f->n_extensions++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    /* The specification demands this one of whoever opens such a device. */
    if (gsai_extensions_have(ext, "VK_KHR_portability_subset"))
        f->extensions[f->n_extensions++] = "VK_KHR_portability_subset";
}

/* --- properties --- */

typedef struct properties {
    VkPhysicalDeviceProperties2 base;
    VkPhysicalDeviceIDProperties id;
    VkPhysicalDeviceSubgroupProperties subgroup;
    VkPhysicalDeviceMaintenance3Properties maintenance3;
    VkPhysicalDeviceDriverProperties driver;
    VkPhysicalDeviceMaintenance4Properties maintenance4;
    VkPhysicalDeviceSubgroupSizeControlProperties subgroup_size;
    VkPhysicalDeviceShaderIntegerDotProductProperties integer_dot;
    VkPhysicalDeviceFloatControlsProperties float_controls;
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixPropertiesKHR coopmat;
#endif
#ifdef VK_NV_shader_sm_builtins
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nv_cores;
#endif
#ifdef VK_AMD_shader_core_properties
    VkPhysicalDeviceShaderCorePropertiesAMD amd_cores;
#endif
#ifdef VK_AMD_shader_core_properties2
    VkPhysicalDeviceShaderCoreProperties2AMD amd_cores2;
#endif
#ifdef VK_ARM_shader_core_builtins
    VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM arm_cores;
#endif
} properties;

static void read_properties(gsa_device *dev, VkPhysicalDevice physical, const gsai_extensions *ext, properties *p)
{
    VkPhysicalDeviceProperties basic;
    dev->vki.vkGetPhysicalDeviceProperties(physical, &basic);
    const uint32_t core = core_version(basic.apiVersion);
    memset(p, 0, sizeof *p);
    p->base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
#define LINK(member, type, condition)                                                                                  \
    if (condition) {                                                                                                   \
        p->member.sType = type;                                                                                        \
        p->member.pNext = p->base.pNext;                                                                               \
        p->base.pNext = &p->member;                                                                                    \
    }
#define HAS(name) gsai_extensions_have(ext, name)
    LINK(id, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, true)
    LINK(subgroup, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, true)
    LINK(maintenance3, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, true)
    LINK(driver, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
        core >= VK_API_VERSION_1_2 || HAS("VK_KHR_driver_properties"))
    LINK(maintenance4, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
        core >= VK_API_VERSION_1_3 || HAS("VK_KHR_maintenance4"))
    LINK(subgroup_size, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES,
        core >= VK_API_VERSION_1_3 || HAS("VK_EXT_subgroup_size_control"))
    LINK(integer_dot, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES,
        core >= VK_API_VERSION_1_3 || HAS("VK_KHR_shader_integer_dot_product"))
    LINK(float_controls, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FLOAT_CONTROLS_PROPERTIES, core >= VK_API_VERSION_1_2)
#ifdef VK_KHR_cooperative_matrix
    LINK(coopmat, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR, HAS("VK_KHR_cooperative_matrix"))
#endif
#ifdef VK_NV_shader_sm_builtins
    LINK(nv_cores, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV, HAS("VK_NV_shader_sm_builtins"))
#endif
#ifdef VK_AMD_shader_core_properties
    LINK(amd_cores, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD, HAS("VK_AMD_shader_core_properties"))
#endif
#ifdef VK_AMD_shader_core_properties2
    LINK(amd_cores2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD,
        HAS("VK_AMD_shader_core_properties2"))
#endif
#ifdef VK_ARM_shader_core_builtins
    LINK(arm_cores, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_PROPERTIES_ARM,
        HAS("VK_ARM_shader_core_builtins"))
#endif
#undef HAS
#undef LINK
    dev->vki.vkGetPhysicalDeviceProperties2(physical, &p->base);
}

static uint32_t count_cores(const properties *p)
{
    uint32_t n = 0;
#ifdef VK_AMD_shader_core_properties
    n = p->amd_cores.shaderEngineCount * p->amd_cores.shaderArraysPerEngineCount *
        p->amd_cores.computeUnitsPerShaderArray;
#endif
#ifdef VK_AMD_shader_core_properties2
    if (p->amd_cores2.activeComputeUnitCount) n = p->amd_cores2.activeComputeUnitCount;
#endif
#ifdef VK_NV_shader_sm_builtins
    if (p->nv_cores.shaderSMCount) n = p->nv_cores.shaderSMCount;
#endif
#ifdef VK_ARM_shader_core_builtins
    if (p->arm_cores.shaderCoreCount) n = p->arm_cores.shaderCoreCount;
#endif
    return n;
}

/* Where sizes go below 32 (Intel) or up to 128 (Adreno), a subgroup has so many registers whatever its size: fewer lanes
 * have more of them each, so kernels ask for the smallest, and even then are given less to hold. */
static void prefer_subgroup_size(gsai_caps *caps)
{
    const bool shares = caps->subgroup_size_min <= 16 || caps->subgroup_size_max >= 128;
    if (caps->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU || !caps->subgroup_size_settable || !shares) return;
    caps->subgroup_size = caps->subgroup_size_min;
    caps->few_registers = true;
}

static uint32_t bits_of_subgroups(const VkPhysicalDeviceSubgroupProperties *s)
{
    const VkSubgroupFeatureFlags needed = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT |
                                          VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT |
                                          VK_SUBGROUP_FEATURE_SHUFFLE_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT;
    if (!(s->supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) || (s->supportedOperations & needed) != needed) return 0;
    const bool clustered = (s->supportedOperations & VK_SUBGROUP_FEATURE_CLUSTERED_BIT) != 0;
    return GSAI_CAP_SUBGROUP | (clustered ? GSAI_CAP_SUBGROUP_CLUSTERED : 0);
}

#ifdef VK_KHR_cooperative_matrix
static gsai_component component_of(VkComponentTypeKHR type)
{
    switch ((int)type) {
    case VK_COMPONENT_TYPE_FLOAT16_KHR:
        return GSAI_COMP_F16;
    case VK_COMPONENT_TYPE_FLOAT32_KHR:
        return GSAI_COMP_F32;
    case VK_COMPONENT_TYPE_SINT8_KHR:
        return GSAI_COMP_S8;
    case VK_COMPONENT_TYPE_UINT8_KHR:
        return GSAI_COMP_U8;
    case VK_COMPONENT_TYPE_SINT32_KHR:
        return GSAI_COMP_S32;
    case VK_COMPONENT_TYPE_UINT32_KHR:
        return GSAI_COMP_U32;
    case 1000141000:
        return GSAI_COMP_BF16; /* VK_COMPONENT_TYPE_BFLOAT16_KHR, which older headers do not name */
    default:
        return GSAI_COMP_OTHER;
    }
}

/* One call with room for plenty, not the usual two: a driver is known that crashes on the second. */
static void read_coopmat(gsa_device *dev, VkPhysicalDevice physical, gsai_caps *caps)
{
    const PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)gsai_loader_proc(
            dev->instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    VkCooperativeMatrixPropertiesKHR list[GSAI_MAX_COOPMAT_SHAPES];
    memset(list, 0, sizeof list);
    uint32_t n = GSAI_MAX_COOPMAT_SHAPES;
    for (uint32_t i = 0; i < n; i++) list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    const VkResult result = get ? get(physical, &n, list) : VK_ERROR_EXTENSION_NOT_PRESENT;
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const VkCooperativeMatrixPropertiesKHR *s = &list[i];
        if (s->scope != VK_SCOPE_SUBGROUP_KHR) continue;
        caps->coopmat[caps->n_coopmat++] =
            (gsai_coopmat_shape){s->MSize, s->NSize, s->KSize, component_of(s->AType), component_of(s->BType),
                component_of(s->CType), component_of(s->ResultType), s->saturatingAccumulation != VK_FALSE};
    }
}
#endif

static void read_memory(gsa_device *dev, VkPhysicalDevice physical, gsai_caps *caps)
{
    VkPhysicalDeviceMemoryProperties m;
    dev->vki.vkGetPhysicalDeviceMemoryProperties(physical, &m);
    uint32_t largest = UINT32_MAX;
    for (uint32_t i = 0; i < m.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &m.memoryHeaps[i];
        if (!(heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)) {
            if (heap->size > caps->host_heap_bytes) caps->host_heap_bytes = heap->size;
        } else if (heap->size > caps->device_heap_bytes) {
            caps->device_heap_bytes = heap->size;
            largest = i;
        }
    }
    if (!caps->host_heap_bytes) caps->host_heap_bytes = caps->device_heap_bytes;
    const VkMemoryPropertyFlags both = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    const bool shares =
        caps->device_type == VK_PHYSICAL_DEVICE_TYPE_CPU || caps->device_type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
    for (uint32_t i = 0; i < m.memoryTypeCount; i++) {
        const VkMemoryType *type = &m.memoryTypes[i];
        if (shares && type->heapIndex == largest && (type->propertyFlags & both) == both) caps->unified = true;
    }
}

/* Capabilities that a driver reports and that do not work. */
static void apply_quirks(gsai_caps *caps)
{
    /* Crashes on kernels whose workgroups wait for each other. */
    if (caps->driver_id == VK_DRIVER_ID_GOOGLE_SWIFTSHADER) caps->present &= ~(uint32_t)GSAI_CAP_DEVICE_SCOPE;
    if (caps->driver_id == VK_DRIVER_ID_MESA_LLVMPIPE) {
        caps->present &= ~(uint32_t)GSAI_CAP_COOPMAT2; /* listed, but its shaders are refused */
        /* Compiled for vectors of 8 only; at 16 the driver crashes, at 4 the list of shapes is a leftover. */
        if (caps->subgroup_size != 8) caps->present &= ~(uint32_t)GSAI_CAP_COOPMAT;
        /* Kernels whose workgroups wait for each other give wrong results on 22.3, right ones on 26.1. */
        if (caps->driver_version < VK_MAKE_VERSION(26, 0, 0)) caps->present &= ~(uint32_t)GSAI_CAP_DEVICE_SCOPE;
    }
}

gsa_status gsai_caps_read(gsa_device *dev, VkPhysicalDevice physical, const gsai_extensions *ext, gsai_caps *caps)
{
    memset(caps, 0, sizeof *caps);
    properties p;
    read_properties(dev, physical, ext, &p);
    const VkPhysicalDeviceProperties *base = &p.base.properties;
    const VkPhysicalDeviceLimits *limits = &base->limits;
    snprintf(caps->name, sizeof caps->name, "%s", base->deviceName);
    snprintf(caps->driver_name, sizeof caps->driver_name, "%s", p.driver.driverName);
    snprintf(caps->driver_info, sizeof caps->driver_info, "%s", p.driver.driverInfo);
    caps->vendor_id = base->vendorID;
    caps->device_id = base->deviceID;
    caps->driver_id = (uint32_t)p.driver.driverID;
    caps->driver_version = base->driverVersion;
    caps->api_version = base->apiVersion;
    caps->device_type = (int)base->deviceType;
    memcpy(caps->device_uuid, p.id.deviceUUID, sizeof caps->device_uuid);
    memcpy(caps->driver_uuid, p.id.driverUUID, sizeof caps->driver_uuid);
    memcpy(caps->pipeline_uuid, base->pipelineCacheUUID, sizeof caps->pipeline_uuid);

    caps->max_invocations = limits->maxComputeWorkGroupInvocations;
    memcpy(caps->max_group_size, limits->maxComputeWorkGroupSize, sizeof caps->max_group_size);
    memcpy(caps->max_group_count, limits->maxComputeWorkGroupCount, sizeof caps->max_group_count);
    caps->max_shared_bytes = limits->maxComputeSharedMemorySize;
    caps->max_push_bytes = limits->maxPushConstantsSize;
    caps->max_storage_buffers = limits->maxPerStageDescriptorStorageBuffers < limits->maxDescriptorSetStorageBuffers
                                    ? limits->maxPerStageDescriptorStorageBuffers
                                    : limits->maxDescriptorSetStorageBuffers;
    caps->max_range_bytes = limits->maxStorageBufferRange;
    caps->max_allocation_bytes = p.maintenance3.maxMemoryAllocationSize;
    if (p.maintenance4.maxBufferSize && p.maintenance4.maxBufferSize < caps->max_allocation_bytes)
        caps->max_allocation_bytes = p.maintenance4.maxBufferSize;
    caps->offset_align =
        limits->minStorageBufferOffsetAlignment < 16 ? 16 : (uint32_t)limits->minStorageBufferOffsetAlignment;
    caps->atom_bytes = limits->nonCoherentAtomSize ? (uint32_t)limits->nonCoherentAtomSize : 1;
    caps->subgroup_size = caps->subgroup_size_min = caps->subgroup_size_max = p.subgroup.subgroupSize;
    caps->max_subgroups = UINT32_MAX;
    if (p.subgroup_size.minSubgroupSize) {
        caps->max_subgroups = p.subgroup_size.maxComputeWorkgroupSubgroups;
        caps->subgroup_size_min = p.subgroup_size.minSubgroupSize;
        caps->subgroup_size_max = p.subgroup_size.maxSubgroupSize;
    }
    caps->n_cores = count_cores(&p);
    caps->timestamp_period_ns = (double)limits->timestampPeriod;
    gsai_instance_queue_family(dev, physical, &caps->timestamp_bits);
    read_memory(dev, physical, caps);

    gsai_features f;
    query(dev, physical, caps->api_version, ext, &f);
    caps->present = bits_of_features(&f) | bits_of_subgroups(&p.subgroup);
    caps->subgroup_size_settable = (p.subgroup_size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    prefer_subgroup_size(caps);
    const bool is_fixed = caps->subgroup_size_min == caps->subgroup_size_max && f.subgroup_size.computeFullSubgroups;
    if (!caps->subgroup_size_settable && !is_fixed) caps->present &= ~(uint32_t)GSAI_CAP_SUBGROUP_SIZE;
    if ((caps->present & GSAI_CAP_INTEGER_DOT) && p.integer_dot.integerDotProduct4x8BitPackedSignedAccelerated)
        caps->present |= GSAI_CAP_INTEGER_DOT_FAST;
    const VkPhysicalDeviceFloatControlsProperties *controls = &p.float_controls;
    if (controls->shaderRoundingModeRTEFloat16 && controls->shaderDenormPreserveFloat16 &&
        controls->roundingModeIndependence != VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE &&
        controls->denormBehaviorIndependence != VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE)
        caps->present |= GSAI_CAP_ROUND16;
    if (gsai_extensions_have(ext, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME)) caps->present |= GSAI_CAP_MEMORY_BUDGET;
    if (caps->timestamp_bits && caps->timestamp_period_ns > 0) caps->present |= GSAI_CAP_TIMESTAMPS;
    apply_quirks(caps);
#ifdef VK_KHR_cooperative_matrix
    /* Shapes are listed even where the feature is off; the feature bit alone decides. */
    if (!(p.coopmat.cooperativeMatrixSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT))
        caps->present &= ~(uint32_t)GSAI_CAP_COOPMAT;
    if (caps->present & GSAI_CAP_COOPMAT) read_coopmat(dev, physical, caps);
#endif
    if (!caps->n_coopmat || !(caps->present & GSAI_CAP_MEMORY_MODEL)) caps->present &= ~(uint32_t)GSAI_CAP_COOPMAT;
    if (!(caps->present & GSAI_CAP_COOPMAT)) {
        caps->present &= ~(uint32_t)GSAI_CAP_COOPMAT2;
        caps->n_coopmat = 0;
    }
    return GSA_OK;
}
