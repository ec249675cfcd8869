// A decay exp(x), x <= 0, as a pair (base, e) with exp(x) = base + e and base 0 or 1: near 1 the pair keeps the digits
// that say how much is forgotten, which a float just below 1 cannot hold. A state that forgets a millionth per token
// would otherwise drift by percents: the rounding of exp(x) repeats with the same sign each time.
vec2 decay_pair(float x)
{
    return x > -0.5 ? vec2(1.0, expm1_small(x)) : vec2(0.0, exp_neg(x));
}

// decay * h + write. Plain operations: drivers may fold fma(base, h, fma(e, h, ..)) into (base + e) h even if precise.
float decay_apply(vec2 decay, float h, float write)
{
    precise const float kept = decay.x * h, change = decay.y * h + write;
    precise const float sum = kept + change;
    return sum;
}

// The same of four, without a loop: where glslc unrolls one, all copies but the first lose precise.
vec4 decay_apply(vec4 base, vec4 small, vec4 h, vec4 write)
{
    precise const vec4 kept = base * h, change = small * h + write;
    precise const vec4 sum = kept + change;
    return sum;
}
