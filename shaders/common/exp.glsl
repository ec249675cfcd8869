// Exponentials to within about one unit in the last place on every device: drivers may be off by 3 + 2 |x| units in exp
// and by 2^-21 in log near 1, which is not enough for decays and write strengths. Every argument here is <= 0.

// x - n ln 2 in two parts, the first exact. Plain operations, because drivers may reassociate fma() even when it is
// precise, which would round the difference at the size of x.
float exp_reduce(float x, out float n)
{
    n = roundEven(x * 1.44269504);
    precise const float head = n * 0.693145751953125, tail = n * 1.42860682e-6;
    precise const float r = (x - head) - tail;
    return r;
}

// exp(x) for x <= 0; 0 where the result would be a denormal number
float exp_neg(float x)
{
    float n;
    const float r = exp_reduce(max(x, -88.0), n);
    float p = 1.0 / 5040.0; // Taylor: the first term left out is below 6e-9 for |r| <= ln(2) / 2
    p = fma(p, r, 1.0 / 720.0);
    p = fma(p, r, 1.0 / 120.0);
    p = fma(p, r, 1.0 / 24.0);
    p = fma(p, r, 1.0 / 6.0);
    p = fma(p, r, 0.5);
    precise const float e = 1.0 + fma(p * r, r, r);
    return x < -87.0 ? 0.0 : e * uintBitsToFloat(uint(int(n) + 127) << 23);
}

// exp(x) - 1 for -0.5 <= x <= 0, with all digits when x is tiny
float expm1_small(float x)
{
    float p = 1.0 / 40320.0;
    p = fma(p, x, 1.0 / 5040.0);
    p = fma(p, x, 1.0 / 720.0);
    p = fma(p, x, 1.0 / 120.0);
    p = fma(p, x, 1.0 / 24.0);
    p = fma(p, x, 1.0 / 6.0);
    p = fma(p, x, 0.5);
    precise const float e = fma(p * x, x, x);
    return e;
}

// 1 - exp(x) for x <= 0
float one_minus_exp(float x)
{
    return x > -0.5 ? -expm1_small(x) : 1.0 - exp_neg(x);
}

// log(1 + u) for 0 <= u <= 1: 2 atanh(u / (2 + u)) by its series; the first term left out is below 2e-9 of the sum
float log1p_unit(float u)
{
    const float z = u / (2.0 + u), zz = z * z;
    float p = 1.0 / 15.0;
    p = fma(p, zz, 1.0 / 13.0);
    p = fma(p, zz, 1.0 / 11.0);
    p = fma(p, zz, 1.0 / 9.0);
    p = fma(p, zz, 1.0 / 7.0);
    p = fma(p, zz, 1.0 / 5.0);
    p = fma(p, zz, 1.0 / 3.0);
    return 2.0 * fma(p * zz, z, z);
}

// x / (1 + exp(-x)) without a positive exponent
float silu_exact(float x)
{
    const float e = exp_neg(-abs(x));
    return (x < 0.0 ? x * e : x) / (1.0 + e);
}
