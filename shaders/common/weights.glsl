// A weight matrix in storage: what a row is made of, and how kernels read it. The build defines one of WEIGHT_F32,
// WEIGHT_F16, WEIGHT_BF16, WEIGHT_Q8_0, WEIGHT_Q4_0, WEIGHT_Q4_K, WEIGHT_Q6_K; weights lie at binding 0. Needs neither
// 8-bit nor 16-bit storage or arithmetic. Columns are counted in vectors of four ("vecs"), rows and storage in 16-byte
// vectors; row is always the 16-byte vector where a row begins.
//
// Plain types: a row is its elements, padded with zeros to 16 bytes.
//
// Block types (WEIGHT_BLOCKS): a row is a sequence of groups of 32 * WEIGHT_VECS columns, padded with zeros to whole
// groups. A group's numbers are 8 units of 16 bytes; unit i holds, for each of the group's WEIGHT_VECS runs of 32
// columns, the four columns 4 i .. 4 i + 3. So lanes that take neighbouring units meet neighbouring columns at every
// step, and a step of all 8 units is one run of 32 columns: one block of q8_0 and q4_0, one sub-block of q4_k, two of q6_k.
//   numbers  run v of a unit: q8_0  word v, one byte a column
//                             else  half v % 2 (0: low) of each byte of word v / 2, one byte a column
//   then the planes of the row, each in the order of groups or units, the last padded to 16 bytes:
//     q8_0  scales: f16 of each block (4 a group)
//     q4_0  scales: f16 of each block (8 a group)
//     q4_k  per group 16 bytes as in the file: f16 d, f16 dmin, 12 bytes of 6-bit scales and minima
//     q6_k  per unit 8 bytes: bits 2 (v % 4) .. + 1 of each byte of word v / 4 are the upper bits of run v;
//           per group 16 int8 scales: of columns 0 .. 15 of the 8 runs, then of columns 16 .. 31;   per group f16 d
//
// Rows times vectors: lanes take units.
//   weight_units(x_vecs)        units of a row
//   weight_unit(row, units, u)  load unit u; weight_nothing() is one that adds nothing
//   weight_at(u, v)             the vec of columns that vec v < WEIGHT_VECS of the unit is
//   plain types                 weight_vec4(unit, v): the values
//   block types                 weight_numbers(unit, v), the integers as floats, still to be centred and scaled;
//                               weight_add(unit, v, numbers, x, sum of x's four, part) adds their product with x to a
//                               part of this unit; weight_end(unit, part, sum) scales the unit's part and adds it
//                               weight_values(unit, v): the values
// Tiles and single elements:
//   weight_load_four(row, units, vec), weight_four(loaded)  four columns, in two steps so that loads can run ahead
#if defined(WEIGHT_F32)
#define WEIGHT_VECS 1u
#elif defined(WEIGHT_F16) || defined(WEIGHT_BF16)
#define WEIGHT_VECS 2u
#elif defined(WEIGHT_Q8_0)
#define WEIGHT_BLOCKS
#define WEIGHT_VECS 4u
#else
#define WEIGHT_BLOCKS
#define WEIGHT_VECS 8u
#endif

layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
layout(std430, set = 0, binding = 0) readonly buffer WeightPairs { uvec2 weight_pairs[]; }; // the same bytes
layout(std430, set = 0, binding = 0) readonly buffer WeightWords { uint weight_words[]; };

#if !defined(WEIGHT_BLOCKS)

struct WeightUnit { uvec4 words; };
#if defined(WEIGHT_F32)
struct WeightFour { uvec4 words; };
#else
struct WeightFour { uvec2 words; };
#endif

uint weight_units(uint x_vecs)
{
    return (x_vecs + WEIGHT_VECS - 1u) / WEIGHT_VECS;
}

uint weight_at(uint u, uint v)
{
    return u * WEIGHT_VECS + v;
}

WeightUnit weight_nothing()
{
    return WeightUnit(uvec4(0u));
}

WeightUnit weight_unit(uint row, uint units, uint u)
{
    return WeightUnit(weights[row + u]);
}

#if defined(WEIGHT_F32)
vec4 weight_vec4(WeightUnit unit, uint v)
{
    return uintBitsToFloat(unit.words);
}

WeightFour weight_load_four(uint row, uint units, uint vec)
{
    return WeightFour(weights[row + vec]);
}

vec4 weight_four(WeightFour four)
{
    return uintBitsToFloat(four.words);
}
#else
vec2 weight_pair(uint word)
{
#if defined(WEIGHT_F16)
    return unpackHalf2x16(word);
#else
    return vec2(uintBitsToFloat(word << 16), uintBitsToFloat(word & 0xffff0000u));
#endif
}

vec4 weight_vec4(WeightUnit unit, uint v)
{
    const uvec2 pair = v == 0u ? unit.words.xy : unit.words.zw;
    return vec4(weight_pair(pair.x), weight_pair(pair.y));
}

WeightFour weight_load_four(uint row, uint units, uint vec)
{
    return WeightFour(weight_pairs[row * 2u + vec]);
}

vec4 weight_four(WeightFour four)
{
    return vec4(weight_pair(four.words.x), weight_pair(four.words.y));
}
#endif

#else // WEIGHT_BLOCKS
#include "weight_blocks.glsl"
#endif
