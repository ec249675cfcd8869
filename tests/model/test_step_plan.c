/* How many calls a step of some sessions takes on a large GPU: recorded on whatever device there is, which is told that it is
 * one, compiles nothing and runs nothing. */
#include "golden_models.h"

#include "ops/ops.h"
#include "session/gpu_engine.h"
#include "support/device.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_LAYERS = 3, MOST_SESSIONS = 128 };

/* Layers of 1.3b: what a product is made of is chosen by its shape. */
static const gsai_config config = {.n_vocab = 300,
    .n_layers = N_LAYERS,
    .D = 2048,
    .H = 4,
    .G = 4,
    .K = 512,
    .V = 512,
    .M = 64,
    .F = 5632,
    .norm_eps = 1e-6f,
    .g_norm_eps = 1e-5f,
    .gate_normalizer = 8,
    .scale = 1,
    .bos_id = 1,
    .eos_id = 2};

static PFN_vkQueueSubmit submit;

static VKAPI_ATTR VkResult VKAPI_CALL submit_nothing(
    VkQueue queue, uint32_t n, const VkSubmitInfo *given, VkFence fence)
{
    VkSubmitInfo info = n ? *given : (VkSubmitInfo){VK_STRUCTURE_TYPE_SUBMIT_INFO};
    info.commandBufferCount = 0;
    return submit(queue, n ? 1 : 0, &info, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL compile_nothing(VkDevice device, VkPipelineCache cache, uint32_t n,
    const VkComputePipelineCreateInfo *info, const VkAllocationCallbacks *allocator, VkPipeline *out)
{
    (void)device, (void)cache, (void)info, (void)allocator;
    for (uint32_t i = 0; i < n; i++) out[i] = VK_NULL_HANDLE;
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL bind_nothing(VkCommandBuffer commands, VkPipelineBindPoint point, VkPipeline pipeline)
{
    (void)commands, (void)point, (void)pipeline;
}

static VKAPI_ATTR VkResult VKAPI_CALL compile_no_module(
    VkDevice device, const VkShaderModuleCreateInfo *info, const VkAllocationCallbacks *allocator, VkShaderModule *out)
{
    (void)device, (void)info, (void)allocator;
    *out = VK_NULL_HANDLE;
    return VK_SUCCESS;
}

/* As an H200 has them. */
static void pretend(gsa_device *dev)
{
    gsai_caps *c = &dev->caps;

    submit = dev->vk.vkQueueSubmit;
    dev->vk.vkQueueSubmit = submit_nothing;
    dev->vk.vkCreateComputePipelines = compile_nothing;
    dev->vk.vkCreateShaderModule = compile_no_module;
    dev->vk.vkCmdBindPipeline = bind_nothing;
    dev->profile = true; /* labels */
    dev->self_test = GSA_SELF_TEST_OFF;
    dev->spirv_max = 0x10600;
    c->present |= GSAI_CAP_STORAGE16 | GSAI_CAP_FLOAT16 | GSAI_CAP_SUBGROUP | GSAI_CAP_SUBGROUP_SIZE |
                  GSAI_CAP_COOPMAT | GSAI_CAP_MEMORY_MODEL | GSAI_CAP_DEVICE_SCOPE;
    c->device_type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    c->n_cores = 132;
    c->few_registers = false;
    c->subgroup_size = c->subgroup_size_min = c->subgroup_size_max = 32;
    c->max_subgroups = 32;
    c->max_invocations = c->max_group_size[0] = 1024;
    c->max_shared_bytes = 49152;
    c->max_push_bytes = 256;
    c->n_coopmat = 1;
    c->coopmat[0] = (gsai_coopmat_shape){16, 16, 16, GSAI_COMP_F16, GSAI_COMP_F16, GSAI_COMP_F32, GSAI_COMP_F32, false};
}

static void print_step(const gsai_plan *plan, uint32_t n)
{
    print_message("%u sessions, %u calls, %u barriers:", n, plan->n_calls, plan->n_barriers);
    for (uint32_t i = 0; i < plan->n_labels; i++) print_message(" %s |", plan->labels[i]);
    print_message("\n");
}

/* Of a layer in the middle: from a recurrence to the next one. All of its products take their input in the order of packed
 * operands, three from a norm, `down` from gates and ups. */
static void check_calls(gsai_gpu_engine *e, uint32_t n, uint32_t want)
{
    const gsai_plan_key key = {.rows = GSAI_ROWS_ONE,
        .n_rows = n,
        .n_spans = n,
        .n_chunks = n,
        .n_wanted = n,
        .wanted_class = GSAI_ROWS_MANY,
        .choose = GSAI_CHOOSE_ARGMAX,
        .repeat = 1};
    gsai_plan plan;
    uint32_t at[N_LAYERS] = {0}, n_found = 0;

    OK(gsai_gpu_record_pass(e, &key, &plan));
    for (uint32_t i = 0; i < plan.n_labels && n_found < N_LAYERS; i++)
        if (strncmp(plan.labels[i], "gsa_rows_kv", 11) == 0) at[n_found++] = i;
    uint32_t n_packed = 0;
    for (uint32_t i = at[1]; n_found == N_LAYERS && i < at[2]; i++)
        if (strcmp(plan.labels[i], "rmsnorm, packed") == 0) n_packed++;
    if (n_found != N_LAYERS || at[2] - at[1] != want || n_packed != 3) print_step(&plan, n);
    gsai_plan_destroy(e->dev, &plan);
    assert_int_equal(n_found, N_LAYERS);
    assert_int_equal(at[2] - at[1], want);
    assert_int_equal(n_packed, 3);
}

static bool was_used(const gsa_device *dev, const char *shader)
{
    for (uint32_t i = 0; i < gsai_n_variants; i++)
        if (strcmp(gsai_variants[i].shader, shader) == 0) return dev->variant_used[i];
    return false;
}

static void steps_of_sessions_take_eight_calls_a_layer(void **state)
{
    const gsai_checkpoint_options options = {.allocator = gsai_allocator_or_default(NULL)};
    gsa_device_params params = test_device_params();
    gsai_checkpoint *ck = NULL;
    gsai_engine *e = NULL;
    gsa_device *dev = NULL;

    (void)state;
    params.mask = NULL;
    OK(gsa_device_create(&params, &dev));
    pretend(dev);
    OK(gsai_variants_init(dev, NULL));
    OK(gsai_checkpoint_open_synthetic(&config, GSAI_F16, 7, &options, &ck));
    OK(gsai_engine_gpu_create(dev,
        &(gsai_engine_params){
            .checkpoint = ck, .n_slots = MOST_SESSIONS, .max_rows = 512, .prompt_weights = GSA_PROMPT_WEIGHTS_ON},
        &e));
    /* By then known questions are asked of what is used, so that must be what sessions will use. */
    assert_true(was_used(dev, "gsa_rows_kv"));
    assert_true(was_used(dev, "rmsnorm_place"));
    assert_true(was_used(dev, "matmul_packed_few_swiglu"));
    check_calls((gsai_gpu_engine *)e, 32, 8);
    check_calls((gsai_gpu_engine *)e, MOST_SESSIONS, 8);
    e->ops->destroy(e);
    gsai_checkpoint_close(ck);
    gsa_device_destroy(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_of_sessions_take_eight_calls_a_layer),
    };
    gsa_device *dev;
    const int absent = model_test_device_open(&dev);
    if (absent) return absent;
    gsa_device_destroy(dev);
    return cmocka_run_group_tests_name("step plan", tests, NULL, NULL);
}
