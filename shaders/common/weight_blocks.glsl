// Weight rows of the block types q8_0, q4_0, q4_k, q6_k as the device holds them, and how kernels read them. Declares
// the weights at binding 0, unless the including shader has said where they lie (WEIGHT_AT and its kin). Columns are
// counted in vecs of four and runs of 32; storage in 16-byte vectors. row is always the 16-byte vector where a row begins,
// units the number of its units.
//
// A row is its numbers in units of 16 bytes, then planes with what else they need; each plane is padded to 16 bytes.
// Four neighbouring units, a quad, hold WEIGHT_RUNS runs of columns: 2 of q8_0, else 4; the last quad is filled up with
// zeros. Unit i of a quad holds of each of these runs the vecs (i / 2) 4 + i % 2 and that + 2. So lanes that take
// neighbouring units read x in whole cache lines, and what a unit has of a run shares one scale. Its vec v is vec v % 2
// of what it has of run v / 2:
//   q8_0  the four signed bytes of word v
//   else  the low (v % 2 = 0) or high halves of the four bytes of word v / 2; of q4_0 signed
// Bytes 0 .. 3 of a word belong to columns 0, 2, 1, 3 of its vec: bytes 0 and 2, at the place of two halves, are neighbours.
// Planes:
//   q8_0  f16 scale of each run
//   q4_0  f16 scale of each run
//   q4_k  16 bytes of each two quads: f16 d, f16 dmin; of each run (0 .. 7) a byte, its scale in the lower six bits, the
//         lower two bits of its minimum above; four bytes with the upper four bits of minima r (low) and 4 + r (high)
//   q6_k  8 bytes of each unit: bits 2 (v % 4) .. + 1 of each byte of word v / 4 are the upper two bits of vec v;
//         8 int8 of each quad: scales of columns 0 .. 15 of its runs, then of columns 16 .. 31;
//         f16 d of each two quads
//
// Rows times vectors: a lane takes a unit u; for each run r of it
//   product = weight_start(sum of its x), plus weight_numbers(unit, v) times x at weight_at(u, v) for v = 2 r, 2 r + 1,
//   part = weight_add(unit, r, product, sum of its x, part), and after the last run sum = weight_end(unit, part, sum).
// Taking the zero point off x's sum rather than off each number keeps sums within a few times their size.
// Tiles and single elements: weight_four(weight_load_four(row, units, vec)), the values of four columns, in two steps so
// that loads can run ahead. Tiles of halves: weight_halves.glsl.
#if defined(WEIGHT_Q8_0)
#define WEIGHT_RUNS 2u
#else
#define WEIGHT_RUNS 4u
#endif
#define WEIGHT_VECS (2u * WEIGHT_RUNS)      // of a unit
#define WEIGHT_QUAD_VECS (8u * WEIGHT_RUNS) // of a quad

// A number n as weight_numbers gives it stands for n - WEIGHT_CENTRE. Their bits are put into the mantissa of a half,
// which converts faster than an integer: those of four and six bits make 64 + n, those of eight 256 + 128 + n.
#if defined(WEIGHT_Q4_0)
#define WEIGHT_CENTRE 72.0
#elif defined(WEIGHT_Q4_K)
#define WEIGHT_CENTRE 64.0
#elif defined(WEIGHT_Q6_K)
#define WEIGHT_CENTRE 96.0
#else
#define WEIGHT_CENTRE 384.0
#endif
#if defined(WEIGHT_Q4_0)
#define WEIGHT_HALVES_64 0x54805480u // and turns the sign bits over
#else
#define WEIGHT_HALVES_64 0x54005400u
#endif
#define WEIGHT_HALVES_384 0x5e005e00u // the same

// Sums of x over what a unit has of each run.
#if defined(WEIGHT_Q8_0)
#define WEIGHT_RUN_SUMS vec2
#else
#define WEIGHT_RUN_SUMS vec4
#endif

// q4_k keeps the minima's part beside the scales'.
#if defined(WEIGHT_Q4_K)
#define WeightPart vec2
#else
#define WeightPart float
#endif

#if !defined(WEIGHT_AT)
layout(std430, set = 0, binding = 0) readonly buffer Weights { uvec4 weights[]; };
layout(std430, set = 0, binding = 0) readonly buffer WeightPairs { uvec2 weight_pairs[]; }; // the same bytes
layout(std430, set = 0, binding = 0) readonly buffer WeightWords { uint weight_words[]; };
#define WEIGHT_AT(I) weights[I]
#define WEIGHT_PAIR_AT(I) weight_pairs[I]
#define WEIGHT_WORD_AT(I) weight_words[I]
#endif

