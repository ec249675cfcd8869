// Weight rows of the block types q8_0, q4_0, q4_k, q6_k as the device holds them, and how kernels read them. Declares
// the weights at binding 0. Columns are counted in vecs of four, storage in 16-byte vectors; row is always the 16-byte
// vector where a row begins, units the number of its units.
//
// A row is its numbers in units of 16 bytes, then planes with what else a unit needs; each plane is padded to 16 bytes.
// A unit is WEIGHT_VECS vecs of consecutive columns: 16 columns of q8_0, else 32. Its vec v is
//   q8_0  the four signed bytes of word v
//   else  the low (v < 4) or high halves of the four bytes of word v % 4
// Planes:
//   q8_0  f16 scale of each two units
//   q4_0  f16 scale of each unit
//   q4_k  16 bytes of each eight units: f16 d, f16 dmin; byte i: scale of unit i and the lower two bits of its minimum;
//         half byte i: the upper four bits of its minimum
//   q6_k  8 bytes of each unit: bits 2 (v % 4) .. + 1 of each byte of word v / 4 are the upper two bits of vec v;
//         two int8 scales of each unit: of its first and its last 16 columns;   f16 d of each eight units
//
// Rows times vectors: a lane takes a unit u, and for each span s < WEIGHT_SPANS of vecs that share a scale
//   product = weight_start(sum of the span's x), plus weight_numbers(unit, v) times x for the vecs v of the span,
//   sum = weight_end(unit, s, product, sum of the span's x, sum)
// Taking the zero point off the span's x at once instead of off each number keeps sums within a few times their size.
// Tiles and single elements: weight_four(weight_load_four(row, units, vec)), the values of four columns, in two steps so
// that loads can run ahead; weight_values(unit, v), the values of a vec of a loaded unit.
#if defined(WEIGHT_Q8_0)
#define WEIGHT_VECS 4u
#else
#define WEIGHT_VECS 8u
#endif
#if defined(WEIGHT_Q6_K)
#define WEIGHT_SPANS 2u
#else
#define WEIGHT_SPANS 1u
#endif
#if defined(WEIGHT_Q4_0)
#define WEIGHT_CENTRE 8.0
#elif defined(WEIGHT_Q6_K)
#define WEIGHT_CENTRE 32.0
#else
#define WEIGHT_CENTRE 0.0
#endif

layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
layout(std430, set = 0, binding = 0) readonly buffer WeightPairs { uvec2 weight_pairs[]; }; // the same bytes
layout(std430, set = 0, binding = 0) readonly buffer WeightWords { uint weight_words[]; };

struct WeightUnit {
    uvec4 words;
#if defined(WEIGHT_Q6_K)
    uvec2 upper;
    uint scales; // both, in the lower half
#endif
#if defined(WEIGHT_Q4_K)
    uvec4 group; // the plane's 16 bytes
    uint i;      // unit in them
#else
    float d;
#endif
};
struct WeightFour { // one vec
    uint word;
#if defined(WEIGHT_Q6_K)
    uint upper, scales;
#endif
#if defined(WEIGHT_Q4_K)
    uvec4 group;
    uint i;
#else
    float d;
#endif
    uint v;
};

uint weight_units(uint x_vecs)
{
    return x_vecs / WEIGHT_VECS;
}

// Half i of a plane of f16 or of pairs of bytes that begins at vector plane.
uint weight_half_bits(uint plane, uint i)
{
    return weight_words[plane * 4u + i / 2u] >> i % 2u * 16u;
}

float weight_half(uint plane, uint i)
{
    return unpackHalf2x16(weight_half_bits(plane, i)).x;
}

// Vectors of the q6_k planes: upper bits, scales, d.
uvec3 weight_q6_k_planes(uint row, uint units)
{
    const uint upper = row + units, scales = upper + (units + 1u) / 2u;
    return uvec3(upper, scales, scales + (units + 7u) / 8u);
}

#if defined(WEIGHT_Q4_K)
// Scale and minimum of unit i of a group, as numbers.
vec2 weight_scale_min(uvec4 group, uint i)
{
    const uint byte = (i < 4u ? group.y : group.z) >> i % 4u * 8u & 0xffu, upper = group.w >> i * 4u & 15u;
    precise const vec2 result = unpackHalf2x16(group.x) * vec2(byte & 63u, byte >> 6 | upper << 2);
    return result;
}
#endif

WeightUnit weight_unit(uint row, uint units, uint u)
{
    WeightUnit unit;
    unit.words = weights[row + u];
#if defined(WEIGHT_Q8_0)
    unit.d = weight_half(row + units, u / 2u);
#elif defined(WEIGHT_Q4_0)
    unit.d = weight_half(row + units, u);
#elif defined(WEIGHT_Q4_K)
    unit.group = weights[row + units + u / 8u];
    unit.i = u % 8u;
#else
    const uvec3 planes = weight_q6_k_planes(row, units);
    unit.upper = weight_pairs[planes.x * 2u + u];
    unit.scales = weight_half_bits(planes.y, u);
    unit.d = weight_half(planes.z, u / 8u);
#endif
    return unit;
}

