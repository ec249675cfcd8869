// How the memories hk and hv lie in a session's slot: as f32, or with HALF_STATE as f16. Arithmetic is f32 either way: what
// is loaded becomes float, and where a chunk ends state_of() makes of it what is kept. Those places follow from the chunk
// grid alone, and a kernel that carries a state to the next chunk in registers carries state_kept(h): the same bits as if
// it had gone through memory.
#ifdef HALF_STATE
#extension GL_EXT_shader_16bit_storage : require
#define STATE float16_t
#define STATE4 f16vec4

#ifdef ROUND16
// The device promises to round conversions to nearest and to keep denormals: capability round16.
#extension GL_EXT_spirv_intrinsics : require
spirv_execution_mode(extensions = ["SPV_KHR_float_controls"], capabilities = [4467], 4462, 16); // RoundingModeRTE
spirv_execution_mode(extensions = ["SPV_KHR_float_controls"], capabilities = [4464], 4459, 16); // DenormPreserve
STATE4 state_of(vec4 h)
{
    return STATE4(clamp(h, vec4(-65504.0), vec4(65504.0)));
}
#else
// The nearest f16, ties to even, within what f16 holds. Rounded by hand, because a device's conversion may truncate: of the
// rounded value it is exact. Below 2^-14 f16 has the multiples of 2^-24; adding and taking away a number that has just these
// would do too, but compilers see through it, precise or not.
float state_kept(float h)
{
    const uint bits = floatBitsToUint(clamp(h, -65504.0, 65504.0));
    const float small = roundEven(abs(h) * 16777216.0) * 5.9604644775390625e-8;
    if (abs(h) < 6.103515625e-5) return uintBitsToFloat(floatBitsToUint(small) | (floatBitsToUint(h) & 0x80000000u));
    return uintBitsToFloat((bits + 0xfffu + (bits >> 13u & 1u)) & ~0x1fffu);
}
STATE state_of(float h)
{
    return STATE(state_kept(h));
}
STATE4 state_of(vec4 h)
{
    return STATE4(vec4(state_kept(h.x), state_kept(h.y), state_kept(h.z), state_kept(h.w)));
}
#endif
#else
#define STATE float
#define STATE4 vec4
#define state_kept(h) (h)
#define state_of(h) (h)
#endif