struct WeightUnit {
    uvec4 words;
#if defined(WEIGHT_Q8_0)
    uint scales; // f16 each
#elif defined(WEIGHT_Q4_0)
    uvec2 scales; // f16 each
#elif defined(WEIGHT_Q4_K)
    uint d, scales, minima; // d and dmin; a byte each
#else
    uvec2 upper;
    uint scales; // a byte each
    float d;
#endif
};
struct WeightFour { // one vec
    uint word, half_byte;
#if defined(WEIGHT_Q6_K)
    uint upper;
#endif
#if defined(WEIGHT_Q4_K) || defined(WEIGHT_Q6_K)
    uint scale;
#endif
#if defined(WEIGHT_Q4_K)
    uint d, minimum;
#else
    float d;
#endif
};

uint weight_units(uint x_vecs)
{
    return (x_vecs + WEIGHT_QUAD_VECS - 1u) / WEIGHT_QUAD_VECS * 4u;
}

uint weight_at(uint u, uint v)
{
    return u / 4u * WEIGHT_QUAD_VECS + v / 2u * 8u + u / 2u % 2u * 4u + v % 2u * 2u + u % 2u;
}

// The same where x is copied to shared memory with two vecs of room behind each quad, so that neighbouring quads lie in
// different banks.
uint weight_staged(uint u, uint v)
{
    return u / 4u * (WEIGHT_QUAD_VECS + 2u) + u / 2u % 2u * 4u + u % 2u + (v / 2u * 8u + v % 2u * 2u);
}

float weight_half(uint word, uint i)
{
    const vec2 both = unpackHalf2x16(word);
    return i % 2u == 0u ? both.x : both.y;
}

uint weight_byte(uint word, uint i)
{
    return word >> i * 8u & 0xffu;
}

float weight_signed_byte(uint word, uint i)
{
    return float(bitfieldExtract(int(word), int(i * 8u), 8));
}

// Vectors where the q6_k planes begin: upper bits, scales, d.
uvec3 weight_q6_k_planes(uint row, uint units)
{
    const uint upper = row + units, scales = upper + units / 2u;
    return uvec3(upper, scales, scales + (units + 7u) / 8u);
}

// The words of a q4_k entry that quad i of it needs: scales, and minima put together.
uvec2 weight_scales_minima(uvec4 entry, uint i)
{
    const uint bytes = i == 0u ? entry.y : entry.z;
    return uvec2(bytes & 0x3f3f3f3fu, (bytes >> 6 & 0x03030303u) | (entry.w >> i * 4u & 0x0f0f0f0fu) << 2);
}

WeightUnit weight_unit(uint row, uint units, uint u)
{
    WeightUnit unit;
    unit.words = WEIGHT_AT(row + u);
#if defined(WEIGHT_Q8_0)
    unit.scales = WEIGHT_WORD_AT((row + units) * 4u + u / 4u);
#elif defined(WEIGHT_Q4_0)
    unit.scales = WEIGHT_PAIR_AT((row + units) * 2u + u / 4u);
#elif defined(WEIGHT_Q4_K)
    const uvec4 entry = WEIGHT_AT(row + units + u / 8u);
    const uvec2 scales = weight_scales_minima(entry, u / 4u % 2u);
    unit.d = entry.x;
    unit.scales = scales.x;
    unit.minima = scales.y;
#else
    const uvec3 planes = weight_q6_k_planes(row, units);
    unit.upper = WEIGHT_PAIR_AT(planes.x * 2u + u);
    unit.scales = WEIGHT_WORD_AT(planes.y * 4u + u / 2u);
    unit.d = weight_half(WEIGHT_WORD_AT(planes.z * 4u + u / 16u), u / 8u);
#endif
    return unit;
}

// Adds nothing to a sum.
WeightUnit weight_nothing()
{
#if defined(WEIGHT_Q8_0)
    return WeightUnit(uvec4(0u), 0u);
#elif defined(WEIGHT_Q4_0)
    return WeightUnit(uvec4(0u), uvec2(0u));
#elif defined(WEIGHT_Q4_K)
    return WeightUnit(uvec4(0u), 0u, 0u, 0u);
#else
    return WeightUnit(uvec4(0u), uvec2(0u), 0u, 0.0);
#endif
}

// Bits 4 .. 9 of each half: the numbers of bytes 0, 2 and 1, 3.
vec4 weight_from_halves(uint first, uint second)
{
    return vec4(unpackHalf2x16(first ^ WEIGHT_HALVES_64), unpackHalf2x16(second ^ WEIGHT_HALVES_64));
}

// Four numbers out of their word, the half of its bytes, and of q6_k their two upper bits in the low bits of each byte.
vec4 weight_four_numbers(uint word, uint half_byte, uint upper)
{
#if defined(WEIGHT_Q8_0)
    return vec4(unpackHalf2x16((word << 2 & 0x03fc03fcu) ^ WEIGHT_HALVES_384),
        unpackHalf2x16((word >> 6 & 0x03fc03fcu) ^ WEIGHT_HALVES_384));
#elif defined(WEIGHT_Q6_K)
    const uint bytes = (word >> half_byte * 4u & 0x0f0f0f0fu) | (upper & 0x03030303u) << 4;
    return weight_from_halves(bytes << 4 & 0x03f003f0u, bytes >> 4 & 0x03f003f0u);
#else
    if (half_byte == 0u) return weight_from_halves(word << 4 & 0x00f000f0u, word >> 4 & 0x00f000f0u);
    return weight_from_halves(word & 0x00f000f0u, word >> 8 & 0x00f000f0u);
#endif
}

