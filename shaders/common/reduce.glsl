// Reductions over the whole workgroup (GROUP invocations, a multiple of 32), giving the same value to each of them. Two
// short levels instead of a tree: the order of summands depends on GROUP alone, so results repeat bit for bit, and a
// call costs three barriers. All invocations call together, any number of times.
//
// REDUCE_DEFINE(name, type, combine) defines  type name(type value);  combine(a, b) is a macro or function.
const uint REDUCE_FAN = GROUP >= 512u ? 32u : 16u;

#define REDUCE_DEFINE(NAME, TYPE, COMBINE)                                                   \
    shared TYPE NAME##_part[GROUP];                                                          \
    TYPE NAME(TYPE value)                                                                    \
    {                                                                                        \
        const uint lane = gl_LocalInvocationIndex;                                           \
        barrier(); /* the previous call has been read */                                     \
        NAME##_part[lane] = value;                                                           \
        barrier();                                                                           \
        if (lane < REDUCE_FAN) {                                                             \
            for (uint i = lane + REDUCE_FAN; i < GROUP; i += REDUCE_FAN)                     \
                value = COMBINE(value, NAME##_part[i]);                                      \
            NAME##_part[lane] = value;                                                       \
        }                                                                                    \
        barrier();                                                                           \
        value = NAME##_part[0];                                                              \
        for (uint i = 1u; i < REDUCE_FAN; i++) value = COMBINE(value, NAME##_part[i]);       \
        return value;                                                                        \
    }

#define REDUCE_ADD(a, b) ((a) + (b))
#define REDUCE_MAX(a, b) max(a, b)
