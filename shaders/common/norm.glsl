// What a row's RMS norm is made of, the same in every kernel of it: which one serves changes no bit. Squares are summed in
// the order of reduce.glsl. Include after act.glsl and a push with width, eps and flags.
#if !defined(NORM_FLAGS)
#define NORM_FLAGS push.flags
#endif

vec4 norm_input(vec4 a)
{
    return (NORM_FLAGS & GSA_NORM_SILU) != 0u ? vec4(silu(a.x), silu(a.y), silu(a.z), silu(a.w)) : a;
}

float norm_scale(float squares)
{
    return 1.0 / sqrt(squares / float(push.width) + push.eps);
}

// Bounded to what f16 holds.
uvec2 norm_half(vec4 b)
{
    b = clamp(b, vec4(-65504.0), vec4(65504.0));
    return uvec2(packHalf2x16(b.xy), packHalf2x16(b.zw));
}
