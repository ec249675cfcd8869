// How the memories hk and hv lie in a session's slot: as f32, or with HALF_STATE as f16. Arithmetic is f32 either way: what
// is loaded becomes float, and where a chunk ends state_of() makes of it what is kept. Those places follow from the chunk
// grid alone, and a kernel that carries a state to the next chunk in registers carries float(state_of(h)): the same bits as
// if it had gone through memory.
#ifdef HALF_STATE
#extension GL_EXT_shader_16bit_storage : require
#define STATE float16_t
#define STATE4 f16vec4

// The nearest f16, ties to even, within what f16 holds. Rounded by hand, because a device's conversion may truncate; of the
// rounded value it is exact, but for values below 2^-14, which it rounds its own way.
STATE state_of(float h)
{
    const uint bits = floatBitsToUint(clamp(h, -65504.0, 65504.0));
    return STATE(uintBitsToFloat((bits + 0xfffu + (bits >> 13u & 1u)) & ~0x1fffu));
}
STATE4 state_of(vec4 h)
{
    const uvec4 bits = floatBitsToUint(clamp(h, -65504.0, 65504.0));
    return STATE4(uintBitsToFloat((bits + 0xfffu + (bits >> 13u & 1u)) & ~0x1fffu));
}
#else
#define STATE float
#define STATE4 vec4
#define state_of(h) (h)
#endif
