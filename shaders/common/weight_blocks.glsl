// The block types of weights.glsl, which explains the layout and the functions.
#define WEIGHT_GROUP (8u * WEIGHT_VECS) // vecs of a group

// A number n stands for n - WEIGHT_CENTRE. Rather than from each, the centre is taken off a product once for four: the
// sums stay within a few times the size of the centred ones.
#if defined(WEIGHT_Q4_0)
#define WEIGHT_CENTRE 8.0
#elif defined(WEIGHT_Q6_K)
#define WEIGHT_CENTRE 32.0
#endif
#if defined(WEIGHT_CENTRE)
#define WEIGHT_CENTRED(N) ((N) - WEIGHT_CENTRE)
#else
#define WEIGHT_CENTRED(N) (N)
#endif

#if defined(WEIGHT_Q8_0)
struct WeightUnit { uvec4 words; uvec2 scales; };
struct WeightFour { uint word; uint scales; uint v; };
#elif defined(WEIGHT_Q4_0)
struct WeightUnit { uvec4 words; uvec4 scales; };
struct WeightFour { uint word; uint scales; uint v; };
#elif defined(WEIGHT_Q4_K)
struct WeightUnit { uvec4 words; uvec4 scales; };
struct WeightFour { uint word; uvec4 scales; uint v; };
#else
struct WeightUnit { uvec4 words; uvec2 upper; uvec2 scales; float d; };
struct WeightFour { uint word; uint upper; uint scales; float d; uint v; };
#endif

// q4_k keeps the minima's part beside the scales'.
#if defined(WEIGHT_Q4_K)
#define WeightPart vec2
#else
#define WeightPart float
#endif

uint weight_units(uint x_vecs)
{
    return (x_vecs + WEIGHT_GROUP - 1u) / WEIGHT_GROUP * 8u;
}

uint weight_at(uint u, uint v)
{
    return u / 8u * WEIGHT_GROUP + v * 8u + u % 8u;
}

// Bytes as floats; a byte's conversion is one instruction on most devices.
vec4 weight_bytes(uint word)
{
    return vec4(word & 0xffu, word >> 8 & 0xffu, word >> 16 & 0xffu, word >> 24);
}

vec4 weight_signed_bytes(uint word)
{
    const int w = int(word);
    return vec4(bitfieldExtract(w, 0, 8), bitfieldExtract(w, 8, 8), bitfieldExtract(w, 16, 8), w >> 24);
}

// Half i of a word of two.
float weight_half(uint word, uint i)
{
    const vec2 halves = unpackHalf2x16(word);
    return (i & 1u) == 0u ? halves.x : halves.y;
}

#if defined(WEIGHT_Q4_K)
// The 6-bit scale and minimum of run v.
vec2 weight_scale_min(uvec3 packed, uint v)
{
    uint scales, minima; // of runs 0 .. 3 or 4 .. 7, one a byte
    if (v < 4u) {
        scales = packed.x & 0x3f3f3f3fu;
        minima = packed.y & 0x3f3f3f3fu;
    } else {
        scales = (packed.z & 0x0f0f0f0fu) | (packed.x >> 2 & 0x30303030u);
        minima = (packed.z >> 4 & 0x0f0f0f0fu) | (packed.y >> 2 & 0x30303030u);
    }
    const uint shift = v % 4u * 8u;
    return vec2(scales >> shift & 0xffu, minima >> shift & 0xffu);
}
#endif

WeightUnit weight_nothing()
{
#if defined(WEIGHT_Q8_0)
    return WeightUnit(uvec4(0u), uvec2(0u));
#elif defined(WEIGHT_Q6_K)
    return WeightUnit(uvec4(0u), uvec2(0u), uvec2(0u), 0.0);
#else
    return WeightUnit(uvec4(0u), uvec4(0u));
#endif
}

WeightUnit weight_unit(uint row, uint units, uint u)
{
    const uvec4 words = weights[row + u];
    const uint planes = row + units, group = u / 8u;
#if defined(WEIGHT_Q8_0)
    return WeightUnit(words, weight_pairs[planes * 2u + group]);
#elif defined(WEIGHT_Q6_K)
    const uint scales = planes + units / 2u, d = (scales + units / 8u) * 4u;
    return WeightUnit(words, weight_pairs[planes * 2u + u], weight_pairs[(scales + group) * 2u + u / 4u % 2u],
        weight_half(weight_words[d + group / 2u], group));
#else
    return WeightUnit(words, weights[planes + group]);
#endif
}

// Four columns of run v out of words that hold them, see above.
#if defined(WEIGHT_Q8_0)
#define WEIGHT_NUMBERS(WORD, UPPER, V) weight_signed_bytes(WORD)
#elif defined(WEIGHT_Q6_K)
#define WEIGHT_NUMBERS(WORD, UPPER, V) \
    weight_bytes(((WORD) >> (V) % 2u * 4u & 0x0f0f0f0fu) | (((UPPER) >> (V) % 4u * 2u & 0x03030303u) << 4))
