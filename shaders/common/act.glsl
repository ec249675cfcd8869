// Activation functions. Exponents are bounded so that no division meets a denominator beyond 2^126, where Vulkan
// promises nothing; what the bound cuts off is below 1e-30.
float sigmoid(float x)
{
    return 1.0 / (1.0 + exp(min(-x, 80.0)));
}

float silu(float x)
{
    return x / (1.0 + exp(min(-x, 80.0)));
}

// x^(3 / (sqrt(x) + 1)) sigmoid(x) for x > 0, silu below. The power is exp2(e log2 x): for the smallest x it vanishes
// (log2 of a flushed denormal is -inf, times a positive exponent), for the largest it tends to 1.
float powlu(float x)
{
    if (!(x > 0.0)) return silu(x);
    const float a = min(x, 1e38);
    return exp2(3.0 / (sqrt(a) + 1.0) * log2(a)) * sigmoid(x);
}

// Activation of the feed-forward gate; act is one of GSA_ACT_* of push.h.
float ffn_act(float x, uint act)
{
    return act == GSA_ACT_POWLU ? powlu(x) : silu(x);
}
