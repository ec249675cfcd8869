// Weights of the block types as halves, for matrix units: pieces of 32 columns on their way from weight_blocks.glsl's rows to
// vectors of eight. Needs GL_EXT_shader_explicit_arithmetic_types_float16.
//
// A row is blocks of 64 columns, two runs; piece j of a block (0, 1) has columns 16 j .. 16 j + 15 of each. Loaded it holds no
// more than it needs, and loading does not look at what was loaded, so that loads can run ahead.
//   weight_halves(piece, block, v)   vector v: columns 16 j + 8 (v % 2) .. + 7 of run v / 2
//
// Numbers are put into the mantissas of two halves at once (1024 + n or 64 + n). Their distance to the zero point is exact,
// and its product with the scale is rounded once, to f16. q4_k and q6_k, whose scales are products, multiply in f32, which
// loses nothing (q6_k), or 2^-19 of a step by what is added to cancel the 64 (q4_k). Drivers may take an fma apart, in one
// kernel and not in another: here its product is exact, so that all have the same bits. No weight leaves the range of f16: a
// scale is bounded so that its largest number stays within.
struct WeightPiece {
#if defined(WEIGHT_Q8_0)
    uvec4 even, odd; // units 2 j and 2 j + 1 of the quad
    uint scales;     // f16 of each run
#else
    uvec2 even, odd; // a word of each run
#if defined(WEIGHT_Q4_0)
    uint scales;
#elif defined(WEIGHT_Q4_K)
    uint d, scales, minima; // words of the entry
#else
    uvec2 upper;
    uint scales, d;
#endif
#endif
};

#define WEIGHT_BLOCK_UNITS (8u / WEIGHT_RUNS) // of a row, for each block

WeightPiece weight_piece(uint row, uint units, uint block, uint j)
{
    WeightPiece piece;
#if defined(WEIGHT_Q8_0)
    const uint u = row + block * 4u + 2u * j;
    piece.even = WEIGHT_AT(u);
    piece.odd = WEIGHT_AT(u + 1u);
    piece.scales = WEIGHT_WORD_AT((row + units) * 4u + block);
#else
    const uint quad = block / 2u, u = (row + quad * 4u + 2u * j) * 2u + block % 2u;
    piece.even = WEIGHT_PAIR_AT(u);
    piece.odd = WEIGHT_PAIR_AT(u + 2u);
#if defined(WEIGHT_Q4_0)
    piece.scales = WEIGHT_WORD_AT((row + units) * 4u + block);
#elif defined(WEIGHT_Q4_K)
    const uint entry = (row + units + quad / 2u) * 4u;
    piece.d = WEIGHT_WORD_AT(entry);
    piece.scales = WEIGHT_WORD_AT(entry + 1u + quad % 2u);
    piece.minima = WEIGHT_WORD_AT(entry + 3u);
#else
    const uvec3 planes = weight_q6_k_planes(row, units);
    const uint upper = planes.x * 4u + (quad * 4u + 2u * j) * 2u + block % 2u;
    piece.upper = uvec2(WEIGHT_WORD_AT(upper), WEIGHT_WORD_AT(upper + 2u));
    piece.scales = WEIGHT_WORD_AT(planes.y * 4u + quad * 2u + j);
    piece.d = WEIGHT_WORD_AT(planes.z * 4u + quad / 4u);
#endif
#endif
    return piece;
}

#if defined(WEIGHT_Q8_0) || defined(WEIGHT_Q4_0)
uint weight_scaled(uint halves, float zero, float16_t scale)
{
    precise const f16vec2 distance = unpackFloat2x16(halves) - float16_t(zero);
    precise const f16vec2 value = distance * scale;
    return packFloat2x16(value);
}
#elif defined(WEIGHT_Q6_K)
uint weight_scaled(uint halves, float scale)
{
    precise const f16vec2 distance = unpackFloat2x16(halves) - float16_t(1056.0);
    precise const vec2 value = vec2(distance) * scale;
    return packHalf2x16(value);
}
#else
// scale times what is above zero, less the minimum; both in x and y of line.
uint weight_scaled(uint halves, vec2 line)
{
    precise const vec2 value = fma(vec2(line.x), unpackHalf2x16(halves), vec2(line.y));
    return packHalf2x16(value);
}
#endif

