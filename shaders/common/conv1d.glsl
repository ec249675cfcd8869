// Where channel n of [q | k | v] lies. The including shader is one of conv1d*.comp.
layout(local_size_x = GSA_MIXER_GROUP) in;
layout(constant_id = 0) const uint W = 4u; // taps
layout(push_constant) uniform Push { gsa_conv1d_push push; };

uint conv1d_channels()
{
    return push.n_q + push.n_k + push.n_v;
}

uint conv1d_column(uint n)
{
    if (n < push.n_q) return push.q + n;
    n -= push.n_q;
    return n < push.n_k ? push.k + n : push.v + n - push.n_k;
}

// of the oldest input of channel n in a slot
uint conv1d_state(uint n, uint slot)
{
    const uint base = slot * push.state_stride;
    if (n < push.n_q) return base + push.state_q + n * W;
    n -= push.n_q;
    return base + (n < push.n_k ? push.state_k + n * W : push.state_v + (n - push.n_k) * W);
}
