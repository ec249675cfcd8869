// The lowest index of a row's largest value by the whole workgroup; needs GROUP, reduce.glsl, order.glsl and a buffer
// member x of words. The result is (key, index); NaN never wins over a number, a row of NaN gives index 0.
uvec2 argmax_better(uvec2 a, uvec2 b)
{
    return b.x > a.x || (b.x == a.x && b.y < a.y) ? b : a;
}

REDUCE_DEFINE(group_best, uvec2, argmax_better)

uvec2 argmax_row(uint from, uint n)
{
    uvec2 best = uvec2(0u, 0xffffffffu);
    for (uint i = gl_LocalInvocationIndex; i < n; i += GROUP)
        best = argmax_better(best, uvec2(order_key(x[from + i]), i));
    return group_best(best);
}