// Adds nothing to a sum.
WeightUnit weight_nothing()
{
    WeightUnit unit;
    unit.words = uvec4(0u);
#if defined(WEIGHT_Q6_K)
    unit.upper = uvec2(0u);
    unit.scales = 0u;
#endif
#if defined(WEIGHT_Q4_K)
    unit.group = uvec4(0u);
    unit.i = 0u;
#else
    unit.d = 0.0;
#endif
    return unit;
}

vec4 weight_bytes(uint word)
{
    return vec4(word & 0xffu, word >> 8 & 0xffu, word >> 16 & 0xffu, word >> 24);
}

// The four numbers of vec v out of its word and, q6_k, its word of upper bits.
vec4 weight_four_numbers(uint word, uint upper, uint v)
{
#if defined(WEIGHT_Q8_0)
    const int w = int(word);
    return vec4(bitfieldExtract(w, 0, 8), bitfieldExtract(w, 8, 8), bitfieldExtract(w, 16, 8), w >> 24);
#elif defined(WEIGHT_Q6_K)
    return weight_bytes((word >> v / 4u * 4u & 0x0f0f0f0fu) | (upper >> v % 4u * 2u & 0x03030303u) << 4);
#else
    return weight_bytes(word >> v / 4u * 4u & 0x0f0f0f0fu);
#endif
}

vec4 weight_numbers(WeightUnit unit, uint v)
{
#if defined(WEIGHT_Q6_K)
    return weight_four_numbers(unit.words[v % 4u], unit.upper[v / 4u], v);
#else
    return weight_four_numbers(unit.words[v % 4u], 0u, v);
#endif
}

float weight_signed_byte(uint bits, uint i)
{
    return float(bitfieldExtract(int(bits), int(i * 8u), 8));
}

float weight_start(float x_sum)
{
#if defined(WEIGHT_Q4_0) || defined(WEIGHT_Q6_K)
    precise const float result = -WEIGHT_CENTRE * x_sum;
    return result;
#else
    return 0.0;
#endif
}

float weight_end(WeightUnit unit, uint span, float product, float x_sum, float sum)
{
#if defined(WEIGHT_Q4_K)
    const vec2 scale = weight_scale_min(unit.group, unit.i);
    precise const float result = fma(scale.x, product, fma(-scale.y, x_sum, sum));
#elif defined(WEIGHT_Q6_K)
    precise const float scale = unit.d * weight_signed_byte(unit.scales, span);
    precise const float result = fma(scale, product, sum);
#else
    precise const float result = fma(unit.d, product, sum);
#endif
    return result;
}

// Values in the steps of their definition, so that they equal any other reader's.
vec4 weight_four(WeightFour four)
{
#if defined(WEIGHT_Q4_K)
    const vec2 scale = weight_scale_min(four.group, four.i);
    precise const vec4 scaled = scale.x * weight_four_numbers(four.word, 0u, four.v), values = scaled - scale.y;
#elif defined(WEIGHT_Q6_K)
    precise const float scale = four.d * weight_signed_byte(four.scales, four.v / 4u);
    precise const vec4 values = scale * (weight_four_numbers(four.word, four.upper, four.v) - WEIGHT_CENTRE);
#else
    precise const vec4 values = four.d * (weight_four_numbers(four.word, 0u, four.v) - WEIGHT_CENTRE);
#endif
    return values;
}

vec4 weight_values(WeightUnit unit, uint v)
{
    WeightFour four;
    four.word = unit.words[v % 4u];
#if defined(WEIGHT_Q6_K)
    four.upper = unit.upper[v / 4u];
    four.scales = unit.scales;
#endif
#if defined(WEIGHT_Q4_K)
    four.group = unit.group;
    four.i = unit.i;
#else
    four.d = unit.d;
#endif
    four.v = v;
    return weight_four(four);
}

WeightFour weight_load_four(uint row, uint units, uint vec)
{
    const uint u = vec / WEIGHT_VECS;
    WeightFour four;
    four.v = vec % WEIGHT_VECS;
    four.word = weight_words[(row + u) * 4u + four.v % 4u];
#if defined(WEIGHT_Q8_0)
    four.d = weight_half(row + units, u / 2u);
#elif defined(WEIGHT_Q4_0)
    four.d = weight_half(row + units, u);
#elif defined(WEIGHT_Q4_K)
    four.group = weights[row + units + u / 8u];
    four.i = u % 8u;
#else
    const uvec3 planes = weight_q6_k_planes(row, units);
    four.upper = weight_words[(planes.x * 2u + u) * 2u + four.v / 4u];
    four.scales = weight_half_bits(planes.y, u);
    four.d = weight_half(planes.z, u / 8u);
#endif
    return four;
}