vec4 weight_numbers(WeightUnit unit, uint v)
{
#if defined(WEIGHT_Q8_0)
    return weight_four_numbers(unit.words[v], 0u, 0u);
#elif defined(WEIGHT_Q6_K)
    return weight_four_numbers(unit.words[v / 2u], v % 2u, unit.upper[v / 4u] >> v % 4u * 2u);
#else
    return weight_four_numbers(unit.words[v / 2u], v % 2u, 0u);
#endif
}

float weight_start(float x_sum)
{
    precise const float result = -WEIGHT_CENTRE * x_sum;
    return result;
}

WeightPart weight_add(WeightUnit unit, uint r, float product, float x_sum, WeightPart part)
{
#if defined(WEIGHT_Q8_0)
    precise const float result = fma(weight_half(unit.scales, r), product, part);
#elif defined(WEIGHT_Q4_0)
    precise const float result = fma(weight_half(unit.scales[r / 2u], r), product, part);
#elif defined(WEIGHT_Q4_K)
    const vec2 scale = vec2(weight_byte(unit.scales, r), weight_byte(unit.minima, r));
    precise const vec2 result = fma(scale, vec2(product, x_sum), part);
#else
    precise const float result = fma(weight_signed_byte(unit.scales, r), product, part);
#endif
    return result;
}

float weight_end(WeightUnit unit, WeightPart part, float sum)
{
#if defined(WEIGHT_Q4_K)
    const vec2 d = unpackHalf2x16(unit.d);
    precise const float result = fma(d.x, part.x, fma(-d.y, part.y, sum));
#elif defined(WEIGHT_Q6_K)
    precise const float result = fma(unit.d, part, sum);
#else
    precise const float result = sum + part;
#endif
    return result;
}

// Values in the steps of their definition, so that they equal any other reader's.
vec4 weight_four(WeightFour four)
{
#if defined(WEIGHT_Q6_K)
    const vec4 numbers = weight_four_numbers(four.word, four.half_byte, four.upper) - WEIGHT_CENTRE;
    precise const float scale = four.d * weight_signed_byte(four.scale, 0u);
    precise const vec4 values = scale * numbers;
#elif defined(WEIGHT_Q4_K)
    const vec4 numbers = weight_four_numbers(four.word, four.half_byte, 0u) - WEIGHT_CENTRE;
    precise const vec2 scale = unpackHalf2x16(four.d) * vec2(four.scale & 0xffu, four.minimum & 0xffu);
    precise const vec4 scaled = scale.x * numbers, values = scaled - scale.y;
#else
    const vec4 numbers = weight_four_numbers(four.word, four.half_byte, 0u) - WEIGHT_CENTRE;
    precise const vec4 values = four.d * numbers;
#endif
    return values;
}

WeightFour weight_load_four(uint row, uint units, uint vec)
{
    const uint run = vec / 8u, quad = run / WEIGHT_RUNS, r = run % WEIGHT_RUNS;
    const uint u = quad * 4u + vec / 4u % 2u * 2u + vec % 2u, second = vec / 2u % 2u;
#if defined(WEIGHT_Q8_0)
    return WeightFour(
        WEIGHT_WORD_AT((row + u) * 4u + r * 2u + second), 0u, weight_half(WEIGHT_WORD_AT((row + units) * 4u + quad), r));
#elif defined(WEIGHT_Q4_0)
    return WeightFour(WEIGHT_WORD_AT((row + u) * 4u + r), second,
        weight_half(WEIGHT_WORD_AT((row + units) * 4u + quad * 2u + r / 2u), r));
#elif defined(WEIGHT_Q4_K)
    const uvec4 entry = WEIGHT_AT(row + units + quad / 2u);
    const uvec2 scales = weight_scales_minima(entry, quad % 2u) >> r * 8u;
    return WeightFour(WEIGHT_WORD_AT((row + u) * 4u + r), second, scales.x, entry.x, scales.y);
#else
    const uvec3 planes = weight_q6_k_planes(row, units);
    const uint upper = WEIGHT_WORD_AT((planes.x * 2u + u) * 2u + r / 2u) >> (r % 2u * 2u + second) * 2u;
    const uint scales = WEIGHT_WORD_AT(planes.y * 4u + u / 2u) >> r * 8u;
    return WeightFour(WEIGHT_WORD_AT((row + u) * 4u + r), second, upper, scales,
        weight_half(WEIGHT_WORD_AT(planes.z * 4u + u / 16u), u / 8u));
#endif
}
