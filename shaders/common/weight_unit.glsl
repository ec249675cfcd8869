// Units of 16 bytes of any weight type, as lanes share out a row: of the block types those of weight_blocks.glsl, else
// WEIGHT_VECS vectors of four columns each. A lane's sums of a row are SUM, of one row and one x.
#include "weights.glsl"

#if defined(WEIGHT_BLOCKS)
#define SUM float
#else
#define SUM vec4
#if !defined(WEIGHT_AT)
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
#define WEIGHT_AT(I) weights[I]
#endif

struct WeightUnit {
    uvec4 words;
};

uint weight_units(uint x_vecs)
{
    return (x_vecs + WEIGHT_VECS - 1u) / WEIGHT_VECS;
}

WeightUnit weight_unit(uint row, uint units, uint u)
{
    return WeightUnit(WEIGHT_AT(row + u));
}

WeightUnit weight_nothing()
{
    return WeightUnit(uvec4(0u));
}
#endif

float sum_of(float sum)
{
    return sum;
}

float sum_of(vec4 sum)
{
    precise const float result = (sum.x + sum.y) + (sum.z + sum.w);
    return result;
}