#else
#define WEIGHT_NUMBERS(WORD, UPPER, V) weight_bytes((WORD) >> (V) % 2u * 4u & 0x0f0f0f0fu)
#endif

vec4 weight_numbers(WeightUnit unit, uint v)
{
#if defined(WEIGHT_Q8_0)
    return WEIGHT_NUMBERS(unit.words[v], 0u, v);
#elif defined(WEIGHT_Q6_K)
    return WEIGHT_NUMBERS(unit.words[v / 2u], unit.upper[v / 4u], v);
#else
    return WEIGHT_NUMBERS(unit.words[v / 2u], 0u, v);
#endif
}

// What run v's centred numbers are multiplied with inside the unit's part; q4_k: and x's sum.
WeightPart weight_scale(WeightUnit unit, uint v)
{
#if defined(WEIGHT_Q4_K)
    return weight_scale_min(unit.scales.yzw, v);
#elif defined(WEIGHT_Q6_K)
    return float(bitfieldExtract(int(unit.scales[v / 4u]), int(v % 4u * 8u), 8));
#else
    return weight_half(unit.scales[v / 2u], v);
#endif
}

WeightPart weight_add(WeightUnit unit, uint v, vec4 numbers, vec4 xs, float x_sum, WeightPart part)
{
#if defined(WEIGHT_CENTRE)
    precise float product = -WEIGHT_CENTRE * x_sum;
#else
    precise float product = 0.0;
#endif
    product = fma(numbers.x, xs.x, product);
    product = fma(numbers.y, xs.y, product);
    product = fma(numbers.z, xs.z, product);
    product = fma(numbers.w, xs.w, product);
#if defined(WEIGHT_Q4_K)
    precise const WeightPart result = fma(weight_scale(unit, v), vec2(product, x_sum), part);
#else
    precise const WeightPart result = fma(weight_scale(unit, v), product, part);
#endif
    return result;
}

float weight_end(WeightUnit unit, WeightPart part, float sum)
{
#if defined(WEIGHT_Q4_K)
    const vec2 d = unpackHalf2x16(unit.scales.x);
    precise const float result = fma(d.x, part.x, fma(-d.y, part.y, sum));
#elif defined(WEIGHT_Q6_K)
    precise const float result = fma(unit.d, part, sum);
#else
    precise const float result = sum + part;
#endif
    return result;
}

// Values in the steps of their definition, so that they equal any other reader's.
vec4 weight_values(WeightUnit unit, uint v)
{
    const vec4 n = WEIGHT_CENTRED(weight_numbers(unit, v));
#if defined(WEIGHT_Q4_K)
    precise const vec2 scale = unpackHalf2x16(unit.scales.x) * weight_scale(unit, v);
    precise const vec4 scaled = scale.x * n, values = scaled - scale.y;
#elif defined(WEIGHT_Q6_K)
    precise const float scale = unit.d * weight_scale(unit, v);
    precise const vec4 values = scale * n;
#else
    precise const vec4 values = weight_scale(unit, v) * n;
#endif
    return values;
}

WeightFour weight_load_four(uint row, uint units, uint vec)
{
    const uint group = vec / WEIGHT_GROUP, v = vec % WEIGHT_GROUP / 8u, u = group * 8u + vec % 8u;
    const uint planes = row + units;
#if defined(WEIGHT_Q8_0)
    return WeightFour(weight_words[(row + u) * 4u + v], weight_words[planes * 4u + group * 2u + v / 2u], v);
#elif defined(WEIGHT_Q4_0)
    return WeightFour(weight_words[(row + u) * 4u + v / 2u], weight_words[(planes + group) * 4u + v / 2u], v);
#elif defined(WEIGHT_Q4_K)
    return WeightFour(weight_words[(row + u) * 4u + v / 2u], weights[planes + group], v);
#else
    const uint scales = planes + units / 2u, d = (scales + units / 8u) * 4u;
    return WeightFour(weight_words[(row + u) * 4u + v / 2u], weight_words[planes * 4u + u * 2u + v / 4u],
        weight_words[(scales + group) * 4u + u / 4u % 2u * 2u + v / 4u],
        weight_half(weight_words[d + group / 2u], group), v);
#endif
}

vec4 weight_four(WeightFour four)
{
#if defined(WEIGHT_Q6_K)
    const vec4 n = WEIGHT_CENTRED(WEIGHT_NUMBERS(four.word, four.upper, four.v));
    precise const float scale = four.d * float(bitfieldExtract(int(four.scales), int(four.v % 4u * 8u), 8));
    precise const vec4 values = scale * n;
#elif defined(WEIGHT_Q4_K)
    const vec4 n = WEIGHT_NUMBERS(four.word, 0u, four.v);
    precise const vec2 scale = unpackHalf2x16(four.scales.x) * weight_scale_min(four.scales.yzw, four.v);
    precise const vec4 scaled = scale.x * n, values = scaled - scale.y;
#else
    const vec4 n = WEIGHT_CENTRED(WEIGHT_NUMBERS(four.word, 0u, four.v));
    precise const vec4 values = weight_half(four.scales, four.v) * n;
#endif
    return values;
}