// The scale of run r, and of q4_k what is to be added to scale times number.
#if defined(WEIGHT_Q8_0)
#define WEIGHT_SCALE float16_t
#define WEIGHT_SCALE_MOST 511.75 // 65504 / 128
#elif defined(WEIGHT_Q4_0)
#define WEIGHT_SCALE float16_t
#define WEIGHT_SCALE_MOST 8188.0 // 65504 / 8
#elif defined(WEIGHT_Q4_K)
#define WEIGHT_SCALE vec2
#else
#define WEIGHT_SCALE float
#endif
WEIGHT_SCALE weight_piece_scale(WeightPiece piece, uint block, uint r)
{
#if defined(WEIGHT_Q8_0) || defined(WEIGHT_Q4_0)
    const float16_t most = float16_t(WEIGHT_SCALE_MOST);
    return clamp(unpackFloat2x16(piece.scales)[r], -most, most);
#elif defined(WEIGHT_Q4_K)
    const uint shift = block % 2u * 16u + r * 8u;
    const uint byte = piece.scales >> shift, upper = piece.minima >> shift + block / 2u % 2u * 4u;
    const vec2 of_d = vec2(byte & 0x3fu, (byte >> 6 & 3u) | (upper & 15u) << 2);
    precise const vec2 line = clamp(unpackHalf2x16(piece.d), -65504.0, 65504.0) * of_d; // infinite times 0 is no number
    const vec2 bounded = clamp(line, vec2(-2047.0, -32752.0), vec2(2047.0, 32752.0));
    precise const float add = fma(bounded.x, -64.0, -bounded.y);
    return vec2(bounded.x, add);
#else
    const float d = clamp(unpackHalf2x16(piece.d >> block / 4u % 2u * 16u).x, -65504.0, 65504.0);
    precise const float scale = d * weight_signed_byte(piece.scales >> block % 2u * 16u, r);
    return clamp(scale, -2047.0, 2047.0);
#endif
}

// Columns 0 .. 3 of vec s of a run's two that a unit has, in two words.
uvec2 weight_four_halves(uint word, uint upper, uint s, WEIGHT_SCALE scale)
{
#if defined(WEIGHT_Q8_0)
    return uvec2(weight_scaled((word & 0x00ff00ffu) ^ 0x64806480u, 1152.0, scale),
        weight_scaled((word >> 8 & 0x00ff00ffu) ^ 0x64806480u, 1152.0, scale));
#elif defined(WEIGHT_Q4_0)
    if (s == 0u)
        return uvec2(weight_scaled((word & 0x000f000fu) ^ 0x64086408u, 1032.0, scale),
            weight_scaled((word >> 8 & 0x000f000fu) ^ 0x64086408u, 1032.0, scale));
    return uvec2(weight_scaled((word & 0x00f000f0u) ^ 0x54805480u, 72.0, scale),
        weight_scaled((word >> 8 & 0x00f000f0u) ^ 0x54805480u, 72.0, scale));
#elif defined(WEIGHT_Q4_K)
    if (s == 0u) word <<= 4;
    return uvec2(weight_scaled((word & 0x00f000f0u) | 0x54005400u, scale),
        weight_scaled((word >> 8 & 0x00f000f0u) | 0x54005400u, scale));
#else
    const uint numbers = (word >> s * 4u & 0x0f0f0f0fu) | (upper & 0x30303030u);
    return uvec2(weight_scaled((numbers & 0x003f003fu) | 0x64006400u, scale),
        weight_scaled((numbers >> 8 & 0x003f003fu) | 0x64006400u, scale));
#endif
}

uvec4 weight_halves(WeightPiece piece, uint block, uint v)
{
    const uint r = v / 2u, s = v % 2u;
    const WEIGHT_SCALE scale = weight_piece_scale(piece, block, r);
#if defined(WEIGHT_Q8_0)
    return uvec4(weight_four_halves(piece.even[v], 0u, s, scale), weight_four_halves(piece.odd[v], 0u, s, scale));
#elif defined(WEIGHT_Q6_K)
    const uvec2 upper = v < 2u ? piece.upper << 4 - int(2u * v) : piece.upper >> int(2u * v) - 4;
    return uvec4(weight_four_halves(piece.even[r], upper.x, s, scale), weight_four_halves(piece.odd[r], upper.y, s, scale));
#else
    return uvec4(weight_four_halves(piece.even[r], 0u, s, scale), weight_four_halves(piece.odd[r], 0u, s, scale));
#endif
}
