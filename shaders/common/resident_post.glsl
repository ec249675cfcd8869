// The post: how workgroups tell each other values and wait for them. A value is one word that is written once in a run and
// read until it is there, so nothing else has to be ordered: no barrier of all workgroups, no fence. Values that depend on
// what was read of the state are told after it was read; who has seen them all may write that state. (What orders that is the
// dependence of values alone. Memory models promise nothing for it, devices and compilers can do nothing else.)
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint v[]; };
#define LOOK(ADDRESS, I) atomicLoad(Words(ADDRESS).v[I], gl_ScopeDevice, 0, gl_SemanticsRelaxed)

uvec2 post_address()
{
    return uvec2(push.post_lo, push.post_hi);
}

void post_tell(uint at, float value)
{
    atomicStore(Words(post_address()).v[at], max(~floatBitsToUint(value), 1u), gl_ScopeDevice, 0, gl_SemanticsRelaxed);
}

// Of a row that is the input of a product: where float i lies, and the first of vec i; the others follow LANES apart.
uint post_float(uint i)
{
    return i / (4u * LANES) * (4u * LANES) + i % 4u * LANES + i / 4u % LANES;
}

uint post_vec(uint i)
{
    return i / LANES * (4u * LANES) + i % LANES;
}

float post_value(uint word)
{
    return uintBitsToFloat(~word);
}

// A wait was given up. The workgroup leaves after its next barrier; others will wait for it in vain, and leave.
void give_up()
{
    failed = 1u;
    atomicOr(post[0], 1u, gl_ScopeDevice, 0, gl_SemanticsRelaxed);
}

// Looks at words FROM[0 .. N - 1] of the post until all are there. All looks of a round are on their way together.
#define AWAIT(N, WORD, FROM)                                                                           \
    {                                                                                                  \
        uint least = 0u;                                                                               \
        for (uint polls = 0u; least == 0u && polls < push.max_polls; polls++) {                        \
            [[unroll]] for (uint i_ = 0u; i_ < (N); i_++) WORD[i_] = LOOK(post_address(), FROM[i_]);   \
            least = WORD[0];                                                                           \
            [[unroll]] for (uint i_ = 1u; i_ < (N); i_++) least = min(least, WORD[i_]);                \
        }                                                                                              \
        if (least == 0u) give_up();                                                                    \
    }
