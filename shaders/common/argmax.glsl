// A row of logits as quads of words, and the lowest index of its largest value by the whole workgroup. Needs GROUP,
// reduce.glsl, order.glsl and a buffer member x of uvec4; rows begin at multiples of four.

// Four logits' bits; NaN stands for those past the row's end. Apart from the load, so that loads run ahead: some
// compilers wait at once for what a condition asks for.
uvec4 row_bits(uvec4 bits, uint n, uint quad)
{
    const uint left = n - quad * 4u;
    if (left < 4u) bits.w = 0x7fffffffu;
    if (left < 3u) bits.z = 0x7fffffffu;
    if (left < 2u) bits.y = 0x7fffffffu;
    return bits;
}

uvec4 row_quad(uint from, uint n, uint quad)
{
    return row_bits(x[from / 4u + quad], n, quad);
}

uvec4 order_keys(uvec4 bits)
{
    return uvec4(order_key(bits.x), order_key(bits.y), order_key(bits.z), order_key(bits.w));
}

// Of two (key, index).
uvec2 argmax_better(uvec2 a, uvec2 b)
{
    return b.x > a.x || (b.x == a.x && b.y < a.y) ? b : a;
}

REDUCE_DEFINE(group_best, uvec2, argmax_better)

// (key, index); NaN never wins over a number, a row of NaN gives index 0. Several quads are on their way at a time.
uvec2 argmax_row(uint from, uint n)
{
    const uint AHEAD = 8u, quads = (n + 3u) / 4u;
    uvec2 best = uvec2(0u, 0xffffffffu);
    for (uint first = gl_LocalInvocationIndex; first < quads; first += AHEAD * GROUP) {
        uvec4 bits[AHEAD];
        [[unroll]] for (uint j = 0u; j < AHEAD; j++) bits[j] = x[from / 4u + min(first + j * GROUP, quads - 1u)];
        [[unroll]] for (uint j = 0u; j < AHEAD; j++) {
            const uint quad = min(first + j * GROUP, quads - 1u); // met again, the last one changes nothing
            const uvec4 keys = order_keys(row_bits(bits[j], n, quad));
            [[unroll]] for (uint i = 0u; i < 4u; i++) best = argmax_better(best, uvec2(keys[i], quad * 4u + i));
        }
    }
    return group_best(best);
}
