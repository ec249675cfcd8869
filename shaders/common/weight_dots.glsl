// Units of q8_0 and q4_0 times x by dot products of four bytes. For these x is kept in fixed point: of each column three
// signed bytes, its digits, and for all columns of a unit one scale, a power of two:
//   x[c] = scale (65536 d2[c] + 256 d1[c] + d0[c]),   at most 2^22 scale
// so each column loses up to 2^-22 of the unit's largest one, no more than sums in f32 do. Where a quad's columns are not
// in one subgroup each run of a unit has a scale of its own. A unit with a column that is no number has such a scale.
//
// The including shader has LANES and WEIGHT_RUNS, and says where that is kept; for run r of unit u
//   DOT_HIGH(I), I = r units + u     uvec4: words of d2 of the run's two vecs (weight_blocks.glsl), then of d1
//   DOT_LOW(I)                       uvec2: of d0
//   DOT_SCALE(I)                     where runs have scales of their own, else of unit I = u
// and with DOT_PUT_HIGH(I, J, WORD), DOT_PUT_LOW(I, J, WORD) how a word of it is written.
const uint DOT_SCALES = WEIGHT_QUAD_VECS <= LANES ? 1u : WEIGHT_RUNS; // of a unit

#if defined(WEIGHT_Q4_0)
#define DOT_TIMES_LOG 4u // numbers are met times 16
#else
#define DOT_TIMES_LOG 0u
#endif

// Bytes k of four words, in the order of weight_blocks.glsl, as signed ones of the digits that add up to the words less
// their bias.
#define DOT_BIAS 0x808080
uint dot_word(uvec4 biased, uint k)
{
    const uvec4 byte = biased >> 8u * k & 0xffu;
    return (byte.x | byte.z << 8 | byte.y << 16 | byte.w << 24) ^ 0x80808080u;
}

// 1.5 x 2^23: floats around it are whole numbers. So adding it rounds, and bits of a sum that begins with its bits are a float's.
#define DOT_ROUND 12582912.0
#define DOT_ROUND_BITS 0x4b400000

// Vec i of x, of which the units begin at run 0 of `first`; all vecs of its quad are put by the same subgroup at once, or
// of subgroups smaller than that all of its run. Beyond x: zeros.
void dot_put(uint first, uint units, uint i, vec4 value)
{
    const uint run = i % WEIGHT_QUAD_VECS / 8u, second = i / 2u & 1u;
    const uint u = i / WEIGHT_QUAD_VECS * 4u + i / 4u % 2u * 2u + i % 2u, at = first + run * units + u;
    const uvec4 size = floatBitsToUint(value) & 0x7fffffffu;
    uint most = max(max(size.x, size.y), max(size.z, size.w));
    most = max(most, subgroupShuffleXor(most, 2u));
    if (DOT_SCALES == 1u)
        [[unroll]] for (uint apart = 8u; apart < WEIGHT_QUAD_VECS; apart *= 2u)
            most = max(most, subgroupShuffleXor(most, apart));
    const uint power = max(most & 0x7f800000u, 30u << 23);
    precise const vec4 moved = value * uintBitsToFloat((127u + 21u + 127u << 23) - power) + DOT_ROUND;
    const uvec4 biased = uvec4(floatBitsToInt(moved) - DOT_ROUND_BITS + DOT_BIAS);
    DOT_PUT_HIGH(at, second, dot_word(biased, 2u));
    DOT_PUT_HIGH(at, 2u + second, dot_word(biased, 1u));
    DOT_PUT_LOW(at, second, dot_word(biased, 0u));
    if (second == 0u && (DOT_SCALES > 1u || run == 0u)) {
        const uint scale = power == 0x7f800000u ? 0x7fc00000u : power - (21u + DOT_TIMES_LOG << 23);
        DOT_SCALE(DOT_SCALES > 1u ? at : first / WEIGHT_RUNS + u) = uintBitsToFloat(scale);
    }
}

// A sum of dot products that began with DOT_ROUND_BITS.
float dot_float(int sum)
{
    precise const float result = intBitsToFloat(sum) - DOT_ROUND;
    return result;
}

// What run r of a unit adds to its part, in the unit's scale, or scaled where runs have their own.
float dot_run(WeightUnit unit, uint r, uvec4 high, uvec2 low, float scale, float part)
{
#if defined(WEIGHT_Q4_0)
    const int a = int(unit.words[r] << 4 & 0xf0f0f0f0u), b = int(unit.words[r] & 0xf0f0f0f0u);
#else
    const int a = int(unit.words[2u * r]), b = int(unit.words[2u * r + 1u]);
#endif
    const int d2 = dotPacked4x8EXT(b, int(high.y)) + (dotPacked4x8EXT(a, int(high.x)) + DOT_ROUND_BITS);
    const int d1 = dotPacked4x8EXT(b, int(high.w)) + (dotPacked4x8EXT(a, int(high.z)) + DOT_ROUND_BITS);
    const int d0 = dotPacked4x8EXT(b, int(low.y)) + (dotPacked4x8EXT(a, int(low.x)) + DOT_ROUND_BITS);
    precise float product = fma(dot_float(d2), 65536.0, fma(dot_float(d1), 256.0, dot_float(d0)));
    if (DOT_SCALES > 1u) product *= scale;
    return weight_add(unit, r, product, 0.0, part);
}

float dot_end(float part, float scale, float sum)
{
    precise const float result = DOT_SCALES > 1u ? sum + part : fma(scale, part, sum);
    return result;
}
