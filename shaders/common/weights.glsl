// Weight storage as words. The build defines one of WEIGHT_F32, WEIGHT_F16, WEIGHT_BF16, or of the block types
// WEIGHT_Q8_0, WEIGHT_Q4_0, WEIGHT_Q4_K, WEIGHT_Q6_K (weight_blocks.glsl). Needs no 8-bit or 16-bit storage feature.
// A plain row is its elements, zero-padded to 16 bytes; 16 bytes hold WEIGHT_VECS vectors of four values.
#if defined(WEIGHT_Q8_0) || defined(WEIGHT_Q4_0) || defined(WEIGHT_Q4_K) || defined(WEIGHT_Q6_K)
#define WEIGHT_BLOCKS
#include "weight_blocks.glsl"
#else

#if defined(WEIGHT_F32)
#define WEIGHT_VECS 1u
#define WEIGHT_PER_WORD 1u
#else
#define WEIGHT_VECS 2u
#define WEIGHT_PER_WORD 2u
#endif

#if !defined(WEIGHT_F32)
vec2 weight_pair(uint word)
{
#if defined(WEIGHT_F16)
    return unpackHalf2x16(word);
#else
    return vec2(uintBitsToFloat(word << 16), uintBitsToFloat(word & 0xffff0000u));
#endif
}
#endif

// Values 4 i .. 4 i + 3 of a 16-byte vector; i < WEIGHT_VECS.
vec4 weight_vec4(uvec4 words, uint i)
{
#if defined(WEIGHT_F32)
    return uintBitsToFloat(words);
#else
    const uvec2 pair = i == 0u ? words.xy : words.zw;
    return vec4(weight_pair(pair.x), weight_pair(pair.y));
#endif
}
#endif
